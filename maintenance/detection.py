"""State detection (ISO 13374 SD): how far a machine has moved from its own healthy self.

Each signal is measured against the mean of the unit's own first frames, in units of the healthy scatter. The scatter
is pooled over peers (units of one kind), from their first frames only: one unit's 25 frames say too little about noise.
No limit, no failure and no later row of any unit enters. A signal that did not move in health has no scale and is
left out; signals that contradict the many are trimmed away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from maintenance.features import Vector, trimmed_mean
from maintenance.packing import Packer, Unpacker

RESOLUTION = 1e-9
"""Scatter below this share of the mean is arithmetic, not noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """A unit's healthy self: mean and sample variance of each signal over its first frames."""

    mean: Vector
    variance: Vector

    @classmethod
    def of(cls, rows: Vector) -> Baseline:
        """Return it from whole frames of shape (frames, signals), at least two."""
        return cls(rows.mean(axis=0), rows.var(axis=0, ddof=1))


class Healthy:
    """What a unit was in its first frames, in constant memory: how many, their mean, and their squares about it.

    B. P. Welford, Note on a method for calculating corrected sums of squares and products, Technometrics 4 (1962).
    """

    def __init__(self, signals: int) -> None:
        self.count = 0
        self._mean, self._squares = np.zeros(signals), np.zeros(signals)

    def take(self, frame: Vector) -> None:
        """Fold a whole frame."""
        self.count += 1
        distance = frame - self._mean
        self._mean = self._mean + distance / self.count
        self._squares = self._squares + distance * (frame - self._mean)

    def baseline(self) -> Baseline:
        """Return the healthy self, of at least two frames."""
        return Baseline(self._mean, self._squares / (self.count - 1))

    def pack(self, packer: Packer) -> None:
        """Pack it: 16 bytes a signal."""
        packer.whole(self.count)
        packer.array(self._mean)
        packer.array(self._squares)

    def unpack(self, packed: Unpacker) -> None:
        """Go on from what was packed, of as many signals."""
        self.count = packed.count()
        self._mean, self._squares = packed.array(len(self._mean)), packed.array(len(self._mean))


def pooled_variance(baselines: Iterable[Baseline]) -> Vector:
    """Return the mean healthy variance of each signal over baselines, at least one."""
    mean: Vector = np.mean([each.variance for each in baselines], axis=0)
    return mean


def scatter(own: Baseline, variance: Vector) -> Vector:
    """Return the healthy standard deviation of each signal by the variance that peers share.

    A signal that stood still gets 0, which leaves it out of the index.
    """
    deviation = np.sqrt(variance)
    return np.where(deviation > RESOLUTION * np.abs(own.mean), deviation, 0.0)


def z_scores(distance: Vector, scatter: Vector) -> Vector:
    """Return each signal's distance from its healthy mean in healthy scatters; NaN where it has no scale."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scatter > 0, distance / scatter, math.nan)


def index(z: Vector) -> float | None:
    """Return how far the unit is from its healthy self: the trimmed mean of |z|, or None if no signal tells."""
    present = np.abs(z[np.isfinite(z)])
    return trimmed_mean(present) if present.size else None


LEFT, HEALTHY = 1.0, 0.75
"""A smoothed deviation of one scatter has left health, one of three quarters has not: healthy frames, smoothed over
ten, stay within a quarter of a scatter or two."""


def lone(z: Vector) -> int | None:
    """Return the place of the signal that contradicts all others, None where there is no such.

    Without it the unit is healthy, and with it it is not. A single signal has no other to contradict it.
    """
    size = np.abs(np.nan_to_num(z))
    place = int(np.argmax(size))
    found, others = index(z), index(np.delete(z, place))
    contradicted = found is not None and others is not None and found > LEFT and others < HEALTHY
    return place if contradicted else None
