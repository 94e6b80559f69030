"""Names in expressions to columns: which record, dataset or dimension a name speaks of, and the kind of its values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...model.datasets import DatasetType
from ...model.dimensions import DimensionGroup, DimensionUniverse, Element
from ...model.errors import InvalidQueryError, closest
from . import tree
from .kinds import OF_COLUMN, Kind
from .source import Source

if TYPE_CHECKING:
    from ..annotations import AnnotationScope

__all__ = ["DATASET_FIELDS", "Field", "Scope", "key_kind", "names_in"]

_ANNOTATIONS: dict[str, AnnotationScope] = {"header": "header", "annotation": "user"}
"""What stands before the key of a header value or an annotation, and the scope that it means."""

DATASET_FIELDS = {
    "dataset_id": Kind.UUID,
    "run": Kind.STRING,
    "collection": Kind.STRING,
    "ingest_date": Kind.TIME,
    "size": Kind.INT,
    "path": Kind.STRING,
    "timespan": Kind.TIMESPAN,
}
"""What is known of every dataset beside its data ID.

Size (bytes) and path are those of its file; its timespan is when it is valid: always, unless a CALIBRATION collection
says otherwise.
"""


@dataclass(frozen=True, slots=True)
class Field:
    """A column that a query speaks of."""

    owner: str
    """A dimension, an element or a dataset type."""
    column: str
    """Name in the element's table or among the dataset's fields; empty for a dimension's own value."""
    kind: Kind
    of_dataset: bool = False
    scope: AnnotationScope | None = None
    """Of a header value or an annotation, which it is; `column` is its key then."""

    @property
    def is_dimension(self) -> bool:
        """Whether it is a dimension's own value."""
        return not self.column

    @property
    def place(self) -> tuple[str, str | None, str]:
        """What tells it from others, whatever kind it is taken for."""
        return self.owner, self.scope, self.column

    def __str__(self) -> str:
        if self.scope:
            word = next(word for word, scope in _ANNOTATIONS.items() if scope == self.scope)
            return f"{self.owner}.{word}.{self.column}"
        return self.owner if self.is_dimension else f"{self.owner}.{self.column}"


@dataclass(frozen=True)
class Scope:
    """What the names of one query may speak of.

    Parameters
    ----------
    dimensions
        Dimensions of the results.
    dataset_types
        Dataset types that take part.
    element
        The element whose records are asked for, whose columns win over others of the same name.
    known_dataset_types
        Names of all dataset types there are, for messages.
    """

    dimensions: DimensionGroup
    dataset_types: tuple[DatasetType, ...] = ()
    element: Element | None = None
    known_dataset_types: frozenset[str] = frozenset()

    def field(self, name: tree.Name, source: Source) -> Field:
        """Return the column that a name means.

        Raises
        ------
        InvalidQueryError
            It means none, or several.
        """
        first, *rest = _parts(name.text)
        universe = self.dimensions.universe
        if not rest and first in universe and universe[first].is_dimension:
            return self._dimension(first, name, source)
        if rest and first in universe:
            return self._of_element(universe[first], rest, name, source)
        if rest and (first in self.known_dataset_types or any(t.name == first for t in self.dataset_types)):
            return self._of_dataset(first, rest, name, source)
        return self._bare(first, rest, name, source)

    def knows(self, name: tree.Name) -> bool:
        """Whether a name means a column."""
        try:
            self.field(name, Source(name.text))
        except InvalidQueryError:
            return False
        return True

    def _dimension(self, dimension: str, name: tree.Name, source: Source) -> Field:
        return Field(dimension, "", key_kind(self.dimensions.universe, dimension))

    def _of_element(self, element: Element, rest: list[str], name: tree.Name, source: Source) -> Field:
        column = element.index.get(rest[0])
        if element.pixels is not None and rest == ["region"]:
            return Field(element.name, "region", Kind.REGION)
        if column is None:
            if element.is_dimension and rest[0] == element.name and len(rest) == 1:
                return self._dimension(element.name, name, source)
            fields = [*element.index, *(("timespan.begin", "timespan.end") if element.has_timespan else ())]
            raise source.error(
                name.at + len(element.name) + 1,
                f"{element.name} has no field {rest[0]!r}.{closest(rest[0], fields)} It has {', '.join(fields)}.",
            )
        found = element.columns[column]
        if len(rest) > 1 and found.role != "timespan":
            raise source.error(name.at, f"{element.name}.{rest[0]} has no parts; only a timespan has .begin and .end.")
        if found.role == "key":
            return self._dimension(element.name, name, source)
        if found.role in ("required", "implied"):
            return self._dimension(found.name, name, source)
        if len(rest) > 1:
            return Field(element.name, f"timespan_{self._end(rest[1], name, source)}", Kind.TIME)
        return Field(element.name, found.name, OF_COLUMN[found.type])

    @staticmethod
    def _end(end: str, name: tree.Name, source: Source) -> str:
        if end not in ("begin", "end"):
            raise source.error(name.at + name.text.rindex(".") + 1, f"A timespan has .begin and .end, not .{end}.")
        return end

    def _of_dataset(self, dataset_type: str, rest: list[str], name: tree.Name, source: Source) -> Field:
        if all(t.name != dataset_type for t in self.dataset_types):
            raise source.error(name.at, f"Dataset type {dataset_type!r} takes no part in this query.")
        if rest[0] in _ANNOTATIONS:
            return self._annotation(dataset_type, rest, name, source)
        kind = DATASET_FIELDS.get(rest[0])
        if kind is Kind.TIMESPAN and len(rest) == 2:
            end = self._end(rest[1], name, source)
            return Field(dataset_type, f"timespan_{end}", Kind.TIME, of_dataset=True)
        if kind is None or len(rest) > 1:
            wrong, known = ".".join(rest), ", ".join(DATASET_FIELDS)
            raise source.error(
                name.at + len(dataset_type) + 1,
                f"A dataset has no field {wrong!r}.{closest(wrong, DATASET_FIELDS)} It has {known}, header.KEY and "
                "annotation.key.",
            )
        return Field(dataset_type, rest[0], kind, of_dataset=True)

    @staticmethod
    def _annotation(dataset_type: str, rest: list[str], name: tree.Name, source: Source) -> Field:
        word, *keys = rest
        if len(keys) != 1:
            example = "AIRMASS" if word == "header" else "quality"
            raise source.error(name.at, f"{word!r} takes one key: {dataset_type}.{word}.{example}.")
        key = keys[0].upper() if word == "header" else keys[0]  # a header's keys are in capitals
        return Field(dataset_type, key, Kind.OPEN, of_dataset=True, scope=_ANNOTATIONS[word])

    def _bare(self, first: str, rest: list[str], name: tree.Name, source: Source) -> Field:
        """Resolve a column without its element: the record's own, else one that only one of the elements has."""
        universe = self.dimensions.universe
        if first in _ANNOTATIONS and rest and self.dataset_types:
            if len(self.dataset_types) == 1:
                return self._annotation(self.dataset_types[0].name, [first, *rest], name, source)
            choices = ", ".join(f"{t.name}.{name.text}" for t in self.dataset_types)
            raise source.error(name.at, f"{name.text!r} is ambiguous; write one of {choices}.")
        owners = [self.element] if self.element is not None and first in self.element.index else []
        owners = owners or [e for e in map(universe.__getitem__, self.dimensions.elements) if first in e.index]
        # Records have timespans, too, and theirs are what most queries speak of.
        if first in DATASET_FIELDS and len(self.dataset_types) == 1 and not (owners and first == "timespan"):
            return self._of_dataset(self.dataset_types[0].name, [first, *rest], name, source)
        # A column that gives another dimension's value is that dimension, which would have been found by its name.
        owners = [e for e in owners if e.columns[e.index[first]].role not in ("required", "implied")]
        if len(owners) == 1:
            return self._of_element(owners[0], [first, *rest], name, source)
        if owners:
            choices = ", ".join(f"{e.name}.{name.text}" for e in owners)
            raise source.error(name.at, f"{name.text!r} is ambiguous; write one of {choices}.")
        if first in DATASET_FIELDS and self.dataset_types:
            choices = ", ".join(f"{t.name}.{first}" for t in self.dataset_types)
            raise source.error(name.at, f"{name.text!r} is ambiguous; write one of {choices}.")
        raise source.error(name.at, f"There is no {name.text!r} here.{self._near(name.text)}")

    def _near(self, text: str) -> str:
        """Return what an unknown name may have been meant to be."""
        universe = self.dimensions.universe
        first, _, rest = text.partition(".")
        if first in DATASET_FIELDS and not self.dataset_types and first != "timespan":
            return " Only datasets have one: ask query_datasets, or name their type in datasets=."
        candidates = {e.name: e.name for e in universe.elements}
        for element in map(universe.__getitem__, self.dimensions.elements):
            candidates |= {name: f"{element.name}.{name}" for name in element.index if name not in candidates}
        if self.dataset_types:
            candidates |= {name: name for name in DATASET_FIELDS}
        if elsewhere := [e.name for e in universe.elements if first in e.index]:
            return f" Did you mean {' or '.join(f'{e}.{text}' for e in elsewhere)}?"
        owners = [*(e.name for e in universe.elements), *(t.name for t in self.dataset_types)] if rest else []
        nearby = [*(f"{owner}.{rest}" for owner in owners), *candidates]
        meant = closest(text, nearby) or closest(text.lower(), nearby)
        return meant or f" Known: {', '.join(sorted(candidates))}."


def _parts(name: str) -> list[str]:
    """Return the parts of a name, the last one without its quotes."""
    front, quote, key = name.partition('"')
    return [*front[:-1].split("."), key[:-1]] if quote else name.split(".")


def key_kind(universe: DimensionUniverse, dimension: str) -> Kind:
    """Return the kind of a dimension's values."""
    key = universe[dimension].key
    if key is None:
        raise KeyError(dimension)
    return OF_COLUMN[key.type]


def names_in(node: tree.Node) -> Iterable[tree.Name]:
    """Return every name in a tree, in no particular order."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, tree.Name):
            yield current
        else:
            waiting.extend(tree.parts(current))
