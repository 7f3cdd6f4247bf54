"""The tracker of lives that are measured by use on several clocks at once: hours, cycles, strokes, starts.

Promises: the part fails by whichever clock's life ends first; each counter survives what counters do on its own; a
doubt on any clock asks a person; a fitting settles all of them. A fall of one counter proposes a fitting unless
another counter of the part's own plainly went on counting: then the two contradict each other, and only a person knows.
The belief runs along the calendar, see `prognosis.by_clocks`; what is drawn is the share of the life that is gone on
the clock that is nearest to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from gettext import gettext as _
from typing import Any, Final

from maintenance import health, prognosis
from maintenance.lifetimes import Lifetimes
from maintenance.needs import Evidence
from maintenance.packing import Packer, Unpacker
from maintenance.prognosis import Basis
from maintenance.settings import (
    ClockSettings,
    ComponentSettings,
    UsageWear,
    counter_unit,
    in_unit,
    median_life,
    shape_of,
)
from maintenance.trackers.meter import Meter
from maintenance.trackers.tracker import (
    Assessment,
    Outlook,
    Proposal,
    Tracker,
    counter_clock,
    doubts_of,
    number,
    reset_of,
)
from maintenance.usage import SLACK_SHARE, Jump

_NAMED: Final = {
    "PAST_UNKNOWN": "CLOCK_PAST_UNKNOWN",
    "COUNTER_JUMPED_BACK": "CLOCK_JUMPED_BACK",
    "COUNTER_JUMPED_AHEAD": "CLOCK_JUMPED_AHEAD",
}
"""What is doubted of a clock, where there are several: with its name."""


class ClocksTracker(Tracker):
    """A life measured on several clocks, which ends on the first; its own `clock` is the calendar."""

    kind = "clocks"

    def __init__(self, settings: ComponentSettings, tags: Mapping[str, str]) -> None:
        super().__init__(settings, tags)
        wear = settings.wear
        assert isinstance(wear, UsageWear)
        self._due = wear.due
        self._taught = (0, "")
        self._meters = {name: _meter(name, clock, tags) for name, clock in wear.clocks.items()}
        self._counted = [meter for meter in self._meters.values() if meter.clock.counted]

    def take(self, signal: int, value: float, hours: float) -> None:
        """Fold a reading of a counter; signals are the counters in their order."""
        self._fold(self._counted[signal], value, hours)

    def believe(self, lives: Mapping[str, Lifetimes], count: int, version: str) -> None:
        """Believe what so many lives taught of each clock from now on, instead of its rating; nothing: the ratings."""
        self._taught = (count, version)
        for name, meter in self._meters.items():
            meter.lives = lives.get(name)

    def read(self, value: float, hours: float, clock: str = "") -> None:
        """Fold a reading of the clock of that name, which a person typed in."""
        meter = self._meters.get(clock)
        if meter is None:
            sentence = _("this component wears by several clocks; say which was read: {clocks}")
            raise ValueError(sentence.format(clocks=", ".join(self._meters)))
        meter.check(value, hours)
        self._fold(meter, value, hours)

    def _fold(self, meter: Meter, value: float, hours: float) -> None:
        meter.take(value, hours)
        first = self._ordered(hours)[0]
        self.history.take(hours, _percent(first, hours))

    def begin(self, used_before: float | None, hours: float, counters: Mapping[str, float]) -> None:
        """Start a life on every clock.

        A part that had run before had done so on the first clock; what that makes on the others, nobody knows.
        """
        super().begin(used_before, hours, {})
        for place, meter in enumerate(self._meters.values()):
            known = place == 0 or not used_before
            meter.begin(used_before if known else None, hours, counters)

    def ran(self, hours: float) -> dict[str, float]:
        """Return what the part had run on each clock that knows."""
        each = {name: meter.clock.ran(hours) for name, meter in self._meters.items()}
        return {name: found for name, found in each.items() if found is not None}

    def dismiss(self) -> None:
        """A person said that nothing was fitted."""
        super().dismiss()
        for meter in self._meters.values():
            meter.clock.settle()

    def _ordered(self, hours: float) -> list[Meter]:
        """The clock that is nearest to its end first."""
        return sorted(self._meters.values(), key=lambda meter: meter.hours_left(hours))

    def assess(self, hours: float, basis: Basis) -> Assessment:
        """Let the part survive on every clock; evidence begins with the one that is nearest to its end."""
        ordered = self._ordered(hours)
        basis = replace(basis, known=basis.known and all(meter.trusted for meter in ordered))
        first = ordered[0].clocked(hours)
        if self._due:
            belief = prognosis.by_due(first.seen / first.use_per_hour, first.rated / first.use_per_hour, basis)
        else:
            belief = prognosis.by_clocks([meter.clocked(hours) for meter in self._meters.values()], basis)
        told = [Evidence("USAGE_BY_CLOCK", meter.figures(hours) | {"clock": meter.name}) for meter in ordered]
        models = [] if self._due else [self._model(meter, meter.lives) for meter in ordered if meter.lives is not None]
        doubts = [doubt for meter in ordered for doubt in _doubts(meter)]
        worst = min(health.of_usage(meter.clock.used_at(hours), meter.usual) for meter in ordered)
        return Assessment(belief, worst, (*told, *models, *doubts))

    def _model(self, meter: Meter, lives: Lifetimes) -> Evidence:
        """Return what lives taught of a clock, by name."""
        count, version = self._taught
        usual = {"usual": number(lives.median), "unit": meter.unit, "clock": meter.name, "rated": number(meter.rated)}
        return Evidence("LIFETIMES_BY_CLOCK", usual | {"lives": str(count), "version": version[:12]})

    def outlook(self, hours: float) -> Outlook:
        """Return the share of the life that is gone on the clock nearest to its end, as that clock runs."""
        first = self._ordered(hours)[0]
        return Outlook(_percent(first, hours), 100.0 * first.clock.rate.per_hour / first.usual, 0.0, 100.0, "%")

    def proposal(self) -> Proposal | None:
        """Return the first lasting jump back of a counter that no other counter of the part's own contradicts."""
        falls = [(meter.clock.pending, meter) for meter in self._counted if meter.clock.pending is not None]
        if not falls:
            return None
        jump, fallen = min(falls, key=lambda fall: fall[0].hours)
        if any(_went_on(meter, jump) for meter in self._counted if meter is not fallen):
            return None
        found = reset_of(jump, fallen.unit)
        return replace(found, parameters=found.parameters | {"clock": fallen.name, "tag": str(fallen.counter.tag)})

    def forget(self) -> None:
        """Nothing but the clocks belonged to the old part."""

    def identity(self) -> list[Any]:
        """Return also every clock: its name, counter, unit and how it is read."""
        clocks = [[name, each.counter.tag, each.unit, *each.identity()] for name, each in self._meters.items()]
        return [*super().identity(), clocks]

    def pack(self, packer: Packer) -> None:
        """Pack also every clock."""
        super().pack(packer)
        for meter in self._meters.values():
            meter.clock.pack(packer)

    def unpack(self, packed: Unpacker) -> None:
        """Go on from what was packed."""
        super().unpack(packed)
        for meter in self._meters.values():
            meter.clock.unpack(packed)

    def adopt(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot from before states were packed."""
        super().adopt(state)
        for name, clock in state["clocks"].items():
            self._meters[name].clock.adopt(clock)


def _meter(name: str, clock: ClockSettings, tags: Mapping[str, str]) -> Meter:
    unit, life = counter_unit(clock, tags), median_life(clock)
    assert life is not None  # the check of a config refuses a clock without a life
    rated = in_unit(life, unit)
    return Meter(clock, counter_clock(clock, unit, rated), unit, rated, shape_of(clock, clock), name)


def _percent(meter: Meter, hours: float) -> float:
    return 100.0 * meter.clock.used_at(hours) / meter.usual


def _doubts(meter: Meter) -> list[Evidence]:
    return [
        Evidence(_NAMED[doubt.code], doubt.parameters | {"clock": meter.name})
        for doubt in (*meter.past(), *doubts_of(meter.clock))
    ]


def _went_on(meter: Meter, jump: Jump) -> bool:
    """Whether the part's own counter was read after another one fell, did not fall itself, and is not new."""
    clock = meter.clock
    fell = clock.pending is not None or clock.suspect is not None
    used = clock.used > max(SLACK_SHARE * clock.rated, 1.0)
    return clock.own and not fell and used and clock.at is not None and clock.at > jump.hours
