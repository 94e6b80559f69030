"""Convolution of images with a kernel, which carries variance and mask.

Each pixel becomes the sum of the pixels about it, each times the pixel of the kernel that lies upon it when the
kernel's centre lies upon the pixel itself. (This is what LSST's afw does: the kernel is not turned about, as a
mathematician would, and a point becomes the kernel's mirror image.) The variance is summed with the squares of the
kernel; that neighbours become correlated, it does not tell. Bits of the mask spread over all pixels that the kernel is
not zero at, and so do NaN and infinite pixels, which leave NaN. Works on strips of the image, so that little memory is
needed beside the result.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .blocks import Block, for_blocks
from .geometry import Box2I
from .image import Image
from .mask import Mask, pixel_type
from .masked_image import MaskedImage
from .spatial_kernel import LinearCombinationKernel

__all__ = ["ConvolutionControl", "convolve"]

Floats = NDArray[np.float64]

_STRIP = 262_144
_DIRECT = 81
"""Up to how many pixels of a kernel sums are quicker than Fourier transforms (9x9)."""


@dataclass
class ConvolutionControl(LsstNames):
    """How an image is convolved."""

    do_normalize: bool = True
    """Whether the kernel is divided by its sum, at each pixel where it varies, so that fluxes stay what they are."""
    do_copy_edge: bool = False
    """Whether pixels from which the kernel reaches beyond the image stay as they are, with EDGE set as well; otherwise
    they become NaN, of infinite variance and with NO_DATA alone."""


@overload
def convolve(
    image: MaskedImage, kernel: LinearCombinationKernel | Image | ArrayLike, control: ConvolutionControl | None = None
) -> MaskedImage: ...
@overload
def convolve(
    image: Image, kernel: LinearCombinationKernel | Image | ArrayLike, control: ConvolutionControl | None = None
) -> Image: ...
def convolve(
    image: MaskedImage | Image,
    kernel: LinearCombinationKernel | Image | ArrayLike,
    control: ConvolutionControl | None = None,
) -> MaskedImage | Image:
    """Return an image whose every pixel is the sum of those about it, weighted by a kernel.

    Parameters
    ----------
    image
        What to convolve; an `Image` has no mask to mark its edge in.
    kernel
        An image, whose pixel (0, 0) is its centre, such as `Psf.compute_kernel_image` gives; an array of shape (height,
        width), centred on its middle (of an even number, the first of the two); or one that varies over the image.
    control
        How.

    Returns
    -------
    convolved : as `image`
        float32, or float64 where the image is; xy0 as the image's. NaN where a kernel that varies has the sum 0 but is
        to be normalized.

    Raises
    ------
    ValueError
        If the kernel is not finite, has the sum 0 but is to be normalized, or is larger than the image.
    """
    control = control or ConvolutionControl()
    chosen = kernel if isinstance(kernel, LinearCombinationKernel) else LinearCombinationKernel([kernel], [1.0])
    source = image.image if isinstance(image, MaskedImage) else image
    work = _Convolution(chosen, control, source.bbox)
    dtype = np.result_type(np.float32, source.dtype) if source.dtype.kind == "f" else np.dtype(np.float32)
    result = Image.full(source.bbox, dtype=dtype)
    work.sum_pixels(source.array, result.array)
    work.treat_edge(source.array, result.array, np.nan)
    if not isinstance(image, MaskedImage):
        return result
    variance = Image.full(source.bbox, dtype=np.result_type(np.float32, image.variance.dtype))
    work.sum_variances(image.variance.array, variance.array)
    work.treat_edge(image.variance.array, variance.array, np.inf)
    return MaskedImage(result, work.spread_mask(image.mask), variance)


class _Convolution:
    """One kernel over one box.

    A kernel that is the same everywhere is one array of weights; of one that varies, each part is convolved by itself,
    and the results are added with their factors. Its square, which the variance takes, is the sum of the products of
    every two parts.
    """

    def __init__(self, kernel: LinearCombinationKernel, control: ConvolutionControl, box: Box2I) -> None:
        width, height = kernel.dimensions
        if height > box.height or width > box.width:
            raise ValueError(f"a kernel of {width}x{height} does not fit in an image of {box.width}x{box.height}")
        self._control, self._box = control, box
        self._varying = kernel if kernel.is_spatially_varying else None
        self._basis = kernel.basis
        if self._varying is None:
            self._basis = kernel.compute_image(normalize=control.do_normalize).array[np.newaxis]
        self._before = kernel.center.y, kernel.center.x
        self._after = height - 1 - kernel.center.y, width - 1 - kernel.center.x

    @property
    def _inner(self) -> tuple[slice, slice]:
        """The pixels from which the kernel stays within the image, as slices of its arrays."""
        return (
            slice(self._before[0], self._box.height - self._after[0]),
            slice(self._before[1], self._box.width - self._after[1]),
        )

    def sum_pixels(self, pixels: NDArray[Any], out: NDArray[Any]) -> None:
        """Sum pixels with the kernel; what lies beyond them counts as 0."""
        self._sum(pixels, [(weights, (place,)) for place, weights in enumerate(self._basis)], 1, out)

    def sum_variances(self, pixels: NDArray[Any], out: NDArray[Any]) -> None:
        """Sum variances with the square of the kernel."""
        terms: list[tuple[Floats, tuple[int, ...]]] = []
        for one, other in combinations_with_replacement(range(len(self._basis)), 2):
            weights = self._basis[one] * self._basis[other]
            if weights.any():
                terms.append((weights if one == other else 2 * weights, (one, other)))
        self._sum(pixels, terms, 2, out)

    def _sum(
        self, pixels: NDArray[Any], terms: list[tuple[Floats, tuple[int, ...]]], power: int, out: NDArray[Any]
    ) -> None:
        """Sum pixels with weights, each term times the factors of the parts that it is made of."""

        def work(some: list[Block]) -> None:
            for block in some:
                strip, bad = self._padded(pixels, block)
                columns = range(pixels.shape[1])[block[1]]
                factors, divisor = self._factors(block)
                total: Any = 0.0
                for weights, parts in terms:
                    convolved = _valid(strip, weights)
                    if bad is not None:
                        convolved[_valid_or(bad, weights != 0)] = np.nan
                    convolved = convolved[:, columns.start : columns.stop]
                    for factor in [factors[part] for part in parts] if factors is not None else ():
                        convolved *= factor
                        np.copyto(convolved, 0.0, where=np.equal(factor, 0.0))  # NaN that are not taken either
                    total += convolved
                with np.errstate(divide="ignore", invalid="ignore"):
                    out[block] = total if divisor is None else total / divisor**power

        for_blocks(pixels.shape, max(_STRIP, pixels.shape[1]), work)

    def _factors(self, block: Block) -> tuple[list[Any] | None, Any]:
        """Return the factor of each part at the pixels of a block, and the sum of the kernel there; None if no need."""
        if self._varying is None:
            return None, None
        rows, columns = (np.arange(size)[part] for size, part in zip(self._box.dimensions[::-1], block, strict=True))
        x, y = np.meshgrid(columns + self._box.min_x, rows + self._box.min_y)
        factors = self._varying.factors(x, y)
        if not self._control.do_normalize:
            return factors, None
        return factors, sum(factor * part.sum() for factor, part in zip(factors, self._basis, strict=True))

    def _padded(self, pixels: NDArray[Any], block: Block) -> tuple[Floats, NDArray[np.bool_] | None]:
        """Return the rows that a block takes, zeros about them, and which pixels were not finite (None: all are)."""
        rows = range(len(pixels))[block[0]]
        first, last = rows[0] - self._before[0], rows[-1] + self._after[0]
        inner = pixels[max(first, 0) : last + 1]
        beyond = (max(-first, 0), max(last + 1 - len(pixels), 0)), (self._before[1], self._after[1])
        strip = np.pad(inner.astype(np.float64), beyond)
        bad = ~np.isfinite(strip)
        if not bad.any():
            return strip, None
        strip[bad] = 0
        return strip, bad

    def spread_mask(self, mask: Mask) -> Mask:
        """Return the mask with its bits where the kernel takes them to, and with the edge marked."""
        copied = self._control.do_copy_edge
        edge = "EDGE" if copied else "NO_DATA"
        schema = mask.schema.with_plane(edge)
        result = Mask.full(mask.bbox, edge, schema=schema, dtype=pixel_type(schema, mask.dtype))
        bits = mask.array.astype(result.dtype, copy=False)
        if copied:
            result.array[...] |= bits
        inner_rows, columns = self._inner
        inner = result.array[inner_rows, columns]
        inner[...] = 0

        def work(some: list[Block]) -> None:
            for block in some:
                spread = inner[block]
                first = block[0].start  # of the rows that the kernel takes, as of those that it stays inside from
                rows = slice(inner_rows.start + first, inner_rows.start + first + len(spread))
                factors, _ = self._factors((rows, columns))
                strip = bits[first : first + len(spread) + self._before[0] + self._after[0]]
                for place, weights in enumerate(self._basis):
                    taken = _valid_or(strip, weights != 0)
                    spread |= taken if factors is None else np.where(np.not_equal(factors[place], 0.0), taken, 0)

        for_blocks(inner.shape, max(_STRIP, inner.shape[1]), work)
        return result

    def treat_edge(self, old: NDArray[Any], new: NDArray[Any], fill: float) -> None:
        """Fill, or leave as before, the pixels from which the kernel reaches beyond the image."""
        rows, columns = self._inner
        for part in (
            (slice(0, rows.start), slice(None)),
            (slice(rows.stop, None), slice(None)),
            (slice(None), slice(0, columns.start)),
            (slice(None), slice(columns.stop, None)),
        ):
            new[part] = old[part] if self._control.do_copy_edge else fill


def _valid(strip: Floats, weights: Floats) -> Floats:
    """Return the sums where the kernel lies wholly inside."""
    from scipy import ndimage, signal

    if weights.size > _DIRECT:
        return np.asarray(signal.oaconvolve(strip, weights[::-1, ::-1], mode="valid"))
    height, width = weights.shape
    more_y, more_x = 1 - height % 2, 1 - width % 2  # an odd number of pixels has a middle: scipy's is not in doubt then
    made = ndimage.correlate(strip, np.pad(weights, ((0, more_y), (0, more_x))), mode="constant")
    top, left = height // 2, width // 2
    return np.asarray(made[top : top + strip.shape[0] - height + 1, left : left + strip.shape[1] - width + 1])


def _valid_or(bits: NDArray[Any], used: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the OR of the bits that the kernel takes, where it lies wholly inside."""
    height, width = used.shape
    rows, columns = bits.shape[0] - height + 1, bits.shape[1] - width + 1
    if used.all():
        return _or_run(_or_run(bits, width, 1), height, 0)
    result = np.zeros((rows, columns), bits.dtype)
    for y, line in enumerate(used):
        for x in np.flatnonzero(line):
            result |= bits[y : y + rows, x : x + columns]
    return result


def _or_run(bits: NDArray[Any], size: int, axis: int) -> NDArray[Any]:
    """Return the OR of so many neighbours along an axis, each step of twice as many as the one before."""
    covered = 1
    while covered < size:
        step = min(covered, size - covered)
        bits = bits[:, step:] | bits[:, :-step] if axis else bits[step:] | bits[:-step]
        covered += step
    return bits
