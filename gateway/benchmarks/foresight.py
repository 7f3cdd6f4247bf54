"""What parts cost one who knows the day of every failure and every lead time: the floor that no buyer goes below.

Such a buyer has each part there when it is needed, from the cheapest supplier, because time is never short. It may also
order before that, for a better price, and then pays for the shelf, or fits early and gives up what is left of the old
part, whichever is less: a day of use is worth its own cost of a day (renewal-reward: Barlow and Proschan, Mathematical
Theory of Reliability, 1965, 4.2), so that the two are found together. Three of that kind, each knowing more:

    just in time    orders so that the part arrives on the day, whatever the price then is
    prices seen     sees today's price and knows how prices wander, as any buyer does: an optimal stopping problem
    prices known    knows the price of every day to come
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.benchmarks.wearing_plant import PAST_DAYS, YEAR_DAYS, Part, Plant, Slot, Vector

AHEAD_DAYS: Final = 365
"""Nobody orders a year before the last day for ordering: keeping the part would cost a quarter of it."""
STATES: Final = np.linspace(-4.0, 4.0, 161)
"""Prices looked at, in deviations from the median."""
ROUNDS: Final = 4
"""Times that the worth of a day is put in and read off again; the second hardly moves it."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What the parts of each slot cost, EUR; use is that of all lives to their end."""

    just_in_time: Vector
    prices_seen: Vector
    prices_known: Vector


def foreseen(plant: Plant, part: Part, slots: Sequence[Slot]) -> Foreseen:
    """Return what those three pay in each slot."""
    windows = [_window(slot) for slot in slots]
    used = float(sum(sum(slot.days) for slot in slots))
    seen = known = just = np.array([part.price * window[:, -1].sum() for window in windows])
    for _ in range(ROUNDS):
        early = _early(plant, part, seen.sum() / used)
        bounds = good_prices(plant, part, early)
        seen = np.array([_seen(part, window, bounds, early) for window in windows])
    for _ in range(ROUNDS):
        early = _early(plant, part, known.sum() / used)
        known = np.array([_known(part, window, early) for window in windows])
    return Foreseen(just, seen, known)


def _window(slot: Slot) -> Vector:
    """Return, by life, the prices of the days up to the last for ordering its successor from the cheapest."""
    needed = np.cumsum(slot.days)
    last = np.floor(PAST_DAYS + needed - slot.leads[: len(needed), 0]).astype(np.int64)
    return np.asarray(slot.prices[np.maximum(last[:, None] + np.arange(-AHEAD_DAYS, 1), 0)])


def _early(plant: Plant, part: Part, per_day: float) -> float:
    """Return what a day costs by which a part is there too early: on the shelf, or in place of the old one."""
    return float(min(part.price * plant.holding / YEAR_DAYS, per_day))


def good_prices(plant: Plant, part: Part, early: float) -> Vector:
    """Return, for each day from long before the last to the last, the price at or below which to order then."""
    kept = math.exp(-1.0 / plant.price_memory_days)
    shocks, weights = np.polynomial.hermite_e.hermegauss(15)
    tomorrow = kept * STATES[:, None] + math.sqrt(1.0 - kept**2) * shocks
    price = np.exp(plant.price_spread * STATES - plant.price_spread**2 / 2.0)
    value, bounds = part.price * price, [np.inf]
    for day in range(1, AHEAD_DAYS + 1):
        later = np.interp(tomorrow, STATES, value) @ (weights / weights.sum())
        now = part.price * price + early * day
        right = np.flatnonzero(now <= later)
        bounds.append(float(price[right[-1]]) if right.size else 0.0)
        value = np.minimum(now, later)
    return np.array(bounds[::-1])


def _seen(part: Part, window: Vector, bounds: Vector, early: float) -> float:
    first = np.argmax(window <= bounds, axis=1)
    paid = part.price * window[np.arange(len(window)), first]
    return float(np.sum(paid + early * (AHEAD_DAYS - first)))


def _known(part: Part, window: Vector, early: float) -> float:
    return float(np.min(part.price * window + early * np.arange(AHEAD_DAYS, -1, -1), axis=1).sum())
