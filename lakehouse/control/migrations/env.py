"""Alembic's entry: migrates over the connection that `lakehouse.control.upgrade` opened."""

from alembic import context

from lakehouse.control.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
