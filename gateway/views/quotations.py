"""What every supplier answered, side by side, with the terms of each landed cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.views.texts import text_of
from marketplace import store
from marketplace.money import Money
from marketplace.store import Owner


@dataclass(frozen=True, slots=True)
class OfferView:
    """A supplier's answer to one want, with the terms of its landed cost; rank 1 was chosen, None was not ranked."""

    requisition: str
    component: str
    item: str
    supplier: str
    outcome: str
    detail: str
    rank: int | None
    quantity: Decimal | None
    unit: str | None
    unit_price: Decimal | None
    per: Decimal | None
    currency: str | None
    lead_time_days: Decimal | None
    valid_until: datetime | None
    terms: Mapping[str, Money]

    @property
    def landed(self) -> Money | None:
        """The sum of the terms."""
        amounts = list(self.terms.values())
        return sum(amounts[1:], start=amounts[0]) if amounts else None

    def as_dict(self) -> dict[str, Any]:
        """Return the offer for programs."""
        landed = self.landed
        return {
            "requisition": self.requisition,
            "component": self.component,
            "item": self.item,
            "supplier": self.supplier,
            "outcome": self.outcome,
            "detail": self.detail or None,
            "rank": self.rank,
            "quantity": text_of(self.quantity),
            "unit": self.unit,
            "unit_price": None if self.unit_price is None else f"{self.unit_price:f}",
            "per": text_of(self.per),
            "currency": self.currency,
            "lead_time_days": text_of(self.lead_time_days),
            "valid_until": text_of(self.valid_until),
            "terms": {term: f"{amount.amount:f}" for term, amount in self.terms.items()},
            "landed": None if landed is None else f"{landed.amount:f}",
        }


async def offers(spend: AsyncConnection, owner: Owner, number: str) -> list[OfferView]:
    """Return what every supplier answered in the last round for what an order buys, the chosen one first."""
    wanted = await _requisitions_of(spend, owner, number)
    quoted, term = store.quotation, store.award_term
    rows = (
        await spend.execute(select(quoted).where(quoted.c.plant == owner.plant, quoted.c.requisition.in_(list(wanted))))
    ).all()
    last: dict[str, int] = {}
    for row in rows:
        last[row.requisition] = max(row.round, last.get(row.requisition, 0))
    terms: dict[tuple[str, str], dict[str, Row[Any]]] = defaultdict(dict)
    for row in await spend.execute(select(term).where(term.c.plant == owner.plant, term.c.requisition.in_(list(last)))):
        if row.round == last[row.requisition]:
            terms[row.requisition, row.supplier][row.term] = row
    views = [
        _offer_view(row, wanted[row.requisition], terms[row.requisition, row.supplier])
        for row in rows
        if row.round == last[row.requisition]
    ]
    return sorted(views, key=lambda view: (view.component, view.rank is None, view.rank or 0, view.supplier))


async def _requisitions_of(spend: AsyncConnection, owner: Owner, number: str) -> dict[str, tuple[str, str]]:
    """Return (component, item) of each requisition that the order serves."""
    wanted, link = store.requisition, store.line_requisition
    rows = await spend.execute(
        select(wanted.c.id, wanted.c.component, wanted.c.item)
        .select_from(wanted.join(link, link.c.requisition == wanted.c.id))
        .where(wanted.c.plant == owner.plant, link.c.order_number == number)
    )
    return {row.id: (row.component, row.item) for row in rows}


def _offer_view(row: Row[Any], wanted: tuple[str, str], terms: Mapping[str, Row[Any]]) -> OfferView:
    return OfferView(
        requisition=row.requisition,
        component=wanted[0],
        item=wanted[1],
        supplier=row.supplier,
        outcome=row.outcome,
        detail=row.detail,
        rank=min((term.rank for term in terms.values()), default=None),
        quantity=row.quantity,
        unit=row.unit,
        unit_price=row.unit_price,
        per=row.per,
        currency=row.currency,
        lead_time_days=row.lead_time_days,
        valid_until=row.valid_until,
        terms={name: Money(term.minor, term.currency) for name, term in terms.items()},
    )
