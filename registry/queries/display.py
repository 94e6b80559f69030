"""Results as a notebook shows them: the first rows, and how many there are."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SHOWN", "html_table"]

_LEFT = ' style="text-align:left"'
"""Of all but numbers: notebooks have all cells at the right."""

SHOWN = 10
"""Rows of a result that are shown."""
_WIDE = 60
"""Characters of one value that are shown."""


def html_table(asked: str, table: pa.Table, total: int) -> str:
    """Return the HTML of a query.

    Parameters
    ----------
    asked
        What the query asks.
    table
        Its first rows.
    total
        How many there are.
    """
    import pyarrow as pa

    sides = [
        "" if pa.types.is_integer(field.type) or pa.types.is_floating(field.type) else _LEFT for field in table.schema
    ]
    head = "".join(f"<th{side}>{escape(name)}</th>" for name, side in zip(table.column_names, sides, strict=True))
    columns = [
        [f"<td{side}>{_cell(value)}</td>" for value in column.to_pylist()]
        for column, side in zip(_dates_as_text(table).columns, sides, strict=True)
    ]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*columns, strict=True))
    more = f", of which the first {table.num_rows} are shown" if total > table.num_rows else ""
    counted = f"{total:,} result{'' if total == 1 else 's'}{more}"
    return (
        f"<div><code>{escape(asked)}</code>"
        f'<div style="overflow-x:auto"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f"<p>{counted}</p></div>"
    )


def _dates_as_text(table: pa.Table) -> pa.Table:
    """Turn instants to ISO text: Python's own lack nanoseconds."""
    import pyarrow as pa

    text = [pa.field(f.name, pa.string() if pa.types.is_timestamp(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(text))


def _cell(value: Any) -> str:
    text = "" if value is None else value.hex() if isinstance(value, bytes) else str(value)
    shown = text if len(text) <= _WIDE else f"{text[:_WIDE]}…"
    return escape(shown)
