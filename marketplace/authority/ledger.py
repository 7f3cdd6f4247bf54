"""How much is booked against each machine's rolling window: reserve, commit, release, elapse.

It promises that the gateway's own bookings never exceed a limit, whoever else books at the same moment: room is
taken by one conditional UPDATE in the caller's transaction, never by looking first. What persons approve is booked
without that condition but narrows the gateway's room. What was committed longer ago than the window elapses and gives
its room back; what is only reserved does not, for its outcome is still open. A budget is for one machine and one
currency; amounts of two currencies never meet. It knows no policy and writes no audit: `authority.gate` does both.

    reserved --> committed --> elapsed
        \\-----------+-----------\\--> released          released --> reserved (the order came back to the gate)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.money import Money
from marketplace.store import Owner, booking, budget

StoredRow = Row[*tuple[Any, ...]]
"""A row as the database gave it."""
WINDOW_DAYS_DEFAULT: Final = 30
"""For budgets that only keep persons' bookings, while the policy sets no window."""


class LedgerBroken(Exception):
    """The bookings do not fit the order's path; nothing of the caller's transaction may become durable."""


class Room(StrEnum):
    """What became of a reservation."""

    RESERVED = "reserved"
    FULL = "full"
    NO_LIMIT = "no_limit"


class BookingState(StrEnum):
    """Where a booking stands."""

    RESERVED = "reserved"
    COMMITTED = "committed"
    RELEASED = "released"
    ELAPSED = "elapsed"


_COUNTED: Final = (BookingState.RESERVED, BookingState.COMMITTED)


@dataclass(frozen=True, slots=True)
class Settled:
    """A booking that moved."""

    budget: str
    amount: Money
    by_person: bool


def scope_of(machine: str, currency: str) -> str:
    """Return the scope of a machine's budget."""
    return f"machine:{machine}:{currency}"


def budget_id(owner: Owner, machine: str, currency: str) -> str:
    """Return the key of a machine's budget in one currency."""
    return f"{owner.plant}:{scope_of(machine, currency)}"


async def open_budget(
    tx: AsyncConnection, owner: Owner, machine: str, *, currency: str, limit: Money | None, days: int
) -> None:
    """Make sure that a machine has a budget in a currency; one that is there is left alone.

    A limit that is missing, or in another currency, leaves the gateway no room at all: 0.
    """
    key = budget_id(owner, machine, currency)
    if (await tx.execute(select(budget.c.id).where(budget.c.id == key))).first() is not None:
        return
    minor = limit.minor if limit is not None and limit.currency == currency else 0
    row = {"id": key, "scope": scope_of(machine, currency), "window_days": days, "currency": currency}
    await tx.execute(insert(budget).values(**row, **owner.columns, limit_minor=minor, machine_minor=0, person_minor=0))


async def follow(tx: AsyncConnection, owner: Owner, *, limit: Money | None, days: int, now: datetime) -> None:
    """Give every budget of this gateway the policy's limit and window, and count anew what lies within it."""
    mine = (budget.c.plant == owner.plant, budget.c.gateway_id == owner.gateway_id)
    for row in (await tx.execute(select(budget.c.id, budget.c.currency).where(*mine))).all():
        minor = limit.minor if limit is not None and limit.currency == row.currency else 0
        await tx.execute(update(budget).where(budget.c.id == row.id).values(limit_minor=minor, window_days=days))
        await tx.execute(
            update(booking)
            .where(
                booking.c.budget == row.id,
                booking.c.state == BookingState.ELAPSED,
                booking.c.booked_at > now - timedelta(days=days),
            )
            .values(state=BookingState.COMMITTED)
        )
        await _elapse_older(tx, row.id, now - timedelta(days=days))
        await _recount(tx, row.id)


async def reserve(
    tx: AsyncConnection, owner: Owner, order: str, machine: str, amount: Money, *, by_person: bool, now: datetime
) -> Room:
    """Book an amount for an order. Raises `LedgerBroken` when the order is booked already.

    The gateway's own booking is taken only if it fits beside everything else in the window; a person's always is.
    `Room.NO_LIMIT`: the machine has no budget in the amount's currency, nothing was booked.
    """
    key = budget_id(owner, machine, amount.currency)
    days = (await tx.execute(select(budget.c.window_days).where(budget.c.id == key))).scalar_one_or_none()
    if days is None:
        return Room.NO_LIMIT
    await elapse(tx, key, now - timedelta(days=days))
    if not await _take(tx, key, amount, by_person=by_person):
        return Room.FULL
    await _book(tx, owner, order, key, amount, by_person=by_person, now=now)
    return Room.RESERVED


async def _take(tx: AsyncConnection, key: str, amount: Money, *, by_person: bool) -> bool:
    """Take room from a budget in one conditional statement; the database, not we, says whether it fits."""
    mine = update(budget).where(budget.c.id == key, budget.c.currency == amount.currency)
    if by_person:
        taken = mine.values(person_minor=budget.c.person_minor + amount.minor)
    else:
        taken = mine.where(
            budget.c.machine_minor + budget.c.person_minor + amount.minor <= budget.c.limit_minor
        ).values(machine_minor=budget.c.machine_minor + amount.minor)
    return (await tx.execute(taken)).rowcount == 1


async def _book(
    tx: AsyncConnection, owner: Owner, order: str, key: str, amount: Money, *, by_person: bool, now: datetime
) -> None:
    live = select(booking.c.budget).where(booking.c.order_number == order, booking.c.state != BookingState.RELEASED)
    if (await tx.execute(live)).first() is not None:
        raise LedgerBroken(f"order {order} is booked already")
    row: dict[str, Any] = {
        "minor": amount.minor,
        "by_person": by_person,
        "state": BookingState.RESERVED,
        "booked_at": now,
    }
    again = await tx.execute(
        update(booking).where(booking.c.order_number == order, booking.c.budget == key).values(**row)
    )
    if again.rowcount == 0:
        await tx.execute(insert(booking).values(order_number=order, budget=key, **owner.columns, **row))


async def reserved(connection: AsyncConnection, order: str) -> StoredRow | None:
    """Return the order's live booking (minor, by_person, state, budget), None if it has none."""
    query = select(booking).where(booking.c.order_number == order, booking.c.state != BookingState.RELEASED)
    return (await connection.execute(query)).one_or_none()


async def commit(tx: AsyncConnection, order: str) -> Settled | None:
    """Turn the order's reservation into a commitment; None if it is one. Raises `LedgerBroken` without a booking."""
    row = await _booked(tx, order)
    if row.state in (BookingState.COMMITTED, BookingState.ELAPSED):
        return None
    if row.state != BookingState.RESERVED:
        raise LedgerBroken(f"order {order} has no reservation to commit: it is {row.state}")
    await _move(tx, row, BookingState.COMMITTED)
    return _settled(row)


async def release(tx: AsyncConnection, order: str) -> Settled | None:
    """Give back what the order holds; None if it holds nothing more. Raises `LedgerBroken` without a booking."""
    row = await _booked(tx, order)
    if row.state == BookingState.RELEASED:
        return None
    if row.state in _COUNTED:  # what elapsed has given its room back before
        column = budget.c.person_minor if row.by_person else budget.c.machine_minor
        await tx.execute(update(budget).where(budget.c.id == row.budget).values({column: column - row.minor}))
    await _move(tx, row, BookingState.RELEASED)
    return _settled(row)


async def _booked(tx: AsyncConnection, order: str) -> StoredRow:
    """Return the order's booking, the live one if it was booked more than once (another machine's or currency's)."""
    query = (
        select(booking, budget.c.currency)
        .join(budget, budget.c.id == booking.c.budget)
        .where(booking.c.order_number == order)
        .order_by(booking.c.state == BookingState.RELEASED, booking.c.booked_at.desc())
    )
    row = (await tx.execute(query)).first()
    if row is None:
        raise LedgerBroken(f"order {order} was never booked")
    return row


async def _move(tx: AsyncConnection, row: StoredRow, state: BookingState) -> None:
    mine = (booking.c.order_number == row.order_number, booking.c.budget == row.budget, booking.c.state == row.state)
    if (await tx.execute(update(booking).where(*mine).values(state=state))).rowcount != 1:
        raise LedgerBroken(f"the booking of order {row.order_number} was moved by somebody else")


def _settled(row: StoredRow) -> Settled:
    return Settled(row.budget, Money(row.minor, row.currency), row.by_person)


async def elapse(tx: AsyncConnection, key: str, before: datetime) -> None:
    """Give back the room of what was committed at or before a time."""
    gone = await _elapse_older(tx, key, before)
    machine = sum(row.minor for row in gone if not row.by_person)
    person = sum(row.minor for row in gone if row.by_person)
    if gone:
        await tx.execute(
            update(budget)
            .where(budget.c.id == key)
            .values(machine_minor=budget.c.machine_minor - machine, person_minor=budget.c.person_minor - person)
        )


async def _elapse_older(tx: AsyncConnection, key: str, before: datetime) -> list[StoredRow]:
    elapsed = (
        update(booking)
        .where(booking.c.budget == key, booking.c.state == BookingState.COMMITTED, booking.c.booked_at <= before)
        .values(state=BookingState.ELAPSED)
        .returning(booking.c.minor, booking.c.by_person)
    )
    return list((await tx.execute(elapsed)).all())


async def _recount(tx: AsyncConnection, key: str) -> None:
    machine, person = await counted(tx, key)
    await tx.execute(update(budget).where(budget.c.id == key).values(machine_minor=machine, person_minor=person))


async def counted(connection: AsyncConnection, key: str) -> tuple[int, int]:
    """Return what the bookings of a budget sum up to: the gateway's and persons' minor units."""
    query = (
        select(booking.c.by_person, func.sum(booking.c.minor))
        .where(booking.c.budget == key, booking.c.state.in_(_COUNTED))
        .group_by(booking.c.by_person)
    )
    sums = {bool(by_person): int(minor) for by_person, minor in (await connection.execute(query)).all()}
    return sums.get(False, 0), sums.get(True, 0)
