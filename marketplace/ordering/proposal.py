"""From a requisition to a proposed order: what is asked of suppliers, what they answered, what the gate is told.

Everything here happens inside the caller's transaction; nothing talks to a supplier. The offers and every term of
the award are kept as rows, so that `why` can show them side by side, the losers too.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row, Select, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from maintenance.needs import Provenance
from marketplace.authority.policy import Circumstances, Mode
from marketplace.catalogue import Catalogue
from marketplace.documents import (
    OrderLine,
    PurchaseOrder,
    Quotation,
    QuotationLine,
    RequestedLine,
    RequestForQuotation,
)
from marketplace.money import UnitPrice
from marketplace.ordering.requisition import quantity_of
from marketplace.ordering.states import OrderState
from marketplace.ordering.suspension import suspended
from marketplace.ordering.terms import PurchasingTerms
from marketplace.sourcing.award import Award, Refusal, lead_time
from marketplace.sourcing.quoting import Answer
from marketplace.store import (
    Owner,
    award_term,
    line_requisition,
    order_line,
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
LINE: Final = 1
"""One requisition makes one request of one line; bundling comes when orders carry more."""


def request_for(row: Row[Any], round: int, catalogue: Catalogue, terms: PurchasingTerms) -> RequestForQuotation:
    """Return what suppliers are asked for a requisition. Raises KeyError when the catalogue lost its item."""
    line = RequestedLine(LINE, row.id, catalogue[row.item], quantity_of(row))
    # no date is named: how long goods lie on the shelf follows from the belief, and suppliers quote what they can
    return RequestForQuotation(f"RQ-{row.id[:12]}-{round}", (line,), terms.currency, terms.country, None)


async def may_be_asked(tx: AsyncConnection, owner: Owner, id: str, names: Collection[str]) -> frozenset[str]:
    """Return the suppliers to ask for a requisition: none that is suspended, none that refused an order for it."""
    refused = (
        select(purchase_order.c.supplier)
        .join(line_requisition, line_requisition.c.order_number == purchase_order.c.number)
        .where(line_requisition.c.requisition == id, purchase_order.c.state == OrderState.REJECTED)
    )
    return frozenset(names) - await suspended(tx, owner) - frozenset((await tx.execute(refused)).scalars())


async def keep_answers(
    tx: AsyncConnection,
    owner: Owner,
    id: str,
    round: int,
    answers: Sequence[Answer],
    refusals: Sequence[Refusal],
    now: datetime,
) -> None:
    """Keep what every supplier answered; an offer that cannot serve keeps its code as the detail."""
    why_not = {each.supplier: _refusal_text(each) for each in refusals}
    rows = [
        {
            "id": secrets.token_hex(16),
            "requisition": id,
            "round": round,
            "supplier": answer.supplier,
            "outcome": str(answer.outcome),
            "detail": why_not.get(answer.supplier, answer.detail),
            "answered_at": now,
            **_offered(answer.quotation),
            **owner.columns,
        }
        for answer in answers
    ]
    if rows:
        await tx.execute(insert(quotation), rows)


def _refusal_text(refusal: Refusal) -> str:
    figures = ", ".join(f"{name}={value}" for name, value in refusal.parameters.items())
    return f"{refusal.code}: {figures}"


_OFFERED: Final = (
    "quantity", "unit", "unit_price", "per", "currency", "freight_minor", "fees_minor", "lead_time_days", "available",
    "valid_until",
)  # fmt: skip
"""Columns that only an offer fills."""


def _offered(offer: Quotation | None) -> dict[str, Any]:
    if offer is None:
        return {"reference": "", "sku": "", **dict.fromkeys(_OFFERED)}
    line = offer.lines[0]
    return {
        "reference": offer.reference,
        "sku": line.sku,
        "quantity": line.quantity.amount,
        "unit": line.quantity.unit,
        "unit_price": line.unit_price.amount,
        "per": line.unit_price.per,
        "currency": line.unit_price.currency,
        "freight_minor": offer.freight.minor,
        "fees_minor": offer.fees.minor,
        "lead_time_days": line.lead_time_days,
        "available": line.available,
        "valid_until": offer.valid_until,
    }


async def keep_award(tx: AsyncConnection, owner: Owner, id: str, round: int, award: Award) -> None:
    """Keep every term of every offer that could serve."""
    rows = [
        {
            "requisition": id,
            "round": round,
            "supplier": each.supplier,
            "term": str(each.term),
            "minor": each.amount.minor,
            "currency": each.amount.currency,
            "rank": each.rank,
            **owner.columns,
        }
        for each in award.terms
    ]
    await tx.execute(insert(award_term), rows)


def order_for(
    number: str,
    owner: Owner,
    chosen: Quotation,
    request: RequestForQuotation,
    terms: PurchasingTerms,
    now: datetime,
) -> PurchaseOrder:
    """Return the order that takes an offer exactly as it was made."""
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
        deliver_by=now + lead_time(chosen),
        quoted_until=chosen.valid_until,
        delivery=terms.delivery,
    )


def _order_line(wanted: RequestedLine, offered: QuotationLine) -> OrderLine:
    return OrderLine(
        number=wanted.number,
        requisitions=(wanted.requisition,),
        item=wanted.item,
        sku=offered.sku,
        quantity=offered.quantity,
        unit_price=offered.unit_price,
    )


async def circumstances_of(tx: AsyncConnection, owner: Owner, order: PurchaseOrder, row: Row[Any]) -> Circumstances:
    """Return what the gate must know of an order besides its own text; `row` is the requisition behind it."""
    items = sorted({line.item.key for line in order.lines})
    here = [await _bought_here(tx, owner, item, order.supplier) for item in items]
    last = {item: await _last_price(tx, owner, item) for item in items}
    return Circumstances(
        mode=Mode(row.mode),
        provenance=Provenance(row.provenance),
        known_history=row.known,
        machine=row.machine,
        component=row.component,
        asked_by=row.asked_by,
        first_order_at_supplier=await _is_stranger(tx, owner, order.supplier),
        first_purchase_of_item=not all(here),
        supplier_suspended=order.supplier in await suspended(tx, owner),
        wanted={line.number: quantity_of(row) for line in order.lines if row.id in line.requisitions},
        last_prices={item: price for item, price in last.items() if price is not None},
    )


async def _is_stranger(tx: AsyncConnection, owner: Owner, supplier: str) -> bool:
    query = select(purchase_order.c.number).where(
        purchase_order.c.plant == owner.plant,
        purchase_order.c.supplier == supplier,
        purchase_order.c.state.in_(PROVEN),
    )
    return (await tx.execute(query.limit(1))).first() is None


async def _bought_here(tx: AsyncConnection, owner: Owner, item: str, supplier: str) -> bool:
    query = _purchases(owner, item).where(purchase_order.c.supplier == supplier).limit(1)
    return (await tx.execute(query)).first() is not None


async def _last_price(tx: AsyncConnection, owner: Owner, item: str) -> UnitPrice | None:
    """Return an item's unit price in the last order that any supplier took, None before the first."""
    query = _purchases(owner, item).order_by(purchase_order.c.created_at.desc()).limit(1)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else UnitPrice(row.unit_price, row.currency, row.per)


def _purchases(owner: Owner, item: str) -> Select[tuple[Decimal, Decimal, str]]:
    return (
        select(order_line.c.unit_price, order_line.c.per, purchase_order.c.currency)
        .join(purchase_order, purchase_order.c.number == order_line.c.order_number)
        .where(order_line.c.plant == owner.plant, order_line.c.item == item, purchase_order.c.state.in_(PROVEN))
    )


async def requisition_behind(tx: AsyncConnection, order: PurchaseOrder) -> Row[Any]:
    """Return the row of the first requisition that an order serves."""
    query = select(requisition).where(requisition.c.id == order.lines[0].requisitions[0])
    return (await tx.execute(query)).one()


def reason_of(row: Row[Any]) -> dict[str, Any]:
    """Return why a requisition was raised."""
    reason: dict[str, Any] = json.loads(row.reason)
    return reason
