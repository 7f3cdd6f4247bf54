"""What buying costs over one who knew: the regret of the whole policy in simulated plants, class by class.

The policy is made of shipped parts: `LevelTracker` believes what is left from the wear as read, and
`marketplace.stakes` plans the order under that belief, over all suppliers and their lead times, with an eye on the
price, and may send a second order after one that is overdue, or to the rescue: what the parts can do together. Beside
it, as `timing`, what a gateway decides by itself (`marketplace.timing`): over its suppliers and their lead times, too,
but it does not see a price before it asks for one, and a second order for one place needs a person. It is told what a
plant knows: prices, costs, lead times, how the price wanders, and the wear of `HISTORY` earlier parts of the class,
watched to their failure, from which `maintenance.habits` learns; beside it, with none. It is never told anything of a
part before it is read. `wearing_plant` draws the plant, `spare_parts` has the rules and the costs, `foresight` the
floor; fixed rules beside it show that nothing plain comes near it everywhere.

Regret is cost per day of use over that of foresight, minus 1. The floor is one who knows failures and lead times and
sees prices as the policy does: stricter than one who buys just in time, which is told too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import numpy as np

from connectors.samples import Provenance
from gateway.benchmarks.foresight import foreseen
from gateway.benchmarks.spare_parts import WAIT, Books, Buyer, Move, Order, Scene, keep
from gateway.benchmarks.wearing_plant import PARTS, SOURCES, YEAR_DAYS, Part, Plant, Slot, Vector, slot
from maintenance.habits import WornLife, learned
from maintenance.needs import Belief
from maintenance.prognosis import USUAL, Basis, Habits
from maintenance.settings import ComponentSettings
from maintenance.trackers.by_level import LevelTracker
from marketplace.lead_times import LeadTime
from marketplace.prices import Wander
from marketplace.second_order import second_order
from marketplace.sources import supply_of
from marketplace.stakes import (
    Plan,
    Supply,
    Survival,
    best_replacement,
    emergency,
    leftover,
    log_normal,
    overdue,
    plan,
)
from marketplace.timing import FIT_NOW, Costs, Held, TimingTerms, advise, stakes_of

DAY: Final = 24.0
LIVES: Final = 4
"""Lives of a slot."""
SLOTS: Final = {"filter": 150, "bearing": 250, "spindle": 80}
"""Of each class; a failure of a bearing is rare and dear, so that it takes many to see one."""
HISTORY: Final = 20
"""Earlier parts of the class that were watched to their failure."""
PART_OF_SLOTS: Final = 3
"""What no history costs, and what timing alone, is measured on the first third of the slots, for the time it takes."""
RESAMPLES: Final = 2_000
LOOKS: Final = 4
"""A plan that waits is made anew after a quarter of the wait, or when the price comes near to a good one."""
NEAR: Final = 1.01
PATIENCE: Final = 1.15
"""An hour of use is worth what one costs in the long run: a part's share, and the regret that is aimed at."""
NO_TIME, A_DAY = timedelta(0), timedelta(days=1)
ON_THE_SHELF: Final = Held(Supply("", 0.0, (0.0,)))
BASIS: Final = Basis("h", 1.0, datetime(2026, 1, 1, tzinfo=UTC), Provenance.A, known=True)


@dataclass(frozen=True, slots=True)
class Known:
    """What a plant knows of a class of parts: its usual life, and how such parts wear."""

    usual_days: float
    habits: Habits = USUAL


class Planner:
    """The policy; see the module."""

    def __init__(self, plant: Plant, part: Part, known: Known) -> None:
        self.part, self.known = part, known
        holding = part.price * plant.holding / (YEAR_DAYS * DAY)
        self.costs = Costs("EUR", part.price, part.price, part.standstill / DAY, holding)
        self.stakes = stakes_of(self.costs, known.usual_days * DAY, PATIENCE)
        self.supplies = tuple(_supply(plant, part, number) for number in range(len(SOURCES)))
        self.wander = plant.price_spread, plant.price_memory_days * DAY
        self.fitted()

    def fitted(self) -> None:
        """Begin with nothing but what is known of the class."""
        self.tracker = level_tracker(self.known)
        self.due, self.good_price, self.shelf = 0, math.inf, 0

    def look(self, scene: Scene) -> Move:
        """Fold the reading; order or fit if the best plan begins so."""
        self.tracker.take(0, scene.worn, scene.age * DAY)
        if scene.under_way and not scene.shelf:
            return self._hastening(scene)
        if scene.shelf == self.shelf and scene.age < self.due and scene.price > self.good_price * NEAR:
            return WAIT
        self.shelf = scene.shelf
        return self._decided(scene)

    def _decided(self, scene: Scene) -> Move:
        survival = self._survival(scene.age)
        if survival is None:
            return WAIT
        return self._fitting(survival, scene) if scene.shelf else self._ordering(survival, scene)

    def stands(self, scene: Scene) -> int | None:
        """Order from whoever serves best, if that costs less than waiting for what is under way."""
        supply = min(self.supplies, key=lambda each: emergency(self.stakes, [each]))
        best = emergency(self.stakes, [supply]) + leftover(self.stakes)
        waits = [self.stakes.standstill * self._rest(order, scene.now).delay for order in scene.under_way]
        return None if waits and min(waits) <= best else self.supplies.index(supply)

    def _survival(self, age: int) -> Survival | None:
        belief = self._belief(age)
        return Survival(belief.use / belief.use_per_hour, belief.survival) if belief.known else None

    def _belief(self, age: int) -> Belief:
        return self.tracker.assess(age * DAY, BASIS).belief

    def _fitting(self, survival: Survival, scene: Scene) -> Move:
        _, when = best_replacement(survival, self.stakes, np.zeros(1))
        self._wait(scene.age, float(when[0]), 0.0)
        return Move(fit=bool(when[0] < DAY / 2))

    def _hastening(self, scene: Scene) -> Move:
        """Order one more when the one under way is overdue, and the part may not last."""
        order = min(scene.under_way, key=lambda each: self._rest(each, scene.now).delay)
        survival = None
        if len(scene.under_way) == 1 and (scene.now - order.placed) * DAY > self.supplies[order.source].delay:
            survival = self._survival(scene.age)
        if survival is None:
            return WAIT
        supply = second_order(survival, self.stakes, self.supplies, self._rest(order, scene.now), DAY)
        return WAIT if supply is None else Move(order=self.supplies.index(supply))

    def _ordering(self, survival: Survival, scene: Scene) -> Move:
        best = self.plan(survival, scene.price)
        if best.order_after == 0:
            self._wait(scene.age, 0.0, math.inf)
            return Move(order=[each.supplier for each in self.supplies].index(best.supplier))
        self._wait(scene.age, best.order_after, best.good_price)
        return WAIT

    def plan(self, survival: Survival, price: float) -> Plan:
        """Return the best plan at a price over the usual."""
        return plan(survival, self.stakes, self.supplies, DAY, price=Wander(price, *self.wander), rescued=True)

    def _wait(self, age: int, hours: float, good_price: float) -> None:
        self.due, self.good_price = age + max(int(hours / DAY / LOOKS), 1), good_price

    def _rest(self, order: Order, now: float) -> Supply:
        """Return what is left of a lead time, given that the part is not in yet."""
        return overdue(self.supplies[order.source], (now - order.placed) * DAY)


class Timed(Planner):
    """The same as a gateway decides by itself: by `marketplace.timing`, at the usual price, one order at a time."""

    def __init__(self, plant: Plant, part: Part, known: Known) -> None:
        super().__init__(plant, part, known)
        supplies = tuple(
            supply_of(each.supplier, each.extra, LeadTime(source.median_days * DAY, plant.lead_spread))
            for each, source in zip(self.supplies, SOURCES, strict=True)
        )
        self.terms = TimingTerms(timedelta(days=SOURCES[0].median_days), NO_TIME, A_DAY, None, self.costs, supplies)

    def stands(self, scene: Scene) -> int | None:
        """Order from whoever serves best if nothing is under way."""
        return None if scene.under_way else super().stands(scene)

    def _hastening(self, scene: Scene) -> Move:
        return WAIT

    def _decided(self, scene: Scene) -> Move:
        belief = replace(self._belief(scene.age), life=self.known.usual_days * DAY)
        if not belief.known:
            return WAIT
        terms = replace(self.terms, held=ON_THE_SHELF) if scene.shelf else self.terms
        advice = advise(belief, terms, belief.as_of)
        due = advice.fit_by if scene.shelf else advice.decide_by
        wait = belief.use[-1] / belief.use_per_hour if due is None else (due - belief.as_of) / timedelta(hours=1)
        self._wait(scene.age, float(wait), 0.0)
        if scene.shelf:
            return Move(fit=advice.code == FIT_NOW)
        names = [each.supplier for each in self.supplies]
        return Move(order=names.index(advice.parameters["supplier"])) if advice.buy else WAIT


def level_tracker(known: Known) -> LevelTracker:
    """Return a tracker of a new part, whose wear is read in shares of the way to its limit."""
    settings = {
        "name": "Part",
        "rated_life": f"{known.usual_days} d",
        "wear": {"by": "level", "tag": "wear", "as_new": "0 mm", "limit": "1 mm"},
        "job": {"title": "Replace it"},
    }
    tracker = LevelTracker(ComponentSettings.model_validate(settings), {"wear": "mm"}, known.habits)
    tracker.begin(0.0, 0.0, {})
    return tracker


def _supply(plant: Plant, part: Part, number: int) -> Supply:
    source = SOURCES[number]
    delays, weights = log_normal(source.median_days * DAY, plant.lead_spread)
    price = part.price * source.factor
    return Supply(source.name, price - part.price, delays, weights, price)


class Rule:
    """A fixed rule: order from the cheapest once the wear is read so far, fit when the part fails.

    order_at: share of the way to the limit; infinite: order nothing before the failure. Who stands still without an
    order takes whoever serves best then.
    """

    def __init__(self, plant: Plant, part: Part, order_at: float) -> None:
        self.order_at, self.planner = order_at, Planner(plant, part, Known(part.usual_days))

    def fitted(self) -> None:
        """A rule remembers nothing."""

    def look(self, scene: Scene) -> Move:
        """Order at the level."""
        wanted = scene.worn >= self.order_at and not scene.shelf and not scene.under_way
        return Move(order=0) if wanted else WAIT

    def stands(self, scene: Scene) -> int | None:
        """Order if nothing is under way."""
        return None if scene.under_way else self.planner.stands(scene)


RULES: Final = {"run_to_failure": math.inf, "always_one_on_the_shelf": -math.inf, "order_at_half_worn": 0.5}


@dataclass(frozen=True, slots=True)
class Measured:
    """A class kept by one buyer; `days` are those of all lives of each slot to their end."""

    books: tuple[Books, ...]
    days: Vector

    def regret(self, floor: Vector) -> float:
        """Return the regret against what each slot costs one who knew."""
        return round(float(self._regrets(floor, np.arange(len(self.books))[None, :])[0]), 4)

    def interval(self, floor: Vector, seed: int, share: float = 0.95) -> list[float]:
        """Return between what the regret lies: a bootstrap over slots, paired (Efron and Tibshirani, 1993, 13.3)."""
        drawn = np.random.default_rng(seed).integers(0, len(self.books), (RESAMPLES, len(self.books)))
        found = np.quantile(self._regrets(floor, drawn), [(1 - share) / 2, (1 + share) / 2])
        return [round(float(each), 4) for each in found]

    def _regrets(self, floor: Vector, drawn: np.ndarray[Any, np.dtype[np.int64]]) -> Vector:
        cost, used = (np.array([getattr(each, name) for each in self.books]) for name in ("cost", "used"))
        rate = cost[drawn].sum(axis=1) / used[drawn].sum(axis=1)
        least = floor[drawn].sum(axis=1) / self.days[drawn].sum(axis=1)
        return np.asarray(rate / least - 1.0)

    def details(self, floor: Vector) -> dict[str, Any]:
        """Return what the cost is made of, as shares of what one who knew pays in the same time of use, and more."""
        lives, used = sum(each.lives for each in self.books), sum(each.used for each in self.books)
        paid = float(floor.sum()) * used / float(self.days.sum())
        orders: Counter[str] = sum((each.orders for each in self.books), Counter())
        shares = {name: sum(getattr(each, name) for each in self.books) / paid for name in _TERMS}
        return {
            "lives": lives,
            "failures_per_life": round(sum(each.failures for each in self.books) / lives, 4),
            "life_lost": round(1.0 - used / float(self.days.sum()), 4),
            "cost": {name: round(share, 4) for name, share in shares.items()},
            "share_by_supplier": {each.name: round(orders[each.name] / orders.total(), 4) for each in SOURCES},
        }


_TERMS: Final = ("parts", "holding", "standstill")


def measure(
    seed: int, slots: Mapping[str, int] = SLOTS, plant: Plant | None = None, history: int = HISTORY
) -> dict[str, Any]:
    """Return the regret by class, and everything about it; see the command."""
    plant = Plant() if plant is None else plant
    found = {
        part.name: _class(plant, part, slots[part.name], history, (seed, number)) for number, part in enumerate(PARTS)
    }
    keys = dict.fromkeys(key for each in found.values() for key in each)
    return {
        **{name: each["regret"] for name, each in found.items()},
        **{key: {name: each[key] for name, each in found.items()} for key in keys if key != "regret"},
        "plant": asdict(plant),
    }


def _class(plant: Plant, part: Part, slots: int, history: int, seed: tuple[int, ...]) -> dict[str, Any]:
    drawn = [slot(plant, part, LIVES, (*seed, 0, number)) for number in range(slots)]
    floor = foreseen(plant, part, drawn)
    earlier = [slot(plant, part, 1, (*seed, 1, number)) for number in range(history)]
    policy = _planned(plant, part, drawn, told(earlier, part))
    first = max(slots // PART_OF_SLOTS, 1)
    timed = _kept(plant, part, drawn[:first], partial(Timed, plant, part, told(earlier, part)))
    unlearned = _planned(plant, part, drawn[:first], told([], part))
    return {
        "regret": policy.regret(floor.prices_seen),
        "interval": policy.interval(floor.prices_seen, seed[0]),
        "just_in_time": policy.regret(floor.just_in_time),
        "knowing_prices": policy.regret(floor.prices_known),
        "timing": timed.regret(floor.prices_seen[:first]),
        "no_history": unlearned.regret(floor.prices_seen[:first]),
        "fixed_rules": {
            name: _kept(plant, part, drawn, partial(Rule, plant, part, order_at)).regret(floor.prices_seen)
            for name, order_at in RULES.items()
        },
        "units": policy.details(floor.prices_seen),
    }


def _planned(plant: Plant, part: Part, slots: Sequence[Slot], known: Known) -> Measured:
    return _kept(plant, part, slots, partial(Planner, plant, part, known))


def _kept(plant: Plant, part: Part, slots: Sequence[Slot], buyer: Callable[[], Buyer]) -> Measured:
    books = tuple(keep(plant, part, each, buyer()) for each in slots)
    return Measured(books, np.array([float(sum(each.days)) for each in slots]))


def told(earlier: Sequence[Slot], part: Part) -> Known:
    """Return what a plant knows after parts that were watched to their failure; of none: what the maker says."""
    if not earlier:
        return Known(part.usual_days)
    usual = float(np.median([each.days[0] for each in earlier]))
    return Known(usual, learned([WornLife(each.days[0], each.seen[0]) for each in earlier], usual))
