"""What a run says is only what the data can say."""

from datetime import timedelta

import pytest

from gateway.backtest.plant_orders import Ending
from gateway.backtest.playing import Ended
from gateway.backtest.report import AGAINST, FAILURE, FORESIGHT, HAPPENED, RATED, Case, findings
from gateway.backtest.wouldbe import Delivery, WatchedLife, WouldBuy
from marketplace.money import Money
from marketplace.retrospect import Lived
from marketplace.stakes import Supply
from marketplace.timing import Costs, TimingTerms

from .conftest import START

HOUR = timedelta(hours=1)
TERMS = TimingTerms(
    20 * HOUR, timedelta(0), 10 * HOUR, costs=Costs("EUR", 100, 500, 10, 1), supplies=(Supply("", 0.0, (20.0,)),)
)
CASES = {"press/belt": Case(TERMS, "belt", rated=True)}


def life(*, whole: bool = True, fitted: int | None = 170) -> WatchedLife:
    at = START + 150 * HOUR
    bought = WouldBuy(at, at, (("belt", "2", "C62"),), "NOT_YET", {}, False, 100.0, "EUR")
    delivery = Delivery(20.0, 1.0, None if fitted is None else START + fitted * HOUR)
    return WatchedLife("press/belt", "1", START, whole, bought, START + 180 * HOUR, [delivery])


def ended(*, failed: bool, whole: bool = True, fitted: int | None = 170) -> Ended:
    at = START + 195 * HOUR
    told = Ending("press/belt", at, failed, at + 40 * HOUR, at + 30 * HOUR, None, Money.parse("120 EUR"))
    return Ended(life(whole=whole, fitted=fitted), at, Lived(195, failed), told)


def test_of_a_failure_everything_can_be_said():
    found = findings([ended(failed=True)], [], CASES, told=True, seed=0)
    said = {each.against: each for each in found.comparisons}
    assert tuple(said) == AGAINST
    ours = 100 / 170 * 195
    assert said[HAPPENED].saving.amount == pytest.approx(500 + 20 + 10 * 30 - ours)
    assert said[RATED].saving.amount == pytest.approx(500 + 10 * 5 - ours)
    assert said[FAILURE].saving.amount == pytest.approx(500 + 10 * 20 - ours)
    assert said[FORESIGHT].saving.amount == pytest.approx(100 - 100 / 170 * 190)
    assert (said[HAPPENED].our_failures, said[HAPPENED].their_failures) == (0, 1)
    (bought,) = found.purchases
    assert (bought.in_time, bought.there, bought.failed) == (1.0, START + 170 * HOUR, True)


def test_of_a_part_taken_out_in_time_neither_its_failure_nor_foresight_is_told():
    found = findings([ended(failed=False)], [], CASES, told=True, seed=0)
    assert [each.against for each in found.comparisons] == [HAPPENED, RATED]


def test_without_the_plants_word_nothing_is_said_to_have_happened():
    found = findings([ended(failed=True)], [], CASES, told=False, seed=0)
    assert [each.against for each in found.comparisons] == [RATED, FAILURE, FORESIGHT]


def test_a_life_that_was_half_over_is_listed_and_not_counted():
    found = findings([ended(failed=True, whole=False)], [], CASES, told=True, seed=0)
    assert (len(found.purchases), found.comparisons, found.uncounted) == (1, (), 1)


def test_what_goes_on_costs_its_part_and_saves_nothing_yet():
    found = findings([], [life(fitted=None)], CASES, told=True, seed=0)
    assert (found.open, found.spent, found.comparisons) == (1, {"EUR": 100.0}, ())
    assert found.purchases[0].ended is found.purchases[0].fitted is None


def test_few_lives_have_no_interval_and_enough_have_one():
    few = findings([ended(failed=True)] * 4, [], CASES, told=True, seed=0)
    enough = findings([ended(failed=True)] * 5, [], CASES, told=True, seed=0)
    assert {each.saving.interval is None for each in few.comparisons} == {True}
    assert {each.saving.interval is None for each in enough.comparisons} == {False}
    assert few.as_dict()["comparisons"][0]["interval"] is None
