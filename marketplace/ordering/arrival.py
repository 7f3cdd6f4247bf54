"""Goods arrive: lines, shelf, requisitions and order move together.

Goods are promised to the requisitions that the line serves as they come, and stay promised until they are fitted; a
requisition is fulfilled when all that it wants is here. A service never lies on a shelf. What arrived is always taken
in, also when it is too much: then the order is disputed. Whoever enters a receipt is a named person, and goods in their
hands settle what an unknown outcome left open.
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
from marketplace.ordering import serving
from marketplace.ordering.answers import (
    PARTLY_CONFIRMED,
    AnswerBroken,
    LineSum,
    add_received,
    all_invoiced,
    over_delivered,
    state_by_lines,
)
from marketplace.ordering.edges import move_order, problem, problem_code, speaks_against
from marketplace.ordering.orders import StoredOrder, keep_sums, sums_of
from marketplace.ordering.states import OrderState
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
    before = await sums_of(tx, number)
    try:
        lines = add_received(before, receipt.quantities)
    except AnswerBroken as error:
        return str(error)
    await keep_sums(tx, number, lines)
    sums = {old.number: (old, new) for old, new in zip(before, lines, strict=True)}
    for line in stored.order.lines:
        if line.number in receipt.quantities:
            await _take_line(tx, owner, number, line, *sums[line.number], person, at)
    await _move(tx, owner, stored, lines, receipt, person, at)
    return "APPLIED"


async def _take_line(
    tx: AsyncConnection,
    owner: Owner,
    number: str,
    line: OrderLine,
    before: LineSum,
    after: LineSum,
    person: Actor,
    at: datetime,
) -> None:
    goods, arrived = await is_goods(tx, line), after.received - before.received
    if goods:
        here, expected = Quantity(arrived, line.quantity.unit), _expected(before, arrived)
        await stock.arrive(tx, owner, line.item.key, here, number, person, at, expected=expected)
    received = before.received, after.received
    await serving.goods_came(tx, owner, number, line, received, goods, person, at)


def _expected(before: LineSum, arrived: Decimal) -> Decimal:
    """Return how much of what arrived a confirmation had promised; the rest is on its way for other orders."""
    return max(min(arrived, before.confirmed - before.received), Decimal(0))


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

    reached = state_by_lines(S.CONFIRMED if state in SETTLED_BY_GOODS else state, lines)
    if problem_code(stored.row.problem) == PARTLY_CONFIRMED and reached is not S.RECEIVED:
        return  # goods of the part prove the part: whether the rest is dropped is still a person's to say
    if state in SETTLED_BY_GOODS:
        state = await move(state, S.CONFIRMED, problem="")
    if reached is not state:
        clear = {} if speaks_against(stored.row.problem) else {"problem": ""}  # nobody waits for the goods any more
        state = await move(state, reached, **clear)
    if state is not S.RECEIVED:
        return
    too_much = over_delivered(lines)
    noted = stored.state not in SETTLED_BY_GOODS and speaks_against(stored.row.problem)
    if too_much:
        await move(state, S.DISPUTED, problem=problem("OVER_DELIVERY", {"lines": ", ".join(map(str, too_much))}))
    elif noted:  # an invoice that did not agree has waited for the goods
        await move(state, S.DISPUTED)
    elif all_invoiced(lines):
        await move(state, S.CLOSED)


async def is_goods(tx: AsyncConnection, line: OrderLine) -> bool:
    """Return whether a line's requisitions want something that lies on a shelf, and not a service."""
    query = select(requisition.c.reason).where(requisition.c.id.in_(line.requisitions))
    kinds = {json.loads(reason).get("kind", "part") for reason in (await tx.execute(query)).scalars()}
    return kinds != {"service"}
