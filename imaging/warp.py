"""Warping: an image taken to the pixels of another, of another WCS or the same sky at another place or scale.

A new pixel is the old image interpolated where its centre lies, times its area in old pixels, so that fluxes stay what
they were. The variance is that of the weighted sum (neighbours become correlated, which it does not tell), the mask the
OR of every pixel that has a weight. Where the old image has no pixels, or the kernel reaches beyond them, there is NaN
of infinite variance and NO_DATA.
"""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..model.errors import closest
from ..model.lsst_names import LsstNames
from .blocks import Block, share
from .exposure import Exposure
from .geometry import Box2I
from .image import Image
from .lanczos import lanczos_taps
from .mask import Mask, pixel_type
from .masked_image import MaskedImage
from .wcs import Wcs

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["WarpingControl", "warp_exposure", "warp_image"]

Floats = NDArray[np.float64]

_SIDE = 64
"""Of the blocks of the new image: square ones need few pixels of the old one, however it is turned."""
_MOST_PIXELS = 262_144
"""Of the old image, that are looked at together: a block that needs more is cut into quarters."""
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
        float32, or float64 where the old image is. Where there is nothing, the image is NaN, the variance infinite and
        the mask NO_DATA; and EDGE too where there would be something if the kernel did not reach beyond the old image.
    """
    control = control or WarpingControl()
    masked = source if isinstance(source, MaskedImage) else MaskedImage(source)
    dtype = np.result_type(np.float32, source.dtype) if source.dtype.kind == "f" else np.dtype(np.float32)
    schema = masked.mask.schema
    for name in ("NO_DATA", "EDGE"):
        schema = schema.with_plane(name)
    result = MaskedImage(
        Image.full(bbox, np.nan, dtype=dtype),
        Mask.full(bbox, "NO_DATA", schema=schema, dtype=pixel_type(schema, masked.mask.dtype)),
        Image.full(bbox, np.inf, dtype=np.result_type(np.float32, masked.variance.dtype)),
    )
    if bbox.is_empty or source.bbox.is_empty:
        return result
    positions = _Positions(bbox, wcs, source_wcs, control.interpolation_length)
    edge = result.mask.dtype.type(schema.bit_mask("EDGE"))

    def work(some: list[Block]) -> None:
        with np.errstate(invalid="ignore"):  # infinite pixels times weights of both signs
            for block in some:
                _warp_block(masked, result, block, positions, control, edge)

    tiles = [
        (slice(y, min(y + _SIDE, bbox.height)), slice(x, min(x + _SIDE, bbox.width)))
        for y in range(0, bbox.height, _SIDE)
        for x in range(0, bbox.width, _SIDE)
    ]
    share(bbox.area, tiles, work)
    return result


def _warp_block(
    source: MaskedImage, result: MaskedImage, block: Block, positions: "_Positions", control: WarpingControl, edge: Any
) -> None:
    """Fill one block of the new image."""
    x, y, area = positions.of(block)
    x, y = x - source.x0, y - source.y0
    width, height = source.dimensions
    good = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    if not good.any():
        return
    across, upward = _Taps.of(control.kernel, x[good]), _Taps.of(control.kernel, y[good])
    whole = across.are_within(width) & upward.are_within(height)
    bits = result.mask.array[block]
    bits[good] |= np.where(whole, 0, edge)
    if not whole.all():
        good[good] = whole
        across, upward = across.only(whole), upward.only(whole)
    if not whole.any():
        return
    if across.span * upward.span > _MOST_PIXELS and min(good.shape) > 1:
        for quarter in _quarters(block):
            _warp_block(source, result, quarter, positions, control, edge)
        return
    masking = across, upward
    if control.mask_kernel:
        masking = _Taps.of(control.mask_kernel, x[good]), _Taps.of(control.mask_kernel, y[good])
    old = np.ix_(upward.pixels(height), across.pixels(width))
    old_image, old_bits, old_variance = (plane[old] for plane in source.arrays)
    weights = _weights(across, upward)
    scale = area[good] if control.conserve_flux else 1.0
    result.image.array[block][good] = _weighted(weights, old_image) * scale
    np.square(weights.data, out=weights.data)
    result.variance.array[block][good] = _weighted(weights, old_variance) * np.square(scale)
    bits[good] = _collected(old_bits, across.lowest, upward.lowest, *masking)


def _quarters(block: Block) -> list[Block]:
    """Return the quarters of a block of which each side is longer than one pixel."""
    rows, columns = block
    return [(half, other) for half in _halves(rows) for other in _halves(columns)]


def _halves(side: slice) -> tuple[slice, slice]:
    middle = (side.start + side.stop) // 2
    return slice(side.start, middle), slice(middle, side.stop)


@dataclass(frozen=True, slots=True)
class _Taps:
    """Which pixels along an axis are taken for each of some positions, and with which weights."""

    first: NDArray[np.intp]
    """The first neighbour."""
    weights: Floats
    """Those of the neighbours from the first on, of sum 1; shape (n, 2·reach)."""
    alone: NDArray[np.bool_]
    """Whether a single neighbour has all the weight."""
    begin: NDArray[np.intp]
    """The first neighbour that has a weight."""

    @classmethod
    def of(cls, kernel: str, position: Floats) -> "_Taps":
        """Return the neighbours of positions on an axis, shape (n,)."""
        nearest = np.rint(position)
        position = np.where(np.abs(position - nearest) < _NEAR, nearest, position)
        floor = np.floor(position)
        fraction = position - floor
        reach = _REACH[kernel]
        first = floor.astype(np.intp) + 1 - reach
        if kernel == "nearest":
            up = fraction >= 0.5
            return cls(first, np.stack([~up, up], axis=1).astype(np.float64), np.ones(up.shape, bool), first + up)
        weights = np.stack([1 - fraction, fraction], axis=1) if reach == 1 else lanczos_taps(fraction, reach)
        alone = fraction == 0
        return cls(first, weights, alone, np.where(alone, first + reach - 1, first))

    def only(self, some: NDArray[np.bool_]) -> "_Taps":
        """Return those of some of the positions."""
        return _Taps(self.first[some], self.weights[some], self.alone[some], self.begin[some])

    def are_within(self, size: int) -> NDArray[np.bool_]:
        """Return for which positions all neighbours that have a weight are among so many pixels."""
        end = np.where(self.alone, self.begin + 1, self.first + self.weights.shape[1])
        return np.asarray((self.begin >= 0) & (end <= size))

    @property
    def lowest(self) -> int:
        """The first neighbour of all."""
        return int(self.first.min())

    @property
    def span(self) -> int:
        """How many pixels there are from the first neighbour of all to the last."""
        return int(self.first.max() + self.weights.shape[1]) - self.lowest

    def pixels(self, size: int) -> NDArray[np.intp]:
        """Return all of these; what is beyond the image, which has no weight, as its first or last pixel."""
        return np.clip(np.arange(self.lowest, self.lowest + self.span), 0, size - 1)


def _weights(across: _Taps, upward: _Taps) -> "csr_array":
    """Return a sparse matrix that makes new pixels of the old ones from `lowest` on over `span`, row by row."""
    from scipy.sparse import csr_array

    n, taps = across.weights.shape
    width = across.span
    first = (upward.first - upward.lowest) * width + (across.first - across.lowest)
    steps = np.add.outer(np.arange(taps) * width, np.arange(taps)).ravel()
    columns = np.add.outer(first.astype(np.int32), steps.astype(np.int32)).ravel()
    values = np.einsum("ij,ik->ijk", upward.weights, across.weights).ravel()
    rows = np.arange(n + 1, dtype=np.int32) * np.int32(taps * taps)
    return csr_array((values, columns, rows), shape=(n, width * upward.span))


def _weighted(weights: "csr_array", pixels: NDArray[Any]) -> Floats:
    """Return weighted sums of pixels; where the weight is zero a NaN does no harm."""
    pixels = pixels.ravel().astype(np.float64)
    if not np.isfinite(pixels).all():
        weights = weights.copy()
        weights.eliminate_zeros()
    return np.asarray(weights @ pixels)


def _collected(bits: NDArray[Any], left: int, bottom: int, across: _Taps, upward: _Taps) -> NDArray[Any]:
    """Return the OR of the mask's pixels, of which the first is at (left, bottom), that have a weight."""
    found = np.zeros(across.alone.size, bits.dtype)
    if not bits.any():
        return found
    for one_column, one_row in product((False, True), repeat=2):
        some = (across.alone == one_column) & (upward.alone == one_row)
        if some.any():
            spread = bits
            for axis, taps, alone in ((1, across, one_column), (0, upward, one_row)):
                spread = spread if alone else _spread(spread, axis, taps.weights.shape[1])
            found[some] = spread[upward.begin[some] - bottom, across.begin[some] - left]
    return found


def _spread(bits: NDArray[Any], axis: int, count: int) -> NDArray[Any]:
    """Return the OR of each pixel of a mask and of those that follow along an axis, so many together."""
    size = bits.shape[axis] - count + 1
    parts = [bits.take(range(start, start + size), axis) for start in range(count)]
    return np.asarray(np.bitwise_or.reduce(parts))


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
        needed = slice(column[0] + 1, column[-1] + 3)
        column -= column[0]

        def between(nodes: Floats) -> Floats:
            band = nodes[row + 1, needed] * (1 - up) + nodes[row + 2, needed] * up
            return np.asarray(band[:, column] * (1 - right) + band[:, column + 1] * right)

        return between(self._x), between(self._y), between(self._area)


_REACH = {"nearest": 1, "bilinear": 1, "lanczos2": 2, "lanczos3": 3, "lanczos4": 4, "lanczos5": 5}
"""The kernels, and how many neighbours each takes on either side."""
