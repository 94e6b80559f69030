"""The text of an expression, and errors that point into it."""

from __future__ import annotations

from dataclasses import dataclass

from ...model.errors import InvalidQueryError

__all__ = ["Source"]

_WIDTH = 100
"""Characters of a line that a message shows at most."""


@dataclass(frozen=True, slots=True)
class Source:
    """A text that a user wrote, and what it was given as (``where`` or ``order_by``)."""

    text: str
    given_as: str = "where"

    def error(self, at: int, message: str) -> InvalidQueryError:
        """Make the error that shows the text with a caret under one place.

        Parameters
        ----------
        at
            Offset of the place in the text.
        message
            What is wrong there, and what to write instead.
        """
        at = max(0, min(at, len(self.text)))
        begin = self.text.rfind("\n", 0, at) + 1
        end = self.text.find("\n", at)
        line = self.text[begin : end if end >= 0 else len(self.text)].replace("\t", " ")
        column = at - begin
        if len(line) > _WIDTH:
            first = max(0, min(column - _WIDTH // 2, len(line) - _WIDTH))
            cut = line[first : first + _WIDTH]
            before, after = ("… " if first else ""), (" …" if first + _WIDTH < len(line) else "")
            line, column = before + cut + after, column - first + len(before)
        where = f" (line {self.text.count(chr(10), 0, at) + 1})" if "\n" in self.text else ""
        return InvalidQueryError(
            f"{message}\n  {self.given_as}{where}: {line}\n{' ' * (len(self.given_as) + len(where) + 4 + column)}^"
        )
