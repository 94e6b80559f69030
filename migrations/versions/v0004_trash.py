"""The trash: datasets that were removed, and can be restored until it is emptied.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

from skybutler.model.dimensions import universe_from_json
from skybutler.registry.database import DatasetId
from skybutler.registry.tables import Tables
from skybutler.registry.views import create_trash_view

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables of removed datasets and their files, and the view."""
    op.create_table(
        "trash",
        sa.Column("dataset_id", DatasetId, primary_key=True),
        sa.Column("dataset_type", sa.Text, nullable=False),
        sa.Column("data_id", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("removed_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_ns", sa.BigInteger, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("trash_due", "trash", ["state", "expires_ns"])
    op.create_table(
        "trash_file",
        sa.Column("dataset_id", DatasetId, sa.ForeignKey("trash.dataset_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("component", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("formatter", sa.Text, nullable=False),
        sa.Column("storage_class", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("checksum", sa.Text),
        sa.Column("shared", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("trash_file_path", "trash_file", ["path"])
    connection = op.get_bind()
    text = connection.execute(sa.text("SELECT value FROM attribute WHERE name = 'universe'")).scalar_one()
    create_trash_view(connection, Tables(universe_from_json(text), connection.dialect.name))
