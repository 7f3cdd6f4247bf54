"""Goods arrive and are fitted: acts of people, and what telemetry may conclude from them.

A goods receipt is entered by a named person and goes through the same inbox as every answer. A requisition is
fulfilled when what it wants has been received and is promised to it; the promise ends when the part is fitted. The
order closes when all is received and invoiced: a fitting is never one of its states. A fitting that telemetry believes
to have seen counts only where a part was there to be fitted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace import stock
from marketplace.acts import record
from marketplace.audit import log
from marketplace.audit.actor import Actor
from marketplace.documents import GoodsReceipt
from marketplace.identity import new_id
from marketplace.ordering import inbox
from marketplace.ordering.answers import AnswerBroken, add_received
from marketplace.ordering.arrival import AFTER_GOODS, AWAITING_GOODS
from marketplace.ordering.edges import OPEN, move_order, move_requisition
from marketplace.ordering.orders import load, sums_of
from marketplace.ordering.states import UNSENT, OrderState, RequisitionState
from marketplace.ordering.terms import PurchasingTerms
from marketplace.store import Owner, line_requisition, purchase_order, requisition

R = RequisitionState


async def receive_goods(
    tx: AsyncConnection,
    owner: Owner,
    number: str,
    quantities: Mapping[int, Decimal] | None,
    person: Actor,
    at: datetime,
    terms: PurchasingTerms,
    note: str = "",
) -> str:
    """Enter what arrived for an order, by line in the line's unit; None: all that is outstanding.

    Returns `inbox.APPLIED` or a code why nothing was taken in. Raises `OrderUnknown`.
    """
    stored = await load(tx, owner, number)
    if stored.state not in AWAITING_GOODS | AFTER_GOODS:
        return f"ORDER_{stored.state.upper()}"
    if quantities is None:
        lines = await sums_of(tx, number)
        quantities = {line.number: line.quantity - line.received for line in lines if line.received < line.quantity}
    if not quantities:
        return "NOTHING_OUTSTANDING"
    try:
        add_received(await sums_of(tx, number), quantities)
    except AnswerBroken as error:  # a slip of the pen is told at once, and not kept as an answer
        return str(error)
    digest = await log.note(tx, owner, note)
    receipt = GoodsReceipt(number, new_id(8), quantities, at, person.id, digest)
    received = await inbox.receive(tx, owner, stored.order.supplier, receipt, person, at)
    return await inbox.apply(tx, owner, received.id, at, terms)


async def fitted(
    tx: AsyncConnection, owner: Owner, component: str, life: str, actor: Actor, at: datetime
) -> tuple[str, ...]:
    """Close what was bought for a life that has ended: a part is in. Returns the requisitions that this touched.

    Promised goods leave the shelf. A want of which nothing was sent is withdrawn, its unsent order cancelled; what is
    on order is no longer for this life, and goes to the shelf for whoever needs it next.
    """
    mine = (requisition.c.plant == owner.plant) & (requisition.c.component == component) & (requisition.c.life == life)
    rows = (await tx.execute(select(requisition.c.id, requisition.c.state).where(mine))).all()
    touched = []
    for row in rows:
        state = R(row.state)
        used = await stock.fit(tx, owner, row.id, actor, at)
        if state in OPEN:
            await _served_otherwise(tx, owner, row.id, state, actor, at)
        if used or state in OPEN:
            touched.append(row.id)
    await record(tx, owner, "fitting", component, "done", actor, at, {"life": life, "requisitions": touched})
    return tuple(touched)


async def _served_otherwise(
    tx: AsyncConnection, owner: Owner, id: str, state: RequisitionState, actor: Actor, at: datetime
) -> None:
    facts = {"code": "FITTED_BEFORE"}
    for number, order_state in await _orders_for(tx, owner, id):
        if order_state in UNSENT:
            await move_order(tx, owner, number, order_state, OrderState.CANCELLED, actor=actor, at=at, facts=facts)
    after = R.FULFILLED if state is R.ORDERED else R.WITHDRAWN
    await move_requisition(tx, owner, id, state, after, actor=actor, at=at, facts=facts)


async def _orders_for(tx: AsyncConnection, owner: Owner, id: str) -> list[tuple[str, OrderState]]:
    query = (
        select(purchase_order.c.number, purchase_order.c.state)
        .join(line_requisition, line_requisition.c.order_number == purchase_order.c.number)
        .where(purchase_order.c.plant == owner.plant, line_requisition.c.requisition == id)
    )
    return [(row.number, OrderState(row.state)) for row in await tx.execute(query)]


async def may_accept_fitting(
    tx: AsyncConnection, owner: Owner, component: str, life: str, items: Collection[str] = ()
) -> bool:
    """Return whether a fitting that telemetry proposes may count without a person: a part was there to be fitted.

    That is so when a want of this life was fulfilled, from the shelf or by a supplier, or a part of it came and is
    promised to it, or when an item that the component takes lies free on the shelf. `items`: what its job takes, beside
    what was ever wanted for it.
    """
    mine = (requisition.c.plant == owner.plant) & (requisition.c.component == component)
    columns = requisition.c.id, requisition.c.life, requisition.c.state, requisition.c.item
    rows = (await tx.execute(select(*columns).where(mine))).all()
    for row in rows:
        if row.life == life and (row.state == R.FULFILLED or await stock.is_promised(tx, row.id)):
            return True
    for item in {row.item for row in rows} | set(items):
        found = await stock.shelf(tx, owner, item)
        if found is not None and found.free > 0:
            return True
    return False
