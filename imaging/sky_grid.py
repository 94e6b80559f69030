"""Right ascension and declination as lines over a picture in pixels, whatever the projection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .geometry import Box2I
    from .wcs import Wcs

__all__ = ["draw_sky_grid"]

_NODES = 65
"""Positions along each side at which the sky is asked for; lines are interpolated between them."""
_RA, _DEC = "#59c2ff", "#8dea7d"


def draw_sky_grid(ax: Axes, wcs: Wcs, box: Box2I) -> None:
    """Draw lines of right ascension and declination, some five of each, and say on them what they are."""
    x = np.linspace(box.min_x - 0.5, box.max_x + 0.5, _NODES)
    y = np.linspace(box.min_y - 0.5, box.max_y + 0.5, _NODES)
    sky = wcs.pixel_to_sky(*np.meshgrid(x, y))
    dec = sky.dec.deg
    ra = sky.ra.deg
    middle = ra[_NODES // 2, _NODES // 2]
    if not np.isfinite(middle):
        return
    ra = middle + (ra - middle + 180.0) % 360.0 - 180.0  # without a step from 360 to 0 in the picture
    for axis in (0, 1):  # around a pole there is one all the same: no lines are drawn across it
        step = np.abs(np.diff(ra, axis=axis)) > 180.0
        first, last = [slice(None)] * 2, [slice(None)] * 2
        first[axis], last[axis] = slice(None, -1), slice(1, None)
        ra[tuple(first)][step] = np.nan
        ra[tuple(last)][step] = np.nan
    for angles, name, colour in ((ra, "ra", _RA), (dec, "dec", _DEC)):
        levels, step_degrees = _levels(angles, name)
        if not levels.size:
            continue
        lines = ax.contour(
            x, y, np.ma.masked_invalid(angles), levels=levels, colors=colour, linewidths=0.6, alpha=0.7,
            linestyles="solid",
        )  # fmt: skip
        for level, line in zip(levels, lines.get_paths(), strict=True):
            nodes = np.asarray(line.vertices, dtype=np.float64)
            if nodes.size:
                _write_on(ax, nodes, box, _sexagesimal(level, name, step_degrees), colour)


def _write_on(ax: Axes, line: NDArray[np.float64], box: Box2I, text: str, colour: str) -> None:
    """Say what a line is where it enters the picture, from below or from the left."""
    wide, high = np.ptp(line, axis=0)
    upright = bool(high > wide)
    x, y = line[np.argmin(line[:, 1 if upright else 0])]
    if not upright and y < box.min_y + 0.04 * box.height:  # there stand those of the lines from below
        return
    place = (x - box.min_x) / max(box.width, 1) if upright else (y - box.min_y) / max(box.height, 1)
    side = 0 if place < 0.06 else 2 if place > 0.94 else 1  # near a corner, all of it is to stay in the picture
    ax.annotate(
        text,
        (x, y),
        xytext=(0, 3) if upright else (3, 0),
        textcoords="offset points",
        ha=("left", "center", "right")[side] if upright else "left",
        va="bottom" if upright else ("bottom", "center", "top")[side],
        color=colour,
        fontsize="x-small",
        bbox={"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 1.0},
        annotation_clip=True,
        zorder=5,
    )


def _levels(angles: NDArray[np.float64], name: str) -> tuple[NDArray[np.float64], float]:
    """Return round values, degrees, that lie among some angles, about five of them, and how far they are apart."""
    low, high = float(np.nanmin(angles)), float(np.nanmax(angles))
    second = (15.0 if name == "ra" else 1.0) / 3600.0
    counts = (1, 2, 5, 10, 15, 20, 30)
    steps = [second * count / 10 for count in (1, 2, 5)]
    steps += [second * unit * count for unit in (1, 60) for count in counts]
    steps += [15.0 * count for count in (1, 2, 3, 6)] if name == "ra" else [float(n) for n in (1, 2, 5, 10, 15, 30)]
    step = next((step for step in steps if (high - low) / step <= 5.0), steps[-1])
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step, step


def _sexagesimal(degrees: float, name: str, step: float) -> str:
    """Return an angle as ``16h41m30s`` or ``+36°27'``, to the unit that tells lines apart."""
    per_unit, marks = (15.0, "hms") if name == "ra" else (1.0, "°'\"")
    total = abs(degrees % 360.0 if name == "ra" else degrees) / per_unit
    smallest = step / per_unit * 3600.0
    decimals = 1 if smallest < 1 - 1e-9 else 0
    seconds = round(total * 3600.0, decimals)
    minutes, seconds = divmod(seconds, 60.0)
    whole, minutes = divmod(int(minutes), 60)
    if name == "ra":
        whole %= 24
    parts = [f"{whole:02d}{marks[0]}"]
    if smallest < 3600 - 1e-6:
        parts.append(f"{minutes:02d}{marks[1]}")
    if smallest < 60 - 1e-6:
        parts.append(f"{seconds:0{3 + decimals if decimals else 2}.{decimals}f}{marks[2]}")
    sign = "" if name == "ra" else "-" if degrees < 0 else "+"
    return sign + "".join(parts)
