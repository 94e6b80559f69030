"""Where files are kept: folders, buckets, web servers, memory; each store is imported when it is first needed."""

from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ...model.errors import ConfigError, closest
from .store import Store

__all__ = ["Store", "is_uri", "open_store", "split_uri"]

_SCHEMES = {
    "s3": ("s3", "S3Store"),
    "http": ("http", "HttpStore"),
    "https": ("http", "HttpStore"),
}
"""Scheme -> (module in this package, class) of stores that are elsewhere."""


def is_uri(place: str | Path) -> bool:
    """Whether a place is named by a URI, not by a path of this machine."""
    return isinstance(place, str) and "://" in place


def open_store(location: str, options: Mapping[str, Any], folder: Path) -> Store:
    """Open the store at a location.

    Parameters
    ----------
    location
        A path, relative ones below `folder`; or ``file://``, ``s3://``, ``http://``, ``https://`` and what follows.
    options
        What the store's class takes beside it, by name.
    folder
        Where relative paths begin.

    Raises
    ------
    ConfigError
        If there is no such kind of store, or it has no such option.
    """
    scheme, _, rest = location.partition(":")
    if not is_uri(location):
        if scheme in ("file", *_SCHEMES) and rest.startswith("/"):
            raise ConfigError(f"no store reads {location!r}; did you mean {scheme}://{rest.lstrip('/')}?")
        scheme = "file"
    if scheme == "file":
        from .local import LocalStore

        _check_options(location, options, ())
        return LocalStore(folder / (_local(location) if is_uri(location) else Path(location).expanduser()))
    if scheme not in _SCHEMES:
        known = ["file", *_SCHEMES]
        raise ConfigError(
            f"no store reads {location!r}: files are kept in a folder, or below "
            f"{', '.join(f'{name}://' for name in known)}.{closest(scheme, known)}"
        )
    module, class_name = _SCHEMES[scheme]
    kind = getattr(import_module(f".{module}", __name__), class_name)
    _check_options(location, options, tuple(signature(kind).parameters)[1:])
    try:
        made: Store = kind(location, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{location} cannot be opened with {dict(options)}: {error}") from error
    return made


def split_uri(uri: str) -> tuple[str, str]:
    """Return the location of the store that holds the file of a URI, and the file's name there."""
    scheme, _, rest = uri.partition("://")
    if scheme == "file":
        return "/", str(_local(uri))
    if scheme in ("http", "https"):  # a URL's words may be escaped in many ways: it is left as it is
        return f"{scheme}://", uri
    place, _, name = rest.partition("/")
    return f"{scheme}://{place}", name


def _local(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def _check_options(location: str, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in options:
        if name not in known:
            raise ConfigError(
                f"datastore {location!r} has no option {name!r}; it has {', '.join(known) or 'none'}."
                f"{closest(name, known)}"
            )
