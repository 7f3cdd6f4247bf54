"""A life that has ended, to be judged by: what deciding by some beliefs would have cost over it.

It is replayed by `marketplace.hindsight` at its own component's costs, in calendar hours at the pace at which it was
used; whoever is judged has not seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final

from connectors.samples import Provenance
from gateway.learning.task import Case, Closed
from maintenance.belief import Belief
from maintenance.prognosis import Basis
from maintenance.settings import UsageWear
from marketplace.hindsight import Course, replays
from marketplace.stakes import Stakes, Supply, Survival
from marketplace.timing import Costs, stakes_by_age, stakes_of

STEPS: Final = 40
"""Decisions in a usual life, at most: where a site decides oftener, a replay of each would take hours and show the
same."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Beliefs that are judged are of no moment."""

Believing = Callable[[float], Belief | None]
"""What was believed of a life at a use; None: nothing that money could move on."""


def basis_of(life: Closed, case: Case) -> Basis:
    """Return what every belief about a life carries."""
    return Basis(case.unit, life.use_per_hour, EPOCH, Provenance.A, True, case.rated or None)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A life to be judged by: its end by use, and what the rule that needs no history believed of it."""

    life: Closed
    case: Case
    costs: Costs
    end: float
    rule: Believing

    @property
    def basis(self) -> Basis:
        """What every belief about it carries."""
        return basis_of(self.life, self.case)

    def courses(self, believing: Believing, patiences: Sequence[float], life: float, usual: float) -> list[Course]:
        """Return what deciding by these beliefs would have cost, for each patience, the least first.

        life: what the beliefs hold usual, by use; usual: what the kind's lives ran.
        """
        pace = self.life.use_per_hour

        @cache
        def believed(hours: float) -> Survival | None:
            belief = believing(hours * pace)
            known = belief is not None and belief.known
            return Survival(belief.use / pace, belief.survival) if known and belief is not None else None

        supply = Supply("", 0.0, self.case.delays)
        stakes = [self._stakes(life / pace, patience, supply) for patience in patiences]
        step = max(self.case.step, usual / pace / STEPS)
        return replays(believed, self.end / pace, stakes, supply, step)

    def _stakes(self, life_hours: float, patience: float, supply: Supply) -> Stakes:
        """Return what is at stake as `marketplace.timing` weighs it."""
        if isinstance(self.case.settings.wear, UsageWear):  # what is due on a day never fails, and is not judged
            return stakes_by_age(self.costs, life_hours, patience, self.case.shape, (supply,))
        return stakes_of(self.costs, life_hours, patience)
