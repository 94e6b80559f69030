"""Footprints: the pixels of one source, with its peaks, and with their values where these are kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..model.lsst_names import LsstNames
from .geometry import Box2I, Extent2I, Point2D, Point2I
from .image import Image
from .mask_schema import MaskSchema, renumbered
from .masked_image import MaskedImage
from .psf import Quadrupole
from .spans import Spans, Stencil

__all__ = ["Footprint", "HeavyFootprint", "Peak", "common_mask_schema"]


@dataclass(frozen=True, slots=True)
class Peak(LsstNames):
    """A pixel that no neighbour surpasses, with the same sign as the detection."""

    x: int
    """PARENT coordinate of the pixel."""
    y: int
    """PARENT coordinate of the pixel."""
    value: float
    """The pixel's value; negative for a source below the background."""
    id: int = field(default=0, compare=False)
    """Number that whoever found it gave it; what peaks are compared by is only where and how high they are."""

    @property
    def position(self) -> Point2I:
        """The pixel."""
        return Point2I(self.x, self.y)


class Footprint(LsstNames):
    """The pixels of one source.

    Parameters
    ----------
    spans
        The pixels, PARENT coordinates.
    peaks
        Where it is brightest; sorted by value, the highest first. Where all are negative, the lowest is.
    """

    __slots__ = ("_peaks", "_spans")

    def __init__(self, spans: Spans | Box2I, peaks: Iterable[Peak] = ()) -> None:
        self._spans = spans if isinstance(spans, Spans) else Spans(spans)
        given = list(peaks)
        sign = -1 if any(peak.value > 0 for peak in given) else 1
        self._peaks = tuple(sorted(given, key=lambda peak: (sign * peak.value, peak.y, peak.x)))

    @property
    def spans(self) -> Spans:
        """The pixels."""
        return self._spans

    @property
    def peaks(self) -> tuple[Peak, ...]:
        """The peaks, the brightest first."""
        return self._peaks

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self._spans.area

    @property
    def bbox(self) -> Box2I:
        """The smallest box around all."""
        return self._spans.bbox

    @property
    def centroid(self) -> Point2D:
        """The mean position of the pixels, unweighted."""
        return self._spans.centroid

    @property
    def shape(self) -> Quadrupole:
        """The second moments of the pixels, unweighted."""
        return self._spans.shape

    @property
    def is_contiguous(self) -> bool:
        """Whether all pixels hang together."""
        return self._spans.is_contiguous

    @property
    def is_heavy(self) -> bool:
        """Whether the values of the pixels are kept."""
        return False

    def contains(self, pixel: Point2I | tuple[int, int]) -> bool:
        """Whether a pixel is inside."""
        return self._spans.contains(Point2I(pixel))

    __contains__ = contains

    def dilated(self, by: int | Spans, stencil: Stencil = Stencil.CIRCLE) -> "Footprint":
        """Return the footprint grown by a radius, or by a set of pixels."""
        return Footprint(self._spans.dilated(by, stencil), self._peaks)

    def eroded(self, by: int | Spans, stencil: Stencil = Stencil.CIRCLE) -> "Footprint":
        """Return the footprint shrunk by a radius, or by a set of pixels; peaks that end up outside are dropped."""
        return self._within(self._spans.eroded(by, stencil))

    def clipped_to(self, box: Box2I) -> "Footprint":
        """Return what lies in a box, and the peaks there."""
        return self._within(self._spans.clipped_to(box))

    def shifted_by(self, offset: Extent2I | tuple[int, int]) -> "Footprint":
        """Return the footprint moved by an offset, its peaks too."""
        x, y = Extent2I(offset)
        peaks = [replace(peak, x=peak.x + x, y=peak.y + y) for peak in self._peaks]
        return Footprint(self._spans.shifted_by(offset), peaks)

    def merged_with(self, other: "Footprint") -> "Footprint":
        """Return the pixels and the peaks of both."""
        return Footprint(self._spans.union(other._spans), {*self._peaks, *other._peaks})

    def split(self) -> "list[Footprint]":
        """Return the parts that hang together, each with its peaks."""
        return [self._within(part) for part in self._spans.split()]

    def _within(self, spans: Spans) -> "Footprint":
        return Footprint(spans, [peak for peak in self._peaks if spans.contains(peak.position)])

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._spans == other._spans and self._peaks == other._peaks

    __hash__ = None  # type: ignore[assignment]  # heavy ones hold arrays

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.area} pixels, {len(self._peaks)} peaks, {self.bbox!r})"


class HeavyFootprint(Footprint):
    """A footprint that keeps the values of its pixels.

    Parameters
    ----------
    footprint
        The pixels and the peaks.
    image, mask, variance
        The values of each pixel, in the order of the spans: one line each, of `area` values.
    mask_schema
        What the bits of the mask mean; LSST's default planes.
    """

    __slots__ = ("image", "mask", "mask_schema", "variance")

    image: NDArray[Any]
    """The values of the pixels, in the order of the spans."""
    mask: NDArray[Any]
    """Their masks."""
    variance: NDArray[Any]
    """Their variances."""
    mask_schema: MaskSchema
    """What the bits of the mask mean."""

    def __init__(
        self,
        footprint: Footprint,
        image: NDArray[Any],
        mask: NDArray[Any] | None = None,
        variance: Any = None,
        *,
        mask_schema: MaskSchema | None = None,
    ) -> None:
        super().__init__(footprint.spans, footprint.peaks)
        self.mask_schema = MaskSchema.default() if mask_schema is None else mask_schema
        self.image = np.asarray(image)
        self.mask = np.zeros(self.area, np.int32) if mask is None else np.asarray(mask)
        self.variance = np.zeros(self.area, np.float32) if variance is None else np.asarray(variance)
        for name, line in (("image", self.image), ("mask", self.mask), ("variance", self.variance)):
            if line.shape != (self.area,):
                raise ValueError(f"a footprint of {self.area} pixels takes as many values, but {name} is {line.shape}")

    @classmethod
    def from_image(cls, footprint: Footprint, masked_image: MaskedImage) -> Self:
        """Keep the values of an image, which must hold all of the footprint; IndexError where it does not."""
        image, mask, variance = (footprint.spans.flatten(plane, masked_image.xy0) for plane in masked_image.arrays)
        return cls(footprint, image, mask, variance, mask_schema=masked_image.mask.schema)

    @property
    def is_heavy(self) -> bool:
        """Whether the values of the pixels are kept."""
        return True

    def insert(self, target: MaskedImage | Image) -> None:
        """Copy the values into an image, all three or those of an `Image`; what lies off it is passed over."""
        y, x = self.spans.indices()
        inside = target.bbox.contains(x, y)
        where = y[inside] - target.y0, x[inside] - target.x0
        if isinstance(target, Image):
            target.array[where] = self.image[inside]
            return
        target.mask.adopt_planes(target.mask.schema.merged_with(self.mask_schema))
        bits = self.mask_in(target.mask.schema, target.mask.dtype)
        for plane, line in zip(target.arrays, (self.image, bits, self.variance), strict=True):
            plane[where] = line[inside]

    def mask_in(self, schema: MaskSchema, dtype: DTypeLike = np.int32) -> NDArray[Any]:
        """Return the masks of the pixels as another schema has them; planes that it lacks are left out."""
        if schema == self.mask_schema:  # bits that have no name are kept, too
            return self.mask.astype(dtype)
        return renumbered(self.mask, schema.moves_from(self.mask_schema), np.dtype(dtype))

    def summed_with(self, other: "HeavyFootprint") -> "HeavyFootprint":
        """Return the pixels and peaks of both, with the sums of values and variances, and the OR of masks."""
        merged = self.merged_with(other)
        kinds = [np.result_type(getattr(self, name), getattr(other, name)) for name in ("image", "mask", "variance")]
        schema = self.mask_schema.merged_with(other.mask_schema)
        lines = [np.zeros(merged.area, kind) for kind in kinds]
        box = merged.bbox
        places = np.zeros((box.height, box.width), np.intp)
        places[merged.spans.indices(box.min)] = np.arange(merged.area)
        for heavy in (self, other):
            where = places[heavy.spans.indices(box.min)]
            lines[0][where] += heavy.image
            lines[1][where] |= heavy.mask_in(schema, kinds[1])
            lines[2][where] += heavy.variance
        return HeavyFootprint(merged, *lines, mask_schema=schema)

    def dot(self, other: "HeavyFootprint") -> float:
        """Return the sum of the products of the values where both have some."""
        box = self.bbox.clipped_to(other.bbox)
        common = self.spans.intersect(other.spans)
        if box.is_empty or common.is_empty:
            return 0.0
        lines = [
            common.flatten(heavy.spans.unflatten(heavy.image.astype(np.float64)), heavy.bbox.min)
            for heavy in (self, other)
        ]
        return float(lines[0] @ lines[1])

    def __eq__(self, other: object) -> bool:
        return (
            super().__eq__(other)
            and isinstance(other, HeavyFootprint)
            and all(np.array_equal(getattr(self, name), getattr(other, name)) for name in ("image", "variance"))
            and np.array_equal(self.mask_in(other.mask_schema, other.mask.dtype), other.mask)
        )

    __hash__ = None


def common_mask_schema(footprints: Iterable[Footprint | None]) -> MaskSchema:
    """Return LSST's default planes, and those beside them that the masks of heavy footprints have."""
    schema = MaskSchema.default()
    for footprint in footprints:
        if isinstance(footprint, HeavyFootprint):
            schema = schema.merged_with(footprint.mask_schema)
    return schema
