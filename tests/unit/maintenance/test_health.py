"""Health runs from 1 to 0, whatever wears and in whichever direction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance import health


@pytest.mark.parametrize(("value", "expected"), [(1.2, 1.0), (7.1, 0.0), (9.0, 0.0), (0.5, 1.0), (4.15, 0.5)])
def test_a_rising_level(value: float, expected: float):
    assert health.of_level(value, 1.2, 7.1) == pytest.approx(expected)


@pytest.mark.parametrize(("value", "expected"), [(100.0, 1.0), (20.0, 0.0), (60.0, 0.5)])
def test_a_falling_level(value: float, expected: float):
    assert health.of_level(value, 100.0, 20.0) == pytest.approx(expected)


@given(st.floats(0, 1e9), st.floats(1e-3, 1e9))
def test_health_stays_between_one_and_nothing(used: float, rated: float):
    assert 0.0 <= health.of_usage(used, rated) <= 1.0


def test_deviation_within_its_own_noise_is_full_health():
    assert health.of_deviation(0.2, 3.0) == 1.0
    assert health.of_deviation(3.0, 3.0) == 0.0
