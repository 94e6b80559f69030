"""Finding rows of a catalog: by a value, between values of a sorted column, and by flags packed into bits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..model.lsst_names import LsstNames
from .schema import Field, Schema

if TYPE_CHECKING:
    from .source_record import SourceRecord

__all__ = ["CatalogSearches", "FlagBits"]

_MOST_FLAGS = 64


class FlagBits(LsstNames):
    """Flags of every row as the bits of one number.

    Parameters
    ----------
    flags
        The columns; the first is bit 0.
    columns
        Their values.
    """

    def __init__(self, flags: list[Field], columns: list[NDArray[np.bool_]]) -> None:
        if len(flags) > _MOST_FLAGS:
            raise ValueError(f"{len(flags)} flags do not fit a number of {_MOST_FLAGS} bits; name fewer")
        self._places = {field.name: place for place, field in enumerate(flags)}
        self.array: NDArray[np.int64] = np.zeros(len(columns[0]) if columns else 0, np.int64)
        for place, column in enumerate(columns):
            self.array |= column.astype(np.uint64).__lshift__(np.uint64(place)).view(np.int64)

    def mask(self, flag: str | Field) -> int:
        """Return the value of `array` where only one flag is set; KeyError for one that is not among them."""
        return 1 << self._places[flag.name if isinstance(flag, Field) else flag]


class CatalogSearches(LsstNames):
    """What a catalog finds rows by. Columns that are searched between must be sorted (``catalog.sort(key)``)."""

    if TYPE_CHECKING:

        @property
        def schema(self) -> Schema:
            """The columns."""
            ...

        def __getitem__(self, key: Any) -> Any: ...
        def __len__(self) -> int: ...

    def is_sorted(self, key: str | Field = "id") -> bool:
        """Whether a column never falls from one row to the next; NaN is above all numbers, as `sort` has it."""
        column = self[key]
        before, after = column[:-1], column[1:]
        falls = before > after
        if column.dtype.kind == "f":
            falls |= np.isnan(before) & ~np.isnan(after)
        return not falls.any()

    def find(self, value: Any, key: str | Field = "id") -> SourceRecord | None:
        """Return the first record whose column has a value, or None; needs no sorting."""
        rows = np.flatnonzero(self[key] == value)
        found: SourceRecord | None = self[int(rows[0])] if len(rows) else None
        return found

    def lower_bound(self, value: Any, key: str | Field = "id") -> int:
        """Return the first row of a sorted column that is not below a value; the number of rows where there is none."""
        return int(np.searchsorted(self._sorted(key), value, "left"))

    def upper_bound(self, value: Any, key: str | Field = "id") -> int:
        """Return the first row of a sorted column that is above a value; the number of rows where there is none."""
        return int(np.searchsorted(self._sorted(key), value, "right"))

    def equal_range(self, value: Any, key: str | Field = "id") -> slice:
        """Return the rows of a sorted column that have a value."""
        return self.between(value, value, key)

    def between(self, lower: Any, upper: Any, key: str | Field = "id") -> slice:
        """Return the rows of a sorted column that have a value from one to another, both of them too."""
        return slice(self.lower_bound(lower, key), self.upper_bound(upper, key))

    def bits(self, flags: Iterable[str | Field] | None = None) -> FlagBits:
        """Return flags packed into bits, the first bit 0; all flags of the schema, in its order, by default."""
        chosen = [field for field in self.schema if field.is_flag and not field.shape]
        if flags is not None:
            chosen = [self.schema.find(flag) for flag in flags]
        if others := [field.name for field in chosen if not field.is_flag]:
            raise TypeError(f"{others[0]} is no flag, so it has no bit")
        return FlagBits(chosen, [self[field] for field in chosen])

    def extract(self, *patterns: str, where: Any = slice(None), copy: bool = False) -> dict[str, NDArray[Any]]:
        """Return the columns whose names match any of some patterns (``"base_Psf*"``), by name; ``"*"`` is all.

        Parameters
        ----------
        patterns
            With ``*`` and ``?``, as shells have them.
        where
            A slice, or a boolean or integer array: these rows only.
        copy
            Whether columns that could be shared are copied.
        """
        found = {name: self[name][where] for name in self.schema.extract(*(patterns or ("*",)))}
        return {name: np.array(column) for name, column in found.items()} if copy else found

    def _sorted(self, key: str | Field) -> Any:
        if not self.is_sorted(key):
            name = key.name if isinstance(key, Field) else key
            raise ValueError(
                f"the catalog is not sorted by {name}, which searching between values needs: sort({name!r})"
            )
        return self[key]
