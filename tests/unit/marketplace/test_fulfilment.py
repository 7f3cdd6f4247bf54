from decimal import Decimal

import pytest

from marketplace import fulfilment, stock, store
from marketplace.audit.verify import verify
from marketplace.authority.policy import Mode
from marketplace.money import Money
from tests.unit.marketplace.fakes import (
    ANNA,
    BEARING,
    BLIND,
    LINE,
    SERVICE,
    AcceptingSupplier,
    Clock,
    DroppingSupplier,
    Plant,
)

COMPONENT = "mill/spindle-bearing"


@pytest.fixture
def make_plant(spend, owner, now):
    async def make(kind=AcceptingSupplier, **options):
        clock = Clock(now)
        plant = Plant(spend, owner, clock, {"supplier-1": kind("supplier-1", clock, **options)})
        await plant.apply_policy()
        return plant

    return make


@pytest.fixture
async def plant(make_plant):
    """Two bearings are confirmed."""
    plant = await make_plant()
    await plant.want()
    return plant


@pytest.fixture(autouse=True)
async def the_audit_verifies_in_the_end(spend):
    yield
    async with spend.read() as connection:
        found = await verify(connection)
    assert found.verified, found.problems


async def receive(plant, *quantities, note=""):
    moved = dict(enumerate(map(Decimal, quantities), 1)) or None
    return await plant.purchasing.received((await plant.order()).number, moved, ANNA, note)


async def shelf(plant, item=BEARING.key):
    async with plant.database.read() as tx:
        return await stock.shelf(tx, plant.owner, item)


async def fitted(plant, life="life-1"):
    async with plant.database.write() as tx:
        return await fulfilment.fitted(tx, plant.owner, COMPONENT, life, ANNA, plant.clock())


async def may_fit(plant, life="life-1", items=()):
    async with plant.database.read() as tx:
        return await fulfilment.may_accept_fitting(tx, plant.owner, COMPONENT, life, items)


async def test_what_arrived_is_on_the_shelf_and_promised(plant):
    assert (await receive(plant)).ok
    assert await plant.states() == ["received"]
    assert (await plant.requisition()).state == "fulfilled"
    found = await shelf(plant)
    assert (found.on_hand, found.reserved, found.in_transit) == (2, 2, 0)


async def test_goods_in_parts_fulfil_with_the_last_of_them(plant):
    await receive(plant, "1")
    assert await plant.states() == ["confirmed"]
    assert (await plant.requisition()).state == "ordered"
    await receive(plant, "1")
    assert await plant.states() == ["received"]
    assert (await plant.requisition()).state == "fulfilled"


async def test_a_life_that_got_its_part_wants_no_other(plant):
    await receive(plant)
    await plant.want()
    assert len(await plant.orders()) == 1


async def test_too_much_is_taken_in_and_disputed(plant):
    assert (await receive(plant, "3")).ok
    row = await plant.order()
    assert row.state == "disputed"
    assert "OVER_DELIVERY" in row.problem
    assert (await shelf(plant)).free == 1


async def test_too_much_in_the_end_is_disputed_too(plant):
    await receive(plant)
    await receive(plant, "1")
    assert await plant.states() == ["disputed"]


async def test_too_much_takes_nothing_from_what_is_on_its_way_for_others(plant):
    first = (await plant.order()).number
    await plant.want(life="life-2")
    assert (await shelf(plant)).in_transit == 4
    await plant.purchasing.received(first, {1: Decimal(3)}, ANNA)
    assert (await shelf(plant)).in_transit == 2


async def test_goods_that_nobody_had_confirmed_take_nothing_from_what_is_on_its_way_for_others(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=BLIND)
    await plant.want()
    lost = (await plant.order()).number
    await plant.want(life="life-2")
    assert await plant.states() == ["unknown", "confirmed"]
    await plant.purchasing.received(lost, None, ANNA)
    assert ((await shelf(plant)).on_hand, (await shelf(plant)).in_transit) == (2, 2)


@pytest.mark.parametrize("quantities", [("0",), ("-1",), ("2", "1"), ("NaN",)])
async def test_an_odd_receipt_changes_nothing(plant, quantities):
    assert not (await receive(plant, *quantities)).ok
    assert await plant.states() == ["confirmed"]
    assert (await shelf(plant)).on_hand == 0
    assert [row.kind for row in await plant.rows(store.inbox)] == ["response"]


async def test_nothing_is_received_twice_by_saying_everything_twice(plant):
    await receive(plant)
    assert (await receive(plant)).code == "NOTHING_OUTSTANDING"
    assert (await shelf(plant)).on_hand == 2


async def test_nothing_is_received_for_an_order_that_was_never_sent(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    assert (await receive(plant)).code == "ORDER_AWAITING_APPROVAL"


async def test_goods_in_hand_settle_what_nobody_knew(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=BLIND)
    await plant.want()
    await plant.reconciliation.run_once()
    assert await plant.states() == ["needs_person"]
    assert (await receive(plant)).ok
    row = await plant.order()
    assert (row.state, row.problem) == ("received", "")
    assert [booking.state for booking in await plant.rows(store.booking)] == ["committed"]


async def test_a_service_is_done_and_lies_on_no_shelf(make_plant):
    plant = await make_plant()
    await plant.want(line=SERVICE)
    assert (await receive(plant)).ok
    assert (await plant.requisition()).state == "fulfilled"
    assert await shelf(plant, SERVICE.item) is None
    assert await may_fit(plant)


async def test_an_order_closes_when_all_is_received_and_billed(plant):
    number = (await plant.order()).number
    plant.suppliers["supplier-1"].bill(number, Money.of("123.00", "EUR"))
    await receive(plant)
    await plant.passes(1)
    assert await plant.states() == ["closed"]


async def test_a_note_stands_in_the_erasable_table_only(plant):
    await receive(plant, note="the box was wet")
    assert [row.text for row in await plant.rows(store.free_text)] == ["the box was wet"]
    assert not any("wet" in row.document for row in await plant.rows(store.inbox))


async def test_what_was_fitted_leaves_the_shelf(plant):
    await receive(plant)
    assert await fitted(plant) == ((await plant.requisition()).id,)
    found = await shelf(plant)
    assert (found.on_hand, found.reserved) == (0, 0)
    assert [row.state for row in await plant.rows(store.stock_reservation)] == ["fitted"]


async def test_a_part_from_elsewhere_withdraws_what_was_not_sent(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    await fitted(plant)
    assert await plant.states() == ["cancelled"]
    assert (await plant.requisition()).state == "withdrawn"


async def test_what_arrives_after_the_fitting_is_free_for_the_next(plant):
    await fitted(plant)
    assert (await plant.requisition()).state == "fulfilled"
    await receive(plant)
    assert await plant.states() == ["received"]
    assert (await shelf(plant)).free == 2
    await plant.want(life="life-2")
    assert len(await plant.orders()) == 1
    assert (await shelf(plant)).free == 0


async def test_a_fitting_seen_by_telemetry_counts_only_where_a_part_was_there(plant, now):
    assert not await may_fit(plant)
    await receive(plant, "1")
    assert await may_fit(plant)  # one is here, promised to this life
    assert not await may_fit(plant, life="life-2", items=[BEARING.key])
    await receive(plant, "1")
    assert await may_fit(plant)
    assert not await may_fit(plant, life="life-2")
    await fitted(plant)
    assert not await may_fit(plant, life="life-2", items=[BEARING.key])
    async with plant.database.write() as tx:
        await stock.count(tx, plant.owner, LINE.item, Decimal(1), "C62", ANNA, now)
    assert await may_fit(plant, life="life-2", items=[BEARING.key])
