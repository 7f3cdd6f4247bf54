"""Do the tables agree with what the log says? Orders, signatures, permits, policies and limits against testimony.

It promises to find an order that is not what was proposed, one that went on without an allowance of its very hash, a
signature or a permit that no leaf knows, a changed policy, a limit that the policy does not set, and bookings that do
not add up. It reads rows in chunks, changes nothing, and trusts leaves more than rows; whether the leaves themselves
are whole is for `verify`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from gettext import gettext as _
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Row, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit.testimony import OrderTestimony, Testimony
from marketplace.authority import ledger
from marketplace.authority.limits import ORDERS, LimitRule, Scope, limit_for
from marketplace.authority.policy import Policy
from marketplace.money import Money
from marketplace.ordering.states import OrderState
from marketplace.store import (
    Owner,
    approval,
    booking,
    permit,
    policy_version,
    purchase_order,
    reservation,
    spend_limit,
)

CHUNK: Final = 1_000
"""Rows held at a time: a few megabytes of leaves, and some milliseconds of the database for each step."""
_UNDECIDED: Final = frozenset(
    {OrderState.PROPOSED, OrderState.AWAITING_APPROVAL, OrderState.DENIED, OrderState.EXPIRED, OrderState.CANCELLED}
)
"""An order may be in these without anybody having allowed it."""
StoredRow = Row[*tuple[Any, ...]]


async def disagreements(connection: AsyncConnection, owner: Owner, heard: Testimony) -> AsyncIterator[str]:
    """Yield a sentence for each thing in which a gateway's tables differ from its log."""
    async for problem in _orders(connection, owner, heard):
        yield problem
    for check in (_signatures, _permits, _policies, _reservations, _bookings, _limits):
        async for problem in check(connection, owner, heard):
            yield problem


async def chunked(
    connection: AsyncConnection, table: Table, key: Column[Any], *where: ColumnElement[bool]
) -> AsyncIterator[StoredRow]:
    """Yield the rows of a table in the order of a unique key, a chunk at a time."""
    last: Any = None
    while True:
        query = select(table).where(*where).order_by(key).limit(CHUNK)
        rows = (await connection.execute(query if last is None else query.where(key > last))).all()
        for row in rows:
            yield row
        if len(rows) < CHUNK:
            return
        last = rows[-1]._mapping[key]


def _mine(table: Table, owner: Owner) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.plant == owner.plant, table.c.gateway_id == owner.gateway_id


async def _orders(connection: AsyncConnection, owner: Owner, heard: Testimony) -> AsyncIterator[str]:
    seen: set[str] = set()
    async for row in chunked(connection, purchase_order, purchase_order.c.number, *_mine(purchase_order, owner)):
        seen.add(row.number)
        for problem in _order(row, heard.orders.get(row.number) or OrderTestimony()):
            yield problem
    for number in sorted(heard.orders.keys() - seen):
        yield _("order {number} is missing; leaf {index} speaks of it").format(
            number=number, index=heard.orders[number].last_index
        )


def _order(row: StoredRow, said: OrderTestimony) -> Iterator[str]:
    """Yield what is wrong with one order's row."""
    where = {"number": row.number, "index": said.last_index}
    if hashlib.sha256(row.document.encode()).hexdigest() != row.order_hash:
        yield _("order {number}: its stored text is not what was hashed").format(**where)
    elif not _columns_agree(row):
        yield _("order {number}: its supplier, total or currency is not that of its stored text").format(**where)
    if not said.stated:
        yield _("order {number}: no leaf knows it").format(**where)
    elif row.order_hash not in said.stated:
        yield _("order {number}: leaf {index} states another hash than is stored").format(**where)
    if row.state not in _UNDECIDED and row.order_hash not in said.allowed:
        yield _("order {number} is {state}, but no leaf allows it as it is stored").format(state=row.state, **where)


def _columns_agree(row: StoredRow) -> bool:
    try:
        document = json.loads(row.document)
        told = (document["number"], document["supplier"], document["total"], document["currency"])
    except (ValueError, KeyError, TypeError):
        return False
    return bool(told == (row.number, row.supplier, row.total_minor, row.currency))


async def _signatures(connection: AsyncConnection, owner: Owner, heard: Testimony) -> AsyncIterator[str]:
    async for row in chunked(connection, approval, approval.c.id, *_mine(approval, owner)):
        said = heard.orders.get(row.order_number) or OrderTestimony()
        if (row.order_hash, row.person, row.verdict) not in said.signed:
            yield _("order {number}: no leaf knows the signature of {person}").format(
                number=row.order_number, person=row.person
            )


async def _permits(connection: AsyncConnection, owner: Owner, heard: Testimony) -> AsyncIterator[str]:
    seen: set[str] = set()
    async for row in chunked(connection, permit, permit.c.id, *_mine(permit, owner)):
        seen.add(row.id)
        if heard.permits.get(row.id) != (row.order_number, row.order_hash):
            yield _("order {number}: no leaf knows the permit {permit}").format(number=row.order_number, permit=row.id)
    for missing in sorted(heard.permits.keys() - seen):
        yield _("order {number}: the permit {permit} is missing").format(
            number=heard.permits[missing][0], permit=missing
        )


async def _policies(connection: AsyncConnection, owner: Owner, heard: Testimony) -> AsyncIterator[str]:
    key = policy_version.c.version
    seen: set[int] = set()
    async for row in chunked(connection, policy_version, key, *_mine(policy_version, owner)):
        seen.add(row.version)
        if not hashlib.sha256(row.document.encode()).hexdigest() == row.hash == heard.policies.get(row.version):
            yield _("policy version {version} is not the one that was applied").format(version=row.version)
    for version in sorted(heard.policies.keys() - seen):
        yield _("policy version {version} is missing").format(version=version)


async def _reservations(connection: AsyncConnection, owner: Owner, heard: Testimony) -> AsyncIterator[str]:
    query = select(reservation).where(*_mine(reservation, owner)).order_by(reservation.c.order_number)
    kept: dict[str, dict[int, tuple[str, str, bool]]] = {}
    for row in (await connection.execute(query)).all():
        booked = (str(row.state), str(Money(row.minor, row.currency)), bool(row.by_person))
        kept.setdefault(row.order_number, {})[row.send] = booked
    for number, said in sorted(heard.orders.items()):
        if said.booked != kept.pop(number, {}):
            yield _("order {number}: its booking is not what the log says").format(number=number)
    for number in sorted(kept):
        yield _("order {number}: no leaf knows its booking").format(number=number)


async def _bookings(connection: AsyncConnection, owner: Owner, _heard: Testimony) -> AsyncIterator[str]:
    """What a booking takes of a limit must follow from its reservation; rates make it differ in another currency."""
    of = (booking.c.order_number == reservation.c.order_number) & (booking.c.send == reservation.c.send)
    columns = (booking, spend_limit.c.measure, reservation.c.currency, reservation.c.minor)
    told = (reservation.c.state.label("told"), reservation.c.by_person.label("for_person"))
    query = select(*columns, *told).join(reservation, of, isouter=True)
    query = query.join(spend_limit, spend_limit.c.id == booking.c.limit_id).where(*_mine(booking, owner))
    wrong = {row.order_number for row in await connection.execute(query) if not _follows(row)}
    for number in sorted(wrong):
        yield _("order {number}: what it takes of its limits is not what is reserved for it").format(number=number)


def _follows(row: StoredRow) -> bool:
    state = ledger.BookingState.COMMITTED if row.state == ledger.BookingState.ELAPSED else row.state
    amount = {ORDERS: 1, row.currency: row.minor}.get(row.measure, row.amount)
    return (row.told, row.for_person, amount) == (state, row.by_person, row.amount)


async def _limits(connection: AsyncConnection, owner: Owner, _heard: Testimony) -> AsyncIterator[str]:
    rules = await _rules(connection, owner)
    mine = _mine(spend_limit, owner)
    async for row in chunked(connection, spend_limit, spend_limit.c.id, *mine):
        name = row.id.removeprefix(ledger.limit_id(owner, ""))
        if await ledger.counted(connection, row.id) != (row.machine_used, row.person_used):
            yield _("limit {limit}: its bookings do not add up to what it says").format(limit=name)
        # a limit for one order is as it was when the order was looked at
        set_by = None if row.scope == Scope.ORDER else limit_for(rules, Scope(row.scope), row.key, row.per, row.measure)
        if set_by is not None and row.limit_value != set_by:
            yield _("limit {limit}: it is not the policy's").format(limit=name)


async def _rules(connection: AsyncConnection, owner: Owner) -> tuple[LimitRule, ...]:
    """Return the limits of the policy that counts."""
    query = (
        select(policy_version.c.document)
        .where(*_mine(policy_version, owner))
        .order_by(policy_version.c.version.desc())
        .limit(1)
    )
    document = (await connection.execute(query)).scalar_one_or_none()
    try:
        return Policy.model_validate_json(document or "").terms.rules
    except ValueError:  # none, or not one of ours; which of the two is told where policies are checked
        return ()
