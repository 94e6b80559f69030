"""How much noisier a frame is, at the scale of a star, than its variance plane says."""

from __future__ import annotations

import numpy as np

from .background import binned_background
from .detection import SIGMA_TO_FWHM
from .psf_stamps import BoolArray, FloatArray


def noise_growth(residual: FloatArray, variance: FloatArray, mask: BoolArray, fwhm: float, size: int) -> FloatArray:
    """Scatter of the filtered residual over what the variance plane predicts, 1 at least.

    Pixel noise that is correlated (calibration frames, resampling) and stars too faint to be found make the sum over
    a star's pixels noisier than the sum of their variances. What counts as a detection has to know.

    Parameters
    ----------
    residual, variance
        (height, width) image without background and known sources, and its variance.
    mask
        (height, width) pixels to leave out.
    fwhm
        Width of the PSF (pixel).
    size
        Side of the cells in which the scatter is taken (pixel).

    Returns
    -------
    ndarray
        (height, width) factor on the standard deviation.
    """
    from scipy.ndimage import gaussian_filter

    sigma = fwhm / SIGMA_TO_FWHM
    filtered = gaussian_filter(np.where(mask, 0.0, residual), sigma, truncate=3.0)
    # A Gaussian of unit sum has a squared sum of 1 / (4 pi sigma^2).
    expected = np.sqrt(variance / (4.0 * np.pi * sigma**2))
    _, scatter = binned_background(filtered / expected, mask, size)
    return np.clip(scatter, 1.0, None)


def sky_variance(variance: FloatArray, mask: BoolArray, size: int) -> FloatArray:
    """Return the part of the variance that is there without any source: (height, width)."""
    level, _ = binned_background(variance, mask, size)
    return np.clip(level, 1e-12, None)


def noise_with_correlation(
    residual: FloatArray, variance: FloatArray, mask: BoolArray, fwhm: float, size: int
) -> FloatArray:
    """Variance (height, width) in which the sky's part has grown as `noise_growth` tells; parameters as there."""
    growth = noise_growth(residual, variance, mask, fwhm, size)
    return variance + (growth**2 - 1.0) * sky_variance(variance, mask, size)
