"""What there is for a want, all wants together: the free shelf, and what orders bring that serve nobody.

An order brings such goods when its packs hold more than was wanted, or when those whom it served are served otherwise.
They count while nothing speaks against the order and its supplier's promise has not passed. Wants that wait for goods
are netted together (`marketplace.netting`): no piece is left to two of them. It only reads.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Row, Select, and_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.money import Quantity
from marketplace.netting import Asked, Netted, OnItsWay, net
from marketplace.ordering.edges import OPEN
from marketplace.ordering.shares import NOTHING, Share, allot
from marketplace.ordering.states import OrderState, RequisitionState
from marketplace.store import (
    Owner,
    PlantTime,
    line_requisition,
    order_line,
    purchase_order,
    requisition,
    stock_item,
)

_WAITING: Final[Select[Any]] = select(
    requisition.c.id, requisition.c.life, requisition.c.item, requisition.c.quantity, requisition.c.unit,
    requisition.c.needed_by, requisition.c.created_at,
).where(
    requisition.c.plant == bindparam("of_plant"), requisition.c.item == bindparam("of_item"),
    requisition.c.state == RequisitionState.NEEDED,
)  # fmt: skip
_COMING: Final[Select[Any]] = (
    select(
        order_line.c.order_number, order_line.c.number, order_line.c.item, order_line.c.unit, order_line.c.confirmed,
        order_line.c.received, purchase_order.c.promised_at, line_requisition.c.requisition,
        line_requisition.c.quantity.label("share"), requisition.c.state,
    )
    .join(purchase_order, purchase_order.c.number == order_line.c.order_number)
    .outerjoin(
        line_requisition,
        and_(
            line_requisition.c.plant == order_line.c.plant,
            line_requisition.c.order_number == order_line.c.order_number,
            line_requisition.c.line == order_line.c.number,
        ),
    )
    .outerjoin(requisition, requisition.c.id == line_requisition.c.requisition)
    .where(
        order_line.c.plant == bindparam("of_plant"),
        order_line.c.item.in_(bindparam("of_items", expanding=True)),
        purchase_order.c.state.in_((OrderState.CONFIRMED, OrderState.SHIPPED)),
        purchase_order.c.problem == "",
        purchase_order.c.quarantined_at.is_(None),
        purchase_order.c.promised_at > bindparam("of_now", type_=PlantTime),
    )
    .order_by(order_line.c.order_number, order_line.c.number, requisition.c.created_at, requisition.c.id)
)  # fmt: skip
"""Lines of orders, each with those whom it serves: a row for each of them, and one without where it serves nobody."""
_SHELF: Final = select(stock_item).where(
    stock_item.c.plant == bindparam("of_plant"), stock_item.c.item.in_(bindparam("of_items", expanding=True))
)


async def netted(tx: AsyncConnection, owner: Owner, row: Row[Any], now: datetime) -> Netted:
    """Return how a requisition that is needed is covered, beside all others that are and want the same item."""
    waiting = (await tx.execute(_WAITING, {"of_plant": owner.plant, "of_item": row.item})).all()
    free, coming = await free_on_shelf(tx, owner, {row.item}), await on_its_way(tx, owner, {row.item}, now)
    found = net((_asked(each) for each in waiting), free, coming)
    return next(each for each in found if each.asked.name == row.id)


def _asked(row: Row[Any]) -> Asked:
    """A want for the shelf itself is never served from it."""
    wanted = Quantity(row.quantity, row.unit)
    return Asked(row.id, row.item, wanted, row.needed_by, row.created_at, shelf=bool(row.life))


async def free_on_shelf(tx: AsyncConnection, owner: Owner, items: Collection[str]) -> dict[str, Quantity]:
    """Return what is on hand and promised to nobody, of those of the items of which there is any."""
    rows = await tx.execute(_SHELF, {"of_plant": owner.plant, "of_items": sorted(items)})
    return {row.item: Quantity(row.on_hand - row.reserved, row.unit) for row in rows if row.on_hand > row.reserved}


async def on_its_way(tx: AsyncConnection, owner: Owner, items: Collection[str], now: datetime) -> list[OnItsWay]:
    """Return what confirmed orders bring of these items beyond those who wait for it."""
    of = {"of_plant": owner.plant, "of_items": sorted(items), "of_now": now}
    rows = (await tx.execute(_COMING, of)).all()
    found = []
    for _place, served in groupby(rows, key=attrgetter("order_number", "number")):
        shares = list(served)
        line = shares[0]
        surplus = line.confirmed - line.received - _promised(line.received, shares)
        if surplus > NOTHING:
            amount = Quantity(surplus, line.unit)
            found.append(OnItsWay(line.order_number, line.item, amount, line.promised_at))
    return found


def _promised(received: Decimal, rows: Sequence[Row[Any]]) -> Decimal:
    """Return how much of what is still to come of a line is for those who wait for it."""
    rows = [row for row in rows if row.requisition is not None]
    came = allot(received, [Share(row.number, row.requisition, row.share) for row in rows])
    left = (row.share - part for row, part in zip(rows, came, strict=True) if row.state in OPEN)
    return sum(left, start=NOTHING)
