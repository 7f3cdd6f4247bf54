"""What units of one kind share: their healthy selves, the regimes in which they were seen, and what their lives taught.

Everything is a function of the healthy frames that were put in, unit by unit in the order of their keys, so that a
replay is exact. It changes when a unit has come to know its healthy self; `version` says so. What follows from the
frames is found when it is asked for, once for all units: a thousand that come back from a snapshot cost one finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maintenance import detection
from maintenance.detection import Baseline
from maintenance.features import Vector
from maintenance.regimes import Regimes

if TYPE_CHECKING:  # loaded only where something was learned
    from maintenance.learning import Learned


class Pool:
    """The healthy frames of units of one kind, and the model that was learned from their lives, if any.

    settings: how many of a frame's last columns say how the machine was run, by their tolerances.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Vector] = {}
        self._tolerance: Vector = np.zeros(0)
        self._baselines: dict[str, Baseline] = {}
        self._regimes: Regimes | None = None
        self._variance: Vector | None = None
        self.model: Learned | None = None
        self.version = 0

    def know(self, component: str, baseline: Baseline) -> None:
        """A unit that is run in one way knows its healthy self."""
        self._baselines[component] = baseline
        self._changed()

    def put(self, component: str, rows: Vector, tolerance: Vector) -> None:
        """A unit that is run in several ways has seen enough of health: whole frames, (frames, signals + settings)."""
        self._rows[component], self._tolerance = rows, tolerance
        self._baselines.clear()
        self._regimes = None
        self._changed()

    def _changed(self) -> None:
        self._variance = None
        self.version += 1

    def _found(self) -> Regimes:
        """The regimes in which units were seen in health."""
        if self._regimes is None:
            rows, settings = np.vstack([self._rows[key] for key in sorted(self._rows)]), len(self._tolerance)
            self._regimes = Regimes.of(self._tolerance, rows[:, -settings:], rows[:, :-settings])
        return self._regimes

    def comparable(self, rows: Vector, settings: int) -> Vector:
        """Return the signals of frames as if all were of one regime; NaN where theirs was never seen in health."""
        if not self._rows or not settings:
            return rows[:, : rows.shape[1] - settings]
        return self._found().relative(rows[:, -settings:], rows[:, :-settings])

    def baseline(self, component: str) -> Baseline:
        """Return a unit's healthy self. Raises KeyError for one that has not come to know it."""
        if component not in self._baselines:
            rows = self._rows[component]
            self._baselines[component] = Baseline.of(np.nan_to_num(self.comparable(rows, len(self._tolerance))))
        return self._baselines[component]

    def scatter(self, component: str) -> Vector:
        """Return the pooled healthy scatter for a unit that has come to know its healthy self."""
        if self._variance is None:
            units = sorted(self._rows or self._baselines)
            told = detection.pooled_variance(self.baseline(unit) for unit in units)
            self._variance = told * self._found().optimism(len(units)) if self._rows else told
        return detection.scatter(self.baseline(component), self._variance)
