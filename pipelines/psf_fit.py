"""A PSF model: the stack of a frame's stars, registered to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .psf_stamps import BoolArray, FloatArray, PsfSampler, StampPixels


@dataclass(slots=True)
class PsfStack:
    """A PSF model and what it rests on."""

    sampler: PsfSampler
    """The model in array coordinates, its centre image normalised to 1."""
    used: BoolArray
    """(n,) which of the candidate stars carry it."""


def stack_stars(
    image: FloatArray,
    good: BoolArray,
    x: FloatArray,
    y: FloatArray,
    signal_to_noise: FloatArray,
    *,
    half: int,
    neighbours: FloatArray | None = None,
    min_stars_for_slope: int = 20,
) -> PsfStack:
    """Stack stars, registered to a fraction of a pixel, into a PSF that may change linearly over the frame.

    Parameters
    ----------
    image
        (height, width), background subtracted.
    good
        (height, width) pixels to be trusted.
    x, y
        (n,) positions of the stars, array coordinates.
    signal_to_noise
        (n,) weights of the stars grow with its square, up to 200.
    half
        Half-size of the model (pixel).
    neighbours
        (n, 2 half + 1, 2 half + 1) light of other sources in each star's stamp, taken away first.
    min_stars_for_slope
        Fewer stars give a constant model.

    Raises
    ------
    ValueError
        When no star has enough good pixels.
    """
    pixels = StampPixels.around(x, y, half, (image.shape[0], image.shape[1]))
    data = pixels.take(image)
    if neighbours is not None:
        data -= neighbours
    valid = pixels.inside & good.ravel()[pixels.index]
    core, ring, circle = _zones(half)
    whole = valid[:, core].all(axis=1) & (valid.mean(axis=(1, 2)) > 0.9)
    if not whole.any():
        raise ValueError(f"none of {len(x)} candidate stars has a stamp of good pixels")
    sky = np.array(
        [np.median(stamp[ring & ok]) if (ring & ok).any() else 0.0 for stamp, ok in zip(data, valid, strict=True)]
    )
    data = np.where(valid, data - sky[:, None, None], 0.0)
    registered = np.stack(
        [_register(stamp, dx, dy) for stamp, dx, dy in zip(data, x - np.rint(x), y - np.rint(y), strict=True)]
    )
    flux = registered[:, circle].sum(axis=1)
    whole &= flux > 0
    center = ((image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2)
    scale = float(max(image.shape))
    sloped = int(whole.sum()) >= min_stars_for_slope
    terms = np.stack([np.ones_like(x), (x - center[0]) / scale, (y - center[1]) / scale], axis=1)[
        :, : 3 if sloped else 1
    ]
    normal = registered / np.where(flux > 0, flux, 1.0)[:, None, None]
    weight = np.where(whole, np.minimum(signal_to_noise, 200.0) ** 2, 0.0)[:, None, None] * valid
    basis = np.zeros((terms.shape[1], 2 * half + 1, 2 * half + 1))
    for _ in range(3):
        basis = _solve_pixels(terms, normal, weight)
        residual = normal - np.tensordot(terms, basis, axes=1)
        rms = np.sqrt((residual**2).mean(axis=(1, 2)))
        typical = np.median(rms[whole])
        whole &= rms < 3.0 * typical
        spread = 1.4826 * np.median(np.abs(residual[whole]), axis=0) + 1e-12
        # A star is fainter than another, so each pixel's limit scales with how noisy its star is.
        limit = 4.0 * spread * np.maximum(1.0, rms / typical)[:, None, None]
        weight = np.where(whole[:, None, None] & (np.abs(residual) < limit), weight, 0.0)
    basis[0] /= basis[0][circle].sum()
    basis[:, ~circle] = 0.0
    for change in basis[1:]:
        # The flux of a star is no matter of where it lies: changes of the PSF hold none.
        change[circle] -= basis[0][circle] * change[circle].sum()
    return PsfStack(PsfSampler(basis, center, scale), whole)


def _zones(half: int) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Core that must be good, ring for the local sky, circle that holds the light."""
    offset = np.arange(-half, half + 1)
    radius = np.hypot(offset[:, None], offset[None, :])
    return radius <= half / 2, (radius > half - 1.5) & (radius <= half + 1.5), radius <= half + 0.5


def _register(stamp: FloatArray, dx: float, dy: float) -> FloatArray:
    from scipy.ndimage import shift

    return np.asarray(shift(stamp, (-dy, -dx), order=5, mode="constant"))


def _solve_pixels(terms: FloatArray, data: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted least squares of every pixel of a stack on the same few terms."""
    normal = np.einsum("ni,nj,nyx->yxij", terms, terms, weight)
    right = np.einsum("ni,nyx,nyx->yxi", terms, data, weight)
    size = terms.shape[1]
    trace = np.einsum("yxii->yx", normal)
    normal = normal + (1e-6 * np.where(trace > 0, trace, 1.0))[:, :, None, None] * np.eye(size)
    return np.asarray(np.linalg.solve(normal, right[..., None])[..., 0].transpose(2, 0, 1))
