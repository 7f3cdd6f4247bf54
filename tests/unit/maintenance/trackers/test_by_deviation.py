"""Deviation: a unit against its own healthy self, with peers' noise, without idle time, without dead signals."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from connectors.samples import Provenance, Quality, Sample
from maintenance.assets import Fitting, FittingState, Life
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched

TAGS = {"a": "1", "b": "1", "c": "1", "still": "1", "cycle": "cycles"}
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
    tracker_before = fleet.monitor.snapshot()[fleet.keys[0]]["tracker"]["baseline"]["count"]
    at = fleet.now + timedelta(hours=fleet.hour)
    fitting = Fitting("f", fleet.keys[0], at, FittingState.DONE, "anna", "")
    fleet.monitor.fitted(fitting, Life("second", fleet.keys[0], at))
    assert tracker_before == 25
    assert fleet.need.evidence[0].code == "BASELINE"
