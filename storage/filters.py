"""Row filters of tables: an expression in text, a list of tuples, or pyarrow's own, as one pyarrow expression.

The text is Python's or SQL's way of comparing columns: ``psf_flux > 100 and not flag``,
``band IN ('g', 'r')``, ``0.5 * a + b <= c``, ``x IS NOT NULL``. Names that are no identifiers stand in backquotes.
It is parsed, never executed.
"""

import ast
import operator
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..model.errors import InvalidQueryError, closest

if TYPE_CHECKING:
    import pyarrow.compute as pc

__all__ = ["AskedNames", "row_filter"]

_COMPARE: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_COMBINE: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_,
}  # fmt: skip
_OPERATORS = {"=": operator.eq, "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
              ">": operator.gt, ">=": operator.ge}  # fmt: skip
_SQL = {
    "AND": "and",
    "OR": "or",
    "NOT": "not",
    "IN": "in",
    "IS": "is",
    "NULL": "None",
    "TRUE": "True",
    "FALSE": "False",
}
_TOKEN = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|`([^`]+)`|(<=|>=|!=|<>|==|=)|\b([A-Za-z_]\w*)\b""")


def row_filter(filters: Any, columns: Sequence[str]) -> "pc.Expression":
    """Return a pyarrow expression that is true of the rows wanted.

    Parameters
    ----------
    filters
        Text (see the module), a pyarrow expression, a list of ``(column, operator, value)`` tuples that all must hold,
        or a list of such lists of which one must hold. Operators are ``= == != < <= > >= in`` and ``not in``.
    columns
        The columns that there are.

    Returns
    -------
    pyarrow.compute.Expression
        Rows for which it is null are not wanted.

    Raises
    ------
    InvalidQueryError
        If the text cannot be understood, or names a column that is not there.
    """
    import pyarrow.compute as pc

    if isinstance(filters, pc.Expression):
        return filters
    if isinstance(filters, str):
        return _Reader(filters, columns).expression()
    if isinstance(filters, list | tuple) and filters:
        if isinstance(filters, tuple) and isinstance(filters[0], str):
            filters = [filters]
        if isinstance(filters[0], list):
            return _joined(operator.or_, [row_filter(group, columns) for group in filters])
        return _joined(operator.and_, [_condition(term, columns) for term in filters])
    raise InvalidQueryError(
        f"filters={filters!r} is none of: text such as 'psf_flux > 100', a list of (column, operator, value), "
        "a pyarrow expression"
    )


class AskedNames(Sequence[str]):
    """Names of columns that remember which of them a filter asks for.

    Parameters
    ----------
    names
        The names.
    """

    def __init__(self, names: Sequence[str]):
        self._names = names
        self.asked: set[str] = set()
        """Those that have been looked for, and are there; none where the filter is pyarrow's own."""

    def __contains__(self, name: object) -> bool:
        if name in self._names:
            self.asked.add(str(name))
            return True
        return False

    def __getitem__(self, index: Any) -> Any:
        return self._names[index]

    def __len__(self) -> int:
        return len(self._names)


def _joined(how: Callable[[Any, Any], Any], terms: list[Any]) -> Any:
    whole = terms[0]
    for term in terms[1:]:
        whole = how(whole, term)
    return whole


def _term(value: Any) -> Any:
    """Return a value as an expression."""
    import pyarrow.compute as pc

    return value if isinstance(value, pc.Expression) else pc.scalar(value)


def _field(name: str, columns: Sequence[str], text: str) -> Any:
    import pyarrow.compute as pc

    if name not in columns:
        raise InvalidQueryError(
            f"the filter {text!r} names a column {name!r} that is not there.{closest(name, columns)}"
        )
    return pc.field(name)


def _condition(term: Any, columns: Sequence[str]) -> Any:
    """Return the expression of one ``(column, operator, value)``."""
    try:
        name, sign, value = term
    except (TypeError, ValueError):
        raise InvalidQueryError(f"a filter is (column, operator, value), not {term!r}") from None
    column = _field(name, columns, str(term))
    if sign in ("in", "not in"):
        found = column.isin(list(value))
        return ~found if sign == "not in" else found
    if sign not in _OPERATORS:
        known = ", ".join([*_OPERATORS, "in", "not in"])
        raise InvalidQueryError(f"the filter {term!r} has the operator {sign!r}, which is none of {known}")
    return _OPERATORS[sign](column, value)


class _Reader:
    """Reads one text."""

    def __init__(self, text: str, columns: Sequence[str]) -> None:
        self._text = text
        self._columns = columns
        self._quoted: dict[str, str] = {}

    def expression(self) -> Any:
        python = _TOKEN.sub(self._python_token, self._text.strip())
        try:
            tree = ast.parse(python, mode="eval")
        except (SyntaxError, ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise InvalidQueryError(f"the filter {self._text!r} cannot be understood: {reason}") from None
        import pyarrow as pa

        try:
            return self._column(tree.body)
        except (TypeError, OverflowError, pa.ArrowException) as error:
            raise InvalidQueryError(f"the filter {self._text!r} cannot be understood: {error}") from error

    def _python_token(self, match: re.Match[str]) -> str:
        literal, quoted, sign, word = match.groups()
        if literal:
            return literal
        if quoted:
            stand_in = f"_quoted_{len(self._quoted)}_"
            self._quoted[stand_in] = quoted
            return stand_in
        if sign:
            return {"=": "==", "<>": "!="}.get(sign, sign)
        return word if word in self._columns else _SQL.get(word.upper(), word)

    def _read(self, node: ast.AST) -> Any:
        match node:
            case ast.Name(id=name):
                return _field(self._quoted.get(name, name), self._columns, self._text)
            case ast.Constant(value=bool() | int() | float() | str() | None as value):
                return value
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                return ~self._column(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self._read(operand)
                return -value if isinstance(value, int | float) else _term(0) - _term(value)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._read(operand)
            case ast.BoolOp(op=joint, values=values):
                how = operator.and_ if isinstance(joint, ast.And) else operator.or_
                return _joined(how, [self._column(value) for value in values])
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _COMBINE:
                return _COMBINE[type(sign)](self._column(left), self._column(right))
            case ast.Compare(left=left, ops=signs, comparators=others):
                terms = []
                for comparison, other in zip(signs, others, strict=True):
                    terms.append(self._compare(left, comparison, other))
                    left = other
                return _joined(operator.and_, terms)
            case ast.Call(func=ast.Name(id=name), args=[one]) if name.lower() in ("isnan", "is_nan"):
                return self._column(one).is_nan()
        raise InvalidQueryError(
            f"the filter {self._text!r} has {ast.unparse(node)!r}, which compares no columns with numbers or text"
        )

    def _column(self, node: ast.AST) -> Any:
        """Read what takes part in a term: Python's own numbers know nothing of columns."""
        return _term(self._read(node))

    def _compare(self, left: ast.AST, sign: ast.cmpop, right: ast.AST) -> Any:
        if isinstance(sign, ast.In | ast.NotIn) and isinstance(right, ast.Tuple | ast.List | ast.Constant):
            items = right.elts if isinstance(right, ast.Tuple | ast.List) else [right]
            found = self._column(left).isin([self._read(item) for item in items])
            return ~found if isinstance(sign, ast.NotIn) else found
        if isinstance(sign, ast.Is | ast.IsNot) and isinstance(right, ast.Constant) and right.value is None:
            null = self._column(left).is_null()
            return ~null if isinstance(sign, ast.IsNot) else null
        if type(sign) not in _COMPARE:
            raise InvalidQueryError(f"the filter {self._text!r} compares in a way that means nothing for columns")
        return _COMPARE[type(sign)](self._column(left), self._column(right))
