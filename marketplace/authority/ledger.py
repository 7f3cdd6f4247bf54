"""How much stands against each limit: reserve, commit, release, elapse.

It promises that the gateway's own bookings never exceed a limit, whoever else books at the same moment: room is taken
from all limits by one conditional UPDATE in the caller's transaction, never by looking first, and the schema holds the
gateway's use below a ceiling besides. What persons approve is booked without that condition but narrows the gateway's
room. What was committed longer ago than a rolling window elapses and gives its room back; what is only reserved does
not, for its outcome is still open. A day or a month of the calendar has a row of its own. A limit lowered below what is
booked loses nothing and gives no room. It knows no rule and writes no audit: `authority.gate` does both.

    reserved --> committed (--> elapsed, in a rolling window)
        \\-----------+-----------\\--> released          released --> reserved (the order came back to the gate)

A reservation is the money for one send of an order; its bookings say what it takes of each limit. A limit that is new
is counted from the reservations there are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Row,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.authority.limits import (
    CALENDAR,
    Claim,
    Scope,
    Subject,
    Terms,
    Used,
    claims_of,
    limit_for,
    name_of,
    period_of,
    rolling_days,
)
from marketplace.money import Money
from marketplace.statements import Prepared
from marketplace.store import Owner, booking, reservation, spend_limit

StoredRow = Row[*tuple[Any, ...]]
"""A row as the database gave it."""


class LedgerBroken(Exception):
    """The bookings do not fit the order's path; nothing of the caller's transaction may become durable."""


class Room(StrEnum):
    """What became of a reservation."""

    RESERVED = "reserved"
    FULL = "full"


class BookingState(StrEnum):
    """Where a booking or a reservation stands."""

    RESERVED = "reserved"
    COMMITTED = "committed"
    RELEASED = "released"
    ELAPSED = "elapsed"


_COUNTED: Final = (BookingState.RESERVED, BookingState.COMMITTED)
_DAY_US: Final = timedelta(days=1) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an order's money: `send` is the one that was settled, `released` further ones given back."""

    send: int
    amount: Money
    by_person: bool
    released: tuple[int, ...]


def limit_id(owner: Owner, name: str) -> str:
    """Return the key of a limit's row; limits are the gateway's whose policy sets them."""
    return f"{owner.plant}/{owner.gateway_id}/{name}"


# Every purchase runs these.
_L, _B, _R = spend_limit.c, booking.c, reservation.c
_SINCE: Final = bindparam("of_now", type_=BigInteger) - _L.rolling_days * _DAY_US
_OLD: Final = and_(
    _B.limit_id == _L.id,
    _B.state == BookingState.COMMITTED,
    type_coerce(_B.booked_at, BigInteger) <= _SINCE,
)
_STANDING: Final = Prepared(
    select(
        _L.id, _L.limit_value, _L.machine_used, _L.person_used, select(literal(1)).where(_OLD).exists().label("has_old")
    ).where(_L.id == bindparam("of_limit"))
)
_MINE: Final = and_(_B.order_number == bindparam("of_order"), _B.send == bindparam("of_send"))
_MINE_COUNTED: Final = and_(_MINE, or_(*(_B.state == state for state in _COUNTED)))
_TAKEN: Final = select(_B.amount).where(_MINE, _B.limit_id == _L.id).scalar_subquery()
_OF_MINE: Final = _L.id.in_(select(_B.limit_id).where(_MINE))
_HAS_ROOM: Final = _L.machine_used + _L.person_used + _TAKEN <= _L.limit_value
_FOR_MACHINE: Final = update(spend_limit).where(_OF_MINE).values(machine_used=_L.machine_used + _TAKEN)
_FOR_PERSON: Final = update(spend_limit).where(_OF_MINE).values(person_used=_L.person_used + _TAKEN)
_TAKE_IF_ROOM: Final = Prepared(_FOR_MACHINE.where(_HAS_ROOM))
_TAKE_FOR_PERSON: Final = Prepared(_FOR_PERSON)
_TAKE_FOR_PERSON_IF_ROOM: Final = Prepared(_FOR_PERSON.where(_HAS_ROOM))
_ADD_LIMIT: Final = insert(spend_limit)
_COLUMNS: Final = [column.name for column in reservation.c]
_OTHER: Final = reservation.alias()
_ADD_RESERVATION: Final = Prepared(
    insert(reservation).from_select(
        _COLUMNS,
        select(*(bindparam(f"of_{name}", type_=reservation.c[name].type).label(name) for name in _COLUMNS)).where(
            ~select(literal(1))
            .where(
                _OTHER.c.order_number == bindparam("of_order_number"),
                (_OTHER.c.send == bindparam("of_send"))
                | ((_OTHER.c.state != BookingState.RELEASED) & bindparam("of_alone", type_=Boolean)),
            )
            .exists()
        ),
    )
)
"""A send is booked once, and beside another one only where that is meant."""
_ADD_BOOKINGS: Final = Prepared(insert(booking))
_OF_ORDER: Final = Prepared(select(reservation).where(_R.order_number == bindparam("of_order")).order_by(_R.send))
_MOVE_RESERVATION: Final = Prepared(
    update(reservation)
    .where(_R.order_number == bindparam("of_order"), _R.send == bindparam("of_send"), _R.state == bindparam("of_state"))
    .values(state=bindparam("to_state"))
)
_COMMIT_BOOKINGS: Final = Prepared(
    update(booking).where(_MINE, _B.state == BookingState.RESERVED).values(state=BookingState.COMMITTED)
)
_RELEASE_BOOKINGS: Final = Prepared(update(booking).where(_MINE).values(state=BookingState.RELEASED))


def _given_back(by_person: bool) -> Any:
    """Return what a release gives back to a limit."""
    held = select(func.coalesce(func.sum(_B.amount), 0))
    return held.where(_MINE_COUNTED, _B.limit_id == _L.id, _B.by_person.is_(by_person)).scalar_subquery()


_GIVE_BACK: Final = Prepared(
    update(spend_limit)
    .where(_L.id.in_(select(_B.limit_id).where(_MINE_COUNTED)))
    .values(
        machine_used=_L.machine_used - _given_back(by_person=False),
        person_used=_L.person_used - _given_back(by_person=True),
    )
)
_LOWER_CEILING: Final = Prepared(
    update(spend_limit)
    .where(_OF_MINE, _L.ceiling > _L.limit_value)
    .values(ceiling=case((_L.machine_used > _L.limit_value, _L.machine_used), else_=_L.limit_value))
)


def _micros(moment: datetime) -> int:
    number = _B.booked_at.type.process_bind_param(moment, None)  # type: ignore[attr-defined]  # PlantTime
    return int(number)


async def standing(
    tx: AsyncConnection, owner: Owner, claims: Sequence[Claim], terms: Terms, at: datetime
) -> dict[str, Used]:
    """Return what stands against each limit, by its name, after everything has elapsed that is old at `at`.

    A limit that has no row yet gets one, and what the reservations there are take of it is counted.
    """
    if not claims:
        return {}
    ids = {limit_id(owner, claim.name): claim for claim in claims}
    found = await _rows(tx, ids, at)
    fresh = [claim for id, claim in ids.items() if id not in found]
    stale = [row.id for row in found.values() if row.has_old]
    if fresh:
        await _open(tx, owner, fresh, terms, at)
    if stale:
        await _elapse(tx, stale, at)
    if fresh or stale:
        found = await _rows(tx, ids, at)
    await _keep_to_policy(tx, found, ids)
    return {claim.name: Used(found[id].machine_used, found[id].person_used) for id, claim in ids.items()}


async def _rows(tx: AsyncConnection, ids: Mapping[str, Claim], at: datetime) -> dict[str, StoredRow]:
    now = _micros(at)
    found = [await _STANDING.rows(tx, {"of_limit": id, "of_now": now}) for id in ids]
    return {row.id: row for rows in found for row in rows}


async def _keep_to_policy(tx: AsyncConnection, found: Mapping[str, StoredRow], ids: Mapping[str, Claim]) -> None:
    """A row whose limit is not the policy's is set to it: the policy rules, not what a row says."""
    for id, claim in ids.items():
        if found[id].limit_value != claim.limit:
            await set_limit(tx, id, claim.limit)


async def set_limit(tx: AsyncConnection, id: str, value: int) -> None:
    """Give a limit another value. What is booked above it stays; there is no room until it has gone."""
    ceiling = case((_L.machine_used > value, _L.machine_used), else_=value)
    await tx.execute(update(spend_limit).where(_L.id == id).values(limit_value=value, ceiling=ceiling))


async def _open(tx: AsyncConnection, owner: Owner, claims: Sequence[Claim], terms: Terms, at: datetime) -> None:
    """Make rows of limits that have none. An order's own limit is new with it, the others are counted from before."""
    rows = [
        {
            "id": limit_id(owner, claim.name),
            "scope": claim.scope.value,
            "key": claim.key,
            "per": claim.per,
            "period": claim.period,
            "measure": claim.measure,
            "rolling_days": rolling_days(claim.per),
            "limit_value": claim.limit,
            "ceiling": claim.limit,
            "machine_used": 0,
            "person_used": 0,
            **owner.columns,
        }
        for claim in claims
    ]
    await tx.execute(_ADD_LIMIT, rows)
    await _catch_up(tx, owner, [claim.name for claim in claims if claim.scope is not Scope.ORDER], terms, at)


async def _catch_up(tx: AsyncConnection, owner: Owner, names: Collection[str], terms: Terms, at: datetime) -> None:
    """Book what the reservations there are take of limits that did not count them."""
    if not names:
        return
    ids = {limit_id(owner, name): name for name in names}
    booked = select(_B.order_number, _B.send, _B.limit_id).where(_B.limit_id.in_(ids))
    there = {tuple(row) for row in await tx.execute(booked)}
    live = select(reservation).where(_R.plant == owner.plant, _R.gateway_id == owner.gateway_id, _R.state.in_(_COUNTED))
    rows: list[dict[str, Any]] = []
    for row in (await tx.execute(live)).all():
        for claim in claims_of(terms, subject_of(row), row.booked_at):
            id = limit_id(owner, claim.name)
            if id in ids and (row.order_number, row.send, id) not in there and not _is_old(row, claim, at):
                rows += _bookings(owner, row.order_number, row.send, [claim], row.by_person, row.state, row.booked_at)
    if rows:
        await _ADD_BOOKINGS.run(tx, *rows)
    for id in ids:
        await recount(tx, id)


def _is_old(row: StoredRow, claim: Claim, at: datetime) -> bool:
    days = rolling_days(claim.per)
    return days is not None and row.state == BookingState.COMMITTED and row.booked_at <= at - timedelta(days=days)


def subject_of(row: StoredRow) -> Subject:
    """Return what a reservation is for."""
    total = Money(row.minor, row.currency)
    categories = tuple(json.loads(row.categories))
    return Subject(row.order_number, row.machine, row.component, row.supplier, categories, total)


async def recount(tx: AsyncConnection, id: str) -> None:
    """Set what stands against a limit to what its bookings sum up to."""
    machine, person = await counted(tx, id)
    ceiling = case((_L.limit_value < machine, machine), else_=_L.limit_value)
    used = {"machine_used": machine, "person_used": person, "ceiling": ceiling}
    await tx.execute(update(spend_limit).where(_L.id == id).values(**used))


async def counted(connection: AsyncConnection, id: str) -> tuple[int, int]:
    """Return what the bookings of a limit sum up to: the gateway's and persons'."""
    query = (
        select(_B.by_person, func.sum(_B.amount))
        .where(_B.limit_id == id, _B.state.in_(_COUNTED))
        .group_by(_B.by_person)
    )
    sums = {bool(by_person): int(amount) for by_person, amount in (await connection.execute(query)).all()}
    return sums.get(False, 0), sums.get(True, 0)


async def _elapse(tx: AsyncConnection, ids: Sequence[str], at: datetime) -> None:
    """Give back the room of what was committed longer ago than its limit's window."""
    days = select(_L.rolling_days).where(_L.id == _B.limit_id).scalar_subquery()
    await tx.execute(
        update(booking)
        .where(
            _B.limit_id.in_(ids),
            _B.state == BookingState.COMMITTED,
            type_coerce(_B.booked_at, BigInteger) <= literal(_micros(at), BigInteger) - days * _DAY_US,
        )
        .values(state=BookingState.ELAPSED)
    )
    for id in ids:
        await recount(tx, id)


async def follow(tx: AsyncConnection, owner: Owner, terms: Terms, now: datetime) -> None:
    """Give every limit of this gateway what the policy sets, 0 where it sets none, and count what it did not count.

    Limits for one order keep what they were opened with until the order is looked at again.
    """
    mine = (_L.plant == owner.plant, _L.gateway_id == owner.gateway_id, _L.scope != Scope.ORDER)
    current = {""} | {period_of(per, now, terms.zone) for per in CALENDAR}
    names = []
    for row in (await tx.execute(select(spend_limit).where(*mine))).all():
        value = limit_for(terms.rules, Scope(row.scope), row.key, row.per, row.measure)
        await set_limit(tx, row.id, value)
        if value and row.period in current:
            names.append(name_of(row.scope, row.key, row.per, row.measure, row.period))
    await _catch_up(tx, owner, names, terms, now)


async def reserve(
    tx: AsyncConnection,
    owner: Owner,
    subject: Subject,
    claims: Sequence[Claim],
    *,
    send: int,
    by_person: bool,
    at: datetime,
    must_fit: bool = True,
    extra: bool = False,
) -> Room:
    """Book the money for one send of an order on all of its limits, or on none.

    `must_fit`: only where every limit has room; a person's approval books regardless. `extra`: beside what is booked
    for an earlier send. The claims' rows are there (`standing`). Raises `LedgerBroken` when the order is booked.
    """
    row = {
        "order_number": subject.order,
        "send": send,
        "machine": subject.machine,
        "component": subject.component,
        "supplier": subject.supplier,
        "categories": json.dumps(subject.categories),
        "currency": subject.total.currency,
        "minor": subject.total.minor,
        "by_person": by_person,
        "state": BookingState.RESERVED,
        "booked_at": at,
    }
    await _add(tx, row | owner.columns, extra)
    rows = _bookings(owner, subject.order, send, claims, by_person, BookingState.RESERVED, at)
    if not rows:
        return Room.RESERVED
    await _ADD_BOOKINGS.run(tx, *rows)
    take = (_TAKE_FOR_PERSON_IF_ROOM if must_fit else _TAKE_FOR_PERSON) if by_person else _TAKE_IF_ROOM
    taken = await take.run(tx, {"of_order": subject.order, "of_send": send})
    if taken == len(rows):
        return Room.RESERVED
    await _undo(tx, subject.order, send, rows, taken)
    return Room.FULL


def _bookings(
    owner: Owner, order: str, send: int, claims: Iterable[Claim], by_person: bool, state: str, at: datetime
) -> list[dict[str, Any]]:
    """Return what claims book; what no rate can convert is booked once the policy pins one."""
    return [
        {
            "order_number": order,
            "send": send,
            "limit_id": limit_id(owner, claim.name),
            "amount": claim.amount,
            "by_person": by_person,
            "state": state,
            "booked_at": at,
            **owner.columns,
        }
        for claim in claims
        if claim.amount is not None
    ]


async def _add(tx: AsyncConnection, row: Mapping[str, Any], extra: bool) -> None:
    """Make sure that a send of an order is booked once; what was given back makes place for what comes anew."""
    told = {f"of_{name}": value for name, value in row.items()} | {"of_alone": not extra}
    if await _ADD_RESERVATION.run(tx, told) == 1:
        return
    order, send = row["order_number"], row["send"]
    sends = {each.send for each in await live(tx, order)}
    if send in sends or (sends and not extra):
        raise LedgerBroken(f"order {order} is booked already")
    await _forget(tx, order, send)
    await _ADD_RESERVATION.run(tx, told)  # without it the bookings would hang in the air: a foreign key sees to it


async def _undo(tx: AsyncConnection, order: str, send: int, rows: Sequence[Mapping[str, Any]], taken: int) -> None:
    """Take back a reservation that did not fit everywhere: nothing of it stays."""
    await _forget(tx, order, send)
    for row in rows if taken else ():
        await recount(tx, row["limit_id"])


async def _forget(tx: AsyncConnection, order: str, send: int) -> None:
    await tx.execute(delete(booking).where(_B.order_number == order, _B.send == send))
    await tx.execute(delete(reservation).where(_R.order_number == order, _R.send == send))


async def live(connection: AsyncConnection, order: str) -> list[StoredRow]:
    """Return the order's reservations that were not given back, by send."""
    rows = await _OF_ORDER.rows(connection, {"of_order": order})
    return [row for row in rows if row.state != BookingState.RELEASED]


async def commit(tx: AsyncConnection, order: str) -> Settled | None:
    """Turn one reservation of the order into a commitment and give further ones back; None if it is one.

    Raises `LedgerBroken` without a reservation.
    """
    rows = await _booked(tx, order)
    held = [row for row in rows if row.state == BookingState.RESERVED]
    done = next((row for row in rows if row.state == BookingState.COMMITTED), None)
    if done is None and not held:
        raise LedgerBroken(f"order {order} has no reservation to commit")
    if done is None:
        done = held.pop(0)
        await _move(tx, done, BookingState.COMMITTED)
        await _COMMIT_BOOKINGS.run(tx, {"of_order": order, "of_send": done.send})
    elif not held:
        return None
    for row in held:
        await _release(tx, row)
    return _settled(done, held)


async def release(tx: AsyncConnection, order: str, *, send: int | None = None) -> Settled | None:
    """Give back what the order holds, or what one send of it does; None if it holds nothing more.

    Raises `LedgerBroken` when the order was never booked.
    """
    rows = [row for row in await _booked(tx, order) if row.state in _COUNTED and send in (None, row.send)]
    for row in rows:
        await _release(tx, row)
    return _settled(rows[0], rows[1:]) if rows else None


async def _booked(tx: AsyncConnection, order: str) -> list[StoredRow]:
    rows = list(await _OF_ORDER.rows(tx, {"of_order": order}))
    if not rows:
        raise LedgerBroken(f"order {order} was never booked")
    return rows


async def _release(tx: AsyncConnection, row: StoredRow) -> None:
    mine = {"of_order": row.order_number, "of_send": row.send}
    await _move(tx, row, BookingState.RELEASED)
    await _GIVE_BACK.run(tx, mine)  # what elapsed has given its room back before
    await _LOWER_CEILING.run(tx, mine)
    await _RELEASE_BOOKINGS.run(tx, mine)


async def _move(tx: AsyncConnection, row: StoredRow, state: BookingState) -> None:
    mine = {"of_order": row.order_number, "of_send": row.send, "of_state": row.state}
    if await _MOVE_RESERVATION.run(tx, mine | {"to_state": state}) != 1:
        raise LedgerBroken(f"the reservation of order {row.order_number} was moved by somebody else")


def _settled(row: StoredRow, others: Sequence[StoredRow]) -> Settled:
    released = tuple(other.send for other in others)
    return Settled(row.send, Money(row.minor, row.currency), bool(row.by_person), released)
