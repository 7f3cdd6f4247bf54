"""Retraining on a hundred histories: seconds of one core, and how long the gateway's event loop waits meanwhile."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.databases import telemetry_file
from gateway.learning.phases import Phase
from gateway.learning.retraining import retrained
from gateway.learning.task import Task, Verdict
from tests.unit.gateway.learning.plants import SPINDLE, SPINDLES, spindle
from tests.unit.gateway.learning.test_service import Bench, benched
from tests.unit.maintenance.lives import WIDE, wide

pytestmark = pytest.mark.serial

HISTORIES = 100
SECONDS_MAX = 5.0
BUSY = 1.6
"""A core that others use besides is that much slower."""
STALL_MS_MAX = 5.0
ROUND_S = 0.25
"""The worst of each round is taken: the median of those is what this process makes the loop wait, and not what the
rest of the computer does."""


class Stalls:
    """How much longer than a millisecond a sleep of a millisecond took, the worst of each round, in milliseconds."""

    def __init__(self) -> None:
        self.rounds: list[float] = []
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            began, worst = time.perf_counter(), 0.0
            while (before := time.perf_counter()) < began + ROUND_S:
                await asyncio.sleep(0.001)
                worst = max(worst, time.perf_counter() - before - 0.001)
            self.rounds.append(worst * 1e3)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def beside(bench: Bench) -> Callable[[Task], object]:
    """Retraining in a process of its own, as a gateway does it."""
    path = telemetry_file(bench.databases.telemetry.path.parent)

    async def judged(task: Task) -> Verdict:
        return await retrained(path, task)

    return judged


async def test_a_hundred_histories_are_learned_from_in_seconds_while_the_loop_goes_on(tmp_path: Path):
    parts = {SPINDLE: spindle("200 h", tags=list(WIDE), baseline=25)}
    async with benched(tmp_path, parts) as bench:
        await bench.lived([wide(unit) for unit in range(HISTORIES)], signals=WIDE)
        bench.learning._retraining = beside(bench)  # type: ignore[assignment]
        stalls, before = Stalls(), resource.getrusage(resource.RUSAGE_CHILDREN)
        await bench.learning.judge_due()
        await stalls.end()
        after, standing = resource.getrusage(resource.RUSAGE_CHILDREN), bench.spindle()
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        median, worst = statistics.median(stalls.rounds), max(stalls.rounds)
        print(
            f"{HISTORIES} histories: {seconds:.1f} s of one core from start to verdict ({standing.model}), "
            f"{bench.learning.seconds[SPINDLES]:.1f} s by the clock to judge; "
            f"stalls of the loop: {median:.1f} ms in the usual round, {worst:.1f} ms at worst"
        )
    assert (standing.phase, standing.judged) == (Phase.AUTONOMOUS, HISTORIES)
    assert seconds < SECONDS_MAX * BUSY
    assert median < STALL_MS_MAX
