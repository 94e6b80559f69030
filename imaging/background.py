"""The light behind the sources: clipped statistics in cells, and a smooth surface through them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..model.lsst_names import LsstNames
from .blocks import strips
from .chebyshev import ChebyshevField
from .geometry import Box2I
from .image import Image
from .interpolate import INTERPOLATIONS, Interpolate, lookup_max_interp_style
from .masked_image import MaskedImage
from .statistics import ERRORS, Property, StatisticsControl, make_statistics, string_to_statistics_property

__all__ = ["STYLES", "Background", "BackgroundControl", "BackgroundList", "make_background"]

STYLES = (*INTERPOLATIONS, "CHEBYSHEV")
"""Surfaces; CONSTANT has the value of the nearest cell. Those that are interpolated fall back on the next one where
there are fewer cells than they need."""

_UNDERSAMPLED = ("REDUCE_INTERP_ORDER", "THROW_EXCEPTION")


class _Checked:
    """What refuses values that make no sense when they are set."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "style" and value not in STYLES:
            raise ValueError(f"There is no background style {value!r}, only {', '.join(STYLES)}.")
        if name in ("nx_sample", "ny_sample", "bin_size") and value is not None and value < 1:
            raise ValueError("A background needs one cell or more along each axis.")
        if name == "statistic" and value not in ("MEANCLIP", "MEAN", "MEDIAN"):
            raise ValueError(f"The statistic of a cell is MEANCLIP, MEAN or MEDIAN, not {value!r}.")
        if name == "undersample_style" and value not in _UNDERSAMPLED:
            raise ValueError(f"undersample_style is {' or '.join(_UNDERSAMPLED)}, not {value!r}.")
        super().__setattr__(name, value)


@dataclass(slots=True)
class BackgroundControl(LsstNames, _Checked):
    """How a background is measured."""

    nx_sample: int = 10
    """Cells along x."""
    ny_sample: int = 10
    """Cells along y."""
    style: str = "AKIMA_SPLINE"
    """One of `STYLES`: a surface through the cells, or CHEBYSHEV, a polynomial fitted to them."""
    bin_size: int | None = None
    """Pixels a cell is wide and high, about; instead of the numbers of cells."""
    order: int = 6
    """Highest total degree of CHEBYSHEV; lowered where there are too few good cells."""
    statistic: str = "MEANCLIP"
    """What is taken of each cell: MEANCLIP, MEAN or MEDIAN."""
    statistics_control: StatisticsControl | None = None
    """How; 3 passes of 3 sigma by default. An `and_mask` of its own replaces `ignored_mask_planes`."""
    ignored_mask_planes: tuple[str, ...] = ("BAD", "SAT", "EDGE", "DETECTED", "DETECTED_NEGATIVE", "NO_DATA")
    """Pixels with any of these are left out; planes that a mask does not have are ignored."""
    undersample_style: str = "REDUCE_INTERP_ORDER"
    """What is done where there are too few cells for the style: REDUCE_INTERP_ORDER, or THROW_EXCEPTION."""


def make_background(image: MaskedImage | Image | ArrayLike, control: BackgroundControl | None = None) -> Background:
    """Measure the background of an image.

    Parameters
    ----------
    image
        Only a masked image has its ignored mask planes left out.
    control
        How.

    Returns
    -------
    background : `Background`
        ``background.image()`` is the surface.

    Raises
    ------
    ValueError
        If no cell has a good pixel, or there are too few cells and `undersample_style` is THROW_EXCEPTION.
    """
    control = control or BackgroundControl()
    plane = image if isinstance(image, Image | MaskedImage) else Image(np.asarray(image))
    box = plane.bbox
    nx, ny = control.nx_sample, control.ny_sample
    if control.bin_size is not None:
        nx, ny = math.ceil(box.width / control.bin_size), math.ceil(box.height / control.bin_size)
    nx, ny = min(nx, box.width), min(ny, box.height)
    needed = INTERPOLATIONS.get(control.style, 1)
    if control.undersample_style == "THROW_EXCEPTION" and min(nx, ny) < needed:
        raise ValueError(f"{control.style} needs {needed} cells along each axis, not {nx}x{ny} in all.")
    statistics = control.statistics_control or StatisticsControl()
    if isinstance(plane, MaskedImage) and not statistics.and_mask:
        names = [name for name in control.ignored_mask_planes if name in plane.mask.schema]
        statistics = replace(statistics, and_mask=names)
    wanted = string_to_statistics_property(control.statistic)
    values, errors = _measure_cells(plane, nx, ny, wanted, statistics)
    return Background(box, values, errors, style=control.style, order=control.order)


class Background(LsstNames):
    """A measured background.

    Parameters
    ----------
    bbox
        The image, parent pixels.
    values
        The statistic of each cell, shape ``(ny, nx)``; NaN where there was no good pixel.
    errors
        Their standard errors (not variances), same shape.
    style
        One of `STYLES`.
    order
        Highest degree of CHEBYSHEV.

    Raises
    ------
    ValueError
        If there is no finite value, shapes differ, or there are more cells than pixels.
    """

    VERSION: ClassVar[int] = 1

    def __init__(
        self,
        bbox: Box2I,
        values: ArrayLike,
        errors: ArrayLike | None = None,
        *,
        style: str = "AKIMA_SPLINE",
        order: int = 6,
    ) -> None:
        self.bbox = bbox
        self.values: NDArray[np.float64] = np.array(values, dtype=np.float64)
        self.errors: NDArray[np.float64] = (
            np.full(self.values.shape, np.nan) if errors is None else np.array(errors, dtype=np.float64)
        )
        if style not in STYLES:
            raise ValueError(f"There is no background style {style!r}, only {', '.join(STYLES)}.")
        if self.values.ndim != 2 or self.values.shape != self.errors.shape:
            raise ValueError(f"Values and errors are (ny, nx), not {self.values.shape} and {self.errors.shape}.")
        if self.values.shape[0] > bbox.height or self.values.shape[1] > bbox.width:
            raise ValueError(f"{self.values.shape} cells (ny, nx) are more than the pixels of {bbox}.")
        if not np.isfinite(self.values).any():
            raise ValueError(f"No cell of {bbox} has a good pixel; are all of them masked?")
        self.style = style
        self.order = order

    @property
    def mean(self) -> float:
        """The mean of the cells."""
        return float(np.nanmean(self.values))

    @property
    def stats_image(self) -> MaskedImage:
        """The cells as pixels: their values and the squares of their errors; NO_DATA where there is no value."""
        made = MaskedImage(self.values.copy(), variance=self.errors**2)
        made.mask.array[np.isnan(self.values)] = made.mask.plane_bit_mask("NO_DATA")
        return made

    def approximate(self, order: int) -> Background:
        """Return the same cells with a polynomial fitted to them, CHEBYSHEV, of a highest total degree."""
        return Background(self.bbox, self.values, self.errors, style="CHEBYSHEV", order=order)

    def image(self, bbox: Box2I | None = None, *, dtype: DTypeLike = "float32") -> Image:
        """Return the surface at every pixel.

        Parameters
        ----------
        bbox
            Part of the image; all of it by default.
        dtype
            Of the pixels.

        Raises
        ------
        ValueError
            If the box is not within the image.
        """
        box = self.bbox if bbox is None else bbox
        if not self.bbox.contains(box):
            raise ValueError(f"The background was measured over {self.bbox}; {box} reaches outside.")
        surface = self._fitted().array if self.style == "CHEBYSHEV" else self._interpolated
        made = Image.full(box, dtype=dtype)
        for strip in strips(box):
            made[strip].array[...] = surface(strip)
        return made

    def __iadd__(self, level: float) -> Self:
        self.values += level
        return self

    def __isub__(self, level: float) -> Self:
        self.values -= level
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the box as ``[x, y, width, height]``, the cells as arrays, and style and order."""
        return {
            "bbox": self.bbox.to_list(),
            "values": self.values.copy(),
            "errors": self.errors.copy(),
            "style": self.style,
            "order": self.order,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a background of what `to_dict` gave."""
        box = Box2I.from_list(content["bbox"])
        return cls(box, content["values"], content["errors"], style=content["style"], order=content["order"])

    def __repr__(self) -> str:
        ny, nx = self.values.shape
        return f"Background({nx}x{ny} cells, mean {self.mean:.6g}, {self.style})"

    def _centers(self, axis: int) -> NDArray[np.float64]:
        size = (self.bbox.height, self.bbox.width)[axis]
        begin = (self.bbox.min_y, self.bbox.min_x)[axis]
        edges = _edges(size, self.values.shape[axis])
        return begin + (edges[:-1] + edges[1:] - 1) / 2.0

    def _interpolated(self, box: Box2I) -> NDArray[np.float64]:
        """Interpolate along y at each column of cells, and through these along x at each row of pixels."""
        rows, columns = np.arange(box.min_y, box.max_y + 1), np.arange(box.min_x, box.max_x + 1)
        good = np.isfinite(self.values)
        centers_y, centers_x = self._centers(0), self._centers(1)
        used = np.flatnonzero(good.any(axis=0))
        along_y = np.stack(
            [
                _interpolate(centers_y[good[:, i]], self.values[good[:, i], i, None], rows, self.style)[:, 0]
                for i in used
            ]
        )
        return _interpolate(centers_x[used], along_y, columns, self.style).T

    def _fitted(self) -> ChebyshevField:
        """Fit a polynomial to the cells."""
        y, x = np.meshgrid(self._centers(0), self._centers(1), indexing="ij")
        good = np.isfinite(self.values)
        known = np.isfinite(self.errors[good]) & (self.errors[good] > 0)
        weights = 1.0 / self.errors[good] if known.all() else None
        order = min(self.order, *(size - 1 for size in self.values.shape))
        while (order + 1) * (order + 2) // 2 > good.sum():
            order -= 1
        return ChebyshevField.fit(self.bbox, x[good], y[good], self.values[good], order=order, weights=weights)


class BackgroundList(LsstNames, list[Background]):
    """Backgrounds that were subtracted one after the other; their sum puts the light back.

    Parameters
    ----------
    backgrounds
        In the order of subtraction.
    """

    VERSION: ClassVar[int] = 1

    def __init__(self, backgrounds: Iterable[Background] = ()) -> None:
        super().__init__(backgrounds)

    def image(self, bbox: Box2I | None = None, *, dtype: DTypeLike = "float32") -> Image:
        """Return the sum of the surfaces; parameters as `Background.image`.

        Raises
        ------
        ValueError
            If the list is empty, or the box reaches outside.
        """
        if not self:
            raise ValueError("The list has no backgrounds, and therefore no image.")
        made = Image.full(self[0].bbox if bbox is None else bbox, dtype=dtype)
        for strip in strips(made.bbox):
            made[strip].array[...] = sum(background.image(strip, dtype=np.float64).array for background in self)
        return made

    def __repr__(self) -> str:
        return f"BackgroundList({super().__repr__()})"

    def to_dict(self) -> dict[str, Any]:
        """Return each background's own dictionary."""
        return {"backgrounds": [background.to_dict() for background in self]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a list of what `to_dict` gave."""
        return cls(Background.from_dict(background) for background in content["backgrounds"])


def _edges(size: int, cells: int) -> NDArray[np.int64]:
    """Return where cells begin and end: near-equal, and rounded as in LSST's afw."""
    return np.minimum((np.arange(cells + 1, dtype=np.int64) * size + cells // 2) // cells, size)


def _measure_cells(
    plane: MaskedImage | Image, nx: int, ny: int, wanted: Property, control: StatisticsControl
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    box = plane.bbox
    columns, rows = _edges(box.width, nx) + box.min_x, _edges(box.height, ny) + box.min_y
    values, errors = np.empty((ny, nx)), np.empty((ny, nx))
    for j in range(ny):
        for i in range(nx):
            cell = Box2I.from_bounds(int(columns[i]), int(columns[i + 1]), int(rows[j]), int(rows[j + 1]))
            values[j, i], errors[j, i] = make_statistics(plane[cell], wanted | ERRORS, control).result(wanted)
    return values, errors


def _interpolate(
    centers: NDArray[np.float64], values: NDArray[np.float64], positions: NDArray[Any], style: str
) -> NDArray[np.float64]:
    """Interpolate columns of values, shape ``(n, m)``, at positions, as well as so few points allow."""
    styles = list(INTERPOLATIONS)
    possible = styles[max(styles.index(style), styles.index(lookup_max_interp_style(len(centers))))]
    if possible == "CONSTANT":  # of a background the nearest cell's value
        edges = (centers[:-1] + centers[1:]) / 2.0
        return np.asarray(values[np.searchsorted(edges, positions)], dtype=np.float64)
    return np.asarray(Interpolate(centers, values, possible).interpolate(positions))
