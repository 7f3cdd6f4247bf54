"""An offer comes back from its row as it was weighed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from marketplace.documents import Quotation, QuotationLine
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering.offers import keep_answers, keep_award, offers
from marketplace.sourcing.award import Award, Cost, Refusal, Term
from marketplace.sourcing.quoting import Answer, Outcome
from marketplace.store import Owner, award_term, quotation
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


async def test_who_offered_nothing_is_kept_with_why(spend, owner, now, wanted):
    mute = Answer("mute", Outcome.LATE, "no answer within 5 s")
    async with spend.write() as tx:
        await keep_answers(tx, owner, wanted, 2, [mute], [], now)
        row = dict((await tx.execute(select(quotation).where(quotation.c.round == 2))).one()._mapping)
    assert row.pop("id")
    told = {
        "requisition": wanted, "round": 2, "supplier": "mute", "outcome": "late", "detail": "no answer within 5 s",
        "reference": "", "sku": "", "answered_at": now, "plant": "northworks", "gateway_id": "G1",
    }  # fmt: skip
    assert {name: value for name, value in row.items() if value is not None} == told


async def test_every_term_of_an_award_is_kept_with_its_rank(spend, owner, wanted, offer):
    terms = (
        Term("kontor", Cost.GOODS, Money(12_300, "EUR"), 1),
        Term("kontor", Cost.FREIGHT, Money(900, "EUR"), 1),
        Term("adler", Cost.GOODS, Money(12_400, "EUR"), 2),
    )
    async with spend.write() as tx:
        await keep_award(tx, owner, wanted, 2, Award(offer, None, terms, ()))
        rows = [dict(row._mapping) for row in await tx.execute(select(award_term))]
    mine = {"requisition": wanted, "round": 2, "plant": "northworks", "gateway_id": "G1", "currency": "EUR"}
    assert sorted(rows, key=lambda row: (row["rank"], row["minor"])) == [
        mine | {"supplier": "kontor", "term": "freight", "minor": 900, "rank": 1},
        mine | {"supplier": "kontor", "term": "goods", "minor": 12_300, "rank": 1},
        mine | {"supplier": "adler", "term": "goods", "minor": 12_400, "rank": 2},
    ]
