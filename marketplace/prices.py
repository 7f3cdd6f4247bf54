"""A price that wanders about its usual one, and what it is worth to wait for a better one.

Whoever may wait solves an optimal stopping problem, backwards over the times of ordering and the price's states (Dixit
and Pindyck, Investment under Uncertainty, 1994, 4.1): a good price is taken early, and a bad one waited out as long as
the part allows. Values in, a value out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

PRICES: Final = 17
"""States of a wandering price: half a deviation apart, up to four."""


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

    def drawn_back(self, after: Vector) -> Vector:
        """Return by which share of the usual price it is expected to be above it, so many hours from now."""
        fade = np.exp(-after / self.memory)
        median = self.state * fade
        above: Vector = np.expm1(self.deviation * median - (self.deviation * fade) ** 2 / 2)
        return above


def stopping(costs: Vector, prices: Vector, alive: Vector, orders: Vector, price: Wander) -> tuple[float, float]:
    """Return what waiting costs more than an order now, and the share of the usual price at which both cost the same.

    costs: by supply and time of ordering, at the usual price. prices: what of each supply's cost wanders. alive: with
    what probability the part still works at each time of ordering; one that has failed is replaced at any price.
    """
    premiums = prices[:, None] * price.above(_STATES)
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
