"""What a machine foretells is believed to the hour, doubted before it is told, and survives a restart."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from connectors.samples import Provenance, Quality, Sample
from maintenance.assets import Life
from maintenance.monitor import Monitor
from maintenance.settings import ComponentSettings, problems
from maintenance.slots import Watched
from maintenance.trackers.by_foretelling import ForetoldTracker

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
DUE = NOW + timedelta(days=12)
SETTINGS = ComponentSettings.model_validate(
    {"name": "Grease", "wear": {"by": "foretold", "tag": "predicted"}, "job": {"title": "Grease the axis"}}
)
TAGS = {"predicted": "s"}


def monitor() -> Monitor:
    return Monitor({"m/grease": Watched("m", SETTINGS, TAGS)}, {"m/grease": Life("l", "m/grease", NOW)})


def told(moment: float, at: datetime = NOW, quality: Quality = Quality.GOOD) -> Sample:
    return Sample("m/predicted", moment, quality, at, at, Provenance.A, "in words")


def test_before_anything_is_told_nothing_is_known():
    need = monitor().assess("m/grease", NOW)
    assert not need.belief.known
    assert need.evidence[0].code == "NOT_FORETOLD"


def test_it_is_due_when_the_machine_says_so():
    watching = monitor()
    watching.take(told(DUE.timestamp()))
    need = watching.assess("m/grease", NOW + timedelta(hours=1))
    assert need.belief.known
    assert need.belief.failure_probability(timedelta(days=11)) == 0.0
    assert need.belief.failure_probability(timedelta(days=12, hours=4)) == pytest.approx(1.0)
    assert need.evidence[0].code == "FORETOLD"
    assert need.evidence[0].parameters["at"] == "2026-03-14T08:00+00:00"
    later = watching.assess("m/grease", NOW + timedelta(days=6))
    assert later.health == pytest.approx(0.5)
    assert watching.assess("m/grease", DUE + timedelta(days=1)).health == 0.0


def test_a_moment_that_is_told_anew_counts_and_an_empty_one_is_none():
    watching = monitor()
    watching.take(told(DUE.timestamp()))
    sooner = NOW + timedelta(days=2)
    watching.take(told(sooner.timestamp(), NOW + timedelta(hours=1)))
    need = watching.assess("m/grease", NOW + timedelta(hours=2))
    assert need.belief.failure_probability(timedelta(days=3)) == pytest.approx(1.0)
    watching.take(told(-11_644_473_600.0, NOW + timedelta(hours=3)))
    assert not watching.assess("m/grease", NOW + timedelta(hours=4)).belief.known


def test_a_bad_value_foretells_nothing():
    watching = monitor()
    watching.take(told(float("nan"), quality=Quality.BAD))
    assert not watching.assess("m/grease", NOW).belief.known


def test_a_restart_changes_nothing():
    watching, again = monitor(), monitor()
    watching.take(told(DUE.timestamp()))
    assert again.restore(json.loads(json.dumps(watching.snapshot()))) == []
    at = NOW + timedelta(days=3)
    assert again.assess("m/grease", at).belief.failure_probability(timedelta(days=10)) == pytest.approx(1.0)
    assert again.assess("m/grease", at).health == watching.assess("m/grease", at).health


def test_a_new_part_has_a_prognosis_of_its_own():
    tracker = ForetoldTracker(SETTINGS, TAGS)
    tracker.take(0, DUE.timestamp(), NOW.timestamp() / 3600)
    tracker.begin(0.0, NOW.timestamp() / 3600, {})
    assert tracker.due is None
    assert tracker.proposal() is None


def test_nobody_types_a_prognosis_in():
    with pytest.raises(ValueError, match="machine itself"):
        monitor().reading("m/grease", 5.0, NOW, "anna")


def test_mistakes_are_said():
    rated = SETTINGS.model_copy(update={"rated_life": ComponentSettings.model_validate(
        {"name": "x", "rated_life": "5 h", "wear": {"by": "usage"}, "job": {"title": "x"}}).rated_life})  # fmt: skip
    assert [path for path, _text in problems(rated, TAGS)] == ["rated_life"]
    assert [path for path, _text in problems(SETTINGS, {"predicted": "h"})] == ["wear.tag"]
    assert [path for path, _text in problems(SETTINGS, {})] == ["wear.tag"]
    assert problems(SETTINGS, TAGS) == []
