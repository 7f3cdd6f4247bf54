"""Goods arrive: lines, shelf, requisitions and order move together.

A requisition is fulfilled when all that it wants has been received: goods are then on the shelf and promised to it,
and stay promised until they are fitted. A service is fulfilled by its receipt and never lies on a shelf. What arrived
is always taken in, also when it is too much: then the order is disputed. Whoever enters a receipt is a named person,
and goods in their hands settle what an unknown outcome left open.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace import stock
from marketplace.audit.actor import Actor
from marketplace.documents import GoodsReceipt, OrderLine
from marketplace.money import Quantity, plain
from marketplace.ordering.answers import (
    AnswerBroken,
    LineSum,
    add_received,
    all_invoiced,
    over_delivered,
    state_by_lines,
)
from marketplace.ordering.edges import move_order, move_requisition, problem, requisitions_of, speaks_against
from marketplace.ordering.orders import StoredOrder, keep_sums, sums_of
from marketplace.ordering.states import OrderState, RequisitionState
from marketplace.store import Owner, requisition

S = OrderState

SETTLED_BY_GOODS: Final = frozenset({S.SUBMITTED, S.UNKNOWN, S.NEEDS_PERSON, S.CANCELLING})
"""States in which goods in hand prove that the order was placed and is on."""
AWAITING_GOODS: Final = SETTLED_BY_GOODS | {S.CONFIRMED, S.SHIPPED}
AFTER_GOODS: Final = frozenset({S.RECEIVED, S.DISPUTED, S.CLOSED})


async def take_in(
    tx: AsyncConnection, owner: Owner, stored: StoredOrder, receipt: GoodsReceipt, person: Actor, at: datetime
) -> str:
    """Apply a receipt; returns `APPLIED`, or a code why not, or "" while the order is being sent."""
    if stored.state is S.SUBMITTING:
        return ""
    number = stored.order.number
    try:
        lines = add_received(await sums_of(tx, number), receipt.quantities)
    except AnswerBroken as error:
        return str(error)
    await keep_sums(tx, number, lines)
    for line in stored.order.lines:
        if line.number in receipt.quantities:
            await _take_line(tx, owner, number, line, receipt.quantities[line.number], lines, person, at)
    await _move(tx, owner, stored, lines, receipt, person, at)
    return "APPLIED"


async def _take_line(
    tx: AsyncConnection,
    owner: Owner,
    number: str,
    line: OrderLine,
    arrived: Decimal,
    lines: tuple[LineSum, ...],
    person: Actor,
    at: datetime,
) -> None:
    goods = await is_goods(tx, line)
    if goods:
        here = Quantity(arrived, line.quantity.unit)
        expected = _expected(next(each for each in lines if each.number == line.number), arrived)
        await stock.arrive(tx, owner, line.item.key, here, number, person, at, expected=expected)
    left = next(each.received for each in lines if each.number == line.number)
    for id, state in await requisitions_of(tx, owner, number, line.number):
        wanted = await _wanted(tx, id)
        left -= wanted.amount
        if left < 0:
            break
        if state is RequisitionState.ORDERED:
            if goods:
                await stock.reserve(tx, owner, line.item.key, wanted, id, person, at)
            await move_requisition(
                tx, owner, id, state, RequisitionState.FULFILLED, actor=person, at=at, facts={"order": number}
            )


def _expected(after: LineSum, arrived: Decimal) -> Decimal:
    """Return how much of what arrived a confirmation had promised; the rest is on its way for other orders."""
    outstanding = after.confirmed - (after.received - arrived)
    return max(min(arrived, outstanding), Decimal(0))


async def _move(
    tx: AsyncConnection,
    owner: Owner,
    stored: StoredOrder,
    lines: tuple[LineSum, ...],
    receipt: GoodsReceipt,
    person: Actor,
    at: datetime,
) -> None:
    number, state = stored.order.number, stored.state
    facts = {"receipt": receipt.receipt, "lines": {str(n): plain(q) for n, q in receipt.quantities.items()}}

    async def move(before: OrderState, after: OrderState, **columns: str) -> OrderState:
        await move_order(tx, owner, number, before, after, actor=person, at=at, facts=facts, **columns)
        return after

    if state in SETTLED_BY_GOODS:
        state = await move(state, S.CONFIRMED, problem="")
    if state_by_lines(state, lines) is not state:
        state = await move(state, state_by_lines(state, lines))
    if state is not S.RECEIVED:
        return
    over = over_delivered(lines)
    noted = stored.state not in SETTLED_BY_GOODS and speaks_against(stored.row.problem)
    if over:
        await move(state, S.DISPUTED, problem=problem("OVER_DELIVERY", {"lines": ", ".join(map(str, over))}))
    elif noted:  # an invoice that did not agree has waited for the goods
        await move(state, S.DISPUTED)
    elif all_invoiced(lines):
        await move(state, S.CLOSED)


async def is_goods(tx: AsyncConnection, line: OrderLine) -> bool:
    """Return whether a line's requisitions want something that lies on a shelf, and not a service."""
    query = select(requisition.c.reason).where(requisition.c.id.in_(line.requisitions))
    kinds = {json.loads(reason).get("kind", "part") for reason in (await tx.execute(query)).scalars()}
    return kinds != {"service"}


async def _wanted(tx: AsyncConnection, id: str) -> Quantity:
    row = (await tx.execute(select(requisition.c.quantity, requisition.c.unit).where(requisition.c.id == id))).one()
    return Quantity(row.quantity, row.unit)
