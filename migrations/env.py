"""Alembic's entry: runs migrations on the connection that `skybutler.registry.schema` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=False, render_as_batch=connection.dialect.name == "sqlite")
context.run_migrations()
