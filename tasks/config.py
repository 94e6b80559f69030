"""Configuration of tasks: typed fields that check every value at once and remember where it was set.

A configuration is a pydantic model whose errors are ``ConfigError`` in one line::

    class SmoothConfig(Config):
        sigma: float = Field(2.0, gt=0, description="Width of the kernel (pixel).")
        do_edge: bool = Field(True, description="Smooth up to the edge?")

    config = SmoothConfig()
    config.doEdge = False          # LSST's spelling reaches the same field
    config.sigma = "wide"          # ConfigError: SmoothConfig.sigma = 'wide': Input should be a valid number ...
    config.history("sigma")        # [Setting(value=2.0, where='default of SmoothConfig')]

Reading overrides from files and command lines is in ``overrides``, writing to text in ``config_text``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from ..model.errors import ConfigError, closest
from ..model.lsst_names import LsstNames, snake_case
from .subtask import Subtask, SubtaskField

if TYPE_CHECKING:
    from pydantic import ValidatorFunctionWrapHandler

__all__ = [
    "Config",
    "Difference",
    "Field",
    "Setting",
    "Subtask",
    "SubtaskField",
    "UnknownFieldError",
    "present_origin",
    "set_from",
]

_origin: ContextVar[str | None] = ContextVar("skybutler_config_origin", default=None)
_PACKAGES_BETWEEN = (__name__, f"{__package__}.subtask", f"{__package__}.overrides", "pydantic", "contextlib")


class UnknownFieldError(ConfigError, AttributeError):
    """A configuration has no field of that name."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that a field was given."""

    value: Any
    """The value after validation."""
    where: str
    """File and line, command-line option or default that gave it."""

    def __iter__(self) -> Iterator[Any]:
        return iter((self.value, self.where))


@dataclass(frozen=True, slots=True)
class Difference:
    """A field in which two configurations differ."""

    name: str
    """Dotted name of the field."""
    mine: Any
    """Value in the configuration that was asked, None where it has no such field."""
    other: Any
    """Value in the other one."""

    def __str__(self) -> str:
        return f"{self.name}: {self.mine!r} != {self.other!r}"


@contextmanager
def set_from(where: str) -> Iterator[None]:
    """Record ``where`` as the origin of every value set inside, in place of the caller's file and line."""
    token = _origin.set(where)
    try:
        yield
    finally:
        _origin.reset(token)


class Config(LsstNames, BaseModel):
    """Fields of a task's configuration; subclass it and annotate fields.

    Values are to be immutable, tuples and not lists: a list could be changed from within, unchecked and after freezing.
    A field may have the name of a method (``flat``) and hides it then; the class still has it: ``Config.flat(config)``.

    Parameters
    ----------
    **values
        Values of fields that differ from their defaults, by either spelling.

    Raises
    ------
    ConfigError
        A value has the wrong type or is out of bounds.
    UnknownFieldError
        There is no such field; also an ``AttributeError``.
    """

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, arbitrary_types_allowed=True, protected_namespaces=()
    )

    task_name: ClassVar[str] = ""
    """Name of the task that this configures, for messages; the task class sets it."""

    _settings: dict[str, list[Setting]] = PrivateAttr(default_factory=dict)
    _frozen: bool = PrivateAttr(default=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__()
        except ValidationError as error:
            raise ConfigError(f"{type(self).title()} cannot be made from its defaults: {_one_line(error)}") from None
        if type(self).set_defaults is not Config.set_defaults:
            with set_from(f"set_defaults of {type(self).__name__}"):
                type(self).set_defaults(self)
        for name, value in values.items():
            setattr(self, name, value)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        lines = [line for name, field in cls.model_fields.items() for line in _describe_field(name, field)]
        if lines:
            summary = (cls.__dict__.get("__doc__") or f"Configuration {cls.__name__}.").rstrip()
            cls.__doc__ = "\n".join([summary, "", "Fields", "------", *lines])
        # help() shows it before everything else: pydantic's would say all fields once more, in one line.
        cls.__signature__ = Signature([Parameter("values", Parameter.VAR_KEYWORD)])

    def set_defaults(self) -> None:
        """Change defaults of subtasks or inherited fields; a subclass's place to do so."""

    def check(self) -> None:
        """Raise ``ConfigError`` where fields contradict each other; a subclass's place to do so.

        A task calls it once, on the finished configuration, so values may pass through contradictions before.
        """

    # ---- fields -------------------------------------------------------------------------------------------------

    @classmethod
    def title(cls) -> str:
        """Return the name by which messages call this: the task's, where there is one."""
        return cls.task_name or cls.__name__

    @classmethod
    def field_name(cls, name: str) -> str:
        """Return the field that a name in either spelling means.

        Raises
        ------
        UnknownFieldError
            There is none; the message names the nearest.
        """
        fields = cls.model_fields
        if name in fields:
            return name
        snake = snake_case(name)
        if snake in fields:
            return snake
        raise cls._unknown(name)

    @classmethod
    def _unknown(cls, name: str) -> UnknownFieldError:
        hint = closest(snake_case(name), cls.model_fields) or _known(list(cls.model_fields))
        return UnknownFieldError(f"{cls.title()} has no configuration field {name!r}.{hint}")

    if not TYPE_CHECKING:  # a type checker shall see the declared fields only

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                if name.startswith("_") or name in type(self).model_fields:
                    raise
            raise self._unknown(name)

        def __setattr__(self, name: str, value: Any) -> None:
            if name.startswith("_"):
                super().__setattr__(name, value)
            else:
                self._set_field(type(self).field_name(name), value)

    def _set_field(self, field: str, value: Any) -> None:
        if self._frozen:
            raise ConfigError(
                f"{type(self).title()}.{field} = {value!r}: this configuration is frozen, as a task keeps a copy of "
                "its own; change a clone() and make a new task of it."
            )
        current = self.__dict__.get(field)
        if isinstance(current, Subtask) and not isinstance(value, Subtask):
            current.assign(value)
            return
        try:
            super().__setattr__(field, value)
        except ValidationError as error:
            raise ConfigError(f"{type(self).title()}.{field} = {value!r}: {_one_line(error, value)}") from None
        self._settings.setdefault(field, []).append(Setting(self.__dict__[field], present_origin()))

    def __delattr__(self, name: str) -> None:
        raise ConfigError(f"{type(self).title()}: fields cannot be deleted; set {name!r} to another value.")

    @field_validator("*", mode="wrap")
    @classmethod
    def _convert_nothing_silently(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        # pydantic would take "yes" for True, "5" for 5 and True for 1; of conversions only int to float is safe.
        if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
            value = value.item()
        result = handler(value)
        _refuse_conversion(value, result)
        return result

    # ---- the whole ----------------------------------------------------------------------------------------------

    def flat(self) -> dict[str, Any]:
        """Return all values by dotted name; a subtask's name holds the dotted path of its task class."""
        result: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = self.__dict__[name]
            if isinstance(value, Subtask):
                result[name] = value.target_path
                value = value.config
            if isinstance(value, Config):
                result.update({f"{name}.{key}": item for key, item in Config.flat(value).items()})
            else:
                result[name] = value
        return result

    def history(self, name: str) -> list[Setting]:
        """Return what a field (dotted name) was set to, oldest first, with where; the default leads."""
        holder, field = Config.resolve(self, name)
        default = type(holder).model_fields[field].get_default(call_default_factory=True)
        value = holder.__dict__[field]
        given = value.settings if isinstance(value, Subtask) else holder._settings.get(field, [])
        return [Setting(default, f"default of {type(holder).__name__}"), *given]

    def resolve(self, name: str) -> tuple[Config, str]:
        """Return the nested configuration that holds a dotted name, and the field's name in it."""
        holder: Config = self
        *parents, last = name.split(".")
        for parent in parents:
            value = getattr(holder, parent)
            inner = value.config if isinstance(value, Subtask) else value
            if not isinstance(inner, Config):
                raise ConfigError(f"{type(holder).title()}.{parent} is {value!r}, not a group of fields, in {name!r}.")
            holder = inner
        return holder, type(holder).field_name(last)

    def update(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Set several fields by (dotted) name."""
        for name, value in {**(values or {}), **named}.items():
            Config.set(self, name, value)

    def set(self, name: str, value: Any) -> None:
        """Set one field by its dotted name."""
        holder, field = Config.resolve(self, name)
        setattr(holder, field, value)

    def freeze(self) -> None:
        """Refuse every later change, in nested configurations too."""
        self._frozen = True
        for value in self.__dict__.values():
            if isinstance(value, Config):
                Config.freeze(value)
            elif isinstance(value, Subtask):
                value.freeze()

    @property
    def is_frozen(self) -> bool:
        """Whether changes are refused."""
        return self._frozen

    def clone(self) -> Self:
        """Return a copy that shares nothing with this one and can be changed; history is kept."""
        copy = self.model_copy(deep=True)
        copy._thaw()
        return copy

    def _thaw(self) -> None:
        self._frozen = False
        for value in self.__dict__.values():
            if isinstance(value, Config):
                value._thaw()
            elif isinstance(value, Subtask):
                value.config._thaw()

    def diff(self, other: Config) -> list[Difference]:
        """Return the fields in which another configuration differs, by dotted name; NaN equals NaN."""
        mine, theirs = Config.flat(self), Config.flat(other)
        names = [*mine, *(name for name in theirs if name not in mine)]
        return [
            Difference(name, mine.get(name), theirs.get(name))
            for name in names
            if (name in mine) != (name in theirs) or not _same(mine[name], theirs[name])
        ]

    def compare(self, other: Config) -> bool:
        """Return whether another configuration has the same fields and values."""
        return type(self) is type(other) and not Config.diff(self, other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and Config.compare(self, other)

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        defaults, values = Config.flat(type(self)()), Config.flat(self)
        changed = [f"{k}={v!r}" for k, v in values.items() if k not in defaults or not _same(v, defaults[k])]
        count = len(values) - len(changed)
        rest = [f"{count} at {'its default' if count == 1 else 'their defaults'}"] if count else []
        return f"{type(self).__name__}({', '.join(changed + rest)})"

    def __str__(self) -> str:
        return repr(self)

    # ---- files --------------------------------------------------------------------------------------------------

    def load(self, path: str | Path) -> None:
        """Apply a file of overrides: Python (``config.x = 1``), YAML or JSON (``x: 1``), by its suffix."""
        from .overrides import apply_file

        apply_file(self, path)

    def save(self, path: str | Path) -> None:
        """Write all values as Python text that ``load`` applies, or as JSON where the suffix is ``.json``."""
        from .config_text import to_json, to_python

        path = Path(path)
        path.write_text(to_json(self) if path.suffix == ".json" else to_python(self), encoding="utf-8")


_SCALARS = (bool, int, float, str)
_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "min_length": "length >=", "max_length": "length <="}


def _refuse_conversion(given: Any, taken: Any, place: str = "") -> None:
    """Raise ``ValueError`` where a scalar, or one in a sequence, became one of another kind."""
    if isinstance(given, list | tuple) and isinstance(taken, list | tuple):
        for number, (one, other) in enumerate(zip(given, taken, strict=False)):
            _refuse_conversion(one, other, f"item {number}: ")
        return
    kinds = (type(given), type(taken))
    if kinds[0] is not kinds[1] and kinds[0] in _SCALARS and kinds[1] in _SCALARS and kinds != (int, float):
        raise ValueError(f"{place}Input should be {kinds[1].__name__}, not {kinds[0].__name__}")


def present_origin() -> str:
    """Return who sets a value now: what ``set_from`` says, else the caller's file and line."""
    origin = _origin.get()
    if origin is not None:
        return origin
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGES_BETWEEN):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _one_line(error: ValidationError, value: object = None) -> str:
    """Return what pydantic found, with the items at fault; it also names members of unions, which says nothing new."""
    parts = []
    keys = value.keys() if isinstance(value, dict) else ()
    for detail in error.errors(include_url=False, include_context=False):
        at = [str(item) for item in detail["loc"][1:] if isinstance(item, int) or item in keys]
        message = detail["msg"].removeprefix("Value error, ")
        parts.append(f"item {'.'.join(at)}: {message}" if at else message)
    return "; or: ".join(dict.fromkeys(parts))


def _known(names: list[str]) -> str:
    return f" It has: {', '.join(names)}." if names else " It has no fields."


def _describe_field(name: str, field: Any) -> list[str]:
    kind = field.annotation.__name__ if isinstance(field.annotation, type) else str(field.annotation)
    kind = kind.replace("typing.", "")
    bounds = [
        f"{sign} {getattr(item, name)!r}"
        for item in field.metadata
        for name, sign in _BOUNDS.items()
        if hasattr(item, name)
    ]
    default = field.get_default(call_default_factory=True)
    shown = default.target_path if isinstance(default, Subtask) else repr(default)
    head = f"{name} : {', '.join([kind, *bounds])} = {shown}"
    return [head, f"    {field.description}"] if field.description else [head]


def _same(one: Any, other: Any) -> bool:
    both_nan = isinstance(one, float) and isinstance(other, float) and one != one and other != other
    return both_nan or (type(one) is type(other) and bool(one == other))
