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
from maintenance.prognosis import Basis
from maintenance.settings import ComponentSettings, ForetoldWear, UsageWear, Wearing, clock_unit, in_unit, is_time
from maintenance.usage import UsageClock, Utilisation

CLOCK = -1
"""The signal number of a component's counter of use."""
FORMAT = 2
"""The shape of snapshots; one of another shape is not taken, and what it knew is learned anew."""
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

    flow: variance that chance adds per unit of use.
    """

    value: float
    slope: float
    slope_deviation: float
    threshold: float
    unit: str
    growth: float = 0.0
    flow: float = 0.0


class Tracker(ABC):
    """One component's clock, features and history; see the module."""

    kind: str

    def __init__(self, settings: ComponentSettings, tags: Mapping[str, str]) -> None:
        wear = settings.wear
        self.unit = clock_unit(wear, tags)
        self.rated = in_unit(settings.rated_life, self.unit) if settings.rated_life else 0.0
        self.clock = _clock(wear, self.unit, self.rated)
        self.history = History()

    @abstractmethod
    def take(self, signal: int, value: float, hours: float) -> None:
        """Fold one good, finite value of a signal; `CLOCK` is the counter of use."""

    @abstractmethod
    def assess(self, hours: float, basis: Basis) -> Assessment:
        """Conclude from what was folded so far; `basis.known` False stays False."""

    @abstractmethod
    def outlook(self, hours: float) -> Outlook:
        """Return the quantity to draw and its course."""

    @abstractmethod
    def proposal(self) -> Proposal | None:
        """Return the fitting that telemetry suggests, if any."""

    @abstractmethod
    def forget(self) -> None:
        """A new life began: drop what belonged to the old part."""

    def begin(self, used_before: float | None, hours: float, reading: float | None) -> None:
        """Start a life; see `UsageClock.begin`."""
        self.clock.begin(used_before, hours, reading)
        self.forget()

    def dismiss(self) -> None:
        """A person said that nothing was fitted."""
        self.clock.settle()

    def snapshot(self) -> dict[str, Any]:
        """Return the state, JSON-able."""
        return {"kind": self.identity(), "clock": self.clock.snapshot(), "history": self.history.snapshot()}

    def identity(self) -> list[Any]:
        """What must be the same for a snapshot to fit, as JSON values."""
        return [FORMAT, self.kind, self.unit, self.clock.counted]

    def fits(self, state: Mapping[str, Any]) -> bool:
        """Tell whether a snapshot was made by a tracker like this one."""
        return bool(state["kind"] == self.identity())

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot that fits."""
        self.clock.restore(state["clock"])
        self.history = History(**state["history"])

    def clock_proposal(self) -> Proposal | None:
        jump = self.clock.pending
        if jump is None:
            return None
        return Proposal(
            "COUNTER_RESET", jump.hours, {"was": number(jump.before), "reading": number(jump.first), "unit": self.unit}
        )

    def clock_evidence(self) -> list[Evidence]:
        """Whatever makes the clock less than certain."""
        found = []
        if self.clock.pending is not None:
            found.append(Evidence("COUNTER_JUMPED_BACK", {"was": number(self.clock.pending.before)}))
        if self.clock.doubted:
            found.append(Evidence("COUNTER_JUMPED_AHEAD", {}))
        return found


def _clock(wear: Wearing, unit: str, rated: float) -> UsageClock:
    counted = not isinstance(wear, ForetoldWear) and (
        (wear.tag if isinstance(wear, UsageWear) else wear.clock) is not None
    )
    if is_time(unit):
        per_hour = in_unit(HOUR, unit)
        rate = Utilisation(per_hour * wear.hours_per_day / 24.0, STATED_HOURS_WEIGHT)
    else:
        per_hour = None
        rate = Utilisation(rated / YEAR_HOURS or 1.0, GUESSED_HOURS_WEIGHT)
    if not isinstance(wear, UsageWear):
        return UsageClock(rate, counted, per_hour, rated)
    return UsageClock(rate, counted, per_hour, rated, wear.resets_at_fitting, wear.rolls_over_at)


def number(value: float) -> str:
    """A figure for people: four significant digits, whole when large."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
