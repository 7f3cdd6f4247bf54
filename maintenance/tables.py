"""What a prediction was worth: what lives really had left where regressions that had not seen them said so much.

That table, smoothed by kernels, is a belief (Nadaraya and Watson, 1964; conditional Kaplan-Meier after Beran, 1981,
without censoring). No cost, no clock, no chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from maintenance.features import Vector
from maintenance.walks import CAP, FLOOR

WIDTH, WIDTH_SHARE = 0.01, 0.04
REST, REST_SHARE = 0.005, 0.03
"""Kernels of the table, in shares of the usual life and of the value: over predictions, and over what was left."""
SURPRISE: Final = 0.01
"""Share of parts that fail within a usual life by what no signal shows."""
PREDICTIONS, USES, AHEAD = 48, 96, 1.6
"""The table's rows and columns, and how many usual lives it looks ahead."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What was left where so much was predicted: survival of shape (predictions, uses), a row for each prediction."""

    predictions: Vector
    use: Vector
    survival: Vector

    def at(self, prediction: float) -> Vector:
        """Return the survival over `use` for one prediction, between the rows."""
        place = float(np.interp(prediction, self.predictions, np.arange(len(self.predictions))))
        low = min(int(place), len(self.predictions) - 2)
        share = place - low
        between: Vector = (1.0 - share) * self.survival[low] + share * self.survival[low + 1]
        return between

    def mean(self, prediction: float, most: float) -> float:
        """Return what is left in the mean, by use, where more than `most` counts as that: the area below the survival
        (restricted mean survival time: Irwin, Journal of Hygiene 47, 1949)."""
        use = np.append(self.use[self.use < most], most)
        survival = np.interp(use, self.use, self.at(prediction))
        return float(np.sum(np.diff(use) * (survival[1:] + survival[:-1]) / 2.0))


def table(predicted: Sequence[Vector], rests: Sequence[Vector], usual: float) -> Table:
    """Return the table of lives: what regressions that had not seen them predicted, and what was left.

    With few lives kernels and errors are wider: what one life showed is not what the next will.
    """
    return _table([_seen(np.concatenate(list(predicted)), np.concatenate(list(rests)), usual, len(predicted))], usual)


def tables_without(
    predicted: Sequence[Vector], rests: Sequence[Vector], usual: float, groups: Sequence[Sequence[int]]
) -> list[Table]:
    """Return the table without each group of lives, none of which is empty or all.

    What a life adds to a table is a sum, so that each life is weighed but once.
    """
    others = len(predicted) - max(len(group) for group in groups)
    told = ([np.concatenate([each[at] for at in group]) for each in (predicted, rests)] for group in groups)
    seen = [_seen(said, left, usual, others) for said, left in told]
    return [_table([each for at, each in enumerate(seen) if at != group], usual) for group in range(len(groups))]


def _axes(usual: float) -> tuple[Vector, Vector]:
    """The rows and columns of a table: predictions, and uses."""
    rows = np.concatenate(
        (np.linspace(0.0, 0.3, PREDICTIONS // 2, endpoint=False), np.linspace(0.3, CAP, PREDICTIONS // 2))
    )
    use = np.concatenate(([0.0], np.linspace(0.0, 0.5, USES // 2)[1:], np.geomspace(0.5, AHEAD, USES // 2)[1:]))
    return usual * rows, usual * use


Seen = tuple[Vector, Vector]
"""How near the nearest of some lives came to each row of a table, as a logarithm, and the sums of their kernels."""


def _seen(said: Vector, left: Vector, usual: float, lives: int) -> Seen:
    rows, use = _axes(usual)
    wider = 1.0 + 3.0 / max(lives, 1)
    nearest, sums = np.empty(len(rows)), np.empty((len(rows), len(use)))
    for row, prediction in enumerate(rows):
        nearness = -0.5 * ((said - prediction) / (wider * (WIDTH * usual + WIDTH_SHARE * prediction))) ** 2
        nearest[row] = nearness.max()
        weight = np.exp(nearness - nearest[row])
        kept = weight > 1e-4
        blur = 0.55 * wider * (REST * usual + REST_SHARE * prediction)
        carried = _carried(left[kept], said[kept], float(prediction), usual, wider)
        sums[row] = _blurred(carried, use, blur) @ weight[kept]
    return nearest, sums


def _carried(left: Vector, said: Vector, prediction: float, usual: float, wider: float) -> Vector:
    """Return what would have been left had so much been predicted, by the error that was made, so much wider.

    Errors are told as they are regressed, by logarithms (`walks.told`). Were rests taken as they are, every kernel over
    predictions would add its own width to what a prediction leaves open.
    """
    floor = FLOOR * usual
    return np.maximum((prediction + floor) * ((left + floor) / (said + floor)) ** wider - floor, 0.0)


def _blurred(left: Vector, use: Vector, width: float) -> Vector:
    """Return the survival of rests at each use, each blurred by a logistic kernel."""
    survival: Vector = 1.0 / (1.0 + np.exp(np.clip((use[:, None] - left) / width, -40.0, 40.0)))
    return survival


def _table(seen: Sequence[Seen], usual: float) -> Table:
    """Return the table of what was seen, given that all still work."""
    rows, use = _axes(usual)
    nearest = np.max([near for near, _sums in seen], axis=0)
    total = np.sum([sums * np.exp(near - nearest)[:, None] for near, sums in seen], axis=0)
    survival = total / total[:, :1] * np.exp(-SURPRISE * use / usual)
    return Table(rows, use, np.minimum.accumulate(survival, axis=1))
