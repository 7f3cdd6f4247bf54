"""How long a supplier really takes, from the order to the goods in hand: learned from orders, one at a time.

A delay is log-normal about what the plant says is usual for the item (`lead_time`, `lead_time_spread`), times a factor
that belongs to the supplier and a smaller one of its own for each item. What is said counts like `SAID` orders; a
supplier's law is that prior and all its orders, an item's that law and the supplier's orders of it. So nobody is judged
by one delivery, and a supplier of whom nothing is known takes what the plant says. Normal and inverse gamma are
conjugate: Gelman et al., Bayesian Data Analysis, 3rd edition, 2013, 3.3; the law returned is the predictive one, with
its mean and its scale.

An order that is not in yet and already late says that it takes at least so long: it counts with what is to be expected
then (expectation and maximisation for cut-off data: Dempster, Laird and Rubin, 1977). One that is not late yet says
nothing. What took absurdly long or short counts as at most `FACTOR_MAX` times the usual: somebody forgot to book it in.

Values in, a value out; it knows no clock and no storage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

SAID: Final = 2.0
"""Orders as which the plant's own word counts for how long it takes usually."""
SAID_SPREAD: Final = 4.0
"""Orders as which it counts for how far others are from that; a scatter is learned more slowly than a middle."""
SPREAD_MIN: Final = 0.05
"""Nobody is so punctual that it could be relied upon, once there is anything to learn from."""
FACTOR_MAX: Final = 20.0
PASSES: Final = 6
"""Rounds for what is late; each changes less than the one before, and a fixed number gives the same law each time."""
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one order took of one item, in hours from its sending; `arrived` False: so long so far."""

    supplier: str
    item: str
    hours: float
    arrived: bool


@dataclass(frozen=True, slots=True)
class LeadTime:
    """A log-normal delay: half take `median_hours` at most; `deviation` of its logarithm. `orders` taught it."""

    median_hours: float
    deviation: float
    orders: int = 0


@dataclass(frozen=True, slots=True)
class _Law:
    """What is known of logarithms of delays over the usual: a middle and a scatter, each worth so many orders."""

    middle: float
    worth: float
    variance: float
    spread_worth: float

    @property
    def predictive(self) -> float:
        """The variance of the next one: its own scatter, and how well the middle is known."""
        return self.variance * (1.0 + 1.0 / self.worth)

    def after(self, seen: Sequence[float], unsure: float = 0.0) -> _Law:
        """Return the law after more of them; `unsure`: what their own variances add up to."""
        if not seen:
            return self
        count, mean = len(seen), sum(seen) / len(seen)
        worth, spread_worth = self.worth + count, self.spread_worth + count
        scatter = sum((each - mean) ** 2 for each in seen) + unsure
        apart = self.worth * count / worth * (mean - self.middle) ** 2
        variance = (self.spread_worth * self.variance + scatter + apart) / spread_worth
        return _Law((self.worth * self.middle + count * mean) / worth, worth, variance, spread_worth)


class LeadTimes:
    """What deliveries teach about every supplier and item. `usual`: the lead time that the plant says, by item."""

    def __init__(self, deliveries: Iterable[Delivery], usual: Mapping[str, timedelta]) -> None:
        self._seen: dict[str, list[tuple[str, float, bool]]] = {}
        self._laws: dict[tuple[str, str, timedelta, float], LeadTime] = {}
        for each in deliveries:
            said = usual.get(each.item, timedelta(0)) / _HOUR
            if said > 0 and each.hours >= 0 and math.isfinite(each.hours):
                ratio = min(max(each.hours / said, 1.0 / FACTOR_MAX), FACTOR_MAX)
                self._seen.setdefault(each.supplier, []).append((each.item, math.log(ratio), each.arrived))

    def of(self, supplier: str, item: str, usual: timedelta, spread: float) -> LeadTime:
        """Return how long a supplier takes for an item of which the plant says `usual` and `spread`."""
        asked = supplier, item, usual, spread
        if asked not in self._laws:
            self._laws[asked] = self._of(*asked)
        return self._laws[asked]

    def _of(self, supplier: str, item: str, usual: timedelta, spread: float) -> LeadTime:
        seen, said = self._seen.get(supplier, []), usual / _HOUR
        if not seen or said <= 0:
            return LeadTime(said, spread)
        scatter = max(spread, SPREAD_MIN) ** 2 / (1.0 + 1.0 / SAID)
        law = _learned(_Law(0.0, SAID, scatter, SAID_SPREAD), [(log, arrived) for _item, log, arrived in seen])
        mine = [(log, arrived) for each, log, arrived in seen if each == item]
        if len(mine) < len(seen):  # of other items too: then this one may differ from them
            law = _learned(_Law(law.middle, SAID, law.predictive / (1.0 + 1.0 / SAID), SAID_SPREAD), mine)
        deviation = max(math.sqrt(law.predictive), SPREAD_MIN)
        return LeadTime(said * math.exp(law.middle), deviation, sum(arrived for _item, _log, arrived in seen))


def _learned(prior: _Law, seen: Sequence[tuple[float, bool]]) -> _Law:
    """Return the law after deliveries; one that is late counts with what is to be expected of it."""
    arrived = [log for log, is_in in seen if is_in]
    law = prior.after(arrived)
    open_ones = [log for log, is_in in seen if not is_in and log > law.middle]
    for _ in range(PASSES if open_ones else 0):
        expected = [_beyond(law, log) for log in open_ones]
        law = prior.after([*arrived, *(mean for mean, _own in expected)], sum(own for _mean, own in expected))
    return law


def _beyond(law: _Law, bound: float) -> tuple[float, float]:
    """Return mean and variance of a normal beyond a bound (Johnson and Kotz, 1970, 13.7.1)."""
    deviation = math.sqrt(law.variance)
    score = (bound - law.middle) / deviation
    if score > 6.0:  # the ratio below loses its figures: just beyond the bound
        return bound + deviation / score, (deviation / score) ** 2
    beyond = 0.5 * math.erfc(score / math.sqrt(2.0))
    ratio = math.exp(-0.5 * score * score) / math.sqrt(2.0 * math.pi) / beyond
    return law.middle + deviation * ratio, law.variance * max(1.0 - ratio * (ratio - score), 0.0)
