"""When a part is best fitted that is here or on its way: once use is worth less than the risk, in an opening if any.

The same costs as those of an order that has yet to be placed (`marketplace.stakes`). Values in, a value out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketplace.openings import Openings
from marketplace.stakes import Stakes, Supply, Survival, best_replacement, replacement_cost


@dataclass(frozen=True, slots=True)
class Fit:
    """When a part is best fitted that is here or on its way, in hours from the belief.

    cost_of_waiting: what fitting it one step later or at the best moment after that costs more than now; below zero:
    waiting pays.
    """

    fit_after: float
    cost_of_waiting: float


def fitting(
    survival: Survival, stakes: Stakes, held: Supply, since: float, step: float, openings: Openings | None = None
) -> Fit:
    """Return when a part is best fitted of which `held` is what is left of its delay, `since` hours from the belief.

    A part that is here is fitted now unless a moment from the next step on is better; of one that is not here yet the
    mean moment is told, and waiting for it costs nothing.
    """
    arrivals = since + np.asarray(held.delays)
    if max(held.delays) > 0:
        _, when = best_replacement(survival, stakes, arrivals, openings)
        return Fit(float(held.likely @ when), 0.0)
    now = replacement_cost(survival, stakes, arrivals[:1], openings)
    later, when = best_replacement(survival, stakes, arrivals[:1] + step, openings)
    waiting = float(later[0] - now[0])
    return Fit(since if waiting >= 0 else float(when[0]), waiting)
