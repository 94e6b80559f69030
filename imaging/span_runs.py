"""Runs of pixels along rows, as arrays of y, first and last x: what sets of pixels are combined and shaped by."""

import math
from collections.abc import Callable
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from .geometry import Point2I
from .psf import Quadrupole

__all__ = ["Integers", "Stencil", "runs_of_ellipse", "runs_of_shape", "sweep"]

Integers = NDArray[np.int64]


class Stencil(Enum):
    """What is within a radius: all pixels at most so far by Euclid, on each axis, or by both axes together."""

    CIRCLE = "CIRCLE"
    BOX = "BOX"
    MANHATTAN = "MANHATTAN"


def runs_of_shape(radius: int, stencil: Stencil, center: Point2I) -> Integers:
    """Return the runs of the pixels within a radius of one."""
    if radius < 0:
        raise ValueError(f"a radius is 0 or more, not {radius}")
    rows = np.arange(-radius, radius + 1)
    reach = {
        Stencil.CIRCLE: [math.isqrt(radius * radius - int(y) * int(y)) for y in rows],
        Stencil.BOX: [radius] * len(rows),
        Stencil.MANHATTAN: [radius - abs(int(y)) for y in rows],
    }[stencil]
    return np.stack([rows + center.y, center.x - np.array(reach), center.x + np.array(reach)])


def runs_of_ellipse(shape: Quadrupole, center: tuple[float, float]) -> Integers:
    """Return the runs of the pixels whose centres lie in an ellipse, or upon its edge."""
    x, y = center
    reach = math.sqrt(max(shape.iyy, 0.0))
    rows = np.arange(math.ceil(y - reach), math.floor(y + reach) + 1)
    height = (rows - y) / reach if reach else np.zeros(len(rows))
    middle = x + (rows - y) * (shape.ixy / shape.iyy if shape.iyy else 0.0)
    widest = math.sqrt(max(shape.ixx - (shape.ixy**2 / shape.iyy if shape.iyy else 0.0), 0.0))
    half = widest * np.sqrt(np.maximum(1.0 - height**2, 0.0))
    tiny = 1e-12 * (1.0 + np.abs(middle) + half)  # what rounding may take off a pixel upon the edge
    runs = np.stack([rows, np.ceil(middle - half - tiny), np.floor(middle + half + tiny)]).astype(np.int64)
    return runs[:, runs[1] <= runs[2]]


def sweep(groups: list[tuple[Integers, int]], keep: Callable[[Integers], NDArray[np.bool_]]) -> Integers:
    """Return the runs of the pixels whose depth, the weights of all runs that cover them, is to be kept."""
    runs = np.concatenate([group for group, _ in groups], axis=1)
    if not runs.size:
        return np.zeros((3, 0), np.int64)
    weights = np.concatenate([np.full(group.shape[1], weight) for group, weight in groups])
    y, x0, x1 = runs
    low_x, low_y = int(x0.min()), int(y.min())
    stride = int(x1.max()) - low_x + 2  # rows one after another, with a pixel between them that nothing covers
    begin = (y - low_y) * stride + x0 - low_x
    places, which = np.unique(np.concatenate([begin, begin + x1 - x0 + 1]), return_inverse=True)
    steps = np.bincount(which.ravel(), np.concatenate([weights, -weights])).astype(np.int64)
    kept = np.diff(keep(np.cumsum(steps)).astype(np.int8), prepend=np.int8(0))
    first, last = places[kept == 1], places[kept == -1] - 1
    row, column = np.divmod(first, stride)
    return np.stack([row + low_y, column + low_x, column + low_x + last - first])
