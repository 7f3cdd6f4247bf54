"""State detection (ISO 13374 SD): how far a machine has moved from its own healthy self.

Each signal is measured against the mean of the unit's own first frames, in units of the healthy scatter. The scatter
is pooled over peers (units of one kind), from their first frames only: one unit's 25 frames say too little about noise.
No limit, no failure and no later row of any unit enters. A signal that did not move in health has no scale and is
left out; signals that contradict the many are trimmed away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from maintenance.features import Vector, trimmed_mean, vector

RESOLUTION = 1e-9
"""Scatter below this share of the mean is arithmetic, not noise."""


@dataclass(slots=True)
class Baseline:
    """Mean and scatter of a unit's first `wanted` frames (Welford), signal by signal."""

    signals: int
    wanted: int
    count: int = 0
    mean: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mean = self.mean or [0.0] * self.signals
        self.squares = self.squares or [0.0] * self.signals

    @property
    def complete(self) -> bool:
        """Whether the healthy self is known."""
        return self.count >= self.wanted

    def take(self, frame: Vector) -> None:
        """Fold one whole frame (no NaN); frames after the wanted ones change nothing."""
        if self.complete:
            return
        self.count += 1
        for signal, value in enumerate(frame.tolist()):
            step = value - self.mean[signal]
            self.mean[signal] += step / self.count
            self.squares[signal] += step * (value - self.mean[signal])

    def variance(self) -> Vector:
        """Return the sample variance of each signal. Meaningful once complete."""
        return vector(self.squares) / max(self.count - 1, 1)

    def snapshot(self) -> dict[str, Any]:
        """Return the state, JSON-able."""
        return asdict(self)


def pooled_scatter(own: Baseline, peers: Iterable[Baseline]) -> Vector:
    """Return the healthy standard deviation of each signal: root mean variance over all complete baselines.

    A signal that stood still gets 0, which leaves it out of the index.
    """
    variances = [own.variance(), *(peer.variance() for peer in peers if peer.complete)]
    scatter = np.sqrt(np.mean(variances, axis=0))
    return np.where(scatter > RESOLUTION * np.abs(vector(own.mean)), scatter, 0.0)


def z_scores(distance: Vector, scatter: Vector) -> Vector:
    """Return each signal's distance from its healthy mean in healthy scatters; NaN where it has no scale."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scatter > 0, distance / scatter, math.nan)


def index(z: Vector) -> float | None:
    """Return how far the unit is from its healthy self: the trimmed mean of |z|, or None if no signal tells."""
    present = np.abs(z[np.isfinite(z)])
    return trimmed_mean(present) if present.size else None
