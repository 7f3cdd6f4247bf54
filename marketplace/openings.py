"""When a machine may be worked on without a stop of its own, in hours: spans that return each week, and single ones.

A job that begins at another time costs a stop besides. It knows no calendar: `marketplace.windows` says from when until
when, as plant time. Values in, a value out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

WEEK_HOURS: Final = 168.0
SECOND: Final = 1.0 / 3600.0
"""Moments that are nearer to each other are the same."""


@dataclass(frozen=True, slots=True)
class Openings:
    """When a job may begin without a stop of its own: spans that return every `period`, in hours after `origin`.

    spans: ascending and apart, within 0 and the period; a job may begin at either end. closed: what it costs besides
    to begin at another time. once: spans that come once, besides, ascending and apart, in hours after `origin`.
    """

    spans: tuple[tuple[float, float], ...]
    closed: float
    period: float = WEEK_HOURS
    origin: float = 0.0
    once: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        edges = [edge for span in self.spans for edge in span]
        single = [edge for span in self.once for edge in span]
        if not edges and not single:
            raise ValueError("openings ascend, and there is one")
        if edges and (edges != sorted(edges) or edges[0] < 0 or edges[-1] > self.period):
            raise ValueError("openings ascend and lie within their period")
        if single != sorted(single) or (single and single[0] < 0):
            raise ValueError("openings ascend from their origin")
        if not 0.0 <= self.closed < np.inf:
            raise ValueError("what a stop costs is finite and not below zero")

    def stop(self, hours: Vector) -> Vector:
        """Return what beginning at each moment costs besides."""
        return np.where(self.next(hours) - hours > SECOND, self.closed, 0.0)

    def next(self, hours: Vector) -> Vector:
        """Return the first moment at or after each at which a job may begin; infinite where there is none."""
        since = hours - self.origin
        places = np.searchsorted(np.array([shut for _open, shut in self.once]) + SECOND, since)
        opens = np.array([*(opened for opened, _shut in self.once), np.inf])
        return np.minimum(np.maximum(hours, opens[places] + self.origin), self._returning(hours))

    def _returning(self, hours: Vector) -> Vector:
        if not self.spans:
            return np.full_like(hours, np.inf)
        shuts = np.array([shut for _open, shut in self.spans])
        opens = np.array([opened for opened, _shut in self.spans])
        since = hours - self.origin
        begun = np.floor(since / self.period) * self.period
        phase = since - begun
        place = np.searchsorted(shuts + SECOND, phase)
        again = place == len(opens)
        first = np.where(again, opens[0] + self.period, opens[np.where(again, 0, place)])
        return np.maximum(hours, begun + first + self.origin)
