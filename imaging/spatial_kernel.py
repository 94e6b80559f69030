"""Convolution kernels that vary over an image: sums of fixed ones, by factors that are functions of the position."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .geometry import Extent2I, Point2D, Point2I
from .image import Image
from .spatial_function import SpatialFunction

__all__ = ["LinearCombinationKernel"]

Floats = NDArray[np.float64]


class LinearCombinationKernel(LsstNames):
    """A kernel ``Σ f_k(x, y) · basis_k`` at each parent pixel (x, y) of the image that is convolved.

    Parameters
    ----------
    basis
        Kernels of one size: arrays of shape (height, width), centred on their middle (of an even number, the first of
        the two), or images, whose pixel (0, 0) is the centre.
    functions
        For each of them its factor: a number, or a function of the position.

    Raises
    ------
    ValueError
        If kernels differ in size or centre, are not finite, or are not as many as the functions.
    """

    def __init__(
        self, basis: Sequence[Image | ArrayLike] | Floats, functions: Sequence[SpatialFunction | float]
    ) -> None:
        pixels = [np.array(one.array if isinstance(one, Image) else one, np.float64) for one in basis]
        if len(pixels) != len(functions) or not pixels:
            raise ValueError(f"{len(pixels)} kernels need a factor each, and there is at least one; not {functions!r}")
        if pixels[0].ndim != 2 or not pixels[0].size:
            raise ValueError(f"a kernel is an array of shape (height, width), not {pixels[0].shape}")
        centers = {_center(one, array.shape) for one, array in zip(basis, pixels, strict=True)}
        if len({array.shape for array in pixels}) > 1 or len(centers) > 1:
            raise ValueError("the kernels of a sum must be of one size and have one centre")
        if not all(np.isfinite(array).all() for array in pixels):
            raise ValueError("the kernel has pixels that are not finite")
        self.basis: Floats = np.stack(pixels)
        self.functions = tuple(functions)
        self.center: Point2I = centers.pop()

    @property
    def dimensions(self) -> Extent2I:
        """Width and height."""
        _, height, width = self.basis.shape
        return Extent2I(width, height)

    @property
    def is_spatially_varying(self) -> bool:
        """Whether a factor is a function of the position."""
        return any(not isinstance(function, int | float) for function in self.functions)

    def factors(self, x: ArrayLike, y: ArrayLike) -> list[Any]:
        """Return the factor of each kernel at parent pixels: numbers, or arrays of their shape."""
        return [one if isinstance(one, int | float) else one.evaluate(x, y) for one in self.functions]

    def compute_image(self, position: Point2D | tuple[float, float] = (0.0, 0.0), *, normalize: bool = False) -> Image:
        """Return the kernel at a position, centred on pixel (0, 0); of sum 1 where it is normalized."""
        made = np.tensordot(np.array(self.factors(*position), np.float64), self.basis, axes=1)
        total = made.sum()
        if normalize and abs(total) <= 1e-12 * np.abs(made).sum():
            raise ValueError(
                "the kernel's sum is 0, so it cannot be normalized; ConvolutionControl(do_normalize=False)"
            )
        return Image(made / total if normalize else made, xy0=Point2I(-self.center.x, -self.center.y))

    def __repr__(self) -> str:
        width, height = self.dimensions
        return f"LinearCombinationKernel({len(self.basis)} kernels of {width}x{height})"


def _center(kernel: Any, shape: tuple[int, ...]) -> Point2I:
    """Return which pixel of a kernel, counted from its first one, light stays in place at."""
    if not isinstance(kernel, Image):
        return Point2I((shape[1] - 1) // 2, (shape[0] - 1) // 2)
    if not kernel.bbox.contains(Point2I(0, 0)):
        raise ValueError(f"the kernel covers {kernel.bbox!r}, so it has no pixel (0, 0) to be centred on")
    return Point2I(-kernel.x0, -kernel.y0)
