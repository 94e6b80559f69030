# ruff: noqa: E741 - the formulas are written with the letters of their definition, l and r
"""Fused arithmetic on the planes of images: block by block, so that every pixel is fetched from memory once.

Each formula is a ufunc or a small function of arrays, which numpy runs on blocks that stay in the cache, with a thread
for each core where an image is large (numpy lets go of the interpreter meanwhile). numexpr was tried, and no faster.
Nothing as large as an image is ever allocated, unless operands overlap in memory in a way that needs a copy.

Results of one operation on float32 are computed in float32 (they are rounded once either way), everything else in
float64, so no intermediate value overflows where the result fits.
"""

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .mask_schema import renumbered

__all__ = ["Arithmetic", "Block", "Operands", "blocks", "for_blocks", "require_castable", "run", "safe_operand"]

Pixels: TypeAlias = NDArray[Any]
Block: TypeAlias = tuple[slice, slice]
Formula: TypeAlias = Callable[..., Any]

BLOCK_PIXELS = 32_768  # four buffers of float64 of this size fit a second-level cache
_PARALLEL_PIXELS = 1_048_576  # below this, starting threads takes longer than they save


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What an operation does to each plane: l is the left pixel, r the right one, v their variances, c the factor.

    A formula that is no ufunc may write into its arrays: they are copies.
    """

    image: Formula
    """New image of (l, r), or of (l, r, c) in a scaled operation."""
    variance: Formula
    """New variance of (l, r, vl, vr), with c in a scaled operation; a ufunc is of (vl, vr) alone."""
    variance_exact: Formula | None
    """New variance of (r, vl) where the right side has none; None where it stays as it is."""
    divides: bool = False
    """Whether a zero on the right leaves no data."""
    scaled: bool = False
    """Whether there is a factor c."""


# Variances are multiplied one factor at a time, since no partial product is then outside of the range from the variance
# to the result: l²·vr as (vr·l)·l, for instance, where l² alone may overflow.
def _sum_scaled(l: Any, r: Any, c: float) -> Any:
    r *= c
    l += r
    return l


def _sum_scaled_variance(vl: Any, vr: Any, c: float) -> Any:
    vr *= c
    vr *= c
    vl += vr
    return vl


def _product_scaled(l: Any, r: Any, c: float) -> Any:
    r *= c
    l *= r
    return l


def _product_variance(l: Any, r: Any, vl: Any, vr: Any, c: float = 1.0) -> Any:
    """l²·vr + r²·vl, times c²."""
    vr *= l
    vr *= l
    vl *= r
    vl *= r
    vl += vr
    return _times_squared(vl, c)


def _product_variance_exact(r: Any, vl: Any, c: float = 1.0) -> Any:
    """r²·vl, times c²."""
    vl *= r
    vl *= r
    return _times_squared(vl, c)


def _quotient_scaled(l: Any, r: Any, c: float) -> Any:
    r *= c
    l /= r
    return l


def _quotient_variance(l: Any, r: Any, vl: Any, vr: Any, c: float = 1.0) -> Any:
    """(vl + (l/r)²·vr)/r², over c²."""
    l /= r
    l /= r
    vr *= l
    vr *= l
    vl /= r
    vl /= r
    vl += vr
    return _over_squared(vl, c)


def _quotient_variance_exact(r: Any, vl: Any, c: float = 1.0) -> Any:
    """vl/r², over c²."""
    vl /= r
    vl /= r
    return _over_squared(vl, c)


def _times_squared(vl: Any, c: float) -> Any:
    if c != 1.0:
        vl *= c
        vl *= c
    return vl


def _over_squared(vl: Any, c: float) -> Any:
    if c != 1.0:
        vl /= c
        vl /= c
    return vl


PLUS = Arithmetic(np.add, np.add, None)
MINUS = Arithmetic(np.subtract, np.add, None)
SCALED_PLUS = Arithmetic(_sum_scaled, _sum_scaled_variance, None, scaled=True)
MULTIPLIES = Arithmetic(np.multiply, _product_variance, _product_variance_exact)
SCALED_MULTIPLIES = Arithmetic(_product_scaled, _product_variance, _product_variance_exact, scaled=True)
DIVIDES = Arithmetic(np.divide, _quotient_variance, _quotient_variance_exact, divides=True)
SCALED_DIVIDES = Arithmetic(_quotient_scaled, _quotient_variance, _quotient_variance_exact, divides=True, scaled=True)


@dataclass(slots=True)
class Operands:
    """The arrays of one operation, all of one shape; the left ones are changed."""

    image: Pixels
    """l"""
    right: Pixels | float
    """r, an array or one number"""
    variance: Pixels | None = None
    """vl"""
    mask: Pixels | None = None
    """ml"""
    right_variance: Pixels | None = None
    """vr"""
    right_mask: Pixels | None = None
    """mr"""
    right_moves: list[tuple[int, int]] | None = None
    """How the bits of mr become those of ml (`MaskSchema.moves_from`); None where they are the same"""
    factor: float = 1.0
    """c"""
    no_data: int = 0
    """The bit to set in ml where r is zero and the operation divides."""


def blocks(shape: tuple[int, ...], pixels: int = BLOCK_PIXELS) -> Iterator[Block]:
    """Yield ``(rows, columns)`` of blocks of about so many pixels that together cover an image."""
    height, width = shape
    columns = min(width, pixels)
    rows = max(1, pixels // columns) if columns else 1
    for y in range(0, height, rows):
        for x in range(0, width, columns or 1):
            yield slice(y, y + rows), slice(x, x + columns)


def safe_operand(operand: Pixels, twin: Pixels, *others: Pixels | None) -> Pixels:
    """Return an operand that stays as it is while the left side is written, copied only if need be.

    Parameters
    ----------
    operand
        A plane of the right side.
    twin
        The plane of the left side that is written pixel by pixel after the same pixel of `operand` was read: it may be
        the very same view, but not a shifted one.
    others
        Further planes that are written.
    """
    same = (
        operand.__array_interface__["data"] == twin.__array_interface__["data"]
        and operand.strides == twin.strides
        and operand.dtype == twin.dtype
    )
    targets = [other for other in others if other is not None] + ([] if same else [twin])
    return operand.copy() if any(_overlap(operand, target) for target in targets) else operand


def _overlap(left: Pixels, right: Pixels) -> bool:
    """Whether two arrays share memory; in doubt, yes."""
    if not np.may_share_memory(left, right):
        return False
    try:
        return np.shares_memory(left, right, max_work=1000)  # type: ignore[arg-type]  # any number does
    except np.exceptions.TooHardError:
        return True


def require_castable(arithmetic: Arithmetic, image: np.dtype[Any], right: Any) -> None:
    """Refuse an operation whose result the pixels of an image cannot hold, such as quotients in integers."""
    result = np.result_type(image, right) if not arithmetic.scaled else np.result_type(image, right, 1.0)
    if arithmetic.divides and result.kind in "biu":
        result = np.dtype(np.float64)
    if not np.can_cast(result, image, "same_kind"):
        raise TypeError(f"{result} results do not fit {image} pixels; convert the left side first: astype('float32')")


def run(arithmetic: Arithmetic, operands: Operands) -> None:
    """Carry out an operation in place; everything must have been validated before.

    The variance uses l from before the operation. Where `arithmetic` divides and r (or c) is zero, the result is
    inf or NaN and the mask gains ``operands.no_data``.
    """
    for_blocks(operands.image.shape, BLOCK_PIXELS, lambda some: _run_blocks(arithmetic, operands, some))


def for_blocks(shape: tuple[int, ...], pixels: int, work: Callable[[list[Block]], None]) -> None:
    """Have all blocks of an image worked on, a share of them by each core where the image is large."""
    everything = list(blocks(shape, pixels))
    workers = min(_cores(), len(everything)) if math.prod(shape) >= _PARALLEL_PIXELS else 1
    if workers <= 1:
        work(everything)
        return
    share = -(-len(everything) // workers)
    parts = [everything[start : start + share] for start in range(0, len(everything), share)]
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work, part) for part in parts]:
            done.result()


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_blocks(arithmetic: Arithmetic, o: Operands, some: list[Block]) -> None:
    """Carry out an operation on some of the blocks."""
    with np.errstate(all="ignore"):
        image_type = _work_type(o, arithmetic.scaled)
    variance_type = np.result_type(image_type, np.float64)
    formula: Formula | None = None
    if o.variance is not None:
        formula = arithmetic.variance_exact if o.right_variance is None else arithmetic.variance
    scratch = _Scratch()
    with np.errstate(all="ignore"):
        for block in some:
            values = {"l": o.image[block], "r": o.right[block] if isinstance(o.right, np.ndarray) else o.right}
            if arithmetic.scaled:
                values["c"] = o.factor
            if formula is not None and o.variance is not None:  # before the image, whose old values it needs
                variances = {"vl": o.variance[block]}
                if o.right_variance is not None:
                    variances["vr"] = o.right_variance[block]
                if isinstance(formula, np.ufunc):
                    variance_type = _sum_type(variances["vl"], variances["vr"])
                    variances = {"l": variances["vl"], "r": variances["vr"]}
                scratch.compute(formula, values | variances, variance_type, o.variance[block])
            if o.mask is not None:
                _combine_masks(arithmetic, o, block, values["r"])
            scratch.compute(arithmetic.image, values, image_type, o.image[block])


def _combine_masks(arithmetic: Arithmetic, o: Operands, block: Block, right: Any) -> None:
    """Merge the masks of a block, and mark where a division by zero leaves nothing."""
    assert o.mask is not None  # noqa: S101 - for the type checker; the caller has asked
    mask = o.mask[block]
    if o.right_mask is not None:
        right_mask = o.right_mask[block]
        if o.right_moves is not None:
            right_mask = renumbered(right_mask, o.right_moves, mask.dtype)
        mask |= right_mask.astype(mask.dtype, copy=False)
    if arithmetic.divides and o.no_data:
        zero = np.equal(right, 0) if o.factor else np.True_
        if zero.any():
            mask |= np.where(zero, o.mask.dtype.type(o.no_data), o.mask.dtype.type(0))


def _work_type(o: Operands, scaled: bool) -> np.dtype[Any]:
    """Return the type in which the image is computed: float64, unless a narrower one gives the same answer."""
    left, right = o.image.dtype, o.right
    if isinstance(right, np.ndarray):
        if not scaled and left == right.dtype and (left == np.float32 or left.kind in "biu"):
            return left
        return np.result_type(left, right.dtype, np.float64)
    if left.kind in "biu":
        return left
    if left == np.float32 and not scaled and np.float32(right) == right:
        return left
    return np.result_type(left, np.float64)


class _Scratch:
    """Arrays for one block's operands, used again for every block: fresh ones cost more than the arithmetic."""

    def __init__(self) -> None:
        self._arrays: dict[str, Pixels] = {}

    def compute(self, formula: Formula, values: dict[str, Any], dtype: np.dtype[Any], out: Pixels) -> None:
        """Evaluate a formula on one block in a given type, and store the result in `out`."""
        if isinstance(formula, np.ufunc):
            formula(values["l"], values["r"], out=out, dtype=dtype, casting="same_kind")
            return
        names = formula.__code__.co_varnames[: formula.__code__.co_argcount]
        copies = [self._copy(name, values[name], dtype) for name in names if name in values]
        np.copyto(out, formula(*copies), casting="same_kind")

    def _copy(self, name: str, value: Any, dtype: np.dtype[Any]) -> Any:
        """Return a copy of a block in a given type; numbers as they are."""
        if not isinstance(value, np.ndarray):
            return dtype.type(value)
        array = self._arrays.get(name)
        if array is None or array.shape != value.shape or array.dtype != dtype:
            array = self._arrays[name] = np.empty(value.shape, dtype)
        np.copyto(array, value)
        return array


def _sum_type(left: Pixels, right: Pixels) -> np.dtype[Any]:
    """Return the type in which a sum is computed: that of both terms, else float64 at least."""
    return left.dtype if left.dtype == right.dtype else np.result_type(left, right, np.float64)
