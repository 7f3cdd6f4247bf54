"""Signals that follow how a machine is run say the same of its wear however it is run."""

from __future__ import annotations

import numpy as np
import pytest

from maintenance.regimes import REGIMES_MAX, Regimes

TOLERANCE = np.array([50.0, 1.0])
SLOW, FAST = (1000.0, 20.0), (3000.0, 20.0)


def rows(count: int, seed: int, wear: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two regimes: twice as loud and twice as noisy when fast; wear adds two scatters of either."""
    chance = np.random.default_rng(seed)
    fast = chance.random(count) < 0.4
    settings = np.where(fast[:, None], FAST, SLOW) + chance.normal(0, [10, 0.2], (count, 2))
    scale = np.where(fast, 2.0, 1.0)[:, None]
    return settings, scale * (10.0 + wear + chance.normal(0, 1.0, (count, 3)))


def test_what_is_left_is_the_unit_however_it_is_run():
    regimes = Regimes.of(TOLERANCE, *rows(400, 1))
    assert len(regimes.centres) == 2
    for seed, wear in ((2, 0.0), (3, 2.0)):
        told = regimes.relative(*rows(400, seed, wear))
        assert told.mean(axis=0) == pytest.approx([wear] * 3, abs=0.25)
        assert told.std(axis=0) == pytest.approx([1.0] * 3, abs=0.15)


def test_a_regime_that_nobody_saw_in_health_says_nothing():
    regimes = Regimes.of(TOLERANCE, *rows(50, 1))
    told = regimes.relative(np.array([[2000.0, 20.0], SLOW]), np.full((2, 3), 10.0))
    assert np.all(np.isnan(told[0]))
    assert np.all(np.isfinite(told[1]))


def test_a_regime_seen_once_borrows_its_scatter():
    settings, frames = rows(60, 4)
    settings, frames = np.vstack([settings, [[5000.0, 20.0]]]), np.vstack([frames, [[50.0] * 3]])
    told = Regimes.of(TOLERANCE, settings, frames).relative(np.array([[5000.0, 20.0]]), np.full((1, 3), 52.0))
    assert np.all((told > 0.5) & (told < 4.0))


def test_a_signal_that_stood_still_has_no_scale():
    settings, frames = rows(30, 5)
    frames[:, 1] = 7.0
    told = Regimes.of(TOLERANCE, settings, frames).relative(settings, frames)
    assert np.all(np.isnan(told[:, 1]))
    assert np.all(np.isfinite(told[:, 0]))


def test_settings_that_never_repeat_are_bounded():
    chance = np.random.default_rng(6)
    settings = chance.uniform(0, 1e6, (500, 2))
    assert len(Regimes.of(TOLERANCE, settings, np.ones((500, 1))).centres) == REGIMES_MAX


def test_only_what_was_fitted_to_few_rows_looks_calmer_than_it_is():
    settings, frames = rows(25, 7)
    assert Regimes.of(TOLERANCE, np.full_like(settings, 20.0), frames).optimism(1) == 1.0
    few, many = Regimes.of(TOLERANCE, settings, frames), Regimes.of(TOLERANCE, *rows(2000, 7))
    assert 1.0 < many.optimism(80) < 1.01 < 1.05 < few.optimism(1)
