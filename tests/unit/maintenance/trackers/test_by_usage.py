"""Use: a counter with a rated life, a due date, a calendar."""

from __future__ import annotations

from datetime import datetime, timedelta

from maintenance.assets import Life
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched


def need(now: datetime, days: float, used_before: float | None, **wear: object) -> Need:
    settings = ComponentSettings.model_validate(
        {"name": "x", "rated_life": "1000 h", "wear": {"by": "usage"} | wear, "job": {"title": "x"}}
    )
    monitor = Monitor({"m/x": Watched("m", settings, {})}, {"m/x": Life("l", "m/x", now, used_before)})
    return monitor.assess("m/x", now + timedelta(days=days))


def test_without_a_counter_the_shifts_make_the_use(now: datetime):
    assert need(now, 10, 0.0, hours_per_day=16).evidence[0].parameters["used"] == "160"


def test_what_a_part_had_run_before_counts(now: datetime):
    assert need(now, 0, 400.0).health == 0.6


def test_an_unknown_past_is_never_known(now: datetime):
    one = need(now, 0, None)
    assert not one.belief.known
    assert [reason.code for reason in one.evidence] == ["USAGE", "PAST_UNKNOWN"]


def test_what_is_due_is_certain_until_it_is_due(now: datetime):
    one = need(now, 30, 0.0, due=True)
    left = 1000 - 30 * 24
    assert one.belief.failure_probability(timedelta(hours=left - 1)) == 0.0
    assert one.belief.failure_probability(timedelta(hours=left + 11)) > 0.99


def test_a_sharper_shape_is_more_certain(now: datetime):
    early = timedelta(hours=300)
    assert need(now, 0, 0.0, shape=8).belief.failure_probability(early) < need(
        now, 0, 0.0, shape=2
    ).belief.failure_probability(early)
