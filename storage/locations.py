"""Where the files of a repository lie: in which of several stores, under which name, path or URI."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from ..model.datasets import StoredFile
from ..model.errors import FileIntegrityError
from .atomic import HashingFile
from .bundles import in_uri, member_of
from .stores import Store, is_uri, open_store, split_uri
from .stores.local import LocalStore, copier
from .stores.root import Root

__all__ = ["FileLocations", "is_below"]


class FileLocations:
    """Finds files; `Datastore` inherits it.

    Parameters
    ----------
    roots
        Where they lie, in the order in which they are looked for.
    """

    def __init__(self, roots: tuple[Root, ...]) -> None:
        self.roots = roots
        folders = [root.store.folder for root in roots if isinstance(root.store, LocalStore)]
        self.root = folders[0] if folders else None
        self._machine = LocalStore("/")
        self._elsewhere: dict[str, Store] = {}
        self._vouched: set[tuple[str, str | None]] = set()
        self._locations = " ".join(root.store.location for root in roots)

    def exists(self, stored: StoredFile) -> bool:
        """Whether a file lies where it should.

        Raises
        ------
        FileIntegrityError
            If what is recorded leads out of the places where it should lie; this holds for all methods.
        """
        return any(store.size(name) is not None for store, name in self._places(stored))

    def sizes(self, stored: StoredFile) -> list[int]:
        """Return the lengths of a file in the places where it lies, in bytes: one mostly; none where it is gone."""
        return [size for store, name in self._places(stored) if (size := store.size(name)) is not None]

    def is_missing_here(self, stored: StoredFile) -> bool:
        """Whether a file ought to lie in a folder of this machine, and does not: no server is asked."""
        paths = [store.local_path(name) for store, name in self._places(stored)]
        return not any(path is None or os.path.exists(path) for path in paths)  # noqa: PTH110 - of a hundred thousand

    def path(self, stored: StoredFile) -> Path:
        """Return where a file lies on this machine, as an absolute path.

        Raises
        ------
        ValueError
            If it lies elsewhere.
        """
        paths = [store.local_path(name) for store, name in self._places(stored)]
        for path in paths:
            if path is not None and (len(paths) == 1 or os.path.lexists(path)):
                self._check_links(stored)
                return Path(path)
        raise ValueError(f"{self.uri(stored)} is not on this machine; its URI names it, and get() reads it")

    def uri(self, stored: StoredFile) -> str:
        """Return where a file lies, as a URI: ``file://``, ``s3://``, ``https://``, ..."""
        formatter, member = member_of(stored.formatter)
        if member:
            return in_uri(self.uri(replace(stored, formatter=formatter)), quote(member))
        if is_uri(stored.path):
            return stored.path
        self._check_links(stored)
        places = self._places(stored)
        store, name = places[0]
        if len(places) > 1:
            store, name = next(((s, n) for s, n in places if s.size(n) == stored.size), places[0])
        return store.uri(name)

    def _places(self, stored: StoredFile) -> Sequence[tuple[Store, str]]:
        """Return the stores that a file may be in, in order, and its name there.

        Only what was ingested where it lies (``direct``) is recorded by an absolute path, or a URI.

        Raises
        ------
        FileIntegrityError
            If any other path leads out of the roots: it is no writer's.
        """
        path = stored.path
        if is_uri(path):
            return [self.store_of(path)]
        if os.path.isabs(path) and "\0" not in path:  # noqa: PTH117
            return [(self._machine, path)]
        if not is_below(path):
            raise FileIntegrityError(
                f"a file is recorded under the path {path!r}, which leads out of {self._locations}; it is not "
                "used. No writer makes such records: beware of where this repository comes from."
            )
        return [(root.store, path) for root in self.roots]

    def _leads_out(self, name: str) -> bool:
        """Whether a symbolic link leads from a name out of the folder that is a root; it counts by a checksum alone."""
        return any(isinstance(root.store, LocalStore) and root.store.leads_out(name) for root in self.roots)

    def _check_links(self, stored: StoredFile) -> None:
        """Raise where a symbolic link leads out of a root, to a file that is not the one whose checksum is recorded.

        Links are left alone that a user has made to move files elsewhere, or ingested files by. Those of a repository
        that comes from a stranger could lead to whatever its reader may read, and would pass on.

        Raises
        ------
        FileIntegrityError
            If one does.
        """
        for store, name in self._places(stored):
            if store is self._machine or not isinstance(store, LocalStore) or not store.leads_out(name):
                continue
            path = os.path.realpath(store.local_path(name))
            told = path, stored.checksum
            if told in self._vouched or not os.path.lexists(path):
                continue
            if stored.checksum and os.path.isfile(path):  # noqa: PTH113
                sink = HashingFile(None)
                sink.hash_as(stored.checksum)
                copier(path)(sink)
                if sink.checksum == stored.checksum:
                    self._vouched.add(told)
                    continue
            raise FileIntegrityError(
                f"a symbolic link leads from {store.local_path(name)} out of {store.folder}, to {path}, which "
                f"{'is not what was recorded' if stored.checksum else 'no checksum vouches for'}; it is not used. "
                "Files that shall stay where they are, are ingested with transfer='direct'."
            )

    def store_of(self, uri: str) -> tuple[Store, str]:
        """Return the store of a URI, which is reached as a root of its kind is, and the file's name there."""
        location, name = split_uri(uri)
        store = self._elsewhere.get(location)
        if store is None:
            scheme = uri.partition(":")[0]
            options = next((r.options for r in self.roots if r.store.location.partition(":")[0] == scheme), {})
            store = self._elsewhere.setdefault(location, open_store(location, options, Path("/")))
        return store, name

    def _gone(self, stored: StoredFile) -> str:
        where = ", ".join(store.local_path(name) or store.uri(name) for store, name in self._places(stored))
        return f"the file {where} is gone; {stored.size} bytes were recorded for it"


def is_below(path: str) -> bool:
    """Whether a stored file is in a root, and so the datastore's own."""
    return bool(path) and not (is_uri(path) or os.path.isabs(path) or ".." in path.split("/") or "\0" in path)  # noqa: PTH117
