"""What suppliers have done so far, out of the store: how long their orders took, what they offered, who may be asked.

It only reads, and never more than `ORDERS_MAX` lines of orders and `ANSWERS_MAX` answers, the newest: what is older
says little of how a supplier is now. Who could not be reached has not taken back what it offered before.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.authority import halts
from marketplace.lead_times import Delivery
from marketplace.money import decimals_of
from marketplace.ordering.arrival import AFTER_GOODS
from marketplace.ordering.inbox import APPLIED
from marketplace.ordering.states import OrderState
from marketplace.ordering.suspension import suspended
from marketplace.sources import Offer, Sent, TrackRecord
from marketplace.sourcing.quoting import Outcome
from marketplace.store import Owner, inbox, order_line, purchase_order, quotation, requisition

S = OrderState
ORDERS_MAX: Final = 500
ANSWERS_MAX: Final = 1000
ON_ITS_WAY: Final = frozenset({S.SUBMITTED, S.CONFIRMED, S.SHIPPED})
HOUR: Final = timedelta(hours=1)


_CAME: Final = (
    select(func.max(inbox.c.received_at))
    .where(
        inbox.c.plant == purchase_order.c.plant,
        inbox.c.order_number == purchase_order.c.number,
        inbox.c.kind == "receipt",
        inbox.c.verdict == APPLIED,
    )
    .scalar_subquery()
)
_ORDERS: Final[Select[Any]] = (
    select(
        purchase_order.c.number, purchase_order.c.supplier, purchase_order.c.state, purchase_order.c.first_sent_at,
        order_line.c.item, _CAME.label("came"),
    )
    .join(order_line, order_line.c.order_number == purchase_order.c.number)
    .where(
        purchase_order.c.plant == bindparam("of_plant"),
        purchase_order.c.first_sent_at.is_not(None),
        purchase_order.c.state.in_(sorted(ON_ITS_WAY | AFTER_GOODS)),
    )
    .order_by(purchase_order.c.first_sent_at.desc(), purchase_order.c.number, order_line.c.number)
    .limit(ORDERS_MAX)
)  # fmt: skip
_ANSWERS: Final[Select[Any]] = (
    select(
        quotation.c.supplier, requisition.c.item, quotation.c.outcome, quotation.c.quantity, quotation.c.unit_price,
        quotation.c.per, quotation.c.freight_minor, quotation.c.fees_minor, quotation.c.currency, quotation.c.detail,
    )
    .join(requisition, requisition.c.id == quotation.c.requisition)
    .where(
        quotation.c.plant == bindparam("of_plant"),
        quotation.c.outcome.in_((Outcome.OFFERED, Outcome.REJECTED)),
        requisition.c.item.in_(bindparam("of_items", expanding=True)),
    )
    .order_by(quotation.c.answered_at.desc(), quotation.c.round.desc(), quotation.c.supplier)
    .limit(ANSWERS_MAX)
)  # fmt: skip


async def track_record(
    tx: AsyncConnection, owner: Owner, items: Collection[str], suppliers: Collection[str], now: datetime
) -> TrackRecord:
    """Return what is known of these suppliers and items at `now` (aware, plant time)."""
    rows = (await tx.execute(_ORDERS, {"of_plant": owner.plant})).all()
    answers = (await tx.execute(_ANSWERS, {"of_plant": owner.plant, "of_items": sorted(items)})).all()
    newest: dict[tuple[str, str], Offer] = {}
    for row in answers:
        newest.setdefault((row.supplier, row.item), _offer(row))
    away = await suspended(tx, owner) | await halts.stopped_suppliers(tx, owner)
    return TrackRecord(
        tuple(found for row in rows if (found := _delivery(row, now)) is not None),
        tuple(newest.values()),
        {row.number: Sent(row.supplier, row.first_sent_at) for row in rows if row.state in ON_ITS_WAY},
        frozenset(suppliers) - away,
    )


def _delivery(row: Row[Any], now: datetime) -> Delivery | None:
    """Return what one line of an order says; None where it is done and nobody has booked goods in."""
    is_open = row.state in ON_ITS_WAY
    until = now if is_open else row.came
    if until is None or until < row.first_sent_at:  # a clock that was put back says nothing
        return None
    return Delivery(row.supplier, row.item, (until - row.first_sent_at) / HOUR, not is_open)


def _offer(row: Row[Any]) -> Offer:
    """Return what one unit costs at an answer, with freight and fees; an offer that could not serve has its reason."""
    if row.outcome != Outcome.OFFERED or row.detail or row.quantity <= 0:
        return Offer(row.supplier, row.item)
    beside = Decimal(row.freight_minor + row.fees_minor).scaleb(-decimals_of(row.currency))
    return Offer(row.supplier, row.item, row.unit_price / row.per + beside / row.quantity, row.currency)
