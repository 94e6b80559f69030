"""The numerical core of statistics: selecting good pixels, quantiles, and sums over what lies within bounds.

Everything is accumulated in float64, block by block, around a centre near the mean, so that nothing cancels. Pixels are
never copied but for a few at a time: beside the image, memory holds only which pixels are good.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import BLOCK_PIXELS, Block, blocks, share

__all__ = ["IQR_TO_STDEV", "Moments", "Sample", "interpolate", "moments", "quantiles", "select"]

IQR_TO_STDEV = 0.741301109252802
"""The standard deviation of a normal distribution, in units of its interquartile range."""

_BRACKET_PIXELS = 65_536  # from how many on drawing some of them is worth it
_DRAWN = 65_536
_DRAWN_AT_ONCE = 4096  # what says where they are takes six times the room that they do
_FEWEST_DRAWN = 3072
_MOST_COUNTS = 65_536
_SMALLEST_BLOCK = 4096


@dataclass(slots=True)
class Sample:
    """The good pixels of an image."""

    values: NDArray[Any]
    """All pixels, shape (height, width), in their own type."""
    good: NDArray[np.bool_] | None
    """Which are good; None where all are."""
    n: int
    """How many are."""
    weights: NDArray[Any] | None
    """The weight of each, or None where all are 1."""
    inverse: bool
    """Whether the weight is 1 by what stands in `weights`."""
    variances: NDArray[Any] | None
    """The variance of each, where errors are calculated from it."""
    finite: bool
    """Whether no good pixel is NaN or infinite."""
    or_mask: int
    """OR of the masks of the good pixels."""

    def of(self, block: Block) -> NDArray[Any]:
        """Return the good pixels of a block as one line."""
        part = self.values[block]
        return part.ravel() if self.good is None else part[self.good[block]]

    def of_each(self, function: Callable[[NDArray[Any]], Any]) -> list[float]:
        """Return what a function says of the good pixels of each block that has some."""
        parts = _parts(self.values)
        found: list[float | None] = [None] * len(parts)

        def work(some: list[tuple[int, Block]]) -> None:
            for place, block in some:
                pixels = self.of(block)
                if pixels.size:
                    found[place] = float(function(pixels))

        share(self.values.size, list(enumerate(parts)), work)
        return [value for value in found if value is not None]

    def sum(self) -> float:
        """Return the sum of the good pixels, without weights."""
        with np.errstate(all="ignore"):
            return float(np.sum(self.of_each(lambda pixels: pixels.sum(dtype=np.float64))))


def select(
    values: NDArray[Any],
    mask: NDArray[Any] | None,
    bits: int,
    *,
    nan_safe: bool,
    weights: NDArray[Any] | None = None,
    inverse: bool = False,
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
    inverse
        Whether weights are 1 by `weights`; then only a pixel where these are more than 0 is good.
    or_mask
        Whether to collect the masks of the good pixels.
    """
    floating = values.dtype.kind == "f"
    check_mask = mask is not None and bits != 0
    good = None
    if check_mask or or_mask or weights is not None or (nan_safe and floating):
        good = np.empty(values.shape, bool)
    n, collected, lock = values.size, 0, Lock()

    def work(some: list[Block]) -> None:
        nonlocal n, collected
        for block in some:
            part = good[block]  # type: ignore[index]  # which there is
            if nan_safe and floating:
                np.isfinite(values[block], out=part)
            else:
                part[...] = True
            if mask is not None and check_mask:
                part &= (mask[block] & mask.dtype.type(bits)) == 0
            if weights is not None:
                part &= np.isfinite(weights[block])
                if inverse:
                    part &= weights[block] > 0
            seen = int(np.bitwise_or.reduce(mask[block][part], initial=0)) if mask is not None and or_mask else 0
            bad = part.size - int(np.count_nonzero(part))
            with lock:
                n -= bad
                collected |= seen

    if good is not None:
        share(n, _parts(values), work)
    kept = None if n == values.size else good
    return Sample(values, kept, n, weights, inverse, variances, nan_safe or not floating, collected)


def _parts(values: NDArray[Any]) -> list[Block]:
    """Return blocks of an image to work on: small ones of small images, so that they need little memory beside it."""
    return list(blocks(values.shape, min(BLOCK_PIXELS, max(_SMALLEST_BLOCK, values.size // 64))))


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
    parts = _parts(sample.values)
    sums = np.zeros((len(parts), 7))  # of each part, so that no answer depends on how many cores there are

    def work(some: list[tuple[int, Block]]) -> None:
        with np.errstate(all="ignore"):
            for place, block in some:
                sums[place] = _part_sums(sample, block, origin, half_width)

    share(sample.values.size, list(enumerate(parts)), work)
    n, *rest = sums.sum(axis=0).tolist()
    return Moments(origin, int(n), *rest)


def _part_sums(sample: Sample, block: Block, origin: float, half_width: float) -> tuple[float, ...]:
    """Return n, w, ww, wd, wdd, wv and wwv of a block of a sample (see `Moments`)."""
    d = np.subtract(sample.values[block], origin, dtype=np.float64)
    inside = None if sample.good is None else sample.good[block]
    if math.isfinite(half_width):
        near = d <= half_width
        near &= d >= -half_width
        inside = near if inside is None else np.logical_and(near, inside, out=near)
    if sample.weights is None and sample.variances is None:
        count = d.size if inside is None else int(np.count_nonzero(inside))
        if inside is not None and count < d.size:
            np.copyto(d, 0.0, where=~inside)
        d = d.ravel()
        return count, count, count, float(d.sum()), float(np.einsum("i,i->", d, d)), 0.0, 0.0
    keep: Any = slice(None) if inside is None else inside
    d = d[keep].ravel()
    w = np.ones_like(d) if sample.weights is None else sample.weights[block][keep].ravel().astype(np.float64)
    if sample.inverse:
        np.divide(1.0, w, out=w)
    wv = wwv = 0.0
    if sample.variances is not None:
        v = sample.variances[block][keep].ravel().astype(np.float64)
        wv, wwv = float((w * v).sum()), float((w * w * v).sum())
    return d.size, float(w.sum()), float((w * w).sum()), float((w * d).sum()), float((w * d * d).sum()), wv, wwv


def quantiles(sample: Sample, fractions: Sequence[float]) -> list[float]:
    """Return quantiles as ``np.quantile`` does by default: linear interpolation, for every type, in float64."""
    n = sample.n
    if not n or (not sample.finite and any(sample.of_each(lambda pixels: np.isnan(pixels).any()))):
        return [math.nan] * len(fractions)
    places = [fraction * (n - 1) for fraction in fractions]
    ranks = sorted({rank for place in places for rank in (math.floor(place), math.ceil(place))})
    values = _ranked(sample, ranks)
    result = []
    for place in places:
        low = math.floor(place)
        left, right = values[low], values[math.ceil(place)]
        result.append(float(interpolate(np.float64(left), np.float64(right), place - low)))
    return result


def _ranked(sample: Sample, ranks: list[int]) -> dict[int, float]:
    """Return the values that sorting would bring to these places."""
    found = _bracketed(sample, ranks) if sample.n >= _BRACKET_PIXELS else {}
    missing = [rank for rank in ranks if rank not in found]
    if missing:
        values = sample.values.flatten() if sample.good is None else sample.values[sample.good]
        values.partition(missing)
        found |= {rank: float(values[rank]) for rank in missing}
    return found


def _bracketed(sample: Sample, ranks: list[int]) -> dict[int, float]:
    """Find values by rank in one pass: random ones tell between which two each lies, and only what is there is sorted.

    What the bounds miss (bad luck), or where too much lies between them, is left out of the answer.
    """
    n = sample.n
    rng, count = np.random.default_rng(0), min(_DRAWN, n // 16)
    drawn = np.sort(np.concatenate([_drawn(sample, rng) for _ in range(0, count, _DRAWN_AT_ONCE)]))
    if drawn.size < _FEWEST_DRAWN:
        return {}
    brackets: dict[tuple[Any, Any], _Bracket] = {}
    for rank in ranks:
        middle, fraction = int(rank / n * drawn.size), rank / n
        margin = int(6 * math.sqrt(drawn.size * fraction * (1 - fraction))) + 2  # six standard deviations
        low, high = drawn[max(0, middle - margin)], drawn[min(drawn.size - 1, middle + margin)]
        brackets.setdefault((low, high), _Bracket.between(low, high, n // 16)).ranks.append(rank)
    lock = Lock()

    def work(some: list[Block]) -> None:
        for block in some:
            part = sample.of(block)
            for (low, high), bracket in brackets.items():
                beyond = part >= low
                below = part.size - int(np.count_nonzero(beyond))
                beyond &= part <= high
                inside = part[beyond] if bracket.room > 0 else part[:0]
                counts = None
                if bracket.counts is not None:
                    steps = inside.astype(np.int64) - low.astype(np.int64)
                    counts = np.bincount(steps, minlength=bracket.counts.size)
                with lock:
                    bracket.below += below
                    bracket.size += int(np.count_nonzero(beyond))
                    if bracket.counts is not None and counts is not None:
                        bracket.counts += counts
                    else:
                        bracket.room -= inside.size
                        bracket.inside.append(inside)

    share(sample.values.size, _parts(sample.values), work)
    found: dict[int, float] = {}
    for (low, _), bracket in brackets.items():
        inner = {rank: rank - bracket.below for rank in bracket.ranks if 0 <= rank - bracket.below < bracket.size}
        if bracket.counts is not None:
            upto = np.cumsum(bracket.counts)
            found |= {rank: float(low) + int(np.searchsorted(upto, place, "right")) for rank, place in inner.items()}
        elif inner and bracket.room > 0:
            inside = np.concatenate(bracket.inside)
            inside.partition(list(inner.values()))
            found |= {rank: float(inside[place]) for rank, place in inner.items()}
    return found


def _drawn(sample: Sample, rng: np.random.Generator) -> NDArray[Any]:
    """Return those that are good of some random pixels."""
    height, width = sample.values.shape
    places = np.divmod(rng.integers(0, height * width, _DRAWN_AT_ONCE), width)
    values: NDArray[Any] = sample.values[places]
    return values if sample.good is None else values[sample.good[places]]


@dataclass(slots=True)
class _Bracket:
    """What one pass over the values finds out about those between two bounds."""

    room: int
    """How many more may be copied; none are left where this many were."""
    counts: NDArray[np.int64] | None
    """Of integers near to each other: how many there are of each from the lower bound on, instead of copies."""
    ranks: list[int] = field(default_factory=list)
    """Which places in the order of all are sought."""
    below: int = 0
    """How many lie below."""
    size: int = 0
    """How many lie between."""
    inside: list[NDArray[Any]] = field(default_factory=list)
    """These."""

    @classmethod
    def between(cls, low: Any, high: Any, room: int) -> "_Bracket":
        """Make a bracket for what two values bound."""
        span = int(high) - int(low) if low.dtype.kind in "iu" else _MOST_COUNTS
        return cls(room, np.zeros(span + 1, np.int64) if span < _MOST_COUNTS else None)


def interpolate(left: Any, right: Any, fraction: Any) -> Any:
    """Return the value between two others, monotonic and exact at both ends (as numpy's quantiles do)."""
    with np.errstate(all="ignore"):
        step = right - left
        value = np.where(fraction < 0.5, left + step * fraction, right - step * (1 - fraction))
        return np.where(left == right, left, value)
