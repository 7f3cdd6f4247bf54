import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from maintenance.needs import Provenance
from marketplace import store
from marketplace.audit.log import entries
from marketplace.authority.policy import Mode
from marketplace.money import Quantity
from marketplace.ordering import edges, requisition
from marketplace.ordering.decisions import advice_facts
from marketplace.ordering.reason import reason_for, reason_text
from marketplace.ordering.requisition import Raised, Raising, Want, raise_requisition, want_of
from marketplace.ordering.states import ForbiddenTransition, RequisitionState
from marketplace.store import Owner
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


ELSEWHERE = Owner("southworks", "G1")


def test_a_want_says_everything_of_its_need_and_line(now):
    need = a_need(now, known=False, provenance=Provenance.B)
    said = replace(advice(now), decide_by=now + timedelta(days=3))
    assert want_of(need, LINE, said, Mode.BUY, ECONOMICS, "anna", now) == Want(
        machine="mill",
        component="mill/spindle-bearing",
        life="life-1",
        line="bearing",
        item="bearing-7014",
        quantity=Quantity(Decimal(2), "C62"),
        provenance=Provenance.B,
        known=False,
        mode=Mode.BUY,
        asked_by="anna",
        needed_by=now + timedelta(days=3 + 14),
        reason=reason_for(need, LINE, said, ECONOMICS),
    )


@pytest.mark.parametrize(("decide_by", "needed_by"), [(None, None), (-3, 14), (0, 14), (1, 15)])
def test_a_want_is_needed_a_lead_time_after_the_last_day_to_decide_or_today(now, decide_by, needed_by):
    last = None if decide_by is None else now + timedelta(days=decide_by)
    due = None if needed_by is None else now + timedelta(days=needed_by)
    said = replace(advice(now), decide_by=last)
    assert want_of(a_need(now), LINE, said, Mode.BUY, ECONOMICS, "mill", now).needed_by == due


def test_a_slot_is_a_lifes_or_the_shelfs():
    assert requisition.slot_of("mill/spindle", "life-1", "bearing", "b-7") == "mill/spindle|life-1|bearing"
    assert requisition.slot_of("mill/spindle", "", "bearing", "b-7") == "stock|b-7"


async def test_a_requisition_is_kept_whole(spend, owner, want, now):
    want = replace(want, needed_by=now + timedelta(days=9), known=False, provenance=Provenance.B, asked_by="anna")
    found = await raised(spend, owner, want, now)
    async with spend.read() as tx:
        row = dict((await requisition.load(tx, owner, found.id))._mapping)
    assert row == {
        "id": found.id, "plant": "northworks", "gateway_id": "G1", "machine": "mill",
        "component": "mill/spindle-bearing", "life": "life-1", "line": "bearing", "item": "bearing-7014",
        "quantity": Decimal(2), "unit": "C62", "state": "needed", "open_slot": want.slot, "provenance": "B",
        "known": False, "mode": "ask", "asked_by": "anna", "needed_by": now + timedelta(days=9),
        "reason": reason_text(want.reason), "quoting_after": None, "attempt_group": 1, "problem": "", "failures": 0,
        "quarantined_at": None, "created_at": now, "changed_at": now,
    }  # fmt: skip


@pytest.mark.parametrize("override", [False, True])
async def test_its_leaf_says_what_is_wanted_for_what_and_on_whose_word(spend, owner, want, now, override):
    found = await raised(spend, owner, want, now, override=override)
    async with spend.read() as tx:
        (leaf,) = await entries(tx, found.id)
        (heard,) = (await tx.execute(select(store.outbox))).all()
    assert (leaf.kind, leaf.actor, leaf.at) == ("requisition.raised", ANNA, now)
    assert leaf.facts == {
        **advice_facts(want.reason), "slot": want.slot, "item": "bearing-7014", "quantity": "2 C62", "mode": "ask",
        "provenance": "A", "known": True, "override": override, "evidence": want.reason["evidence"],
    }  # fmt: skip
    assert (heard.topic, heard.subject, heard.event, heard.at) == ("requisition", found.id, "raised", now)


async def test_an_override_stands_beside_the_slot_and_holds_no_other(spend, owner, want, now):
    first = await raised(spend, owner, want, now)
    second = await raised(spend, owner, want, now, override=True)
    third = await raised(spend, owner, want, now, override=True)
    assert (second.outcome, third.outcome) == (Raising.RAISED, Raising.RAISED)
    async with spend.read() as tx:
        slots = dict((await tx.execute(select(store.requisition.c.id, store.requisition.c.open_slot))).all())
    assert slots == {first.id: want.slot, second.id: f"{want.slot}|{second.id}", third.id: f"{want.slot}|{third.id}"}


async def test_an_id_that_the_caller_drew_is_taken(spend, owner, want, now):
    assert await raised(spend, owner, want, now, id="mine") == Raised("mine", Raising.RAISED)


async def test_an_id_that_is_taken_is_a_mistake_and_no_lost_race(spend, owner, want, now):
    await raised(spend, owner, want, now, id="mine")
    with pytest.raises(IntegrityError):
        await raised(spend, owner, replace(want, life="life-2"), now, id="mine")


async def test_another_plants_wants_and_holds_are_not_ours(spend, owner, want, now):
    first = await raised(spend, owner, want, now)
    async with spend.write() as tx:
        await edges.hold_slot(tx, owner, "mill/spindle-bearing|life-2|bearing", now + timedelta(days=1), ANNA)
    assert (await raised(spend, ELSEWHERE, want, now)).outcome is Raising.RAISED
    assert (await raised(spend, ELSEWHERE, replace(want, life="life-2"), now)).outcome is Raising.RAISED
    await move(spend, owner, first.id, R.NEEDED, R.FULFILLED, now)
    async with spend.write() as tx:
        await tx.execute(
            update(store.requisition).where(store.requisition.c.plant == "southworks").values(open_slot=None)
        )
    assert (await raised(spend, ELSEWHERE, want, now)).outcome is Raising.RAISED
    async with spend.read() as tx:
        assert await requisition.load(tx, ELSEWHERE, first.id) is None
        assert await requisition.load(tx, owner, "nobody's") is None
        assert (await requisition.load(tx, Owner(owner.plant, "G2"), first.id)).id == first.id


@pytest.mark.parametrize("change", [{"component": "mill/other"}, {"life": "life-2"}, {"line": "seal"}])
async def test_only_the_same_line_of_the_same_life_was_served(spend, owner, want, now, change):
    first = await raised(spend, owner, want, now)
    await move(spend, owner, first.id, R.NEEDED, R.FULFILLED, now)
    assert (await raised(spend, owner, replace(want, **change), now)).outcome is Raising.RAISED
    assert await raised(spend, owner, want, now) == Raised(first.id, Raising.SERVED)


async def test_a_withdrawn_want_did_not_serve(spend, owner, want, now):
    first = await raised(spend, owner, want, now)
    await move(spend, owner, first.id, R.NEEDED, R.WITHDRAWN, now)
    second = await raised(spend, owner, want, now)
    assert (second.outcome, second.id == first.id) == (Raising.RAISED, False)


async def test_a_held_slot_has_no_requisition_and_tells_until_when(spend, owner, want, now):
    until = now + timedelta(days=7)
    async with spend.write() as tx:
        await edges.hold_slot(tx, owner, want.slot, until, ANNA)
        assert await requisition.held_until(tx, owner, want.slot, now) == until
        assert await requisition.held_until(tx, owner, want.slot, until) is None
        assert await requisition.held_until(tx, owner, "another", now) is None
        assert await requisition.held_until(tx, ELSEWHERE, want.slot, now) is None
    assert await raised(spend, owner, want, now) == Raised("", Raising.HELD)


async def test_rounds_are_counted_by_the_last_of_its_own(spend, owner, want, now):
    one = await raised(spend, owner, want, now)
    other = await raised(spend, owner, replace(want, life="life-2"), now)
    nothing = {"supplier": "s", "outcome": "late", "detail": "", "reference": "", "sku": "", "answered_at": now}
    async with spend.write() as tx:
        assert await requisition.rounds(tx, one.id) == 0
        for id, round in ((one.id, 1), (one.id, 3), (other.id, 7)):
            row = {"id": f"{id[:8]}{round}", "requisition": id, "round": round, **nothing, **owner.columns}
            await tx.execute(insert(store.quotation).values(**row))
        assert (await requisition.rounds(tx, one.id), await requisition.rounds(tx, other.id)) == (3, 7)
        row = await requisition.load(tx, owner, one.id)
    assert requisition.quantity_of(row) == Quantity(Decimal(2), "C62")
    assert json.loads(row.reason)["kind"] == "part"
