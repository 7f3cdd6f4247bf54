"""Use on several clocks: the first to end counts, a doubt on one asks, and a fitting settles all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.samples import Provenance, Quality, Sample
from maintenance.assets import Fitting, FittingState, Life
from maintenance.lifetimes import FinishedLife, Prior, learned
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched
from maintenance.usage import SUSTAINED

KEY = "mill/spindle"
TAGS = {"hours": "h", "starts": "starts"}
CLOCKS: dict[str, dict[str, Any]] = {
    "hours": {"tag": "hours", "rated_life": "1000 h", "resets_at_fitting": True},
    "starts": {"tag": "starts", "rated_life": "400 starts", "resets_at_fitting": True},
}
MACHINE = {name: clock | {"resets_at_fitting": False} for name, clock in CLOCKS.items()}
HOUR = timedelta(hours=1)


class Spindle:
    """A monitor with one component on several clocks, and a time that moves when its counters are read."""

    def __init__(self, start: datetime, *, used_before: float | None = 0.0, **changes: Any) -> None:
        wear = {"by": "usage", "clocks": CLOCKS} | changes
        self.settings = ComponentSettings.model_validate({"name": "Spindle", "wear": wear, "job": {"title": "x"}})
        self.now, self.life = start, Life("l-1", KEY, start, used_before)
        self.monitor = self.fresh()

    def fresh(self) -> Monitor:
        return Monitor({KEY: Watched("mill", self.settings, TAGS)}, {KEY: self.life})

    def read(self, **readings: float) -> None:
        self.now += HOUR
        for tag, value in readings.items():
            sample = Sample(f"mill/{tag}", value, Quality.GOOD, self.now, self.now, Provenance.A)
            self.monitor.take(sample)

    def run(self, hours: range, per_start: float = 1.0) -> None:
        for hour in hours:
            self.read(hours=float(hour), starts=hour / per_start)

    def fit(self, **counters: float) -> None:
        self.life = Life("l-2", KEY, self.now, 0.0, counters=counters)
        self.monitor.fitted(Fitting("f", KEY, self.now, FittingState.DONE, "anna", "said"), self.life)

    @property
    def need(self) -> Need:
        return self.monitor.assess(KEY, self.now)

    @property
    def codes(self) -> list[str]:
        return [each.code for each in self.need.evidence]

    @property
    def used(self) -> dict[str, str]:
        told = [each.parameters for each in self.need.evidence if each.code == "USAGE_BY_CLOCK"]
        return {each["clock"]: each["used"] for each in told}


@pytest.fixture
def spindle(now: datetime) -> Spindle:
    return Spindle(now)


def test_each_counter_tells_its_own_use_and_the_nearest_to_its_end_comes_first(spindle: Spindle):
    spindle.run(range(100, 110))
    assert spindle.used == {"starts": "109", "hours": "109"}
    assert list(spindle.used) == ["starts", "hours"]
    assert spindle.need.belief.known
    assert spindle.need.health == pytest.approx(1 - 109 / 400)


def test_the_order_of_evidence_follows_the_pace_and_not_the_share(now: datetime):
    idle = Spindle(now)
    for hour in range(500, 600):
        idle.read(hours=float(hour), starts=300.0)
    assert next(iter(idle.used)) == "hours", "three quarters of the starts are gone, but nobody starts it"


def test_the_belief_runs_along_the_calendar_and_ends_with_the_first_clock(spindle: Spindle, now: datetime):
    spindle.run(range(100, 200))
    belief = spindle.need.belief
    assert (belief.unit, belief.use_per_hour) == ("h", 1.0)
    alone = Spindle(now, clocks={"hours": CLOCKS["hours"]})
    alone.run(range(100, 200))
    both, one = belief.remaining_use(0.5), alone.need.belief.remaining_use(0.5)
    assert both is not None
    assert one is not None
    assert both < one / 2


def test_a_part_usually_lives_as_long_as_the_clock_that_is_soonest_at_its_end_however_old_it_is(spindle: Spindle):
    for until in (110, 200, 300):
        spindle.run(range(until - 90, until))
        life = spindle.need.belief.life
        assert life is not None
        assert life == pytest.approx(400, rel=0.15), "400 starts, one an hour"


def test_what_one_clock_alone_says_is_what_the_single_form_says(now: datetime):
    several = Spindle(now, clocks={"hours": CLOCKS["hours"]})
    single = ComponentSettings.model_validate(
        {"name": "x", "rated_life": "1000 h", "wear": {"by": "usage", "tag": "hours", "resets_at_fitting": True},
         "job": {"title": "x"}}
    )  # fmt: skip
    other = Monitor({KEY: Watched("mill", single, TAGS)}, {KEY: Life("l", KEY, now, 0.0)})
    for hour in range(100, 160):
        several.read(hours=float(hour))
        other.take(Sample("mill/hours", float(hour), Quality.GOOD, several.now, several.now, Provenance.A))
    one, two = several.need, other.assess(KEY, several.now)
    for share in (0.05, 0.5, 0.9):
        ratio = one.belief.remaining_time(share) / two.belief.remaining_time(share)  # type: ignore[operator]
        assert ratio == pytest.approx(1.0)
    assert (one.health, one.belief.known) == (two.health, two.belief.known)


def test_a_clock_that_was_never_heard_asks(spindle: Spindle):
    spindle.read(hours=100.0)
    assert not spindle.need.belief.known
    assert "starts" in [each.parameters.get("tag") for each in spindle.need.evidence]


@pytest.mark.parametrize("fallen", ["hours", "starts"])
def test_a_counter_that_falls_beside_one_that_goes_on_contradicts_it(spindle: Spindle, fallen: str):
    spindle.run(range(100, 110))
    for hour in range(110, 120):
        spindle.read(**{"hours": float(hour), "starts": float(hour), fallen: hour - 110.0})
    assert spindle.monitor.notice() == [], "one of two counters of the part says that it is the old one"
    assert not spindle.need.belief.known
    assert "CLOCK_JUMPED_BACK" in spindle.codes
    assert float(spindle.used[fallen]) == pytest.approx(118), "and the use goes on"


def test_counters_that_fall_together_propose_one_fitting_that_settles_all(spindle: Spindle):
    spindle.run(range(100, 110))
    spindle.run(range(SUSTAINED + 3))
    (proposed,) = spindle.monitor.notice()
    assert json.loads(proposed.evidence)["code"] == "COUNTER_RESET"
    assert json.loads(proposed.evidence)["tag"] == "hours"
    assert not spindle.need.belief.known
    spindle.fit()
    assert spindle.used == {"hours": "7", "starts": "7"}
    assert spindle.need.belief.known
    assert spindle.monitor.notice() == []


def test_a_machines_counter_that_goes_on_does_not_contradict_a_parts(now: datetime):
    spindle = Spindle(now, clocks=CLOCKS | {"hours": MACHINE["hours"]})
    spindle.run(range(100, 110))
    for hour in range(110, 120):
        spindle.read(hours=float(hour), starts=hour - 110.0)
    assert len(spindle.monitor.notice()) == 1


def test_a_dismissed_fall_is_settled_on_every_clock(spindle: Spindle):
    spindle.run(range(100, 110))
    spindle.run(range(SUSTAINED + 3))
    spindle.monitor.dismiss(KEY)
    assert spindle.need.belief.known
    assert float(spindle.used["hours"]) == pytest.approx(109 + SUSTAINED + 2)


def test_a_leap_ahead_of_one_counter_asks(spindle: Spindle):
    spindle.run(range(100, 110))
    for step in range(SUSTAINED + 2):
        spindle.read(hours=110.0 + step, starts=90_000.0 + step)
    assert "CLOCK_JUMPED_AHEAD" in spindle.codes
    assert not spindle.need.belief.known
    assert float(spindle.used["starts"]) < 130


def test_a_rollover_of_one_counter_is_use(now: datetime):
    clocks = CLOCKS | {"starts": {"tag": "starts", "rated_life": "4000 starts", "rolls_over_at": 65536}}
    spindle = Spindle(now, clocks=clocks)
    for hour, starts in enumerate((65530.0, 65534.0, 3.0)):
        spindle.read(hours=100.0 + hour, starts=starts)
    assert spindle.used["starts"] == "9"
    assert spindle.need.belief.known


def test_machine_counters_count_from_their_readings_at_fitting(now: datetime):
    spindle = Spindle(now, clocks=MACHINE)
    spindle.run(range(500, 510))
    spindle.fit(hours=509.0, starts=509.0)
    spindle.run(range(510, 521))
    assert spindle.used == {"starts": "11", "hours": "11"}


def test_a_used_part_is_known_on_its_first_clock_alone(now: datetime):
    spindle = Spindle(now, used_before=250.0, clocks=MACHINE)
    spindle.run(range(500, 510))
    assert spindle.used["hours"] == "259"
    assert not spindle.need.belief.known
    doubts = [each.parameters["clock"] for each in spindle.need.evidence if each.code == "CLOCK_PAST_UNKNOWN"]
    assert doubts == ["starts"]


def test_a_clock_that_runs_down_and_the_calendar_are_clocks_too(now: datetime):
    clocks = {"left": CLOCKS["starts"] | {"as_new": 400, "counts_down": True}, "age": {"rated_life": "100 d"}}
    spindle = Spindle(now, clocks=clocks)
    spindle.read(starts=390.0)
    for _day in range(24 * 3):
        spindle.read(starts=390.0)
    assert spindle.used == {"age": "73", "left": "10"}
    assert spindle.need.belief.known


def test_what_is_due_falls_due_on_the_first_clock(now: datetime):
    clocks = {"hours": {"tag": "hours", "rated_life": "500 h"}, "age": {"rated_life": "365 d"}}
    spindle = Spindle(now, clocks=clocks, due=True)
    spindle.run(range(101))
    left = spindle.need.belief.remaining_time(0.01)
    assert left is not None
    assert left / HOUR == pytest.approx(400, abs=5)


def test_a_typed_reading_goes_to_the_clock_that_was_named(spindle: Spindle):
    spindle.run(range(100, 110))
    spindle.now += timedelta(days=2)
    spindle.monitor.reading(KEY, 150.0, spindle.now, "anna", "hours")
    assert spindle.used == {"hours": "150", "starts": "109"}
    stale = [each.parameters["tag"] for each in spindle.need.evidence if each.code == "STALE"]
    assert stale == ["starts"], "a reading of one clock says nothing about another"
    spindle.monitor.reading(KEY, 151.0, spindle.now, "anna", "starts")
    assert "STALE" not in spindle.codes
    assert spindle.codes.count("READING") == 2


@pytest.mark.parametrize(
    ("clock", "value", "said"),
    [
        ("", 150.0, "which was read: hours, starts"),
        ("strokes", 150.0, "hours, starts"),
        ("hours", 1.0, "stood at 109"),
    ],
)
def test_a_typed_reading_that_cannot_be_taken_is_refused(spindle: Spindle, clock: str, value: float, said: str):
    spindle.run(range(100, 110))
    with pytest.raises(ValueError, match=said):
        spindle.monitor.reading(KEY, value, spindle.now, "anna", clock)
    assert "READING" not in spindle.codes


def test_a_typed_reading_of_a_counter_that_runs_down_is_judged_as_it_is_shown(now: datetime):
    clocks = {"left": CLOCKS["starts"] | {"as_new": 400, "counts_down": True}}
    spindle = Spindle(now, clocks=clocks)
    spindle.read(starts=300.0)
    with pytest.raises(ValueError, match="stood at 300 before"):
        spindle.monitor.reading(KEY, 350.0, spindle.now, "anna", "left")
    spindle.now += 10 * HOUR
    spindle.monitor.reading(KEY, 250.0, spindle.now, "anna", "left")
    assert spindle.used == {"left": "150"}


def test_the_picture_is_the_share_of_the_clock_that_ends_first(spindle: Spindle):
    spindle.run(range(100, 150))
    picture = spindle.monitor.picture(KEY, spindle.now)
    assert (picture.unit, picture.threshold) == ("%", 100.0)
    assert picture.history[-1][1] == pytest.approx(149 / 4)
    assert picture.forecast[-1].middle > 100


def steps() -> Iterator[dict[str, float]]:
    yield from ({"hours": float(hour), "starts": hour / 2} for hour in range(100, 110))
    yield from ({"hours": float(hour), "starts": hour / 2} for hour in range(SUSTAINED + 2))
    yield from ({"hours": 20.0 + hour, "starts": 90_000.0 + hour} for hour in range(SUSTAINED + 2))


@given(st.integers(0, 23))
def test_a_restart_at_any_moment_gives_the_identical_need(cut: int):
    start = datetime.fromisoformat("2026-03-02T00:00:00+00:00")
    through, restarted = Spindle(start), Spindle(start)
    for number, readings in enumerate(steps()):
        through.read(**readings)
        restarted.read(**readings)
        if number == cut:
            state = json.loads(json.dumps(restarted.monitor.snapshot()))
            restarted.monitor = restarted.fresh()
            assert restarted.monitor.restore(state) == []
    one, two = through.need, restarted.need
    assert one.evidence == two.evidence
    assert (one.belief.survival == two.belief.survival).all()
    assert [each.id for each in through.monitor.notice()] == [each.id for each in restarted.monitor.notice()]


def test_a_snapshot_of_other_clocks_is_not_taken(spindle: Spindle, now: datetime):
    spindle.run(range(100, 110))
    state = spindle.monitor.snapshot()
    renamed = Spindle(now, clocks={"run": CLOCKS["hours"], "starts": CLOCKS["starts"]})
    assert renamed.monitor.restore(state) == [KEY]


def test_a_snapshot_of_typed_readings_from_before_there_were_several_clocks_is_taken(now: datetime):
    single = ComponentSettings.model_validate(
        {"name": "x", "rated_life": "9 h", "wear": {"by": "usage", "tag": "hours"}, "job": {"title": "x"}}
    )
    made = [Monitor({KEY: Watched("mill", single, TAGS)}, {KEY: Life("l", KEY, now, 0.0)}) for _ in range(2)]
    made[0].reading(KEY, 5.0, now + HOUR, "anna")
    state = json.loads(json.dumps(made[0].snapshot()))
    state[KEY]["typed"] = [5.0, (now + HOUR).isoformat(), "anna"]
    assert made[1].restore(state) == []
    assert made[1].assess(KEY, now + HOUR).evidence == made[0].assess(KEY, now + HOUR).evidence
    state[KEY]["typed"] = None
    assert Monitor({KEY: Watched("mill", single, TAGS)}, {KEY: Life("l", KEY, now, 0.0)}).restore(state) == []


def test_what_lives_taught_is_believed_clock_by_clock_and_told_with_its_version(spindle: Spindle):
    spindle.run(range(100, 110))
    before = spindle.need.belief
    lives = {
        name: learned([FinishedLife(3.0 * rated, True) for _ in range(4)], Prior(rated))
        for name, rated in (("hours", 1000.0), ("starts", 400.0))
    }
    spindle.monitor.believe_lives(KEY, lives, 4, "0123456789abcdef")
    after = spindle.need.belief
    assert after.remaining_use(0.5) > 1.5 * before.remaining_use(0.5)  # type: ignore[operator]
    told = {each.parameters["clock"]: each.parameters for each in spindle.need.evidence if "LIFETIMES" in each.code}
    assert {name: (each["lives"], each["version"]) for name, each in told.items()} == {
        "starts": ("4", "0123456789ab"),
        "hours": ("4", "0123456789ab"),
    }
    assert float(told["starts"]["usual"]) > 800.0
    spindle.monitor.believe_lives(KEY, {}, 0, "")
    assert (spindle.need.belief.survival == before.survival).all()
    assert "LIFETIMES_BY_CLOCK" not in spindle.codes
