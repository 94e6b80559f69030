"""Where a repository's files are kept, as ``skybutler.yaml`` and the user's environment say it.

::

    datastore:                            # one place or several; the repository's own folder where left out
      - root: s3://bucket/prefix          # or file:///…, a path (relative: below this folder), https://… (only read)
        endpoint: https://minio.example   # settings of the store, beside its root
        dataset_types: ["calexp", "src*"] # what new files go there; all where left out
        read_only: false
    cache:                                # copies of what is not on this machine
      folder: /scratch/skybutler
      size: 50 GB
      age: 30 days                        # after the last use; for ever where left out

``SKYBUTLER_CACHE`` (a folder, or ``off``), ``SKYBUTLER_CACHE_SIZE`` and ``SKYBUTLER_CACHE_AGE`` say what a user wants
instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.errors import ConfigError, closest
from ..storage.datastore import Datastore
from ..storage.stores import open_store
from ..storage.stores.root import Root

if TYPE_CHECKING:
    from ..model.storage_classes import StorageClasses
    from ..storage.stores.cache import FileCache

__all__ = ["PlacesLike", "check_places", "in_yaml", "open_datastore", "seconds"]

PlacesLike = str | Path | Mapping[str, Any] | Sequence[str | Path | Mapping[str, Any]]
"""One place to keep files in, or several."""

_DEFAULT_SIZE = "10 GB"
_SIZES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SIZES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_AGES = {"": 1, "s": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}
_AGES |= {"week": 7 * 86400}
_AMOUNT = re.compile(r"\s*([0-9.]+)\s*([A-Za-z]*)\s*").fullmatch


def open_datastore(
    places: PlacesLike | None, cache: Any, folder: Path, storage_classes: StorageClasses | None = None
) -> Datastore:
    """Return the datastore that a configuration describes; nothing is asked of any server.

    Parameters
    ----------
    places
        The ``datastore`` of ``skybutler.yaml``.
    cache
        Its ``cache``.
    folder
        The repository's folder.
    storage_classes
        The storage classes of the repository.

    Raises
    ------
    ConfigError
        If it makes no sense.
    """
    given = ["."] if places is None else [places] if isinstance(places, str | Path | Mapping) else list(places)
    if not given:
        raise ConfigError("datastore names no place to keep files in; leave it out for the repository's own folder.")
    return Datastore([_root(place, folder) for place in given], _cache(cache, folder), storage_classes)


def check_places(datastore: Datastore) -> None:
    """Ask each place elsewhere that is to be written to whether it is there.

    Raises
    ------
    StoreUnavailableError, ReadOnlyError
        If it is not, or refuses.
    """
    for root in datastore.roots:
        if root.changes and root.store.local_path("") is None:
            next(iter(root.store.names()), None)


def in_yaml(said: Any) -> Any:
    """Return what is said of places or a cache as YAML has it."""
    if isinstance(said, Path):
        return str(said)
    if isinstance(said, Mapping):
        return {str(key): in_yaml(value) for key, value in said.items()}
    return [in_yaml(value) for value in said] if isinstance(said, list | tuple) else said


def _root(place: Any, folder: Path) -> Root:
    """Return one of the places."""
    if isinstance(place, str | Path):
        place = {"root": str(place)}
    if not isinstance(place, Mapping) or not isinstance(place.get("root"), str) or not place["root"]:
        raise ConfigError(f"datastore says {place!r}; a place is a path or URI, or a mapping with a root and settings.")
    options = dict(place)
    location, types, read_only = (
        options.pop("root"),
        options.pop("dataset_types", ["*"]),
        options.pop("read_only", False),
    )
    if not isinstance(types, list | tuple) or not all(isinstance(glob, str) for glob in types):
        raise ConfigError(f"datastore {location!r}: dataset_types is a list of names and globs, not {types!r}.")
    if not isinstance(read_only, bool):
        raise ConfigError(f"datastore {location!r}: read_only is true or false, not {read_only!r}.")
    return Root(open_store(location, options, folder), tuple(types), read_only, options)


def _cache(said: Any, folder: Path) -> FileCache | None:
    """Return the cache that the repository or, before it, the user wants."""
    if isinstance(said, str | Path):
        said = {"folder": str(said)}
    if said is not None and not isinstance(said, Mapping):
        raise ConfigError(f"cache says {said!r}; it is a folder, or a mapping of folder, size and age.")
    wanted = dict(said or {})
    for name in wanted:
        if name not in ("folder", "size", "age"):
            raise ConfigError(
                f"cache has no setting {name!r}; it has folder, size, age.{closest(name, ('folder', 'size', 'age'))}"
            )
    for name in ("folder", "size", "age"):
        if users := os.environ.get("SKYBUTLER_CACHE" if name == "folder" else f"SKYBUTLER_CACHE_{name.upper()}"):
            wanted[name] = users
    where = wanted.get("folder")
    if where is None or where == "off":
        return None
    if not isinstance(where, str):
        raise ConfigError(f"cache: folder is a path, not {where!r}.")
    from ..storage.stores.cache import FileCache

    size = _amount(wanted.get("size", _DEFAULT_SIZE), _SIZES, "cache: size", "'50 GB'")
    age = None if wanted.get("age") is None else _amount(wanted["age"], _AGES, "cache: age", "'30 days'")
    return FileCache(folder / Path(os.path.expandvars(where)).expanduser(), int(size), age)


def seconds(said: Any, what: str) -> float:
    """Return a span of time in seconds, of a number with a unit (``"7 days"``).

    Raises
    ------
    ConfigError
        If it is none; says of what.
    """
    match = _AMOUNT(str(said))
    if match and not match[2] and match[1].strip("0."):
        raise ConfigError(f"{what} is {said!r}, without a unit; write '{match[1]} days', or what it is.")
    return _amount(said, _AGES, what, "'7 days' or '12 hours'")


def _amount(said: Any, units: Mapping[str, int], what: str, example: str) -> float:
    """Return bytes or seconds, of a number with a unit."""
    match = _AMOUNT(str(said))
    unit = match[2].lower() if match else ""
    factor = units.get(unit) or units.get(unit.removesuffix("s"))
    try:
        if match and factor:
            return float(match[1]) * factor
    except ValueError:
        pass
    raise ConfigError(f"{what} {said!r} is not a number with a unit, such as {example}.")
