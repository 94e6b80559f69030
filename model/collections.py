"""Collections: named sets of datasets that a search goes through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from .errors import CollectionTypeError

__all__ = ["CollectionInfo", "CollectionType", "new_run_name"]


class CollectionType(IntEnum):
    """What a collection is; the numbers are those kept in the registry."""

    RUN = 1
    """Owns its datasets: each dataset was made in exactly one RUN, one a dataset type and data ID."""
    TAGGED = 2
    """Datasets picked from RUNs, one a dataset type and data ID."""
    CHAINED = 3
    """Other collections, searched in order."""
    CALIBRATION = 4
    """Datasets with the span of time for which each is valid."""

    @classmethod
    def from_name(cls, name: CollectionType | str) -> CollectionType:
        """Return the type of that name, in any case.

        Raises
        ------
        CollectionTypeError
            There is none.
        """
        if isinstance(name, CollectionType):
            return name
        try:
            return cls[str(name).upper()]
        except KeyError:
            raise CollectionTypeError(f"no collection type {name!r}; there are {', '.join(cls.__members__)}.") from None


def new_run_name(parent: str) -> str:
    """Return the name of a new RUN below a name: the time (UTC) to the microsecond, as several may begin at once."""
    return f"{parent}/{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What the registry knows of one collection."""

    name: str
    type: CollectionType
    children: tuple[str, ...] = ()
    """The collections that a CHAINED one searches, in order."""
    parents: tuple[str, ...] = ()
    """The CHAINED collections that hold it."""
    doc: str = ""
