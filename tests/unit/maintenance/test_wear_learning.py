"""What measured parts teach holds for parts that were not among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from maintenance.wear_estimate import NINETY, WearMeter, WearModel
from maintenance.wear_learning import TERMS_MAX, WearHistory, learn
from tests.unit.maintenance.worn_tools import ROWS, by_clock_alone, tool, tools

RISE, GATHERED = 4, 5
"""Features of the first signal, behind two for each of two clocks."""


def errors(model: WearModel, history: WearHistory) -> tuple[np.ndarray, np.ndarray]:
    """Return absolute errors and deviations, row by row."""
    meter = WearMeter.new(model)
    rows = zip(history.clocks.tolist(), history.signals.tolist(), strict=True)
    said = [meter.take(clocks, signals) for clocks, signals in rows]
    return np.abs([each.mean for each in said] - history.wear), np.array([each.deviation for each in said])


def test_wear_is_told_far_better_than_by_the_clock_and_within_what_is_promised():
    known, unknown = tools(10), tools(10, first_seed=50)
    model = learn(known)
    found = [errors(model, each) for each in unknown]
    error = np.mean([error.mean() for error, _deviation in found])
    clock = np.mean([np.abs(by_clock_alone(known, ROWS) - each.wear).mean() for each in unknown])
    assert error < 0.5 * clock
    inside = np.mean([(error <= NINETY * deviation).mean() for error, deviation in found])
    assert inside >= 0.85
    assert np.mean([deviation.mean() for _error, deviation in found]) < 3 * error


def test_the_signal_that_feels_wear_is_found():
    chosen = {term.feature for term in learn(tools(8)).terms}
    assert chosen & {RISE, GATHERED}
    assert len(chosen) <= TERMS_MAX


def test_where_no_signal_feels_anything_the_clock_is_left():
    deaf = [tool(seed, feeling=0.0) for seed in range(8)]
    model = learn(deaf)
    feeling = learn(tools(8))
    assert model.terms[0].feature in range(4)
    assert model.deviation(200.0, 0.0) > feeling.deviation(200.0, 0.0)


def test_the_same_lives_give_the_same_model_and_their_units_do_not_matter():
    lives = tools(6)
    model = learn(lives)
    assert learn(tools(6)) == model
    scaled = learn([replace(life, signals=life.signals * [1000.0, 0.001]) for life in lives])
    assert [term.feature for term in scaled.terms] == [term.feature for term in model.terms]
    assert [term.weight for term in scaled.terms] == pytest.approx([term.weight for term in model.terms], rel=1e-6)


def test_wear_in_another_unit_is_estimated_in_it():
    model = learn(tools(6))
    millimetres = learn([replace(life, wear=life.wear / 1000.0) for life in tools(6)])
    row = [20.0, 4.5, 2.0, 1.4, 0.2, 3.0, 0.0, 0.0]
    assert millimetres.raw(row) == pytest.approx(model.raw(row) / 1000.0, rel=1e-6)
    assert millimetres.deviation(0.1, 0.0) == pytest.approx(model.deviation(100.0, 0.0) / 1000.0, rel=1e-6)


def test_what_stands_still_in_every_life_is_left_aside():
    still = [replace(life, clocks=life.clocks * [1.0, 0.0]) for life in tools(6)]
    model = learn(still)
    assert {2, 3}.isdisjoint(term.feature for term in model.terms)


def test_lives_too_few_or_unlike_are_refused():
    one, two, three = tools(3)
    with pytest.raises(ValueError, match="at least 3 lives"):
        learn([one, two])
    with pytest.raises(ValueError, match="same clocks and signals"):
        learn([one, two, replace(three, clocks=three.clocks[:, :1])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wear": np.array([])}, "a column of wear"),
        ({"clocks": np.arange(3.0)}, "tables of clocks"),
        ({"wear": np.array([1.0, 2.0])}, "equally long"),
        ({"wear": np.array([1.0, np.nan, 3.0])}, "at least 0"),
        ({"wear": np.array([1.0, 2.0, -3.0])}, "at least 0"),
        ({"clocks": np.array([[1.0], [2.0], [np.inf]])}, "at least 0"),
    ],
)
def test_a_history_is_whole_or_refused(change: dict[str, np.ndarray], message: str):
    whole = {"clocks": np.ones((3, 1)), "signals": np.ones((3, 1)), "wear": np.ones(3)}
    assert len(WearHistory(**whole).wear) == 3
    with pytest.raises(ValueError, match=message):
        WearHistory(**whole | change)
