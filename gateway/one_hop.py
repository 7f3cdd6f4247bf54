"""SQLite off the event loop with one hop to its thread for each statement, where aiosqlite takes four.

A purchase is some hundred statements, and every hop between threads costs a wake-up on either side: cursor, execute,
fetch and close are one job here. A connection that holds the write lock anyway may take none (`at_once`): inside its
transaction a statement waits for nobody and takes microseconds, less than the wake-up. What waits goes to the thread
all the same: the beginning, which waits for the lock, the end, which waits for the disk, and whatever is large.
All rows of a statement are fetched at once, which is what SQLAlchemy does anyway.
Server-side cursors (`stream`) are not offered: nothing here reads
more rows than it holds. Everything else is aiosqlite's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import aiosqlite

Rows = Sequence[tuple[Any, ...]]
AT_ONCE_MAX = 64
"""Sets of parameters that one statement may have to be run on the event loop: below a millisecond."""


class OneHopCursor:
    """What SQLAlchemy wants of an asynchronous cursor; holds the rows of its last statement."""

    arraysize = 1

    def __init__(self, connection: OneHopConnection) -> None:
        self._connection = connection
        self._rows: Rows = ()
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> OneHopCursor:
        return self

    async def execute(self, statement: str, parameters: Iterable[Any] = ()) -> OneHopCursor:
        """Run a statement and fetch its rows. Raises what sqlite3 raises."""
        return await self._run(sqlite3.Cursor.execute, statement, parameters)

    async def executemany(self, statement: str, parameters: Iterable[Iterable[Any]]) -> OneHopCursor:
        """Run a statement for each set of parameters. Raises what sqlite3 raises."""
        return await self._run(sqlite3.Cursor.executemany, statement, parameters)

    async def _run(self, act: Any, statement: str, parameters: Any) -> OneHopCursor:
        self.description, self._rows, self.rowcount, self.lastrowid = await self._connection.in_thread(
            act, statement, parameters
        )
        return self

    async def fetchall(self) -> Rows:
        """Return the rows, once."""
        rows, self._rows = self._rows, ()
        return rows

    async def close(self) -> None:
        """Nothing is open: the thread closed its cursor when it had the rows."""


class OneHopConnection(aiosqlite.Connection):
    """An aiosqlite connection whose cursors take one hop; `at_once`: none for what is small and waits for nothing."""

    at_once = False

    async def _connect(self) -> OneHopConnection:
        """Open the file. Where that fails the thread has ended before anybody is told: told later, by a loop that may
        be closed by then, the thread would break."""
        try:
            await super()._connect()
        except sqlite3.Error:
            self._thread.join()  # it was told to stop, and waits for nothing
            raise
        return self

    def cursor(self) -> Any:  # a cursor of ours, which SQLAlchemy enters as it enters aiosqlite's
        """Return a cursor; nothing happens in the thread yet."""
        return OneHopCursor(self)

    async def rollback(self) -> None:
        """Roll back; SQLAlchemy asks for it whenever a connection is given back, mostly with nothing to do."""
        if not self.at_once or self._conn.in_transaction:
            await super().rollback()

    async def in_thread(self, act: Any, statement: str, parameters: Any) -> tuple[Any, Rows, int, int | None]:
        """Run one statement in the connection's thread: its columns, rows, number of rows touched, last row id."""

        def run() -> tuple[Any, Rows, int, int | None]:
            cursor = self._conn.cursor()
            try:
                act(cursor, statement, parameters)
                rows = cursor.fetchall() if cursor.description else ()
                return cursor.description, rows, cursor.rowcount, cursor.lastrowid
            finally:
                cursor.close()

        if self.at_once and self._conn.in_transaction and _is_small(statement, parameters):
            return run()
        answer: tuple[Any, Rows, int, int | None] = await self._execute(run)  # type: ignore[no-untyped-call]
        return answer

    async def look(self, statement: str, parameters: Mapping[str, Any]) -> Rows:
        """Return the rows of a query whose parameters have names. Raises what sqlite3 raises."""
        return (await self.in_thread(sqlite3.Cursor.execute, statement, parameters))[1]

    async def touch(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run a statement for each set of parameters; return how many rows it touched. Raises what sqlite3 raises."""
        if len(rows) == 1:
            return (await self.in_thread(sqlite3.Cursor.execute, statement, rows[0]))[2]
        return (await self.in_thread(sqlite3.Cursor.executemany, statement, rows))[2]

    async def together(self, statements: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> bool:
        """Run several statements, each for all of its rows, in one hop at most; returns whether each touched as many.

        The first that touches fewer is the last that runs. Raises what sqlite3 raises.
        """

        def run() -> bool:
            return all(self._conn.executemany(each, rows).rowcount == len(rows) for each, rows in statements)

        if self._runs_at_once(sum(len(rows) for _each, rows in statements)):
            return run()
        done: bool = await self._execute(run)  # type: ignore[no-untyped-call]
        return done

    def _runs_at_once(self, rows: int) -> bool:
        """Return whether so many rows need no hop: the lock is held, and they are soon written."""
        return self.at_once and self._conn.in_transaction and rows <= AT_ONCE_MAX


def _is_small(statement: str, parameters: Any) -> bool:
    """Return whether a statement inside a transaction waits for nothing: neither for the disk nor for many rows."""
    if statement.startswith(("COMMIT", "ROLLBACK", "PRAGMA", "CREATE", "ALTER", "DROP")):
        return False
    many = isinstance(parameters, list) and parameters and isinstance(parameters[0], list | tuple | dict)
    return not many or len(parameters) <= AT_ONCE_MAX


def connect(address: str, *, at_once: bool = False) -> OneHopConnection:
    """Return a connection to the database at a `file:` address, to be awaited; its thread never holds up an exit."""

    def open_file() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, check_same_thread=False)

    connection = OneHopConnection(open_file, iter_chunk_size=64)
    connection._thread.daemon = True
    connection.at_once = at_once
    return connection
