"""A dataset that has been found and not yet read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..model.datasets import DatasetRef
from ..model.storage_class import StorageClass

if TYPE_CHECKING:
    from .butler import Butler

__all__ = ["DeferredDataset"]


class DeferredDataset:
    """A handle to a dataset; `get` reads it, in whole or part.

    Parameters
    ----------
    butler
        Where it is.
    ref
        Which it is.
    """

    __slots__ = ("_butler", "ref")

    def __init__(self, butler: Butler, ref: DatasetRef):
        self._butler = butler
        self.ref = ref

    def get(
        self,
        *,
        component: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        storage_class: str | StorageClass | None = None,
    ) -> Any:
        """Read the dataset, or a component of it; parameters are those of `Butler.get`."""
        return self._butler.get(self.ref, component=component, parameters=parameters, storage_class=storage_class)

    def __repr__(self) -> str:
        return f"DeferredDataset({self.ref})"
