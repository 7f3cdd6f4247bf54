"""One more order costs what playing it out costs, and is sent only where the part may not last."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marketplace.second_order import late_costs, second_order
from marketplace.stakes import Supply, leftover
from tests.unit.marketplace.test_stakes import STAKES, weibull

FAST = Supply("fast", 30.0, (1.0, 3.0))


@pytest.mark.parametrize(("second", "after"), [(None, np.inf), (FAST, 0.0), (FAST, 10.0)])
def test_a_second_order_costs_what_playing_it_out_costs(second: Supply | None, after: float) -> None:
    survival, first, cap = weibull(100, 4, age=90), Supply("slow", 0.0, (5.0, 40.0)), 150.0
    chance = (np.arange(100_000) + 0.5) / 100_000
    fails = np.interp(1 - chance, survival.survival[::-1], survival.hours[::-1], left=np.inf)
    total = 0.0
    for one in first.delays:
        for other in second.delays if second else (np.inf,):
            placed = (fails > after) & (one > after) & (second is not None)
            there = np.where(placed, min(one, after + other), one)
            waits = STAKES.standstill * np.maximum(there - fails, 0)
            extra = placed * ((second.extra if second else 0.0) + leftover(STAKES))
            total += float(np.mean(np.where(placed, waits, np.minimum(waits, cap)) + extra)) / 2
            total -= STAKES.holding * float(np.mean(np.minimum(fails, min(one, after + other)))) / 2
    total /= len(second.delays) if second else 1
    assert late_costs(survival, STAKES, second, first, after, cap) == pytest.approx(total, rel=5e-3)


def test_a_second_order_is_sent_after_one_that_is_late_only_where_the_part_may_not_last() -> None:
    late, soon = Supply("slow", 0.0, (60.0, 90.0)), Supply("slow", 0.0, (0.5,))
    assert second_order(weibull(100, 4, age=120), STAKES, [FAST], late, 1.0) is FAST
    assert second_order(weibull(100, 4, age=120), STAKES, [FAST], soon, 1.0) is None
    assert second_order(weibull(1000, 4), STAKES, [FAST], late, 1.0) is None
    assert second_order(weibull(100, 4, age=120), replace(STAKES, standstill=0.0), [FAST], late, 1.0) is None
