"""What a life cost under each way, and what one way saves against another, with an interval or with none."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.hindsight import Course
from marketplace.retrospect import SAMPLE_MIN, Lived, Pair, course, expected, foreseen, happened, saving
from marketplace.timing import Costs

COSTS = Costs("EUR", planned=100.0, failure=500.0, standstill=10.0, holding=1.0)
hours = st.floats(1.0, 10_000.0)
lives = st.builds(Lived, hours, st.booleans())


def test_a_part_that_is_in_before_the_failure_costs_its_plan_and_the_shelf():
    assert course(Lived(200, True), COSTS, 150, 20, 180) == Course(100 + 10, 180, 0.0)


def test_a_part_that_comes_too_late_costs_the_failure_and_the_wait():
    assert course(Lived(200, True), COSTS, 190, 20, 210) == Course(500 + 10 * 10, 200, 1.0)


def test_what_is_ordered_at_the_failure_waits_for_the_whole_delay():
    assert course(Lived(200, True), COSTS, None, 20, None) == Course(500 + 10 * 20, 200, 1.0)


def test_who_still_waited_when_the_part_was_taken_out_replaced_it_then():
    assert course(Lived(200, False), COSTS, None, 20, None) == Course(100, 200, 0.0)


def test_what_really_happened_costs_what_was_really_paid():
    assert happened(Lived(200, True), COSTS, 230, paid=150.0) == Course(550 + 300, 200, 1.0)
    assert happened(Lived(200, True), COSTS, None) == Course(500, 200, 1.0)


@given(lives.filter(lambda each: each.failed), hours, st.floats(0, 500), hours)
def test_nothing_has_a_lower_cost_an_hour_than_perfect_foresight_by_more_than_its_step(lived, ordered, delay, fitted):
    step = 1.0
    known, ours = foreseen(lived, COSTS, step), course(lived, COSTS, ordered, delay, fitted)
    assert ours.cost / ours.use >= known.cost / (known.use + step) - 1e-9


def test_of_a_part_that_did_not_fail_nobody_knows_when_it_would_have():
    with pytest.raises(ValueError, match="nobody knows"):
        foreseen(Lived(200, False), COSTS, 10)


def test_an_expectation_weighs_each_course():
    assert expected([Course(100, 10, 0.0), Course(200, 30, 1.0)], [3, 1]) == Course(125, 15, 0.25)


def pair(unit: str, ours: float, theirs: float, group: str = "bearing") -> Pair:
    return Pair(group, unit, Course(ours, 100.0, 0.0), Course(theirs, 100.0, 1.0))


def test_of_few_lives_the_saving_is_said_and_no_interval():
    found = saving([pair("a", 100, 500), pair("b", 100, 500)], seed=0)
    assert (found.amount, found.interval, found.over) == (800, None, "")


def test_an_interval_is_drawn_over_units_and_else_over_lives():
    many = [pair(f"unit-{number}", 100, 100 + 100 * number) for number in range(SAMPLE_MIN)]
    found = saving(many, seed=0)
    assert found.over == "units"
    assert found.interval is not None
    assert found.interval[0] < found.amount < found.interval[1]
    assert saving([replace(each, unit="one") for each in many], seed=0).over == "lives"


@given(st.lists(st.tuples(st.floats(1, 1e4), st.floats(1, 1e4)), min_size=1, max_size=12), st.integers(0, 9))
def test_against_itself_a_way_saves_nothing(told, seed):
    same = [Pair("g", f"u{at}", Course(cost, use, 0.0), Course(cost, use, 0.0)) for at, (cost, use) in enumerate(told)]
    found = saving(same, seed)
    assert found.amount == pytest.approx(0.0, abs=1e-6)
    assert found.ratio == pytest.approx(1.0)
    assert found.interval is None or max(map(abs, found.interval)) < 1e-5


def test_the_same_seed_gives_the_same_interval():
    pairs = [pair(f"u{at}", 100 + at, 300 - at) for at in range(8)]
    assert saving(pairs, 3) == saving(pairs, 3)
    assert saving(pairs, 3).interval != saving(pairs, 4).interval


def test_a_dear_part_is_not_weighed_by_the_rate_of_a_cheap_one():
    dear = Pair("spindle", "a", Course(20_000, 10_000, 0.0), Course(20_000, 10_000, 0.0))
    cheap = Pair("filter", "b", Course(60, 100, 0.0), Course(60, 50, 0.0))
    assert saving([dear, cheap], 0).amount == pytest.approx(30)
