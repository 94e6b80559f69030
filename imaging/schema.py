"""What the columns of a catalog are: names, types, units and words, and other names they go by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from ..model.errors import closest
from ..model.lsst_names import LsstNames
from .describe import Described, Facts, Part, Table

__all__ = ["AliasMap", "Field", "Schema"]

_TYPES = {
    "B": "uint8",
    "U": "uint16",
    "I": "int32",
    "L": "int64",
    "F": "float32",
    "D": "float64",
    "Flag": "bool",
    "flag": "bool",
    "str": "String",
    "string": "String",
    "angle": "Angle",
    "int": "int64",
    "float": "float64",
}


def _type_name(given: str | type | DTypeLike) -> tuple[str, bool, int]:
    """Return the canonical name of a type, whether it is an array of it, and the characters of a numpy string."""
    name = given.__name__ if isinstance(given, type) and given in (int, float, bool, str) else given
    if isinstance(name, str):
        is_array = name.startswith("Array") and len(name) > 5
        name = name.removeprefix("Array") if is_array else name
        name = _TYPES.get(name, name)
        if name in ("String", "Angle", "bool"):
            return name, is_array, 0
    else:
        is_array = False
    try:
        dtype = np.dtype(name)
    except TypeError:
        hint = closest(str(given), [*_TYPES, "Angle", "String", "ArrayF", "ArrayD", "float32", "int16"])
        raise TypeError(f"{given!r} is no type of a catalog column.{hint}") from None
    if dtype.kind in "US":
        return "String", is_array, dtype.itemsize // (4 if dtype.kind == "U" else 1)
    if dtype.kind not in "biufcMm":
        raise TypeError(
            f"A catalog cannot hold {dtype}: numbers, booleans, text, times, and arrays of numbers are held."
        )
    return dtype.name, is_array, 0


@dataclass(frozen=True, slots=True)
class Field(LsstNames):
    """One column: its name, type, and what it says. Catalogs and records take it as a key, too."""

    name: str
    """Letters, digits and underscores by custom."""
    type: str
    """``bool`` (a flag), ``Angle`` (float64, radians), ``String``, or a numpy type such as ``int64`` or ``float32``."""
    doc: str = ""
    """One sentence."""
    units: str = ""
    """As astropy spells them: ``nJy``, ``pix``, ``rad``; empty where there are none."""
    size: int = 0
    """Elements of an array column or most characters of a text; 0: one number, or text of any length."""
    shape: tuple[int, ...] = ()
    """Of one row; ``()`` for a scalar."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of one element."""
        if self.type == "String":
            return np.dtype(f"U{max(self.size, 1)}")
        return np.dtype("float64" if self.type == "Angle" else self.type)

    @property
    def key(self) -> Self:
        """Itself, which is all the key that it needs; LSST's code asks for ``schema.find(name).key``."""
        return self

    def as_key(self) -> Self:
        """Return itself, as `key`."""
        return self

    @property
    def is_flag(self) -> bool:
        """Whether the column holds booleans."""
        return self.type == "bool"

    @property
    def default(self) -> Any:
        """What a new record holds: 0, NaN, False or ``""``."""
        kind = self.dtype.kind
        return {"f": np.nan, "c": np.nan, "b": False, "U": "", "M": "NaT", "m": "NaT"}.get(kind, 0)

    def empty(self, rows: int) -> np.ndarray[Any, Any]:
        """Return a new column, shape ``(rows, *shape)``, filled with the default."""
        return np.full((rows, *self.shape), self.default, dtype=self.dtype)

    def shown(self, value: Any) -> str:
        """Return a value of the column as text to read: numbers to nine digits, longer arrays by their ends."""
        if self.shape:
            return np.array2string(value, precision=6, threshold=6, edgeitems=2).replace("\n", "")
        return f"{value:.9g}" if self.dtype.kind == "f" else str(value)

    def to_dict(self) -> dict[str, Any]:
        """Return the field as plain values."""
        return {
            "name": self.name,
            "type": self.type,
            "doc": self.doc,
            "units": self.units,
            "size": self.size,
            "shape": list(self.shape),
        }


class AliasMap(MutableMapping[str, str]):
    """Other names of columns: the longest alias that begins a name is replaced by its target, again and again.

    With ``{"slot_PsfFlux": "base_PsfFlux"}``, ``slot_PsfFlux_instFlux`` is ``base_PsfFlux_instFlux``.

    Parameters
    ----------
    aliases
        Target by alias.
    """

    def __init__(self, aliases: Mapping[str, str] = {}) -> None:
        self._targets = dict(aliases)
        self._resolved: dict[str, str] = {}

    def resolve(self, name: str) -> str:
        """Return the name that an alias, or a name which begins with one, stands for; any other name as it is.

        Raises
        ------
        RuntimeError
            If the aliases lead back to each other.
        """
        if not self._targets:
            return name
        known = self._resolved.get(name)
        if known is None:
            known = self._resolved[name] = self._follow(name)
        return known

    def _follow(self, name: str) -> str:
        current = name
        for _ in range(len(self._targets) + 1):
            fitting = [alias for alias in self._targets if current.startswith(alias)]
            if not fitting:
                return current
            longest = max(fitting, key=len)
            current = self._targets[longest] + current[len(longest) :]
        raise RuntimeError(f"The alias {name!r} leads in a circle: {self._targets}. Remove one of these aliases.")

    def __getitem__(self, alias: str) -> str:
        return self._targets[alias]

    def __setitem__(self, alias: str, target: str) -> None:
        if not alias:
            raise ValueError(f"An alias of {target!r} must have a name; the empty one would begin every name.")
        self._targets[alias] = target
        self._resolved.clear()

    def __delitem__(self, alias: str) -> None:
        del self._targets[alias]
        self._resolved.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __repr__(self) -> str:
        return f"AliasMap({self._targets})"


class Schema(Described, LsstNames):
    """The columns of a catalog in order, and their aliases.

    Fields are only ever added; the copy that a catalog keeps takes no more of them.

    Parameters
    ----------
    fields
        The first columns.
    aliases
        Other names of columns, see `AliasMap`.
    """

    VERSION: ClassVar[int] = 1

    def __init__(self, fields: Iterable[Field] = (), aliases: Mapping[str, str] = {}) -> None:
        self._fields: dict[str, Field] = {}
        self._frozen = False
        self.aliases = AliasMap(aliases)
        for field in fields:
            self._add(field)

    def add_field(
        self,
        name: str,
        type: str | type | DTypeLike,  # noqa: A002 - the field's word
        doc: str = "",
        units: str = "",
        size: int = 0,
        *,
        shape: tuple[int, ...] | None = None,
        do_replace: bool = False,
    ) -> Field:
        """Add a column.

        Parameters
        ----------
        name
            Not used yet.
        type
            LSST's letters (``B U I L F D Flag Angle String``, ``ArrayF`` and so on), or what numpy or Python
            calls the type (``"int16"``, ``np.float32``, `bool`, `str`).
        doc
            One sentence.
        units
            As astropy spells them; an Angle is in ``rad``.
        size
            Elements of an array, or the most characters of a text (0: any number).
        shape
            Of one row, for columns of more dimensions; instead of `size`.
        do_replace
            Whether a column of that name and type that is there already gets the new units and doc.

        Returns
        -------
        field : `Field`
            Serves as a key of catalogs and records.

        Raises
        ------
        ValueError
            If there is such a column already, an array has no size, or an Angle has another unit.
        TypeError
            If the type is unknown, or another than that of the column to be replaced, or the schema belongs to a
            catalog.
        """
        canonical, is_array, characters = _type_name(type)
        if canonical == "String":
            size = size or characters
            shape = shape or ()
        else:
            if is_array and not size and not shape:
                raise ValueError(f"{name}: an array column needs its size, the number of elements in each row.")
            shape = shape if shape is not None else ((size,) if size else ())
            size = int(np.prod(shape)) if shape else 0
        if canonical == "Angle":
            if units not in ("", "rad"):
                raise ValueError(f"{name}: an Angle is kept in radians, not in {units}; use type 'D' for other units.")
            units = "rad"
        field = Field(name, canonical, doc, units, size, tuple(shape))
        self._add(field, do_replace=do_replace)
        return field

    def define_slot(self, slot: str, prefix: str) -> None:
        """Say which measurement a slot stands for: ``define_slot("PsfFlux", "base_PsfFlux")``."""
        self.aliases[f"slot_{slot}"] = prefix

    @property
    def names(self) -> list[str]:
        """The names of the columns in order."""
        return list(self._fields)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns in order."""
        return tuple(self._fields.values())

    def find(self, name: str | Field) -> Field:
        """Return the column of a name or alias.

        Raises
        ------
        KeyError
            If there is none; the message names the closest.
        """
        asked = name.name if isinstance(name, Field) else name
        resolved = self.aliases.resolve(asked)
        found = self._fields.get(resolved)
        if found is None:
            through = f" (which stands for {resolved!r})" if resolved != asked else ""
            hint = closest(resolved, self._fields)
            raise KeyError(f"The schema has no column {asked!r}{through} among its {len(self)}.{hint}")
        return found

    def extract(self, *patterns: str, regex: str | None = None, sub: str | None = None) -> dict[str, Field]:
        r"""Return the columns whose names match any of some patterns (``"base_Psf*"``), by name.

        Parameters
        ----------
        patterns
            With ``*`` and ``?``, as shells have them. Those that begin with an alias match the columns that it stands
            for, under the names that these have by it.
        regex
            A regular expression that whole names may match instead.
        sub
            What such names become, ``r"\1_flux"``.
        """
        found = {
            name: field
            for name, field in self._fields.items()
            if any(fnmatchcase(name, pattern) for pattern in patterns)
        }
        for alias, target in self.aliases.items():
            for name, field in self._fields.items():
                other = alias + name.removeprefix(target)
                if name.startswith(target) and any(
                    pattern.startswith(alias) and fnmatchcase(other, pattern) for pattern in patterns
                ):
                    found[other] = field
        if regex is not None:
            matches = {name: re.fullmatch(regex, name) for name in self._fields}
            found |= {
                name if sub is None else match.expand(sub): self._fields[name]
                for name, match in matches.items()
                if match
            }
        return found

    def copy(self) -> Schema:
        """Return a schema with the same columns and aliases that takes further ones."""
        return Schema(self.fields, self.aliases)

    def frozen(self) -> Schema:
        """Return a copy that takes no further columns, as catalogs keep it; aliases may still be set."""
        made = self.copy()
        made._frozen = True
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return fields and aliases as plain values."""
        return {"fields": [field.to_dict() for field in self.fields], "aliases": dict(self.aliases)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a schema of what `to_dict` gave."""
        fields = (Field(**{**given, "shape": tuple(given["shape"])}) for given in content["fields"])
        return cls(fields, content["aliases"])

    def __getitem__(self, name: str | Field) -> Field:
        return self.find(name)

    def __contains__(self, name: object) -> bool:
        if isinstance(name, Field):
            return self._fields.get(name.name) == name
        return isinstance(name, str) and self.aliases.resolve(name) in self._fields

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schema):
            return NotImplemented
        return self.fields == other.fields and self.aliases == other.aliases

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:  # one looks at a schema to see its columns
        return str(self.describe())

    def _state(self) -> Iterable[str]:
        return (f"{len(self)} columns",)

    def _parts(self) -> Iterable[Part]:
        rows = [(field.name, field.type + _cell(field), field.units, field.doc) for field in self]
        yield Table(("column", "type", "unit", "meaning"), rows)
        if self.aliases:
            yield Facts(dict(self.aliases))

    def _add(self, field: Field, *, do_replace: bool = False) -> None:
        if self._frozen:
            raise TypeError(
                f"The schema of a catalog is fixed, {field.name!r} cannot be added to it: "
                "make a wider one with schema.copy(), add the column, and make a new catalog with it."
            )
        old = self._fields.get(field.name) if do_replace else None
        if old is not None and (old.type, old.size, old.shape) != (field.type, field.size, field.shape):
            raise TypeError(f"{old} cannot be replaced by a column of another type, {field}.")
        if old is None and field.name in self._fields:
            raise ValueError(f"There is a column {field.name!r} already: {self._fields[field.name]}.")
        self._fields[field.name] = field


def _cell(field: Field) -> str:
    """Return the shape of one cell, ``[3]``; nothing for single values."""
    return f"[{', '.join(map(str, field.shape))}]" if field.shape else ""
