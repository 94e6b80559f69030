"""FITS headers as plain data: ordered, commented, picklable, and free of any FITS library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, overload

from ..model.errors import closest
from ..model.lsst_names import LsstNames
from .describe import Described, Part, Table

if TYPE_CHECKING:
    from astropy.io import fits

__all__ = ["Card", "Header", "HeaderComments", "HeaderValue"]

HeaderValue = str | int | float | bool | complex | None
"""What a card can hold; None is FITS's undefined value."""

T = TypeVar("T")

_SHOWN = 100
"""Cards that a description shows; some cameras write thousands."""

COMMENTARY = frozenset({"COMMENT", "HISTORY", ""})
"""Keywords that stand once for each line of text."""


@dataclass(frozen=True, slots=True)
class Card:
    """One line of a header."""

    keyword: str
    """Upper case, without ``HIERARCH``; ``""`` for a blank line."""
    value: HeaderValue
    """The value; for COMMENT and HISTORY the line of text."""
    comment: str = ""
    """What stands behind the slash."""


def _keyword(name: str) -> str:
    """Return a keyword as headers keep it."""
    return name.strip().upper().removeprefix("HIERARCH ").strip()


class Header(Described, LsstNames, MutableMapping[str, HeaderValue]):
    """An ordered mapping of FITS keywords to values.

    Keywords are case-insensitive and may be of any length (``HIERARCH`` is left out). A COMMENT, HISTORY or blank
    keyword may have many lines: ``header["HISTORY"]`` is their text, joined by newlines, and assignment replaces them
    all; `add_history` and `add_comment` append. Otherwise a keyword stands once, and the first of duplicates counts,
    as in astropy.

    Parameters
    ----------
    cards
        Keywords and values, or ``(keyword, value[, comment])``.
    """

    VERSION: ClassVar[int] = 1

    def __init__(
        self, cards: Mapping[str, Any] | Iterable[Card | tuple[str, HeaderValue] | tuple[str, HeaderValue, str]] = ()
    ) -> None:
        self._cards: list[Card] = []
        self._index: dict[str, int] = {}
        if isinstance(cards, Header):
            cards = cards.cards
        elif isinstance(cards, Mapping):
            for keyword, value in cards.items():
                self[keyword] = value
            return
        for card in cards:
            given = card if isinstance(card, Card) else Card(*card)
            keyword = _keyword(given.keyword)
            if keyword in COMMENTARY or keyword not in self._index:
                self._append(Card(keyword, given.value, given.comment))

    @property
    def cards(self) -> tuple[Card, ...]:
        """Every line in order, commentary too."""
        return tuple(self._cards)

    @property
    def comments(self) -> HeaderComments:
        """The comments by keyword; ``header.comments["EXPTIME"] = "[s] exposure time"`` changes one."""
        return HeaderComments(self)

    @property
    def history(self) -> list[str]:
        """The HISTORY lines."""
        return self._lines("HISTORY")

    def set(self, keyword: str, value: HeaderValue, comment: str | None = None) -> None:
        """Set a value, and its comment unless that is None; a new keyword goes to the end.

        Parameters
        ----------
        keyword
            Any case.
        value
            numpy scalars are made Python ones.
        comment
            None keeps the comment that is there.

        Raises
        ------
        TypeError
            If the value is none of these.
        """
        keyword = _keyword(keyword)
        value = _plain(keyword, value)
        if keyword in COMMENTARY:
            self._drop(keyword)
            for line in str(value).split("\n"):
                self._append(Card(keyword, line))
        elif keyword in self._index:
            position = self._index[keyword]
            kept = self._cards[position].comment if comment is None else comment
            self._cards[position] = Card(keyword, value, kept)
        else:
            self._append(Card(keyword, value, comment or ""))

    def add_history(self, text: str) -> None:
        """Append HISTORY, a line of text a card."""
        for line in text.split("\n"):
            self._append(Card("HISTORY", line))

    def add_comment(self, text: str) -> None:
        """Append COMMENT, a line of text a card."""
        for line in text.split("\n"):
            self._append(Card("COMMENT", line))

    def copy(self) -> Self:
        """Return a header of its own with the same cards."""
        return type(self)(self._cards)

    def __getitem__(self, keyword: str) -> HeaderValue:
        keyword = _keyword(keyword)
        if keyword not in self._index:
            raise KeyError(f"The header has no {keyword}.{closest(keyword, self._index)}")
        if keyword in COMMENTARY:
            return "\n".join(self._lines(keyword))
        return self._cards[self._index[keyword]].value

    @overload
    def get(self, keyword: str, /) -> HeaderValue: ...
    @overload
    def get(self, keyword: str, /, default: T) -> HeaderValue | T: ...
    def get(self, keyword: str, /, default: Any = None) -> Any:
        """Return a value, or `default` where there is no such keyword."""
        # an absent keyword is no mistake here: the error of [...] looks for the closest one, which takes its time
        if keyword not in self:
            return default
        return self[keyword]

    def __setitem__(self, keyword: str, value: HeaderValue | tuple[HeaderValue, str]) -> None:
        if isinstance(value, tuple):
            self.set(keyword, *value)
        else:
            self.set(keyword, value)

    def __delitem__(self, keyword: str) -> None:
        keyword = _keyword(keyword)
        if keyword not in self._index:
            raise KeyError(f"The header has no {keyword} to remove.{closest(keyword, self._index)}")
        self._drop(keyword)

    def __contains__(self, keyword: object) -> bool:
        return isinstance(keyword, str) and _keyword(keyword) in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._index))

    def __len__(self) -> int:
        return len(self._index)

    def _state(self) -> Iterable[str]:
        return (f"{len(self._cards)} cards",)

    def _parts(self) -> Iterable[Part]:
        shown = [(card.keyword, _shown(card), card.comment) for card in self._cards[:_SHOWN]]
        return (Table(("keyword", "value", "comment"), shown, more_rows=len(self._cards) - len(shown)),)

    def __str__(self) -> str:
        lines = (
            f"{card.keyword:8} {card.value}"
            if card.keyword in COMMENTARY
            else f"{card.keyword:8}= {card.value!r}" + (f" / {card.comment}" if card.comment else "")
            for card in self._cards
        )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"cards": [[keyword, value, comment], ...]}``."""
        return {"cards": [[card.keyword, card.value, card.comment] for card in self._cards]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a header of what `to_dict` gave."""
        return cls(Card(*card) for card in content["cards"])

    @classmethod
    def from_astropy(cls, header: fits.Header) -> Self:
        """Make a header of astropy's, cards that break the standard included.

        Undefined values become None; a value that cannot be parsed is kept as the text that stands in the file.
        """
        from astropy.io.fits import VerifyError
        from astropy.io.fits.card import Undefined

        def cards() -> Iterator[Card]:
            for card in header.cards:
                try:
                    value, comment = card.value, card.comment
                except (VerifyError, ValueError):
                    value, comment = card.image.partition("=")[2].strip(), ""
                yield Card(card.keyword, None if isinstance(value, Undefined) else value, comment)

        return cls(cards())

    def to_astropy(self) -> fits.Header:
        """Return the same cards as an `astropy.io.fits.Header`; long keywords become HIERARCH cards."""
        from astropy.io import fits

        made = fits.Header()
        for card in self._cards:
            name = card.keyword
            long = name not in COMMENTARY and (len(name) > 8 or " " in name)
            made.append(fits.Card(f"HIERARCH {name}" if long else name, card.value, card.comment), end=True)
        return made

    def __getstate__(self) -> dict[str, Any]:
        return self.to_dict()

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        Header.__init__(self, (Card(*card) for card in state["cards"]))

    def _append(self, card: Card) -> None:
        self._index.setdefault(card.keyword, len(self._cards))
        self._cards.append(card)

    def _drop(self, keyword: str) -> None:
        self._cards = [card for card in self._cards if card.keyword != keyword]
        self._index = {}
        for position, card in enumerate(self._cards):
            self._index.setdefault(card.keyword, position)

    def _lines(self, keyword: str) -> list[str]:
        return [str(card.value) for card in self._cards if card.keyword == keyword]


class HeaderComments(MutableMapping[str, str]):
    """The comments of a header by keyword; a view.

    Parameters
    ----------
    header
        The header that is read and changed.
    """

    def __init__(self, header: Header) -> None:
        self._header = header

    def __getitem__(self, keyword: str) -> str:
        header = self._header
        if keyword not in header:
            raise KeyError(f"The header has no {keyword}.{closest(keyword, header)}")
        return header._cards[header._index[_keyword(keyword)]].comment

    def __setitem__(self, keyword: str, comment: str) -> None:
        if _keyword(keyword) in COMMENTARY:
            raise ValueError(f"{keyword} has no comment of its own; use header.add_comment(text).")
        self._header.set(keyword, self._header[keyword], comment)

    def __delitem__(self, keyword: str) -> None:
        self[keyword] = ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._header)

    def __len__(self) -> int:
        return len(self._header)


def _shown(card: Card) -> str:
    return str(card.value) if isinstance(card.value, str) else "" if card.value is None else repr(card.value)


def _plain(keyword: str, value: object) -> HeaderValue:
    """Return a value as plain Python, or raise TypeError."""
    if value is None or isinstance(value, str | bool | int | float | complex):
        return value
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", 1) == 0:
        plain: HeaderValue = item()
        return plain
    raise TypeError(f"{keyword} cannot hold {value!r}: a header holds text, numbers, booleans and None.")
