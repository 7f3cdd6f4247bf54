"""Budgets under contention, over time, and along every path that an order's money takes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from gateway.storage import FULL, Storage
from marketplace.authority import ledger
from marketplace.authority.ledger import BookingState, LedgerBroken, Room
from marketplace.money import Money
from marketplace.store import booking, budget

LIMIT = Money(100_00, "EUR")
DAYS = 30


@pytest.fixture
async def orders(spend, store_order, make_order, owner):
    """Twenty stored orders and the mill's budget of 100 EUR in 30 days."""
    numbers = [f"G1-{number:04}" for number in range(20)]
    async with spend.write() as tx:
        for number in numbers:
            await store_order(tx, make_order(number))
        await ledger.open_budget(tx, owner, "mill", currency="EUR", limit=LIMIT, days=DAYS)
    return numbers


@pytest.fixture
def book(spend, owner, now):
    async def book(order, minor, *, by_person=False, at=now, machine="mill", storage=spend):
        async with storage.write() as tx:
            return await ledger.reserve(tx, owner, order, machine, Money(minor, "EUR"), by_person=by_person, now=at)

    return book


@pytest.fixture
def standing(spend):
    async def standing():
        async with spend.read() as connection:
            row = (await connection.execute(select(budget))).one()
            assert await ledger.counted(connection, row.id) == (row.machine_minor, row.person_minor)
            return row.machine_minor, row.person_minor

    return standing


async def test_what_fits_is_reserved_and_what_does_not_leaves_no_trace(orders, book, standing):
    assert await book(orders[0], 60_00) is Room.RESERVED
    assert await book(orders[1], 40_01) is Room.FULL
    assert await book(orders[2], 40_00) is Room.RESERVED
    assert await standing() == (100_00, 0)


async def test_a_machine_without_a_budget_has_no_limit_to_stay_within(orders, book):
    assert await book(orders[0], 1, machine="press") is Room.NO_LIMIT


async def test_another_currency_finds_no_budget(spend, owner, orders, now):
    async with spend.write() as tx:
        room = await ledger.reserve(tx, owner, orders[0], "mill", Money(1, "USD"), by_person=False, now=now)
    assert room is Room.NO_LIMIT


async def test_persons_are_not_held_by_the_limit_but_narrow_the_gateways_room(orders, book, standing):
    assert await book(orders[0], 90_00, by_person=True) is Room.RESERVED
    assert await book(orders[1], 10_01) is Room.FULL
    assert await book(orders[2], 10_00) is Room.RESERVED
    assert await book(orders[3], 500_00, by_person=True) is Room.RESERVED
    assert await standing() == (10_00, 590_00)


async def test_eight_at_once_never_overspend(orders, book, standing):
    outcomes = await asyncio.gather(*(book(order, 15_00) for order in orders[:8]))
    assert outcomes.count(Room.RESERVED) == 6
    assert await standing() == (90_00, 0)


async def test_eight_writers_on_one_file_never_overspend(spend, orders, book, standing):
    storages = [Storage(spend.path, FULL) for _ in range(8)]
    outcomes = await asyncio.gather(
        *(book(order, 15_00, storage=storage) for order, storage in zip(orders, storages, strict=False))
    )
    for storage in storages:
        await storage.close()
    assert outcomes.count(Room.RESERVED) == 6
    assert await standing() == (90_00, 0)


async def test_an_order_is_booked_once(orders, book, standing):
    await book(orders[0], 10_00)
    for by_person in (False, True):
        with pytest.raises(LedgerBroken, match="booked already"):
            await book(orders[0], 10_00, by_person=by_person)
    assert await standing() == (10_00, 0)


async def test_a_release_gives_the_room_back_once(spend, orders, book, standing):
    await book(orders[0], 10_00)
    await book(orders[1], 20_00, by_person=True)
    for order in orders[:2]:
        async with spend.write() as tx:
            assert await ledger.release(tx, order) is not None
            assert await ledger.release(tx, order) is None
    assert await standing() == (0, 0)


async def test_a_released_order_can_come_back_to_the_gate(spend, orders, book, standing):
    await book(orders[0], 10_00)
    async with spend.write() as tx:
        await ledger.release(tx, orders[0])
    assert await book(orders[0], 12_00, by_person=True) is Room.RESERVED
    assert await standing() == (0, 12_00)


async def test_a_commitment_keeps_its_room_and_may_still_be_released(spend, orders, book, standing):
    await book(orders[0], 10_00)
    async with spend.write() as tx:
        settled = await ledger.commit(tx, orders[0])
        assert (settled.amount, settled.by_person) == (Money(10_00, "EUR"), False)
        assert await ledger.commit(tx, orders[0]) is None
    assert await standing() == (10_00, 0)
    async with spend.write() as tx:
        await ledger.release(tx, orders[0])
    assert await standing() == (0, 0)


async def test_what_was_released_is_not_committed(spend, orders, book):
    await book(orders[0], 10_00)
    async with spend.write() as tx:
        await ledger.release(tx, orders[0])
        with pytest.raises(LedgerBroken, match="no reservation"):
            await ledger.commit(tx, orders[0])


async def test_an_order_that_was_never_booked_has_nothing_to_settle(spend, orders):
    async with spend.write() as tx:
        for act in (ledger.commit, ledger.release):
            with pytest.raises(LedgerBroken, match="never booked"):
                await act(tx, orders[0])


async def test_a_commitment_elapses_with_the_window_and_a_reservation_does_not(spend, orders, book, standing, now):
    await book(orders[0], 30_00)
    await book(orders[1], 30_00)
    await book(orders[2], 20_00, by_person=True)
    async with spend.write() as tx:
        await ledger.commit(tx, orders[0])
        await ledger.commit(tx, orders[2])
    end = now + timedelta(days=DAYS)
    assert await book(orders[3], 70_00, at=end - timedelta(microseconds=1)) is Room.FULL
    assert await book(orders[3], 70_00, at=end) is Room.RESERVED
    assert await standing() == (100_00, 0)


async def test_what_elapsed_gives_nothing_back_twice(spend, orders, book, standing, now):
    await book(orders[0], 30_00)
    async with spend.write() as tx:
        await ledger.commit(tx, orders[0])
    await book(orders[1], 10_00, at=now + timedelta(days=DAYS))
    async with spend.write() as tx:
        assert await ledger.commit(tx, orders[0]) is None
        assert await ledger.release(tx, orders[0]) is not None
    assert await standing() == (10_00, 0)


async def test_a_late_commitment_elapses_from_the_day_it_was_booked(spend, orders, book, standing, now):
    await book(orders[0], 30_00)
    async with spend.write() as tx:
        await ledger.commit(tx, orders[0])
    await book(orders[1], 100_00, at=now + timedelta(days=DAYS))
    assert await standing() == (100_00, 0)


async def test_budgets_follow_the_policy(spend, owner, orders, book, standing, now):
    await book(orders[0], 30_00)
    async with spend.write() as tx:
        await ledger.commit(tx, orders[0])
        later = now + timedelta(days=40)
        await ledger.follow(tx, owner, limit=Money(50_00, "EUR"), days=30, now=later)
        assert await ledger.counted(tx, "northworks:machine:mill:EUR") == (0, 0)
        await ledger.follow(tx, owner, limit=Money(50_00, "EUR"), days=60, now=later)
    assert await standing() == (30_00, 0)
    assert await book(orders[1], 20_01, at=later) is Room.FULL
    assert await book(orders[1], 20_00, at=later) is Room.RESERVED


@pytest.mark.parametrize("limit", [None, Money(10**9, "USD")])
async def test_without_a_limit_in_its_currency_a_budget_has_no_room(spend, owner, orders, book, now, limit):
    async with spend.write() as tx:
        await ledger.follow(tx, owner, limit=limit, days=DAYS, now=now)
        await ledger.open_budget(tx, owner, "press", currency="EUR", limit=limit, days=DAYS)
    assert await book(orders[0], 1) is Room.FULL
    assert await book(orders[0], 1, machine="press") is Room.FULL


async def test_a_budget_that_is_there_is_left_alone(spend, owner, orders):
    async with spend.write() as tx:
        await ledger.open_budget(tx, owner, "mill", currency="EUR", limit=Money(1, "EUR"), days=1)
        assert (await tx.execute(select(budget.c.limit_minor))).scalar_one() == LIMIT.minor


async def test_a_budget_never_falls_below_zero(spend, orders, book):
    await book(orders[0], 10_00)
    with pytest.raises(IntegrityError, match="not_negative"):
        async with spend.write() as tx:
            await tx.execute(update(budget).values(machine_minor=0))
            await ledger.release(tx, orders[0])


async def test_a_booking_that_moved_meanwhile_is_not_moved_again(spend, orders, book):
    await book(orders[0], 10_00)
    async with spend.write() as tx:
        row = await ledger.reserved(tx, orders[0])
        await ledger.release(tx, orders[0])
        with pytest.raises(LedgerBroken, match="somebody else"):
            await ledger._move(tx, row, BookingState.COMMITTED)
        assert (await tx.execute(select(booking.c.state))).scalar_one() == BookingState.RELEASED
