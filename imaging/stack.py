"""One image of many: a statistic of each pixel through a stack of images of the same size.

Works on blocks of all images at once, so the memory that it needs does not grow with the size of the images. Order
statistics come from a sorting network, whose comparisons are whole blocks at a time.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from .blocks import Block, for_blocks
from .geometry import Box2I, Extent2I
from .image import Image
from .mask import Mask
from .mask_schema import MaskSchema
from .masked_image import MaskedImage
from .moments import IQR_TO_STDEV, interpolate
from .stack_inputs import Cube, Planes, StackInputs
from .statistics import (
    IQRANGE,
    MAX,
    MEAN,
    MEANCLIP,
    MEANSQUARE,
    MEDIAN,
    MIN,
    NPOINT,
    STDEV,
    STDEVCLIP,
    SUM,
    VARIANCE,
    VARIANCECLIP,
    Property,
    StatisticsControl,
)

__all__ = ["statistics_stack"]

_BLOCK = 8192
_CUBE = 64 * _BLOCK  # pixels of all images that are worked on at a time
_LARGEST_NETWORK = 64  # beyond, numpy's sort along the stack does fewer comparisons
_CLIPPED = MEANCLIP | STDEVCLIP | VARIANCECLIP
_SUPPORTED = MEAN | MEDIAN | IQRANGE | STDEV | VARIANCE | MEANSQUARE | MIN | MAX | SUM | NPOINT | _CLIPPED


@overload
def statistics_stack(
    images: Sequence[MaskedImage] | MaskedImage,
    flag: Property,
    control: StatisticsControl | None = None,
    *,
    axis: Literal["x", "y"] | None = None,
    weights: Sequence[float] | None = None,
    clipped: Planes = 0,
    excuse: Planes = 0,
    mask_map: Sequence[tuple[Planes, Planes]] | None = None,
) -> MaskedImage: ...
@overload
def statistics_stack(
    images: Sequence[Image] | Image,
    flag: Property,
    control: StatisticsControl | None = None,
    *,
    axis: Literal["x", "y"] | None = None,
    weights: Sequence[float] | None = None,
    clipped: Planes = 0,
    excuse: Planes = 0,
    mask_map: Sequence[tuple[Planes, Planes]] | None = None,
) -> Image: ...
def statistics_stack(
    images: Sequence[MaskedImage] | Sequence[Image] | MaskedImage | Image,
    flag: Property,
    control: StatisticsControl | None = None,
    *,
    axis: Literal["x", "y"] | None = None,
    weights: Sequence[float] | None = None,
    clipped: Planes = 0,
    excuse: Planes = 0,
    mask_map: Sequence[tuple[Planes, Planes]] | None = None,
) -> MaskedImage | Image:
    """Compute a statistic of each pixel through a stack of images.

    Parameters
    ----------
    images
        All of one kind and size; their `xy0` are not compared. Or one image, whose columns (`axis` "x") or rows ("y")
        are the stack.
    flag
        One of MEAN, MEDIAN, IQRANGE, STDEV, VARIANCE, MEANSQUARE, MIN, MAX, SUM, NPOINT, MEANCLIP, STDEVCLIP and
        VARIANCECLIP.
    control
        As for `make_statistics`, for each pixel; masks are matched by name.
    axis
        Of one image, the axis that is collapsed: of "x" one column is left, of "y" one row.
    weights
        One for each image, or each column or row of the one.
    clipped
        Planes (or bits) to set in the mask where clipping left an input out, or its mask did, without a `mask_map`.
    excuse
        Planes of inputs that do not count as left out.
    mask_map
        Pairs of planes: where an input has any of the first, the second are set.

    Returns
    -------
    stacked : `Image` or `MaskedImage`
        At the place of the first image, float32, or float64 where the inputs need it. The mask is the OR of those of
        the pixels used, the variance the square of the statistic's error. Where no pixel was good, image and variance
        are NaN and the mask is ``control.no_good_pixels_mask``.

    Raises
    ------
    ValueError
        If there are no images, their sizes differ, or `flag` is not one of those above.
    """
    control = control or StatisticsControl()
    control.check()
    flag = Property(flag)
    if isinstance(images, Image | MaskedImage):
        stacked: Sequence[MaskedImage | Image] = _lines(images, axis)
    elif axis is not None:
        raise TypeError(f"axis={axis!r} is for the columns or rows of one image; of several a stack goes through them")
    else:
        stacked = images
    if not stacked:
        raise ValueError("there are no images to stack")
    if flag not in _SUPPORTED or flag.bit_count() != 1:
        raise ValueError(f"a stack is of exactly one of {_SUPPORTED!r}, not {flag!r}")
    first = stacked[0]
    for image in stacked:
        if not isinstance(image, Image | MaskedImage):
            raise TypeError(f"a stack is made of images or of masked images, not of {type(image).__name__}")
        if image.dimensions != first.dimensions:
            raise ValueError(f"images to stack differ in size: {first!r} and {image!r}")
    if weights is not None and len(weights) != len(stacked):
        raise ValueError(f"{len(weights)} weights do not go with {len(stacked)} images")
    planes = [image.image if isinstance(image, MaskedImage) else image for image in stacked]
    masked = [image for image in stacked if isinstance(image, MaskedImage)]
    if masked and len(masked) != len(stacked):
        raise TypeError("a stack is made of images or of masked images, not of both")
    from_variance = control.calc_error_from_input_variance or control.calc_error_mosaic_mode
    if not masked and (from_variance or (control.weighted and weights is None)):
        raise ValueError("weights or errors from the variance need masked images, which have one")
    dtype = np.result_type(np.float32, *(plane.dtype for plane in planes))
    result = MaskedImage(Image.full(first.bbox, dtype=dtype), Mask.full(first.bbox, schema=_schema(masked, control)))
    inputs = StackInputs(planes, masked, result.mask, control, weights)
    clipped_bits = result.mask.schema.bit_mask(clipped)
    marks = inputs.marks(mask_map, clipped_bits, excuse)
    no_good = result.mask.schema.bit_mask(control.no_good_pixels_mask)

    def work(some: list[Block]) -> None:
        with np.errstate(all="ignore"):
            for block in some:
                cube, good = inputs.pixels(block)
                value, error2, used = _statistic(
                    flag, cube, good, inputs.weights(block), inputs.variances(block), control
                )
                shape = result.image.array[block].shape
                result.image.array[block] = value.reshape(shape)
                if masked:
                    empty = ~good.any(axis=0)
                    error2[empty] = np.nan
                    bits = inputs.used_bits(block, used)
                    bits[empty] = no_good
                    bits |= inputs.propagated_bits(block)
                    if clipped_bits:
                        bits[(good & ~used).any(axis=0)] |= bits.dtype.type(clipped_bits)
                    for each, mark in marks:
                        bits[inputs.any_has(each, block)] |= bits.dtype.type(mark)
                    result.variance.array[block] = error2.reshape(shape)
                    result.mask.array[block] = bits.reshape(shape)

    for_blocks(result.image.array.shape, min(_BLOCK, max(1, _CUBE // len(stacked))), work)
    return result if isinstance(first, MaskedImage) else result.image


def _lines(image: MaskedImage | Image, axis: str | None) -> list[MaskedImage | Image]:
    """Return the columns (axis "x") or rows ("y") of an image."""
    if axis not in ("x", "y"):
        raise ValueError(f'one image is collapsed along axis="x" or axis="y", not {axis!r}')
    box, along = image.bbox, axis == "x"
    size = Extent2I(1, box.height) if along else Extent2I(box.width, 1)
    first = (Extent2I(i, 0) if along else Extent2I(0, i) for i in range(box.width if along else box.height))
    return [image[Box2I(box.min + offset, size)] for offset in first]


def _schema(masked: list[MaskedImage], control: StatisticsControl) -> MaskSchema:
    """Return a schema with every plane of the inputs, and the one for pixels without any."""
    schema = masked[0].mask.schema if masked else MaskSchema.default()
    for image in masked:
        schema = schema.merged_with(image.mask.schema)
    for name in (control.no_good_pixels_mask, *control.mask_propagation_thresholds):
        schema = schema.with_plane(name) if isinstance(name, str) else schema
    return schema


def _statistic(
    flag: Property,
    cube: Cube,
    good: NDArray[np.bool_],
    weights: Cube | None,
    variances: Cube | None,
    control: StatisticsControl,
) -> tuple[Cube, Cube, NDArray[np.bool_]]:
    """Return for each pixel the value, its squared error and which of the stack were used."""
    count = good.sum(axis=0)
    simple: dict[Property, Callable[[], Cube]] = {
        MIN: lambda: np.where(count > 0, np.where(good, cube, np.inf).min(axis=0), np.nan),
        MAX: lambda: np.where(count > 0, np.where(good, cube, -np.inf).max(axis=0), np.nan),
        NPOINT: lambda: count.astype(np.float64),
    }
    if flag in simple:
        return simple[flag](), np.zeros(count.shape), good
    if flag & _CLIPPED:
        q25, median, q75 = _quantiles(cube, good, count, (0.25, 0.5, 0.75))
        center, width = median, control.num_sigma_clip * IQR_TO_STDEV * (q75 - q25)
        for _ in range(control.num_iter):
            sums = _Sums(cube, good, center, width, weights, variances)
            center = np.where(sums.n > 0, sums.mean, center)
            width = np.where(sums.n > 1, control.num_sigma_clip * np.sqrt(sums.variance), width)
    else:
        crude = np.where(good, cube, 0).sum(axis=0, dtype=np.float64) / count
        sums = _Sums(cube, good, crude, None, weights, variances)
    if flag in (MEDIAN, IQRANGE):
        scale = sums.variance / sums.n
        if flag is MEDIAN:
            return _quantiles(cube, good, count, (0.5,))[0], math.pi / 2 * scale, good
        low, high = _quantiles(cube, good, count, (0.25, 0.75))
        return high - low, (0.5 / 0.3177765727) ** 2 * scale, good  # as in statistics.py
    value, error2 = sums.result(flag, control)
    return value, error2, sums.inside


class _Sums:
    """Sums through the stack over what lies within a distance of the centre (over everything good: None)."""

    def __init__(
        self,
        cube: Cube,
        good: NDArray[np.bool_],
        center: Cube,
        half_width: Cube | None,
        weights: Cube | None,
        variances: Cube | None,
    ) -> None:
        d = np.subtract(cube, center, dtype=np.float64)
        self.inside = good if half_width is None else np.abs(d) <= half_width  # false of NaN, which is what is not good
        np.copyto(d, 0.0, where=~self.inside)
        self.n = self.inside.sum(axis=0)
        self.center = center
        if weights is None and variances is None:
            self.w = self.ww = self.n.astype(np.float64)
            self.wd, self.wdd = d.sum(axis=0), np.einsum("ij,ij->j", d, d)
            return
        w = self.inside * (1.0 if weights is None else np.where(self.inside, weights, 0.0))
        self.w, self.ww = w.sum(axis=0), (w * w).sum(axis=0)
        self.wd, self.wdd = (w * d).sum(axis=0), (w * d * d).sum(axis=0)
        v = 0.0 if variances is None else np.where(self.inside, variances, 0.0)
        self.wv, self.wwv = (w * v).sum(axis=0), (w * w * v).sum(axis=0)

    @property
    def mean(self) -> Cube:
        """Weighted mean; NaN of nothing."""
        return np.asarray(self.center + self.wd / self.w)

    @property
    def variance(self) -> Cube:
        """Unbiased variance, as `Moments.variance`; NaN of fewer than two."""
        unbiased = self.w * self.w - self.ww
        biased = np.maximum(self.wdd / self.w - np.square(self.wd / self.w), 0.0)
        return np.where((self.n > 1) & (unbiased > 0), biased * self.w * self.w / unbiased, np.nan)

    def result(self, flag: Property, control: StatisticsControl) -> tuple[Cube, Cube]:
        """Return the value and the squared error of a property that is made of these sums."""
        n, mean, variance = self.n, self.mean, self.variance
        if flag in (MEAN, MEANCLIP):
            if control.calc_error_from_input_variance:
                return mean, self.wwv / np.square(self.w)
            return mean, self.wv / self.w if control.calc_error_mosaic_mode else variance / n
        if flag is SUM:
            return np.where(n > 0, mean * self.w, 0.0), np.zeros(n.shape)
        if flag is MEANSQUARE:
            square = (n - 1) / n * np.where(n > 1, variance, 0.0) + mean * mean
            return square, (2 * variance * variance + 4 * mean * mean * variance) / n
        error2 = 2 * (n - 1) * np.square(variance / n)
        if flag in (VARIANCE, VARIANCECLIP):
            return variance, error2
        return np.sqrt(variance), np.where(variance > 0, error2 / (4 * variance), error2)


def _quantiles(cube: Cube, good: NDArray[np.bool_], count: NDArray[Any], fractions: tuple[float, ...]) -> list[Cube]:
    """Return quantiles of the good pixels through the stack, interpolated linearly in float64."""
    rows = _sorted_rows(np.where(good, cube, np.inf))
    defined = (count > 0) & ~np.isnan(rows[-1])  # NaN, where it is allowed, sorts last
    result = []
    for fraction in fractions:
        if good.all() and defined.all():
            place = fraction * (len(rows) - 1)
            low, high = rows[math.floor(place)].astype(np.float64), rows[math.ceil(place)].astype(np.float64)
            result.append(np.asarray(interpolate(low, high, place - math.floor(place))))
            continue
        places = fraction * np.maximum(count - 1, 0)
        floor, ceil = np.floor(places).astype(np.intp), np.ceil(places).astype(np.intp)
        ordered, pixel = np.asarray(rows, np.float64), np.arange(count.size)
        value = interpolate(ordered[floor, pixel], ordered[ceil, pixel], places - floor)
        result.append(np.where(defined, value, np.nan))
    return result


def _sorted_rows(cube: Cube) -> list[NDArray[Any]]:
    """Return the rows of a cube so that each pixel ascends through them; the cube is used up."""
    if len(cube) > _LARGEST_NETWORK or np.isnan(cube).any():
        return list(np.sort(cube, axis=0))
    rows, spare = list(cube), np.empty_like(cube[0])
    for low, high in _network(len(cube)):
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return rows


@cache
def _network(n: int) -> tuple[tuple[int, int], ...]:
    """Return the comparisons that sort n values: Batcher's merge exchange (Knuth, vol. 3, algorithm 5.2.2M)."""
    pairs = []
    top = 1 << max(0, (n - 1).bit_length() - 1)
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(n - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return tuple(pairs)
