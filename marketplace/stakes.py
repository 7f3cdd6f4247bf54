"""What a plan for one part costs in expectation: order it after `o`, replace by it after `r`, hours from now.

The part fails at an uncertain time with survival S; G(t) is the integral of S over 0..t. An order arrives `delay` after
it is placed, at `a`; one that was not placed before the failure is placed then. Then the expected cost, less what the
use is worth, is a sum of two halves, one of the order and one of the replacement (integration by parts):

    order        S(o) extra + (1 - S(o)) emergency + standstill ((a - o) S(o) - G(a) + G(o)) - holding G(a)
    replacement  planned + (failure - planned) (1 - S(r)) + (holding - running) G(r),   r not before a

`running` is what an hour of use is worth: by the renewal-reward theorem the cost of a planned replacement over the life
that it buys (Barlow and Proschan, Mathematical Theory of Reliability, 1965, 4.2, age replacement; the delay of the part
after Armstrong and Atkins, Joint optimization of maintenance and inventory policies, IIE Transactions 28, 1996). So a
part is fitted once the failure rate is above (running - holding) / (failure - planned), and ordered to be there then.

A price that wanders about its usual one is worth watching (`marketplace.prices`). A failure with a slow order under way
may be rescued by a second, faster one, whose leftover part serves the next life: that caps what lateness costs. Where a
machine may be worked on at some hours alone (`marketplace.openings`), a replacement outside of them costs another stop:
the best moment is one of them, or worth that stop, and the order is weighed by the moments that its arrival leaves.
When a part that is here is best fitted says `marketplace.fitting`, whether to send one more after one that is late
`marketplace.second_order`.

Amounts are floats of one currency's minor unit, times hours. Values in, a value out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketplace.openings import Openings
from marketplace.prices import Wander, stopping

Vector = NDArray[np.float64]

STEADY: Final = 16
"""Decision steps looked at one by one; later ones ever more coarsely, by an eighth each."""
GROWTH: Final = 1.125
REPLACEMENTS: Final = 160
"""Moments at which a replacement is considered, evenly over what the belief knows."""
TAIL: Final = 24
"""Points that stand for what is left of a delay."""


@dataclass(frozen=True, slots=True)
class Stakes:
    """What is at stake with one part, all at or above zero.

    planned, failure: a replacement as planned and after a failure, the part included, the waiting for it not.
    standstill, holding, running: an hour without the part, with it on the shelf, and of its use.
    """

    planned: float
    failure: float
    standstill: float
    holding: float
    running: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.planned <= self.failure < np.inf:
            raise ValueError("a failure costs no less than a planned replacement, and neither is below zero")
        if not all(0.0 <= rate < np.inf for rate in (self.standstill, self.holding, self.running)):
            raise ValueError("what an hour costs is finite and not below zero")


@dataclass(frozen=True, slots=True)
class Supply:
    """One way to get the part: what it costs beyond the usual price, and its delays in hours.

    weights: how likely each delay is, in sum 1; empty: all alike. price: what of its cost wanders with the price.
    """

    supplier: str
    extra: float
    delays: tuple[float, ...]
    weights: tuple[float, ...] = ()
    price: float = 0.0

    def __post_init__(self) -> None:
        if not self.delays or min(self.delays) < 0:
            raise ValueError("a supply needs delays, none below zero")
        if self.weights and (len(self.weights) != len(self.delays) or abs(sum(self.weights) - 1.0) > 1e-9):
            raise ValueError("the delays of a supply have a weight each, in sum 1, or none has")

    @property
    def likely(self) -> Vector:
        """How likely each delay is."""
        return np.array(self.weights) if self.weights else np.full(len(self.delays), 1.0 / len(self.delays))

    @property
    def delay(self) -> float:
        """The expected delay."""
        return float(np.dot(self.likely, self.delays))


def overdue(supply: Supply, since: float) -> Supply:
    """Return what is left of a supply's delay, given that the order was placed so many hours ago and is not in yet.

    Between its delays the nodes know nothing, so what is left is that of the log-normal law which has their mean and
    spread, cut off where it stands; beyond everything likely an order takes as long again as a hundredth of its wait.
    """
    if since <= 0:
        return supply
    delays, weights = np.log(np.maximum(supply.delays, 1e-6)), supply.likely
    middle = float(weights @ delays)
    spread = max(float(np.sqrt(weights @ (delays - middle) ** 2)), 1e-3)
    passed = (np.log(since) - middle) / spread
    begin = max(passed, -6.0)
    reach = 6.0 / (1.0 + passed) if passed > 0 else max(6.0, 3.0 - begin)  # one just placed has all of its law ahead
    scores = begin + (np.arange(TAIL) + 0.5) / TAIL * reach
    likely = np.exp(-0.5 * (scores**2 - scores[0] ** 2))
    left = np.maximum(np.exp(middle + spread * scores) - since, since * 0.01)
    return replace(supply, delays=tuple(left.tolist()), weights=tuple((likely / likely.sum()).tolist()))


def log_normal(median: float, deviation: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return delays and weights of a log-normal delay: far into its tail, where a cheap and critical part is decided.

    deviation: of the delay's logarithm. The nodes are those of Gauss and Hermite (Abramowitz and Stegun, 25.4.46).
    """
    return tuple((median * np.exp(deviation * _NODES)).tolist()), tuple(_WEIGHTS.tolist())


_UPPER = np.array(
    [
        [
            0.44440300194413895,
            1.3403751971516167,
            2.259464451000799,
            3.2237098287700974,
            4.2718258479322815,
            5.500901704467748,
        ],
        [
            0.32166436151282995,
            0.14696704804532995,
            0.029116687912364173,
            0.0022033806875332,
            4.837184922590644e-05,
            1.4999271676371623e-07,
        ],
    ]
)
_NODES: Final = np.concatenate((-_UPPER[0, ::-1], _UPPER[0]))
"""Twelve nodes of a standard normal."""
_WEIGHTS: Final = np.concatenate((_UPPER[1, ::-1], _UPPER[1]))
"""How much each stands for, in sum 1."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The best course, in hours from the belief: the supply to order from, when, and when it is fitted then.

    cost_of_waiting: what the order costs more in expectation one step later than now; below zero: waiting pays. Where
    the price wanders, it is what waiting costs one who goes on to choose well.
    good_price: at or below this share of the usual price an order now is right; infinite where any is.
    """

    order_after: float
    replace_after: float
    supplier: str
    cost_of_waiting: float
    good_price: float = np.inf


@lru_cache(maxsize=4096)
def long_run(planned: float, failure: float, life: float, shape: float) -> float:
    """Return the least that an hour of use costs in the long run, where nothing is known of a part but its age.

    life: what half of the parts reach, hours; shape: of their Weibull law. Replaced at an age or at the failure, they
    cost the expected cost of a cycle over its expected length; the best age counts (Barlow and Proschan, 1965, 4.2).
    """
    alive = np.exp2(-(_AGES**shape))
    length = np.cumsum(np.diff(_AGES, prepend=0.0) * (np.concatenate(([1.0], alive[:-1])) + alive) / 2)
    return float(np.min((planned + (failure - planned) * (1.0 - alive)) / length)) / life


_AGES: Final = np.geomspace(1e-3, 8.0, 400)
"""Ages of replacement that are looked at, in lives; beyond the last nobody has ever seen a part."""


class Survival:
    """A survival between its points, straight, with its integral; beyond the last it is held."""

    def __init__(self, hours: Vector, survival: Vector) -> None:
        self.hours, self.survival = hours, survival
        spans = np.diff(hours)
        self._slope = np.append(np.diff(survival) / spans, 0.0)
        self._area = np.concatenate(([0.0], np.cumsum(spans * (survival[1:] + survival[:-1]) / 2)))

    @property
    def horizon(self) -> float:
        """Where it ends, or has long come to nothing."""
        return float(self.hours[min(int(np.searchsorted(-self.survival, -1e-6)), len(self.hours) - 1)])

    @property
    def mean(self) -> float:
        """The mean remaining life, as far as it is known."""
        return float(self._area[-1])

    def at(self, hours: Vector) -> tuple[Vector, Vector]:
        """Return survival and its integral from 0."""
        left = np.maximum(np.searchsorted(self.hours, hours, side="right") - 1, 0)
        since, before = hours - self.hours[left], self.survival[left]
        here = before + self._slope[left] * since
        return here, self._area[left] + since * (here + before) / 2


def plan(
    survival: Survival,
    stakes: Stakes,
    supplies: Sequence[Supply],
    step: float,
    *,
    price: Wander | None = None,
    rescued: bool = False,
    openings: Openings | None = None,
) -> Plan:
    """Return the best plan whose order is placed now or a number of steps later. Raises ValueError without supplies.

    price: how the price stands and wanders; None: it is the usual one. rescued: whether a failure with an order under
    way may be answered by a second order. openings: when it may be fitted; None: at any time.
    """
    if not supplies:
        raise ValueError("nobody supplies this part")
    orders = order_times(survival.horizon, step)
    placed = emergency(stakes, supplies)
    cap = placed + leftover(stakes) if rescued else np.inf
    usual, replaced = course_costs(survival, stakes, supplies, placed, orders, cap, openings)
    prices, (alive, _) = np.array([supply.price for supply in supplies]), survival.at(orders)
    costs = usual if price is None else usual + prices[:, None] * (alive * price.drawn_back(orders))
    best = costs.min(axis=0)
    waiting, good = float(best[1] - best[0]), np.inf
    order = int(np.argmin(best))  # the earliest of the best, then the first named
    if price is not None:
        waiting, good = stopping(usual, prices, alive, orders, price)
        order = 0 if waiting >= 0 else 1 + int(np.argmin(best[1:]))
    chosen = int(np.argmin(costs[:, order]))
    return Plan(
        order_after=float(orders[order]),
        replace_after=float(replaced[chosen, order]),
        supplier=supplies[chosen].supplier,
        cost_of_waiting=waiting,
        good_price=good,
    )


def order_times(horizon: float, step: float) -> Vector:
    """Return now, the next steps, and then ever longer waits up to the horizon; at least now and one step later."""
    count = STEADY + max(int(np.log(max(horizon / (STEADY * step), 1.0)) / np.log(GROWTH)), 0)
    later = STEADY * GROWTH ** np.arange(1, count - STEADY + 1)
    times = step * np.concatenate((np.arange(STEADY + 1.0), np.round(later)))
    return times[: max(int(np.searchsorted(times, horizon)), 1) + 1]


def emergency(stakes: Stakes, supplies: Sequence[Supply]) -> float:
    """Return what an order costs that is placed only when the part has failed: whichever supply serves best then."""
    return min((supply.extra + stakes.standstill * supply.delay for supply in supplies), default=0.0)


def leftover(stakes: Stakes) -> float:
    """Return what a part costs that nobody needs before the next life ends: kept until then, or given up."""
    life = stakes.planned / stakes.running if stakes.running else np.inf
    return min(stakes.holding * life, stakes.planned) if stakes.holding else 0.0


def course_costs(
    survival: Survival,
    stakes: Stakes,
    supplies: Sequence[Supply],
    emergency: float,
    orders: Vector,
    rescue: float = np.inf,
    openings: Openings | None = None,
) -> tuple[Vector, Vector]:
    """Return the expected cost of the best course and its mean time of replacement, by supply and time of ordering.

    rescue: what a failure with the order under way costs at most, because then another order is placed.
    """
    counts = [len(supply.delays) for supply in supplies]
    delays = np.concatenate([supply.delays for supply in supplies])
    likely = np.concatenate([supply.likely for supply in supplies])
    extra = np.repeat([supply.extra for supply in supplies], counts)
    arrivals = orders[:, None] + delays
    alive, until_order = (each[:, None] for each in survival.at(orders))
    alive_then, until_arrival = survival.at(arrivals)
    waited, until_waiting = delays, until_order
    if stakes.standstill * delays.max() > rescue:
        waited = np.minimum(delays, rescue / stakes.standstill)
        _, until_waiting = survival.at(arrivals - waited)
    late = stakes.standstill * (waited * alive - until_arrival + until_waiting)
    order = alive * extra + (1.0 - alive) * emergency + late - stakes.holding * until_arrival
    at_once = _replacement(stakes, alive_then, until_arrival)
    if openings is not None:
        at_once = at_once + alive_then * openings.stop(arrivals)
    replacement, when = _later_or_at_once(survival, stakes, arrivals, at_once, openings)
    starts = np.concatenate(([0], np.cumsum(counts[:-1], dtype=np.int64)))
    costs = np.add.reduceat((order + replacement) * likely, starts, axis=1)
    return costs.T, np.add.reduceat(when * likely, starts, axis=1).T


def best_replacement(
    survival: Survival, stakes: Stakes, arrivals: Vector, openings: Openings | None = None
) -> tuple[Vector, Vector]:
    """Return the least cost of a replacement at or after each arrival, and its time."""
    at_once = replacement_cost(survival, stakes, arrivals, openings)
    return _later_or_at_once(survival, stakes, arrivals, at_once, openings)


def _later_or_at_once(
    survival: Survival, stakes: Stakes, arrivals: Vector, at_once: Vector, openings: Openings | None
) -> tuple[Vector, Vector]:
    evenly = np.linspace(0.0, survival.horizon, REPLACEMENTS)
    moments = np.sort(np.concatenate((evenly, arrivals.ravel())))  # the same for every order: none has better ones
    if openings is not None:
        opened = openings.next(moments)  # beyond what is believed nothing is known, and no window is waited for
        moments = np.sort(np.concatenate((moments, opened[opened <= survival.horizon])))
    ahead = replacement_cost(survival, stakes, moments, openings)
    least = np.minimum.accumulate(ahead[::-1])[::-1]
    at = np.minimum.accumulate(np.where(ahead <= least, moments, np.inf)[::-1])[::-1]
    first = np.searchsorted(moments, arrivals)
    later = np.append(least, np.inf)[first]
    wait = later < at_once
    return np.where(wait, later, at_once), np.where(wait, np.append(at, np.inf)[first], arrivals)


def replacement_cost(survival: Survival, stakes: Stakes, hours: Vector, openings: Openings | None = None) -> Vector:
    """Return the replacement's half of the cost for each time of it, with a stop of its own outside of the openings."""
    alive, area = survival.at(hours)
    cost = _replacement(stakes, alive, area)
    return cost if openings is None else cost + alive * openings.stop(hours)


def _replacement(stakes: Stakes, alive: Vector, area: Vector) -> Vector:
    cost: Vector = (
        stakes.planned + (stakes.failure - stakes.planned) * (1.0 - alive) + (stakes.holding - stakes.running) * area
    )
    return cost
