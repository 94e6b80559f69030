# ruff: noqa: E741 - the formulas are written with the letters of their definition, l and r
"""Fused arithmetic on the planes of images: block by block, so that every pixel is fetched from memory once.

Each formula is a ufunc or a small function of arrays, which numpy runs on blocks that stay in the cache, with a thread
for each core where an image is large (numpy lets go of the interpreter meanwhile). This measures faster than numexpr.
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

BLOCK_PIXELS = 65_536  # a few buffers of float64 of this size fit a second-level cache
_PARALLEL_PIXELS = 1_048_576  # below this, starting threads takes longer than they save


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What an operation does to each plane: l is the left pixel, r the right one, v their variances, c the factor."""

    image: Formula
    """New image of (l, r), or of (l, r, c) in a scaled operation."""
    variance: Formula | None
    """New variance of (l, r, vl, vr), with c in a scaled operation; a ufunc is of (vl, vr) alone."""
    variance_exact: Formula | None
    """New variance of (l, r, vl) where the right side has none; None where it stays as it is."""
    divides: bool = False
    """Whether a zero on the right leaves no data."""
    scaled: bool = False
    """Whether there is a factor c."""


def _quotient_variance(l: Any, r: Any, vl: Any, vr: Any) -> Any:
    slope = l / r / r  # how fast l/r changes with r
    return vl / r / r + slope * vr * slope


# Factors are multiplied in an order in which no partial product is outside of the range of vr ... result: (l*vr)*l, for
# instance, lies between vr and l²·vr, while l² alone may overflow.
PLUS = Arithmetic(np.add, np.add, None)
MINUS = Arithmetic(np.subtract, np.add, None)
SCALED_PLUS = Arithmetic(lambda l, r, c: l + c * r, lambda l, r, vl, vr, c: vl + c * vr * c, None, scaled=True)
MULTIPLIES = Arithmetic(
    np.multiply,
    lambda l, r, vl, vr: l * vr * l + r * vl * r,
    lambda l, r, vl: r * vl * r,
)
SCALED_MULTIPLIES = Arithmetic(
    lambda l, r, c: l * (c * r),
    lambda l, r, vl, vr, c: (l * vr * l + r * vl * r) * c * c,
    lambda l, r, vl, c: r * vl * r * c * c,
    scaled=True,
)
DIVIDES = Arithmetic(np.divide, _quotient_variance, lambda l, r, vl: vl / r / r, divides=True)
SCALED_DIVIDES = Arithmetic(
    lambda l, r, c: l / (c * r),
    lambda l, r, vl, vr, c: _quotient_variance(l, r, vl, vr) / c / c,
    lambda l, r, vl, c: vl / r / r / c / c,
    divides=True,
    scaled=True,
)


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
    operand : array
        A plane of the right side.
    twin : array
        The plane of the left side that is written pixel by pixel after the same pixel of `operand` was read: it may be
        the very same view, but not a shifted one.
    others : array or None
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
    image_type = _work_type(o, arithmetic.scaled)
    formula = None
    if o.variance is not None:
        formula = arithmetic.variance_exact if o.right_variance is None else arithmetic.variance
    with np.errstate(all="ignore"):
        for block in some:
            values = {"l": o.image[block], "r": o.right[block] if isinstance(o.right, np.ndarray) else o.right}
            if arithmetic.scaled:
                values["c"] = o.factor
            if formula is not None and o.variance is not None:  # before the image, whose old values it needs
                variances = {"vl": o.variance[block]}
                if o.right_variance is not None:
                    variances["vr"] = o.right_variance[block]
                variance_type = np.result_type(image_type, np.float64)
                if isinstance(formula, np.ufunc) and o.right_variance is not None:
                    variances = {"l": variances["vl"], "r": variances["vr"]}
                    variance_type = _sum_type(o.variance, o.right_variance)
                _compute(formula, values | variances, variance_type, o.variance[block])
            if o.mask is not None:
                _combine_masks(arithmetic, o, block, values["r"])
            _compute(arithmetic.image, values, image_type, o.image[block])


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


def _compute(formula: Formula, values: dict[str, Any], dtype: np.dtype[Any], out: Pixels) -> None:
    """Evaluate a formula on one block in a given type, and store the result in `out`."""
    if isinstance(formula, np.ufunc):
        formula(values["l"], values["r"], out=out, dtype=dtype, casting="same_kind")
        return
    names = formula.__code__.co_varnames[: formula.__code__.co_argcount]
    out[...] = formula(*[np.asarray(values[name]).astype(dtype, copy=False) for name in names])


def _sum_type(left: Pixels, right: Pixels) -> np.dtype[Any]:
    """Return the type in which a sum is computed: that of both terms, else float64 at least."""
    return left.dtype if left.dtype == right.dtype else np.result_type(left, right, np.float64)
