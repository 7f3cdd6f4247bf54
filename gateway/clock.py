"""Plant time: what time it is at the machines.

On a real site plant time is the wall clock in UTC, `real`. The demo compresses it: one `PlantClock` is written down as
a text and handed to every process, so that machines, suppliers and gateway agree without speaking to each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

Clock = Callable[[], datetime]


def real() -> datetime:
    """Return the time of a real site."""
    return datetime.now(UTC)


JUMP: Final = timedelta(minutes=5)
"""Wall time that a clock may be put right by without anybody being asked; time servers slew less in a day."""


class JumpWatch:
    """Compares plant time with a clock that only ever runs on, so that a clock put forward or back is noticed."""

    def __init__(self, clock: Clock, speed: float = 1.0, running: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._speed = speed
        self._running = running
        self._seen = clock(), running()

    def jumped(self) -> timedelta | None:
        """Return by how much plant time jumped since the last look, None when it ran on as it must."""
        (before, began), (now, ran) = self._seen, (self._clock(), self._running())
        self._seen = now, ran
        jump = now - before - timedelta(seconds=(ran - began) * self._speed)
        return jump if abs(jump) > self.tolerance else None

    @property
    def tolerance(self) -> timedelta:
        """Plant time by which the clock may be put right."""
        return JUMP * self._speed


@dataclass(frozen=True, slots=True)
class PlantClock:
    """Plant time runs `speed` times as fast as the wall since `wall_start` (seconds of 1970), when it was `origin`."""

    origin: datetime
    wall_start: float
    speed: float

    def __call__(self) -> datetime:
        return self.at(time.time())

    def at(self, wall: float) -> datetime:
        """Return plant time at a wall time in seconds since 1970."""
        return self.origin + timedelta(seconds=max(wall - self.wall_start, 0.0) * self.speed)

    def to_text(self) -> str:
        """Return the clock as one argument of a command line."""
        return f"{self.origin.isoformat()},{self.wall_start!r},{self.speed!r}"

    @classmethod
    def from_text(cls, text: str) -> PlantClock:
        """Return the clock that `to_text` wrote. Raises ValueError."""
        origin, wall_start, speed = text.split(",")
        moment = datetime.fromisoformat(origin)
        if moment.tzinfo is None or float(speed) <= 0:
            raise ValueError(f"{text!r} is not a plant clock: origin with time zone, wall start, speed above 0")
        return cls(moment.astimezone(UTC), float(wall_start), float(speed))
