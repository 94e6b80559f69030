"""Subtasks as configuration fields: which task class to use, and its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..model.errors import ConfigError
from .class_path import class_path, load_class

if TYPE_CHECKING:
    from .config import Config, Setting
    from .task import Task

__all__ = ["Subtask", "SubtaskField"]


class Subtask:
    """Value of a subtask field: the task class (``target``) and its ``config``.

    Fields of the subtask's configuration are reached through it: ``config.measurement.sigma = 3`` is
    ``config.measurement.config.sigma = 3``.

    Parameters
    ----------
    target
        Task class, or its dotted path.
    config
        Configuration of that class; its default where not given.
    """

    __slots__ = ("_config", "_frozen", "_settings", "_target")

    _config: Config
    _frozen: bool
    _settings: list[Setting]
    _target: type[Task]

    def __init__(self, target: type[Task] | str, config: Config | None = None) -> None:
        task_class = _task_class(target)
        object.__setattr__(self, "_target", task_class)
        object.__setattr__(self, "_frozen", False)
        object.__setattr__(self, "_settings", [])
        object.__setattr__(self, "_config", task_class.ConfigClass() if config is None else config)

    @property
    def target(self) -> type[Task]:
        """Task class that ``make_subtask`` will use."""
        return self._target

    @property
    def target_path(self) -> str:
        """Dotted path of the task class."""
        return class_path(self._target)

    @property
    def config(self) -> Config:
        """Configuration of the subtask."""
        return self._config

    @property
    def settings(self) -> list[Setting]:
        """The task classes (dotted paths) that it was retargeted to, oldest first, with where."""
        return list(self._settings)

    def retarget(self, target: type[Task] | str) -> list[str]:
        """Use another task class; values set so far are carried over to its fields of the same name.

        Returns
        -------
        list[str]
            Dotted names that were set and have no place in the new configuration.

        Raises
        ------
        ConfigError
            The target is no task class, or this configuration is frozen.
        """
        from .config import Setting, present_origin

        if self._frozen:
            raise ConfigError("This configuration is frozen: a subtask cannot be retargeted any more.")
        task_class = _task_class(target)
        new = task_class.ConfigClass()
        lost = _carry_over(self._config, new)
        object.__setattr__(self, "_target", task_class)
        object.__setattr__(self, "_config", new)
        self._settings.append(Setting(self.target_path, present_origin()))
        return lost

    def assign(self, value: Any) -> None:
        """Take what was assigned to the field: a task class retargets, a configuration replaces the present one."""
        from .config import Config

        if isinstance(value, Config):
            if self._frozen:
                raise ConfigError("This configuration is frozen: a subtask's cannot be replaced any more.")
            if not isinstance(value, self._target.ConfigClass):
                raise ConfigError(
                    f"{self._target.__name__} takes a {self._target.ConfigClass.__name__}, not {type(value).__name__}."
                )
            object.__setattr__(self, "_config", type(value).clone(value))
        elif isinstance(value, type | str):
            self.retarget(value)
        else:
            raise ConfigError(f"A subtask field takes a task class or its configuration, not {value!r}.")

    def freeze(self) -> None:
        """Refuse every later change."""
        object.__setattr__(self, "_frozen", True)
        type(self._config).freeze(self._config)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._config, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "target":
            self.retarget(value)
        elif name == "config":
            self.assign(value)
        else:
            setattr(self._config, name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Subtask:
        return _remade(self._target, type(self._config).clone(self._config), self._settings)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_remade, (self._target, self._config, self._settings))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subtask) and self._target is other._target and self._config == other._config

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *dir(self._config)})

    def __repr__(self) -> str:
        return f"Subtask({self._target.__name__}, {self._config!r})"


def SubtaskField(default: type[Task] | str, *, description: str = "") -> Any:  # noqa: N802 - beside pydantic's Field
    """Return a field that holds a subtask.

    Parameters
    ----------
    default
        Task class to use unless it is retargeted, or its dotted path (imported when a configuration is made).
    description
        What the subtask does, for ``help``.
    """
    return Field(default_factory=lambda: Subtask(default), description=description or None)


def _task_class(target: type[Task] | str) -> type[Task]:
    from .task import Task

    if isinstance(target, str):
        target = load_class(target, ConfigError)
    if not (isinstance(target, type) and issubclass(target, Task)):
        raise ConfigError(f"{target!r} is no task class.")
    return target


def _remade(target: type[Task], config: Config, settings: list[Setting]) -> Subtask:
    subtask = Subtask(target, config)
    object.__setattr__(subtask, "_settings", list(settings))
    return subtask


def _carry_over(old: Config, new: Config) -> list[str]:
    from .config import Config, set_from

    lost = []
    for name, settings in old._settings.items():
        last = settings[-1]
        try:
            with set_from(f"{last.where} (kept when retargeted from {type(old).title()})"):
                setattr(new, name, last.value)
        except ConfigError:
            lost.append(name)
    for name, value in old.__dict__.items():
        inner = value.config if isinstance(value, Subtask) else value
        if not isinstance(inner, Config):
            continue
        there = new.__dict__.get(name)
        there = there.config if isinstance(there, Subtask) else there
        names = _carry_over(inner, there) if isinstance(there, Config) else inner._settings
        lost += [f"{name}.{item}" for item in names]
    return lost
