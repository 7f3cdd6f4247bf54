"""The expected cost of a plan is what playing it out costs; the best plan moves the right way with what is at stake."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.stakes import Stakes, Supply, Survival, emergency, order_costs, order_times, plan, replacement_cost

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
    costs, when = order_costs(survival, STAKES, SUPPLY, emergency(STAKES, [SUPPLY]), orders)
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
    costs, _ = order_costs(survival, stakes, supply, emergency(stakes, [supply]), orders)
    scale = abs(stakes.failure) + stakes.standstill * (supply.delay + survival.horizon)
    return bool(costs[orders <= order].min() - costs.min() <= 1e-9 * scale)


@given(lives, stakes, st.lists(st.floats(0, 300), min_size=1, max_size=5))
def test_a_plan_is_one_that_can_be_followed(survival: Survival, stakes: Stakes, delays: list[float]) -> None:
    best = plan(survival, stakes, [Supply("maker", 3.0, tuple(delays))], 10.0)
    assert 0 <= best.order_after <= survival.horizon + 10.0 * 1.125
    assert best.replace_after >= best.order_after + min(delays) - 1e-9
