"""From needs, connections and tags to findings: what is wrong, what cannot be judged, and what explains what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from maintenance.alarms.conditions import HORIZON, Decision, Line, Plant, Stuck, of_connections, of_site
from maintenance.alarms.kinds import AlarmKind, Consequence, Priority
from maintenance.alarms.rules import Rules, Said, SaidOf
from maintenance.alarms.stillness import Sensor, Stillness
from maintenance.belief import Belief, Provenance
from maintenance.needs import NEVER_HEARD, Evidence, Need

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEY = "mill/bearing"
_K = AlarmKind


def need(health: float = 0.9, fails_after: timedelta = 300 * DAY, *codes: str, known: bool = True, **told: str) -> Need:
    """A need whose part fails for certain between now and twice `fails_after`."""
    hours = fails_after / HOUR
    belief = Belief.of(
        [0.0, 2 * hours], [1.0, 0.0], unit="h", use_per_hour=1.0, as_of=NOW, provenance=Provenance.A, known=known
    )
    evidence = tuple(Evidence(code, told) for code in codes)
    return Need("mill", KEY, "life", 1, "Change it", (), belief, health, evidence, NOW)


def found(one: Need, plant: Plant | None = None, rules: Rules | None = None, now: datetime = NOW):
    return {each.kind: each for each in of_site([one], plant or Plant(), rules or Rules(), now)}


def test_a_component_that_is_well_is_not_spoken_of():
    assert found(need()) == {}


@pytest.mark.parametrize(("health", "active"), [(0.10, True), (0.20, True), (0.22, None), (0.30, False)])
def test_health_is_low_below_the_limit_and_undecided_within_the_band(health, active):
    assert getattr(found(need(health)).get(_K.HEALTH_LOW), "active", False) is active


def test_priority_follows_from_how_soon_it_fails_and_how_bad_that_is():
    assert found(need(0.1))[_K.HEALTH_LOW].priority is Priority.LOW
    soon = found(need(0.1, 2 * HOUR))[_K.HEALTH_LOW]
    assert (soon.priority, soon.due) == (Priority.HIGH, NOW + 2 * HOUR)
    severe = Rules(components={KEY: SaidOf(consequence=Consequence.SEVERE)})
    assert found(need(0.1, 2 * HOUR), rules=severe)[_K.HEALTH_LOW].priority is Priority.CRITICAL


def test_failure_is_likely_before_a_part_could_be_here():
    assert found(need(0.9, HORIZON))[_K.FAILURE_LIKELY].active
    assert found(need(0.9, HORIZON * 1.2))[_K.FAILURE_LIKELY].active is None
    quick = Plant(decisions={KEY: Decision(None, DAY, False)})
    assert found(need(0.9, HORIZON), quick) == {}
    assert found(need(0.9, HORIZON * 1.2), now=NOW + 5 * DAY)[_K.FAILURE_LIKELY].active  # a belief grows older


def test_doubted_evidence_raises_nothing_about_wear_and_clears_nothing():
    told = found(need(0.0, HOUR, known=False))
    assert {kind: each.active for kind, each in told.items()} == {_K.HEALTH_LOW: None, _K.FAILURE_LIKELY: None}


@pytest.mark.parametrize("code", ["STALE", NEVER_HEARD])
def test_a_silent_tag_is_one_alarm_however_many_components_read_it(code):
    silent = need(0.9, 300 * DAY, code, tag="vibration", known=False)
    several = [silent, replace(silent, component="mill/seal")]
    plant = Plant(connections={"mill": "hall"})
    told = [each for each in of_site(several, plant, Rules(), NOW) if each.kind is _K.SENSOR_SILENT]
    assert {(each.key, each.connection) for each in told} == {("sensor_silent|mill/vibration", "hall")}


def test_a_tag_that_cannot_be_read_is_not_silent_besides():
    plant = Plant(lines=[Line("hall", True, NOW, unreadable={"mill/vibration": "no such node"})])
    told = found(need(0.9, 300 * DAY, "STALE", tag="vibration"), plant)
    assert set(told) == {_K.TAG_UNREADABLE}
    assert told[_K.TAG_UNREADABLE].parameters == {"tag": "mill/vibration", "reason": "no such node"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("COUNTER_JUMPED_AHEAD", _K.COUNTER_DOUBTED),
        ("CLOCK_JUMPED_AHEAD", _K.COUNTER_DOUBTED),
        ("COUNTER_JUMPED_BACK", _K.COUNTER_DOUBTED),
        ("CLOCK_JUMPED_BACK", _K.CONTRADICTION),
    ],
)
def test_a_doubted_counter_is_told_unless_a_new_part_explains_that_it_fell(code, kind):
    one = need(0.9, 300 * DAY, code)
    assert set(found(one)) == {kind}
    explained = {_K.NEW_PART_PROPOSED} | ({kind} if code.endswith("AHEAD") else set())
    assert set(found(one, Plant(proposed={KEY}))) == explained


@pytest.mark.parametrize(
    ("hours", "is_person", "active"),
    [(1, True, True), (48, True, True), (60, True, None), (90, True, False), (1, False, False), (1, None, None)],
)
def test_a_decision_is_due_only_where_a_person_takes_it(hours, is_person, active):
    plant = Plant(decisions={KEY: Decision(NOW + hours * HOUR, DAY, is_person)})
    told = found(need(), plant).get(_K.DECIDE_BY_NEAR)
    assert getattr(told, "active", False) is active
    if active:
        assert told.due == NOW + hours * HOUR


def test_a_decision_that_nobody_can_name_is_no_alarm():
    assert found(need(), Plant(decisions={KEY: Decision(None, DAY, True)})) == {}


def test_a_lost_connection_says_what_hangs_on_it_and_since_when():
    plant = Plant(lines=[Line("hall", False, NOW - HOUR, "no answer", tags=40, components=9), Line("yard", True, NOW)])
    [told] = of_connections(plant, Rules())
    assert (told.kind, told.subject, told.since, told.priority) == (
        _K.CONNECTION_LOST,
        "hall",
        NOW - HOUR,
        Priority.MEDIUM,
    )
    assert (told.parameters["tags"], told.parameters["components"]) == ("40", "9")


def test_what_a_site_does_not_want_to_hear_is_not_told():
    rules = Rules({kind: Said(enabled=False) for kind in _K})
    lines = [Line("hall", False, NOW, unreadable={"mill/t": "gone"})]
    stuck = [Stuck("mill/t", KEY, 1.0, True, NOW)]
    plant = Plant({}, lines, {KEY: Decision(NOW, DAY, True)}, {KEY}, stuck)
    assert found(need(0.0, HOUR, "STALE", "COUNTER_JUMPED_AHEAD", "CLOCK_JUMPED_BACK", tag="x"), plant, rules) == {}


def test_a_component_says_otherwise_than_its_site_value_by_value():
    site = {_K.HEALTH_LOW: Said(limit=0.5, band=0.1)}
    own = {KEY: SaidOf({_K.HEALTH_LOW: Said(limit=0.1)}, out_of_service=True)}
    terms = Rules(site, own).of(KEY).terms[_K.HEALTH_LOW]
    assert (terms.limit, terms.band) == (0.1, 0.1)
    assert found(need(0.3), rules=Rules(site))[_K.HEALTH_LOW].active
    assert found(need(0.05), rules=Rules(site, own))[_K.HEALTH_LOW].out_of_service


SENSOR = Sensor("mill/vibration", KEY, 7 * DAY)


def stuck_after(days: int, *, runs: bool, moved: bool = True) -> list[Stuck]:
    still = Stillness()
    if moved:
        still.look({"mill/vibration": 1.0, "mill/load": 0.5}, NOW - DAY)
    for day in range(days + 1):
        still.look({"mill/vibration": 2.0, "mill/load": day if runs else 0.5, "saw/load": day}, NOW + day * DAY)
    return list(still.stuck([SENSOR, Sensor("saw/never", "saw/x", DAY)]))


def test_a_value_that_stands_still_for_a_week_while_its_machine_runs_is_stuck():
    [told] = stuck_after(7, runs=True)
    assert (told.tag, told.active, told.value, told.since) == ("mill/vibration", True, 2.0, NOW)
    assert stuck_after(6, runs=True) == []


def test_a_machine_that_stands_still_has_no_stuck_sensor():
    assert stuck_after(60, runs=False) == []


def test_nothing_is_concluded_of_a_tag_before_it_was_watched_for_long_enough():
    assert [each.active for each in stuck_after(3, runs=True, moved=False)] == [None]
    assert [each.active for each in stuck_after(7, runs=True, moved=False)] == [True]
    told = found(need(), Plant(stuck=stuck_after(7, runs=True)))[_K.SENSOR_STUCK]
    assert told.parameters == {"tag": "mill/vibration", "value": "2"}
