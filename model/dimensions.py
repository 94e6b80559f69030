"""What a data ID may say: dimensions, how they hang together, and the groups that dataset types are kept by."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from typing import Any

from .errors import ConflictingDefinitionError, DataIdError, closest
from .pixels import Pixelization, pixelization

__all__ = [
    "COLUMN_TYPES",
    "Column",
    "DimensionGroup",
    "DimensionUniverse",
    "Element",
    "default_universe",
    "universe_from_json",
]

_PIXELIZATION = re.compile(r"(htm|healpix)(\d+)")
_DEEPEST = {"htm": 24, "healpix": 17}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
COLUMN_TYPES = ("int", "float", "str", "bool", "bytes", "region", "timespan")
"""What a column of a record may hold."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an element's records."""

    name: str
    """What it is called in records, expressions and SQL."""
    type: str
    """``int``, ``float``, ``str``, ``bool``, ``bytes``, ``region`` or ``timespan``."""
    role: str
    """``required`` or ``implied`` (another dimension's value), ``key``, ``alternate``, ``metadata``, ``region`` or
    ``timespan``."""
    doc: str = ""
    """One sentence for readers."""
    unit: str = ""
    """Unit in the FITS standard's spelling."""
    nullable: bool = True
    """Whether a record may leave it empty."""


@dataclass(frozen=True)
class Element:
    """A dimension, or a relation among dimensions that has records of its own.

    An element with a ``key`` is a dimension; one without relates those it requires (``visit_detector_region``).
    """

    name: str
    doc: str
    key: Column | None
    """The dimension's own key; None for a relation."""
    requires: tuple[str, ...]
    """Dimensions, this one left out, whose values its key needs beside it."""
    implies: tuple[str, ...]
    """Dimensions whose values its record gives."""
    columns: tuple[Column, ...]
    """All columns of a record, in order: required, key, alternate keys, implied, metadata, region, timespan."""
    has_region: bool = False
    has_timespan: bool = False
    always_join: bool = False
    """Whether a query that holds all it requires must also match a record of it."""
    union_of: str | None = None
    """The element whose column lists the values of this one, which has no table."""
    pixels: tuple[str, int] | None = None
    """Pixelization and level, for sky pixels, which are computed and have no table."""

    @property
    def is_dimension(self) -> bool:
        """Whether it is a dimension, not a relation among others."""
        return self.key is not None

    @property
    def has_table(self) -> bool:
        """Whether its records are kept in a table of its own."""
        return self.union_of is None and self.pixels is None

    @property
    def required(self) -> tuple[str, ...]:
        """Dimensions that name one record, this one last."""
        return (*self.requires, self.name) if self.key is not None else self.requires

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each column by its name."""
        return {column.name: i for i, column in enumerate(self.columns)}

    def column_of(self, dimension: str) -> str:
        """Return the name of the column that holds a dimension's value: the key's own name for itself."""
        return self.key.name if self.key is not None and dimension == self.name else dimension


class DimensionGroup:
    """A set of dimensions that is closed: with each, those that it requires and implies.

    Made by `DimensionUniverse.conform`, one object a set, so that ``is`` compares.
    """

    __slots__ = ("__weakref__", "elements", "implied", "index", "names", "required", "universe")

    def __init__(self, universe: DimensionUniverse, names: Iterable[str]):
        closed: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in closed:
                closed.add(name)
                element = universe[name]
                waiting += (*element.requires, *element.implies)
        implied = {other for name in closed for other in universe[name].implies}
        ordered = sorted(closed, key=lambda name: (universe.order(name), name))
        self.universe = universe
        self.required: tuple[str, ...] = tuple(name for name in ordered if name not in implied)
        """Dimensions that a data ID must give, in the universe's order."""
        self.implied: tuple[str, ...] = tuple(name for name in ordered if name in implied)
        """Dimensions that follow from the records of the required ones."""
        self.names: tuple[str, ...] = self.required + self.implied
        """All of them, required first: the order of a data ID's values."""
        self.index: dict[str, int] = {name: i for i, name in enumerate(self.names)}
        """Position of each in a data ID's values."""
        relations = (e.name for e in universe.elements if not e.is_dimension and closed.issuperset(e.requires))
        self.elements: tuple[str, ...] = (*ordered, *relations)
        """The dimensions, and the relations that hold among them."""

    def __contains__(self, name: object) -> bool:
        return name in self.index

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __le__(self, other: DimensionGroup) -> bool:
        return self.index.keys() <= other.index.keys()

    def __or__(self, other: DimensionGroup) -> DimensionGroup:
        return self.universe.conform((*self.names, *other.names))

    def __repr__(self) -> str:
        return f"DimensionGroup({', '.join(self.required)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _conform, (self.universe, self.names)


def _conform(universe: DimensionUniverse, names: tuple[str, ...]) -> DimensionGroup:
    return universe.conform(names)


@dataclass(frozen=True)
class _Families:
    spatial: dict[str, tuple[str, ...]] = field(default_factory=dict)
    temporal: dict[str, tuple[str, ...]] = field(default_factory=dict)


class DimensionUniverse:
    """All dimensions that a repository knows.

    Parameters
    ----------
    definition
        The mapping that ``dimensions.yaml`` shows: ``version``, ``common_pixels``, families and ``elements``.

    Raises
    ------
    ConflictingDefinitionError
        An element requires or implies what is not defined before it, a name is taken twice or not one for SQL, a
        column's type is unknown, or a part is missing.
    """

    def __init__(self, definition: Mapping[str, Any]):
        if missing := {"version", "common_pixels", "elements"} - definition.keys():
            raise ConflictingDefinitionError(f"a universe of dimensions lacks {', '.join(sorted(missing))}.")
        self.definition = dict(definition)
        self.version: int = definition["version"]
        self.namespace: str = definition.get("namespace", "")
        self.common_pixels: str = definition["common_pixels"]
        self._elements: dict[str, Element] = {}
        for name, given in definition["elements"].items():
            self._elements[name] = self._element(name, given or {})
        self._order = {name: i for i, name in enumerate(self._elements)}
        self._families = _Families(
            {name: tuple(members) for name, members in definition.get("spatial_families", {}).items()},
            {name: tuple(members) for name, members in definition.get("temporal_families", {}).items()},
        )
        self._check_references()
        self._groups: dict[frozenset[str], DimensionGroup] = {}

    def _check_references(self) -> None:
        """Raise unless what the definition names, whatever the order, is there."""
        if self._pixels(self.common_pixels) is None:
            raise ConflictingDefinitionError(
                f"common_pixels is {self.common_pixels!r}; it must be htm0 … htm24 or healpix0 … healpix17, like htm7."
            )
        for element in self.elements:
            if element.union_of is not None and element.union_of not in self._elements:
                raise ConflictingDefinitionError(
                    f"dimension element {element.name!r}: no {element.union_of!r} to unite"
                )
        for families in (self._families.spatial, self._families.temporal):
            for family, members in families.items():
                if unknown := [name for name in members if name not in self._elements]:
                    raise ConflictingDefinitionError(f"family {family!r} holds {unknown[0]!r}, which is no element.")

    def _element(self, name: str, given: Mapping[str, Any]) -> Element:
        def fail(text: str) -> ConflictingDefinitionError:
            return ConflictingDefinitionError(f"dimension element {name!r}: {text}")

        def value_type(dimension: str) -> str:
            other = self._elements.get(dimension)
            if other is None or other.key is None:
                raise fail(f"{dimension!r} is not a dimension defined before it")
            return other.key.type

        if not _NAME.fullmatch(name) or self._pixels(name) is not None:
            raise fail("a name has at most 40 lower-case letters, digits and underscores, and is no sky pixelization's")
        requires = tuple(given.get("requires", ()))
        implies = tuple(given.get("implies", ()))
        for dimension in requires:
            value_type(dimension)
            if lacking := [d for d in self._elements[dimension].requires if d not in requires]:
                raise fail(f"it requires {dimension!r} and so must require {lacking[0]!r}, too")
        if not isinstance(given.get("key", {}), Mapping) or len(given.get("key", {})) > 1:
            raise fail("its key is one column, written {name: type}")
        key = None
        columns = [Column(d, value_type(d), "required", nullable=False) for d in requires]
        for key_name, key_type in given.get("key", {}).items():
            key = Column(key_name, key_type, "key", given.get("doc", ""), nullable=False)
            columns.append(key)
        for role in ("alternate", "metadata"):
            columns += [
                Column(n, c.get("type", ""), role, c.get("doc", ""), c.get("unit", ""), not c.get("required", False))
                for n, c in given.get(role, {}).items()
            ]
            if role == "alternate":
                columns += [Column(d, value_type(d), "implied") for d in implies]
        columns += [Column(role, role, role) for role in ("region", "timespan") if given.get(role)]
        if unknown := [c for c in columns if c.type not in COLUMN_TYPES]:
            raise fail(f"column {unknown[0].name!r} has the type {unknown[0].type!r}; known are {COLUMN_TYPES}")
        names = [c.name for c in columns]
        if twice := [n for n in names if names.count(n) > 1]:
            raise fail(f"it has two columns {twice[0]!r}")
        if odd := [n for n in names if not _NAME.fullmatch(n)]:
            raise fail(f"a column cannot be called {odd[0]!r}: lower-case letters, digits and underscores, at most 40")
        return Element(
            name,
            given.get("doc", ""),
            key,
            requires,
            implies,
            tuple(columns),
            has_region=bool(given.get("region")),
            has_timespan=bool(given.get("timespan")),
            always_join=bool(given.get("always_join")),
            union_of=given.get("virtual", {}).get("union"),
        )

    @property
    def elements(self) -> tuple[Element, ...]:
        """All elements in order; sky pixels, of which there are many levels, left out."""
        return tuple(self._elements.values())

    @property
    def spatial_families(self) -> Mapping[str, tuple[str, ...]]:
        """Elements with regions that nest, the most precise first, by the family's name."""
        return self._families.spatial

    @property
    def temporal_families(self) -> Mapping[str, tuple[str, ...]]:
        """Elements with timespans that nest, the most precise first, by the family's name."""
        return self._families.temporal

    def __contains__(self, name: object) -> bool:
        return name in self._elements or self._pixels(name) is not None

    def __getitem__(self, name: str) -> Element:
        """Return an element.

        Raises
        ------
        DataIdError
            There is none of that name.
        """
        element = self._elements.get(name) or self._pixels(name)
        if element is None:
            known = ", ".join(e.name for e in self._elements.values() if e.is_dimension)
            raise DataIdError(f"unknown dimension {name!r}.{closest(name, self._elements)} Known: {known}.")
        return element

    @property
    def common_pixelization(self) -> Pixelization:
        """The pixels by which regions are indexed."""
        return self.pixelization(self.common_pixels)

    def pixelization(self, name: str) -> Pixelization:
        """Return the pixels that a dimension such as ``healpix10`` numbers.

        Raises
        ------
        DataIdError
            The dimension numbers no pixels.
        """
        pixels = self[name].pixels
        if pixels is None:
            raise DataIdError(f"{name} is no sky pixelization; those are htm0 … htm24 and healpix0 … healpix17.")
        return pixelization(*pixels)

    @cached_property
    def governors(self) -> tuple[str, ...]:
        """Dimensions, with records, that need none themselves and that others need: instrument, skymap."""
        needed = {name for element in self.elements for name in element.requires}
        return tuple(e.name for e in self.elements if e.name in needed and e.has_table and not e.requires)

    @staticmethod
    def _pixels(name: object) -> Element | None:
        return _pixel_element(name) if isinstance(name, str) else None

    def order(self, name: str) -> int:
        """Return the rank of a dimension in data IDs; sky pixels come last."""
        return self._order.get(name, len(self._order))

    def conform(self, names: str | Iterable[str] | DimensionGroup) -> DimensionGroup:
        """Return the closed group that holds these dimensions.

        Raises
        ------
        DataIdError
            One of them is not a dimension.
        """
        if isinstance(names, DimensionGroup) and names.universe is self:
            return names
        if not isinstance(names, Iterable):
            raise DataIdError(f"dimensions are a list of names, such as ['visit', 'detector']; not {names!r}.")
        wanted = frozenset((names,) if isinstance(names, str) else names)
        group = self._groups.get(wanted)
        if group is None:
            for name in wanted:
                if not self[name].is_dimension:
                    raise DataIdError(
                        f"{name!r} relates dimensions and is none itself; name {', '.join(self[name].requires)}."
                    )
            group = DimensionGroup(self, wanted)
            group = self._groups.setdefault(frozenset(group.names), group)
            self._groups[wanted] = group
        return group

    def to_json(self) -> str:
        """Return the definition as text; `universe_from_json` makes it again."""
        return json.dumps(self.definition)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DimensionUniverse) and self.definition == other.definition

    def __hash__(self) -> int:
        return hash((self.version, tuple(self._elements)))

    def __reduce__(self) -> tuple[Any, ...]:
        return universe_from_json, (None if self is default_universe() else self.to_json(),)

    def __repr__(self) -> str:
        return f"DimensionUniverse({self.namespace} version {self.version}, {len(self._elements)} elements)"


@lru_cache
def _pixel_element(name: str) -> Element | None:
    match = _PIXELIZATION.fullmatch(name)
    if match is None or int(match[2]) > _DEEPEST[match[1]]:
        return None
    key = Column("id", "int", "key", f"Pixel number, {match[1]} level {match[2]}.", nullable=False)
    return Element(name, f"A sky pixel of {match[1]} level {match[2]}.", key, (), (), (key,),
                   has_region=True, pixels=(match[1], int(match[2])))  # fmt: skip


def universe_from_json(text: str | None) -> DimensionUniverse:
    """Return the universe of a definition, the default one for None.

    One object a process, so that its groups compare by identity wherever it was read.
    """
    return default_universe() if text is None else _universe_of(text)


@cache
def _universe_of(text: str) -> DimensionUniverse:
    return DimensionUniverse(json.loads(text))


@lru_cache(maxsize=1)
def default_universe() -> DimensionUniverse:
    """Return the universe that a repository has unless it is created with another.

    A repository is opened without it: what it says of itself is read sooner than YAML.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = files(__package__).joinpath("dimensions.yaml").read_text(encoding="utf-8")
    definition = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, whichever it is
    return _universe_of(json.dumps(definition))
