"""All that the harness knows of the ledger's tables, in plain SQL: adapt here when they change, and nowhere else.

It reads past the program's own code on purpose: an invariant that asked the ledger whether the ledger is right would
learn nothing. The last functions break the books, for whoever wants to see that this is found.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

LIVE = "('reserved', 'committed')"
"""Reservations that stand for money that is or was to be spent."""
COUNTED = "('reserved', 'committed')"
"""Bookings that take room of their limit; what elapsed has only left its window."""
OF_RESERVATION = {
    "reserved": {"reserved"}, "committed": {"committed", "elapsed"}, "released": {"released"},
}  # fmt: skip
"""What a reservation's bookings may be."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit row, in its measure: what it allows, what the gateway booked itself, and what persons approved."""

    limit: int
    own: int
    persons: int
    ceiling: int


@dataclass(frozen=True, slots=True)
class Held:
    """The money for one send of an order."""

    send: int
    minor: int
    state: str
    by_person: bool


def limits(cursor: sqlite3.Cursor) -> dict[str, Limit]:
    """Return every limit row by its id."""
    rows = cursor.execute("SELECT id, limit_value, machine_used, person_used, ceiling FROM spend_limit")
    return {id: Limit(limit, own, persons, ceiling) for id, limit, own, persons, ceiling in rows}


def counted(cursor: sqlite3.Cursor, limit: str) -> tuple[int, int]:
    """Return what the bookings under a limit sum up to: the gateway's own, and persons'."""
    query = f"SELECT by_person, sum(amount) FROM booking WHERE limit_id = ? AND state IN {COUNTED} GROUP BY by_person"
    sums = {bool(by_person): amount for by_person, amount in cursor.execute(query, (limit,))}
    return sums.get(False, 0), sums.get(True, 0)


def held(cursor: sqlite3.Cursor, number: str) -> list[Held]:
    """Return what is reserved or committed for an order, by send."""
    query = (
        f"SELECT send, minor, state, by_person FROM reservation WHERE order_number = ? AND state IN {LIVE}"
        " ORDER BY send"
    )
    rows = cursor.execute(query, (number,))
    return [Held(send, minor, state, bool(by_person)) for send, minor, state, by_person in rows]


def booked(cursor: sqlite3.Cursor, number: str) -> tuple[str, int]:
    """Return the state of an order's money ("" for none) and how much is booked for it, in minor units."""
    live = held(cursor, number)
    if not live:
        return "", 0
    state = "reserved" if any(each.state == "reserved" for each in live) else "committed"
    return state, sum(each.minor for each in live)


def disagreements(cursor: sqlite3.Cursor, number: str) -> list[str]:
    """Return where an order's bookings say something else than its reservations: state, amount, who, how many."""
    query = (
        "SELECT b.send, b.limit_id, b.amount, b.state, b.by_person, r.minor, r.state, r.by_person, r.currency,"
        " l.measure FROM booking b JOIN spend_limit l ON l.id = b.limit_id"
        " LEFT JOIN reservation r ON r.order_number = b.order_number AND r.send = b.send WHERE b.order_number = ?"
    )
    found = []
    for send, limit, amount, state, by, minor, kept, kept_by, currency, measure in cursor.execute(query, (number,)):
        wanted = 1 if measure == "orders" else minor if measure == currency else amount
        if state not in OF_RESERVATION.get(kept, ()) or by != kept_by or amount != wanted:
            found.append(f"send {send} under {limit}: {amount} {measure} {state}, reserved {minor} {currency} {kept}")
    return found


def newly_booked(cursor: sqlite3.Cursor, number: str, sends: set[int]) -> set[str]:
    """Return the limits under which sends of an order are booked."""
    rows = cursor.execute("SELECT send, limit_id FROM booking WHERE order_number = ?", (number,))
    return {limit for send, limit in rows if send in sends}


def unbooked(cursor: sqlite3.Cursor) -> list[str]:
    """Return reservations of open outcome that a limit does not count although it fits them.

    Limits for a category, and those of a day or a month, are left out: what they count is not in the rows alone.
    """
    query = (
        "SELECT r.order_number, r.send, l.id FROM reservation r JOIN spend_limit l ON l.limit_value > 0"
        " AND l.period = '' AND (l.measure = r.currency OR l.measure = 'orders') AND ("
        "l.scope = 'plant' OR (l.scope = 'machine' AND l.key = r.machine) OR"
        " (l.scope = 'supplier' AND l.key = r.supplier) OR (l.scope = 'component' AND l.key = r.component))"
        " LEFT JOIN booking b ON b.order_number = r.order_number AND b.send = r.send AND b.limit_id = l.id"
        " WHERE r.state = 'reserved' AND b.order_number IS NULL"
    )
    return [f"{number}, send {send}, under {limit}" for number, send, limit in cursor.execute(query)]


# How the books are broken. Each returns whether there was anything to break.


def _bookings(cursor: sqlite3.Cursor, number: str) -> list[tuple[str, int, int, str]]:
    query = "SELECT limit_id, send, amount, CASE by_person WHEN 1 THEN 'person_used' ELSE 'machine_used' END"
    return cursor.execute(f"{query} FROM booking WHERE order_number = ? ORDER BY limit_id, send", (number,)).fetchall()


def give_back_again(cursor: sqlite3.Cursor, number: str) -> bool:
    """Take an order's amount off its limits once more."""
    changed = 0
    for limit, _send, amount, column in _bookings(cursor, number):
        less = f"UPDATE spend_limit SET {column} = {column} - ? WHERE id = ? AND {column} >= ?"
        changed += cursor.execute(less, (amount, limit, amount)).rowcount
    return changed > 0


def forget(cursor: sqlite3.Cursor, number: str) -> bool:
    """Lose an order's reservation, books and all."""
    give_back_again(cursor, number)
    cursor.execute("UPDATE booking SET state = 'released' WHERE order_number = ?", (number,))
    lost = "UPDATE reservation SET state = 'released' WHERE order_number = ? AND state = 'reserved'"
    return cursor.execute(lost, (number,)).rowcount > 0


def overspend(cursor: sqlite3.Cursor, number: str) -> bool:
    """Book an order again and again under its limits until one is passed; the sums stay right, a ceiling gives way."""
    live = [each for each in held(cursor, number) if each.state == "reserved" and not each.by_person]
    changed = 0
    for limit, send, _amount, column in _bookings(cursor, number) if live else ():
        (allowed,) = cursor.execute("SELECT limit_value FROM spend_limit WHERE id = ?", (limit,)).fetchone()
        more = allowed + 1
        cursor.execute(
            f"UPDATE spend_limit SET ceiling = ceiling + {more}, {column} = {column} + {more} WHERE id = ?", (limit,)
        )
        cursor.execute(
            f"UPDATE booking SET amount = amount + {more} WHERE order_number = ? AND limit_id = ? AND send = ?",
            (number, limit, send),
        )
        changed += 1
    return changed > 0


def book_once(cursor: sqlite3.Cursor, number: str) -> bool:
    """Lose the money of every send of an order but its first, although more than one may have bought."""
    live = held(cursor, number)
    if len(live) < 2:
        return False
    for limit, send, amount, column in _bookings(cursor, number):
        if send != live[0].send:
            cursor.execute(f"UPDATE spend_limit SET {column} = {column} - ? WHERE id = ?", (amount, limit))
    for table in ("booking", "reservation"):
        cursor.execute(
            f"UPDATE {table} SET state = 'released' WHERE order_number = ? AND send <> ?", (number, live[0].send)
        )
    return True
