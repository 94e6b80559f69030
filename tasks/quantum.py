"""Quanta: single executions of a task, with the datasets that each reads and makes; and the graph of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..model.datasets import DatasetRef, DatasetType, new_uuid

if TYPE_CHECKING:
    from ..model.data_id import DataId
    from .pipeline import TaskNode

__all__ = ["Quantum", "QuantumGraph", "quantum_name", "refs_in"]


@dataclass(slots=True, eq=False)
class Quantum:
    """One execution of a task on one data ID."""

    node: TaskNode
    """The task."""
    data_id: DataId
    """What it works on; implied dimensions are filled in."""
    inputs: dict[str, DatasetRef | list[DatasetRef] | None]
    """Inputs by attribute of the connection; those that the graph makes have predicted ids."""
    outputs: dict[str, DatasetRef | list[DatasetRef]]
    """Outputs by attribute of the connection, with predicted ids."""
    problem: str = ""
    """Why it cannot run, known before it does: a prerequisite that is nowhere."""
    id: uuid.UUID = field(default_factory=new_uuid)

    @property
    def label(self) -> str:
        """Label of the task."""
        return self.node.label

    def __str__(self) -> str:
        return quantum_name(self.label, self.data_id)


@dataclass(slots=True, repr=False)
class QuantumGraph:
    """All quanta of a pipeline over the data that a query chose."""

    run: str
    """RUN that the outputs go to."""
    quanta: dict[str, list[Quantum]]
    """Quanta by label, in an order in which each task follows those whose outputs it takes."""
    dataset_types: dict[str, DatasetType]
    """Dataset types of the outputs, by name."""
    makers: dict[uuid.UUID, Quantum]
    """The quantum that makes each output, by its predicted id."""
    empty: dict[str, str]
    """Why a task has no quanta, by its label."""

    def __len__(self) -> int:
        return sum(map(len, self.quanta.values()))

    def __iter__(self) -> Iterator[Quantum]:
        for quanta in self.quanta.values():
            yield from quanta

    def __repr__(self) -> str:
        numbers = ", ".join(f"{label}: {len(quanta)}" for label, quanta in self.quanta.items())
        return f"QuantumGraph({self.run!r}, {numbers or 'empty'})"

    def gaps(self) -> list[str]:
        """Return which optional prerequisites were found nowhere, a line a task and dataset type."""
        lines = []
        for label, quanta in self.quanta.items():
            optional = quanta[0].node.connections.prerequisites.items() if quanta else ()
            for name, connection in optional:
                without = sum(not refs_in(quantum.inputs[name]) for quantum in quanta)
                if without:
                    lines.append(f"{label}: {without} of {len(quanta)} quanta go without {connection.name!r}")
        return lines

    def summary(self) -> str:
        """Return the number of quanta of each task, and why one has none."""
        lines = [f"{len(self)} quanta for {self.run}"]
        for label, quanta in self.quanta.items():
            reason = f": {self.empty[label]}" if label in self.empty else ""
            lines.append(f"  {label}: {len(quanta)}{reason}")
        return "\n".join(lines)


def quantum_name(label: str, data_id: DataId) -> str:
    """Return how messages call a quantum: its label and the required part of its data ID."""
    values = ", ".join(f"{name}={data_id[name]}" for name in data_id.dimensions.required)
    return f"{label} {values}" if values else label


def refs_in(refs: DatasetRef | list[DatasetRef] | None) -> list[DatasetRef]:
    """Return the refs of one connection as a list."""
    if refs is None:
        return []
    return refs if isinstance(refs, list) else [refs]
