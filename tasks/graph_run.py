"""One pass through a quantum graph: decide for each quantum whether it runs, and write down what became of it."""

from __future__ import annotations

import logging
import platform
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..model.datasets import DatasetRef
from ..model.errors import TaskError
from ..model.provenance import QuantumRecord
from .connections import Input
from .fingerprint import quantum_fingerprint, task_digest
from .packages import package_versions
from .quantum import Quantum, QuantumGraph, refs_in
from .quantum_context import InputRefs
from .report import QuantumReport, RunReport

if TYPE_CHECKING:
    from ..butler.butler import Butler
    from ..model.data_id import DataId
    from .executors.executor import Executor, QuantumResult
    from .pipeline import TaskNode
    from .progress import RunProgress

__all__ = ["GraphRun"]

_log = logging.getLogger("skybutler.run")
_RECORDS_AT_ONCE = 100
_SECONDS_AT_RISK = 1.0
"""Work of at most so long, and one quantum, is done again after a crash."""


class GraphRun:
    """Runs a graph with an executor.

    Parameters
    ----------
    butler
        Repository, for registration and provenance.
    graph
        What to do.
    executor
        What runs quanta.
    report
        Is filled with what became of each quantum.
    progress
        Is told of each quantum.
    begin
        Is called before the first dataset is written; never, where all is done already.
    done_in
        Collections whose RUNs hold earlier work that need not be done again; none to do everything again.
    """

    def __init__(
        self,
        butler: Butler,
        graph: QuantumGraph,
        executor: Executor,
        report: RunReport,
        progress: RunProgress,
        begin: Callable[[], None],
        done_in: Sequence[str] = (),
    ) -> None:
        self.butler = butler
        self.graph = graph
        self.executor = executor
        self.report = report
        self.progress = progress
        self.begin = begin
        self.done_in = tuple(done_in)
        self.versions: dict[str, str] = {}
        self._there: dict[uuid.UUID, DatasetRef] = {}  # what stands in the place of each predicted output
        self._failed: dict[uuid.UUID, str] = {}  # quantum -> what failed: itself, or what blocked it
        self._records: list[QuantumRecord] = []
        self._flushed = time.monotonic()

    def run(self) -> None:
        """Run all tasks in order; Ctrl-C ends it with everything written down that was done."""
        try:
            for label, quanta in self.graph.quanta.items():
                if quanta:
                    self.progress.begin(label, len(quanta))
                    self._run_task(quanta[0].node, quanta)
        except KeyboardInterrupt:
            self.report.interrupted = True
        finally:
            self._flush()

    def _run_task(self, node: TaskNode, quanta: list[Quantum]) -> None:
        digest = task_digest(node)
        ready: dict[str, tuple[Quantum, InputRefs]] = {}
        for quantum in quanta:
            inputs = self._inputs(quantum)
            if inputs is not None:
                ready[quantum_fingerprint(digest, quantum, inputs)] = (quantum, inputs)
        self._skip_done(ready)
        if not ready:
            return
        self._begin_task(node)
        prints = {quantum.id: fingerprint for fingerprint, (quantum, _) in ready.items()}
        inputs_of = {quantum.id: inputs for quantum, inputs in ready.values()}
        for result in self.executor.execute(node, ready.values(), self.graph.dataset_types):
            quantum = result.quantum
            self._there.update({ref.id: ref for ref in result.made if ref.id in self.graph.makers})
            self._record(result, prints[quantum.id], inputs_of[quantum.id])
            if result.outcome == "failed":
                self._failed[quantum.id] = str(quantum)
                _log.error("%s failed: %s", quantum, result.why)
            self._note(quantum, result.outcome, result.why, (result.end_ns - result.begin_ns) / 1e9)

    # ---- what a quantum has to work on --------------------------------------------------------------------------

    def _inputs(self, quantum: Quantum) -> InputRefs | None:
        """Return the inputs as they are; None, and a note in the report, where the quantum cannot run."""
        if quantum.problem:
            self._failed[quantum.id] = str(quantum)
            self._note(quantum, "failed", quantum.problem)
            return None
        inputs: dict[str, DatasetRef | list[DatasetRef] | None] = {}
        connections = quantum.node.connections
        for name, refs in quantum.inputs.items():
            for ref in refs_in(refs):
                maker = self.graph.makers.get(ref.id)
                if maker is not None and maker.id in self._failed:
                    self._failed[quantum.id] = self._failed[maker.id]
                    self._note(
                        quantum, "blocked", f"needs {ref.dataset_type.name}, and {self._failed[maker.id]} failed"
                    )
                    return None
            there = [self._there.get(ref.id, ref) for ref in refs_in(refs) if self._is_there(ref)]
            connection = connections[name]
            if isinstance(connection, Input) and len(there) < connection.minimum:
                self._note(quantum, "no_work", f"there was nothing to make {connection.name!r} of")
                return None
            inputs[name] = there if isinstance(refs, list) else next(iter(there), None)
        return inputs

    def _is_there(self, ref: DatasetRef) -> bool:
        return ref.id not in self.graph.makers or ref.id in self._there

    def _skip_done(self, ready: dict[str, tuple[Quantum, InputRefs]]) -> None:
        """Take quanta out whose work is done already, and put the old outputs in the place of the new ones."""
        if not self.done_in:
            return
        done = self.butler.registry.finished_quanta(list(ready), self.done_in)
        if not done:
            return
        seen: dict[str, dict[DataId, DatasetRef]] = {}
        for fingerprint, record in done.items():
            quantum, _ = ready[fingerprint]
            older: dict[uuid.UUID, DatasetRef] = {}
            for ref in (ref for refs in quantum.outputs.values() for ref in refs_in(refs)):
                name = ref.dataset_type.name
                if name not in seen:
                    found = self.butler.query_datasets(name, collections=self.done_in)
                    seen[name] = {old.data_id: old for old in found}
                if ref.data_id in seen[name]:
                    older[ref.id] = seen[name][ref.data_id]
            # Where later, other work lies before the old output in the search, a reader would get that: do it again.
            if {old.id for old in older.values()} <= set(record.outputs):
                del ready[fingerprint]
                self._there |= older
                self._note(quantum, "skipped", f"done in {record.run}")

    # ---- what is written down -----------------------------------------------------------------------------------

    def _begin_task(self, node: TaskNode) -> None:
        """Put what there is once for a RUN: the task's configuration and init-outputs, the packages' versions."""
        from .config_text import to_dict

        with self.butler.transaction():
            if not self.versions:
                self.begin()
                self.versions = package_versions([node.task_class.__module__.partition(".")[0]])
                self._put_once("packages", self.versions)
            self._put_once(node.config_name, to_dict(node.config))
            init_outputs = node.connections.init_outputs
            if init_outputs:
                task = node.task_class(node.config, name=node.label)
                for attribute, connection in init_outputs.items():
                    if not hasattr(task, attribute):
                        raise TaskError(f"Task {node.label!r} has no attribute {attribute!r}, which is an init-output.")
                    self._put_once(connection.name, getattr(task, attribute))

    def _put_once(self, name: str, obj: object) -> None:
        dataset_type = self.graph.dataset_types[name]
        self.butler.put(DatasetRef(dataset_type, {}, self.graph.run), obj)

    def _record(self, result: QuantumResult, fingerprint: str, inputs: InputRefs) -> None:
        quantum = result.quantum
        self._records.append(
            QuantumRecord(
                id=quantum.id,
                task=f"{quantum.node.task_class.__module__}.{quantum.node.task_class.__qualname__}",
                label=quantum.label,
                run=self.graph.run,
                data_id={name: quantum.data_id[name] for name in quantum.data_id.dimensions.required},
                fingerprint=fingerprint,
                host=platform.node(),
                begin_ns=result.begin_ns,
                end_ns=result.end_ns,
                outcome=result.outcome,
                versions=self.versions,
                inputs=tuple(ref.id for refs in inputs.values() for ref in refs_in(refs)),
                outputs=tuple(ref.id for ref in result.made),
            )
        )
        if len(self._records) >= _RECORDS_AT_ONCE or time.monotonic() - self._flushed > _SECONDS_AT_RISK:
            self._flush()

    def _flush(self) -> None:
        records, self._records = self._records, []
        self._flushed = time.monotonic()
        if records:
            self.butler.registry.record_quanta(records)

    def _note(self, quantum: Quantum, outcome: str, why: str = "", seconds: float = 0.0) -> None:
        self.report.quanta.append(QuantumReport(quantum.label, quantum.data_id, outcome, why, seconds))
        self.progress.advance()
