# ruff: noqa: E741 - the formulas are written with the letters of their definition, l and r
"""The loops over pixels that numba compiles; importing this module imports numba (see `compiled`).

Each takes (l, r, vl, vr, ml, mr, c, no_data, width); rows are as wide as that, or wider. r may be a number, and vl, vr,
ml and mr may be None: a branch on what is None is decided when the loop is compiled. The formulas are those of
`kernels`, in the same order of operations and all in float64, so that both give the same bits. numba's cache looks at
this file alone, so they stand here once more.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

__all__ = ["LOOPS"]


def _at(r: Any, y: int, x: int) -> Any:
    raise NotImplementedError  # `overload` says how it compiles


@overload(_at, strict=False)  # type: ignore[untyped-decorator]  # numba has no types; not strict: ours are only above
def _compile_at(r: Any, y: int, x: int) -> Any:
    return (lambda r, y, x: r[y, x]) if isinstance(r, types.Array) else (lambda r, y, x: r)


def _plus(l: Any, r: Any, vl: Any, vr: Any, ml: Any, mr: Any, c: float, no_data: int, width: int) -> None:
    for y in range(l.shape[0]):
        for x in range(width):
            if vr is not None:
                vl[y, x] = np.float64(vl[y, x]) + np.float64(vr[y, x]) * c * c
            if mr is not None:
                ml[y, x] |= mr[y, x]
            l[y, x] = np.float64(l[y, x]) + np.float64(_at(r, y, x)) * c


def _multiplies(l: Any, r: Any, vl: Any, vr: Any, ml: Any, mr: Any, c: float, no_data: int, width: int) -> None:
    for y in range(l.shape[0]):
        for x in range(width):
            left, right = np.float64(l[y, x]), np.float64(_at(r, y, x))
            if vl is not None:
                v = np.float64(vl[y, x])
                if vr is not None:
                    vl[y, x] = (v * right * right + np.float64(vr[y, x]) * left * left) * c * c
                else:
                    vl[y, x] = v * right * right * c * c
            if mr is not None:
                ml[y, x] |= mr[y, x]
            l[y, x] = left * (right * c)


def _divides(l: Any, r: Any, vl: Any, vr: Any, ml: Any, mr: Any, c: float, no_data: int, width: int) -> None:
    for y in range(l.shape[0]):
        for x in range(width):
            left, right = np.float64(l[y, x]), np.float64(_at(r, y, x))
            if vl is not None:
                v = np.float64(vl[y, x])
                inverse = 1.0 / (right * c)
                if vr is not None:
                    q = left * inverse * (inverse * c)
                    vl[y, x] = v * inverse * inverse + np.float64(vr[y, x]) * q * q
                else:
                    vl[y, x] = v * inverse * inverse
            if mr is not None:
                ml[y, x] |= mr[y, x]
            if ml is not None:  # without a branch, for the processor's vectors
                ml[y, x] |= no_data * ((right == 0) | (c == 0))
            l[y, x] = left / (right * c)


def _compiled(loop: Any) -> Any:
    """Return a loop that numba compiles, kept on disk where there is a folder for it."""
    options = {"nogil": True, "error_model": "numpy"}  # x/0 is inf, as in numpy
    try:
        return njit(cache=True, **options)(loop)
    except RuntimeError:  # neither this folder nor the user's cache can be written
        return njit(**options)(loop)


LOOPS = {"plus": _compiled(_plus), "multiplies": _compiled(_multiplies), "divides": _compiled(_divides)}
"""The loops, by `Arithmetic.name`."""
