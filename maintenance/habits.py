"""Lives whose wear was watched to the failure, and what they say of how the next such parts wear.

Five figures of `Habits`, each by its plain estimate, from block means of the wear, so that noise averages out and what
is left of it is taken off. Few lives prove little: each spread is weighed against the round numbers of wear at large as
if those were two lives more, and growth by its precision. Without any life the answer is those numbers.

growth: wear that grows by h e-folds in a life has done 1 / (exp(h / 2) + 1) of its way at half-time. chance: the
scatter of the increments between block means; of a Brownian motion it is two thirds of that between the blocks' ends.
limit_spread: how far from the engineer's limit the parts failed. No clock, no chance, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from maintenance.features import Vector
from maintenance.prognosis import GROWTH_MAX, USUAL, Habits

BLOCKS: Final = 8
"""Spans of a life: enough for its bend and its roughness, few enough that each averages many values."""
VALUES_MIN: Final = 2 * BLOCKS
"""A life that was heard less often than twice in a span tells nothing."""
LAST: Final = 40
"""The level at failure is the mean of the last fortieth of a life, at least five values, carried to the end."""
LAST_MIN: Final = 5
PRIOR_LIVES: Final = 2.0
"""What the round numbers weigh: two lives."""
SPREAD_MIN: Final = 0.01
"""No two parts are the same within a hundredth."""
HALF_MIN, HALF_MAX = 0.02, 0.9
"""Bounds of what a life has done of its way at half-time, beyond which it is no wear."""


@dataclass(frozen=True, slots=True)
class WornLife:
    """The wear of one life that ended in failure, as shares of the way to the limit, evenly over its use."""

    use: float
    worn: Vector

    def __post_init__(self) -> None:
        if not (0.0 < self.use < math.inf and bool(np.all(np.isfinite(self.worn)))):
            raise ValueError("a life has a use above zero, and wear is finite")


@dataclass(frozen=True, slots=True)
class _Told:
    """What one life tells: its use, level at the end, e-folds of growth, its block means, and the variance of noise."""

    use: float
    end: float
    end_noise: float
    folds: float
    means: Vector
    noise: float


def learned(lives: Sequence[WornLife], rated: float, prior: Habits = USUAL) -> Habits:
    """Return how such parts wear; `rated` is the life to which growth is referred, in the unit of use."""
    told = [_told(life) for life in lives if len(life.worn) >= VALUES_MIN]
    if not told:
        return prior
    folds = np.array([each.folds * rated / each.use for each in told])
    chance = _pooled(prior.chance**2, np.array([_roughness(each, folds.mean() * each.use / rated) for each in told]))
    error = 16.0 * chance + 64.0 * float(np.mean([each.noise for each in told]))
    growth_variance = _pooled(prior.growth_spread**2, (folds - folds.mean()) ** 2 - error)
    growth = _weighed(prior, float(folds.mean()), (growth_variance + error) / len(told))
    logs = np.log([each.use for each in told])
    rating = _pooled(prior.rating_spread**2, (logs - np.median(logs)) ** 2 - chance)
    limits = np.array([(each.end - 1.0) ** 2 - each.end_noise for each in told])
    return Habits(
        rating_spread=math.sqrt(rating),
        growth=growth,
        growth_spread=math.sqrt(growth_variance),
        chance=math.sqrt(chance),
        limit_spread=min(math.sqrt(max(float(limits.mean()), SPREAD_MIN**2)), 1.0),
    )


def _told(life: WornLife) -> _Told:
    worn, count = life.worn, len(life.worn)
    last = max(count // LAST, LAST_MIN)
    noise = (
        float(np.mean(np.diff(worn, 2) ** 2)) / 6.0
    )  # the second difference of white noise has six times its variance
    means = np.array([block.mean() for block in np.array_split(worn, BLOCKS)])
    end = float(worn[-last:].mean()) + (means[-1] - means[-2]) * BLOCKS * last / count / 2.0
    half = min(max((means[BLOCKS // 2 - 1] + means[BLOCKS // 2]) / 2.0 / end, HALF_MIN), HALF_MAX) if end > 0 else 0.5
    return _Told(life.use, end, noise / last, 2.0 * math.log(1.0 / half - 1.0), means, noise * BLOCKS / count)


def _roughness(told: _Told, folds: float) -> float:
    """Return the variance that chance adds from new to the limit."""
    ends = np.expm1(folds * np.arange(BLOCKS + 1) / BLOCKS) / math.expm1(folds) if folds else np.arange(9) / BLOCKS
    middles = (ends[1:] + ends[:-1]) / 2.0
    shares = np.diff(middles)
    off = np.diff(told.means) - shares * (told.means[-1] - told.means[0]) / (middles[-1] - middles[0])
    lost = len(shares) / (len(shares) - 1.0)  # the whole increment was taken from the same means
    return float(np.mean((off**2 * lost - 2.0 * told.noise) / (2.0 / 3.0 * shares)))


def _pooled(prior: float, seen: Vector) -> float:
    """Return a variance from those of single lives, with the prior's as if of two lives more."""
    return max((PRIOR_LIVES * prior + float(seen.sum())) / (PRIOR_LIVES + len(seen)), SPREAD_MIN**2)


def _weighed(prior: Habits, seen: float, variance: float) -> float:
    weight, seen_weight = prior.growth_spread**-2, 1.0 / variance
    return min(max((weight * prior.growth + seen_weight * seen) / (weight + seen_weight), 0.0), GROWTH_MAX)
