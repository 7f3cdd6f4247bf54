"""Watches whether a model is still asked about what it knows: signals that move, within what its lives showed.

A signal that stands still for much longer than it ever did in those lives is stuck; one that stays outside of their
range by half of it goes where no life has gone. Constant time for a frame. No clock, no I/O; decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.learning.standing import Bounds
from maintenance.features import Vector
from maintenance.frames import History, Told

FRAMES: Final = 10
"""Frames that must agree: as many as make one opinion of a deviation."""
STILL_TIMES: Final = 2
"""A signal may stand still for so many times as long as it ever did."""
MARGIN: Final = 0.5
"""How far beyond their range signals may go, in ranges: the last of a life is beyond what the others showed."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a signal of a component, as a code of `gateway.learning.standing`."""

    code: str
    component: str
    tag: str

    @property
    def parameters(self) -> dict[str, str]:
        """Its figures, for the sentence and the audit."""
        return {"component": self.component, "tag": self.tag}


@dataclass(slots=True)
class _Seen:
    last: Vector
    still: Vector
    beyond: Vector


class Watch:
    """Holds the frames of a kind's components against what its model was learned from."""

    def __init__(self, signals: Sequence[str], bounds: Sequence[Bounds]) -> None:
        self._signals = tuple(signals)
        low, high = (np.array([getattr(each, name) for each in bounds]) for name in ("low", "high"))
        margin = MARGIN * (high - low)
        self._low, self._high = low - margin, high + margin
        self._still = np.array([max(FRAMES, STILL_TIMES * each.still) for each in bounds])
        self._moves = high > low
        self._seen: dict[str, _Seen] = {}

    def take(self, component: str, told: Told) -> None:
        """Fold frames of a component."""
        for _use, values in told:
            frame = np.asarray(values, np.float64)
            if len(frame) != len(self._signals):
                continue
            seen = self._seen.get(component)
            if seen is None:
                none = np.zeros(len(frame))
                seen = self._seen[component] = _Seen(np.full(len(frame), np.nan), none, none.copy())
            seen.still = np.where(frame == seen.last, seen.still + 1, 1)
            seen.beyond = np.where((frame < self._low) | (frame > self._high), seen.beyond + 1, 0)
            seen.last = frame

    def forget(self, component: str) -> None:
        """A new part is in it: what its signals did before counts no more."""
        self._seen.pop(component, None)

    def troubles(self) -> list[Trouble]:
        """Return what is wrong now, by component and signal."""
        found = []
        for component in sorted(self._seen):
            seen = self._seen[component]
            stuck = self._moves & (seen.still > self._still)
            for code, which in (("SENSOR_STUCK", stuck), ("OUT_OF_RANGE", (seen.beyond >= FRAMES) & ~stuck)):
                found += [Trouble(code, component, self._signals[at]) for at in np.flatnonzero(which)]
        return found


def bounds_of(lives: Sequence[History]) -> tuple[Bounds, ...]:
    """Return what each signal did in lives: what later frames are held against."""
    every = np.concatenate([each.frames for each in lives])
    still = np.max([[longest_still(column) for column in each.frames.T] for each in lives], axis=0)
    low, high = every.min(axis=0), every.max(axis=0)
    return tuple(
        Bounds(float(low[signal]), float(high[signal]), int(still[signal])) for signal in range(every.shape[1])
    )


def longest_still(values: Vector) -> int:
    """Return over how many values in a row the same one stood."""
    moved = np.flatnonzero(np.append(np.diff(values) != 0, True))
    return int(np.diff(moved, prepend=-1).max())
