"""The tracker of lives that are measured by use on one clock: a counter, or the calendar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from maintenance import health, prognosis
from maintenance.lifetimes import Lifetimes
from maintenance.needs import Evidence
from maintenance.prognosis import Basis, Clocked
from maintenance.settings import ComponentSettings, UsageWear, shape_of
from maintenance.trackers.meter import Meter
from maintenance.trackers.tracker import CLOCK, Assessment, Outlook, Proposal, Tracker, number


class UsageTracker(Tracker):
    """A life measured by what the part has run."""

    kind = "usage"

    def __init__(self, settings: ComponentSettings, tags: Mapping[str, str]) -> None:
        super().__init__(settings, tags)
        wear = settings.wear
        assert isinstance(wear, UsageWear)
        self._due = wear.due
        self._taught = (0, "")
        self._meter = Meter(wear, self.clock, self.unit, self.rated, shape_of(wear, settings))

    def take(self, signal: int, value: float, hours: float) -> None:
        """Fold a reading of the counter."""
        self._meter.take(value, hours)
        self.history.take(hours, self.clock.used_at(hours))

    def believe(self, lives: Mapping[str, Lifetimes], count: int, version: str) -> None:
        """Believe what so many lives taught from now on, instead of the rating; nothing: the rating alone."""
        self._meter.lives, self._taught = lives.get(""), (count, version)

    def read(self, value: float, hours: float, clock: str = "") -> None:
        """Fold a reading that a person typed in."""
        self._meter.check(value, hours)
        self.take(CLOCK, value, hours)

    def begin(self, used_before: float | None, hours: float, counters: Mapping[str, float]) -> None:
        """Start a life; `counters` are what the machine's counters showed when the part was fitted."""
        self._meter.begin(used_before, hours, counters)

    def identity(self) -> list[Any]:
        """Return also how the counter is read."""
        return [*super().identity(), *self._meter.identity()]

    def assess(self, hours: float, basis: Basis) -> Assessment:
        """Condition the rated life on the use so far."""
        told = self._meter.clocked(hours)
        basis = replace(basis, known=basis.known and self._meter.trusted)
        if self._due:
            belief = prognosis.by_due(told.seen, self.rated, basis)
        else:
            basis = basis if told.lives is None else replace(basis, life=told.lives.median)
            belief = prognosis.by_usage(told.used, told.seen, self.rated, told.shape, basis, told.lives)
        usual = self.rated if told.lives is None else told.lives.median
        figures = Evidence("USAGE", self._meter.figures(hours))
        evidence = (figures, *self._model(told), *self._meter.past(), *self.clock_evidence())
        return Assessment(belief, health.of_usage(told.seen, usual), evidence)

    def _model(self, told: Clocked) -> list[Evidence]:
        """Return what lives taught, by name, where it speaks."""
        if told.lives is None:
            return []
        count, version = self._taught
        usual = {"usual": number(told.lives.median), "unit": self.unit}
        return [Evidence("LIFETIMES", usual | {"lives": str(count), "version": version[:12]})]

    def outlook(self, hours: float) -> Outlook:
        """Return the use, which grows by one for each unit of use."""
        return Outlook(self.clock.used_at(hours), 1.0, 0.0, self.rated, self.unit)

    def proposal(self) -> Proposal | None:
        """Return a lasting jump back of the counter."""
        return self.clock_proposal()

    def forget(self) -> None:
        """Nothing but the clock belonged to the old part."""
