"""The storage classes of a repository: those that it describes itself, then those that every process knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .errors import StorageClassError
from .storage_class import (
    StorageClass,
    named_storage_class,
    shipped_storage_class,
    storage_class,
    storage_class_for,
)

__all__ = ["StorageClasses"]


class StorageClasses:
    """Storage classes by their names, as a repository means them: another one may mean something else by a name.

    Parameters
    ----------
    own
        Those that the repository describes.

    Raises
    ------
    StorageClassError
        One of them has the name of a storage class of SkyButler's, and is another.
    """

    def __init__(self, own: Iterable[StorageClass] = ()):
        self.own = {kind.name: kind for kind in own}
        """Those that the repository describes, by their names."""
        for kind in self.own.values():
            known = shipped_storage_class(kind.name)
            if known not in (None, kind):
                raise StorageClassError(
                    f"storage class {kind.name!r} is SkyButler's own, of {known.pytype}, and "
                    f"{kind.origin} describes another: give that another name."
                )

    def __getitem__(self, name: str | StorageClass) -> StorageClass:
        """Return the storage class of a name; one that says all of itself stays what it is.

        Raises
        ------
        StorageClassError
            There is none.
        """
        if isinstance(name, str) and name in self.own:
            return self.own[name]
        return storage_class(name, self.own)

    def named(self, name: str) -> StorageClass:
        """Return the storage class of a name, known or not; see `named_storage_class`."""
        return self.own.get(name) or named_storage_class(name)

    def of(self, obj: Any) -> StorageClass:
        """Return the storage class that keeps an object; see `storage_class_for`."""
        return storage_class_for(obj, self.own.values())
