"""Moving averages of many components are those of each alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.bank import ALPHAS, DEVIATING, KEEP, Bank, deviation, trend_of
from maintenance.features import DiscountedTrend, ewma, trimmed_mean
from maintenance.packing import Packer, Unpacker

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


def gone_on(bank: Bank, row: int, other: Bank) -> None:
    packer = Packer()
    bank.pack(row, packer)
    other.unpack(0, Unpacker(packer.text))


def test_a_row_comes_back_as_it_was_packed():
    bank, other = walked(row=1, rows=2), Bank(1, 7)
    gone_on(bank, 1, other)
    for each, row in ((bank, 1), (other, 0)):
        each.take(np.array([row]), FRAMES[:1], np.array([41.0]), SCATTER)
    assert np.array_equal(bank.averages[1], other.averages[0])
    assert bank.slope(np.array([1])) == other.slope(np.array([0]))
    fresh = Bank(1, 7)
    gone_on(Bank(1, 7), 0, fresh)
    assert fresh.slope(np.array([0])) == 0


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=12), st.floats(0.1, 10))
def test_the_deviation_is_the_trimmed_mean_of_z(distance: list[float], scatter: float):
    found = deviation(np.array([distance]), np.full(len(distance), scatter))
    assert found[0] == pytest.approx(trimmed_mean(np.abs(np.array(distance)) / scatter))


def test_a_signal_without_a_scatter_is_left_out():
    distance = np.array([[1.0, 2.0, 900.0], [1.0, np.nan, 900.0]])
    assert deviation(distance, np.array([1.0, 1.0, 0.0])) == pytest.approx([1.5, 1.0])
    assert deviation(distance, np.zeros(3)) == pytest.approx([0.0, 0.0])


def test_a_component_of_many_signals_is_less_than_a_kilobyte_however_long_it_lives():
    bank, rows = Bank(100, 14), np.arange(100)
    bank.begin(rows, np.zeros((100, 14)))
    sizes = set()
    for use in range(60):
        bank.take(rows, CHANCE.normal(0, 1, (100, 14)), np.full(100, float(use)), np.ones(14))
        arrays = [each for each in vars(bank).values() if isinstance(each, np.ndarray)]
        sizes.add(sum(each.nbytes for each in arrays) / 100)
    assert len(sizes) == 1
    assert max(sizes) < 1000


def test_the_trend_of_a_row_is_that_of_its_deviation():
    bank, trend = walked(), DiscountedTrend(KEEP)
    again = walked(FRAMES[:0])
    for use, frame in enumerate(FRAMES):
        again.take(np.array([0]), frame[None, :], np.array([float(use)]), SCATTER)
        trend.take(float(use), float(again.deviation[0]))
    found = trend_of(bank.moments(np.array([0]))[0])
    assert found.fit() == trend.fit()
    assert found.points == len(FRAMES)


def test_a_row_whose_signals_all_stand_still_has_no_trend():
    bank = Bank(2, 7)
    bank.begin(np.arange(2), np.full((2, 7), 10.0))
    for use, frame in enumerate(FRAMES):
        bank.take(np.arange(2), np.array([frame, frame]), np.full(2, float(use)), np.array([SCATTER, 0 * SCATTER]))
    assert [trend_of(each).points for each in bank.moments(np.arange(2))] == [len(FRAMES), 0]
    assert bank.deviation[1] == 0
