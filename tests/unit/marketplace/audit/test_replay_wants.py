"""When to buy and from whom comes out again as well, from the reason and the offers that were kept."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import update

from marketplace.audit.replay import Replay, replay
from marketplace.authority.policy import Mode
from marketplace.documents import canonical
from marketplace.settings import BuyingSettings
from marketplace.store import audit_leaf, quotation, requisition
from marketplace.timing import TimingTerms, advise
from tests.unit.marketplace.fakes import LINE, AcceptingSupplier, AwaySupplier, Clock, Plant, a_need

ECONOMICS = BuyingSettings.model_validate({"lead_time": "5 d", "price": "60 EUR", "standstill": "900 EUR/h"})
TIMING = TimingTerms(timedelta(days=5), timedelta(hours=8), timedelta(minutes=1), 0.1)


@pytest.fixture
def bought(spend, owner, now):
    """Buy one bearing, with timing's own advice."""

    async def buy(*kinds) -> Plant:
        clock = Clock(now)
        suppliers = {f"supplier-{index}": kind(f"supplier-{index}", clock) for index, kind in enumerate(kinds, 1)}
        plant = Plant(spend, owner, clock, suppliers)
        await plant.apply_policy()
        need = a_need(now)
        said = advise(need.belief, TIMING, now)
        await plant.purchasing.want(need, LINE, said, Mode.BUY, ECONOMICS)
        return plant

    return buy


@pytest.fixture
def replayed(spend, owner):
    async def run() -> Replay:
        async with spend.read() as connection:
            return await replay(connection, owner)

    return run


@pytest.fixture
def rewrite(spend):
    """Change what a leaf of a kind says, as somebody with an editor would."""

    async def change(kind: str, **facts: object) -> None:
        async with spend.write() as tx:
            row = (await tx.execute(audit_leaf.select().where(audit_leaf.c.kind == kind))).one()
            said = json.loads(row.leaf)
            said["facts"] = {name: value for name, value in {**said["facts"], **facts}.items() if value is not None}
            this = audit_leaf.c.leaf_index == row.leaf_index
            await tx.execute(update(audit_leaf).where(this).values(leaf=canonical(said)))

    return change


async def test_timing_award_verdict_and_permit_of_a_purchase_come_out_identical(bought, replayed):
    await bought(AcceptingSupplier, AcceptingSupplier)
    assert await replayed() == Replay(decisions=4, identical=4)


async def test_a_round_without_any_offer_comes_out_identical(bought, replayed):
    plant = await bought(AwaySupplier)
    assert (await plant.requisition()).state == "needed"
    assert await replayed() == Replay(decisions=2, identical=2)


async def test_what_is_needed_again_for_another_reason_is_no_decision_on_offers(bought, replayed, rewrite):
    await bought(AwaySupplier)
    await rewrite("requisition.needed", code="STOPPED", act=None)
    assert await replayed() == Replay(decisions=1, identical=1)


async def test_the_rest_of_a_want_is_raised_without_a_decision_of_its_own(bought, replayed, rewrite):
    await bought(AcceptingSupplier)
    await rewrite("requisition.raised", rest_of="r0", act=None)
    assert await replayed() == Replay(decisions=3, identical=3)


@pytest.mark.parametrize("kind", ["requisition.raised", "requisition.proposed"])
async def test_what_an_older_version_recorded_too_little_of_is_counted(bought, replayed, rewrite, kind):
    await bought(AcceptingSupplier)
    await rewrite(kind, act=None)
    assert await replayed() == Replay(decisions=4, identical=3, incomplete=1)


async def test_an_offer_that_was_changed_since_is_told(bought, replayed, spend):
    await bought(AcceptingSupplier)
    async with spend.write() as tx:
        await tx.execute(update(quotation).values(freight_minor=1))
    (said,) = (await replayed()).differences
    assert "requisition.proposed" in said
    assert "its offers are not those that were weighed" in said


async def test_a_reason_that_was_changed_since_is_told_of_timing_and_of_the_award(bought, replayed, spend):
    plant = await bought(AcceptingSupplier)
    async with spend.write() as tx:
        await tx.execute(update(requisition).values(reason=(await plant.requisition()).reason.replace("0.4", "0.5")))
    timing, awarded = (await replayed()).differences
    assert "requisition.raised" in timing
    assert "requisition.proposed" in awarded
    assert all("the want's reason is not the one that was decided on" in said for said in (timing, awarded))


async def test_another_ranking_than_the_offers_give_is_told_with_both(bought, replayed, rewrite):
    await bought(AcceptingSupplier)
    await rewrite("requisition.proposed", verdict={"ranked": [], "refused": [{"supplier": "x", "code": "EXPIRED"}]})
    found = await replayed()
    (said,) = found.differences
    assert "recorded as x EXPIRED, computed as supplier-1 " in said
    assert (found.decisions, found.identical) == (4, 3)


async def test_another_advice_than_the_belief_gives_is_told_with_both(bought, replayed, rewrite):
    await bought(AcceptingSupplier)
    await rewrite("requisition.raised", code="NOT_YET", parameters={"a": "1"})
    (said,) = (await replayed()).differences
    assert (
        "recorded as NOT_YET (a 1), computed as FAILURE_BEFORE_ARRIVAL (approval_hours 8, arrival_hours 128.017, "
        in said
    )
