"""Learning in a gateway: from lives that closed to decisions, and back to the rule whenever that is safer."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from gateway.databases import Databases, open_databases
from gateway.learning.curriculum import Curriculum
from gateway.learning.judging import judge
from gateway.learning.kinds import Kind, kind_of, kinds_of
from gateway.learning.phases import Phase
from gateway.learning.pupil import histories
from gateway.learning.retraining import NotJudged, retrained
from gateway.learning.service import Learning
from gateway.learning.standing import Standing, patience_of
from gateway.learning.task import Task, Verdict
from gateway.settings import ComponentConfig
from gateway.views.learning import kind_views, reason
from maintenance import store
from maintenance.assets import Found, Life
from maintenance.frames import CHUNK, Frames, History
from maintenance.monitor import Monitor
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched
from maintenance.store import FrameRow
from marketplace.audit import log
from marketplace.settings import TimingSettings
from marketplace.store import Owner
from tests.unit.gateway.learning.plants import (
    DIES,
    SEALS,
    SPINDLE,
    SPINDLES,
    STROKES_AN_HOUR,
    die,
    quick,
    seal,
    spindle,
)
from tests.unit.maintenance.lives import SIGNALS, WIDE

OWNER = Owner("northworks", "N1")
SEAL = "press/seal"
DIE = "press/die"
START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
BUYING = {"lead_time": "8 h", "price": "100 EUR", "standstill": "10 EUR/h", "failure": "400 EUR"}
BUYING |= {"holding": "1 EUR/h"}
UNITS = dict.fromkeys((*SIGNALS, *WIDE), "1") | {"strokes": "strokes"}
LIVES = quick(16)
JUDGED: dict[str, Verdict] = {}
"""Verdicts by task: the same lives are judged once for all tests."""
PARTS = {"mill/spindle": spindle(), "press/seal": seal()}


def config(settings: ComponentSettings) -> ComponentConfig:
    return ComponentConfig.model_validate(settings.model_dump(mode="json") | {"buying": BUYING})


def curriculum(parts: dict[str, ComponentSettings] | None = None, **ceilings: Phase) -> Curriculum:
    components = {key: config(settings) for key, settings in (parts or PARTS).items()}
    timing = TimingSettings(approval="0 h", step="4 h")  # type: ignore[arg-type]
    return Curriculum(components, dict.fromkeys(components, UNITS), timing, ceilings)


@dataclass
class Bench:
    """A gateway's databases and monitor, with a judge that answers in the same process."""

    databases: Databases
    monitor: Monitor
    learning: Learning
    asked: list[Task]
    now: datetime = START

    async def judge(self, task: Task) -> Verdict:
        self.asked.append(task)
        if repr(task) not in JUDGED:
            JUDGED[repr(task)] = judge(task, await histories(self.databases.telemetry, task))
        return JUDGED[repr(task)]

    def again(self, what: Curriculum | None = None) -> Learning:
        """Learning after a restart."""
        self.learning = Learning(
            self.databases, OWNER, self.monitor, what or curriculum(), lambda: self.now, self.judge
        )
        return self.learning

    async def lived(
        self, lives: Sequence[History], found: Found | None = Found.FAILED, signals: tuple[str, ...] = SIGNALS
    ) -> None:
        """Let spindles live and end, one after the other."""
        for one in lives:
            begun, self.now = self.now, self.now + one.life * HOUR
            told = list(zip(one.use.tolist(), one.frames.tolist(), strict=True))
            frames = Frames.none(len(signals)).taking(told)
            rows = [
                FrameRow(one.unit, at // CHUNK, SPINDLE, signals, 1, frames[at : at + CHUNK])
                for at in range(0, len(frames), CHUNK)
            ]
            async with self.databases.telemetry.write() as tx:
                await store.save_frames(tx, rows, self.now)
            await self._closed(Life(one.unit, SPINDLE, begun), {"": one.life}, found)

    async def ran(self, *runs: float, found: Found | None = Found.FAILED) -> None:
        """Let seals run so long and end."""
        for at, run in enumerate(runs):
            begun, self.now = self.now, self.now + run * HOUR
            await self._closed(Life(f"seal-{at}", SEAL, begun), {"": run}, found)

    async def ran_on(self, *hours: float, found: Found | None = Found.FAILED) -> None:
        """Let dies run so long and end."""
        for at, run in enumerate(hours):
            begun, self.now = self.now, self.now + run * HOUR
            ran = {"hours": run, "strokes": STROKES_AN_HOUR * run}
            await self._closed(Life(f"die-{at}", DIE, begun), ran, found)

    async def _closed(self, life: Life, ran: dict[str, float], found: Found | None) -> None:
        async with self.databases.spend.write() as tx:
            await store.open_life(tx, OWNER, life)
            await store.close_life(tx, OWNER, life.component, self.now, found, ran)
        self.learning.ended(life.component)

    async def audited(self) -> list[dict[str, Any]]:
        async with self.databases.spend.read() as tx:
            return [dict(entry.facts) for entry in await log.entries(tx, owner=OWNER, kind="learning.changed")]

    def spindle(self) -> Standing:
        return self.learning.standings()[SPINDLES]


@asynccontextmanager
async def benched(directory: Path, parts: dict[str, ComponentSettings]) -> AsyncIterator[Bench]:
    async with open_databases(directory) as databases:
        lives = {key: Life(f"{key}-now", key, START) for key in parts}
        watched = {key: Watched(key.partition("/")[0], settings, UNITS) for key, settings in parts.items()}
        bench = Bench(databases, Monitor(watched, lives), None, [])  # type: ignore[arg-type]
        await bench.again(curriculum(parts)).begin()
        yield bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with benched(tmp_path, PARTS) as bench:
        yield bench


async def test_lives_that_closed_are_learned_from_and_the_change_is_in_the_log(bench: Bench):
    await bench.lived(LIVES)
    await bench.learning.judge_due()
    standing = bench.spindle()
    assert (standing.phase, standing.model, standing.since) == (
        Phase.AUTONOMOUS,
        "ridge",
        bench.now.isoformat(timespec="seconds"),
    )
    (entry,) = await bench.audited()
    assert (entry["before"], entry["after"], entry["version"]) == ("bound", "autonomous", standing.version)
    assert f"Over 16 lives it would have saved {standing.gain:.2f} EUR a life" in reason(standing)


async def test_a_restart_goes_on_with_what_was_learned_and_asks_nothing(bench: Bench):
    await bench.lived(LIVES)
    await bench.learning.judge_due()
    before, asked = bench.spindle(), len(bench.asked)
    bench.monitor.teach("spindles", None)
    await bench.again().begin()
    await bench.learning.judge_due()
    assert (bench.spindle(), len(bench.asked)) == (before, asked)
    assert bench.monitor._pools["spindles"].model.version == before.version


async def test_a_life_that_closed_while_nobody_looked_is_learned_from_at_the_next_start(bench: Bench):
    await bench.lived(LIVES)
    await bench.again().begin()
    await bench.learning.judge_due()
    assert bench.spindle().phase is Phase.AUTONOMOUS


@pytest.mark.parametrize(
    "harm",
    ["UPDATE model SET document = replace(document, '6', '7')", "DELETE FROM model", "UPDATE model SET version = 'x'"],
)
async def test_a_model_that_was_altered_or_lost_is_not_believed_and_learned_again(bench: Bench, harm: str):
    await bench.lived(LIVES)
    await bench.learning.judge_due()
    async with bench.databases.telemetry.write() as tx:
        await tx.execute(text(harm))
    with structlog.testing.capture_logs():
        await bench.again().begin()
    assert (bench.spindle().phase, bench.spindle().code) == (Phase.BOUND, "MODEL_BROKEN")
    assert bench.monitor._pools["spindles"].model is None
    await bench.learning.judge_due()
    assert bench.spindle().phase is Phase.AUTONOMOUS
    assert [entry["after"] for entry in await bench.audited()] == ["autonomous", "bound", "autonomous"]


async def test_a_person_pins_a_kind_and_lets_it_go(bench: Bench):
    await bench.lived(LIVES)
    await bench.learning.judge_due()
    await bench.again(curriculum(spindles=Phase.BOUND)).begin()
    await bench.learning.judge_due()
    assert (bench.spindle().phase, bench.spindle().code) == (Phase.BOUND, "PINNED")
    assert bench.monitor._pools["spindles"].model is None
    await bench.again().begin()
    await bench.learning.judge_due()
    assert bench.spindle().phase is Phase.AUTONOMOUS


async def closes(bench: Bench, frames: Any) -> bool:
    """Let the monitor close frames in the spindle's slot, and take a step."""
    told = {SPINDLE: [(float(at), frame.tolist()) for at, frame in enumerate(frames, 1)]}
    bench.monitor.drain_frames = lambda: told  # type: ignore[method-assign]
    return await bench.learning.step([])


async def test_a_stuck_sensor_takes_the_model_back_at_once_until_it_moves_again(bench: Bench):
    await bench.lived(LIVES)
    await bench.learning.judge_due()
    stuck = LIVES[0].frames[:12].copy()
    stuck[:, 1] = stuck[0, 1]
    assert await closes(bench, stuck)
    assert (bench.spindle().phase, bench.spindle().code) == (Phase.BOUND, "SENSOR_STUCK")
    assert bench.monitor._pools["spindles"].model is None
    assert "b of mill/spindle stands still" in reason(bench.spindle())
    bench.learning.ask(SPINDLES)
    await bench.learning.judge_due()
    assert bench.spindle().code == "SENSOR_STUCK"  # whatever else is learned meanwhile
    assert not await closes(bench, LIVES[1].frames[:2])
    await bench.learning.judge_due()
    assert bench.spindle().phase is Phase.AUTONOMOUS


async def test_signals_that_go_where_no_life_went_take_the_model_back_until_more_lives_have_ended(bench: Bench):
    await bench.lived(LIVES)
    await bench.learning.judge_due()
    assert await closes(bench, LIVES[0].frames[:12] + 500.0)
    assert (bench.spindle().code, bench.spindle().barred_until) == ("OUT_OF_RANGE", 18)
    bench.learning.ask(SPINDLES)
    await bench.learning.judge_due()
    assert bench.spindle().phase is not Phase.AUTONOMOUS
    assert "once 18 lives have ended" in reason(bench.spindle())


async def test_one_silent_signal_is_a_lost_sensor_and_a_silent_machine_is_none(bench: Bench):
    await bench.lived(LIVES)
    await bench.learning.judge_due()
    need = bench.monitor.assess(SPINDLE, bench.now)
    assert not await bench.learning.step([need])  # none of its signals has ever spoken
    one = replace(need, evidence=tuple(each for each in need.evidence if each.parameters.get("tag") == "c"))
    assert await bench.learning.step([one])
    assert (bench.spindle().code, bench.spindle().parameters["tag"]) == ("SENSOR_LOST", "c")


async def test_who_cannot_be_judged_keeps_what_was_believed_and_is_asked_again(bench: Bench):
    await bench.lived(LIVES)
    await bench.learning.judge_due()
    before = bench.spindle()

    async def fails(_task: Task) -> Verdict:
        raise NotJudged("no memory")

    bench.learning._retraining = fails
    bench.learning.ask(SPINDLES)
    with structlog.testing.capture_logs():
        await bench.learning.judge_due()
    assert (bench.spindle(), bench.learning.failures) == (before, 1)
    bench.learning._retraining = bench.judge
    asked = len(bench.asked)
    await bench.learning.step([])
    await bench.learning.judge_due()
    assert len(bench.asked) == asked + 1


async def test_seals_that_last_longer_than_rated_are_believed_to_and_say_by_which_version(bench: Bench):
    await bench.ran(3800.0, 4000.0, 4200.0, 3900.0)
    before = bench.monitor.assess(SEAL, START + HOUR).belief
    await bench.learning.judge_due()
    need = bench.monitor.assess(SEAL, START + HOUR)
    standing = bench.learning.standings()[SEALS]
    assert (standing.phase, standing.model) == (Phase.ADAPTABLE, "lifetimes")
    assert need.belief.remaining_use(0.5) > 2 * before.remaining_use(0.5)
    (told,) = [each.parameters for each in need.evidence if each.code == "LIFETIMES"]
    assert (told["lives"], told["version"]) == ("4", standing.version[:12])
    await bench.again(curriculum(**{"seal-kit": Phase.BOUND})).begin()
    assert bench.monitor.assess(SEAL, START + HOUR).belief.survival.tolist() == before.survival.tolist()


async def test_parts_on_several_clocks_are_believed_to_last_as_those_before_them_did(tmp_path: Path):
    async with benched(tmp_path, {DIE: die()}) as bench:
        before = bench.monitor.assess(DIE, START + HOUR).belief
        await bench.ran_on(3800.0, 4000.0, 4200.0, 3900.0)
        await bench.learning.judge_due()
        need, standing = bench.monitor.assess(DIE, START + HOUR), bench.learning.standings()[DIES]
        assert (standing.phase, standing.model, standing.judged) == (Phase.ADAPTABLE, "lifetimes", 4)
        assert need.belief.remaining_use(0.5) > 2 * before.remaining_use(0.5)  # type: ignore[operator]
        told = {each.parameters["clock"] for each in need.evidence if each.code == "LIFETIMES_BY_CLOCK"}
        assert told == {"hours", "strokes"}
        bench.monitor.believe_lives(DIE, {}, 0, "")
        await bench.again(curriculum({DIE: die()})).begin()
        again = bench.monitor.assess(DIE, START + HOUR)
        assert again.belief.survival.tolist() == need.belief.survival.tolist()


async def test_a_part_on_several_clocks_that_had_run_before_or_ran_on_none_teaches_nothing(tmp_path: Path):
    async with benched(tmp_path, {DIE: die()}) as bench:
        bench.now += 100 * HOUR
        ran = {"hours": 100.0, "strokes": 500.0}
        await bench._closed(Life("worn", DIE, START, used_before=50.0), ran, Found.FAILED)
        await bench._closed(Life("silent", DIE, START), {}, Found.FAILED)
        await bench.learning.judge_due()
        assert bench.asked[-1].closed == ()
        assert bench.learning.standings()[DIES].phase is Phase.BOUND


async def test_patience_is_told_to_whoever_weighs_and_to_whoever_only_looks(bench: Bench):
    bench.learning._standings[SPINDLES] = Standing(Phase.ADAPTABLE, patience=1.5)
    assert bench.learning.patience(SPINDLE) == 1.5
    assert bench.learning.patience("nobody/knows") == 1.0
    assert patience_of(SPINDLE, PARTS[SPINDLE], {SPINDLES: Standing(patience=1.5)}) == 1.5
    assert patience_of(SEAL, PARTS[SEAL], {}) == 1.0


async def test_programs_read_how_far_a_kind_has_come(bench: Bench):
    await bench.lived(LIVES)
    await bench.learning.judge_due()
    async with bench.databases.spend.read() as tx:
        views = await kind_views(tx, OWNER, PARTS)
    spindles, seals = (json.loads(json.dumps(view.as_dict())) for view in views)
    assert (spindles["kind"], spindles["phase"], spindles["lives"]) == ("spindles", "autonomous", 16)
    assert (seals["kind"], seals["phase"], seals["code"], seals["version"]) == (
        "seal-kit",
        "bound",
        "TOO_FEW_LIVES",
        None,
    )


def test_what_wears_alike_is_of_one_kind():
    due = seal().model_copy(update={"wear": seal().wear.model_copy(update={"due": True})})
    alone = spindle(peers=None)
    parts = {"a/spindle": spindle(), "b/spindle": spindle(), "a/seal": seal(), "b/due": due, "c/alone": alone}
    found = {str(kind): components for kind, components in kinds_of(parts).items()}
    assert found == {
        "deviation:c/alone": ["c/alone"],
        "deviation:spindles": ["a/spindle", "b/spindle"],
        "usage:seal-kit": ["a/seal"],
    }
    assert kind_of("b/due", due) is None
    assert all(Kind.of(key) == kind for key, kind in ((str(kind), kind) for kind in kinds_of(parts)))


async def test_a_process_that_fails_is_no_verdict(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(NotJudged, match="ended with 1"):
        await retrained(Path("nowhere.db"), Task(SPINDLES, {}, (), Standing()))
