"""A picture of a camera with matplotlib: its detectors side by side, with their names.

Where detectors stand in the focal plane, no description of an instrument says: they are drawn to scale, but in rows by
their ids, the first one at the lower left.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

try:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("Plots need matplotlib: pip install 'skybutler[plots]'.", name="matplotlib") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .detector import Camera, Detector

__all__ = ["plot_camera"]

_GAP = 0.08
"""Between detectors, of the largest one's size."""
_DETECTOR, _AMPLIFIER = "#1f4e79", "#9db7cf"
_WIDEST = 11.0
"""Of a new figure, inches."""


def plot_camera(camera: Camera, ax: Axes | None = None) -> Axes:
    """Draw a camera's detectors, their amplifiers, and their names and ids.

    Parameters
    ----------
    camera
        The camera.
    ax
        Where to; a new figure by default.

    Returns
    -------
    ax : `matplotlib.axes.Axes`
        In pixels of a detector.
    """
    detectors = sorted(camera.values(), key=lambda detector: detector.id)
    if not detectors:
        raise ValueError(f"camera {camera.name} has no detectors to draw")
    width = max(detector.bbox.width for detector in detectors) * (1 + _GAP)
    height = max(detector.bbox.height for detector in detectors) * (1 + _GAP)
    columns = min(len(detectors), math.ceil(math.sqrt(len(detectors) * height / width)))
    rows = math.ceil(len(detectors) / columns)
    if ax is None:
        scale = min(_WIDEST / (columns * width), _WIDEST / (rows * height))
        from matplotlib import pyplot

        ax = pyplot.subplots(figsize=(max(columns * width * scale, 3.0), max(rows * height * scale, 2.5)))[1]
    names = [f"{detector.name}\n{detector.id}" for detector in detectors]
    longest = max(len(line) for name in names for line in name.split("\n"))
    size = _font_size(ax, longest, columns, rows)
    for place, (detector, name) in enumerate(zip(detectors, names, strict=True)):
        x, y = place % columns * width, place // columns * height
        _draw_detector(ax, detector, x, y)
        middle = x + detector.bbox.width / 2, y + detector.bbox.height / 2
        ax.text(*middle, name, ha="center", va="center", fontsize=size, color=_DETECTOR, clip_on=True)
    ax.set_xlim(-width * _GAP, columns * width)
    ax.set_ylim(-height * _GAP, rows * height)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_title(f"{camera.name}: {len(detectors)} detector{'s' if len(detectors) > 1 else ''}, by id")
    return ax


def _draw_detector(ax: Axes, detector: Detector, x: float, y: float) -> None:
    """Draw a detector with its lower left corner at a place."""
    corner = detector.bbox.min
    boxes = [amplifier.bbox for amplifier in detector]
    inner = [Rectangle((x + box.min_x - corner.x, y + box.min_y - corner.y), box.width, box.height) for box in boxes]
    ax.add_collection(PatchCollection(inner, facecolor="none", edgecolor=_AMPLIFIER, linewidth=0.5))
    ax.add_patch(Rectangle((x, y), detector.bbox.width, detector.bbox.height, fill=False, edgecolor=_DETECTOR))


def _font_size(ax: Axes, longest: int, columns: int, rows: int) -> float:
    """Return the size of letters, points, at which names fit in their detectors."""
    points = 72 / ax.figure.dpi
    by_width = ax.bbox.width * points / columns / max(longest, 1) / 0.75
    by_height = ax.bbox.height * points / rows / 3.0
    return float(min(max(min(by_width, by_height), 3.0), 12.0))
