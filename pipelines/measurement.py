"""What each source of a fitted frame is: apertures, shapes, classes and flags.

Everything is measured on the residual of the fit with the source's own model put back: its neighbours are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .detection import SIGMA_TO_FWHM
from .psf_stamps import BoolArray, FloatArray, PsfSampler, StampPixels
from .sep_library import import_sep
from .shapes import adaptive_moments
from .source_schema import aperture_name

Columns = dict[str, npt.NDArray[Any]]
"""Columns of a catalog by name, (n,) each."""


@dataclass(frozen=True, slots=True)
class CleanStamps:
    """Stamps of n sources, their neighbours taken away; all (n, k, k) about the nearest pixel."""

    data: FloatArray
    """Residual plus own model."""
    noise: FloatArray
    """Variance."""
    valid: BoolArray
    """Pixels that are in the image and not masked."""
    model: FloatArray
    """The PSF, flux 1."""
    dx: FloatArray
    """(n,) centre from that of the stamp (pixel)."""
    dy: FloatArray
    """(n,) centre from that of the stamp (pixel)."""

    @property
    def half(self) -> int:
        """Pixels on each side of the central one."""
        return int(self.data.shape[1]) // 2


def clean_stamps(
    residual: FloatArray,
    variance: FloatArray,
    good: BoolArray,
    sampler: PsfSampler,
    x: FloatArray,
    y: FloatArray,
    flux: FloatArray,
    *,
    half: int,
) -> CleanStamps:
    """Cut sources out of the residual and put their own models back.

    Parameters
    ----------
    residual, variance
        (height, width).
    good
        (height, width) pixels to be used.
    sampler
        The PSF.
    x, y, flux
        (n,) fitted sources, array coordinates; a NaN flux was not subtracted.
    half
        Half-size of the stamps (pixel).
    """
    pixels = StampPixels.around(x, y, half, (residual.shape[0], residual.shape[1]))
    model = sampler.images(x, y, half)
    data = pixels.take(residual) + np.nan_to_num(flux)[:, None, None] * model
    valid = pixels.inside & good.ravel()[pixels.index]
    return CleanStamps(data, pixels.take(variance), valid, model, x - np.rint(x), y - np.rint(y))


def aperture_fluxes(stamps: CleanStamps, radii: Sequence[float]) -> Columns:
    """Fluxes in circles: columns ``ap_flux_3``, ``ap_flux_3_err``, ``ap_flux_3_flag`` and so on.

    A circle with masked pixels is scaled by its good share and flagged.

    Parameters
    ----------
    stamps
        The sources.
    radii
        Radii (pixel), none greater than the stamps' half-size.
    """
    sep = import_sep()

    n, size, _ = stamps.data.shape
    columns: Columns = {}
    # One tall picture of all stamps: each circle stays within its own.
    tall = (n * size, size)
    data = np.ascontiguousarray(stamps.data.reshape(tall))
    noise = np.ascontiguousarray(stamps.noise.reshape(tall))
    blocked = ~np.ascontiguousarray(stamps.valid.reshape(tall))
    offset = np.arange(-stamps.half, stamps.half + 1)
    at_x, at_y = stamps.half + stamps.dx, stamps.half + stamps.dy + size * np.arange(n)
    distance = np.hypot(
        offset[None, None, :] - stamps.dx[:, None, None], offset[None, :, None] - stamps.dy[:, None, None]
    )
    for radius in radii:
        name = aperture_name(radius)
        # sep takes no empty picture.
        flux, error = np.zeros(0), np.zeros(0)
        if n:
            flux, error, _ = sep.sum_circle(data, at_x, at_y, radius, var=noise, mask=blocked, subpix=0)
        columns[name], columns[f"{name}_err"] = flux, error
        columns[f"{name}_flag"] = ((distance < radius + 0.7) & ~stamps.valid).any(axis=(1, 2)) | ~np.isfinite(flux)
    return columns


def shapes(stamps: CleanStamps, fwhm: float) -> Columns:
    """Adaptive moments of sources and of the PSF where they stand, and the Gaussian flux.

    Parameters
    ----------
    stamps
        The sources.
    fwhm
        Width of the PSF (pixel), a first guess.
    """
    cut = max(3, round(2.0 * fwhm))
    inner = slice(max(0, stamps.half - cut), stamps.half + cut + 1)
    box = (slice(None), inner, inner)
    start = (fwhm / SIGMA_TO_FWHM) ** 2
    own = adaptive_moments(stamps.data[box], stamps.noise[box], stamps.valid[box], stamps.dx, stamps.dy, start=start)
    psf = adaptive_moments(
        stamps.model[box],
        np.ones_like(stamps.model[box]),
        np.ones_like(stamps.valid[box]),
        stamps.dx,
        stamps.dy,
        start=start,
        rounds=6,
    )
    return {
        "shape_xx": own.xx,
        "shape_yy": own.yy,
        "shape_xy": own.xy,
        "psf_shape_xx": psf.xx,
        "psf_shape_yy": psf.yy,
        "psf_shape_xy": psf.xy,
        # A star's Gaussian flux misses the wings by the share that the PSF's own does.
        "gaussian_flux": own.flux / psf.flux,
        "gaussian_flux_err": own.flux_err / psf.flux,
        "shape_flag": own.failed,
    }


def extendedness(
    psf_flux: FloatArray, gaussian_flux: FloatArray, gaussian_flux_err: FloatArray, *, excess: float = 0.05
) -> npt.NDArray[np.float32]:
    """1 where the Gaussian flux exceeds the PSF flux by a share, and by twice its error; NaN where it is not known."""
    with np.errstate(invalid="ignore"):
        larger = gaussian_flux > (1 + excess) * psf_flux + 2.0 * gaussian_flux_err
    unknown = ~np.isfinite(gaussian_flux) | ~np.isfinite(psf_flux)
    return np.where(unknown, np.nan, larger).astype(np.float32)


def pixel_flags(
    mask: npt.NDArray[np.integer], bits: dict[str, int], x: FloatArray, y: FloatArray, half: int
) -> Columns:
    """Tell ``flag_<name>`` and ``flag_<name>_center`` of sources.

    Parameters
    ----------
    mask
        (height, width) bit mask.
    bits
        Pixel value of each plane by the name of its flag.
    x, y
        (n,) positions, array coordinates.
    half
        Half-size of the square in which a pixel counts.
    """
    pixels = StampPixels.around(x, y, half, (mask.shape[0], mask.shape[1]))
    inner = slice(max(0, half - 1), half + 2)
    flat = mask.ravel()
    columns: Columns = {}
    values = np.where(pixels.inside, flat[pixels.index], 0)
    everywhere = np.bitwise_or.reduce(values, axis=(1, 2))
    center = np.bitwise_or.reduce(values[:, inner, inner], axis=(1, 2))
    outside = ~pixels.inside.all(axis=(1, 2))
    for name, bit in bits.items():
        columns[f"flag_{name}"] = (everywhere & bit) != 0
        columns[f"flag_{name}_center"] = (center & bit) != 0
    if "edge" in bits:
        columns["flag_edge"] = columns["flag_edge"] | outside
    return columns
