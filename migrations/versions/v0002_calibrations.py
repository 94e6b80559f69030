"""Tables of the spans of time for which calibrations are valid.

Revision ID: 0002
Revises: 0001
"""

import json

import sqlalchemy as sa
from alembic import op

from skybutler.model.dimensions import universe_from_json
from skybutler.registry.database import DatasetId
from skybutler.registry.tables import Tables, calib_table_name, overlap_constraint
from skybutler.registry.views import create_calibration_view

revision = "0002"
down_revision = "0001"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make a table for each group of dimensions that a calibration type has, and the view of them all."""
    connection = op.get_bind()
    text = connection.execute(sa.text("SELECT value FROM attribute WHERE name = 'universe'")).scalar_one()
    universe = universe_from_json(text)
    tables = Tables(universe, connection.dialect.name)
    kept = connection.execute(sa.text("SELECT dimensions FROM dataset_type WHERE is_calibration ORDER BY id"))
    groups = list(dict.fromkeys(universe.conform(json.loads(names)) for names in kept.scalars()))
    for group in groups:
        name = calib_table_name(group)
        dimensions = [
            sa.Column(n, sa.BigInteger if universe[n].key.type == "int" else sa.Text, nullable=False)  # type: ignore[union-attr]
            for n in group.required
        ]
        op.create_table(
            name,
            sa.Column("id", _KEY, primary_key=True),
            sa.Column("dataset_type_id", _KEY, sa.ForeignKey("dataset_type.id"), nullable=False),
            sa.Column("collection_id", _KEY, sa.ForeignKey("collection.id", ondelete="CASCADE"), nullable=False),
            *dimensions,
            sa.Column("dataset_id", DatasetId, sa.ForeignKey("dataset.id", ondelete="CASCADE"), nullable=False),
            sa.Column("timespan_begin", sa.BigInteger, nullable=False),
            sa.Column("timespan_end", sa.BigInteger, nullable=False),
            *tables.key_references(group),
        )
        op.create_index(f"{name}_find", name, ["dataset_type_id", *group.required, "collection_id", "timespan_begin"])
        op.create_index(f"{name}_dataset", name, ["dataset_id"])
        op.create_index(f"{name}_collection", name, ["collection_id", "dataset_type_id"])
        if connection.dialect.name == "postgresql":
            op.execute(overlap_constraint(name, group))
    create_calibration_view(connection, tables, groups)
