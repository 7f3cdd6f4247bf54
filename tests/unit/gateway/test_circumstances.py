"""What timing learns from the store: who delivers how, what is here or on its way, when a job may begin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway import views
from gateway.views import ComponentPlan
from gateway.views.circumstances import Circumstances, refined
from maintenance.needs import JobKind, JobLine, Need
from marketplace import stock
from marketplace.lead_times import LeadTime
from marketplace.settings import BuyingSettings, TimingSettings
from marketplace.sources import supply_of
from marketplace.timing import FIT_LATER, ON_ITS_WAY, SET_ASIDE, TimingTerms, advise
from marketplace.windows import Once, PlantWindows, Weekly, Windows
from tests.showcase.data import NOW, OWNER, PARTS, PERSON, need_of
from tests.showcase.plant import Plant, plant
from tests.unit.marketplace.fakes import everywhere

NEEDS = {key: need_of(part, NOW) for key, part in PARTS.items()}
BUYING = BuyingSettings.model_validate({"lead_time": "8 d", "price": "300 EUR", "standstill": "40 EUR/h"})
TERMS = TimingSettings().terms(BUYING)
SUPPLIERS = frozenset({"kontor", "express", "maker"})
SATURDAYS = Windows((Weekly.parse("saturday 06:00-14:00"),), ZoneInfo("Europe/Berlin"))
VISIT = JobLine("visit", "visit", Decimal(1), "HUR", JobKind.SERVICE)


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("circumstances")


@pytest.fixture
async def made(tmp_path: Path, lived: Path) -> AsyncIterator[Plant]:
    async with plant(tmp_path, template=lived) as built:
        yield built


async def terms_of(
    made: Plant,
    *needs: Need,
    around: Circumstances | None = None,
    now=NOW,
    said: TimingTerms = TERMS,
) -> dict[str, TimingTerms]:
    needs = needs or tuple(NEEDS.values())
    around = around or Circumstances(SUPPLIERS)
    async with made.spend.read() as tx:
        return await refined(tx, OWNER, needs, {need.component: said for need in needs}, around, now)


async def count(made: Plant, item: str, amount: int) -> None:
    async with made.spend.write() as tx:
        await stock.count(tx, OWNER, item, Decimal(amount), "C62", PERSON, NOW)


async def test_what_is_ordered_is_on_its_way_and_what_was_received_is_here(made):
    found = await terms_of(made)
    shipped, received = found["mill/spindle-bearing"].held, found["mill/coolant"].held
    assert shipped is not None
    assert (shipped.here, shipped.bought) == (False, True)
    assert shipped.supply.supplier in SUPPLIERS
    assert 0 < shipped.supply.delay < 12 * 24
    assert received is not None
    assert (received.here, received.bought) == (True, True)
    assert found["conveyor/motor"].held is None  # waits for a person's approval
    assert found["press/seals"].held is None  # nobody has thought of them
    advice = advise(NEEDS["mill/spindle-bearing"].belief, found["mill/spindle-bearing"], NOW)
    assert (advice.code, advice.buy) == (ON_ITS_WAY, False)


async def test_what_lies_on_the_shelf_is_there_for_one_of_those_who_want_it_and_promised_to_nobody(made):
    await count(made, "seal-kit-80", 1)
    seals = NEEDS["press/seals"]
    sooner = replace(seals, component="press/other", belief=replace(seals.belief, use_per_hour=2.0))
    found = await terms_of(made, seals, sooner)
    assert found["press/seals"].held is None
    held = found["press/other"].held
    assert held is not None
    assert (held.here, held.bought) == (True, False)
    assert advise(sooner.belief, found["press/other"], NOW).code in (FIT_LATER, SET_ASIDE)


async def test_a_job_is_held_up_by_the_last_of_its_goods(made):
    seals = NEEDS["press/seals"]
    grease = JobLine("grease", "grease", Decimal(2), "C62", JobKind.CONSUMABLE)
    job = replace(seals, lines=(grease, *seals.lines, VISIT))
    await count(made, "seal-kit-80", 1)
    assert (await terms_of(made, job))["press/seals"].held is None
    await count(made, "grease", 2)
    held = (await terms_of(made, job))["press/seals"].held
    assert held is not None
    assert held.here


async def test_who_offered_it_supplies_it_and_what_they_took_is_learned(made):
    coolant = NEEDS["mill/coolant"]  # it was ordered from one of them and came after eight days
    best, *others = (await terms_of(made, coolant))["mill/coolant"].supplies
    assert (best.supplier, best.extra) == ("kontor", 0.0)
    assert [other.supplier for other in others] == ["express"]  # dearer, and it has shown how punctual it is
    quick = TimingSettings().terms(BUYING.model_copy(update={"lead_time": timedelta(days=2)}))
    alone = Circumstances(frozenset({"express"}))
    (slow,) = (await terms_of(made, coolant, around=alone, said=quick))["mill/coolant"].supplies
    assert slow.supplier == "express"
    assert quick.supplies[0].delay * 1.3 < slow.delay < 192
    said = (supply_of("", 0.0, LeadTime(8 * 24.0, BUYING.lead_time_spread), TERMS.approval),)
    assert (await terms_of(made, coolant, around=Circumstances()))["mill/coolant"].supplies == said
    assert (await terms_of(made, NEEDS["press/seals"]))["press/seals"].supplies == said


async def test_a_job_may_begin_where_a_window_has_room_for_it(made):
    seals = NEEDS["press/seals"]
    around = Circumstances(SUPPLIERS, everywhere(SATURDAYS))
    openings = (await terms_of(made, replace(seals, duration=timedelta(hours=3)), around=around))[
        "press/seals"
    ].openings
    assert openings is not None
    assert openings.spans == ((117.0, 122.0),)  # on Monday at 8:00, until Saturday at 5:00 and 10:00 UTC
    assert openings.closed == 3 * 40.0
    unsaid = (await terms_of(made, seals, around=around))["press/seals"].openings
    assert unsaid is not None
    assert (unsaid.spans, unsaid.closed) == (((117.0, 125.0),), 8 * 40.0)
    assert (await terms_of(made, seals))["press/seals"].openings is None


async def test_a_window_is_an_opening_of_the_machines_that_it_is_for(made):
    (saturday,) = SATURDAYS.weekly
    monday = Weekly.parse("monday 12:00-20:00")
    around = Circumstances(
        SUPPLIERS, PlantWindows(((saturday, ("press",)), (monday, ("mill", "press"))), SATURDAYS.zone)
    )
    found = await terms_of(made, around=around)
    assert found["press/seals"].openings.spans == ((3.0, 11.0), (117.0, 125.0))
    assert found["mill/coolant"].openings.spans == ((3.0, 11.0),)
    assert found["conveyor/motor"].openings is None


async def test_timing_names_the_window_that_a_booking_takes(made):
    """Both ask the same windows: what timing calls best is what `Windows.next` gives from then on."""
    await count(made, "seal-kit-80", 1)
    job = replace(NEEDS["press/seals"], duration=timedelta(hours=3))
    terms = (await terms_of(made, job, around=Circumstances(SUPPLIERS, everywhere(SATURDAYS))))["press/seals"]
    fit_by = advise(job.belief, terms, NOW).fit_by
    assert fit_by is not None
    window = SATURDAYS.next(fit_by, timedelta(hours=3))
    assert window is not None
    assert abs(window.start - fit_by) < timedelta(seconds=2)


async def test_a_window_that_comes_once_is_an_opening_too_and_timing_may_name_it(made):
    await count(made, "seal-kit-80", 1)
    job = replace(NEEDS["press/seals"], duration=timedelta(hours=3))
    plain = (await terms_of(made, job, around=Circumstances(SUPPLIERS, everywhere(SATURDAYS))))["press/seals"]
    before = advise(job.belief, plain, NOW).fit_by
    assert before is not None
    day = (before - timedelta(days=1)).date()
    windows = replace(SATURDAYS, once=(Once.parse(f"{day} 06:00 to {before.date()} 12:00"),))
    terms = (await terms_of(made, job, around=Circumstances(SUPPLIERS, everywhere(windows))))["press/seals"]
    assert (terms.openings.spans, len(terms.openings.once)) == (plain.openings.spans, 1)
    fit_by = advise(job.belief, terms, NOW).fit_by
    window = windows.next(fit_by, timedelta(hours=3))
    assert abs(window.start - fit_by) < timedelta(seconds=2)
    only = Circumstances(SUPPLIERS, everywhere(Windows((), SATURDAYS.zone, windows.once)))
    alone = (await terms_of(made, job, around=only))["press/seals"].openings
    ((opens, _shuts),) = terms.openings.once  # it shuts later, joined with that Saturday's window
    assert (alone.spans, alone.once) == ((), ((opens, opens + 30 - 3),))


async def test_without_costs_nothing_is_refined(made):
    bare = TimingTerms(timedelta(days=8), timedelta(0), timedelta(hours=1), 0.05)
    assert set((await terms_of(made, said=bare)).values()) == {bare}


async def test_a_view_shows_what_the_same_terms_advise(made):
    await count(made, "seal-kit-80", 1)
    plan, job = ComponentPlan("press/seals", "Press", "Seals", TERMS), NEEDS["press/seals"]
    async with made.spend.read() as tx:
        (view,) = await views.need_views(tx, OWNER, [job], {"press/seals": plan}, NOW, Circumstances(SUPPLIERS))
    said = advise(job.belief, (await terms_of(made, job))["press/seals"], NOW)
    assert (view.decide_by, view.failure_probability) == (said.decide_by, said.probability)
    assert (view.fit_by, view.as_dict()["fit_by"] is None) == (said.fit_by, said.fit_by is None)
