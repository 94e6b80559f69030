"""Text of a query expression to its syntax tree (``grammar.lark``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from . import tree
from .kinds import check_text
from .source import Source
from .times import parse_time

if TYPE_CHECKING:
    from lark import Lark, Token
    from lark.common import LexerConf
    from lark.lexer import Lexer

__all__ = ["parse"]

_SPELLINGS = {"==": "=", "<>": "!="}
_WIDEST = 2**63
_DIGITS = 19
"""Digits that an integer of 64 bits has at most."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T[\d:.]*)?", re.IGNORECASE)
_MEANT = {
    '"': "A string takes single quotes: 'Aa'.",
    "&": "Conditions are joined by AND.",
    "|": "Conditions are joined by OR.",
    "!": "A condition is turned round by NOT; 'differs' is written !=.",
    "'": "This string has no closing quote (a quote within a string is written twice: 'it''s').",
    ":": "A bind name is a letter or '_', then letters, digits and '_': :visit_1.",
    "[": "A list takes parentheses: (1, 2, 3).",
    "{": "A list takes parentheses: (1, 2, 3).",
    ".": "A name has at most three parts: visit.timespan.begin.",
}
_WORDS = {"NUMBER", "STRING", "TIME", "TRUE", "FALSE", "NULL", "NAME", "BIND"}


@lru_cache(maxsize=2048)
def parse(text: str) -> tree.Node | None:
    """Return the syntax tree of an expression; None where it is blank, which is true of everything.

    Raises
    ------
    InvalidQueryError
        The text is not of the language; the message shows the place.
    """
    if not text.strip():
        return None  # and no grammar is read for it
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    source = Source(text)
    try:
        return _parser().parse(text)  # type: ignore[return-value]
    except UnexpectedCharacters as error:
        at = cast("int", error.pos_in_stream)
        meant = _MEANT.get(text[at], f"The character {text[at]!r} has no meaning here.")
        raise source.error(at, f"Cannot read the expression. {meant}") from None
    except UnexpectedToken as error:
        raise _unexpected(source, error.token, set(error.expected)) from None
    except _Wrong as error:
        raise source.error(error.at, str(error)) from None


class _Wrong(Exception):  # noqa: N818 - never leaves this module
    """A token of the right form that says what cannot be."""

    def __init__(self, at: int, message: str):
        super().__init__(message)
        self.at = at


def _unexpected(source: Source, token: Token, expected: set[str]) -> Exception:
    """Make the error for a word that cannot stand where it does."""
    at = token.start_pos or 0
    value_is_missing = bool(expected & _WORDS)
    if token.type == "$END":
        at = len(source.text)
        what = (
            "a value is missing" if value_is_missing else "a ')' is missing" if "RPAR" in expected else "more is wanted"
        )
        return source.error(at, f"Cannot read the expression: it ends where {what}.")
    hint = ""
    if found := next((d for d in _DATE.finditer(source.text) if d.start() < at < d.end()), None):
        return source.error(found.start(), _bare_date(found[0]))
    if re.search(r"\bIN\s*$", source.text[:at], re.IGNORECASE) and token.type != "$END":
        hint = f" IN takes its values in parentheses: IN ({token})."
    elif token.type in ("COMPARISON", "OVERLAPS") and not value_is_missing:
        hint = " Comparisons do not chain: write 1 < detector AND detector < 3."
    elif token.type == "RPAR" and "RANGE" in expected:
        hint = " IN wants at least one value."
    elif token.type == "RANGE":
        hint = " A range stands in a list: detector IN (1..3)."
    elif token.type in ("RPAR", "COMMA") and not value_is_missing:
        hint = " No parenthesis is open here." if token.type == "RPAR" else " Only lists and functions take commas."
    elif token.type in _WORDS and not value_is_missing:
        hint = " AND, OR or an operator is missing before it."
    elif value_is_missing:
        hint = " A value is missing before it."
    return source.error(at, f"Cannot read the expression: {str(token)!r} cannot stand here.{hint}")


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark

    grammar = files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer=_words(), maybe_placeholders=False, transformer=_builder())


def _words() -> type[Lexer]:
    """Return what splits a text into the grammar's words, in half the time of lark's own: lines are not counted."""
    from lark import Token
    from lark.exceptions import UnexpectedCharacters
    from lark.lexer import Lexer

    class Words(Lexer):
        def __init__(self, conf: LexerConf):
            words = [word for word in conf.terminals if word.name not in conf.ignore]
            words.sort(key=lambda word: (-word.priority, -word.pattern.max_width, -len(word.pattern.value)))
            listed = "|".join(f"(?P<{word.name}>{word.pattern.to_regexp()})" for word in words)
            self._word = re.compile(rf"\s*(?:{listed})")

        def lex(self, text: str) -> Iterator[Token]:  # type: ignore[override]
            end = 0
            for found in iter(self._word.scanner(text).match, None):  # type: ignore[attr-defined]
                kind = found.lastgroup
                end = found.end()
                yield Token(kind, found[kind], found.start(kind))
            if rest := text[end:].lstrip():
                raise UnexpectedCharacters(text, len(text) - len(rest), 1, 1)  # type: ignore[no-untyped-call]

    return Words


def _builder() -> Any:
    """Return what makes a node of each rule as soon as it is read; lark calls the method of the rule's alias."""
    from lark import Transformer

    class Builder(Transformer[Any, Any]):
        def start(self, found: list[Any]) -> tree.Node | None:
            return found[0] if found else None

        # Lists: the first item makes one, each further one is appended, and the rule above closes it.
        def first(self, found: list[Any]) -> list[Any]:
            return found

        def more(self, found: list[Any]) -> list[Any]:
            found[0].append(found[1])
            return found[0]  # type: ignore[no-any-return]

        def any_of(self, found: list[Any]) -> tree.Node:
            terms = found[0]
            return terms[0] if len(terms) == 1 else tree.Or(tuple(terms), terms[0].at)

        def all_of(self, found: list[Any]) -> tree.Node:
            terms = found[0]
            return terms[0] if len(terms) == 1 else tree.And(tuple(terms), terms[0].at)

        def negation(self, found: list[Any]) -> tree.Node:
            return tree.Not(found[1], found[0].start_pos)

        def compare(self, found: list[Any]) -> tree.Node:
            left, operator, right = found
            spelled = "OVERLAPS" if operator.type == "OVERLAPS" else _SPELLINGS.get(operator, str(operator))
            return tree.Compare(spelled, left, right, operator.start_pos)

        def is_in(self, found: list[Any]) -> tree.Node:
            return tree.In(found[0], tuple(found[2]), False, found[1].start_pos)

        def is_not_in(self, found: list[Any]) -> tree.Node:
            return tree.In(found[0], tuple(found[3]), True, found[1].start_pos)

        def is_like(self, found: list[Any]) -> tree.Node:
            return tree.Like(found[0], found[2], False, found[1].start_pos)

        def is_not_like(self, found: list[Any]) -> tree.Node:
            return tree.Like(found[0], found[3], True, found[1].start_pos)

        def is_between(self, found: list[Any]) -> tree.Node:
            return tree.Between(found[0], found[2], found[3], False, found[1].start_pos)

        def is_not_between(self, found: list[Any]) -> tree.Node:
            return tree.Between(found[0], found[3], found[4], True, found[1].start_pos)

        def is_null(self, found: list[Any]) -> tree.Node:
            return tree.IsNull(found[0], False, found[1].start_pos)

        def is_not_null(self, found: list[Any]) -> tree.Node:
            return tree.IsNull(found[0], True, found[1].start_pos)

        def arithmetic(self, found: list[Any]) -> tree.Node:
            made = tree.Arithmetic(str(found[1]), found[0], found[2], found[1].start_pos)
            _check_no_date(made)
            return made

        def positive(self, found: list[Any]) -> tree.Node:
            return found[1]  # type: ignore[no-any-return]

        def negative(self, found: list[Any]) -> tree.Node:
            operand = found[1]
            if type(operand) is tree.Literal and type(operand.value) in (int, float):
                return tree.Literal(-operand.value, found[0].start_pos)  # type: ignore[operator]
            return tree.Negative(operand, found[0].start_pos)

        def number(self, found: list[Any]) -> tree.Node:
            token = found[0]
            return tree.Literal(_number(token), token.start_pos)

        def string(self, found: list[Any]) -> tree.Node:
            token = found[0]
            try:
                check_text(token)
            except ValueError as error:
                raise _Wrong(token.start_pos, f"This string cannot be: {error}.") from None
            return tree.Literal(token[1:-1].replace("''", "'"), token.start_pos)

        def time(self, found: list[Any]) -> tree.Node:
            token = found[0]
            try:
                return tree.Time(parse_time(token[2:-1]), token.start_pos)
            except ValueError as error:
                raise _Wrong(token.start_pos, f"Cannot read the time: {error}.") from None

        def true(self, found: list[Any]) -> tree.Node:
            return tree.Literal(True, found[0].start_pos)

        def false(self, found: list[Any]) -> tree.Node:
            return tree.Literal(False, found[0].start_pos)

        def null(self, found: list[Any]) -> tree.Node:
            return tree.Null(found[0].start_pos)

        def name(self, found: list[Any]) -> tree.Node:
            return tree.Name(str(found[0]), found[0].start_pos)

        def bind(self, found: list[Any]) -> tree.Node:
            return tree.Bind(str(found[0][1:]), found[0].start_pos)

        def call(self, found: list[Any]) -> tree.Node:
            arguments = tuple(found[1]) if len(found) > 1 else ()
            return tree.Call(found[0].upper(), arguments, found[0].start_pos)

        def pair(self, found: list[Any]) -> tree.Node:
            return tree.Pair(found[1], found[2], found[0].start_pos)

        def range(self, found: list[Any]) -> tree.Node:
            return _range(found[0])

    return Builder()


def _number(token: Token) -> int | float:
    text = str(token)
    if text.isdigit():
        return _whole(text, token)
    return float(text)


def _whole(text: str, token: Token) -> int:
    """Return an integer that a database can hold; longer ones are not even looked at."""
    if len(text.lstrip("+-0")) > _DIGITS or not -_WIDEST <= (value := int(text)) < _WIDEST:
        shown = text if len(text) <= 2 * _DIGITS else f"{text[:_DIGITS]}…"
        raise _Wrong(token.start_pos or 0, f"The number {shown} does not fit 64 bits.")
    return value


def _check_no_date(node: tree.Arithmetic) -> None:
    """Raise where a subtraction is a date that was written without quotes, as in ``day_obs = 2019-05-03``."""
    match node:
        case tree.Arithmetic(
            "-",
            tree.Arithmetic("-", tree.Literal(int() as year, at=at), tree.Literal(int() as month), at=first),
            tree.Literal(int() as day),
            at=second,
        ) if first == at + 4 and second - first in (2, 3) and year >= 1000 and 1 <= month <= 12 and 1 <= day <= 31:
            raise _Wrong(at, _bare_date(f"{year}-{month:02}-{day:02}"))


def _bare_date(text: str) -> str:
    day = text[:10].replace("-", "")
    return (
        f"{text} without quotes is a subtraction. A day is written as an integer: day_obs = {day}; "
        f"an instant in quotes: T'{text}'."
    )


def _range(token: Token) -> tree.Range:
    ends, _, stride = str(token).partition(":")
    start, stop = (_whole(end.strip(), token) for end in ends.split(".."))
    step = _whole(stride.strip() or "1", token)
    at = token.start_pos or 0
    if stop < start:
        raise _Wrong(at, f"The range {start}..{stop} runs backwards; its end must not be before its start.")
    if step < 1:
        raise _Wrong(at, f"The stride of a range is 1 or more, not {step}.")
    return tree.Range(start, stop, step, at)
