"""What an exposure can hold besides its pixels, in one table that files are written and read by.

``COMPONENTS["psf"]`` says which class a component is, what its part of a file is called, and how it becomes plain
values and arrays and back (`Component.pack`, `Component.unpack`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import index
from typing import Any, Generic, Self, SupportsIndex, TypeVar, overload

from ..model.lsst_names import LsstNames
from .ap_corr import ApCorrMap
from .background import Background, BackgroundList
from .detector import Detector
from .filter import Filter
from .header import Header
from .photo_calib import PhotoCalib
from .polygon import Polygon
from .psf import Psf
from .visit_info import VisitInfo
from .wcs import Wcs

__all__ = ["COMPONENTS", "Component", "ExposureComponents"]

T = TypeVar("T")


class Component(Generic[T]):
    """A typed attribute of an exposure, None where absent.

    Parameters
    ----------
    kinds
        What it can be; the first is made by `unpack` unless that is given.
    hdu
        Name of its HDU; None for what is written into headers instead.
    version
        Of what `pack` gives; the class's ``VERSION`` by default.
    pack, unpack
        To plain values and arrays, and back; the class's ``to_dict`` and ``from_dict`` by default.
    """

    name: str

    def __init__(
        self,
        *kinds: type[T],
        hdu: str | None,
        version: int | None = None,
        pack: Callable[[T], dict[str, Any]] | None = None,
        unpack: Callable[[Mapping[str, Any]], T] | None = None,
    ) -> None:
        self.kinds = kinds
        self.hdu = hdu
        first: Any = kinds[0]
        self.version: int = first.VERSION if version is None else version
        self._pack = pack
        self._unpack: Callable[[Mapping[str, Any]], T] = first.from_dict if unpack is None else unpack

    def pack(self, value: T) -> dict[str, Any]:
        """Return a component as scalars, texts, lists, dictionaries and numpy arrays."""
        if self._pack is not None:
            return self._pack(value)
        packed: dict[str, Any] = value.to_dict()  # type: ignore[attr-defined]  # every class of the table has it
        return packed

    def unpack(self, content: Mapping[str, Any], version: int | None = None) -> T:
        """Make a component of what `pack` gave.

        Parameters
        ----------
        content
            Arrays may have become lists, and the other way round.
        version
            That the file says.

        Raises
        ------
        ValueError
            If the version is newer than this program knows.
        """
        if version is not None and version > self.version:
            raise ValueError(
                f"The file's {self.name} is of version {version}, and this program reads up to {self.version}; "
                "a newer SkyButler reads it."
            )
        return self._unpack(content)

    def checked(self, value: Any) -> Any:
        """Return a value, an integer of numpy as an int; TypeError unless it is None or of the component's class."""
        if int in self.kinds and isinstance(value, SupportsIndex) and not isinstance(value, bool):
            return index(value)
        if value is None or (isinstance(value, self.kinds) and not isinstance(value, bool)):
            return value
        wanted = " or ".join(kind.__name__ for kind in self.kinds)
        raise TypeError(f"exposure.{self.name} takes {wanted} or None, not {type(value).__name__}.")

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, exposure: None, owner: type) -> Self: ...
    @overload
    def __get__(self, exposure: ExposureComponents, owner: type) -> T | None: ...
    def __get__(self, exposure: ExposureComponents | None, owner: type) -> Self | T | None:
        return self if exposure is None else exposure._components.get(self.name)

    def __set__(self, exposure: ExposureComponents, value: T | None) -> None:
        value = self.checked(value)
        if value is None:
            exposure._components.pop(self.name, None)
        else:
            exposure._components[self.name] = value


def _unpack_background(content: Mapping[str, Any]) -> Background | BackgroundList:
    return (BackgroundList if "backgrounds" in content else Background).from_dict(content)


class ExposureComponents(LsstNames):
    """The components of an exposure, as attributes."""

    __slots__ = ("_components",)

    _components: dict[str, Any]

    wcs = Component(Wcs, hdu=None)
    """Where the pixels are on the sky."""
    psf = Component(Psf, hdu="PSF")  # type: ignore[type-abstract]  # any kind of PSF may stand there
    """What a star looks like."""
    photo_calib = Component(PhotoCalib, hdu="PHOTOCALIB")
    """How counts become fluxes."""
    background: Component[Background | BackgroundList] = Component(
        Background, BackgroundList, hdu="BACKGROUND", unpack=_unpack_background
    )
    """The light that was subtracted from the pixels."""
    visit_info = Component(VisitInfo, hdu="VISIT_INFO")
    """When, where and how it was taken."""
    filter = Component(Filter, hdu="FILTER")
    """What it was taken through."""
    detector = Component(Detector, hdu="DETECTOR")
    """What it was taken with."""
    ap_corr = Component(ApCorrMap, hdu="AP_CORR")
    """Aperture corrections by column."""
    valid_polygon = Component(Polygon, hdu="VALID_POLYGON")
    """Outside of which the pixels mean nothing."""
    summary_stats: Component[dict[str, Any]] = Component(dict, hdu="SUMMARY_STATS", version=1, pack=dict, unpack=dict)
    """Numbers that sum it up, by name."""
    id: Component[int] = Component(
        int, hdu=None, version=1, pack=lambda value: {"id": value}, unpack=lambda content: int(content["id"])
    )
    """A number that no other exposure of the repository has."""


COMPONENTS: dict[str, Component[Any]] = {
    name: value for name, value in vars(ExposureComponents).items() if isinstance(value, Component)
} | {"metadata": Component(Header, hdu=None)}
"""Every component by the name of its attribute; metadata, which every exposure has, too."""

COMPONENTS["metadata"].name = "metadata"
