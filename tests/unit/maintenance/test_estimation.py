"""Wear as a tag: what a part's signals say becomes samples, and what nobody can tell never looks certain."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.samples import TICKS_PER_SECOND, Batch, Keys, Provenance, Quality, Sample, Tag, ticks_of
from maintenance.assets import Life
from maintenance.estimates import DEVIATION, Estimate
from maintenance.estimation import UNTOLD, Counted, Estimation
from maintenance.wear_estimate import BASELINE, WearMeter
from maintenance.wear_file import ModelRefused, read, written
from maintenance.wear_learning import WearHistory
from maintenance.wear_lives import LifeUnusable, Measured, life_of, teach
from tests.unit.maintenance.worn_tools import ROWS, tool, tools

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
BARE = Estimate(
    "lathe/tool",
    "µm",
    (Tag("lathe/feed", "A"), Tag("lathe/torque", "Nm")),
    (Tag("lathe/cutting", "s"), Tag("lathe/cuts", "1")),
    every=1.0,
)
NEW = Life("first", "lathe/tool", START + timedelta(seconds=5), used_before=0.0)
"""Fitted after its machine was first heard."""


@cache
def taught() -> Estimate:
    return replace(BARE, taught=teach(BARE, tools(8)))


class Lathe:
    """A machine that says its counters, and a second later at work all of it, a batch a row."""

    def __init__(self, use: Estimate, life: Life | None = NEW) -> None:
        self.estimation, self.keys = Estimation({"lathe/wear": use}), Keys()
        self.life: Life | None = None
        self.say({"lathe/cutting": 1000.0, "lathe/cuts": 50.0}, at=START)
        self.life = life

    def say(self, values: dict[str, float], at: datetime, quality: Quality = Quality.GOOD) -> list[Sample]:
        said = [Sample(tag, value, quality, at, at, Provenance.A) for tag, value in values.items()]
        batch = self.estimation.joined(Batch.of("hall", said, keys=self.keys), lambda _component: self.life)
        return list(batch)[len(said) :]

    def work(self, part: WearHistory, rows: slice = slice(None), factor: float = 1.0) -> list[Sample]:
        """Work with a part; return what was told."""
        told = []
        for clocks, signals in zip(part.clocks[rows].tolist(), part.signals[rows].tolist(), strict=True):
            values = {"lathe/cutting": 1000.0 + clocks[0], "lathe/cuts": 50.0 + clocks[1]}
            values |= {"lathe/feed": signals[0] * factor, "lathe/torque": signals[1] * factor}
            told += self.say(values, START + timedelta(seconds=10 + clocks[0]))
        return told


def split(told: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    wear, deviation = told[::2], told[1::2]
    assert {each.tag for each in wear} == {"lathe/wear"}
    assert {each.tag for each in deviation} == {"lathe/wear" + DEVIATION}
    return wear, deviation


def test_a_new_part_is_followed_exactly_as_by_the_meter_that_was_judged():
    part = tool(60)
    wear, deviation = split(Lathe(taught()).work(part))
    model = taught().taught.model
    meter = WearMeter.new(model)
    expected = [meter.take(*row) for row in zip(part.clocks.tolist(), part.signals.tolist(), strict=True)]
    assert len(wear) == len(deviation) == ROWS
    good = [place for place, each in enumerate(wear) if each.quality is Quality.GOOD]
    assert good == list(range(BASELINE - 1, ROWS))
    assert [wear[place].value for place in good] == [expected[place].mean for place in good]
    assert [deviation[place].value for place in good] == [expected[place].deviation for place in good]
    assert {each.text for each in wear[: BASELINE - 1]} == {"BEGINNING"}
    assert {each.value for each in deviation[: BASELINE - 1]} == {UNTOLD}
    assert all(each.quality is Quality.GOOD for each in deviation)
    assert np.abs(wear[-1].value - part.wear[-1]) < 3 * deviation[-1].value


@pytest.mark.parametrize(
    "life",
    [
        None,
        replace(NEW, used_before=None),
        replace(NEW, used_before=7.0),
        replace(NEW, fitted_at=START - timedelta(seconds=1)),
    ],
)
def test_of_a_part_whose_beginning_was_not_heard_nothing_is_told(life: Life | None):
    wear, deviation = split(Lathe(taught(), life).work(tool(60)))
    assert {(each.quality, each.text) for each in wear} == {(Quality.UNCERTAIN, "BEGINNING_NOT_HEARD")}
    assert {each.value for each in deviation} == {UNTOLD}


def test_the_next_part_begins_anew_and_is_told():
    lathe = Lathe(taught(), None)
    lathe.work(tool(60))
    lathe.life = replace(NEW, id="second", fitted_at=START + timedelta(seconds=200))
    later = tool(61)
    part = replace(later, clocks=np.add(later.clocks, [ROWS, 10.0]))
    wear, _deviation = split(lathe.work(part))
    assert wear[-1].quality is Quality.GOOD
    meter = WearMeter.new(taught().taught.model)
    cuts = np.subtract(part.clocks, [ROWS, 4.0])  # the counter of cuts goes on from where the part before left it
    for row in zip(cuts.tolist(), part.signals.tolist(), strict=True):
        last = meter.take(*row)
    assert wear[-1].value == pytest.approx(last.mean, rel=1e-9)


def test_a_regime_never_seen_is_not_told_and_moves_nothing_later():
    part, lathe = tool(60), Lathe(taught())
    before, _deviation = split(lathe.work(part, slice(0, 30)))
    strange, deviation = split(lathe.work(part, slice(30, 45), factor=2.0))
    assert {each.text for each in strange} == {"NEVER_SEEN"}
    assert {each.value for each in deviation} == {UNTOLD}
    assert {each.value for each in strange} == {before[-1].value}
    later, _deviation = split(lathe.work(part, slice(45, ROWS)))
    assert {each.quality for each in later} == {Quality.GOOD}
    usual, deviation = split(Lathe(taught()).work(part))
    assert later[-1].value == pytest.approx(usual[-1].value, abs=2 * deviation[-1].value)


def test_a_signal_that_fails_or_a_wire_that_breaks_is_said_at_the_next_row():
    part, lathe = tool(60), Lathe(taught())
    lathe.work(part, slice(0, 30))
    lathe.say({"lathe/feed": 1.0}, START + timedelta(seconds=40.5), Quality.BAD)
    (wear, deviation) = lathe.say({"lathe/cutting": 1031.0}, START + timedelta(seconds=41))
    assert (wear.quality, wear.text, deviation.value) == (Quality.UNCERTAIN, "SIGNAL_MISSING", UNTOLD)
    assert lathe.work(part, slice(31, 32))[0].quality is Quality.GOOD
    lathe.estimation.doubt(["lathe/torque"])
    (wear, _deviation) = lathe.say({"lathe/cutting": 1033.0}, START + timedelta(seconds=43))
    assert wear.text == "SIGNAL_MISSING"


def test_a_row_needs_use_and_late_values_make_none():
    lathe = Lathe(taught())
    lathe.work(tool(60), slice(0, 12))
    at = START + timedelta(seconds=30)
    assert lathe.say({"lathe/feed": 12.0, "lathe/cutting": 1012.4}, at) == []
    assert len(lathe.say({"lathe/cutting": 1013.0}, at + timedelta(seconds=1))) == 2
    assert lathe.say({"lathe/cutting": 1019.0}, at) == []


def test_a_snapshot_goes_on_as_if_nothing_had_happened_and_another_model_believes_anew():
    part, lathe = tool(60), Lathe(taught())
    lathe.work(part, slice(0, 40))
    kept = json.loads(json.dumps(lathe.estimation.snapshot()))
    usual = lathe.work(part, slice(40, ROWS))
    again = Lathe(taught())
    again.estimation = Estimation({"lathe/wear": taught()})
    again.estimation.restore(kept)
    assert again.work(part, slice(40, ROWS)) == usual
    other = replace(BARE, taught=teach(BARE, tools(6, first_seed=20)))
    relearned = Lathe(other)
    relearned.estimation.restore(kept)
    wear, _deviation = split(relearned.work(part, slice(40, ROWS)))
    whole, _deviation = split(Lathe(other).work(part))
    assert wear[-1].value == pytest.approx(whole[-1].value, rel=0.05)
    lathe.estimation.restore({"estimate lathe/wear": {"meter": 1}})  # what does not fit is passed over


@settings(max_examples=40)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30))
def test_a_counter_never_counts_more_than_it_rose_and_never_down(readings: list[int]):
    counted, before = Counted(), 0.0
    for reading in readings:
        counted.take(float(reading))
        assert counted.use >= before
        before = counted.use
    rises = sum(max(late - early, 0) for early, late in pairwise(readings))
    assert counted.use <= rises


def test_a_counter_that_looked_away_counts_nothing_twice():
    counted = Counted()
    for reading in (1000.0, 1010.0, 0.0, 1012.0):
        counted.take(reading)
    assert counted.use == 12.0


# ---- files and lives


def test_a_model_comes_back_from_its_file_exactly():
    use = taught()
    assert read(written(use, use.taught), BARE) == use.taught
    elsewhere = replace(BARE, signals=(Tag("mill/feed", "A"), Tag("mill/torque", "Nm")))
    assert read(written(use, use.taught), elsewhere) == use.taught  # machines of a kind share one


@settings(max_examples=40)
@given(st.data())
def test_a_damaged_model_is_refused(data: st.DataObject):
    text = written(taught(), taught().taught)
    place = data.draw(st.integers(0, len(text.rstrip()) - 1))
    damaged = text[:place] + data.draw(st.sampled_from('07e-x"')) + text[place + 1 :]
    if json_or_none(damaged) != json.loads(text):
        with pytest.raises(ModelRefused):
            read(damaged, BARE)


def json_or_none(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


@pytest.mark.parametrize(
    "use",
    [
        replace(BARE, unit="mm"),
        replace(BARE, every=2.0),
        replace(BARE, signals=BARE.signals[::-1]),
        replace(BARE, clocks=(Tag("lathe/cutting", "min"), BARE.clocks[1])),
    ],
)
def test_a_model_for_something_else_is_refused(use: Estimate):
    with pytest.raises(ModelRefused, match="learned for other"):
        read(written(taught(), taught().taught), use)


def said_of(part: WearHistory) -> list[tuple[int, int, float]]:
    start = ticks_of(START)
    said = [(start, 2, 1000.0), (start, 3, 50.0)]
    for clocks, signals in zip(part.clocks.tolist(), part.signals.tolist(), strict=True):
        at = start + int(clocks[0] + 10) * TICKS_PER_SECOND
        said += [(at, 0, signals[0]), (at, 1, signals[1]), (at, 3, 50.0 + clocks[1]), (at, 2, 1000.0 + clocks[0])]
    return said


def test_a_life_is_made_of_rows_as_estimates_see_them():
    part, start = tool(3), ticks_of(START) + 5 * TICKS_PER_SECOND
    looks = [Measured(start, 0.0)]
    looks += [Measured(start + (5 + row) * TICKS_PER_SECOND, float(part.wear[row - 1])) for row in (20, 40, ROWS)]
    life = life_of(BARE, said_of(part), looks)
    assert life.clocks.tolist() == part.clocks.tolist()
    assert life.signals.tolist() == part.signals.tolist()
    assert life.wear[[19, 39, ROWS - 1]] == pytest.approx(part.wear[[19, 39, ROWS - 1]])
    assert (np.diff(life.wear) >= 0).all()
    with pytest.raises(LifeUnusable, match="rows between"):
        life_of(BARE, said_of(part)[:40], looks)
    with pytest.raises(LifeUnusable, match="measured once"):
        life_of(BARE, said_of(part), looks[:1])
