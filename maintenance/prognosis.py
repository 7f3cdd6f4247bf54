"""Prognosis (ISO 13374 PA): what is left of a life, as one `Belief`, by three kinds of evidence.

*Usage* conditions a Weibull life around the rated one on what the part has run, on one clock or on several of which
the first to end it counts. *Level* lets a Wiener process with
drift pass an engineering limit for the first time; its drift begins as the rated life's and becomes the unit's own as
a trend appears. *Deviation* carries the unit's distance from its healthy self forward along its trend, against a
failure level that nobody knows: a broad prior around three healthy scatters. No estimator has seen a failure. They are
functions of their arguments: no clock, no chance, no state.

The priors below are round numbers for machines at large; each says where it comes from, none was fitted to a failure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

import numpy as np

from maintenance.belief import Belief, Provenance
from maintenance.features import Trend, Vector
from maintenance.lifetimes import Lifetimes, scale_of

GRID_POINTS = 120
"""A grid that grows by 8 % a point over four decades: fine where the decision is near, coarse where it is far."""
LIVES_AHEAD = 3.0
"""A belief looks three rated lives ahead; nothing is decided beyond."""

RATING_SPREAD = 0.5
"""A unit's wear rate is within half of the rated one two times in three: load and dirt differ that much by site."""
LEAST_DRIFT = 0.05
"""A wear rate below a twentieth of the rated one is taken as that."""
GROWTH, GROWTH_SPREAD, GROWTH_MAX = 2.0, 2.0, 8.0
"""In one rated life the wear rate grows by one e-fold, give or take one and a half: some wear is steady, most ends
faster than it began; eight e-folds are a break, not wear."""
DIFFUSION_SHARE = 0.15
"""From new to the limit chance alone moves the wear by about a tenth of its span."""

FAILURE_DEVIATION = 3.0
"""Median deviation at failure, in healthy scatters: three is the action limit of control charts (ISO 7870-2), where a
process has surely left its healthy state."""
QUARTER = 4.0
"""Wear that has begun takes about a quarter of a rated life to the usual failure; where none is rated, four times the
span that somebody called healthy when choosing the baseline."""
LEAST_DEVIATION = 0.1
"""Below a tenth of a scatter nothing is told from nothing."""
FAILURE_SHAPE = 6.0
"""The failure level is Weibull with this shape: nine units in ten fail between 1.9 and 3.8 scatters. Its hazard rises,
so that a unit farther from health is never given longer."""

_HALF = np.array([0.078412, 0.237202, 0.40225, 0.579132, 0.776422, 1.00999, 1.318011, 1.862732])
_NORMAL_NODES = np.concatenate((-_HALF[::-1], _HALF))
"""Sixteen equally likely values of a standard normal."""
_SHUFFLED = np.array([0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15])
_STRIDED = np.arange(16) * 7 % 16
"""Two orders of the nodes, so that sixteen tuples stand for the square or the cube of three quantities."""


LIMIT_PASSED_MAX = 4.0
"""A level that is more than four scatters beyond the usual limit is taken as that: nothing was learned so far out."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How such parts wear, before this one is seen; as they stand, the round numbers above.

    rating_spread, growth, growth_spread: see there; growth in e-folds of the wear rate in one rated life. chance: how
    far chance alone moves the wear from new to the limit, in shares of the way. limit_spread: how far the levels at
    which such parts fail scatter, in the same; 0 where the limit is the engineer's word.
    """

    rating_spread: float = RATING_SPREAD
    growth: float = GROWTH
    growth_spread: float = GROWTH_SPREAD
    chance: float = DIFFUSION_SHARE
    limit_spread: float = 0.0

    def __post_init__(self) -> None:
        spreads = (self.rating_spread, self.growth_spread, self.chance)
        if not all(0.0 < each < math.inf for each in spreads) or not 0.0 <= self.growth <= GROWTH_MAX:
            raise ValueError("spreads are above zero, and growth lies within what is wear")
        if not 0.0 <= self.limit_spread <= 1.0:
            raise ValueError("failure levels scatter by no more than the way to the limit")

    def flow(self, rate: float) -> float:
        """Return the variance that chance adds per unit of use to wear of this rate: as in a gamma process, faster wear
        is rougher by as much (van Noortwijk, A survey of the application of gamma processes in maintenance, 2009)."""
        return self.chance**2 * rate


USUAL = Habits()
"""What is known of wear at large."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What every belief carries besides its survival; see `Belief`."""

    unit: str
    use_per_hour: float
    as_of: datetime
    provenance: Provenance
    known: bool
    life: float | None = None

    def belief(self, use: Vector, survival: Vector) -> Belief:
        """Return the belief with this survival."""
        return Belief.of(
            use,
            survival,
            unit=self.unit,
            use_per_hour=self.use_per_hour,
            as_of=self.as_of,
            provenance=self.provenance,
            known=self.known,
            life=self.life,
        )


@dataclass(frozen=True, slots=True)
class Drift:
    """Wear per unit of use, as mean and standard deviation: in shares of the way to a limit, or in healthy scatters.

    growth: by how much, relatively, the wear rate grows with each unit of use; its deviation likewise.
    """

    mean: float
    deviation: float
    growth: float = 0.0
    growth_deviation: float = 0.0


def quickened(use: Vector, growth: Vector | float) -> Vector:
    """Return the use as a steady wear rate would count it, while the real one grows: (exp(growth use) - 1) / growth."""
    rate = np.maximum(growth, 1e-12)
    counted: Vector = np.expm1(rate * use) / rate
    return counted


@lru_cache(maxsize=256)
def grid(horizon: float) -> Vector:
    """Return remaining uses from 0 to `horizon`, finer near 0; all beliefs that look equally far ahead share them."""
    uses = np.concatenate(([0.0], np.geomspace(horizon * 1e-4, horizon, GRID_POINTS - 1)))
    uses.flags.writeable = False
    return uses


@dataclass(frozen=True, slots=True)
class Clocked:
    """What one of a part's clocks tells: see `by_usage`; `use_per_hour` is its use per calendar hour, above 0."""

    used: float | None
    seen: float
    rated: float
    shape: float
    use_per_hour: float
    lives: Lifetimes | None = None


def by_usage(
    used: float | None, seen: float, rated: float, shape: float, basis: Basis, lives: Lifetimes | None = None
) -> Belief:
    """Believe a Weibull life whose median is the rated one, given survival so far.

    used: what the part has run, all in. None when its past is unknown: then any age up to the rated life at the
    beginning of watching is equally likely before survival is weighed, and `seen` has been added since. lives: what
    finished lives have taught; it takes the place of `rated` and `shape`, and each of its points is weighed anew by
    how likely it let the part come so far. So a part that outlives all others is believed to be of the lasting kind:
    as long as few lives are known, much use may lengthen what is left; with one median and shape it never does.
    """
    clock = Clocked(used, seen, rated, shape, basis.use_per_hour, lives)
    use = grid(LIVES_AHEAD * _median(clock))
    return basis.belief(use, usage_survival(clock, use))


def by_clocks(clocks: Sequence[Clocked], basis: Basis) -> Belief:
    """Believe that the part fails by whichever of its clocks ends its life first.

    Each clock is a way to fail of its own, and the part survives if it survives all (competing risks: Meeker and
    Escobar, Statistical Methods for Reliability Data, 15.4): survival is the product of theirs. The belief's axis is
    the calendar hour, because no clock is common to them: one that stands still would squeeze the others onto
    nothing. Each clock runs along it at its own use per hour, so `basis` counts hours, one to the hour. Usually it
    lives as long as the clock that is soonest at its own median.
    """
    life = min(_median(clock) / clock.use_per_hour for clock in clocks)
    use = grid(LIVES_AHEAD * life)
    each = [usage_survival(clock, use * clock.use_per_hour) for clock in clocks]
    return replace(basis, life=life).belief(use, np.prod(each, axis=0))


def _median(clock: Clocked) -> float:
    return clock.lives.median if clock.lives is not None else clock.rated


def usage_survival(clock: Clocked, use: Vector) -> Vector:
    """Return the probability that a part survives so much more of a clock's use, given that it came so far."""
    rated, seen = _median(clock), clock.seen
    ages = np.array([clock.used]) if clock.used is not None else seen + rated * (np.arange(16) + 0.5) / 16
    if clock.lives is None:
        scale, shape, prior = np.array([scale_of(rated, clock.shape)]), np.array([clock.shape]), np.ones(1)
    else:
        shape, prior = clock.lives.shapes, clock.lives.weights
        scale = scale_of(clock.lives.medians, shape)
    spent = (ages[:, None] / scale) ** shape
    weight = prior * np.exp(spent.min() - spent)
    ahead = ((ages[:, None, None] + use[:, None]) / scale) ** shape
    survival = np.exp(spent[:, None, :] - ahead)
    survived: Vector = np.einsum("am,aum->u", weight, survival) / weight.sum()
    return survived


def failed(belief: Belief) -> Belief:
    """Return what is believed of the same part once it has failed: it ends within the hour."""
    use, survival = np.array([0.0, belief.use_per_hour, 2 * belief.use_per_hour]), np.array([1.0, 0.0, 0.0])
    return replace(belief, use=use, survival=survival)


def by_due(used: float, rated: float, basis: Basis) -> Belief:
    """Believe that the job falls due exactly at the rated life, within a hundredth of it."""
    left = max(rated - used, 0.0)
    edge = 0.01 * rated
    use = np.array([0.0, max(left, edge), max(left, edge) + edge, LIVES_AHEAD * rated])
    survival = np.array([1.0, 1.0, 0.0, 0.0]) if left > 0 else np.array([1.0, 0.0, 0.0, 0.0])
    return basis.belief(use, survival)


def drift(rated: float, worn: float, trend: Trend | None, long: Trend | None = None, habits: Habits = USUAL) -> Drift:
    """Return the wear rate by rating and by trend, each weighed by its precision, as of the newest point.

    worn: how much of the way to the limit is gone; where wear grows, the rated rate does too. trend, long: the line
    through the newest points, and through a longer past, whose difference tells the growth. The slopes' own errors
    are widened by the chance movement that their span cannot average out.
    """
    growth, growth_deviation = habits.growth / rated, habits.growth_spread / rated
    if trend is None or trend.span <= 0:
        mean = _rated_rate(growth, worn, rated)
        return Drift(mean, habits.rating_spread * mean, growth, growth_deviation)
    error = _slope_error(trend, rated, habits)
    if long is not None and long.span > trend.span:
        now, before = (max(line.slope, LEAST_DRIFT / rated) for line in (trend, long))
        seen = _growth(now / before, trend.span / 2, long.span / 2, GROWTH_MAX / rated)
        seen_error = 2 * math.hypot(error / now, _slope_error(long, rated, habits) / before) / (long.span - trend.span)
        growth, growth_deviation = _weighed(growth, growth_deviation, seen, seen_error)
    mean = _rated_rate(growth, worn, rated)
    catch_up = (1.0 + max(growth, 0.0) * trend.span / 2) ** 2
    mean, deviation = _weighed(mean, habits.rating_spread * mean, trend.slope * catch_up, error * catch_up)
    return Drift(mean, deviation, growth, growth_deviation)


def _growth(ratio: float, age: float, long_age: float, most: float) -> float:
    """Return the growth of an exponential from the ratio of two fading lines' slopes, whose mean ages are given.

    Least squares with weights that fade over a mean age sees the newest slope divided by (1 + growth * age)^2.
    """
    root = math.sqrt(ratio)
    if root * age >= long_age:
        return most
    return min((root - 1.0) / (long_age - root * age), most)


def _rated_rate(growth: float, worn: float, rated: float) -> float:
    """Return the rate at a worn share of wear that grows so and takes one rated life from new to the limit."""
    folds = max(growth * rated, 1e-3)
    return folds * (min(max(worn, 0.0), 1.0) + 1.0 / math.expm1(folds)) / rated


def _slope_error(trend: Trend, rated: float, habits: Habits) -> float:
    return math.sqrt(trend.slope_deviation**2 + habits.flow(max(trend.slope, LEAST_DRIFT / rated)) / trend.span)


def _weighed(prior: float, prior_deviation: float, seen: float, seen_deviation: float) -> tuple[float, float]:
    """Return mean and deviation of two normal opinions together."""
    weight, seen_weight = prior_deviation**-2, seen_deviation**-2
    total = weight + seen_weight
    return (weight * prior + seen_weight * seen) / total, total**-0.5


def by_level(
    worn: float, worn_deviation: float, rate: Drift, rated: float, basis: Basis, habits: Habits = USUAL
) -> Belief:
    """Believe the first passage of the limit by a Wiener process with uncertain level and drift.

    worn: share of the way to the limit that is gone. Cox and Miller, The Theory of Stochastic Processes, 5.7: the
    passage time is inverse Gaussian. Wear goes one way and does not slow down: see the bounds of drift
    and growth. Where failure levels scatter, that of a part that still works lies above its level.
    """
    use = grid(LIVES_AHEAD * rated)
    if worn >= 1.0 and not habits.limit_spread:
        return basis.belief(use, np.where(use > 0, 0.0, 1.0))
    slopes = np.maximum(rate.mean + rate.deviation * _NORMAL_NODES, LEAST_DRIFT / rated)[:, None]
    growth = np.clip(rate.growth + rate.growth_deviation * _NORMAL_NODES[_STRIDED], 0.0, GROWTH_MAX / rated)
    counted = quickened(use[1:], growth[:, None])
    if habits.limit_spread:
        spread = math.hypot(worn_deviation, habits.limit_spread)
        passed = scattered_passage(1.0 - worn, spread, habits.chance, slopes, counted)
    else:
        away = np.maximum(1.0 - worn - worn_deviation * _NORMAL_NODES[_SHUFFLED], 1e-6)[:, None]
        passed = first_passage(away, slopes, habits.chance**2 * slopes, counted)
    return basis.belief(use, np.concatenate(([1.0], 1.0 - passed.mean(axis=0))))


def scattered_passage(away: float, spread: float, chance: float, slope: Vector, use: Vector) -> Vector:
    """Return the probability that wear has passed, within `use`, a level that scatters about `away` and is still ahead.

    Wear goes one way, so that it has passed once it is beyond: its normal approximation with the variance of a gamma
    process, `chance`^2 times its mean, and that of the level, given that it was not beyond at the beginning. What lasts
    long beyond the usual level is taken for nearer: farther out the ratio of two tails is no distribution any more.
    """
    away = max(away, -min(LIMIT_PASSED_MAX * spread, (spread / chance) ** 2))
    worn = slope * use
    ahead = normal_cdf((away - worn) / np.sqrt(spread**2 + chance**2 * worn))
    return np.asarray(1.0 - np.minimum(ahead / normal_cdf(np.array([away / spread])), 1.0))


def first_passage(away: Vector, slope: Vector, variance: Vector | float, use: Vector) -> Vector:
    """Return the probability that a Wiener process has passed a level `away` within `use`; all above 0."""
    spread = np.sqrt(variance * use)
    ahead, mirrored = (slope * use - away) / spread, (slope * use + away) / spread
    # The mirrored term exp(2 slope away / variance) * Phi(-mirrored) would overflow; its exponents cancel to this one.
    reflection = 0.5 * _scaled_tail(mirrored / math.sqrt(2.0)) * np.exp(-0.5 * ahead**2)
    return np.minimum(normal_cdf(ahead) + reflection, 1.0)


def deviation_drift(trend: Trend | None, deviation: float, usual: float) -> Drift:
    """Return the slope of a deviation, weighed against the prior that a unit stays where it is.

    usual: the use in which wear that has begun, one scatter, comes to the usual failure, as far as is known before.
    Wear grows in proportion to itself, as cracks do (Paris and Erdogan, A critical analysis of crack propagation laws,
    1963): one standard deviation of the prior is that growth, so that a healthy unit and the first few points of a
    trend cry no wolf.
    """
    prior = (max(deviation, LEAST_DEVIATION) * math.log(FAILURE_DEVIATION) / usual) ** -2
    if trend is None:
        return Drift(0.0, prior**-0.5)
    seen = 1.0 / max(trend.slope_deviation, 1e-12) ** 2
    return Drift(seen * trend.slope / (prior + seen), (prior + seen) ** -0.5)


def by_deviation(deviation: float, rate: Drift, horizon: float, basis: Basis) -> Belief:
    """Believe the passage of an unknown failure level by a deviation that goes on along its trend.

    deviation: distance from the healthy self, in healthy scatters, now; `rate` in the same by use. The failure level
    lies above what the unit stands now; a unit does not heal.
    """
    use = grid(horizon)
    slopes = np.maximum(rate.mean + rate.deviation * _NORMAL_NODES, 0.0)[:, None]
    hazard = failure_level_hazard(deviation + slopes * use) - failure_level_hazard(np.array([deviation]))
    return basis.belief(use, np.exp(-hazard).mean(axis=0))


def failure_level_hazard(deviation: Vector) -> Vector:
    """Return the cumulative hazard of deviations from 0 up: minus the logarithm of the share that stands them."""
    return math.log(2.0) * (deviation / FAILURE_DEVIATION) ** FAILURE_SHAPE


def normal_cdf(z: Vector) -> Vector:
    """Return the standard normal distribution function, within 1e-7."""
    x = np.abs(z) / math.sqrt(2.0)
    tail = 0.5 * _scaled_tail(x) * np.exp(-x * x)
    return np.where(z < 0, tail, 1.0 - tail)


_TAIL = (0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368)
"""Chebyshev fit of the complementary error function with a relative error below 1.2e-7 for any x at or above 0
(Press and others, Numerical Recipes, section 6.2)."""


def _scaled_tail(x: Vector) -> Vector:
    """erfc(x) * exp(x^2) for x at or above 0: never underflows where erfc does."""
    t = 1.0 / (1.0 + 0.5 * x)
    exponent: Vector = np.zeros_like(t)
    for coefficient in _TAIL:
        exponent = (exponent + coefficient) * t
    scaled: Vector = t * np.exp(exponent - 1.26551223)
    return scaled
