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
Amounts are floats of one currency's minor unit, times hours. Values in, a value out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

STEADY: Final = 16
"""Decision steps looked at one by one; later ones ever more coarsely, by an eighth each."""
GROWTH: Final = 1.125
REPLACEMENTS: Final = 160
"""Moments at which a replacement is considered, evenly over what the belief knows."""


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
    """One way to get the part: what it costs beyond the usual price, and its delays in hours, equally likely."""

    supplier: str
    extra: float
    delays: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.delays or min(self.delays) < 0:
            raise ValueError("a supply needs delays, none below zero")

    @property
    def delay(self) -> float:
        """The expected delay."""
        return sum(self.delays) / len(self.delays)


@dataclass(frozen=True, slots=True)
class Plan:
    """The best course, in hours from the belief: the supply to order from, when, and when it is fitted then.

    cost_of_waiting: what the order costs more in expectation one step later than now; below zero: waiting pays.
    """

    order_after: float
    replace_after: float
    supplier: str
    cost_of_waiting: float


class Survival:
    """A survival between its points, straight, with its integral; beyond the last it is held."""

    def __init__(self, hours: Vector, survival: Vector) -> None:
        self.hours, self.survival = hours, survival
        self._area = np.concatenate(([0.0], np.cumsum(np.diff(hours) * (survival[1:] + survival[:-1]) / 2)))

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
        here = np.interp(hours, self.hours, self.survival)
        left = np.clip(np.searchsorted(self.hours, hours, side="right") - 1, 0, len(self.hours) - 1)
        area = self._area[left] + (hours - self.hours[left]) * (here + self.survival[left]) / 2
        return here, area


def plan(survival: Survival, stakes: Stakes, supplies: Sequence[Supply], step: float) -> Plan:
    """Return the best plan whose order is placed now or a number of steps later. Raises ValueError without supplies."""
    orders = order_times(survival.horizon, step)
    courses = [order_costs(survival, stakes, supply, emergency(stakes, supplies), orders) for supply in supplies]
    if not courses:
        raise ValueError("nobody supplies this part")
    costs = np.array([cost for cost, _ in courses])
    order, chosen = divmod(int(np.argmin(costs.T)), len(supplies))  # the earliest of the best, then the first named
    best = costs.min(axis=0)
    return Plan(
        order_after=float(orders[order]),
        replace_after=float(courses[chosen][1][order]),
        supplier=supplies[chosen].supplier,
        cost_of_waiting=float(best[1] - best[0]),
    )


def order_times(horizon: float, step: float) -> Vector:
    """Return now, the next steps, and then ever longer waits up to the horizon; at least now and one step later."""
    count = STEADY + max(int(np.log(max(horizon / (STEADY * step), 1.0)) / np.log(GROWTH)), 0)
    later = STEADY * GROWTH ** np.arange(1, count - STEADY + 1)
    return step * np.concatenate((np.arange(STEADY + 1.0), np.round(later)))


def emergency(stakes: Stakes, supplies: Sequence[Supply]) -> float:
    """Return what an order costs that is placed only when the part has failed: whichever supply serves best then."""
    return min((supply.extra + stakes.standstill * supply.delay for supply in supplies), default=0.0)


def order_costs(
    survival: Survival, stakes: Stakes, supply: Supply, emergency: float, orders: Vector
) -> tuple[Vector, Vector]:
    """Return, for each time of ordering, the expected cost of the best course and its mean time of replacement."""
    delays = np.asarray(supply.delays)
    arrivals = orders[:, None] + delays
    alive, until_order = (each[:, None] for each in survival.at(orders))
    _, until_arrival = survival.at(arrivals)
    late = stakes.standstill * (delays * alive - until_arrival + until_order)
    order = alive * supply.extra + (1.0 - alive) * emergency + late - stakes.holding * until_arrival
    replacement, when = best_replacement(survival, stakes, arrivals)
    return (order + replacement).mean(axis=1), when.mean(axis=1)


def best_replacement(survival: Survival, stakes: Stakes, arrivals: Vector) -> tuple[Vector, Vector]:
    """Return the least cost of a replacement at or after each arrival, and its time."""
    moments = np.linspace(0.0, survival.horizon, REPLACEMENTS)
    ahead = replacement_cost(survival, stakes, moments)
    backwards = np.minimum.accumulate(ahead[::-1])[::-1]
    first = np.searchsorted(moments, arrivals)
    at_once = replacement_cost(survival, stakes, arrivals)
    later = np.append(backwards, np.inf)[first]
    moment = np.append(_first_least(ahead, moments), np.inf)[first]
    wait = later < at_once
    return np.where(wait, later, at_once), np.where(wait, moment, arrivals)


def replacement_cost(survival: Survival, stakes: Stakes, hours: Vector) -> Vector:
    """Return the replacement's half of the cost for each time of it."""
    alive, area = survival.at(hours)
    cost: Vector = (
        stakes.planned + (stakes.failure - stakes.planned) * (1.0 - alive) + (stakes.holding - stakes.running) * area
    )
    return cost


def _first_least(costs: Vector, moments: Vector) -> Vector:
    """Return, for each moment, at which one from there on the cost is least."""
    least = np.empty_like(moments)
    best, at = np.inf, np.inf
    for index in range(len(moments) - 1, -1, -1):
        if costs[index] <= best:
            best, at = costs[index], moments[index]
        least[index] = at
    return least
