"""Which files are raw frames: among files and below folders, on this machine, in buckets and on the web."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..model.errors import ArgumentError
from ..storage.stores import is_uri, split_uri
from ..storage.stores.ranges import RemoteFile

if TYPE_CHECKING:
    from ..storage.datastore import Datastore

__all__ = ["RawFile", "find_frames"]

_SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fits.fz", ".fit.gz", ".fz")

RawFile = Path | RemoteFile
"""A file of this machine, or one that is elsewhere, whose text is its URI."""


def find_frames(places: Iterable[str | Path], datastore: Datastore) -> list[RawFile]:
    """Return the FITS files among some files and below some folders, in order of their names.

    Parameters
    ----------
    places
        Files and folders, and URIs of such: ``s3://bucket/night1/``, ``https://host/frame.fits``.
    datastore
        Reaches what is elsewhere as it reaches its own.

    Raises
    ------
    FileNotFoundError
        A place is not there.
    ArgumentError
        A URL names no FITS file, and a web server cannot be asked which it has.
    """
    found: dict[str, RawFile] = {}
    for place in places:
        if isinstance(place, str) and is_uri(place) and not place.startswith("file://"):
            files = _elsewhere(place, datastore)
        else:
            files = _here(Path(split_uri(place)[1] if isinstance(place, str) and is_uri(place) else place))
        for file in files:
            found.setdefault(str(file), file)
    return list(found.values())


def _here(place: Path) -> Iterable[RawFile]:
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if _is_frame(path.name) and path.is_file())
    if place.exists():
        return [place]
    raise FileNotFoundError(f"there is no {str(place)!r} to ingest.")


def _elsewhere(uri: str, datastore: Datastore) -> Iterable[RawFile]:
    store, name = datastore.store_of(uri)
    if _is_frame(name.partition("?")[0]):
        size = store.size(name)
        if size is None:
            raise FileNotFoundError(f"there is no {uri} to ingest.")
        return [RemoteFile(store, name, size)]
    if not store.listable:
        raise ArgumentError(
            f"{uri} names no FITS file ({', '.join(_SUFFIXES)}), and a web server cannot be asked which it has: name "
            "the files."
        )
    below = f"{name.rstrip('/')}/" if name else ""
    files = sorted((file.name, file.size) for file in store.listing(below) if _is_frame(file.name))
    if not files:
        raise FileNotFoundError(f"there is no FITS file below {uri} to ingest.")
    return [RemoteFile(store, name, size) for name, size in files]


def _is_frame(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES)
