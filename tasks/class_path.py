"""Dotted paths of classes, and back."""

from __future__ import annotations

import importlib
from typing import Any

from ..model.errors import SkyButlerError, closest

__all__ = ["class_path", "load_class"]


def class_path(cls: type) -> str:
    """Return ``package.module.Class``, which ``load_class`` takes."""
    return f"{cls.__module__}.{cls.__qualname__}"


def load_class(path: str, error: type[SkyButlerError]) -> Any:
    """Import the class of a dotted path.

    Parameters
    ----------
    path
        ``package.module.Class``; nested classes (``module.Outer.Inner``) too.
    error
        Class of the error to raise where there is none.
    """
    parts = path.split(".")
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
        for part in parts[cut:]:
            if not hasattr(found, part):
                raise error(f"Module {module_name!r} has no class {part!r}.{closest(part, dir(found))}") from None
            found = getattr(found, part)
        return found
    raise error(f"There is no class {path!r}: it needs a dotted path, as in 'package.module.Class'.")
