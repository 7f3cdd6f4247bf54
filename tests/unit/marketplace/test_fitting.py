"""A part that is here is fitted in time, one that is on its way when it is here."""

from __future__ import annotations

import pytest

from marketplace.fitting import Fit, fitting
from marketplace.stakes import Supply
from tests.unit.marketplace.test_stakes import STAKES, weibull


def test_a_part_that_is_here_is_fitted_where_waiting_costs_more() -> None:
    here = Supply("", 0.0, (0.0,))
    early, late = (fitting(weibull(100, 4, age), STAKES, here, 0.0, 1.0) for age in (5.0, 150.0))
    assert early.cost_of_waiting < 0 < early.fit_after
    assert (late.fit_after, late.cost_of_waiting > 0) == (0.0, True)


def test_a_part_on_its_way_is_fitted_at_its_arrival_at_the_earliest() -> None:
    way = Supply("", 0.0, (10.0, 30.0), (0.25, 0.75))
    assert fitting(weibull(100, 4, 150.0), STAKES, way, 3.0, 1.0) == Fit(pytest.approx(3.0 + 25.0), 0.0)
