"""Task: an algorithm with a configuration, a logger, and notes on its own work. It knows no butler."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, ParamSpec, TypeVar

from ..model.errors import TaskError, closest
from ..model.lsst_names import LsstNames, snake_case
from .config import Config
from .metadata import TaskMetadata
from .struct import Struct
from .subtask import Subtask

__all__ = ["Task", "time_method"]

P = ParamSpec("P")
R = TypeVar("R")


class Task(LsstNames):
    """An algorithm that is configured once and run many times.

    A subclass names its configuration and itself, and does its work in ``run``::

        class SmoothTask(Task):
            ConfigClass = SmoothConfig
            default_name = "smooth"

            def run(self, exposure: Exposure) -> Struct: ...

    Parameters
    ----------
    config
        Configuration; the parent task's for a subtask, else the default. The task keeps a frozen copy of it.
    name
        Name of the task in logs and metadata; ``default_name`` where not given.
    parent_task
        Task of which this is a part.
    log
        Logger to use in place of ``skybutler.<full name>``.

    Raises
    ------
    ConfigError
        The configuration is of another class, or contradicts itself.
    """

    ConfigClass: ClassVar[type[Config]] = Config
    default_name: ClassVar[str] = ""
    """Name of the task unless it is given another; LSST's ``_DefaultName``. By default the class's, in snake_case."""
    _is_named: ClassVar[bool] = False
    version: ClassVar[str] = "1"
    """Raised by an author whose change to a task changes its results, so that stale outputs are made again."""

    config: Any
    """Frozen configuration, of ``ConfigClass``."""
    metadata: TaskMetadata
    """What the task noted: timing, peak memory, statistics."""
    log: logging.Logger
    """Logger ``skybutler.<full name>``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        given = cls.__dict__.get("default_name") or cls.__dict__.get("_DefaultName")  # the second is LSST's spelling
        if given:
            cls.default_name, cls._is_named = given, True
        elif not cls._is_named:
            cls.default_name = snake_case(cls.__name__.removesuffix("Task") or cls.__name__)
        if "ConfigClass" in cls.__dict__ and not cls.ConfigClass.__dict__.get("task_name"):
            cls.ConfigClass.task_name = cls.__name__

    def __init__(
        self,
        config: Config | None = None,
        *,
        name: str | None = None,
        parent_task: Task | None = None,
        log: logging.Logger | None = None,
    ) -> None:
        self.name = name or self.default_name
        self.parent_task = parent_task
        self.full_name: str = f"{parent_task.full_name}.{self.name}" if parent_task is not None else self.name
        if config is None and parent_task is not None:
            inherited = getattr(parent_task.config, self.name, None)
            config = inherited.config if isinstance(inherited, Subtask) else None
        config = self.ConfigClass() if config is None else type(config).clone(config)
        if not isinstance(config, self.ConfigClass):
            raise TaskError(
                f"{type(self).__name__} takes a {self.ConfigClass.__name__} as its config, "
                f"not a {type(config).__name__}; make one by {type(self).__name__}.ConfigClass()."
            )
        type(config).check(config)
        type(config).freeze(config)
        self.config = config
        self.metadata = TaskMetadata()
        self.log = log if log is not None else logging.getLogger(f"skybutler.{self.full_name}")
        self._subtasks: dict[str, Task] = {}

    def run(self, *args: Any, **kwargs: Any) -> Struct:
        """Do the work; a subclass's own."""
        raise NotImplementedError(f"{type(self).__name__} has no run method.")

    def make_subtask(self, name: str, **kwargs: Any) -> Task:
        """Make the task of a subtask field and keep it as ``self.<name>``.

        Parameters
        ----------
        name
            Name of the field in the configuration.
        **kwargs
            More arguments of the subtask's constructor.

        Raises
        ------
        TaskError
            The configuration has no such subtask field.
        """
        field = self.config.__dict__.get(name)
        if not isinstance(field, Subtask):
            names = [key for key, value in self.config.__dict__.items() if isinstance(value, Subtask)]
            raise TaskError(f"The configuration of {self.full_name!r} has no subtask {name!r}.{closest(name, names)}")
        subtask = field.target(config=field.config, name=name, parent_task=self, **kwargs)
        self._subtasks[name] = subtask
        setattr(self, name, subtask)
        return subtask

    @property
    def full_metadata(self) -> TaskMetadata:
        """Metadata of this task and its subtasks, by full name with colons (``top``, ``top:measurement``)."""
        result = TaskMetadata()
        for task in self._walk():
            result[task.full_name.replace(".", ":")] = task.metadata
        return result

    def empty_metadata(self) -> None:
        """Forget what was noted, here and in subtasks: each run's notes are its own."""
        for task in self._walk():
            task.metadata = TaskMetadata()

    @property
    def task_dict(self) -> dict[str, Task]:
        """Return this task and all subtasks by full name."""
        return {task.full_name: task for task in self._walk()}

    @contextmanager
    def timer(self, name: str) -> Iterator[None]:
        """Note wall time, CPU time and peak memory of what runs inside.

        Adds ``<name>_start_utc`` (ISO 8601), ``<name>_wall_time`` and ``<name>_cpu_time`` (s) and
        ``<name>_peak_memory`` (bytes, of the process up to now) to the metadata; repeats append.
        """
        start_utc = time.time()
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start_utc))
            self.metadata.add(f"{name}_start_utc", f"{stamp}.{int(start_utc % 1 * 1000):03d}")
            self.metadata.add(f"{name}_wall_time", time.perf_counter() - wall)
            self.metadata.add(f"{name}_cpu_time", time.process_time() - cpu)
            self.metadata.add(f"{name}_peak_memory", peak_memory())

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.config, self.name, self.parent_task))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.full_name!r}, {self.config!r})"

    def _walk(self) -> Iterator[Task]:
        yield self
        for subtask in self._subtasks.values():
            yield from subtask._walk()


def time_method(method: Callable[P, R]) -> Callable[P, R]:
    """Decorate a task's method so that each call is timed under the method's name, as by ``Task.timer``."""

    @functools.wraps(method)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        task = args[0]
        assert isinstance(task, Task)  # noqa: S101 - a decorator for methods of tasks
        with task.timer(method.__name__):
            return method(*args, **kwargs)

    return timed


def peak_memory() -> int:
    """Return the peak resident memory of this process (bytes); 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _rebuild(cls: type[Task], config: Config, name: str, parent_task: Task | None) -> Task:
    return cls(config, name=name, parent_task=parent_task)
