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
BUSY = 2.4
"""A core that others use besides is that much slower."""
STALL_MS_MAX = 5.0
ROUND_S = 0.25
"""The worst of each round is taken: the median of those, against the median of a loop that nobody disturbs, is what
retraining makes the loop wait, and not what the rest of the computer does."""
IDLE_ROUNDS, IDLE_TIMES = 6, 3.0
"""On an idle computer a loop that nobody disturbs waits for a tenth of a millisecond; on a busy one for any time."""


class Stalls:
    """How much longer than a millisecond a sleep of a millisecond took, the worst of each round; milliseconds.

    spent: what this process, all threads together, computed at most between two turns of the loop.
    """

    def __init__(self) -> None:
        self.rounds: list[float] = []
        self.spent = 0.0
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            began, worst = time.perf_counter(), 0.0
            while (before := time.perf_counter()) < began + ROUND_S:
                spent = time.process_time()
                await asyncio.sleep(0.001)
                worst = max(worst, time.perf_counter() - before - 0.001)
                self.spent = max(self.spent, 1e3 * (time.process_time() - spent))
            self.rounds.append(worst * 1e3)

    async def end(self, rounds: int = 0) -> float:
        """Return the median once there are so many rounds."""
        while len(self.rounds) < rounds:
            await asyncio.sleep(ROUND_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return statistics.median(self.rounds)


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
        idle = await Stalls().end(IDLE_ROUNDS)
        stalls, before = Stalls(), resource.getrusage(resource.RUSAGE_CHILDREN)
        await bench.learning.judge_due()
        median, after = await stalls.end(), resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        standing = bench.spindle()
        print(
            f"{HISTORIES} histories: {seconds:.1f} s of one core from start to verdict ({standing.model}), "
            f"{bench.learning.seconds[SPINDLES]:.1f} s by the clock to judge; stalls of the loop: {median:.1f} ms "
            f"in a usual quarter of a second, {idle:.1f} ms undisturbed, {max(stalls.rounds):.1f} ms at worst; "
            f"at most {stalls.spent:.1f} ms are the gateway's own"
        )
    assert (standing.phase, standing.judged) == (Phase.AUTONOMOUS, HISTORIES)
    assert seconds < SECONDS_MAX * BUSY
    assert median < STALL_MS_MAX + IDLE_TIMES * idle
    assert stalls.spent < STALL_MS_MAX * BUSY + idle
