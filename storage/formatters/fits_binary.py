"""Binary tables of FITS files as numpy arrays, column by column (FITS Standard 4.0, section 7.3)."""

import re
from functools import cached_property
from typing import Any

import numpy as np

from ...model.errors import FileFormatError
from .fits_cards import ZERO
from .fits_file import Hdu

__all__ = ["BinaryTable"]

_FORM = re.compile(r"(\d*)([LXBIJKAEDCMPQ])([LXBIJKAEDCM]?)")
_TYPES = {"L": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "C": ">c8", "M": ">c16",
          "P": ">i4", "Q": ">i8"}  # fmt: skip
_SIGN_TURNED = {("B", ZERO["i1"]): "i1", ("I", ZERO["u2"]): "u2", ("J", ZERO["u4"]): "u4", ("K", ZERO["u8"]): "u8"}


class BinaryTable:
    """A binary table, read whole; its columns become arrays when they are asked for.

    Parameters
    ----------
    hdu
        The HDU.

    Attributes
    ----------
    header : `dict`
        Its header's values by keyword.
    names : `list` [`str`]
        The columns.

    Raises
    ------
    FileFormatError
        If it is no binary table, or cut short.
    """

    def __init__(self, hdu: Hdu) -> None:
        self.header = hdu.values
        if self.header.get("XTENSION") != "BINTABLE":
            raise FileFormatError(f"HDU {hdu.number} is no binary table")
        self._hdu = hdu
        fields = range(1, self._number("TFIELDS") + 1)
        self.names = [str(self.header.get(f"TTYPE{place}", f"col{place}")).strip() for place in fields]
        self._forms: dict[str, tuple[int, str, str]] = {}
        layout: list[tuple[str, Any, tuple[int, ...]]] = []
        for place, name in zip(fields, self.names, strict=True):
            form = _FORM.match(str(self.header.get(f"TFORM{place}")))
            if form is None or name in self._forms:
                raise FileFormatError(f"column {place} of HDU {hdu.number}, {name!r}, has no format, or its name twice")
            count, letter = int(form[1] or 1), form[2]
            self._forms[name] = count, letter, form[3]
            if letter == "A":
                layout.append((name, f"S{count}" if count else "V0", ()))
            elif letter == "X":
                layout.append((name, np.uint8, (-(-count // 8),)))
            else:
                layout.append((name, _TYPES[letter], (2 * count,) if letter in "PQ" else (count,)))
        try:
            self._dtype = np.dtype(layout)
        except (ValueError, TypeError, OverflowError) as error:
            raise FileFormatError(f"the columns of HDU {hdu.number} are no table: {error}") from error
        if self._dtype.itemsize != self._number("NAXIS1"):
            raise FileFormatError(f"the columns of HDU {hdu.number} do not add up to NAXIS1 = {self._number('NAXIS1')}")

    def __len__(self) -> int:
        return self._number("NAXIS2")

    def __contains__(self, name: object) -> bool:
        return name in self._forms

    def keyword(self, word: str, name: str) -> str:
        """Return the text that the header has of a column under a numbered keyword (``TUNIT``); empty without one."""
        value = self.header.get(f"{word}{self.names.index(name) + 1}")
        return value.strip() if isinstance(value, str) else ""

    def count(self, name: str) -> int:
        """Return how many values a row has of a column."""
        return self._forms[name][0]

    def letter(self, name: str) -> str:
        """Return the letter of a column's format."""
        return self._forms[name][1]

    def column(self, name: str) -> Any:
        """Read a column.

        Returns
        -------
        array or list
            Shape ``(rows,)`` where a row has one value, else ``(rows, count)``; text as ``str``, bits and logical
            values as bool; of variable length, a list of arrays, or of text.

        Raises
        ------
        FileFormatError
            If the table has no such column.
        """
        if name not in self._forms:
            raise FileFormatError(f"HDU {self._hdu.number} has no column {name!r}")
        count, letter, inner = self._forms[name]
        stored = self._rows[name]
        if letter == "A":
            texts = [str(bytes(value), "utf-8", "replace").split("\0")[0].rstrip() for value in stored]
            return np.array(texts, f"U{max(count, 1)}")
        if letter == "X":
            return np.unpackbits(stored, axis=1, count=count).astype(bool)
        zero = self.header.get(f"TZERO{self.names.index(name) + 1}")
        if letter in "PQ":
            return [self._from_heap(int(size), int(place), inner, zero) for size, place in stored]
        values = self._native(stored, letter, zero)
        return values[:, 0] if count == 1 else values

    @cached_property
    def _rows(self) -> "np.ndarray[Any, Any]":
        return np.frombuffer(self._data, self._dtype, len(self))

    @cached_property
    def _data(self) -> bytes:
        return self._hdu.bytes()

    def _from_heap(self, size: int, place: int, letter: str, zero: Any) -> Any:
        begin = self._number("THEAP", self._number("NAXIS1") * len(self)) + place
        if letter == "A":
            return str(self._data[begin : begin + size], "utf-8", "replace").split("\0")[0].rstrip()
        if begin + size * np.dtype(_TYPES[letter]).itemsize > len(self._data):
            raise FileFormatError(f"a value of HDU {self._hdu.number} reaches beyond the HDU's end")
        return self._native(np.frombuffer(self._data, _TYPES[letter], size, begin), letter, zero)

    @staticmethod
    def _native(stored: "np.ndarray[Any, Any]", letter: str, zero: Any) -> "np.ndarray[Any, Any]":
        if letter == "L":
            return np.asarray(stored == ord("T"))
        native = stored.astype(stored.dtype.newbyteorder("="))
        kind = _SIGN_TURNED.get((letter, zero))
        if kind is not None:
            native = native.view(kind)
            native ^= native.dtype.type(zero)
        return native

    def _number(self, key: str, default: int | None = None) -> int:
        value = self.header.get(key, default)
        if type(value) is not int or value < 0:
            raise FileFormatError(f"HDU {self._hdu.number} has {key} = {value!r}, not a whole number")
        return value
