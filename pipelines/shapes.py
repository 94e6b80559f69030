"""Adaptive second moments of many stamps at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .psf_stamps import BoolArray, FloatArray


@dataclass(slots=True)
class Moments:
    """Second moments of n sources (pixel squared) and what a Gaussian of that shape holds."""

    xx: FloatArray
    """Along x."""
    yy: FloatArray
    """Along y."""
    xy: FloatArray
    """Mixed."""
    flux: FloatArray
    """Flux of the matched Gaussian."""
    flux_err: FloatArray
    """Its error."""
    failed: BoolArray
    """No convergence; the moments are NaN."""


def adaptive_moments(
    stamps: FloatArray,
    noise: FloatArray,
    valid: BoolArray,
    dx: FloatArray,
    dy: FloatArray,
    *,
    start: float,
    rounds: int = 12,
) -> Moments:
    """Moments weighted by the elliptical Gaussian that they describe (Bernstein & Jarvis 2002, AJ 123, 583).

    The covariance C of the weight is matched to the object: the product of two Gaussians of covariances C and S has
    moments M with ``M^-1 = C^-1 + S^-1``, so the object's own are ``(M^-1 - C^-1)^-1``, and C follows them.

    Parameters
    ----------
    stamps
        (n, k, k) pixel values, neighbours and background taken away.
    noise
        (n, k, k) variances.
    valid
        (n, k, k) pixels to be used.
    dx, dy
        (n,) centre of each source from the central pixel of its stamp.
    start
        First guess of the second moment along x and y (pixel squared).
    rounds
        Iterations.
    """
    half = stamps.shape[1] // 2
    offset = np.arange(-half, half + 1)
    u = offset[None, None, :] - dx[:, None, None]
    v = offset[None, :, None] - dy[:, None, None]
    data = np.where(valid, stamps, 0.0)
    n = len(stamps)
    xx, yy, xy = np.full(n, start), np.full(n, start), np.zeros(n)
    least, most = 0.1 * start, max(float(half) ** 2, 4 * start)
    failed = np.zeros(n, dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(rounds):
            weight, inverse = _gaussian(u, v, xx, yy, xy)
            weighted = weight * data
            total = weighted.sum(axis=(1, 2))
            mxx = (weighted * u * u).sum(axis=(1, 2)) / total
            myy = (weighted * v * v).sum(axis=(1, 2)) / total
            mxy = (weighted * u * v).sum(axis=(1, 2)) / total
            determinant = mxx * myy - mxy**2
            ixx = myy / determinant - inverse[0]
            iyy = mxx / determinant - inverse[1]
            ixy = -mxy / determinant - inverse[2]
            own = ixx * iyy - ixy**2
            new_xx, new_yy, new_xy = iyy / own, ixx / own, -ixy / own
            sound = (total > 0) & (determinant > 0) & (own > 0) & (new_xx > 0) & (new_yy > 0)
            failed |= ~sound
            # Too noisy a step is bounded, not followed to infinity.
            xx = np.where(sound, np.clip(new_xx, least, most), xx)
            yy = np.where(sound, np.clip(new_yy, least, most), yy)
            bound = 0.9 * np.sqrt(xx * yy)
            xy = np.where(sound, np.clip(new_xy, -bound, bound), xy)
        weight, _ = _gaussian(u, v, xx, yy, xy)
        weight = weight * valid
        model = weight / (2 * np.pi * np.sqrt(xx * yy - xy**2))[:, None, None]
        power = (model**2).sum(axis=(1, 2))
        flux = (model * data).sum(axis=(1, 2)) / power
        flux_err = np.sqrt((model**2 * noise).sum(axis=(1, 2))) / power
    failed |= ~np.isfinite(flux)
    blank = np.where(failed, np.nan, 0.0)
    return Moments(xx + blank, yy + blank, xy + blank, flux + blank, flux_err + blank, failed)


def _gaussian(
    u: FloatArray, v: FloatArray, xx: FloatArray, yy: FloatArray, xy: FloatArray
) -> tuple[FloatArray, tuple[FloatArray, FloatArray, FloatArray]]:
    determinant = xx * yy - xy**2
    inverse = (yy / determinant, xx / determinant, -xy / determinant)
    a, b, c = (part[:, None, None] for part in inverse)
    return np.exp(-0.5 * (a * u * u + b * v * v + 2 * c * u * v)), inverse
