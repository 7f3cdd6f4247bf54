"""Machines that wear: what they carry, what they measure, and what becomes of them while they run.

A machine has components (slots with a part that wears by operating hours), levels (physical signals that drift as a
component wears) and counters. It stands still from the moment a component that it cannot run without is worn out until
a new part is fitted; then nothing else wears either, counters stop, and levels keep their last value and are no longer
fresh. Fitting puts in the next part: its levels jump back to as new, its counters to zero. A machine knows no wire and
no clock; `shopfloor` below is the factory that ships.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from connectors.simulator.registers import DeviceMap, Register
from connectors.simulator.wear import Slot, WearLaw, fitted

NAMESPACE = "urn:toolcrib:factory"
"""The OPC-UA namespace of every simulated node."""

RUNNING = "running"
"""The tag that every machine has: 1 while it runs, 0 while it stands still."""


@dataclass(frozen=True, slots=True)
class ComponentPlan:
    """A slot: how its parts wear, how worn the first one is, and whether the machine stops without it."""

    key: str
    law: WearLaw
    wear: float = 0.0
    stops: bool = True


@dataclass(frozen=True, slots=True)
class Level:
    """A signal that runs from `as_new` to `worn_out` as its component wears, with Gaussian noise of that deviation.

    `bend` 0 is a straight line; the greater it is, the later and the steeper the signal rises.
    """

    tag: str
    unit: str
    component: str
    as_new: float
    worn_out: float
    noise: float
    bend: float = 0.0

    def at(self, wear: float) -> float:
        """Return the signal without noise at a wear of 0 to 1."""
        share = math.expm1(self.bend * wear) / math.expm1(self.bend) if self.bend else wear
        return self.as_new + share * (self.worn_out - self.as_new)


@dataclass(frozen=True, slots=True)
class Counter:
    """A whole number that grows with operating time: since its component was fitted, or without one for ever."""

    tag: str
    unit: str
    per_hour: float
    component: str | None = None
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """A kind of machine; on Modbus when it has a device map, else on OPC-UA."""

    key: str
    hours_per_day: float
    components: tuple[ComponentPlan, ...]
    levels: tuple[Level, ...]
    counters: tuple[Counter, ...]
    device: DeviceMap | None = None

    def utilised(self, elapsed: timedelta) -> float:
        """Return the operating hours in a stretch of plant time: the deterministic average of its shifts."""
        return max(elapsed.total_seconds(), 0.0) / 3600 * self.hours_per_day / 24

    @property
    def units(self) -> dict[str, str]:
        """The unit of every tag; a flag has the unit 1."""
        levels = {level.tag: level.unit for level in self.levels}
        return {**levels, **{counter.tag: counter.unit for counter in self.counters}, RUNNING: "1"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a tag shows; not `fresh` when the machine stands still and the value is only the last one."""

    value: float
    fresh: bool = True


class Machine:
    """One machine and the parts that are in it, deterministic from its plan, the seed and the hours it ran."""

    def __init__(self, plan: MachinePlan, seed: int) -> None:
        """Put a first part into every component, as worn as planned. Raises ValueError for a wear beyond 0..1."""
        self.plan = plan
        self.hours = 0.0
        self._seed = seed
        self._plans = {component.key: component for component in plan.components}
        self._slots = {key: self._slot(key, 1, component.wear) for key, component in self._plans.items()}
        self._held: dict[str, float] = {}

    @property
    def running(self) -> bool:
        """Whether every component that the machine cannot run without still holds."""
        return not any(slot.failed and self._plans[key].stops for key, slot in self._slots.items())

    @property
    def slots(self) -> Mapping[str, Slot]:
        """The true state of every component, which no gateway ever sees."""
        return self._slots

    def advance(self, hours: float) -> None:
        """Run for so many operating hours, or until the first component that stops the machine is worn out."""
        if not self.running:
            return
        stopping = (slot.hours_left for key, slot in self._slots.items() if self._plans[key].stops)
        worked = min([hours, *stopping])
        self.hours += worked
        self._slots = {key: slot.advanced(worked) for key, slot in self._slots.items()}

    def fit(self, component: str) -> int:
        """Put the next new part into a component and return its number. Raises KeyError for an unknown component."""
        number = self._slots[component].part.number + 1
        self._slots[component] = self._slot(component, number, 0.0)
        for level in self.plan.levels:
            if level.component == component:
                self._held.pop(level.tag, None)
        return number

    def fail(self, component: str) -> None:
        """Break the part in a component now. Raises KeyError for an unknown component."""
        self._slots[component] = self._slots[component].worn_out()

    def readings(self, rng: random.Random) -> dict[str, Reading]:
        """Return what every tag shows now; `rng` is the noise of its sensors."""
        running = self.running
        if running:
            self._held.clear()
        shown = {level.tag: Reading(self._level(level, rng, running), running) for level in self.plan.levels}
        shown |= {counter.tag: Reading(self._count(counter)) for counter in self.plan.counters}
        shown[RUNNING] = Reading(int(running))
        return shown

    def saved(self) -> dict[str, Any]:
        """Return what `restore` needs, as JSON values."""
        slots = {key: {"part": slot.part.number, "used": slot.used} for key, slot in self._slots.items()}
        return {"hours": self.hours, "components": slots}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from a saved state; components that were not saved start as planned. Raises KeyError, TypeError."""
        self.hours = float(saved["hours"])
        for key, slot in saved["components"].items():
            if key in self._plans:
                self._slots[key] = replace(self._slot(key, int(slot["part"]), 0.0), used=float(slot["used"]))

    def _slot(self, component: str, number: int, wear: float) -> Slot:
        law = self._plans[component].law
        return fitted(law, f"{self.plan.key}/{component}", seed=self._seed, number=number, wear=wear)

    def _level(self, level: Level, rng: random.Random, running: bool) -> float:
        clean = level.at(self._slots[level.component].wear)
        if running:
            self._held[level.tag] = clean + rng.gauss(0.0, level.noise)
        return self._held.setdefault(level.tag, clean)

    def _count(self, counter: Counter) -> int:
        hours = self.hours if counter.component is None else self._slots[counter.component].used
        return int(counter.start + hours * counter.per_hour)


def wiring(plan: MachinePlan) -> dict[str, dict[str, object]]:
    """Return how a gateway's config would name every tag of a machine: node or register, type and unit."""
    if plan.device is None:
        node = f"nsu={NAMESPACE};s={plan.key}."
        return {tag: {"node": node + tag, "unit": unit} for tag, unit in plan.units.items()}
    return {
        register.tag: {
            "register": 40001 + register.address,
            "type": register.type,
            **({"word_order": register.word_order} if register.words > 1 else {}),
            "unit": plan.units[register.tag],
        }
        for register in plan.device.registers
    }


def shopfloor(wear: Mapping[str, float] | None = None) -> tuple[MachinePlan, ...]:
    """Return the four machines that ship, `machine/component` as worn as told, or by default in mid-life and beyond.

    Raises KeyError for a component that none of them has.
    """
    told = dict(wear or {})
    plans = tuple(_worn(plan, told) for plan in (MILL, PRESS, COMPRESSOR, CONVEYOR))
    if told:
        raise KeyError(f"no such component: {', '.join(sorted(told))}")
    return plans


def _worn(plan: MachinePlan, told: dict[str, float]) -> MachinePlan:
    worn = (
        replace(component, wear=told.pop(f"{plan.key}/{component.key}", component.wear))
        for component in plan.components
    )
    return replace(plan, components=tuple(worn))


MILL = MachinePlan(
    key="mill",
    hours_per_day=16,
    components=(
        ComponentPlan("spindle-bearing", WearLaw(life=8_000), wear=0.93),
        ComponentPlan("cutting-tool", WearLaw(life=500), wear=0.75),
        ComponentPlan("coolant", WearLaw(life=400, spread=0.05), wear=0.50),
        ComponentPlan("calibration", WearLaw(life=4_000, spread=0.05), wear=0.40, stops=False),
    ),
    levels=(
        # 1.2 to 7.1 mm/s: from a new machine of class II to the beginning of zone D (ISO 10816-1)
        Level("spindle-vibration", "mm/s", "spindle-bearing", as_new=1.2, worn_out=7.1, noise=0.08, bend=1.0),
        Level("coolant-level", "%", "coolant", as_new=100, worn_out=20, noise=0.4),
    ),
    counters=(
        Counter("tool-cycles", "cycles", per_hour=12, component="cutting-tool"),
        Counter("running-hours", "h", per_hour=1, start=11_840),
    ),
)

PRESS = MachinePlan(
    key="press",
    hours_per_day=16,
    components=(
        ComponentPlan("seal", WearLaw(life=1_000), wear=0.60),
        ComponentPlan("filter", WearLaw(life=600), wear=0.65),
    ),
    levels=(Level("filter-pressure", "bar", "filter", as_new=0.4, worn_out=2.5, noise=0.03, bend=1.0),),
    counters=(Counter("seal-cycles", "cycles", per_hour=60, component="seal"),),
)

COMPRESSOR = MachinePlan(
    key="compressor",
    hours_per_day=20,
    components=(
        ComponentPlan("service", WearLaw(life=2_000, spread=0.03), wear=0.92, stops=False),
        ComponentPlan("oil", WearLaw(life=900), wear=0.35),
    ),
    levels=(Level("oil-level", "%", "oil", as_new=100, worn_out=25, noise=0.4),),
    counters=(Counter("running-hours", "h", per_hour=1, component="service"),),
    device=DeviceMap(
        device_id=1,
        registers=(
            Register("running-hours", 0, "uint32", "little"),
            Register("oil-level", 2, "float32"),
            Register(RUNNING, 4, "uint16"),
        ),
    ),
)

CONVEYOR = MachinePlan(
    key="conveyor",
    hours_per_day=20,
    components=(
        ComponentPlan("motor", WearLaw(life=6_000), wear=0.30),
        ComponentPlan("belt", WearLaw(life=1_500), wear=0.70),
    ),
    levels=(
        Level("motor-current", "A", "motor", as_new=8.2, worn_out=13.0, noise=0.15, bend=2.0),
        Level("motor-temperature", "°C", "motor", as_new=46, worn_out=88, noise=0.6, bend=2.0),
    ),
    counters=(Counter("belt-cycles", "cycles", per_hour=20, component="belt"),),
    device=DeviceMap(
        device_id=2,
        registers=(
            Register("motor-current", 0, "float32"),
            Register("motor-temperature", 2, "float32"),
            Register("belt-cycles", 4, "uint32"),
            Register(RUNNING, 6, "uint16"),
        ),
    ),
)
