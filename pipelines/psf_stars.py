"""Which detections are stars fit for a PSF model, and how wide they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .detection import SIGMA_TO_FWHM, Detections
from .planes import Planes
from .psf_stamps import BoolArray, FloatArray, IntArray, StampPixels
from .shapes import adaptive_moments


@dataclass(slots=True)
class PsfStars:
    """Stars for the PSF model."""

    index: IntArray
    """Which detections, the most significant first."""
    fwhm: float
    """Median width (pixel), of a Gaussian with their moments; NaN without stars."""


def select_stars(planes: Planes, found: Detections, fwhm: float, *, min_signal_to_noise: float, most: int) -> PsfStars:
    """Pick bright, isolated, unblemished detections of one width.

    Parameters
    ----------
    planes
        The frame, background subtracted.
    found
        Detections in it.
    fwhm
        A first guess of the width (pixel).
    min_signal_to_noise
        Fainter ones are left out.
    most
        At most as many.
    """
    half = max(5, round(2.5 * fwhm))
    bright = isolated(found.x, found.y, found.flux, fwhm) & (found.signal_to_noise > min_signal_to_noise)
    candidates = np.nonzero(bright)[0]
    pixels = StampPixels.around(found.x[candidates], found.y[candidates], half, planes.image.shape)
    clean = pixels.inside & planes.clean.ravel()[pixels.index]
    whole = clean.mean(axis=(1, 2)) > 0.98
    core = slice(half - 2, half + 3)
    whole &= clean[:, core, core].all(axis=(1, 2))
    candidates = candidates[whole]
    if not len(candidates):
        return PsfStars(candidates, float("nan"))
    pixels = StampPixels.around(found.x[candidates], found.y[candidates], half, planes.image.shape)
    moments = adaptive_moments(
        pixels.take(planes.image),
        pixels.take(planes.variance),
        clean[whole],
        found.x[candidates] - np.rint(found.x[candidates]),
        found.y[candidates] - np.rint(found.y[candidates]),
        start=(fwhm / SIGMA_TO_FWHM) ** 2,
    )
    width = np.sqrt((moments.xx + moments.yy) / 2)
    keep = ridge(width, found.signal_to_noise[candidates])
    if not keep.any():
        return PsfStars(candidates[:0], float("nan"))
    chosen = candidates[keep]
    order = np.argsort(-found.signal_to_noise[chosen])[:most]
    return PsfStars(chosen[order], SIGMA_TO_FWHM * float(np.median(width[keep])))


def isolated(x: FloatArray, y: FloatArray, flux: FloatArray, fwhm: float, *, contamination: float = 0.03) -> BoolArray:
    """Tell which sources have no neighbour that would spoil a stack.

    A neighbour of flux f at a distance of d FWHM adds about ``f * min(1, 0.3 * d ** -3)``, a generous PSF wing.

    Parameters
    ----------
    x, y, flux
        (n,) sources.
    fwhm
        Width of the PSF (pixel).
    contamination
        Share of a source's own flux that its neighbours may add.
    """
    from scipy.spatial import cKDTree

    if len(x) < 2:
        return np.ones(len(x), dtype=bool)
    pairs = cKDTree(np.stack([x, y], axis=1)).query_pairs(6.0 * fwhm, output_type="ndarray")
    one, other = pairs[:, 0], pairs[:, 1]
    distance = np.maximum(np.hypot(x[one] - x[other], y[one] - y[other]) / fwhm, 1e-3)
    share = np.minimum(1.0, 0.3 * distance**-3)
    positive = np.clip(flux, 0.0, None)
    added = np.bincount(one, positive[other] * share, len(x)) + np.bincount(other, positive[one] * share, len(x))
    return np.asarray(added < contamination * positive)


def ridge(
    width: FloatArray, signal_to_noise: FloatArray, *, num_sigma: float = 3.0, relative: float = 0.15
) -> BoolArray:
    """Tell stars by their width: they all have the same, within noise; galaxies are wider, cosmic rays narrower.

    Parameters
    ----------
    width
        (n,) widths, NaN where not known.
    signal_to_noise
        (n,) the ridge is first sought among the most significant half.
    num_sigma
        Clipping limit in robust standard deviations.
    relative
        No star deviates by more than this share.
    """
    known = np.isfinite(width) & (width > 0)
    keep = known & (signal_to_noise >= np.median(signal_to_noise[known])) if known.any() else known
    for _ in range(5):
        if not keep.any():
            break
        middle = np.median(width[keep])
        scatter = 1.4826 * np.median(np.abs(width[keep] - middle))
        limit = min(max(num_sigma * scatter, 0.03 * middle), relative * middle)
        keep = known & (np.abs(width - middle) <= limit)
    return np.asarray(keep)
