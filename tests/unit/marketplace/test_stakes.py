"""The expected cost of a plan is what playing it out costs; the best plan moves the right way with what is at stake."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from marketplace.openings import Openings
from marketplace.stakes import (
    Stakes,
    Supply,
    Survival,
    best_replacement,
    course_costs,
    emergency,
    leftover,
    log_normal,
    long_run,
    order_times,
    overdue,
    plan,
    replacement_cost,
)

STAKES = Stakes(planned=100.0, failure=500.0, standstill=10.0, holding=0.2, running=0.5)
SUPPLY = Supply("maker", 0.0, (20.0,))


def weibull(median: float, shape: float, age: float = 0.0) -> Survival:
    hours = np.linspace(0.0, 3 * median, 301)
    hazard = np.log(2.0) * ((age + hours) / median) ** shape
    return Survival(hours, np.exp(hazard[0] - hazard))


def played(survival: Survival, stakes: Stakes, supply: Supply, order: float, replace_at: float) -> float:
    """The same plan, played out over two hundred thousand failures that lie evenly in probability."""
    chance = (np.arange(200_000) + 0.5) / 200_000
    fails = np.interp(1 - chance, survival.survival[::-1], survival.hours[::-1], left=np.inf)
    total = 0.0
    for delay in supply.delays:
        arrives = np.where(fails <= order, fails + delay, order + delay)
        planned = fails > replace_at
        waits = np.maximum(arrives - fails, 0) * ~planned
        shelved = np.maximum(np.minimum(fails, replace_at) - arrives, 0) * (fails > order)
        used = np.minimum(fails, replace_at)
        cost = np.where(planned, stakes.planned, stakes.failure) + stakes.standstill * waits
        total += float(np.mean(cost + stakes.holding * shelved - stakes.running * used + supply.extra))
    return total / len(supply.delays)


@pytest.mark.parametrize(("order", "replace_at"), [(0.0, 30.0), (40.0, 95.0), (100.0, 130.0)])
def test_the_expected_cost_is_that_of_playing_it_out(order: float, replace_at: float) -> None:
    survival, supply = weibull(100, 3), Supply("maker", 7.0, (5.0, 20.0))
    orders, arrivals = np.array([order]), order + np.array(supply.delays)
    alive, area = survival.at(orders)
    _, to_arrival = survival.at(arrivals)
    late = STAKES.standstill * (np.array(supply.delays) * alive - to_arrival + area)
    half = alive * supply.extra + (1 - alive) * emergency(STAKES, [supply]) + late - STAKES.holding * to_arrival
    whole = float(np.mean(half)) + replacement_cost(survival, STAKES, np.array([replace_at]))[0]
    assert whole == pytest.approx(played(survival, STAKES, supply, order, replace_at), rel=2e-3)


def test_the_best_course_is_not_beaten_by_any_other() -> None:
    survival = weibull(100, 4)
    orders = order_times(survival.horizon, 10.0)
    (costs,), (when,) = course_costs(survival, STAKES, [SUPPLY], emergency(STAKES, [SUPPLY]), orders)
    for order, cost, replaced in zip(orders[:9], costs, when, strict=False):
        assert cost == pytest.approx(played(survival, STAKES, SUPPLY, order, replaced), rel=5e-3)
        others = (played(survival, STAKES, SUPPLY, order, order + 20 + later) for later in (0.0, 7.0, 30.0, 80.0))
        assert all(cost <= other * 1.002 for other in others)


def test_a_cheap_critical_part_is_stocked_and_a_costly_one_bought_on_condition() -> None:
    """Nobody chooses which: 25 % of the price a year is nothing for a filter, and much for a spindle."""
    year = 8760.0
    for price, standstill, stocked in ((60.0, 2500 / 24, True), (22_000.0, 200 / 24, False)):
        survival = weibull(year, 3)
        stakes = Stakes(price, price + 8 * standstill, standstill, 0.25 * price / year, price / year)
        best = plan(survival, stakes, [Supply("maker", 0.0, (14 * 24.0,))], 24.0)
        assert (best.order_after < 60 * 24.0) is stocked


def test_an_express_supplier_is_chosen_when_the_end_is_near() -> None:
    slow, express = Supply("slow", 0.0, (20.0,)), Supply("express", 60.0, (1.0,))
    assert plan(weibull(100, 4, age=10), STAKES, [slow, express], 1.0).supplier == "slow"
    near = plan(weibull(100, 4, age=160), STAKES, [slow, express], 1.0)
    assert (near.supplier, near.order_after) == ("express", 0.0)
    assert near.cost_of_waiting > 0


def test_a_plan_made_later_is_the_same_plan() -> None:
    early, later = (plan(weibull(200, 4, age), STAKES, [SUPPLY], 5.0) for age in (0.0, 30.0))
    assert later.order_after == pytest.approx(early.order_after - 30.0, abs=6.0)


def test_without_a_supplier_there_is_no_plan() -> None:
    with pytest.raises(ValueError, match="nobody supplies"):
        plan(weibull(100, 3), STAKES, [], 1.0)


@pytest.mark.parametrize("wrong", [{"failure": 50.0}, {"planned": -1.0}, {"holding": np.inf}, {"running": -1.0}])
def test_stakes_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"below zero|planned replacement"):
        replace(STAKES, **wrong)


lives = st.builds(weibull, st.floats(20, 2000), st.floats(1.0, 12.0), st.floats(0, 500))
stakes = st.builds(
    lambda planned, extra, *rates: Stakes(planned, planned + extra, *rates),
    st.floats(0, 1e4), st.floats(0, 1e5), st.floats(0, 1e3), st.floats(0, 10), st.floats(0, 100),
)  # fmt: skip


@given(lives, stakes, st.floats(0, 300), st.floats(1, 10))
@example(weibull(67.0, 2.0, 0.0), Stakes(0.0, 27.0, 0.0, 0.0, 1.0), 0.0, 2.0)
@example(weibull(142.0, 2.0, 11.0), Stakes(0.0, 38.0, 0.0, 0.0, 1.0), 0.0, 2.0)
def test_a_dearer_standstill_never_delays_an_order(
    survival: Survival, stakes: Stakes, delay: float, dearer: float
) -> None:
    supply, cost = [Supply("maker", 0.0, (delay,))], stakes.failure - stakes.planned
    worse = replace(stakes, failure=stakes.planned + cost * dearer, standstill=stakes.standstill * dearer)
    before, after = plan(survival, stakes, supply, 10.0), plan(survival, worse, supply, 10.0)
    assert after.order_after <= before.order_after or _tie(survival, worse, supply[0], before.order_after)


def _tie(survival: Survival, stakes: Stakes, supply: Supply, order: float) -> bool:
    """Whether the earlier order costs the same, to rounding: then neither is the later one's fault."""
    orders = order_times(survival.horizon, 10.0)
    (costs,), _ = course_costs(survival, stakes, [supply], emergency(stakes, [supply]), orders)
    scale = abs(stakes.failure) + stakes.standstill * (supply.delay + survival.horizon)
    return bool(costs[orders <= order].min() - costs.min() <= 1e-9 * scale)


@given(lives, stakes, st.lists(st.floats(0, 300), min_size=1, max_size=5))
def test_a_plan_is_one_that_can_be_followed(survival: Survival, stakes: Stakes, delays: list[float]) -> None:
    best = plan(survival, stakes, [Supply("maker", 3.0, tuple(delays))], 10.0)
    assert 0 <= best.order_after <= survival.horizon + 10.0 * 1.125
    assert best.replace_after >= best.order_after + min(delays) - 1e-9


def test_log_normal_delays_have_their_mean_and_reach_far_into_the_tail() -> None:
    delays, weights = log_normal(14.0, 0.35)
    assert Supply("maker", 0.0, delays, weights).delay == pytest.approx(14.0 * np.exp(0.35**2 / 2), rel=1e-9)
    assert max(delays) > 14.0 * np.exp(4 * 0.35)


def test_the_nodes_of_a_delay_are_those_of_gauss_and_hermite() -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    delays, shares = log_normal(1.0, 1.0)
    assert np.log(delays) == pytest.approx(nodes)
    assert shares == pytest.approx(weights / weights.sum(), rel=1e-9)


def test_a_weight_counts_as_often_as_the_delay_would() -> None:
    weighed, repeated = Supply("maker", 0.0, (5.0, 40.0), (0.75, 0.25)), Supply("maker", 0.0, (5.0, 5.0, 5.0, 40.0))
    survival, orders = weibull(100, 4), np.array([0.0, 30.0])
    both = course_costs(survival, STAKES, [weighed, repeated], emergency(STAKES, [weighed]), orders)[0]
    assert both[0] == pytest.approx(both[1])


@pytest.mark.parametrize("weights", [(1.0,), (0.5, 0.6)])
def test_weights_that_are_no_shares_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="weight"):
        Supply("maker", 0.0, (5.0, 40.0), weights)


def test_a_rescue_caps_what_lateness_costs() -> None:
    """As played out: with the order under way, a failure costs the wait or the rescue, whichever is less."""
    survival, slow, cap = weibull(100, 4, age=90), Supply("maker", 0.0, (40.0,)), 150.0
    dear, capped = (
        course_costs(survival, STAKES, [slow], 200.0, np.zeros(1), each)[0].item() for each in (np.inf, cap)
    )
    chance = (np.arange(200_000) + 0.5) / 200_000
    fails = np.interp(1 - chance, survival.survival[::-1], survival.hours[::-1], left=np.inf)
    waits = STAKES.standstill * np.maximum(40.0 - fails, 0)
    assert dear - capped == pytest.approx(float(np.mean(waits - np.minimum(waits, cap))), rel=2e-3)


def test_who_may_be_rescued_never_orders_sooner_from_the_slow_one() -> None:
    slow, express = Supply("slow", 0.0, (30.0, 60.0)), Supply("express", 40.0, (1.0,))
    alone, rescued = (plan(weibull(100, 4), STAKES, [slow, express], 1.0, rescued=each) for each in (False, True))
    assert rescued.order_after >= alone.order_after


def test_a_part_too_many_is_kept_or_given_up_whichever_is_less() -> None:
    assert leftover(replace(STAKES, holding=0.2, running=0.5)) == pytest.approx(0.2 * 200)
    assert leftover(replace(STAKES, holding=5.0)) == STAKES.planned
    assert leftover(replace(STAKES, running=0.0)) == STAKES.planned
    assert leftover(replace(STAKES, holding=0.0)) == 0.0


@given(st.floats(1, 5000), st.floats(0.1, 100))
def test_orders_are_looked_at_up_to_the_horizon(horizon: float, step: float) -> None:
    times = order_times(horizon, step)
    assert times[0] == 0
    assert times[1] == step
    assert np.all(np.diff(times) > 0)
    assert times[-2] < max(horizon, step)
    assert times[-1] >= min(horizon, 16 * step) * 0.85


@pytest.mark.parametrize("since", [0.0, 0.5, 2.0, 5.0, 14.0, 30.0])
def test_what_is_left_of_an_overdue_order_is_what_is_left_of_its_law(since: float) -> None:
    supply = Supply("maker", 0.0, *log_normal(14.0, 0.35))
    drawn = 14.0 * np.exp(0.35 * np.random.default_rng(1).standard_normal(400_000))
    assert overdue(supply, since).delay == pytest.approx(float(np.mean(drawn[drawn > since]) - since), rel=0.05)


@given(st.lists(st.floats(0, 300), min_size=1, max_size=5), st.floats(0, 1e4))
def test_an_order_that_is_not_in_comes_later_than_now(delays: list[float], since: float) -> None:
    left = overdue(Supply("maker", 0.0, tuple(delays)), since)
    assert min(left.delays) > 0 or since == 0


WEEKLY = Openings(((94.0, 98.0), (160.0, 168.0)), closed=80.0)


@settings(max_examples=30)
@given(lives, stakes, st.floats(0, 300))
def test_a_machine_that_may_be_worked_on_at_any_time_is_one_without_windows(
    survival: Survival, stakes: Stakes, delay: float
) -> None:
    supply = [Supply("maker", 0.0, (delay, delay + 20.0))]
    always = Openings(((0.0, 168.0),), closed=1e6)
    assert plan(survival, stakes, supply, 10.0, openings=always) == plan(survival, stakes, supply, 10.0)


@settings(max_examples=30)
@given(lives, stakes, st.floats(0, 300), st.floats(0, 1e5))
def test_windows_never_make_a_plan_cheaper_and_any_stop_is_paid_at_most_once(
    survival: Survival, stakes: Stakes, since: float, closed: float
) -> None:
    here = np.array([since])
    free, costs = (
        best_replacement(survival, stakes, here, each)[0][0] for each in (None, replace(WEEKLY, closed=closed))
    )
    scale = abs(free) + stakes.failure + closed
    assert free - 0.02 * scale <= costs <= free + closed + 1e-9 * scale


@pytest.mark.parametrize("shape", [1.0, 1.5, 3.0, 6.0])
@pytest.mark.parametrize("failure", [100.0, 300.0, 7_260.0])
def test_the_long_run_costs_what_the_best_age_of_replacement_costs(shape: float, failure: float) -> None:
    ages = np.linspace(0.0, 60.0, 600_001)[1:]
    alive = np.exp(-np.log(2.0) * (ages / 10.0) ** shape)
    length = np.cumsum(np.concatenate(([1.0], alive[:-1])) + alive) / 2 * ages[0]
    best = float(np.min((60.0 + (failure - 60.0) * (1.0 - alive)) / length))
    assert long_run(60.0, failure, 10.0, shape) == pytest.approx(best, rel=0.02)
