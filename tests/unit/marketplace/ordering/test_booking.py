"""A technician comes after the parts, in a maintenance window, and nobody is left in the dark when a part slips."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from maintenance.needs import Belief, Provenance
from marketplace import stock, store
from marketplace.audit import log
from marketplace.authority.policy import Mode
from marketplace.openings import Openings
from marketplace.ordering.booking import Booking, Standing, arrival, booking_for, booking_of, is_service, visit
from marketplace.ordering.states import RequisitionState
from marketplace.settings import HOUR, TimingSettings
from marketplace.stakes import Supply
from marketplace.timing import Held, advise
from marketplace.windows import PlantWindows, Weekly, Windows
from tests.unit.marketplace.fakes import ANNA, BEARING, ECONOMICS, LINE, SERVICE, AwaySupplier, a_need, everywhere

R = RequisitionState
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
SATURDAYS = Windows((Weekly.parse("saturday 06:00-14:00"),), ZoneInfo("Europe/Berlin"))
JOB = (LINE, SERVICE)


def days(count: float) -> datetime:
    return NOW + timedelta(days=count)


# The parts' arrival, as a function.


@pytest.mark.parametrize(
    ("standings", "at"),
    [
        ([], None),
        ([Standing("bearing", R.NEEDED)], None),
        ([Standing("bearing", R.QUOTING)], None),
        ([Standing("bearing", R.PROPOSED, (days(3),))], None),
        ([Standing("bearing", R.ORDERED)], None),
        ([Standing("bearing", R.ORDERED, (None,))], None),
        ([Standing("bearing", R.ORDERED, (NOW,))], None),
        ([Standing("bearing", R.ORDERED, (days(3),))], days(3)),
        ([Standing("bearing", R.ORDERED, (days(5), days(3)))], days(5)),
        ([Standing("bearing", R.FULFILLED)], NOW),
        ([Standing("bearing", R.FULFILLED), Standing("bearing", R.ORDERED, (days(2),))], days(2)),
        ([Standing("bearing", R.WITHDRAWN)], None),
        ([Standing("bearing", R.WITHDRAWN), Standing("bearing", R.FULFILLED)], NOW),
        ([Standing("grease", R.FULFILLED)], None),
    ],
)
def test_parts_are_here_when_each_is_here_or_promised(standings, at):
    assert arrival(["bearing"], standings, NOW) == at


def test_a_job_without_parts_waits_for_none():
    assert arrival([], [Standing("bearing", R.NEEDED)], NOW) == NOW


standings = st.lists(
    st.builds(
        Standing,
        st.sampled_from(["bearing", "grease"]),
        st.sampled_from(list(R)),
        st.lists(st.none() | st.integers(-3, 30).map(days), max_size=3).map(tuple),
    ),
    max_size=6,
)


@given(standings)
def test_the_visit_is_never_before_a_promise_and_never_without_one(found):
    at = arrival(["bearing", "grease"], found, NOW)
    if at is None:
        return
    assert at >= NOW
    assert {each.line for each in found if each.state in (R.ORDERED, R.FULFILLED)} == {"bearing", "grease"}
    for each in found:
        if each.state is R.ORDERED:
            assert each.promises
            assert all(promised is not None and NOW < promised <= at for promised in each.promises)


# What is kept with a want.


def test_a_want_of_a_service_knows_what_it_waits_for():
    need = replace(a_need(NOW), lines=JOB, duration=timedelta(hours=6))
    kept = booking_for(need, SERVICE)
    assert booking_of(json.loads(json.dumps(kept))) == Booking(("bearing",), timedelta(hours=6))
    assert booking_for(need, LINE) == {}
    assert booking_of({"kind": "service"}) is None
    assert booking_of(booking_for(replace(need, duration=None), SERVICE)) == Booking(("bearing",), timedelta(0))
    assert (is_service({"kind": "service"}), is_service({"kind": "part"}), is_service({})) == (True, False, False)


@pytest.mark.parametrize(
    ("earliest", "comes"),
    [
        (days(1), datetime(2026, 3, 7, 5, tzinfo=UTC)),
        (datetime(2026, 3, 7, 5, tzinfo=UTC), datetime(2026, 3, 7, 5, tzinfo=UTC)),
        (days(6), datetime(2026, 3, 14, 5, tzinfo=UTC)),
    ],
)
def test_who_cannot_come_on_the_day_comes_in_the_next_window(earliest, comes):
    booking = Booking(("bearing",), timedelta(hours=6))
    assert visit(datetime(2026, 3, 7, 5, tzinfo=UTC), earliest, booking, SATURDAYS) == comes


def test_a_job_that_no_window_holds_comes_when_it_can():
    booking = Booking((), timedelta(hours=9))
    assert visit(NOW, days(1), booking, SATURDAYS) == days(1)


# Rounds.


@pytest.fixture
async def plant(make_plant):
    plant = await make_plant()
    plant.terms = replace(plant.terms, windows=everywhere(SATURDAYS))
    plant.restart()
    return plant


async def service(plant):
    (row,) = [row for row in await plant.rows(store.requisition) if row.line == "calibration"]
    return row


async def order_of(plant, line):
    links = {link.requisition: link.order_number for link in await plant.rows(store.line_requisition)}
    (row,) = [row for row in await plant.rows(store.requisition) if row.line == line]
    return next((order for order in await plant.orders() if order.number == links.get(row.id)), None)


async def put_order(plant, number, **columns):
    async with plant.database.write() as tx:
        table = store.purchase_order
        await tx.execute(update(table).where(table.c.number == number).values(**columns))


async def told(plant, kind):
    async with plant.database.read() as tx:
        return [(leaf.subject, leaf.facts) for leaf in await log.entries(tx, owner=plant.owner, kind=kind)]


async def test_nobody_is_asked_to_come_before_the_parts_are_promised(plant):
    await plant.want(SERVICE, job=JOB)
    row = await service(plant)
    assert (row.state, row.quoting_after) == ("needed", plant.clock() + plant.terms.requote_after)
    assert await plant.orders() == []
    await plant.passes(3, hours=1)
    assert await plant.orders() == []


async def test_a_service_is_booked_for_the_first_window_after_its_parts(plant):
    await plant.want(LINE, job=JOB)
    await plant.want(SERVICE, job=JOB)
    part, visiting = await order_of(plant, "bearing"), await order_of(plant, "calibration")
    window = SATURDAYS.next(part.promised_at, timedelta(hours=6))
    row = await service(plant)
    assert (row.state, row.needed_by) == ("ordered", window.start)
    assert json.loads(visiting.document)["deliver_by"] == f"{window.start:%Y-%m-%dT%H:%M:%S.%fZ}"
    ((subject, facts),) = await told(plant, "requisition.booked")
    assert (subject, facts["start"]) == (row.id, f"{window.start:%Y-%m-%dT%H:%M:%S.%fZ}")


async def test_with_the_parts_on_the_shelf_it_is_the_next_window(plant):
    async with plant.database.write() as tx:
        await stock.count(tx, plant.owner, BEARING.key, LINE.quantity, "C62", ANNA, plant.clock())
    await plant.want(LINE, job=JOB)
    await plant.want(SERVICE, job=JOB)
    window = SATURDAYS.next(plant.clock(), timedelta(hours=6))
    assert (await service(plant)).needed_by == window.start
    # its supplier cannot come as soon as that: it is ordered for the first window in which it can
    document = json.loads((await order_of(plant, "calibration")).document)
    comes = datetime.fromisoformat(document["deliver_by"])
    assert comes > window.start
    assert SATURDAYS.next(comes, timedelta(hours=6)).start == comes


def terms_at(now):
    """The part lies here, kept for this life, and the machine may be worked on on Saturdays."""
    begin = SATURDAYS.beginnings(now, timedelta(hours=6))
    spans = tuple(((opens - now) / HOUR, (shuts - now) / HOUR) for opens, shuts in begin)
    held = Held(Supply("", 0.0, (0.0,)))
    return replace(TimingSettings().terms(ECONOMICS), held=held, openings=Openings(spans, 7200.0))


async def test_parts_that_are_here_long_before_they_are_fitted_stop_no_machine(plant):
    """It is booked for the window that timing calls best, and not for the first one in which the parts are here."""
    async with plant.database.write() as tx:
        await stock.count(tx, plant.owner, BEARING.key, LINE.quantity, "C62", ANNA, plant.clock())
    now = plant.clock()
    belief = Belief.of(  # nothing happens for three weeks
        [0.0, 500.0, 700.0, 900.0], [1.0, 1.0, 0.5, 0.0], unit="h", use_per_hour=1.0, as_of=now, provenance=Provenance.A
    )
    calm = replace(a_need(now), lines=JOB, duration=timedelta(hours=6), belief=belief)
    early = advise(belief, terms_at(now), now)
    assert early.fit_by is not None
    assert early.fit_by > now + timedelta(days=14)
    assert SERVICE not in early.wants(JOB)
    plant.clock.now = later = early.fit_by - early.weighed.terms.arrival
    again = advise(belief, terms_at(later), later)
    assert SERVICE in again.wants(JOB)
    await plant.want(LINE, job=JOB)
    await plant.purchasing.want(calm, SERVICE, again, Mode.BUY, ECONOMICS)
    booked = (await service(plant)).needed_by
    assert booked > SATURDAYS.next(later, timedelta(hours=6)).start + timedelta(days=6)
    assert abs(booked - again.fit_by) < timedelta(seconds=2)


async def test_a_job_that_fits_into_no_window_is_not_booked(plant):
    plant.terms = replace(plant.terms, windows=everywhere(Windows((Weekly.parse("saturday 06:00-08:00"),))))
    plant.restart()
    await plant.want(SERVICE)
    assert ((await service(plant)).state, await plant.orders()) == ("needed", [])


async def test_windows_that_are_named_later_count_for_what_is_booked_from_then_on(plant):
    sundays = Windows((Weekly.parse("sunday 06:00-14:00"),), ZoneInfo("Europe/Berlin"))
    plant.purchasing.open_in(everywhere(sundays))
    await plant.want(LINE, job=JOB)
    await plant.want(SERVICE, job=JOB)
    part = await order_of(plant, "bearing")
    assert (await service(plant)).needed_by == sundays.next(part.promised_at, timedelta(hours=6)).start


async def test_a_service_is_booked_for_a_window_of_its_own_machine(plant):
    sundays, mondays = Weekly.parse("sunday 06:00-14:00"), Weekly.parse("monday 06:00-14:00")
    zone = ZoneInfo("Europe/Berlin")
    plant.purchasing.open_in(PlantWindows(((mondays, ("press",)), (sundays, ("mill", "press"))), zone))
    await plant.want(LINE, job=JOB)
    await plant.want(SERVICE, job=JOB)
    part, visit_of = await order_of(plant, "bearing"), await service(plant)
    assert (visit_of.machine, visit_of.needed_by.weekday()) == ("mill", 6)
    assert visit_of.needed_by == Windows((sundays,), zone).next(part.promised_at, timedelta(hours=6)).start
    asked_for = json.loads((await order_of(plant, SERVICE.key)).document)["deliver_by"]
    assert datetime.fromisoformat(asked_for) == visit_of.needed_by


async def test_while_it_is_not_ordered_it_is_joined_again(plant):
    plant.suppliers["supplier-1"].asked.clear()
    await plant.want(LINE, job=JOB)
    part = await order_of(plant, "bearing")
    await put_order(plant, part.number, promised_at=None)
    await plant.want(SERVICE, job=JOB)
    assert (await service(plant)).state == "needed"
    await put_order(plant, part.number, promised_at=part.promised_at + timedelta(days=30))
    await plant.passes(2, hours=1)
    row = await service(plant)
    window = SATURDAYS.next(part.promised_at + timedelta(days=30), timedelta(hours=6))
    assert (row.state, row.needed_by) == ("ordered", window.start)


async def test_a_day_that_stays_is_told_once(plant):
    plant.suppliers["supplier-1"] = AwaySupplier("supplier-1", plant.clock)
    await plant.want(SERVICE)
    await plant.passes(3, hours=2)
    assert ((await service(plant)).state, await plant.orders()) == ("needed", [])
    assert len(await told(plant, "requisition.booked")) == 1


@pytest.fixture
async def booked(plant):
    """Parts and a visit are on order."""
    await plant.want(LINE, job=JOB)
    await plant.want(SERVICE, job=JOB)
    await put_order(plant, (await order_of(plant, "calibration")).number, promised_at=None)
    return plant


async def problem_of(plant):
    row = await order_of(plant, "calibration")
    return json.loads(row.problem) if row.problem else None


async def test_a_visit_after_the_parts_is_nobodys_business(booked):
    await booked.passes(2)
    assert await problem_of(booked) is None
    assert await told(booked, "purchase.reminded") == []


async def test_when_a_supplier_slips_a_person_is_told_and_nothing_is_ordered_anew(booked):
    part, before = await order_of(booked, "bearing"), await booked.orders()
    await put_order(booked, part.number, promised_at=part.promised_at + timedelta(days=30))
    await booked.passes(3)
    visiting = await order_of(booked, "calibration")
    comes = json.loads(visiting.document)["deliver_by"]
    late = f"{part.promised_at + timedelta(days=30):%Y-%m-%dT%H:%M:%S.%fZ}"
    said = {"code": "SERVICE_BEFORE_PARTS", "parameters": {"visit": comes, "parts": late}}
    assert await problem_of(booked) == said
    assert await told(booked, "purchase.reminded") == [(visiting.number, said)]
    assert [row.number for row in await booked.orders()] == [row.number for row in before]


async def test_when_nobody_promises_the_parts_any_more_a_person_is_told(booked):
    part = await order_of(booked, "bearing")
    await put_order(booked, part.number, promised_at=None)
    await booked.passes(1)
    assert (await problem_of(booked))["code"] == "SERVICE_WITHOUT_PARTS"


async def test_the_note_goes_when_it_is_no_longer_so(booked):
    part = await order_of(booked, "bearing")
    await put_order(booked, part.number, promised_at=part.promised_at + timedelta(days=30))
    await booked.passes(1)
    await put_order(booked, part.number, promised_at=part.promised_at)
    await booked.passes(1)
    assert await problem_of(booked) is None
    ((_, facts),) = await told(booked, "purchase.settled")
    assert facts["code"] == "SERVICE_BEFORE_PARTS"


async def test_what_else_is_noted_on_a_visit_stays(booked):
    part, visiting = await order_of(booked, "bearing"), await order_of(booked, "calibration")
    await put_order(booked, part.number, promised_at=None)
    await put_order(booked, visiting.number, problem='{"code": "DELIVERY_LATE", "parameters": {}}')
    await booked.passes(1)
    assert (await problem_of(booked))["code"] == "DELIVERY_LATE"


async def test_a_note_gives_way_to_what_was_noted_in_between(booked):
    from marketplace.ordering.booking import Note, note

    visiting = await order_of(booked, "calibration")
    await put_order(booked, visiting.number, problem='{"code": "NO_ANSWER", "parameters": {}}')
    async with booked.database.write() as tx:
        await note(tx, booked.owner, Note(visiting.number, "", '{"code": "X", "parameters": {}}'), booked.clock())
    assert (await problem_of(booked))["code"] == "NO_ANSWER"
