"""What there is for a want: nothing counts twice, and what is on its way counts only while it can be believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event, insert, update

from marketplace import fulfilment, stock, store
from marketplace.audit import log
from marketplace.money import Quantity
from marketplace.ordering import supply
from marketplace.store import Owner
from tests.unit.marketplace.fakes import ANNA, BEARING, LINE, roomy


async def put(plant, table, **columns):
    async with plant.database.write() as tx:
        await tx.execute(update(table).values(**columns))


async def count(plant, amount):
    async with plant.database.write() as tx:
        await stock.count(tx, plant.owner, BEARING.key, Decimal(amount), "C62", ANNA, plant.clock())


async def coming(plant, items=(BEARING.key,)):
    async with plant.database.read() as tx:
        found = await supply.on_its_way(tx, plant.owner, set(items), plant.clock())
    return [(each.order, each.item, each.quantity.amount) for each in found]


@pytest.fixture
async def plant(make_plant):
    """An order of five is on its way, of which two serve somebody and three nobody."""
    plant = await make_plant(policy=roomy())
    await plant.want(replace(LINE, quantity=Decimal(5)))
    await put(plant, store.line_requisition, quantity=Decimal(2))
    await put(plant, store.requisition, quantity=Decimal(2))
    return plant


async def test_an_order_may_bring_what_serves_nobody(plant):
    (order,) = await plant.orders()
    assert order.state == "confirmed"
    assert await coming(plant) == [(order.number, BEARING.key, 3)]
    assert await coming(plant, ["calibration"]) == []


async def test_what_a_life_no_longer_waits_for_serves_anybody(plant):
    async with plant.database.write() as tx:
        await fulfilment.fitted(tx, plant.owner, "mill/spindle-bearing", "life-1", ANNA, plant.clock())
    assert [amount for _order, _item, amount in await coming(plant)] == [5]


@pytest.mark.parametrize(
    ("received", "left"), [(1, 3), (2, 3), (3, 2), (5, None), (6, None)], ids=lambda each: str(each)
)
async def test_what_came_goes_to_whom_it_serves_first(plant, received, left):
    await put(plant, store.order_line, received=Decimal(received))
    assert [amount for _order, _item, amount in await coming(plant)] == ([] if left is None else [left])


@pytest.mark.parametrize(
    "doubt",
    [
        {"state": "submitted"},
        {"state": "cancelling"},
        {"state": "received"},
        {"problem": '{"code": "DELIVERY_LATE", "parameters": {}}'},
        {"promised_at": None},
    ],
    ids=str,
)
async def test_what_cannot_be_believed_is_not_on_its_way(plant, doubt):
    await put(plant, store.purchase_order, **doubt)
    assert await coming(plant) == []


async def test_a_promise_that_has_passed_counts_no_more(plant):
    (order,) = await plant.orders()
    plant.clock.now = order.promised_at - timedelta(microseconds=1)
    assert len(await coming(plant)) == 1
    plant.clock.now = order.promised_at
    assert await coming(plant) == []


async def test_an_order_that_is_set_apart_counts_no_more(plant):
    await put(plant, store.purchase_order, quarantined_at=plant.clock())
    assert await coming(plant) == []


async def test_the_free_shelf_is_what_is_promised_to_nobody(plant):
    await count(plant, 3)
    await plant.want(life="life-2")
    async with plant.database.read() as tx:
        assert await supply.free_on_shelf(tx, plant.owner, {BEARING.key}) == {BEARING.key: Quantity(Decimal(1), "C62")}
        assert await supply.free_on_shelf(tx, plant.owner, {"calibration"}) == {}
    await count(plant, 2)
    async with plant.database.read() as tx:
        assert await supply.free_on_shelf(tx, plant.owner, {BEARING.key}) == {}


async def test_another_plants_goods_are_not_ours(plant):
    other = Owner("elsewhere", plant.owner.gateway_id)
    await count(plant, 3)
    async with plant.database.read() as tx:
        assert await supply.on_its_way(tx, other, {BEARING.key}, plant.clock()) == []
        assert await supply.free_on_shelf(tx, other, {BEARING.key}) == {}


async def many(plant, amount):
    """Put the order there as often as said, under other numbers, each with whom it serves."""
    async with plant.database.write() as tx:
        (order,), (line,), (share,), (want,) = [
            (await tx.execute(table.select())).all()
            for table in (store.purchase_order, store.order_line, store.line_requisition, store.requisition)
        ]
        for each in range(1, amount):
            number = {"order_number": f"{order.number}-{each}"}
            life = {"life": f"other-{each}", "open_slot": f"other-{each}"}
            await tx.execute(insert(store.requisition).values(want._asdict() | {"id": f"{want.id}-{each}"} | life))
            again = {"number": f"{order.number}-{each}", "key": f"{order.key}-{each}"}
            await tx.execute(insert(store.purchase_order).values(order._asdict() | again))
            await tx.execute(insert(store.order_line).values(line._asdict() | number))
            served = share._asdict() | number | {"requisition": f"{want.id}-{each}"}
            await tx.execute(insert(store.line_requisition).values(served))


async def test_twenty_orders_are_asked_for_in_as_many_statements_as_one(plant):
    async def asked():
        said = []
        async with plant.database.read() as tx:
            event.listen(tx.sync_connection, "before_cursor_execute", lambda *told: said.append(told[2]))
            found = await supply.on_its_way(tx, plant.owner, {BEARING.key}, plant.clock())
            return len(said), [each.quantity.amount for each in found]

    assert await asked() == (1, [3])
    await many(plant, 20)
    assert await asked() == (1, [3] * 20)


# What a round makes of it.


async def test_a_want_that_is_covered_by_what_is_on_its_way_waits_and_buys_nothing(plant):
    id = await plant.want(life="life-2")
    assert len(await plant.orders()) == 1
    row = await plant.requisition()
    assert (row.id, row.state, row.quantity) == (id, "needed", 2)
    assert row.quoting_after == plant.clock() + plant.terms.requote_after
    async with plant.database.read() as tx:
        (leaf,) = await log.entries(tx, owner=plant.owner, kind="requisition.waits")
    assert (leaf.subject, leaf.facts) == (id, {"orders": {(await plant.order()).number: "2"}})


async def test_it_is_served_from_the_shelf_once_the_goods_are_here(plant):
    id = await plant.want(life="life-2")
    await plant.purchasing.received((await plant.order()).number, None, ANNA)
    plant.clock.forward(hours=1)
    await plant.reconciliation.run_once()
    found = {row.id: row.state for row in await plant.rows(store.requisition)}
    assert (found[id], len(await plant.orders())) == ("fulfilled", 1)


async def test_it_is_told_once_and_bought_when_the_supplier_slips(plant):
    await plant.want(life="life-2")
    await plant.passes(2, hours=1)
    async with plant.database.read() as tx:
        assert len(await log.entries(tx, owner=plant.owner, kind="requisition.waits")) == 1
    await put(plant, store.purchase_order, promised_at=plant.clock() + timedelta(days=60))
    await plant.passes(1)
    assert len(await plant.orders()) == 2


async def test_a_third_is_bought_what_is_left_over_for_it_taken_into_account(plant):
    """Three are left over: two for the second life, one of two for the third."""
    await plant.want(life="life-2")
    plant.clock.forward(minutes=1)
    await plant.want(life="life-3")
    rows = [row for row in await plant.rows(store.requisition) if row.life == "life-3"]
    assert sorted((row.state, row.quantity) for row in rows) == [("needed", 1), ("ordered", 1)]
    first, second = await plant.orders()
    assert second.number != first.number
    await plant.passes(3, hours=2)
    assert len(await plant.orders()) == 2


async def test_shelf_and_what_is_on_its_way_cover_a_want_together(plant):
    await count(plant, 1)
    await plant.want(life="life-2")
    rows = [row for row in await plant.rows(store.requisition) if row.life == "life-2"]
    assert sorted((row.state, row.quantity) for row in rows) == [("fulfilled", 1), ("needed", 1)]
    assert len(await plant.orders()) == 1


async def test_of_two_that_wait_the_more_urgent_one_is_served(plant):
    """Of a piece that comes to the shelf the one gets both that needs them sooner, not the one that asks first."""
    await plant.want(life="life-2")
    await put(plant, store.order_line, confirmed=Decimal(2))  # nothing is left over any more
    async with plant.database.write() as tx:
        late = store.requisition.c.life == "life-2"
        await tx.execute(update(store.requisition).where(late).values(needed_by=plant.clock() + timedelta(days=90)))
    await count(plant, 2)
    await plant.want(life="life-3")
    found = {row.life: row.state for row in await plant.rows(store.requisition)}
    assert (found["life-2"], found["life-3"]) == ("needed", "fulfilled")


async def test_after_a_refusal_only_what_the_shelf_did_not_serve_is_wanted_again(make_plant):
    plant = await make_plant(policy={"modes": {"default": "ask"}})
    await count(plant, 1)
    await plant.want()
    order = await plant.order()
    assert (await plant.purchasing.deny(order.number, order.order_hash, ANNA, "not now")).ok
    assert await plant.want() == ""  # the slot stays quiet
    plant.clock.forward(days=8)
    await plant.want()
    rows = await plant.rows(store.requisition)
    assert sorted((row.state, row.quantity) for row in rows) == [("fulfilled", 1), ("proposed", 1), ("withdrawn", 1)]
