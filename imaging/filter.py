"""The glass that an exposure was taken through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ..model.lsst_names import LsstNames

__all__ = ["Filter"]


@dataclass(frozen=True, slots=True)
class Filter(LsstNames):
    """A filter: which piece of glass, and which band of the spectrum it stands for, or one of these."""

    physical: str = ""
    """Name of the glass, one for each that a camera has: ``HSC-R2``, ``sdss_r``; empty where it is not known."""
    band: str = ""
    """The band, shared between cameras: ``r``; empty where the filter has none."""

    VERSION: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not (self.physical or self.band):
            raise ValueError("A filter has a physical name, a band, or both.")

    @property
    def band_label(self) -> str:
        """LSST's name of `band`; ValueError where there is none."""
        return _said("band", self.band)

    @property
    def physical_label(self) -> str:
        """LSST's name of `physical`; ValueError where it is not known."""
        return _said("physical name", self.physical)

    def has_band_label(self) -> bool:
        """Whether there is a band."""
        return bool(self.band)

    def has_physical_label(self) -> bool:
        """Whether the physical name is known."""
        return bool(self.physical)

    def to_dict(self) -> dict[str, Any]:
        """Return the two names."""
        return {"physical": self.physical, "band": self.band}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a filter of what `to_dict` gave."""
        return cls(content["physical"], content["band"])

    def __str__(self) -> str:
        return f"{self.physical} ({self.band})" if self.band and self.physical else self.physical or self.band


def _said(what: str, name: str) -> str:
    if not name:
        raise ValueError(f"The filter has no {what}.")
    return name
