"""Sources that stand out of the noise, by matched filter, with sep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .psf_stamps import BoolArray, FloatArray, IntArray
from .sep_library import import_sep

SIGMA_TO_FWHM = 2.3548200450309493
"""The full width at half maximum of a Gaussian, in standard deviations."""


@dataclass(slots=True)
class Detections:
    """What was found: arrays of n, array coordinates."""

    x: FloatArray
    """Position (pixel): centroid of the footprint, or its peak where these disagree (a blend)."""
    y: FloatArray
    """Position (pixel)."""
    signal_to_noise: FloatArray
    """Significance of the peak in the filtered image."""
    flux: FloatArray
    """Isophotal flux."""
    area: IntArray
    """Pixels of the footprint."""
    footprints: IntArray
    """(height, width), 0 where nothing was found, else 1 + the number of the source."""

    def __len__(self) -> int:
        return len(self.x)


def gaussian_kernel(fwhm: float, half: int) -> FloatArray:
    """Return a centred Gaussian of ``2 * half + 1`` pixels a side with sum 1."""
    offset = np.arange(-half, half + 1)
    line = np.exp(-0.5 * (offset / (fwhm / SIGMA_TO_FWHM)) ** 2)
    kernel = line[:, None] * line[None, :]
    return np.asarray(kernel / kernel.sum())


def detect(
    image: FloatArray,
    variance: FloatArray,
    mask: BoolArray,
    kernel: FloatArray,
    *,
    threshold: float = 5.0,
    min_area: int = 1,
    deblend_contrast: float = 0.001,
) -> Detections:
    """Find sources whose filtered signal is above a multiple of its noise.

    Parameters
    ----------
    image, variance
        (height, width), background subtracted.
    mask
        (height, width) pixels that count for nothing.
    kernel
        (k, k) PSF for the matched filter.
    threshold
        Significance, in standard deviations of the filtered image.
    min_area
        Pixels that a source has above the threshold.
    deblend_contrast
        Smallest share of a blend's flux that makes a source of its own.
    """
    sep = import_sep()

    sep.set_extract_pixstack(max(300_000, image.size // 2))
    objects, footprints = sep.extract(
        np.ascontiguousarray(image, dtype=np.float32),
        threshold,
        err=np.sqrt(np.ascontiguousarray(variance, dtype=np.float32)),
        mask=np.ascontiguousarray(mask),
        minarea=min_area,
        filter_kernel=np.ascontiguousarray(kernel, dtype=np.float32),
        filter_type="matched",
        deblend_nthresh=32,
        deblend_cont=deblend_contrast,
        clean=False,
        segmentation_map=True,
    )
    peak_x, peak_y = objects["xcpeak"].astype(np.float64), objects["ycpeak"].astype(np.float64)
    # sep gives the filtered signal in the image's unit.
    rows, columns = objects["ycpeak"], objects["xcpeak"]
    filtered_noise = np.sqrt(variance[rows, columns] * (kernel**2).sum()) / kernel.sum()
    agree = np.hypot(objects["x"] - peak_x, objects["y"] - peak_y) < 1.0
    return Detections(
        x=np.where(agree, objects["x"], peak_x),
        y=np.where(agree, objects["y"], peak_y),
        signal_to_noise=objects["cpeak"].astype(np.float64) / filtered_noise,
        flux=objects["flux"].astype(np.float64),
        area=objects["npix"].astype(np.int64),
        footprints=np.asarray(footprints, dtype=np.int64),
    )
