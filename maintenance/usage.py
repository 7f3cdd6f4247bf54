"""Operating time: what one life has run, from a counter on the machine or from the calendar.

Four sentences of promise. A counter may reset, roll over, jump back or jump far ahead, and the use of the part never
moves by it: the part keeps what it had run. A lasting jump back proposes a fitting; until a person or a received part
settles that, the use goes on from where it was and the clock is *doubted*, which asks a person before money moves. A
jump back that lasts only a few readings was a glitch and leaves no trace. Without a counter, use runs with the
calendar at the stated hours a day, and readings typed in by people correct it.

Times are hours since 1970 UTC as floats, use is in the clock's own unit. No clock, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from maintenance.packing import Layout, Packer, Unpacker

SUSTAINED = 5
"""Readings that must agree before a jump is believed: a controller that restarts shows zeros for a scan or two."""
MEMORY_HOURS = 720.0
"""Utilisation is an average over about a month: long enough for weekends, short enough for a new shift plan."""
FASTEST = 10.0
"""A counter that runs this many times faster than usual has jumped."""
SLACK_SHARE = 0.02
"""A step below this share of the rated life is believed without asking how fast it came."""
CALENDAR_TOLERANCE = 1.05
"""A controller's clock may be this much fast."""
SHORTEST_LIFE_HOURS = 24.0
"""No part that is bought on its counter is worn out faster than in a day; a counter that says so has jumped."""
ROLL_NEAR = 0.1
"""A roll-over goes from the last tenth of the counter's range to the first."""


@dataclass(slots=True)
class Utilisation:
    """Use per calendar hour: a prior worth `prior_hours` of watching, then the machine's own months, fading."""

    kept: ClassVar = Layout(numbers=("use", "hours"))
    prior: float
    prior_hours: float
    use: float = 0.0
    hours: float = 0.0

    def take(self, use: float, hours: float) -> None:
        """Fold `use` made within `hours` of calendar time."""
        if hours <= 0:
            return
        keep = math.exp(-hours / MEMORY_HOURS)
        self.use = self.use * keep + use
        self.hours = self.hours * keep + hours

    @property
    def per_hour(self) -> float:
        """Expected use per calendar hour, above 0: a machine that stood still for long is taken to start again."""
        rate, least = (self.prior * self.prior_hours + self.use) / (self.prior_hours + self.hours), self.prior * 1e-3
        return rate if rate > least else least


@dataclass(slots=True)
class Jump:
    """Readings that do not follow from the ones before: since when, from what, to what, and how many agree."""

    kept: ClassVar = Layout(numbers=("hours", "before", "first", "last"), wholes=("count",))
    hours: float
    before: float
    first: float
    last: float
    count: int = 1

    @property
    def back(self) -> bool:
        """Whether the counter fell."""
        return self.first < self.before


@dataclass(slots=True)
class UsageClock:
    """The use of one life.

    counted: a counter tells; otherwise the calendar does.
    per_hour_max: what the calendar allows where the unit is one of time, else None.
    rated: the rated life, for telling a jump from a step; 0 if none.
    own: the counter belongs to the part and is set to zero with it, so its reading *is* the part's use.
    modulus: where the counter rolls over, or None.
    past_known: False when nobody knows what the part had run before it was watched.
    """

    kept: ClassVar = Layout(numbers=("used", "reading", "at", "aside"), truths=("past_known", "doubted"))
    rate: Utilisation
    counted: bool
    per_hour_max: float | None
    rated: float = 0.0
    own: bool = False
    modulus: float | None = None
    used: float = 0.0
    past_known: bool = False
    reading: float | None = None
    at: float | None = None
    suspect: Jump | None = None
    pending: Jump | None = None
    aside: float = 0.0
    doubted: bool = False

    def begin(self, used_before: float | None, hours: float, fitted_reading: float | None = None) -> None:
        """A new life began: `used_before` is None when its past is unknown; `fitted_reading` the counter then."""
        if not self.counted:
            self.used, self.past_known = used_before or 0.0, used_before is not None
            self.reading, self.at = fitted_reading, hours
            return
        if self.suspect is not None and self.suspect.back:  # the fitting explains the fall that is being watched
            self.reading = self.suspect.last
        reset, since = self.pending is not None, 0.0
        if self.reading is None and not self.own:
            self.reading, self.at = fitted_reading, hours
        elif self.reading is not None and fitted_reading is not None and self.reading >= fitted_reading:
            since = self.reading - fitted_reading
        elif reset:
            since = self.aside
        self.used, self.past_known = (used_before or 0.0) + since, used_before is not None
        if self.own and reset and self.reading is not None:
            self.used, self.past_known = self.reading, True
        self.settle()

    def settle(self) -> None:
        """A person said that no part was changed, or a fitting was done: the clock is trusted again."""
        self.pending, self.aside, self.doubted, self.suspect = None, 0.0, False, None

    def used_at(self, hours: float) -> float:
        """Return the use at a time: the counter's, or the calendar's extrapolation since the last reading."""
        if self.counted or self.at is None:
            return self.used
        return self.used + (hours - self.at) * self.rate.per_hour if hours > self.at else self.used

    def ran(self, hours: float) -> float | None:
        """Return what the part had run that was taken out at a time; None where nobody knows.

        What a counter has counted since it fell belongs to the part that came after. A counter that was never read, or
        that jumped ahead, says nothing.
        """
        if not self.past_known or self.doubted or (self.counted and self.reading is None):
            return None
        return max(self.used_at(hours) - self.aside, 0.0)

    def take(self, reading: float, hours: float) -> None:
        """Fold one finite reading of the counter; readings come in the order of their time."""
        if self.reading is None or self.at is None:
            self._anchor(reading, hours)
            return
        step = self._step(reading)
        if step >= 0 and self._plausible(step, hours - self.at):
            self._advance(step, reading, hours)
        elif self._returned(reading, hours):
            self._return(reading, hours)
        else:
            self._suspect(reading, hours)

    def _anchor(self, reading: float, hours: float) -> None:
        if not self.counted:
            self.used = self.used_at(hours)
        elif self.own:
            self.used, self.past_known = max(reading, 0.0), True
        self.reading, self.at = reading, hours

    def _step(self, reading: float) -> float:
        assert self.reading is not None
        step = reading - self.reading
        if step < 0 and self.modulus is not None:
            near = ROLL_NEAR * self.modulus
            if self.reading >= self.modulus - near and 0 <= reading <= near:
                return step + self.modulus
        return step

    def _plausible(self, step: float, hours: float) -> bool:
        if self.per_hour_max is not None:
            fastest = CALENDAR_TOLERANCE * self.per_hour_max
        elif self.rated or self.rate.hours:
            fastest = max(FASTEST * self.rate.per_hour, self.rated / SHORTEST_LIFE_HOURS)
        else:
            return True
        return step <= max(SLACK_SHARE * self.rated, 1.0) + fastest * max(hours, 0.0)

    def _returned(self, reading: float, hours: float) -> bool:
        """Whether a leap brings the counter back to where it would be had it never fallen.

        Only a leap does: a counter that was reset and has counted up to the old reading again was reset.
        """
        if self.pending is None or reading < self.pending.before:
            return False
        return self._plausible(reading - self.pending.before, hours - self.pending.hours)

    def _advance(self, step: float, reading: float, hours: float) -> None:
        assert self.at is not None
        self.suspect = None
        self.rate.take(step, hours - self.at)
        self.used += step
        if self.pending is not None:
            self.aside += step
        self.reading, self.at = reading, hours

    def _return(self, reading: float, hours: float) -> None:
        """The counter is back where it was: the jump was a long glitch, and nothing was fitted."""
        assert self.pending is not None
        self.used += max(reading - self.pending.before - self.aside, 0.0)  # what was counted meanwhile is never lost
        self.pending, self.aside, self.suspect = None, 0.0, None
        self.reading, self.at = reading, hours

    def _suspect(self, reading: float, hours: float) -> None:
        assert self.reading is not None
        jump = self.suspect
        if jump is None or reading < jump.last or (jump.back and reading >= jump.before):
            self.suspect = Jump(hours, self.reading, reading, reading)
            return
        jump.last, jump.count = reading, jump.count + 1
        if jump.count >= SUSTAINED:
            self._believe(jump, hours)

    def _believe(self, jump: Jump, hours: float) -> None:
        """The counter stays where it jumped: count on from there, and leave the jump itself to a person."""
        since = jump.last - jump.first
        self.rate.take(since, hours - jump.hours)
        self.used += since
        self.suspect, self.reading, self.at = None, jump.last, hours
        if not jump.back:
            self.doubted = True
        elif self.own and self.used - since <= max(SLACK_SHARE * self.rated, 1.0):
            self.used, self.past_known = jump.last, True  # the part is new already; its counter followed
        else:
            self.pending, self.aside = jump, since

    @property
    def trusted(self) -> bool:
        """Whether the use may speak for spending without a person."""
        return self.past_known and self.pending is None and not self.doubted

    def pack(self, packer: Packer) -> None:
        """Pack what moves."""
        packer.things(self, self.rate)
        for jump in (self.suspect, self.pending):
            packer.whole(jump is not None)
            if jump is not None:
                packer.things(jump)

    def unpack(self, packed: Unpacker) -> None:
        """Go on from what was packed."""
        packed.things(self, self.rate)
        self.suspect, self.pending = (_jump(packed) if packed.count() else None for _ in range(2))

    def adopt(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot from before states were packed."""
        self.kept.adopt(self, state)
        self.rate.use, self.rate.hours = state["rate"]
        self.suspect = Jump(**state["suspect"]) if state["suspect"] else None
        self.pending = Jump(**state["pending"]) if state["pending"] else None


def _jump(packed: Unpacker) -> Jump:
    jump = Jump(0.0, 0.0, 0.0, 0.0)
    packed.things(jump)
    return jump
