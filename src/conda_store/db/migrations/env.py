"""Alembic's entry: `conda_store.db.migrate` passes the connection in, inside its transaction."""

from alembic import context

from conda_store.db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
