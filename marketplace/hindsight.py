"""What a way of deciding would have cost over lives that have ended, and whether another would have cost less.

A life is replayed: at each decision the belief of that moment says whether to order; the part arrives after its delay
and is fitted then, or once use is worth less than the risk. Costs are those of `marketplace.stakes`. Where decisions
fall is chance, so a life is replayed from several beginnings and each counts by its mean.

Two ways are compared life by life (paired), at the cost rate of the one in charge: a challenger that spends more but
runs longer may well be the better one. It takes over when its mean gain exceeds one standard error, in which few lives
are not believed: a spread of a third of a planned replacement is added as if two more lives had shown it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from marketplace.stakes import Stakes, Supply, Survival, plan

PHASES: Final = 5
"""Beginnings from which the decisions of a life are replayed."""
ROUNDING: Final = 1e-9
"""What sums of costs may be wrong by, in shares of what a failure costs."""
PRIOR_LIVES: Final = 2.0
PRIOR_SPREAD: Final = 1.0 / 3.0

Beliefs = Callable[[float], Survival | None]
"""What was believed of a life at a use, both in hours; None: nothing that money could move on."""


@dataclass(frozen=True, slots=True)
class Course:
    """What a life cost and how long it was in use, in hours, each the mean over its replays; share that failed."""

    cost: float
    use: float
    failed: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a challenger saves a life, in money, and the standard error of that."""

    gain: float
    error: float

    @property
    def convincing(self) -> bool:
        """Whether the challenger takes over."""
        return self.gain > self.error


def replayed(
    beliefs: Beliefs, failed_at: float, stakes: Stakes, supply: Supply, step: float, phases: int = PHASES
) -> Course:
    """Return the course of one life. `failed_at` is its use at the failure, in hours."""
    (course,) = replays(beliefs, failed_at, [stakes], supply, step, phases)
    return course


def replays(
    beliefs: Beliefs, failed_at: float, stakes: Sequence[Stakes], supply: Supply, step: float, phases: int = PHASES
) -> list[Course]:
    """Return the courses of one life under stakes that differ only in what an hour of use is worth, the least first.

    The more it is worth, the later it is ordered: an order put off is fitted no earlier, so that its use is never less
    (monotone comparative statics: Topkis, Minimizing a submodular function on a lattice, 1978). So nobody asks again
    of the moments at which a smaller worth was not enough.
    """
    found, moments = [], _moments(0.0, failed_at, step)
    for each in stakes:
        due = (at for at, when in enumerate(moments) if _due(beliefs(when), each, supply, step))
        moments = moments[next(due, len(moments)) :]
        first = moments[0] if moments else None
        orders = [
            _order(beliefs, first, phase * step / phases, failed_at, each, supply, step) for phase in range(phases)
        ]
        courses = [_course(beliefs, failed_at, order, each, supply, step) for order in orders]
        found.append(Course(*(float(np.mean([getattr(one, name) for one in courses])) for name in _FIELDS)))
    return found


_FIELDS: Final = ("cost", "use", "failed")


def _moments(phase: float, failed_at: float, step: float) -> Sequence[float]:
    return [phase + step * count for count in range(1, max(math.ceil((failed_at - phase) / step), 1))]


def _due(believed: Survival | None, stakes: Stakes, supply: Supply, step: float) -> bool:
    if believed is None or _early(believed, stakes, supply, step):
        return False
    return plan(believed, stakes, [supply], step).order_after <= 0.0


def _early(believed: Survival, stakes: Stakes, supply: Supply, step: float) -> bool:
    """Tell whether an order a step later is surely the better one, so that nobody need plan.

    Let e be the probability of a failure before the part of that later order is there. By the formula of
    `marketplace.stakes` it costs at most e (standstill (mean delay + longest delay) + failure - planned) more than an
    order now: the emergency of one never placed, lateness, the failure itself. It saves its holding over the step, or
    the use of the old part, whichever is less.
    """
    latest = max(supply.delays)
    alive = float(believed.at(np.array([step + latest]))[0][0])
    waiting = stakes.standstill * (supply.delay + latest) + stakes.failure - stakes.planned
    saved = min(stakes.holding, stakes.running) * step * alive
    return (1.0 - alive) * waiting + ROUNDING * (waiting + stakes.failure) < saved


def _order(
    beliefs: Beliefs, first: float | None, phase: float, failed_at: float, stakes: Stakes, supply: Supply, step: float
) -> float | None:
    """Return when it is ordered with decisions shifted by a phase; wear goes one way, so only one moment is asked."""
    if phase == 0.0:
        return first
    before = (failed_at if first is None else first) - step + phase
    if 0.0 < before < failed_at and _due(beliefs(before), stakes, supply, step):
        return before
    later = None if first is None else first + phase
    return later if later is not None and later < failed_at else None


def _course(
    beliefs: Beliefs, failed_at: float, order: float | None, stakes: Stakes, supply: Supply, step: float
) -> Course:
    arrival = (failed_at if order is None else order) + supply.delay
    fitted = _fitted(beliefs, arrival, failed_at, stakes, step)
    if fitted is not None:
        return Course(stakes.planned + stakes.holding * (fitted - arrival), fitted, 0.0)
    waiting, shelved = max(arrival - failed_at, 0.0), max(failed_at - arrival, 0.0)
    return Course(stakes.failure + stakes.standstill * waiting + stakes.holding * shelved, failed_at, 1.0)


def _fitted(beliefs: Beliefs, arrival: float, failed_at: float, stakes: Stakes, step: float) -> float | None:
    """Return when the part is fitted, None where the failure came first."""
    if arrival >= failed_at:
        return None
    if stakes.running <= stakes.holding:  # the shelf costs more than the use is worth
        return arrival
    here = Supply("", 0.0, (0.0,))
    for at in [arrival, *(arrival + each for each in _moments(0.0, failed_at - arrival, step))]:
        believed = beliefs(at)
        if believed is not None and plan(believed, stakes, [here], step).replace_after <= step:
            return at
    return None


def rate(courses: Sequence[Course]) -> float:
    """Return the cost of an hour of use."""
    return sum(each.cost for each in courses) / sum(each.use for each in courses)


def compare(incumbent: Sequence[Course], challenger: Sequence[Course], planned: float) -> Comparison:
    """Compare two ways over the same lives, in the same order. Raises ValueError without any."""
    if not incumbent or len(incumbent) != len(challenger):
        raise ValueError("two ways are compared over the same lives, at least one")
    hour = rate(incumbent)
    gains = np.array(
        [(old.cost - new.cost) - hour * (old.use - new.use) for old, new in zip(incumbent, challenger, strict=True)]
    )
    lives = len(gains)
    squares = float(((gains - gains.mean()) ** 2).sum()) + PRIOR_LIVES * (PRIOR_SPREAD * planned) ** 2
    return Comparison(float(gains.mean()), math.sqrt(squares / (lives - 1 + PRIOR_LIVES) / lives))
