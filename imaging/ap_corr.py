"""Aperture corrections: for each kind of flux, how it compares with the flux that calibration went by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from ..model.errors import closest
from ..model.lsst_names import LsstNames
from .chebyshev import ChebyshevField

__all__ = ["ApCorrMap"]

_SHOWN = 6


class ApCorrMap(LsstNames, Mapping[str, ChebyshevField]):
    """Fields by the column that they correct: ``base_PsfFlux_instFlux``, ``base_PsfFlux_instFluxErr``.

    Parameters
    ----------
    fields
        Factor over the image by column name.
    """

    VERSION: ClassVar[int] = 1

    def __init__(self, fields: Mapping[str, ChebyshevField]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> ChebyshevField:
        if name not in self._fields:
            raise KeyError(f"There is no aperture correction for {name!r}.{closest(name, self._fields)}")
        return self._fields[name]

    def __setitem__(self, name: str, field: ChebyshevField) -> None:
        self._fields[name] = field

    set = __setitem__  # LSST's name

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __imul__(self, factor: float) -> Self:
        self._fields = {name: field * factor for name, field in self._fields.items()}
        return self

    def __itruediv__(self, divisor: float) -> Self:
        return self.__imul__(1.0 / divisor)

    def __repr__(self) -> str:
        more = len(self) - _SHOWN
        return f"ApCorrMap({', '.join([*list(self)[:_SHOWN], *([f'… {more} more'] if more > 0 else [])])})"

    def to_dict(self) -> dict[str, Any]:
        """Return each field's own dictionary by name."""
        return {"fields": {name: field.to_dict() for name, field in self._fields.items()}}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a map of what `to_dict` gave."""
        return cls({name: ChebyshevField.from_dict(field) for name, field in content["fields"].items()})
