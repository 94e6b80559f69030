# ruff: noqa: E741 - the formulas are written with the letters of their definition, l and r
"""Arithmetic on the planes of images, fused: every pixel is fetched from memory once, and written once.

Each formula is one function, of numbers as of arrays. Where numba is installed (``skybutler[fast]``) and the image is
large, loops over the pixels are compiled from it (`compiled`); otherwise numpy evaluates it on blocks that stay in the
cache. Both give the same bits. Sums in one type are numpy's own, plane by plane: nothing is faster. Nothing as large as
an image is ever allocated, unless operands overlap in memory in a way that needs a copy.

Formulas are computed in float64, so that no intermediate value overflows where the result fits; one operation on two
numbers of the same type in that type, which rounds to the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import compiled
from .blocks import BLOCK_PIXELS, Block, for_blocks
from .mask_schema import renumbered

__all__ = ["Arithmetic", "Operands", "require_castable", "run", "safe_operand"]

Pixels: TypeAlias = NDArray[Any]
Formula: TypeAlias = Callable[..., Any]

_SUM_PIXELS = 262_144
"""Blocks of sums of one type, which are numpy's own: nothing has to stay in the cache, and fewer of them are faster."""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What an operation does to each plane: l is the left pixel, r the right one, v their variances, c the factor."""

    name: str
    """What `compiled` calls it."""
    single: np.ufunc
    """New image of (l, r) where there is no factor."""
    image: Formula
    """New image of (l, r, c)."""
    variance: Formula
    """New variance of (l, r, vl, vr, c)."""
    variance_exact: Formula | None
    """New variance of (r, vl, c) where the right side has none; None where it stays as it is."""
    divides: bool = False
    """Whether a zero on the right leaves no data."""


# Variances are multiplied one factor at a time, since no partial product is then outside of the range from the variance
# to the result: l²·vr as (vr·l)·l, for instance, where l² alone may overflow. What a formula has made itself it goes on
# to work in, which on blocks is half of the time; and numbers are divided once, since that takes as long as much else.
def sum_image(l: Any, r: Any, c: Any) -> Any:
    """Return l + c·r."""
    return l + _scaled(r, c)


def sum_variance(_l: Any, _r: Any, vl: Any, vr: Any, c: Any) -> Any:
    """Return vl + c²·vr."""
    return vl + _scaled(_scaled(vr, c), c)


def product_image(l: Any, r: Any, c: Any) -> Any:
    """Return l·(c·r)."""
    return l * _scaled(r, c)


def product_variance(l: Any, r: Any, vl: Any, vr: Any, c: Any) -> Any:
    """Return c²·(l²·vr + r²·vl)."""
    left, right = vl * r, vr * l
    left *= r
    right *= l
    left += right
    return _scaled(_scaled(left, c), c)


def product_variance_exact(r: Any, vl: Any, c: Any) -> Any:
    """Return c²·r²·vl."""
    v = vl * r
    v *= r
    return _scaled(_scaled(v, c), c)


def quotient_image(l: Any, r: Any, c: Any) -> Any:
    """Return l/(c·r)."""
    return l / _scaled(r, c)


def quotient_variance(l: Any, r: Any, vl: Any, vr: Any, c: Any) -> Any:
    """Return (vl + (l/r)²·vr)/r², over c²."""
    inverse = 1.0 / _scaled(r, c)
    q = l * inverse
    q *= _scaled(inverse, c)
    left, right = vl * inverse, vr * q
    left *= inverse
    right *= q
    left += right
    return left


def quotient_variance_exact(r: Any, vl: Any, c: Any) -> Any:
    """Return vl/r², over c²."""
    inverse = 1.0 / _scaled(r, c)
    v = vl * inverse
    v *= inverse
    return v


def _scaled(values: Any, c: float) -> Any:
    return values if c == 1 else values * c


PLUS = Arithmetic("plus", np.add, sum_image, sum_variance, None)
MINUS = Arithmetic("plus", np.subtract, sum_image, sum_variance, None)
MULTIPLIES = Arithmetic("multiplies", np.multiply, product_image, product_variance, product_variance_exact)
DIVIDES = Arithmetic("divides", np.divide, quotient_image, quotient_variance, quotient_variance_exact, divides=True)


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
    factor: float | None = None
    """c, in a scaled operation"""
    no_data: int = 0
    """The bit to set in ml where r is zero and the operation divides."""


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


def require_castable(arithmetic: Arithmetic, image: np.dtype[Any], right: Any, *, scaled: bool = False) -> None:
    """Refuse an operation whose result the pixels of an image cannot hold, such as quotients in integers."""
    result = np.result_type(image, right, 1.0) if scaled else np.result_type(image, right)
    if arithmetic.divides and result.kind in "biu":
        result = np.dtype(np.float64)
    if not np.can_cast(result, image, "same_kind"):
        raise TypeError(f"{result} results do not fit {image} pixels; convert the left side first: astype('float32')")


def run(arithmetic: Arithmetic, operands: Operands) -> None:
    """Carry out an operation in place; everything must have been validated before.

    The variance uses l from before the operation. Where `arithmetic` divides and r (or c) is zero, the result is
    inf or NaN and the mask gains ``operands.no_data``.
    """
    o = operands
    masks = o.right_mask is not None or arithmetic.divides
    for written in (o.image, o.variance, o.mask if masks else None):
        if written is not None and not written.flags.writeable:
            raise ValueError("the pixels are read-only; clone() gives some that are not")
    factor = (-1.0 if arithmetic is MINUS else 1.0) if o.factor is None else o.factor
    if (
        o.mask is not None
        and o.right_mask is not None
        and (o.right_moves is not None or o.right_mask.dtype != o.mask.dtype)
    ):
        _merge_masks(o.mask, o.right_mask, o.right_moves)
        o = replace(o, right_mask=None)
    if arithmetic.variance is sum_variance and _single_type(o) is not None:
        for_blocks(o.image.shape, _SUM_PIXELS, lambda some: _run_blocks(arithmetic, o, factor, some))
        return
    planes = (o.image, o.right, o.variance, o.right_variance, o.mask, o.right_mask)
    if compiled.serves(planes):
        compiled.run(arithmetic.name, planes, factor, o.no_data)
        return
    for_blocks(o.image.shape, BLOCK_PIXELS, lambda some: _run_blocks(arithmetic, o, factor, some))


def _merge_masks(mask: Pixels, right: Pixels, moves: list[tuple[int, int]] | None) -> None:
    """Merge masks whose pixels differ in type or in the meaning of their bits."""

    def work(some: list[Block]) -> None:
        for block in some:
            bits = right[block] if moves is None else renumbered(right[block], moves, mask.dtype)
            mask[block] |= bits.astype(mask.dtype, copy=False)

    for_blocks(mask.shape, BLOCK_PIXELS, work)


def _run_blocks(arithmetic: Arithmetic, o: Operands, factor: float, some: list[Block]) -> None:
    """Carry out an operation on some of the blocks."""
    with np.errstate(all="ignore"):
        single = _single_type(o)
        wide = np.result_type(o.image, np.float64)
        for block in some:
            l, r = o.image[block], o.right[block] if isinstance(o.right, np.ndarray) else o.right
            if o.variance is not None:  # before the image, whose old values it needs
                _combine_variances(arithmetic, o, block, factor)
            if o.mask is not None:
                _combine_masks(arithmetic, o, block, r)
            if single is not None:
                arithmetic.single(l, r, out=l, dtype=single, casting="same_kind")
            else:
                exact = [np.asarray(value).astype(wide, copy=False) for value in (l, r)]
                np.copyto(l, arithmetic.image(*exact, factor), casting="same_kind")


def _combine_variances(arithmetic: Arithmetic, o: Operands, block: Block, factor: float) -> None:
    """Propagate the variances of a block."""
    assert o.variance is not None  # noqa: S101 - for the type checker; the caller has asked
    vl, vr = o.variance[block], None if o.right_variance is None else o.right_variance[block]
    if vr is None and arithmetic.variance_exact is None:
        return
    if vr is not None and arithmetic.variance is sum_variance and o.factor is None and vl.dtype == vr.dtype:
        vl += vr
        return
    wide = np.result_type(o.image, o.variance, np.float64)
    r = (o.right[block] if isinstance(o.right, np.ndarray) else np.asarray(o.right)).astype(wide, copy=False)
    if vr is None:
        assert arithmetic.variance_exact is not None  # noqa: S101 - for the type checker
        np.copyto(vl, arithmetic.variance_exact(r, vl.astype(wide, copy=False), factor), casting="same_kind")
    else:
        l, *variances = (array.astype(wide, copy=False) for array in (o.image[block], vl, vr))
        np.copyto(vl, arithmetic.variance(l, r, *variances, factor), casting="same_kind")


def _combine_masks(arithmetic: Arithmetic, o: Operands, block: Block, right: Any) -> None:
    """Merge the masks of a block, and mark where a division by zero leaves nothing."""
    assert o.mask is not None  # noqa: S101 - for the type checker; the caller has asked
    mask = o.mask[block]
    if o.right_mask is not None:
        mask |= o.right_mask[block]
    if arithmetic.divides and o.no_data:
        zero = np.equal(right, 0) if o.factor != 0 else np.True_
        if zero.any():
            mask |= np.where(zero, o.mask.dtype.type(o.no_data), o.mask.dtype.type(0))


def _single_type(o: Operands) -> np.dtype[Any] | None:
    """Return the type in which numpy's own operation on l and r is as good as one in float64; None: not in any."""
    left, right = o.image.dtype, o.right
    if o.factor is not None:
        return None
    if isinstance(right, np.ndarray):
        if left.kind in "biu":
            return np.result_type(left, right)
        return left if left == right.dtype == np.float32 else None
    if left.kind in "biu":
        return left
    return left if left == np.float32 and np.float32(right) == right else None
