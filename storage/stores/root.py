"""One of the places that a repository's files are kept in, and what is written there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from .store import Store

__all__ = ["Root"]


@dataclass(frozen=True, slots=True)
class Root:
    """A store as a part of a datastore."""

    store: Store
    """The store."""
    dataset_types: tuple[str, ...] = ("*",)
    """Globs of the dataset types whose new files go there."""
    read_only: bool = False
    """Whether nothing is written there, though the store would take it."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the store was opened with."""

    def takes(self, dataset_type: str) -> bool:
        """Whether new files of a dataset type may go there."""
        return self.changes and any(fnmatchcase(dataset_type, glob) for glob in self.dataset_types)

    @property
    def changes(self) -> bool:
        """Whether files may be put there and removed."""
        return self.store.writeable and not self.read_only
