"""How one quantum reads and writes its datasets, and nothing but those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ..model.errors import TaskError, closest
from .connections import Connection, Input, TaskConnections
from .struct import Struct

if TYPE_CHECKING:
    from ..butler.butler import Butler
    from ..model.data_id import DataId
    from ..model.datasets import DatasetRef

__all__ = ["InputRefs", "OutputRefs", "QuantumContext"]

InputRefs: TypeAlias = "Mapping[str, DatasetRef | list[DatasetRef] | None]"
"""Refs of a quantum's inputs by attribute of the connection; None where an optional one is missing."""
OutputRefs: TypeAlias = "Mapping[str, DatasetRef | list[DatasetRef]]"
"""Refs of a quantum's outputs by attribute of the connection."""


@dataclass(frozen=True)
class QuantumContext:
    """Reads the inputs of one quantum, and takes its outputs."""

    butler: Butler
    """Repository to read from."""
    data_id: DataId
    """Data ID of the quantum."""
    connections: TaskConnections
    """Connections of the task."""
    results: list[tuple[DatasetRef, Any]] = field(default_factory=list)
    """Outputs put so far; they are written together once the quantum has ended well."""

    def get(self, inputs: InputRefs) -> dict[str, Any]:
        """Read inputs by attribute: objects, or handles for deferred connections; lists for multiple ones."""
        result: dict[str, Any] = {}
        for attribute, refs in inputs.items():
            connection = self.connections[attribute]
            if isinstance(refs, list):
                result[attribute] = [self._get(ref, connection) for ref in refs]
            else:
                result[attribute] = None if refs is None else self._get(refs, connection)
        return result

    def _get(self, ref: DatasetRef, connection: Connection) -> Any:
        if isinstance(connection, Input) and connection.deferred:
            return self.butler.get_deferred(ref)
        same = ref.dataset_type.storage_class.name == connection.storage_class
        return self.butler.get(ref, storage_class=None if same else connection.storage_class)

    def put(self, result: Struct, outputs: OutputRefs) -> None:
        """Take the items of a result that the outputs name; an item that is None is not written.

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
                self.results.append((refs, value))
                continue
            items = [value[ref.data_id] for ref in refs] if isinstance(value, Mapping) else list(value)
            if len(items) != len(refs):
                raise TaskError(f"run returned {len(items)} items of {attribute!r}, but {len(refs)} are to be written.")
            self.results.extend(zip(refs, items, strict=True))
