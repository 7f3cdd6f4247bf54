"""What a slot costs is counted as one would by hand; nobody goes below foresight; the same seed is the same plant."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from gateway.benchmarks.foresight import AHEAD_DAYS, foreseen, good_prices
from gateway.benchmarks.regret import BASIS, RULES, Known, Measured, Planner, Rule, Timed, level_tracker, told
from gateway.benchmarks.spare_parts import WAIT, Move, Scene, keep
from gateway.benchmarks.wearing_plant import PARTS, PAST_DAYS, Part, Plant, Slot, slot
from gateway.commands.application import run
from marketplace.prices import Wander
from marketplace.stakes import Stakes, Supply, Survival, plan

PLANT = Plant()
FILTER, BEARING, SPINDLE = PARTS
PART = Part("part", 365.25, 1_000.0, 10.0)  # a quarter of an EUR for each day on the shelf


def made(*days: int, price: float = 1.0, leads: tuple[float, float, float] = (8.0, 4.0, 1.5)) -> Slot:
    """A slot in which everything is as said."""
    orders = np.tile(leads, (20, 1))
    prices = np.full(PAST_DAYS + sum(days) + 1_000, price)
    return Slot(days, tuple(np.linspace(0, 1, each) for each in days), orders, prices)


class Scripted:
    """Does on each day since the slot's beginning what is written for it."""

    def __init__(self, moves: dict[int, Move], rescue: int | None = None) -> None:
        self.moves, self.rescue = moves, rescue

    def fitted(self) -> None: ...

    def look(self, scene: Scene) -> Move:
        return self.moves.get(int(scene.now), WAIT)

    def stands(self, scene: Scene) -> int | None:
        return self.rescue


def test_a_part_on_the_shelf_is_fitted_at_the_failure_and_only_the_shelf_is_paid():
    books = keep(PLANT, PART, made(20, price=1.1), Scripted({5: Move(order=0)}))
    assert books.parts == pytest.approx(365.25 * 1.1)
    assert books.holding == pytest.approx(0.25 * (20 - 13))
    assert (books.standstill, books.used, books.failures, books.lives) == (0, 20, 0, 1)


def test_an_early_replacement_gives_up_the_rest_of_the_life():
    books = keep(PLANT, PART, made(20), Scripted({5: Move(order=1), 10: Move(fit=True)}))
    assert books.holding == pytest.approx(0.25 * (10 - 9))
    assert (books.used, books.failures) == (10, 0)


def test_a_part_that_is_late_stands_the_machine_until_it_is_in():
    books = keep(PLANT, PART, made(20), Scripted({15: Move(order=0)}))
    assert books.standstill == pytest.approx(1_000 * (15 + 8 - 20))
    assert (books.holding, books.failures, books.orders) == (0, 1, {"slow": 1})


def test_a_rescue_shortens_the_stop_and_its_leftover_serves_the_next_life():
    """Fails on day 20 with the slow part due on 27: an express one is in on 21.5; the slow one waits for day 51.5."""
    books = keep(PLANT, PART, made(20, 30), Scripted({19: Move(order=0)}, rescue=2))
    assert books.standstill == pytest.approx(1_000 * 1.5)
    assert books.parts == pytest.approx(365.25 * (1 + 1.6))
    assert books.holding == pytest.approx(0.25 * (51.5 - 27))
    assert (books.used, books.lives, books.failures) == (50, 2, 1)


def test_a_part_too_many_goes_back():
    books = keep(PLANT, PART, made(20), Scripted({2: Move(order=0), 3: Move(order=1)}))
    assert books.parts == pytest.approx(365.25 * 1.18)
    assert books.holding == pytest.approx(0.25 * ((20 - 7) + (20 - 10)))


def test_foresight_of_a_price_that_stands_still_pays_the_parts_alone():
    found = foreseen(PLANT, PART, [made(500, 700)])
    assert found.just_in_time[0] == found.prices_known[0] == pytest.approx(2 * 365.25)
    assert found.prices_seen[0] == pytest.approx(2 * 365.25, rel=0.02), "it may wait for what does not come"


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_who_knows_more_pays_less(part: Part):
    found = foreseen(PLANT, part, [slot(PLANT, part, 4, (1, number)) for number in range(25)])
    assert found.prices_known.sum() < found.prices_seen.sum() < found.just_in_time.sum()


@pytest.mark.parametrize("days", [3, 20, 60])
def test_a_plan_that_knows_the_failure_waits_for_the_price_that_foresight_waits_for(days: int):
    """Two recursions that share nothing: over the states of a chain, and over a fine grid of prices."""
    early = 0.25 * BEARING.price / 365.25
    dies = (14.0 + days) * 24
    survival = Survival(np.array([0.0, dies, dies + 0.1, dies + 1.0]), np.array([1.0, 1.0, 0.0, 0.0]))
    stakes = Stakes(BEARING.price, BEARING.price, BEARING.standstill / 24, early / 24, 1.0)
    supply = Supply("slow", 0.0, (14.0 * 24,), price=BEARING.price)
    best = plan(survival, stakes, [supply], 24.0, price=Wander(1.0, PLANT.price_spread, 60 * 24.0))
    assert best.good_price == pytest.approx(good_prices(PLANT, BEARING, early)[AHEAD_DAYS - days], abs=0.01)


@pytest.mark.parametrize(("part", "slots"), [(FILTER, 8), (BEARING, 2)], ids=["filter", "bearing"])
def test_nobody_goes_below_foresight(part: Part, slots: int):
    drawn = [slot(PLANT, part, 4, (2, number)) for number in range(slots)]
    floor = foreseen(PLANT, part, drawn)
    days = np.array([float(sum(each.days)) for each in drawn])
    buyers = [lambda at=at: Rule(PLANT, part, at) for at in RULES.values()]
    planned = [lambda kind=kind: kind(PLANT, part, Known(part.usual_days)) for kind in (Planner, Timed)]
    for buyer in (*planned, *buyers):
        kept = Measured(tuple(keep(PLANT, part, each, buyer()) for each in drawn), days)
        assert kept.regret(floor.prices_seen) > 0
        assert kept.regret(floor.prices_known) > kept.regret(floor.prices_seen)


def test_what_a_part_has_not_worn_yet_changes_no_order():
    whole = slot(PLANT, FILTER, 1, (4, 4))
    orders = keep(PLANT, FILTER, whole, Planner(PLANT, FILTER, Known(120.0))).parts
    other = np.concatenate((whole.seen[0][:-10], np.full(200, whole.seen[0][-10])))
    longer = replace(whole, days=(len(other),), seen=(other,), prices=np.append(whole.prices, np.ones(300)))
    assert keep(PLANT, FILTER, longer, Planner(PLANT, FILTER, Known(120.0))).parts == orders


def test_timing_alone_sees_no_price_and_sends_one_order_at_a_time():
    whole = slot(PLANT, FILTER, 3, (4, 4))
    usual, dear = (keep(PLANT, FILTER, each, Timed(PLANT, FILTER, Known(120.0))) for each in (whole, dearer(whole)))
    assert dear.orders == usual.orders
    assert (dear.holding, dear.used) == (usual.holding, usual.used)
    assert dear.parts > usual.parts
    assert usual.orders.total() <= len(whole.days) + 1  # one for each life, and never two ahead


def dearer(whole: Slot) -> Slot:
    """The same with prices that rise by a hundredth each week."""
    return replace(whole, prices=whole.prices * 1.01 ** (np.arange(whole.prices.size) / 7))


def test_a_plant_is_its_seed():
    first, same, other = (slot(PLANT, FILTER, 3, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert first.days == same.days != other.days
    assert np.array_equal(first.leads, same.leads)
    assert np.array_equal(first.prices, same.prices)
    kept = [keep(PLANT, FILTER, each, Planner(PLANT, FILTER, Known(120.0))) for each in (first, same)]
    assert kept[0] == kept[1]


def test_a_plant_has_the_spreads_that_it_says():
    calm = Plant(chance=0.01, limit_spread=0.0, noise=0.0)
    lives = np.array([slot(calm, FILTER, 1, (6, number)).days[0] for number in range(300)])
    assert float(np.mean(1 / lives)) * 120 == pytest.approx(1.0, abs=0.05)
    assert float(np.std(1 / lives)) * 120 == pytest.approx(calm.unit_spread, abs=0.04)
    prices = np.log(slot(PLANT, SPINDLE, 12, (7,)).prices)
    assert float(prices.std()) == pytest.approx(PLANT.price_spread, rel=0.2)
    assert float(np.corrcoef(prices[:-60], prices[60:])[0, 1]) == pytest.approx(math.exp(-1), abs=0.15)


def test_earlier_parts_teach_and_none_is_the_makers_word():
    assert told([], FILTER) == Known(120.0)
    known = told([slot(PLANT, FILTER, 1, (8, number)) for number in range(10)], FILTER)
    assert 90 < known.usual_days < 170
    assert known.habits.limit_spread > 0
    assert not level_tracker(known).assess(24.0, BASIS).belief.known


def test_the_command_prints_one_object(capsys: pytest.CaptureFixture[str]):
    command = ["benchmark", "regret", "--seed", "5", "--slots", "1", "--history", "2", "--json"]
    assert run(command) == 0
    printed = capsys.readouterr().out.strip().splitlines()[-1]
    found = json.loads(printed)
    for part in PARTS:
        assert isinstance(found[part.name], float)
        assert found["units"][part.name]["lives"] == 4
        assert isinstance(found["timing"][part.name], float)
        assert found["interval"][part.name][0] <= found[part.name] <= found["interval"][part.name][1]
