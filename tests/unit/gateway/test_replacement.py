"""What things cost over recorded lives, by the definition and by hand."""

from __future__ import annotations

import pytest

from gateway.replacement import Course, cost_ratio, interval


def test_perfect_foresight_costs_one():
    assert cost_ratio([Course(192, 190, 190), Course(287, 280, 280)]) == pytest.approx(1.0)


def test_a_replacement_in_time_costs_itself_and_the_part_on_the_shelf():
    early = Course(201, 100, 130)
    assert not early.failed
    assert (early.cost(), early.use()) == (100 + 30, 130)


def test_it_is_fitted_when_it_is_there_and_not_before():
    assert Course(201, 100, 40).use() == 100


def test_a_failure_costs_the_wait_or_the_shelf():
    assert Course(200, 210, 210).cost() == 500 + 10 * 10
    assert Course(200, 150, 220).cost() == 500 + 50
    assert Course(200, 200, 200).failed
    assert Course(100, None, None).cost() == 500 + 10 * 20
    assert cost_ratio([Course(100, None, None)]) == pytest.approx((700 / 100) / (100 / 90))


def test_an_interval_holds_the_ratio_and_is_nothing_where_all_lives_are_alike():
    lives = [Course(150 + 7 * n, 100 + 5 * n, 100 + 5 * n) for n in range(30)]
    low, high = interval([lives, lives], 1)
    assert low < cost_ratio(lives) < high
    assert high - low < 0.2
    same = [Course(201, 100, 100)] * 30
    assert interval([same], 1) == pytest.approx((cost_ratio(same), cost_ratio(same)))
    assert interval([lives], 1) == interval([lives], 1)
