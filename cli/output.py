"""How commands print rows: a table to read, JSON or CSV to go on with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

__all__ = ["format_option", "print_rows"]

F = TypeVar("F", bound=Callable[..., Any])


def format_option(command: F) -> F:
    """Give a command ``--format table|json|csv``."""
    option = click.option(
        "--format",
        "output",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        show_default=True,
        help="How rows are printed.",
    )
    return option(command)


def print_rows(names: Sequence[str], rows: Iterable[Sequence[Any]], output: str) -> None:
    """Print rows under column names.

    Parameters
    ----------
    names
        Column names.
    rows
        A value a column.
    output
        ``table``, ``json`` (a list of objects) or ``csv``.
    """
    if output == "json":
        values = [{name: _json_value(value) for name, value in zip(names, row, strict=True)} for row in rows]
        click.echo(json.dumps(values, indent=1, ensure_ascii=False))
    elif output == "csv":
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([["" if value is None else _json_value(value) for value in row] for row in rows])
    else:
        _print_table(names, rows)


def _print_table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    rows = [[_text(value) for value in row] for row in rows]
    for i, name in enumerate(names):
        numeric = bool(rows) and all(_is_number(row[i]) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=not sys.stdout.isatty())
    for row in rows:
        table.add_row(*row)
    # In a pipe nothing is cut: the table is as wide as it needs to be.
    console = Console(width=None if sys.stdout.isatty() else 10_000, markup=False, highlight=False)
    console.print(table, crop=False, soft_wrap=not sys.stdout.isatty())
    console.print(f"{len(rows)} row{'' if len(rows) == 1 else 's'}")


def _is_number(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    return value.hex() if isinstance(value, bytes) else str(value)


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)
