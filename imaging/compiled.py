"""Loops over pixels compiled by numba, for arithmetic on large images; `kernels` does without where numba is missing.

numba is imported, and a loop compiled, when an image first is large enough to pay for it; what was compiled is kept in
numba's cache on disk for later processes. The loops let go of the interpreter and are shared out to plain threads that
end with the operation, so threads may call them at once and a process may fork afterwards.
"""

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import cores, share

__all__ = ["run", "serves"]

_IMPORT_PIXELS = 4_194_304
"""From how many pixels on it pays to import numba (0.2 s, as much as a few operations on so many take without)."""
_CALL_PIXELS = 65_536
"""From how many on it pays to call it, once it is there."""

_MASKS = 4
"""Where the masks begin among the planes."""

Planes = tuple[NDArray[Any] | float | None, ...]


@cache
def _loops() -> dict[str, Callable[..., None]]:
    """Return the loops; none where numba is not there, or not for this version of Python or numpy."""
    try:
        from .loops import LOOPS
    except ImportError:
        return {}
    return LOOPS


def serves(planes: Planes) -> bool:
    """Whether there is, or should be, a compiled loop for such (l, r, vl, vr, ml, mr)."""
    image = planes[0]
    assert isinstance(image, np.ndarray)  # noqa: S101 - for the type checker
    for place, plane in enumerate(planes):
        kinds = "f" if place < _MASKS else "iu"
        if isinstance(plane, np.ndarray) and not (
            plane.dtype.kind in kinds and plane.dtype.isnative and plane.itemsize in (4, 8)
        ):
            return False
    return image.size >= (_CALL_PIXELS if "numba" in sys.modules else _IMPORT_PIXELS) and bool(_loops())


def run(name: str, planes: Planes, factor: float, no_data: int) -> None:
    """Carry out an operation in place on (l, r, vl, vr, ml, mr), of which r may be a number and vl to mr absent."""
    loop = _loops()[name]
    image, mask = planes[0], planes[_MASKS]
    assert isinstance(image, np.ndarray)  # noqa: S101 - for the type checker
    height, width = image.shape
    planes = tuple(_whole_rows(plane) if isinstance(plane, np.ndarray) else plane for plane in planes)
    planes = tuple(float(plane) if isinstance(plane, (int, float)) else plane for plane in planes)
    bit = mask.dtype.type(no_data) if isinstance(mask, np.ndarray) else 0

    def work(parts: list[slice]) -> None:
        rows = slice(parts[0].start, parts[-1].stop)
        loop(*(plane[rows] if isinstance(plane, np.ndarray) else plane for plane in planes), float(factor), bit, width)

    step = -(-height // cores())
    share(image.size, [slice(start, min(start + step, height)) for start in range(0, height, step)], work)


def _whole_rows(view: NDArray[Any]) -> NDArray[Any]:
    """Return part of an image with its rows as long as the whole image's: loops over contiguous arrays are vectorized.

    What lies beyond the view is not looked at, and after its last row need not be there.
    """
    row, pixel = view.strides
    length, rest = divmod(row, view.itemsize)
    if view.flags.c_contiguous or pixel != view.itemsize or rest or length < view.shape[1]:
        return view
    return np.lib.stride_tricks.as_strided(view, (len(view), length))
