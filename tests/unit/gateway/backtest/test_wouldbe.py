"""One life as it is decided upon: what is ordered comes after its delay, what lies here does not."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from gateway.backtest.wouldbe import WatchedLife, rated_share
from maintenance.needs import Belief, Need, Provenance
from marketplace.stakes import Supply
from marketplace.timing import WAITING_COSTS_MORE, Advice, Costs, TimingTerms, Weighed

from .conftest import START

HOUR = timedelta(hours=1)
TERMS = TimingTerms(
    20 * HOUR, 0 * HOUR, 10 * HOUR, costs=Costs("EUR", 100, 500, 10, 1), supplies=(Supply("", 0.0, (10.0, 30.0)),)
)
LIFE = WatchedLife("press/belt", "1", START, True)


def need(*, left: float) -> Need:
    """A belt that fails for certain within `left` hours."""
    use = np.array([0.0, left, left + 1.0])
    belief = Belief.of(
        use, [1.0, 0.9, 0.0], unit="h", use_per_hour=1.0, as_of=START, provenance=Provenance.A, life=1000
    )
    return Need("press", "press/belt", "1", 1, "Replace", (), belief, 0.4, (), START)


def advice(code: str, *, buy: bool = True) -> Advice:
    return Advice(buy, START, 0.1, code, {}, Weighed(TERMS, START))


def test_what_is_ordered_may_come_after_any_of_its_delays_and_is_fitted_once_it_is_there():
    life = replace(LIFE, deliveries=[])
    assert life.want(need(left=5), advice(WAITING_COSTS_MORE), START)
    assert life.there == START + 20 * HOUR
    assert not life.fit(need(left=5).belief, TERMS, START + 9 * HOUR)
    assert life.fit(need(left=5).belief, TERMS, START + 10 * HOUR)
    assert [each.fitted for each in life.deliveries] == [START + 10 * HOUR, None]
    assert (life.fitted, life.settled) == (None, False)
    assert life.fit(need(left=5).belief, TERMS, START + 40 * HOUR)
    assert (life.fitted, life.settled) == (START + 25 * HOUR, True)


def test_what_lies_here_is_there_at_once():
    life = replace(LIFE, deliveries=[])
    assert life.want(need(left=5), advice("FIT_NOW"), START)
    assert life.there == START


def test_nothing_is_bought_twice_or_against_advice():
    life = replace(LIFE, deliveries=[])
    assert not life.want(need(left=5), advice("NOT_YET", buy=False), START)
    assert life.want(need(left=5), advice(WAITING_COSTS_MORE), START)
    assert not life.want(need(left=5), advice(WAITING_COSTS_MORE), START + HOUR)


def test_a_part_is_kept_while_use_is_worth_more_than_the_risk():
    life = replace(LIFE, deliveries=[])
    cheap_to_keep = replace(TERMS, costs=Costs("EUR", 100, 500, 10, 0.001))
    life.want(need(left=800), replace(advice(WAITING_COSTS_MORE), weighed=Weighed(cheap_to_keep, START)), START)
    assert not life.fit(need(left=800).belief, cheap_to_keep, START + 40 * HOUR)


def test_the_naive_rule_orders_so_that_the_part_comes_when_the_rated_life_is_over():
    life = replace(LIFE, deliveries=[])
    life.wear(0.97, TERMS, START + 970 * HOUR)
    assert life.rated_order is None
    life.wear(0.98, TERMS, START + 980 * HOUR)
    assert life.rated_order == START + 980 * HOUR


def test_of_several_clocks_the_farthest_counts_and_without_any_nothing_is_said():
    assert rated_share({"hours": 500, "starts": 90}, {"hours": 1000, "starts": 100}) == pytest.approx(0.9)
    assert rated_share({}, {"": 1000}) is None
