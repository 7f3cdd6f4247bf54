"""Every estimator yields a distribution, and more wear never lengthens a life under the same evidence."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from random import Random
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connectors.samples import Provenance
from maintenance import prognosis
from maintenance.belief import Belief
from maintenance.features import DiscountedTrend, Trend, vector
from maintenance.lifetimes import FinishedLife, Lifetimes, Prior, learned, scale_of
from maintenance.prognosis import Basis, Clocked, Drift, Habits

BASIS = Basis("h", 0.5, datetime(2026, 3, 2, tzinfo=UTC), Provenance.A, True)
RATED = 1000.0

uses = st.floats(0, 10_000)
shares = st.floats(0, 2)
shapes = st.floats(1, 10)
drifts = st.builds(Drift, *(st.floats(0, most) for most in (0.02, 0.01, 0.01, 0.005)))
steps = st.floats(0, 2)


def usage(used: float | None, seen: float = 0.0, shape: float = 3.0) -> Belief:
    return prognosis.by_usage(used, seen, RATED, shape, BASIS)


@cache
def taught(count: int, shape: float = 3.0, seed: int = 3) -> Lifetimes:
    run = float(scale_of(RATED, shape)) * np.random.default_rng(seed).weibull(shape, count)
    return learned([FinishedLife(use, True) for use in run.tolist()], Prior(RATED, shape))


UNTAUGHT, TAUGHT = taught(0), taught(12)


def by_lives(used: float | None, lives: Lifetimes, seen: float = 0.0) -> Belief:
    return prognosis.by_usage(used, seen, RATED, 3.0, BASIS, lives)


HOURS = Basis("h", 1.0, BASIS.as_of, Provenance.A, True)
clocked = st.builds(
    lambda used, rated, shape, pace, known: Clocked(used * rated if known else None, used * rated, rated, shape, pace),
    st.floats(0, 3),
    st.floats(10, 1e5),
    shapes,
    st.floats(1e-3, 100),
    st.booleans(),
)


def level(worn: float, rate: Drift, spread: float = 0.02) -> Belief:
    return prognosis.by_level(worn, spread, rate, RATED, BASIS)


def deviation(now: float, rate: Drift) -> Belief:
    return prognosis.by_deviation(now, rate, RATED, BASIS)


def is_distribution(belief: Belief) -> None:
    """`Belief` refuses anything that is not one when it is made; here is what a reader relies on besides."""
    assert belief.survival[0] == pytest.approx(1.0)
    assert np.all(np.diff(belief.survival) <= 1e-12)
    assert belief.survival[-1] >= 0


def shorter(worse: Belief, better: Belief, within: float = 1e-6) -> None:
    assert np.all(worse.survival <= better.survival + within)
    ends = [belief.remaining_use(0.5) for belief in (worse, better)]
    assert (math.inf if ends[0] is None else ends[0]) <= (math.inf if ends[1] is None else ends[1]) * (1 + 1e-4) + 1e-4


@given(uses, shapes)
def test_a_life_by_use_is_a_distribution(used: float, shape: float):
    is_distribution(usage(used, shape=shape))
    is_distribution(usage(None, used, shape))


@given(shares, drifts, st.floats(0, 0.2))
def test_a_life_by_level_is_a_distribution(worn: float, rate: Drift, spread: float):
    is_distribution(level(worn, rate, spread))


@given(st.floats(0, 100), drifts)
def test_a_life_by_deviation_is_a_distribution(now: float, rate: Drift):
    is_distribution(deviation(now, rate))


@given(uses, uses, shapes)
def test_more_use_never_lengthens_a_life(used: float, more: float, shape: float):
    shorter(usage(used + more, shape=shape), usage(used, shape=shape))


@given(uses, uses)
def test_more_use_never_lengthens_a_life_of_unknown_past(seen: float, more: float):
    shorter(usage(None, seen + more), usage(None, seen))


@given(shares, steps, drifts)
def test_more_wear_never_lengthens_a_life(worn: float, more: float, rate: Drift):
    shorter(level(worn + more, rate), level(worn, rate))


@given(st.floats(0, 10), st.floats(0, 10), drifts)
def test_a_farther_deviation_never_lengthens_a_life(now: float, more: float, rate: Drift):
    shorter(deviation(now + more, rate), deviation(now, rate))


@given(st.floats(0, 1), st.floats(0, 0.01), st.floats(0, 0.01))
def test_a_steeper_wear_never_lengthens_a_life(worn: float, slope: float, more: float):
    shorter(level(worn, Drift(slope + more, 0.0005)), level(worn, Drift(slope, 0.0005)))


def test_half_of_new_parts_reach_the_rated_life():
    assert usage(0.0).remaining_use(0.5) == pytest.approx(RATED, rel=0.01)


def test_an_unknown_past_is_wider_than_any_known_one():
    unknown, new = usage(None), usage(0.0)
    assert unknown.failure_probability(BASIS.as_of - BASIS.as_of) == pytest.approx(0.0)
    assert unknown.remaining_use(0.05) < new.remaining_use(0.05)  # type: ignore[operator]


@given(uses, st.sampled_from([UNTAUGHT, TAUGHT, taught(1), taught(40, 1.5)]))
def test_a_life_by_what_lives_have_taught_is_a_distribution(used: float, lives: Lifetimes):
    is_distribution(by_lives(used, lives))
    is_distribution(by_lives(None, lives, used))


@given(st.floats(0, RATED), st.floats(0, 0.5 * RATED), st.integers(0, 5))
def test_more_use_never_lengthens_a_life_while_the_hazard_rises(used: float, more: float, seed: int):
    """With forty lives it does so to one and a half medians at least; with few, old age speaks for a lasting kind."""
    lives = taught(40, seed=seed)
    shorter(by_lives(used + more, lives), by_lives(used, lives), within=1e-4)


def test_many_alike_lives_believe_as_one_median_and_shape_do():
    lives = taught(5000)
    for used in (0.0, 500.0, 1200.0):
        single = prognosis.by_usage(used, 0.0, lives.median, lives.shape, BASIS)
        mixed = by_lives(used, lives)
        assert mixed.survival == pytest.approx(np.interp(mixed.use, single.use, single.survival), abs=0.01)


def test_few_lives_leave_the_belief_wider_than_many():
    few, many = by_lives(0.0, UNTAUGHT), by_lives(0.0, TAUGHT)
    spans = [one.remaining_use(0.9) / one.remaining_use(0.1) for one in (few, many)]  # type: ignore[operator]
    assert spans[0] > spans[1]


def test_a_part_that_outlived_the_rating_makes_the_rating_doubtful():
    doubtful, single = by_lives(2 * RATED, UNTAUGHT), usage(2 * RATED)
    assert doubtful.remaining_use(0.5) > 2 * single.remaining_use(0.5)  # type: ignore[operator]


@given(st.lists(clocked, min_size=1, max_size=4))
def test_a_life_by_clocks_is_a_distribution(clocks: list[Clocked]):
    is_distribution(prognosis.by_clocks(clocks, HOURS))


@given(st.lists(clocked, min_size=1, max_size=3), clocked)
def test_another_clock_never_lengthens_a_life(clocks: list[Clocked], further: Clocked):
    with_it, without = prognosis.by_clocks([*clocks, further], HOURS), prognosis.by_clocks(clocks, HOURS)
    bound = np.interp(with_it.use, without.use, without.survival)
    assert np.all(with_it.survival <= bound + 2e-2)  # between points of another grid


@given(st.lists(clocked, min_size=1, max_size=3), st.integers(0, 2), st.floats(0, 3))
def test_more_use_on_one_clock_never_lengthens_a_life(clocks: list[Clocked], which: int, more: float):
    one = clocks[which % len(clocks)]
    assume(one.used is not None or one.shape <= 4)  # sixteen ages of a sharp life are steps
    used = None if one.used is None else one.used + more * one.rated
    later = replace(one, used=used, seen=one.seen + more * one.rated)
    worse = [later if each is one else each for each in clocks]
    shorter(prognosis.by_clocks(worse, HOURS), prognosis.by_clocks(clocks, HOURS))


@given(st.lists(clocked, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_clocks_is_of_no_account(clocks: list[Clocked], chance: Random):
    shuffled = list(clocks)
    chance.shuffle(shuffled)
    survival = prognosis.by_clocks(shuffled, HOURS).survival
    assert survival == pytest.approx(prognosis.by_clocks(clocks, HOURS).survival)


@pytest.mark.parametrize("used", [0.0, 700.0])
def test_one_clock_alone_believes_what_a_single_counter_does(used: float):
    counter, belief = usage(used), prognosis.by_clocks([Clocked(used, used, RATED, 3.0, BASIS.use_per_hour)], HOURS)
    for share in (0.1, 0.5, 0.9):
        assert belief.remaining_time(share) / counter.remaining_time(share) == pytest.approx(1.0)  # type: ignore[operator]


def test_two_clocks_of_equal_life_fail_sooner_than_each():
    """Two Weibull lives of one scale and shape: the first of them is Weibull with the scale divided by 2^(1/shape)."""
    clock = Clocked(0.0, 0.0, RATED, 3.0, 1.0)
    found = prognosis.by_clocks([clock, clock], HOURS).remaining_use(0.5)
    assert found == pytest.approx(RATED / 2 ** (1 / 3), rel=0.01)


def test_a_clock_that_stands_still_leaves_the_other_ones_belief():
    running = Clocked(500.0, 500.0, RATED, 3.0, 1.0)
    still = Clocked(0.0, 0.0, RATED, 3.0, 1e-6)
    alone, both = prognosis.by_clocks([running], HOURS), prognosis.by_clocks([still, running], HOURS)
    assert both.survival == pytest.approx(alone.survival, abs=1e-6)


def test_what_is_due_is_due_at_its_time():
    belief = prognosis.by_due(900.0, RATED, BASIS)
    assert belief.remaining_use(0.01) == pytest.approx(100, rel=0.02)
    assert prognosis.by_due(1000.0, RATED, BASIS).remaining_use(0.5) == pytest.approx(0, abs=10)


def test_a_steady_level_reaches_its_limit_when_the_line_says():
    belief = level(0.5, Drift(1 / RATED, 1e-6), 0.0)
    assert belief.remaining_use(0.5) == pytest.approx(500, rel=0.05)


def test_beyond_the_limit_nothing_is_left():
    assert level(1.1, Drift(0.001, 0.0)).remaining_use(0.5) == pytest.approx(0, abs=1)


def test_first_passage_is_the_inverse_gaussian():
    away, slope, variance, use = 0.4, 0.002, 1e-5, np.array([50.0, 150.0, 250.0, 1000.0])

    def phi(z: float) -> float:
        return 0.5 * math.erfc(-z / math.sqrt(2))

    spread = np.sqrt(variance * use)
    expected = [
        phi((slope * t - away) / s) + math.exp(2 * slope * away / variance) * phi(-(slope * t + away) / s)
        for t, s in zip(use, spread, strict=True)
    ]
    found = prognosis.first_passage(vector([away]), vector([slope]), variance, use)
    assert found == pytest.approx(expected, abs=1e-6)


def test_first_passage_agrees_with_random_walks():
    rng = np.random.default_rng(7)
    slope, variance, away, steps_ahead = 0.002, 2e-5, 0.3, 200
    walks = np.cumsum(rng.normal(slope / 10, math.sqrt(variance / 10), (4000, steps_ahead * 10)), axis=1)
    for horizon in (100, 150, 200):
        seen = float((walks[:, : horizon * 10].max(axis=1) >= away).mean())
        said = prognosis.first_passage(vector([away]), vector([slope]), variance, vector([float(horizon)]))[0]
        assert seen == pytest.approx(float(said), abs=0.04)


def test_the_normal_distribution_is_within_a_millionth():
    z = np.linspace(-6, 6, 101)
    assert prognosis.normal_cdf(z) == pytest.approx([NormalDist().cdf(x) for x in z.tolist()], abs=2e-7)


def test_a_trend_takes_over_from_the_rating_as_it_becomes_certain():
    rating = prognosis.drift(RATED, 0.5, None)
    vague = prognosis.drift(RATED, 0.5, Trend(0.5, 0.004, 0.1, 0.1, 10.0, 5))
    sure = prognosis.drift(RATED, 0.5, Trend(0.5, 0.004, 1e-5, 0.01, 500.0, 40))
    assert rating.mean == pytest.approx(1.3 / RATED, rel=0.02)
    assert vague.mean == pytest.approx(rating.mean, rel=0.1)
    assert sure.mean > 3.5 / RATED


def test_wear_that_grows_is_told_by_two_memories():
    growth = 4.0 / RATED
    short, long = DiscountedTrend(0.95), DiscountedTrend(0.99)
    for use in range(0, 1000, 5):
        for trend in (short, long):
            trend.take(float(use), math.expm1(growth * use) / math.expm1(4.0))
    steady = DiscountedTrend(0.95), DiscountedTrend(0.99)
    for use in range(0, 1000, 5):
        for trend in steady:
            trend.take(float(use), use / 1000)
    growing = prognosis.drift(RATED, 0.98, short.fit(), long.fit())
    level = prognosis.drift(RATED, 0.98, steady[0].fit(), steady[1].fit())
    assert growing.growth > 2.0 / RATED > level.growth
    assert growing.mean == pytest.approx(growth, rel=0.3)
    assert level.mean < 1.5 / RATED


def test_growing_wear_counts_use_faster():
    use = np.array([0.0, 100.0, 1000.0])
    assert prognosis.quickened(use, 0.0) == pytest.approx(use)
    assert prognosis.quickened(use, 0.002) == pytest.approx(np.expm1(0.002 * use) / 0.002)


def test_a_few_points_do_not_cry_wolf():
    wild = Trend(0.3, 0.5, 0.3, 0.2, 3.0, 3)
    assert prognosis.deviation_drift(wild, 1.0, 100.0).mean < 0.01
    assert prognosis.deviation_drift(None, 0.0, 100.0).mean == 0.0


def test_nine_in_ten_fail_between_nineteen_and_thirty_eight_tenths_of_a_scatter():
    standing = np.exp(-prognosis.failure_level_hazard(np.array([1.944, 3.0, 3.829])))
    assert standing == pytest.approx([0.95, 0.5, 0.05], abs=0.003)


SCATTERED = Habits(rating_spread=0.2, growth=0.0, growth_spread=0.1, chance=0.1, limit_spread=0.05)


def scattered(worn: float, rate: Drift, spread: float = 0.01) -> Belief:
    return prognosis.by_level(worn, spread, rate, RATED, BASIS, SCATTERED)


@given(shares, drifts, st.floats(0, 0.2))
def test_a_life_to_a_limit_that_scatters_is_a_distribution(worn: float, rate: Drift, spread: float):
    is_distribution(scattered(worn, rate, spread))


@given(shares, steps, drifts)
def test_more_wear_never_lengthens_a_life_to_a_limit_that_scatters(worn: float, more: float, rate: Drift):
    shorter(scattered(worn + more, rate), scattered(worn, rate))


def test_a_part_beyond_the_usual_limit_has_little_left_but_not_nothing():
    assert 1 < scattered(1.1, Drift(1 / RATED, 1e-6)).remaining_use(0.5) < 50  # type: ignore[operator]


def test_a_limit_that_scatters_is_passed_as_often_as_gamma_walks_pass_it():
    rng, scale, parts, ahead = np.random.default_rng(3), SCATTERED.chance**2, 20_000, 200
    walks = 0.85 + np.cumsum(rng.gamma(10 / RATED / scale, scale, (parts, ahead // 10)), axis=1)
    limits = rng.normal(1.0, SCATTERED.limit_spread, parts)
    alive = limits > 0.85
    belief = scattered(0.85, Drift(1 / RATED, 1e-6), 1e-6)
    for horizon in (50, 100, 150, 200):
        seen = float((walks[alive, horizon // 10 - 1] >= limits[alive]).mean())
        assert 1.0 - float(np.interp(horizon, belief.use, belief.survival)) == pytest.approx(seen, abs=0.02)


@pytest.mark.parametrize(
    "wrong", [{"chance": 0.0}, {"growth": -1.0}, {"limit_spread": -0.1}, {"rating_spread": math.inf}]
)
def test_habits_that_no_wear_has_are_refused(wrong: dict[str, float]):
    with pytest.raises(ValueError, match=r"above zero|scatter"):
        Habits(**wrong)
