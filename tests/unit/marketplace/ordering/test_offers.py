"""An offer comes back from its row as it was weighed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from marketplace.documents import Quotation, QuotationLine
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering.offers import keep_answers, offers
from marketplace.sourcing.award import Refusal
from marketplace.sourcing.quoting import Answer, Outcome
from marketplace.store import Owner, quotation
from tests.unit.marketplace.fakes import AwaySupplier


@pytest.fixture
def offer(now):
    line = QuotationLine(
        1,
        "L-7014",
        Quantity(Decimal("2.50"), "MTR"),
        UnitPrice(Decimal("61.123456"), "EUR", Decimal(100)),
        Decimal("5.25"),
        Decimal("1E+3"),
    )
    return Quotation("kontor", "Q-1", (line,), Money(900, "EUR"), Money(7, "EUR"), now + timedelta(days=14))


@pytest.fixture
async def wanted(make_plant):
    """A requisition for which nobody offered anything in its first round."""
    plant = await make_plant(AwaySupplier)
    await plant.want()
    return (await plant.requisition()).id


async def test_offers_come_back_as_they_were_made_in_the_order_of_names(spend, owner, now, wanted, offer):
    bare = Quotation("adler", "Q-2", (QuotationLine(*_but_available(offer), None),), offer.freight, offer.fees, now)
    answers = [
        Answer("kontor", Outcome.OFFERED, "", offer),
        Answer("adler", Outcome.OFFERED, "", bare),
        Answer("mute", Outcome.LATE, "no answer within 5 s"),
    ]
    async with spend.write() as tx:
        await keep_answers(tx, owner, wanted, 2, answers, [], now)
        assert await offers(tx, owner, wanted, 2) == [bare, offer]
        assert await offers(tx, owner, wanted, 1) == []
        assert await offers(tx, owner, "another", 2) == []
        assert await offers(tx, Owner("southworks", owner.gateway_id), wanted, 2) == []


def _but_available(offer: Quotation) -> tuple[object, ...]:
    line = offer.lines[0]
    return line.number, line.sku, line.quantity, line.unit_price, line.lead_time_days


async def test_an_offer_that_cannot_serve_is_kept_with_its_code(spend, owner, now, wanted, offer):
    refusal = Refusal("kontor", "QUANTITY_SHORT", {"offered": "2.5", "wanted": "3"})
    async with spend.write() as tx:
        await keep_answers(tx, owner, wanted, 2, [Answer("kontor", Outcome.OFFERED, "", offer)], [refusal], now)
        row = (await tx.execute(select(quotation).where(quotation.c.round == 2))).one()
    assert row.detail == "QUANTITY_SHORT: offered=2.5, wanted=3"
