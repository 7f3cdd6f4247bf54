"""The monitor: what moves a belief, what does not, what asks a person, and that a replay says the same again."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors.samples import Provenance, Quality
from maintenance.assets import Fitting, FittingState, Life
from maintenance.monitor import Monitor
from maintenance.needs import Belief, Need
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched
from tests.unit.maintenance.conftest import WEAR, Mill, watched

DAY = timedelta(days=1)


def same(one: Belief, other: Belief) -> bool:
    return (
        np.array_equal(one.use, other.use)
        and np.array_equal(one.survival, other.survival)
        and (one.unit, one.use_per_hour, one.as_of, one.provenance, one.known)
        == (other.unit, other.use_per_hour, other.as_of, other.provenance, other.known)
    )


def need(mill: Mill, name: str) -> Need:
    return mill.monitor.assess(f"mill/{name}", mill.now)


def codes(mill: Mill, name: str) -> list[str]:
    return [reason.code for reason in need(mill, name).evidence]


def worn(mill: Mill, name: str) -> float:
    """Median remaining use."""
    left = need(mill, name).belief.remaining_use(0.5)
    return math.inf if left is None else left


def test_every_component_always_has_a_need(mill: Mill):
    needs = mill.monitor.needs(mill.now)
    assert [one.component for one in needs] == sorted(one.component for one in needs)
    assert len(needs) == 6
    assert all(one.lines[0].item == one.component.removeprefix("mill/") for one in needs)


def test_nothing_heard_is_nothing_known(mill: Mill):
    assert not any(one.belief.known for one in mill.monitor.needs(mill.now) if one.component != "mill/calibration")


def test_silence_raises_no_alarm(now: datetime):
    lives = {key: Life(key, key, now, None) for key in watched()}
    mill = Mill(Monitor(watched(), lives), now)
    soon = [one.belief.failure_probability(DAY) for one in mill.monitor.needs(now)]
    assert max(soon) < 0.01


def test_a_rising_level_shortens_the_life(mill: Mill):
    mill.say("vibration", *[2.0] * 30)
    before = worn(mill, "bearing")
    mill.say("vibration", *[5.5] * 60)
    assert worn(mill, "bearing") < before
    assert need(mill, "bearing").belief.known
    assert codes(mill, "bearing") == ["LEVEL_TREND"]


def test_a_falling_level_is_wear_too(mill: Mill):
    mill.say("coolant", *[100 - 0.5 * hour for hour in range(100)])
    assert need(mill, "coolant").health == pytest.approx(0.4, abs=0.05)
    assert worn(mill, "coolant") == pytest.approx(60, abs=15)


def test_a_few_samples_do_not_make_a_level_known(mill: Mill):
    mill.say("vibration", 6.9, 6.9, 6.9)
    assert not need(mill, "bearing").belief.known


@pytest.mark.parametrize(
    ("value", "quality"),
    [(math.nan, Quality.BAD), (math.inf, Quality.GOOD), (math.nan, Quality.GOOD), (7.0, Quality.UNCERTAIN)],
)
def test_what_cannot_be_believed_moves_nothing(make_mill: Callable[..., Mill], value: float, quality: Quality):
    told, left = make_mill(), make_mill()
    for mill in (told, left):
        mill.say("vibration", *[2.0, 2.1] * 20)
    for _ in range(50):
        told.monitor.take(told.sample("vibration", value, quality=quality, source_time=told.now + timedelta(hours=1)))
    assert same(need(told, "bearing").belief, need(left, "bearing").belief)
    assert sum(told.monitor.refused("mill/vibration").values()) == 50


def test_late_samples_move_nothing(make_mill: Callable[..., Mill]):
    told, left = make_mill(), make_mill()
    for mill in (told, left):
        mill.say("vibration", *[2.0, 2.1] * 20)
    told.monitor.take(told.sample("vibration", 7.0, source_time=told.now - timedelta(hours=3)))
    assert same(need(told, "bearing").belief, need(left, "bearing").belief)
    assert told.monitor.refused("mill/vibration") == {"late": 1}


def test_a_tag_that_nobody_configured_is_nobodys_business(mill: Mill):
    mill.say("unheard-of", 1.0)
    assert mill.monitor.latest("mill/unheard-of") is None


def test_silence_asks_a_person_and_a_living_connection_ends_it(mill: Mill):
    mill.say("vibration", *[2.0] * 20)
    mill.hours += 48
    assert not need(mill, "bearing").belief.known
    assert "STALE" in codes(mill, "bearing")
    mill.monitor.connection_alive(["mill/vibration"], mill.now)
    assert need(mill, "bearing").belief.known


def test_a_lost_connection_makes_values_uncertain_and_they_stay_so(mill: Mill):
    mill.say("vibration", *[2.0] * 20)
    mill.monitor.connection_lost(["mill/vibration"])
    reading = mill.monitor.latest("mill/vibration")
    assert reading is not None
    assert (reading.value, reading.unit, reading.quality) == (2.0, "mm/s", Quality.UNCERTAIN)
    mill.hours += 48
    mill.monitor.connection_alive(["mill/vibration"], mill.now)
    assert not need(mill, "bearing").belief.known


def test_the_same_value_after_a_reconnection_is_fresh_again_and_not_learned_twice(mill: Mill):
    mill.say("vibration", *[2.0] * 20)
    said = mill.now
    mill.monitor.connection_lost(["mill/vibration"])
    mill.hours += 48
    mill.monitor.take(mill.sample("vibration", 2.0, source_time=said))
    reading = mill.monitor.latest("mill/vibration")
    assert reading is not None
    assert reading.quality is Quality.GOOD
    assert need(mill, "bearing").belief.known


def test_a_belief_is_as_trustworthy_as_its_weakest_sample(mill: Mill):
    mill.say("vibration", *[2.0] * 20)
    assert need(mill, "bearing").belief.provenance is Provenance.A
    mill.say("vibration", 2.0, provenance=Provenance.B)
    mill.say("vibration", *[2.0] * 20)
    assert need(mill, "bearing").belief.provenance is Provenance.B


def test_a_counter_that_falls_for_good_proposes_a_fitting_and_asks(mill: Mill):
    mill.say("cycles", *range(100, 700, 10))
    assert need(mill, "seal").belief.known
    mill.say("cycles", 0)
    assert mill.monitor.notice() == []
    mill.say("cycles", 10, 20, 30, 40, 50)
    (proposed,) = mill.monitor.notice()
    assert (proposed.component, proposed.state, proposed.by) == ("mill/seal", FittingState.PROPOSED, "telemetry")
    assert json.loads(proposed.evidence)["code"] == "COUNTER_RESET"
    assert mill.monitor.notice() == [proposed]
    assert not need(mill, "seal").belief.known
    assert need(mill, "seal").health < 0.4


def test_a_confirmed_fitting_begins_a_new_life(mill: Mill):
    mill.say("cycles", *range(100, 700, 10), *range(0, 60, 10))
    mill.fit("seal")
    assert mill.monitor.notice() == []
    assert need(mill, "seal").belief.known
    assert need(mill, "seal").health == pytest.approx(0.95)
    assert need(mill, "seal").life == "seal-66"


def test_a_dismissed_fitting_is_settled(mill: Mill):
    mill.say("cycles", *range(100, 700, 10), *range(0, 60, 10))
    mill.monitor.dismiss("mill/seal")
    assert mill.monitor.notice() == []
    assert need(mill, "seal").belief.known
    assert need(mill, "seal").health < 0.4


def test_a_level_that_stays_as_new_proposes_a_fitting(mill: Mill):
    mill.say("vibration", *[5.0] * 30, 1.1, 1.0)
    assert mill.monitor.notice() == []
    mill.say("vibration", *[1.1] * 10)
    (proposed,) = mill.monitor.notice()
    assert json.loads(proposed.evidence)["code"] == "LEVEL_AS_NEW"
    assert not need(mill, "bearing").belief.known
    mill.fit("bearing")
    mill.say("vibration", *[1.1] * 12)
    assert need(mill, "bearing").belief.known
    assert need(mill, "bearing").health > 0.9


def test_a_level_that_only_dips_proposes_nothing(mill: Mill):
    mill.say("vibration", *[5.0] * 30, *[1.0, 1.0, 1.0, 5.0] * 10)
    assert mill.monitor.notice() == []


def test_a_fitting_that_is_only_proposed_begins_nothing(mill: Mill):
    proposed = Fitting("f", "mill/seal", mill.now, FittingState.PROPOSED, "telemetry", "")
    with pytest.raises(ValueError, match="done"):
        mill.monitor.fitted(proposed, Life("l", "mill/seal", mill.now))


def test_a_machine_counter_counts_from_the_reading_at_fitting(mill: Mill):
    mill.say("hours", *range(5000, 5050))
    mill.fit("oil", 100.0, hours=5049.0)
    mill.say("hours", *range(5050, 5061))
    assert need(mill, "oil").evidence[0].parameters["used"] == "111"


def test_a_part_of_unknown_past_asks(mill: Mill):
    mill.say("hours", 5000, 5001)
    assert need(mill, "oil").belief.known
    mill.fit("oil", None)
    mill.say("hours", 5002)
    assert not need(mill, "oil").belief.known
    assert "PAST_UNKNOWN" in codes(mill, "oil")


def test_a_service_falls_due_by_the_calendar(mill: Mill):
    mill.hours = 24 * 170
    left = need(mill, "calibration").belief.remaining_time(0.01)
    assert left is not None
    assert left / DAY == pytest.approx(10, abs=0.5)


def test_a_typed_level_is_enough_to_know(mill: Mill):
    mill.hours += 1
    mill.monitor.reading("mill/coolant", 40.0, mill.now, "anna")
    assert need(mill, "coolant").belief.known
    assert need(mill, "coolant").health == pytest.approx(0.25, abs=0.01)
    assert "READING" in codes(mill, "coolant")


@pytest.mark.parametrize(
    ("component", "value", "match"),
    [("seal", 90.0, "stood at 100"), ("seal", math.nan, "finite"), ("drive", 1.0, "several signals")],
)
def test_a_typed_reading_that_cannot_be_is_refused(mill: Mill, component: str, value: float, match: str):
    mill.say("cycles", 100)
    with pytest.raises(ValueError, match=match):
        mill.monitor.reading(f"mill/{component}", value, mill.now, "anna")


def test_a_typed_reading_before_what_is_known_is_refused(mill: Mill):
    mill.say("coolant", *[90.0] * 5)
    with pytest.raises(ValueError, match="newer"):
        mill.monitor.reading("mill/coolant", 40.0, mill.now - DAY, "anna")


def test_a_need_is_revised_only_when_it_changes(mill: Mill):
    mill.say("vibration", *[2.0] * 30)
    first = need(mill, "bearing").revision
    assert need(mill, "bearing").revision == first
    mill.say("vibration", *[6.0] * 30)
    assert need(mill, "bearing").revision == first + 1


def test_a_picture_holds_history_threshold_and_a_widening_band(mill: Mill):
    mill.say("vibration", *[2.0 + hour / 100 for hour in range(300)])
    picture = mill.monitor.picture("mill/bearing", mill.now)
    assert picture.threshold == 7.0
    assert picture.unit == "mm/s"
    assert picture.history[0][1] == pytest.approx(2.0, abs=0.1)
    widths = [point.high - point.low for point in picture.forecast]
    assert widths == sorted(widths)
    assert picture.forecast[0].at == mill.now


@pytest.mark.parametrize("name", ["seal", "oil", "calibration", "drive", "coolant"])
def test_every_component_can_be_drawn_from_the_first_moment(mill: Mill, name: str):
    assert mill.monitor.picture(f"mill/{name}", mill.now).forecast


def story(seed: int, length: int) -> list[tuple[str, float, float]]:
    """A mill's telemetry with everything that happens: wear, noise, gaps, resets, wild values."""
    rng, told = random.Random(seed), []
    for step in range(length):
        for tag in ("vibration", "cycles", "coolant", *(f"t{n}" for n in range(5))):
            if rng.random() < 0.9:
                value = step * rng.choice([1.0, 1.0, 1.0, 0.0]) + rng.gauss(0, 0.3)
                told.append((tag, rng.choice([value, value, value, math.nan]), rng.choice([0.0, 0.5, 1.0])))
    return told


@given(st.integers(0, 10_000), st.integers(0, 80))
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_replay_through_a_restart_gives_the_identical_needs(make_mill: Callable[..., Mill], seed: int, cut: int):
    whole, before, after = make_mill(), make_mill(), make_mill()
    told = story(seed, 60)
    for tag, value, every in told:
        whole.say(tag, value, every=every)
    for tag, value, every in told[:cut]:
        before.say(tag, value, every=every)
    assert after.monitor.restore(json.loads(json.dumps(before.monitor.snapshot(), allow_nan=False))) == []
    after.hours = before.hours
    for tag, value, every in told[cut:]:
        after.say(tag, value, every=every)
    for one, other in zip(whole.monitor.needs(whole.now), after.monitor.needs(after.now), strict=True):
        assert same(one.belief, other.belief)
        assert (one.health, one.evidence) == (other.health, other.evidence)
    assert whole.monitor.notice() == after.monitor.notice()


def test_a_restored_value_is_uncertain_until_somebody_says_it_again(make_mill: Callable[..., Mill]):
    before, after = make_mill(), make_mill()
    before.say("vibration", *[2.0] * 20)
    after.monitor.restore(before.monitor.snapshot())
    reading = after.monitor.latest("mill/vibration")
    assert reading is not None
    assert (reading.value, reading.quality) == (2.0, Quality.UNCERTAIN)


def test_a_snapshot_of_another_life_or_another_limit_is_not_taken(make_mill: Callable[..., Mill]):
    before = make_mill()
    before.say("vibration", *[6.0] * 20)
    states = before.monitor.snapshot()
    other = {"wear": {"by": "level", "tag": "vibration", "as_new": "1 mm/s", "limit": "9 mm/s"}}
    assert make_mill(bearing=other).monitor.restore(states) == ["mill/bearing"]
    states["mill/bearing"]["life"] = "of long ago"
    assert make_mill().monitor.restore(states) == ["mill/bearing"]


def unpacked(*, trend_apart: bool = False) -> dict[str, Any]:
    """What a mill wrote down after 200 words of its seventh story, before states were packed."""
    states: dict[str, Any] = json.loads((Path(__file__).parent / "snapshot_unpacked.json").read_text())
    if trend_apart:  # as it was before the trend of a deviation was the bank's
        tracker = states["mill/drive"]["tracker"]
        *moments, yy, points = tracker["bank"]["moments"]
        tracker["bank"]["moments"], tracker["trend"] = moments, {"yy": yy, "points": int(points)}
    return states


@pytest.mark.parametrize("trend_apart", [False, True])
def test_a_snapshot_from_before_states_were_packed_goes_on(make_mill: Callable[..., Mill], trend_apart: bool):
    whole, after, told = make_mill(), make_mill(), story(7, 60)
    for tag, value, every in told[:200]:
        whole.say(tag, value, every=every)
    revisions = {need.component: need.revision for need in whole.monitor.needs(whole.now)}
    assert after.monitor.restore(unpacked(trend_apart=trend_apart)) == []
    after.hours = whole.hours
    assert {need.component: need.revision for need in after.monitor.needs(after.now)} == revisions
    for each in (whole, after):
        for tag, value, every in told[200:]:
            each.say(tag, value, every=every)
    for one, other in zip(whole.monitor.needs(whole.now), after.monitor.needs(after.now), strict=True):
        assert other.belief.survival == pytest.approx(one.belief.survival, abs=1e-9)
        assert (one.health, one.evidence) == (pytest.approx(other.health), other.evidence)


CURVED = {"by": "deviation", "tags": [f"t{number}" for number in range(14)]}
REGIMES = {"regime": {"load": "0.5 1", "speed": "0.5 1"}}
SIZES: dict[str, tuple[int, dict[str, Any]]] = {
    "usage": (1000, WEAR["seal"]),
    "level": (1000, WEAR["bearing"]),
    "deviation of one signal": (1100, {"wear": CURVED | {"tags": ["t0"]}}),
    "deviation of 14 signals": (3400, {"wear": CURVED}),
    "deviation of 14 signals and 2 settings": (5600, {"wear": CURVED | REGIMES}),
}
"""Bytes of a snapshot at most, and the wear. A signal takes 175, and 135 more where the machine has regimes."""


@pytest.mark.parametrize("name", SIZES)
def test_a_snapshot_is_small_however_long_the_part_lives(now: datetime, name: str):
    most, said = SIZES[name]
    tags = {"vibration": "mm/s", "cycles": "cycles", "load": "1", "speed": "1"}
    tags |= dict.fromkeys((f"t{number}" for number in range(14)), "1")
    component = ComponentSettings.model_validate({"name": "part", "job": {"title": "Replace the part"}} | said)
    life = Life("0123456789abcdef0123456789abcdef", "mill/part", now)
    monitor = Monitor({"mill/part": Watched("mill", component, tags)}, {"mill/part": life})
    mill, rng, sizes = Mill(monitor, now), random.Random(1), []
    for hour in range(130):
        mill.hours += 1
        for tag in tags:
            value = {"cycles": 9.0 * hour, "load": float(hour % 3), "speed": 2.0}.get(tag, 2.0 + rng.gauss(0.0, 0.1))
            mill.say(tag, value, every=0.0)
        if hour % 7 == 0:
            mill.monitor.assess("mill/part", mill.now)
            sizes.append(len(json.dumps(monitor.snapshot()["mill/part"], separators=(",", ":"))))
    print(f"by {name}: {max(sizes)} bytes of snapshot at most, {sizes[-1]} at last")
    assert max(sizes) < most
