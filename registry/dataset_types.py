"""Dataset types: registering them, and the tables and views that come with each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ..model.datasets import DatasetType
from ..model.errors import ConflictingDefinitionError
from .tables import tag_table_name
from .views import GENERAL_VIEWS, create_calibration_view, create_dataset_view

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["register_dataset_type"]


def register_dataset_type(registry: Registry, dataset_type: DatasetType, *, replace: bool = False) -> bool:
    """Make a dataset type known.

    Parameters
    ----------
    registry
        Where.
    dataset_type
        What.
    replace
        Whether one of the same name, and with no datasets yet, gives way.

    Returns
    -------
    bool
        Whether anything changed.

    Raises
    ------
    ConflictingDefinitionError
        One of that name is defined otherwise, or the view of another has that name.
    """
    if dataset_type.dimensions.universe is not registry.universe:
        dataset_type = DatasetType(
            dataset_type.name, dataset_type.dimensions.required, dataset_type.storage_class,
            dataset_type.is_calibration, universe=registry.universe,
        )  # fmt: skip
    if registry.catalog.dataset_types.get(dataset_type.name) == dataset_type:
        return False
    table = registry.tables.dataset_type
    with registry.edit_catalog() as connection:
        catalog = registry.catalog  # as the transaction sees it: another process may have been faster
        known = catalog.dataset_types.get(dataset_type.name)
        if known == dataset_type:
            return False
        if known is not None:
            type_id = catalog.type_ids[known.name]
            used = connection.execute(
                sa.select(sa.exists().where(registry.tables.dataset.c.dataset_type_id == type_id))
            ).scalar_one()
            if used or not replace:
                why = "it has datasets" if used else "pass replace=True to change it"
                raise ConflictingDefinitionError(f"{known} is registered; {dataset_type} differs, and {why}.")
            connection.execute(sa.delete(table).where(table.c.id == type_id))
        tags = registry.tables.tag(dataset_type.dimensions)
        tags.create(connection, checkfirst=True)
        row = {
            "name": dataset_type.name,
            "dimensions": json.dumps(dataset_type.dimensions.required),
            "storage_class": dataset_type.storage_class.name,
            "is_calibration": dataset_type.is_calibration,
            "tag_table": tag_table_name(dataset_type.dimensions),
        }
        _check_view(registry, dataset_type.name)
        type_id = connection.execute(sa.insert(table).values(row).returning(table.c.id)).scalar_one()
        create_dataset_view(connection, registry.tables, dataset_type, type_id)
        if dataset_type.is_calibration:
            registry.tables.calib(dataset_type.dimensions).create(connection, checkfirst=True)
            groups = [t.dimensions for t in catalog.dataset_types.values() if t.is_calibration]
            create_calibration_view(connection, registry.tables, [*groups, dataset_type.dimensions])
        registry.catalog_changed(connection)
    return True


def _check_view(registry: Registry, name: str) -> None:
    """Raise where the view of a dataset type would take the place of another view: SQL does not tell case apart."""
    if f"v_{name.lower()}" in GENERAL_VIEWS:
        raise ConflictingDefinitionError(f"a dataset type cannot be called {name!r}: v_{name.lower()} shows them all.")
    for other in registry.catalog.dataset_types:
        if other != name and other.lower() == name.lower():
            raise ConflictingDefinitionError(f"{name!r} differs from {other!r} in case only, and SQL's names do not.")
