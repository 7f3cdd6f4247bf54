"""Which units of a line are asked, and which are left in peace: a circuit breaker for each.

A unit that is silent several times in a row is asked no more with the others, so that it does not slow them; it is
tried alone, ever more rarely, until it answers. Pure: time is an argument, in seconds of any steady clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SILENCES: Final = 2
"""Times that a unit may be silent in a row: once may be chance."""
FIRST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 30.0
"""Between trials of a silent unit; each doubles the one before."""


@dataclass(slots=True)
class Breaker:
    """One unit: `silences` in a row, and from when it is tried again; None while it is asked with the others.

    liar: its answers cost the others their line, so that it is tried over another one.
    """

    silences: int = 0
    again_at: float | None = None
    liar: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the unit is left in peace."""
        return self.again_at is not None

    def is_due(self, now: float) -> bool:
        """Whether an open breaker lets one trial through."""
        return self.again_at is not None and now >= self.again_at

    def answered(self) -> bool:
        """The unit spoke; returns whether that is news."""
        was_open, self.silences, self.again_at, self.liar = self.is_open, 0, None, False
        return was_open

    def lied(self, now: float) -> bool:
        """It made the line worthless for all: once is enough. Returns whether that is news, as for a silence."""
        self.silences, self.liar = max(self.silences, SILENCES - 1), True
        return self.was_silent(now)

    def was_silent(self, now: float) -> bool:
        """The unit did not answer; returns whether it is left in peace from now on and was not before."""
        was_open = self.is_open
        self.silences += 1
        if self.silences < SILENCES:
            return False
        pause = FIRST_PAUSE_SECONDS * 2.0 ** min(self.silences - SILENCES, 16)
        self.again_at = now + min(pause, LONGEST_PAUSE_SECONDS)
        return not was_open
