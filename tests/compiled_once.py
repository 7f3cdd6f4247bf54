"""SQLAlchemy compiles each statement once for all the engines of a test process, instead of once for each.

Nearly every test opens databases of its own, and SQLAlchemy keeps compiled statements by engine and dialect object:
two fifths of the tests' time went into compiling the same statements again. Here all SQLite dialects count as one, and
all engines share one cache. The product does not need it: a gateway opens its databases once.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache

STATEMENTS_MAX: Final = 5_000
"""More than the program has; the cache forgets the oldest beyond."""


def share() -> None:
    """Let every engine made from now on share its compiled statements; once in a process."""
    compiled: LRUCache[Any, Any] = LRUCache(STATEMENTS_MAX)
    made = Engine.__init__

    def sharing(self: Engine, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        if type(self.dialect) is SQLiteDialect_aiosqlite:
            self._compiled_cache = compiled

    Engine.__init__ = sharing  # type: ignore[method-assign]
    SQLiteDialect_aiosqlite.__hash__ = lambda _self: hash(SQLiteDialect_aiosqlite)  # type: ignore[method-assign]
    SQLiteDialect_aiosqlite.__eq__ = (  # type: ignore[method-assign]
        lambda _self, other: type(other) is SQLiteDialect_aiosqlite
    )
