"""What suppliers have done is read from their orders and answers, and from nothing that proves nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import update

from marketplace import store
from marketplace.lead_times import Delivery
from marketplace.ordering.suspension import suspend
from marketplace.ordering.track_record import track_record
from marketplace.sources import Offer, Sent, TrackRecord
from tests.unit.marketplace.fakes import ANNA, BEARING, AwaySupplier, roomy


@pytest.fixture
async def plant(make_plant, now):
    return await make_plant(policy=roomy())


async def record_of(plant, items=(BEARING.key,), suppliers=("supplier-1", "supplier-2")) -> TrackRecord:
    async with plant.database.read() as tx:
        return await track_record(tx, plant.owner, items, suppliers, plant.clock())


async def test_before_anything_was_ordered_there_is_none(plant):
    assert await record_of(plant) == TrackRecord(may_be_asked=frozenset({"supplier-1", "supplier-2"}))


async def test_an_order_under_way_has_taken_so_long_so_far(plant):
    await plant.want()
    sent, number = plant.clock(), (await plant.order()).number
    plant.clock.forward(days=3)
    found = await record_of(plant)
    assert found.deliveries == (Delivery("supplier-1", BEARING.key, 72.0, False),)
    assert found.open == {number: Sent("supplier-1", sent)}


async def test_the_last_of_its_goods_says_what_an_order_took(plant):
    await plant.want()
    number = (await plant.order()).number
    plant.clock.forward(days=3)
    await plant.purchasing.received(number, {1: Decimal(1)}, ANNA)
    assert [each.arrived for each in (await record_of(plant)).deliveries] == [False]
    plant.clock.forward(days=2)
    await plant.purchasing.received(number, None, ANNA)
    plant.clock.forward(days=30)
    found = await record_of(plant)
    assert (found.deliveries, found.open) == ((Delivery("supplier-1", BEARING.key, 120.0, True),), {})


async def test_a_clock_that_was_put_back_teaches_nothing(plant):
    await plant.want()
    plant.clock.forward(days=-1)
    assert (await record_of(plant)).deliveries == ()


async def test_an_offer_is_what_one_unit_costs_with_freight_and_fees(plant):
    await plant.want()
    async with plant.database.write() as tx:
        offered = {"unit_price": Decimal(300), "per": Decimal(10), "freight_minor": 900, "fees_minor": 100}
        await tx.execute(update(store.quotation).values(quantity=Decimal(2), **offered))
    (found,) = (await record_of(plant)).offers
    assert found == Offer("supplier-1", BEARING.key, Decimal(35), "EUR")
    assert (await record_of(plant, items=("seal",))).offers == ()


async def test_the_newest_answer_counts_and_who_was_not_reached_has_taken_nothing_back(plant):
    await plant.want()
    plant.clock.forward(days=30)
    plant.suppliers["supplier-1"].price *= 2
    await plant.want(life="life-2")
    (newest,) = (await record_of(plant)).offers
    plant.clock.forward(days=30)
    plant.suppliers["supplier-1"] = AwaySupplier("supplier-1", plant.clock)
    plant.restart()
    await plant.want(life="life-3")
    assert (await record_of(plant)).offers == (newest,)
    assert newest.price is not None
    assert newest.price > 2 * Decimal(60)


@pytest.mark.parametrize("answer", [{"outcome": "rejected"}, {"detail": "QUANTITY_SHORT: offered=1, wanted=2"}])
async def test_who_does_not_have_it_or_not_so_that_it_serves_has_no_offer(plant, answer):
    await plant.want()
    async with plant.database.write() as tx:
        await tx.execute(update(store.quotation).values(**answer))
    assert (await record_of(plant)).offers == (Offer("supplier-1", BEARING.key),)


async def test_a_suspended_supplier_may_not_be_asked(plant):
    async with plant.database.write() as tx:
        await suspend(tx, plant.owner, "supplier-1", "OTHER_TERMS", "TC-01-000001-A", plant.clock())
    assert (await record_of(plant)).may_be_asked == {"supplier-2"}
