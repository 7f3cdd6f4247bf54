"""Several kinds of evidence of one part: the earliest failure where they agree, a person where they contradict."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors.samples import Measure, Provenance, Quality, Sample
from maintenance.assets import Life
from maintenance.clocks import clock_read, use_before
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.settings import ComponentSettings, problems
from maintenance.slots import Watched
from tests.unit.maintenance.test_faults import FAULTS, JOB, START, TAGS, is_bought

VIBRATION = {"by": "level", "tag": "v", "as_new": "1 mm/s", "limit": "7 mm/s", "clock": "hours", "frame": "2 h"}
HEAT = {"by": "level", "tag": "t", "as_new": "40 °C", "limit": "90 °C", "clock": "hours", "frame": "2 h"}
USE = {"by": "usage", "tag": "hours", "shape": 3}
MODES = {"vibration": VIBRATION, "heat": HEAT, "use": USE}


def settings(**changes: Any) -> ComponentSettings:
    wear = {"by": "modes", "modes": MODES}
    said = {"name": "Bearing", "rated_life": "1000 h", "wear": wear, "job": JOB} | changes
    return ComponentSettings.model_validate(said)


def monitor_of(**changes: Any) -> Monitor:
    return Monitor({"m/part": Watched("m", settings(**changes), TAGS)}, {"m/part": Life("l", "m/part", START)})


def hour_of(hour: int, rng: random.Random, vibration: float, heat: float) -> list[Sample]:
    at = START + timedelta(hours=hour)
    told = {"v": rng.gauss(1 + 6 * vibration, 0.1), "t": rng.gauss(40 + 50 * heat, 0.5), "hours": float(hour)}
    return [Sample(f"m/{tag}", value, Quality.GOOD, at, at, Provenance.A) for tag, value in told.items()]


def run(monitor: Monitor, hours: int, vibration: float, heat: float, seed: int = 1, since: int = 0) -> Need:
    """Run with wear that grows steadily to these shares of the way; return the need at the end."""
    rng = random.Random(seed)
    for hour in range(since + 1, since + hours + 1):
        share = hour / (since + hours)
        for sample in hour_of(hour, rng, vibration * share, heat * share):
            monitor.take(sample)
    return monitor.assess("m/part", START + timedelta(hours=since + hours))


def codes(need: Need) -> list[str]:
    return [reason.code for reason in need.evidence]


def test_where_the_evidence_agrees_the_earliest_failure_counts():
    monitor = monitor_of()
    both = run(monitor, 200, 0.9, 0.5)
    alone = [monitor_of(wear=wear) for wear in (VIBRATION, HEAT, USE)]
    each = [run(one, 200, 0.9, 0.5).belief for one in alone]
    within = [timedelta(hours=hours) for hours in (5, 10, 20, 50, 100, 300)]
    for time in within:
        survival = 1.0
        for one in each:
            survival *= 1.0 - one.failure_probability(time)
        assert 1.0 - both.belief.failure_probability(time) == pytest.approx(survival, abs=0.02)
    assert both.belief.known
    assert both.health == pytest.approx(0.1, abs=0.05)
    assert (both.belief.unit, codes(both)[0]) == ("h", "LEVEL_TREND")
    assert is_bought(both)
    lives = [one.life / one.use_per_hour for one in each if one.life is not None]
    assert both.belief.life == pytest.approx(min(lives), rel=0.01)


def test_where_the_evidence_contradicts_itself_a_person_is_asked():
    need = run(monitor_of(), 200, 0.95, 0.02)
    assert codes(need)[0] == "MODES_CONTRADICT"
    assert need.evidence[0].parameters == {"worn": "vibration", "new": "heat"}
    assert not need.belief.known
    assert need.told_enough, "it is worn by one of them, so somebody is asked"
    assert need.belief.failure_probability(timedelta(hours=48)) > 0.2, "the earliest failure counts all the same"


def test_a_part_that_fails_early_is_not_contradicted_by_its_few_hours():
    wear = {"by": "modes", "modes": {"vibration": VIBRATION, "use": USE}}
    need = run(monitor_of(wear=wear, rated_life="5000 h"), 200, 0.95, 0.0)
    assert need.belief.known
    assert "MODES_CONTRADICT" not in codes(need)


@hypothesis_settings(max_examples=5)
@given(st.integers(0, 10_000), st.floats(0.0, 0.1), st.floats(0.9, 1.3))
def test_no_drift_of_one_sensor_of_a_healthy_part_buys_anything(seed: int, healthy: float, drift: float):
    monitor, rng = monitor_of(), random.Random(seed)
    for hour in range(1, 161):
        share = healthy + (drift * (hour - 80) / 80 if hour > 80 else 0.0)
        for sample in hour_of(hour, rng, share, healthy):
            monitor.take(sample)
        need = monitor.assess("m/part", START + timedelta(hours=hour))
        assert not is_bought(need)


@hypothesis_settings(max_examples=5)
@given(st.sampled_from(sorted(FAULTS)), st.integers(0, 10_000), st.integers(1, 80))
def test_no_fault_of_one_sensor_of_a_healthy_part_buys_anything(name: str, seed: int, lasts: int):
    monitor, rng = monitor_of(), random.Random(seed)
    for hour in range(1, 161):
        for sample in hour_of(hour, rng, 0.1, 0.1):
            value = sample.value
            if sample.tag == "m/v" and 80 <= hour < 80 + lasts:
                value = FAULTS[name](value, hour - 80, rng)
            quality = Quality.GOOD if value == value else Quality.BAD
            monitor.take(Sample(sample.tag, value, quality, sample.source_time, sample.receive_time, Provenance.A))
        assert not is_bought(monitor.assess("m/part", START + timedelta(hours=hour)))


@hypothesis_settings(max_examples=5)
@given(st.integers(1, 99))
def test_a_restart_at_any_moment_gives_the_identical_need(cut: int):
    whole, first = monitor_of(), monitor_of()
    run(whole, cut, 0.5, 0.4)
    run(first, cut, 0.5, 0.4)
    second = monitor_of()
    assert second.restore(json.loads(json.dumps(first.snapshot()))) == []
    one, other = (run(each, 50, 0.8, 0.7, seed=2, since=cut) for each in (whole, second))
    assert (one.belief.survival == other.belief.survival).all()
    assert (one.health, one.evidence, one.belief.known) == (other.health, other.evidence, other.belief.known)


def test_a_picture_shows_the_mode_that_is_nearest_to_its_threshold():
    monitor = monitor_of()
    now = START + timedelta(hours=200)
    run(monitor, 200, 0.2, 0.7)
    picture = monitor.picture("m/part", now)
    assert (picture.unit, picture.threshold) == ("°C", 90.0)


def test_a_typed_reading_goes_to_the_mode_that_was_named():
    assert clock_read(settings(), TAGS, Measure(80, "°C"), "heat") == ("heat", 80.0)
    assert clock_read(settings(), TAGS, Measure(1, "d"), "use") == ("use", 24.0)
    assert use_before(settings(), TAGS, Measure(1, "d")) == 24.0
    for mode in ("", "colour"):
        with pytest.raises(ValueError, match="vibration, heat, use"):
            clock_read(settings(), TAGS, Measure(80, "°C"), mode)
    monitor = monitor_of()
    monitor.reading("m/part", 85.0, START + timedelta(hours=1), "anna", "heat")
    assert monitor.assess("m/part", START + timedelta(hours=1)).health == pytest.approx(0.1, abs=0.02)
    with pytest.raises(ValueError, match="vibration, heat, use"):
        monitor.reading("m/part", 85.0, START + timedelta(hours=2), "anna")


def test_what_a_part_had_run_says_its_first_mode():
    monitor = monitor_of()
    run(monitor, 20, 0.1, 0.1)
    assert set(monitor.ran("m/part", START + timedelta(hours=20))) == {"vibration", "heat", "use"}


@pytest.mark.parametrize(
    ("modes", "path"),
    [
        ({"vibration": VIBRATION | {"tag": "x"}}, "wear.modes.vibration.tag"),
        ({"vibration": VIBRATION | {"limit": "7 °C"}}, "wear.modes.vibration.limit"),
        ({"vibration": VIBRATION | {"rated_life": "7 mm/s"}}, "wear.modes.vibration.rated_life"),
        ({"again": VIBRATION}, "wear.modes.again"),
        (
            {"cycles": {"by": "usage", "clocks": {"a": {"tag": "hours", "rated_life": "7 h"}}}},
            "wear.modes.cycles.clocks",
        ),
        ({"self": {"by": "deviation", "tags": ["s1"], "peers": "pumps"}}, "wear.modes.self.peers"),
    ],
)
def test_mistakes_are_said_where_they_stand(modes: dict[str, Any], path: str):
    found = problems(settings(wear={"by": "modes", "modes": MODES | modes}), TAGS)
    assert [where for where, _sentence in found] == [path]


def test_a_life_that_nobody_states_is_asked_for_once_and_a_modes_own_life_counts():
    lives = {name: mode | {"rated_life": "500 h"} for name, mode in MODES.items()}
    assert problems(settings(rated_life=None, wear={"by": "modes", "modes": lives}), TAGS) == []
    assert {where for where, _ in problems(settings(rated_life=None), TAGS)} == {"rated_life"}
    assert problems(settings(), TAGS) == []
