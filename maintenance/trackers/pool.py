"""What units of one kind share: their healthy selves, the regimes in which they were seen, and what their lives taught.

Everything is a function of the healthy frames that were put in, unit by unit in the order of their keys, so that a
replay is exact. It changes when a unit has come to know its healthy self; `version` says so.
"""

from __future__ import annotations

import numpy as np

from maintenance import detection
from maintenance.detection import Baseline
from maintenance.features import Vector
from maintenance.learning import Learned
from maintenance.regimes import Regimes


class Pool:
    """The healthy frames of units of one kind, and the model that was learned from their lives, if any.

    settings: how many of a frame's last columns say how the machine was run, by their tolerances.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Vector] = {}
        self._baselines: dict[str, Baseline] = {}
        self._regimes: Regimes | None = None
        self.model: Learned | None = None
        self.version = 0

    def put(self, component: str, rows: Vector, tolerance: Vector) -> None:
        """A unit knows its healthy self: whole frames of shape (frames, signals + settings)."""
        if not len(tolerance):
            self._baselines[component] = Baseline.of(rows)
        else:
            self._rows[component] = rows
            self._regimes = self._found(tolerance)
            for key, each in self._rows.items():
                self._baselines[key] = Baseline.of(np.nan_to_num(self.comparable(each, len(tolerance))))
        self.version += 1

    def _found(self, tolerance: Vector) -> Regimes:
        rows = np.vstack([self._rows[key] for key in sorted(self._rows)])
        return Regimes.of(tolerance, rows[:, -len(tolerance) :], rows[:, : -len(tolerance)])

    def comparable(self, rows: Vector, settings: int) -> Vector:
        """Return the signals of frames as if all were of one regime; NaN where theirs was never seen in health."""
        if self._regimes is None or not settings:
            return rows[:, : rows.shape[1] - settings]
        return self._regimes.relative(rows[:, -settings:], rows[:, :-settings])

    def baseline(self, component: str) -> Baseline:
        """Return a unit's healthy self. Raises KeyError for one that has not come to know it."""
        return self._baselines[component]

    def scatter(self, component: str) -> Vector:
        """Return the pooled healthy scatter for a unit that has come to know its healthy self."""
        peers = (self._baselines[key] for key in sorted(self._baselines) if key != component)
        return detection.pooled_scatter(self._baselines[component], peers)
