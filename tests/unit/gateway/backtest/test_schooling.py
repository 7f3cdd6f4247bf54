"""Lives that end while telemetry is played teach as they do in a gateway, and a model that goes wrong is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.samples import Batch, Keys, Provenance, Quality, ticks_of
from gateway.backtest import schooling
from gateway.backtest.schooling import Record, Schooling
from gateway.learning.curriculum import Curriculum
from gateway.learning.judging import judge
from gateway.learning.keeping import FrameKeeper
from gateway.learning.phases import Phase
from gateway.learning.task import Task, Verdict
from gateway.settings import ComponentConfig
from maintenance.assets import Fitting, FittingState, Life
from maintenance.frames import FRAMES_MAX, Frames, History
from maintenance.monitor import Monitor
from maintenance.slots import Watched
from maintenance.store import load_frames
from marketplace.settings import TimingSettings
from tests.unit.gateway.learning.plants import SPINDLE, SPINDLES, quick, spindle
from tests.unit.gateway.learning.test_keeping import Told, store
from tests.unit.maintenance.lives import SIGNALS

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
BUYING = {"lead_time": "8 h", "price": "100 EUR", "standstill": "10 EUR/h", "failure": "400 EUR", "holding": "1 EUR/h"}
UNITS = dict.fromkeys(SIGNALS, "1")
LIVES = quick(15)
Asked = list[tuple[Task, Mapping[str, History]]]


class Mill:
    """A spindle that lives one life after the other, and what its backtest has learned."""

    def __init__(self) -> None:
        config = ComponentConfig.model_validate(spindle().model_dump(mode="json") | {"buying": BUYING})
        timing = TimingSettings(approval="0 h", step="4 h")  # type: ignore[arg-type]
        self.now, self.count, self.keys = START, 0, Keys([f"mill/{signal}" for signal in SIGNALS])
        self.monitor = Monitor({SPINDLE: Watched("mill", config, UNITS)}, {SPINDLE: Life("0", SPINDLE, START, 0.0)})
        self.school = Schooling(Curriculum({SPINDLE: config}, {SPINDLE: UNITS}, timing), self.monitor)

    def work(self, frames: np.ndarray[Any, Any]) -> bool:
        """Work for an hour a frame; return whether anything was taken back meanwhile."""
        taken_back = False
        for frame in frames:
            self.now += HOUR
            said, at = np.arange(len(SIGNALS), dtype=np.int32), np.full(len(SIGNALS), ticks_of(self.now) - 1)
            quality = np.full(len(SIGNALS), int(Quality.GOOD), np.uint8)
            self.monitor.fold(Batch("", self.keys, said, frame, quality, at, at, Provenance.A))
            self.monitor.connection_alive(list(self.keys), self.now)
            taken_back |= self.school.step([self.monitor.assess(SPINDLE, self.now)], self.now)
        return taken_back

    def fails(self) -> None:
        life = self.monitor.life(SPINDLE)
        assert life is not None
        self.school.ended(life, self.now, failed=True)
        self.count += 1
        following = Life(f"{self.count}", SPINDLE, self.now, 0.0)
        self.school.keep()
        self.monitor.fitted(Fitting("f", SPINDLE, self.now, FittingState.DONE, "plant", "{}"), following)
        self.school.begun(SPINDLE, self.now)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the judge was asked, who answers as ever."""
    found: Asked = []

    def judged(task: Task, histories: Mapping[str, History]) -> Verdict:
        found.append((task, dict(histories)))
        return judge(task, histories)

    monkeypatch.setattr(schooling, "judge", judged)
    return found


def test_a_kind_learns_from_what_ended_and_a_stuck_sensor_takes_it_back(
    asked: list[tuple[Task, Mapping[str, History]]],
):
    mill = Mill()
    for one in LIVES:
        mill.work(one.frames)
        mill.fails()
    assert [len(task.closed) for task, _histories in asked] == list(range(1, 16))
    told = asked[-1][1]
    assert set(told) == {f"{number}" for number in range(15)}
    for number, one in enumerate(LIVES):
        frames = told[f"{number}"].frames
        assert len(frames) >= len(one.frames) - 2  # the last ones had not closed
        assert np.allclose(frames, one.frames[: len(frames)].astype(np.float32))
    standing = mill.school.standings()[SPINDLES]
    assert (standing.phase, standing.lives) == (Phase.AUTONOMOUS, 15)
    assert mill.school.patience(SPINDLE) == standing.patience
    assert mill.school.watched(SPINDLE)
    assert mill.work(np.repeat(LIVES[0].frames[:1], 30, axis=0))
    after = mill.school.standings()[SPINDLES]
    assert (after.phase, after.code) == (Phase.BOUND, "SENSOR_STUCK")


def test_a_kind_of_many_lives_is_judged_once_a_tenth_more_have_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schooling, "EVERY_MAX", 4)
    asked: list[int] = []

    def judged(task: Task, histories: Mapping[str, History]) -> Verdict:
        asked.append(len(task.closed))
        return Verdict(task.standing)

    monkeypatch.setattr(schooling, "judge", judged)
    mill = Mill()
    for _life in range(16):
        mill.work(LIVES[0].frames[:3])
        mill.fails()
    assert asked == [*range(1, 12), 13, 15]  # of more than ten a tenth is more than one


def test_a_judgement_that_fails_leaves_what_was_believed_and_is_counted(monkeypatch: pytest.MonkeyPatch):
    def fails(task: Task, histories: Mapping[str, History]) -> Verdict:
        raise ArithmeticError("no")

    monkeypatch.setattr(schooling, "judge", fails)
    mill = Mill()
    before = mill.school.standings()
    mill.work(LIVES[0].frames[:20])
    mill.fails()
    assert (mill.school.judged, mill.school.failures) == (1, 1)
    assert mill.school.standings() == before


async def test_frames_are_as_bounded_as_those_that_a_gateway_keeps(tmp_path: Path):
    record, monitor = Record(Frames.none(6), spindle().wear.baseline), Told()  # type: ignore[union-attr]
    async with store(tmp_path) as storage:
        keeper = FrameKeeper(storage, monitor, {SPINDLE: spindle()})  # type: ignore[arg-type]
        for first in range(1, FRAMES_MAX + 1200, schooling.WAITING_MAX):
            monitor.closes(schooling.WAITING_MAX, first)
            record.take(monitor.closed[SPINDLE])
            await keeper.keep(START)
        async with storage.read() as tx:
            kept = Frames.joined(row.frames for row in await load_frames(tx, "l1"))
    ours = record.put()
    assert len(ours) <= FRAMES_MAX
    assert ours.content() == kept.content()
