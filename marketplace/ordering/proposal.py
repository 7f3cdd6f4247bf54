"""From a requisition to a proposed order: what is asked of suppliers, what is ordered, what the gate is told.

Everything here happens inside the caller's transaction; nothing talks to a supplier. What they answered is kept by
`offers`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from maintenance.needs import Provenance
from marketplace.authority import halts, recent
from marketplace.authority.policy import Circumstances, Mode, Similar
from marketplace.catalogue import Catalogue
from marketplace.documents import (
    OrderLine,
    PurchaseOrder,
    Quotation,
    QuotationLine,
    RequestedLine,
    RequestForQuotation,
)
from marketplace.money import Money, UnitPrice
from marketplace.ordering.booking import booking_of, visit
from marketplace.ordering.offers import LINE
from marketplace.ordering.requisition import quantity_of
from marketplace.ordering.shares import Share
from marketplace.ordering.states import ENDED, FAILED, OrderState
from marketplace.ordering.suspension import suspended
from marketplace.ordering.terms import PurchasingTerms
from marketplace.sourcing.award import lead_time
from marketplace.store import (
    Owner,
    PlantTime,
    line_requisition,
    order_line,
    policy_version,
    purchase_order,
    quotation,
    requisition,
)

PROVEN: Final = (
    OrderState.CONFIRMED,
    OrderState.SHIPPED,
    OrderState.RECEIVED,
    OrderState.DISPUTED,
    OrderState.CLOSED,
)
"""States of orders that a supplier has taken on our terms: after one of these it is no stranger."""


def request_for(row: Row[Any], round: int, catalogue: Catalogue, terms: PurchasingTerms) -> RequestForQuotation:
    """Return what suppliers are asked for a requisition. Raises KeyError when the catalogue lost its item."""
    line = RequestedLine(LINE, row.id, catalogue[row.item], quantity_of(row))
    # for goods no date is named: how long they lie on the shelf follows from the belief; suppliers quote what they can
    day = row.needed_by if booking_of(reason_of(row)) is not None else None
    return RequestForQuotation(f"RQ-{row.id[:12]}-{round}", (line,), terms.currency, terms.country, day)


async def may_be_asked(tx: AsyncConnection, owner: Owner, id: str, names: Collection[str]) -> frozenset[str]:
    """Return the suppliers to ask for a requisition: none suspended or stopped, none that refused an order for it."""
    refused = (await tx.execute(_REFUSED, {"of_requisition": id})).scalars()
    stopped = await halts.stopped_suppliers(tx, owner)
    return frozenset(names) - await suspended(tx, owner) - stopped - frozenset(refused)


_REFUSED: Final = (
    select(purchase_order.c.supplier)
    .join(line_requisition, line_requisition.c.order_number == purchase_order.c.number)
    .where(
        line_requisition.c.requisition == bindparam("of_requisition"),
        purchase_order.c.state == OrderState.REJECTED,
    )
)


def order_for(
    number: str,
    owner: Owner,
    chosen: Quotation,
    request: RequestForQuotation,
    terms: PurchasingTerms,
    now: datetime,
    row: Row[Any] | None = None,
) -> PurchaseOrder:
    """Return the order that takes an offer exactly as it was made; a service, for a day that suits.

    row: the requisition's; None where it waits for no window.
    """
    wanted = {line.number: line for line in request.lines}
    return PurchaseOrder(
        number=number,
        plant=owner.plant,
        gateway=owner.gateway_id,
        supplier=chosen.supplier,
        account=terms.accounts.get(chosen.supplier, ""),
        quotation=chosen.reference,
        lines=tuple(_order_line(wanted[line.number], line) for line in chosen.lines),
        freight=chosen.freight,
        fees=chosen.fees,
        deliver_by=_due(now + lead_time(chosen), request, terms, row),
        quoted_until=chosen.valid_until,
        delivery=terms.delivery,
    )


def _due(earliest: datetime, request: RequestForQuotation, terms: PurchasingTerms, row: Row[Any] | None) -> datetime:
    booking = None if row is None else booking_of(reason_of(row))
    if row is None or booking is None or request.needed_by is None:
        return earliest
    return visit(request.needed_by, earliest, booking, terms.windows.of(row.machine))


def _order_line(wanted: RequestedLine, offered: QuotationLine) -> OrderLine:
    return OrderLine(
        number=wanted.number,
        requisitions=(wanted.requisition,),
        item=wanted.item,
        sku=offered.sku,
        quantity=offered.quantity,
        unit_price=offered.unit_price,
    )


def shares_in(order: PurchaseOrder, row: Row[Any]) -> tuple[Share, ...]:
    """Return how much of a new order's lines serves its requisition: what it wants, as packs may hold more."""
    left, shares = quantity_of(row).amount, []
    for line in order.lines:
        part = min(left, line.quantity.amount)
        shares.append(Share(line.number, row.id, part))
        left -= part
    return tuple(shares)


async def circumstances_of(
    tx: AsyncConnection, owner: Owner, order: PurchaseOrder, row: Row[Any], now: datetime
) -> Circumstances:
    """Return what the gate must know of an order besides its own text; `row` is the requisition behind it."""
    items = sorted({line.item.key for line in order.lines})
    last = await _last_purchases(tx, owner, items)
    here = [await _bought_here(tx, owner, item, order.supplier, last) for item in items]
    plant_orders, supplier_orders = await recent.pace(tx, owner, order.supplier, order.number, now)
    return Circumstances(
        stopped=await halts.over_order(tx, owner, order.number, row.machine, order.supplier),
        mode=Mode(row.mode),
        provenance=Provenance(row.provenance),
        known_history=row.known,
        machine=row.machine,
        component=row.component,
        asked_by=row.asked_by,
        first_order_at_supplier=not any(here) and await _is_stranger(tx, owner, order.supplier),
        first_purchase_of_item=not all(here),
        supplier_suspended=order.supplier in await suspended(tx, owner),
        wanted={line.number: quantity_of(row) for line in order.lines if row.id in line.requisitions},
        last_prices={item: UnitPrice(row.unit_price, row.currency, row.per) for item, row in last.items()},
        quoted=await _quoted(tx, order),
        own_prices=_own_prices(row),
        similar=await _similar(tx, owner, order, row.component, now),
        plant_orders=plant_orders,
        supplier_orders=supplier_orders,
        exposure=await recent.exposure(tx, owner, order.number),
    )


_QUOTED: Final = (
    select(quotation.c.unit_price, quotation.c.currency, quotation.c.per)
    .where(
        quotation.c.requisition == bindparam("of_requisition"),
        quotation.c.supplier == bindparam("of_supplier"),
        quotation.c.reference == bindparam("of_reference"),
        quotation.c.unit_price.is_not(None),
    )
    .order_by(quotation.c.round.desc())
    .limit(1)
)


async def _quoted(tx: AsyncConnection, order: PurchaseOrder) -> dict[int, UnitPrice]:
    """Return by line what the supplier offered, as it was kept when it answered."""
    found: dict[int, UnitPrice] = {}
    for line in order.lines:
        of = {"of_supplier": order.supplier, "of_reference": order.quotation}
        row = (await tx.execute(_QUOTED, of | {"of_requisition": next(iter(line.requisitions), "")})).first()
        if row is not None:
            found[line.number] = UnitPrice(row.unit_price, row.currency, row.per)
    return found


def _own_prices(row: Row[Any]) -> dict[str, UnitPrice]:
    """Return what the plant expects the item to cost, as the requisition keeps it; older ones keep nothing."""
    told = reason_of(row).get("price")
    if told is None:
        return {}
    price = Money.parse(told)
    return {row.item: UnitPrice(price.amount, price.currency)}


SIMILAR_MAX: Final = 20
"""One that is open suffices to ask; the newest are looked at."""
_SIMILAR: Final = (
    select(purchase_order.c.number, order_line.c.item, purchase_order.c.created_at, purchase_order.c.state)
    .join(order_line, order_line.c.order_number == purchase_order.c.number)
    .join(
        line_requisition,
        (line_requisition.c.order_number == order_line.c.order_number)
        & (line_requisition.c.line == order_line.c.number),
    )
    .join(requisition, requisition.c.id == line_requisition.c.requisition)
    .where(
        requisition.c.plant == bindparam("of_plant"),
        requisition.c.component == bindparam("of_component"),
        order_line.c.item.in_(bindparam("of_items", expanding=True)),
        purchase_order.c.number != bindparam("of_number"),
        purchase_order.c.state.not_in(FAILED),
        purchase_order.c.created_at > bindparam("of_since", type_=PlantTime),
    )
    .distinct()
    .order_by(purchase_order.c.created_at.desc(), purchase_order.c.number, order_line.c.item)
    .limit(SIMILAR_MAX)
)


async def _similar(
    tx: AsyncConnection, owner: Owner, order: PurchaseOrder, component: str, now: datetime
) -> tuple[Similar, ...]:
    """Return other orders of a year for the same items and component that came to something or still may."""
    of = {"of_plant": owner.plant, "of_component": component, "of_number": order.number}
    wanted = {"of_items": sorted({line.item.key for line in order.lines}), "of_since": now - timedelta(days=366)}
    there = (*ENDED, *recent.ARRIVED)
    return tuple(
        Similar(row.number, row.item, row.created_at, row.state not in there)
        for row in await tx.execute(_SIMILAR, of | wanted)
    )


_PURCHASES: Final = (
    select(order_line.c.unit_price, order_line.c.per, purchase_order.c.currency, purchase_order.c.supplier)
    .join(purchase_order, purchase_order.c.number == order_line.c.order_number)
    .where(
        order_line.c.plant == bindparam("of_plant"),
        order_line.c.item == bindparam("of_item"),
        purchase_order.c.state.in_(PROVEN),
    )
    .limit(1)
)
_LAST_PURCHASE: Final = _PURCHASES.order_by(purchase_order.c.created_at.desc())
_PURCHASE_HERE: Final = _PURCHASES.where(purchase_order.c.supplier == bindparam("of_supplier"))
_ORDER_HERE: Final = (
    select(purchase_order.c.number)
    .where(
        purchase_order.c.plant == bindparam("of_plant"),
        purchase_order.c.supplier == bindparam("of_supplier"),
        purchase_order.c.state.in_(PROVEN),
    )
    .limit(1)
)


async def _last_purchases(tx: AsyncConnection, owner: Owner, items: Collection[str]) -> dict[str, Any]:
    """Return each item's line in the last order that any supplier took; items never bought are left out."""
    found: dict[str, Any] = {}
    for item in items:
        row = (await tx.execute(_LAST_PURCHASE, {"of_plant": owner.plant, "of_item": item})).first()
        if row is not None:
            found[item] = row
    return found


async def _bought_here(tx: AsyncConnection, owner: Owner, item: str, supplier: str, last: dict[str, Any]) -> bool:
    if item not in last or last[item].supplier == supplier:
        return item in last
    here = {"of_plant": owner.plant, "of_item": item, "of_supplier": supplier}
    return (await tx.execute(_PURCHASE_HERE, here)).first() is not None


async def _is_stranger(tx: AsyncConnection, owner: Owner, supplier: str) -> bool:
    here = {"of_plant": owner.plant, "of_supplier": supplier}
    return (await tx.execute(_ORDER_HERE, here)).first() is None


async def policy_in_force(tx: AsyncConnection, owner: Owner) -> int:
    """Return the version of the policy applied last, 0 before the first."""
    mine = {"of_plant": owner.plant, "of_gateway": owner.gateway_id}
    return (await tx.execute(_VERSION, mine)).scalar_one() or 0


_VERSION: Final = select(func.max(policy_version.c.version)).where(
    policy_version.c.plant == bindparam("of_plant"), policy_version.c.gateway_id == bindparam("of_gateway")
)


async def requisition_behind(tx: AsyncConnection, order: PurchaseOrder) -> Row[Any]:
    """Return the row of the first requisition that an order serves."""
    query = select(requisition).where(requisition.c.id == order.lines[0].requisitions[0])
    return (await tx.execute(query)).one()


def reason_of(row: Row[Any]) -> dict[str, Any]:
    """Return why a requisition was raised."""
    reason: dict[str, Any] = json.loads(row.reason)
    return reason
