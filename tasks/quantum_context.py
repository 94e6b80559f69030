"""How one quantum reads and writes its datasets, and nothing but those."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..model.errors import TaskError, closest
from .connections import TaskConnections
from .struct import Struct

if TYPE_CHECKING:
    from ..model.data_id import DataId
    from ..model.datasets import DatasetRef

__all__ = ["DeferredDataset", "InputRefs", "OutputRefs", "QuantumContext"]

InputRefs: TypeAlias = "Mapping[str, DatasetRef | list[DatasetRef] | None]"
"""Refs of a quantum's inputs by attribute of the connection; None where an optional one is missing."""
OutputRefs: TypeAlias = "Mapping[str, DatasetRef | list[DatasetRef]]"
"""Refs of a quantum's outputs by attribute of the connection."""
Read: TypeAlias = "Callable[[DatasetRef, str | None, dict[str, Any] | None], Any]"
"""Reads a dataset, or a component of it, with parameters."""
Write: TypeAlias = "Callable[[DatasetRef, Any], None]"
"""Writes a dataset."""


@dataclass(frozen=True)
class DeferredDataset:
    """A handle to read a dataset later, or in parts: what ``run`` gets for a deferred input."""

    ref: DatasetRef
    """The dataset."""
    read: Read
    """How to read it."""

    @property
    def data_id(self) -> DataId:
        """Data ID of the dataset."""
        return self.ref.data_id

    def get(self, *, component: str | None = None, parameters: dict[str, Any] | None = None) -> Any:
        """Read the dataset, a component, or what parameters (``{"bbox": box}``) select."""
        return self.read(self.ref, component, parameters)


@dataclass(frozen=True)
class QuantumContext:
    """Reads and writes the datasets of one quantum."""

    data_id: DataId
    """Data ID of the quantum."""
    connections: TaskConnections
    """Connections of the task."""
    read: Read
    """How a dataset is read."""
    write: Write
    """How a dataset is written."""

    def get(self, inputs: InputRefs) -> dict[str, Any]:
        """Read inputs by attribute: objects, or handles for deferred connections; lists for multiple ones."""
        result: dict[str, Any] = {}
        for attribute, refs in inputs.items():
            deferred = bool(getattr(self.connections[attribute], "deferred", False))
            if isinstance(refs, list):
                result[attribute] = [self._get(ref, deferred) for ref in refs]
            else:
                result[attribute] = None if refs is None else self._get(refs, deferred)
        return result

    def _get(self, ref: DatasetRef, deferred: bool) -> Any:
        return DeferredDataset(ref, self.read) if deferred else self.read(ref, None, None)

    def put(self, result: Struct, outputs: OutputRefs) -> None:
        """Write the items of a result that the outputs name; an item that is None is not written.

        Raises
        ------
        TaskError
            The result lacks an item, or has another number of them than there are refs.
        """
        for attribute, refs in outputs.items():
            if attribute not in result:
                raise TaskError(
                    f"run returned no {attribute!r}, which is an output.{closest(attribute, result.keys())}"
                )
            value = getattr(result, attribute)
            if value is None:
                continue
            if not isinstance(refs, list):
                self.write(refs, value)
                continue
            items = [value[ref.data_id] for ref in refs] if isinstance(value, Mapping) else list(value)
            if len(items) != len(refs):
                raise TaskError(f"run returned {len(items)} items of {attribute!r}, but {len(refs)} are to be written.")
            for ref, item in zip(refs, items, strict=True):
                self.write(ref, item)
