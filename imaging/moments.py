"""The numerical core of statistics: selecting good pixels, quantiles, and sums over what lies within bounds.

Everything is accumulated in float64, block by block, around a centre near the mean, so that nothing cancels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import blocks, share

__all__ = ["IQR_TO_STDEV", "Moments", "Sample", "interpolate", "moments", "quantiles", "select"]

IQR_TO_STDEV = 0.741301109252802
"""The standard deviation of a normal distribution, in units of its interquartile range."""

_BLOCK = 32_768
_BRACKET_PIXELS = 1_048_576  # from how many on drawing _DRAWN of them is worth it
_DRAWN = 65_536


@dataclass(slots=True)
class Sample:
    """The good pixels of an image, as flat arrays."""

    values: NDArray[Any]
    """The pixels, in their own type."""
    weights: NDArray[Any] | None
    """The weight of each, or None where all are 1."""
    variances: NDArray[Any] | None
    """The variance of each, where errors are calculated from it."""
    total: int
    """Number of pixels, good or not."""
    or_mask: int
    """OR of the masks of the good pixels."""
    shared: bool
    """Whether the values are those of the image itself, all of which are good, and must not be reordered."""


def select(
    values: NDArray[Any],
    mask: NDArray[Any] | None,
    bits: int,
    *,
    nan_safe: bool,
    weights: NDArray[Any] | None = None,
    variances: NDArray[Any] | None = None,
    or_mask: bool = False,
) -> Sample:
    """Select the good pixels: ``(mask & bits) == 0``, finite where `nan_safe`, and of a weight that is a number.

    Parameters
    ----------
    values
        The pixels, shape (height, width).
    mask, weights, variances
        What belongs to each pixel, same shape.
    bits
        Bits of the mask of which a good pixel has none.
    nan_safe
        Whether NaN and infinite pixels are left out.
    or_mask
        Whether to collect the masks of the good pixels.
    """
    columns = [values, *(extra for extra in (weights, variances) if extra is not None)]
    chosen: list[NDArray[Any]] | None = None  # nothing is copied as long as every pixel is good
    if not all(column.flags.c_contiguous for column in columns):
        chosen = [np.empty(values.size, column.dtype) for column in columns]
    collected = count = 0
    check_finite = nan_safe and values.dtype.kind == "f"
    for block in blocks(values.shape, _BLOCK):
        part = values[block]
        good = np.isfinite(part) if check_finite else np.ones(part.shape, bool)
        if mask is not None and bits:
            good &= (mask[block] & mask.dtype.type(bits)) == 0
        if weights is not None:
            good &= np.isfinite(weights[block])
        if or_mask and mask is not None:
            collected |= int(np.bitwise_or.reduce(mask[block][good], initial=0))
        everything = bool(good.all())
        added = part.size if everything else int(np.count_nonzero(good))
        if chosen is None and not everything:
            chosen = [np.empty(values.size, column.dtype) for column in columns]
            for column, target in zip(columns, chosen, strict=True):
                target[:count] = column.reshape(-1)[:count]
        if chosen is not None:
            for column, target in zip(columns, chosen, strict=True):
                target[count : count + added] = column[block].ravel() if everything else column[block][good]
        count += added
    shared = chosen is None
    flat = [column.reshape(-1)[:count] for column in (columns if chosen is None else chosen)]
    rest = iter(flat[1:])
    return Sample(
        flat[0],
        None if weights is None else next(rest),
        None if variances is None else next(rest),
        values.size,
        collected,
        shared,
    )


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the pixels within bounds; w are weights (1 without any), d distances from a centre, v variances."""

    center: float
    n: int
    w: float
    ww: float
    wd: float
    wdd: float
    wv: float
    wwv: float

    @property
    def mean(self) -> float:
        """Weighted mean; NaN of nothing."""
        return self.center + self.wd / self.w if self.n and self.w else math.nan

    @property
    def variance(self) -> float:
        """Unbiased variance of one pixel, for weights that are no counts: ``W² / (W² - Σw²)``; NaN for one pixel."""
        if self.n < 2 or not self.w:
            return math.nan
        unbiased = self.w * self.w - self.ww
        if unbiased <= 0:
            return math.nan
        offset = self.wd / self.w
        biased = self.wdd / self.w - offset * offset
        return max(biased, 0.0) * (self.w * self.w / unbiased) if not math.isnan(biased) else math.nan


def moments(sample: Sample, center: float, half_width: float = math.inf) -> Moments:
    """Sum over the pixels with ``abs(x - center) <= half_width``, in one pass."""
    origin = center if math.isfinite(center) else 0.0
    parts = range(0, sample.values.size, _BLOCK)
    sums = np.zeros((len(parts), 7))  # of each part, so that no answer depends on how many cores there are

    def work(some: list[tuple[int, int]]) -> None:
        with np.errstate(all="ignore"):
            for place, start in some:
                sums[place] = _part_sums(sample, slice(start, start + _BLOCK), origin, half_width)

    share(sample.values.size, list(enumerate(parts)), work)
    n, *rest = sums.sum(axis=0).tolist()
    return Moments(origin, int(n), *rest)


def _part_sums(sample: Sample, part: slice, origin: float, half_width: float) -> tuple[float, ...]:
    """Return n, w, ww, wd, wdd, wv and wwv of a part of a sample (see `Moments`)."""
    d = np.subtract(sample.values[part], origin, dtype=np.float64)
    inside = np.abs(d) <= half_width if math.isfinite(half_width) else None
    if sample.weights is None and sample.variances is None:
        if inside is not None and not inside.all():
            np.copyto(d, 0.0, where=~inside)
        count = d.size if inside is None else int(np.count_nonzero(inside))
        return count, count, count, float(d.sum()), float(np.einsum("i,i->", d, d)), 0.0, 0.0
    keep = slice(None) if inside is None else inside
    d = d[keep]
    w = np.ones_like(d) if sample.weights is None else sample.weights[part][keep].astype(np.float64)
    wv = wwv = 0.0
    if sample.variances is not None:
        v = sample.variances[part][keep].astype(np.float64)
        wv, wwv = float((w * v).sum()), float((w * w * v).sum())
    return d.size, float(w.sum()), float((w * w).sum()), float((w * d).sum()), float((w * d * d).sum()), wv, wwv


def quantiles(sample: Sample, fractions: Sequence[float]) -> list[float]:
    """Return quantiles as ``np.quantile`` does by default: linear interpolation, for every type, in float64.

    May reorder the sample's values, unless they are shared, or weights or variances belong to them.
    """
    n = sample.values.size
    if not n:
        return [math.nan] * len(fractions)
    places = [fraction * (n - 1) for fraction in fractions]
    ranks = sorted({rank for place in places for rank in (math.floor(place), math.ceil(place))})
    if sample.values.dtype.kind == "f" and np.isnan(sample.values.max()):
        return [math.nan] * len(fractions)
    values = _ranked(sample, ranks)
    result = []
    for place in places:
        low = math.floor(place)
        left, right = values[low], values[math.ceil(place)]
        result.append(float(interpolate(np.float64(left), np.float64(right), place - low)))
    return result


def _ranked(sample: Sample, ranks: list[int]) -> dict[int, float]:
    """Return the values that sorting would bring to these places."""
    found = _bracketed(sample.values, ranks) if sample.values.size >= _BRACKET_PIXELS else {}
    missing = [rank for rank in ranks if rank not in found]
    if missing:
        fixed = sample.shared or sample.weights is not None or sample.variances is not None
        values = sample.values.copy() if fixed else sample.values
        values.partition(missing)
        found |= {rank: float(values[rank]) for rank in missing}
    return found


def _bracketed(values: NDArray[Any], ranks: list[int]) -> dict[int, float]:
    """Find values by rank in one pass: random ones tell between which two each lies, and only what is there is sorted.

    What the bounds miss (bad luck), or where too much lies between them, is left out of the answer.
    """
    n = values.size
    drawn = np.sort(values[np.random.default_rng(0).integers(0, n, _DRAWN)])
    brackets: dict[tuple[Any, Any], _Bracket] = {}
    for rank in ranks:
        middle, fraction = int(rank / n * _DRAWN), rank / n
        margin = int(6 * math.sqrt(_DRAWN * fraction * (1 - fraction))) + 2  # six standard deviations
        low, high = drawn[max(0, middle - margin)], drawn[min(_DRAWN - 1, middle + margin)]
        brackets.setdefault((low, high), _Bracket(n // 16)).ranks.append(rank)
    lock = Lock()

    def work(some: list[int]) -> None:
        for start in some:
            part = values[start : start + _BLOCK]
            for (low, high), bracket in brackets.items():
                beyond = part >= low
                below = part.size - int(np.count_nonzero(beyond))
                beyond &= part <= high
                inside = part[beyond] if bracket.room > 0 and low < high else part[:0]
                with lock:
                    bracket.below += below
                    bracket.size += int(np.count_nonzero(beyond))
                    bracket.room -= inside.size
                    bracket.inside.append(inside)

    share(n, list(range(0, n, _BLOCK)), work)
    found: dict[int, float] = {}
    for (low, high), bracket in brackets.items():
        places = {rank: rank - bracket.below for rank in bracket.ranks if 0 <= rank - bracket.below < bracket.size}
        if low == high:
            found |= dict.fromkeys(places, float(low))
        elif places and bracket.room > 0:
            inside = np.concatenate(bracket.inside)
            inside.partition(list(places.values()))
            found |= {rank: float(inside[place]) for rank, place in places.items()}
    return found


@dataclass(slots=True)
class _Bracket:
    """What one pass over the values finds out about those between two bounds."""

    room: int
    """How many more may be copied; none are left where this many were."""
    ranks: list[int] = field(default_factory=list)
    """Which places in the order of all are sought."""
    below: int = 0
    """How many lie below."""
    size: int = 0
    """How many lie between."""
    inside: list[NDArray[Any]] = field(default_factory=list)
    """These, unless the bounds are equal."""


def interpolate(left: Any, right: Any, fraction: Any) -> Any:
    """Return the value between two others, monotonic and exact at both ends (as numpy's quantiles do)."""
    with np.errstate(all="ignore"):
        step = right - left
        value = np.where(fraction < 0.5, left + step * fraction, right - step * (1 - fraction))
        return np.where(left == right, left, value)
