"""What a notebook shows of a registry: its collections, and its dataset types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imaging.describe import Table

if TYPE_CHECKING:
    from .catalog import Catalog

__all__ = ["collections_table", "dataset_types_table"]

_MOST = 40
"""Rows that are shown."""


def collections_table(catalog: Catalog) -> Table:
    """Return name, type, what a chain searches, and the documentation of each collection."""
    names = [row.name for row in catalog.matching(("*",))]
    found = [catalog.info(name) for name in names[:_MOST]]
    return Table(
        ("collection", "type", "searches", "meaning"),
        [(info.name, info.type.name, ", ".join(info.children), info.doc) for info in found],
        more_rows=len(names) - len(found),
    )


def dataset_types_table(catalog: Catalog) -> Table:
    """Return name, dimensions and storage class of each dataset type."""
    known = sorted(catalog.dataset_types.values(), key=lambda dataset_type: dataset_type.name)
    return Table(
        ("dataset type", "dimensions", "storage class"),
        [(one.name, ", ".join(one.dimensions.required), one.storage_class.name) for one in known[:_MOST]],
        more_rows=max(0, len(known) - _MOST),
    )
