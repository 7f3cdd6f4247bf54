"""Which of several ways to decide is in charge: the first, until another has shown over ended lives that it costs less.

A `Way` is an estimator with a patience, and what deciding by it would have cost over each life that it had not seen.
Ways are weighed in their order, from the one that needs no history to those that need much of it; a later one takes
over when `marketplace.hindsight.compare` is convinced. So the rule without history stays until evidence says
otherwise. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from maintenance.learning import Lesson, Table
from marketplace.hindsight import Beliefs, Course, compare, replayed
from marketplace.stakes import Supply, Survival
from marketplace.timing import WATCHED_PATIENCE, Costs, stakes_of

RULE: Final = "rule"
PATIENCES: Final = (WATCHED_PATIENCE, 2.0)
"""What a model's patience is tried at; the rule without history keeps the cautious one."""
LIVES_MIN: Final = {"ridge": 5, "boosted": 20}
"""Failures seen before a model is weighed at all."""


@dataclass(frozen=True, slots=True)
class Way:
    """An estimator by its kind, its patience, and its course over each life."""

    kind: str
    patience: float
    courses: tuple[Course, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """What decisions are made under: costs, who supplies, and how often; hours."""

    costs: Costs
    supply: Supply
    step: float


def in_charge(ways: Sequence[Way], planned: float) -> Way:
    """Return the way that decides. Raises ValueError without any."""
    if not ways:
        raise ValueError("somebody has to decide")
    best = ways[0]
    for way in ways[1:]:
        if best.courses and compare(best.courses, way.courses, planned).convincing:
            best = way
    return best


def way(kind: str, patience: float, lives: Sequence[tuple[Beliefs, float]], usual: float, setting: Setting) -> Way:
    """Return what deciding by beliefs would have cost over lives, each with its use at the failure, in hours."""
    stakes = stakes_of(setting.costs, usual, patience)
    replays = [replayed(beliefs, failed_at, stakes, setting.supply, setting.step) for beliefs, failed_at in lives]
    return Way(kind, patience, tuple(replays))


def taught(lesson: Lesson) -> list[tuple[Beliefs, float]]:
    """Return what a lesson would have said of each life, had it not seen it; one unit of use is an hour."""
    return [
        (beliefs_of(lesson.unseen_table(at), walk.use, lesson.predicted[at]), float(walk.use[-1] + walk.rest[-1]))
        for at, walk in enumerate(lesson.walks)
    ]


def beliefs_of(known: Table, use: np.typing.NDArray[np.float64], predicted: np.typing.NDArray[np.float64]) -> Beliefs:
    """Return the beliefs that follow from predictions along a life."""

    def believed(at: float) -> Survival | None:
        place = int(np.searchsorted(use, at + 1e-9)) - 1
        return None if place < 0 else Survival(known.use, known.at(float(predicted[place])))

    return believed


def ways(
    rule: Sequence[tuple[Beliefs, float]],
    rated: float,
    lessons: Sequence[Callable[[], Lesson]],
    setting: Setting,
) -> tuple[Way, dict[str, Lesson]]:
    """Return who decides, and the lessons that were weighed, by kind.

    rule: what the rule without history said along each life; rated: the life that it stands on, in hours.
    """
    weighed = [way(RULE, WATCHED_PATIENCE, rule, rated, setting)]
    learned: dict[str, Lesson] = {}
    for teach in lessons:
        lesson = teach()
        kind = lesson.model.regression.kind
        learned[kind] = lesson
        lives = taught(lesson)
        weighed += [way(kind, patience, lives, lesson.model.usual, setting) for patience in PATIENCES]
    return in_charge(weighed, setting.costs.planned), learned
