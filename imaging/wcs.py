"""Where the pixels are on the sky."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from functools import cached_property
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.errors import HeaderError
from ..model.lsst_names import LsstNames
from .geometry import Point2D
from .header import Card, Header

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame, SkyCoord
    from astropy.io import fits
    from astropy.wcs import WCS

    from .geometry import Box2I

__all__ = ["Wcs"]

_SKY_KEYWORD = re.compile(
    r"(WCSAXES|WCSNAME|CTYPE\d|CRPIX\d|CRVAL\d|CDELT\d|CROTA\d|CUNIT\d|CD\d_\d|PC\d_\d|P[VS]\d_\d+|LONPOLE|LATPOLE"
    r"|RADESYS|RADECSYS|EQUINOX|EPOCH|[AB]P?_ORDER|[AB]_DMAX|[AB]P?_\d+_\d+)"
)
_STALE_WITH_CD = re.compile(r"(CDELT\d|CROTA\d|PC\d_\d)")
_LINEAR = re.compile(r"(CD\d_\d|CDELT\d|CROTA\d|PC\d_\d)")


class Wcs(LsstNames):
    """A world coordinate system: parent pixels, counted from 0, to the sky in ICRS, and back.

    Pixels are those of the parent image, so the WCS of an exposure holds for every part of it. Any projection and
    distortion that `astropy.wcs` understands from a header will do: TAN, TAN-SIP, TPV, ZPN and others.

    Parameters
    ----------
    wcs
        Two celestial axes, over an array.
    xy0
        Parent pixel of the array's first one.
    """

    VERSION: ClassVar[int] = 1

    def __init__(self, wcs: WCS, xy0: tuple[float, float] = (0, 0)) -> None:
        if not wcs.has_celestial:
            raise ValueError(f"A Wcs needs a right ascension and a declination axis; these are {list(wcs.wcs.ctype)}.")
        self._wcs = wcs if wcs.naxis == 2 else wcs.celestial
        self._wcs.wcs.set()
        self._x0, self._y0 = float(xy0[0]), float(xy0[1])

    @classmethod
    def from_header(cls, header: Mapping[str, Any] | fits.Header, xy0: tuple[float, float] = (0, 0)) -> Self | None:
        """Make one of a FITS header, or return None where the header says nothing of the sky.

        Where a header has a CD matrix beside CDELT, CROTA or PC, as PinPoint and afw leave it, the CD matrix counts.

        Parameters
        ----------
        header
            Its reference pixel counts from 1 at the array's first pixel.
        xy0
            Parent pixel of the array's first one; ``(-LTV1, -LTV2)`` in headers that have these.

        Raises
        ------
        HeaderError
            If the header speaks of the sky, but cannot be understood.
        """
        from astropy.io import fits
        from astropy.wcs import WCS, FITSFixedWarning

        cards = {key.upper(): header[key] for key in header if _SKY_KEYWORD.fullmatch(key.upper())}
        if not any(str(cards.get(f"CTYPE{i}", "")).strip() for i in (1, 2)):
            return None
        if any(key.startswith("CD") and "_" in key for key in cards):
            cards = {key: value for key, value in cards.items() if not _STALE_WITH_CD.fullmatch(key)}
        for old, new in (("RADECSYS", "RADESYS"), ("EPOCH", "EQUINOX")):
            if (value := cards.pop(old, None)) is not None:
                cards.setdefault(new, value)
        try:
            text = "".join(_card_text(key, value) for key, value in cards.items() if value is not None)
            sky = fits.Header.fromstring(text)
            with warnings.catch_warnings():
                # every oddity that astropy repairs here is one that raw headers of real telescopes are full of
                warnings.simplefilter("ignore", FITSFixedWarning)
                made = WCS(sky)
                if not made.has_celestial:
                    return None
                for axis in (made.wcs.lng + 1, made.wcs.lat + 1):
                    if f"CRPIX{axis}" not in cards:  # FITS has a default for it, which nobody means
                        raise ValueError(f"there is no reference pixel, CRPIX{axis}")
                found = cls(made, xy0)
                _ = found._frame  # one that cannot be named is found out now
                return found
        except Exception as error:  # astropy passes on whatever wcslib says, in a dozen kinds of exception
            kinds = [cards.get(f"CTYPE{i}") for i in (1, 2)]
            raise HeaderError(
                f"The header's sky coordinates (CTYPE {kinds}) cannot be understood: {' '.join(str(error).split())}"
            ) from error

    @classmethod
    def make_tan(
        cls, pixel_origin: tuple[float, float], sky_origin: SkyCoord | tuple[float, float], cd_matrix: ArrayLike
    ) -> Self:
        """Make a tangent projection.

        Parameters
        ----------
        pixel_origin
            Parent pixel of the point of tangency, counted from 0.
        sky_origin
            Where that is: right ascension and declination, degrees, ICRS.
        cd_matrix
            Of shape (2, 2), degrees per pixel.
        """
        from astropy.wcs import WCS

        ra, dec = sky_origin if isinstance(sky_origin, tuple) else (sky_origin.icrs.ra.deg, sky_origin.icrs.dec.deg)
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.radesys = "ICRS"
        wcs.wcs.crpix = [pixel_origin[0] + 1, pixel_origin[1] + 1]
        wcs.wcs.crval = [ra, dec]
        wcs.wcs.cd = np.asarray(cd_matrix, dtype=np.float64)
        return cls(wcs)

    def pixel_to_sky(self, x: ArrayLike | Point2D, y: ArrayLike | None = None) -> SkyCoord:
        """Return where pixels are on the sky.

        Parameters
        ----------
        x, y
            Parent pixels, counted from 0 at the centre of the first.

        Returns
        -------
        sky : `astropy.coordinates.SkyCoord`
            ICRS, of the shape of the pixels; NaN where the projection does not reach.
        """
        from astropy.coordinates import SkyCoord

        if y is None:
            if not isinstance(x, tuple):
                raise TypeError(f"A position is a Point2D, or two arguments x and y; not {x!r} alone.")
            x, y = x
        px, py = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        world = self._wcs.all_pix2world((px - self._x0).ravel(), (py - self._y0).ravel(), 0)
        longitude, latitude = (world[axis].reshape(px.shape) for axis in self._axes)
        sky = SkyCoord(longitude, latitude, unit="deg", frame=self._frame)
        return sky if sky.frame.name == "icrs" else sky.icrs

    def sky_to_pixel(self, sky: SkyCoord) -> Point2D | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the pixels of positions on the sky.

        Parameters
        ----------
        sky
            In any frame.

        Returns
        -------
        x, y : `Point2D` or arrays
            Parent pixels, counted from 0; a `Point2D` for one position. NaN where the projection does not reach.
        """
        if not hasattr(sky, "transform_to"):
            raise TypeError(
                f"Positions on the sky are a SkyCoord, not {sky!r}; SkyCoord(ra, dec, unit='deg') makes one."
            )
        native = sky.transform_to(self._frame)
        spherical = native.represent_as("unitspherical")
        longitude, latitude = spherical.lon.deg, spherical.lat.deg
        world = [np.ravel(longitude), np.ravel(latitude)]
        if self._axes != (0, 1):
            world.reverse()
        x, y = self._wcs.all_world2pix(*world, 0, quiet=True)
        x, y = (x + self._x0).reshape(np.shape(longitude)), (y + self._y0).reshape(np.shape(longitude))
        return Point2D(float(x), float(y)) if x.ndim == 0 else (x, y)

    @property
    def pixel_scale(self) -> float:
        """Arcseconds per pixel at the reference pixel: the root of a pixel's area."""
        return float(np.sqrt(abs(np.linalg.det(self.cd_matrix)))) * 3600.0

    @property
    def cd_matrix(self) -> NDArray[np.float64]:
        """Degrees per pixel at the reference pixel, shape (2, 2)."""
        return np.array(self._wcs.pixel_scale_matrix, dtype=np.float64)

    @property
    def pixel_origin(self) -> Point2D:
        """The reference pixel: parent, counted from 0."""
        x, y = (float(value) for value in self._wcs.wcs.crpix)
        return Point2D(x - 1 + self._x0, y - 1 + self._y0)

    @property
    def sky_origin(self) -> SkyCoord:
        """Where the reference pixel is on the sky, ICRS."""
        from astropy.coordinates import SkyCoord

        longitude, latitude = (float(self._wcs.wcs.crval[axis]) for axis in self._axes)
        return SkyCoord(longitude, latitude, unit="deg", frame=self._frame).icrs

    @property
    def is_flipped(self) -> bool:
        """Whether east is to the right where north is up."""
        sign = 1 if self._axes == (0, 1) else -1
        return bool(sign * np.linalg.det(self.cd_matrix) > 0)

    def footprint(self, bbox: Box2I) -> list[tuple[float, float]]:
        """Return right ascension and declination, degrees ICRS, of the four outer corners of a box, one after another.

        Parameters
        ----------
        bbox
            Parent pixels.
        """
        left, right = bbox.min_x - 0.5, bbox.max_x + 0.5
        bottom, top = bbox.min_y - 0.5, bbox.max_y + 0.5
        sky = self.pixel_to_sky([left, right, right, left], [bottom, bottom, top, top])
        return [(float(ra), float(dec)) for ra, dec in zip(sky.ra.deg, sky.dec.deg, strict=True)]

    def shifted(self, offset: tuple[float, float]) -> Wcs:
        """Return the WCS that has the sky of pixel p at pixel p + offset."""
        return Wcs(self._wcs, (self._x0 + offset[0], self._y0 + offset[1]))

    def to_header(self, xy0: tuple[float, float] = (0, 0)) -> Header:
        """Return FITS cards for an array whose first pixel is a parent pixel; numbers keep their full precision.

        Parameters
        ----------
        xy0
            That parent pixel.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a distortion that FITS cannot say has been refused when it was read
            written = Header.from_astropy(self._wcs.to_header(relax=True))
        cards = [card for card in written.cards if _SKY_KEYWORD.fullmatch(card.keyword)]
        header = Header(card for card in cards if not _LINEAR.fullmatch(card.keyword))
        for i, (pixel, value) in enumerate(zip(self.pixel_origin, self._wcs.wcs.crval, strict=True)):
            header[f"CRPIX{i + 1}"] = pixel - xy0[i] + 1
            header[f"CRVAL{i + 1}"] = float(value)
        for axis, parameter, value in self._wcs.wcs.get_pv():
            header[f"PV{axis}_{parameter}"] = float(value)
        for (row, column), value in np.ndenumerate(self.cd_matrix):
            header.set(f"CD{row + 1}_{column + 1}", float(value), "[deg/pixel]")
        return header

    def as_astropy(self, xy0: tuple[float, float] = (0, 0)) -> WCS:
        """Return an `astropy.wcs.WCS` for an array whose first pixel is a parent pixel."""
        from astropy.wcs import WCS

        return WCS(self.to_header(xy0).to_astropy())

    def to_dict(self) -> dict[str, Any]:
        """Return the cards of `to_header`."""
        return self.to_header().to_dict()

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make one of what `to_dict` gave."""
        made = cls.from_header(Header(Card(*card) for card in content["cards"]))
        if made is None:
            raise HeaderError("The stored cards have no sky coordinates: CTYPE1 and CTYPE2 are missing.")
        return made

    def __getstate__(self) -> dict[str, Any]:
        return self.to_dict()

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(type(self).from_dict(state).__dict__)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Wcs):
            return NotImplemented
        return self.to_header() == other.to_header()

    def __hash__(self) -> int:
        return hash((tuple(self.pixel_origin), tuple(self._wcs.wcs.crval)))

    def __repr__(self) -> str:
        ra, dec = self.sky_origin.ra.deg, self.sky_origin.dec.deg
        # wcslib takes a TPV apart into TAN and a distortion; only the header names the whole
        kind = str(self.to_header()[f"CTYPE{self._axes[0] + 1}"])[5:]
        x, y = self.pixel_origin
        return f"Wcs({kind}, pixel ({x:.2f}, {y:.2f}) at {ra:.6f} {dec:+.6f}, {self.pixel_scale:.4f} arcsec/pixel)"

    @cached_property
    def _axes(self) -> tuple[int, int]:
        return int(self._wcs.wcs.lng), int(self._wcs.wcs.lat)

    @cached_property
    def _frame(self) -> BaseCoordinateFrame:
        from astropy.wcs.utils import wcs_to_celestial_frame

        return wcs_to_celestial_frame(self._wcs)


def _card_text(keyword: str, value: Any) -> str:
    """Return a card of 80 characters; astropy's own would cut numbers to 20 of them."""
    if isinstance(value, str):
        shown = f"'{value.replace(chr(39), 2 * chr(39)):8}'"
    elif isinstance(value, bool | np.bool_):
        shown = "T" if value else "F"
    else:
        shown = str(index(value)) if isinstance(value, int | np.integer) else repr(float(value)).upper()
    return f"{keyword:8}= {shown:>20}".ljust(80)
