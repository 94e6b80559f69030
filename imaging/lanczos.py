"""Weights of Lanczos interpolation: sinc(d)·sinc(d/order) of the distance d to a pixel, 0 from the order on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["lanczos", "lanczos_taps"]

Floats = NDArray[np.float64]


def lanczos(distance: NDArray[Any], order: int) -> Floats:
    """Return the weights of pixels at such distances, which do not quite add up to 1.

    Parameters
    ----------
    distance
        From the position to the pixels, of any shape.
    order
        How many pixels the filter reaches to either side.
    """
    inside = np.abs(distance) < order
    return np.asarray(np.sinc(distance) * np.sinc(distance / order) * inside, dtype=np.float64)


def lanczos_taps(fraction: Floats, order: int) -> Floats:
    """Return the weights of the neighbours of positions, of sum 1: much faster than `lanczos` for many of them.

    What all neighbours have in common, such as ``sin(π(f - k)) = ± sin(πf)``, falls out where the sum is made 1; the
    addition theorem leaves one sine and one cosine for each position.

    Parameters
    ----------
    fraction
        By how much a position lies beyond the pixel at or below it; 0, or 1e-6 to 1. Shape (n,).
    order
        How many pixels the filter reaches to either side.

    Returns
    -------
    weights
        Shape (n, 2·order), for the pixels from 1 - order to order beyond the one at or below.
    """
    angle = fraction * (np.pi / order)
    sine, cosine = np.sin(angle), np.cos(angle)
    on_pixel = fraction == 0
    weights = np.empty((2 * order, fraction.size))
    for weight, k in zip(weights, range(1 - order, order + 1), strict=True):
        sign = -1.0 if k % 2 else 1.0
        np.multiply(sine, sign * np.cos(np.pi * k / order), out=weight)
        weight -= cosine * (sign * np.sin(np.pi * k / order))
        distance = np.where(on_pixel, 1.0, fraction - k)
        weight /= distance * distance
    weights /= weights.sum(axis=0)
    weights[:, on_pixel] = 0.0
    weights[order - 1, on_pixel] = 1.0
    return np.ascontiguousarray(weights.T)
