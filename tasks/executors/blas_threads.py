"""How many threads the linear algebra under NumPy and SciPy may use while quanta run.

Their matrices are small, and threads that wait for each other over such matrices keep the cores busy with nothing: on
two cores two threads take as long as one and 1.8 times the processor time, and twice as long where the cores have other
work, too (the shipped pipelines, measured).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["blas_threads", "limited_blas_threads"]

_NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads")
"""What builds of OpenBLAS call the functions that tell and set the number of threads."""


@contextmanager
def limited_blas_threads(count: int = 1) -> Iterator[None]:
    """Let OpenBLAS use no more than so many threads inside; what it used before is restored.

    It concerns the copies that the wheels of NumPy and SciPy bring. With another library, such as Apple's Accelerate,
    nothing changes.

    Parameters
    ----------
    count
        Threads, in each copy of the library.
    """
    libraries = _libraries()
    before = [tell() for tell, _ in libraries]
    for (_, change), threads in zip(libraries, before, strict=True):
        change(min(count, threads))
    try:
        yield
    finally:
        for (_, change), threads in zip(libraries, before, strict=True):
            change(threads)


def blas_threads() -> list[int]:
    """Return how many threads each copy of OpenBLAS uses now; empty where there is none that can be asked."""
    return [tell() for tell, _ in _libraries()]


@lru_cache(maxsize=1)
def _libraries() -> list[tuple[Any, Any]]:
    """Return the functions that tell and set the threads of each copy of OpenBLAS.

    The packages need not be imported yet: what they load later is the same library.
    """
    found = []
    for package in ("numpy", "scipy"):
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        home = Path(spec.origin).parent
        places = (home.with_name(f"{package}.libs"), home / ".dylibs")
        for path in (path for place in places for path in sorted(place.glob("*openblas*"))):
            library = ctypes.CDLL(str(path))
            for name in _NAMES:
                if hasattr(library, name.format("get")):
                    found.append((library[name.format("get")], library[name.format("set")]))
                    break
    return found
