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

A price that wanders about its usual one is worth watching: the order is then an optimal stopping problem, solved
backwards over the times of ordering and the price's states (Dixit and Pindyck, Investment under Uncertainty, 1994,
4.1), so that a good price is taken early and a bad one waited out as long as the part allows. A failure with a slow
order under way may be rescued by a second, faster one, whose leftover part serves the next life: that caps what
lateness costs; and one that is overdue may have a second sent after it before anything fails.

Where a machine may be worked on at some hours of the week alone, a replacement outside of them costs another stop: the
best moment is one of them, or worth that stop, and the order is weighed by the moments that its arrival leaves.

Amounts are floats of one currency's minor unit, times hours. Values in, a value out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

STEADY: Final = 16
"""Decision steps looked at one by one; later ones ever more coarsely, by an eighth each."""
GROWTH: Final = 1.125
REPLACEMENTS: Final = 160
"""Moments at which a replacement is considered, evenly over what the belief knows."""
TAIL: Final = 24
"""Points that stand for what is left of a delay."""
WEEK_HOURS: Final = 168.0
SECOND: Final = 1.0 / 3600.0
"""Moments that are nearer to each other are the same."""
PRICES: Final = 17
"""States of a wandering price: half a deviation apart, up to four."""


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
    nodes, weights = _normal()
    return tuple((median * np.exp(deviation * nodes)).tolist()), tuple(weights.tolist())


@cache
def _normal() -> tuple[Vector, Vector]:
    """Twelve nodes of a standard normal and their weights, in sum 1; a gateway that needs none does not load them."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    return nodes, weights / weights.sum()


@dataclass(frozen=True, slots=True)
class Wander:
    """A price that wanders about its usual one: a log-normal autoregression of first order, whose mean is the usual.

    now: the price now over the usual one. deviation: of its logarithm. memory: hours in which a deviation fades by e.
    """

    now: float
    deviation: float
    memory: float

    def __post_init__(self) -> None:
        if not (0.0 < self.now < np.inf and 0.0 < self.deviation < np.inf and 0.0 < self.memory < np.inf):
            raise ValueError("a price, how far it wanders and for how long are finite and above zero")

    @property
    def state(self) -> float:
        """How many deviations the price stands from its median, within the states that are looked at."""
        here = (np.log(self.now) + self.deviation**2 / 2) / self.deviation
        return float(np.clip(here, _STATES[0], _STATES[-1]))

    def above(self, states: Vector) -> Vector:
        """Return by which share of the usual price the states are above it."""
        return np.expm1(self.deviation * states - self.deviation**2 / 2)


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


@dataclass(frozen=True, slots=True)
class Openings:
    """When a job may begin without a stop of its own: spans that return every `period`, in hours after `origin`.

    spans: ascending and apart, within 0 and the period; a job may begin at either end. closed: what it costs besides
    to begin at another time. once: spans that come once, besides, ascending and apart, in hours after `origin`.
    """

    spans: tuple[tuple[float, float], ...]
    closed: float
    period: float = WEEK_HOURS
    origin: float = 0.0
    once: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        edges = [edge for span in self.spans for edge in span]
        single = [edge for span in self.once for edge in span]
        if not edges and not single:
            raise ValueError("openings ascend, and there is one")
        if edges and (edges != sorted(edges) or edges[0] < 0 or edges[-1] > self.period):
            raise ValueError("openings ascend and lie within their period")
        if single != sorted(single) or (single and single[0] < 0):
            raise ValueError("openings ascend from their origin")
        if not 0.0 <= self.closed < np.inf:
            raise ValueError("what a stop costs is finite and not below zero")

    def stop(self, hours: Vector) -> Vector:
        """Return what beginning at each moment costs besides."""
        return np.where(self.next(hours) - hours > SECOND, self.closed, 0.0)

    def next(self, hours: Vector) -> Vector:
        """Return the first moment at or after each at which a job may begin; infinite where there is none."""
        since = hours - self.origin
        places = np.searchsorted(np.array([shut for _open, shut in self.once]) + SECOND, since)
        opens = np.array([*(opened for opened, _shut in self.once), np.inf])
        return np.minimum(np.maximum(hours, opens[places] + self.origin), self._returning(hours))

    def _returning(self, hours: Vector) -> Vector:
        if not self.spans:
            return np.full_like(hours, np.inf)
        shuts = np.array([shut for _open, shut in self.spans])
        opens = np.array([opened for opened, _shut in self.spans])
        since = hours - self.origin
        begun = np.floor(since / self.period) * self.period
        phase = since - begun
        place = np.searchsorted(shuts + SECOND, phase)
        again = place == len(opens)
        first = np.where(again, opens[0] + self.period, opens[np.where(again, 0, place)])
        return np.maximum(hours, begun + first + self.origin)


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
    usual, replaced = _courses(survival, stakes, supplies, placed, orders, cap, openings)
    costs = usual if price is None else usual + _drawn(survival, supplies, orders, price)
    best = costs.min(axis=0)
    waiting, good = float(best[1] - best[0]), np.inf
    order = int(np.argmin(best))  # the earliest of the best, then the first named
    if price is not None:
        waiting, good = _stopping(usual, survival, supplies, orders, price)
        order = 0 if waiting >= 0 else 1 + int(np.argmin(best[1:]))
    chosen = int(np.argmin(costs[:, order]))
    return Plan(
        order_after=float(orders[order]),
        replace_after=float(replaced[chosen, order]),
        supplier=supplies[chosen].supplier,
        cost_of_waiting=waiting,
        good_price=good,
    )


@dataclass(frozen=True, slots=True)
class Fit:
    """When a part is best fitted that is here or on its way, in hours from the belief.

    cost_of_waiting: what fitting it one step later or at the best moment after that costs more than now; below zero:
    waiting pays.
    """

    fit_after: float
    cost_of_waiting: float


def fitting(
    survival: Survival, stakes: Stakes, held: Supply, since: float, step: float, openings: Openings | None = None
) -> Fit:
    """Return when a part is best fitted of which `held` is what is left of its delay, `since` hours from the belief.

    A part that is here is fitted now unless a moment from the next step on is better; of one that is not here yet the
    mean moment is told, and waiting for it costs nothing.
    """
    arrivals = since + np.asarray(held.delays)
    if max(held.delays) > 0:
        _, when = best_replacement(survival, stakes, arrivals, openings)
        return Fit(float(held.likely @ when), 0.0)
    now = _replacement_at(survival, stakes, arrivals[:1], openings)
    later, when = best_replacement(survival, stakes, arrivals[:1] + step, openings)
    waiting = float(later[0] - now[0])
    return Fit(since if waiting >= 0 else float(when[0]), waiting)


def second_order(
    survival: Survival, stakes: Stakes, supplies: Sequence[Supply], under_way: Supply, step: float
) -> Supply | None:
    """Return from whom to order one more part now, although one is under way; None where that had better wait.

    under_way: what is left of the delay of the first. One more is worth its price when the first is so late that the
    part may fail before it: now, if neither a step later nor never costs less. A failure without a second order is
    rescued. Raises ValueError without supplies.
    """
    cap = emergency(stakes, supplies) + leftover(stakes)
    never = late_costs(survival, stakes, None, under_way, np.inf, cap)
    now, later = (
        [late_costs(survival, stakes, each, under_way, after, cap) for each in supplies] for after in (0.0, step)
    )
    return supplies[int(np.argmin(now))] if min(now) < min(never, *later) else None


def late_costs(
    survival: Survival, stakes: Stakes, second: Supply | None, under_way: Supply, after: float, cap: float
) -> float:
    """Return what lateness costs in expectation, a second order and its leftover part included.

    Until the second order is placed, a failure at t costs min(first - t, cap); from then on whichever comes first.
    """
    first = np.asarray(under_way.delays)[:, None]
    placed = np.minimum(after, first)
    second_in = first if second is None else np.where(placed < first, placed + np.asarray(second.delays), first)
    there = np.minimum(first, second_in)
    waits = cap / stakes.standstill if stakes.standstill else np.inf
    capped = np.clip(first - waits, 0.0, placed)
    (alive, until), (alive_capped, until_capped) = survival.at(placed), survival.at(capped)
    _, until_there = survival.at(there)
    late = (
        np.minimum(waits, first) * (1.0 - alive_capped)
        + (first - capped) * alive_capped - (first - placed) * alive - until + until_capped
        + (there - placed) * alive - until_there + until
    )  # fmt: skip
    cost = stakes.standstill * late - stakes.holding * until_there
    if second is None:
        return float(under_way.likely @ cost[:, 0])
    cost = cost + np.where(placed < first, alive * (second.extra + leftover(stakes)), 0.0)
    return float(under_way.likely @ cost @ second.likely)


def _drawn(survival: Survival, supplies: Sequence[Supply], orders: Vector, price: Wander) -> Vector:
    """Return what each supply costs more than usual at each time of ordering, the price drawn back to its usual."""
    alive, _ = survival.at(orders)
    fade = np.exp(-orders / price.memory)
    median = price.state * fade
    above = np.expm1(price.deviation * median - (price.deviation * fade) ** 2 / 2)
    return np.array([supply.price for supply in supplies])[:, None] * (alive * above)


def _stopping(
    costs: Vector, survival: Survival, supplies: Sequence[Supply], orders: Vector, price: Wander
) -> tuple[float, float]:
    """Return what waiting costs more than an order now, and the share of the usual price at which both cost the same.

    costs: by supply and time of ordering, at the usual price.
    """
    alive, _ = survival.at(orders)
    premiums = np.array([supply.price for supply in supplies])[:, None] * price.above(_STATES)
    ordered = (costs[:, :, None] + alive[:, None] * premiums[:, None, :]).min(axis=0)
    faded = np.exp(-np.diff(orders) / price.memory)[:, None] ** _DEGREES
    value = later = ordered[-1]
    for now, fading in zip(ordered[-2::-1], faded[::-1], strict=True):
        later = _TO_STATES @ (fading * (_FROM_STATES @ value))
        value = np.minimum(now, later)
    at_once = ordered[0]
    gain = later - at_once
    waiting = float(np.interp(price.state, _STATES, gain))
    return waiting, _good_price(gain, price)


def _good_price(gain: Vector, price: Wander) -> float:
    """Return the highest share of the usual price at which ordering now gains over waiting; 0: none does."""
    right = np.flatnonzero(gain >= 0)
    if right.size == 0:
        return 0.0
    last = int(right[-1])
    if last == len(gain) - 1:
        return np.inf
    edge = _STATES[last] + gain[last] / (gain[last] - gain[last + 1]) * (_STATES[last + 1] - _STATES[last])
    return float(1.0 + price.above(np.array([edge]))[0])


def _chain() -> tuple[Vector, Vector, Vector, Vector]:
    """Return the states of a price, the degrees of its modes, and the matrices into states and back.

    Rouwenhorst's chain is a sum of independent flips (Kopecky and Suen, Finite state Markov-chain approximations to
    highly persistent processes, 2010), so its modes are the same for any step: the one of degree k fades by f^k.
    """
    flips = PRICES - 1
    plus, minus = np.poly1d([1.0, 1.0]), np.poly1d([-1.0, 1.0])
    modes = np.array([(plus ** (flips - ups) * minus**ups).c[::-1] for ups in range(PRICES)])
    states = (2.0 * np.arange(PRICES) - flips) / np.sqrt(flips)
    return states, np.arange(float(PRICES)), modes, modes / 2.0**flips


_STATES, _DEGREES, _TO_STATES, _FROM_STATES = _chain()


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


def order_costs(
    survival: Survival, stakes: Stakes, supply: Supply, emergency: float, orders: Vector, rescue: float = np.inf
) -> tuple[Vector, Vector]:
    """Return, for each time of ordering, the expected cost of the best course and its mean time of replacement.

    rescue: what a failure with the order under way costs at most, because then another order is placed.
    """
    costs, replaced = _courses(survival, stakes, [supply], emergency, orders, rescue, None)
    return costs[0], replaced[0]


def _courses(
    survival: Survival,
    stakes: Stakes,
    supplies: Sequence[Supply],
    emergency: float,
    orders: Vector,
    rescue: float,
    openings: Openings | None,
) -> tuple[Vector, Vector]:
    """Return the same by supply and time of ordering."""
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
    at_once = _replacement_at(survival, stakes, arrivals, openings)
    return _later_or_at_once(survival, stakes, arrivals, at_once, openings)


def _later_or_at_once(
    survival: Survival, stakes: Stakes, arrivals: Vector, at_once: Vector, openings: Openings | None
) -> tuple[Vector, Vector]:
    evenly = np.linspace(0.0, survival.horizon, REPLACEMENTS)
    moments = np.sort(np.concatenate((evenly, arrivals.ravel())))  # the same for every order: none has better ones
    if openings is not None:
        opened = openings.next(moments)  # beyond what is believed nothing is known, and no window is waited for
        moments = np.sort(np.concatenate((moments, opened[opened <= survival.horizon])))
    ahead = _replacement_at(survival, stakes, moments, openings)
    least = np.minimum.accumulate(ahead[::-1])[::-1]
    at = np.minimum.accumulate(np.where(ahead <= least, moments, np.inf)[::-1])[::-1]
    first = np.searchsorted(moments, arrivals)
    later = np.append(least, np.inf)[first]
    wait = later < at_once
    return np.where(wait, later, at_once), np.where(wait, np.append(at, np.inf)[first], arrivals)


def replacement_cost(survival: Survival, stakes: Stakes, hours: Vector) -> Vector:
    """Return the replacement's half of the cost for each time of it."""
    return _replacement(stakes, *survival.at(hours))


def _replacement_at(survival: Survival, stakes: Stakes, hours: Vector, openings: Openings | None) -> Vector:
    """Return the same with what a stop of its own costs where it falls outside of the openings."""
    alive, area = survival.at(hours)
    cost = _replacement(stakes, alive, area)
    return cost if openings is None else cost + alive * openings.stop(hours)


def _replacement(stakes: Stakes, alive: Vector, area: Vector) -> Vector:
    cost: Vector = (
        stakes.planned + (stakes.failure - stakes.planned) * (1.0 - alive) + (stakes.holding - stakes.running) * area
    )
    return cost
