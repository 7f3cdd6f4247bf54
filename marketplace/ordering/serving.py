"""Whom an order serves: shares of its lines as rows, and what follows when goods come, or will not come.

A requisition is fulfilled when all that it wants is here; goods are promised to it as they come. When an order ends
without all its goods, or a person accepts a part, what nobody covers any more is needed again: the whole requisition if
nothing of it stands, else a requisition of its own for the rest, and the first is content with its part. So what came
and what is ordered for a requisition never exceed what it wants. A new order for a requisition must fit into what is
missing, and within one attempt group no order may follow one that "was not placed": only a person's word, which opens
the next group, proves that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace import stock
from marketplace.acts import record
from marketplace.audit.actor import Actor
from marketplace.documents import OrderLine, timestamp
from marketplace.identity import new_id
from marketplace.money import Quantity, plain
from marketplace.ordering import requisition as requisitions
from marketplace.ordering.edges import hold_slot, move_requisition, requisitions_of, withdraw_requisition
from marketplace.ordering.shares import NOTHING, Cover, Share, allot, cover
from marketplace.ordering.states import FAILED, OrderState, RequisitionState
from marketplace.store import Owner, line_requisition, order_line, purchase_order, requisition

R = RequisitionState

_SHARES: Final = (
    select(line_requisition.c.line, line_requisition.c.requisition, line_requisition.c.quantity)
    .join(requisition, requisition.c.id == line_requisition.c.requisition)
    .where(line_requisition.c.plant == bindparam("of_plant"), line_requisition.c.order_number == bindparam("of_number"))
    .order_by(line_requisition.c.line, requisition.c.created_at, requisition.c.id)
)
_PLACES: Final = (
    select(line_requisition.c.order_number, line_requisition.c.line, order_line.c.received, purchase_order.c.state)
    .join(
        order_line,
        (order_line.c.order_number == line_requisition.c.order_number)
        & (order_line.c.number == line_requisition.c.line),
    )
    .join(purchase_order, purchase_order.c.number == line_requisition.c.order_number)
    .where(line_requisition.c.plant == bindparam("of_plant"), line_requisition.c.requisition == bindparam("of_id"))
)
_NOT_PLACED: Final = (
    select(purchase_order.c.number)
    .join(line_requisition, line_requisition.c.order_number == purchase_order.c.number)
    .where(
        line_requisition.c.plant == bindparam("of_plant"),
        line_requisition.c.requisition == bindparam("of_id"),
        purchase_order.c.attempt_group == bindparam("of_group"),
        purchase_order.c.state == OrderState.NOT_PLACED,
    )
)


class OrderedAlready(Exception):
    """Another order for this requisition would be one too many; nothing was proposed."""


async def shares_of(tx: AsyncConnection, owner: Owner, number: str) -> dict[int, tuple[Share, ...]]:
    """Return the shares in each line of an order, the oldest requisition first."""
    found: dict[int, tuple[Share, ...]] = {}
    for row in await tx.execute(_SHARES, {"of_plant": owner.plant, "of_number": number}):
        share = Share(row.line, row.requisition, row.quantity)
        found[row.line] = (*found.get(row.line, ()), share)
    return found


async def cover_of(tx: AsyncConnection, owner: Owner, id: str) -> Cover:
    """Return how far a requisition is served, by all orders together."""
    row = await _row(tx, owner, id)
    served = []
    for place in (await tx.execute(_PLACES, {"of_plant": owner.plant, "of_id": id})).all():
        shares = (await shares_of(tx, owner, place.order_number))[place.line]
        came = dict(zip((share.requisition for share in shares), allot(place.received, shares), strict=True))
        quantity = next(share.quantity for share in shares if share.requisition == id)
        served.append((quantity, came[id], OrderState(place.state) not in FAILED))
    return cover(row.quantity, served)


async def require_room(tx: AsyncConnection, owner: Owner, row: Row[Any], share: Decimal) -> None:
    """Raise `OrderedAlready` unless an order of so much may be proposed for a requisition in its attempt group."""
    group = {"of_plant": owner.plant, "of_id": row.id, "of_group": row.attempt_group}
    earlier = (await tx.execute(_NOT_PLACED, group)).scalars().first()
    if earlier is not None:
        raise OrderedAlready(f"{earlier} was not placed, and nobody opened another attempt for {row.id}")
    if share > (await cover_of(tx, owner, row.id)).missing:
        raise OrderedAlready(f"requisition {row.id} is ordered already")


async def keep_shares(tx: AsyncConnection, owner: Owner, number: str, agreed: Mapping[int, Decimal]) -> None:
    """Make the shares of an order fit into what its lines bring now; what is cut off serves nobody."""
    for line, shares in (await shares_of(tx, owner, number)).items():
        for share, part in zip(shares, allot(agreed[line], shares), strict=True):
            mine = (line_requisition.c.order_number == number) & (line_requisition.c.line == line)
            this = mine & (line_requisition.c.requisition == share.requisition)
            await tx.execute(update(line_requisition).where(this).values(quantity=part))


async def goods_came(
    tx: AsyncConnection,
    owner: Owner,
    number: str,
    line: OrderLine,
    received: tuple[Decimal, Decimal],
    goods: bool,
    person: Actor,
    at: datetime,
) -> None:
    """Give what came of a line to those whom it serves; `received` of the line before and after, `goods` or a service.

    Whoever no longer waits for it gets no promise: it lies on the shelf for anybody.
    """
    shares, (before, after) = (await shares_of(tx, owner, number)).get(line.number, ()), received
    states = dict(await requisitions_of(tx, owner, number, line.number))
    for share, had, has in zip(shares, allot(before, shares), allot(after, shares), strict=True):
        if has == had or states[share.requisition] is not R.ORDERED:
            continue
        if goods:
            part = Quantity(has - had, line.quantity.unit)
            await stock.reserve(tx, owner, line.item.key, part, share.requisition, person, at)
        if (await cover_of(tx, owner, share.requisition)).fulfilled:
            await _fulfil(tx, owner, share.requisition, number, person, at)


async def split_off(
    tx: AsyncConnection, owner: Owner, row: Row[Any], part: Decimal, actor: Actor, at: datetime
) -> Row[Any]:
    """Let a part of what is needed be a requisition of its own, beside the slot, and the first want what is left.

    Returns the new one's row.
    """
    id, slot, mine = new_id(), _slot(row), (requisition.c.plant == owner.plant) & (requisition.c.id == row.id)
    await tx.execute(update(requisition).where(mine).values(quantity=row.quantity - part))
    facts = {"wanted": plain(row.quantity), "quantity": plain(row.quantity - part)}
    await record(tx, owner, "requisition", row.id, "reduced", actor, at, facts)
    changes = {"id": id, "quantity": part, "open_slot": f"{slot}|{id}", "created_at": at, "changed_at": at}
    await tx.execute(insert(requisition), {**row._mapping, **changes, "quoting_after": None})
    facts = {"slot": slot, "rest_of": row.id, "quantity": plain(part)}
    await record(tx, owner, "requisition", id, "raised", actor, at, facts)
    return await _row(tx, owner, id)


async def need_again(
    tx: AsyncConnection,
    owner: Owner,
    number: str,
    actor: Actor,
    at: datetime,
    *,
    quoting_after: datetime | None,
    new_attempt: bool = False,
) -> None:
    """What an order was to bring and does not is needed again, and is quoted afresh after `quoting_after`.

    `new_attempt`: a person has proven that it was not placed, which opens the next attempt group.
    """
    for id, state in await requisitions_of(tx, owner, number):
        if state not in (R.PROPOSED, R.ORDERED):
            continue
        row, held = await _row(tx, owner, id), await cover_of(tx, owner, id)
        again = {"quoting_after": quoting_after, "attempt_group": row.attempt_group + int(new_attempt)}
        if held.covered == NOTHING:
            facts = {"order": number} | ({"attempt_group": again["attempt_group"]} if new_attempt else {})
            await move_requisition(tx, owner, id, state, R.NEEDED, actor=actor, at=at, facts=facts, **again)
        elif held.missing > NOTHING:
            await _reduce(tx, owner, id, held, number, actor, at)
            await _raise_rest(tx, owner, row, held, number, actor, at, again)


async def withdraw_wants(
    tx: AsyncConnection, owner: Owner, number: str, actor: Actor, at: datetime, hold: timedelta
) -> None:
    """A person said no: what an order was to bring and does not is withdrawn, and its slots stay quiet for a while."""
    for id, state in await requisitions_of(tx, owner, number):
        row, held = await _row(tx, owner, id), await cover_of(tx, owner, id)
        if state in (R.PROPOSED, R.ORDERED) and held.covered > NOTHING:
            if held.missing > NOTHING:
                await _reduce(tx, owner, id, held, number, actor, at)
                await hold_slot(tx, owner, _slot(row), at + hold, actor)
            continue
        if state is R.ORDERED:
            facts = {"order": number}
            await move_requisition(tx, owner, id, state, R.NEEDED, actor=actor, at=at, facts=facts)
            state = R.NEEDED
        if state in (R.NEEDED, R.PROPOSED):
            await withdraw_requisition(tx, owner, id, state, actor, at, hold)


async def _reduce(
    tx: AsyncConnection, owner: Owner, id: str, held: Cover, number: str, actor: Actor, at: datetime
) -> None:
    """Let a requisition be content with what is here or on its way."""
    mine = (requisition.c.plant == owner.plant) & (requisition.c.id == id)
    await tx.execute(update(requisition).where(mine).values(quantity=held.covered))
    facts = {"order": number, "wanted": plain(held.wanted), "quantity": plain(held.covered)}
    await record(tx, owner, "requisition", id, "reduced", actor, at, facts)
    if held.coming == NOTHING:
        await _fulfil(tx, owner, id, number, actor, at)


async def _fulfil(tx: AsyncConnection, owner: Owner, id: str, number: str, actor: Actor, at: datetime) -> None:
    await move_requisition(
        tx, owner, id, R.ORDERED, R.FULFILLED, actor=actor, at=at, facts={"order": number}, problem=""
    )


async def _raise_rest(
    tx: AsyncConnection,
    owner: Owner,
    row: Row[Any],
    held: Cover,
    number: str,
    actor: Actor,
    at: datetime,
    columns: Mapping[str, Any],
) -> None:
    """Want the rest by a requisition of its own; it takes the slot that the first has left, or a place beside it."""
    id, slot = new_id(), _slot(row)
    free = held.coming == NOTHING and row.open_slot == slot
    rest = {
        **row._mapping,
        **columns,
        "id": id,
        "quantity": held.missing,
        "state": R.NEEDED,
        "open_slot": slot if free else f"{slot}|{id}",
        "created_at": at,
        "changed_at": at,
    }
    await tx.execute(insert(requisition), rest)
    facts = {
        "slot": slot,
        "rest_of": row.id,
        "order": number,
        "quantity": plain(held.missing),
        "attempt_group": columns["attempt_group"],
        "at": timestamp(at),
    }
    await record(tx, owner, "requisition", id, "raised", actor, at, facts)


def _slot(row: Row[Any]) -> str:
    return requisitions.slot_of(row.component, row.life, row.line, row.item)


async def _row(tx: AsyncConnection, owner: Owner, id: str) -> Row[Any]:
    row = await requisitions.load(tx, owner, id)
    assert row is not None  # a share names a requisition by foreign key
    return row
