"""How much room datasets take up, by what they belong to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import sqlalchemy as sa

from ..model.errors import InvalidQueryError

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["DiskUsage", "UsageBy", "disk_usage", "size_of"]

UsageBy: TypeAlias = Literal["collection", "dataset_type", "run", "repository"]
"""What room is counted by."""
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """How much room some datasets take up."""

    name: str
    """The collection, RUN or dataset type; empty for the whole repository."""
    datasets: int
    """How many datasets."""
    files: int
    """How many files, each once."""
    size: int
    """Their bytes."""


def disk_usage(registry: Registry, by: UsageBy) -> list[DiskUsage]:
    """Return what takes up how much room, the largest first; see `Butler.disk_usage`.

    Raises
    ------
    InvalidQueryError
        It cannot be counted by that.
    """
    t = registry.tables
    d, s = t.dataset.c, t.stored_file.c
    if by == "collection":
        owners = _held(registry).subquery()
    elif by in ("dataset_type", "run", "repository"):
        owner: Any = {"dataset_type": d.dataset_type_id, "run": d.run_id, "repository": sa.literal(0)}[by]
        owners = sa.select(owner.label("owner"), d.id.label("dataset_id")).subquery()
    else:
        raise InvalidQueryError(f"by={by!r} is none of collection, dataset_type, run and repository.")
    datasets = sa.select(owners.c.owner, sa.func.count().label("datasets")).group_by(owners.c.owner).subquery()
    files = sa.select(owners.c.owner, s.path, sa.func.max(s.size).label("size"))
    each = files.join_from(owners, t.stored_file, s.dataset_id == owners.c.dataset_id).group_by(owners.c.owner, s.path)
    one = each.subquery()
    sums = sa.select(one.c.owner, sa.func.count().label("files"), sa.func.sum(one.c.size).label("size"))
    total = sums.group_by(one.c.owner).subquery()
    query = sa.select(datasets.c.owner, datasets.c.datasets, total.c.files, total.c.size)
    query = query.outerjoin_from(datasets, total, total.c.owner == datasets.c.owner)
    with registry.database.read() as connection:
        rows = connection.execute(query).all()
    catalog = registry.catalog
    names: dict[int, str] = {0: ""}
    if by == "dataset_type":
        names = {key: name for name, key in catalog.type_ids.items()}
    elif by != "repository":
        names = {key: row.name for key, row in catalog.by_id.items()}
    found = [DiskUsage(names[row.owner], row.datasets, row.files or 0, int(row.size or 0)) for row in rows]
    return sorted(found, key=lambda usage: (-usage.size, usage.name))


def _held(registry: Registry) -> sa.CompoundSelect[Any]:
    """Return the query of which collections hold which datasets, each pair once."""
    tables = registry.tables
    types = registry.catalog.dataset_types.values()
    tags = {tables.tag(kind.dimensions) for kind in types}
    calibs = {tables.calib(kind.dimensions) for kind in types if kind.is_calibration}
    held = [
        sa.select(table.c.collection_id.label("owner"), table.c.dataset_id)
        for table in sorted(tags | calibs, key=lambda table: table.name)
    ]
    nothing = sa.select(tables.dataset.c.run_id.label("owner"), tables.dataset.c.id.label("dataset_id"))
    return sa.union(nothing, *held)


def size_of(registry: Registry, ids: Sequence[uuid.UUID]) -> int:
    """Return the bytes of the files of some datasets, each file once."""
    s = registry.tables.stored_file.c
    sizes: dict[str, int] = {}
    with registry.database.read() as connection:
        for start in range(0, len(ids), _CHUNK):
            query = sa.select(s.path, s.size).where(s.dataset_id.in_(ids[start : start + _CHUNK]))
            sizes.update((path, size) for path, size in connection.execute(query))
    return sum(sizes.values())
