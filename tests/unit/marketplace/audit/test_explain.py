"""The story of an order, read aloud."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, insert, update

from maintenance.needs import Evidence
from marketplace import store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.explain import NothingKnown, tell, why
from marketplace.authority import gate
from marketplace.ordering.reason import reason_for
from marketplace.settings import BuyingSettings
from marketplace.store import audit_leaf, award_term, free_text, line_requisition, quotation, requisition
from tests.unit.marketplace.fakes import LINE, a_need, advice

ECONOMICS = BuyingSettings.model_validate({"lead_time": "5 d", "price": "60 EUR", "standstill": "900 EUR/h"})

REASON = {
    "job": "Replace the spindle bearing",
    "kind": "part",
    "code": "FAILURE_BEFORE_ARRIVAL",
    "parameters": {
        "probability": "0.0620",
        "threshold": "0.0500",
        "arrival_hours": "345",
        "decide_by": "2026-03-02T07:00:00+00:00",
    },
    "evidence": [
        {
            "code": "LEVEL_TREND",
            "parameters": {
                "tag": "mill/spindle-vibration",
                "value": "5.2",
                "unit": "mm/s",
                "limit": "7.1",
                "slope_per_day": "0.11",
            },
        }
    ],
}


async def want(tx, owner, now, id, order, *, reason=REASON, provenance="A", asked_by="mill"):
    await tx.execute(
        insert(requisition).values(
            id=id,
            **owner.columns,
            machine="mill",
            component="mill/spindle-bearing",
            life="life-1",
            line="bearing",
            item="bearing-7014",
            quantity=Decimal(2),
            unit="C62",
            state="ordered",
            provenance=provenance,
            known=True,
            mode="buy",
            asked_by=asked_by,
            reason=json.dumps(reason),
            created_at=now,
            changed_at=now,
        )
    )
    await tx.execute(
        insert(line_requisition).values(order_number=order, line=1, requisition=id, quantity=2, **owner.columns)
    )


async def offer(tx, owner, now, id, round, supplier, price=None, **changes):
    row = {"outcome": "offered", "detail": "", "reference": "Q", "sku": "S"}
    if price is not None:
        row |= {
            "quantity": Decimal(2),
            "unit": "C62",
            "unit_price": Decimal(price),
            "per": Decimal(1),
            "currency": "EUR",
            "freight_minor": 900,
            "fees_minor": 0,
            "lead_time_days": Decimal("14"),
            "valid_until": now + timedelta(days=14),
        }
    key = {"id": f"{id}-{round}-{supplier}", "requisition": id, "round": round, "supplier": supplier}
    await tx.execute(insert(quotation).values(**key, **owner.columns, **row | changes, answered_at=now))


async def weigh(tx, owner, id, round, supplier, rank, **terms):
    for term, minor in terms.items():
        row = {"requisition": id, "round": round, "supplier": supplier, "term": term, "rank": rank}
        await tx.execute(insert(award_term).values(**row, **owner.columns, minor=minor, currency="EUR"))


@pytest.fixture
async def story(told, owner, now):
    """The first order of `told` with everything that led to it."""
    async with told.write() as tx:
        await want(tx, owner, now, "r1", "G1-0001-A")
        await offer(tx, owner, now, "r1", 1, "cheap-and-slow", outcome="unavailable", detail="not reached")
        await offer(tx, owner, now, "r1", 2, "cheap-and-slow", "61.50")
        await offer(tx, owner, now, "r1", 2, "dear-and-fast", "890", per=Decimal(10), unit="LTR")
        await offer(tx, owner, now, "r1", 2, "maker", "70", detail="QUANTITY_SHORT: offered=1, wanted=2")
        await offer(tx, owner, now, "r1", 2, "gone", outcome="late", detail="no answer within 5 s")
        await weigh(tx, owner, "r1", 1, "maker", 1, goods=1)
        await weigh(tx, owner, "r1", 2, "cheap-and-slow", 1, goods=12300, freight=900, lateness=4000)
        await weigh(tx, owner, "r1", 2, "dear-and-fast", 2, goods=17800, freight=0, lateness=100)
        await tx.execute(insert(store.person).values(id="anna", name="Anna Weber", **owner.columns))
    return told


async def test_the_whole_story_is_told_in_plain_sentences(story):
    async with story.read() as connection:
        told = await tell(connection, "G1-0001-A")
    assert told.what == (
        "Order G1-0001-A is confirmed by the supplier: 2 × Angular contact bearing 7014 (Nordlager NL-7014-P4) "
        "from cheap-and-slow for 132.00 EUR.",
    )
    assert told.wear == (
        "mill/spindle-bearing: mill/spindle-vibration stands at 5.2 mm/s and changes by 0.11 mm/s a day; "
        "the limit is 7.1 mm/s.",
        "With a probability of 6.2 % it fails by 2026-03-16 17:00 UTC, when a part ordered then could be there; "
        "buying is due from 5.0 % on.",
        "To be in time it had to be decided by 2026-03-02 07:00 UTC.",
    )
    assert told.offers == (
        "cheap-and-slow offered 2 at 61.50 EUR each, freight 9.00 EUR, fees 0.00 EUR, in 14 days.",
        "dear-and-fast offered 2 LTR at 890 EUR / 10 each, freight 9.00 EUR, fees 0.00 EUR, in 14 days.",
        "gone made no offer: no answer within 5 s",
        "maker offered 2 at 70 EUR each, freight 9.00 EUR, fees 0.00 EUR, in 14 days. "
        "It cannot serve: QUANTITY_SHORT: offered=1, wanted=2",
    )
    assert told.choice == (
        "cheap-and-slow served best: 172.00 EUR with everything that it costs "
        "(goods 123.00 EUR, freight 9.00 EUR, expected lateness 40.00 EUR).",
        "dear-and-fast would have cost 7.00 EUR more, above all by its goods (55.00 EUR more).",
    )
    assert told.authority == (
        "Policy version 1 allowed it: The total of 132.00 EUR is within the limit of 500.00 EUR for one order "
        "and within its period.",
    )
    assert told.since == ("2026-03-02 08:00 UTC: proposed.", "2026-03-02 08:00 UTC: confirmed by the supplier.")


async def test_reasons_are_told_by_weight_and_what_was_believed_comes_along_once_for_each_life(told, owner, now):
    need, said = a_need(now), advice(now)
    clocks = tuple(
        Evidence("USAGE_BY_CLOCK", {"clock": name, "used": used, "rated": "100", "unit": "h"})
        for name, used in (("hours", "20"), ("strokes", "80"))
    )
    reason = reason_for(replace(need, evidence=clocks), LINE, said, ECONOMICS)
    async with told.write() as tx:
        await want(tx, owner, now, "r1", "G1-0001-A", reason=reason)
        await want(tx, owner, now, "r2", "G1-0001-A", reason=reason)
        story = await tell(tx, "G1-0001-A", called=str.upper)
    assert story.wear[:2] == (
        "MILL/SPINDLE-BEARING: By its clock strokes it has run 80 of 100 h. (80 % of the way to worn out)",
        "MILL/SPINDLE-BEARING: By its clock hours it has run 20 of 100 h. (20 % of the way to worn out)",
    )
    (one,) = story.recorded
    assert (one.component, one.life, one.weighed) == ("mill/spindle-bearing", "life-1", said.weighed)


async def test_why_is_the_story_in_one_piece(story):
    async with story.read() as connection:
        sentences = await why(connection, "G1-0001-A")
        assert sentences == (await tell(connection, "G1-0001-A")).sentences
    assert len(sentences) == 1 + 3 + 4 + 2 + 1 + 2


async def test_times_are_told_in_the_sites_zone(story):
    async with story.read() as connection:
        told = await tell(connection, "G1-0001-A", zone=ZoneInfo("Europe/Berlin"))
    assert "2026-03-02 09:00 CET: proposed." in told.since


async def test_a_persons_approval_is_told_with_name_and_note(story):
    async with story.read() as connection:
        told = await tell(connection, "G1-0002-B")
    assert told.authority == (
        "Policy version 1 asks for a person: The total of 1809.00 EUR is above the limit of 500.00 EUR for one order.",
        "Anna Weber approved it at 2026-03-02 08:00 UTC (web).",
        "Anna Weber noted: take it",
    )
    assert told.since[-1].endswith("is being asked. Its supplier is no longer in the configuration.")


async def test_an_erased_name_leaves_the_opaque_id(story):
    async with story.write() as tx:
        await tx.execute(delete(store.person))
        await tx.execute(delete(free_text))
        told = await tell(tx, "G1-0002-B")
    assert told.authority[1:] == ("anna approved it at 2026-03-02 08:00 UTC (web).",)


async def test_a_refusal_and_an_approval_that_did_not_count_are_told(story, owner, now, make_order, store_order, anna):
    order = make_order("G1-0003-C", price="900")
    async with story.write() as tx:
        await store_order(tx, order, "awaiting_approval")
        await gate.allow(tx, owner, order, anna, "anna", order.hash, "web", "", now)
        await gate.refuse(tx, owner, order.number, order.hash, "anna", "web", "", now)
        told = await tell(tx, order.number)
    assert told.authority == (
        "Anna Weber tried to approve it at 2026-03-02 08:00 UTC (web), which did not count: "
        "anna asked for it, so somebody else must approve it.",
        "Anna Weber refused it at 2026-03-02 08:00 UTC (web).",
    )
    assert told.wear == told.offers == told.choice == told.since == ()


async def test_a_denial_is_told(story, owner, now, make_order, store_order, circumstances, anna):
    order = make_order("G1-0003-C")
    async with story.write() as tx:
        await gate.apply_policy(tx, owner, {"schema": 1}, anna, now)
        await store_order(tx, order)
        await gate.judge(tx, owner, order, circumstances, now)
        told = await tell(tx, order.number)
    assert told.authority == (
        "Policy version 2 denied it: The policy grants no mandate, so there is no money to spend.",
    )


async def test_what_a_person_asked_for_says_so(told, owner, now):
    async with told.write() as tx:
        await want(tx, owner, now, "r1", "G1-0001-A", reason={}, provenance="B", asked_by="anna")
        await offer(tx, owner, now, "r1", 1, "cheap-and-slow", "61.50")
        await weigh(tx, owner, "r1", 1, "cheap-and-slow", 1, goods=12300, moonlight=1)
        said = await tell(tx, "G1-0001-A")
    assert said.wear == ("It was asked for by anna.", "The evidence came over an unprotected connection.")
    assert said.choice[0].endswith("(goods 123.00 EUR, moonlight 0.01 EUR).")
    assert said.choice[1] == "No other offer could serve."


async def test_what_was_not_kept_is_not_said(told, owner, now):
    reason = {"parameters": {"probability": "0.1", "arrival_hours": "24"}}
    async with told.write() as tx:
        await want(tx, owner, now, "r1", "G1-0001-A", reason=reason)
        await weigh(tx, owner, "r1", 1, "somebody-else", 1, goods=1)
        said = await tell(tx, "G1-0001-A")
    assert said.wear[1].endswith("buying is due from ? on.")
    assert said.choice == said.offers == ()


@pytest.mark.parametrize(
    ("costs", "said"),
    [("12.50", "waiting one more step would have cost 12.50 EUR more than it saves"), ("-3.00", "due from 5.0 % on")],
)
async def test_what_waiting_would_have_cost_is_told_where_that_decided(told, owner, now, costs, said):
    figures = {"probability": "0.1", "arrival_hours": "24", "threshold": "0.05", "currency": "EUR"}
    async with told.write() as tx:
        await want(tx, owner, now, "r1", "G1-0001-A", reason={"parameters": figures | {"waiting_costs": costs}})
        story = await tell(tx, "G1-0001-A")
    assert said in story.wear[1]


async def test_the_supplier_and_the_window_that_decided_are_named(told, owner, now):
    figures = {"probability": "0.1", "arrival_hours": "24", "waiting_costs": "12.50", "currency": "EUR"}
    best = {"supplier": "maker", "fit_by": "2026-03-07T05:00:00+00:00"}
    async with told.write() as tx:
        reason = {"code": "WAITING_COSTS_MORE", "parameters": figures | best}
        await want(tx, owner, now, "r1", "G1-0001-A", reason=reason)
        story = await tell(tx, "G1-0001-A")
    assert story.wear[2:4] == (
        "By what it costs and how long it takes, maker serves best.",
        "It is best fitted on 2026-03-07 05:00 UTC, when the machine may be worked on.",
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("FIT_LATER", "The part is here, so nothing is ordered; the part that is fitted is worth using until "),
        ("ON_ITS_WAY", "The part is on its way from maker and expected in 70 h; it is best fitted on "),
    ],
)
async def test_of_a_part_that_is_here_or_on_its_way_that_is_told(told, owner, now, code, said):
    figures = {"probability": "0.1", "arrival_hours": "24", "here_after_hours": "70", "supplier": "maker"}
    async with told.write() as tx:
        reason = {"code": code, "parameters": figures | {"fit_by": "2026-03-07T05:00:00+00:00"}}
        await want(tx, owner, now, "r1", "G1-0001-A", reason=reason)
        story = await tell(tx, "G1-0001-A")
    assert story.wear[1].startswith(said + "2026-03-07 05:00 UTC")


async def test_an_order_that_nobody_knows_has_no_story(spend):
    async with spend.read() as connection:
        with pytest.raises(NothingKnown, match="no order G1-9"):
            await why(connection, "G1-9")


async def test_leaves_of_other_documents_are_not_the_orders_path(story, owner, now):
    async with story.write() as tx:
        actor = Actor(ActorKind.SUPPLIER, "cheap-and-slow", "port")
        await log.append(tx, owner, "answer.received", "G1-0001-A", actor, {}, now)
        await tx.execute(update(audit_leaf).where(audit_leaf.c.leaf_index == 99).values(kind="x"))
        said = await tell(tx, "G1-0001-A")
    assert len(said.since) == 2
