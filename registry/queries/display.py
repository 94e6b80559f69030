"""Results as a notebook shows them: the first rows, and how many there are."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SHOWN", "html_table"]

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
    head = "".join(f"<th>{escape(name)}</th>" for name in table.column_names)
    columns = [[_cell(value) for value in column.to_pylist()] for column in _dates_as_text(table).columns]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*columns, strict=True))
    more = f", of which the first {table.num_rows} are shown" if total > table.num_rows else ""
    counted = f"{total:,} result{'' if total == 1 else 's'}{more}"
    return (
        f"<div><code>{escape(asked)}</code>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{counted}</p></div>"
    )


def _dates_as_text(table: pa.Table) -> pa.Table:
    """Turn instants to ISO text: Python's own lack nanoseconds."""
    import pyarrow as pa

    text = [pa.field(f.name, pa.string() if pa.types.is_timestamp(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(text))


def _cell(value: Any) -> str:
    text = "" if value is None else value.hex() if isinstance(value, bytes) else str(value)
    shown = text if len(text) <= _WIDE else f"{text[:_WIDE]}…"
    return f"<td>{escape(shown)}</td>"
