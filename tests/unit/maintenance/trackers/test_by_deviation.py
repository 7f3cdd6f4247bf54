"""Deviation: a unit against its own healthy self, with peers' noise, without idle time, without dead signals."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from connectors.samples import Provenance, Quality, Sample
from maintenance.assets import Fitting, FittingState, Life
from maintenance.frames import History
from maintenance.learning import Learned, learn
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched

TAGS = {"a": "1", "b": "1", "c": "1", "still": "1", "speed": "rpm", "cycle": "cycles"}
Course = Callable[[int], float]


class Fleet:
    """Units of one kind that run beside each other, one frame an hour."""

    def __init__(self, now: datetime, units: int = 1, *, used_before: float | None = 0.0, **wear: Any) -> None:
        self.now, self.hour, self.rng = now, 0, random.Random(4)
        said = {"by": "deviation", "tags": ["a", "b", "c", "still"], "baseline": 25, "peers": "pump"} | wear
        settings = ComponentSettings.model_validate({"name": "Pump", "wear": said, "job": {"title": "Replace it"}})
        self.keys = [f"p{unit}/pump" for unit in range(units)]
        self.monitor = Monitor(
            {key: Watched(key[:2], settings, TAGS) for key in self.keys},
            {key: Life(key, key, now, used_before) for key in self.keys},
        )

    def run(self, hours: int, course: Course = lambda hour: 0.0, *, cycles: bool = True) -> Fleet:
        for _ in range(hours):
            self.hour += 1
            for key in self.keys:
                for tag in ("a", "b", "c"):
                    self.say(key, tag, 10 + self.rng.gauss(0, 1) + course(self.hour))
                self.say(key, "still", 5.0)
                if cycles:
                    self.say(key, "cycle", float(self.hour))
        return self

    def say(self, key: str, tag: str, value: float) -> None:
        at = self.now + timedelta(hours=self.hour)
        self.monitor.take(Sample(f"{key[:2]}/{tag}", value, Quality.GOOD, at, at, Provenance.A))

    @property
    def need(self) -> Need:
        return self.monitor.assess(self.keys[0], self.now + timedelta(hours=self.hour))


def fails_soon(need: Need) -> float:
    return need.belief.failure_probability(timedelta(hours=30))


def test_before_the_healthy_self_is_known_a_person_is_asked(now: datetime):
    need = Fleet(now).run(20).need
    assert not need.belief.known
    assert need.evidence[0].parameters == {"have": "19", "want": "25"}


def test_a_healthy_unit_is_known_and_stays(now: datetime):
    need = Fleet(now).run(200).need
    assert need.belief.known
    assert need.health == 1.0
    assert fails_soon(need) < 0.02


def test_a_unit_that_leaves_its_healthy_self_is_near_its_end(now: datetime):
    need = Fleet(now).run(100).run(60, lambda hour: (hour - 100) * 0.05).need
    assert fails_soon(need) > 0.3
    assert [reason.code for reason in need.evidence][:2] == ["DEVIATION", "DEVIATION_TAG"]


def test_a_unit_with_an_unknown_past_may_have_been_worn_when_it_was_first_seen(now: datetime):
    need = Fleet(now, used_before=None).run(100).need
    assert not need.belief.known
    assert "PAST_UNKNOWN" in [reason.code for reason in need.evidence]


def test_a_signal_that_never_moved_has_no_say(now: datetime):
    fleet = Fleet(now).run(60)
    before = fleet.need
    fleet.say(fleet.keys[0], "still", 900.0)
    assert fleet.need.health == before.health


def test_peers_lend_their_noise_and_nothing_else(now: datetime):
    alone, beside = Fleet(now, 1).run(60), Fleet(now, 6).run(60)
    assert alone.need.belief.known
    assert beside.need.belief.known
    assert beside.monitor.assess(beside.keys[3], beside.now + timedelta(hours=60)).health > 0.9


def test_a_peers_end_changes_nothing(now: datetime):
    units = [Fleet(now, 3).run(60) for _ in range(2)]
    for tag in ("a", "b", "c"):
        units[1].say(units[1].keys[2], tag, 1000.0)
    assert units[0].need.belief.survival.tolist() == units[1].need.belief.survival.tolist()


def test_a_machine_at_rest_is_not_itself_and_teaches_nothing(now: datetime):
    fleet = Fleet(now, clock="cycle").run(60)
    before = fleet.need
    fleet.run(24, lambda hour: -10.0, cycles=False)
    for key in fleet.keys:
        fleet.say(key, "cycle", 60.0)
    assert abs(fleet.need.health - before.health) < 0.05
    assert fails_soon(fleet.need) < 0.05


def test_values_that_repeat_and_are_not_sent_again_still_stand(now: datetime):
    fleet = Fleet(now).run(60)
    for _ in range(30):
        fleet.hour += 1
        fleet.say(fleet.keys[0], "a", 10.0)
    need = fleet.need
    assert need.health > 0.8


def test_a_deviation_that_is_gone_proposes_a_fitting(now: datetime):
    fleet = Fleet(now).run(60).run(60, lambda hour: 4.0)
    assert fleet.monitor.notice() == []
    fleet.run(60)
    (proposed,) = fleet.monitor.notice()
    assert "DEVIATION_GONE" in proposed.evidence
    assert not fleet.need.belief.known
    fleet.monitor.dismiss(fleet.keys[0])
    assert fleet.monitor.notice() == []


def test_a_new_part_has_its_own_healthy_self(now: datetime):
    fleet = Fleet(now).run(100)
    assert fleet.need.evidence[0].code == "DEVIATION"
    at = fleet.now + timedelta(hours=fleet.hour)
    fitting = Fitting("f", fleet.keys[0], at, FittingState.DONE, "anna", "")
    fleet.monitor.fitted(fitting, Life("second", fleet.keys[0], at))
    assert fleet.need.evidence[0].code == "BASELINE"


def run_at(fleet: Fleet, hours: int, speed_of: Callable[[int], float], wear: float = 0.0) -> Fleet:
    """Run at varying speeds; every signal is as loud as it is fast."""
    for _ in range(hours):
        fleet.hour += 1
        speed = speed_of(fleet.hour)
        for key in fleet.keys:
            for tag in ("a", "b", "c"):
                fleet.say(key, tag, speed / 100 * (10 + wear + fleet.rng.gauss(0, 1)))
            fleet.say(key, "still", 5.0)
            fleet.say(key, "speed", speed + fleet.rng.gauss(0, 2))
    return fleet


def by_turns(hour: int) -> float:
    return (1000.0, 3000.0, 1500.0)[hour % 3]


SPEED = {"regime": {"speed": "50 rpm"}}


def test_a_unit_that_is_run_in_several_ways_is_held_against_itself_in_each(now: datetime):
    healthy = run_at(Fleet(now, units=3, **SPEED), 200, by_turns)
    assert healthy.need.health == 1.0
    assert fails_soon(healthy.need) < 0.02
    worn = run_at(healthy, 80, by_turns, wear=4.0).need
    assert worn.health < 0.5
    without = run_at(Fleet(now, units=3), 200, lambda hour: 1000.0 if hour < 100 else 3000.0).need
    assert without.health < 0.5, "nobody said that speed is no wear"


def test_a_regime_that_nobody_saw_in_health_asks_a_person(now: datetime):
    fleet = run_at(Fleet(now, **SPEED), 100, by_turns)
    assert fleet.need.belief.known
    before = fleet.need.health
    need = run_at(fleet, 3, lambda _hour: 5000.0).need
    assert "REGIME_UNSEEN" in [reason.code for reason in need.evidence]
    assert not need.belief.known
    assert need.health == before
    assert run_at(fleet, 3, by_turns).need.belief.known


def test_frames_are_handed_over_once_with_their_use(now: datetime):
    fleet = Fleet(now, clock="cycle").run(40)
    frames = fleet.monitor.drain_frames()[fleet.keys[0]]
    assert [use for use, _ in frames] == sorted({use for use, _ in frames})
    assert len(frames) == 39
    assert len(frames[0][1]) == 4
    assert fleet.monitor.drain_frames() == {}
    fleet.run(2)
    assert len(fleet.monitor.drain_frames()[fleet.keys[0]]) == 2


def taught(now: datetime) -> tuple[Fleet, Learned]:
    """A fleet, and a model of lives whose three signals rise towards the end."""
    chance = np.random.default_rng(1)
    histories = []
    for unit in range(8):
        length = 120 + 10 * unit
        rise = 6 * np.exp(-np.arange(length - 1, -1, -1.0) / 25)
        frames = np.column_stack([10 + rise[:, None] + chance.normal(0, 1, (length, 3)), np.full(length, 5.0)])
        histories.append(History(str(unit), frames, np.arange(1.0, length + 1)))
    return Fleet(now, clock="cycle"), learn(histories, ("a", "b", "c", "still"), 25).model


def test_a_model_that_was_learned_speaks_and_says_from_what(now: datetime):
    fleet, model = taught(now)
    fleet.monitor.teach("pump", model)
    fresh = fleet.run(60).need
    worn = fleet.run(40, lambda hour: 6 * math.exp((hour - 105) / 25)).need
    assert worn.evidence[0].code == "MODEL"
    assert worn.evidence[0].parameters["version"] == model.version[:12]
    assert worn.belief.life == model.usual
    assert fails_soon(worn) > 0.5 > fails_soon(fresh)
    fleet.monitor.teach("pump", None)
    assert fleet.need.evidence[0].code == "DEVIATION"


def test_where_a_signal_of_the_model_is_lost_the_rule_speaks(now: datetime):
    fleet, model = taught(now)
    fleet.monitor.teach("pump", model)
    assert fleet.run(40).need.evidence[0].code == "MODEL"
    other = learn(
        [History(str(u), np.random.default_rng(u).normal(0, 1, (60, 3)), np.arange(60.0)) for u in (1, 2)],
        ("a", "b", "c"),
        25,
    ).model
    fleet.monitor.teach("pump", other)
    assert fleet.run(2).need.evidence[0].code == "DEVIATION"


def test_a_restart_goes_on_from_the_same_belief(now: datetime):
    fleet, model = taught(now)
    fleet.monitor.teach("pump", model)
    fleet.run(70)
    again, _ = taught(now)
    again.monitor.teach("pump", model)
    assert again.monitor.restore(json.loads(json.dumps(fleet.monitor.snapshot()))) == []
    again.hour, again.rng = fleet.hour, random.Random(9)
    fleet.rng = random.Random(9)
    assert fleet.run(5).need.belief.survival.tolist() == again.run(5).need.belief.survival.tolist()


@pytest.mark.parametrize("cut", [12, 60])
def test_a_restart_of_units_with_regimes_gives_the_identical_need(now: datetime, cut: int):
    whole, before, after = (Fleet(now, units=2, **SPEED) for _ in range(3))
    for fleet in (whole, before):
        run_at(fleet, cut, by_turns)
    assert after.monitor.restore(json.loads(json.dumps(before.monitor.snapshot()))) == []
    after.hour, after.rng = before.hour, before.rng
    for fleet in (whole, after):
        run_at(fleet, 40, by_turns, wear=1.0)
    assert whole.need.evidence == after.need.evidence
    assert whole.need.belief.survival.tolist() == after.need.belief.survival.tolist()
    assert whole.monitor.drain_frames().keys() == after.monitor.drain_frames().keys()
