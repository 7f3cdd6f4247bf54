"""Statements that every purchase runs: finished once, and run without a detour where the driver has a short way.

It promises the rows and the errors that SQLAlchemy would give: values go in and come out through the columns' own
types, and a driver's error is wrapped as everybody above expects it. SQLAlchemy spends more on a statement than SQLite
does on running it; a driver that has a short way (`ShortWay`) is handed the finished text instead, any other database
is asked in the ordinary way. It knows no table and opens no transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol, cast

from sqlalchemy import Delete, Insert, Select, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import result_tuple
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

Parameters = Mapping[str, Any]
Process = Callable[[Any], Any]
_NAMED: Final = sqlite.dialect(paramstyle="named")


class ShortWay(Protocol):
    """A driver's connection that takes the text of statements with named parameters."""

    async def look(self, statement: str, parameters: Parameters) -> Sequence[Sequence[Any]]:
        """Return the rows of a query."""

    async def touch(self, statement: str, rows: Sequence[Parameters]) -> int:
        """Run a statement for each set of parameters; return how many rows it touched."""

    async def together(self, statements: Sequence[tuple[str, Sequence[Parameters]]]) -> bool:
        """Run each statement for all of its rows, until one touches fewer; return whether none did."""


@dataclass(frozen=True, slots=True)
class _Finished:
    """A statement as the driver takes it.

    bind: turns values into the driver's. fixed: the values that the statement brings itself. row, read: make a row of
    what the driver gives.
    """

    text: str
    bind: Mapping[str, Process]
    fixed: Mapping[str, Any]
    row: Callable[[Iterable[Any]], Any]
    read: Sequence[Process | None]


class Prepared:
    """A statement that is finished when it runs first. `columns`: those of an insert that does not name its own.

    Raises ValueError when it has no finished form: a list whose length is only known when it runs.
    """

    def __init__(self, statement: Select[Any] | Insert | Update | Delete, columns: Iterable[str] = ()) -> None:
        self.statement = statement
        self._columns = list(columns) or None

    @cached_property
    def _finished(self) -> _Finished:
        compiled = self.statement.compile(dialect=_NAMED, column_keys=self._columns)
        text, binds = str(compiled), compiled.binds
        if "POSTCOMPILE" in text:
            raise ValueError(f"has no finished form: {text}")
        bind = _present((name, each.type.dialect_impl(_NAMED).bind_processor(_NAMED)) for name, each in binds.items())
        fixed = {name: each.value for name, each in binds.items() if not each.required and each.value is not None}
        make, read = _reading(self.statement) if isinstance(self.statement, Select) else (tuple, ())
        return _Finished(text, bind, _through(bind, fixed), make, read)

    @property
    def text(self) -> str:
        """The statement as the driver takes it."""
        return self._finished.text

    def bound(self, parameters: Parameters) -> dict[str, Any]:
        """Return parameters as the driver takes them, with those that the statement brings itself."""
        finished = self._finished
        return {**finished.fixed, **_through(finished.bind, parameters)}

    async def rows(self, tx: AsyncConnection, parameters: Parameters) -> Sequence[Any]:
        """Return the rows of a query; each has its columns as attributes."""
        short = short_way(tx)
        if short is None:
            return (await tx.execute(self.statement, dict(parameters))).all()
        bound = self.bound(parameters)
        try:
            found = await short.look(self.text, bound)
        except Exception as error:
            raise told(tx, self, error) from error
        make, read = self._finished.row, self._finished.read
        return [
            make(value if turn is None else turn(value) for turn, value in zip(read, row, strict=True)) for row in found
        ]

    async def run(self, tx: AsyncConnection, *rows: Parameters) -> int:
        """Run it for each set of parameters; return how many rows it touched."""
        short = short_way(tx)
        if short is None:
            given = [dict(row) for row in rows]
            return (await tx.execute(self.statement, given if len(given) > 1 else given[0])).rowcount
        bound = [self.bound(row) for row in rows]
        try:
            return await short.touch(self.text, bound)
        except Exception as error:
            raise told(tx, self, error) from error


def _present(found: Iterable[tuple[str, Process | None]]) -> dict[str, Process]:
    return {name: process for name, process in found if process is not None}


def _through(bind: Mapping[str, Process], values: Parameters) -> dict[str, Any]:
    return {name: bind[name](value) if name in bind else value for name, value in values.items()}


def _reading(query: Select[Any]) -> tuple[Callable[[Iterable[Any]], Any], Sequence[Process | None]]:
    """Return what makes a row of values, and what turns each of the driver's values into ours."""
    kinds = [column.type.dialect_impl(_NAMED) for column in query.selected_columns]
    return result_tuple(query.selected_columns.keys()), [kind.result_processor(_NAMED, None) for kind in kinds]


def short_way(tx: AsyncConnection) -> ShortWay | None:
    """Return the driver's connection if it has a short way."""
    opened = tx.sync_connection
    found = opened.connection.driver_connection if opened is not None else None
    return cast(ShortWay, found) if hasattr(found, "together") else None


def told(tx: AsyncConnection, statement: Prepared, error: Exception) -> BaseException:
    """Return a driver's error as everybody above knows it."""
    base = tx.dialect.loaded_dbapi.Error
    return DBAPIError.instance(statement.text, None, error, base, dialect=tx.dialect)
