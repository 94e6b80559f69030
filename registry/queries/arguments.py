"""What users give to queries, looked at: names, expressions with their bind values, limits."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, TypeAlias

from ...model.errors import InvalidQueryError
from . import tree
from .expression import parse

__all__ = ["Limit", "Where", "check_bound", "conditions", "names", "values_of", "yes_or_no"]

Where: TypeAlias = str | Iterable[str] | None
"""An expression, or several of which all must hold."""

_MOST = 2**63 - 1


def names(given: str | Iterable[str] | None, argument: str) -> tuple[str, ...]:
    """Return one name, or several, as a tuple; None is no name.

    Parameters
    ----------
    given
        What the user gave.
    argument
        What it was given as, for messages.

    Raises
    ------
    InvalidQueryError
        It is something else.
    """
    found = _several(given)
    if found is None or not all(isinstance(name, str) for name in found):
        raise InvalidQueryError(f"{argument} is a name, or a list of names; not {given!r}.")
    return found


def yes_or_no(given: Any, argument: str) -> bool:
    """Return what is True or False, of Python or numpy; see `names`.

    Raises
    ------
    InvalidQueryError
        It is something else: ``"no"`` would count as true.
    """
    if type(given).__name__ not in ("bool", "bool_"):
        raise InvalidQueryError(f"{argument} is True or False; not {given!r}.")
    return bool(given)


def conditions(where: Where, bind: Mapping[str, Any] | None) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Return expressions, each with its bind values.

    Raises
    ------
    InvalidQueryError
        An expression is no string, or ``bind`` no mapping of names.
    """
    values: Any = {} if bind is None else bind
    if not isinstance(values, Mapping):
        raise InvalidQueryError(f"bind is a dict of values by name, such as {{'x': 1}} for :x; not {bind!r}.")
    for name in values:
        if not (isinstance(name, str) and name.isidentifier()):
            wanted = f"; write {name[1:]!r}" if isinstance(name, str) and name[1:].isidentifier() else ""
            raise InvalidQueryError(f"bind has the name {name!r}; a name is letters, digits and '_', no colon{wanted}.")
    texts = _several(where)
    if texts is None or not all(isinstance(text, str) for text in texts):
        raise InvalidQueryError(f"where is an expression in a string, or a list of such; not {where!r}.")
    return tuple((text, values) for text in texts)


def _several(given: Any) -> tuple[Any, ...] | None:
    """Return what was given as a tuple: one string, several, or nothing; None where it is something else."""
    if given is None or isinstance(given, str):
        return () if given is None else (given,)
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, bytes | Mapping) else None


def values_of(
    texts: Iterable[str], values: Mapping[str, Any], dimensions: Container[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide keyword values into those that expressions name, and those that columns of these names must have."""
    spoken: set[str] = set()
    for text in texts:
        waiting = [parse(text)]
        while waiting:
            node = waiting.pop()
            if isinstance(node, tree.Bind):
                spoken.add(node.name)
            elif isinstance(node, tree.Name) and node.text not in dimensions:  # LSST's older spelling of a bind name
                spoken.add(node.text)
            if node is not None:
                waiting += tree.parts(node)
    return {n: v for n, v in values.items() if n in spoken}, {n: v for n, v in values.items() if n not in spoken}


def check_bound(where: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Raise where a value is given that no expression names: a misspelt name, mostly, or a forgotten condition.

    Raises
    ------
    InvalidQueryError
        There is one; it is named.
    """
    texts, given = [text for text, _ in where], {name: None for _, bind in where for name in bind}
    if given and (unused := values_of(texts, given, ())[1]):
        shown = ", ".join(f":{name}" for name in unused)
        raise InvalidQueryError(f"bind gives {shown}, which is not named in {' AND '.join(texts)!r}; leave it out.")


@dataclass(frozen=True, slots=True)
class Limit:
    """How many results a query gives."""

    most: int | None = None
    tells: bool = False
    """Whether it is told that there are more."""

    @classmethod
    def of(cls, given: int | None) -> Limit:
        """Read what a user gave: None for no limit, a negative number for one that tells where it cut off results.

        Raises
        ------
        InvalidQueryError
            It is no whole number.
        """
        if given is None:
            return cls()
        try:
            if isinstance(given, bool):
                raise TypeError
            count = index(given)  # numpy's integers are numbers, too
        except TypeError:
            raise InvalidQueryError(
                f"limit is how many results to return at most: a whole number or None; not {given!r}. "
                "A negative one also tells if there are more."
            ) from None
        return cls(None if abs(count) > _MOST else abs(count), count < 0)

    def tell(self) -> None:
        """Say that there are more."""
        import logging

        logging.getLogger(__name__).warning(
            "There are more results than the first %d; raise the limit to see them.", self.most
        )
