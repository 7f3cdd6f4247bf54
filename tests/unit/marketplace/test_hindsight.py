"""What a way of deciding would have cost, and when another is believed to cost less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.hindsight import Course, _early, compare, rate, replayed, replays
from marketplace.stakes import Stakes, Supply, Survival, plan

STAKES = Stakes(100.0, 500.0, 10.0, 1.0, 0.5)
SUPPLY = Supply("maker", 0.0, (20.0,))


def surely(left: float) -> Survival:
    """It is known to the hour when it fails."""
    return Survival(np.array([0.0, left, left + 1e-6, 1000.0]), np.array([1.0, 1.0, 0.0, 0.0]))


def test_who_knows_the_failure_orders_for_the_last_decision_before_it():
    course = replayed(lambda at: surely(205.0 - at), 205.0, STAKES, SUPPLY, 10.0, phases=1)
    assert course == Course(cost=100.0, use=200.0, failed=0.0)


def test_who_never_believes_in_a_failure_waits_for_the_part():
    never = Survival(np.array([0.0, 1000.0]), np.array([1.0, 1.0]))
    course = replayed(lambda _at: never, 205.0, STAKES, SUPPLY, 10.0)
    assert course == Course(cost=500.0 + 20 * 10.0, use=205.0, failed=1.0)
    assert replayed(lambda _at: None, 205.0, STAKES, SUPPLY, 10.0) == course


def test_a_part_on_its_way_shortens_the_wait():
    late = replayed(lambda at: surely(max(195.0 - at, 0.0) + 20.0), 205.0, STAKES, SUPPLY, 10.0, phases=1)
    assert late.failed == 1.0
    assert 500.0 <= late.cost < 500.0 + 200.0


def test_where_the_shelf_is_cheap_a_part_is_fitted_only_when_it_must_be():
    cheap = Stakes(100.0, 500.0, 10.0, 0.01, 0.5)
    early = Supply("maker", 0.0, (1.0,))
    course = replayed(lambda at: surely(205.0 - at), 205.0, cheap, early, 10.0, phases=1)
    assert course.failed == 0.0
    assert 194.0 <= course.use <= 205.0


def test_where_decisions_fall_is_averaged_out():
    course = replayed(lambda at: surely(205.0 - at), 205.0, STAKES, SUPPLY, 10.0)
    assert 195.0 <= course.use <= 205.0
    assert course.failed == 0.0


def test_a_clear_gain_over_many_lives_convinces_and_over_one_does_not():
    old = [Course(100.0, 100.0, 0.0)] * 20
    new = [Course(100.0, 130.0, 0.0)] * 20
    assert compare(old, new, 100.0).gain == pytest.approx(30.0)
    assert compare(old, new, 100.0).convincing
    assert not compare(old[:1], [Course(100.0, 120.0, 0.0)], 100.0).convincing


def test_a_failure_among_few_lives_convinces_nobody():
    old, new = [Course(100.0, 100.0, 0.0)] * 8, [Course(100.0, 130.0, 0.0)] * 7 + [Course(700.0, 130.0, 1.0)]
    assert not compare(old, new, 100.0).convincing


def test_a_rate_is_cost_over_use():
    assert rate([Course(100.0, 50.0, 0.0), Course(200.0, 100.0, 0.0)]) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="same lives"):
        compare([], [], 100.0)


HOURS = np.concatenate(([0.0], np.geomspace(1.0, 600.0, 30)))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(5.0, 400.0), st.floats(0.8, 8.0)), min_size=21, max_size=21),
    st.floats(0.0, 2.0),
    st.lists(st.floats(0.05, 5.0), min_size=2, max_size=4),
)
def test_the_more_an_hour_is_worth_the_later_it_is_ordered_so_that_nobody_need_ask_twice(
    beliefs: list[tuple[float, float]], holding: float, worths: list[float]
):
    told = [Survival(HOURS, np.exp(-((HOURS / scale) ** shape))) for scale, shape in beliefs]
    stakes = [replace(STAKES, holding=holding, running=worth) for worth in sorted(worths)]
    found = replays(lambda at: told[int(at // 10.0)], 205.0, stakes, SUPPLY, 10.0)
    assert found == [replayed(lambda at: told[int(at // 10.0)], 205.0, each, SUPPLY, 10.0) for each in stakes]


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.floats(5.0, 2000.0), st.floats(0.8, 8.0), st.floats(0.0, 0.5)),
    st.tuples(st.floats(0.0, 900.0), st.floats(0.0, 50.0), st.floats(0.0, 20.0), st.floats(0.0, 20.0)),
    st.lists(st.floats(0.0, 90.0), min_size=1, max_size=4),
    st.floats(0.5, 30.0),
    st.floats(-50.0, 50.0),
)
def test_where_nobody_plans_an_order_now_would_not_have_been_the_plan(
    belief: tuple[float, float, float],
    rates: tuple[float, float, float, float],
    delays: list[float],
    step: float,
    extra: float,
):
    (scale, shape, infant), (failure, standstill, holding, running) = belief, rates
    survival = Survival(HOURS, (1.0 - infant * (HOURS > 0)) * np.exp(-((HOURS / scale) ** shape)))
    stakes, supply = Stakes(100.0, 100.0 + failure, standstill, holding, running), Supply("", extra, tuple(delays))
    if _early(survival, stakes, supply, step):
        assert plan(survival, stakes, [supply], step).order_after > 0.0
