"""The truth about simulated stars, and which of them a fair test may ask for.

Columns of ``truth.parquet``:

=================== ====================================================================================================
exposure, detector  the frame
band                g, r or i
star                the star's number in the field: the same in every frame
ra, dec             degrees
x, y                its centre in the trimmed image, pixels, the centre of the first being (0, 0)
mag                 AB magnitude
flux                electrons in the whole exposure, as a perfect ISR leaves them (flat 1 on average over a detector)
flux_adu            the same in ADU
peak                electrons in the brightest pixel, sky not counted
snr                 signal-to-noise ratio by optimal photometry
peak_snr            that of the brightest pixel alone
nearest             pixels to the nearest neighbour with at least a twentieth of its flux
contamination       flux of all neighbours within one FWHM, as a fraction of its own
crowded             nearest < 3.5 FWHM, or contamination > 1 %
edge                closer than 12 pixels to an edge
hit                 a cosmic ray within two FWHM
saturated           its brightest pixel is beyond what the detector can tell
=================== ====================================================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .point_spread import Moffat

__all__ = ["star_rows"]

_EDGE = 12.0


def star_rows(
    exposure: int,
    detector: int,
    band: str,
    psf: Moffat,
    stars: dict[str, NDArray[Any]],
    charge: NDArray[np.float64],
) -> dict[str, Any]:
    """Return the columns of the truth table for a frame.

    Parameters
    ----------
    exposure, detector, band
        The frame.
    psf
        Its point-spread function.
    stars
        Columns star, ra, dec, x, y, mag, flux, peak, snr and peak_snr of all stars whose light reaches the frame.
    charge
        Electrons of cosmic rays, shape (height, width).

    Returns
    -------
    columns
        Those of the stars whose centres lie in the frame, with the judgements on them.
    """
    x, y, flux = stars["x"], stars["y"], stars["flux"]
    height, width = charge.shape
    distance = np.hypot(x[:, None] - x[None, :], y[:, None] - y[None, :])
    np.fill_diagonal(distance, np.inf)
    matters = flux[None, :] > 0.05 * flux[:, None]
    nearest = np.where(matters, distance, np.inf).min(axis=1, initial=np.inf)
    circle = np.pi * psf.fwhm**2
    finite = np.where(np.isfinite(distance), distance, 1e6)
    density = psf.density(finite, np.zeros_like(finite), psf.alpha(0.0))
    contamination = (flux[None, :] * density).sum(axis=1) * circle / flux
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    rows: dict[str, Any] = {"exposure": exposure, "detector": detector, "band": band}
    rows |= {name: values[inside] for name, values in stars.items()}
    rows |= {"nearest": nearest[inside], "contamination": contamination[inside]}
    x, y = x[inside], y[inside]
    rows["crowded"] = (rows["nearest"] < 3.5 * psf.fwhm) | (rows["contamination"] > 0.01)
    rows["edge"] = (np.minimum(x, width - 1 - x) < _EDGE) | (np.minimum(y, height - 1 - y) < _EDGE)
    ray_y, ray_x = np.nonzero(charge)
    if ray_x.size:
        near = np.hypot(x[:, None] - ray_x[None, :], y[:, None] - ray_y[None, :]).min(axis=1)
        rows["hit"] = near < 2.0 * psf.fwhm
    else:
        rows["hit"] = np.zeros(x.size, dtype=bool)
    return rows
