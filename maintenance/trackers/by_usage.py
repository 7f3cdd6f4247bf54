"""The tracker of lives that are measured by use: a counter, or the calendar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from maintenance import health, prognosis
from maintenance.needs import Evidence
from maintenance.prognosis import Basis
from maintenance.settings import ComponentSettings, UsageWear
from maintenance.trackers.tracker import Assessment, Outlook, Proposal, Tracker, number


class UsageTracker(Tracker):
    """A life measured by what the part has run."""

    kind = "usage"

    def __init__(self, settings: ComponentSettings, tags: Mapping[str, str]) -> None:
        super().__init__(settings, tags)
        assert isinstance(settings.wear, UsageWear)
        self._wear = settings.wear

    def take(self, signal: int, value: float, hours: float) -> None:
        """Fold a reading of the counter."""
        self.clock.take(self._used(value), hours)
        self.history.take(hours, self.clock.used_at(hours))

    def begin(self, used_before: float | None, hours: float, reading: float | None) -> None:
        """Start a life; `reading` is what the counter showed when the part was fitted."""
        super().begin(used_before, hours, None if reading is None else self._used(reading))

    def identity(self) -> list[Any]:
        """A counter that is read otherwise is another clock."""
        moved = self._wear.as_new is not None or self._wear.counts_down
        return [*super().identity(), *([self._wear.as_new, self._wear.counts_down] if moved else [])]

    def _used(self, reading: float) -> float:
        """Return the use that a reading means."""
        since = reading - (self._wear.as_new or 0.0)
        return -since if self._wear.counts_down else since

    def assess(self, hours: float, basis: Basis) -> Assessment:
        """Condition the rated life on the use so far."""
        used, clock = self.clock.used_at(hours), self.clock
        heard = not clock.counted or clock.reading is not None
        known = basis.known and clock.trusted and heard
        basis = replace(basis, known=known)
        if self._wear.due:
            belief = prognosis.by_due(used, self.rated, basis)
        else:
            told = used if clock.past_known or not heard else None  # on silence no alarm is raised, nor money spent
            belief = prognosis.by_usage(told, used, self.rated, self._wear.shape, basis)
        evidence = [Evidence("USAGE", {"used": number(used), "rated": number(self.rated), "unit": self.unit})]
        if heard and not clock.past_known:
            evidence.append(Evidence("PAST_UNKNOWN", {}))
        return Assessment(belief, health.of_usage(used, self.rated), (*evidence, *self.clock_evidence()))

    def outlook(self, hours: float) -> Outlook:
        """Return the use, which grows by one for each unit of use."""
        return Outlook(self.clock.used_at(hours), 1.0, 0.0, self.rated, self.unit)

    def proposal(self) -> Proposal | None:
        """Return a lasting jump back of the counter."""
        return self.clock_proposal()

    def forget(self) -> None:
        """Nothing but the clock belonged to the old part."""
