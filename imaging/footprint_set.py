"""Detection by a threshold: the footprints of an image's sources."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..model.lsst_names import LsstNames
from .footprint import Footprint, HeavyFootprint, Peak
from .geometry import LOCAL, Box2I
from .image import Image
from .mask import Mask
from .masked_image import MaskedImage
from .spans import Spans, Stencil
from .statistics import STDEVCLIP, make_statistics

__all__ = ["FootprintSet", "Polarity", "Threshold", "ThresholdType"]


class ThresholdType(Enum):
    """What a threshold is a multiple of."""

    VALUE = "VALUE"
    """1: it is a pixel value."""
    BITMASK = "BITMASK"
    """Nothing: a pixel of a mask counts that has any of the bits."""
    STDEV = "STDEV"
    """The image's clipped standard deviation."""
    VARIANCE = "VARIANCE"
    """The same: what is multiplied is the root of the clipped variance."""
    PIXEL_STDEV = "PIXEL_STDEV"
    """The root of the variance of each pixel."""


class Polarity(Enum):
    """On which side of zero sources are."""

    POSITIVE = "POSITIVE"
    NEGATIVE = "NEGATIVE"
    BOTH = "BOTH"
    """On either; pixels of both kinds are never in one footprint."""


@dataclass(frozen=True, slots=True)
class Threshold(LsstNames):
    """From where on pixels count: at ``value`` times a noise, or farther from zero."""

    value: float
    """Multiple of what `type` says; bits for BITMASK."""
    type: ThresholdType = ThresholdType.VALUE
    """Of what."""
    polarity: Polarity | bool = Polarity.POSITIVE
    """Which sources; True is POSITIVE, False NEGATIVE."""
    include_multiplier: float = 1.0
    """A footprint counts where one of its pixels reaches so many times the threshold."""

    @property
    def signs(self) -> tuple[int, ...]:
        """The signs of the sources: 1, -1 or both."""
        if isinstance(self.polarity, Polarity):
            return {Polarity.POSITIVE: (1,), Polarity.NEGATIVE: (-1,), Polarity.BOTH: (1, -1)}[self.polarity]
        return (1,) if self.polarity else (-1,)

    def level(self, image: MaskedImage | Image) -> float | NDArray[np.floating]:
        """Return the pixel value from which on pixels of an image count; an array for PIXEL_STDEV.

        Raises
        ------
        ValueError
            If an image without spread, or without variances, is asked for a multiple of them.
        """
        if self.type is ThresholdType.VALUE:
            return float(self.value)
        if self.type is ThresholdType.PIXEL_STDEV:
            if not isinstance(image, MaskedImage):
                raise ValueError("a multiple of the pixels' standard deviations needs a masked image, for its variance")
            with np.errstate(invalid="ignore"):
                return np.asarray(self.value * np.sqrt(image.variance.array))
        spread = make_statistics(image, STDEVCLIP).value()
        if not spread > 0:
            raise ValueError(f"there is no multiple of the image's standard deviation, which is {spread}")
        return self.value * spread


class FootprintSet(LsstNames):
    """The footprints of a region.

    Parameters
    ----------
    footprints
        In any order.
    region
        The box that was searched.
    """

    __slots__ = ("footprints", "region")

    footprints: list[Footprint]
    """The footprints."""
    region: Box2I
    """The box that was searched."""

    def __init__(self, footprints: Iterable[Footprint], region: Box2I) -> None:
        if isinstance(footprints, Image | MaskedImage | Mask):
            raise TypeError("a FootprintSet is of footprints; FootprintSet.detect(image, threshold) finds them")
        self.footprints, self.region = list(footprints), region

    @classmethod
    def detect(
        cls,
        image: MaskedImage | Image | Mask,
        threshold: Threshold | float,
        *,
        min_area: int = 1,
        plane: str | None = None,
        set_peaks: bool = True,
    ) -> Self:
        """Find the footprints of an image.

        Parameters
        ----------
        image
            Where to search, its background subtracted; or a mask, for a BITMASK. NaN belongs to no footprint.
        threshold
            From where on pixels count; a number is a pixel value.
        min_area
            The fewest pixels of a footprint.
        plane
            A plane to set in the masked image's mask inside of all footprints; added where there is none.
        set_peaks
            Whether to find peaks: pixels that no neighbour surpasses, so that a plateau has as many as pixels. Pixels
            upon the edge of the image are none, unless a footprint has no other: then its brightest is.

        Returns
        -------
        found : `FootprintSet`
            From below, each with its peaks sorted by brightness; negative ones after positive ones.
        """
        threshold = threshold if isinstance(threshold, Threshold) else Threshold(threshold)
        found: list[Footprint] = []
        if threshold.type is ThresholdType.BITMASK:
            mask = image if isinstance(image, Mask) else getattr(image, "mask", None)
            if mask is None:
                raise ValueError("a threshold on bits needs a mask, or a masked image")
            found = _connected(Spans.from_mask(mask, int(threshold.value)), (), min_area)
        elif isinstance(image, Mask):
            raise TypeError("a mask is searched for bits: Threshold(bits, ThresholdType.BITMASK)")
        else:
            for sign in threshold.signs:
                found += _detected(image, threshold, sign, min_area, set_peaks)
        made = cls(found, image.bbox)
        if plane is not None:
            if not isinstance(image, MaskedImage):
                raise ValueError(f"there is no mask in which {plane} could be set")
            made.set_mask(image.mask, plane)
        return made

    @classmethod
    def from_labels(cls, labels: NDArray[np.integer], xy0: tuple[int, int] = (0, 0)) -> Self:
        """Make the set of a segmentation map: pixels of the n-th footprint have the value n + 1, others 0."""
        height, width = labels.shape
        region = Box2I.from_bounds(xy0[0], xy0[0] + width, xy0[1], xy0[1] + height)
        return cls([Footprint(spans) for spans in Spans.from_labels(labels, xy0=xy0)], region)

    def to_labels(self) -> NDArray[np.int32]:
        """Return a segmentation map over `region`: n + 1 inside of the n-th footprint (the last one's), else 0."""
        labels = np.zeros((self.region.height, self.region.width), np.int32)
        for number, footprint in enumerate(self.footprints, 1):
            labels[footprint.spans.clipped_to(self.region).indices(self.region.min)] = number
        return labels

    def grown(self, radius: int, *, isotropic: bool = True) -> "FootprintSet":
        """Return the set with every footprint grown by a radius, and those that then touch made one.

        Parameters
        ----------
        radius
            In pixels.
        isotropic
            Whether distances are Euclid's, or along both axes together (Manhattan).
        """
        return self._joined(self._spans_grown(radius, isotropic=isotropic), self)

    def merged_with(
        self, other: "FootprintSet", radius: int = 0, other_radius: int = 0, *, isotropic: bool = True
    ) -> "FootprintSet":
        """Return the footprints of two sets, each grown by its radius, and those that touch made one.

        Raises
        ------
        ValueError
            If the sets are of different regions.
        """
        if self.region != other.region:
            raise ValueError(f"footprints of {self.region!r} and of {other.region!r} cannot be merged")
        spans = self._spans_grown(radius, isotropic=isotropic)
        return self._joined(spans.union(other._spans_grown(other_radius, isotropic=isotropic)), self, other)

    def set_mask(self, mask: Mask, plane: str) -> None:
        """Set a plane of a mask inside of all footprints; it is added where there is none."""
        mask.add_mask_plane(plane)
        for footprint in self.footprints:
            footprint.spans.set_mask(mask, plane)

    def made_heavy(self, masked_image: MaskedImage) -> "FootprintSet":
        """Return the set with footprints that keep the values of an image."""
        return FootprintSet([HeavyFootprint.from_image(one, masked_image) for one in self.footprints], self.region)

    def _spans_grown(self, radius: int, *, isotropic: bool) -> Spans:
        """Return the pixels within a radius of any footprint."""
        spans = Spans.merged(footprint.spans for footprint in self.footprints)
        return spans.dilated(radius, Stencil.CIRCLE if isotropic else Stencil.MANHATTAN).clipped_to(self.region)

    def _joined(self, spans: Spans, *sources: "FootprintSet") -> "FootprintSet":
        """Return the connected parts of some pixels, with the peaks of the sets that they come from."""
        peaks = {peak for source in sources for footprint in source.footprints for peak in footprint.peaks}
        return FootprintSet(
            _connected(spans, [peak for peak in peaks if self.region.contains(peak.position)]), self.region
        )

    def __iter__(self) -> Iterator[Footprint]:
        return iter(self.footprints)

    def __len__(self) -> int:
        return len(self.footprints)

    def __getitem__(self, index: int) -> Footprint:
        return self.footprints[index]

    def __repr__(self) -> str:
        return f"FootprintSet({len(self)} footprints, {self.region!r})"


def _detected(
    image: MaskedImage | Image, threshold: Threshold, sign: int, min_area: int, set_peaks: bool
) -> list[Footprint]:
    """Return the footprints of one polarity, from below."""
    pixels = image.image.array if isinstance(image, MaskedImage) else image.array
    region = image.bbox
    by_pixel = threshold.type is ThresholdType.PIXEL_STDEV
    level = math.nan if by_pixel else threshold.level(image)
    peaks: list[Peak] = []
    bright: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def inside(rows: slice) -> NDArray[np.bool_]:
        part = _signed(pixels[rows], sign)
        least = threshold.level(image[:, rows, LOCAL]) if by_pixel else level
        found = np.asarray(part >= least)
        if set_peaks:
            peaks.extend(_peaks(pixels, found, rows.start, sign, region))
        if threshold.include_multiplier > 1.0:
            y, x = np.nonzero(found & (part >= np.multiply(least, threshold.include_multiplier)))
            bright.append((y + rows.start + region.min_y, x + region.min_x))
        return found

    spans = Spans.from_rows(region, inside)
    found = _connected(spans, peaks, min_area, bright if threshold.include_multiplier > 1.0 else None)
    if not set_peaks:
        return found
    return [one if one.peaks else Footprint(one.spans, [_brightest(one.spans, pixels, sign, region)]) for one in found]


def _signed(pixels: NDArray[Any], sign: int) -> NDArray[Any]:
    """Return pixels with a sign; unsigned ones have a negative in a wider type."""
    return pixels if sign > 0 else -pixels.astype(np.result_type(pixels, np.int16), copy=False)


def _connected(
    spans: Spans,
    peaks: Iterable[Peak],
    min_area: int = 1,
    bright: list[tuple[NDArray[np.int64], NDArray[np.int64]]] | None = None,
) -> list[Footprint]:
    """Return the connected parts of some pixels, from below, each with its peaks; those with a bright pixel."""
    if spans.is_empty:
        return []
    owners = spans.part_numbers()
    wanted = (
        None if bright is None else {int(part) for y, x in bright for part in np.unique(owners[spans.runs_of(y, x)])}
    )
    owned: dict[int, list[Peak]] = {}
    peaks = list(peaks)
    places = np.array([(peak.y, peak.x) for peak in peaks], np.int64).reshape(-1, 2).T
    for peak, part in zip(peaks, owners[spans.runs_of(*places)].tolist(), strict=True):
        owned.setdefault(part, []).append(peak)
    return [
        Footprint(part, owned.get(number, ()))
        for number, part in enumerate(spans.grouped(owners))
        if (wanted is None or number in wanted) and part.area >= min_area
    ]


def _peaks(pixels: NDArray[Any], inside: NDArray[np.bool_], first: int, sign: int, region: Box2I) -> list[Peak]:
    """Return the pixels inside, in the rows from one on, that no neighbour surpasses; of equal ones, each.

    Pixels upon the edge of the image, of which not all neighbours are known, are none.
    """
    height, width = pixels.shape
    y, x = np.nonzero(inside)
    y += first
    whole = (y > 0) & (y < height - 1) & (x > 0) & (x < width - 1)
    y, x = y[whole], x[whole]
    value = _signed(pixels[y, x], sign)
    highest = np.ones(y.size, bool)
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        highest &= ~(_signed(pixels[y + dy, x + dx], sign) > value)
    chosen = zip(x[highest].tolist(), y[highest].tolist(), value[highest].tolist(), strict=True)
    return [Peak(column + region.min_x, row + region.min_y, float(sign * found)) for column, row, found in chosen]


def _brightest(spans: Spans, pixels: NDArray[Any], sign: int, region: Box2I) -> Peak:
    """Return the one pixel that is the peak of a footprint without one inside of the image."""
    y, x = spans.indices(region.min)
    value = _signed(pixels[y, x], sign)
    place = int(np.argmax(value))
    return Peak(int(x[place]) + region.min_x, int(y[place]) + region.min_y, float(sign * value[place]))
