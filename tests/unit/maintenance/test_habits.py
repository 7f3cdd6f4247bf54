"""Watched lives teach how the next ones wear, the more the more there are; none teaches nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.habits import VALUES_MIN, WornLife, learned
from maintenance.prognosis import USUAL

RATED = 400.0


def lives(
    count: int, *, unit: float = 0.2, chance: float = 0.1, limit: float = 0.05, folds: float = 0.0, seed: int = 1
):
    """Parts whose wear grows by gamma increments along a curve, read with noise on every unit of use."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        use, end = np.arange(1, 4 * RATED), rng.normal(1.0, limit)
        paced = use / RATED * rng.gamma(unit**-2, unit**2)
        curve = np.expm1(folds * paced) / np.expm1(folds) if folds else paced
        worn = np.cumsum(rng.gamma(np.maximum(np.diff(curve, prepend=0.0), 1e-12) / chance**2, chance**2))
        days = int(np.argmax(worn >= end)) + 1
        found.append(WornLife(float(days), worn[:days] + rng.normal(0, 0.02, days)))
    return found


def test_without_lives_wear_is_as_it_usually_is():
    assert learned([], RATED) == USUAL
    assert learned([WornLife(5.0, np.linspace(0, 1, VALUES_MIN - 1))], RATED) == USUAL


def test_many_lives_tell_how_parts_wear():
    found = learned(lives(80), RATED)
    assert found.rating_spread == pytest.approx(0.2, abs=0.08)
    assert found.chance == pytest.approx(0.1, abs=0.025)
    assert found.limit_spread == pytest.approx(0.05, abs=0.015)
    assert found.growth < 0.3
    assert found.growth_spread < 0.7


def test_wear_that_quickens_is_told_from_wear_that_does_not():
    assert learned(lives(40, folds=3.0), RATED).growth == pytest.approx(3.0, abs=0.6)


def test_limits_that_lie_elsewhere_than_the_engineer_says_count_as_scatter():
    shifted = [WornLife(life.use, life.worn * 1.2) for life in lives(30, limit=0.01)]
    assert learned(shifted, RATED).limit_spread == pytest.approx(0.2, abs=0.03)


def test_one_life_moves_little_and_more_move_more():
    one, many = (learned(lives(count), RATED) for count in (1, 60))
    assert USUAL.rating_spread > one.rating_spread > many.rating_spread
    assert USUAL.growth_spread > one.growth_spread > many.growth_spread


@given(st.lists(st.lists(st.floats(-10, 10), min_size=1, max_size=60), min_size=1, max_size=4))
def test_wear_of_any_shape_yields_habits(told: list[list[float]]):
    learned([WornLife(float(len(each)), np.array(each)) for each in told], RATED)


@pytest.mark.parametrize(("use", "worn"), [(0.0, 1.0), (10.0, np.nan)])
def test_what_is_no_life_is_refused(use: float, worn: float):
    with pytest.raises(ValueError, match="finite"):
        WornLife(use, np.full(30, worn))
