"""Find and fit all point sources of a frame, the hidden ones too.

Sources are detected, fitted together and subtracted; what the residual then shows is added, and all are fitted again.
The background is taken from the residual, too, where stars no longer lift it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .background import add, measure_background, surface
from .detection import Detections, detect
from .noise import noise_with_correlation
from .psf_photometry import PsfFit, fit_point_sources
from .psf_stamps import BoolArray, FloatArray, IntArray, PsfSampler, StampPixels, fit_to_size

if TYPE_CHECKING:
    from ..imaging.background import Background
    from ..imaging.geometry import Box2I


@dataclass(frozen=True, slots=True)
class CrowdedFieldSettings:
    """What decides which sources are kept, and how they are fitted."""

    threshold: float = 5.0
    """Significance of detection and of the fitted flux."""
    fit_radius: float = 1.6
    """Half-size of the fitted squares, in FWHM."""
    rounds: int = 2
    """Rounds of position fits after each detection."""
    residual_passes: int = 2
    """How often the residual is searched for what brighter neighbours hid."""
    background_size: int = 64
    """Side of the squares in which background and noise are taken (pixel)."""
    cell_size: int = 32
    """Side of the cells in which the background is kept (pixel)."""
    deblend_contrast: float = 1e-4
    """Smallest share of a blend's flux that makes a source of its own."""
    min_separation: float = 0.6
    """A residual peak nearer than this to a known source (FWHM) is its model's error."""
    model_error: float = 0.05
    """Share of a model's light in a pixel that the residual is not trusted with."""
    wing_error: float = 0.1
    """Share of the light within about one FWHM that it is not trusted with."""


@dataclass(slots=True)
class FieldFit:
    """All sources of a frame; arrays of n, and images (height, width)."""

    fit: PsfFit
    """Positions and PSF fluxes."""
    area: IntArray
    """Pixels of the footprint in which each was detected."""
    residual: FloatArray
    """The image without background and sources."""
    background: Background
    """What was subtracted in all."""
    noise: FloatArray
    """Variance with what correlated noise and unseen stars add."""
    detected: BoolArray
    """Pixels of the footprints."""
    passes: list[int]
    """Sources found in each pass."""


def fit_radius(fwhm: float, settings: CrowdedFieldSettings) -> int:
    """Half-size of the fitted squares (pixel)."""
    return max(3, int(np.ceil(settings.fit_radius * fwhm)))


def subtract_sources(
    image: FloatArray, sampler: PsfSampler, x: FloatArray, y: FloatArray, flux: FloatArray, *, noise: float, half: int
) -> FloatArray:
    """Return the image without the model images of sources.

    Parameters
    ----------
    image
        (height, width).
    sampler
        The PSF.
    x, y, flux
        (n,) sources; a NaN flux subtracts nothing.
    noise
        Standard deviation of a pixel of sky: faint sources, whose wings drown in it, are subtracted without these.
    half
        Half-size of the squares in which they are (pixel).
    """
    residual = image.copy()
    # A twentieth of a source's light, spread over a thousand pixels of wings, against a fiftieth of the noise.
    faint = np.abs(flux) < 400.0 * noise
    for group, size in ((faint, min(half, sampler.half)), (~faint & np.isfinite(flux), sampler.half)):
        if group.any():
            stamps = sampler.images(x[group], y[group], size) * flux[group][:, None, None]
            StampPixels.around(x[group], y[group], size, (image.shape[0], image.shape[1])).subtract(residual, stamps)
    return residual


def fit_field(
    image: FloatArray,
    variance: FloatArray,
    box: Box2I,
    no_data: BoolArray,
    good: BoolArray,
    sampler: PsfSampler,
    fwhm: float,
    settings: CrowdedFieldSettings,
) -> FieldFit:
    """Detect and fit all sources.

    Parameters
    ----------
    image, variance
        (height, width).
    box
        The image's box, parent coordinates.
    no_data
        (height, width) pixels in which nothing can be detected.
    good
        (height, width) pixels that are fitted; interpolated ones serve for detection only.
    sampler
        The PSF, array coordinates.
    fwhm
        Its width (pixel).
    settings
        What to keep, and how to fit.
    """
    half = fit_radius(fwhm, settings)
    kernel = fit_to_size(sampler.basis[0], max(2, round(0.9 * fwhm)))
    size = settings.background_size
    background = measure_background(image, ~good, size, box, settings.cell_size)
    image = image - surface(background)
    noise = noise_with_correlation(image, variance, no_data, fwhm, size)
    found = detect(
        image, noise, no_data, kernel, threshold=settings.threshold, deblend_contrast=settings.deblend_contrast
    )
    x, y, area = found.x, found.y, found.area
    detected = found.footprints > 0
    passes = [len(found)]
    sky_noise = float(np.sqrt(np.median(variance)))
    fit = fit_point_sources(image, noise, good, sampler, x, y, half=half, rounds=settings.rounds)
    for _ in range(settings.residual_passes):
        fit, area = _prune(fit, area, 0.5 * settings.threshold)
        residual = subtract_sources(image, sampler, fit.x, fit.y, fit.flux, noise=sky_noise, half=half + 2)
        model = image - residual
        change = measure_background(residual, ~good, size, box, settings.cell_size)
        background = add(background, change)
        image, residual = image - surface(change), residual - surface(change)
        noise = noise_with_correlation(residual, variance, no_data, fwhm, size)
        hidden = detect(
            residual,
            noise + _model_variance(model, fwhm, settings),
            no_data,
            kernel,
            threshold=settings.threshold,
            deblend_contrast=settings.deblend_contrast,
        )
        new = _far_from(fit, hidden, settings.min_separation * fwhm)
        passes.append(int(new.sum()))
        detected |= np.isin(hidden.footprints, np.nonzero(new)[0] + 1)
        x, y = np.concatenate([fit.x, hidden.x[new]]), np.concatenate([fit.y, hidden.y[new]])
        area = np.concatenate([area, hidden.area[new]])
        fit = fit_point_sources(image, noise, good, sampler, x, y, half=half, rounds=settings.rounds)
    fit, area = _prune(fit, area, settings.threshold)
    # Fluxes of the rest without those that went.
    fit = _refit_fluxes(image, noise, good, sampler, fit, half)
    residual = subtract_sources(image, sampler, fit.x, fit.y, fit.flux, noise=sky_noise, half=half + 2)
    return FieldFit(fit, area, residual, background, noise, detected, passes)


def _model_variance(model: FloatArray, fwhm: float, settings: CrowdedFieldSettings) -> FloatArray:
    """Variance of a residual from errors of the PSF: beside a bright star they look like stars."""
    from scipy.ndimage import gaussian_filter

    around = gaussian_filter(model, fwhm, truncate=3.0)
    return np.asarray((settings.model_error * model) ** 2 + (settings.wing_error * around) ** 2)


def _refit_fluxes(
    image: FloatArray, noise: FloatArray, good: BoolArray, sampler: PsfSampler, fit: PsfFit, half: int
) -> PsfFit:
    again = fit_point_sources(image, noise, good, sampler, fit.x, fit.y, half=half, rounds=0)
    again.moved = fit.moved
    return again


def _prune(fit: PsfFit, area: IntArray, threshold: float) -> tuple[PsfFit, IntArray]:
    """Keep sources whose flux stands above the noise, and those whose flux cannot be told."""
    with np.errstate(invalid="ignore"):
        keep = ~(fit.flux < threshold * fit.flux_err)
    return fit.select(keep), area[keep]


def _far_from(fit: PsfFit, found: Detections, distance: float) -> BoolArray:
    from scipy.spatial import cKDTree

    if len(fit.x) == 0 or len(found) == 0:
        return np.ones(len(found), dtype=bool)
    nearest, _ = cKDTree(np.stack([fit.x, fit.y], axis=1)).query(np.stack([found.x, found.y], axis=1))
    return np.asarray(nearest > distance)
