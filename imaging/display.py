"""Pictures of exposures: thumbnails without any plotting library, and plots with matplotlib."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .catalog import SourceCatalog
    from .exposure import Exposure

__all__ = ["plot", "png", "stretched", "thumbnail_html"]

_THUMBNAIL = 256
"""Pixels of a thumbnail's longer side."""

_COLOURS = {
    "BAD": "#e6194b",
    "SAT": "#3cb44b",
    "INTRP": "#42d4f4",
    "CR": "#f032e6",
    "EDGE": "#9a9a9a",
    "DETECTED": "#4363d8",
    "DETECTED_NEGATIVE": "#911eb4",
    "SUSPECT": "#ffe119",
    "NO_DATA": "#f58231",
}
"""A colour for each plane of LSST that one looks for in a picture."""
_OTHER_COLOURS = ("#469990", "#bfef45", "#dcbeff", "#9a6324", "#fabed4", "#808000")


def stretched(pixels: NDArray[Any], stretch: str = "asinh") -> NDArray[np.float64]:
    """Return pixels as brightness from 0 to 1; NaN where they are not finite.

    Parameters
    ----------
    pixels
        Of any shape.
    stretch
        ``zscale``: linear between the limits of IRAF's algorithm. ``asinh``: from its lower limit to the brightest but
        0.1 %, linear for the faint and logarithmic for the bright.

    Raises
    ------
    ValueError
        If the stretch is unknown.
    """
    if stretch not in ("asinh", "zscale"):
        raise ValueError(f"There is no stretch {stretch!r}; there are 'asinh' and 'zscale'.")
    from astropy.visualization import ZScaleInterval

    values = np.where(np.isfinite(pixels), pixels, np.nan).astype(np.float64)
    good = values[np.isfinite(values)]
    if not good.size:
        return values
    low, high = (float(limit) for limit in ZScaleInterval().get_limits(good))
    if not high > low:
        return np.where(np.isnan(values), values, 0.5)
    if stretch == "zscale":
        return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0))
    faint = (high - low) / 4.0  # where linear turns logarithmic: about the noise of the sky
    top = np.arcsinh((max(high, float(np.quantile(good, 0.999))) - low) / faint)
    return np.asarray(np.clip(np.arcsinh((values - low) / faint) / top, 0.0, 1.0))


def png(grey: NDArray[np.uint8]) -> bytes:
    """Return a grey PNG file of pixels, shape ``(height, width)``, the first row at the top."""
    height, width = grey.shape
    rows = np.zeros((height, width + 1), dtype=np.uint8)  # every row begins with its filter: none
    rows[:, 1:] = grey

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + chunk(b"IEND", b"")
    )


def thumbnail_html(exposure: Exposure) -> str:
    """Return HTML of an exposure: a small picture, north where the pixels have it, and what it holds."""
    text = f"<pre>{escape(repr(exposure))}</pre>"
    if not exposure.bbox.area:
        return text
    step = -(-max(exposure.width, exposure.height) // _THUMBNAIL)
    brightness = np.nan_to_num(stretched(exposure.image.array[::step, ::step], "zscale"), nan=0.0)
    picture = png((brightness[::-1] * 255).astype(np.uint8))
    source = base64.b64encode(picture).decode("ascii")
    return f'<div><img alt="the image, zscale" src="data:image/png;base64,{source}"/>{text}</div>'


def plot(
    exposure: Exposure, catalog: SourceCatalog | None = None, ax: Axes | None = None, stretch: str = "asinh"
) -> Axes:
    """Draw the pixels, the mask over them with a legend, and sources as circles.

    Parameters
    ----------
    exposure
        What to draw; axes are in parent pixels.
    catalog
        Sources: at the slot Centroid, or where the WCS has their sky positions.
    ax
        Where to draw; a new figure by default.
    stretch
        ``asinh`` or ``zscale``; see `stretched`.

    Returns
    -------
    ax : `matplotlib.axes.Axes`
        What was drawn on.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed; ``pip install 'skybutler[plots]'`` does it.
    ValueError
        If the sources have neither centroids nor, by a WCS, pixels.
    """
    try:
        from matplotlib import pyplot
        from matplotlib.patches import Patch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Plots need matplotlib: pip install 'skybutler[plots]'.", name="matplotlib"
        ) from error
    if ax is None:
        _, ax = pyplot.subplots()
    box = exposure.bbox
    extent = (box.min_x - 0.5, box.max_x + 0.5, box.min_y - 0.5, box.max_y + 0.5)
    ax.imshow(stretched(exposure.image.array, stretch), origin="lower", extent=extent, cmap="gray", vmin=0, vmax=1)
    overlay, colours = _mask_overlay(exposure)
    if colours:
        ax.imshow(overlay, origin="lower", extent=extent)
        patches = [Patch(color=colour, label=name, alpha=0.5) for name, colour in colours.items()]
        ax.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize="small")
    if catalog is not None:
        x, y = _positions(exposure, catalog)
        size = min(40.0, 20_000.0 / max(len(catalog), 1))  # thousands of sources are not to hide the picture
        ax.scatter(x, y, s=size, facecolors="none", edgecolors="yellow", linewidths=0.6, alpha=0.8)
        ax.set_xlim(extent[0], extent[1])
        ax.set_ylim(extent[2], extent[3])
    ax.set_xlabel("x")
    ax.set_ylabel("y")
    ax.set_title(_title(exposure))
    return ax


def _title(exposure: Exposure) -> str:
    """Return what tells one exposure from another: visit, detector, filter, as far as they are known."""
    visit = exposure.visit_info.id if exposure.visit_info is not None else 0
    parts = [f"visit {visit}" if visit else "", f"detector {exposure.detector.name}" if exposure.detector else ""]
    return ", ".join(part for part in (*parts, str(exposure.filter or "")) if part)


def _mask_overlay(exposure: Exposure) -> tuple[NDArray[np.float64], dict[str, str]]:
    """Return RGBA of the mask, shape ``(height, width, 4)``, and the colour of each plane that occurs."""
    from matplotlib.colors import to_rgb

    bits = exposure.mask.array
    overlay = np.zeros((*bits.shape, 4))
    colours: dict[str, str] = {}
    for name, bit in exposure.mask.plane_dict.items():
        hit = (bits >> bit) & 1 == 1
        if hit.any():
            colours[name] = _COLOURS.get(name, _OTHER_COLOURS[bit % len(_OTHER_COLOURS)])
            overlay[hit] = (*to_rgb(colours[name]), 0.2 if name == "DETECTED" else 0.5)
    return overlay, colours


def _positions(exposure: Exposure, catalog: SourceCatalog) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if "slot_Centroid_x" in catalog.schema:
        return catalog.x, catalog.y
    if exposure.wcs is None:
        raise ValueError("The sources have no slot Centroid and the exposure no wcs: their pixels are not known.")
    x, y = exposure.wcs.sky_to_pixel(catalog.coord)
    return np.asarray(x), np.asarray(y)
