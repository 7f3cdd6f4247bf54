"""Alembic's door to the telemetry database: the caller's connection and transaction, nothing else."""

from alembic import context

from maintenance.store import telemetry

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[telemetry],
    render_as_batch=True,
)
context.run_migrations()
