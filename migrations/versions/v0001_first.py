"""The first schema.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import context, op

from skybutler.registry.catalog import first_version
from skybutler.registry.database import DatasetId
from skybutler.registry.tables import Tables
from skybutler.registry.views import create_views

revision = "0001"
down_revision = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables of every repository, those of the universe's dimensions, and the views."""
    op.create_table(
        "attribute",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "collection",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("type", sa.SmallInteger, nullable=False),
        sa.Column("doc", sa.Text, nullable=False, server_default=""),
    )
    op.create_table(
        "collection_chain",
        sa.Column("parent_id", _KEY, sa.ForeignKey("collection.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("child_id", _KEY, sa.ForeignKey("collection.id"), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_collection_chain_child_id", "collection_chain", ["child_id"])
    op.create_table(
        "dataset_type",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("dimensions", sa.Text, nullable=False),
        sa.Column("storage_class", sa.Text, nullable=False),
        sa.Column("is_calibration", sa.Boolean, nullable=False),
        sa.Column("tag_table", sa.Text, nullable=False),
    )
    op.create_table(
        "dataset",
        sa.Column("id", DatasetId, primary_key=True),
        sa.Column("dataset_type_id", _KEY, sa.ForeignKey("dataset_type.id"), nullable=False),
        sa.Column("run_id", _KEY, sa.ForeignKey("collection.id"), nullable=False),
        sa.Column("ingest_date", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("dataset_run", "dataset", ["run_id", "dataset_type_id"])
    op.create_table(
        "stored_file",
        sa.Column("dataset_id", DatasetId, sa.ForeignKey("dataset.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("component", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("formatter", sa.Text, nullable=False),
        sa.Column("storage_class", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("checksum", sa.Text),
        sa.Column("shared", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    alone = sa.not_(sa.column("shared", sa.Boolean))
    op.create_index("stored_file_path", "stored_file", ["path"])
    op.create_index(
        "stored_file_alone", "stored_file", ["path"], unique=True, sqlite_where=alone, postgresql_where=alone
    )
    op.create_table(
        "collection_summary",
        sa.Column("collection_id", _KEY, sa.ForeignKey("collection.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("dataset_type_id", _KEY, sa.ForeignKey("dataset_type.id", ondelete="CASCADE"), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quantum",
        sa.Column("id", DatasetId, primary_key=True),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("run_id", _KEY, sa.ForeignKey("collection.id", ondelete="CASCADE"), nullable=False),
        sa.Column("data_id", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("begin_ns", sa.BigInteger, nullable=False),
        sa.Column("end_ns", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_quantum_run_id", "quantum", ["run_id"])
    op.create_index("ix_quantum_fingerprint", "quantum", ["fingerprint"])
    op.create_table(
        "quantum_dataset",
        sa.Column("quantum_id", DatasetId, sa.ForeignKey("quantum.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("is_output", sa.Boolean, primary_key=True),
        sa.Column("dataset_id", DatasetId, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_quantum_dataset_dataset_id", "quantum_dataset", ["dataset_id"])

    tables = Tables(context.config.attributes["universe"])
    connection = op.get_bind()
    for table in tables.dimension_tables:
        table.create(connection)
    create_views(connection, tables)
    first_version(connection, tables)
