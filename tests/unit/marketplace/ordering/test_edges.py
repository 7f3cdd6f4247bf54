"""Every edge of both tables, walked once on a real database: state, budget, audit and outbox move together or not."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from marketplace import store
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import gate
from marketplace.authority.policy import Mode
from marketplace.ordering.edges import move_order, move_requisition
from marketplace.ordering.orders import load
from marketplace.ordering.states import ForbiddenTransition, OrderState, RequisitionState, rows
from tests.unit.marketplace.fakes import APPROVER

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
