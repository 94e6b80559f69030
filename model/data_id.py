"""A data ID: which data are meant, as values of dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from .dimensions import DimensionGroup
from .errors import DataIdError

__all__ = ["DataId", "DimensionValue"]

DimensionValue: TypeAlias = int | str


class DataId(Mapping[str, DimensionValue]):
    """Values of dimensions that together mean one thing: ``{instrument: 'HSC', visit: 1234, detector: 0}``.

    Immutable and hashable. It always holds the required dimensions of its group, and may also hold the implied ones
    (queries fill them in); two data IDs are equal where their required values are.

    Parameters
    ----------
    dimensions
        The group of dimensions that it speaks of.
    values
        Values in the order of ``dimensions.names``: of the required ones, or of all.
    """

    __slots__ = ("_values", "dimensions")

    def __init__(self, dimensions: DimensionGroup, values: tuple[Any, ...]):
        self.dimensions = dimensions
        self._values = values

    @classmethod
    def from_mapping(cls, dimensions: DimensionGroup, given: Mapping[str, Any]) -> DataId:
        """Make one from a mapping that holds at least the required dimensions; what is beyond them is left out.

        numpy's numbers become Python's.

        Raises
        ------
        DataIdError
            A required dimension has no value, or what is given is no mapping.
        """
        if not isinstance(given, Mapping):
            raise DataIdError(f"a data ID is a mapping, such as {{'visit': 1234, 'detector': 0}}; not {given!r}.")
        try:
            values = [given[name] for name in dimensions.required]
            return cls(dimensions, tuple([v.item() if hasattr(v, "item") else v for v in values]))
        except KeyError as error:
            missing = ", ".join(name for name in dimensions.required if name not in given)
            text = ", ".join(f"{k}={v!r}" for k, v in given.items()) or "nothing"
            raise DataIdError(f"the data ID lacks {missing}: given was {text}.") from error

    @property
    def required_values(self) -> tuple[Any, ...]:
        """Values of the required dimensions, in order."""
        return self._values[: len(self.dimensions.required)]

    @property
    def is_full(self) -> bool:
        """Whether it holds the implied dimensions, too."""
        return len(self._values) == len(self.dimensions.names)

    def subset(self, dimensions: DimensionGroup | Iterable[str]) -> DataId:
        """Return the part of it that speaks of fewer dimensions.

        Raises
        ------
        DataIdError
            A required dimension of the smaller group is not in this one.
        """
        group = self.dimensions.universe.conform(dimensions)
        if group is self.dimensions:
            return self
        if all(name in self for name in group.names):
            return DataId(group, tuple([self[name] for name in group.names]))
        return DataId.from_mapping(group, self)

    def __getitem__(self, name: str) -> DimensionValue:
        try:
            value: DimensionValue = self._values[self.dimensions.index[name]]
        except (KeyError, IndexError):
            raise KeyError(name) from None
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.dimensions.names[: len(self._values)])

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DataId):
            return self.dimensions.names == other.dimensions.names and self.required_values == other.required_values
        if isinstance(other, Mapping):
            return dict(self) == dict(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.required_values)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name}: {value!r}" for name, value in self.items()) + "}"
