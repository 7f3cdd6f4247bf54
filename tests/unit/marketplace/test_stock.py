from decimal import Decimal

import pytest
from sqlalchemy import insert

from marketplace import stock, store
from marketplace.audit.log import entries
from marketplace.money import Quantity
from tests.unit.marketplace.fakes import ANNA

TWO = Quantity(Decimal(2), "C62")


@pytest.fixture
async def tx(spend, owner, now):
    async with spend.write() as tx:
        texts = dict.fromkeys(("machine", "component", "life", "line", "item", "mode", "asked_by", "reason"), "")
        row = {"quantity": Decimal(2), "unit": "C62", "state": "needed", "provenance": "A", "known": True}
        times = {"created_at": now, "changed_at": now}
        for id in ("r1", "r2"):
            await tx.execute(insert(store.requisition).values(id=id, **row, **texts, **times, **owner.columns))
        yield tx


@pytest.fixture
async def shelved(tx, owner, now):
    """Three bearings."""
    await stock.count(tx, owner, "bearing", Decimal(3), "C62", ANNA, now)
    return tx


async def test_what_a_person_counts_is_the_truth(shelved, owner, now):
    after = await stock.count(shelved, owner, "bearing", Decimal("1.5"), "C62", ANNA, now)
    assert after == await stock.shelf(shelved, owner, "bearing") == stock.Shelf("bearing", "C62", Decimal("1.5"))


async def test_a_count_names_who_counted(shelved, owner):
    (leaf,) = await entries(shelved, "bearing")
    assert (leaf.kind, leaf.actor, leaf.facts) == ("stock.counted", ANNA, {"before": "0", "on_hand": "3"})


async def test_an_item_that_nobody_counted_is_not_on_the_shelf(tx, owner, now):
    assert await stock.shelf(tx, owner, "bearing") is None
    assert not await stock.reserve(tx, owner, "bearing", TWO, "r1", ANNA, now)


async def test_the_same_piece_is_promised_once(shelved, owner, now):
    assert await stock.reserve(shelved, owner, "bearing", TWO, "r1", ANNA, now)
    assert not await stock.reserve(shelved, owner, "bearing", TWO, "r2", ANNA, now)
    shelf = await stock.shelf(shelved, owner, "bearing")
    assert (shelf.on_hand, shelf.reserved, shelf.free) == (3, 2, 1)


async def test_a_promise_in_another_unit_is_not_made(shelved, owner, now):
    assert not await stock.reserve(shelved, owner, "bearing", Quantity(Decimal(1), "BX"), "r1", ANNA, now)


async def test_what_is_fitted_leaves_the_shelf_once(shelved, owner, now):
    await stock.reserve(shelved, owner, "bearing", TWO, "r1", ANNA, now)
    assert await stock.fit(shelved, owner, "r1", ANNA, now)
    assert not await stock.fit(shelved, owner, "r1", ANNA, now)
    assert await stock.shelf(shelved, owner, "bearing") == stock.Shelf("bearing", "C62", Decimal(1))


async def test_what_is_given_back_is_free_again(shelved, owner, now):
    await stock.reserve(shelved, owner, "bearing", TWO, "r1", ANNA, now)
    assert await stock.give_back(shelved, owner, "r1", ANNA, now)
    assert (await stock.shelf(shelved, owner, "bearing")).free == 3
    assert not await stock.fit(shelved, owner, "r2", ANNA, now)


async def test_fewer_than_promised_is_never_less_than_nothing(shelved, owner, now):
    await stock.reserve(shelved, owner, "bearing", TWO, "r1", ANNA, now)
    assert (await stock.count(shelved, owner, "bearing", Decimal(1), "C62", ANNA, now)).free == 0
    await stock.fit(shelved, owner, "r1", ANNA, now)
    assert await stock.shelf(shelved, owner, "bearing") == stock.Shelf("bearing", "C62", Decimal(0))


async def test_nobody_takes_more_than_is_there(shelved, owner, now):
    with pytest.raises(stock.StockShort):
        await stock.adjust(shelved, owner, "bearing", Decimal(-4), "C62", ANNA, now)
    assert (await stock.adjust(shelved, owner, "bearing", Decimal(-3), "C62", ANNA, now)).on_hand == 0


@pytest.mark.parametrize("counted", ["-1", "NaN", "Infinity"])
async def test_an_odd_count_is_refused(tx, owner, now, counted):
    with pytest.raises(ValueError, match="below zero"):
        await stock.count(tx, owner, "bearing", Decimal(counted), "C62", ANNA, now)


async def test_another_unit_is_refused(shelved, owner, now):
    with pytest.raises(stock.UnitDiffers):
        await stock.count(shelved, owner, "bearing", Decimal(1), "BX", ANNA, now)


async def test_goods_on_their_way_arrive(shelved, owner, now):
    await stock.expect(shelved, owner, "bearing", TWO)
    after = await stock.arrive(
        shelved, owner, "bearing", Quantity(Decimal(5), "C62"), "TC-1", ANNA, now, expected=Decimal(5)
    )
    assert (after.on_hand, after.in_transit) == (8, 0)


async def test_goods_that_will_not_come_are_not_on_their_way(shelved, owner):
    await stock.expect(shelved, owner, "bearing", TWO)
    await stock.expect_no_more(shelved, owner, "bearing", Decimal(9))
    assert (await stock.shelf(shelved, owner, "bearing")).in_transit == 0


async def test_a_shelf_that_was_changed_in_between_is_left_alone(shelved, owner, now):
    before = await stock.shelf(shelved, owner, "bearing")
    await stock.adjust(shelved, owner, "bearing", Decimal(-1), "C62", ANNA, now)
    with pytest.raises(stock.StockMoved):
        await stock._change(shelved, owner, before, reserved=Decimal(3))
