"""A worn edge is told from its drives, against its own beginning, and doubt is never hidden."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance.wear_estimate import (
    BASELINE,
    STRANGE,
    Traits,
    WearEstimate,
    WearMeter,
    WearModel,
    feature_count,
    traits_of,
)
from maintenance.wear_learning import WearHistory, learn
from tests.unit.maintenance.worn_tools import ROWS, tool, tools

anything = st.one_of(st.floats(), st.floats(1e-3, 1e3))
rows_of_anything = st.lists(st.tuples(st.tuples(anything, anything), st.tuples(anything, anything)), max_size=40)


@cache
def model() -> WearModel:
    """Return what eight tools teach."""
    return learn(tools(8))


def followed(history: WearHistory, meter: WearMeter | None = None) -> list[WearEstimate]:
    """Return what a meter believes, row by row."""
    meter = meter or WearMeter.new(model())
    rows = zip(history.clocks.tolist(), history.signals.tolist(), strict=True)
    return [meter.take(clocks, signals) for clocks, signals in rows]


@given(rows_of_anything)
@settings(max_examples=50)
def test_an_estimate_never_falls_and_is_a_number_whatever_is_heard(
    rows: list[tuple[tuple[float, float], tuple[float, float]]],
):
    meter, before = WearMeter.new(model()), 0.0
    for clocks, signals in rows:
        said = meter.take(clocks, signals)
        assert before <= said.mean < math.inf
        assert 0.0 < said.deviation < math.inf
        before = said.mean


@settings(max_examples=20)
@given(st.integers(100, 110), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_the_unit_of_a_signal_is_of_no_account(seed: int, one: float, other: float):
    history = tool(seed)
    scaled = replace(history, signals=history.signals * [one, other])
    for here, there in zip(followed(history), followed(scaled), strict=True):
        assert there.mean == pytest.approx(here.mean, rel=1e-6, abs=1e-6)
        assert there.known == here.known


@settings(max_examples=20)
@given(st.integers(100, 110), st.integers(1, ROWS - 1))
def test_what_is_still_to_come_changes_nothing(seed: int, rows: int):
    history = tool(seed)
    cut = WearHistory(history.clocks[:rows], history.signals[:rows], history.wear[:rows])
    assert followed(cut) == followed(history)[:rows]
    assert np.array_equal(traits_of(cut.clocks, cut.signals), traits_of(history.clocks, history.signals)[:rows])


@settings(max_examples=20)
@given(st.integers(100, 110), st.integers(0, ROWS))
def test_a_meter_goes_on_from_its_snapshot(seed: int, rows: int):
    history = tool(seed)
    meter, table = WearMeter.new(model()), list(zip(history.clocks.tolist(), history.signals.tolist(), strict=True))
    for row in table[:rows]:
        meter.take(*row)
    kept = WearModel.of(json.loads(json.dumps(model().snapshot())))
    again = WearMeter.of(kept, json.loads(json.dumps(meter.snapshot())))
    assert [again.take(*row) for row in table[rows:]] == [meter.take(*row) for row in table[rows:]]


def test_a_meter_keeps_a_constant_amount():
    history = tool(100)
    meter = WearMeter.new(model())
    followed(WearHistory(history.clocks[:10], history.signals[:10], history.wear[:10]), meter)
    early = len(json.dumps(meter.snapshot()))
    followed(history, meter)
    assert len(json.dumps(meter.snapshot())) < 1.2 * early < 1_500


def test_nothing_is_known_before_the_part_s_own_beginning_is_whole():
    known = [said.known for said in followed(tool(100))]
    assert known == [False] * (BASELINE - 1) + [True] * (ROWS - BASELINE + 1)


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -3.0])
def test_a_signal_that_is_missing_is_doubted_until_it_is_heard_again(value: float):
    history = tool(100)
    gone = history.signals.copy()
    gone[30:35, 0] = value
    said = followed(replace(history, signals=gone))
    assert [each.known for each in said[29:36]] == [True, *[False] * 5, True]
    assert said[-1].mean == pytest.approx(followed(history)[-1].mean, rel=0.05)


@pytest.mark.parametrize("factor", [25.4, 1 / 25.4])
def test_a_signal_in_another_unit_from_one_row_to_the_next_is_doubted_and_no_wear(factor: float):
    history = tool(100)
    swapped = history.signals.copy()
    swapped[30:, 0] *= factor
    said = followed(replace(history, signals=swapped))
    assert [each.known for each in said[29:]] == [True] + [False] * (ROWS - 30)
    assert said[-1].mean <= history.wear[-1] * 1.2


def test_a_part_beyond_all_that_was_seen_is_doubted_and_its_estimate_stands():
    history = tool(100)
    heavy = replace(history, signals=history.signals * np.exp(0.1 * np.arange(ROWS))[:, None])
    said = followed(heavy)
    assert said[-1].strangeness > STRANGE
    assert not said[-1].known
    first = next(row for row, each in enumerate(said) if each.strangeness > STRANGE)
    assert first > BASELINE
    assert {each.mean for each in said[first:]} == {said[first - 1].mean}
    assert said[-1].deviation > 2 * said[first - 1].deviation / (1.0 + said[first - 1].strangeness)


def test_one_wild_value_is_left_out():
    history = tool(100)
    wild, gone = history.signals.copy(), history.signals.copy()
    wild[30, 0] *= 100.0
    gone[30, 0] = math.nan
    assert followed(replace(history, signals=wild)) == followed(replace(history, signals=gone))


def test_a_clock_that_goes_back_or_is_no_number_stands_still():
    traits = Traits.new(1, 1)
    for hours in (1.0, 2.0, 0.5, math.nan, math.inf, 1e308, -math.inf):
        traits.take([hours], [5.0])
    assert traits.use == [2.0]


def test_what_was_seen_is_not_strange_and_farther_is_stranger():
    term = model().terms[0]
    row = [term.middle] * feature_count(2, 2)
    assert term.strangeness(term.low) == term.strangeness(term.high) == term.strangeness(term.middle) == 0.0
    assert term.strangeness(term.high + (term.high - term.low)) == pytest.approx(1.0)
    assert model().strangeness(row) >= 0.0
    assert model().deviation(100.0, 0.0) < model().deviation(100.0, 0.5) < model().deviation(100.0, 1.0)


def test_rows_of_another_width_and_parts_without_signals_are_refused():
    meter = WearMeter.new(model())
    with pytest.raises(ValueError, match="2 clocks and 2 signals"):
        meter.take([1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="at least one clock and one signal"):
        Traits.new(1, 0)
