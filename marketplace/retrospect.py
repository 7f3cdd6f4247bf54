"""What a way of buying cost over lives that have ended, and what another would have saved.

A *course* is what one life cost and how long it was in use. A part that was in before its predecessor failed costs a
planned replacement and what it lay on the shelf; one that came too late costs the failure and the standstill until it
came. A life that was ended by hand, before it failed, says nothing of what would have been later: whoever had still
waited then is taken to have replaced then, too. That never flatters whoever waits.

Two ways are compared life by life. What one saves is what the other cost less what the same hours of use would have
cost at its own rate, group by group, so that a dear part that lasts is not weighed by a cheap one that does not. Its
interval is a paired bootstrap over units, or over lives where there are few units (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, 13.3); where there is too little for one, there is none. Pure; hours and money in
the currency of the costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketplace.hindsight import Course
from marketplace.timing import Costs

SAMPLE_MIN: Final = 5
"""Units, or else lives, from which an interval is drawn: of fewer a bootstrap says too little of chance."""
RESAMPLES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Lived:
    """A life that has ended: its hours, and whether by a failure or, before that, by hand."""

    hours: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """One life under two ways. group: what costs alike, whose rates are compared; unit: the place where it was."""

    group: str
    unit: str
    ours: Course
    theirs: Course


@dataclass(frozen=True, slots=True)
class Saving:
    """What ours saves against theirs over all lives; below zero: what it costs more.

    interval: of 95 %; None where there is too little for one. over: `units` or `lives`, by which it was drawn.
    ratio: what ours costs over theirs, for the same hours of use; None where theirs cost nothing.
    """

    amount: float
    interval: tuple[float, float] | None
    over: str
    lives: int
    units: int
    ratio: float | None


def course(lived: Lived, costs: Costs, ordered: float | None, delay: float, fitted: float | None) -> Course:
    """Return the course of a life, in hours since it began.

    ordered: None: only at its end. delay: from the order to the part. fitted: not before the part is there; None:
    later than the life lasted.
    """
    arrival = (lived.hours if ordered is None else ordered) + delay
    if fitted is not None and max(fitted, arrival) < lived.hours:
        moment = max(fitted, arrival)
        return Course(costs.planned + costs.holding * (moment - arrival), moment, 0.0)
    return happened(lived, costs, arrival)


def happened(lived: Lived, costs: Costs, arrival: float | None, paid: float | None = None) -> Course:
    """Return the course of a life that went on to its end. arrival: of the next part; None: nobody says, so nothing
    is counted for waiting and shelf. paid: for the part, where it was another price than planned."""
    there = lived.hours if arrival is None else arrival
    more = 0.0 if paid is None else paid - costs.planned
    shelf = costs.holding * max(lived.hours - there, 0.0)
    if not lived.failed:
        return Course(costs.planned + more + shelf, lived.hours, 0.0)
    return Course(costs.failure + more + shelf + costs.standstill * max(there - lived.hours, 0.0), lived.hours, 1.0)


def foreseen(lived: Lived, costs: Costs, step: float) -> Course:
    """Return the course of one who knew the failure and decides every `step` hours: fitted at the last decision before
    it, with the part arriving then. Raises ValueError for a life that did not fail: nobody knows when it would have."""
    if not lived.failed:
        raise ValueError("nobody knows when a part would have failed that was taken out before")
    steps = math.ceil(lived.hours / step) - 1
    return Course(costs.planned, steps * step if steps > 0 else lived.hours, 0.0)


def expected(courses: Sequence[Course], likely: Sequence[float]) -> Course:
    """Return the mean of several courses of one life, each as likely as it is said. Raises ValueError without any."""
    if not courses or len(courses) != len(likely):
        raise ValueError("a mean is taken over at least one course, each with how likely it is")
    whole = sum(likely)
    return Course(
        *(
            sum(getattr(each, name) * weight for each, weight in zip(courses, likely, strict=True)) / whole
            for name in ("cost", "use", "failed")
        )
    )


def saving(pairs: Sequence[Pair], seed: int, share: float = 0.95) -> Saving:
    """Return what ours would have saved over the lives, of one currency. Raises ValueError without any."""
    if not pairs:
        raise ValueError("two ways are compared over the same lives, at least one")
    units = sorted({each.unit for each in pairs})
    amount, ratio = _saved(pairs)
    over = "units" if len(units) >= SAMPLE_MIN else "lives" if len(pairs) >= SAMPLE_MIN else ""
    interval = None
    if over:
        places = {unit: row for row, unit in enumerate(units)}
        rows = np.array([places[each.unit] for each in pairs]) if over == "units" else np.arange(len(pairs))
        amounts = _resampled(_sums(pairs, rows), seed)
        low, high = np.quantile(amounts, [(1 - share) / 2, (1 + share) / 2])
        interval = float(low), float(high)
    return Saving(amount, interval, over, len(pairs), len(units), ratio)


def _saved(pairs: Sequence[Pair]) -> tuple[float, float | None]:
    """Return what is saved, and what ours costs over theirs."""
    sums = _sums(pairs, np.zeros(len(pairs), np.int64)).sum(axis=0)
    amount, spent = float(_amounts(sums[None])[0]), float(sums[:, 2].sum())
    return amount, (spent - amount) / spent if spent else None


def _sums(pairs: Sequence[Pair], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return by row and group: cost and use of ours, cost and use of theirs."""
    groups = {group: column for column, group in enumerate(sorted({each.group for each in pairs}))}
    sums = np.zeros((int(rows.max()) + 1, len(groups), 4))
    for row, each in zip(rows.tolist(), pairs, strict=True):
        sums[row, groups[each.group]] += (each.ours.cost, each.ours.use, each.theirs.cost, each.theirs.use)
    return sums


def _amounts(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is saved, for each row of sums by group; a group without use is not in it."""
    cost, use, their_cost, their_use = (sums[..., column] for column in range(4))
    rate = np.divide(cost, use, out=np.zeros_like(cost), where=use > 0)
    amounts: NDArray[np.float64] = np.where(use > 0, their_cost - rate * their_use, 0.0).sum(axis=-1)
    return amounts


def _resampled(sums: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return what is saved in each of many draws of the rows, with replacement."""
    count = len(sums)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), RESAMPLES)
    return _amounts(np.tensordot(draws.astype(np.float64), sums, axes=1))
