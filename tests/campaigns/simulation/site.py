"""The plant: 10 machines with 30 components that wear, what they need, and what the gateway believes of them.

A life fails at an age that nobody knows; the belief knows its mean and spread. Everything is drawn from one generator
when the site is made or a part is fitted.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache

from maintenance.needs import Belief, Evidence, JobKind, JobLine, Need, Provenance
from marketplace.catalogue import Item
from marketplace.documents import Delivery
from marketplace.settings import BuyingSettings
from marketplace.timing import Advice, TimingTerms, advise

MACHINES, COMPONENTS_EACH = 10, 3
CURRENCY = "EUR"
DELIVERY = Delivery("Northworks GmbH", "DE123456789", "Hall 2", "Office", "Anna", "4711", "PR-4711")
PRICES = {
    "bearing": "61.50", "belt": "23.90", "filter": "8.75", "seal": "14.20", "coolant": "95.00", "probe": "310.00",
    "nozzle": "42.10", "brush": "17.35", "oil": "72.40", "calibration": "240.00",
}  # fmt: skip
"""EUR for one, at a supplier of average prices."""
SERVICES = frozenset({"calibration"})
CATALOGUE = {key: Item(key, "Nordlager", f"NL-{key.upper()}", key.title(), "C62") for key in PRICES}
TERMS = TimingTerms(timedelta(days=3), timedelta(hours=8), timedelta(hours=6), 0.05)
GRID = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0]
"""Points of a belief, in mean lives from now."""


@dataclass
class Component:
    """One slot, and the part that is in it."""

    key: str
    machine: str
    lines: tuple[JobLine, ...]
    mean_h: float
    provenance: Provenance
    lives: int = 0
    life: str = ""
    known: bool = True
    fitted_h: float = 0.0
    fails_h: float = 0.0

    def fit(self, rng: random.Random, now_h: float) -> None:
        """A part is fitted: a new life begins."""
        self.lives += 1
        self.life = f"{self.key}-{self.lives}"
        self.known = rng.random() > 0.05
        self.fitted_h = now_h
        self.fails_h = now_h + max(self.mean_h * rng.gauss(1.0, 0.2), 24.0)

    def need(self, now: datetime, now_h: float) -> Need:
        """Return the need of the life, with what is believed of it: normal around the mean, given the age so far."""
        age = now_h - self.fitted_h
        alive = self._survival(age)
        hours = [point * self.mean_h for point in GRID]
        survival = [self._survival(age + each) / alive if alive > 1e-9 else 0.0 for each in hours]
        survival[0] = 1.0
        belief = Belief.of(
            hours, survival, unit="h", use_per_hour=1.0, as_of=now, provenance=self.provenance, known=self.known
        )
        evidence = (Evidence("LEVEL_NEAR_LIMIT", {"tag": f"{self.key}/wear"}),)
        job = f"Replace {self.key}"
        return Need(self.machine, self.key, self.life, 1, job, self.lines, belief, belief.survival[1], evidence, now)

    def _survival(self, age_h: float) -> float:
        return 0.5 * math.erfc((age_h / self.mean_h - 1.0) / (0.2 * math.sqrt(2.0)))


@dataclass
class Site:
    """Every component of the plant."""

    rng: random.Random
    components: list[Component] = field(init=False)

    def __post_init__(self) -> None:
        self.components = [
            self._component(machine, number) for machine in range(MACHINES) for number in range(COMPONENTS_EACH)
        ]
        for each in self.components:  # parts of every age at the start
            each.fit(self.rng, -self.rng.random() * each.mean_h)

    def _component(self, machine: int, number: int) -> Component:
        parts = sorted(PRICES.keys() - SERVICES)
        name = f"machine-{machine}"
        lines = [self._line("part", self.rng.choice(parts), JobKind.PART)]
        if self.rng.random() < 0.25:
            lines.append(self._line("calibration", "calibration", JobKind.SERVICE))
        elif self.rng.random() < 0.25:
            lines.append(self._line("consumable", self.rng.choice(parts), JobKind.CONSUMABLE))
        provenance = Provenance.B if machine == MACHINES - 1 else Provenance.A  # one machine speaks plain Modbus
        return Component(f"{name}/slot-{number}", name, tuple(lines), self.rng.uniform(20, 44) * 24, provenance)

    def _line(self, key: str, item: str, kind: JobKind) -> JobLine:
        quantity = Decimal(1 if kind is JobKind.SERVICE else self.rng.randint(1, 4))
        return JobLine(key, item, quantity, "C62", kind)


@cache
def economics(item: str) -> BuyingSettings:
    """Return what the plant itself believes of an item."""
    return BuyingSettings(lead_time="3 d", price=f"{PRICES[item]} {CURRENCY}", standstill="40 EUR/h")


def advice_on(need: Need, now: datetime) -> Advice:
    """Return what timing says of a need."""
    return advise(need.belief, TERMS, now)
