"""A spend store without threads: SQLite runs inside the event loop, in the very call that asks it.

It keeps the promise of `marketplace.store.Database` for what replays time: simulations and backtests, where a thread
would race a virtual clock. One connection serves everybody in turn, so that a reader sees what is committed and nothing
else; the database is a file or, without a path, memory. While a statement runs nothing else does: a gateway that
watches machines takes `storage.Storage` instead.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import StaticPool, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_

from gateway.storage import FULL, Durability, due_at_commit


class InlineStorage:
    """One SQLite database on one connection, used by one task at a time."""

    def __init__(self, opened: sqlite3.Connection) -> None:
        """Take over a connection in autocommit mode, such as `open_file` and `open_memory` give."""
        self._raw = opened
        self._turn = asyncio.Lock()
        self._user: asyncio.Task[Any] | None = None
        self._engine = _engine(InlineConnection(opened))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Begin the one writing transaction; leaving without an exception commits it durably."""
        async with self._connection() as connection:
            self._raw.execute("BEGIN IMMEDIATE")
            try:
                with due_at_commit(connection) as acts:
                    yield connection
                    for act in acts:
                        await act(connection)
                self._raw.execute("COMMIT")
            except BaseException:
                self._undo()
                raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Begin a consistent read."""
        async with self._connection() as connection:
            self._raw.execute("BEGIN")
            try:
                yield connection
            finally:
                self._undo()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        """Wait for one's turn. Raises RuntimeError for a transaction within one's own, which would wait for ever."""
        if self._user is not None and self._user is asyncio.current_task():
            raise RuntimeError("a transaction was begun within another one of the same task")
        async with self._turn, self._engine.connect() as connection:
            self._user = asyncio.current_task()
            try:
                yield connection
            finally:
                self._user = None

    def _undo(self) -> None:
        if self._raw.in_transaction:  # a failed COMMIT may have ended it
            self._raw.execute("ROLLBACK")

    async def close(self) -> None:
        """Close the connection; what was in memory is gone."""
        await self._engine.dispose()
        self._raw.close()


def open_file(path: Path, durability: Durability = FULL) -> sqlite3.Connection:
    """Open a database file, new or there already, as durable as it is said to be."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={durability.synchronous}")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def open_memory(
    content: bytes | None = None, *, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """Open a database in memory, with the content of a database file if one is given."""
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=factory)
    if content is not None:
        connection.deserialize(content)
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _engine(connection: InlineConnection) -> AsyncEngine:
    engine = create_async_engine("sqlite+aiosqlite://", creator=lambda: connection, poolclass=StaticPool)
    event.listen(engine.sync_engine, "begin", lambda _connection: None)  # `write` and `read` say which BEGIN they want
    return engine


class InlineConnection:
    """What SQLAlchemy wants of a driver's connection; transactions are the storage's affair."""

    def __init__(self, opened: sqlite3.Connection) -> None:
        self._opened = opened
        self._connection = InlineWay(opened)  # the dialect takes the driver's own connection from this name

    @property
    def driver_connection(self) -> sqlite3.Connection:
        """SQLAlchemy asks for it by this name: the connection behind all this."""
        return self._opened

    def cursor(self) -> InlineCursor:
        """Return a cursor."""
        return InlineCursor(self._opened)

    def create_function(self, *arguments: Any, **options: Any) -> None:
        """Teach SQLite a function; the dialect wants one of its own."""
        self._opened.create_function(*arguments, **options)

    def commit(self) -> None:
        """Nothing: `InlineStorage.write` commits."""

    def rollback(self) -> None:
        """Nothing: `InlineStorage` rolls back."""

    def close(self) -> None:
        """Nothing: the connection is lent, and `InlineStorage.close` closes it."""


class InlineWay:
    """The short way of `marketplace.statements`: here no way at all."""

    def __init__(self, opened: sqlite3.Connection) -> None:
        self._opened = opened

    async def look(self, statement: str, parameters: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query whose parameters have names. Raises what sqlite3 raises."""
        return self._opened.execute(statement, parameters).fetchall()

    async def touch(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run a statement for each set of parameters; return how many rows it touched. Raises what sqlite3 raises."""
        return self._opened.executemany(statement, rows).rowcount

    async def together(self, statements: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> bool:
        """Run each statement for all of its rows, until one touches fewer; return whether none did."""
        return all(self._opened.executemany(each, rows).rowcount == len(rows) for each, rows in statements)


class InlineCursor:
    """Holds the rows of its last statement, all of them: nothing stays open between two statements."""

    arraysize = 1

    def __init__(self, opened: sqlite3.Connection) -> None:
        self._opened = opened
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> InlineCursor:
        """Run a statement and fetch its rows. Raises what sqlite3 raises."""
        return self._run(lambda cursor: cursor.execute(statement, parameters))

    def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> InlineCursor:
        """Run a statement for each set of parameters. Raises what sqlite3 raises."""
        return self._run(lambda cursor: cursor.executemany(statement, parameters))

    def _run(self, act: Callable[[sqlite3.Cursor], object]) -> InlineCursor:
        await_(_at_once())
        cursor = self._opened.cursor()
        try:
            act(cursor)
            self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
            self._rows = iter(cursor.fetchall() if cursor.description else ())
        finally:
            cursor.close()
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, None after the last."""
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """Return the next rows, as many as are left at most."""
        return [row for _, row in zip(range(size or self.arraysize), self._rows, strict=False)]

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        return list(self._rows)

    def close(self) -> None:
        """Forget the rows."""
        self._rows = iter(())

    async def _async_soft_close(self) -> None:
        """SQLAlchemy asks for it by this name once it has a statement's result: nothing is open."""


async def _at_once() -> None:
    """SQLAlchemy insists that an asynchronous driver awaits something; this is over before it begins."""
