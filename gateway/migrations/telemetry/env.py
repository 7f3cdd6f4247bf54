"""Alembic's door to the telemetry database: the caller's connection and transaction, nothing else."""

from alembic import context

from gateway.migrations import tables

context.configure(
    connection=context.config.attributes["connection"], target_metadata=tables("telemetry"), render_as_batch=True
)
context.run_migrations()
