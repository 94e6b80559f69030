"""Small images of stars: moved by fractions of a pixel, summed over circles, and their moments."""

import math

import numpy as np
from numpy.typing import NDArray

from .lanczos import lanczos

__all__ = ["FINE", "adaptive_moments", "circle_coverage", "lanczos_refine", "lanczos_shift"]

_LANCZOS_ORDER = 5
FINE = 5
"""Parts that a pixel is cut into along each axis to sum over a circle; odd, so that one is at its centre."""


def lanczos_shift(size: int, offset: float) -> NDArray[np.float64]:
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


def lanczos_refine(size: int) -> NDArray[np.float64]:
    """Return the matrix that interpolates a row of pixels at the centres of their `FINE` parts."""
    places = (np.arange(size * FINE) + 0.5) / FINE - 0.5
    weights = lanczos(places[:, None] - np.arange(-_LANCZOS_ORDER, size + _LANCZOS_ORDER), _LANCZOS_ORDER)
    return np.asarray((weights / weights.sum(axis=1, keepdims=True))[:, _LANCZOS_ORDER:-_LANCZOS_ORDER])


def circle_coverage(height: int, width: int, radius: float, lines: int = 4) -> NDArray[np.float64]:
    """Return how much of each pixel lies in a circle about the middle one: exact along x, by lines along y."""
    columns = (np.arange(width) - width // 2)[None, None, :]
    heights = (np.arange(height) - height // 2)[:, None] + (np.arange(lines) + 0.5) / lines - 0.5
    chord = np.sqrt(np.maximum(radius**2 - heights**2, 0.0))[:, :, None]
    covered = np.minimum(columns + 0.5, chord) - np.maximum(columns - 0.5, -chord)
    return np.asarray(np.clip(covered, 0.0, 1.0).mean(axis=1), dtype=np.float64)


def adaptive_moments(
    kernel: NDArray[np.float64], iterations: int = 200, tolerance: float = 1e-10
) -> tuple[float, float, float]:
    """Return the moments (xx, yy, xy) of the elliptical Gaussian that fits itself as a weight, or NaN.

    As Bernstein & Jarvis (2002), section 3.1: iterate M_w(W) → (M_w⁻¹ - W⁻¹)⁻¹ from a round weight until the weight is
    the answer.
    """
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
            return float(weight[0, 0]), float(weight[1, 1]), float(weight[0, 1])
    return math.nan, math.nan, math.nan
