"""How PSF fluxes compare with those in a large aperture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..imaging.ap_corr import ApCorrMap
from ..imaging.chebyshev import ChebyshevField
from ..imaging.geometry import Box2I
from .psf_photometry import PsfFit
from .psf_stamps import BoolArray, FloatArray
from .psf_stars import isolated

_SKY_ERROR = 0.02
"""The sky's level is known to this share of a pixel's noise: in an aperture it counts as often as there are pixels."""
_MODEL_ERROR = 0.005
"""Share of a star's flux that no brightness makes more certain."""


@dataclass(frozen=True, slots=True)
class ApertureCorrection:
    """Ratio of aperture to PSF flux."""

    factor: float
    """What PSF fluxes are multiplied by."""
    scatter: float
    """Robust standard deviation of single stars."""
    stars: int
    """How many stars it rests on; with none the factor is 1."""

    def as_map(self, box: Box2I) -> ApCorrMap:
        """Return the correction over a box, by the columns that it is applied to."""
        field = ChebyshevField(box, [[self.factor]])
        return ApCorrMap({"psf_flux": field, "gaussian_flux": field})


def measure_aperture_correction(
    fit: PsfFit,
    aperture_flux: FloatArray,
    aperture_err: FloatArray,
    usable: BoolArray,
    *,
    radius: float,
    fwhm: float,
    pixel_noise: float,
    min_signal_to_noise: float = 50.0,
    min_stars: int = 3,
    max_stars: int = 150,
) -> ApertureCorrection:
    """Compare the fluxes of bright, isolated stars: a weighted median of ratios.

    Parameters
    ----------
    fit
        All sources of the frame, n of them.
    aperture_flux, aperture_err
        (n,) fluxes in the aperture, neighbours taken away.
    usable
        (n,) sources without blemishes.
    radius
        Of the aperture (pixel).
    fwhm
        Width of the PSF (pixel).
    pixel_noise
        Standard deviation of a pixel of sky.
    min_signal_to_noise, min_stars, max_stars
        Which stars, how few are too few, and how many of the brightest are taken.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = fit.flux / fit.flux_err
        ratio = aperture_flux / fit.flux
        error = np.hypot(aperture_err, _SKY_ERROR * pixel_noise * np.pi * radius**2) / fit.flux
    chosen = usable & np.isfinite(ratio) & (strength > min_signal_to_noise) & isolated(fit.x, fit.y, fit.flux, fwhm)
    if chosen.sum() < min_stars:
        return ApertureCorrection(1.0, 0.0, 0)
    index = np.nonzero(chosen)[0]
    index = index[np.argsort(-strength[index])][:max_stars]
    ratio, weight = ratio[index], 1.0 / (error[index] ** 2 + _MODEL_ERROR**2)
    order = np.argsort(ratio)
    total = np.cumsum(weight[order])
    factor = float(ratio[order][np.searchsorted(total, total[-1] / 2)])
    return ApertureCorrection(factor, float(1.4826 * np.median(np.abs(ratio - factor))), len(index))
