"""What it costs to buy for recorded engines that nobody has ever seen fail, over perfect foresight.

The engines are NASA's C-MAPSS training files, played through the monitor as a gateway has it and bought for by the
shipped timing; a part is fitted when it arrives. Five folds by unit, for each of five ways to make them: a unit is
decided by what never saw it, its own past and the first 25 cycles, without labels, of ten units of the other folds.
Beside it: with its own past alone. See `gateway.replacement` for what things cost.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from gettext import gettext as _
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from connectors.samples import Provenance, Quality, Sample
from connectors.simulator.recordings import CMapss, Recording, RecordingError
from gateway.replacement import FAILURE, HOLDING, LEAD_TIME, PLANNED, STEP, WAITING, Course, cost_ratio, interval
from maintenance.assets import Life
from maintenance.monitor import Monitor
from maintenance.profiles import TURBOFAN_CYCLE, TURBOFAN_MOVING, TURBOFAN_SETTINGS, turbofan, turbofan_tags
from maintenance.slots import Watched
from marketplace.stakes import Supply
from marketplace.timing import WATCHED_PATIENCE, Costs, TimingTerms, advise

FOLDS: Final = 5
FOLD_SEEDS: Final = 5
PEERS: Final = 10
HEALTHY: Final = 25
"""Cycles of a peer that may be used: those in which nobody fails."""
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
CYCLE: Final = timedelta(hours=1)
TERMS: Final = TimingTerms(
    lead_time=LEAD_TIME * CYCLE,
    approval=timedelta(0),
    step=STEP * CYCLE,
    costs=Costs("EUR", PLANNED, FAILURE, WAITING, HOLDING),
    supplies=(Supply("maker", 0.0, (float(LEAD_TIME),)),),
    patience=WATCHED_PATIENCE,
)


@dataclass(frozen=True, slots=True)
class Task:
    """One engine to be bought for, and those whose health may be known."""

    engine: Recording
    peers: tuple[Recording, ...]


def measure(directory: Path, subset: str, seed: int) -> dict[str, Any]:
    """Return ratio, its interval and the share of failures, with ten peers and with the own past alone.

    Raises RecordingError.
    """
    engines = {each.unit: each for each in _engines(directory, subset)}
    runs = [_tasks(engines, f"{seed}/{fold_seed}") for fold_seed in range(FOLD_SEEDS)]
    alone = [Task(engine, ()) for engine in engines.values()]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        courses = list(pool.map(bought, [task for run in [*runs, alone] for task in run], chunksize=10))
    played = [courses[at : at + len(engines)] for at in range(0, len(courses), len(engines))]
    return {
        "subset": subset,
        "units": len(engines),
        "no_history": _figures(played[:-1], seed),
        "own_past_alone": _figures(played[-1:], seed),
    }


def _engines(directory: Path, subset: str) -> Sequence[Recording]:
    form = CMapss(subset)
    file = form.find(directory)
    if file is None:
        text = _("{directory} holds no train_{subset}.txt or .txt.gz of NASA's C-MAPSS")
        raise RecordingError(text.format(directory=directory, subset=subset))
    return form.read(file)


def _tasks(engines: Mapping[int, Recording], seed: str) -> list[Task]:
    """Return every engine with peers from other folds, in the order of the engines."""
    tasks: dict[int, Task] = {}
    for number, fold in enumerate(folds(list(engines), seed)):
        others = sorted(engines.keys() - set(fold))
        peers = random.Random(f"{seed}/{number}").sample(others, min(PEERS, len(others)))
        healthy = tuple(Recording(unit, engines[unit].channels, engines[unit].rows[:HEALTHY]) for unit in peers)
        tasks |= {unit: Task(engines[unit], healthy) for unit in fold}
    return [tasks[unit] for unit in engines]


def folds(units: Sequence[int], seed: str) -> list[list[int]]:
    """Return units in five parts, by chance."""
    mixed = sorted(units)
    random.Random(seed).shuffle(mixed)
    return [mixed[number::FOLDS] for number in range(FOLDS)]


def bought(task: Task) -> Course:
    """Play an engine to its end, with peers in their health before it, and buy as the shipped timing says."""
    units = {f"unit-{each.unit}": each for each in (task.engine, *task.peers)}
    monitor = Monitor(
        {f"{unit}/engine": Watched(unit, turbofan(), turbofan_tags()) for unit in units},
        {f"{unit}/engine": Life(f"life-{unit}", f"{unit}/engine", START) for unit in units},
    )
    for peer in task.peers:
        for cycle in range(1, len(peer) + 1):
            _take(monitor, peer, cycle)
        _count(monitor, peer, len(peer) + 1)  # a frame ends when the next begins
    key = f"unit-{task.engine.unit}/engine"
    for cycle in range(1, len(task.engine)):
        _take(monitor, task.engine, cycle)
        if cycle % STEP == 0:
            belief = monitor.assess(key, now := START + cycle * CYCLE).belief
            if belief.known and advise(belief, TERMS, now).buy:
                return Course(len(task.engine), cycle + LEAD_TIME, cycle + LEAD_TIME)
    return Course(len(task.engine), None, None)


def _take(monitor: Monitor, engine: Recording, cycle: int) -> None:
    _count(monitor, engine, cycle)
    row = dict(zip(engine.channels, engine.rows[cycle - 1], strict=True))
    for tag in (*TURBOFAN_MOVING, *TURBOFAN_SETTINGS):
        _say(monitor, engine, cycle, tag, row[tag])


def _count(monitor: Monitor, engine: Recording, cycle: int) -> None:
    _say(monitor, engine, cycle, TURBOFAN_CYCLE, float(cycle))


def _say(monitor: Monitor, engine: Recording, cycle: int, tag: str, value: float) -> None:
    at = START + cycle * CYCLE
    monitor.take(Sample(f"unit-{engine.unit}/{tag}", value, Quality.GOOD, at, at, Provenance.A))


def _figures(runs: Sequence[Sequence[Course]], seed: int) -> dict[str, Any]:
    low, high = interval(runs, seed)
    lives = sum(map(len, runs))
    return {
        "ratio": round(sum(map(cost_ratio, runs)) / len(runs), 3),
        "interval": [round(low, 3), round(high, 3)],
        "failures": round(sum(one.failed for run in runs for one in run) / lives, 4),
    }
