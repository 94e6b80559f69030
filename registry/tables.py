"""The registry's tables.

Those of every repository are the attributes of `Tables`; each dimension element has one more (`Tables.dimension`), each
element with a region a table of the sky pixels that it covers (`Tables.pixels`), each group of dimensions that
dataset types are kept by has a table of tags (`Tables.tag`), and each group of those that are calibrations another of
their spans of validity (`Tables.calib`).

A dimension's table names its own key as the element does (``visit.id``, ``detector.id``, ``physical_filter.name``) and
other dimensions by their names (``visit.instrument``). Implied dimensions may be NULL (a bias has no filter), so
queries reach their records by LEFT JOIN.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from ..model.dimensions import DimensionGroup, DimensionUniverse, Element
from ..model.errors import ConflictingDefinitionError
from .database import DatasetId

__all__ = ["Tables"]

_RESERVED = re.compile(r"(tag|calib|v|sqlite|alembic)(_.*)?|.*_pixels")
"""Names of tables and views that the registry makes itself, besides those of `Tables`."""
_TYPES: dict[str, Any] = {
    "int": sa.BigInteger, "float": sa.Double, "str": sa.Text, "bool": sa.Boolean, "bytes": sa.LargeBinary,
    "region": sa.Text,
}  # fmt: skip
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers rows by itself only where the key is spelt INTEGER."""
CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its code points, so that an index of it serves every comparison."""


class Tables:
    """The tables of a repository.

    Parameters
    ----------
    universe
        Its dimensions.
    dialect_name
        The database's dialect, ``sqlite`` or ``postgresql``.

    Raises
    ------
    ConflictingDefinitionError
        An element has the name of a table that every registry has.
    """

    def __init__(self, universe: DimensionUniverse, dialect_name: str = "sqlite"):
        self.universe = universe
        self.metadata = sa.MetaData()
        column, key = sa.Column, sa.ForeignKey

        self.attribute = self._table(
            "attribute",
            column("name", sa.Text, primary_key=True),
            column("value", sa.Text, nullable=False),
        )
        """What holds for the repository as a whole: its universe, and the version that caches are checked by."""
        self.collection = self._table(
            "collection",
            column("id", _KEY, primary_key=True),
            column("name", sa.Text, nullable=False, unique=True),
            column("type", sa.SmallInteger, nullable=False),
            column("doc", sa.Text, nullable=False, server_default=""),
            rowid=True,
        )
        self.collection_chain = self._table(
            "collection_chain",
            column("parent_id", _KEY, key("collection.id", ondelete="CASCADE"), primary_key=True),
            column("position", sa.Integer, primary_key=True),
            column("child_id", _KEY, key("collection.id"), nullable=False, index=True),
        )
        self.dataset_type = self._table(
            "dataset_type",
            column("id", _KEY, primary_key=True),
            column("name", sa.Text, nullable=False, unique=True),
            column("dimensions", sa.Text, nullable=False),
            column("storage_class", sa.Text, nullable=False),
            column("is_calibration", sa.Boolean, nullable=False),
            column("tag_table", sa.Text, nullable=False),
            rowid=True,
        )
        self.dataset = self._table(
            "dataset",
            column("id", DatasetId, primary_key=True),
            column("dataset_type_id", _KEY, key("dataset_type.id"), nullable=False),
            column("run_id", _KEY, key("collection.id"), nullable=False),
            column("ingest_date", sa.BigInteger, nullable=False),
            sa.Index("dataset_run", "run_id", "dataset_type_id"),
        )
        self.stored_file = self._table(
            "stored_file",
            column("dataset_id", DatasetId, key("dataset.id", ondelete="CASCADE"), primary_key=True),
            column("component", sa.Text, primary_key=True),
            column("path", sa.Text, nullable=False),
            column("formatter", sa.Text, nullable=False),
            column("storage_class", sa.Text, nullable=False),
            column("size", sa.BigInteger, nullable=False),
            column("checksum", sa.Text),
            column("shared", sa.Boolean, nullable=False),
        )
        alone = sa.not_(self.stored_file.c.shared)
        sa.Index("stored_file_path", self.stored_file.c.path)
        # Only the dialect in use is named: SQLAlchemy imports each that is, and PostgreSQL's takes 50 ms.
        where: dict[str, Any] = {f"{dialect_name}_where": alone}
        sa.Index("stored_file_alone", self.stored_file.c.path, unique=True, **where)
        self.annotation = self._table(
            "annotation",
            column("dataset_id", DatasetId, key("dataset.id", ondelete="CASCADE"), primary_key=True),
            column("scope", sa.Text, primary_key=True),
            column("key", sa.Text, primary_key=True),
            column("type", sa.Text, nullable=False),
            column("number", sa.Double),
            column("text", CODE_POINTS),
        )
        """Header values of datasets, and what users have noted of them; one of number and text is NULL."""
        for name in ("number", "text"):
            value = self.annotation.c[name]
            where = {f"{dialect_name}_where": value.is_not(None)}
            sa.Index(f"annotation_{name}", self.annotation.c.scope, self.annotation.c.key, value, **where)
        self.collection_summary = self._table(
            "collection_summary",
            column("collection_id", _KEY, key("collection.id", ondelete="CASCADE"), primary_key=True),
            column("dataset_type_id", _KEY, key("dataset_type.id", ondelete="CASCADE"), primary_key=True),
        )
        self.trash = self._table(
            "trash",
            column("dataset_id", DatasetId, primary_key=True),
            column("dataset_type", sa.Text, nullable=False),
            column("data_id", sa.Text, nullable=False),
            column("run", sa.Text, nullable=False),
            column("removed_ns", sa.BigInteger, nullable=False),
            column("expires_ns", sa.BigInteger, nullable=False),
            column("state", sa.SmallInteger, nullable=False),
            column("content", sa.Text, nullable=False),
            sa.Index("trash_due", "state", "expires_ns"),
        )
        """Datasets that were removed and can be restored (state 0), or whose files are going (state 1)."""
        self.trash_file = self._table(
            "trash_file",
            column("dataset_id", DatasetId, key("trash.dataset_id", ondelete="CASCADE"), primary_key=True),
            column("component", sa.Text, primary_key=True),
            column("path", sa.Text, nullable=False),
            column("formatter", sa.Text, nullable=False),
            column("storage_class", sa.Text, nullable=False),
            column("size", sa.BigInteger, nullable=False),
            column("checksum", sa.Text),
            column("shared", sa.Boolean, nullable=False),
            sa.Index("trash_file_path", "path"),
        )
        """Their files, as `stored_file` has those of datasets; of files that are going, only what nobody else names."""
        self.quantum = self._table(
            "quantum",
            column("id", DatasetId, primary_key=True),
            column("task", sa.Text, nullable=False),
            column("label", sa.Text, nullable=False),
            column("run_id", _KEY, key("collection.id", ondelete="CASCADE"), nullable=False, index=True),
            column("data_id", sa.Text, nullable=False),
            column("fingerprint", sa.Text, nullable=False, index=True),
            column("host", sa.Text, nullable=False),
            column("begin_ns", sa.BigInteger, nullable=False),
            column("end_ns", sa.BigInteger, nullable=False),
            column("outcome", sa.Text, nullable=False),
            column("versions", sa.Text, nullable=False),
        )
        self.quantum_dataset = self._table(
            "quantum_dataset",
            column("quantum_id", DatasetId, key("quantum.id", ondelete="CASCADE"), primary_key=True),
            column("is_output", sa.Boolean, primary_key=True),
            column("dataset_id", DatasetId, primary_key=True, index=True),
        )
        self.fixed = list(self.metadata.sorted_tables)
        """The tables that every repository has, whatever its universe."""
        self.dimension: dict[str, sa.Table] = {}
        self.pixels: dict[str, sa.Table] = {}
        for element in universe.elements:
            if element.has_table:
                if element.name in self.metadata.tables or _RESERVED.fullmatch(element.name):
                    raise ConflictingDefinitionError(
                        f"a dimension element cannot be called {element.name!r}: the registry has a table of that name."
                    )
                self.dimension[element.name] = self._dimension_table(element)
                if element.has_region:
                    self.pixels[element.name] = self._pixel_table(element)
        self._tags: dict[str, sa.Table] = {}
        self._calibs: dict[str, sa.Table] = {}
        self._lock = threading.Lock()

    def _table(self, name: str, *items: Any, rowid: bool = False) -> sa.Table:
        if name in self.metadata.tables:  # half made, when Ctrl-C came
            self.metadata.remove(self.metadata.tables[name])
        return sa.Table(name, self.metadata, *items, sqlite_with_rowid=rowid)

    @property
    def dimension_tables(self) -> Iterator[sa.Table]:
        """The tables that the universe asks for, in the order in which they refer to each other."""
        mine = {*self.dimension.values(), *self.pixels.values()}
        return (table for table in self.metadata.sorted_tables if table in mine)

    def _dimension_table(self, element: Element) -> sa.Table:
        columns: list[Any] = []
        for c in element.columns:
            if c.role == "timespan":
                columns += [sa.Column(f"timespan_{end}", sa.BigInteger) for end in ("begin", "end")]
            else:
                in_key = c.role in ("key", "required")
                columns.append(
                    sa.Column(c.name, _TYPES[c.type], primary_key=in_key, nullable=c.nullable, autoincrement=False)
                )
        for c in element.columns:
            if c.role == "alternate":
                columns.append(sa.UniqueConstraint(*element.requires, c.name))
            elif c.role in ("required", "implied"):
                columns += self._references(element, c.name)
        return self._table(element.name, *columns)

    def _references(self, element: Element | DimensionGroup, dimension: str) -> list[sa.ForeignKeyConstraint]:
        """Return the foreign key by which values of a dimension refer to its records."""
        other = self.universe[dimension]
        mine = element.columns if isinstance(element, Element) else ()
        names = {c.name for c in mine} or set(element.required)
        if not other.has_table or not names.issuperset(other.required):
            return []
        return [
            sa.ForeignKeyConstraint(
                list(other.required), [f"{dimension}.{other.column_of(name)}" for name in other.required]
            )
        ]

    def _pixel_table(self, element: Element) -> sa.Table:
        keys = [
            sa.Column(name, _TYPES[self.universe[name].key.type], primary_key=True, autoincrement=False)  # type: ignore[union-attr]
            for name in element.required
        ]
        name = f"{element.name}_pixels"
        return self._table(
            name,
            sa.Column("pixel", sa.BigInteger, primary_key=True, autoincrement=False),
            *keys,
            sa.ForeignKeyConstraint(
                list(element.required),
                [f"{element.name}.{element.column_of(n)}" for n in element.required],
                ondelete="CASCADE",
            ),
            sa.Index(f"{name}_key", *element.required),
        )

    def tag(self, group: DimensionGroup) -> sa.Table:
        """Return the table that finds datasets kept by a group of dimensions.

        Its key, (dataset type, data ID, collection), lists all collections that hold a data ID side by side: a search
        through a chain is one probe, however long the chain.
        """
        name = tag_table_name(group)
        table = self._tags.get(name)
        if table is None:
            with self._lock:  # threads may ask for it at once
                table = self._tags.get(name)
                if table is None:
                    table = self._tags[name] = self._tag_table(name, group)
        return table

    def _tag_table(self, name: str, group: DimensionGroup) -> sa.Table:
        dimensions = [
            sa.Column(n, _TYPES[self.universe[n].key.type], primary_key=True, autoincrement=False)  # type: ignore[union-attr]
            for n in group.required
        ]
        return self._table(
            name,
            sa.Column("dataset_type_id", _KEY, sa.ForeignKey("dataset_type.id"), primary_key=True,
                      autoincrement=False),
            *dimensions,
            sa.Column("collection_id", _KEY, sa.ForeignKey("collection.id", ondelete="CASCADE"),
                      primary_key=True, autoincrement=False),
            sa.Column("dataset_id", DatasetId, sa.ForeignKey("dataset.id", ondelete="CASCADE"), nullable=False),
            *self.key_references(group),
            sa.Index(f"{name}_dataset", "dataset_id"),
            sa.Index(f"{name}_collection", "collection_id", "dataset_type_id"),
        )  # fmt: skip

    def calib(self, group: DimensionGroup) -> sa.Table:
        """Return the table of the spans of time for which calibrations kept by a group of dimensions are certified.

        Its index lists all that is certified for a data ID, in whatever collection, as `tag` does.
        """
        name = calib_table_name(group)
        table = self._calibs.get(name)
        if table is None:
            with self._lock:
                table = self._calibs.get(name)
                if table is None:
                    table = self._calibs[name] = self._calib_table(name, group)
        return table

    def _calib_table(self, name: str, group: DimensionGroup) -> sa.Table:
        dimensions = [sa.Column(n, _TYPES[self.universe[n].key.type], nullable=False) for n in group.required]  # type: ignore[union-attr]
        table = self._table(
            name,
            sa.Column("id", _KEY, primary_key=True),
            sa.Column("dataset_type_id", _KEY, sa.ForeignKey("dataset_type.id"), nullable=False),
            sa.Column("collection_id", _KEY, sa.ForeignKey("collection.id", ondelete="CASCADE"), nullable=False),
            *dimensions,
            sa.Column("dataset_id", DatasetId, sa.ForeignKey("dataset.id", ondelete="CASCADE"), nullable=False),
            sa.Column("timespan_begin", sa.BigInteger, nullable=False),
            sa.Column("timespan_end", sa.BigInteger, nullable=False),
            *self.key_references(group),
            sa.Index(f"{name}_find", "dataset_type_id", *group.required, "collection_id", "timespan_begin"),
            sa.Index(f"{name}_dataset", "dataset_id"),
            sa.Index(f"{name}_collection", "collection_id", "dataset_type_id"),
            rowid=True,
        )
        forbid = sa.DDL(overlap_constraint(name, group))  # type: ignore[no-untyped-call]
        sa.event.listen(table, "after_create", forbid.execute_if(dialect="postgresql"))
        return table

    def key_references(self, group: DimensionGroup) -> list[sa.ForeignKeyConstraint]:
        """Return the foreign keys by which a table kept by a group of dimensions refers to their records."""
        covered = {r for n in group.required for r in self.universe[n].requires}  # by the key of what requires them
        return [r for n in group.required if n not in covered for r in self._references(group, n)]


def calib_table_name(group: DimensionGroup) -> str:
    """Return the name of a group's table of calibrations, as `tag_table_name` does."""
    return _table_name("calib", group)


def overlap_constraint(name: str, group: DimensionGroup) -> str:
    """Return the SQL by which PostgreSQL forbids two calibrations of one data ID to be valid at one time.

    GiST indexes compare ranges as they come, numbers only with a contrib module: each number is put into a range of
    its own, and each text there by its digest.
    """
    keys = ["dataset_type_id", "collection_id"]
    for dimension in group.required:
        key = group.universe[dimension].key
        is_number = key is not None and key.type == "int"
        keys.append(f'"{dimension}"' if is_number else f'hashtextextended("{dimension}", 0)')
    ranges = [f"int8range({key}, {key}, '[]')" for key in keys] + ["int8range(timespan_begin, timespan_end)"]
    listed = ", ".join(f"{one} WITH &&" for one in ranges)
    return f"ALTER TABLE {name} ADD CONSTRAINT {name}_overlap EXCLUDE USING gist ({listed})"


def tag_table_name(group: DimensionGroup) -> str:
    """Return the name of a group's table of tags, short enough for PostgreSQL's 63 bytes with what indexes add."""
    return _table_name("tag", group)


def _table_name(kind: str, group: DimensionGroup) -> str:
    name = "_".join((kind, *group.required))
    if len(name) > 44:
        name = f"{name[:35]}_{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"
    return name
