"""What buying for recorded lives cost, against one who knew the last cycle of each.

The setting is the published one for run-to-failure recordings: a decision every 10 cycles, lead time 20, a planned
replacement 100, a failure 500 and 10 for each cycle without a part, keeping a part 1 a cycle. A unit that fails without
an order orders then. Perfect foresight replaces at the last decision before the failure, with the part arriving then.
The ratio is cost per cycle in use over that of perfect foresight, over all units together. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

STEP: Final = 10
LEAD_TIME: Final = 20
PLANNED: Final = 100.0
FAILURE: Final = 500.0
WAITING: Final = 10.0
HOLDING: Final = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recorded unit, in cycles: orders placed, the first order, its part's arrival, the failure."""

    unit: int
    orders: int
    order: int | None
    arrival: int | None
    failure: int

    @property
    def in_time(self) -> bool:
        """Whether the part was there before the failure."""
        return self.arrival is not None and self.arrival < self.failure

    def cost(self) -> float:
        """Return what the unit cost; the part is fitted when it arrives, or the unit fails first."""
        if self.in_time:
            return PLANNED
        arrival = self.arrival if self.arrival is not None else self.failure + LEAD_TIME
        return FAILURE + WAITING * max(arrival - self.failure, 0)

    def use(self) -> int:
        """Return the cycles that the unit was in use."""
        return self.arrival if self.in_time and self.arrival is not None else self.failure


def cost_ratio(outcomes: Sequence[Outcome]) -> float:
    """Return the cost rate of what happened over that of perfect foresight; 1 is the floor."""
    cost = sum(one.cost() for one in outcomes) / sum(one.use() for one in outcomes)
    foresight = PLANNED * len(outcomes) / sum((one.failure - 1) // STEP * STEP for one in outcomes)
    return cost / foresight
