"""A plant whose parts wear by chance: what happens in it, drawn before anybody buys anything.

Wear is a gamma process, which only ever grows (van Noortwijk, A survey of the application of gamma processes in
maintenance, Reliability Engineering and System Safety 94, 2009); its rate is drawn for each part, the random effect of
Lawless and Crowder (Covariates and random effects in a gamma process model, 2004), and so is the level at which it
fails. Wear is seen once a day, with noise. One price wanders for all suppliers, an autoregression of first order in its
logarithm; lead times are log-normal. The form is the literature's, the numbers of `Plant` are ours: round ones.

Everything is drawn for a slot beforehand, lead times by the number of the order in it, so that whoever buys, and
whoever knows, meets the same lives, deliveries and prices. Days are the unit of time, prices are shares of the usual.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

YEAR_DAYS: Final = 365.25
PAST_DAYS: Final = 800
"""Days of prices before the first part is fitted: one who knows every failure may order the first successor then."""
WAITS_DAYS_MAX: Final = 400
"""Days that prices go on, for each life, beyond all lives: no rule lets a machine wait longer."""
ORDERS_MAX: Final = 4
"""Lead times drawn for each life: its order, a second one to the rescue, and as many to spare."""
LONGEST: Final = 3.0
"""A part is followed for three times its own usual life at first; longer lives are followed on."""


@dataclass(frozen=True, slots=True)
class Part:
    """A class of parts: price, what a day without it costs (EUR), and the life that is usual at its usual rate."""

    name: str
    price: float
    standstill: float
    usual_days: float


@dataclass(frozen=True, slots=True)
class Source:
    """A supplier: its price over the wandering one, and the median of its lead time."""

    name: str
    factor: float
    median_days: float


PARTS: Final = (
    Part("filter", 60.0, 2_500.0, 120.0),
    Part("bearing", 400.0, 4_000.0, 540.0),
    Part("spindle", 22_000.0, 5_000.0, 1_800.0),
)
SOURCES: Final = (Source("slow", 1.0, 14.0), Source("quick", 1.18, 4.0), Source("express", 1.6, 1.5))


@dataclass(frozen=True, slots=True)
class Plant:
    """How much chance there is.

    unit_spread: coefficient of variation of the wear rate from part to part. chance: standard deviation of the wear of
    parts of one rate when it is on average at the limit, which is 1. limit_spread: standard deviation of the level at
    which they fail. noise: of one reading. lead_spread: of the logarithm of a lead time. price_spread: of the logarithm
    of the price; price_memory_days: in which its deviation fades by e. holding: share of the price a year.
    """

    unit_spread: float = 0.25
    chance: float = 0.10
    limit_spread: float = 0.04
    noise: float = 0.03
    lead_spread: float = 0.35
    price_spread: float = 0.08
    price_memory_days: float = 60.0
    holding: float = 0.25


@dataclass(frozen=True, slots=True)
class Slot:
    """One place on a machine: its successive lives, and what its orders would meet.

    days: on which each part fails. seen: its wear as read on each day. leads: days by order and supplier. prices: from
    `PAST_DAYS` before the first part is fitted.
    """

    days: tuple[int, ...]
    seen: tuple[Vector, ...]
    leads: Vector
    prices: Vector

    def price(self, day: float) -> float:
        """Return the price of a day over the usual one."""
        return float(self.prices[PAST_DAYS + math.floor(day)])


def slot(plant: Plant, part: Part, lives: int, seed: tuple[int, ...]) -> Slot:
    """Return a slot that sees so many lives; the same for the same seed."""
    rng = np.random.default_rng(seed)
    seen = tuple(_life(plant, part, rng) for _ in range(lives))
    days = tuple(len(each) for each in seen)
    medians = np.array([each.median_days for each in SOURCES])
    leads = medians * np.exp(plant.lead_spread * rng.standard_normal((ORDERS_MAX * (lives + 1), len(SOURCES))))
    return Slot(days, seen, leads, _prices(plant, PAST_DAYS + sum(days) + lives * WAITS_DAYS_MAX, rng))


def _life(plant: Plant, part: Part, rng: np.random.Generator) -> Vector:
    """Return the wear that is read on each day of a life, the last being that of the failure."""
    rate = rng.gamma(plant.unit_spread**-2, plant.unit_spread**2) / part.usual_days
    limit = max(rng.normal(1.0, plant.limit_spread), 0.5)
    scale = plant.chance**2
    worn = np.zeros(0)
    while not worn.size or worn[-1] < limit:
        before = worn[-1] if worn.size else 0.0
        grown = rng.gamma(rate / scale, scale, math.ceil(LONGEST / rate))
        worn = np.concatenate((worn, before + np.cumsum(grown)))
    read: Vector = worn[: int(np.argmax(worn >= limit)) + 1]
    return read + rng.normal(0.0, plant.noise, read.size)


def _prices(plant: Plant, days: int, rng: np.random.Generator) -> Vector:
    """Return a price for each day, the usual one on average."""
    kept = math.exp(-1.0 / plant.price_memory_days)
    shocks = rng.standard_normal(days)
    shocks[1:] *= math.sqrt(1.0 - kept**2)
    logs = np.empty(days)
    logs[0] = shocks[0]
    for day in range(1, days):
        logs[day] = kept * logs[day - 1] + shocks[day]
    return np.exp(plant.price_spread * logs - plant.price_spread**2 / 2.0)
