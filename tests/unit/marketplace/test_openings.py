"""A job begins where the machine may be worked on, and no opening is passed by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.openings import Openings

WEEKLY = Openings(((94.0, 98.0), (160.0, 168.0)), closed=80.0)


@pytest.mark.parametrize(
    ("at", "opens"),
    [(0.0, 94.0), (94.0, 94.0), (96.0, 96.0), (98.0, 98.0), (98.1, 160.0), (167.9, 167.9), (170.0, 262.0)],
)
def test_a_job_begins_when_the_machine_may_be_worked_on(at: float, opens: float) -> None:
    for origin in (0.0, 12.25):
        found = replace(WEEKLY, origin=origin).next(np.array([at + origin]))
        assert found[0] == pytest.approx(opens + origin)
        assert (replace(WEEKLY, origin=origin).stop(np.array([at + origin]))[0] == 0.0) == (at == opens)


@settings(max_examples=30)
@given(st.floats(0, 1e5), st.floats(0, 1e3))
def test_the_next_opening_is_open_and_none_is_passed_by(at: float, origin: float) -> None:
    openings = replace(WEEKLY, origin=origin)
    there = openings.next(np.array([at]))
    assert at <= there[0] < at + 168.0
    assert openings.stop(there)[0] == 0.0
    between = np.linspace(at, there[0], 20)[:-1]
    assert np.all(openings.stop(between[there[0] - between > 1e-3]) == 80.0)


@pytest.mark.parametrize(
    "wrong", [{"spans": ()}, {"spans": ((5.0, 4.0),)}, {"spans": ((0.0, 169.0),)}, {"closed": -1.0}]
)
def test_openings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"ascend|below zero"):
        replace(WEEKLY, **wrong)  # type: ignore[arg-type]


def test_an_opening_that_comes_once_is_taken_where_it_is_sooner():
    both = replace(WEEKLY, once=((10.0, 12.0), (300.0, 301.0)))
    asked = np.array([0.0, 11.0, 13.0, 99.0, 299.0, 302.0])
    assert both.next(asked).tolist() == [10.0, 11.0, 94.0, 160.0, 300.0, 328.0]
    assert both.stop(np.array([10.0, 12.0, 13.0])).tolist() == [0.0, 0.0, 80.0]
    later = replace(both, origin=5.0)
    assert later.next(asked + 5.0).tolist() == (both.next(asked) + 5.0).tolist()


def test_after_the_last_opening_that_comes_once_every_moment_costs_a_stop():
    single = Openings((), 80.0, once=((10.0, 12.0),))
    assert single.next(np.array([3.0, 11.0, 13.0])).tolist() == [10.0, 11.0, np.inf]
    assert single.stop(np.array([3.0, 11.0, 13.0])).tolist() == [80.0, 0.0, 80.0]


@pytest.mark.parametrize("once", [(), ((5.0, 4.0),), ((-1.0, 4.0),), ((6.0, 7.0), (1.0, 2.0))])
def test_openings_that_come_once_ascend_from_their_origin(once):
    with pytest.raises(ValueError, match="opening"):
        Openings((), 80.0, once=once)
