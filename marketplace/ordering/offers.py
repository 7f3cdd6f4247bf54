"""What suppliers answered in a round, kept as rows with every term of the award, and read back as it was offered.

It promises that an offer comes back from its row as the value that was weighed, so that an award can be computed
again, and that losers and refusals are kept as well, so that `why` can show them side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.documents import Quotation, QuotationLine
from marketplace.identity import new_id
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.sourcing.award import Award, Refusal
from marketplace.sourcing.quoting import Answer, Outcome
from marketplace.store import Owner, award_term, quotation

LINE: Final = 1
"""One requisition makes one request of one line; bundling comes when orders carry more."""


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
            "id": new_id(),
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


_OFFERS: Final = (
    select(quotation)
    .where(
        quotation.c.plant == bindparam("of_plant"),
        quotation.c.requisition == bindparam("of_requisition"),
        quotation.c.round == bindparam("of_round"),
        quotation.c.outcome == Outcome.OFFERED,
    )
    .order_by(quotation.c.supplier)
)


async def offers(tx: AsyncConnection, owner: Owner, id: str, round: int) -> list[Quotation]:
    """Return what was offered in a round for a requisition, in the order of the suppliers' names as it was weighed."""
    of = {"of_plant": owner.plant, "of_requisition": id, "of_round": round}
    return [_offer_of(row) for row in await tx.execute(_OFFERS, of)]


def _offer_of(row: Row[Any]) -> Quotation:
    line = QuotationLine(
        number=LINE,
        sku=row.sku,
        quantity=Quantity(row.quantity, row.unit),
        unit_price=UnitPrice(row.unit_price, row.currency, row.per),
        lead_time_days=row.lead_time_days,
        available=row.available,
    )
    freight, fees = Money(row.freight_minor, row.currency), Money(row.fees_minor, row.currency)
    return Quotation(row.supplier, row.reference, (line,), freight, fees, row.valid_until)
