"""Running quanta one after another in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...model.datasets import DatasetRef, DatasetType
from ...model.errors import NoWorkFound
from ...model.provenance import DatasetProvenance
from ...model.timespan import now_ns
from ..log_capture import captured_log, error_place, exception_entry
from ..quantum import refs_in
from ..quantum_context import InputRefs, QuantumContext
from .blas_threads import limited_blas_threads
from .executor import QuantumResult

if TYPE_CHECKING:
    from ...butler.butler import Butler
    from ..pipeline import TaskNode
    from ..pipeline_task import PipelineTask
    from ..quantum import Quantum

__all__ = ["InProcessExecutor"]


class InProcessExecutor:
    """Runs quanta in this process, through one butler.

    A quantum's outputs are registered in one transaction: all are there, or none. Log and metadata are kept whatever
    became of it.

    Parameters
    ----------
    butler
        Repository to read from and write to.
    run
        RUN that is written to.
    """

    def __init__(self, butler: Butler, run: str) -> None:
        self.butler = butler
        self.run = run

    def execute(
        self, node: TaskNode, work: Iterable[tuple[Quantum, InputRefs]], dataset_types: Mapping[str, DatasetType]
    ) -> Iterator[QuantumResult]:
        """Run quanta of one task; see ``Executor``."""
        task = node.task_class(node.config, name=node.label)
        for quantum, inputs in work:
            with limited_blas_threads():
                result = self._execute_one(task, quantum, inputs, dataset_types)
            yield result

    def _execute_one(
        self, task: PipelineTask, quantum: Quantum, inputs: InputRefs, dataset_types: Mapping[str, DatasetType]
    ) -> QuantumResult:
        result = QuantumResult(quantum, "done", begin_ns=now_ns())
        task.empty_metadata()
        context = QuantumContext(self.butler, quantum.data_id, task.connections)
        with captured_log() as log:
            try:
                with task.timer("quantum"):
                    task.run_quantum(context, inputs, quantum.outputs)
            except NoWorkFound as nothing:
                result.outcome, result.why = "no_work", str(nothing)
            except Exception as error:  # noqa: BLE001 - one quantum's failure is its own, whatever it is
                _fail(result, error, log)
        outputs = context.results if result.outcome == "done" else []
        try:
            self._write(result, task, inputs, outputs, log, dataset_types)
        except Exception as error:
            if not outputs:
                raise
            _fail(result, error, log)
            self._write(result, task, inputs, [], log, dataset_types)
        return result

    def _write(
        self,
        result: QuantumResult,
        task: PipelineTask,
        inputs: InputRefs,
        outputs: list[tuple[DatasetRef, Any]],
        log: list[dict[str, Any]],
        dataset_types: Mapping[str, DatasetType],
    ) -> None:
        node, data_id = result.quantum.node, result.quantum.data_id
        written = [
            *outputs,
            (DatasetRef(dataset_types[node.metadata_name], data_id, self.run), task.full_metadata.to_dict()),
            (DatasetRef(dataset_types[node.log_name], data_id, self.run), log),
        ]
        made = DatasetProvenance(tuple(ref for refs in inputs.values() for ref in refs_in(refs)), result.quantum.id)
        self.butler.put_many(written, provenance=made)
        result.made = [ref for ref, _ in written]
        result.end_ns = now_ns()


def _fail(result: QuantumResult, error: Exception, log: list[dict[str, Any]]) -> None:
    result.outcome, result.why = "failed", f"{type(error).__name__}: {error}{error_place(error)}"
    log.append(exception_entry(error, f"skybutler.{result.quantum.label}"))
