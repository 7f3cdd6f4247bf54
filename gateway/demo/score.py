"""What became of each recorded unit that was bought for, and what all of it cost; the setting is `replacement`'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway import replacement


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
        return not self.course.failed

    @property
    def course(self) -> replacement.Course:
        """The part is fitted when it arrives, or the unit fails first."""
        return replacement.Course(self.failure, self.arrival, self.arrival)


def cost_ratio(outcomes: Sequence[Outcome]) -> float:
    """Return the cost rate of what happened over that of perfect foresight; 1 is the floor."""
    return replacement.cost_ratio([one.course for one in outcomes])
