from dataclasses import replace
from datetime import timedelta

import pytest

from marketplace import store
from marketplace.audit.log import entries
from marketplace.authority.policy import Mode
from marketplace.ordering import edges, requisition
from marketplace.ordering.requisition import Raising, raise_requisition, want_of
from marketplace.ordering.states import ForbiddenTransition, RequisitionState
from tests.unit.marketplace.fakes import ANNA, ECONOMICS, LINE, a_need, advice

R = RequisitionState


@pytest.fixture
def want(now):
    return want_of(a_need(now), LINE, advice(now), Mode.ASK, ECONOMICS, "mill", now)


async def raised(spend, owner, want, now, **how):
    async with spend.write() as tx:
        return await raise_requisition(tx, owner, want, ANNA, now, **how)


async def move(spend, owner, id, before, after, now):
    async with spend.write() as tx:
        await edges.move_requisition(tx, owner, id, before, after, actor=ANNA, at=now)


async def test_a_slot_has_one_open_requisition(spend, owner, want, now):
    first = await raised(spend, owner, want, now)
    second = await raised(spend, owner, want, now)
    assert (first.outcome, second.outcome) == (Raising.RAISED, Raising.OPEN)
    assert first.id == second.id


async def test_a_lost_race_finds_the_winner_and_keeps_the_callers_transaction(spend, owner, want, now, monkeypatch):
    first = await raised(spend, owner, want, now)
    looks = [None, first]

    async def late(*_):  # it looked before the other one wrote
        return looks.pop(0)

    monkeypatch.setattr(requisition, "_standing", late)
    async with spend.write() as tx:
        await tx.execute(store.person.insert().values(id="p", name="P", **owner.columns))
        second = await raise_requisition(tx, owner, want, ANNA, now)
        assert second == first
    async with spend.read() as tx:
        assert (await tx.execute(store.person.select())).all()


async def test_another_life_is_another_slot(spend, owner, want, now):
    await raised(spend, owner, want, now)
    assert (await raised(spend, owner, replace(want, life="life-2"), now)).outcome is Raising.RAISED


async def test_a_life_that_has_what_it_wants_wants_no_more(spend, owner, want, now):
    first = await raised(spend, owner, want, now)
    await move(spend, owner, first.id, R.NEEDED, R.FULFILLED, now)
    assert await raised(spend, owner, want, now) == requisition.Raised(first.id, Raising.SERVED)


async def test_the_shelf_is_replenished_again_and_again(spend, owner, want, now):
    shelf = replace(want, life="", component="", line="")
    assert shelf.slot == "stock|bearing-7014"
    first = await raised(spend, owner, shelf, now)
    await move(spend, owner, first.id, R.NEEDED, R.FULFILLED, now)
    assert (await raised(spend, owner, shelf, now)).outcome is Raising.RAISED


async def test_a_held_slot_stays_quiet_until_its_time(spend, owner, want, now):
    async with spend.write() as tx:
        await edges.hold_slot(tx, owner, want.slot, now + timedelta(days=7), ANNA)
    assert (await raised(spend, owner, want, now)).outcome is Raising.HELD
    assert (await raised(spend, owner, want, now, override=True)).outcome is Raising.RAISED
    assert (await raised(spend, owner, want, now + timedelta(days=7))).outcome is Raising.RAISED


async def test_a_later_hold_takes_the_place_of_an_earlier_one(spend, owner, want, now):
    async with spend.write() as tx:
        for days in (7, 9, 8):
            await edges.hold_slot(tx, owner, want.slot, now + timedelta(days=days), ANNA)
    assert (await raised(spend, owner, want, now + timedelta(days=7, hours=23))).outcome is Raising.HELD
    assert (await raised(spend, owner, want, now + timedelta(days=8))).outcome is Raising.RAISED


async def test_an_ended_requisition_gives_its_slot_free(spend, owner, want, now):
    first = await raised(spend, owner, want, now)
    async with spend.write() as tx:
        await edges.withdraw_requisition(tx, owner, first.id, R.NEEDED, ANNA, now, None)
    assert (await raised(spend, owner, want, now)).outcome is Raising.RAISED


async def test_an_edge_that_the_table_does_not_have_changes_nothing(spend, owner, want, now):
    first = await raised(spend, owner, want, now)
    with pytest.raises(ForbiddenTransition):
        await move(spend, owner, first.id, R.NEEDED, R.ORDERED, now)
    with pytest.raises(ForbiddenTransition):
        await move(spend, owner, first.id, R.QUOTING, R.PROPOSED, now)
    async with spend.read() as tx:
        assert (await requisition.load(tx, owner, first.id)).state == "needed"


async def test_the_audit_says_why_it_was_raised(spend, owner, want, now):
    first = await raised(spend, owner, want, now)
    async with spend.read() as tx:
        (leaf,) = await entries(tx, first.id)
    assert leaf.kind == "requisition.raised"
    assert leaf.facts["code"] == "FAILURE_BEFORE_ARRIVAL"
    assert leaf.facts["evidence"][0]["code"] == "LEVEL_NEAR_LIMIT"
