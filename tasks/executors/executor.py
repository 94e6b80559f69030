"""What an executor is: something that runs quanta whose inputs are all there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ...model.datasets import DatasetRef, DatasetType
    from ..pipeline import TaskNode
    from ..quantum import Quantum
    from ..quantum_context import InputRefs

__all__ = ["Executor", "QuantumResult"]


@dataclass(slots=True)
class QuantumResult:
    """What came of running one quantum."""

    quantum: Quantum
    """The quantum."""
    outcome: str
    """``done``, ``no_work`` or ``failed``."""
    why: str = ""
    """The error of one that failed, or why there was no work."""
    begin_ns: int = 0
    """When it began (TAI nanoseconds)."""
    end_ns: int = 0
    """When it ended (TAI nanoseconds)."""
    made: list[DatasetRef] = field(default_factory=list)
    """Datasets that it wrote, its log and metadata among them."""


class Executor(Protocol):
    """Runs quanta of one task at a time; what one quantum does wrong never stops another."""

    def execute(
        self, node: TaskNode, work: Iterable[tuple[Quantum, InputRefs]], dataset_types: Mapping[str, DatasetType]
    ) -> Iterator[QuantumResult]:
        """Run quanta of one task and yield results as they come, in any order.

        Parameters
        ----------
        node
            The task.
        work
            Quanta with their inputs as they are.
        dataset_types
            Dataset types of all outputs, logs and metadata, by name.
        """
