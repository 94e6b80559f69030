"""The syntax tree of a query expression: small, frozen, hashable, and free of any meaning.

AND and OR are n-ary, so that a tree is as deep as its parentheses and not as long as its list of alternatives. Every
node knows where in the text it began (``at``), which takes no part in comparisons: two expressions that differ only in
blanks have equal trees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from .kinds import Kind

__all__ = [
    "Among",
    "And",
    "Arithmetic",
    "Between",
    "Bind",
    "Boolean",
    "Call",
    "Compare",
    "In",
    "IsNull",
    "Like",
    "Literal",
    "Name",
    "Negative",
    "Node",
    "Not",
    "Null",
    "Or",
    "Pair",
    "Range",
    "Stride",
    "Time",
    "Value",
    "Values",
    "parts",
]


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a string, TRUE or FALSE."""

    value: int | float | str | bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Null:
    """NULL."""

    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Time:
    """An instant, ``T'...'``."""

    nanoseconds: int
    """TAI nanoseconds since 1970-01-01 TAI."""
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Range:
    """The integers ``start..stop:step``, both ends included; an item of an IN list."""

    start: int
    stop: int
    step: int = 1
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A name of up to three parts: ``detector``, ``visit.exposure_time``, ``visit.timespan.begin``."""

    text: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Bind:
    """A value given beside the expression, ``:name``."""

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function: GLOB, UUID, POINT, CIRCLE, BOX, POLYGON, REGION."""

    function: str
    """The name in capitals."""
    arguments: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two times in parentheses: the timespan from the first to the second."""

    begin: Node
    end: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Negative:
    """Unary minus."""

    operand: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``left + - * / % right``."""

    operator: str
    left: Node
    right: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """``left operator right``: ``=`` (or ``==``), ``!=`` (or ``<>``), ``<``, ``<=``, ``>``, ``>=``, ``OVERLAPS``."""

    operator: str
    left: Node
    right: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class In:
    """``operand [NOT] IN (items)``."""

    operand: Node
    items: tuple[Node, ...]
    negated: bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Like:
    """``operand [NOT] LIKE pattern``."""

    operand: Node
    pattern: Node
    negated: bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Between:
    """``operand [NOT] BETWEEN low AND high``, both ends included."""

    operand: Node
    low: Node
    high: Node
    negated: bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class IsNull:
    """``operand IS [NOT] NULL``."""

    operand: Node
    negated: bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """``NOT operand``."""

    operand: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """All of the terms."""

    terms: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the terms."""

    terms: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A value taken out of the tree (`values.lift`), so that trees that differ only in values are equal."""

    kind: Kind
    index: int
    """Its place among the values taken out; a timespan takes two, begin and end."""
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Values:
    """Values of an IN list, taken out as one."""

    kind: Kind
    index: int
    count: int
    """How many; -1 for so many that they travel as one."""
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Stride:
    """A range of an IN list whose start and stop were taken out, in this order."""

    index: int
    stepped: bool
    """Whether the step is more than 1; if so, it follows, and what it leaves of members from 0 on, and below 0."""
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Among:
    """Columns whose values together are one of several rows (`gather`)."""

    names: tuple[Name, ...]
    kinds: tuple[Kind, ...]
    index: int
    """The place of the first value."""
    count: int
    """How many values of one column there are, one by one; -1 where all rows are one value."""
    at: int = field(default=0, compare=False)


Boolean: TypeAlias = And | Or | Not | Compare | In | Like | Between | IsNull | Among
"""What can only be true, false or NULL."""

Node: TypeAlias = (
    Boolean
    | Literal
    | Null
    | Time
    | Range
    | Name
    | Bind
    | Call
    | Pair
    | Negative
    | Arithmetic
    | Value
    | Values
    | Stride
)


def parts(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below one, in the order of the text."""
    match node:
        case And() | Or():
            return node.terms
        case Compare() | Arithmetic():
            return (node.left, node.right)
        case Not() | Negative() | IsNull():
            return (node.operand,)
        case In():
            return (node.operand, *node.items)
        case Like():
            return (node.operand, node.pattern)
        case Between():
            return (node.operand, node.low, node.high)
        case Call():
            return node.arguments
        case Pair():
            return (node.begin, node.end)
        case Among():
            return node.names
        case _:
            return ()
