"""What replacing a part cost over recorded lives, against one who knew the last cycle of each.

The setting is the published one for run-to-failure recordings: a decision every 10 cycles, lead time 20, a planned
replacement 100, a failure 500 and 10 for each cycle without a part, keeping a part 1 a cycle. Who fails without an
order orders then. Perfect foresight replaces at the last decision before the failure, with the part arriving then. The
ratio is cost per cycle in use over that of perfect foresight, over all lives together. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

STEP: Final = 10
LEAD_TIME: Final = 20
PLANNED: Final = 100.0
FAILURE: Final = 500.0
WAITING: Final = 10.0
HOLDING: Final = 1.0
RESAMPLES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Course:
    """What became of one life, in cycles: its failure, the arrival of the part, and when it was to be fitted.

    arrival: None: it was ordered at the failure. planned: not before the arrival; None: it was never to be fitted.
    """

    failure: int
    arrival: int | None
    planned: int | None

    @property
    def failed(self) -> bool:
        """Whether the failure came before the replacement."""
        return self._fitted >= self.failure

    @property
    def _fitted(self) -> float:
        return np.inf if self.planned is None or self.arrival is None else max(self.planned, self.arrival)

    def cost(self) -> float:
        """Return what it cost."""
        arrival = self.failure + LEAD_TIME if self.arrival is None else self.arrival
        if not self.failed:
            return PLANNED + HOLDING * (self._fitted - arrival)
        return FAILURE + WAITING * max(arrival - self.failure, 0) + HOLDING * max(self.failure - arrival, 0)

    def use(self) -> float:
        """Return the cycles in use."""
        return self.failure if self.failed else self._fitted

    def foreseen(self) -> int:
        """Return the cycles in use of one who knew the failure."""
        return (self.failure - 1) // STEP * STEP


def cost_ratio(courses: Sequence[Course]) -> float:
    """Return the cost rate of what happened over that of perfect foresight; 1 is the floor."""
    return float(_ratios(_columns([courses]), np.arange(len(courses))[None, :])[0])


def interval(runs: Sequence[Sequence[Course]], seed: int, share: float = 0.95) -> tuple[float, float]:
    """Return between what the mean ratio of several runs over the same lives lies.

    A bootstrap over lives, paired: each is drawn with its costs in every run and under perfect foresight (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, 13.3).
    """
    columns = _columns(runs)
    lives = columns.shape[2]
    ratios = _ratios(columns, np.random.default_rng(seed).integers(0, lives, (RESAMPLES, lives)))
    low, high = np.quantile(ratios, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def _columns(runs: Sequence[Sequence[Course]]) -> NDArray[np.float64]:
    """Return cost, use and foreseen use by run and life."""
    return np.array([[[one.cost(), one.use(), one.foreseen()] for one in run] for run in runs]).transpose(2, 0, 1)


def _ratios(columns: NDArray[np.float64], drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean ratio over the runs for each row of drawn lives."""
    cost, use, foreseen = columns[:, :, drawn].sum(axis=3)
    ratios: NDArray[np.float64] = ((cost / use) / (PLANNED * drawn.shape[1] / foreseen)).mean(axis=0)
    return ratios
