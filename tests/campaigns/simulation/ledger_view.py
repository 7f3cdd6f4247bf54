"""All that the harness knows of the ledger's tables, in plain SQL: adapt here when they change, and nowhere else.

It reads past the program's own code on purpose: an invariant that asked the ledger whether the ledger is right would
learn nothing. The last functions break the books, for whoever wants to see that this is found.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

LIVE = frozenset({"reserved", "committed", "elapsed"})
"""Bookings that stand for money that is or was to be spent; what elapsed has only left its window."""
COUNTED = "('reserved', 'committed')"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit row: what it allows, what the gateway booked itself, and what persons approved."""

    limit: int
    own: int
    persons: int


@dataclass(frozen=True, slots=True)
class Booking:
    """One booking of an order under one limit."""

    limit: str
    minor: int
    by_person: bool
    state: str


def limits(cursor: sqlite3.Cursor) -> dict[str, Limit]:
    """Return every limit row by its id."""
    rows = cursor.execute("SELECT id, limit_minor, machine_minor, person_minor FROM budget")
    return {id: Limit(limit, own, persons) for id, limit, own, persons in rows}


def counted(cursor: sqlite3.Cursor, limit: str) -> tuple[int, int]:
    """Return what the bookings under a limit sum up to: the gateway's own, and persons'."""
    query = f"SELECT by_person, sum(minor) FROM booking WHERE budget = ? AND state IN {COUNTED} GROUP BY by_person"
    sums = {bool(by_person): minor for by_person, minor in cursor.execute(query, (limit,))}
    return sums.get(False, 0), sums.get(True, 0)


def bookings(cursor: sqlite3.Cursor, number: str) -> list[Booking]:
    """Return every booking of an order."""
    rows = cursor.execute("SELECT budget, minor, by_person, state FROM booking WHERE order_number = ?", (number,))
    return [Booking(limit, minor, bool(by_person), state) for limit, minor, by_person, state in rows]


def booked(cursor: sqlite3.Cursor, number: str) -> tuple[str, int]:
    """Return the state of an order's money ("" for none) and how much is booked for it, in minor units."""
    live = [each for each in bookings(cursor, number) if each.state in LIVE]
    if not live:
        return "", 0
    state = "reserved" if any(each.state == "reserved" for each in live) else "committed"
    by_limit: dict[str, int] = {}
    for each in live:
        by_limit[each.limit] = by_limit.get(each.limit, 0) + each.minor
    return state, min(by_limit.values())


# How the books are broken. Each returns whether there was anything to break.


def give_back_again(cursor: sqlite3.Cursor, number: str) -> bool:
    """Take an order's amount off its limits once more."""
    changed = 0
    for each in bookings(cursor, number):
        column = "person_minor" if each.by_person else "machine_minor"
        less = f"UPDATE budget SET {column} = {column} - ? WHERE id = ? AND {column} >= ?"
        changed += cursor.execute(less, (each.minor, each.limit, each.minor)).rowcount
    return changed > 0


def forget(cursor: sqlite3.Cursor, number: str) -> bool:
    """Lose an order's reservation, books and all."""
    give_back_again(cursor, number)
    lost = "UPDATE booking SET state = 'released' WHERE order_number = ? AND state = 'reserved'"
    return cursor.execute(lost, (number,)).rowcount > 0


def overspend(cursor: sqlite3.Cursor, number: str) -> bool:
    """Book an order again and again under its limits until one is passed; the sums stay right."""
    changed = 0
    for each in bookings(cursor, number):
        if each.state == "reserved" and not each.by_person:
            more = f"(SELECT limit_minor FROM budget WHERE id = '{each.limit}') + 1"
            cursor.execute(f"UPDATE budget SET machine_minor = machine_minor + {more} WHERE id = ?", (each.limit,))
            cursor.execute(
                f"UPDATE booking SET minor = minor + {more} WHERE order_number = ? AND budget = ?", (number, each.limit)
            )
            changed += 1
    return changed > 0
