"""Limits under contention, over time, and along every path that an order's money takes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from gateway.storage import FULL, Storage
from marketplace.authority import ledger, reduction
from marketplace.authority.ledger import BookingState, LedgerBroken, Room, Settled
from marketplace.authority.limits import LimitRule, Scope, Subject, Terms, Used, claims_of
from marketplace.authority.rates import PinnedRate, Rates
from marketplace.money import Money
from marketplace.store import booking, reservation, spend_limit

DAYS = 30
MACHINE = LimitRule(scope=Scope.MACHINE, each=True, per=f"{DAYS} d", amount=Money(100_00, "EUR"))
PLANT_MONTH = LimitRule(scope=Scope.PLANT, per="month", amount=Money(150_00, "EUR"))
THREE_A_DAY = LimitRule(scope=Scope.SUPPLIER, key="shop", per="day", count=3)
TOOLS = LimitRule(scope=Scope.CATEGORY, key="tools", per="total", amount=Money(80_00, "EUR"))
DOLLAR = Rates(base="EUR", good_for_days=30, of={"USD": PinnedRate(rate=Decimal("0.5"), dated=date(2026, 3, 1))})
BERLIN = ZoneInfo("Europe/Berlin")
NAME = f"machine:mill:{DAYS} d:EUR"


def terms(*rules: LimitRule, rates: Rates | None = None) -> Terms:
    return Terms(rules or (MACHINE,), rates, BERLIN)


class Books:
    """A ledger of some limits; every act is a transaction of its own."""

    def __init__(self, spend, owner, now):
        self.spend, self.owner, self.now, self.terms = spend, owner, now, terms()

    def subject(self, order, minor, currency="EUR", **changes):
        whole = Subject(order, "mill", "mill/spindle", "shop", (), Money(minor, currency))
        return replace(whole, **changes)

    async def book(self, order, minor, *, by_person=False, at=None, storage=None, send=1, extra=False, **subject):
        at = at or self.now
        must_fit = extra or not by_person
        asked = self.subject(order, minor, **subject)
        async with (storage or self.spend).write() as tx:
            claims = claims_of(self.terms, asked, at)
            await ledger.standing(tx, self.owner, claims, self.terms, at)
            return await ledger.reserve(
                tx,
                self.owner,
                asked,
                claims,
                send=send,
                by_person=by_person,
                at=at,
                must_fit=must_fit,
                extra=extra,
            )

    async def act(self, act, order, **changes):
        async with self.spend.write() as tx:
            return await act(tx, order, **changes)

    async def used(self, name=NAME):
        """Return what stands against a limit, after making sure that its bookings say the same."""
        async with self.spend.read() as connection:
            mine = spend_limit.c.id == ledger.limit_id(self.owner, name)
            row = (await connection.execute(select(spend_limit).where(mine))).one()
            assert await ledger.counted(connection, row.id) == (row.machine_used, row.person_used)
            return row.machine_used, row.person_used

    async def follow(self, new, at=None):
        self.terms = new
        async with self.spend.write() as tx:
            await ledger.follow(tx, self.owner, new, at or self.now)

    async def rows(self, table):
        async with self.spend.read() as connection:
            return (await connection.execute(select(table))).all()


@pytest.fixture
async def orders(spend, store_order, make_order):
    """Twenty stored orders."""
    numbers = [f"G1-{number:04}" for number in range(20)]
    async with spend.write() as tx:
        for number in numbers:
            await store_order(tx, make_order(number))
    return numbers


@pytest.fixture
def books(spend, owner, now):
    return Books(spend, owner, now)


async def test_what_fits_is_reserved_and_what_does_not_leaves_no_trace(orders, books):
    assert await books.book(orders[0], 60_00) is Room.RESERVED
    assert await books.book(orders[1], 40_01) is Room.FULL
    assert await books.book(orders[2], 40_00) is Room.RESERVED
    assert await books.used() == (100_00, 0)
    assert len(await books.rows(booking)) == len(await books.rows(reservation)) == 2


async def test_one_limit_without_room_stops_all_of_them(orders, books):
    books.terms = terms(MACHINE, PLANT_MONTH, THREE_A_DAY, TOOLS)
    assert await books.book(orders[0], 70_00, categories=("tools",)) is Room.RESERVED
    assert await books.book(orders[1], 20_00, categories=("tools",)) is Room.FULL
    assert await books.book(orders[2], 20_00) is Room.RESERVED
    assert await books.used() == (90_00, 0)
    assert await books.used("category:tools:total:EUR") == (70_00, 0)
    assert await books.used("plant:*:month:EUR:2026-03") == (90_00, 0)
    assert await books.used("supplier:shop:day:orders:2026-03-02") == (2, 0)


async def test_a_limit_is_counted_for_each_machine_by_itself(orders, books):
    assert await books.book(orders[0], 100_00) is Room.RESERVED
    assert await books.book(orders[1], 100_00, machine="press") is Room.RESERVED
    assert await books.book(orders[2], 1, machine="press") is Room.FULL


async def test_orders_are_counted_too(orders, books):
    books.terms = terms(THREE_A_DAY)
    found = [await books.book(order, 1) for order in orders[:4]]
    assert found == [Room.RESERVED] * 3 + [Room.FULL]
    assert await books.book(orders[4], 1, supplier="other") is Room.RESERVED


async def test_a_month_ends_by_the_sites_calendar(orders, books):
    books.terms = terms(PLANT_MONTH)
    last_minute = datetime(2026, 3, 31, 21, 59, tzinfo=UTC)  # 23:59 in Berlin, which has summer time by then
    assert await books.book(orders[0], 150_00, at=last_minute) is Room.RESERVED
    assert await books.book(orders[1], 1, at=last_minute) is Room.FULL
    assert await books.book(orders[1], 150_00, at=last_minute + timedelta(minutes=1)) is Room.RESERVED


async def test_a_release_gives_room_back_to_the_month_that_it_was_taken_from(orders, books):
    books.terms = terms(PLANT_MONTH)
    await books.book(orders[0], 100_00)
    await books.book(orders[1], 50_00, at=books.now + timedelta(days=31))
    await books.act(ledger.release, orders[0])
    assert await books.used("plant:*:month:EUR:2026-03") == (0, 0)
    assert await books.used("plant:*:month:EUR:2026-04") == (50_00, 0)


async def test_another_currency_takes_room_at_the_pinned_rate_rounded_up(orders, books):
    books.terms = terms(rates=DOLLAR)
    assert await books.book(orders[0], 3, currency="USD") is Room.RESERVED
    assert await books.used() == (2, 0)  # a cent and a half


async def test_what_a_person_approves_is_counted_by_a_rate_of_any_day(orders, books):
    books.terms = terms(rates=DOLLAR)
    later = books.now + timedelta(days=200)
    await books.book(orders[0], 40_00, currency="USD", by_person=True, at=later)
    assert await books.used() == (0, 20_00)


async def test_what_no_rate_converted_is_counted_once_a_rate_is_pinned(orders, books):
    await books.book(orders[0], 40_00, currency="USD", by_person=True)
    assert await books.used() == (0, 0)
    await books.follow(terms(rates=DOLLAR))
    assert await books.used() == (0, 20_00)
    await books.follow(terms(rates=DOLLAR))
    assert await books.used() == (0, 20_00)


async def test_persons_are_not_held_by_the_limit_but_narrow_the_gateways_room(orders, books):
    assert await books.book(orders[0], 90_00, by_person=True) is Room.RESERVED
    assert await books.book(orders[1], 10_01) is Room.FULL
    assert await books.book(orders[2], 10_00) is Room.RESERVED
    assert await books.book(orders[3], 500_00, by_person=True) is Room.RESERVED
    assert await books.used() == (10_00, 590_00)


async def test_who_says_nothing_else_must_fit_and_books_one_send(spend, owner, orders, books):
    await books.book(orders[0], 90_00)
    async with spend.write() as tx:

        async def reserve(minor, send):
            asked = books.subject(orders[1], minor)
            claims = claims_of(books.terms, asked, books.now)
            return await ledger.reserve(tx, owner, asked, claims, send=send, by_person=True, at=books.now)

        assert await reserve(10_01, 1) is Room.FULL
        assert await reserve(4_00, 1) is Room.RESERVED
        with pytest.raises(LedgerBroken, match="booked already"):
            await reserve(4_00, 2)


async def test_eight_at_once_never_overspend(orders, books):
    outcomes = await asyncio.gather(*(books.book(order, 15_00) for order in orders[:8]))
    assert outcomes.count(Room.RESERVED) == 6
    assert await books.used() == (90_00, 0)


async def test_eight_writers_on_one_file_never_overspend(spend, orders, books):
    storages = [Storage(spend.path, FULL) for _ in range(8)]
    outcomes = await asyncio.gather(
        *(books.book(order, 15_00, storage=storage) for order, storage in zip(orders, storages, strict=False))
    )
    for storage in storages:
        await storage.close()
    assert outcomes.count(Room.RESERVED) == 6
    assert await books.used() == (90_00, 0)


async def test_an_order_is_booked_once(orders, books):
    await books.book(orders[0], 10_00)
    for by_person in (False, True):
        with pytest.raises(LedgerBroken, match="booked already"):
            await books.book(orders[0], 10_00, by_person=by_person)
        with pytest.raises(LedgerBroken, match="booked already"):
            await books.book(orders[0], 10_00, by_person=by_person, send=2)
    assert await books.used() == (10_00, 0)


@pytest.mark.parametrize("by_person", [False, True])
async def test_a_second_send_is_booked_beside_the_first_if_there_is_room(orders, books, by_person):
    await books.book(orders[0], 40_00, by_person=by_person)
    assert await books.book(orders[0], 40_00, by_person=by_person, send=2, extra=True) is Room.RESERVED
    assert await books.book(orders[0], 40_00, by_person=by_person, send=3, extra=True) is Room.FULL
    with pytest.raises(LedgerBroken, match="booked already"):
        await books.book(orders[0], 40_00, by_person=by_person, send=2, extra=True)
    assert sum(await books.used()) == 80_00


async def test_a_commitment_is_of_one_send_and_gives_the_others_back(orders, books):
    await books.book(orders[0], 40_00)
    await books.book(orders[0], 40_00, send=2, extra=True)
    settled = await books.act(ledger.commit, orders[0])
    assert (settled.send, settled.released) == (1, (2,))
    assert await books.used() == (40_00, 0)
    assert await books.act(ledger.commit, orders[0]) is None


async def test_a_send_that_comes_after_the_commitment_is_given_back_by_committing_again(orders, books):
    await books.book(orders[0], 40_00)
    await books.act(ledger.commit, orders[0])
    await books.book(orders[0], 40_00, send=2, extra=True)
    assert (await books.act(ledger.commit, orders[0])).released == (2,)
    assert await books.used() == (40_00, 0)


async def test_who_committed_and_what_is_given_back_is_told(orders, books):
    await books.book(orders[0], 20_00, by_person=True)
    await books.book(orders[0], 20_00, by_person=True, send=2, extra=True)
    await books.book(orders[0], 20_00, by_person=True, send=3, extra=True)
    whole = Settled(1, Money(20_00, "EUR"), by_person=True, released=(2, 3))
    assert await books.act(ledger.release, orders[0]) == whole
    await books.book(orders[1], 10_00, by_person=True)
    assert await books.act(ledger.commit, orders[1]) == replace(whole, amount=Money(10_00, "EUR"), released=())
    await books.book(orders[2], 10_00)
    assert (await books.act(ledger.commit, orders[2])).by_person is False


async def test_one_send_can_be_given_back_alone(orders, books):
    await books.book(orders[0], 40_00)
    await books.book(orders[0], 40_00, send=2, extra=True)
    assert (await books.act(ledger.release, orders[0], send=2)).send == 2
    assert await books.used() == (40_00, 0)


async def test_a_release_gives_the_room_back_once(orders, books):
    await books.book(orders[0], 10_00)
    await books.book(orders[1], 20_00, by_person=True)
    for order in orders[:2]:
        assert await books.act(ledger.release, order) is not None
        assert await books.act(ledger.release, order) is None
    assert await books.used() == (0, 0)


async def test_what_a_release_gives_back_is_what_one_send_still_holds_of_each_limit(spend, orders, books):
    books.terms = terms(MACHINE, THREE_A_DAY)
    await books.book(orders[0], 30_00)
    await books.book(orders[0], 11_00, send=2, extra=True)
    await books.book(orders[1], 20_00, by_person=True)
    await books.act(ledger.commit, orders[1])

    async def held(order, send, by_person):
        query = select(spend_limit.c.measure, ledger._given_back(by_person=by_person).label("held"))
        async with spend.read() as connection:
            rows = await connection.execute(query, {"of_order": order, "of_send": send})
            return {row.measure: row.held for row in rows}

    assert await held(orders[0], 1, by_person=False) == {"EUR": 30_00, "orders": 1}
    assert await held(orders[0], 2, by_person=False) == {"EUR": 11_00, "orders": 1}
    assert await held(orders[0], 1, by_person=True) == {"EUR": 0, "orders": 0}
    assert await held(orders[1], 1, by_person=True) == {"EUR": 20_00, "orders": 1}
    await books.act(ledger.release, orders[0], send=1)
    assert await held(orders[0], 1, by_person=False) == {"EUR": 0, "orders": 0}


async def test_a_released_order_can_come_back_to_the_gate(orders, books):
    await books.book(orders[0], 10_00)
    await books.act(ledger.release, orders[0])
    assert await books.book(orders[0], 12_00, by_person=True) is Room.RESERVED
    assert await books.used() == (0, 12_00)


async def test_a_commitment_keeps_its_room_and_may_still_be_released(orders, books):
    await books.book(orders[0], 10_00)
    settled = await books.act(ledger.commit, orders[0])
    assert (settled.amount, settled.by_person, settled.released) == (Money(10_00, "EUR"), False, ())
    assert await books.used() == (10_00, 0)
    await books.act(ledger.release, orders[0])
    assert await books.used() == (0, 0)


async def test_what_was_released_is_not_committed(orders, books):
    await books.book(orders[0], 10_00)
    await books.act(ledger.release, orders[0])
    with pytest.raises(LedgerBroken, match="no reservation"):
        await books.act(ledger.commit, orders[0])


async def test_an_order_that_was_never_booked_has_nothing_to_settle(orders, books):
    for act in (ledger.commit, ledger.release):
        with pytest.raises(LedgerBroken, match="never booked"):
            await books.act(act, orders[0])


async def test_a_commitment_elapses_with_the_window_and_a_reservation_does_not(orders, books):
    await books.book(orders[0], 30_00)
    await books.book(orders[1], 30_00)
    await books.book(orders[2], 20_00, by_person=True)
    await books.act(ledger.commit, orders[0])
    await books.act(ledger.commit, orders[2])
    end = books.now + timedelta(days=DAYS)
    assert await books.book(orders[3], 70_00, at=end - timedelta(microseconds=1)) is Room.FULL
    assert await books.book(orders[3], 70_00, at=end) is Room.RESERVED
    assert await books.used() == (100_00, 0)


async def test_what_elapsed_gives_nothing_back_twice(orders, books):
    await books.book(orders[0], 30_00)
    await books.act(ledger.commit, orders[0])
    await books.book(orders[1], 10_00, at=books.now + timedelta(days=DAYS))
    assert await books.act(ledger.commit, orders[0]) is None
    assert await books.act(ledger.release, orders[0]) is not None
    assert await books.used() == (10_00, 0)


async def test_a_limit_lowered_below_what_is_reserved_loses_nothing_and_gives_no_room(orders, books):
    await books.book(orders[0], 60_00)
    await books.book(orders[1], 30_00)
    lower = MACHINE.model_copy(update={"amount": Money(50_00, "EUR")})
    await books.follow(terms(lower))
    assert await books.used() == (90_00, 0)
    assert await books.book(orders[2], 1) is Room.FULL
    await books.act(ledger.release, orders[0])
    [row] = await books.rows(spend_limit)
    assert (row.machine_used, row.limit_value, row.ceiling) == (30_00, 50_00, 50_00)
    assert await books.book(orders[2], 20_01) is Room.FULL
    assert await books.book(orders[2], 20_00) is Room.RESERVED


async def test_the_schema_itself_keeps_the_gateway_below_the_ceiling(spend, orders, books):
    await books.book(orders[0], 60_00)
    with pytest.raises(IntegrityError, match="within_ceiling"):
        async with spend.write() as tx:
            await tx.execute(update(spend_limit).values(machine_used=100_01))
    with pytest.raises(IntegrityError, match="not_negative"):
        async with spend.write() as tx:
            await tx.execute(update(spend_limit).values(person_used=-1))


async def test_a_new_limit_counts_what_is_reserved_already(orders, books):
    await books.book(orders[0], 60_00)
    await books.book(orders[1], 30_00, by_person=True)
    await books.act(ledger.commit, orders[1])
    await books.follow(terms(MACHINE, PLANT_MONTH))
    assert await books.book(orders[2], 5_00) is Room.RESERVED
    assert await books.used("plant:*:month:EUR:2026-03") == (65_00, 30_00)


async def test_a_limit_that_is_gone_gives_no_room_and_counts_what_it_missed_when_it_is_back(orders, books):
    await books.book(orders[0], 60_00)
    await books.follow(terms(PLANT_MONTH))
    await books.book(orders[1], 30_00)
    assert await books.used() == (60_00, 0)
    await books.follow(terms(MACHINE, PLANT_MONTH))
    assert await books.used() == (90_00, 0)


async def test_another_window_counts_from_the_reservations_within_it(orders, books):
    await books.book(orders[0], 30_00)
    await books.book(orders[1], 20_00, at=books.now + timedelta(days=9))
    for order in orders[:2]:
        await books.act(ledger.commit, order)
    await books.follow(terms(MACHINE.model_copy(update={"per": "7 d"})))
    await books.book(orders[2], 10_00, at=books.now + timedelta(days=10))
    assert await books.used("machine:mill:7 d:EUR") == (30_00, 0)


async def test_what_was_given_back_is_not_counted_by_a_limit_that_comes_later(orders, books):
    await books.book(orders[0], 60_00)
    await books.book(orders[1], 30_00)
    await books.act(ledger.release, orders[0])
    await books.follow(terms(MACHINE, PLANT_MONTH))
    assert await books.book(orders[2], 5_00) is Room.RESERVED
    month = "plant:*:month:EUR:2026-03"
    assert await books.used(month) == (35_00, 0)
    counted = [row for row in await books.rows(booking) if row.limit_id == ledger.limit_id(books.owner, month)]
    assert {row.order_number for row in counted} == {orders[1], orders[2]}


async def test_a_limit_that_comes_later_counts_nothing_of_another_plant(spend, owner, orders, books):
    there = Books(spend, replace(owner, plant="southworks"), books.now)
    await there.book(orders[0], 60_00)
    await books.book(orders[1], 30_00)
    assert await books.used() == (30_00, 0)
    assert await there.used() == (60_00, 0)


@pytest.mark.parametrize(
    ("scope", "key"),
    [("component", "mill/spindle"), ("supplier", "shop"), ("category", "tools"), ("machine", "mill")],
)
async def test_a_limit_that_comes_later_knows_what_was_bought_for_whom_from_whom(orders, books, scope, key):
    await books.book(orders[0], 60_00, categories=("oil", "tools"))
    late = LimitRule(scope=scope, key=key, per="total", amount=Money(90_00, "EUR"))
    books.terms = terms(MACHINE, late)
    assert await books.book(orders[1], 30_01, categories=("tools",)) is Room.FULL
    assert await books.book(orders[1], 30_00, categories=("tools",)) is Room.RESERVED
    assert await books.used(f"{scope}:{key}:total:EUR") == (90_00, 0)


async def test_a_reservation_says_what_it_is_for(spend, orders, books):
    subject = books.subject(orders[0], 60_00, categories=("oil", "tools"))
    await books.book(orders[0], 60_00, categories=("oil", "tools"))
    async with spend.read() as connection:
        [row] = await ledger.live(connection, orders[0])
    assert ledger.subject_of(row) == subject


async def test_a_limit_that_comes_when_a_window_has_passed_does_not_count_what_lies_before_it(orders, books):
    await books.book(orders[0], 30_00)
    await books.book(orders[1], 20_00, at=books.now + timedelta(microseconds=1))
    await books.book(orders[2], 10_00)
    for order in orders[:2]:
        await books.act(ledger.commit, order)
    books.terms = terms(MACHINE.model_copy(update={"per": "7 d"}))
    await books.book(orders[3], 5_00, at=books.now + timedelta(days=7))
    assert await books.used("machine:mill:7 d:EUR") == (35_00, 0)


async def test_only_what_is_older_than_the_window_elapses_and_only_for_its_limit(orders, books):
    begin, end = books.now, books.now + timedelta(days=DAYS)
    await books.book(orders[0], 30_00)
    await books.book(orders[1], 20_00, at=begin + timedelta(microseconds=1))
    await books.book(orders[2], 15_00, machine="press")
    for order in orders[:3]:
        await books.act(ledger.commit, order)
    await books.book(orders[3], 5_00, at=end)
    assert await books.used() == (25_00, 0)
    assert await books.used(f"machine:press:{DAYS} d:EUR") == (15_00, 0)
    states = {(row.order_number, row.state) for row in await books.rows(booking)}
    assert states == {
        (orders[0], "elapsed"),
        (orders[1], "committed"),
        (orders[2], "committed"),
        (orders[3], "reserved"),
    }


async def heights(books):
    """Each limit of the books with its ceiling."""
    prefix = ledger.limit_id(books.owner, "")
    return {row.id.removeprefix(prefix): (row.limit_value, row.ceiling) for row in await books.rows(spend_limit)}


async def test_every_limit_follows_the_policy_at_once_and_its_ceiling_with_it(orders, books):
    day = f"supplier:shop:day:orders:{books.now.date()}"
    books.terms = terms(MACHINE, THREE_A_DAY)
    await books.book(orders[0], 60_00)
    await books.follow(terms(MACHINE.model_copy(update={"amount": Money(250_00, "EUR")}), THREE_A_DAY))
    assert await heights(books) == {NAME: (250_00, 250_00), day: (3, 3)}
    await books.follow(terms(MACHINE.model_copy(update={"amount": Money(50_00, "EUR")}), THREE_A_DAY))
    assert await heights(books) == {NAME: (50_00, 60_00), day: (3, 3)}
    await books.follow(terms(PLANT_MONTH))
    assert await heights(books) == {NAME: (0, 60_00), day: (0, 1)}


async def test_a_limit_for_one_order_stays_as_it_was_opened(orders, books):
    books.terms = terms(LimitRule(scope=Scope.ORDER, amount=Money(90_00, "EUR")))
    await books.book(orders[0], 60_00)
    await books.follow(terms(LimitRule(scope=Scope.ORDER, amount=Money(20_00, "EUR"))))
    assert await heights(books) == {f"order:{orders[0]}:total:EUR": (90_00, 90_00)}


async def test_a_month_that_is_back_counts_what_it_missed_by_the_sites_calendar(orders, books):
    books.terms = terms(MACHINE, PLANT_MONTH)
    april = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)  # half an hour into April, in Berlin
    await books.book(orders[0], 20_00)
    await books.book(orders[1], 10_00, at=april)
    await books.follow(terms(MACHINE), april)
    await books.book(orders[2], 5_00)
    await books.book(orders[3], 7_00, at=april)
    await books.follow(terms(MACHINE, PLANT_MONTH), april)
    assert await books.used("plant:*:month:EUR:2026-04") == (17_00, 0)
    assert await books.used("plant:*:month:EUR:2026-03") == (20_00, 0), "a month that has ended is left as it was"


async def test_a_window_that_is_back_counts_what_it_missed_and_what_has_not_elapsed(orders, books):
    await books.book(orders[0], 10_00)
    later = books.now + timedelta(days=DAYS)
    await books.follow(terms(PLANT_MONTH))
    await books.book(orders[1], 20_00)
    await books.book(orders[2], 30_00, at=later)
    for order in orders[1:3]:
        await books.act(ledger.commit, order)
    await books.follow(terms(MACHINE), later)
    assert await books.used() == (40_00, 0)


async def test_a_row_that_somebody_raised_is_set_to_the_policys_limit(spend, owner, orders, books):
    await books.book(orders[0], 60_00)
    async with spend.write() as tx:
        await tx.execute(update(spend_limit).values(limit_value=10**9, ceiling=10**9))
    assert await books.book(orders[1], 60_00) is Room.FULL


async def test_what_stands_is_told_by_name(spend, owner, orders, books):
    await books.book(orders[0], 60_00)
    async with spend.write() as tx:
        claims = claims_of(books.terms, books.subject(orders[1], 1), books.now)
        assert await ledger.standing(tx, owner, claims, books.terms, books.now) == {NAME: Used(60_00, 0)}
        assert await ledger.standing(tx, owner, (), books.terms, books.now) == {}


async def test_a_limit_for_one_order_is_a_row_of_that_order(orders, books):
    books.terms = terms(LimitRule(scope=Scope.ORDER, amount=Money(50_00, "EUR")))
    assert await books.book(orders[0], 50_01) is Room.FULL
    assert await books.book(orders[0], 30_00) is Room.RESERVED
    assert await books.book(orders[1], 50_00) is Room.RESERVED
    assert await books.book(orders[0], 30_00, send=2, extra=True) is Room.FULL
    assert await books.used(f"order:{orders[0]}:total:EUR") == (30_00, 0)


async def test_a_reservation_that_moved_meanwhile_is_not_moved_again(spend, orders, books):
    await books.book(orders[0], 10_00)
    async with spend.write() as tx:
        [row] = await ledger.live(tx, orders[0])
        await ledger.release(tx, orders[0])
        with pytest.raises(LedgerBroken, match="somebody else"):
            await ledger._move(tx, row, BookingState.COMMITTED)


async def test_limits_of_two_gateways_never_meet(spend, owner, orders, books):
    other = Books(spend, type(owner)(owner.plant, "G2"), books.now)
    assert await books.book(orders[0], 100_00) is Room.RESERVED
    assert await other.book(orders[1], 100_00) is Room.RESERVED


# What was agreed is less than what was ordered.


async def reduce(books, order, minor, currency="EUR"):
    async with books.spend.write() as tx:
        return await reduction.reduce(tx, order, Money(minor, currency))


@pytest.mark.parametrize("by_person", [False, True])
async def test_a_commitment_comes_down_to_what_was_agreed_and_never_goes_up(orders, books, by_person):
    await books.book(orders[0], 40_00, by_person=by_person)
    await books.book(orders[1], 30_00, by_person=by_person)
    await books.act(ledger.commit, orders[0])
    done = await reduce(books, orders[0], 15_00)
    assert (done.send, done.before, done.amount, done.by_person) == (
        1,
        Money(4000, "EUR"),
        Money(1500, "EUR"),
        by_person,
    )
    assert await reduce(books, orders[0], 15_00) is None
    assert await reduce(books, orders[0], 20_00) is None
    assert await books.used() == ((0, 45_00) if by_person else (45_00, 0))
    assert (await books.act(ledger.release, orders[0])).amount == Money(15_00, "EUR")
    assert await books.used() == ((0, 30_00) if by_person else (30_00, 0))


async def test_what_comes_down_gives_its_room_to_the_next_order_and_stays_one_order(orders, books):
    books.terms = terms(MACHINE, THREE_A_DAY)
    await books.book(orders[0], 100_00)
    await books.act(ledger.commit, orders[0])
    assert await books.book(orders[1], 60_00) is Room.FULL
    await reduce(books, orders[0], 40_00)
    assert await books.book(orders[1], 60_00) is Room.RESERVED
    assert await books.used(f"supplier:shop:day:orders:{books.now.date()}") == (2, 0)


async def test_an_order_of_which_nothing_is_left_was_still_an_order(orders, books):
    books.terms = terms(MACHINE, THREE_A_DAY)
    await books.book(orders[0], 100_00)
    await books.act(ledger.commit, orders[0])
    await reduce(books, orders[0], 0)
    assert await books.used() == (0, 0)
    assert await books.used(f"supplier:shop:day:orders:{books.now.date()}") == (1, 0)


async def test_what_comes_down_later_comes_down_in_the_month_in_which_it_was_booked(orders, books):
    books.terms = terms(PLANT_MONTH)
    await books.book(orders[0], 100_00)
    await books.act(ledger.commit, orders[0])
    await books.book(orders[1], 50_00, at=books.now + timedelta(days=31))
    await reduce(books, orders[0], 30_00)
    assert await books.used("plant:*:month:EUR:2026-03") == (30_00, 0)
    assert await books.used("plant:*:month:EUR:2026-04") == (50_00, 0)


async def test_what_has_elapsed_comes_down_without_giving_room_back_twice(orders, books):
    await books.book(orders[0], 30_00)
    await books.act(ledger.commit, orders[0])
    await books.book(orders[1], 10_00, at=books.now + timedelta(days=DAYS))
    await reduce(books, orders[0], 5_00)
    assert await books.used() == (10_00, 0)
    assert {row.amount for row in await books.rows(booking)} == {5_00, 10_00}


async def test_another_currency_comes_down_at_the_rate_of_its_booking_rounded_up(orders, books):
    books.terms = terms(rates=DOLLAR)
    await books.book(orders[0], 40_01, currency="USD")
    await books.act(ledger.commit, orders[0])
    await reduce(books, orders[0], 10_01, "USD")
    assert await books.used() == (5_01, 0)


async def test_only_a_commitment_in_the_same_currency_comes_down(orders, books):
    await books.book(orders[0], 40_00)
    with pytest.raises(LedgerBroken, match="no commitment"):
        await reduce(books, orders[0], 10_00)
    await books.act(ledger.commit, orders[0])
    with pytest.raises(LedgerBroken, match="not in USD"):
        await reduce(books, orders[0], 10_00, "USD")
    assert await books.used() == (40_00, 0)


async def test_only_the_committed_send_of_the_order_comes_down_on_each_of_its_limits(orders, books):
    books.terms = terms(MACHINE, THREE_A_DAY, rates=DOLLAR)
    await books.book(orders[0], 40_00, currency="USD")
    await books.book(orders[1], 21_00)
    await books.act(ledger.commit, orders[0])
    dearer = PinnedRate(rate=Decimal("0.6"), dated=date(2026, 3, 2))
    books.terms = replace(books.terms, rates=DOLLAR.model_copy(update={"of": {"USD": dearer}}))
    await books.book(orders[0], 40_00, currency="USD", send=2, extra=True)
    done = await reduce(books, orders[0], 10_00, "USD")
    assert done == reduction.Reduced(1, Money(40_00, "USD"), Money(10_00, "USD"), by_person=False)
    held = {(row.order_number, row.send): (row.minor, row.state) for row in await books.rows(reservation)}
    assert held == {
        (orders[0], 1): (10_00, "committed"),
        (orders[0], 2): (40_00, "reserved"),
        (orders[1], 1): (21_00, "reserved"),
    }
    day = f"supplier:shop:day:orders:{books.now.date()}"
    booked = {(row.order_number, row.send, row.limit_id): row.amount for row in await books.rows(booking)}
    assert booked == {
        (order, send, ledger.limit_id(books.owner, name)): amount
        for order, send, minor in ((orders[0], 1, 5_00), (orders[0], 2, 24_00), (orders[1], 1, 21_00))
        for name, amount in ((NAME, minor), (day, 1))
    }
    assert (await books.used(), await books.used(day)) == ((50_00, 0), (3, 0))


@pytest.mark.parametrize(
    ("amount", "measure", "less"),
    [(1, "orders", 1), (40_00, "EUR", 10_00), (30_00, "EUR", 10_00), (14, "USD", 4), (16, "USD", 4)],
    ids=["an order", "its own currency", "whatever was booked of it", "rounded up", "even"],
)
def test_an_order_stays_one_order_and_another_currency_keeps_the_rate_of_its_booking(amount, measure, less):
    assert reduction.booked_for(amount, measure, Money(40_00, "EUR"), Money(10_00, "EUR")) == less
