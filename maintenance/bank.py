"""Moving averages of many components at once (ISO 13374 DM): what every estimator by deviation is told of each.

A row is a component; a frame is what its signals were on average within one span. Once a row's healthy self is known
it begins at it, and each later frame moves five averages of different memory, its deviation and the deviation's trend
in constant time, whole batches by a few array operations. A signal that is missing in a frame (NaN) stays where it
was. A tracker is a bank of one row; whoever learns walks many lives side by side. No tag, no unit, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from maintenance.features import TRIM, DiscountedTrend, Vector
from maintenance.packing import Packer, Unpacker

ALPHAS: Final = (0.3, 0.2, 0.1, 0.06, 0.03)
"""Weights of a new frame: memories of about 3, 5, 10, 17 and 33 frames."""
DEVIATING: Final = ALPHAS.index(0.1)
"""The average whose distance from health is the deviation: about ten frames make one opinion."""
SMOOTHING: Final = ALPHAS[DEVIATING]
"""The weight of a new frame in it."""
KEEP: Final = 0.95
"""The trend of the deviation remembers about twenty frames."""
_MOMENTS: Final = ("s0", "s1", "s2", "y0", "y1", "yy", "points")
"""Those of `DiscountedTrend`, about the newest point."""

Rows = NDArray[np.intp]


class Bank:
    """The moving averages of `components` rows by `signals` columns; see the module.

    averages: shape (rows, alphas, signals), distances from the row's healthy mean in the signals' own units.
    healthy: shape (rows, signals), the row's healthy mean. deviation, slope: shape (rows,), in scatters and by use.
    """

    def __init__(self, components: int, signals: int) -> None:
        self.averages = np.zeros((components, len(ALPHAS), signals))
        self.healthy = np.zeros((components, signals))
        self.deviation = np.zeros(components)
        self._moments = np.zeros((len(_MOMENTS), components))
        self._use = np.full(components, np.nan)
        self._weights = np.array(ALPHAS)[:, None]

    def begin(self, rows: Rows, healthy: Vector) -> None:
        """Rows begin at their healthy means, shape (len(rows), signals)."""
        self.healthy[rows] = healthy
        self.averages[rows] = 0.0
        self.deviation[rows] = 0.0
        self._moments[:, rows] = 0.0
        self._use[rows] = np.nan

    def take(self, rows: Rows, frames: Vector, use: Vector, scatter: Vector) -> None:
        """Fold one frame of each row, shape (len(rows), signals); no row twice.

        use: what each row has run; a fall counts as standing still. scatter: the healthy standard deviation of each
        signal, one row for all or one for each; 0 leaves a signal out of the deviation.
        """
        distance = (frames - self.healthy[rows])[:, None, :]
        averages = self.averages[rows]
        step = self._weights * (distance - averages)
        averages += np.where(np.isfinite(step), step, 0.0)
        self.averages[rows] = averages
        self.deviation[rows] = deviation(averages[:, DEVIATING], scatter)
        telling = (scatter > 0).any(axis=-1)
        if telling.all():
            self._lengthen(rows, use)
        elif telling.any():  # a row whose signals all stand still has no deviation that could have a trend
            self._lengthen(rows[telling], use[telling])

    def _lengthen(self, rows: Rows, use: Vector) -> None:
        """Fold the deviation into its trend, as `DiscountedTrend.take` does."""
        before, value = self._use[rows], self.deviation[rows]
        step = np.fmax(use - before, 0.0)
        s0, s1, s2, y0, y1, yy, points = self._moments[:, rows]
        s2 = KEEP * (s2 + 2 * step * s1 + step * step * s0)
        s1, y1 = KEEP * (s1 + step * s0), KEEP * (y1 + step * y0)
        s0, y0, yy = KEEP * s0 + 1.0, KEEP * y0 + value, KEEP * yy + value * value
        self._moments[:, rows] = s0, s1, s2, y0, y1, yy, points + 1.0
        self._use[rows] = np.fmax(before, use)

    def moments(self, rows: Rows) -> Vector:
        """Return what is kept of the trend of each row's deviation, for `trend_of`."""
        return np.vstack((self._moments[:, rows], np.nan_to_num(self._use[rows]))).T

    def slope(self, rows: Rows) -> Vector:
        """Return the slope of the deviation by use; 0 where a line cannot be drawn yet."""
        s0, s1, s2, y0, y1 = self._moments[:5, rows]
        determinant = s0 * s2 - s1 * s1
        drawn = determinant > 1e-9 * s0 * np.maximum(s2, 1e-12)
        return np.where(drawn, (y0 * s1 - s0 * y1) / np.where(drawn, determinant, 1.0), 0.0)

    def pack(self, row: int, packer: Packer) -> None:
        """Pack one row: 48 bytes a signal and 72 besides."""
        packer.array(self.averages[row])
        packer.array(self.healthy[row])
        packer.array(self._moments[:, row])
        packer.number(float(self.deviation[row]))
        packer.number(float(self._use[row]))

    def unpack(self, row: int, packed: Unpacker) -> None:
        """Go on with a row that was packed with as many signals."""
        self.averages[row] = packed.array(*self.averages.shape[1:])
        self.healthy[row] = packed.array(self.healthy.shape[1])
        self._moments[:, row] = packed.array(len(_MOMENTS))
        self.deviation[row], use = packed.number(), packed.number()
        self._use[row] = np.nan if use is None else use

    def adopt(self, row: int, state: Mapping[str, Any]) -> None:
        """Go on with a row of a snapshot from before states were packed."""
        self.averages[row], self.healthy[row] = state["averages"], state["healthy"]
        self.deviation[row], self._moments[:, row] = state["deviation"], state["moments"]
        self._use[row] = np.nan if state["use"] is None else state["use"]


def trend_of(moments: Vector) -> DiscountedTrend:
    """Return the trend of one row by its `Bank.moments`."""
    *sums, points, at = moments.tolist()
    return DiscountedTrend(KEEP, int(points), at, *sums)


def deviation(distance: Vector, scatter: Vector) -> Vector:
    """Return how far rows are from their healthy selves: the mean of |z| over signals, the extreme fifths left out.

    distance: shape (rows, signals). A signal without a scatter is left out; 0 where none has one.
    """
    if (scatter > 0).all() and np.isfinite(distance).all():
        z, cut = np.abs(distance / scatter), int(distance.shape[1] * TRIM)
        z.sort(axis=1)
        trimmed: Vector = z[:, cut : z.shape[1] - cut].mean(axis=1)
        return trimmed
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(np.where(scatter > 0, distance / scatter, np.nan))
    told = np.isfinite(z).sum(axis=1)
    cut_each = (told * TRIM).astype(int)[:, None]
    ordered, place = np.sort(z, axis=1), np.arange(z.shape[1])
    kept = (place >= cut_each) & (place < told[:, None] - cut_each)
    mean: Vector = np.where(kept, ordered, 0.0).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
    return mean
