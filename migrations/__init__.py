"""Migrations of the registry schema (Alembic); `skybutler.registry.schema` runs them."""
