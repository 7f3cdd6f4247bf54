"""What a part that was taken out proves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.assets import Found
from maintenance.lifetimes import FinishedLife
from maintenance.outcomes import finished, left, seen_to_its_end

USES = st.floats(0, 1e6)


@pytest.mark.parametrize(
    ("found", "life"),
    [
        (Found.FAILED, FinishedLife(800.0, True)),
        (Found.WORN, FinishedLife(850.0, True)),
        (Found.HALF, FinishedLife(1600.0, True)),
        (Found.LIKE_NEW, FinishedLife(800.0, False)),
        (None, FinishedLife(800.0, False)),
    ],
)
def test_a_word_is_a_life(found: Found | None, life: FinishedLife):
    assert finished(found, 800.0, 1000.0) == life


@given(USES, USES)
def test_the_better_a_part_was_found_the_longer_it_would_have_lasted(run: float, usual: float):
    rests = [left(found, run, usual) for found in (Found.FAILED, Found.WORN)]
    assert rests == sorted(rests)
    assert left(Found.HALF, run, usual) >= 0.0


@given(st.sampled_from([None, *Found]), USES, USES)
def test_no_word_proves_a_shorter_life_than_the_part_had(found: Found | None, run: float, usual: float):
    assert finished(found, run, usual).use >= run


def test_a_life_was_seen_to_its_end_when_hardly_anything_was_left():
    assert seen_to_its_end(1000.0, 0.0)
    assert seen_to_its_end(1000.0, 50.0)
    assert not seen_to_its_end(1000.0, 1000.0)
    assert not seen_to_its_end(0.0, 0.0)
