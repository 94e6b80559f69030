"""Taking the values out of a syntax tree: literals, bind values, and functions of them.

What is left is the expression's shape. Equal shapes have the same SQL, which is compiled once, and the values travel
beside it as parameters: no value is ever part of SQL text.
"""

from __future__ import annotations

import json
import logging
import math
import uuid
from collections.abc import Callable, Iterable, Mapping, Set, ValuesView
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

from ...model.errors import closest
from ...model.region import Region
from ...model.timespan import Timespan
from . import patterns, tree
from .dialect import Dialect
from .gather import gather
from .kinds import Kind, check_text, classify, common_kind
from .source import Source

__all__ = ["SMALL_LIST", "Lifter"]

T = TypeVar("T")

SMALL_LIST = 32
"""Values that an IN list passes one by one; longer ones travel as one parameter."""

_REGION_FUNCTIONS = {"POINT": "ra, dec", "CIRCLE": "ra, dec, radius", "BOX": "ra, dec, width, height",
                     "POLYGON": "ra1, dec1, ra2, dec2, ra3, dec3, …", "REGION": "'POS string'"}  # fmt: skip
_FUNCTIONS = {**_REGION_FUNCTIONS, "GLOB": "column, 'pattern'", "UUID": "'hexadecimal digits'"}
_UNBOUNDED = Timespan(None, None)
_ORDERED = (Kind.INT, Kind.FLOAT, Kind.TIME, Kind.STRING)


class Lifter:
    """Takes the values out of one or more trees into one list.

    Parameters
    ----------
    dialect
        The database's, in whose form values are kept.
    is_column
        Says of a name whether it means a column. One that does not may name a bind value without its colon, which is
        LSST's older spelling.
    """

    def __init__(self, dialect: Dialect, is_column: Callable[[tree.Name], bool]):
        self.values: list[Any] = []
        """As the driver takes them; a region as it is, which only the sky's own code looks at."""
        self.dialect = dialect
        self.is_column = is_column

    def lift(self, node: tree.Node, source: Source, bind: Mapping[str, Any]) -> tree.Node:
        """Return a tree with its values taken out.

        Raises
        ------
        InvalidQueryError
            A bind name has no value, a value cannot be one, or a function is not one.
        """
        return _Lift(self, source, bind).node(node)

    def add(self, value: Any) -> int:
        """Keep a value and return its place."""
        self.values.append(value)
        return len(self.values) - 1

    def pattern(self, pieces: list[str | patterns.Wildcard]) -> int:
        """Keep a pattern and return its place."""
        return self.add(self.dialect.pattern(pieces))


class _Lift:
    def __init__(self, into: Lifter, source: Source, bind: Mapping[str, Any]):
        self.into = into
        self.source = source
        self.bind = bind

    def node(self, node: tree.Node) -> tree.Node:
        match node:
            case tree.Literal():
                return self.value(classify(node.value), node.at)
            case tree.Time():
                return self.value((Kind.TIME, node.nanoseconds), node.at)
            case tree.Bind():
                return self.bound(node.name, node.at)
            case tree.Name() if self.is_bound(node):
                return self.bound(node.text, node.at)
            case tree.Or() if (gathered := self.gathered(node)) is not None:
                return gathered
            case tree.And() | tree.Or():
                return replace(node, terms=tuple([self.node(term) for term in node.terms]))
            case tree.Not() | tree.Negative() | tree.IsNull():
                return replace(node, operand=self.node(node.operand))
            case tree.Compare() | tree.Arithmetic():
                return replace(node, left=self.node(node.left), right=self.node(node.right))
            case tree.Between():
                return self.between(node)
            case tree.Like():
                return self.like(node)
            case tree.In():
                return replace(node, operand=self.node(node.operand), items=self.items(node.items))
            case tree.Call():
                return self.call(node)
            case tree.Pair():
                return self.pair(node)
            case _:
                return node

    def between(self, node: tree.Between) -> tree.Node:
        low, high = self.node(node.low), self.node(node.high)
        if isinstance(low, tree.Value) and isinstance(high, tree.Value) and low.kind is high.kind:
            values = self.into.values
            if low.kind in _ORDERED and values[low.index] > values[high.index]:
                said = "is always true" if node.negated else "finds nothing"
                _warn(f"{self.source.text!r}: BETWEEN wants the smaller value first; as it stands, it {said}.")
        return replace(node, operand=self.node(node.operand), low=low, high=high)

    def is_bound(self, name: tree.Name) -> bool:
        return name.text in self.bind and not self.into.is_column(name)

    def gathered(self, node: tree.Or) -> tree.Node | None:
        found = gather(node)
        if found is None or any(map(self.is_bound, found[0])):
            return None
        names, kinds, rows = found
        at = node.terms[0].at
        if len(names) > 1:
            return tree.Among(names, kinds, self.into.add(json.dumps(rows)), -1, at)
        listed = [row[0] for row in rows]
        if len(listed) > SMALL_LIST:
            return tree.Among(names, kinds, self.into.add(json.dumps(listed)), -1, at)
        index = len(self.into.values)
        self.into.values += listed
        return tree.Among(names, kinds, index, len(listed), at)

    def value(self, classified: tuple[Kind, Any], at: int) -> tree.Node:
        kind, value = classified
        index = self.into.add(value.begin_ns if kind is Kind.TIMESPAN else self.into.dialect.encode(kind, value))
        if kind is Kind.TIMESPAN:
            self.into.add(value.end_ns)
        return tree.Value(kind, index, at)

    def bound(self, name: str, at: int) -> tree.Node:
        value = self.of_bind(name, at)
        if value is None:
            return tree.Null(at)
        if _is_many(value):
            raise self.source.error(at, f":{name} holds several values; write IN (:{name}).")
        return self.value(self.classified(value, f":{name}", at), at)

    def of_bind(self, name: str, at: int) -> Any:
        try:
            return self.bind[name]
        except KeyError:
            given = ", ".join(f":{known}" for known in self.bind) or "none"
            raise self.source.error(
                at, f"No value is bound to :{name}.{closest(name, self.bind)} Given in bind: {given}."
            ) from None

    def classified(self, value: Any, what: str, at: int) -> tuple[Kind, Any]:
        return self.check(classify, value, what, at)

    def check(self, look: Callable[[Any], T], value: Any, what: str, at: int) -> T:
        """Look at a value that the user gave; what is wrong with it is told at its place."""
        try:
            return look(value)
        except ValueError as error:
            raise self.source.error(at, f"{what} cannot be used: {error}.") from None

    def items(self, items: Iterable[tree.Node]) -> tuple[tree.Node, ...]:
        """Gather the constants of an IN list; ranges, columns and what else is computed stay as they are."""
        kind: Kind | None = None
        gathered: list[Any] = []
        others: list[tree.Node] = []
        first = 0
        for item in items:
            found = self.constants(item)
            if isinstance(found, list):
                for one, values in found:
                    before = one if kind is None else kind
                    kind, first = common_kind(before, one), first or item.at
                    if kind is None:
                        wrong = f"A list holds values of one kind: this is {one.value}, not {before.value}."
                        raise self.source.error(item.at, wrong)
                    gathered += values
            else:
                others.append(found)
        if kind is not None:
            others += self.listed(kind, gathered, first)
        return tuple(others)

    def constants(self, item: tree.Node) -> list[tuple[Kind, list[Any]]] | tree.Node:
        """Return the constants that an item of a list is, those of each kind together; or what else it is."""
        if isinstance(item, tree.Name) and self.is_bound(item):
            item = tree.Bind(item.text, item.at)
        match item:
            case tree.Literal():
                kind, value = classify(item.value)
                return [(kind, [value])]
            case tree.Time():
                return [(Kind.TIME, [item.nanoseconds])]
            case tree.Call(function="UUID"):
                return [(Kind.UUID, [self.uuid(item)])]
            case tree.Null():
                raise self.source.error(item.at, "NULL equals nothing, so no list holds it; add OR … IS NULL.")
            case tree.Range():
                return self.stride(item)
            case tree.Bind():
                value = self.of_bind(item.name, item.at)
                if not isinstance(value, range):
                    return self.many(value, f":{item.name}", item.at)
                if not value:
                    return []
                low, high = sorted((value[0], value[-1]))
                for number in (low, high, step := abs(value.step)):
                    self.classified(number, f":{item.name}", item.at)
                return self.stride(tree.Range(low, high, step, item.at))
        return self.node(item)

    def listed(self, kind: Kind, values: list[Any], at: int) -> Iterable[tree.Values]:
        if not kind.is_comparable:
            raise self.source.error(at, f"{kind.value.capitalize()} is in no list; use OVERLAPS.")
        dialect = self.into.dialect
        if len(values) > SMALL_LIST:
            infinite = sorted({v for v in values if math.isinf(v)}) if kind is Kind.FLOAT else []
            finite = [v for v in values if v not in infinite] if infinite else values  # JSON has no infinity
            yield tree.Values(kind, self.into.add(dialect.json_list(kind, finite)), -1, at)
            values = infinite
        if values:
            index = len(self.into.values)
            self.into.values += [dialect.encode(kind, value) for value in values]
            yield tree.Values(kind, index, len(values), at)

    def stride(self, item: tree.Range) -> tree.Stride:
        index = self.into.add(item.start)
        self.into.values.append(item.stop)
        if item.step > 1:
            remainder = item.start % item.step
            self.into.values += (item.step, remainder, remainder and remainder - item.step)
        return tree.Stride(index, item.step > 1, item.at)

    def many(self, value: Any, what: str, at: int) -> list[tuple[Kind, list[Any]]]:
        if not _is_many(value):
            kind, one = self.classified(value, what, at)
            return [(kind, [one])]
        listing = getattr(value, "tolist", None) or getattr(value, "to_pylist", None)  # numpy's, pandas', Arrow's
        plain = listing() if listing is not None else list(value)
        # There may be 100,000: those of one type are looked at together where that tells as much.
        kinds = set(map(type, plain))
        if kinds == {int}:
            for extreme in (min(plain), max(plain)):
                self.classified(extreme, f"{extreme!r} in {what}", at)
            return [(Kind.INT, plain)]
        if kinds == {str}:
            self.check(check_text, "".join(plain), f"A string in {what}", at)
            return [(Kind.STRING, plain)]
        if kinds == {uuid.UUID}:
            return [(Kind.UUID, plain)]
        if any(item is None for item in plain):
            raise self.source.error(at, f"{what} holds None, which equals nothing; leave it out and add OR … IS NULL.")
        classified = (self.classified(item, f"{item!r} in {what}", at) for item in plain)
        return [(kind, [one]) for kind, one in classified]

    def like(self, node: tree.Like) -> tree.Node:
        text = self.text(node.pattern, "LIKE wants a pattern in quotes, such as 'A%'")
        index = self.into.pattern(patterns.read_like(text))
        return replace(node, operand=self.node(node.operand), pattern=tree.Value(Kind.PATTERN, index, node.pattern.at))

    def call(self, node: tree.Call) -> tree.Node:
        name = node.function
        if name not in _FUNCTIONS:
            known = ", ".join(f"{function}({wants})" for function, wants in _FUNCTIONS.items())
            raise self.source.error(
                node.at, f"There is no function {name}.{closest(name, _FUNCTIONS)} There are {known}."
            )
        if name == "UUID":
            return tree.Value(Kind.UUID, self.into.add(self.into.dialect.encode(Kind.UUID, self.uuid(node))), node.at)
        if name == "GLOB":
            self.arguments(node, 2)
            text = self.text(node.arguments[1], "GLOB wants a pattern in quotes, such as GLOB(full_name, 'A*')")
            index = self.into.pattern(patterns.read_glob(text))
            pattern = tree.Value(Kind.PATTERN, index, node.arguments[1].at)
            return tree.Like(self.node(node.arguments[0]), pattern, False, node.at)
        return tree.Value(Kind.REGION, self.into.add(self.region(node)), node.at)

    def arguments(self, node: tree.Call, count: int) -> None:
        if len(node.arguments) != count:
            wants = _FUNCTIONS[node.function]
            raise self.source.error(node.at, f"{node.function} is written {node.function}({wants}).")

    def uuid(self, node: tree.Call) -> uuid.UUID:
        self.arguments(node, 1)
        text = self.text(node.arguments[0], "UUID wants its digits in quotes")
        try:
            return uuid.UUID(text)
        except ValueError:
            raise self.source.error(node.at, f"{text!r} is no UUID: 32 hexadecimal digits are wanted.") from None

    def region(self, node: tree.Call) -> Region:
        name, count = node.function, len(node.arguments)
        wanted = {"POINT": 2, "CIRCLE": 3, "BOX": 4, "REGION": 1}.get(name)
        if wanted is not None:
            self.arguments(node, wanted)
        elif count < 6 or count % 2:
            raise self.source.error(
                node.at, "POLYGON wants three or more pairs: POLYGON(ra1, dec1, ra2, dec2, ra3, dec3, …)."
            )
        if name == "REGION":
            text = self.text(node.arguments[0], "REGION wants an IVOA POS string such as 'CIRCLE 320 -0.25 0.1'")
            return self.checked(node, lambda: Region(text))
        numbers = [self.number(argument, name) for argument in node.arguments]
        if name == "POLYGON":
            return self.checked(node, lambda: Region.polygon(list(zip(numbers[::2], numbers[1::2], strict=True))))
        makers: dict[str, Callable[..., Region]] = {"POINT": Region.point, "CIRCLE": Region.circle, "BOX": Region.box}
        make = makers[name]
        return self.checked(node, lambda: make(*numbers))

    def checked(self, node: tree.Call, make: Callable[[], Region]) -> Region:
        try:
            region = make()
            _ = region.shape  # the geometry library may find fault with what the form of the text allows
        except (ValueError, RuntimeError) as error:
            raise self.source.error(node.at, f"{node.function}: {error}.") from None
        return region

    def text(self, node: tree.Node, otherwise: str) -> str:
        """Return the string that an argument is, by itself or by its bind name."""
        value = node.value if isinstance(node, tree.Literal) else None
        if isinstance(node, tree.Bind):
            value = self.of_bind(node.name, node.at)
        if not isinstance(value, str):
            raise self.source.error(node.at, f"{otherwise}.")
        self.check(check_text, value, "This text", node.at)
        return value

    def number(self, node: tree.Node, function: str) -> float:
        """Return the number that an argument is, by itself, by its bind name or by arithmetic of such."""
        match node:
            case tree.Literal(value=bool()):
                pass
            case tree.Literal(value=int() | float() as value):
                return float(value)
            case tree.Bind():
                kind, value = self.classified(self.of_bind(node.name, node.at), f":{node.name}", node.at)
                if kind.is_number:
                    return float(value)
            case tree.Negative():
                return -self.number(node.operand, function)
            case tree.Arithmetic(operator="+" | "-" | "*" | "/" as operator):
                left, right = self.number(node.left, function), self.number(node.right, function)
                if operator == "/":
                    if right == 0:
                        raise self.source.error(node.at, "This divides by zero.")
                    return left / right
                return left + right if operator == "+" else left - right if operator == "-" else left * right
        raise self.source.error(node.at, f"{function} wants numbers, in degrees; a column has no place in it.")

    def pair(self, node: tree.Pair) -> tree.Node:
        """Make a timespan of two times; NULL leaves an end open."""
        begin, end = (self.node(part) for part in (node.begin, node.end))
        bounds: list[int] = []
        for part, unbounded in ((begin, _UNBOUNDED.begin_ns), (end, _UNBOUNDED.end_ns)):
            if isinstance(part, tree.Null):
                bounds.append(unbounded)
            elif isinstance(part, tree.Value) and part.kind is Kind.TIME:
                bounds.append(self.into.values[part.index])
            else:
                raise self.source.error(
                    part.at, "A timespan is written (begin, end), of two times: T'…', :name or NULL."
                )
        if (span := Timespan(*bounds)).is_empty:
            _warn(f"{self.source.text!r}: a timespan that does not end after it begins overlaps nothing.")
        return self.value((Kind.TIMESPAN, span), node.at)


@lru_cache(maxsize=256)
def _warn(text: str) -> None:
    """Tell of what is allowed and hardly meant: once, though a query is read each time that it is asked something."""
    logging.getLogger(__name__).warning("%s", text)


def _is_many(value: Any) -> bool:
    return (
        isinstance(value, list | tuple | Set | ValuesView | range)
        or hasattr(value, "to_pylist")
        or (hasattr(value, "tolist") and getattr(value, "shape", None) != () and not hasattr(value, "icrs"))
    )
