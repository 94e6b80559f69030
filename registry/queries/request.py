"""What a query asks, and reading it: expressions parsed, values taken out, names resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from ...model.datasets import DatasetType
from ...model.dimensions import DimensionGroup, Element
from ...model.errors import InvalidQueryError
from . import tree
from .dialect import Dialect
from .expression import parse
from .kinds import Kind
from .resolve import Field, Scope, names_in
from .source import Source
from .values import Lifter

__all__ = ["Condition", "Order", "Reading", "Request", "read"]


@dataclass(frozen=True, slots=True)
class Request:
    """What one query asks."""

    kind: Literal["datasets", "data_ids", "records"]
    dimensions: DimensionGroup
    """Dimensions of the results."""
    element: Element | None = None
    """The element whose records are asked for."""
    dataset_types: tuple[DatasetType, ...] = ()
    """The dataset type asked for, or those of which each data ID must have one."""
    collections: tuple[str, ...] = ()
    find_first: bool = True
    where: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """Expressions, each with its bind values; all must hold."""
    data_id: Mapping[str, Any] = field(default_factory=dict)
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    tells_of_more: bool = False
    """Whether it is told that the limit cut off results."""

    @property
    def record_element(self) -> Element:
        """The element whose records are asked for, where they are."""
        return cast("Element", self.element)

    def shows_validity(self, is_temporal: bool) -> bool:
        """Whether results say when each is valid: all datasets of a search that is temporal do."""
        return self.kind == "datasets" and not self.find_first and is_temporal


@dataclass(frozen=True, slots=True)
class Condition:
    """One expression's shape."""

    source: Source
    shape: tree.Node


@dataclass(frozen=True, slots=True)
class Order:
    """One column to sort by."""

    field: Field
    descending: bool
    source: Source
    """The text that names it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A request, read."""

    conditions: tuple[Condition, ...]
    order: tuple[Order, ...]
    values: list[Any]
    """The values of all expressions, by index."""
    fields: Mapping[str, Field]
    """The column that each name in the conditions means."""

    @property
    def shape(self) -> tuple[Any, ...]:
        """What decides on the SQL: all but the values."""
        sorting = tuple((order.field, order.descending) for order in self.order)
        return tuple(condition.shape for condition in self.conditions), sorting


def read(request: Request, dialect: Dialect, known_dataset_types: Iterable[str]) -> Reading:
    """Parse, lift and resolve all that a request says.

    Raises
    ------
    InvalidQueryError
        An expression is not of the language, or a name in it means nothing.
    """
    scope = Scope(request.dimensions, request.dataset_types, request.element, frozenset(known_dataset_types))
    lifter = Lifter(dialect, scope.knows)
    conditions: list[Condition] = []
    for text, bind in request.where:
        node = parse(text)
        if node is not None:
            source = Source(text)
            conditions.append(Condition(source, lifter.lift(node, source, bind)))
    fields: dict[str, Field] = {}
    for condition in conditions:
        for name in names_in(condition.shape):
            if name.text not in fields:
                fields[name.text] = scope.field(name, condition.source)
    conditions += _of_data_id(request, scope, lifter, fields)
    _check_governors(request, conditions, fields)
    return Reading(tuple(conditions), tuple(_order(request, scope)), lifter.values, fields)


def _of_data_id(request: Request, scope: Scope, lifter: Lifter, fields: dict[str, Field]) -> list[Condition]:
    """Make conditions of the given data ID; an instrument or sky map that the query knows nothing of says nothing."""
    universe = request.dimensions.universe
    spoken = set(request.dimensions.names)
    for known in fields.values():
        if not known.of_dataset:
            spoken.update(universe[known.owner].required)
    for dataset_type in request.dataset_types:
        spoken.update(dataset_type.dimensions.names)
    for name in request.data_id:
        if name in universe and universe[name].requires:
            spoken.update(universe[name].requires)
    conditions = []
    for name, value in request.data_id.items():
        is_governor = name in universe and universe[name].is_dimension and not universe[name].requires
        if value is None or (is_governor and universe[name].has_table and name not in spoken):
            continue
        source = Source(f"{name}={value!r}", "data_id")
        fields[name] = scope.field(tree.Name(name), source)
        equal = tree.Compare("=", tree.Name(name), tree.Bind(name, len(name) + 1), len(name))
        conditions.append(Condition(source, lifter.lift(equal, source, {name: value})))
    return conditions


def _check_governors(request: Request, conditions: list[Condition], fields: Mapping[str, Field]) -> None:
    """Raise where a dimension that the results do not have is named without what its value depends on."""
    universe = request.dimensions.universe
    present = set(request.dimensions.names) | {f.owner for f in fields.values() if f.is_dimension}
    for dataset_type in request.dataset_types:
        present.update(dataset_type.dimensions.names)
    for condition in conditions:
        for name in names_in(condition.shape):
            field = fields[name.text]
            if not field.is_dimension:
                continue
            for governor in universe[field.owner].requires:
                if not universe[governor].requires and governor not in present:
                    raise condition.source.error(
                        name.at,
                        f"{field.owner} means nothing without {governor}; add {governor} = '…', or give {governor}=….",
                    )


def _order(request: Request, scope: Scope) -> Iterable[Order]:
    for text in request.order_by:
        source = Source(text, "order_by")
        name = text.strip()
        descending = name.startswith("-")
        name = name[1:].strip() if descending else name
        if not isinstance(_parsed(name), tree.Name):
            raise source.error(
                0, "A name to sort by is wanted, with '-' before it for descending order; several are a list."
            )
        at = text.index(name)
        found = scope.field(tree.Name(name, at), source)
        if not found.kind.is_ordered:
            raise source.error(at, f"Nothing is sorted by {found.kind.value}.")
        if found.of_dataset and request.kind != "datasets":
            raise source.error(at, "The results are no datasets, and cannot be sorted by what is known of datasets.")
        if not found.of_dataset and not set(request.dimensions.universe[found.owner].required) <= set(
            request.dimensions.names
        ):
            known = ", ".join(request.dimensions.names)
            raise source.error(at, f"The results have no {found.owner} to be sorted by; they have {known}.")
        # What is open is sorted by numbers, then by strings: where it is the one, the other is NULL.
        for kind in (Kind.FLOAT, Kind.STRING) if found.kind is Kind.OPEN else (found.kind,):
            yield Order(replace(found, kind=kind), descending, source)


def _parsed(text: str) -> tree.Node | None:
    try:
        return parse(text)
    except InvalidQueryError:
        return None
