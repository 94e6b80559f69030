"""Point spread functions: what a star looks like at each place of an image."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .chebyshev import chebyshev_terms
from .geometry import Box2D, Box2I, Extent2I, Point2D, Point2I
from .image import Image
from .lanczos import lanczos

__all__ = ["EmpiricalPsf", "GaussianPsf", "Psf", "Quadrupole"]

_LANCZOS_ORDER = 5
_FINE = 5  # parts that a pixel is cut into along each axis to sum over a circle; odd, so that one is at its centre


@dataclass(frozen=True, slots=True)
class Quadrupole(LsstNames):
    """Second moments of a profile, in square pixels."""

    ixx: float
    """Along x."""
    iyy: float
    """Along y."""
    ixy: float = 0.0
    """Mixed."""

    @classmethod
    def from_axes(cls, a: float, b: float, theta: float = 0.0) -> Self:
        """Make the moments of half axes a and b, pixels, the first turned from x by an angle in radians."""
        cos, sin = math.cos(theta), math.sin(theta)
        return cls((a * cos) ** 2 + (b * sin) ** 2, (a * sin) ** 2 + (b * cos) ** 2, (a * a - b * b) * cos * sin)

    @property
    def axes(self) -> tuple[float, float, float]:
        """Half axes, the longer first, pixels, and the angle of the first from x, radians, above -π/2 up to π/2."""
        mean, half = (self.ixx + self.iyy) / 2.0, math.hypot((self.ixx - self.iyy) / 2.0, self.ixy)
        theta = 0.5 * math.atan2(2.0 * self.ixy, self.ixx - self.iyy)
        return math.sqrt(mean + half), math.sqrt(max(mean - half, 0.0)), theta

    @property
    def determinant_radius(self) -> float:
        """``(ixx·iyy - ixy²)^¼``, pixels; sigma of a round Gaussian."""
        return float(max(self.ixx * self.iyy - self.ixy**2, 0.0) ** 0.25)

    @property
    def trace_radius(self) -> float:
        """``√((ixx + iyy) / 2)``, pixels."""
        return math.sqrt((self.ixx + self.iyy) / 2.0)

    @property
    def fwhm(self) -> float:
        """Full width at half maximum of the Gaussian with these moments, pixels."""
        return 2.0 * math.sqrt(2.0 * math.log(2.0)) * self.determinant_radius

    def __iter__(self) -> Iterator[float]:
        return iter((self.ixx, self.iyy, self.ixy))


class Psf(LsstNames, ABC):
    """A model of the point spread function. A kind of its own needs `_kernel`, `to_dict` and `_from_dict`.

    Parameters
    ----------
    width, height
        Of the images it gives, pixels; odd.

    Raises
    ------
    ValueError
        If the size is even or not positive.
    """

    VERSION: ClassVar[int] = 1
    _kinds: ClassVar[dict[str, type[Psf]]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        Psf._kinds[cls.__name__] = cls

    def __init__(self, width: int, height: int) -> None:
        if width < 1 or height < 1 or width % 2 == 0 or height % 2 == 0:
            raise ValueError(f"A PSF has a pixel at its centre, so its size must be odd, not {width}x{height}.")
        self.dimensions = Extent2I(width, height)

    @abstractmethod
    def _kernel(self, x: float, y: float) -> NDArray[np.float64]:
        """Return the model at a position, centred on the middle pixel, of sum 1, shape ``(height, width)``."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return plain values and arrays, and under ``kind`` the class's name."""

    @classmethod
    @abstractmethod
    def _from_dict(cls, content: Mapping[str, Any]) -> Self: ...

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> Psf:
        """Make a PSF, of whatever kind, of what `to_dict` gave.

        Raises
        ------
        ValueError
            If the kind is unknown.
        """
        kind = Psf._kinds.get(content["kind"])
        if kind is None:
            raise ValueError(f"There is no PSF of the kind {content['kind']!r}; known are {', '.join(Psf._kinds)}.")
        return kind._from_dict(content)

    @property
    def average_position(self) -> Point2D:
        """Where the model is taken when no position is given."""
        return Point2D(0.0, 0.0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dimensions.x}x{self.dimensions.y})"

    def compute_kernel_image(self, position: Point2D | tuple[float, float] | None = None) -> Image:
        """Return the model of a position, centred on pixel (0, 0); float64, sum 1.

        Parameters
        ----------
        position
            Parent pixels; `average_position` by default.
        """
        x, y = self.average_position if position is None else position
        width, height = self.dimensions
        return Image(self._kernel(x, y), xy0=Point2I(-(width // 2), -(height // 2)))

    def compute_image(self, position: Point2D | tuple[float, float] | None = None) -> Image:
        """Return a star of flux 1 at a position, on the pixels of the parent image; float64, sum 1.

        Pixels are moved by the fraction of one with a Lanczos filter of order 5, which can leave tiny negatives.
        """
        x, y = self.average_position if position is None else position
        column, row = math.floor(x + 0.5), math.floor(y + 0.5)
        width, height = self.dimensions
        return Image(self._moved(x, y, x - column, y - row), xy0=Point2I(column - width // 2, row - height // 2))

    def _moved(self, x: float, y: float, right: float, up: float) -> NDArray[np.float64]:
        """Return the model at a position, moved by fractions of a pixel; of sum 1."""
        kernel = self._kernel(x, y)
        if right or up:
            width, height = self.dimensions
            kernel = _lanczos_shift(height, up) @ kernel @ _lanczos_shift(width, right).T
            kernel /= kernel.sum()
        return kernel

    def compute_bbox(self, position: Point2D | tuple[float, float] | None = None) -> Box2I:
        """Return the box of `compute_kernel_image`."""
        width, height = self.dimensions
        return Box2I(Point2I(-(width // 2), -(height // 2)), self.dimensions)

    def compute_peak(self, position: Point2D | tuple[float, float] | None = None) -> float:
        """Return the highest pixel of the kernel."""
        return float(self.compute_kernel_image(position).array.max())

    def compute_shape(self, position: Point2D | tuple[float, float] | None = None) -> Quadrupole:
        """Return adaptive second moments: those of the elliptical Gaussian that fits itself as a weight.

        As Bernstein & Jarvis (2002), section 3.1; a kernel whose moments do not converge gives NaN.
        """
        return _adaptive_moments(self.compute_kernel_image(position).array)

    def compute_aperture_flux(self, radius: float, position: Point2D | tuple[float, float] | None = None) -> float:
        """Return the fraction of the flux within a circle about the centre.

        Between the centres of pixels the model is interpolated, with a Lanczos filter of order 5.

        Parameters
        ----------
        radius
            Pixels.
        position
            Parent pixels; `average_position` by default.
        """
        kernel = self.compute_kernel_image(position).array
        height, width = (size * _FINE for size in kernel.shape)
        fine = _lanczos_refine(kernel.shape[0]) @ kernel @ _lanczos_refine(kernel.shape[1]).T
        return float((fine * _circle_coverage(height, width, radius * _FINE)).sum() / _FINE**2)


class GaussianPsf(Psf):
    """A round Gaussian, the same everywhere.

    Parameters
    ----------
    width, height
        Pixels; odd.
    sigma
        Pixels.
    """

    def __init__(self, width: int, height: int, sigma: float) -> None:
        super().__init__(width, height)
        if not (math.isfinite(sigma) and sigma > 0):
            raise ValueError(f"The sigma of a Gaussian is positive, not {sigma}.")
        self.sigma = float(sigma)

    def _kernel(self, x: float, y: float) -> NDArray[np.float64]:
        return self._moved(x, y, 0.0, 0.0)

    def _moved(self, x: float, y: float, right: float, up: float) -> NDArray[np.float64]:
        width, height = self.dimensions
        columns, rows = np.arange(width) - width // 2 - right, np.arange(height) - height // 2 - up
        kernel = np.exp(-0.5 * (rows[:, None] ** 2 + columns**2) / self.sigma**2)
        return np.asarray(kernel / kernel.sum(), dtype=np.float64)

    def compute_shape(self, position: Point2D | tuple[float, float] | None = None) -> Quadrupole:
        """Return (σ², σ², 0)."""
        return Quadrupole(self.sigma**2, self.sigma**2, 0.0)

    def compute_aperture_flux(self, radius: float, position: Point2D | tuple[float, float] | None = None) -> float:
        """Return ``1 - exp(-r² / 2σ²)``."""
        return -math.expm1(-0.5 * (radius / self.sigma) ** 2)

    def resized(self, width: int, height: int) -> GaussianPsf:
        """Return the same Gaussian on images of another size."""
        return GaussianPsf(width, height, self.sigma)

    def to_dict(self) -> dict[str, Any]:
        """Return size and sigma."""
        width, height = self.dimensions
        return {"kind": "GaussianPsf", "width": width, "height": height, "sigma": self.sigma}

    @classmethod
    def _from_dict(cls, content: Mapping[str, Any]) -> Self:
        return cls(content["width"], content["height"], content["sigma"])

    def __repr__(self) -> str:
        return f"GaussianPsf({self.dimensions.x}, {self.dimensions.y}, sigma={self.sigma:g})"


class EmpiricalPsf(Psf):
    """Pixels that vary smoothly over the image: ``kernel(x, y) = Σ_k T_k(x', y') · basis_k``, made to sum 1.

    T_k are the Chebyshev products of `chebyshev_terms`, of total degree up to the order that the number of basis
    images says: 1, 3, 6, 10 … for orders 0, 1, 2, 3.

    Parameters
    ----------
    bbox
        Where the model was made, parent pixels.
    basis
        Of shape ``(n, height, width)``, odd sizes.
    """

    def __init__(self, bbox: Box2I, basis: ArrayLike) -> None:
        self.basis: NDArray[np.float64] = np.array(basis, dtype=np.float64)
        if self.basis.ndim != 3:
            raise ValueError(f"Basis images are of shape (n, height, width), not {self.basis.shape}.")
        super().__init__(self.basis.shape[2], self.basis.shape[1])
        count = len(self.basis)
        self.order = (math.isqrt(8 * count + 1) - 3) // 2
        if (self.order + 1) * (self.order + 2) != 2 * count:
            raise ValueError(f"There must be 1, 3, 6, 10 … basis images, for orders 0, 1, 2, 3 …, not {count}.")
        if bbox.is_empty:
            raise ValueError("The box of a PSF must have pixels.")
        self.bbox = bbox
        self.basis.flags.writeable = False

    @classmethod
    def fit(cls, bbox: Box2I, stamps: ArrayLike, x: ArrayLike, y: ArrayLike, *, order: int) -> Self:
        """Fit stars, each pixel by least squares over the image.

        Parameters
        ----------
        bbox
            The image, parent pixels.
        stamps
            Stars of flux 1, centred on the middle pixel, shape ``(stars, height, width)``.
        x, y
            Where they are, parent pixels.
        order
            Highest total degree of the variation.

        Raises
        ------
        ValueError
            If there are fewer stars than terms.
        """
        pixels = np.asarray(stamps, dtype=np.float64)
        terms = chebyshev_terms(bbox, x, y, order)
        if len(pixels) < terms.shape[-1]:
            raise ValueError(f"{len(pixels)} stars cannot fix the {terms.shape[-1]} terms of order {order}; lower it.")
        solution = np.linalg.lstsq(terms, pixels.reshape(len(pixels), -1), rcond=None)[0]
        return cls(bbox, solution.reshape(-1, *pixels.shape[1:]))

    @property
    def average_position(self) -> Point2D:
        """The centre of the box."""
        return Box2D(self.bbox).center

    def _kernel(self, x: float, y: float) -> NDArray[np.float64]:
        kernel = np.tensordot(chebyshev_terms(self.bbox, x, y, self.order), self.basis, axes=1)
        return np.asarray(kernel / kernel.sum(), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return the box as ``[x, y, width, height]`` and the basis as an array."""
        return {"kind": "EmpiricalPsf", "bbox": self.bbox.to_list(), "basis": np.array(self.basis)}

    @classmethod
    def _from_dict(cls, content: Mapping[str, Any]) -> Self:
        return cls(Box2I.from_list(content["bbox"]), content["basis"])

    def __repr__(self) -> str:
        return f"EmpiricalPsf({self.dimensions.x}x{self.dimensions.y}, order {self.order}, over {self.bbox!r})"


def _lanczos_shift(size: int, offset: float) -> NDArray[np.float64]:
    """Return the matrix that moves a row of pixels to the right by a fraction of one.

    A Lanczos filter moves the centroid by a little less than it is asked for (0.0115 pixels of 0.25): it is asked for
    so much that the centroid moves by the offset.
    """
    asked = offset
    for _ in range(8):
        taps = np.arange(-_LANCZOS_ORDER, _LANCZOS_ORDER + 1)
        weights = lanczos(taps - asked, _LANCZOS_ORDER)
        asked += offset - float((weights * taps).sum() / weights.sum())
    total = lanczos(taps - asked, _LANCZOS_ORDER).sum()
    return np.asarray(
        lanczos(np.arange(size)[:, None] - np.arange(size) - asked, _LANCZOS_ORDER) / total, dtype=np.float64
    )


def _lanczos_refine(size: int) -> NDArray[np.float64]:
    """Return the matrix that interpolates a row of pixels at the centres of their `_FINE` parts."""
    places = (np.arange(size * _FINE) + 0.5) / _FINE - 0.5
    weights = lanczos(places[:, None] - np.arange(-_LANCZOS_ORDER, size + _LANCZOS_ORDER), _LANCZOS_ORDER)
    return np.asarray((weights / weights.sum(axis=1, keepdims=True))[:, _LANCZOS_ORDER:-_LANCZOS_ORDER])


def _circle_coverage(height: int, width: int, radius: float, lines: int = 4) -> NDArray[np.float64]:
    """Return how much of each pixel lies in a circle about the middle one: exact along x, by lines along y."""
    columns = (np.arange(width) - width // 2)[None, None, :]
    heights = (np.arange(height) - height // 2)[:, None] + (np.arange(lines) + 0.5) / lines - 0.5
    chord = np.sqrt(np.maximum(radius**2 - heights**2, 0.0))[:, :, None]
    covered = np.minimum(columns + 0.5, chord) - np.maximum(columns - 0.5, -chord)
    return np.asarray(np.clip(covered, 0.0, 1.0).mean(axis=1), dtype=np.float64)


def _adaptive_moments(kernel: NDArray[np.float64], iterations: int = 200, tolerance: float = 1e-10) -> Quadrupole:
    """Iterate M_w(W) → (M_w⁻¹ - W⁻¹)⁻¹ from a round weight until the weight is the answer."""
    rows, columns = (np.arange(size) - size // 2 for size in kernel.shape)
    y, x = rows[:, None] * 1.0, columns[None, :] * 1.0
    weight = np.eye(2) * 4.0
    for _ in range(iterations):
        inverse = np.linalg.inv(weight)
        gaussian = np.exp(-0.5 * (inverse[0, 0] * x**2 + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y**2))
        weighted = kernel * gaussian
        total = weighted.sum()
        mixed = (weighted * x * y).sum()
        measured = np.array([[(weighted * x**2).sum(), mixed], [mixed, (weighted * y**2).sum()]]) / total
        if total <= 0 or np.linalg.det(measured) <= 0 or measured[0, 0] <= 0:
            break
        updated = np.linalg.inv(np.linalg.inv(measured) - inverse)
        if not np.isfinite(updated).all() or np.linalg.det(updated) <= 0 or updated[0, 0] <= 0:
            updated = 2 * measured
        change = np.abs(updated - weight).max()
        weight = updated
        if change < tolerance:
            return Quadrupole(float(weight[0, 0]), float(weight[1, 1]), float(weight[0, 1]))
    return Quadrupole(math.nan, math.nan, math.nan)
