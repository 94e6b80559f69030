"""Exposures: pixels with everything that is known about them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .components import COMPONENTS, ExposureComponents
from .describe import Described, Part
from .geometry import Box2D, Box2I, Extent2I, Point2D, Point2I
from .header import Header
from .image import Image
from .mask import Mask, pixel_type
from .masked_image import MaskedImage
from .photo_calib import PhotoCalib
from .placed import Placed

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.nddata import CCDData
    from astropy.units import Quantity, UnitBase
    from lsst.sphgeom import ConvexPolygon
    from matplotlib.axes import Axes

    from .ap_corr import ApCorrMap
    from .catalog import SourceCatalog
    from .wcs import Wcs

__all__ = ["Exposure"]

_MUTABLE = ("background", "ap_corr", "summary_stats")


class Exposure(Described, ExposureComponents, Placed):
    """A masked image and its components, which are attributes and None where absent.

    The components are `wcs`, `psf`, `photo_calib` (or `calib`), `background`, `visit_info`, `filter`, `detector`,
    `ap_corr`, `valid_polygon`, `summary_stats` and `id`; their classes are checked on assignment. Components speak of
    parent pixels: they hold for every part of the exposure, and parts share them.

    Parameters
    ----------
    masked_image
        The pixels; shared, not copied.
    wcs
        Where they are on the sky.
    metadata
        The raw header; anything but a `Header` is made one. Empty by default.
    **given
        Other components by name.

    Raises
    ------
    TypeError
        If a component is unknown or of the wrong class.
    """

    __slots__ = ("__weakref__", "_masked_image", "_metadata")

    def __init__(
        self,
        masked_image: MaskedImage | Image | Any,
        wcs: Wcs | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        **given: Any,
    ) -> None:
        self._masked_image = masked_image if isinstance(masked_image, MaskedImage) else MaskedImage(masked_image)
        self._components = {}
        self.metadata = metadata
        self.wcs = wcs
        for name, value in given.items():
            if name not in COMPONENTS and name != "calib":
                raise TypeError(f"An exposure has no component {name!r}; it may have {', '.join(sorted(COMPONENTS))}.")
            setattr(self, name, value)

    @property
    def metadata(self) -> Header:
        """The raw header; empty where there was none."""
        return self._metadata

    @metadata.setter
    def metadata(self, header: Mapping[str, Any] | None) -> None:
        self._metadata = header if isinstance(header, Header) else Header(header or {})

    @property
    def calib(self) -> PhotoCalib | None:
        """Another name of `photo_calib`."""
        return self.photo_calib

    @calib.setter
    def calib(self, calib: PhotoCalib | None) -> None:
        self.photo_calib = calib

    @property
    def ap_corr_map(self) -> ApCorrMap | None:
        """LSST's name of `ap_corr`."""
        return self.ap_corr

    @ap_corr_map.setter
    def ap_corr_map(self, corrections: ApCorrMap | None) -> None:
        self.ap_corr = corrections

    @property
    def info(self) -> Self:
        """The exposure itself, for code of LSST's, which asks its ``getInfo()`` for components."""
        return self

    @property
    def components(self) -> dict[str, Any]:
        """The components that are there, by name, in the order of `skybutler.imaging.components.COMPONENTS`."""
        return {name: self._components[name] for name in COMPONENTS if name in self._components}

    @property
    def masked_image(self) -> MaskedImage:
        """Image, mask and variance."""
        return self._masked_image

    @masked_image.setter
    def masked_image(self, masked_image: MaskedImage) -> None:
        if not isinstance(masked_image, MaskedImage):
            raise TypeError(f"exposure.masked_image takes MaskedImage, not {type(masked_image).__name__}.")
        self._masked_image = masked_image

    @property
    def image(self) -> Image:
        """The plane of pixels."""
        return self._masked_image.image

    @image.setter
    def image(self, plane: Image) -> None:
        self._masked_image.image = plane

    @property
    def mask(self) -> Mask:
        """The mask."""
        return self._masked_image.mask

    @mask.setter
    def mask(self, plane: Mask) -> None:
        self._masked_image.mask = plane

    @property
    def variance(self) -> Image:
        """The variance."""
        return self._masked_image.variance

    @variance.setter
    def variance(self, plane: Image) -> None:
        self._masked_image.variance = plane

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the image's pixels."""
        return self._masked_image.dtype

    @property
    def dimensions(self) -> Extent2I:
        """Width and height."""
        return self._masked_image.dimensions

    @property
    def xy0(self) -> Point2I:
        """Parent pixel of the first one; assigning another moves the sky along."""
        return self._masked_image.xy0

    @xy0.setter
    def xy0(self, corner: Point2I | tuple[int, int]) -> None:
        before = self.xy0
        self._masked_image.xy0 = corner
        if self.wcs is not None:
            self.wcs = self.wcs.shifted((self.x0 - before.x, self.y0 - before.y))

    def __getitem__(self, key: Any) -> Any:
        found = self._masked_image[key]
        return self._with(found) if isinstance(found, MaskedImage) else found

    def __setitem__(self, key: Any, value: Any) -> None:
        self._masked_image[key] = value.masked_image if isinstance(value, Exposure) else value

    def clone(self) -> Self:
        """Return a copy with pixels and metadata of its own; components that cannot change are shared."""
        made = self._with(self._masked_image.clone())
        made.metadata = self.metadata.copy()
        for name in _MUTABLE:
            if name in made._components:
                made._components[name] = copy.deepcopy(made._components[name])
        return made

    def astype(self, dtype: DTypeLike) -> Self:
        """Return a copy with image pixels of another type; components are shared."""
        return self._with(self._masked_image.astype(dtype))

    def get_cutout(
        self, center: Point2D | Point2I | SkyCoord | Box2I, size: Extent2I | tuple[int, int] | None = None
    ) -> Self:
        """Return a copy of the pixels around a position; what is off the image is NaN (0 in integers) and NO_DATA.

        Parameters
        ----------
        center
            Parent pixel, or a position on the sky; within the image. Or a box alone, of which some part is.
        size
            Width and height.

        Raises
        ------
        ValueError
            If the size is not positive, the centre or all of the box is outside, or the sky is asked for and there is
            no WCS.
        """
        if not isinstance(center, Box2I):
            box = self._box_around(center, size)
        elif not (box := center).overlaps(self.bbox):
            raise ValueError(f"{box} is outside the image, which covers {self.bbox}.")
        image, mask, variance = self.image, self.mask, self.variance
        nothing = np.nan if np.issubdtype(image.dtype, np.floating) else 0
        schema = mask.schema.with_plane("NO_DATA")
        made = MaskedImage(
            Image.full(box, nothing, dtype=image.dtype),
            Mask.full(box, "NO_DATA", schema=schema, dtype=pixel_type(schema, mask.dtype)),
            Image.full(box, np.inf, dtype=variance.dtype),
        )
        overlap = box.clipped_to(self.bbox)
        made[overlap] = self._masked_image[overlap]
        return self._with(made)

    def contains_sky_coords(self, sky: SkyCoord | Quantity, dec: Quantity | None = None) -> NDArray[np.bool_]:
        """Return whether positions on the sky are within the image.

        Parameters
        ----------
        sky
            Positions; or, as LSST has it, right ascensions.
        dec
            Declinations then, ICRS.

        Raises
        ------
        ValueError
            If the exposure has no WCS.
        """
        if dec is not None:
            from astropy.coordinates import SkyCoord

            sky = SkyCoord(sky, dec, frame="icrs")
        x, y = self._require_wcs().sky_to_pixel(sky)
        x, y = np.asarray(x), np.asarray(y)
        in_x = (x >= self.x0 - 0.5) & (x < self.x0 + self.width - 0.5)
        return np.asarray(in_x & (y >= self.y0 - 0.5) & (y < self.y0 + self.height - 0.5))

    def get_convex_polygon(self, padding: int = 10) -> ConvexPolygon:
        """Return the corners of the image on the sky, with so many pixels about it, as a region of lsst.sphgeom.

        Raises
        ------
        ValueError
            If the exposure has no WCS.
        """
        from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

        x, y = np.array(Box2D(self.bbox.dilated_by(padding)).corners).T
        sky = self._require_wcs().pixel_to_sky(x, y)
        return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(corner.ra.deg, corner.dec.deg)) for corner in sky])

    def plot(
        self,
        catalog: SourceCatalog | None = None,
        ax: Axes | None = None,
        stretch: str = "asinh",
        *,
        planes: str | Iterable[str] | None = None,
        grid: bool = True,
    ) -> Axes:
        """Draw the pixels, the mask, the sky's grid and sources; see `skybutler.imaging.plots.plot_exposure`."""
        from .plots import plot_exposure

        return plot_exposure(self, catalog, ax, stretch, planes=planes, grid=grid)

    def to_ccddata(self, unit: UnitBase | str | None = None, bad: Iterable[str] | None = None) -> CCDData:
        """Return an `astropy.nddata.CCDData`, sharing pixels; see `skybutler.imaging.nddata.to_ccddata`."""
        from .nddata import to_ccddata

        return to_ccddata(self, unit, bad)

    @classmethod
    def from_ccddata(cls, ccd: CCDData) -> Exposure:
        """Make an exposure of an `astropy.nddata.CCDData`; see `skybutler.imaging.nddata.from_ccddata`."""
        from .nddata import from_ccddata

        return from_ccddata(ccd)

    def _state(self) -> Iterable[str]:
        size = f"{self.width}x{self.height} {self.dtype} at ({self.x0}, {self.y0})"
        yield f"{size} {self.filter}" if self.filter is not None else size
        yield from self.components or ("no components",)
        if len(self.metadata):
            yield f"{len(self.metadata)} header cards"

    def _parts(self) -> Iterable[Part]:
        from .pixel_parts import exposure_parts

        return exposure_parts(self)

    def _with(self, masked_image: MaskedImage) -> Self:
        made = type(self)(masked_image, metadata=self.metadata)
        made._components = dict(self._components)
        return made

    def _box_around(self, center: Point2D | Point2I | SkyCoord, size: Extent2I | tuple[int, int] | None) -> Box2I:
        """Return the box of a size about a position, which must lie within the image."""
        if size is None:
            raise TypeError("A cutout about a position needs a size, Extent2I(width, height).")
        size = Extent2I(*size)
        if size.x <= 0 or size.y <= 0:
            raise ValueError(f"A cutout has one pixel or more each way, not {size.x}x{size.y}.")
        position = Point2D(*center) if isinstance(center, tuple) else self._position_of(center)
        # written so that NaN, a position off the projection, is outside
        inside = (
            self.x0 - 0.5 <= position.x <= self.x0 + self.width - 0.5
            and self.y0 - 0.5 <= position.y <= self.y0 + self.height - 0.5
        )
        if not inside:
            raise ValueError(f"The centre {position} is outside the image, which covers {self.bbox}.")
        return Box2I.make_centered_box(position, size)

    def _position_of(self, sky: SkyCoord) -> Point2D:
        found = self._require_wcs().sky_to_pixel(sky)
        if not isinstance(found, Point2D):
            raise ValueError(f"A cutout has one centre, not {len(sky)}.")
        return found

    def _require_wcs(self) -> Wcs:
        if self.wcs is None:
            raise ValueError("The exposure has no wcs, so it knows nothing of the sky; ask by pixel, or set one.")
        return self.wcs
