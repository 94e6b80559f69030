"""Warping: an image taken to the pixels of another, of another WCS or the same sky at another place or scale.

A new pixel is the old image interpolated where its centre lies, times its area in old pixels, so that fluxes stay what
they were. The variance is that of the weighted sum (neighbours become correlated, which it does not tell), the mask the
OR of every pixel that has a weight. Where the old image has no pixels, or the kernel reaches beyond them, there is NaN
and NO_DATA.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.errors import closest
from ..model.lsst_names import LsstNames
from .blocks import Block, for_blocks
from .exposure import Exposure
from .geometry import Box2I
from .image import Image
from .mask import Mask
from .masked_image import MaskedImage
from .wcs import Wcs

__all__ = ["WarpingControl", "warp_exposure", "warp_image"]

Floats = NDArray[np.float64]

_BLOCK = 8192
_NEAR = 1e-6  # so near to the centre of a pixel is on it: what two WCS, one after the other, lose by rounding


@dataclass(frozen=True)
class WarpingControl(LsstNames):
    """How an image is warped."""

    kernel: str = "lanczos3"
    """What interpolates: nearest, bilinear, or lanczos2 to lanczos5."""
    mask_kernel: str = ""
    """What the mask is taken through, where it shall not grow as far: a kernel no wider; "" is the same."""
    interpolation_length: int = 10
    """Positions are computed from the WCS for every so many pixels, and interpolated between; 0 for each one."""
    conserve_flux: bool = True
    """Whether pixels are multiplied by their area in old pixels, or stay surface brightnesses."""

    def __post_init__(self) -> None:
        for name in (self.kernel, self.mask_kernel or self.kernel):
            if name not in _REACH:
                raise ValueError(f"no warping kernel {name!r}; there are {', '.join(_REACH)}.{closest(name, _REACH)}")
        if _REACH[self.mask_kernel or self.kernel] > _REACH[self.kernel]:
            raise ValueError(f"the mask's kernel {self.mask_kernel} reaches farther than {self.kernel}")
        if self.interpolation_length < 0:
            raise ValueError(f"interpolation_length is 0 or more pixels, not {self.interpolation_length}")


def warp_exposure(exposure: Exposure, wcs: Wcs, bbox: Box2I, control: WarpingControl | None = None) -> Exposure:
    """Return an exposure on the pixels of another WCS.

    Parameters
    ----------
    exposure
        With a WCS.
    wcs
        Of the new exposure.
    bbox
        Its pixels.
    control
        How.

    Returns
    -------
    warped : `Exposure`
        With the WCS asked for. Filter, visit info, metadata and a constant photometric calibration are those of the old
        one; what belongs to its pixels (PSF, background, detector, ...) is not there.

    Raises
    ------
    ValueError
        If the exposure has no WCS.
    """
    if exposure.wcs is None:
        raise ValueError("the exposure has no WCS, so its pixels have no place on the sky")
    warped = warp_image(exposure.masked_image, exposure.wcs, wcs, bbox, control)
    calib = exposure.photo_calib
    return Exposure(
        warped,
        wcs,
        metadata=exposure.metadata.copy(),
        filter=exposure.filter,
        visit_info=exposure.visit_info,
        photo_calib=calib if calib is not None and calib.is_constant else None,
    )


def warp_image(
    source: MaskedImage | Image, source_wcs: Wcs, wcs: Wcs, bbox: Box2I, control: WarpingControl | None = None
) -> MaskedImage:
    """Return an image on the pixels of another WCS.

    Parameters
    ----------
    source
        The old image.
    source_wcs
        Its WCS.
    wcs
        Of the new image.
    bbox
        The pixels of the new image.
    control
        How.

    Returns
    -------
    warped : `MaskedImage`
        float32, or float64 where the old image is. Where there is nothing, image and variance are NaN and the mask is
        NO_DATA; and EDGE too where there would be something if the kernel did not reach beyond the old image.
    """
    control = control or WarpingControl()
    masked = source if isinstance(source, MaskedImage) else MaskedImage(source)
    dtype = np.result_type(np.float32, source.dtype) if source.dtype.kind == "f" else np.dtype(np.float32)
    schema = masked.mask.schema
    for name in ("NO_DATA", "EDGE"):
        schema = schema.with_plane(name)
    result = MaskedImage(
        Image.full(bbox, np.nan, dtype=dtype),
        Mask.full(bbox, "NO_DATA", schema=schema, dtype=masked.mask.dtype),
        Image.full(bbox, np.nan, dtype=np.result_type(np.float32, masked.variance.dtype)),
    )
    if bbox.is_empty or source.bbox.is_empty:
        return result
    positions = _Positions(bbox, wcs, source_wcs, control.interpolation_length)
    edge = result.mask.dtype.type(schema.bit_mask("EDGE"))

    def work(some: list[Block]) -> None:
        with np.errstate(invalid="ignore"):  # infinite pixels times weights of both signs
            for block in some:
                _warp_block(masked, result, block, positions, control, edge)

    for_blocks(result.image.array.shape, _BLOCK, work)
    return result


def _warp_block(
    source: MaskedImage, result: MaskedImage, block: Block, positions: "_Positions", control: WarpingControl, edge: Any
) -> None:
    """Fill one block of the new image."""
    x, y, area = positions.of(block)
    x, y = x - source.x0, y - source.y0
    width, height = source.dimensions
    on_image = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    if not on_image.any():
        return
    column, weights_x, inside_x = _taps(control.kernel, x, width)
    row, weights_y, inside_y = _taps(control.kernel, y, height)
    good = on_image & inside_x & inside_y
    image, mask, variance = source.arrays
    bits = result.mask.array[block]
    bits[on_image & ~good] |= edge
    if not good.any():
        return
    column, row, weights_x, weights_y = column[good], row[good], weights_x[:, good], weights_y[:, good]
    masking_x, masking_y = weights_x, weights_y
    if control.mask_kernel:
        masking_x = _padded(_taps(control.mask_kernel, x[good], width)[1], len(weights_x))
        masking_y = _padded(_taps(control.mask_kernel, y[good], height)[1], len(weights_y))
    value, spread = np.zeros(column.size), np.zeros(column.size)
    collected = np.zeros(column.size, mask.dtype)
    first = 1 - len(weights_x) // 2
    for j, weight_y in enumerate(weights_y, first):
        rows = np.clip(row + j, 0, height - 1)
        for i, weight_x in enumerate(weights_x, first):
            columns = np.clip(column + i, 0, width - 1)
            weight = weight_y * weight_x
            used = weight != 0  # elsewhere a NaN does no harm
            value += np.where(used, image[rows, columns], 0) * weight
            spread += np.where(used, variance[rows, columns], 0) * (weight * weight)
            seen = (masking_y[j - first] * masking_x[i - first]) != 0
            collected |= np.where(seen, mask[rows, columns], 0)
    scale = area[good] if control.conserve_flux else 1.0
    result.image.array[block][good] = value * scale
    result.variance.array[block][good] = spread * np.square(scale)
    bits[good] = collected


class _Positions:
    """Where new pixels lie on the old image, interpolated between nodes at which the WCS are asked."""

    def __init__(self, bbox: Box2I, wcs: Wcs, source_wcs: Wcs, length: int) -> None:
        self._length, self._size = max(length, 1), (bbox.height, bbox.width)
        self._node_x, self._node_y = (
            np.arange(-1, -(-size // self._length) + 2) * float(self._length) + begin
            for size, begin in ((bbox.width, bbox.begin_x), (bbox.height, bbox.begin_y))
        )  # one more on each side, for the slopes
        grid = np.meshgrid(self._node_x, self._node_y)
        found = source_wcs.sky_to_pixel(wcs.pixel_to_sky(*grid))
        self._x, self._y = (np.asarray(axis, np.float64) for axis in found)
        (xy, xx), (yy, yx) = (np.gradient(axis, self._length) for axis in (self._x, self._y))
        self._area = np.abs(xx * yy - xy * yx)

    def of(self, block: Block) -> tuple[Floats, Floats, Floats]:
        """Return x and y of a block's pixels on the old image, and how many old pixels each of them covers."""
        rows, columns = (np.arange(size)[axis] for size, axis in zip(self._size, block, strict=True))
        row, up = np.divmod(rows, self._length)
        column, right = np.divmod(columns, self._length)
        up, right = up[:, np.newaxis] / self._length, right / self._length

        def between(nodes: Floats) -> Floats:
            lower, upper = (
                nodes[np.ix_(side, column + 1)] * (1 - right) + nodes[np.ix_(side, column + 2)] * right
                for side in (row + 1, row + 2)
            )
            return np.asarray(lower * (1 - up) + upper * up)

        return between(self._x), between(self._y), between(self._area)


def _taps(kernel: str, position: Floats, size: int) -> tuple[NDArray[np.intp], Floats, NDArray[np.bool_]]:
    """Return the pixel at or below each position, the weights of its neighbours, and whether those are all there.

    Weights are of shape (2·reach, ...), for the pixels from 1 - reach to reach beyond; their sum is 1.
    """
    nearest = np.rint(position)
    position = np.where(np.abs(position - nearest) < _NEAR, nearest, position)
    floor = np.floor(position)
    fraction = position - floor
    reach = _REACH[kernel]
    weights = _WEIGHTS[kernel](fraction, reach)
    used = weights != 0
    lowest, highest = used.argmax(axis=0) + 1 - reach, reach - used[::-1].argmax(axis=0)
    with np.errstate(invalid="ignore"):
        index = np.where(np.isfinite(floor), floor, -size).astype(np.intp)
    return index, weights, (index + lowest >= 0) & (index + highest < size)


def _nearest(fraction: Floats, _reach: int) -> Floats:
    up = fraction >= 0.5
    return np.stack([~up, up]).astype(np.float64)


def _bilinear(fraction: Floats, _reach: int) -> Floats:
    return np.stack([1 - fraction, fraction])


def _lanczos(fraction: Floats, reach: int) -> Floats:
    """Return sinc(d)·sinc(d/reach) at the distances of the neighbours, of sum 1.

    ``sin(π(f - k)) = ± sin(πf)`` and the addition theorem leave three sines for each pixel.
    """
    whole, sine, cosine = np.sin(np.pi * fraction), np.sin(np.pi * fraction / reach), np.cos(np.pi * fraction / reach)
    on_pixel = fraction == 0
    weights = np.empty((2 * reach, *fraction.shape))
    for k in range(1 - reach, reach + 1):
        angle = np.pi * k / reach
        distance = np.where(on_pixel, 1.0, fraction - k) * np.pi
        product = whole * (-1) ** k * (sine * np.cos(angle) - cosine * np.sin(angle))
        weights[k + reach - 1] = np.where(on_pixel, k == 0, product * reach / (distance * distance))
    return np.asarray(weights / weights.sum(axis=0))


def _padded(weights: Floats, taps: int) -> Floats:
    """Return weights with zeros on both sides, so that there are as many as another kernel has."""
    side = (taps - len(weights)) // 2
    return np.pad(weights, ((side, side), (0, 0)))


_REACH = {"nearest": 1, "bilinear": 1, "lanczos2": 2, "lanczos3": 3, "lanczos4": 4, "lanczos5": 5}
"""The kernels, and how many neighbours each takes on either side."""
_WEIGHTS: dict[str, Callable[[Floats, int], Floats]] = {"nearest": _nearest, "bilinear": _bilinear} | {
    name: _lanczos for name in _REACH if name.startswith("lanczos")
}
