"""What it costs to buy for recorded engines, over perfect foresight: with all the lives of others, and with none.

Five folds by unit, for each of five ways to make them; a unit is decided by what never saw it. With history: whoever is
in charge after the lives of the other folds, as the judge of a gateway says (`gateway.learning.judging`): the rule that
needs none, a ridge regression, or boosted trees where the extra `learning` is installed. Without: the unit's own past
and the first 25 cycles, without labels, of ten units of the other folds; beside it with its own past alone, and with a
rating that is wrong by 30 % either way. See `gateway.replacement` for what things cost and `gateway.benchmarks.engines`
for how engines are played.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from connectors.samples import Measure
from connectors.simulator.recordings import Recording
from gateway.benchmarks.engines import CYCLE, RATED, START, believed, engines_of, folds, histories, peers_of
from gateway.learning.documents import checked
from gateway.learning.judging import judge
from gateway.learning.kinds import Kind, Wearing
from gateway.learning.standing import Standing
from gateway.learning.task import Case, Closed, Verdict
from gateway.learning.task import Task as KindTask
from gateway.replacement import FAILURE, HOLDING, LEAD_TIME, PLANNED, STEP, WAITING, Course, cost_ratio, interval
from maintenance.assets import Found
from maintenance.frames import History
from maintenance.learning import Learned, smoothed
from maintenance.profiles import turbofan
from maintenance.walks import Walk, untold, walks
from marketplace.hindsight import Beliefs
from marketplace.stakes import Supply, Survival, plan
from marketplace.timing import WATCHED_PATIENCE, Costs, TimingTerms, advise, stakes_of

FOLD_SEEDS: Final = 5
RULE: Final = "rule"
"""Who is in charge where no model is."""
RATINGS: Final = (0.7, 1.3)
COSTS: Final = Costs("EUR", PLANNED, FAILURE, WAITING, HOLDING)
SUPPLY: Final = Supply("maker", 0.0, (float(LEAD_TIME),))
TERMS: Final = TimingTerms(
    lead_time=LEAD_TIME * CYCLE,
    approval=timedelta(0),
    step=STEP * CYCLE,
    costs=COSTS,
    supplies=(SUPPLY,),
    patience=WATCHED_PATIENCE,
)


@dataclass(frozen=True, slots=True)
class Task:
    """One engine to be bought for, and those whose health may be known."""

    engine: Recording
    peers: tuple[Recording, ...]
    rated: float = RATED


@dataclass(frozen=True, slots=True)
class Lived:
    """One fold: engines to be bought for, and others that have ended."""

    engines: tuple[Task, ...]
    ended: tuple[Recording, ...]


def measure(directory: Path, subset: str, seed: int) -> tuple[dict[str, Any], list[Course]]:
    """Return the figures, and the courses of the first of the five ways, in the order of the units.

    Raises RecordingError.
    """
    engines = engines_of(directory, subset)
    runs = [_tasks(engines, f"{seed}/{fold_seed}") for fold_seed in range(FOLD_SEEDS)]
    alone = [Task(engine, ()) for engine in engines.values()]
    rated = [[Task(task.engine, task.peers, share * RATED) for task in runs[0]] for share in RATINGS]
    plain = [*runs, alone, *rated]
    with workers() as pool:
        bought_for = list(pool.map(bought, [task for run in plain for task in run], chunksize=10))
        lived = [each for fold_seed in range(FOLD_SEEDS) for each in lives(engines, f"{seed}/{fold_seed}")]
        learned = decided(pool, lived)
    played = [bought_for[at : at + len(engines)] for at in range(0, len(bought_for), len(engines))]
    histories_runs = [
        _by_unit(engines, learned[at : at + len(lived) // FOLD_SEEDS])
        for at in range(0, len(learned), len(lived) // FOLD_SEEDS)
    ]
    best = _figures(histories_runs, seed)
    return {
        "subset": subset,
        "units": len(engines),
        "no_history": _figures(played[:FOLD_SEEDS], seed),
        "own_past_alone": _figures(played[FOLD_SEEDS : FOLD_SEEDS + 1], seed),
        "rating_changes": {
            f"{share:g}": round(cost_ratio(run) - cost_ratio(played[0]), 3)
            for share, run in zip(RATINGS, played[FOLD_SEEDS + 1 :], strict=True)
        },
        "in_charge": sorted({kind for kind, _courses in learned}),
        "cost_ratio": best["ratio"],
        "interval": best["interval"],
        "failures_percent": round(100 * best["failures"], 2),
    }, histories_runs[0]


def workers() -> ProcessPoolExecutor:
    """Return processes, one for each processor, each with one thread."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    return ProcessPoolExecutor(mp_context=get_context("spawn"))


def _by_unit(engines: Mapping[int, Recording], parts: Iterable[tuple[str, dict[int, Course]]]) -> list[Course]:
    courses = {unit: course for _kind, part in parts for unit, course in part.items()}
    return [courses[unit] for unit in engines]


def _tasks(engines: Mapping[int, Recording], seed: str) -> list[Task]:
    """Return every engine with peers from other folds, in the order of the engines."""
    tasks: dict[int, Task] = {}
    for number, fold in enumerate(folds(list(engines), seed)):
        peers = peers_of(engines, sorted(engines.keys() - set(fold)), f"{seed}/{number}")
        tasks |= {unit: Task(engines[unit], peers) for unit in fold}
    return [tasks[unit] for unit in engines]


def lives(engines: Mapping[int, Recording], seed: str, count: int | None = None) -> list[Lived]:
    """Return every fold with so many lives of the others, or all."""
    parts = folds(list(engines), seed)
    found = []
    for number, fold in enumerate(parts):
        tests = peers_of(engines, sorted(engines.keys() - set(fold)), f"{seed}/{number}")
        others = [unit for part in parts if part is not fold for unit in part]
        most = len(others) if count is None else min(count, len(others))
        drawn = random.Random(f"{seed}/{number}/{count}").sample(others, most)
        ended = tuple(engines[unit] for unit in drawn)
        found.append(Lived(tuple(Task(engines[unit], tests) for unit in fold), ended))
    return found


def bought(task: Task, terms: TimingTerms = TERMS) -> Course:
    """Return the course of an engine that is bought for by the rule without history, as the shipped timing says."""
    for cycle, belief in believed(task.engine, task.peers, STEP, task.rated).items():
        if advise(belief, terms, START + cycle * CYCLE).buy:
            return Course(len(task.engine), cycle + LEAD_TIME, cycle + LEAD_TIME)
    return Course(len(task.engine), None, None)


def decided(pool: Executor, folds: Sequence[Lived]) -> list[tuple[str, dict[int, Course]]]:
    """Return who is in charge of each fold after the lives that have ended, and the courses of the engines that it buys
    for. What the rule buys for the same engine beside the same peers is played once."""
    charges = list(pool.map(charged, folds))
    by_rule = {
        _key(task, charge.patience): (task, replace(TERMS, patience=charge.patience))
        for charge, lived in zip(charges, folds, strict=True)
        if charge.kind == RULE
        for task in lived.engines
    }
    played = dict(zip(by_rule, pool.map(bought, *zip(*by_rule.values(), strict=True), chunksize=10), strict=True))
    return [
        (
            charge.kind,
            charge.courses or {task.engine.unit: played[_key(task, charge.patience)] for task in lived.engines},
        )
        for charge, lived in zip(charges, folds, strict=True)
    ]


def _key(task: Task, patience: float) -> tuple[int, tuple[int, ...], float]:
    return task.engine.unit, tuple(each.unit for each in task.peers), patience


@dataclass(frozen=True, slots=True)
class Charge:
    """Who is in charge of a fold, how patient, and the courses of its engines where that is a model."""

    kind: str
    patience: float
    courses: dict[int, Course] = field(default_factory=dict)


def charged(lived: Lived) -> Charge:
    """Return who is in charge of a fold after the lives that have ended."""
    verdict = judged(list(histories(lived.ended, lived.ended).values()))
    standing = verdict.standing
    if not standing.model:
        return Charge(RULE, max(TERMS.patience, standing.patience))
    model = checked(verdict.document, standing.version)
    new = histories([task.engine for task in lived.engines], lived.ended)
    told = foreseen(model, list(new.values()))
    courses = {
        unit: _course(told.get(life.unit, _silent), len(life.use), model, standing.patience)
        for unit, life in new.items()
    }
    return Charge(standing.model, standing.patience, courses)


def judged(past: Sequence[History]) -> Verdict:
    """Return what a gateway's judge makes of lives that have ended."""
    case = Case(turbofan(rated_life=Measure(RATED, "cycles")), "cycles", COSTS, SUPPLY.delays, float(STEP))
    closed = tuple(Closed(each.unit, "engine", each.life, each.life, Found.FAILED) for each in past)
    task = KindTask(Kind(Wearing.DEVIATION, "engines"), {"engine": case}, closed, Standing())
    return judge(task, {each.unit: each for each in past})


def foreseen(model: Learned, lives: Sequence[History]) -> dict[str, Beliefs]:
    """Return what a model believes along lives that it has not seen; nothing of one that ended in its health."""
    return {walk.unit: _along(model, walk) for walk in walks(lives, model.reference, model.healthy, model.usual)}


def _along(model: Learned, walk: Walk) -> Beliefs:
    predicted = smoothed(untold(model.regression.predict(walk.common, walk.special), model.usual))

    def at(cycle: float) -> Survival | None:
        place = int(np.searchsorted(walk.use, cycle, "right")) - 1
        return None if place < 0 else Survival(model.table.use, model.table.at(float(predicted[place])))

    return at


def _silent(_cycle: float) -> None:
    """What is believed of a life that ended in its health."""


def _course(beliefs: Beliefs, failure: int, model: Learned, patience: float) -> Course:
    """Return the course of an engine; the shelf costs more than its use is worth, so a part is fitted as it comes."""
    stakes = stakes_of(COSTS, model.usual, patience)
    for cycle in range(STEP, failure, STEP):
        survival = beliefs(float(cycle))
        if survival is not None and plan(survival, stakes, [SUPPLY], float(STEP)).order_after <= 0.0:
            return Course(failure, cycle + LEAD_TIME, cycle + LEAD_TIME)
    return Course(failure, None, None)


def decisions(engines: Sequence[int], courses: Sequence[Course]) -> dict[str, Any]:
    """Return when each unit was ordered for and its part to be fitted, so that anybody can compute the ratio again."""
    return {
        "units": [
            {
                "unit": unit,
                "order": None if course.arrival is None else course.arrival - LEAD_TIME,
                "replace": course.planned,
            }
            for unit, course in zip(engines, courses, strict=True)
        ]
    }


def _figures(runs: Sequence[Sequence[Course]], seed: int) -> dict[str, Any]:
    low, high = interval(runs, seed)
    return {
        "ratio": round(float(np.mean([cost_ratio(run) for run in runs])), 3),
        "interval": [round(low, 3), round(high, 3)],
        "failures": round(float(np.mean([one.failed for run in runs for one in run])), 4),
    }
