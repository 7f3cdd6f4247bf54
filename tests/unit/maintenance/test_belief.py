"""A belief refuses to be anything but a distribution, and translates use into calendar time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.samples import Provenance
from maintenance.belief import Belief

AT = datetime(2026, 3, 2, tzinfo=UTC)


def belief(use: list[float], survival: list[float], **changes: Any) -> Belief:
    terms: dict[str, Any] = {"unit": "h", "use_per_hour": 0.5, "as_of": AT, "provenance": Provenance.A}
    return Belief.of(use, survival, **terms | changes)


def test_calendar_time_is_use_over_utilisation():
    half = belief([0, 100, 200], [1, 0.5, 0])
    assert half.remaining_use(0.5) == pytest.approx(100)
    assert half.remaining_time(0.5) == timedelta(hours=200)
    assert half.failure_probability(timedelta(hours=100)) == pytest.approx(0.25)


def test_beyond_the_grid_nothing_is_claimed():
    long = belief([0, 100], [1, 0.9])
    assert long.remaining_use(0.5) is None
    assert long.remaining_time(0.5) is None
    assert long.failure_probability(timedelta(days=10_000)) == pytest.approx(0.1)


def test_raw_survival_is_made_monotone():
    assert belief([0, 1, 2], [1.2, 0.5, 0.6]).survival.tolist() == [1.0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("use", "survival", "changes"),
    [
        ([0], [1], {}),
        ([1, 2], [1, 0], {}),
        ([0, 0], [1, 0], {}),
        ([0, 1], [1, float("nan")], {}),
        ([0, 1], [1, 0], {"use_per_hour": 0.0}),
        ([0, 1], [1, 0], {"use_per_hour": float("inf")}),
    ],
)
def test_what_is_no_distribution_is_refused(use: list[float], survival: list[float], changes: dict[str, Any]):
    with pytest.raises(ValueError, match=r".+"):
        belief(use, survival, **changes)
