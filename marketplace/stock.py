"""The shelf: what is on hand, what of it is promised to a requisition, and what is on its way.

Every change is conditional on the figures that were seen, is told to the audit in the same transaction, and never
takes more than is there. What a person counts is the truth, also when it is less than was promised. It knows no
price and no supplier.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.acts import record
from marketplace.audit.actor import Actor
from marketplace.money import Quantity, plain
from marketplace.store import Owner, stock_item, stock_reservation

NOTHING: Final = Decimal(0)
RESERVED, FITTED, RETURNED = "reserved", "fitted", "returned"
"""States of a reservation."""


class StockShort(Exception):
    """There is less on the shelf than was to be taken; nothing was changed."""


class StockMoved(Exception):
    """Somebody else changed the shelf in between; nothing was changed, look again."""


class UnitDiffers(ValueError):
    """The shelf counts this item in another unit; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One item's figures, all in `unit`."""

    item: str
    unit: str
    on_hand: Decimal = NOTHING
    reserved: Decimal = NOTHING
    in_transit: Decimal = NOTHING

    @property
    def free(self) -> Decimal:
        """What is on hand and promised to nobody; never below zero."""
        return max(self.on_hand - self.reserved, NOTHING)


_SHELF: Final = select(stock_item).where(
    stock_item.c.plant == bindparam("of_plant"), stock_item.c.item == bindparam("of_item")
)


async def shelf(tx: AsyncConnection, owner: Owner, item: str) -> Shelf | None:
    """Return an item's figures, None when it was never counted nor received."""
    row = (await tx.execute(_SHELF, {"of_plant": owner.plant, "of_item": item})).one_or_none()
    return None if row is None else Shelf(row.item, row.unit, row.on_hand, row.reserved, row.in_transit)


async def count(
    tx: AsyncConnection, owner: Owner, item: str, on_hand: Decimal, unit: str, person: Actor, at: datetime
) -> Shelf:
    """Enter how many a named person counted. Raises ValueError below zero, `UnitDiffers`."""
    if not on_hand.is_finite() or on_hand < 0:
        raise ValueError("what is on the shelf is not below zero")
    before = await _opened(tx, owner, item, unit)
    after = await _change(tx, owner, before, on_hand=on_hand - before.on_hand)
    await _tell(tx, owner, item, "counted", person, at, before=before.on_hand, on_hand=on_hand)
    return after


async def adjust(
    tx: AsyncConnection, owner: Owner, item: str, change: Decimal, unit: str, person: Actor, at: datetime
) -> Shelf:
    """Enter what a named person put on the shelf or took from it. Raises `StockShort`, `UnitDiffers`."""
    before = await _opened(tx, owner, item, unit)
    if before.on_hand + change < 0:
        raise StockShort(f"{plain(before.on_hand)} {unit} of {item} are on the shelf")
    after = await _change(tx, owner, before, on_hand=change)
    await _tell(tx, owner, item, "adjusted", person, at, change=change, on_hand=after.on_hand)
    return after


async def reserve(
    tx: AsyncConnection, owner: Owner, item: str, wanted: Quantity, requisition: str, actor: Actor, at: datetime
) -> bool:
    """Promise goods on the shelf to a requisition, beside what it has been promised before.

    False, and nothing changed, when what lies free does not cover it.
    """
    before = await shelf(tx, owner, item)
    if before is None or before.unit != wanted.unit or before.free < wanted.amount:
        return False
    await _change(tx, owner, before, reserved=wanted.amount)
    held = await reservation(tx, requisition)
    if held is None:
        row = {"requisition": requisition, "item": item, "quantity": wanted.amount, "state": RESERVED}
        await tx.execute(insert(stock_reservation).values(**row, **owner.columns))
    else:
        mine = (stock_reservation.c.requisition == requisition) & (stock_reservation.c.state == RESERVED)
        more = update(stock_reservation).where(mine).values(quantity=held.quantity + wanted.amount)
        if (await tx.execute(more)).rowcount != 1:
            raise StockMoved(f"the goods promised to {requisition} are {held.state}: it gets no more")
    await _tell(tx, owner, item, "reserved", actor, at, quantity=wanted.amount, requisition=requisition)
    return True


async def expect(tx: AsyncConnection, owner: Owner, item: str, ordered: Quantity) -> None:
    """Note that a supplier confirmed goods; the order's own audit leaf says so."""
    before = await _opened(tx, owner, item, ordered.unit)
    await _change(tx, owner, before, in_transit=ordered.amount)


async def expect_no_more(tx: AsyncConnection, owner: Owner, item: str, quantity: Decimal) -> None:
    """Note that goods will not come after all."""
    before = await shelf(tx, owner, item)
    if before is not None and quantity > 0:
        await _change(tx, owner, before, in_transit=-min(quantity, before.in_transit))


async def arrive(
    tx: AsyncConnection,
    owner: Owner,
    item: str,
    arrived: Quantity,
    order: str,
    actor: Actor,
    at: datetime,
    *,
    expected: Decimal,
) -> Shelf:
    """Put received goods on the shelf; `expected` of them were on their way by `expect`. Raises `UnitDiffers`."""
    before = await _opened(tx, owner, item, arrived.unit)
    coming = -min(expected, before.in_transit)
    after = await _change(tx, owner, before, on_hand=arrived.amount, in_transit=coming)
    await _tell(tx, owner, item, "received", actor, at, quantity=arrived.amount, order=order)
    return after


async def reservation(tx: AsyncConnection, requisition: str) -> Row[Any] | None:
    """Return the reservation of a requisition, None when it has none."""
    query = select(stock_reservation).where(stock_reservation.c.requisition == requisition)
    return (await tx.execute(query)).one_or_none()


async def is_promised(tx: AsyncConnection, requisition: str) -> bool:
    """Return whether goods on the shelf are promised to a requisition."""
    held = await reservation(tx, requisition)
    return held is not None and held.state == RESERVED


async def fit(tx: AsyncConnection, owner: Owner, requisition: str, actor: Actor, at: datetime) -> bool:
    """Take the goods promised to a requisition from the shelf: they were fitted. False without a reservation."""
    return await _end_reservation(tx, owner, requisition, FITTED, actor, at)


async def give_back(tx: AsyncConnection, owner: Owner, requisition: str, actor: Actor, at: datetime) -> bool:
    """Promise the goods to nobody any more; they stay on the shelf. False without a reservation."""
    return await _end_reservation(tx, owner, requisition, RETURNED, actor, at)


async def _end_reservation(
    tx: AsyncConnection, owner: Owner, requisition: str, state: str, actor: Actor, at: datetime
) -> bool:
    row = await reservation(tx, requisition)
    if row is None or row.state != RESERVED:
        return False
    mine = (stock_reservation.c.requisition == requisition) & (stock_reservation.c.state == RESERVED)
    ended = await tx.execute(update(stock_reservation).where(mine).values(state=state))
    if ended.rowcount != 1:
        raise StockMoved(f"the reservation of {requisition} was ended by somebody else")
    before = await shelf(tx, owner, row.item)
    assert before is not None  # a reservation is made on a shelf that exists
    gone = -min(row.quantity, before.on_hand) if state == FITTED else NOTHING  # a count may have found fewer
    await _change(tx, owner, before, on_hand=gone, reserved=-row.quantity)
    await _tell(tx, owner, row.item, state, actor, at, quantity=row.quantity, requisition=requisition)
    return True


async def _opened(tx: AsyncConnection, owner: Owner, item: str, unit: str) -> Shelf:
    found = await shelf(tx, owner, item)
    if found is None:
        figures = {"on_hand": NOTHING, "reserved": NOTHING, "in_transit": NOTHING}
        await tx.execute(insert(stock_item).values(item=item, unit=unit, **figures, **owner.columns))
        return Shelf(item, unit)
    if found.unit != unit:
        raise UnitDiffers(f"{item} is counted in {found.unit}, not in {unit}")
    return found


async def _change(
    tx: AsyncConnection,
    owner: Owner,
    before: Shelf,
    *,
    on_hand: Decimal = NOTHING,
    reserved: Decimal = NOTHING,
    in_transit: Decimal = NOTHING,
) -> Shelf:
    after = Shelf(
        before.item, before.unit, before.on_hand + on_hand, before.reserved + reserved, before.in_transit + in_transit
    )
    table = stock_item.c
    changed = await tx.execute(
        update(stock_item)
        .where(
            table.plant == owner.plant,
            table.item == before.item,
            table.on_hand == before.on_hand,
            table.reserved == before.reserved,
            table.in_transit == before.in_transit,
        )
        .values(on_hand=after.on_hand, reserved=after.reserved, in_transit=after.in_transit)
    )
    if changed.rowcount != 1:
        raise StockMoved(f"the shelf of {before.item} was changed by somebody else")
    return after


async def _tell(
    tx: AsyncConnection, owner: Owner, item: str, event: str, actor: Actor, at: datetime, **facts: Decimal | str
) -> None:
    written = {name: plain(fact) if isinstance(fact, Decimal) else fact for name, fact in facts.items()}
    await record(tx, owner, "stock", item, event, actor, at, written)
