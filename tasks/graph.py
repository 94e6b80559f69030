"""Building the quantum graph: a query of data IDs a task, joined in memory with what earlier tasks will make.

For each task, in order of execution:

1. one query of data IDs over the dimensions of the task and of its regular inputs, which only finds those for which the
   inputs that come from collections exist;
2. each data ID is projected to the dimensions of each input; those are dropped for which an earlier task makes nothing;
3. what is left is grouped by the dimensions of the task: a group is a quantum;
4. prerequisites are looked up, among what earlier tasks will make and then in the collections: calibrations by the time
   of the quantum's exposure or visit, where CALIBRATION collections are searched.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from ..model.data_id import DataId
from ..model.datasets import DatasetRef, DatasetType
from ..model.errors import CalibrationLookupError, DataIdError, DatasetTypeNotFoundError, PipelineError
from ..registry.queries.expression import parse
from .connections import Connection, InitOutput, Input, Output, TaskConnections
from .graph_explanation import explain_empty
from .quantum import Quantum, QuantumGraph, refs_in

if TYPE_CHECKING:
    from ..butler.butler import Butler
    from ..model.dimensions import DimensionGroup, DimensionUniverse
    from .pipeline import Pipeline, TaskNode

__all__ = ["build_graph", "joined_where"]

_log = logging.getLogger("skybutler.run")
_FOR_SOME = re.compile(r"\s*([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*)\s*:(.*)", re.DOTALL)
"""A data query after labels and a colon; no expression begins like this."""

Index: TypeAlias = dict[DataId, DatasetRef]
"""Datasets of one type by data ID."""
Row: TypeAlias = dict[str, DatasetRef]
"""Regular inputs found for one data ID of the query, by attribute."""


def build_graph(
    butler: Butler, pipeline: Pipeline, *, inputs: Sequence[str], run: str, where: str = ""
) -> QuantumGraph:
    """Find the quanta of a pipeline.

    Parameters
    ----------
    butler
        Repository to search.
    pipeline
        Tasks to run.
    inputs
        Collections that are searched for inputs, in order.
    run
        RUN that the outputs will go to.
    where
        Query expression that limits the data; joined to the tasks' own by AND. After labels of tasks or subsets and a
        colon it is for these tasks only: ``"isr: visit = 3"``.

    Returns
    -------
    QuantumGraph
        May be empty; it says why then.

    Raises
    ------
    PipelineError
        The pipeline does not fit together, or does not fit the repository's dataset types.
    InvalidQueryError
        The query expression means nothing.
    """
    return _Builder(butler, pipeline, list(inputs), run, where).build()


def joined_where(*conditions: str) -> str:
    """Return the conditions joined by AND; empty ones do not count.

    Raises
    ------
    InvalidQueryError
        One of them is not an expression by itself, as ``a = 1) OR (b = 2``.
    """
    given = [condition.strip() for condition in conditions if condition.strip()]
    for condition in given:
        parse(condition)
    return given[0] if len(given) == 1 else " AND ".join(f"({condition})" for condition in given)


class _Builder:
    def __init__(self, butler: Butler, pipeline: Pipeline, inputs: list[str], run: str, where: str) -> None:
        self.butler = butler
        self.universe: DimensionUniverse = butler.universe
        self.pipeline = pipeline
        self.inputs = inputs
        self.where = self._where_by_label(where)
        self.made: dict[str, Index] = {name: {} for name in pipeline.producers()}
        self.graph = QuantumGraph(run=run, quanta={}, dataset_types={}, makers={}, empty={})
        self.prerequisites: dict[str, Index] = {}
        self.roots: dict[str, set[str]] = {}
        """For what will be made: stored dataset types without which it cannot be, of the same data ID or less."""

    def _where_by_label(self, where: str) -> dict[str, str]:
        """Return the run's data query for each task that it is for."""
        for_some = _FOR_SOME.fullmatch(where)
        if for_some is None:
            return dict.fromkeys(self.pipeline.tasks, where)
        return dict.fromkeys(self.pipeline.labels_of(for_some[1]), for_some[2].strip())

    def build(self) -> QuantumGraph:
        for node in self.pipeline.ordered():
            self._register_outputs(node)
            quanta = self._quanta(node)
            self._tell_what_is_missing(node, quanta)
            self.graph.quanta[node.label] = quanta
            for quantum in quanta:
                for refs in quantum.outputs.values():
                    for ref in refs_in(refs):
                        self.made[ref.dataset_type.name][ref.data_id] = ref
                        self.graph.makers[ref.id] = quantum
        return self.graph

    # ---- one task -----------------------------------------------------------------------------------------------

    def _quanta(self, node: TaskNode) -> list[Quantum]:
        connections = node.connections
        group = self.universe.conform(connections.dimensions)
        groups = {name: self.universe.conform(c.dimensions) for name, c in connections.inputs.items()}
        several = [output.dimensions for output in connections.outputs.values() if output.multiple]
        row_dimensions = self.universe.conform({*group, *chain(*groups.values()), *chain(*several)})
        required = {name: c for name, c in connections.inputs.items() if c.minimum > 0}
        stored = [c.name for c in required.values() if c.name not in self.made]
        stored += sorted({root for c in required.values() for root in self.roots.get(c.name, ())} - set(stored))
        self._root(connections, stored)
        limit = self.where.get(node.label, "")
        where = joined_where(limit, node.where)
        unknown = [name for name in stored if self._registered(name) is None]
        if unknown:
            self.graph.empty[node.label] = f"nothing of dataset type {unknown[0]!r} was ever put or made here"
            return []
        rows = self.butler.query_data_ids(row_dimensions, datasets=stored, collections=self.inputs, where=where)
        indices = {name: self._index(c, where) for name, c in connections.inputs.items()}
        found: dict[DataId, list[tuple[DataId, Row]]] = {}
        missing: dict[str, int] = {}
        number = 0
        for number, row in enumerate(rows, start=1):  # noqa: B007 - the count is used below
            refs: Row = {}
            for name, index in indices.items():
                ref = index.get(row.subset(groups[name]))
                if ref is not None:
                    refs[name] = ref
                elif name in required:
                    missing[name] = missing.get(name, 0) + 1
                    break
            else:
                found.setdefault(row.subset(group), []).append((row, refs))
        quanta = []
        for data_id, rows_of_it in found.items():
            quantum = self._quantum(node, connections, data_id, rows_of_it)
            if quantum is not None:
                quanta.append(quantum)
        if not quanta:
            upstream = {connections.inputs[name].name: count for name, count in missing.items()}
            self.graph.empty[node.label] = explain_empty(
                self.butler, row_dimensions, stored, self.inputs, limit, node.where, number, upstream
            )
        return quanta

    def _tell_what_is_missing(self, node: TaskNode, quanta: Sequence[Quantum]) -> None:
        """Warn of optional prerequisites that the pipeline was to make, and that the data query took away."""
        for name, connection in node.connections.prerequisites.items():
            if connection.minimum or connection.name not in self.made:
                continue
            without = sum(not refs_in(quantum.inputs[name]) for quantum in quanta)
            if without:
                maker = self.pipeline.producers()[connection.name]
                reason = self.graph.empty.get(maker, "it has other data to work on")
                if self.where.get(maker):
                    reason += f". A data query may be for some tasks only: write '{node.label}: {self.where[maker]}'"
                _log.warning(
                    "%s: %d of %d quanta go without %r, which %s does not make for them: %s",
                    *(node.label, without, len(quanta), connection.name, maker, reason),
                )

    def _root(self, connections: TaskConnections, stored: Sequence[str]) -> None:
        """Note what the task's outputs rest on, so that later queries can leave out what will never be there."""
        for output in connections.outputs.values():
            dimensions = self.universe.conform(output.dimensions)
            types = {name: self._registered(name) for name in stored}
            self.roots[output.name] = {
                name for name, t in types.items() if t is not None and t.dimensions <= dimensions
            }

    def _quantum(
        self, node: TaskNode, connections: TaskConnections, data_id: DataId, rows: list[tuple[DataId, Row]]
    ) -> Quantum | None:
        refs: dict[str, DatasetRef | list[DatasetRef] | None] = {}
        for name, connection in connections.inputs.items():
            distinct = {row[name].id: row[name] for _, row in rows if name in row}
            if len(distinct) < connection.minimum:
                return None
            if connection.multiple:
                refs[name] = sorted(distinct.values(), key=lambda ref: ref.data_id.required_values)
            elif len(distinct) > 1:
                raise PipelineError(
                    f"Task {node.label!r} takes one {connection.name!r} as {name!r}, but {len(distinct)} belong to "
                    f"{data_id!r}; declare the connection multiple=True."
                )
            else:
                refs[name] = next(iter(distinct.values()), None)
        problem = ""
        for name, prerequisite in connections.prerequisites.items():
            try:
                found = self._prerequisite(node, data_id, prerequisite)
            except CalibrationLookupError as error:  # a master frame that may be missing may not be any one of several
                found, problem = [], problem or str(error)
            refs[name] = found if prerequisite.multiple else next(iter(found), None)
            if len(found) < prerequisite.minimum:
                wanted = data_id.subset(prerequisite.dimensions)
                problem = problem or (
                    f"no {prerequisite.name!r} for {wanted!r} in {', '.join(self.inputs)}, nor will this run make one"
                )
        outputs: dict[str, DatasetRef | list[DatasetRef]] = {}
        for name, output in connections.outputs.items():
            dataset_type = self.graph.dataset_types[output.name]
            dimensions = dataset_type.dimensions
            if output.multiple:
                data_ids = dict.fromkeys(row.subset(dimensions) for row, _ in rows)
                outputs[name] = [DatasetRef(dataset_type, item, self.graph.run) for item in data_ids]
            else:
                outputs[name] = DatasetRef(dataset_type, data_id.subset(dimensions), self.graph.run)
        return Quantum(node, data_id, refs, outputs, problem)

    def _prerequisite(self, node: TaskNode, data_id: DataId, connection: Input) -> list[DatasetRef]:
        dimensions = self.universe.conform(connection.dimensions)
        try:
            wanted = data_id.subset(dimensions)
        except DataIdError:
            raise PipelineError(
                f"Task {node.label!r}: prerequisite {connection.name!r} has dimensions "
                f"{', '.join(dimensions.required)}, which do not follow from the task's own."
            ) from None
        made = self.made.get(connection.name, {}).get(wanted)
        if made is not None:
            return [made]
        dataset_type = self._registered(connection.name)
        if dataset_type is None:
            return []
        if dataset_type.is_calibration:  # which one holds depends on when the data were taken
            found = self.butler.find_dataset(dataset_type, data_id, collections=self.inputs)
            return [] if found is None else [found]
        if connection.name not in self.prerequisites:
            self.prerequisites[connection.name] = self._stored(connection.name, "")
        ref = self.prerequisites[connection.name].get(wanted)
        return [] if ref is None else [ref]

    # ---- dataset types and datasets -----------------------------------------------------------------------------

    def _index(self, connection: Connection, where: str) -> Index:
        if connection.name in self.made:
            return self.made[connection.name]
        return {} if self._registered(connection.name) is None else self._stored(connection.name, where)

    def _stored(self, name: str, where: str) -> Index:
        index: Index = {}
        for ref in self.butler.query_datasets(name, collections=self.inputs, where=where):
            if index.setdefault(ref.data_id, ref) != ref:
                raise PipelineError(
                    f"several {name!r} for {ref.data_id} are valid at different times in {', '.join(self.inputs)}; a "
                    "task takes the one of its exposure or visit by a PrerequisiteInput, not by an Input."
                )
        return index

    def _registered(self, name: str) -> DatasetType | None:
        try:
            return self.butler.dataset_type(name)
        except DatasetTypeNotFoundError:
            return None

    def _register_outputs(self, node: TaskNode) -> None:
        connections = node.connections
        quantum_dimensions: DimensionGroup = self.universe.conform(connections.dimensions)
        for connection in [*connections.outputs.values(), *connections.init_outputs.values()]:
            dimensions = self.universe.conform(connection.dimensions)
            self._check_output(node, connection, quantum_dimensions, dimensions)
            self._add_type(
                node, connection.name, self.universe.conform(connection.dimensions), connection.storage_class
            )
        self._add_type(node, node.config_name, self.universe.conform(()), "Config")
        self._add_type(node, node.metadata_name, quantum_dimensions, "TaskMetadata")
        self._add_type(node, node.log_name, quantum_dimensions, "Log")
        self._add_type(node, "packages", self.universe.conform(()), "Packages")

    @staticmethod
    def _check_output(node: TaskNode, output: Connection, quantum: DimensionGroup, dimensions: DimensionGroup) -> None:
        """Refuse an output that two quanta would make, or a quantum several of unasked."""
        if isinstance(output, InitOutput):
            fits, rule = not dimensions.required, "an init-output has none"
        elif isinstance(output, Output) and output.multiple:
            fits, rule = quantum <= dimensions, "with multiple=True it has those of the task and more"
        else:
            fits, rule = dimensions is quantum, "it must have those of the task"
        if not fits:
            raise PipelineError(
                f"Task {node.label!r} with dimensions {', '.join(quantum.required)} makes {output.name!r} with "
                f"{', '.join(dimensions.required) or 'none'}; {rule}."
            )

    def _add_type(self, node: TaskNode, name: str, dimensions: DimensionGroup, storage_class: str) -> None:
        wanted = DatasetType(name, dimensions, storage_class)
        present = self._registered(name)
        if present is not None and present.dimensions is not wanted.dimensions:
            raise PipelineError(
                f"Task {node.label!r} makes {name!r} with dimensions {', '.join(dimensions.required)}, but this "
                f"repository has it with {', '.join(present.dimensions.required)}. Rename the connection."
            )
        if present is not None and present.storage_class.name != storage_class:
            if not (present.storage_class.tabular and wanted.storage_class.tabular):
                raise PipelineError(
                    f"Task {node.label!r} makes {name!r} as {storage_class}, but this repository has it as "
                    f"{present.storage_class.name}. Rename the connection."
                )
            present = present.with_storage_class(wanted.storage_class)  # written as it is, read as any table
        self.graph.dataset_types[name] = present or wanted
