"""Cosmic rays: what is sharper than any star can be."""

from __future__ import annotations

import numpy as np

from .psf_stamps import BoolArray, FloatArray

_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def find_cosmic_rays(
    image: FloatArray,
    variance: FloatArray,
    psf_image: FloatArray,
    ignore: BoolArray,
    *,
    min_sigma: float = 6.0,
    sharpness: float = 0.6,
    grow_rounds: int = 3,
) -> BoolArray:
    """Pixels that stand out from their neighbours more than the core of the PSF does.

    A star centred on a pixel gives the two neighbours on opposite sides a share of its peak that the PSF tells, and any
    other star a larger one. A pixel is hit when, along one of four directions, the mean of such a pair falls short of
    ``sharpness`` times that share, by more than the noise (after R. Lupton's algorithm in SDSS photo). Pixels beside a
    hit are then held to half the significance.

    Parameters
    ----------
    image, variance
        (height, width), background subtracted.
    psf_image
        (k, k) centred PSF, k odd.
    ignore
        (height, width) pixels that are neither found nor used as neighbours.
    min_sigma
        A hit stands this far above the sky, and above what the pair allows.
    sharpness
        Share of the PSF's own contrast below which a pair is too faint.
    grow_rounds
        How often neighbours of hits are tried.

    Returns
    -------
    ndarray
        (height, width), True where hit.
    """
    middle = psf_image.shape[0] // 2
    noise = np.sqrt(np.clip(variance, 1e-12, None))
    bright = (image > min_sigma * noise) & ~ignore
    rows, columns = np.nonzero(bright)
    edge = (rows == 0) | (rows == image.shape[0] - 1) | (columns == 0) | (columns == image.shape[1] - 1)
    rows, columns = rows[~edge], columns[~edge]
    found = np.zeros(image.shape, dtype=bool)
    excess = np.zeros(len(rows))
    value = image[rows, columns]
    for dy, dx in _DIRECTIONS:
        share = 0.5 * (psf_image[middle + dy, middle + dx] + psf_image[middle - dy, middle - dx])
        share = max(share / psf_image[middle, middle], 0.0)
        allowed = sharpness * share
        pair = 0.5 * (image[rows + dy, columns + dx] + image[rows - dy, columns - dx])
        pair_variance = 0.25 * (variance[rows + dy, columns + dx] + variance[rows - dy, columns - dx])
        error = np.sqrt(allowed**2 * variance[rows, columns] + pair_variance)
        usable = ~(ignore[rows + dy, columns + dx] | ignore[rows - dy, columns - dx])
        # An undersampled PSF tells nothing along a direction in which its own share is lost in the noise.
        excess = np.maximum(excess, np.where(usable, (allowed * value - pair) / error, 0.0))
    found[rows, columns] = excess > 3.0
    if not found.any():
        return found
    from scipy.ndimage import binary_dilation

    square = np.ones((3, 3), dtype=bool)
    candidate = np.zeros(image.shape, dtype=bool)
    candidate[rows, columns] = excess > 1.5
    for _ in range(grow_rounds):
        grown = found | (binary_dilation(found, square) & candidate)
        if grown.sum() == found.sum():
            break
        found = grown
    return found


def repair(image: FloatArray, bad: BoolArray, *, usable: BoolArray) -> None:
    """Replace pixels, in place, by the median of the good ones in the 5x5 around each.

    Parameters
    ----------
    image
        (height, width), changed.
    bad
        (height, width) pixels to replace.
    usable
        (height, width) pixels whose values may be used; those in ``bad`` never are.
    """
    rows, columns = np.nonzero(bad)
    if not len(rows):
        return
    offset = np.arange(-2, 3)
    all_rows = rows[:, None, None] + offset[None, :, None]
    all_columns = columns[:, None, None] + offset[None, None, :]
    inside = (all_rows >= 0) & (all_rows < image.shape[0]) & (all_columns >= 0) & (all_columns < image.shape[1])
    at = np.clip(all_rows, 0, image.shape[0] - 1), np.clip(all_columns, 0, image.shape[1] - 1)
    take = (inside & usable[at] & ~bad[at]).reshape(len(rows), -1)
    values = np.where(take, image[at].reshape(len(rows), -1), np.nan)
    some = take.any(axis=1)
    image[rows[some], columns[some]] = np.nanmedian(values[some], axis=1)
    image[rows[~some], columns[~some]] = 0.0
