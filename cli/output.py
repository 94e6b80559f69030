"""How commands print rows, a table to read, JSON or CSV to go on with; and sizes."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from ..model.wording import counted

__all__ = ["format_option", "print_rows", "readable_size"]

_FOLDED = 12  # a table's column is folded to no less than so many characters

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
        ``table``, ``json`` (a list of objects; what is no finite number is null) or ``csv``.

    Raises
    ------
    click.UsageError
        Two columns have one name, which JSON cannot say.
    """
    if output == "json":
        if len(set(names)) < len(names):
            twice = next(name for name in names if list(names).count(name) > 1)
            raise click.UsageError(f"two columns are called {twice!r}; JSON needs a name for each (SELECT … AS …).")
        values = [{name: _json_value(value) for name, value in zip(names, row, strict=True)} for row in rows]
        click.echo(json.dumps(values, indent=1, ensure_ascii=False))
    elif output == "csv":
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([str(v) if isinstance(v, float) else _text(v) for v in row] for row in rows)
    else:
        _print_table(list(names), [[_text(value) for value in row] for row in rows])


def readable_size(size: int) -> str:
    """Return bytes as people say them: ``1.5 GB``."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{size} B" if unit == "B" else f"{amount:.3g} {unit}"


def _print_table(names: list[str], rows: list[list[str]]) -> None:
    numeric = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(names))]
    if sys.stdout.isatty():
        _print_on_terminal(names, rows, numeric)
    else:  # for a pipe or a file: a line a row, nothing cut or coloured
        lines = [names, *([" ".join(cell.splitlines()) for cell in row] for row in rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
        for line in lines:
            cells = zip(line, widths, numeric, strict=True)
            click.echo("  ".join(f"{cell:{'>' if right else '<'}{width}}" for cell, width, right in cells).rstrip())
    click.echo(counted(len(rows), "row"))


def _print_on_terminal(names: list[str], rows: list[list[str]], numeric: list[bool]) -> None:
    """Print a table that folds its longest cells; or, where not even names fit side by side, a line for each value."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    least = 0
    for i, (name, right) in enumerate(zip(names, numeric, strict=True)):
        longest = max((len(row[i]) for row in rows), default=0)
        width = max(len(name), longest if right else min(longest, _FOLDED))
        table.add_column(name, justify="right" if right else "left", overflow="fold", min_width=width)
        least += width + 3  # with what stands between columns
    if least <= console.width:
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    wide = max(map(len, names))
    for row in rows:
        for name, cell in zip(names, row, strict=True):
            if cell:
                click.echo(f"{name:<{wide}}  {cell}")
        click.echo()


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
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return value.hex() if isinstance(value, bytes) else str(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return value if value is None or isinstance(value, bool | int) else _text(value)
