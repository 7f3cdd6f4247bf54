"""Use: a counter with a rated life, a due date, a calendar."""

from __future__ import annotations

from datetime import datetime, timedelta

from connectors.samples import Provenance, Quality, Sample
from maintenance.assets import Life
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched
from maintenance.trackers.by_usage import UsageTracker


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


def counted(now: datetime, readings: list[float], **wear: object) -> Need:
    settings = ComponentSettings.model_validate(
        {
            "name": "x",
            "rated_life": "1000 cycles",
            "wear": {"by": "usage", "tag": "left", "resets_at_fitting": True} | wear,
            "job": {"title": "x"},
        }
    )
    monitor = Monitor({"m/x": Watched("m", settings, {"left": "cycles"})}, {"m/x": Life("l", "m/x", now, None)})
    for minute, value in enumerate(readings):
        monitor.take(shown(value, now + timedelta(minutes=minute)))
    return monitor.assess("m/x", now + timedelta(minutes=len(readings)))


def shown(value: float, at: datetime) -> Sample:
    return Sample("m/left", value, Quality.GOOD, at, at, Provenance.A)


def test_a_counter_that_runs_down_tells_what_is_gone(now: datetime):
    one = counted(now, [400.0, 399.0], as_new=1000, counts_down=True)
    assert one.evidence[0].parameters["used"] == "601"
    assert one.belief.known


def test_a_counter_that_begins_elsewhere_counts_from_there(now: datetime):
    assert counted(now, [5100.0, 5101.0], as_new=5000).evidence[0].parameters["used"] == "101"


def test_a_counter_that_was_set_back_to_new_proposes_a_fitting(now: datetime):
    settings = ComponentSettings.model_validate(
        {
            "name": "x",
            "rated_life": "1000 cycles",
            "wear": {"by": "usage", "tag": "left", "resets_at_fitting": True, "as_new": 1000, "counts_down": True},
            "job": {"title": "x"},
        }
    )
    tracker = UsageTracker(settings, {"left": "cycles"})
    for minute, value in enumerate([100.0, 99.0, *[1000.0] * 6]):
        tracker.take(0, value, minute / 60)
    found = tracker.proposal()
    assert found is not None
    assert (found.code, found.parameters["was"]) == ("COUNTER_RESET", "901")
