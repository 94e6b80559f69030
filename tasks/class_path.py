"""Dotted paths of classes, and back."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from ..model.errors import SkyButlerError, closest

__all__ = ["class_path", "load_class"]


def class_path(cls: type) -> str:
    """Return ``package.module.Class``, which ``load_class`` takes."""
    return f"{cls.__module__}.{cls.__qualname__}"


def load_class(path: str, error: type[SkyButlerError], beside: Path | None = None) -> Any:
    """Import the class of a dotted path.

    Parameters
    ----------
    path
        ``package.module.Class``; nested classes (``module.Outer.Inner``) too.
    error
        Class of the error to raise where there is none.
    beside
        Folder of the file that names the class: a module that lies there is found, after all that are installed.
    """
    parts = path.split(".")
    if len(parts) < 2 or not all(parts):
        raise error(f"There is no class {path!r}: it needs a dotted path, as in 'package.module.Class'.")
    lies_there = beside is not None and ((beside / f"{parts[0]}.py").is_file() or (beside / parts[0]).is_dir())
    if lies_there and str(beside) not in sys.path:
        sys.path.append(str(beside))
        importlib.invalidate_caches()
    for cut in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:cut])
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as missing:
            # A module that the path names is looked for one level up; one that it needs itself is its author's concern.
            if missing.name is not None and (module_name == missing.name or module_name.startswith(f"{missing.name}.")):
                continue
            raise error(
                f"Module {module_name!r} of class {path!r} needs {missing.name!r}, which is not installed."
            ) from None
        except Exception as broken:
            raise error(
                f"Module {module_name!r} of class {path!r} cannot be imported: {type(broken).__name__}: {broken}"
            ) from broken
        for part in parts[cut:]:
            if not hasattr(found, part):
                raise error(f"Module {module_name!r} has no class {part!r}.{closest(part, dir(found))}") from None
            found = getattr(found, part)
        return found
    place = "" if beside is None else f", nor in {beside}"
    raise error(
        f"There is no module {parts[0]!r}, which class {path!r} is to be in: it is not on Python's path{place}."
    )
