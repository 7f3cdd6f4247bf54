"""One more order after one that is late: worth its price when the part may fail before the first is in.

What lateness costs with and without it, in expectation (`marketplace.stakes`); the part too many serves the next life.
Values in, a value out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from marketplace.stakes import Stakes, Supply, Survival, emergency, leftover


def second_order(
    survival: Survival, stakes: Stakes, supplies: Sequence[Supply], under_way: Supply, step: float
) -> Supply | None:
    """Return from whom to order one more part now, although one is under way; None where that had better wait.

    under_way: what is left of the delay of the first. One more is worth its price when the first is so late that the
    part may fail before it: now, if neither a step later nor never costs less. A failure without a second order is
    rescued. Raises ValueError without supplies.
    """
    cap = emergency(stakes, supplies) + leftover(stakes)
    never = late_costs(survival, stakes, None, under_way, np.inf, cap)
    now, later = (
        [late_costs(survival, stakes, each, under_way, after, cap) for each in supplies] for after in (0.0, step)
    )
    return supplies[int(np.argmin(now))] if min(now) < min(never, *later) else None


def late_costs(
    survival: Survival, stakes: Stakes, second: Supply | None, under_way: Supply, after: float, cap: float
) -> float:
    """Return what lateness costs in expectation, a second order and its leftover part included.

    Until the second order is placed, a failure at t costs min(first - t, cap); from then on whichever comes first.
    """
    first = np.asarray(under_way.delays)[:, None]
    placed = np.minimum(after, first)
    second_in = first if second is None else np.where(placed < first, placed + np.asarray(second.delays), first)
    there = np.minimum(first, second_in)
    waits = cap / stakes.standstill if stakes.standstill else np.inf
    capped = np.clip(first - waits, 0.0, placed)
    (alive, until), (alive_capped, until_capped) = survival.at(placed), survival.at(capped)
    _, until_there = survival.at(there)
    late = (
        np.minimum(waits, first) * (1.0 - alive_capped)
        + (first - capped) * alive_capped - (first - placed) * alive - until + until_capped
        + (there - placed) * alive - until_there + until
    )  # fmt: skip
    cost = stakes.standstill * late - stakes.holding * until_there
    if second is None:
        return float(under_way.likely @ cost[:, 0])
    cost = cost + np.where(placed < first, alive * (second.extra + leftover(stakes)), 0.0)
    return float(under_way.likely @ cost @ second.likely)
