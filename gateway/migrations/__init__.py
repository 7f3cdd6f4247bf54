"""The schema of both databases, one Alembic line of revisions each.

A new file gets today's tables at once and is marked as being at the head: a test shows that all revisions together
build the very same. An older file is upgraded in one transaction, all or nothing; a newer file is refused, because an
older program would misread it. Alembic is imported only when there is something to upgrade.
"""

from __future__ import annotations

from gettext import gettext as _
from typing import Final

from sqlalchemy import Connection, MetaData, inspect, text

HEADS: Final = {"spend": "0007", "telemetry": "0004"}
"""The newest revision of each database; a test compares it with the scripts."""


class NewerSchema(Exception):
    """The file was written by a newer version; `str()` is a sentence for people."""


def tables(database: str) -> list[MetaData]:
    """Return what the code speaks of in a database."""
    import maintenance.alarms.store
    import maintenance.history  # noqa: F401, both own tables of telemetry
    from gateway.learning.ledger import metadata as learning
    from gateway.web.accounts import metadata as accounts
    from maintenance.store import durable, telemetry
    from marketplace.store import metadata as marketplace

    return {"spend": [marketplace, durable, accounts, learning], "telemetry": [telemetry]}[database]


def current(connection: Connection) -> str | None:
    """Return the revision that a database is at, None when it is new."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return revision


def prepare(connection: Connection, database: str) -> None:
    """Bring a database to its head within the caller's transaction. Raises `NewerSchema`."""
    found, head = current(connection), HEADS[database]
    if found is None:
        _make(connection, database)
    elif found > head:
        sentence = _(
            "the {database} database has schema {found} and this version knows {head}: it was written by a newer "
            "Toolcrib. Install that version again; nothing was changed"
        )
        raise NewerSchema(sentence.format(database=database, found=found, head=head))
    elif found != head:
        upgrade(connection, database)


def _make(connection: Connection, database: str) -> None:
    for metadata in tables(database):
        metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEADS[database]})


def upgrade(connection: Connection, database: str) -> None:
    """Walk every revision that a database does not have yet."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", f"gateway.migrations:{database}")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
