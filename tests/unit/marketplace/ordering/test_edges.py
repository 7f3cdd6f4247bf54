"""Every edge of both tables, walked once on a real database: state, budget, audit and outbox move together or not."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert, select, update

from marketplace import store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import gate
from marketplace.authority.policy import Mode
from marketplace.documents import timestamp
from marketplace.ordering import edges
from marketplace.ordering.edges import move_order, move_requisition
from marketplace.ordering.orders import load
from marketplace.ordering.states import ForbiddenTransition, OrderState, RequisitionState, rows
from marketplace.store import Owner
from tests.unit.marketplace.fakes import ANNA, APPROVER

WALKER = Actor(ActorKind.GATEWAY, "G1", "test")
ORDER_EDGES = [(OrderState(b), OrderState(a), e) for document, b, a, e in rows() if document == "order"]
REQUISITION_EDGES = [
    (RequisitionState(b), RequisitionState(a)) for document, b, a, _effect in rows() if document == "requisition"
]
BOOKED = {"none": {"reserved"}, "reserve": {"reserved"}, "commit": {"committed"}, "release": {"released"}}


class Cut(Exception):
    """The power fails before the commit."""


@pytest.fixture
async def reserved(make_plant):
    """An order whose money is reserved, and a way to put it anywhere on the table."""
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    row = await plant.order()
    async with plant.database.write() as tx:
        order = (await load(tx, plant.owner, row.number)).order
        await gate.allow(tx, plant.owner, order, APPROVER, "mill", order.hash, "socket", "", plant.clock())
    return plant


async def put(plant, table, state, **columns):
    async with plant.database.write() as tx:
        await tx.execute(update(table).values(state=state, **columns))


async def told(plant, kind):
    """What there is of the four: state, bookings, leaves of a kind, outbox rows."""
    topic, event = kind.split(".")
    async with plant.database.read() as tx:
        leaves = (await tx.execute(select(store.audit_leaf).where(store.audit_leaf.c.kind == kind))).all()
        outbox = store.outbox.c
        rows = (await tx.execute(select(outbox.id).where(outbox.topic == topic, outbox.event == event))).all()
        size = (await tx.execute(select(store.audit_tree.c.size))).scalar_one()
    table = store.purchase_order if topic == "order" else store.requisition
    (row,) = await plant.rows(table)
    bookings = {each.state for each in await plant.rows(store.booking)}
    return row.state, bookings, len(leaves), len(rows), size


async def walk(plant, before, after, *, cut):
    number = (await plant.order()).number
    async with plant.database.write() as tx:
        await move_order(tx, plant.owner, number, before, after, actor=WALKER, at=plant.clock())
        if cut:
            raise Cut


@pytest.mark.parametrize(("before", "after", "effect"), ORDER_EDGES, ids=lambda value: str(value))
async def test_an_orders_edge_is_one_transaction_of_state_budget_audit_and_outbox(reserved, before, after, effect):
    await put(reserved, store.purchase_order, before)
    kind = f"order.{after}"
    state, bookings, leaves, outbox, size = await told(reserved, kind)
    assert (state, bookings) == (before, {"reserved"})
    with pytest.raises(Cut):
        await walk(reserved, before, after, cut=True)
    assert await told(reserved, kind) == (before, {"reserved"}, leaves, outbox, size)
    await walk(reserved, before, after, cut=False)
    found = await told(reserved, kind)
    assert found[:4] == (after, BOOKED[effect], leaves + 1, outbox + 1)
    assert found[4] > size
    with pytest.raises(ForbiddenTransition):  # whoever comes second
        await walk(reserved, before, after, cut=False)
    assert await told(reserved, kind) == found


@pytest.mark.parametrize(("before", "after"), REQUISITION_EDGES, ids=lambda value: str(value))
async def test_a_requisitions_edge_is_one_transaction_of_state_slot_audit_and_outbox(reserved, before, after):
    id = (await reserved.requisition()).id
    await put(reserved, store.requisition, before)
    kind = f"requisition.{after}"

    async def step(cut):
        async with reserved.database.write() as tx:
            at = reserved.clock() + timedelta(seconds=1)
            await move_requisition(tx, reserved.owner, id, before, after, actor=WALKER, at=at)
            if cut:
                raise Cut

    was, row = await told(reserved, kind), await reserved.requisition()
    with pytest.raises(Cut):
        await step(cut=True)
    assert await told(reserved, kind) == was
    assert await reserved.requisition() == row
    await step(cut=False)
    state, bookings, leaves, outbox, size = await told(reserved, kind)
    assert (state, bookings, leaves, outbox) == (after, was[1], was[2] + 1, was[3] + 1)
    assert size == was[4] + 1
    ended = after in (RequisitionState.FULFILLED, RequisitionState.WITHDRAWN)
    assert ((await reserved.requisition()).open_slot is None) == ended
    with pytest.raises(ForbiddenTransition):
        await step(cut=False)


def test_every_edge_is_walked_here():
    assert len(ORDER_EDGES) + len(REQUISITION_EDGES) == len(list(rows()))


# What an edge writes, word by word.

S, R = OrderState, RequisitionState
ELSEWHERE = Owner("southworks", "G1")


async def last_leaf(tx, owner):
    (leaf,) = await log.entries(tx, limit=1, owner=owner)
    return leaf.kind, leaf.subject, leaf.actor, leaf.facts, leaf.at


async def last_told(tx):
    row = (await tx.execute(select(store.outbox).order_by(store.outbox.c.id.desc()).limit(1))).one()
    return {name: value for name, value in row._mapping.items() if name != "id"}


async def test_an_act_is_recorded_for_the_audit_and_for_whoever_listens(spend, owner, now):
    async with spend.write() as tx:
        await edges.record(tx, owner, "fitting", "mill", "done", ANNA, now, {"life": "1"})
        assert await last_leaf(tx, owner) == ("fitting.done", "mill", ANNA, {"life": "1"}, now)
        heard = {"topic": "fitting", "subject": "mill", "event": "done", "at": now}
        assert await last_told(tx) == heard | {"plant": "northworks", "gateway_id": "G1"}


def test_the_gateway_acts_by_its_own_name(owner):
    assert edges.gateway_actor(owner, "clock") == Actor(ActorKind.GATEWAY, "G1", "clock")


async def test_an_orders_edge_sets_what_it_is_told_with_its_time_and_says_whence(reserved):
    before, at = await reserved.order(), reserved.clock() + timedelta(hours=1)
    async with reserved.database.write() as tx:
        await move_order(
            tx, reserved.owner, before.number, S.AWAITING_APPROVAL, S.DENIED, actor=ANNA, at=at,
            facts={"code": "X"}, rule="DENIED_BY_PERSON", decided_by="anna",
        )  # fmt: skip
        said = {"before": "awaiting_approval", "effect": "none", "code": "X"}
        assert await last_leaf(tx, reserved.owner) == ("order.denied", before.number, ANNA, said, at)
    expected = dict(before._mapping) | {
        "state": "denied", "changed_at": at, "rule": "DENIED_BY_PERSON", "decided_by": "anna",
    }  # fmt: skip
    assert dict((await reserved.order())._mapping) == expected


async def test_money_moves_in_the_name_of_whoever_moves_the_order(reserved):
    await put(reserved, store.purchase_order, S.APPROVED)
    at = reserved.clock() + timedelta(hours=1)
    async with reserved.database.write() as tx:
        number = (await reserved.order()).number
        await move_order(tx, reserved.owner, number, S.APPROVED, S.CANCELLED, actor=ANNA, at=at)
        (leaf,) = await log.entries(tx, owner=reserved.owner, kind="budget.released")
    assert (leaf.subject, leaf.actor, leaf.at) == (number, ANNA, at)


async def test_only_the_order_of_that_plant_and_number_moves(reserved):
    await reserved.want(mode=Mode.ASK, life="life-2")
    first, _second = await reserved.orders()
    async with reserved.database.write() as tx:
        move = {"before": S.AWAITING_APPROVAL, "after": S.DENIED, "actor": ANNA, "at": reserved.clock()}
        with pytest.raises(ForbiddenTransition):
            await move_order(tx, ELSEWHERE, first.number, **move)
        await move_order(tx, Owner(reserved.owner.plant, "G2"), first.number, **move)
    assert await reserved.states() == ["denied", "awaiting_approval"]


async def test_only_the_requisition_of_that_plant_and_id_moves(reserved):
    await reserved.want(mode=Mode.ASK, life="life-2")
    first, second = sorted(await reserved.rows(store.requisition), key=lambda row: row.life)
    move = {"actor": ANNA, "at": reserved.clock() + timedelta(hours=1)}
    async with reserved.database.write() as tx:
        with pytest.raises(ForbiddenTransition):
            await move_requisition(tx, ELSEWHERE, first.id, R.PROPOSED, R.ORDERED, **move)
        await move_requisition(
            tx, reserved.owner, first.id, R.PROPOSED, R.ORDERED, facts={"order": "X"}, problem="noted", **move
        )
        said = {"before": "proposed", "order": "X"}
        assert await last_leaf(tx, reserved.owner) == ("requisition.ordered", first.id, ANNA, said, move["at"])
    changed, other = sorted(await reserved.rows(store.requisition), key=lambda row: row.life)
    assert dict(changed._mapping) == dict(first._mapping) | {
        "state": "ordered", "changed_at": move["at"], "problem": "noted",
    }  # fmt: skip
    assert other == second


async def share(plant, id, line, created_at, state="proposed"):
    """Let the newest order's line serve one more requisition."""
    row = {**(await plant.requisition())._mapping, "id": id, "open_slot": id, "created_at": created_at, "state": state}
    link = {"order_number": (await plant.order()).number, "line": line, "requisition": id, "quantity": Decimal(1)}
    async with plant.database.write() as tx:
        await tx.execute(insert(store.requisition), row)
        await tx.execute(insert(store.line_requisition).values(**link, **plant.owner.columns))


async def test_whom_an_order_or_a_line_serves_is_told_oldest_first_and_once(reserved, now):
    number, mine = (await reserved.order()).number, (await reserved.requisition()).id
    await share(reserved, "b", 2, now - timedelta(days=1), "ordered")
    await share(reserved, "a", 2, now - timedelta(days=1))
    link = {"order_number": number, "line": 3, "requisition": "a", "quantity": Decimal(1)}
    await reserved.want(mode=Mode.ASK, life="life-2")
    async with reserved.database.write() as tx:
        await tx.execute(insert(store.line_requisition).values(**link, **reserved.owner.columns))
        found = await edges.requisitions_of(tx, reserved.owner, number)
        assert found == [("a", R.PROPOSED), ("b", R.ORDERED), (mine, R.PROPOSED)]
        assert await edges.requisitions_of(tx, reserved.owner, number, 2) == found[:2]
        assert await edges.requisitions_of(tx, reserved.owner, number, 1) == found[2:]
        assert await edges.requisitions_of(tx, ELSEWHERE, number) == []


async def test_only_what_was_proposed_becomes_ordered(reserved, now):
    number, mine = (await reserved.order()).number, (await reserved.requisition()).id
    await share(reserved, "old", 2, now - timedelta(days=1), "withdrawn")
    at = now + timedelta(hours=1)
    async with reserved.database.write() as tx:
        await edges.mark_ordered(tx, reserved.owner, number, ANNA, at)
        said = {"before": "proposed", "order": number}
        assert await last_leaf(tx, reserved.owner) == ("requisition.ordered", mine, ANNA, said, at)
        found = await edges.requisitions_of(tx, reserved.owner, number)
    assert found == [("old", R.WITHDRAWN), (mine, R.ORDERED)]


@pytest.mark.parametrize("hold", [None, timedelta(days=7)])
async def test_a_withdrawal_frees_the_slot_and_keeps_it_quiet_when_told_so(reserved, hold):
    row, at = await reserved.requisition(), reserved.clock() + timedelta(hours=1)
    async with reserved.database.write() as tx:
        await edges.withdraw_requisition(tx, reserved.owner, row.id, R.PROPOSED, ANNA, at, hold)
        said = {"before": "proposed"} | ({"hold_until": timestamp(at + hold)} if hold else {})
        assert await last_leaf(tx, reserved.owner) == ("requisition.withdrawn", row.id, ANNA, said, at)
    assert ((await reserved.requisition()).state, (await reserved.requisition()).open_slot) == ("withdrawn", None)
    kept = [dict(each._mapping) for each in await reserved.rows(store.slot_hold)]
    quiet = {"slot": row.open_slot, "until": at + timedelta(days=7), "by": "anna", "reason": "REFUSED"}
    assert kept == ([quiet | {"plant": "northworks", "gateway_id": "G1"}] if hold else [])


async def test_a_want_without_a_slot_keeps_none_quiet(reserved):
    row = await reserved.requisition()
    await put(reserved, store.requisition, R.PROPOSED, open_slot=None)
    async with reserved.database.write() as tx:
        await edges.withdraw_requisition(
            tx, reserved.owner, row.id, R.PROPOSED, ANNA, reserved.clock(), timedelta(days=7)
        )
    assert await reserved.rows(store.slot_hold) == []


async def test_a_later_hold_takes_the_place_of_that_slots_hold_in_that_plant_alone(spend, owner, now):
    later, bob = now + timedelta(days=1), Actor(ActorKind.PERSON, "bob", "form")
    async with spend.write() as tx:
        for where, slot in ((owner, "a"), (owner, "b"), (ELSEWHERE, "a")):
            await edges.hold_slot(tx, where, slot, now, ANNA)
        await edges.hold_slot(tx, owner, "a", later, bob)
        rows = (await tx.execute(select(store.slot_hold))).all()
    assert {(row.plant, row.slot): (row.until, row.by) for row in rows} == {
        ("northworks", "a"): (later, "bob"),
        ("northworks", "b"): (now, "anna"),
        ("southworks", "a"): (now, "anna"),
    }


# Problems.


def test_a_problem_is_a_code_and_its_figures_in_one_spelling():
    assert edges.problem("X") == '{"code": "X", "parameters": {}}'
    assert edges.problem("X", {"b": "2", "a": "1"}) == '{"code": "X", "parameters": {"a": "1", "b": "2"}}'
    assert (edges.problem_code(edges.problem("X")), edges.problem_code("")) == ("X", "")


@pytest.mark.parametrize("code", sorted(edges.REMINDERS))
def test_a_reminder_does_not_speak_against_an_order(code):
    assert edges.speaks_against(edges.problem(code)) is False


def test_anything_else_that_is_noted_speaks_against_an_order():
    assert edges.speaks_against(edges.problem("INVOICE_DIFFERS")) is True
    assert edges.speaks_against("") is False


async def test_a_problem_is_noted_on_its_order_alone_and_moves_it_nowhere(reserved):
    await reserved.want(mode=Mode.ASK, life="life-2")
    first, second = await reserved.orders()
    async with reserved.database.write() as tx:
        await edges.note_problem(tx, ELSEWHERE, first.number, "X")
        await edges.note_problem(tx, reserved.owner, first.number, "X", {"a": "1"})
    noted, other = await reserved.orders()
    assert json.loads(noted.problem) == {"code": "X", "parameters": {"a": "1"}}
    assert dict(noted._mapping) == dict(first._mapping) | {"problem": noted.problem}
    assert other == second
