"""Operating regimes (ISO 13374 DM): signals made comparable across the ways in which a machine is run.

Two moments are of one regime when their settings (speed, load, altitude, product) lie within a tolerance that an
engineer states. In each regime that was seen in health, a signal is told as its distance from the regime's healthy
mean in the regime's healthy scatters, so that what is left is the unit and its wear. A regime that nobody has seen in
health has no such scale: its moments are NaN, never a guess. Regimes are found in the order of the rows; the same rows
give the same regimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from maintenance.features import Vector

REGIMES_MAX: Final = 64
"""More ways to run a machine than anybody has named; settings that make more are signals, not settings."""
BORROWED_ROWS: Final = 5.0
"""A regime seen few times borrows its scatter from the others, as if they had been seen so many times in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Regimes:
    """What is healthy in each: centres of shape (regimes, settings), mean and scatter of shape (regimes, signals)."""

    tolerance: Vector
    centres: Vector
    mean: Vector
    scatter: Vector
    counts: Vector
    """Healthy rows of each regime."""

    @classmethod
    def of(cls, tolerance: Vector, settings: Vector, frames: Vector) -> Regimes:
        """Find the regimes of healthy rows: settings of shape (rows, settings), frames of shape (rows, signals)."""
        centres = _centres(tolerance, settings)
        which = _nearest(tolerance, centres, settings)
        rows = [frames[which == regime] for regime in range(len(centres))]
        mean = np.array([each.mean(axis=0) for each in rows])
        squares = np.array([((each - each.mean(axis=0)) ** 2).sum(axis=0) for each in rows])
        counts = np.array([float(len(each)) for each in rows])
        usual = squares.sum(axis=0) / max(float((counts - 1.0).sum()), 1.0)
        scatter = np.sqrt((squares + BORROWED_ROWS * usual) / (counts - 1.0 + BORROWED_ROWS)[:, None])
        return cls(tolerance, centres, mean, scatter, counts)

    def optimism(self, units: int) -> float:
        """Return by how much later rows vary more than the healthy rows of so many units told by what they themselves
        gave: 1 where there is but one regime, and hardly more where each was seen often.

        Every regime's mean takes a degree of freedom. A regime's scatter by f degrees of its own and b borrowed ones is
        uncertain, which shrinks the rows that it was found in (2 b / (f + b)^2 of their variance) and stretches those
        that come after (3 f / 2 (f + b)^2): both by the second moment of chi-square, but for what all regimes share.
        """
        rows, share, own = self.counts.sum(), self.counts / self.counts.sum(), self.counts - 1.0
        fitted = (rows - units) / max(float(rows - units - len(self.counts) + 1), 1.0)
        uncertain = (2.0 * BORROWED_ROWS + 1.5 * own) / (own + BORROWED_ROWS) ** 2
        return float(fitted * (1.0 + share @ ((1.0 - share) * uncertain)))

    def relative(self, settings: Vector, frames: Vector) -> Vector:
        """Return rows as distances in scatters; NaN in a regime never seen, and for a signal that stood still in it."""
        which = _nearest(self.tolerance, self.centres, settings)
        seen, at = (which >= 0)[:, None], np.maximum(which, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (frames - self.mean[at]) / self.scatter[at]
        return np.where(seen & (self.scatter[at] > 0), distance, np.nan)


def _centres(tolerance: Vector, settings: Vector) -> Vector:
    """Return the first row of each regime, up to the most that are kept."""
    left = settings
    found: list[Vector] = []
    while len(left) and len(found) < REGIMES_MAX:
        found.append(left[0])
        left = left[~np.all(np.abs(left - left[0]) <= tolerance, axis=1)]
    return np.array(found).reshape(len(found), settings.shape[1])


def _nearest(tolerance: Vector, centres: Vector, settings: Vector) -> Vector:
    """Return the first regime within tolerance of each row, -1 where there is none."""
    within = np.all(np.abs(settings[:, None, :] - centres) <= tolerance, axis=2)
    found: Vector = np.where(within.any(axis=1), within.argmax(axis=1), -1)
    return found
