"""Alembic's door to the spend database: the caller's connection and transaction, nothing else."""

from alembic import context

from gateway.web.accounts import metadata as accounts
from maintenance.store import durable
from marketplace.store import metadata as marketplace

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[marketplace, durable, accounts],
    render_as_batch=True,
)
context.run_migrations()
