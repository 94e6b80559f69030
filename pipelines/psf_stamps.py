"""PSF images at many sub-pixel positions at once, and the pixels that they cover.

A `~skybutler.imaging.Psf` gives one image for one position. Fitting a crowded field asks for a few thousand in every
round, so the model is turned into a small set of B-spline coefficients once, and every stamp is then two products of
small matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..imaging.chebyshev import chebyshev_terms
from ..imaging.geometry import Box2I, Extent2I, Point2I
from ..imaging.psf import EmpiricalPsf

if TYPE_CHECKING:
    from ..imaging.psf import Psf

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_ORDER = 5
_REACH = 3
_TAPS = (2 * _REACH + 1) ** 2
_ORDERS = {1: 0, 3: 1, 6: 2}


@dataclass(frozen=True, slots=True)
class StampPixels:
    """Which pixels of an image each of n stamps covers."""

    index: IntArray
    """(n, k, k) flat indices into the image, 0 where the pixel lies outside."""
    inside: BoolArray
    """(n, k, k) False where the pixel lies outside the image."""

    @classmethod
    def around(cls, x: FloatArray, y: FloatArray, half: int, shape: tuple[int, int]) -> StampPixels:
        """Squares of ``2 * half + 1`` pixels around the pixels nearest to positions.

        Parameters
        ----------
        x, y
            (n,) positions in array coordinates, 0 the centre of the first pixel.
        half
            Pixels on each side of the central one.
        shape
            (height, width) of the image.
        """
        offset = np.arange(-half, half + 1)
        columns = np.rint(x).astype(np.int64)[:, None] + offset
        rows = np.rint(y).astype(np.int64)[:, None] + offset
        in_x = (columns >= 0) & (columns < shape[1])
        in_y = (rows >= 0) & (rows < shape[0])
        inside = in_y[:, :, None] & in_x[:, None, :]
        index = rows[:, :, None] * shape[1] + columns[:, None, :]
        return cls(np.where(inside, index, 0), inside)

    def take(self, image: npt.NDArray[np.generic], fill: float = 0.0) -> FloatArray:
        """(n, k, k) pixel values, ``fill`` outside the image."""
        return np.where(self.inside, image.ravel()[self.index], fill).astype(np.float64)

    def subtract(self, image: FloatArray, stamps: FloatArray) -> None:
        """Subtract (n, k, k) stamps, which may overlap, from an image in place."""
        flat = np.bincount(self.index[self.inside], weights=stamps[self.inside], minlength=image.size)
        image -= flat.reshape(image.shape)


class PsfSampler:
    """A PSF that varies as a polynomial over an image, ready to be drawn at many positions.

    Parameters
    ----------
    basis
        (n, k, k) centred images, k odd: what the terms of `chebyshev_terms` multiply, of order 0, 1 or 2 for n of 1,
        3 or 6. The first is of sum 1, the others of sum 0.
    shape
        (height, width) of the image, whose array coordinates positions are in.
    """

    def __init__(self, basis: FloatArray, shape: tuple[int, int]) -> None:
        from scipy.ndimage import spline_filter

        if basis.ndim != 3 or len(basis) not in _ORDERS or basis.shape[1] != basis.shape[2] or basis.shape[1] % 2 == 0:
            raise ValueError(f"a PSF basis is (1, 3 or 6, k, k) with odd k; this one is {basis.shape}")
        self.basis = basis
        self.box = Box2I(Point2I(0, 0), Extent2I(shape[1], shape[0]))
        self.order = _ORDERS[len(basis)]
        # Zeros around keep the spline from ringing back from a mirrored edge.
        padded = np.pad(basis, ((0, 0), (_REACH, _REACH), (_REACH, _REACH)))
        self._coefficients = np.stack([spline_filter(image, order=_ORDER, mode="mirror") for image in padded])
        self._cached_windows: dict[int, FloatArray] = {}

    @classmethod
    def from_psf(cls, psf: Psf, box: Box2I) -> PsfSampler:
        """Return the polynomial nearest to any PSF over a box; positions become array coordinates of that box.

        Parameters
        ----------
        psf
            Any model with ``compute_kernel_image``.
        box
            Where it will be drawn; parent coordinates.
        """
        if isinstance(psf, EmpiricalPsf) and psf.bbox == box and len(psf.basis) in _ORDERS:
            return cls(np.asarray(psf.basis), (box.height, box.width))
        half = max(psf.dimensions.x, psf.dimensions.y) // 2
        steps = np.linspace(0.05, 0.95, 4)
        u, v = (part.ravel() for part in np.meshgrid(steps * (box.width - 1), steps * (box.height - 1)))
        images = [
            fit_to_size(
                np.asarray(psf.compute_kernel_image((x + box.min_x, y + box.min_y)).array, dtype=np.float64), half
            )
            for x, y in zip(u.tolist(), v.tolist(), strict=True)
        ]
        local = Box2I(Point2I(0, 0), box.dimensions)
        flat = np.stack(images).reshape(len(images), -1)
        solution = np.linalg.lstsq(chebyshev_terms(local, u, v, 2), flat, rcond=None)[0]
        basis = solution.reshape(-1, 2 * half + 1, 2 * half + 1)
        constant = np.abs(basis[1:]).max() < 1e-9
        return cls(np.asarray(basis[:1] if constant else basis, dtype=np.float64), (box.height, box.width))

    def to_psf(self, box: Box2I) -> EmpiricalPsf:
        """Return the same model over parent pixels."""
        return EmpiricalPsf(box, self.basis)

    @property
    def half(self) -> int:
        """Pixels on each side of the centre."""
        return int(self.basis.shape[1]) // 2

    def images(self, x: FloatArray, y: FloatArray, half: int | None = None) -> FloatArray:
        """PSF images on the pixel grid, for sources at any sub-pixel positions.

        Parameters
        ----------
        x, y
            (n,) positions, array coordinates.
        half
            Half-size of the stamps; that of the model by default.

        Returns
        -------
        ndarray
            (n, 2 half + 1, 2 half + 1), centred on the pixels nearest to the positions. Not normalised again: light
            that falls outside a smaller stamp is not in it.
        """
        half = self.half if half is None else half
        along_x, along_y = _quintic_weights(x - np.rint(x)), _quintic_weights(y - np.rint(y))
        taps = (along_y[:, :, None] * along_x[:, None, :]).reshape(len(x), _TAPS)
        size = 2 * half + 1
        windows = self._windows(half)
        if len(self.basis) > 1:
            terms = chebyshev_terms(self.box, x, y, self.order)
            taps = (terms[:, :, None] * taps[:, None, :]).reshape(len(x), len(self.basis) * _TAPS)
        return np.asarray((taps @ windows).reshape(len(x), size, size))

    def _windows(self, half: int) -> FloatArray:
        """(terms * 49, size ** 2) spline coefficients around every pixel of a stamp: what the weights multiply."""
        windows = self._cached_windows.get(half)
        if windows is None:
            size = 2 * half + 1
            parts = []
            for coefficients in self._coefficients:
                fitted = fit_to_size(coefficients, half + _REACH)
                shifts = range(2 * _REACH + 1)
                parts += [
                    fitted[row : row + size, column : column + size].ravel() for row in shifts for column in shifts
                ]
            windows = np.stack(parts)
            self._cached_windows[half] = windows
        return windows


def _quintic_weights(shift: FloatArray) -> FloatArray:
    """(n, 7) weights of the coefficients around a pixel, of the quintic B-spline (Unser 1999, IEEE SPM 16 (6), 22)."""
    distance = np.abs(np.arange(-_REACH, _REACH + 1) + shift[:, None])
    value = np.zeros_like(distance)
    for weight, reach in ((1.0, 3.0), (-6.0, 2.0), (15.0, 1.0)):
        part = np.clip(reach - distance, 0.0, None)
        square = part * part
        value += weight / 120.0 * square * square * part
    return value


def fit_to_size(image: FloatArray, half: int) -> FloatArray:
    """Cut or zero-pad a centred odd square image to ``2 * half + 1`` pixels a side."""
    have_y, have_x = image.shape[0] // 2, image.shape[1] // 2
    cut_y, cut_x = min(have_y, half), min(have_x, half)
    inner = image[have_y - cut_y : have_y + cut_y + 1, have_x - cut_x : have_x + cut_x + 1]
    return np.pad(inner, ((half - cut_y, half - cut_y), (half - cut_x, half - cut_x)))
