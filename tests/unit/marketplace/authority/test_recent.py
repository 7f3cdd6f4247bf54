"""What was spent lately and is still open, counted from reservations."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from marketplace.authority import ledger, recent
from marketplace.authority.limits import Subject
from marketplace.money import Money


@pytest.fixture
async def reserved(spend, owner, now, make_order, store_order):
    """Orders reserved so long ago, at a supplier, in a state and a currency."""

    async def reserve(number, ago=timedelta(0), supplier="shop", state="approved", currency="EUR", minor=1_00):
        async with spend.write() as tx:
            await store_order(tx, make_order(number), state)
            subject = Subject(number, "mill", "", supplier, (), Money(minor, currency))
            await ledger.reserve(tx, owner, subject, (), send=1, by_person=False, at=now - ago)

    return reserve


async def test_orders_of_a_minute_an_hour_and_a_day_are_counted(reserved, spend, owner, now):
    for number, ago in enumerate((0, 59, 60, 3_599, 3_600, 86_399, 86_400)):
        await reserved(f"G1-{number}", timedelta(seconds=ago), "shop" if number % 2 else "maker")
    async with spend.write() as tx:
        subject = Subject("G1-0", "mill", "", "maker", (), Money(1_00, "EUR"))
        await ledger.reserve(tx, owner, subject, (), send=2, by_person=False, at=now, extra=True)
        plant, shop = await recent.pace(tx, owner, "shop", "G1-9", now)
        assert plant == {"minute": 2, "hour": 4, "day": 6}, "a second send is no second order"
        assert shop == {"minute": 1, "hour": 2, "day": 3}
        assert (await recent.pace(tx, owner, "shop", "G1-1", now))[1] == {"minute": 0, "hour": 1, "day": 2}


@pytest.mark.parametrize(
    ("span", "here", "count"),
    [("minute", False, 2), ("hour", False, 3), ("day", False, 4), ("hour", True, 2), ("day", True, 3)],
)
async def test_a_count_is_of_orders_in_one_span_everywhere_or_at_one_supplier(reserved, spend, now, span, here, count):
    for number, (ago, supplier) in enumerate(((1, "maker"), (59, "shop"), (60, "shop"), (3_600, "shop"))):
        await reserved(f"G1-{number}", timedelta(seconds=ago), supplier)
    counted = {f"of_{span}": now - recent.SPANS[span], "of_supplier": "shop"}
    async with spend.read() as connection:
        row = (await connection.execute(select(recent._orders(span, here=here)), counted)).one()
        assert row._mapping[f"{span}_{here}"] == count


async def test_before_the_first_order_nothing_is_counted(spend, owner, now):
    async with spend.read() as connection:
        assert await recent.pace(connection, owner, "shop", "G1-1", now) == (dict.fromkeys(recent.SPANS, 0),) * 2
        assert await recent.exposure(connection, owner, "G1-1") == {}


async def test_what_is_reserved_or_committed_is_open_until_the_goods_are_there(reserved, spend, owner):
    for number, state in enumerate(("approved", "unknown", "confirmed", "shipped", "received", "disputed", "closed")):
        await reserved(f"G1-{number}", state=state)
    await reserved("G1-7", currency="USD", minor=7)
    await reserved("G1-8")
    async with spend.write() as tx:
        await ledger.commit(tx, "G1-2")
        await ledger.release(tx, "G1-8")
        assert await recent.exposure(tx, owner, "G1-9") == {"EUR": 4_00, "USD": 7}
        assert await recent.exposure(tx, owner, "G1-0") == {"EUR": 3_00, "USD": 7}
