"""What a simulated supplier remembers: quotations, orders and keys, in one small SQLite file.

A restart of the demo, or a kill in the middle, goes on from here. It is the simulation's memory, not ours: the
gateway never opens it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TABLE = (
    "CREATE TABLE IF NOT EXISTS page (kind TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID"
)
QUOTATIONS_MAX = 5000
"""Old offers beyond that many are forgotten, as they have long expired."""


class Book:
    """Pages of JSON by kind and key; what is written inside `all_or_nothing` is there together."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")  # a killed process loses nothing; a power cut may
        self._connection.execute(_TABLE)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Write several pages as one."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def get(self, kind: str, key: str) -> Any:
        """Return a page, or None."""
        row = self._connection.execute("SELECT body FROM page WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, kind: str, key: str, body: Any) -> None:
        """Write a page, over the one that was there."""
        self._connection.execute("INSERT OR REPLACE INTO page VALUES (?, ?, ?)", (kind, key, json.dumps(body)))

    def all(self, kind: str) -> list[Any]:
        """Return every page of a kind, by key."""
        rows = self._connection.execute("SELECT body FROM page WHERE kind = ? ORDER BY key", (kind,))
        return [json.loads(body) for (body,) in rows]

    def next_number(self, name: str) -> int:
        """Return 1, 2, 3... for a name, also after a restart."""
        number = int(self.get("counter", name) or 0) + 1
        self.put("counter", name, number)
        return number

    def forget_old(self, kind: str, keep: int) -> None:
        """Forget all but the last `keep` pages of a kind, in the order of their keys."""
        self._connection.execute(
            "DELETE FROM page WHERE kind = ? AND key NOT IN "
            "(SELECT key FROM page WHERE kind = ? ORDER BY key DESC LIMIT ?)",
            (kind, kind, keep),
        )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
