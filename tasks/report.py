"""What became of each quantum of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .quantum import quantum_name

if TYPE_CHECKING:
    from rich.table import Table

    from ..model.data_id import DataId
    from .quantum import QuantumGraph

__all__ = ["OUTCOMES", "QuantumReport", "RunReport"]

OUTCOMES = ("done", "skipped", "no_work", "failed", "blocked")
"""``done``: it ran. ``skipped``: the same work was done before. ``no_work``: there was nothing to do. ``failed``: it
raised an error. ``blocked``: what it needs failed."""


@dataclass(frozen=True, slots=True)
class QuantumReport:
    """What became of one quantum."""

    label: str
    """Label of its task."""
    data_id: DataId
    """What it was to work on."""
    outcome: str
    """One of ``OUTCOMES``."""
    why: str = ""
    """The error of one that failed, the failure that blocks another."""
    seconds: float = 0.0
    """Wall time."""

    def __str__(self) -> str:
        return quantum_name(self.label, self.data_id)


@dataclass(repr=False)
class RunReport:
    """What a run of a pipeline did."""

    output: str
    """Collection that holds the outputs, and before them the inputs."""
    run: str
    """RUN that was written to."""
    graph: QuantumGraph
    """What there was to do."""
    quanta: list[QuantumReport] = field(default_factory=list)
    """One entry for each quantum that was come to."""
    interrupted: bool = False
    """Whether the run was stopped before its end."""

    def counts(self, label: str | None = None) -> dict[str, int]:
        """Return how many quanta there are of each outcome, of one task or of all."""
        found = Counter(item.outcome for item in self.quanta if label in (None, item.label))
        return {outcome: found[outcome] for outcome in OUTCOMES}

    @property
    def failures(self) -> list[QuantumReport]:
        """Quanta that failed themselves; what they block is not in it."""
        return [item for item in self.quanta if item.outcome == "failed"]

    @property
    def exit_code(self) -> int:
        """0 when all went well, 1 when a quantum failed or there was none, 130 when interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.failures or not len(self.graph) else 0

    def lines(self) -> Iterator[str]:
        """Yield the report as plain lines: one a task, then one for failures that are alike."""
        for label, quanta in self.graph.quanta.items():
            counts = {outcome: count for outcome, count in self.counts(label).items() if count}
            words = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
            yield f"{label}: {words or self.graph.empty.get(label, f'none of {len(quanta)} begun')}"
        alike: dict[tuple[str, str], list[QuantumReport]] = {}
        for item in self.failures:
            alike.setdefault((item.label, item.why), []).append(item)
        for (_, why), items in alike.items():
            others = f" and {len(items) - 1} more" if len(items) > 1 else ""
            yield f"{items[0]}{others} failed: {why}"
        if self.interrupted:
            yield "interrupted; run it again to do the rest"

    def table(self) -> Table:
        """Return the report as a table for a rich console."""
        from rich.table import Table

        table = Table(title=self.run, title_justify="left")
        table.add_column("task")
        for outcome in OUTCOMES:
            table.add_column(outcome, justify="right")
        table.add_column("seconds", justify="right")
        table.add_column("note", overflow="fold")
        for label in self.graph.quanta:
            counts = self.counts(label)
            seconds = sum(item.seconds for item in self.quanta if item.label == label)
            why = next((item.why for item in self.failures if item.label == label), self.graph.empty.get(label, ""))
            table.add_row(label, *(str(counts[outcome] or "") for outcome in OUTCOMES), f"{seconds:.2f}", why)
        return table

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return "\n  ".join([f"RunReport({self.run!r})", *self.lines()])
