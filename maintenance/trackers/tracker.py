"""What is known of one component between its samples: folded in constant time, assessed when asked.

A tracker exists for each kind of wear. It owns the component's operating clock, its features and its history; it takes
good values only, in the order of their time (the monitor sees to both), and answers with belief, health and evidence.
It notices what looks like a new part and proposes it; only `begin` starts a new life. Times are hours since 1970 UTC.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.samples import Measure
from maintenance.features import History
from maintenance.needs import Belief, Evidence
from maintenance.packing import Packer, Unpacker, digest
from maintenance.prognosis import Basis
from maintenance.settings import (
    ComponentSettings,
    CounterSettings,
    ForetoldWear,
    ModesWear,
    UsageWear,
    Wearing,
    clock_unit,
    counter_tags,
    in_unit,
    is_time,
    median_life,
)
from maintenance.usage import Jump, UsageClock, Utilisation

CLOCK = -1
"""The signal number of a component's counter of use."""
TYPED = "reading"
"""What `Life.counters` calls the reading of a component that no counter clocks."""
FORMAT = 2
"""What a snapshot knows; one that knows something else is not taken, and what it knew is learned anew."""
KEEP = 0.95
"""Trends remember about twenty frames."""
GUESSED_HOURS_WEIGHT = 1.0
STATED_HOURS_WEIGHT = 48.0
"""A stated utilisation weighs like two days of watching; a guessed one like an hour."""
YEAR_HOURS = 8766.0
HOUR = Measure(1.0, "h")


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a tracker concludes; evidence in order of weight."""

    belief: Belief
    health: float
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Telemetry looks as if a new part was fitted at `hours`."""

    code: str
    hours: float
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where the measured quantity stands and how it goes on with use, in `unit`; slope and growth as in `Drift`.

    flow: variance that chance adds per unit of use. start: what a new part shows.
    """

    value: float
    slope: float
    slope_deviation: float
    threshold: float
    unit: str
    growth: float = 0.0
    flow: float = 0.0
    start: float = 0.0


class Tracker(ABC):
    """One component's clock, features and history; see the module."""

    kind: str

    def __init__(self, settings: ComponentSettings, tags: Mapping[str, str]) -> None:
        wear, life = settings.wear, median_life(settings)
        self.unit = clock_unit(wear, tags)
        self.rated = in_unit(life, self.unit) if life else 0.0
        self.clock = _clock(wear, self.unit, self.rated)
        self.counters = counter_tags(wear) or (TYPED,)
        self.history = History()

    @abstractmethod
    def take(self, signal: int, value: float, hours: float) -> None:
        """Fold one good, finite value of a signal; `CLOCK` is the counter of use."""

    @abstractmethod
    def read(self, value: float, hours: float, clock: str = "") -> None:
        """Fold a finite value that a person typed in, of the clock of that name where there are several.

        Raises ValueError with a sentence when it cannot be taken.
        """

    @abstractmethod
    def assess(self, hours: float, basis: Basis) -> Assessment:
        """Conclude from what was folded so far; `basis.known` False stays False."""

    @abstractmethod
    def outlook(self, hours: float) -> Outlook:
        """Return the quantity to draw and its course."""

    def past(self, hours: float) -> History:
        """Return the history of the quantity that is drawn."""
        return self.history

    @abstractmethod
    def proposal(self) -> Proposal | None:
        """Return the fitting that telemetry suggests, if any."""

    @abstractmethod
    def forget(self) -> None:
        """A new life began: drop what belonged to the old part."""

    def begin(self, used_before: float | None, hours: float, counters: Mapping[str, float]) -> None:
        """Start a life; `counters` are those of `Life`. See `UsageClock.begin`."""
        self.clock.begin(used_before, hours, counters.get(self.counters[-1]))
        self.forget()

    def ran(self, hours: float) -> dict[str, float]:
        """Return what the part had run that was taken out at a time, by the name of each clock that knows."""
        found = self.clock.ran(hours)
        return {} if found is None else {"": found}

    def dismiss(self) -> None:
        """A person said that nothing was fitted."""
        self.clock.settle()

    def snapshot(self) -> dict[str, Any]:
        """Return the state, JSON-able."""
        packer = Packer()
        self.pack(packer)
        return {"kind": digest(self.identity()), "state": packer.text}

    def pack(self, packer: Packer) -> None:
        """Pack what cannot be worked out from the settings."""
        self.clock.pack(packer)
        self.history.pack(packer)

    def unpack(self, packed: Unpacker) -> None:
        """Go on from what a tracker like this one packed."""
        self.clock.unpack(packed)
        self.history.unpack(packed)

    def adopt(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot that fits, from before states were packed."""
        self.clock.adopt(state["clock"])
        self.history.adopt(state["history"])

    def identity(self) -> list[Any]:
        """What must be the same for a snapshot to fit, as JSON values."""
        return [FORMAT, self.kind, self.unit, self.clock.counted]

    def fits(self, state: Mapping[str, Any]) -> bool:
        """Tell whether a snapshot was made by a tracker like this one."""
        identity = self.identity()
        return state["kind"] in (digest(identity), identity)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a snapshot that fits."""
        if "state" in state:
            self.unpack(Unpacker(state["state"]))
        else:
            self.adopt(state)

    def clock_proposal(self) -> Proposal | None:
        jump = self.clock.pending
        return None if jump is None else reset_of(jump, self.unit)

    def clock_evidence(self) -> list[Evidence]:
        """Whatever makes the clock less than certain."""
        return doubts_of(self.clock)


def reset_of(jump: Jump, unit: str) -> Proposal:
    """Return the fitting that a lasting jump back proposes."""
    figures = {"was": number(jump.before), "reading": number(jump.first), "unit": unit}
    return Proposal("COUNTER_RESET", jump.hours, figures)


def doubts_of(clock: UsageClock) -> list[Evidence]:
    """Return whatever a clock's counter did that nobody has settled."""
    found = []
    if clock.pending is not None:
        found.append(Evidence("COUNTER_JUMPED_BACK", {"was": number(clock.pending.before)}))
    if clock.doubted:
        found.append(Evidence("COUNTER_JUMPED_AHEAD", {}))
    return found


def counter_clock(counter: CounterSettings, unit: str, rated: float) -> UsageClock:
    """Return the clock of a part that wears by use; `rated` is its life in `unit`, 0 if none."""
    rate, per_hour = _rate(counter.hours_per_day, unit, rated)
    counted = counter.tag is not None
    return UsageClock(rate, counted, per_hour, rated, counter.resets_at_fitting, counter.rolls_over_at)


def _clock(wear: Wearing, unit: str, rated: float) -> UsageClock:
    if isinstance(wear, UsageWear):
        return counter_clock(wear, unit, rated)
    rate, per_hour = _rate(24.0 if isinstance(wear, ModesWear) else wear.hours_per_day, unit, rated)
    counted = not isinstance(wear, ForetoldWear | ModesWear) and wear.clock is not None
    return UsageClock(rate, counted, per_hour, rated)


def _rate(hours_per_day: float, unit: str, rated: float) -> tuple[Utilisation, float | None]:
    """Return the utilisation as stated or guessed, and what the calendar allows in an hour if it allows a limit."""
    if not is_time(unit):
        return Utilisation(rated / YEAR_HOURS or 1.0, GUESSED_HOURS_WEIGHT), None
    per_hour = in_unit(HOUR, unit)
    return Utilisation(per_hour * hours_per_day / 24.0, STATED_HOURS_WEIGHT), per_hour


def number(value: float) -> str:
    """A figure for people: four significant digits, whole when large."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
