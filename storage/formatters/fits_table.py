"""A component of an exposure as a FITS table of one row, and back.

What an object says of itself (`to_dict`) becomes columns that any FITS reader shows: numbers, texts and arrays each a
column of its name; what FITS has no column for (nested dicts, lists, None) a column of JSON, marked by ``TJSONn = T``,
in which ``{"$column": name}`` stands for an array kept beside it.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...model.errors import FileFormatError, StorageClassError
from .fits_cards import ZERO, CardTuple, big_endian, header_bytes, write_padding
from .fits_file import Hdu
from .formatter import ByteSink

__all__ = ["read_component", "write_component"]

_LETTERS = {"b1": "L", "u1": "B", "i1": "B", "i2": "I", "u2": "I", "i4": "J", "u4": "J", "i8": "K", "u8": "K",
            "f4": "E", "f8": "D", "c8": "C", "c16": "M"}  # fmt: skip
_TYPES = {"L": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "C": ">c8", "M": ">c16"}
_SIGN_TURNED = {(_LETTERS[kind], zero): kind for kind, zero in ZERO.items()}
_PLAIN_TEXT = re.compile(r"[ -~]*[!-~]").fullmatch  # printable, and its end is not lost as padding
_COLUMN = "$column"


def write_component(sink: ByteSink, name: str, content: Mapping[str, Any], cards: list[CardTuple]) -> None:
    """Write the HDU of a component.

    Parameters
    ----------
    sink
        Where to.
    name
        Its EXTNAME.
    content
        Scalars, texts, numpy arrays, and dicts and lists of them.
    cards
        Further cards: class and version.
    """
    columns: list[CardTuple] = []
    parts: list[Any] = []
    arrays: dict[str, Any] = {}
    number = 0

    def add(key: str, value: Any) -> None:
        nonlocal number
        number += 1
        form, extra, data = _column(value, arrays, key)
        columns.extend([(f"TTYPE{number}", key, ""), (f"TFORM{number}", form, "")])
        columns.extend((f"{word}{number}", said, "") for word, said in extra.items())
        parts.append(data)

    for key, value in content.items():
        add(key, value)
    while arrays:
        add(*arrays.popitem())
    size = sum(len(part) for part in parts)
    head: list[CardTuple] = [("XTENSION", "BINTABLE", ""), ("BITPIX", 8, ""), ("NAXIS", 2, ""), ("NAXIS1", size, "")]
    head += [("NAXIS2", 1, ""), ("PCOUNT", 0, ""), ("GCOUNT", 1, ""), ("TFIELDS", number, ""), ("EXTNAME", name, "")]
    head += [("EXTTYPE", name, ""), *cards, *columns]
    try:
        sink.write(header_bytes(head))
    except ValueError as error:
        raise StorageClassError(f"component {name} cannot be kept as FITS: {error}") from error
    for part in parts:
        sink.write(part)
    write_padding(sink, size)


def _column(value: Any, arrays: dict[str, Any], key: str) -> tuple[str, dict[str, Any], Any]:
    """Return the format, further keywords and bytes of one value."""
    if isinstance(value, str) and _PLAIN_TEXT(value):
        data = value.encode("ascii")
        return f"{len(data)}A", {}, data
    if isinstance(value, bool | np.bool_):
        return "L", {}, b"T" if value else b"F"
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return "K", {}, int(value).to_bytes(8, "big", signed=True)
    if isinstance(value, float):
        return "D", {}, big_endian(np.array([value], np.float64)).tobytes()
    kind = value.dtype.str[1:] if isinstance(value, np.ndarray | np.generic) else ""
    if kind in _LETTERS and np.ndim(value) and value.size:
        extra: dict[str, Any] = {"TDIM": f"({','.join(str(length) for length in reversed(value.shape))})"}
        if kind in ZERO:
            extra["TZERO"] = ZERO[kind]
        stored = np.where(value, np.uint8(84), np.uint8(70)) if kind == "b1" else value  # the letters T and F
        return f"{value.size}{_LETTERS[kind]}", extra, big_endian(stored)
    data = json.dumps(_tree(value, arrays, key)).encode("ascii")
    return f"{len(data)}A", {"TJSON": True}, data


def _tree(value: Any, arrays: dict[str, Any], path: str) -> Any:
    """Return a nested value as JSON holds it, its arrays put aside."""
    if isinstance(value, Mapping):
        return {str(key): _tree(item, arrays, f"{path}/{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item, arrays, f"{path}/{place}") for place, item in enumerate(value)]
    if isinstance(value, np.ndarray) and value.ndim:
        if value.dtype.str[1:] in _LETTERS and value.size:
            arrays[path] = value
            return {_COLUMN: path}
        return {"$array": value.tolist(), "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, np.ndarray | np.generic):
        return value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise StorageClassError(f"{path} of a component is a {type(value).__name__}, which files cannot hold")


def read_component(hdu: Hdu, path: Path) -> dict[str, Any]:
    """Read what `write_component` was given.

    Raises
    ------
    FileFormatError
        If the HDU is no such table.
    """
    header, data = hdu.values, hdu.bytes()
    content: dict[str, Any] = {}
    trees: list[str] = []
    offset = 0
    fields = header.get("TFIELDS")
    for number in range(1, (fields if isinstance(fields, int) else 0) + 1):
        key, form = str(header.get(f"TTYPE{number}")), str(header.get(f"TFORM{number}"))
        match = re.fullmatch(r"(\d*)([LBIJKEDCMA])", form)
        if match is None:
            raise FileFormatError(
                f"{path}: column {key} of {header.get('EXTNAME')} has the format {form!r}, which components have not"
            )
        count, letter = int(match[1] or 1), match[2]
        if letter == "A":
            text = data[offset : offset + count].decode("ascii", "replace")
            content[key] = text
            offset += count
            if header.get(f"TJSON{number}") is True:
                trees.append(key)
            continue
        stored = np.frombuffer(data, _TYPES[letter], count, offset)
        offset += stored.nbytes
        dims = header.get(f"TDIM{number}")
        if dims is None:
            content[key] = _scalar(stored[0], letter)
        else:
            shape = tuple(int(length) for length in reversed(str(dims).strip("() ").split(",")))
            content[key] = _array(stored, letter, header.get(f"TZERO{number}")).reshape(shape)
    used: set[str] = set()
    for key in trees:
        try:
            content[key] = _from_tree(json.loads(content[key]), content, used)
        except (ValueError, KeyError, TypeError) as error:
            raise FileFormatError(
                f"{path}: column {key} of {header.get('EXTNAME')} cannot be understood: {error}"
            ) from error
    return {key: value for key, value in content.items() if key not in used}


def _scalar(value: Any, letter: str) -> Any:
    return bool(value == ord("T")) if letter == "L" else value.item()


def _array(stored: "np.ndarray[Any, Any]", letter: str, zero: Any) -> "np.ndarray[Any, Any]":
    if letter == "L":
        letters: np.ndarray[Any, Any] = stored == ord("T")
        return letters
    native = stored.astype(stored.dtype.newbyteorder("="))
    kind = _SIGN_TURNED.get((letter, zero))
    if kind is not None:
        native = native.view(kind)
        native ^= native.dtype.type(zero)
    return native


def _from_tree(value: Any, content: Mapping[str, Any], used: set[str]) -> Any:
    """Put the arrays back into a nested value."""
    if isinstance(value, dict):
        if _COLUMN in value:
            used.add(value[_COLUMN])
            return content[value[_COLUMN]]
        if "$array" in value:
            return np.array(value["$array"], value["dtype"]).reshape(value["shape"])
        return {key: _from_tree(item, content, used) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_tree(item, content, used) for item in value]
    return value
