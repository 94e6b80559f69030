"""What an object says of itself, once: a line for `repr`, text for a terminal, HTML for a notebook.

A class that is `Described` says its state in a few words (`_state`, cheap) and the rest in parts (`_parts`, computed
only when somebody looks): facts, tables, a picture.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from shutil import get_terminal_size
from typing import TypeAlias

__all__ = ["Described", "Description", "Facts", "Part", "Picture", "Table"]


@dataclass(frozen=True, slots=True)
class Facts:
    """Single values, by what they are."""

    values: Mapping[str, str]
    """Text by name."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under names."""

    names: Sequence[str]
    """Of the columns."""
    rows: Sequence[Sequence[str]]
    """A text a column."""
    units: Sequence[str] = ()
    """Below the names; none where no column has one."""
    more_rows: int = 0
    """How many rows follow that are not here."""
    more_columns: int = 0
    """How many columns follow that are not here."""
    may_lose_columns: bool = False
    """Whether a terminal leaves out the last columns where it is too narrow; other tables are as wide as they are."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A small picture; a terminal does not show it."""

    png: bytes
    """The file."""
    width: int
    """As it is shown, pixels of the screen."""
    height: int
    """As it is shown, pixels of the screen."""
    caption: str
    """What it shows, for those who cannot see it."""
    legend: Mapping[str, str] = field(default_factory=dict)
    """Colour (``#rrggbb``) by what it stands for."""


_LEFT = ' style="text-align:left"'
"""Of cells with text: notebooks have all cells at the right."""

Part: TypeAlias = Facts | Table | Picture


@dataclass(frozen=True, slots=True, repr=False)
class Description:
    """An object in words: `line` is its `repr`, ``str`` the text for a terminal, and notebooks show HTML."""

    kind: str
    """The class's name."""
    state: tuple[str, ...]
    """What tells it from others of its kind."""
    parts: Callable[[], Iterable[Part]]
    """Gives everything else."""

    @property
    def line(self) -> str:
        """The kind and its state: ``Image(64x32 float32, xy0=(0, 0))``."""
        return f"{self.kind}({', '.join(self.state)})"

    def __str__(self) -> str:
        return "\n".join([self.line, *(line for part in self.parts() for line in _text(part))])

    def __repr__(self) -> str:  # what a prompt shows, so that `exposure.describe()` is enough there
        return str(self)

    def _repr_html_(self) -> str:
        parts = list(self.parts())
        pictures = "".join(_html(part) for part in parts if isinstance(part, Picture))
        others = "".join(_html(part) for part in parts if not isinstance(part, Picture))
        said = f"<div><code>{escape(self.line)}</code>{others}</div>"
        if not pictures:
            return said
        return f'<div style="display:flex;gap:1.5em;align-items:flex-start">{pictures}{said}</div>'


class Described:
    """Mixin of what has a description; the class gives `_state`, and `_parts` where there is more to say."""

    __slots__ = ()

    def _state(self) -> Iterable[str]:
        """Return what `repr` says between the parentheses; must cost next to nothing."""
        raise NotImplementedError

    def _parts(self) -> Iterable[Part]:
        """Return what a terminal and a notebook show beside the line."""
        return ()

    def describe(self) -> Description:
        """Return what there is to say of this: ``print`` it, or let a notebook show it."""
        return Description(type(self).__name__, tuple(self._state()), self._parts)

    def __repr__(self) -> str:
        return self.describe().line

    def _repr_html_(self) -> str:
        return self.describe()._repr_html_()


def _text(part: Part) -> Iterable[str]:
    """Return the lines of a part for a terminal."""
    match part:
        case Facts(values):
            width = max(map(len, values), default=0)
            return [f"  {name:<{width}}  {value}" for name, value in values.items()]
        case Table():
            return _text_table(part)
        case _:
            return []


def _text_table(table: Table) -> list[str]:
    """Return the lines of a table: columns of numbers to the right, others to the left."""
    heads = [table.names, *([table.units] if any(table.units) else [])]
    columns = list(zip(*heads, *table.rows, strict=True))
    rights = _are_numbers(table)
    widths = [max(map(len, column)) for column in columns]
    shown = len(columns)
    if table.may_lose_columns:
        room = get_terminal_size((120, 24)).columns
        while shown > 1 and sum(widths[:shown]) + 2 * shown > room:
            shown -= 1
    lines = []
    for row in zip(*columns[:shown], strict=True):
        cells = zip(row, widths, rights, strict=False)
        lines.append("".join(f"  {cell:>{width}}" if right else f"  {cell:<{width}}" for cell, width, right in cells))
    if note := _left_out(table.more_rows, table.more_columns + len(columns) - shown):
        lines.append(f"  {note}")
    return [line.rstrip() for line in lines]


def _left_out(rows: int, columns: int) -> str:
    """Return how much a table does not show; nothing where that is nothing."""
    counted = [f"{count} more {what}" for count, what in ((rows, "rows"), (columns, "columns")) if count]
    return f"… {' and '.join(counted)}" if counted else ""


def _html(part: Part) -> str:
    """Return a part for a notebook."""
    match part:
        case Facts(values):
            rows = "".join(
                f"<tr><th>{escape(name)}</th><td{_LEFT}>{escape(value)}</td></tr>" for name, value in values.items()
            )
            return f"<table>{rows}</table>"
        case Table():
            sides = ["" if number else _LEFT for number in _are_numbers(part)]
            head = _html_row("th", part.names, sides)
            if any(part.units):
                head += _html_row("td", part.units, sides)
            body = "".join(_html_row("td", row, sides) for row in part.rows)
            note = _left_out(part.more_rows, part.more_columns)
            table = f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
            return f'<div style="overflow-x:auto">{table}</div>{note and f"<p>{note}</p>"}'
        case Picture():
            source = base64.b64encode(part.png).decode("ascii")
            legend = "".join(
                f'<div><span style="background:{colour}">&emsp;</span> {escape(name)}</div>'
                for name, colour in part.legend.items()
            )
            return (
                f'<div><img alt="{escape(part.caption)}" title="{escape(part.caption)}" width="{part.width}" '
                f'height="{part.height}" style="image-rendering:pixelated;max-width:none" '
                f'src="data:image/png;base64,{source}"/>{legend}</div>'
            )


def _html_row(tag: str, cells: Sequence[str], sides: Sequence[str]) -> str:
    return (
        f"<tr>{''.join(f'<{tag}{side}>{escape(cell)}</{tag}>' for cell, side in zip(cells, sides, strict=True))}</tr>"
    )


def _are_numbers(table: Table) -> list[bool]:
    """Return which columns are of numbers alone, which stand at the right; of a table without rows, none is."""
    columns = zip(*table.rows, strict=True) if table.rows else ([""] for _ in table.names)
    return [bool(table.rows) and all(map(_is_number, column)) for column in columns]


def _is_number(cell: str) -> bool:
    """Whether a cell is to stand at the right; so is an empty one among numbers."""
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True
