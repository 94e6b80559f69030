"""Connections: the datasets that a task takes and makes, declared as typed class attributes.

::

    class Connections(TaskConnections, dimensions=("instrument", "exposure", "detector")):
        exposure = Input("raw", storage_class="Exposure", dimensions=("instrument", "exposure", "detector"))
        dark = PrerequisiteInput("dark", storage_class="Exposure", dimensions=("instrument", "detector"))
        output_exposure = Output("postISRCCD", storage_class="Exposure", dimensions=(...))

        def __init__(self, config):
            super().__init__(config)
            if not config.do_dark:
                del self.dark

The attribute's name is the argument of ``run`` (inputs) or the item of its Struct (outputs); the first argument is the
dataset type, which ``config.connections.<attribute>`` renames. Names may hold templates (``"{coadd}Coadd"``), which
``config.connections.coadd`` fills; their defaults are given to the class: ``templates={"coadd": "deep"}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from ..model.errors import PipelineError, closest

if TYPE_CHECKING:
    from .config import Config

__all__ = ["Connection", "InitOutput", "Input", "Output", "PrerequisiteInput", "TaskConnections"]

C = TypeVar("C", bound="Connection")


@dataclass(frozen=True)
class Connection:
    """One dataset type that a task takes or makes; declared by its subclasses.

    As a class attribute it is itself; on an instance of the connections it is the one with templates filled.
    """

    name: str
    """Dataset type; may hold templates in braces."""
    storage_class: str = field(kw_only=True)
    """Name of the storage class."""
    dimensions: tuple[str, ...] = field(default=(), kw_only=True)
    """Names of the dimensions of the dataset type."""
    doc: str = field(default="", kw_only=True)
    """What the dataset is to the task."""
    attribute: str = field(default="", kw_only=True)
    """Name of the class attribute that declares it; the class sets it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimensions", tuple(self.dimensions))

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "attribute", name)

    def __get__(self, instance: TaskConnections | None, owner: type | None = None) -> Self:
        if instance is None:
            return self
        if self.attribute not in instance.active:
            raise AttributeError(f"Connection {self.attribute!r} was removed by the task's configuration.")
        return instance.active[self.attribute]  # type: ignore[return-value]  # a replaced copy of this very one

    def __delete__(self, instance: TaskConnections) -> None:
        instance.active.pop(self.attribute, None)


@dataclass(frozen=True)
class Input(Connection):
    """A dataset that a quantum takes and that decides which quanta there are."""

    multiple: bool = field(default=False, kw_only=True)
    """Whether one quantum takes a list of these."""
    deferred: bool = field(default=False, kw_only=True)
    """Whether ``run`` gets handles to read from (``handle.get()``) in place of the objects."""
    minimum: int = field(default=1, kw_only=True)
    """How many a quantum needs; with 0 it runs without (None or an empty list)."""


@dataclass(frozen=True)
class PrerequisiteInput(Input):
    """A dataset that must be there before, such as a calibration: looked up, not gathered.

    It never decides which quanta there are; where it is missing the quantum is reported as failed, unless ``minimum``
    is 0. A task of the same pipeline may make it.
    """


@dataclass(frozen=True)
class Output(Connection):
    """A dataset that a quantum makes."""

    multiple: bool = field(default=False, kw_only=True)
    """Whether one quantum makes several of these: its Struct's item is a list, or a mapping by data ID."""


@dataclass(frozen=True)
class InitOutput(Connection):
    """A dataset that the task makes once for a RUN, before any quantum: its attribute of the same name."""


class TaskConnections:
    """What a task takes and makes, under one configuration; subclass it and declare connections.

    Parameters
    ----------
    config
        Configuration of the task, whose ``connections`` rename dataset types and fill templates. A subclass's
        constructor may ``del self.<connection>`` after calling this one's.
    """

    dimensions: ClassVar[tuple[str, ...]] = ()
    """Names of the dimensions of a quantum."""
    templates: ClassVar[Mapping[str, str]] = {}
    """Default texts of templates in names."""

    active: dict[str, Connection]
    """The connections in use by attribute, names resolved."""

    def __init_subclass__(
        cls, *, dimensions: Iterable[str] | None = None, templates: Mapping[str, str] | None = None
    ) -> None:
        super().__init_subclass__()
        if dimensions is not None:
            cls.dimensions = tuple(dimensions)
        if templates is not None:
            cls.templates = {**cls.templates, **templates}
        for attribute, connection in cls.declared().items():
            unknown = _templates_in(connection.name) - set(cls.templates)
            if unknown:
                raise PipelineError(
                    f"{cls.__qualname__}.{attribute} is named {connection.name!r}, but template {min(unknown)!r} has "
                    "no default; give the class templates={...}."
                )

    def __init__(self, config: Config | None = None) -> None:
        names = getattr(config, "connections", None) if config is not None else None
        templates = {key: getattr(names, key, default) for key, default in self.templates.items()}
        self.active = {
            attribute: replace(connection, name=getattr(names, attribute, connection.name).format_map(templates))
            for attribute, connection in self.declared().items()
        }

    @classmethod
    def declared(cls) -> dict[str, Connection]:
        """Return the connections declared by the class and those it inherits, by attribute."""
        found: dict[str, Connection] = {}
        for parent in reversed(cls.__mro__):
            found.update({name: value for name, value in vars(parent).items() if isinstance(value, Connection)})
        return found

    @property
    def inputs(self) -> dict[str, Input]:
        """Regular inputs by attribute."""
        return {k: c for k, c in self._of(Input).items() if not isinstance(c, PrerequisiteInput)}

    @property
    def prerequisites(self) -> dict[str, PrerequisiteInput]:
        """Prerequisite inputs by attribute."""
        return self._of(PrerequisiteInput)

    @property
    def outputs(self) -> dict[str, Output]:
        """Outputs by attribute."""
        return self._of(Output)

    @property
    def init_outputs(self) -> dict[str, InitOutput]:
        """Outputs made once for a RUN, by attribute."""
        return self._of(InitOutput)

    def _of(self, kind: type[C]) -> dict[str, C]:
        return {name: connection for name, connection in self.active.items() if isinstance(connection, kind)}

    def __getitem__(self, attribute: str) -> Connection:
        if attribute not in self.active:
            raise KeyError(f"There is no connection {attribute!r}.{closest(attribute, self.active)}")
        return self.active[attribute]

    def __repr__(self) -> str:
        parts = [f"{name}={connection.name!r}" for name, connection in self.active.items()]
        return f"{type(self).__qualname__}({', '.join(parts)})"


def _templates_in(name: str) -> set[str]:
    return {part[1] for part in Formatter().parse(name) if part[1] is not None}
