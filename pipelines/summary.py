"""What a processed exposure is worth, in a few numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..imaging.moments import IQR_TO_STDEV
from .crowded_field import FieldFit
from .psf_stamps import BoolArray, PsfSampler

if TYPE_CHECKING:
    from ..imaging.exposure import Exposure
    from ..imaging.psf import Psf


def summarize(exposure: Exposure, psf: Psf, field: FieldFit, sampler: PsfSampler, good: BoolArray) -> dict[str, float]:
    """Seeing, sky, depth and throughput of an exposure.

    Parameters
    ----------
    exposure
        With wcs, photo_calib, ap_corr and visit_info where they are known.
    psf
        Its PSF.
    field
        What was fitted to it.
    sampler
        The same, ready to be drawn.
    good
        (height, width) pixels that count.

    Returns
    -------
    dict
        ``psf_sigma``, ``psf_fwhm`` (pixel), ``psf_fwhm_arcsec``, ``psf_ellipticity``; ``sky_bg`` and ``sky_noise``
        (electrons), ``mean_var`` (electrons squared); ``noise_growth``, how much noisier the sky is for a star than the
        variance says; ``n_sources``; ``zero_point``, the AB magnitude of one electron, ``zero_point_second`` of one per
        second, which tells the throughput; ``mag_lim`` of a 5 sigma star; ``ap_corr``; ``exposure_time`` (s),
        ``airmass``. NaN where something is not known.
    """
    shape = psf.compute_shape(psf.average_position)
    sigma = shape.determinant_radius
    scale = _arcseconds_per_pixel(exposure)
    correction = _ap_corr(exposure)
    noise = field.noise[good]
    variance = float(np.median(noise)) if noise.size else math.nan
    flux_limit = 5.0 * math.sqrt(variance / float((sampler.basis[0] ** 2).sum())) * correction
    info = exposure.visit_info
    seconds = info.exposure_time if info is not None else math.nan
    zero_point = exposure.photo_calib.zero_point if exposure.photo_calib is not None else math.nan
    residual = field.residual[good]
    low, high = np.percentile(residual, [25, 75]) if residual.size else (math.nan, math.nan)
    measured = exposure.masked_image.variance.array[good]
    return {
        "psf_sigma": sigma,
        "psf_fwhm": shape.fwhm,
        "psf_fwhm_arcsec": shape.fwhm * scale,
        "psf_ellipticity": math.hypot(shape.ixx - shape.iyy, 2 * shape.ixy) / (shape.ixx + shape.iyy),
        "sky_bg": field.background.mean,
        "sky_noise": IQR_TO_STDEV * float(high - low),
        "mean_var": float(measured.mean(dtype=np.float64)) if measured.size else math.nan,
        "noise_growth": math.sqrt(variance / float(np.median(measured))) if measured.size else math.nan,
        "n_sources": float(len(field.fit.x)),
        "zero_point": zero_point,
        "zero_point_second": zero_point - 2.5 * math.log10(seconds) if seconds > 0 else math.nan,
        "mag_lim": zero_point - 2.5 * math.log10(flux_limit) if flux_limit > 0 else math.nan,
        "ap_corr": correction,
        "exposure_time": seconds,
        "airmass": info.airmass if info is not None else math.nan,
    }


def _arcseconds_per_pixel(exposure: Exposure) -> float:
    if exposure.wcs is not None:
        return float(exposure.wcs.pixel_scale)
    scale = exposure.detector.pixel_scale if exposure.detector is not None else None
    return math.nan if scale is None else scale


def _ap_corr(exposure: Exposure) -> float:
    if exposure.ap_corr is None or "psf_flux" not in exposure.ap_corr:
        return 1.0
    return float(exposure.ap_corr["psf_flux"].mean())
