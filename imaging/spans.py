"""Sets of pixels of any shape, as runs along rows.

Sets are combined by sorting the ends of their runs, so that what it takes grows with the number of runs, not with the
area or with the box around them.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .blocks import strips
from .geometry import Box2I, Extent2I, Point2D, Point2I
from .image import Image
from .mask import Mask
from .mask_schema import renumbered
from .masked_image import MaskedImage
from .psf import Quadrupole
from .span_runs import Integers, Stencil, runs_of_ellipse, runs_of_shape, sweep

__all__ = ["Spans", "Stencil"]


class Spans(LsstNames):
    """A set of pixels; never changes.

    Parameters
    ----------
    runs
        A Box2I, or ``(y, x0, x1)`` of each run, PARENT coordinates, x1 inside; runs may touch and overlap. Nothing at
        all makes the empty set.
    """

    __slots__ = ("_runs",)

    _runs: Integers  # of shape (3, n): y, first and last x; by y and x, none touching the next

    def __init__(self, runs: Box2I | Iterable[tuple[int, int, int]] | Integers | None = None) -> None:
        if isinstance(runs, Box2I):
            rows = np.arange(runs.begin_y, runs.end_y)
            made = np.stack([rows, np.full_like(rows, runs.min_x), np.full_like(rows, runs.max_x)])
        else:
            given = np.array(list(runs) if runs is not None else [], np.int64).reshape(-1, 3).T
            if np.any(given[1] > given[2]):
                raise ValueError("a run is (y, x0, x1) with x1, which is inside, not before x0")
            made = sweep([(given, 1)], lambda depth: depth > 0)
        self._runs = made

    @classmethod
    def from_shape(
        cls, radius: int, stencil: Stencil = Stencil.CIRCLE, center: Point2I | tuple[int, int] = (0, 0)
    ) -> Self:
        """Make the set of pixels within a radius of one."""
        return cls._of(runs_of_shape(radius, stencil, Point2I(center)))

    @classmethod
    def from_ellipse(cls, shape: Quadrupole, center: Point2D | tuple[float, float] = (0.0, 0.0)) -> Self:
        """Make the set of the pixels whose centres lie in an ellipse, or upon its edge.

        Parameters
        ----------
        shape
            Such moments that ``Quadrupole(a**2, b**2)`` has the half axes a and b; those of the pixels inside are about
            a quarter of them.
        center
            The middle of the ellipse.
        """
        return cls._of(runs_of_ellipse(shape, center))

    @classmethod
    def from_array(cls, inside: ArrayLike, xy0: Point2I | tuple[int, int] = (0, 0)) -> Self:
        """Make the set of the pixels that are true in an array of shape (height, width)."""
        pixels = np.asarray(inside)
        height, width = pixels.shape
        return cls.from_rows(Box2I(Point2I(xy0), Extent2I(width, height)), lambda rows: pixels[rows] != 0)

    @classmethod
    def from_rows(cls, bbox: Box2I, inside: Callable[[slice], NDArray[np.bool_]]) -> Self:
        """Make the set of the pixels of a box that are true in what a function returns for some of its rows at a time.

        Parameters
        ----------
        bbox
            The box.
        inside
            Called for rows, counted from the first of the box, in order; returns them as an array.
        """
        runs = [np.zeros((3, 0), np.int64)]
        for strip in strips(bbox):
            found = inside(slice(strip.begin_y - bbox.begin_y, strip.end_y - bbox.begin_y))
            steps = np.diff(np.pad(found, ((0, 0), (1, 1))).view(np.int8), axis=1)
            rows, begin = np.nonzero(steps == 1)
            end = np.nonzero(steps == -1)[1]
            runs.append(np.stack([rows + strip.begin_y, begin + bbox.begin_x, end - 1 + bbox.begin_x]))
        return cls._of(np.concatenate(runs, axis=1))

    @classmethod
    def from_mask(cls, mask: Mask, planes: int | str | Iterable[str] | None = None) -> Self:
        """Make the set of the pixels that have any of these planes set, or any at all."""
        every = mask.dtype.type(-1 if mask.dtype.kind == "i" else np.iinfo(mask.dtype).max)
        bits = every if planes is None else mask.dtype.type(mask.schema.bit_mask(planes))
        return cls.from_rows(mask.bbox, lambda rows: (mask.array[rows] & bits) != 0)

    @classmethod
    def merged(cls, sets: "Iterable[Spans]") -> Self:
        """Make the union of any number of sets."""
        runs = [np.zeros((3, 0), np.int64), *(one._runs for one in sets)]
        return cls._of(sweep([(np.concatenate(runs, axis=1), 1)], lambda depth: depth > 0))

    @classmethod
    def each_of(cls, runs: Integers, bounds: Integers) -> list[Self]:
        """Make many sets, checked together.

        Parameters
        ----------
        runs
            y, x0 and x1 of the runs of all, shape (3, n).
        bounds
            Where the runs of each set begin, and where those of the last end: one more than there are sets.
        """
        if np.any(runs[1] > runs[2]):
            raise ValueError("a run is (y, x0, x1) with x1, which is inside, not before x0")
        y, x0, x1 = runs
        apart = np.ones(y.size + 1, bool)  # whether each run lies behind the one before it
        apart[1:-1] = (y[1:] > y[:-1]) | ((y[1:] == y[:-1]) & (x0[1:] > x1[:-1] + 1))
        apart[bounds] = True
        if apart.all():
            return [cls._of(runs[:, first:last]) for first, last in pairwise(bounds.tolist())]
        return [cls(runs[:, first:last].T) for first, last in pairwise(bounds.tolist())]

    @classmethod
    def _of(cls, runs: Integers) -> Self:
        """Make a set of runs that are in order and do not touch."""
        made = object.__new__(cls)
        made._runs = np.asarray(runs, np.int64)
        return made

    @property
    def is_empty(self) -> bool:
        """Whether there is no pixel inside."""
        return len(self) == 0

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int((self._runs[2] - self._runs[1] + 1).sum())

    @property
    def bbox(self) -> Box2I:
        """The smallest box around all."""
        if self.is_empty:
            return Box2I()
        y, x0, x1 = self._runs
        return Box2I.from_bounds(int(x0.min()), int(x1.max()) + 1, int(y[0]), int(y[-1]) + 1)

    @property
    def centroid(self) -> Point2D:
        """The mean position; NaN of nothing."""
        if self.is_empty:
            return Point2D(math.nan, math.nan)
        y, x0, x1 = self._runs
        size = x1 - x0 + 1
        return Point2D(float((size * (x0 + x1) / 2).sum() / size.sum()), float((size * y).sum() / size.sum()))

    @property
    def shape(self) -> Quadrupole:
        """The second moments of the pixels' centres about the centroid; NaN of nothing."""
        if self.is_empty:
            return Quadrupole(math.nan, math.nan, math.nan)
        x, y = self.centroid
        rows, columns = self.indices()
        dx, dy = columns - x, rows - y
        return Quadrupole(float((dx * dx).mean()), float((dy * dy).mean()), float((dx * dy).mean()))

    @property
    def is_contiguous(self) -> bool:
        """Whether all pixels hang together, by their sides or corners."""
        return len(self.split()) <= 1

    def indices(self, xy0: Point2I | tuple[int, int] = (0, 0)) -> tuple[Integers, Integers]:
        """Return y and x of every pixel, counted from `xy0`: what numpy takes to index an array."""
        y, x0, x1 = self._runs
        size = x1 - x0 + 1
        first = np.repeat(np.cumsum(size) - size, size)
        return np.repeat(y, size) - xy0[1], np.repeat(x0, size) + np.arange(size.sum()) - first - xy0[0]

    def to_array(self, bbox: Box2I | None = None) -> NDArray[np.bool_]:
        """Return an array over a box (by default the one around all) that is true inside."""
        bbox = self.bbox if bbox is None else bbox
        inside = np.zeros((bbox.height, bbox.width), bool)
        inside[self.clipped_to(bbox).indices(bbox.min)] = True
        return inside

    def contains(self, what: "Point2I | tuple[int, int] | Spans") -> bool:
        """Whether a pixel, or all of another set, is inside."""
        if isinstance(what, Spans):
            return what.intersect_not(self).is_empty
        x, row = Point2I(what)
        y, x0, x1 = self._runs
        return bool(np.any((y == row) & (x0 <= x) & (x <= x1)))

    __contains__ = contains

    def overlaps(self, other: "Spans") -> bool:
        """Whether any pixel is in both."""
        return not self.intersect(other).is_empty

    def union(self, other: "Spans | Mask", planes: int | str | Iterable[str] | None = None) -> Self:
        """Return what is in either; of a mask, the pixels that have any of these planes set, or any at all."""
        return self._of(sweep([(self._runs, 1), (_runs(other, planes), 1)], lambda depth: depth > 0))

    def intersect(self, other: "Spans | Mask", planes: int | str | Iterable[str] | None = None) -> Self:
        """Return what is in both; of a mask, as `union` has it."""
        return self._of(sweep([(self._runs, 1), (_runs(other, planes), 1)], lambda depth: depth == 2))

    def intersect_not(self, other: "Spans | Mask", planes: int | str | Iterable[str] | None = None) -> Self:
        """Return what is in this set, but not in the other; of a mask, as `union` has it."""
        return self._of(sweep([(self._runs, 1), (_runs(other, planes), 2)], lambda depth: depth == 1))

    __or__, __and__, __sub__ = union, intersect, intersect_not

    def edge_pixels(self) -> Self:
        """Return the pixels of which a side is outside."""
        return self.intersect_not(self.eroded(1, Stencil.MANHATTAN))

    def clipped_to(self, box: Box2I) -> Self:
        """Return what lies in a box."""
        y, x0, x1 = self._runs
        runs = np.stack([y, np.maximum(x0, box.min_x), np.minimum(x1, box.max_x)])
        return self._of(runs[:, (y >= box.min_y) & (y <= box.max_y) & (runs[1] <= runs[2])])

    def shifted_by(self, x: Extent2I | tuple[int, int] | int, y: int | None = None) -> Self:
        """Return the set moved by an offset, or by two numbers."""
        x, y = Extent2I(x) if y is None else Extent2I(x, y)
        return self._of(self._runs + np.array([[y], [x], [x]]))

    def dilated(self, by: "int | Spans", stencil: Stencil = Stencil.CIRCLE) -> Self:
        """Return every pixel within a radius, or that another set reaches when it is put upon each pixel in turn."""
        other = by if isinstance(by, Spans) else Spans.from_shape(by, stencil)
        reached = (self._runs[:, :, np.newaxis] + other._runs[:, np.newaxis, :]).reshape(3, -1)
        return self._of(sweep([(reached, 1)], lambda depth: depth > 0))

    def eroded(self, by: "int | Spans", stencil: Stencil = Stencil.CIRCLE) -> Self:
        """Return the pixels around which a radius, or another set put upon it, lies wholly inside."""
        other = by if isinstance(by, Spans) else Spans.from_shape(by, stencil)
        if self.is_empty or other.is_empty:
            return self
        mirrored = other._of(-other._runs[[0, 2, 1], ::-1])
        outside = Spans(self.bbox.expanded_to(self.dilated(other).bbox)).intersect_not(self)
        return self.intersect_not(outside.dilated(mirrored))

    def split(self) -> list[Self]:
        """Return the parts that hang together, by their sides or corners."""
        return list(self.grouped(self.part_numbers()))

    def part_numbers(self) -> Integers:
        """Return for each run which of the parts that `split` gives it is in, counted from 0."""
        from scipy.sparse import coo_array, csgraph

        if self.is_empty:
            return np.zeros(0, np.int64)
        begin, end, stride = self._ends()
        first = np.searchsorted(end, begin + stride - 1)  # of the next row's runs that touch, by a corner at least
        count = np.maximum(np.searchsorted(begin, end + stride + 1, "right") - first, 0)
        upper = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(count.sum())
        lower = np.repeat(np.arange(len(self)), count)
        touching = coo_array((np.ones(lower.size, bool), (lower, upper)), shape=(len(self), len(self)))
        return np.asarray(csgraph.connected_components(touching, directed=False)[1], np.int64)

    def runs_of(self, y: Integers, x: Integers) -> Integers:
        """Return which run each of some pixels is in, all of which must be inside."""
        begin, _, stride = self._ends()
        return np.searchsorted(begin, self._place(y, x, stride), "right") - 1

    def _ends(self) -> tuple[Integers, Integers, int]:
        """Return the places of the first and last pixels of runs in one order of all pixels, and its step by a row."""
        y, x0, x1 = self._runs
        stride = int(x1.max() - x0.min()) + 3  # nothing touches round the ends of a row
        return self._place(y, x0, stride), self._place(y, x1, stride), stride

    def _place(self, y: Integers, x: Integers, stride: int) -> Integers:
        places: Integers = (y - self._runs[0, 0]) * stride + x - self._runs[1].min()
        return places

    def grouped(self, owners: Integers) -> Iterator[Self]:
        """Yield the set of each owner from 0 on, given the owner of each run."""
        order = np.argsort(owners, kind="stable")
        bounds = np.flatnonzero(np.diff(owners[order], prepend=-1, append=-1))
        for first, last in pairwise(bounds):
            yield self._of(self._runs[:, order[first:last]])

    @classmethod
    def from_labels(
        cls, labels: NDArray[Any], count: int | None = None, xy0: Point2I | tuple[int, int] = (0, 0)
    ) -> Iterator[Self]:
        """Yield the set of pixels of each label from 1 to `count` (the highest one), as of a segmentation map."""
        x, y = Point2I(xy0)
        changes = np.ones((labels.shape[0], labels.shape[1] + 1), bool)  # before each pixel, and at the end of each row
        np.not_equal(labels[:, 1:], labels[:, :-1], out=changes[:, 1:-1])
        inside = labels != 0
        rows, begin = np.nonzero(changes[:, :-1] & inside)
        end = np.nonzero(changes[:, 1:] & inside)[1] + 1
        owners = labels[rows, begin]
        order = np.argsort(owners, kind="stable")
        runs = np.stack([rows + y, begin + x, end - 1 + x])[:, order]
        count = int(owners.max(initial=0)) if count is None else count
        bounds = np.searchsorted(owners[order], np.arange(1, count + 2))
        for first, last in pairwise(bounds):
            yield cls._of(runs[:, first:last])

    def set_mask(self, mask: Mask, planes: int | str | Iterable[str]) -> None:
        """Set planes of a mask inside; what lies off the mask is passed over."""
        bits = mask.dtype.type(mask.schema.bit_mask(planes))
        mask.array[self.clipped_to(mask.bbox).indices(mask.xy0)] |= bits

    def clear_mask(self, mask: Mask, planes: int | str | Iterable[str]) -> None:
        """Unset planes of a mask inside; what lies off the mask is passed over."""
        bits = mask.dtype.type(mask.schema.bit_mask(planes))
        mask.array[self.clipped_to(mask.bbox).indices(mask.xy0)] &= ~bits

    def set_image(self, image: Image, value: float) -> None:
        """Set pixels of an image inside; what lies off the image is passed over."""
        image.array[self.clipped_to(image.bbox).indices(image.xy0)] = value

    def copy_pixels(self, source: Image | Mask | MaskedImage, target: Image | Mask | MaskedImage) -> None:
        """Copy the pixels inside from one image, mask or masked image to another; what lies off either is passed over.

        Bits of masks are matched by name.
        """
        if isinstance(source, MaskedImage) and isinstance(target, MaskedImage):
            self.copy_pixels(source.image, target.image)
            self.copy_pixels(source.mask, target.mask)
            self.copy_pixels(source.variance, target.variance)
            return
        if isinstance(source, MaskedImage) or isinstance(target, MaskedImage) or type(source) is not type(target):
            raise TypeError(f"pixels of a {type(source).__name__} cannot be copied to a {type(target).__name__}")
        inside = self.clipped_to(source.bbox).clipped_to(target.bbox)
        values = source.array[inside.indices(source.xy0)]
        if isinstance(source, Mask) and isinstance(target, Mask):
            target.adopt_planes(source.schema)
            moves = target.moves_from(source)
            values = values if moves is None else renumbered(values, moves, target.dtype)
        target.array[inside.indices(target.xy0)] = values

    def flatten(self, array: NDArray[Any], xy0: Point2I | tuple[int, int] = (0, 0)) -> NDArray[Any]:
        """Return the pixels inside of an array of shape (height, width, …), which must hold them all, as one line."""
        height, width = array.shape[:2]
        if not Box2I(Point2I(xy0), Extent2I(width, height)).contains(self.bbox):
            raise IndexError(f"the set covers {self.bbox!r}, which is not all in an array of {width}x{height} at {xy0}")
        return np.asarray(array[self.indices(xy0)])

    def unflatten(self, line: NDArray[Any], fill: Any = 0) -> NDArray[Any]:
        """Return an array over `bbox` that holds a line of pixels where they belong, and `fill` elsewhere."""
        box, line = self.bbox, np.asarray(line)
        array = np.full((box.height, box.width, *line.shape[1:]), fill, line.dtype)
        array[self.indices(box.min)] = line
        return array

    @property
    def runs(self) -> Integers:
        """y, x0 and x1 (which is inside) of every run, in order; shape (3, n), not to be changed."""
        return self._runs

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Yield (y, x0, x1) of each run; x1 is inside."""
        return map(tuple, self._runs.T.tolist())

    def __len__(self) -> int:
        return int(self._runs.shape[1])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spans) and np.array_equal(self._runs, other._runs)

    def __hash__(self) -> int:
        return hash(self._runs.tobytes())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.area} pixels, {len(self)} runs, {self.bbox!r})"


def _runs(other: Spans | Mask, planes: int | str | Iterable[str] | None) -> Integers:
    """Return the runs of a set, or of the pixels of a mask that have any of some planes."""
    return (Spans.from_mask(other, planes) if isinstance(other, Mask) else other).runs
