"""Bearing frequencies against published ones, and what holds for every geometry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.bearings import Bearing, Fault


@pytest.mark.parametrize(
    ("fault", "order"),
    [(Fault.BPFO, 3.5848), (Fault.BPFI, 5.4152), (Fault.FTF, 0.39828), (Fault.BSF, 2.3567)],
)
def test_the_6205_sounds_where_the_bearing_data_center_says(fault: Fault, order: float):
    # Case Western Reserve University: SKF 6205-2RS JEM, in inches; it gives the ball's strikes, twice its spin: 4.7135
    bearing = Bearing(9, 0.3126, 1.537)
    assert bearing.order(fault) == pytest.approx(order, abs=2e-4)
    assert bearing.frequency(fault, -30.0) == pytest.approx(30 * order, abs=6e-3)


@given(st.integers(1, 60), st.floats(0.01, 0.95), st.floats(0, 80), st.floats(0.1, 1000))
def test_every_ball_passes_both_rings_once_a_turn_between_them(balls: int, ratio: float, angle: float, pitch: float):
    bearing = Bearing(balls, ratio * pitch, pitch, angle)
    assert bearing.order(Fault.BPFO) + bearing.order(Fault.BPFI) == pytest.approx(balls)
    assert bearing.order(Fault.BPFO) == pytest.approx(balls * bearing.order(Fault.FTF))
    assert bearing.order(Fault.FTF) < 0.5 < bearing.order(Fault.BPFI) + 0.5


@pytest.mark.parametrize("geometry", [(0, 1.0, 5.0, 0.0), (9, 5.0, 5.0, 0.0), (9, 0.0, 5.0, 0.0), (9, 1.0, 5.0, 90.0)])
def test_what_cannot_be_built_is_refused(geometry: tuple[int, float, float, float]):
    with pytest.raises(ValueError, match="a "):
        Bearing(*geometry)


def test_harmonics_on_which_both_rings_sound_are_not_listened_to():
    bearing = Bearing(9, 7.94, 39.04)  # 3 x 3.58 = 10.75, 2 x 5.42 = 10.83
    assert bearing.telling(Fault.BPFO, 4, 0.02) == (1, 2, 4)
    assert bearing.telling(Fault.BPFI, 4, 0.02) == (1, 3, 4)
    assert bearing.telling(Fault.BPFI, 4, 0.001) == (1, 2, 3, 4)


@given(st.sampled_from(Fault), st.integers(1, 10), st.floats(0, 0.05), st.floats(0.05, 0.6))
def test_the_first_harmonic_always_counts_and_more_slip_never_adds_any(
    fault: Fault, most: int, slip: float, ratio: float
):
    bearing = Bearing(9, ratio, 1.0)
    found = bearing.telling(fault, most, slip)
    assert found[0] == 1
    assert set(bearing.telling(fault, most, 0.05)) <= set(found) <= set(range(1, most + 1))
