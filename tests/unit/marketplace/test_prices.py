"""A good price is taken early, a bad one waited out, and the end takes any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.prices import Wander
from marketplace.stakes import Supply, plan
from tests.unit.marketplace.test_stakes import STAKES, weibull


@pytest.mark.parametrize("wrong", [(0.0, 0.1, 60.0), (1.0, 0.0, 60.0), (1.0, 0.1, np.inf)])
def test_a_price_that_cannot_wander_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Wander(*wrong)


PRICED = Supply("maker", 0.0, (20.0,), price=100.0)


@given(st.floats(0.7, 1.4), st.floats(0, 100))
def test_a_price_is_good_or_waited_out_and_the_plan_says_which(now: float, age: float) -> None:
    best = plan(weibull(100, 4, age), STAKES, [PRICED], 1.0, price=Wander(now, 0.1, 60.0))
    assert (best.order_after == 0) is (best.cost_of_waiting >= 0)
    if abs(now - best.good_price) > 1e-6:
        assert (best.order_after == 0) is (now <= best.good_price)


def test_a_higher_price_is_never_bought_sooner_and_the_end_takes_any() -> None:
    def waiting(now: float, age: float) -> float:
        return plan(weibull(100, 4, age), STAKES, [PRICED], 1.0, price=Wander(now, 0.1, 60.0)).cost_of_waiting

    assert all(np.diff([waiting(now, 15.0) for now in np.linspace(0.7, 1.4, 15)]) < 0)
    assert waiting(0.8, 15.0) > 0 > waiting(1.2, 15.0)
    assert waiting(1.4, 170.0) > 0


def test_a_price_that_hardly_wanders_changes_no_plan() -> None:
    for age in (0.0, 20.0, 60.0):
        calm, plain = (plan(weibull(100, 4, age), STAKES, [PRICED], 5.0, price=each) for each in (QUIET, None))
        assert (calm.order_after, calm.supplier) == (plain.order_after, plain.supplier)
        assert calm.cost_of_waiting == pytest.approx(plain.cost_of_waiting, abs=0.01) or plain.cost_of_waiting < 0


QUIET = Wander(1.0, 1e-6, 60.0)
