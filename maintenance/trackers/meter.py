"""One clock of a part that wears by use, as a site states it: how its readings are meant, and how long a life is by it.

A meter turns what a counter shows into use (counted from where it stands as new, upwards or down) and hands it to the
operating clock, which survives whatever counters do. It decides nothing. Times are hours since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

from maintenance.lifetimes import Lifetimes
from maintenance.needs import Evidence
from maintenance.prognosis import Clocked
from maintenance.settings import CounterSettings
from maintenance.trackers.tracker import TYPED, number
from maintenance.usage import UsageClock


@dataclass(slots=True)
class Meter:
    """A clock of use with the life that it has: `rated` is the median, in `unit`; `name` as the site calls it.

    lives: what finished lives have taught of it; None: the rating alone.
    """

    counter: CounterSettings
    clock: UsageClock
    unit: str
    rated: float
    shape: float
    name: str = ""
    lives: Lifetimes | None = None

    def take(self, reading: float, hours: float) -> None:
        """Fold a reading of the counter."""
        self.clock.take(self._use(reading), hours)

    def check(self, reading: float, hours: float) -> None:
        """Refuse a reading that a person typed in, if it cannot be. Raises ValueError with a sentence."""
        if self.clock.at is not None and hours < self.clock.at:
            raise ValueError(_("a newer reading is known already"))
        if self.clock.reading is not None and self._use(reading) < self.clock.reading:
            sentence = _("the counter stood at {reading} before; if a part was fitted, say so")
            raise ValueError(sentence.format(reading=f"{self._shown(self.clock.reading):g}"))

    def begin(self, used_before: float | None, hours: float, counters: Mapping[str, float]) -> None:
        """Start a life; `counters` are what the machine's counters showed when the part was fitted, by tag."""
        reading = counters.get(self.counter.tag or self.name or TYPED)
        self.clock.begin(used_before, hours, None if reading is None else self._use(reading))

    def _use(self, reading: float) -> float:
        since = reading - (self.counter.as_new or 0.0)
        return -since if self.counter.counts_down else since

    def _shown(self, use: float) -> float:
        return (self.counter.as_new or 0.0) + (-use if self.counter.counts_down else use)

    @property
    def usual(self) -> float:
        """The life that half reach: by what lives taught, else by rating."""
        return self.rated if self.lives is None else self.lives.median

    @property
    def heard(self) -> bool:
        """Whether there is a reading to go by; the calendar needs none."""
        return not self.clock.counted or self.clock.reading is not None

    @property
    def trusted(self) -> bool:
        """Whether the use may speak for spending without a person."""
        return self.heard and self.clock.trusted

    @property
    def is_past_missing(self) -> bool:
        """Whether the clock is heard, and nobody knows what the part had run before."""
        return self.heard and not self.clock.past_known

    def clocked(self, hours: float) -> Clocked:
        """Return what the prognosis asks of a clock; on silence no alarm is raised, nor money spent."""
        used = self.clock.used_at(hours)
        told = None if self.is_past_missing else used
        return Clocked(told, used, self.rated, self.shape, self.clock.rate.per_hour, self.lives)

    def hours_left(self, hours: float) -> float:
        """Return the calendar hours to the end of the usual life at the usual pace; below 0 beyond it."""
        return (self.usual - self.clock.used_at(hours)) / self.clock.rate.per_hour

    def figures(self, hours: float) -> dict[str, str]:
        """Return use and life as evidence tells them."""
        return {"used": number(self.clock.used_at(hours)), "rated": number(self.rated), "unit": self.unit}

    def past(self) -> list[Evidence]:
        """Return that the past is missing, if it is."""
        return [Evidence("PAST_UNKNOWN", {})] if self.is_past_missing else []

    def identity(self) -> list[Any]:
        """A counter that is read otherwise is another clock."""
        moved = self.counter.as_new is not None or self.counter.counts_down
        return [self.counter.as_new, self.counter.counts_down] if moved else []
