"""The two databases: `spend`, which loses no commit, and `telemetry`, a ring that may lose its last second.

Each has one writer at a time and any number of readers. Durability is asserted when a connection opens, never assumed.
A file that is broken, missing where it was, or of another schema stops the start with one sentence; nothing is ever
re-created over it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.one_hop import connect

READERS_MAX = 4
"""Enough for a page, a command and the event stream at once; each costs a thread."""
BUSY_TIMEOUT_MS = 5_000
CACHE_KIB = 512
"""Each of up to ten connections keeps this much; the operating system caches the files anyway."""


class StorageBroken(Exception):
    """A database cannot be trusted; `str()` says which, why, and what to do. Buying stops."""


@dataclass(frozen=True, slots=True)
class Durability:
    """How a database is opened: `synchronous` is SQLite's number, 2 FULL, 1 NORMAL."""

    synchronous: int


FULL, NORMAL = Durability(2), Durability(1)


class Storage:
    """One SQLite database file in write-ahead mode, with a single writer."""

    def __init__(self, path: Path, durability: Durability, *, read_only: bool = False) -> None:
        self.path = path
        self._durability = durability
        self._read_only = read_only
        self._writing = asyncio.Lock()
        self._writer = self._engine(readers=1, at_once=durability == FULL)
        self._readers = self._engine(readers=READERS_MAX, at_once=False)

    def _engine(self, *, readers: int, at_once: bool) -> AsyncEngine:
        mode = "ro" if self._read_only else "rwc"
        address = f"file:{self.path}?mode={mode}"
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{address}&uri=true",
            async_creator=lambda: connect(address, at_once=at_once),
            pool_size=readers,
            max_overflow=0,
        )
        event.listen(engine.sync_engine, "connect", self._configure)
        event.listen(engine.sync_engine, "begin", _begin_by_hand)
        return engine

    def _configure(self, connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        if not self._read_only:
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={self._durability.synchronous}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        for pragma, wanted in (
            ("journal_mode", "wal"),
            ("synchronous", self._durability.synchronous),
            ("foreign_keys", 1),
        ):
            cursor.execute(f"PRAGMA {pragma}")
            found = cursor.fetchone()[0]
            if found != wanted:
                sentence = _(
                    "{path}: {pragma} is {found}, not {wanted}, so commits would not be safe; "
                    "move the data directory to a local disk"
                )
                raise StorageBroken(sentence.format(path=self.path, pragma=pragma, found=found, wanted=wanted))
        cursor.close()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Begin the one writing transaction; leaving without an exception commits it durably."""
        async with self._writing, self._writer.connect() as connection:
            await connection.execute(text("BEGIN IMMEDIATE"))
            try:
                yield connection
            except BaseException:
                await connection.exec_driver_sql("ROLLBACK")
                raise
            await connection.exec_driver_sql("COMMIT")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Begin a consistent read."""
        async with self._readers.connect() as connection:
            await connection.execute(text("BEGIN"))
            try:
                yield connection
            finally:
                await connection.exec_driver_sql("ROLLBACK")

    async def check(self) -> None:
        """Open the file and let SQLite look it over. Raises `StorageBroken` with one sentence."""
        try:
            async with self.read() as connection:
                verdict = (await connection.exec_driver_sql("PRAGMA quick_check(1)")).scalar_one()
        except DBAPIError as error:
            raise StorageBroken(_sentence(self.path, error.orig)) from error
        if verdict != "ok":
            raise StorageBroken(_sentence(self.path, verdict))

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        await self._readers.dispose()


def _begin_by_hand(_connection: Any) -> None:
    """SQLAlchemy's own BEGIN is left out: `write` and `read` say which kind they want."""


def _sentence(path: Path, reason: object) -> str:
    sentence = _("{path} cannot be used ({reason}); buying is stopped. Restore it from a backup; do not delete it.")
    return sentence.format(path=path, reason=reason)
