import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.samples import Provenance, Quality, Sample
from gateway.databases import Databases, open_databases
from gateway.lives import Lives, first_lives
from gateway.settings import ComponentConfig
from maintenance import store
from maintenance.assets import Found, Life
from maintenance.monitor import Monitor
from maintenance.slots import Watched
from maintenance.symptoms import REPORTS_MAX
from marketplace import stock
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.store import Owner

OWNER = Owner("northworks", "N1")
BEN = Actor(ActorKind.PERSON, "ben", "socket")
SEAL = "press/seal"
CONFIG = {
    SEAL: ComponentConfig.model_validate(
        {
            "name": "Seal",
            "rated_life": "1000 cycles",
            "wear": {"by": "usage", "tag": "cycles", "resets_at_fitting": True},
            "job": {"title": "Replace it", "lines": {"kit": {"item": "seal-kit", "quantity": 1}}},
        }
    )
}


@dataclass
class Bench:
    databases: Databases
    monitor: Monitor
    lives: Lives
    now: datetime

    def count(self, *readings: float) -> None:
        """Let the counter say these, an hour apart."""
        for reading in readings:
            self.now += timedelta(hours=1)
            self.monitor.take(Sample("press/cycles", reading, Quality.GOOD, self.now, self.now, Provenance.A))

    async def open(self) -> str:
        async with self.databases.spend.read() as tx:
            return (await store.open_lives(tx, OWNER))[SEAL].id

    async def all(self) -> list[str]:
        async with self.databases.spend.read() as tx:
            return [life.id for life in await store.lives(tx, OWNER, SEAL)]

    async def audited(self) -> list[str]:
        async with self.databases.spend.read() as tx:
            return [entry.kind for entry in await log.entries(tx, SEAL, owner=OWNER)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    async with open_databases(tmp_path) as databases:
        lives = await first_lives(databases.spend, OWNER, CONFIG, now)
        monitor = Monitor({SEAL: Watched("press", CONFIG[SEAL], {"cycles": "cycles"})}, lives)
        bench = Bench(databases, monitor, None, now)  # type: ignore[arg-type]
        bench.lives = Lives(databases.spend, OWNER, monitor, CONFIG, lambda: bench.now)
        yield bench


async def test_a_slot_seen_for_the_first_time_gets_one_life_of_unknown_past(bench: Bench):
    again = await first_lives(bench.databases.spend, OWNER, CONFIG, bench.now)
    assert again[SEAL].id == await bench.open()
    assert again[SEAL].used_before is None
    assert (await bench.audited()).count("life.watched") == 1


async def test_a_fall_without_a_part_is_proposed_once_and_begins_nothing(bench: Bench):
    before = await bench.open()
    bench.count(600, 610, 620, 1, 2, 3, 4, 5, 6)
    assert await bench.lives.settle() == []
    assert await bench.lives.settle() == []
    assert await bench.open() == before
    assert (await bench.audited()).count("fitting.proposed") == 1


async def test_a_fall_with_a_part_on_the_shelf_begins_the_next_life(bench: Bench):
    before = await bench.open()
    async with bench.databases.spend.write() as tx:
        await stock.count(tx, OWNER, "seal-kit", Decimal(1), "C62", BEN, bench.now)
    bench.count(600, 610, 620, 1, 2, 3, 4, 5, 6)
    assert await bench.lives.settle() == [SEAL]
    assert await bench.open() != before
    assert bench.monitor.assess(SEAL, bench.now).belief.known
    assert "life.began" in await bench.audited()
    assert await bench.lives.settle() == []


async def test_two_who_tell_of_one_fitting_at_once_begin_one_life(bench: Bench):
    async with bench.databases.spend.write() as tx:
        await stock.count(tx, OWNER, "seal-kit", Decimal(1), "C62", BEN, bench.now)
    bench.count(600, 610, 620, 1, 2, 3, 4, 5, 6)
    found = await asyncio.gather(bench.lives.settle(), bench.lives.settle())
    assert sorted(map(len, found)) == [0, 1]
    assert len(await bench.all()) == 2


async def test_what_a_person_says_begins_a_life_with_what_it_had_run(bench: Bench):
    bench.count(600, 601)
    await bench.lives.fitted_by(SEAL, BEN, "S-1", 250.0, "from the shelf of hall 3")
    async with bench.databases.spend.read() as tx:
        life = (await store.open_lives(tx, OWNER))[SEAL]
    assert (life.serial, life.used_before) == ("S-1", 250.0)
    assert {"fitting.done", "life.began"} <= set(await bench.audited())


async def begun(bench: Bench, component: str = SEAL) -> None:
    bench.now += timedelta(hours=1)
    await bench.lives.fitted_by(component, BEN, "S-1", 0.0, "")


async def ended(bench: Bench, component: str = SEAL) -> Life:
    async with bench.databases.spend.read() as tx:
        return [life for life in await store.lives(tx, OWNER, component) if life.removed_at is not None][-1]


async def test_a_life_ends_with_what_it_had_run_and_how_it_was_found(bench: Bench):
    await begun(bench)
    bench.count(*range(0, 601, 40))
    await bench.lives.fitted_by(SEAL, BEN, "S-2", 0.0, "", Found.WORN)
    life = await ended(bench)
    assert (life.serial, life.found, life.ran) == ("S-1", Found.WORN, {"": 600.0})
    async with bench.databases.spend.read() as tx:
        entry = [each for each in await log.entries(tx, SEAL, owner=OWNER) if each.kind == "life.began"][-1]
    assert (entry.facts["found"], entry.facts["ran"]) == ("worn", {"": "600"})


async def test_what_was_counted_since_the_counter_fell_is_not_the_old_parts(bench: Bench):
    await begun(bench)
    bench.count(*range(0, 601, 40), *range(9))
    await bench.lives.fitted_by(SEAL, BEN, "S-2", 0.0, "", Found.FAILED)
    assert (await ended(bench)).ran == {"": 600.0}


async def test_of_a_part_that_nobody_heard_nothing_is_known(bench: Bench):
    await bench.lives.fitted_by(SEAL, BEN, "S-1", 0.0, "", Found.FAILED)
    life = await ended(bench)
    assert (life.found, life.ran) == (Found.FAILED, {})


async def test_a_reading_that_cannot_be_taken_leaves_no_trace(bench: Bench):
    bench.count(600, 601)
    with pytest.raises(ValueError, match="601"):
        await bench.lives.reading_by(SEAL, 10.0, BEN)
    async with bench.databases.spend.read() as tx:
        assert await store.readings(tx, OWNER, SEAL) == []
    assert "reading.entered" not in await bench.audited()


SPINDLE = "mill/spindle"
CLOCKED = {
    SPINDLE: ComponentConfig.model_validate(
        {
            "name": "Spindle",
            "wear": {
                "by": "usage",
                "clocks": {
                    "hours": {"tag": "hours", "rated_life": "1000 h", "resets_at_fitting": True},
                    "starts": {"tag": "starts", "rated_life": "400 starts", "resets_at_fitting": True},
                    "age": {"rated_life": "9 year"},
                },
            },
            "job": {"title": "Replace it", "lines": {"part": {"item": "spindle", "quantity": 1}}},
        }
    )
}


@pytest.fixture
async def clocked(tmp_path: Path) -> AsyncIterator[Bench]:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    async with open_databases(tmp_path) as databases:
        lives = await first_lives(databases.spend, OWNER, CLOCKED, now)
        tags = {"hours": "h", "starts": "starts"}
        monitor = Monitor({SPINDLE: Watched("mill", CLOCKED[SPINDLE], tags)}, lives)
        bench = Bench(databases, monitor, None, now)  # type: ignore[arg-type]
        bench.lives = Lives(databases.spend, OWNER, monitor, CLOCKED, lambda: bench.now)
        yield bench


def run(bench: Bench, *readings: float) -> None:
    """Let both counters say these, an hour apart."""
    for reading in readings:
        bench.now += timedelta(hours=1)
        for tag in ("hours", "starts"):
            bench.monitor.take(Sample(f"mill/{tag}", reading, Quality.GOOD, bench.now, bench.now, Provenance.A))


async def opened(bench: Bench) -> Life:
    async with bench.databases.spend.read() as tx:
        return (await store.open_lives(tx, OWNER))[SPINDLE]


async def test_a_person_fits_a_part_at_the_readings_of_all_its_counters(clocked: Bench):
    run(clocked, 100, 101)
    await clocked.lives.fitted_by(SPINDLE, BEN, "S-2", 0.0, "")
    assert (await opened(clocked)).counters == {"hours": 101.0, "starts": 101.0}
    assert clocked.monitor.assess(SPINDLE, clocked.now).belief.known


async def test_a_life_ends_with_what_it_had_run_on_every_clock(clocked: Bench):
    await begun(clocked, SPINDLE)
    run(clocked, 0, 1, 2)
    await clocked.lives.fitted_by(SPINDLE, BEN, "S-2", 0.0, "", Found.HALF)
    assert (await ended(clocked, SPINDLE)).ran == pytest.approx({"hours": 2.0, "starts": 2.0, "age": 3.0})


async def test_counters_that_fall_together_begin_a_life_on_every_clock(clocked: Bench):
    run(clocked, 100, 101)
    async with clocked.databases.spend.write() as tx:
        await stock.count(tx, OWNER, "spindle", Decimal(1), "C62", BEN, clocked.now)
    run(clocked, *range(8))
    assert await clocked.lives.settle() == [SPINDLE]
    assert (await opened(clocked)).counters == {"hours": 0.0}
    need = clocked.monitor.assess(SPINDLE, clocked.now)
    used = {each.parameters["clock"]: each.parameters["used"] for each in need.evidence}
    assert used == {"starts": "7", "hours": "7", "age": "7"}
    assert need.belief.known


async def test_a_reading_of_a_named_clock_is_kept_with_its_name(clocked: Bench):
    run(clocked, 100, 101)
    clocked.now += timedelta(hours=5)
    await clocked.lives.reading_by(SPINDLE, 105.0, BEN, "starts")
    async with clocked.databases.spend.read() as tx:
        (entry,) = [each for each in await log.entries(tx, SPINDLE, owner=OWNER) if each.kind == "reading.entered"]
    assert entry.facts == {"value": "105", "clock": "starts"}


async def codes(bench: Bench) -> list[str]:
    return [each.code for each in bench.monitor.assess(SEAL, bench.now).evidence]


async def test_what_a_person_reports_is_evidence_until_it_is_taken_back(bench: Bench):
    assert await bench.lives.report_by(SEAL, "leaks", BEN, own_words=True)
    assert "NOTED" in await codes(bench)
    assert not await bench.lives.report_by(SEAL, "LEAKS", BEN, own_words=True)
    assert await bench.lives.take_back(SEAL, "Leaks", BEN, own_words=True)
    assert "NOTED" not in await codes(bench)
    assert not await bench.lives.take_back(SEAL, "leaks", BEN, own_words=True)
    audited = await bench.audited()
    assert (audited.count("symptom.reported"), audited.count("symptom.taken_back")) == (1, 1)


@pytest.mark.parametrize("own_words", [True, False])
async def test_only_words_of_the_table_stand_in_the_log(bench: Bench, own_words: bool):
    await bench.lives.report_by(SEAL, "leaks", BEN, own_words=own_words)
    async with bench.databases.spend.read() as tx:
        entry = next(each for each in await log.entries(tx, SEAL, owner=OWNER) if each.kind == "symptom.reported")
    assert ("leaks" in str(entry.facts), entry.actor.id) == (not own_words, "ben")


async def test_a_restart_recalls_what_people_report_and_a_fitting_ends_it(bench: Bench):
    await bench.lives.report_by(SEAL, "leaks", BEN, own_words=True)
    lives = await first_lives(bench.databases.spend, OWNER, CONFIG, bench.now)
    bench.monitor = Monitor({SEAL: Watched("press", CONFIG[SEAL], {"cycles": "cycles"})}, lives)
    bench.lives = Lives(bench.databases.spend, OWNER, bench.monitor, CONFIG, lambda: bench.now)
    assert "NOTED" not in await codes(bench)
    await bench.lives.recall()
    assert "NOTED" in await codes(bench)
    await bench.lives.fitted_by(SEAL, BEN, "S-2", 0.0, "")
    assert "NOTED" not in await codes(bench)
    await bench.lives.recall()
    assert "NOTED" not in await codes(bench)


async def test_there_is_an_end_to_what_is_reported(bench: Bench):
    for number in range(REPORTS_MAX):
        await bench.lives.report_by(SEAL, f"noise {number}", BEN, own_words=True)
    with pytest.raises(ValueError, match="take back those that are over"):
        await bench.lives.report_by(SEAL, "one more", BEN, own_words=True)
