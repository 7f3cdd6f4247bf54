"""Signals that a model no longer knows are noticed, and those that it knows raise nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.learning.watching import FRAMES, Watch, bounds_of, longest_still
from maintenance.frames import History
from tests.unit.gateway.learning.plants import quick
from tests.unit.maintenance.lives import SIGNALS

LIVES = quick(6)


def watch() -> Watch:
    return Watch(SIGNALS, bounds_of(LIVES))


def told(history: History) -> list[tuple[float, list[float]]]:
    return list(zip(history.use.tolist(), history.frames.tolist(), strict=True))


def codes(watching: Watch) -> list[tuple[str, str]]:
    return [(each.code, each.tag) for each in watching.troubles()]


def test_lives_like_those_learned_from_raise_nothing():
    watching = watch()
    for unit, one in enumerate([*LIVES, *quick(6, seed=3)]):
        watching.take(f"mill-{unit}/spindle", told(one))
    assert codes(watching) == []


def test_a_signal_that_stands_still_is_stuck_and_well_again_once_it_moves():
    watching, one = watch(), LIVES[0].frames[: FRAMES + 1].copy()
    one[:, 2] = one[0, 2]
    watching.take("mill/spindle", [(float(at), frame.tolist()) for at, frame in enumerate(one)])
    assert codes(watching) == [("SENSOR_STUCK", "c")]
    watching.take("mill/spindle", told(LIVES[1])[:1])
    assert codes(watching) == []


def test_a_signal_that_stays_where_no_life_went_is_told_and_a_spike_is_not():
    watching = watch()
    far = LIVES[0].frames + np.eye(6)[1] * 90.0
    watching.take("mill/spindle", [(float(at), frame.tolist()) for at, frame in enumerate(far[: FRAMES - 1])])
    assert codes(watching) == []
    watching.take("mill/spindle", [(99.0, far[FRAMES].tolist())])
    assert codes(watching) == [("OUT_OF_RANGE", "b")]


def test_a_new_part_begins_anew_and_frames_of_other_signals_are_passed_over():
    watching = watch()
    watching.take("mill/spindle", [(float(at), [999.0 + at] * 6) for at in range(FRAMES)])
    assert codes(watching)
    watching.forget("mill/spindle")
    watching.take("mill/spindle", [(float(at), [999.0]) for at in range(FRAMES)])
    assert codes(watching) == []


@given(st.lists(st.sampled_from([1.0, 2.0]), min_size=1, max_size=20))
def test_the_longest_standstill_is_counted(values: list[float]):
    runs = "".join(f"{value:g}" for value in values)
    longest = max(len(run) for run in runs.replace("12", "1 2").replace("21", "2 1").split())
    assert longest_still(np.array(values)) == longest
