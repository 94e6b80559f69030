"""Writing FITS: header cards as text, and HDUs as bytes, in one pass from start to end.

Floating-point values are written in the shortest form that reads back as the same number, which the standard (4.2.4)
allows; astropy cuts them to 20 characters. Pixels are brought to big-endian order a block at a time, once.
"""

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...model.errors import StorageClassError
from .formatter import ByteSink

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "BITPIX",
    "ZERO",
    "CardTuple",
    "as_fits",
    "big_endian",
    "card_text",
    "header_bytes",
    "pixel_cards",
    "write_image",
    "write_padding",
]

CardTuple = tuple[str, Any, str]
"""Keyword, value, comment."""

_BLOCK = 2880
_PIXEL_BLOCK = 1 << 22  # bytes turned round and written at a time: they stay in the processor's cache
_STANDARD_KEY = re.compile(r"[A-Z0-9_-]{1,8}").fullmatch
_LONG_KEY = re.compile(r"[!-<>-~]+(?: [!-<>-~]+)*").fullmatch  # printable words, no equals sign
_TEXT = re.compile(r"[ -~]*").fullmatch

BITPIX = {"b1": 8, "u1": 8, "i1": 8, "i2": 16, "u2": 16, "i4": 32, "u4": 32, "i8": 64, "u8": 64, "f4": -32, "f8": -64}
"""By numpy's name of a type, without the byte order."""
ZERO = {"i1": -128, "u2": 1 << 15, "u4": 1 << 31, "u8": 1 << 63}
"""What the standard (5.2.5) has as BZERO for the types that FITS lacks: the sign bit is turned over."""


def card_text(key: str, value: Any, comment: str = "") -> str:
    """Return a header card, of 80 characters or a multiple where a text is continued.

    Parameters
    ----------
    key
        Upper case; one longer than 8 characters, or with a space, becomes a HIERARCH card.
    value
        Text, number, boolean, complex number, or None for an undefined value. COMMENT, HISTORY and the empty keyword
        have text, which is broken after each 72 characters.
    comment
        Cut where it does not fit; what is not ASCII becomes a question mark.

    Raises
    ------
    ValueError
        If FITS cannot hold this keyword or value.
    """
    if key in ("COMMENT", "HISTORY", ""):
        text = str(value).encode("ascii", "replace").decode()
        text = re.sub(r"[^ -~]", " ", text)
        return "".join(f"{key:8}{text[i : i + 72]:72}" for i in range(0, max(len(text), 1), 72))
    if _STANDARD_KEY(key):
        start = f"{key:8}= "
    elif _LONG_KEY(key):
        start = f"HIERARCH {key} = "
    else:
        raise ValueError(f"{key!r} cannot be a FITS keyword")
    said = re.sub(r"[^ -~]", "?", comment)
    if isinstance(value, str):
        if not _TEXT(value) or value.endswith(" "):
            raise ValueError(f"{key} has text that FITS cannot hold: {value!r}")
        quoted = value.replace("'", "''")
        if len(start) + len(quoted) + 2 > 80 or value.endswith("&"):
            return _continued(start, quoted, said)
        shown = f"'{quoted:8}'"
    else:
        shown = _value_text(key, value)
    if len(start) == 10:
        shown = f"{shown:20}" if isinstance(value, str) else f"{shown:>20}"
    line = start + shown
    if len(line) > 80:
        line = line.replace(" = ", "= ", 1)
        if len(line) > 80:
            raise ValueError(f"{key} with its value is too long for a card")
    return f"{line} / {said}"[:80].ljust(80) if said else f"{line:80}"


def _value_text(key: str, value: Any) -> str:
    if value is None:
        return ""
    if value is True or value is False:
        return "T" if value else "F"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float) and math.isfinite(value):
        return repr(float(value)).upper()
    if isinstance(value, complex) and math.isfinite(value.real) and math.isfinite(value.imag):
        return f"({float(value.real)!r}, {float(value.imag)!r})".upper()
    raise ValueError(f"{key} has the value {value!r}, which FITS cannot hold")


def _continued(start: str, quoted: str, said: str) -> str:
    """Return a text that needs more than one card (CONTINUE, section 4.2.1.2 of the standard)."""
    lines = []
    while True:
        cut = 77 - len(start)
        if cut < 2:
            raise ValueError("a text under so long a keyword cannot be continued")
        if len(quoted) <= cut and not quoted.endswith("&"):
            break
        while cut and quoted[:cut].endswith("'") and (len(quoted[:cut]) - len(quoted[:cut].rstrip("'"))) % 2:
            cut -= 1  # not between the two quotes that stand for one
        lines.append(f"{start}'{quoted[:cut]}&'")
        quoted, start = quoted[cut:], "CONTINUE  "
    lines.append(f"{start}'{quoted}'" + (f" / {said}" if said else ""))
    return "".join(line[:80].ljust(80) for line in lines)


def header_bytes(cards: Iterable[CardTuple]) -> bytes:
    """Return a whole header, END and padding included."""
    text = "".join([card_text(*card) for card in cards])
    return (text + "END").ljust(-(-(len(text) + 3) // _BLOCK) * _BLOCK).encode("ascii")


def pixel_cards(array: "np.ndarray[Any, Any]") -> list[CardTuple]:
    """Return the cards that say how an image's pixels are kept.

    Raises
    ------
    StorageClassError
        If FITS has no such pixels.
    """
    kind = array.dtype.str[1:]
    if kind not in BITPIX:
        raise StorageClassError(f"pixels of type {array.dtype} cannot be kept as FITS; convert them with astype")
    cards: list[CardTuple] = [("XTENSION", "IMAGE", ""), ("BITPIX", BITPIX[kind], ""), ("NAXIS", array.ndim, "")]
    cards += [(f"NAXIS{number + 1}", length, "") for number, length in enumerate(reversed(array.shape))]
    cards += [("PCOUNT", 0, ""), ("GCOUNT", 1, "")]
    if kind in ZERO:
        cards += [("BSCALE", 1, ""), ("BZERO", ZERO[kind], "pixels are integers of another sign")]
    return cards


def write_image(sink: ByteSink, cards: Iterable[CardTuple], array: "np.ndarray[Any, Any]") -> None:
    """Write an image HDU: its header (`pixel_cards` and any others) and the pixels, shape ``(height, width)``."""
    sink.write(header_bytes(cards))
    rows = max(1, _PIXEL_BLOCK // max(1, array.itemsize * (array.size // max(1, len(array)))))
    for begin in range(0, len(array), rows):
        sink.write(big_endian(array[begin : begin + rows]))
    write_padding(sink, array.nbytes)


def as_fits(array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return values, in this machine's byte order, of a type that FITS has (`ZERO`)."""
    import numpy as np

    kind = array.dtype.str[1:]
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if kind not in ZERO:
        return native
    signed = np.dtype(kind.replace("u", "i") if kind != "i1" else "u1")
    turned: np.ndarray[Any, Any] = (native ^ native.dtype.type(ZERO[kind])).view(signed)
    return turned


def big_endian(array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return values as the bytes that FITS keeps of them, one-dimensional, of type uint8."""
    import numpy as np

    if array.dtype.str[1:] in ZERO:
        array = as_fits(array)
    turned = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder(">"))
    return turned.reshape(-1).view(np.uint8)


def write_padding(sink: ByteSink, size: int) -> None:
    """Fill the last block after `size` bytes of data with zeros."""
    if size % _BLOCK:
        sink.write(bytes(_BLOCK - size % _BLOCK))
