"""Patterns of LIKE and GLOB, told to each database in the dialect that means the same.

Databases disagree: SQLite's LIKE ignores case and its GLOB knows ``[a-z]``, PostgreSQL's LIKE heeds case and it has no
GLOB. Here both are read into the same three pieces, and written as GLOB for SQLite and as LIKE for PostgreSQL.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Wildcard", "read_glob", "read_like", "to_glob", "to_like"]


class Wildcard(Enum):
    """What stands for other characters in a pattern."""

    ANY = "any run of characters, also none"
    ONE = "exactly one character"


def read_glob(text: str) -> list[str | Wildcard]:
    r"""Read a GLOB pattern: ``*`` any run, ``?`` one character, ``\`` takes the meaning of the next."""
    return _read(text, "*", "?")


def read_like(text: str) -> list[str | Wildcard]:
    r"""Read a LIKE pattern: ``%`` any run, ``_`` one character, ``\`` takes the meaning of the next."""
    return _read(text, "%", "_")


def _read(text: str, any_run: str, one: str) -> list[str | Wildcard]:
    pieces: list[str | Wildcard] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            pieces.append(next(characters, "\\"))
        elif character == any_run:
            if pieces[-1:] != [Wildcard.ANY]:  # two of them mean no more than one, and cost a search each
                pieces.append(Wildcard.ANY)
        elif character == one:
            pieces.append(Wildcard.ONE)
        else:
            pieces.append(character)
    return pieces


def to_glob(pieces: list[str | Wildcard]) -> str:
    """Write a pattern for SQLite's GLOB."""
    return "".join(
        ("*" if piece is Wildcard.ANY else "?")
        if isinstance(piece, Wildcard)
        else f"[{piece}]"
        if piece in "*?["
        else piece
        for piece in pieces
    )


def to_like(pieces: list[str | Wildcard]) -> str:
    r"""Write a pattern for LIKE with ``\`` as its escape."""
    return "".join(
        ("%" if piece is Wildcard.ANY else "_")
        if isinstance(piece, Wildcard)
        else f"\\{piece}"
        if piece in "%_\\"
        else piece
        for piece in pieces
    )
