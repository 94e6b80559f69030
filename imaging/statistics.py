"""Statistics of pixels: aware of masks, NaN, weights and outliers, and with errors.

``make_statistics(masked_image, MEAN | STDEV | ERRORS, control)`` computes what was asked for, and nothing else, from
one selection of good pixels. A good pixel has none of the control's mask bits, and is finite where ``nan_safe``.
"""

import math
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model.lsst_names import LsstNames
from .image import Image
from .mask import Mask
from .masked_image import MaskedImage
from .moments import IQR_TO_STDEV, Moments, Sample, moments, quantiles, select
from .statistics_control import (
    ERRORS,
    IQRANGE,
    MAX,
    MEAN,
    MEANCLIP,
    MEANSQUARE,
    MEDIAN,
    MIN,
    NCLIPPED,
    NMASKED,
    NOTHING,
    NPOINT,
    ORMASK,
    STDEV,
    STDEVCLIP,
    SUM,
    VARIANCE,
    VARIANCECLIP,
    Property,
    StatisticsControl,
    string_to_statistics_property,
)

__all__ = [
    "ERRORS",
    "IQRANGE",
    "MAX",
    "MEAN",
    "MEANCLIP",
    "MEANSQUARE",
    "MEDIAN",
    "MIN",
    "NCLIPPED",
    "NMASKED",
    "NOTHING",
    "NPOINT",
    "ORMASK",
    "STDEV",
    "STDEVCLIP",
    "SUM",
    "VARIANCE",
    "VARIANCECLIP",
    "Property",
    "Statistics",
    "StatisticsControl",
    "make_statistics",
    "string_to_statistics_property",
]


_CLIPPED = MEANCLIP | STDEVCLIP | VARIANCECLIP | NCLIPPED
_UNCLIPPED = MEAN | STDEV | VARIANCE | MEANSQUARE


class Statistics(LsstNames):
    """What `make_statistics` found: ``stats[MEAN]``, ``stats.value(MEAN)``, ``stats.error(MEAN)``."""

    __slots__ = ("_results",)

    def __init__(self, results: dict[Property, tuple[float, float]]) -> None:
        self._results = results

    def result(self, which: Property | int | None = None) -> tuple[float, float]:
        """Return a property's value and error; of the only one asked for, where none is named.

        Raises
        ------
        ValueError
            If the property was not asked for, or none is named and several were.
        """
        if which is None:
            if len(self._results) != 1:
                raise ValueError(f"say which of {self._asked()} is meant")
            return next(iter(self._results.values()))
        try:
            return self._results[Property(which)]
        except KeyError:
            raise ValueError(f"{Property(which)!r} was not asked for, only {self._asked()}") from None

    def value(self, which: Property | int | None = None) -> float:
        """Return a property's value; of the only one asked for, where none is named."""
        return self.result(which)[0]

    def error(self, which: Property | int | None = None) -> float:
        """Return a property's standard error; NaN unless ERRORS was asked for."""
        return self.result(which)[1]

    __getitem__ = value

    @property
    def or_mask(self) -> int:
        """The OR of the masks of the pixels used, which ORMASK asks for."""
        return int(self.value(ORMASK))

    def _asked(self) -> str:
        return ", ".join(str(which.name) for which in self._results) or "nothing"

    def __repr__(self) -> str:
        return f"Statistics({', '.join(f'{which.name}={value:.6g}' for which, (value, _) in self._results.items())})"


@overload
def make_statistics(
    what: MaskedImage | Image | Mask | ArrayLike,
    flags: Property | int,
    control: StatisticsControl | None = None,
    *,
    mask: Mask | None = None,
    weights: Image | ArrayLike | None = None,
) -> Statistics: ...
@overload
def make_statistics(
    what: MaskedImage | Image | ArrayLike,
    beside: Mask | Image | ArrayLike,
    flags: Property | int,
    control: StatisticsControl | None = None,
    /,
) -> Statistics: ...
def make_statistics(what: Any, *given: Any, **named: Any) -> Statistics:
    """Compute statistics of pixels.

    Parameters
    ----------
    what
        The pixels. Of a mask, only NPOINT and SUM (the OR of its pixels) can be asked for.
    flags
        What to compute, combined with ``|``; ERRORS for the errors too.
    control
        How.
    mask
        For an image or array: its mask.
    weights
        A weight for each pixel.
    beside
        As LSST's code has it, the mask or the weights between the pixels and the flags.

    Returns
    -------
    statistics : `Statistics`
        Without good pixels NPOINT and SUM are 0 and the others NaN.

    Raises
    ------
    ValueError
        If there is no pixel at all, flags are unknown or do not go with `what`, or sizes differ.
    TypeError
        If the flags are no properties.
    """
    if given and not isinstance(given[0], int | np.integer | str):
        named["mask" if isinstance(given[0], Mask) else "weights"] = given[0]
        given = given[1:]
    return _make_statistics(what, *given, **named)


def _make_statistics(
    what: Any,
    flags: Property | int,
    control: StatisticsControl | None = None,
    *,
    mask: Mask | None = None,
    weights: Image | ArrayLike | None = None,
) -> Statistics:
    """Compute statistics of pixels, of whatever `make_statistics` was given."""
    control = control or StatisticsControl()
    if not isinstance(control, StatisticsControl):
        raise TypeError(f"the control is a StatisticsControl, not {control!r}; write mask= and weights= for these")
    control.check()
    asked = _checked_flags(flags)
    variance: NDArray[Any] | None = None
    if isinstance(what, Mask):
        return _of_mask(what, asked)
    if isinstance(what, MaskedImage):
        mask = what.mask if mask is None else mask
        variance, what = what.variance.array, what.image
    values = _plane(what, "pixels")
    if not values.size:
        raise ValueError("there are no pixels to make statistics of")
    if control.weighted is False:
        weights = None
    given, by_variance = None if weights is None else _plane(weights, "weights"), False
    if control.weighted and given is None:
        if variance is None:
            raise ValueError("weighted statistics need weights, or a masked image for its variance")
        given, by_variance = variance, True
    from_variance = control.calc_error_from_input_variance or control.calc_error_mosaic_mode
    if from_variance and asked & ERRORS and variance is None:
        raise ValueError("errors from the input variance need a masked image, which has one")
    mask_array = None if mask is None else mask.array.reshape(_two_dimensional(mask.array.shape))
    for name, plane in (("mask", mask_array), ("weights", given)):
        if plane is not None and plane.shape != values.shape:
            raise ValueError(f"the {name} has shape {plane.shape}, but the pixels have {values.shape}")
    sample = select(
        values,
        mask_array,
        0 if mask is None else mask.selection(control.and_mask),
        nan_safe=control.nan_safe,
        weights=given,
        inverse=by_variance,
        variances=variance if from_variance and asked & ERRORS else None,
        or_mask=bool(asked & ORMASK),
    )
    return Statistics(_compute(sample, asked, control))


def _checked_flags(flags: Property | int) -> Property:
    """Return flags as properties, refusing bits that mean nothing."""
    if not isinstance(flags, int | np.integer):
        raise TypeError(
            f"flags are properties, such as MEAN | STDEV, not {flags!r}; string_to_statistics_property(name) gives one"
        )
    every = 0
    for member in Property:
        every |= member.value
    if int(flags) & ~every:
        raise ValueError(
            f"{int(flags) & ~every:#x} is no statistics property; there are {', '.join(Property.__members__)}"
        )
    return Property(flags)


def _two_dimensional(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) == 2 else (1, math.prod(shape))


def _plane(what: Image | ArrayLike, name: str) -> NDArray[Any]:
    """Return pixels as an array of two dimensions."""
    array = what.array if isinstance(what, Image) else np.asarray(what)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"statistics are made of numbers, not of {name} of type {array.dtype}")
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    return array.reshape(_two_dimensional(array.shape))


def _of_mask(mask: Mask, asked: Property) -> Statistics:
    """Return the number of pixels of a mask and the OR of them."""
    impossible = asked & ~(NPOINT | SUM | ERRORS)
    if impossible:
        raise ValueError(f"a mask has only NPOINT and SUM (the OR of its pixels), not {impossible!r}")
    if not mask.array.size:
        raise ValueError("there are no pixels to make statistics of")
    error = 0.0 if asked & ERRORS else math.nan
    results = {NPOINT: (mask.array.size, error), SUM: (int(np.bitwise_or.reduce(mask.array, axis=None)), error)}
    return Statistics({which: result for which, result in results.items() if asked & which})


def _compute(sample: Sample, asked: Property, control: StatisticsControl) -> dict[Property, tuple[float, float]]:
    """Compute the properties asked for, each with its error (NaN unless ERRORS is asked for)."""
    n, weighted = sample.n, sample.weights is not None
    errors = bool(asked & ERRORS)
    found: dict[Property, tuple[float, float]] = {
        NPOINT: (n, 0.0),
        NMASKED: (sample.values.size - n, 0.0),
        ORMASK: (sample.or_mask, 0.0),
    }
    if asked & (MIN | MAX):
        for which, extreme in ((MIN, np.min), (MAX, np.max)):
            found[which] = (float(extreme(sample.of_each(extreme))), 0.0) if n else (math.nan, math.nan)
    center = math.nan
    if asked & (MEDIAN | IQRANGE | _CLIPPED):
        quartiles = quantiles(sample, (0.25, 0.5, 0.75)) if asked & ~MEDIAN & (IQRANGE | _CLIPPED) else None
        center = quartiles[1] if quartiles else quantiles(sample, (0.5,))[0]
        iqr = quartiles[2] - quartiles[0] if quartiles else math.nan
        if asked & _CLIPPED:
            found |= _clipped(sample, center, iqr, control)
    if asked & (_UNCLIPPED | SUM) or (errors and asked & (MEDIAN | IQRANGE)):
        pivot = center
        if n and not math.isfinite(pivot):
            pivot = sample.sum() / n
        whole = moments(sample, pivot)
        found |= _unclipped(whole, control)
        found[SUM] = (_sum(sample, whole, weighted), 0.0)
        deviation = math.sqrt(whole.variance)
    if asked & (MEDIAN | IQRANGE):
        scale = deviation / math.sqrt(n) if errors and n else math.nan
        # of a normal distribution: the median has variance π/2 · σ²/n, the difference of the quartiles
        # (1/4) / φ(0.6745)² · σ²/n, where φ(0.6745) = 0.317777 is the density at a quartile
        found[MEDIAN] = (center, math.sqrt(math.pi / 2) * scale) if asked & MEDIAN else (math.nan, math.nan)
        found[IQRANGE] = (iqr, 0.5 / 0.3177765727 * scale) if asked & IQRANGE else (math.nan, math.nan)
    return {
        which: (found[which][0], found[which][1] if errors else math.nan)
        for which in Property
        if asked & which and which is not ERRORS
    }


def _sum(sample: Sample, whole: Moments, weighted: bool) -> float:
    """Return the sum of the good pixels, weighted where there are weights; 0 of none."""
    if not whole.n:
        return 0.0
    return whole.wd + whole.center * whole.w if weighted else sample.sum()


def _mean_error(sums: Moments, control: StatisticsControl) -> float:
    """Return the error of a mean, from the scatter of the pixels or from their variances."""
    if not sums.n or not sums.w:
        return math.nan
    if control.calc_error_from_input_variance:
        return math.sqrt(sums.wwv) / sums.w
    if control.calc_error_mosaic_mode:
        return math.sqrt(sums.wv / sums.w)
    return math.sqrt(sums.variance / sums.n)


def _spread(sums: Moments) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return (VARIANCE, error) and (STDEV, error); the errors are those of a normal distribution."""
    variance = sums.variance
    deviation = math.sqrt(variance)
    error = math.sqrt(2 * (sums.n - 1)) * variance / sums.n if sums.n else math.nan
    return (variance, error), (deviation, 0.5 * error / deviation if deviation else 0.0 if error == 0 else math.nan)


def _unclipped(sums: Moments, control: StatisticsControl) -> dict[Property, tuple[float, float]]:
    """Return the properties of all good pixels that are made of sums."""
    variance, deviation = _spread(sums)
    n, mean = sums.n, sums.mean
    spread = variance[0] if n > 1 else 0.0
    square = (n - 1) / n * spread + mean * mean if n else math.nan
    # of a normal distribution: var(x²) = 2σ⁴ + 4μ²σ²
    square_error = math.sqrt((2 * variance[0] ** 2 + 4 * mean * mean * variance[0]) / n) if n else math.nan
    return {
        MEAN: (mean, _mean_error(sums, control)),
        VARIANCE: variance,
        STDEV: deviation,
        MEANSQUARE: (square, square_error),
    }


def _clipped(
    sample: Sample, median: float, iqr: float, control: StatisticsControl
) -> dict[Property, tuple[float, float]]:
    """Clip repeatedly: first about the median, as wide as the quartiles say, then about the clipped mean."""
    center, half_width = median, control.num_sigma_clip * IQR_TO_STDEV * iqr
    sums = Moments(0.0, 0, *[0.0] * 6)
    if math.isfinite(center) and math.isfinite(half_width):
        for _ in range(control.num_iter):
            sums = moments(sample, center, half_width)
            if not sums.n:
                break
            center = sums.mean
            if sums.n > 1:
                half_width = control.num_sigma_clip * math.sqrt(sums.variance)
    variance, deviation = _spread(sums)
    return {
        MEANCLIP: (sums.mean, _mean_error(sums, control)),
        VARIANCECLIP: variance,
        STDEVCLIP: deviation,
        NCLIPPED: (sample.n - sums.n, 0.0),
    }
