"""Point spread functions: what a star looks like at each place of an image."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .chebyshev import chebyshev_terms
from .geometry import Box2D, Box2I, Extent2I, Point2D, Point2I
from .image import Image
from .stamps import FINE, adaptive_moments, circle_coverage, lanczos_refine, lanczos_shift

__all__ = ["EmpiricalPsf", "GaussianPsf", "Psf", "Quadrupole"]


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
        self.dimensions = _odd(width, height)

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
        return Image(self._kernel(*self._position(position)), self.compute_kernel_bbox().min)

    local_kernel = compute_kernel_image  # which `convolve` takes

    def compute_image(self, position: Point2D | tuple[float, float] | None = None) -> Image:
        """Return a star of flux 1 at a position, on the pixels of the parent image; float64, sum 1.

        Pixels are moved by the fraction of one with a Lanczos filter of order 5, which can leave tiny negatives.
        """
        x, y = position = self._position(position)
        column, row = Point2I(position)
        return Image(self._moved(x, y, x - column, y - row), self.compute_image_bbox(position).min)

    def _position(self, position: Point2D | tuple[float, float] | None) -> Point2D:
        """Return the position that is meant; ValueError where it is not finite."""
        where = self.average_position if position is None else Point2D(*position)
        if not (math.isfinite(where.x) and math.isfinite(where.y)):
            raise ValueError(f"There is no PSF at {where!r}, which is not finite.")
        return where

    def _moved(self, x: float, y: float, right: float, up: float) -> NDArray[np.float64]:
        """Return the model at a position, moved by fractions of a pixel; of sum 1."""
        kernel = self._kernel(x, y)
        if right or up:
            width, height = self.dimensions
            kernel = lanczos_shift(height, up) @ kernel @ lanczos_shift(width, right).T
            kernel /= kernel.sum()
        return kernel

    def compute_kernel_bbox(self, position: Point2D | tuple[float, float] | None = None) -> Box2I:
        """Return the box of `compute_kernel_image`."""
        width, height = self.dimensions
        return Box2I(Point2I(-(width // 2), -(height // 2)), self.dimensions)

    compute_bbox = compute_kernel_bbox

    def compute_image_bbox(self, position: Point2D | tuple[float, float] | None = None) -> Box2I:
        """Return the box of `compute_image`."""
        return self.compute_kernel_bbox().shifted_by(Extent2I(Point2I(self._position(position))))

    def clone(self) -> Self:
        """Return a copy."""
        return copy(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Psf):
            return NotImplemented
        mine, its = self.to_dict(), other.to_dict()
        return mine.keys() == its.keys() and all(np.array_equal(value, its[name]) for name, value in mine.items())

    def __hash__(self) -> int:
        return hash((type(self), self.dimensions))

    def compute_peak(self, position: Point2D | tuple[float, float] | None = None) -> float:
        """Return the highest pixel of the kernel."""
        return float(self.compute_kernel_image(position).array.max())

    def compute_shape(self, position: Point2D | tuple[float, float] | None = None) -> Quadrupole:
        """Return adaptive second moments: those of the elliptical Gaussian that fits itself as a weight.

        As Bernstein & Jarvis (2002), section 3.1; a kernel whose moments do not converge gives NaN.
        """
        return Quadrupole(*adaptive_moments(self.compute_kernel_image(position).array))

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
        height, width = (size * FINE for size in kernel.shape)
        fine = lanczos_refine(kernel.shape[0]) @ kernel @ lanczos_refine(kernel.shape[1]).T
        return float((fine * circle_coverage(height, width, radius * FINE)).sum() / FINE**2)


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

    def resized(self, width: int, height: int) -> EmpiricalPsf:
        """Return the same model on images of another size: cut, or with zeros about it, and of sum 1."""
        size, old = _odd(width, height), self.dimensions
        basis = np.zeros((len(self.basis), height, width))
        x, y = min(size.x, old.x) // 2, min(size.y, old.y) // 2
        to, of = (
            (slice(None), slice(box.y // 2 - y, box.y // 2 + y + 1), slice(box.x // 2 - x, box.x // 2 + x + 1))
            for box in (size, old)
        )
        basis[to] = self.basis[of]
        return EmpiricalPsf(self.bbox, basis)

    def to_dict(self) -> dict[str, Any]:
        """Return the box as ``[x, y, width, height]`` and the basis as an array."""
        return {"kind": "EmpiricalPsf", "bbox": self.bbox.to_list(), "basis": np.array(self.basis)}

    @classmethod
    def _from_dict(cls, content: Mapping[str, Any]) -> Self:
        return cls(Box2I.from_list(content["bbox"]), content["basis"])

    def __repr__(self) -> str:
        return f"EmpiricalPsf({self.dimensions.x}x{self.dimensions.y}, order {self.order}, over {self.bbox!r})"


def _odd(width: int, height: int) -> Extent2I:
    """Return the size of a PSF's images; ValueError where it has no middle pixel."""
    if width < 1 or height < 1 or width % 2 == 0 or height % 2 == 0:
        raise ValueError(f"A PSF has a pixel at its centre, so its size must be odd, not {width}x{height}.")
    return Extent2I(width, height)
