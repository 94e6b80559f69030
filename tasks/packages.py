"""Versions of the software that takes part in a run."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata

from .fingerprint import package_version

__all__ = ["package_versions"]


def package_versions(used: Iterable[str] = ()) -> dict[str, str]:
    """Return the versions of Python, of packages that are imported, and of named ones.

    Parameters
    ----------
    used
        Import names to list whether or not they are imported yet.
    """
    imported = {name.partition(".")[0] for name in sys.modules} | set(used)
    homes = _homes()
    versions = {"python": platform.python_version()}
    for name in sorted(imported):
        for distribution in homes.get(name, ())[:1]:
            versions[distribution] = package_version(distribution)
    return versions


@lru_cache(maxsize=1)
def _homes() -> Mapping[str, list[str]]:
    """Return the distributions that give each importable package; slow enough to ask once."""
    return metadata.packages_distributions()
