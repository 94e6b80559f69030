"""A PSF model: the stack of a frame's stars, registered to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..imaging.chebyshev import chebyshev_terms
from ..imaging.geometry import Box2I, Extent2I, Point2I
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
    order: int = 2,
    stars_per_term: int = 7,
) -> PsfStack:
    """Stack stars, registered to a fraction of a pixel, into a PSF that may change over the frame.

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
    order
        Highest degree of the polynomial by which each pixel changes over the frame: 0, 1 or 2.
    stars_per_term
        The degree is lowered until so many stars stand behind each of its terms.

    Raises
    ------
    ValueError
        When no star has enough good pixels, or what they show is no star.
    """
    pixels = StampPixels.around(x, y, half, (image.shape[0], image.shape[1]))
    data = pixels.take(image)
    if neighbours is not None:
        data -= neighbours
    valid = pixels.inside & good.ravel()[pixels.index]
    zones = _Zones.of(half)
    ring, circle = zones.ring, zones.circle
    whole = valid[:, zones.core].all(axis=1) & (valid.mean(axis=(1, 2)) > 0.9)
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
    if not whole.any():
        raise ValueError(f"none of {len(x)} candidate stars holds light")
    while order > 0 and whole.sum() < stars_per_term * (order + 1) * (order + 2) // 2:
        order -= 1
    terms = chebyshev_terms(Box2I(Point2I(0, 0), Extent2I(image.shape[1], image.shape[0])), x, y, order)
    weight = np.where(whole, np.minimum(signal_to_noise, 200.0) ** 2, 0.0)[:, None, None] * valid
    for _ in range(3):
        normal = registered / np.where(flux > 0, flux, 1.0)[:, None, None]
        basis = _normalized(_solve_pixels(terms, normal, weight), zones)
        model = np.tensordot(terms, basis, axes=1)
        residual = normal - model
        rms = np.sqrt((residual**2).mean(axis=(1, 2)))
        typical = max(float(np.median(rms[whole])), 1e-12)
        whole &= rms <= 3.0 * typical
        spread = 1.4826 * np.median(np.abs(residual[whole]), axis=0) + 1e-12
        # A star is fainter than another, so each pixel's limit scales with how noisy its star is.
        limit = 4.0 * spread * np.maximum(1.0, rms / typical)[:, None, None]
        weight = np.where(whole[:, None, None] & (np.abs(residual) < limit), weight, 0.0)
        # From now on the model itself weighs the stars: their wings are mostly noise.
        flux = (registered * model).sum(axis=(1, 2)) / (model**2).sum(axis=(1, 2))
    return PsfStack(PsfSampler(basis, (image.shape[0], image.shape[1])), whole)


def _normalized(basis: FloatArray, zones: _Zones) -> FloatArray:
    """Smooth the wings; give the first image the sum 1, and the changes none: no star's flux depends on its place.

    Raises
    ------
    ValueError
        When the first image has no peak in its middle, or no light.
    """
    middle = basis.shape[1] // 2
    if not (basis[0, middle, middle] > 0 and basis[0, zones.circle].sum() > 0):
        raise ValueError("the stack of the candidate stars has no light in its middle")
    basis = _with_smooth_wings(basis, zones)
    basis[:, ~zones.circle] = 0.0
    basis[0] /= basis[0].sum()
    basis[1:] *= zones.taper
    for change in basis[1:]:
        change -= basis[0] * change.sum()
    return basis


def _with_smooth_wings(basis: FloatArray, zones: _Zones) -> FloatArray:
    """Replace the wings by their mean profile times a smoothed map of how the pixels differ from it.

    A pixel of the wings is mostly noise, and behind a very bright star this noise would look like stars.
    """
    from scipy.ndimage import gaussian_filter

    rings = np.rint(zones.radius).astype(np.int64)
    count = np.bincount(rings.ravel())
    means = np.bincount(rings.ravel(), weights=basis[0].ravel()) / np.maximum(count, 1)
    known = np.arange(len(means))
    # Noise may leave nothing, or less, of the farthest wings: there they are smoothed as they are.
    means = np.maximum.accumulate(np.clip(means, 1e-3 * means[0], None)[::-1])[::-1]
    profile = np.exp(np.interp(zones.radius, known, np.log(means)))
    smooth = np.stack([gaussian_filter(image / profile, 1.5, mode="nearest") * profile for image in basis])
    return basis + zones.wings * (smooth - basis)


@dataclass(frozen=True, slots=True)
class _Zones:
    """Parts of a stamp, (k, k) each."""

    radius: FloatArray
    """Pixels from the centre."""
    core: BoolArray
    """Where every pixel must be good."""
    ring: BoolArray
    """Where the local sky is taken."""
    circle: BoolArray
    """What holds the light."""
    wings: FloatArray
    """From 0 in the core to 1 in the wings."""
    taper: FloatArray
    """From 1 where the PSF may change to 0 far out, where there is not enough light to tell."""

    @classmethod
    def of(cls, half: int) -> _Zones:
        offset = np.arange(-half, half + 1)
        radius = np.hypot(offset[:, None], offset[None, :])
        return cls(
            radius,
            radius <= half / 2,
            (radius > half - 1.5) & (radius <= half + 1.5),
            radius <= half + 0.5,
            np.clip((radius / half - 0.25) / 0.15, 0.0, 1.0),
            np.clip((0.65 - radius / half) / 0.25, 0.0, 1.0),
        )


def _register(stamp: FloatArray, dx: float, dy: float) -> FloatArray:
    from scipy.ndimage import shift

    return np.asarray(shift(stamp, (-dy, -dx), order=5, mode="constant"))


def _solve_pixels(terms: FloatArray, data: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted least squares of every pixel of a stack on the same few terms."""
    height, width = data.shape[1:]
    flat = weight.reshape(len(terms), -1)
    products = (terms[:, :, None] * terms[:, None, :]).reshape(len(terms), -1)
    normal = (flat.T @ products).reshape(height, width, terms.shape[1], terms.shape[1])
    right = ((flat * data.reshape(flat.shape)).T @ terms).reshape(height, width, -1)
    size = terms.shape[1]
    trace = np.trace(normal, axis1=2, axis2=3)
    normal = normal + (1e-6 * np.where(trace > 0, trace, 1.0))[:, :, None, None] * np.eye(size)
    return np.asarray(np.linalg.solve(normal, right[..., None])[..., 0].transpose(2, 0, 1))
