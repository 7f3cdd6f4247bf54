"""Purchase orders as rows: written once at proposal, read back whole, and never as anything but what was hashed.

The document of an order is canonical JSON. Reading it builds the order again and compares its hash with the one that
was decided on: a row that somebody has edited is `OrderBroken` and goes nowhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maintenance.needs import Provenance
from marketplace.catalogue import Item
from marketplace.documents import Delivery, OrderLine, PurchaseOrder, canonical, parse_timestamp
from marketplace.identity import new_key
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering.answers import LineSum
from marketplace.ordering.shares import Share
from marketplace.ordering.states import OrderState
from marketplace.store import Owner, line_requisition, order_line, purchase_order

NOTHING: Final = Decimal(0)


_ROW: Final = select(purchase_order).where(
    purchase_order.c.plant == bindparam("of_plant"), purchase_order.c.number == bindparam("of_number")
)
_LINKS: Final = (
    select(line_requisition.c.line, line_requisition.c.requisition)
    .where(line_requisition.c.order_number == bindparam("of_number"))
    .order_by(line_requisition.c.line, line_requisition.c.requisition)
)


class OrderUnknown(LookupError):
    """The plant has no order of this number."""


class OrderBroken(Exception):
    """A stored order is not what was decided on; it goes nowhere until a person has looked."""


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order with its row."""

    order: PurchaseOrder
    row: Row[Any]

    @property
    def state(self) -> OrderState:
        """Where it stands."""
        return OrderState(self.row.state)


async def load(tx: AsyncConnection, owner: Owner, number: str) -> StoredOrder:
    """Return an order. Raises `OrderUnknown`, `OrderBroken`."""
    row = await load_row(tx, owner, number)
    served: dict[int, tuple[str, ...]] = {}
    for link in await tx.execute(_LINKS, {"of_number": number}):
        served[link.line] = (*served.get(link.line, ()), link.requisition)
    try:
        order = read_order(json.loads(row.document), served)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise OrderBroken(f"order {number} cannot be read") from error
    told = hashlib.sha256(row.document.encode()).hexdigest()
    if not told == order.hash == row.order_hash or order.number != row.number:
        raise OrderBroken(f"order {number} was changed after it was proposed")
    return StoredOrder(order, row)


async def load_row(tx: AsyncConnection, owner: Owner, number: str) -> Row[Any]:
    """Return an order's row alone. Raises `OrderUnknown`."""
    row = (await tx.execute(_ROW, {"of_plant": owner.plant, "of_number": number})).one_or_none()
    if row is None:
        raise OrderUnknown(number)
    return row


def read_order(document: Mapping[str, Any], served: Mapping[int, tuple[str, ...]]) -> PurchaseOrder:
    """Return the order that a canonical document says; `served` names each line's requisitions."""
    currency = document["currency"]
    return PurchaseOrder(
        number=document["number"],
        plant=document["plant"],
        gateway=document["gateway"],
        supplier=document["supplier"],
        account=document["account"],
        quotation=document["quotation"],
        lines=tuple(
            OrderLine(
                number=line["number"],
                requisitions=served.get(line["number"], ()),
                item=_item(line),
                sku=line["sku"],
                quantity=Quantity(Decimal(line["quantity"]), line["unit"]),
                unit_price=UnitPrice(Decimal(line["unit_price"]), currency, Decimal(line["per"])),
            )
            for line in document["lines"]
        ),
        freight=Money(document["freight"], currency),
        fees=Money(document["fees"], currency),
        deliver_by=parse_timestamp(document["deliver_by"]),
        quoted_until=parse_timestamp(document["quoted_until"]),
        delivery=Delivery(**document["delivery"]),
    )


def _item(line: Mapping[str, Any]) -> Item:
    category = line.get("category", "")
    return Item(line["item"], line["manufacturer"], line["mpn"], line["description"], line["unit"], category)


async def insert_proposed(
    tx: AsyncConnection,
    owner: Owner,
    order: PurchaseOrder,
    shares: Sequence[Share],
    *,
    machine: str,
    provenance: Provenance,
    at: datetime,
    attempt_group: int = 1,
) -> None:
    """Store a new order as proposed, with its lines and an idempotency key that is its own for ever.

    `shares`: how much of each line serves whom; `attempt_group`: that of the requisitions behind it.
    """
    await tx.execute(
        insert(purchase_order),
        {
            "number": order.number,
            "supplier": order.supplier,
            "machine": machine,
            "state": OrderState.PROPOSED,
            "currency": order.currency,
            "total_minor": order.total.minor,
            "document": canonical(order.document()).decode(),
            "order_hash": order.hash,
            "key": new_key(),
            "sends": 0,
            "clean_misses": 0,
            "attempt_group": attempt_group,
            "provenance": provenance,
            "authority": "",
            "decided_by": "",
            "rule": "",
            "policy_version": 0,
            "quoted_until": order.quoted_until,
            "supplier_reference": "",
            "problem": "",
            "created_at": at,
            "changed_at": at,
            **owner.columns,
        },
    )
    links = [
        {
            "order_number": order.number,
            "line": share.line,
            "requisition": share.requisition,
            "quantity": share.quantity,
            **owner.columns,
        }
        for share in shares
    ]
    await tx.execute(insert(order_line), [_line_row(order.number, line) | owner.columns for line in order.lines])
    await tx.execute(insert(line_requisition), links)


def _line_row(number: str, line: OrderLine) -> dict[str, Any]:
    return {
        "order_number": number,
        "number": line.number,
        "item": line.item.key,
        "sku": line.sku,
        "quantity": line.quantity.amount,
        "unit": line.quantity.unit,
        "unit_price": line.unit_price.amount,
        "per": line.unit_price.per,
        "confirmed": NOTHING,
        "shipped": NOTHING,
        "received": NOTHING,
        "invoiced": NOTHING,
    }


async def sums_of(tx: AsyncConnection, number: str) -> tuple[LineSum, ...]:
    """Return what has become of each line of an order."""
    query = select(order_line).where(order_line.c.order_number == number).order_by(order_line.c.number)
    return tuple(
        LineSum(row.number, row.quantity, row.confirmed, row.shipped, row.received, row.invoiced)
        for row in await tx.execute(query)
    )


async def keep_sums(tx: AsyncConnection, number: str, lines: tuple[LineSum, ...]) -> None:
    """Store what has become of each line."""
    for line in lines:
        mine = (order_line.c.order_number == number) & (order_line.c.number == line.number)
        sums = {name: getattr(line, name) for name in ("quantity", "confirmed", "shipped", "received", "invoiced")}
        await tx.execute(update(order_line).where(mine).values(**sums))
