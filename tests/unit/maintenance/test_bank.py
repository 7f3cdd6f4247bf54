"""Moving averages of many components are those of each alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.bank import ALPHAS, DEVIATING, KEEP, Bank, deviation
from maintenance.features import DiscountedTrend, ewma, trimmed_mean

CHANCE = np.random.default_rng(3)
FRAMES = CHANCE.normal(10, 1, (40, 7))
SCATTER = np.ones(7)


def walked(frames=FRAMES, row=0, rows=1) -> Bank:
    bank, at = Bank(rows, frames.shape[1]), np.array([row])
    bank.begin(at, np.full((1, frames.shape[1]), 10.0))
    for use, frame in enumerate(frames):
        bank.take(at, frame[None, :], np.array([float(use)]), SCATTER[: frames.shape[1]])
    return bank


def test_averages_and_trend_are_those_of_one_component_alone():
    bank, trend = walked(row=2, rows=4), DiscountedTrend(KEEP)
    level = np.zeros((len(ALPHAS), 7))
    for use, frame in enumerate(FRAMES):
        level = np.array([ewma(old, frame - 10.0, alpha) for old, alpha in zip(level, ALPHAS, strict=True)])
        trend.take(float(use), trimmed_mean(np.abs(level[DEVIATING])))
    assert bank.averages[2] == pytest.approx(level)
    assert bank.deviation[2] == pytest.approx(trimmed_mean(np.abs(level[DEVIATING])))
    fit = trend.fit()
    assert fit is not None
    assert bank.slope(np.array([2]))[0] == pytest.approx(fit.slope)
    assert not bank.averages[[0, 1, 3]].any()


def test_a_missing_signal_stays_where_it_was():
    holed = FRAMES.copy()
    holed[20:, 3] = np.nan
    assert walked(holed).averages[0, :, 3] == pytest.approx(walked(holed[:20]).averages[0, :, 3])


def test_a_row_comes_back_from_its_snapshot():
    bank, other = walked(row=1, rows=2), Bank(1, 7)
    other.restore(0, json.loads(json.dumps(bank.snapshot(1))))
    for each, row in ((bank, 1), (other, 0)):
        each.take(np.array([row]), FRAMES[:1], np.array([41.0]), SCATTER)
    assert np.array_equal(bank.averages[1], other.averages[0])
    assert bank.slope(np.array([1])) == other.slope(np.array([0]))
    fresh = Bank(1, 7)
    fresh.restore(0, json.loads(json.dumps(Bank(1, 7).snapshot(0))))
    assert fresh.slope(np.array([0])) == 0


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=12), st.floats(0.1, 10))
def test_the_deviation_is_the_trimmed_mean_of_z(distance: list[float], scatter: float):
    found = deviation(np.array([distance]), np.full(len(distance), scatter))
    assert found[0] == pytest.approx(trimmed_mean(np.abs(np.array(distance)) / scatter))


def test_a_signal_without_a_scatter_is_left_out():
    distance = np.array([[1.0, 2.0, 900.0], [1.0, np.nan, 900.0]])
    assert deviation(distance, np.array([1.0, 1.0, 0.0])) == pytest.approx([1.5, 1.0])
    assert deviation(distance, np.zeros(3)) == pytest.approx([0.0, 0.0])
