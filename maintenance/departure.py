"""How far a unit has gone from its healthy self, how fast, and whether it came back (ISO 13374 SD).

A tracker asks this of the part that is in its slot; whoever judges asks it of lives that have ended: both by the same
functions. No tag, no unit, no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from maintenance import detection, prognosis
from maintenance.bank import SMOOTHING
from maintenance.features import DiscountedTrend, Trend, Vector
from maintenance.packing import Layout
from maintenance.prognosis import Drift
from maintenance.usage import SUSTAINED


@dataclass(frozen=True, slots=True, eq=False)
class Departure:
    """Each signal's distance in healthy scatters, the deviation that they make, and its drift by use.

    A signal without a scale is NaN; where none has one the deviation is 0.
    """

    z: Vector
    deviation: float
    rate: Drift


def departure(
    smooth: Vector, scatter: Vector, trend: DiscountedTrend, usual: float, fresh: float | None = None
) -> Departure:
    """Return how far a unit is from its healthy self by its smoothed distance and the trend of its deviation.

    usual: see `prognosis.deviation_drift`. fresh: the use of a frame that is in the distance and not in the trend yet.
    """
    z = detection.z_scores(smooth, scatter)
    deviation = detection.index(z)
    if deviation is None:
        return Departure(z, 0.0, prognosis.deviation_drift(None, 0.0, usual))
    fit = (trend if fresh is None else trend.with_point(fresh, deviation)).fit()
    return Departure(z, deviation, prognosis.deviation_drift(_widened(fit), deviation, usual))


def _widened(trend: Trend | None) -> Trend | None:
    """Points that were smoothed are alike: the error of their slope is that much larger than least squares says."""
    if trend is None:
        return None
    return replace(trend, slope_deviation=trend.slope_deviation * math.sqrt((2.0 - SMOOTHING) / SMOOTHING))


@dataclass(slots=True)
class Return:
    """Watches for a unit that had gone far from its healthy self and is back: somebody may have fitted a new part.

    worst: the farthest it went. frames: for how many in a row it has been back, since when, in hours.
    """

    kept: ClassVar = Layout(numbers=("worst", "since"), wholes=("frames",))
    worst: float = 0.0
    frames: int = 0
    since: float = 0.0

    def take(self, deviation: float, hours: float) -> None:
        """Fold the deviation of a frame that ended then."""
        self.worst = max(self.worst, deviation)
        if self.worst < prognosis.FAILURE_DEVIATION / 2 or deviation > self.worst / 3:
            self.frames = 0
            return
        self.since = hours if not self.frames else self.since
        self.frames += 1

    @property
    def lasting(self) -> bool:
        """Whether it has been back for long enough to be told."""
        return self.frames >= SUSTAINED
