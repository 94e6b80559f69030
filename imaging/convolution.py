"""Convolution of images with a kernel, which carries variance and mask.

Pixels that are NaN or infinite leave NaN wherever the kernel takes them. The variance is convolved with the kernel's
square; that neighbours become correlated, it does not tell. Bits of the mask spread over all pixels that the kernel is
not zero at. Works on strips of the image, so that little memory is needed beside the result.
"""

from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .blocks import Block, for_blocks
from .image import Image
from .mask import Mask
from .masked_image import MaskedImage

__all__ = ["ConvolutionControl", "convolve"]

Floats = NDArray[np.float64]

_STRIP = 262_144
_DIRECT = 81
"""Up to how many pixels of a kernel sums are quicker than Fourier transforms (9x9)."""


@dataclass(frozen=True)
class ConvolutionControl(LsstNames):
    """How an image is convolved."""

    normalize: bool = True
    """Whether the kernel is divided by its sum, so that fluxes stay what they are."""
    copy_edge: bool = False
    """Whether pixels that the kernel reaches beyond the image from stay as they are, with EDGE set; otherwise they
    become NaN, with EDGE and NO_DATA."""


@overload
def convolve(
    image: MaskedImage, kernel: Image | ArrayLike, control: ConvolutionControl | None = None
) -> MaskedImage: ...
@overload
def convolve(image: Image, kernel: Image | ArrayLike, control: ConvolutionControl | None = None) -> Image: ...
def convolve(
    image: MaskedImage | Image, kernel: Image | ArrayLike, control: ConvolutionControl | None = None
) -> MaskedImage | Image:
    """Return an image convolved with a kernel: each pixel's light is spread out as the kernel says.

    Parameters
    ----------
    image
        What to convolve; an `Image` has no mask to mark its edge in.
    kernel
        Where its pixel (0, 0) is, light stays in place: an image such as `Psf.compute_kernel_image` gives, or an array
        of shape (height, width), which is centred on its middle (of an even number, the upper one of the two).
    control
        How.

    Returns
    -------
    convolved : as `image`
        float32, or float64 where the image is; xy0 as the image's.

    Raises
    ------
    ValueError
        If the kernel is not finite, has the sum 0 but is to be normalized, or is larger than the image.
    """
    control = control or ConvolutionControl()
    weights, center = _checked_kernel(kernel, control)
    masked = image if isinstance(image, MaskedImage) else None
    source = image.image if isinstance(image, MaskedImage) else image
    height, width = weights.shape
    if height > source.height or width > source.width:
        raise ValueError(f"a kernel of {width}x{height} does not fit in an image of {source.width}x{source.height}")
    dtype = np.result_type(np.float32, source.dtype) if source.dtype.kind == "f" else np.dtype(np.float32)
    result = Image.full(source.bbox, dtype=dtype)
    _convolve_plane(source.array, weights, center, result.array)
    if masked is None:
        _treat_edge(source.array, result.array, weights.shape, center, copy=control.copy_edge)
        return result
    variance = Image.full(source.bbox, dtype=np.result_type(np.float32, masked.variance.dtype))
    _convolve_plane(masked.variance.array, np.square(weights), center, variance.array)
    for plane, old in ((result, source), (variance, masked.variance)):
        _treat_edge(old.array, plane.array, weights.shape, center, copy=control.copy_edge)
    return MaskedImage(result, _spread_mask(masked.mask, weights != 0, center, control), variance)


def _checked_kernel(kernel: Image | ArrayLike, control: ConvolutionControl) -> tuple[Floats, tuple[int, int]]:
    """Return the weights and which of them, (row, column), light stays in place at."""
    weights = np.array(kernel.array if isinstance(kernel, Image) else kernel, np.float64)
    if weights.ndim != 2 or not weights.size:
        raise ValueError(f"a kernel is an array of shape (height, width), not {weights.shape}")
    if not np.isfinite(weights).all():
        raise ValueError("the kernel has pixels that are not finite")
    center = (weights.shape[0] // 2, weights.shape[1] // 2)
    if isinstance(kernel, Image):
        if not kernel.bbox.contains((0, 0)):
            raise ValueError(f"the kernel covers {kernel.bbox!r}, so it has no pixel (0, 0) to be centred on")
        center = (-kernel.y0, -kernel.x0)
    total = weights.sum()
    if control.normalize:
        if abs(total) <= 1e-12 * np.abs(weights).sum():
            raise ValueError("the kernel's sum is 0, so it cannot be normalized; ConvolutionControl(normalize=False)")
        weights /= total
    return weights, center


def _convolve_plane(pixels: NDArray[Any], weights: Floats, center: tuple[int, int], out: NDArray[Any]) -> None:
    """Convolve one plane by strips; what lies beyond it counts as 0."""
    before = [size - 1 - middle for size, middle in zip(weights.shape, center, strict=True)]

    def work(some: list[Block]) -> None:
        for block in some:
            rows, columns = (np.arange(size)[part] for size, part in zip(pixels.shape, block, strict=True))
            first, last = rows[0] - before[0], rows[-1] + center[0]
            inner = pixels[max(first, 0) : last + 1]
            padding = (max(-first, 0), max(last + 1 - len(pixels), 0)), (before[1], center[1])
            strip = np.pad(inner.astype(np.float64), padding)
            bad = ~np.isfinite(strip)
            any_bad = bool(bad.any())
            if any_bad:
                strip[bad] = 0
            convolved = _valid(strip, weights)
            if any_bad:
                convolved[_valid_or(bad, weights != 0)] = np.nan
            out[block] = convolved[:, columns]

    for_blocks(pixels.shape, max(_STRIP, pixels.shape[1]), work)


def _valid(strip: Floats, weights: Floats) -> Floats:
    """Return the convolution where the kernel lies wholly inside."""
    from scipy import ndimage, signal

    if weights.size > _DIRECT:
        return np.asarray(signal.oaconvolve(strip, weights, mode="valid"))
    height, width = weights.shape
    more_y, more_x = 1 - height % 2, 1 - width % 2  # an odd number of pixels has a middle: scipy's is not in doubt then
    made = ndimage.convolve(strip, np.pad(weights, ((0, more_y), (0, more_x))), mode="constant")
    top, left = height - 1 - (height + more_y) // 2, width - 1 - (width + more_x) // 2
    return np.asarray(made[top : top + strip.shape[0] - height + 1, left : left + strip.shape[1] - width + 1])


def _valid_or(bits: NDArray[Any], used: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the OR of the bits that the kernel takes, where it lies wholly inside."""
    height, width = used.shape
    rows, columns = bits.shape[0] - height + 1, bits.shape[1] - width + 1
    if used.all():
        return _or_run(_or_run(bits, width, 1), height, 0)
    result = np.zeros((rows, columns), bits.dtype)
    for y, line in enumerate(used[::-1, ::-1]):  # the light of a pixel goes where the kernel turned about takes it
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


def _spread_mask(mask: Mask, used: NDArray[np.bool_], center: tuple[int, int], control: ConvolutionControl) -> Mask:
    """Return the mask with its bits where the kernel spreads them, and with the edge marked."""
    edge = "EDGE" if control.copy_edge else ("EDGE", "NO_DATA")
    schema = mask.schema.with_plane("EDGE")
    schema = schema if control.copy_edge else schema.with_plane("NO_DATA")
    result = Mask.full(mask.bbox, schema=schema, dtype=mask.dtype)
    height, width = used.shape
    rows, columns = mask.height - height + 1, mask.width - width + 1
    top, left = height - 1 - center[0], width - 1 - center[1]
    inner = slice(top, top + rows), slice(left, left + columns)
    bits = mask.array
    result.array[...] = bits
    around = np.ones(bits.shape, bool)
    around[inner] = False
    result.array[inner] = _valid_or(bits, used)
    result.array[around] |= result.dtype.type(schema.bit_mask(edge))
    return result


def _treat_edge(
    old: NDArray[Any], new: NDArray[Any], shape: tuple[int, ...], center: tuple[int, int], *, copy: bool
) -> None:
    """Make NaN, or as before, the pixels that the kernel reaches beyond the image from."""
    height, width = shape
    first_y, first_x = height - 1 - center[0], width - 1 - center[1]
    last_y, last_x = new.shape[0] - center[0], new.shape[1] - center[1]
    for part in (
        (slice(0, first_y), slice(None)),
        (slice(last_y, None), slice(None)),
        (slice(None), slice(0, first_x)),
        (slice(None), slice(last_x, None)),
    ):
        new[part] = old[part] if copy else np.nan
