"""One distribution object for remaining life, whatever estimated it.

A belief is the survival function of one life, `S(u) = P(still works after u more units of use)`, on a grid that
begins at 0, together with the machine's utilisation, which translates use into calendar time:
`u = hours * use_per_hour`. Between grid points it is interpolated linearly; beyond the last point it is held, because
nothing is known there. It is a value: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from connectors.samples import Provenance

__all__ = ["Belief", "Provenance"]


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """Survival of one life over remaining use.

    use: ascending grid of remaining use, first entry 0, in `unit` (h, cycles).
    survival: same shape, within [0, 1], never increasing.
    use_per_hour: expected units of use per calendar hour, above 0.
    known: False when the past of the part is unknown or the evidence is too thin to spend on without a person.
    life: what such a part usually reaches from new, in `unit`, above 0; None when nobody says.
    """

    use: NDArray[np.float64]
    survival: NDArray[np.float64]
    unit: str
    use_per_hour: float
    as_of: datetime
    provenance: Provenance
    known: bool = True
    life: float | None = None

    def __post_init__(self) -> None:
        if self.use.shape != self.survival.shape or self.use.ndim != 1 or self.use.size < 2:
            raise ValueError("a belief needs one survival for each of at least two grid points")
        if self.use[0] != 0 or not np.all(np.diff(self.use) > 0):
            raise ValueError("the grid of a belief begins at 0 and ascends")
        if not (np.all(np.isfinite(self.survival)) and np.all(np.diff(self.survival) <= 1e-12)):
            raise ValueError("survival is finite and never increases")
        if self.survival[0] > 1 or self.survival[-1] < 0:
            raise ValueError("survival lies within 0 and 1")
        if not (np.isfinite(self.use_per_hour) and self.use_per_hour > 0):
            raise ValueError("utilisation is finite and above 0")
        if self.life is not None and not (np.isfinite(self.life) and self.life > 0):
            raise ValueError("a usual life is finite and above 0")

    def failure_probability(self, within: timedelta) -> float:
        """Return the probability of failure within a calendar time from `as_of`, given that it works then."""
        hours = max(within.total_seconds(), 0.0) / 3600.0
        return 1.0 - float(np.interp(hours * self.use_per_hour, self.use, self.survival))

    def remaining_use(self, probability: float) -> float | None:
        """Return the use after which the failure probability reaches `probability`, or None beyond the grid."""
        level = 1.0 - probability
        if self.survival[-1] > level:
            return None
        return float(np.interp(-level, -self.survival, self.use))

    def remaining_time(self, probability: float = 0.5) -> timedelta | None:
        """Return the calendar time after which failure reaches `probability`, or None beyond the grid."""
        use = self.remaining_use(probability)
        return None if use is None else timedelta(hours=use / self.use_per_hour)

    @classmethod
    def of(
        cls,
        use: Sequence[float] | NDArray[np.float64],
        survival: Sequence[float] | NDArray[np.float64],
        *,
        unit: str,
        use_per_hour: float,
        as_of: datetime,
        provenance: Provenance,
        known: bool = True,
        life: float | None = None,
    ) -> Belief:
        """Build a belief from an estimator's raw survival: clipped to [0, 1] and made monotone."""
        grid = np.asarray(use, dtype=np.float64)
        monotone = np.minimum.accumulate(np.clip(np.asarray(survival, dtype=np.float64), 0.0, 1.0))
        return cls(grid, monotone, unit, use_per_hour, as_of, provenance, known, life)
