"""The planes of an exposure as the algorithms want them: float64 arrays, and which pixels are good for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .psf_stamps import BoolArray, FloatArray

if TYPE_CHECKING:
    from ..imaging.masked_image import MaskedImage

UNTRUSTED = ("BAD", "SAT", "CR", "NO_DATA")
"""Mask planes of pixels that no fit uses; what was interpolated there serves for detection only."""


@dataclass(slots=True)
class Planes:
    """Arrays (height, width) in array coordinates: the lower left pixel is (0, 0)."""

    image: FloatArray
    """Pixels; 0 where there are none."""
    variance: FloatArray
    """Their variances, positive."""
    no_data: BoolArray
    """Pixels without a value."""
    good: BoolArray
    """Pixels that fits may use."""
    clean: BoolArray
    """Pixels that a PSF model may use: not suspect either."""

    @classmethod
    def of(cls, masked_image: MaskedImage) -> Planes:
        """Copy the planes of a masked image."""
        image = masked_image.image.array.astype(np.float64)
        variance = masked_image.variance.array.astype(np.float64)
        mask = masked_image.mask
        no_data = ((mask.array & mask.plane_bit_mask("NO_DATA")) != 0) | ~np.isfinite(image)
        positive = np.isfinite(variance) & (variance > 0)
        good = positive & ~no_data & ((mask.array & mask.plane_bit_mask(UNTRUSTED)) == 0)
        suspect = (mask.array & mask.plane_bit_mask(["SUSPECT", "INTRP", "EDGE"])) != 0
        # Where noise is not known it is taken as usual, so that nothing divides by zero.
        usual = float(np.median(variance[positive])) if positive.any() else 1.0
        return cls(np.where(no_data, 0.0, image), np.where(positive, variance, usual), no_data, good, good & ~suspect)
