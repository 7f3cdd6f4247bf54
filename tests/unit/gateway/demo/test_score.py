import pytest

from gateway.demo.score import Outcome, cost_ratio


def test_perfect_foresight_costs_one():
    assert cost_ratio([Outcome(1, 1, 170, 190, 192), Outcome(2, 1, 260, 280, 287)]) == pytest.approx(1.0)


def test_a_part_in_time_costs_a_planned_replacement():
    early = Outcome(1, 1, 80, 100, 201)
    assert early.in_time
    assert early.course.cost() == 100
    assert cost_ratio([early]) == pytest.approx((100 / 100) / (100 / 200))


def test_a_part_that_is_late_costs_a_failure_and_the_waiting():
    late = Outcome(1, 1, 190, 210, 200)
    assert not late.in_time
    assert late.course.cost() == 500 + 10 * 10
    assert late.course.use() == 200


def test_a_part_that_arrives_with_the_failure_is_late():
    assert not Outcome(1, 1, 180, 200, 200).in_time


def test_no_order_at_all_orders_at_the_failure():
    assert cost_ratio([Outcome(1, 0, None, None, 100)]) == pytest.approx((700 / 100) / (100 / 90))


def test_an_order_whose_part_had_not_come_when_the_recording_ended_is_late():
    assert Outcome(1, 1, 190, None, 200).course.cost() == 500 + 10 * 20
