"""A syntax tree to the text of an expression: `expression.parse` of it gives the tree again."""

from __future__ import annotations

from . import tree

__all__ = ["unparse"]


def unparse(node: tree.Node) -> str:
    """Return an expression whose tree is the one given.

    Parameters
    ----------
    node
        A tree as it was parsed, its values not taken out.
    """
    match node:
        case tree.And():
            return " AND ".join(map(_inner, node.terms))
        case tree.Or():
            return " OR ".join(map(_inner, node.terms))
        case tree.Not():
            return f"NOT {_inner(node.operand)}"
        case tree.Compare() | tree.Arithmetic():
            return f"{_inner(node.left)} {node.operator} {_inner(node.right)}"
        case tree.Negative():
            return f"-{_inner(node.operand)}"
        case tree.In():
            items = ", ".join(unparse(item) if isinstance(item, tree.Range) else _inner(item) for item in node.items)
            return f"{_inner(node.operand)} {'NOT ' if node.negated else ''}IN ({items})"
        case tree.Like():
            return f"{_inner(node.operand)} {'NOT ' if node.negated else ''}LIKE {_inner(node.pattern)}"
        case tree.Between():
            negated = "NOT " if node.negated else ""
            return f"{_inner(node.operand)} {negated}BETWEEN {_inner(node.low)} AND {_inner(node.high)}"
        case tree.IsNull():
            return f"{_inner(node.operand)} IS {'NOT ' if node.negated else ''}NULL"
        case _:
            return _atom(node)


def _inner(node: tree.Node) -> str:
    """Return a part of an expression, in parentheses unless it is one word."""
    text = unparse(node)
    whole = isinstance(node, tree.Name | tree.Bind | tree.Null | tree.Time | tree.Call | tree.Pair | tree.Literal)
    return text if whole and not text.startswith("-") else f"({text})"


def _atom(node: tree.Node) -> str:
    match node:
        case tree.Literal(value=bool() as value):
            return "TRUE" if value else "FALSE"
        case tree.Literal(value=str() as value):
            return "'" + value.replace("'", "''") + "'"
        case tree.Literal():
            return repr(node.value)
        case tree.Time():
            return f"T'{_isot(node.nanoseconds)}/tai'"
        case tree.Range():
            return f"{node.start}..{node.stop}" + (f":{node.step}" if node.step != 1 else "")
        case tree.Name():
            return node.text
        case tree.Bind():
            return f":{node.name}"
        case tree.Null():
            return "NULL"
        case tree.Pair():
            return f"({unparse(node.begin)}, {unparse(node.end)})"
        case tree.Call():
            return f"{node.function}({', '.join(map(unparse, node.arguments))})"
    raise TypeError(f"{type(node).__name__} has no spelling: its value was taken out")


def _isot(nanoseconds: int) -> str:
    from datetime import datetime, timedelta

    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{(datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat()}.{rest:09d}"
