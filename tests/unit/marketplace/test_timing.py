from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.needs import Belief, Provenance
from marketplace.stakes import Supply, Survival
from marketplace.timing import (
    FAILURE_BEFORE_ARRIVAL,
    NOT_YET,
    WAITING_COSTS_MORE,
    Costs,
    TimingTerms,
    advise,
    stakes_of,
)

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def belief_of(use, survival, *, use_per_hour=1.0, as_of=NOW) -> Belief:
    return Belief.of(use, survival, unit="h", use_per_hour=use_per_hour, as_of=as_of, provenance=Provenance.A)


def terms_of(lead_time_hours=24.0, approval_hours=8.0, step_hours=1.0, failure_probability=0.05) -> TimingTerms:
    return TimingTerms(
        timedelta(hours=lead_time_hours),
        timedelta(hours=approval_hours),
        timedelta(hours=step_hours),
        failure_probability,
    )


LINEAR = belief_of([0, 1000], [1, 0])
"""It fails with equal chance in each of the next thousand hours."""


def test_it_waits_while_a_part_would_still_come_in_time():
    advice = advise(LINEAR, terms_of(), NOW)
    assert not advice.buy
    assert advice.code == NOT_YET
    assert advice.probability == pytest.approx(0.033)


def test_it_buys_when_failure_before_arrival_reaches_the_threshold():
    advice = advise(LINEAR, terms_of(lead_time_hours=41), NOW)
    assert advice.buy
    assert advice.code == FAILURE_BEFORE_ARRIVAL


def test_lead_time_approval_and_one_step_all_count():
    assert not advise(LINEAR, terms_of(40, 8, 1), NOW).buy
    for longer in (terms_of(42, 8, 1), terms_of(40, 10, 1), terms_of(40, 8, 3)):
        assert advise(LINEAR, longer, NOW).buy


def test_decide_by_is_when_it_will_have_to_be_decided():
    advice = advise(LINEAR, terms_of(), NOW)
    assert advice.decide_by is not None
    assert abs(advice.decide_by - (NOW + timedelta(hours=50 - 33))) < timedelta(seconds=1)
    assert not advise(LINEAR, terms_of(), advice.decide_by - HOUR).buy
    assert advise(LINEAR, terms_of(), advice.decide_by + timedelta(seconds=1)).buy


def test_a_life_beyond_what_the_belief_knows_has_no_day_to_decide_by():
    advice = advise(belief_of([0, 1000], [1, 0.99]), terms_of(), NOW)
    assert (advice.buy, advice.decide_by) == (False, None)
    assert advice.parameters["decide_by"] == ""


def test_a_life_that_outlasts_the_calendar_is_no_error():
    advice = advise(belief_of([0, 1e15], [1, 0]), terms_of(), NOW)
    assert not advice.buy
    assert advice.decide_by is not None


def test_a_belief_that_nobody_revises_grows_older():
    assert not advise(LINEAR, terms_of(), NOW).buy
    assert advise(LINEAR, terms_of(), NOW + timedelta(hours=20)).buy


def test_a_machine_that_runs_more_needs_its_part_earlier():
    assert advise(belief_of([0, 1000], [1, 0], use_per_hour=2.0), terms_of(), NOW).buy


def test_the_figures_are_texts_in_hours():
    assert advise(LINEAR, terms_of(), NOW).parameters == {
        "probability": "0.0330",
        "threshold": "0.0500",
        "arrival_hours": "33",
        "lead_time_hours": "24",
        "approval_hours": "8",
        "step_hours": "1",
        "decide_by": "2026-03-03T01:00:00+00:00",
    }


@pytest.mark.parametrize("probability", [0.0, 1.0, -1.0, float("nan")])
def test_a_threshold_that_always_or_never_buys_is_refused(probability):
    with pytest.raises(ValueError, match="between 0 and 1"):
        terms_of(failure_probability=probability)


def test_a_negative_lead_time_is_refused():
    with pytest.raises(ValueError, match="not below zero"):
        terms_of(lead_time_hours=-1)


COSTS = Costs("EUR", 100.0, 500.0, 10.0, 0.1)


def costly(delay_hours=20.0, patience=1.0, **dearer) -> TimingTerms:
    """Terms without a ceiling: costs decide."""
    span, costs = timedelta(hours=delay_hours), replace(COSTS, **dearer)
    return TimingTerms(span, timedelta(0), 10 * HOUR, None, costs, (Supply("maker", 0.0, (delay_hours,)),), patience)


def worn(age_hours: float, life: float | None = 200.0) -> Belief:
    hours = np.linspace(0, 600, 200)
    hazard = np.log(2) * ((age_hours + hours) / 200) ** 6
    return replace(belief_of(hours, np.exp(hazard[0] - hazard)), life=life)


def test_it_buys_once_waiting_costs_more_than_it_saves():
    early, due = advise(worn(0), costly(), NOW), advise(worn(140), costly(), NOW)
    assert (early.buy, early.code, early.parameters["threshold"]) == (False, NOT_YET, "")
    assert float(early.parameters["waiting_costs"]) < 0
    assert (due.buy, due.code, due.parameters["currency"]) == (True, WAITING_COSTS_MORE, "EUR")
    assert float(due.parameters["waiting_costs"]) > 0


def test_when_it_must_be_decided_is_when_it_is_advised():
    decide_by = advise(worn(0), costly(), NOW).decide_by
    assert decide_by is not None
    assert not advise(worn(0), costly(), decide_by - HOUR).buy
    assert advise(worn(0), costly(), decide_by).buy
    assert 60 <= (decide_by - NOW) / HOUR <= 120


def test_a_ceiling_buys_earlier_than_costs_and_says_so():
    advice = advise(worn(60), replace(costly(), failure_probability=0.001), NOW)
    assert (advice.buy, advice.code) == (True, FAILURE_BEFORE_ARRIVAL)


def test_an_hour_of_use_is_worth_its_share_of_a_new_part():
    assert stakes_of(COSTS, 200.0).running == pytest.approx(0.5)
    short, long = (advise(worn(0, life), costly(), NOW).decide_by for life in (100.0, 2000.0))
    assert short is not None
    assert long is not None
    assert long < short  # where life is cheap, none is risked for it
    assert stakes_of(COSTS, 200.0, patience=2.0).running == pytest.approx(1.0)


def test_without_a_usual_life_the_mean_of_what_is_left_stands_for_it():
    unrated = worn(0, None)
    mean = Survival(unrated.use, unrated.survival).mean
    assert advise(unrated, costly(), NOW).parameters == advise(replace(unrated, life=mean), costly(), NOW).parameters


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_probability": None, "costs": None, "supplies": ()},
        {"costs": None},
        {"supplies": ()},
        {"patience": 0.0},
    ],
)
def test_terms_by_which_nothing_could_be_decided_are_refused(wrong):
    with pytest.raises(ValueError, match=r"nothing would ever|together|patience"):
        replace(costly(), **wrong)


@given(st.floats(0, 250), st.floats(1, 20), st.floats(0, 100))
def test_a_dearer_standstill_never_delays_an_order(age_hours, dearer, delay_hours):
    before, after = (
        advise(worn(age_hours), costly(delay_hours, standstill=10.0 * each, failure=100 + 400 * each), NOW)
        for each in (1.0, dearer)
    )
    assert after.buy >= before.buy
    if before.decide_by is not None:
        assert after.decide_by is not None
        assert after.decide_by <= before.decide_by


@given(st.floats(0, 250), st.floats(0, 100), st.floats(0, 100))
def test_more_wear_never_delays_an_order_by_cost(age_hours, more, delay_hours):
    assert (
        advise(worn(age_hours + more), costly(delay_hours), NOW).buy
        >= advise(worn(age_hours), costly(delay_hours), NOW).buy
    )


grids = st.lists(st.floats(0.1, 500), min_size=1, max_size=12).map(
    lambda steps: np.concatenate(([0], np.cumsum(steps)))
)
hours = st.floats(0, 2000)
shares = st.floats(0.001, 0.999)


@st.composite
def beliefs(draw) -> Belief:
    grid = draw(grids)
    survival = draw(st.lists(st.floats(0, 1), min_size=grid.size, max_size=grid.size))
    age_hours = draw(st.floats(-10, 500))
    return belief_of(grid, survival, use_per_hour=draw(st.floats(0.01, 10)), as_of=NOW - timedelta(hours=age_hours))


@given(beliefs(), hours, st.floats(0, 500), shares)
def test_a_longer_lead_time_never_delays(belief, lead_time_hours, longer, threshold):
    before = advise(belief, terms_of(lead_time_hours, failure_probability=threshold), NOW)
    after = advise(belief, terms_of(lead_time_hours + longer, failure_probability=threshold), NOW)
    assert after.buy >= before.buy
    if before.decide_by is not None:
        assert after.decide_by is not None
        assert after.decide_by <= before.decide_by


@given(beliefs(), hours, shares, st.data())
def test_more_wear_never_delays(belief, lead_time_hours, threshold, data):
    worn = belief.survival * data.draw(st.floats(0, 1))
    worse = Belief.of(
        belief.use,
        worn,
        unit="h",
        use_per_hour=belief.use_per_hour,
        as_of=belief.as_of,
        provenance=Provenance.A,
    )
    terms = terms_of(lead_time_hours, failure_probability=threshold)
    assert advise(worse, terms, NOW).buy >= advise(belief, terms, NOW).buy


@given(beliefs(), hours, shares, st.floats(0, 500))
def test_later_never_turns_buy_into_not_yet(belief, lead_time_hours, threshold, later_hours):
    terms = terms_of(lead_time_hours, failure_probability=threshold)
    assert advise(belief, terms, NOW + timedelta(hours=later_hours)).buy >= advise(belief, terms, NOW).buy


@given(beliefs(), hours, shares)
def test_a_verdict_to_buy_is_never_dated_in_the_future(belief, lead_time_hours, threshold):
    advice = advise(belief, terms_of(lead_time_hours, failure_probability=threshold), NOW)
    if advice.decide_by is not None:
        assert (advice.decide_by <= NOW) if advice.buy else (advice.decide_by >= NOW)
