"""The views by which any SQL client reads the registry: those of `GENERAL_VIEWS`, and ``v_<type>`` for each type.

Their columns are an interface: they are documented in ``docs/sql.md`` and change only with a new name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..model.collections import CollectionType
from ..model.datasets import DatasetType
from ..model.dimensions import DimensionGroup
from ..model.timespan import Timespan
from .postgres import LONGEST_NAME
from .tables import Tables

__all__ = [
    "GENERAL_VIEWS",
    "create_annotation_view",
    "create_calibration_view",
    "create_dataset_view",
    "create_trash_view",
    "create_views",
]

GENERAL_VIEWS = frozenset({"v_annotations", "v_calibrations", "v_collections", "v_datasets", "v_quanta", "v_trash"})
"""The views that every repository has."""


def create_views(connection: Connection, tables: Tables) -> None:
    """Create the views that every repository of the first schema has."""
    t = tables
    c, d, s = t.collection.c, t.dataset.c, t.stored_file.c
    chain = t.collection_chain
    child = t.collection.alias("child")
    kind = sa.case(*((c.type == int(k), sa.literal(k.name)) for k in CollectionType))
    _create(
        connection,
        "v_collections",
        sa.select(
            c.name.label("collection"), kind.label("type"), chain.c.position, child.c.name.label("child"), c.doc
        ).select_from(
            t.collection.outerjoin(chain, chain.c.parent_id == c.id).outerjoin(child, child.c.id == chain.c.child_id)
        ),
    )
    _create(
        connection,
        "v_datasets",
        sa.select(
            _text(connection, d.id).label("dataset_id"),
            t.dataset_type.c.name.label("dataset_type"),
            c.name.label("run"),
            _instant(connection, d.ingest_date).label("ingest_date"),
            s.component,
            s.path,
            s.size,
            s.storage_class,
            s.formatter,
            s.checksum,
        )
        .join_from(t.dataset, t.dataset_type, t.dataset_type.c.id == d.dataset_type_id)
        .join(t.collection, c.id == d.run_id)
        .outerjoin(t.stored_file, s.dataset_id == d.id),
    )
    q = t.quantum.c
    _create(
        connection,
        "v_quanta",
        sa.select(
            _text(connection, q.id).label("quantum_id"),
            q.label,
            q.task,
            c.name.label("run"),
            q.data_id,
            q.outcome,
            _instant(connection, q.begin_ns).label("begin_date"),
            ((q.end_ns - q.begin_ns) / sa.literal(1e9)).label("seconds"),
            q.host,
            q.fingerprint,
            q.versions,
        ).join_from(t.quantum, t.collection, c.id == q.run_id),
    )


def create_annotation_view(connection: Connection, tables: Tables) -> None:
    """Create the view of header values and annotations, anew where there is one: a row a dataset, scope and key."""
    t, a = tables, tables.annotation.c
    _create(
        connection,
        "v_annotations",
        sa.select(
            _text(connection, a.dataset_id).label("dataset_id"),
            t.dataset_type.c.name.label("dataset_type"),
            t.collection.c.name.label("run"),
            a.scope,
            a.key,
            a.number,
            a.text,
        )
        .join_from(t.annotation, t.dataset, t.dataset.c.id == a.dataset_id)
        .join(t.dataset_type, t.dataset_type.c.id == t.dataset.c.dataset_type_id)
        .join(t.collection, t.collection.c.id == t.dataset.c.run_id),
    )


def create_trash_view(connection: Connection, tables: Tables) -> None:
    """Create the view of what was removed and can be restored: a row a dataset."""
    t, file = tables.trash.c, tables.trash_file.c
    mine = file.dataset_id == t.dataset_id
    size = sa.select(sa.cast(sa.func.coalesce(sa.func.sum(file.size), 0), sa.BigInteger)).where(mine).scalar_subquery()
    _create(
        connection,
        "v_trash",
        sa.select(
            _text(connection, t.dataset_id).label("dataset_id"),
            t.dataset_type,
            t.data_id,
            t.run,
            _instant(connection, t.removed_ns).label("removed_date"),
            _instant(connection, t.expires_ns).label("expires_date"),
            sa.case((t.state == 0, sa.literal("kept")), else_=sa.literal("going")).label("state"),
            size.label("size"),
        ),
    )


def create_calibration_view(connection: Connection, tables: Tables, groups: Iterable[DimensionGroup]) -> None:
    """Create the view of all that is certified, anew where there is one: a row a dataset and span of time.

    Parameters
    ----------
    connection
        A transaction.
    tables
        The registry's.
    groups
        The groups of dimensions that calibrations are kept by.
    """
    ordered = sorted(set(groups), key=lambda group: group.required)
    parts: list[Any] = [_calibrations(connection, tables, group) for group in ordered]
    if not parts:
        names = ("collection", "dataset_type", "dataset_id", "run", "begin_date", "end_date", "data_id")
        parts = [sa.select(*(sa.cast(sa.null(), sa.Text).label(name) for name in names)).where(sa.false())]
    _create(connection, "v_calibrations", sa.union_all(*parts))


def _calibrations(connection: Connection, tables: Tables, group: DimensionGroup) -> sa.Select[Any]:
    t, calib = tables, tables.calib(group)
    run = t.collection.alias("run")
    pairs = [item for name in group.required for item in (sa.literal(name), calib.c[name])]
    if connection.dialect.name == "postgresql":
        data_id: sa.ColumnElement[object] = sa.cast(sa.func.jsonb_build_object(*pairs), sa.Text)
    else:
        data_id = sa.func.json_object(*pairs)
    whole = Timespan(None, None)
    begin, end = calib.c.timespan_begin, calib.c.timespan_end
    return (
        sa.select(
            t.collection.c.name.label("collection"),
            t.dataset_type.c.name.label("dataset_type"),
            _text(connection, calib.c.dataset_id).label("dataset_id"),
            run.c.name.label("run"),
            sa.case((begin > whole.begin_ns, _instant(connection, begin))).label("begin_date"),
            sa.case((end < whole.end_ns, _instant(connection, end))).label("end_date"),
            data_id.label("data_id"),
        )
        .join_from(calib, t.dataset, t.dataset.c.id == calib.c.dataset_id)
        .join(t.collection, t.collection.c.id == calib.c.collection_id)
        .join(t.dataset_type, t.dataset_type.c.id == calib.c.dataset_type_id)
        .join(run, run.c.id == t.dataset.c.run_id)
    )


def create_dataset_view(connection: Connection, tables: Tables, dataset_type: DatasetType, type_id: int) -> None:
    """Create the view of one dataset type, anew where there is one: a row a dataset and collection."""
    t, tag = tables, tables.tag(dataset_type.dimensions)
    run = t.collection.alias("run")
    values = [tag.c[name] for name in dataset_type.dimensions.required]
    query = (
        sa.select(
            t.collection.c.name.label("collection"),
            *values,
            _text(connection, tag.c.dataset_id).label("dataset_id"),
            run.c.name.label("run"),
            _instant(connection, t.dataset.c.ingest_date).label("ingest_date"),
            t.stored_file.c.path,
            t.stored_file.c.size,
        )
        .join_from(tag, t.dataset, t.dataset.c.id == tag.c.dataset_id)
        .join(t.collection, t.collection.c.id == tag.c.collection_id)
        .join(run, run.c.id == t.dataset.c.run_id)
        .outerjoin(
            t.stored_file, sa.and_(t.stored_file.c.dataset_id == tag.c.dataset_id, t.stored_file.c.component == "")
        )
        .where(tag.c.dataset_type_id == type_id)
    )
    _create(connection, _view_name(connection, dataset_type.name), query)


def _create(connection: Connection, name: str, query: sa.SelectBase) -> None:
    quoted = connection.dialect.identifier_preparer.quote(name)
    text = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    connection.exec_driver_sql(f"DROP VIEW IF EXISTS {quoted}")
    connection.exec_driver_sql(f"CREATE VIEW {quoted} AS {str(text).replace('%%', '%')}")


def _view_name(connection: Connection, dataset_type: str) -> str:
    """Return the name of a dataset type's view: where PostgreSQL would cut it, a digest tells it from others."""
    name = f"v_{dataset_type}"
    if connection.dialect.name != "postgresql" or len(name.encode()) <= LONGEST_NAME:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{name.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}_{digest}"


def _text(connection: Connection, column: sa.ColumnElement[object]) -> sa.ColumnElement[str]:
    """Return a UUID as its usual text."""
    if connection.dialect.name == "postgresql":
        return sa.cast(column, sa.Text)
    digits = sa.func.lower(sa.func.hex(column), type_=sa.Text)
    parts = [
        sa.func.substr(digits, start, length, type_=sa.Text)
        for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    ]
    text: sa.ColumnElement[str] = parts[0]
    for part in parts[1:]:
        text = text + "-" + part
    return text


def _instant(connection: Connection, nanoseconds: sa.ColumnElement[int]) -> sa.ColumnElement[object]:
    """Return TAI nanoseconds as a readable date and time (TAI)."""
    seconds = nanoseconds / sa.literal(1e9)
    if connection.dialect.name == "postgresql":
        moment = sa.func.timezone("UTC", sa.func.to_timestamp(seconds))
        return sa.func.to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS.MS')
    return sa.func.strftime("%Y-%m-%dT%H:%M:%f", seconds, "unixepoch")
