"""Header values and annotations of datasets.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from skybutler.model.dimensions import universe_from_json
from skybutler.registry.database import DatasetId
from skybutler.registry.tables import Tables
from skybutler.registry.views import create_annotation_view

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table of what datasets are found by beside their data IDs, and its view."""
    op.create_table(
        "annotation",
        sa.Column("dataset_id", DatasetId, sa.ForeignKey("dataset.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("number", sa.Double),
        sa.Column("text", sa.Text().with_variant(sa.Text(collation="C"), "postgresql")),
        sqlite_with_rowid=False,
    )
    for name in ("number", "text"):
        there = sa.column(name).is_not(None)
        op.create_index(
            f"annotation_{name}", "annotation", ["scope", "key", name], sqlite_where=there, postgresql_where=there
        )
    connection = op.get_bind()
    text = connection.execute(sa.text("SELECT value FROM attribute WHERE name = 'universe'")).scalar_one()
    create_annotation_view(connection, Tables(universe_from_json(text), connection.dialect.name))
