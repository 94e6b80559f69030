"""Pipeline: tasks under labels, with their configurations, fitted together by the dataset types they take and make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..model.errors import ConfigError, PipelineError, closest
from .config import Config
from .connections import Connection, TaskConnections
from .overrides import apply_assignment, apply_file, apply_mapping
from .pipeline_task import PipelineTask

__all__ = ["Pipeline", "TaskNode"]


@dataclass
class TaskNode:
    """One task of a pipeline."""

    label: str
    """Its name in the pipeline."""
    task_class: type[PipelineTask]
    """Its class."""
    config: Config
    """Its configuration, which overrides change until the pipeline runs."""
    where: str = ""
    """A data query of its own, which the run's data query is joined to by AND."""

    @property
    def connections(self) -> TaskConnections:
        """What it takes and makes under the configuration of now."""
        return self.task_class.Connections(self.config)

    @property
    def config_name(self) -> str:
        """Dataset type that keeps its configuration."""
        return f"{self.label}_config"

    @property
    def metadata_name(self) -> str:
        """Dataset type that keeps the metadata of each quantum."""
        return f"{self.label}_metadata"

    @property
    def log_name(self) -> str:
        """Dataset type that keeps the log of each quantum."""
        return f"{self.label}_log"


@dataclass
class Pipeline:
    """Tasks under labels.

    Make one by ``Pipeline.load(path)`` from YAML, or by ``Pipeline.of({"isr": IsrTask})``.
    """

    tasks: dict[str, TaskNode]
    """The tasks by label."""
    description: str = ""
    """What the pipeline is for."""
    subsets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Labels under a name, for ``subset``."""
    name: str = ""
    """Where it was read from."""

    @classmethod
    def load(cls, path: str | Path) -> Pipeline:
        """Read a pipeline from YAML.

        Parameters
        ----------
        path
            A file, or the name of one that the package ships (``"process"``). After a ``#`` labels or subsets may
            be chosen: ``"process#isr,characterize"``.

        Raises
        ------
        PipelineError
            There is no such file, or it does not describe a pipeline; the message says where and what comes nearest.
        """
        from .pipeline_yaml import load_pipeline

        return load_pipeline(str(path))

    @classmethod
    def of(cls, tasks: Mapping[str, type[PipelineTask] | tuple[type[PipelineTask], Config]]) -> Pipeline:
        """Make a pipeline of task classes, or pairs of class and configuration, by label."""
        nodes = {}
        for label, given in tasks.items():
            task_class, config = given if isinstance(given, tuple) else (given, given.ConfigClass())
            nodes[label] = TaskNode(label, task_class, config)
        return cls(nodes)

    def subset(self, labels: str | Iterable[str]) -> Pipeline:
        """Return the pipeline of some tasks only.

        Parameters
        ----------
        labels
            Labels or names of subsets; a text has them between commas.

        Raises
        ------
        PipelineError
            A label is unknown.
        """
        wanted = self.labels_of(labels)
        tasks = {
            label: TaskNode(label, node.task_class, type(node.config).clone(node.config), node.where)
            for label, node in self.tasks.items()
            if label in wanted
        }
        subsets = {name: members for name, members in self.subsets.items() if wanted.issuperset(members)}
        return Pipeline(tasks, self.description, subsets, self.name)

    def labels_of(self, names: str | Iterable[str]) -> set[str]:
        """Return the labels of the tasks that labels and names of subsets mean; a text has them between commas.

        Raises
        ------
        PipelineError
            There is no such task or subset.
        """
        found: set[str] = set()
        for name in names.split(",") if isinstance(names, str) else names:
            members = self.subsets.get(name.strip())
            found.update(members if members is not None else [self.node(name.strip()).label])
        return found

    def node(self, label: str) -> TaskNode:
        """Return the task of a label; ``PipelineError`` names the nearest where there is none."""
        if label not in self.tasks:
            known = [*self.tasks, *self.subsets]
            hint = closest(label, known) or f" It has: {', '.join(known)}."
            raise PipelineError(f"The pipeline has no task or subset {label!r}.{hint}")
        return self.tasks[label]

    def override(self, label: str, assignment: str, where: str = "") -> None:
        """Set one configuration value: ``pipeline.override("isr", "doDark=False")``; ``where`` is for the history."""
        self._apply(label, lambda node: apply_assignment(node.config, assignment, where or f"-c {label}:{assignment}"))

    def override_from(self, label: str, path: str | Path) -> None:
        """Apply a Python or YAML file of overrides to a task's configuration."""
        self._apply(label, lambda node: apply_file(node.config, path))

    def override_values(self, label: str, values: Mapping[str, Any], where: str) -> None:
        """Set configuration values by dotted name; ``where`` is their origin, for the history."""
        self._apply(label, lambda node: apply_mapping(node.config, values, where))

    def _apply(self, label: str, change: Callable[[TaskNode], None]) -> None:
        node = self.node(label)
        try:
            change(node)
        except ConfigError as error:
            raise type(error)(f"Task {label!r}: {error}") from None

    # ---- how it fits together -----------------------------------------------------------------------------------

    def producers(self) -> dict[str, str]:
        """Return which task (label) makes each dataset type.

        Raises
        ------
        PipelineError
            Two tasks make the same.
        """
        makers: dict[str, str] = {}
        for label, node in self.tasks.items():
            connections = node.connections
            for connection in [*connections.outputs.values(), *connections.init_outputs.values()]:
                other = makers.setdefault(connection.name, label)
                if other != label:
                    raise PipelineError(
                        f"Tasks {other!r} and {label!r} both make {connection.name!r}. Rename one: "
                        f"connections.{connection.attribute}: <name> in the config of {label!r}."
                    )
        return makers

    def ordered(self) -> list[TaskNode]:
        """Return the tasks in an order in which each follows those whose outputs it takes.

        Raises
        ------
        PipelineError
            Two tasks make one dataset type, tasks wait for each other in a circle, a task takes what it makes, or
            maker and taker disagree on a dataset type's dimensions.
        """
        makers = self.producers()
        waits: dict[str, set[str]] = {}
        for label, node in self.tasks.items():
            connections = node.connections
            taken = [*connections.inputs.values(), *connections.prerequisites.values()]
            waits[label] = {makers[connection.name] for connection in taken if connection.name in makers}
            for connection in taken:
                if connection.name in makers:
                    self._check_agreement(label, connection, makers[connection.name])
        result: list[TaskNode] = []
        done: set[str] = set()
        while len(result) < len(self.tasks):
            ready = next((label for label in self.tasks if label not in done and waits[label] <= done), None)
            if ready is None:
                circle = " -> ".join(_circle(waits, done))
                raise PipelineError(f"The tasks wait for each other in a circle: {circle}. Rename a connection of one.")
            done.add(ready)
            result.append(self.tasks[ready])
        return result

    def _check_agreement(self, label: str, taken: Connection, maker: str) -> None:
        made = next(c for c in self.tasks[maker].connections.active.values() if c.name == taken.name)
        if maker == label:
            raise PipelineError(f"Task {label!r} takes {taken.name!r}, which it makes itself.")
        if set(made.dimensions) != set(taken.dimensions):
            raise PipelineError(
                f"{taken.name!r} has dimensions {', '.join(made.dimensions)} in task {maker!r}, which makes it, "
                f"but {', '.join(taken.dimensions)} in task {label!r}, which takes it."
            )

    def overall_inputs(self) -> dict[str, Connection]:
        """Return the dataset types that are taken and not made here, by name."""
        makers = self.producers()
        return {
            connection.name: connection
            for node in self.tasks.values()
            for connection in [*node.connections.inputs.values(), *node.connections.prerequisites.values()]
            if connection.name not in makers
        }

    # ---- for the eye --------------------------------------------------------------------------------------------

    def tree(self) -> str:
        """Return the pipeline as text: each task in order, with what it takes and makes."""
        from .pipeline_drawing import as_tree

        return as_tree(self)

    def mermaid(self) -> str:
        """Return the pipeline as a Mermaid flowchart."""
        from .pipeline_drawing import as_mermaid

        return as_mermaid(self)

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}, tasks={list(self.tasks)})"


def _circle(waits: Mapping[str, set[str]], done: set[str]) -> list[str]:
    """Return the labels of one circle, the first repeated at the end; every label not done waits for another."""
    path = [next(label for label in waits if label not in done)]
    while True:
        following = min(waits[path[-1]] - done)
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)
