"""The tables of condition alarms, in the telemetry database: how each stands, and the journal of how it came there.

Functions take an open connection and open nothing. The journal is bounded: its oldest entries go first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Index, Integer, String, Table, Text, bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from maintenance.alarms.alarm import Move, document_of
from maintenance.alarms.book import Changes
from maintenance.store import PlantTime, telemetry

JOURNAL_MAX: Final = 100_000
"""Entries: at the rate that people can live with, two years of them."""
RATES: Final = ""
"""The key of the row that holds the counts."""

alarm = Table(
    "alarm",
    telemetry,
    Column("key", String(300), primary_key=True),
    Column("document", Text, nullable=False),
)

journal = Table(
    "alarm_journal",
    telemetry,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", PlantTime, nullable=False),
    Column("alarm", String(300), nullable=False),
    Column("event", String(20), nullable=False),
    Column("before", String(30), nullable=False),
    Column("after", String(30), nullable=False),
    Column("priority", String(10), nullable=False),
    Column("by", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_alarm_journal_alarm", "alarm", "id"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One move of an alarm; `by` is an opaque person id, empty where no person did it."""

    at: datetime
    alarm: str
    event: str
    before: str
    after: str
    priority: str
    by: str
    reason: str


async def save(connection: AsyncConnection, changes: Changes) -> None:
    """Write down what has changed of a book."""
    rows = [{"key": each.key, "document": _dump(document_of(each))} for each in changes.alarms]
    rows.append({"key": RATES, "document": _dump(changes.rates)})
    gone = [{"gone": key} for key in (*changes.past, *(row["key"] for row in rows))]
    await connection.execute(delete(alarm).where(alarm.c.key == bindparam("gone")), gone)
    await connection.execute(insert(alarm), rows)
    if changes.moves:
        await connection.execute(insert(journal), [_entry(move) for move in changes.moves])
        newest = select(func.max(journal.c.id)).scalar_subquery()
        await connection.execute(delete(journal).where(journal.c.id <= newest - JOURNAL_MAX))


def _entry(move: Move) -> dict[str, Any]:
    return {
        "at": move.at,
        "alarm": move.key,
        "event": move.event.value,
        "before": move.before.value,
        "after": move.after.value,
        "priority": move.priority.word,
        "by": move.by,
        "reason": move.reason,
    }


async def load(connection: AsyncConnection) -> tuple[list[Mapping[str, Any]], Mapping[str, Any] | None]:
    """Return every alarm as a document, by key, and the counts; see `Book.restore`."""
    rows = {row.key: row.document for row in await connection.execute(select(alarm).order_by(alarm.c.key))}
    rates = rows.pop(RATES, None)
    return [json.loads(document) for document in rows.values()], None if rates is None else json.loads(rates)


async def entries(connection: AsyncConnection, limit: int = 100, key: str | None = None) -> list[Entry]:
    """Return the newest entries of the journal, the newest first, of one alarm or of all."""
    query = select(journal).order_by(journal.c.id.desc()).limit(limit)
    if key is not None:
        query = query.where(journal.c.alarm == key)
    rows = await connection.execute(query)
    return [
        Entry(row.at, row.alarm, row.event, row.before, row.after, row.priority, row.by, row.reason) for row in rows
    ]


def _dump(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), sort_keys=True)
