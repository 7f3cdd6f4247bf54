"""Features: a spark moves little, a step arrives, memory fades, nothing grows."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.features import (
    HISTORY_MAX,
    STEPS,
    DiscountedTrend,
    Framer,
    History,
    RobustLevel,
    ewma,
    trimmed_mean,
    vector,
)
from maintenance.packing import Packer, Unpacker


def noisy(level: float, count: int, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [level + rng.gauss(0, 0.1) for _ in range(count)]


def smoothed(values: list[float]) -> RobustLevel:
    robust = RobustLevel(floor=0.001)
    for value in values:
        robust.take(value, 0.2)
    return robust


def test_an_average_moves_by_its_weight():
    assert ewma(1.0, 2.0, 0.25) == 1.25


def test_two_wild_signals_in_ten_hardly_count():
    assert trimmed_mean(vector([1.0] * 8 + [100.0, 90.0])) == 1.0
    assert trimmed_mean(vector([1.0, 4.0])) == 2.5


def test_a_spark_moves_a_level_by_less_than_its_noise():
    before = smoothed(noisy(3.0, 100)).level
    assert abs(smoothed([*noisy(3.0, 100), 1e6]).level - before) < 0.1


def test_a_lasting_step_arrives():
    assert smoothed(noisy(3.0, 100) + noisy(6.0, 60, seed=2)).level == pytest.approx(6.0, abs=0.2)


def test_a_signal_that_stood_still_can_move():
    assert smoothed([3.0] * 200 + [4.0] * 100).level == pytest.approx(4.0, abs=0.01)


def test_frames_average_what_came_and_keep_what_was_silent():
    framer = Framer(2, 1.0)
    assert framer.turn(5.0) is None
    framer.take(0, 1.0)
    framer.take(0, 3.0)
    framer.take(1, 7.0)
    closed = framer.turn(6.1)
    assert closed is not None
    assert closed.tolist() == [2.0, 7.0]
    framer.take(0, 4.0)
    closed = framer.turn(9.0)
    assert closed is not None
    assert closed.tolist() == [4.0, 7.0]


def test_a_signal_that_never_spoke_is_missing():
    framer = Framer(2, 1.0)
    framer.turn(0.0)
    framer.take(0, 1.0)
    assert math.isnan(framer.open_frame()[1])


def test_a_signal_that_lags_closes_no_frame():
    framer = Framer(1, 1.0)
    framer.turn(5.0)
    assert framer.turn(4.9) is None
    assert framer.end_hours == 6.0


@given(st.floats(-5, 5), st.floats(-1, 1), st.floats(1e-3, 1e3))
def test_a_straight_line_is_seen_as_it_is(level: float, slope: float, spacing: float):
    trend = DiscountedTrend(0.9)
    for point in range(40):
        trend.take(1e6 + point * spacing, level + slope * point)
    fit = trend.fit()
    assert fit is not None
    assert fit.slope * spacing == pytest.approx(slope, abs=1e-5)
    assert fit.level == pytest.approx(level + slope * 39, abs=1e-4)


def test_a_trend_equals_weighted_least_squares():
    rng = np.random.default_rng(1)
    use, value = np.cumsum(rng.uniform(0.5, 2, 60)), rng.normal(size=60)
    trend = DiscountedTrend(0.95)
    for x, y in zip(use, value, strict=True):
        trend.take(float(x), float(y))
    slope, level = np.polyfit(use - use[-1], value, 1, w=np.sqrt(0.95 ** np.arange(59, -1, -1)))
    fit = trend.fit()
    assert fit is not None
    assert (fit.slope, fit.level) == (pytest.approx(slope), pytest.approx(level))


def test_two_points_or_one_place_make_no_trend():
    trend = DiscountedTrend(0.9)
    trend.take(1.0, 1.0)
    trend.take(2.0, 2.0)
    assert trend.fit() is None
    standing = DiscountedTrend(0.9)
    for _ in range(10):
        standing.take(5.0, 1.0)
    assert standing.fit() is None


def test_a_history_is_bounded_and_keeps_its_beginning():
    history = History()
    for hour in range(10_000):
        history.take(float(hour), float(hour))
    assert len(history.hours) < HISTORY_MAX
    assert history.hours[0] == 0.0
    assert history.hours[-1] > 9_000


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1e6, 1e6)), max_size=200))
def test_a_packed_history_looks_the_same_and_does_not_drift(points: list[tuple[float, float]]):
    history, again, third = History(), History(), History()
    for hours, value in sorted(points):
        history.take(hours, value)
    texts = []
    for one, other in ((history, again), (again, third)):
        packer = Packer()
        one.pack(packer)
        other.unpack(Unpacker(packer.text))
        texts.append(packer.text)
    assert (again.stride, again.skipped) == (history.stride, history.skipped)
    for before, after in ((history.hours, again.hours), (history.values, again.values)):
        reach = (max(before) - min(before)) / STEPS if before else 0.0
        assert after == pytest.approx(before, abs=reach, rel=1e-12)
    assert len(texts[0]) == len(texts[1])
    assert third.values == pytest.approx(again.values, abs=1e-9, rel=1e-9)
