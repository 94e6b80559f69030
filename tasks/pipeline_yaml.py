"""Pipelines from YAML.

::

    description: From raw frames to catalogs.
    parameters: {threshold: 5}
    imports: calibrations.yaml          # or a list; or {location: ..., include: [...], exclude: [...]}
    tasks:
      isr: skybutler.pipelines.IsrTask  # modules of one's own may lie beside the file: count: mytasks.CountTask
      characterize:
        class: skybutler.pipelines.CharacterizeImageTask
        where: exposure.observation_type = 'science'
        config:
          detection.threshold: parameters.threshold
    subsets:
      frames: [isr, characterize]       # or {subset: [...], description: ...}
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ..model.errors import PipelineError, SkyButlerError, closest
from .class_path import load_class
from .pipeline import Pipeline, TaskNode
from .pipeline_task import PipelineTask

__all__ = ["load_pipeline", "packaged_pipelines"]

_SHIPPED = Path(__file__).parent.parent / "pipelines"
_KEYS = ("description", "imports", "parameters", "subsets", "tasks")
_TASK_KEYS = ("class", "config", "where")
_IMPORT_KEYS = ("exclude", "include", "location")


def packaged_pipelines() -> list[str]:
    """Return the names of the pipelines that the package ships."""
    return sorted(path.stem for path in _SHIPPED.glob("*.yaml"))


def load_pipeline(location: str, relative_to: Path | None = None, parents: tuple[Path, ...] = ()) -> Pipeline:
    """Read a pipeline; see ``Pipeline.load``.

    Parameters
    ----------
    location
        File or shipped name, and labels after ``#``.
    relative_to
        Folder in which a relative file is looked for first.
    parents
        Files that are being read and led here by their imports.
    """
    place, _, labels = location.partition("#")
    path = _find(place, relative_to)
    if path in parents:
        raise PipelineError(f"Pipeline {path} imports itself: {' -> '.join(p.name for p in [*parents, path])}.")
    try:
        pipeline = _Reader(path, parents).read()
        pipeline.ordered()
    except SkyButlerError as error:
        prefix = "" if str(path) in str(error) else f"{path}: "
        raise type(error)(f"{prefix}{error}") from None
    return pipeline.subset(labels) if labels else pipeline


def _find(place: str, relative_to: Path | None) -> Path:
    candidates = [Path(place), _SHIPPED / place, _SHIPPED / f"{place}.yaml"]
    if relative_to is not None:
        candidates.insert(0, relative_to / place)
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    shipped = packaged_pipelines()
    raise PipelineError(
        f"There is no pipeline {place!r}, neither a file nor a shipped one.{closest(place, shipped)} "
        f"Shipped: {', '.join(shipped) or 'none'}."
    )


class _Reader:
    """Reads one file."""

    def __init__(self, path: Path, parents: tuple[Path, ...]) -> None:
        self.path = path
        self.parents = (*parents, path)
        self.parameters: dict[str, Any] = {}

    def read(self) -> Pipeline:
        try:
            content = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise PipelineError(f"it is not YAML: {' '.join(str(error).split())}") from None
        content = _mapping(content, "a pipeline")
        _check_keys(content, _KEYS, "A pipeline")
        self.parameters = _mapping(content.get("parameters"), "parameters")
        pipeline = Pipeline({}, description=str(content.get("description") or "").strip(), name=str(self.path))
        imports = content.get("imports") or []
        for item in imports if isinstance(imports, list) else [imports]:
            self._import(item, pipeline)
        for label, given in _mapping(content.get("tasks"), "tasks").items():
            self._task(str(label), given, pipeline)
        if not pipeline.tasks:
            raise PipelineError("it has no tasks.")
        for name, members in _mapping(content.get("subsets"), "subsets").items():
            labels = members.get("subset") if isinstance(members, dict) else members
            self._subset(str(name), labels, pipeline)
        return pipeline

    def _import(self, item: Any, pipeline: Pipeline) -> None:
        given = item if isinstance(item, dict) else {"location": item}
        _check_keys(given, _IMPORT_KEYS, "An import")
        if "location" not in given:
            raise PipelineError("an import needs a location.")
        other = load_pipeline(str(given["location"]), self.path.parent, self.parents)
        if given.get("include"):
            other = other.subset(_labels(given["include"]))
        for label in _labels(given.get("exclude") or []):
            other.tasks.pop(other.node(label).label)
        doubles = set(other.tasks) & set(pipeline.tasks)
        if doubles:
            raise PipelineError(f"two imports have a task {min(doubles)!r}; exclude it from one.")
        pipeline.tasks.update(other.tasks)
        kept = {
            name: tuple(label for label in members if label in other.tasks) for name, members in other.subsets.items()
        }
        pipeline.subsets.update({name: members for name, members in kept.items() if members})

    def _task(self, label: str, given: Any, pipeline: Pipeline) -> None:
        given = {"class": given} if isinstance(given, str) else _mapping(given, f"task {label!r}")
        _check_keys(given, _TASK_KEYS, f"Task {label!r}")
        inherited = pipeline.tasks.get(label)  # an imported task may be given further configuration
        if "class" in given:
            task_class = _task_class(label, str(given["class"]), self.path.parent)
            if inherited is None or inherited.task_class is not task_class:
                pipeline.tasks[label] = TaskNode(label, task_class, task_class.ConfigClass())
        elif inherited is None:
            raise PipelineError(f"task {label!r} has no class; write class: package.module.TaskClass.")
        if "where" in given:
            pipeline.tasks[label].where = str(given["where"] or "")
        values = _mapping(given.get("config"), f"the config of task {label!r}")
        values = {str(name): self._value(value, label) for name, value in values.items()}
        pipeline.override_values(label, values, f"{self.path} (task {label})")

    def _value(self, value: Any, label: str) -> Any:
        if isinstance(value, dict):
            return {name: self._value(item, label) for name, item in value.items()}
        if not (isinstance(value, str) and value.startswith("parameters.")):
            return value
        name = value.removeprefix("parameters.")
        if name not in self.parameters:
            raise PipelineError(
                f"task {label!r} uses parameter {name!r}, which is not defined.{closest(name, self.parameters)}"
            )
        return self.parameters[name]

    def _subset(self, name: str, labels: Any, pipeline: Pipeline) -> None:
        if name in pipeline.tasks:
            raise PipelineError(f"{name!r} is both a task and a subset.")
        if not isinstance(labels, str | list):
            raise PipelineError(f"subset {name!r} must be a list of labels, not {labels!r}.")
        members = [pipeline.node(label).label for label in _labels(labels)]
        pipeline.subsets[name] = tuple(members)


def _task_class(label: str, path: str, folder: Path) -> type[PipelineTask]:
    try:
        found = load_class(path, PipelineError, beside=folder)
    except PipelineError as error:
        raise PipelineError(f"Task {label!r}: {error}") from None
    if not (isinstance(found, type) and issubclass(found, PipelineTask)):
        raise PipelineError(f"Task {label!r}: {path} is no PipelineTask.")
    return found


def _labels(given: str | Iterable[Any]) -> list[str]:
    return [label.strip() for label in given.split(",")] if isinstance(given, str) else [str(item) for item in given]


def _mapping(given: Any, what: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise PipelineError(f"{what} must be a mapping, not {given!r}.")
    return given


def _check_keys(given: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    for key in given:
        if key not in known:
            hint = closest(str(key), known) or f" Keys: {', '.join(known)}."
            raise PipelineError(f"{what} has no key {key!r}.{hint}")
