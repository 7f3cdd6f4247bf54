"""Bind less than was committed: the one change of a commitment that is no release of it.

It promises that a commitment comes down to what was agreed and never goes up, that every booking comes down with it in
its limit's own measure, rounded to the safe side, and that limits are counted again from their bookings. A booking
stays in the period in which it was made, and what has elapsed gives nothing back twice. It knows no rule and writes no
audit: `authority.gate` does both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.authority import ledger
from marketplace.authority.ledger import BookingState, LedgerBroken, StoredRow
from marketplace.authority.limits import ORDERS
from marketplace.money import Money
from marketplace.store import booking, reservation, spend_limit

_B, _R = booking.c, reservation.c
_BOOKED: Final = select(_B.limit_id, _B.amount, spend_limit.c.measure).join(
    spend_limit, spend_limit.c.id == _B.limit_id
)


@dataclass(frozen=True, slots=True)
class Reduced:
    """A commitment that came down from `before` to `amount`; `send` is the one that it is for."""

    send: int
    before: Money
    amount: Money
    by_person: bool


async def reduce(tx: AsyncConnection, order: str, total: Money) -> Reduced | None:
    """Bring the order's commitment down to a total; None when no more than that is committed.

    Raises `LedgerBroken` unless it is committed in the total's currency.
    """
    row = await committed(tx, order)
    send, before = row.send, Money(row.minor, row.currency)
    if total.currency != before.currency:
        raise LedgerBroken(f"order {order} is committed in {before.currency}, not in {total.currency}")
    if total >= before:
        return None
    mine = (_R.order_number == order) & (_R.send == send)
    await tx.execute(update(reservation).where(mine).values(minor=total.minor))
    for each in (await tx.execute(_BOOKED.where(_B.order_number == order, _B.send == send))).all():
        this = (_B.order_number == order) & (_B.send == send) & (_B.limit_id == each.limit_id)
        amount = booked_for(each.amount, each.measure, before, total)
        await tx.execute(update(booking).where(this).values(amount=amount))
        await ledger.recount(tx, each.limit_id)
    return Reduced(send, before, total, bool(row.by_person))


async def committed(connection: AsyncConnection, order: str) -> StoredRow:
    """Return the reservation that an order has committed. Raises `LedgerBroken` when there is none."""
    found = [row for row in await ledger.live(connection, order) if row.state == BookingState.COMMITTED]
    if not found:
        raise LedgerBroken(f"order {order} has no commitment")
    return found[0]


def booked_for(amount: int, measure: str, before: Money, after: Money) -> int:
    """Return what a limit counts of less money: an order stays one order, another currency keeps its rate."""
    if measure == ORDERS:
        return amount
    return after.minor if measure == before.currency else -(-amount * after.minor // before.minor)
