"""Frames as they are kept: nothing is told twice, nothing grows without bound, and averages stay comparable."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.features import Vector
from maintenance.frames import Frames
from tests.unit.maintenance.lives import SIGNALS, life

ALPHA = 0.1


def told(count: int, first: int = 1) -> list[tuple[float, list[float]]]:
    return [(float(use), [float(use), -float(use)]) for use in range(first, first + count)]


def kept(count: int) -> Frames:
    return Frames.none(2).taking(told(count))


def same(one: Frames, other: Frames) -> bool:
    pairs = ((one.use, other.use), (one.weights, other.weights), (one.values, other.values))
    return all(np.array_equal(mine, theirs, equal_nan=True) for mine, theirs in pairs)


def test_frames_come_back_from_their_bytes_and_as_a_history():
    frames = kept(5)
    assert same(Frames.of(frames.content(), 5, 2), frames)
    history = frames.history("l1", 3.0)
    assert (history.unit, history.life, history.use.tolist()) == ("l1", 8.0, [1, 2, 3, 4, 5])
    assert history.frames[2].tolist() == [3.0, -3.0]


@given(st.lists(st.integers(0, 30), max_size=40))
def test_what_is_told_again_changes_nothing(uses: list[int]):
    frames = Frames.none(1)
    for use in uses:
        frames = frames.taking([(float(use), [1.0])])
    assert np.all(np.diff(frames.use) > 0)
    assert same(frames.taking([(float(use), [2.0]) for use in uses]), frames)


@given(st.integers(0, 40), st.integers(0, 10), st.integers(0, 3))
def test_averaging_loses_no_frame_and_no_mean(count: int, whole: int, times: int):
    frames = kept(count)
    for _time in range(times):
        frames = frames.halved(whole)
    assert frames.weights.sum() == count
    assert frames.values.astype(float).T @ frames.weights == pytest.approx(kept(count).values.sum(axis=0), rel=1e-5)
    assert same(frames[:whole], kept(count)[:whole])
    if count >= 2:
        assert frames.history("u", 0.0).use == pytest.approx(kept(count).use)


def test_frames_that_come_after_an_averaging_are_averaged_alike():
    at_once = kept(10).halved(2)
    bit_by_bit = kept(6).halved(2)
    for one in told(4, 7):
        bit_by_bit = bit_by_bit.taking([one], stride=2, whole=2)
    assert same(at_once, bit_by_bit)


def smooth(values: Vector) -> Vector:
    level, found = values[0].copy(), []
    for value in values:
        level += ALPHA * (value - level)
        found.append(level.copy())
    return np.array(found)


def test_moving_averages_of_an_averaged_life_are_those_of_the_life():
    one = life(3)
    frames = Frames.none(len(SIGNALS)).taking(list(zip(one.use.tolist(), one.frames.tolist(), strict=True)))
    back = frames.halved(25).halved(25).history("u", 0.0)
    assert np.abs(smooth(back.frames) - smooth(one.frames))[:-3].max() < 1.0  # noise is 1, wear goes to 5


def test_a_missing_value_is_the_last_one_and_a_signal_that_never_spoke_is_refused():
    frames = Frames.none(2).taking([(1.0, [1.0, 5.0]), (2.0, [math.nan, 6.0]), (3.0, [3.0, math.nan])])
    assert frames.history("u", 0.0).frames.tolist() == [[1.0, 5.0], [1.0, 6.0], [3.0, 6.0]]
    assert frames.halved(1).history("u", 0.0).frames[1:].tolist() == [[3.0, 6.0], [3.0, 6.0]]
    with pytest.raises(ValueError, match="whole"):
        Frames.none(1).taking([(1.0, [math.nan]), (2.0, [1.0])]).history("u", 0.0)


@pytest.mark.parametrize("frames", [0, 2, 4, -1])
def test_bytes_that_are_no_frames_are_refused(frames: int):
    with pytest.raises(ValueError, match="no such frames"):
        Frames.of(kept(3).content(), frames, 2)
    with pytest.raises(ValueError, match="no frames"):
        Frames.of(b"\x00" * 20, 1, 2)


def test_parts_that_do_not_follow_each_other_are_refused():
    with pytest.raises(ValueError, match="follow"):
        Frames.joined([kept(3), kept(2)])
