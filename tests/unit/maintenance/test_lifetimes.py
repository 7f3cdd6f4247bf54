"""Finished lives move the prior, each for what it proves, and a wrong rating fades."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.lifetimes import (
    BEARING_SHAPE,
    LEAST_SHARE,
    FinishedLife,
    Lifetimes,
    Prior,
    learned,
    median_of_b10,
    scale_of,
)

RATED = 1000.0
PRIOR = Prior(RATED)

uses = st.floats(1, 5 * RATED)
shapes = st.floats(1, 10)
lives = st.lists(st.builds(FinishedLife, uses, st.booleans()), max_size=12)


def drawn(count: int, median: float, shape: float, seed: int, replaced_at: float = math.inf) -> list[FinishedLife]:
    """Return simulated lives; those that reach `replaced_at` are replaced there."""
    run = float(scale_of(median, shape)) * np.random.default_rng(seed).weibull(shape, count)
    return [FinishedLife(min(use, replaced_at), use < replaced_at) for use in run.tolist()]


def is_distribution(found: Lifetimes) -> None:
    assert found.weights.sum() == pytest.approx(1.0)
    assert np.all(found.weights > 0)
    assert np.all(np.isfinite(found.medians) & (found.medians > 0) & np.isfinite(found.shapes) & (found.shapes > 0))
    assert found.medians.shape == found.shapes.shape == found.weights.shape
    assert found.median_spread > 0
    assert found.shape_spread > 0


@given(st.floats(1e-3, 1e9), shapes)
def test_without_lives_the_prior_stands_as_it_was_stated(median: float, shape: float):
    found = learned([], Prior(median, shape, 0.3, 0.2))
    assert (found.median, found.shape, found.median_spread, found.shape_spread) == (median, shape, 0.3, 0.2)
    assert math.exp(found.weights @ np.log(found.medians)) == pytest.approx(median)
    assert math.exp(found.weights @ np.log(found.shapes)) == pytest.approx(shape)
    is_distribution(found)


@given(lives, shapes)
def test_whatever_lives_are_told_it_is_a_distribution(told: list[FinishedLife], shape: float):
    is_distribution(learned(told, Prior(RATED, shape)))


@given(lives, st.randoms(use_true_random=False))
def test_the_order_in_which_lives_are_told_changes_nothing(told: list[FinishedLife], chance: Random):
    shuffled = list(told)
    chance.shuffle(shuffled)
    one, other = learned(told, PRIOR), learned(shuffled, PRIOR)
    assert (one.median, one.shape, one.median_spread) == (other.median, other.shape, other.median_spread)
    assert np.array_equal(one.weights, other.weights)


@given(lives, uses, st.floats(0, 20 * RATED), shapes)
def test_a_life_that_was_cut_short_later_never_shortens_the_median(
    told: list[FinishedLife], use: float, more: float, shape: float
):
    prior = Prior(RATED, shape)
    before = learned([*told, FinishedLife(use, False)], prior)
    after = learned([*told, FinishedLife(use + more, False)], prior)
    assert after.median >= before.median * (1 - 2e-3)


@given(lives, uses)
def test_a_life_that_was_cut_short_says_at_least_that_lives_are_no_shorter(told: list[FinishedLife], use: float):
    with_it = learned([*told, FinishedLife(use, False)], PRIOR)
    assert with_it.median >= learned(told, PRIOR).median * (1 - 2e-3)


@pytest.mark.parametrize(("median", "shape"), [(1000.0, 3.0), (400.0, 1.5), (3000.0, 2.0), (900.0, 6.0)])
@pytest.mark.parametrize("replaced", [math.inf, 1.1])
def test_two_hundred_lives_tell_median_and_shape_themselves(median: float, shape: float, replaced: float):
    found = learned(drawn(200, median, shape, 11, replaced * median), PRIOR)
    assert found.median == pytest.approx(median, rel=0.1)
    assert found.shape == pytest.approx(shape, rel=0.2)
    assert abs(math.log(found.median / median)) < 3 * found.median_spread
    assert found.median_spread < 0.1


@pytest.mark.parametrize("wrong", [0.7, 1.3])
def test_a_rating_that_is_wrong_by_a_third_fades_as_lives_come(wrong: float):
    def off(count: int) -> float:
        found = [learned(drawn(count, RATED, 3.0, seed), Prior(wrong * RATED)).median for seed in range(30)]
        return abs(float(np.mean(np.log(found))) - math.log(RATED))

    assert off(0) == pytest.approx(abs(math.log(wrong)))
    assert off(2) < 0.5 * off(0)
    assert off(10) < 0.3 * off(0)


def test_the_spread_shrinks_with_what_is_known():
    spreads = [learned(drawn(count, RATED, 3.0, 5), PRIOR).median_spread for count in (0, 3, 30, 300)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < spreads[0] / 8


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_a_rating_that_is_wrong_by_orders_of_magnitude_is_left_behind(factor: float):
    assert learned(drawn(100, factor * RATED, 3.0, 3), PRIOR).median == pytest.approx(factor * RATED, rel=0.1)


def test_parts_that_never_fail_speak_for_a_longer_life_and_no_shape():
    found = learned([FinishedLife(2 * RATED, False)] * 5, PRIOR)
    assert found.median > 1.8 * RATED
    assert found.shape == pytest.approx(PRIOR.shape)


def test_one_part_of_great_age_takes_nothing_from_the_median():
    failed = [FinishedLife(use, True) for use in (800.0, 900.0, 1000.0, 1100.0)]
    without, with_it = learned(failed, PRIOR), learned([*failed, FinishedLife(20 * RATED, False)], PRIOR)
    assert with_it.median > without.median


def test_a_part_that_failed_at_once_counts_as_a_very_short_life():
    assert (
        learned([FinishedLife(0.0, True)], PRIOR).median
        == learned([FinishedLife(LEAST_SHARE * RATED, True)], PRIOR).median
    )


@pytest.mark.parametrize("use", [-1.0, math.nan, math.inf])
def test_a_life_that_cannot_be_is_refused(use: float):
    with pytest.raises(ValueError, match="finite"):
        FinishedLife(use, True)


@pytest.mark.parametrize(("median", "shape", "spread"), [(0, 3, 0.4), (math.nan, 3, 0.4), (1, 0.5, 0.4), (1, 3, 0)])
def test_a_prior_that_cannot_be_is_refused(median: float, shape: float, spread: float):
    with pytest.raises(ValueError, match=r"prior|shape"):
        Prior(median, shape, spread)


@given(st.floats(1, 1e6), shapes)
def test_nine_in_ten_reach_the_b10_life_and_half_the_median(b10: float, shape: float):
    median = median_of_b10(b10, shape)
    scale = float(scale_of(median, shape))
    assert math.exp(-((b10 / scale) ** shape)) == pytest.approx(0.9)
    assert math.exp(-((median / scale) ** shape)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("reliability", "factor"), [(0.95, 0.62), (0.96, 0.53), (0.97, 0.44), (0.98, 0.33), (0.99, 0.21)]
)
def test_the_shape_of_bearings_gives_the_factors_for_reliability_of_iso_281(reliability: float, factor: float):
    assert (math.log(1 / reliability) / math.log(1 / 0.9)) ** (1 / BEARING_SHAPE) == pytest.approx(factor, abs=0.006)
