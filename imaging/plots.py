"""Plots with matplotlib, which is not needed for anything else: ``pip install 'skybutler[plots]'``.

Axes are parent pixels, x to the right and y upwards, so what is drawn over a picture is where a catalog says it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .display import PlaneColours, Stretch, reduced_mask
from .sky_grid import draw_sky_grid

try:
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize, to_rgba
    from matplotlib.patches import Patch
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("Plots need matplotlib: pip install 'skybutler[plots]'.", name="matplotlib") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .catalog import SourceCatalog
    from .exposure import Exposure
    from .geometry import Box2I
    from .image import Image
    from .mask import Mask
    from .masked_image import MaskedImage
    from .schema import Field

__all__ = ["plot_catalog", "plot_exposure", "plot_image", "plot_mask", "plot_masked_image"]

_MASK_CELLS = 640
"""Pixels of a mask's longer side that are drawn, about as many as a screen shows: of larger masks, each cell shows what
any of its pixels has."""
_BAR = 0.7
"""Height of the bar of values below a picture, inches."""
_CIRCLES = 16_000.0
"""Area of all circles around sources together, square points: thousands are not to hide the picture."""
_SOURCES = "#ffe600"
_NOT_FINITE = "#660000"


class _StretchNorm(Normalize):
    """A stretch as matplotlib applies it: to what is left after it has made pixels fit the screen."""

    def __init__(self, stretch: Stretch) -> None:
        super().__init__(stretch.low, stretch.high)
        self._stretch = stretch

    def __call__(self, value: Any, clip: bool | None = None) -> Any:
        return np.ma.array(self._stretch.brightness(np.ma.getdata(value)), mask=np.ma.getmask(value), copy=False)

    def inverse(self, value: Any) -> Any:
        return self._stretch.values(value)


def plot_image(image: Image, ax: Axes | None = None, stretch: str = "asinh") -> Axes:
    """Draw the pixels in grey, in a new figure with a bar of their values; those that are not finite are dark red.

    Parameters
    ----------
    image
        What to draw.
    ax
        Where to draw; a new figure by default.
    stretch
        ``asinh`` or ``zscale``; see `skybutler.imaging.display.Stretch.of`.

    Returns
    -------
    ax : `matplotlib.axes.Axes`
        What was drawn on.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    ValueError
        If the stretch is unknown.
    """
    return _plot_pixels(image, ax, stretch, "value")


def plot_mask(mask: Mask, ax: Axes | None = None, planes: str | Iterable[str] | None = None) -> Axes:
    """Draw the planes of a mask, each in its colour, with a legend that says how much of the mask each covers.

    Parameters
    ----------
    mask
        What to draw. Where a pixel has several planes, the one that is set in the fewest pixels is seen.
    ax
        Where to draw; a new figure by default.
    planes
        Which planes; all by default.

    Returns
    -------
    ax : `matplotlib.axes.Axes`
        What was drawn on.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    ValueError
        If the mask has no plane of a name.
    """
    ax = _axes(ax, mask.bbox)
    _legend(ax, _draw_mask(ax, mask, planes, opaque=True))
    _frame(ax, mask.bbox)
    return ax


def plot_masked_image(
    masked: MaskedImage, ax: Axes | None = None, stretch: str = "asinh", planes: str | Iterable[str] | None = None
) -> Axes:
    """Draw the pixels and the mask over them; see `plot_image` and `plot_mask`."""
    ax = plot_image(masked.image, ax, stretch)
    _legend(ax, [*_draw_mask(ax, masked.mask, planes, opaque=False), *_not_finite(masked.image)])
    _frame(ax, masked.bbox)
    return ax


def plot_exposure(
    exposure: Exposure,
    catalog: SourceCatalog | None = None,
    ax: Axes | None = None,
    stretch: str = "asinh",
    *,
    planes: str | Iterable[str] | None = None,
    grid: bool = True,
) -> Axes:
    """Draw the pixels, the mask over them with a legend, the sky as a grid, and sources as circles.

    Parameters
    ----------
    exposure
        What to draw.
    catalog
        Sources: at the slot Centroid, or where the WCS has their sky positions; those beyond the exposure are left out.
    ax
        Where to draw; a new figure by default.
    stretch
        ``asinh`` or ``zscale``; see `skybutler.imaging.display.Stretch.of`.
    planes
        Which planes of the mask; all by default, ``()`` for none.
    grid
        Whether lines of right ascension and declination are drawn, where there is a WCS.

    Returns
    -------
    ax : `matplotlib.axes.Axes`
        What was drawn on.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    ValueError
        If the sources have neither centroids nor, by a WCS, pixels; or the mask has no plane of a name.
    """
    positions = None if catalog is None else _positions(exposure, catalog)
    ax = _plot_pixels(exposure.image, ax, stretch, str(exposure.metadata.get("BUNIT") or "value"))
    handles = [*_draw_mask(ax, exposure.mask, planes, opaque=False), *_not_finite(exposure.image)]
    if grid and exposure.wcs is not None and exposure.bbox.area:
        draw_sky_grid(ax, exposure.wcs, exposure.bbox)
    if positions is not None:
        size = min(60.0, _CIRCLES / max(positions.shape[0], 1))
        drawn = ax.scatter(
            positions[:, 0], positions[:, 1], s=size, facecolors="none", edgecolors=_SOURCES, linewidths=0.6
        )
        drawn.set_label(f"{positions.shape[0]} sources")
        handles.append(drawn)
    _legend(ax, handles)
    _frame(ax, exposure.bbox)
    ax.set_title(_title(exposure))
    return ax


def plot_catalog(catalog: SourceCatalog, x: str | Field, y: str | Field, ax: Axes | None = None, **style: Any) -> Axes:
    """Draw one column over another, a point a source, with units on the axes.

    Parameters
    ----------
    catalog
        Sources.
    x, y
        Columns of one number each; angles are drawn in degrees, and right ascension increases to the left.
    ax
        Where to draw; a new figure by default.
    **style
        For `matplotlib.axes.Axes.scatter`: ``s``, ``c``, ``marker``, ``alpha`` and so on.

    Returns
    -------
    ax : `matplotlib.axes.Axes`
        What was drawn on.

    Raises
    ------
    KeyError
        If there is no such column.
    TypeError
        If a column is of texts or of arrays.
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    fields = [catalog.schema.find(name) for name in (x, y)]
    values = []
    for field in fields:
        if field.shape or field.type == "String":
            raise TypeError(f"{field.name} is no column of single numbers: {field.type}{list(field.shape) or ''}.")
        values.append(np.degrees(catalog[field]) if field.type == "Angle" else catalog[field])
    if ax is None:
        ax = _new_axes((8.0, 6.0))
    ax.scatter(values[0], values[1], **{"s": 6.0, "linewidths": 0.0, **style})
    labels = [f"{field.name}{f' [{unit}]' if (unit := _unit(field)) else ''}" for field in fields]
    ax.set_xlabel(labels[0])
    ax.set_ylabel(labels[1])
    if fields[0].name == catalog.schema.aliases.resolve("coord_ra") and not ax.xaxis_inverted():
        ax.invert_xaxis()
        if fields[1].name == catalog.schema.aliases.resolve("coord_dec") and len(catalog):
            ax.set_aspect(1.0 / max(math.cos(np.nanmean(catalog[fields[1]])), 0.01), adjustable="datalim")
    return ax


def _unit(field: Field) -> str:
    return "deg" if field.type == "Angle" else field.units


def _axes(ax: Axes | None, box: Box2I, below: float = 0.0) -> Axes:
    """Return where to draw: what was given, or the axes of a new figure about as wide as the box, with room below."""
    if ax is not None:
        return ax
    wide = min(max(box.width / max(box.height, 1), 0.4), 2.5)
    # room for a legend beside it: were the width too small, the layout would cut off what stands around the picture
    made = _new_axes((6.0 * wide + 3.2, 6.5 + below) if wide < 1 else (9.2, 6.0 / wide + 0.5 + below))
    made.locator_params(integer=True)
    return made


def _new_axes(size: tuple[float, float]) -> Axes:
    """Return the axes of a new figure, as the user's screen or notebook shows it."""
    from matplotlib import pyplot

    made: Axes = pyplot.subplots(figsize=size, layout="constrained")[1]
    return made


def _frame(ax: Axes, box: Box2I) -> None:
    """Show exactly the pixels of a box, in parent coordinates, and name the axes."""
    if box.area:
        ax.set_xlim(box.min_x - 0.5, box.max_x + 0.5)
        ax.set_ylim(box.min_y - 0.5, box.max_y + 0.5)
    ax.set_aspect("equal")
    ax.set_xlabel("x [pixel]")
    ax.set_ylabel("y [pixel]")


def _plot_pixels(image: Image, ax: Axes | None, stretch: str, label: str) -> Axes:
    """Draw pixels so that the cursor shows their values, not their brightness; beside a new picture, a bar does."""
    scale = Stretch.of(image.array, stretch) or Stretch(*_around(image.array))
    box, is_new = image.bbox, ax is None
    ax = _axes(ax, box, _BAR)
    _frame(ax, box)
    if not box.area:
        return ax
    pixels = image.array.astype(np.uint8) if image.dtype == np.bool_ else image.array
    drawn = ax.imshow(
        pixels,
        origin="lower",
        extent=(box.min_x - 0.5, box.max_x + 0.5, box.min_y - 0.5, box.max_y + 0.5),
        cmap=colormaps["gray"].with_extremes(bad=_NOT_FINITE),
        norm=_StretchNorm(scale),
    )
    if is_new:
        bar = ax.figure.colorbar(drawn, ax=ax, location="bottom", aspect=40, shrink=0.6, label=f"{label} ({stretch})")
        if scale.faint:  # round values at even distances; matplotlib's would crowd at the bright end
            ticks = [float(f"{value:.2g}") for value in scale.values(np.linspace(0.03, 0.97, 6))]
            bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    return ax


def _around(pixels: NDArray[Any]) -> tuple[float, float]:
    """Return limits around the one value that all finite pixels have."""
    good = pixels[np.isfinite(pixels)]
    value = float(good.flat[0]) if good.size else 0.0
    return value - 1.0, value + 1.0


def _draw_mask(ax: Axes, mask: Mask, names: str | Iterable[str] | None, *, opaque: bool) -> list[Any]:
    """Draw the planes of a mask, and return what a legend is made of."""
    wanted = None if names is None else [names] if isinstance(names, str) else list(names)
    box = mask.bbox
    cell = max(1, -(-max(box.width, box.height) // _MASK_CELLS))
    planes = PlaneColours.of(reduced_mask(mask.array, cell), mask.schema, wanted)
    if not planes.planes:
        return []
    shown = [
        to_rgba(colour, 1.0 if opaque else opacity)
        for colour, opacity in zip(planes.colours.values(), planes.opacities, strict=True)
    ]
    height, width = planes.index.shape
    ax.imshow(
        planes.index,
        origin="lower",
        extent=(box.min_x - 0.5, box.min_x - 0.5 + width * cell, box.min_y - 0.5, box.min_y - 0.5 + height * cell),
        cmap=ListedColormap([(0.0, 0.0, 0.0, 0.0), *shown]),
        norm=BoundaryNorm(np.arange(-0.5, len(shown) + 1), len(shown) + 1),
        interpolation="nearest",  # a number between those of two planes is a third plane
    )
    report = mask.report()
    return [
        Patch(color=colour, label=f"{name} {_percent(report[name].percent)}") for name, colour in planes.colours.items()
    ]


def _not_finite(image: Image) -> list[Any]:
    """Return what a legend says of pixels that are not finite; nothing where all are."""
    count = image.array.size - int(np.count_nonzero(np.isfinite(image.array)))
    return [Patch(color=_NOT_FINITE, label=f"not finite {_percent(100 * count / image.array.size)}")] if count else []


def _percent(percent: float) -> str:
    return f"{percent:.1f} %" if percent >= 0.1 else f"{percent:.1g} %"


def _legend(ax: Axes, handles: Sequence[Any]) -> None:
    if handles:
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, fontsize="small")


def _title(exposure: Exposure) -> str:
    """Return what tells one exposure from another: target, visit, detector, filter, as far as they are known."""
    info = exposure.visit_info
    parts = [info.object if info else "", f"visit {info.id}" if info and info.id else ""]
    parts.append(f"detector {exposure.detector.name}" if exposure.detector else "")
    return ", ".join(part for part in (*parts, str(exposure.filter or "")) if part)


def _positions(exposure: Exposure, catalog: SourceCatalog) -> NDArray[np.float64]:
    """Return the parent pixels of the sources that are on an exposure, shape (n, 2)."""
    if "slot_Centroid_x" in catalog.schema:
        x, y = catalog.x, catalog.y
    elif exposure.wcs is None:
        raise ValueError("The sources have no slot Centroid and the exposure no wcs: their pixels are not known.")
    else:
        x, y = (np.asarray(axis) for axis in exposure.wcs.sky_to_pixel(catalog.coord))
    box = exposure.bbox
    inside = (x >= box.min_x - 0.5) & (x <= box.max_x + 0.5) & (y >= box.min_y - 0.5) & (y <= box.max_y + 0.5)
    return np.stack([x[inside], y[inside]], axis=-1)
