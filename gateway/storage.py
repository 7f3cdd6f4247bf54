"""The two databases: `spend`, which loses no commit, and `telemetry`, a ring that may lose its last second.

Each has one writer at a time and any number of readers. Durability is asserted when a connection opens, never assumed.
A file that is broken, missing where it was, or of another schema stops the start with one sentence; nothing is ever
re-created over it. Under a running gateway every fault of the disk is told to whoever watches (`Watch`), a file that
proves malformed or is taken away is never written again, and readers go on.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.buying import Cause, broken, cause_of
from gateway.one_hop import OneHopConnection, connect
from marketplace.store import AT_COMMIT

READERS_MAX = 4
"""Enough for a page, a command and the event stream at once; each costs a thread."""
BUSY_TIMEOUT_MS = 5_000
TRIALS = 1_000_000
"""The file's user version counts trials of writing and nothing else; it must change, or SQLite writes no page."""
WRITER_CACHE_KIB, READER_CACHE_KIB = 256, 64
"""What the one writer keeps of a file, and each of the readers; the operating system caches the files anyway."""


class StorageBroken(Exception):
    """A database cannot be trusted; `str()` says which, why, and what to do. Buying stops."""


FAILURES: Final = (DBAPIError, sqlite3.Error, StorageBroken)
"""What a failing disk or file looks like to whoever used the database."""


@dataclass(frozen=True, slots=True)
class Durability:
    """How a database is opened: `synchronous` is SQLite's number, 2 FULL, 1 NORMAL."""

    synchronous: int


FULL, NORMAL = Durability(2), Durability(1)


class Watch(Protocol):
    """Who is told how the disk behaves."""

    def storage_failed(self, path: Path, error: BaseException | None) -> None:
        """Take an error that SQLite gave."""

    def storage_works(self) -> None:
        """Take that a write became durable."""


class Storage:
    """One SQLite database file in write-ahead mode, with a single writer.

    watch: who is told of faults and of commits. connecting: makes a connection to a `file:` address.
    """

    def __init__(
        self,
        path: Path,
        durability: Durability,
        *,
        read_only: bool = False,
        watch: Watch | None = None,
        connecting: Callable[[str], OneHopConnection] = connect,
    ) -> None:
        self.path = path
        self._durability = durability
        self._read_only = read_only
        self._watch = watch
        self._connecting = connecting
        self._file: tuple[int, int] | None = None
        self._broken = ""
        self._writing = asyncio.Lock()
        self._held: AsyncConnection | None = None
        self._writer = self._engine(1, WRITER_CACHE_KIB, at_once=durability == FULL)
        self._readers = self._engine(READERS_MAX, READER_CACHE_KIB, at_once=False)

    def _connection(self, at_once: bool) -> OneHopConnection:
        """Return a connection to be awaited; `at_once`: see `gateway.one_hop`."""
        connection = self._connecting(self._address())
        connection.at_once = at_once
        return connection

    def _engine(self, connections: int, cache_kib: int, *, at_once: bool) -> AsyncEngine:
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{self._address()}&uri=true",
            async_creator=lambda: self._connection(at_once),
            pool_size=connections,
            max_overflow=0,
        )
        event.listen(engine.sync_engine, "connect", partial(self._configure, cache_kib))
        event.listen(engine.sync_engine, "begin", _begin_by_hand)
        event.listen(engine.sync_engine, "handle_error", self._noticed)
        return engine

    def _address(self) -> str:
        """A file that was there once is opened and never made: its loss must not look like a beginning."""
        mode = "ro" if self._read_only else "rwc" if self._file is None else "rw"
        return f"file:{self.path}?mode={mode}"

    def _configure(self, cache_kib: int, connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        if not self._read_only:
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={self._durability.synchronous}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{cache_kib}")
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
        self._file = self._file or _identity(self.path)

    def _noticed(self, context: ExceptionContext) -> None:
        self._fails(context.original_exception)

    def _tell_of(self, error: BaseException) -> None:
        """A statement that went past SQLAlchemy has told nobody of its error; to tell it twice changes nothing."""
        found = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(found, sqlite3.Error):
            self._fails(found)

    def _fails(self, error: BaseException) -> None:
        if cause_of(error) is Cause.BROKEN and not self._broken:
            self._broken = broken(self.path, error)
        if self._watch is not None:
            self._watch.storage_failed(self.path, error)

    def _require_the_file(self) -> None:
        """Refuse to write into a file that nobody will ever find again, or that proved malformed."""
        if self._file is not None and _identity(self.path) != self._file and not self._broken:
            gone = sqlite3.DatabaseError(_("it was removed or exchanged while the gateway ran"))
            gone.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            self._fails(gone)
        if self._broken:
            raise StorageBroken(self._broken)

    async def _held_connection(self) -> AsyncConnection:
        """Return the connection that writes, held from one transaction to the next; a lost one is opened anew."""
        if self._held is not None and self._held.invalidated:
            await self._held.close()
            self._held = None
        if self._held is None:
            self._held = await self._writer.connect()
        return self._held

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Begin the one writing transaction; leaving without an exception commits it durably.

        Raises `StorageBroken` when the file cannot be trusted any more.
        """
        async with self._writing:
            self._require_the_file()
            connection = await self._held_connection()
            try:
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
                with due_at_commit(connection) as acts:
                    yield connection
                    for act in acts:
                        await act(connection)
                await connection.exec_driver_sql("COMMIT")
            except BaseException as error:
                self._tell_of(error)
                await _roll_back(connection)
                raise
            if self._watch is not None:
                self._watch.storage_works()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Begin a consistent read."""
        async with self._readers.connect() as connection:
            await connection.execute(text("BEGIN"))
            try:
                yield connection
            except BaseException as error:
                self._tell_of(error)
                raise
            finally:
                await _roll_back(connection)

    async def try_writing(self) -> bool:
        """Write something of no meaning durably and return whether that worked; whoever watches is told."""
        try:
            async with self.write() as connection:
                written = (await connection.exec_driver_sql("PRAGMA user_version")).scalar_one()
                await connection.exec_driver_sql(f"PRAGMA user_version={(written + 1) % TRIALS}")
        except (*FAILURES, OSError):
            return False
        return True

    async def check(self, unread: Collection[str] = ()) -> None:
        """Open the file and let SQLite look it over. Raises `StorageBroken` with one sentence.

        unread: tables that are left out, because they are large and whoever reads them can live with damage.
        """
        try:
            async with self.read() as connection:
                verdict = await _verdict(connection, unread)
        except DBAPIError as error:
            raise StorageBroken(_sentence(self.path, error.orig)) from error
        if verdict != "ok":
            raise StorageBroken(_sentence(self.path, verdict))

    async def close(self) -> None:
        """Close every connection."""
        if self._held is not None:
            await self._held.close()
            self._held = None
        await self._writer.dispose()
        await self._readers.dispose()


async def _verdict(connection: AsyncConnection, unread: Collection[str]) -> str:
    if not unread:
        return str((await connection.exec_driver_sql("PRAGMA quick_check(1)")).scalar_one())
    tables = (await connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
    for table in set(tables) - set(unread):
        verdict = str((await connection.exec_driver_sql(f'PRAGMA quick_check("{table}")')).scalars().first())
        if verdict != "ok":
            return verdict
    return "ok"


@contextmanager
def due_at_commit(connection: AsyncConnection) -> Iterator[Sequence[Callable[[AsyncConnection], Awaitable[None]]]]:
    """Collect what a transaction leaves to be done right before its commit; whoever commits does it."""
    told = connection.info  # of one that proves broken it cannot be asked for again
    acts = told[AT_COMMIT] = list[Callable[[AsyncConnection], Awaitable[None]]]()
    try:
        yield acts
    finally:
        del told[AT_COMMIT]


def _begin_by_hand(_connection: Any) -> None:
    """SQLAlchemy's own BEGIN is left out: `write` and `read` say which kind they want."""


async def _roll_back(connection: AsyncConnection) -> None:
    """End a transaction that failed; after a full disk or an I/O error SQLite has often done it by itself.

    Where a statement was cancelled, SQLAlchemy has thrown the connection away, and its transaction with it; to roll
    that back again would only hide the cancellation behind another error, and who shall stop would go on. Where the
    roll-back fails while the transaction stands, the connection is thrown away: it could begin no other one.
    """
    if connection.invalidated:
        return
    with suppress(DBAPIError):
        await connection.exec_driver_sql("ROLLBACK")
    opened = (await connection.get_raw_connection()).driver_connection
    if opened is not None and opened.in_transaction:
        await connection.invalidate()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _sentence(path: Path, reason: object) -> str:
    sentence = _("{path} cannot be used ({reason}); buying is stopped. Restore it from a backup; do not delete it.")
    return sentence.format(path=path, reason=" ".join(str(reason).split()))  # SQLite's verdicts have lines
