"""A database whose disk fails on command: full for writers, or broken for everybody, from the n-th statement on."""

from __future__ import annotations

import sqlite3
from typing import Any

from gateway.inline import open_memory

FULL, BROKEN = "database or disk is full", "disk I/O error"
_READS = ("SELECT", "ROLLBACK", "BEGIN", "PRAGMA", "SAVEPOINT", "RELEASE")


class Disk:
    """Healthy until `fail`, which lets `after` more statements through; `mend` ends it."""

    def __init__(self) -> None:
        self.reason = ""
        self._left = 0

    def fail(self, reason: str, after: int = 0) -> None:
        self.reason = reason
        self._left = after

    def mend(self) -> None:
        self.reason = ""

    def touch(self, statement: str) -> None:
        """Raise what SQLite would. A full disk still reads; nothing stops a rollback, which happens in memory."""
        if not self.reason or statement.startswith("ROLLBACK"):
            return
        if self.reason == FULL and statement.lstrip().upper().startswith(_READS):
            return
        if self._left > 0:
            self._left -= 1
            return
        raise sqlite3.OperationalError(self.reason)


class FailingCursor(sqlite3.Cursor):
    """Asks the disk before each statement."""

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        self.connection.disk.touch(statement)
        return super().execute(statement, *parameters)

    def executemany(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        self.connection.disk.touch(statement)
        return super().executemany(statement, *parameters)


class FailingConnection(sqlite3.Connection):
    """A connection on a disk that may fail."""

    disk: Disk

    def cursor(self, factory: Any = FailingCursor) -> Any:
        return super().cursor(factory)


def open_on(disk: Disk, content: bytes) -> FailingConnection:
    """Open a database with this content, in memory, as if on that disk."""
    opened = open_memory(content, factory=FailingConnection)
    assert isinstance(opened, FailingConnection)
    opened.disk = disk
    return opened


def healthy(connection: sqlite3.Connection) -> sqlite3.Cursor:
    """Return a cursor for whoever only looks on: no fault touches it."""
    return sqlite3.Cursor(connection)
