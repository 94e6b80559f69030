"""Stars as a telescope shows them: a Moffat profile, integrated over pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moffat", "add_stars"]

Floats = NDArray[np.float64]

_GAUSS = 0.5 / np.sqrt(3.0)  # nodes of the two-point Gauss-Legendre rule on a pixel


@dataclass(frozen=True, slots=True)
class Moffat:
    """A point-spread function I(r) ∝ (1 + r²/α²)^-3.5 (Moffat 1969), slightly elliptical, growing off axis.

    The exponent 3.5 is between a seeing disk's core and wings, and cheap: 1 / (t³ √t).
    """

    fwhm: float
    """Full width at half maximum at the centre of the focal plane, pixels."""
    e1: float = 0.0
    """Ellipticity along x (positive) or y."""
    e2: float = 0.0
    """Ellipticity along the diagonals."""
    growth: float = 0.0
    """By which fraction it is wider 512 pixels from the centre of the focal plane; goes with the distance squared."""

    def alpha(self, off_axis: Floats | float) -> Floats:
        """Return the scale α in pixels at a distance in pixels from the centre of the focal plane."""
        width = self.fwhm * (1.0 + self.growth * (np.asarray(off_axis, dtype=np.float64) / 512.0) ** 2)
        return np.asarray(width / (2.0 * np.sqrt(2.0 ** (1 / 3.5) - 1.0)))

    def density(self, dx: Floats, dy: Floats, alpha: Floats) -> Floats:
        """Return the fraction of the flux a square pixel at offsets (pixels) from the centre; 1 in all."""
        scale = 1.0 / np.sqrt(1.0 - self.e1**2 - self.e2**2)  # keeps the area, hence the total flux
        u = scale * ((1.0 - self.e1) * dx - self.e2 * dy)
        v = scale * ((1.0 + self.e1) * dy - self.e2 * dx)
        t = 1.0 + (u * u + v * v) / (alpha * alpha)
        return np.asarray(2.5 / (np.pi * alpha * alpha) / (t * t * t * np.sqrt(t)))


def add_stars(
    image: Floats, x: Floats, y: Floats, flux: Floats, psf: Moffat, off_axis: Floats, background: float
) -> tuple[Floats, Floats]:
    """Add stars to an image, in place.

    Parameters
    ----------
    image
        Shape (height, width); electrons.
    x, y
        Centres in pixels counted from 0, also outside of the image.
    flux
        Total electrons of each.
    psf
        The point-spread function.
    off_axis
        Distance of each from the centre of the focal plane, pixels.
    background
        Variance of a pixel without stars, electrons².

    Returns
    -------
    peak
        Each star's brightest pixel, electrons, as though the star were alone.
    snr
        Signal-to-noise ratio of each star by optimal photometry, √Σ(s²/(s + background)) over its pixels.
    """
    peak, snr = np.zeros_like(flux), np.zeros_like(flux)
    # The wings of a bright star reach far: at 20 pixels 10⁻⁴ of the flux lies outside, at 48 pixels 10⁻⁶.
    for chosen, reach in ((flux < 2e5, 20), (flux >= 2e5, 48)):
        index = np.flatnonzero(chosen)
        if index.size:
            stamps = _stamps(x[index], y[index], psf, off_axis[index], reach) * flux[index, None, None]
            peak[index] = stamps.max(axis=(1, 2))
            snr[index] = np.sqrt((stamps * stamps / (stamps + background)).sum(axis=(1, 2)))
            _paste(image, stamps, np.rint(x[index]).astype(int) - reach, np.rint(y[index]).astype(int) - reach)
    return peak, snr


def _stamps(x: Floats, y: Floats, psf: Moffat, off_axis: Floats, reach: int) -> Floats:
    """Return the fraction of the flux in each pixel of square stamps, shape (stars, 2 reach + 1, 2 reach + 1)."""
    alpha = psf.alpha(off_axis)[:, None, None]
    offsets = np.arange(-reach, reach + 1)
    stamps = np.zeros((x.size, offsets.size, offsets.size))
    for node_x in (-_GAUSS, _GAUSS):
        dx = (np.rint(x)[:, None] + offsets + node_x - x[:, None])[:, None, :]
        for node_y in (-_GAUSS, _GAUSS):
            dy = (np.rint(y)[:, None] + offsets + node_y - y[:, None])[:, :, None]
            stamps += psf.density(dx, dy, alpha)
    stamps /= 4.0
    return stamps


def _paste(image: Floats, stamps: Floats, left: NDArray[np.int_], bottom: NDArray[np.int_]) -> None:
    height, width = image.shape
    size = stamps.shape[1]
    for stamp, x0, y0 in zip(stamps, left.tolist(), bottom.tolist(), strict=True):
        begin_x, end_x = max(x0, 0), min(x0 + size, width)
        begin_y, end_y = max(y0, 0), min(y0 + size, height)
        if begin_x < end_x and begin_y < end_y:
            image[begin_y:end_y, begin_x:end_x] += stamp[begin_y - y0 : end_y - y0, begin_x - x0 : end_x - x0]
