from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance.needs import Belief, JobKind, JobLine, Provenance
from maintenance.prognosis import failed
from marketplace.lead_times import LeadTime
from marketplace.openings import Openings
from marketplace.sources import delays
from marketplace.stakes import Supply, Survival
from marketplace.timing import (
    FAILURE_BEFORE_ARRIVAL,
    FIT_LATER,
    FIT_NOW,
    NOT_YET,
    ON_ITS_WAY,
    SET_ASIDE,
    WAITING_COSTS_MORE,
    Costs,
    Held,
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


@pytest.mark.parametrize("shape", [None, 3.0])
def test_what_a_person_says_has_failed_is_bought_now(shape):
    for terms in (terms_of(), replace(costly(20.0), life_shape=shape)):
        advice = advise(failed(LINEAR), terms, NOW)
        assert (advice.buy, advice.probability) == (True, 1.0)


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


def costly(delay_hours=20.0, patience=1.0, step_hours=10.0, **dearer) -> TimingTerms:
    """Terms without a ceiling: costs decide."""
    span, step, costs = timedelta(hours=delay_hours), timedelta(hours=step_hours), replace(COSTS, **dearer)
    return TimingTerms(span, timedelta(0), step, None, costs, (Supply("maker", 0.0, (delay_hours,)),), patience)


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


# A part that is here, or on its way.


def holding(terms: TimingTerms, *delays: float, bought: bool = True) -> TimingTerms:
    return replace(terms, held=Held(Supply("maker", 0.0, delays), bought))


def test_a_part_that_is_here_is_fitted_when_use_is_worth_less_than_the_risk():
    fresh, worn_out = (advise(worn(age), holding(costly(), 0.0), NOW) for age in (0, 170))
    assert (fresh.buy, fresh.code) == (False, FIT_LATER)
    assert float(fresh.parameters["waiting_costs"]) < 0
    assert fresh.fit_by is not None
    assert fresh.decide_by == fresh.fit_by > NOW
    assert (worn_out.buy, worn_out.code, worn_out.fit_by) == (True, FIT_NOW, NOW)
    assert float(worn_out.parameters["waiting_costs"]) >= 0


def test_when_it_is_best_fitted_is_when_that_is_advised():
    fit_by = advise(worn(60), holding(costly(), 0.0), NOW).fit_by
    assert fit_by is not None
    assert not advise(worn(60), holding(costly(), 0.0), fit_by - 25 * HOUR).buy
    assert advise(worn(60), holding(costly(), 0.0), fit_by + HOUR).buy


def test_a_part_on_its_way_is_waited_for_and_nothing_is_decided():
    advice = advise(worn(150), holding(costly(), 5.0, 15.0), NOW)
    assert (advice.buy, advice.code, advice.decide_by) == (False, ON_ITS_WAY, None)
    assert (advice.parameters["here_after_hours"], advice.parameters["supplier"]) == ("10", "maker")
    assert advice.probability == pytest.approx(worn(150).failure_probability(10 * HOUR))
    assert advice.fit_by is not None
    assert advice.fit_by >= NOW + 5 * HOUR


def test_what_lies_on_the_shelf_anyway_is_not_fitted_for_its_rent():
    rent = costly(holding=5.0, step_hours=1.0)
    bought, spare = (
        next(age for age in range(250) if advise(worn(age), holding(rent, 0.0, bought=each), NOW).code == FIT_NOW)
        for each in (True, False)
    )
    assert 50 < bought < spare  # a part that was bought for now is fitted a little earlier, and none at once


def test_one_that_is_promised_to_nobody_is_set_aside_when_it_would_be_ordered():
    """So that nobody else takes it; no money moves, for the shelf is asked first."""
    ordered = next(age for age in range(250) if advise(worn(age), costly(), NOW).buy)
    spare = holding(costly(), 0.0, bought=False)
    before, now = (advise(worn(age), spare, NOW) for age in (ordered - 1, ordered))
    assert (before.buy, before.code) == (False, FIT_LATER)
    assert (now.buy, now.code) == (True, SET_ASIDE)
    assert not advise(worn(ordered), holding(costly(), 0.0), NOW).buy  # what is promised already is not asked for again


def test_a_part_that_is_here_is_fitted_by_what_things_cost_alone():
    with pytest.raises(ValueError, match="nothing is known of that"):
        holding(terms_of(), 0.0)


@settings(max_examples=30)
@given(st.floats(0, 250), st.floats(0, 100), st.floats(1, 12))
def test_stock_on_hand_never_causes_an_order_earlier(age_hours, delay_hours, dearer):
    terms = costly(delay_hours, standstill=10.0 * dearer, failure=100 + 400 * dearer)
    without = advise(worn(age_hours), terms, NOW)
    for left in (0.0, delay_hours + 1.0):
        assert advise(worn(age_hours), holding(terms, left, bought=False), NOW).buy <= without.buy


@settings(max_examples=30)
@given(st.floats(0, 250), st.floats(1, 20))
def test_a_dearer_failure_never_delays_a_fitting(age_hours, dearer):
    terms, worse = (holding(costly(failure=100 + 400 * each), 0.0) for each in (1.0, dearer))
    before, after = advise(worn(age_hours), terms, NOW), advise(worn(age_hours), worse, NOW)
    assert after.buy >= before.buy


@settings(max_examples=30)
@given(st.floats(0, 250), st.floats(0, 100), st.floats(0, 100))
def test_a_longer_lead_time_never_delays_an_order_by_cost(age_hours, delay_hours, longer):
    before, after = (advise(worn(age_hours), costly(delay_hours + each), NOW) for each in (0.0, longer))
    assert after.buy >= before.buy


YEAR = 8766.0


def part(price: float, standstill_a_day: float, age_hours: float = 0.0) -> tuple[Belief, TimingTerms]:
    """A part that lasts a year, from one who takes a fortnight; keeping it costs a quarter of its price a year."""
    hours, standstill = np.linspace(0, 3 * YEAR, 200), standstill_a_day / 24
    hazard = np.log(2) * ((age_hours + hours) / YEAR) ** 3
    costs = Costs("EUR", price, price, standstill, 0.25 * price / YEAR)
    supplies = (Supply("", 0.0, delays(LeadTime(14 * 24.0, 0.2))),)
    terms = TimingTerms(14 * 24 * HOUR, timedelta(0), HOUR, None, costs, supplies)
    return replace(belief_of(hours, np.exp(hazard[0] - hazard)), life=YEAR), terms


def test_after_the_last_one_was_fitted_a_filter_is_ordered_for_the_shelf_at_once_and_a_spindle_is_not():
    """Nobody chooses which: the same rule, the same life, the same supplier."""
    belief, terms = part(60.0, 2_500.0)
    spare = advise(belief, terms, NOW)
    assert (spare.buy, spare.code) == (True, WAITING_COSTS_MORE)
    shelved = advise(belief, holding(terms, 0.0), NOW)  # it came: now it lies there, and is not fitted either
    assert (shelved.buy, shelved.code) == (False, FIT_LATER)

    belief, terms = part(22_000.0, 5_000.0)
    spindle = advise(belief, terms, NOW)
    assert (spindle.buy, spindle.code) == (False, NOT_YET)
    assert spindle.decide_by is not None
    assert spindle.decide_by > NOW + timedelta(days=45)
    assert advise(part(22_000.0, 5_000.0, age_hours=0.7 * YEAR)[0], terms, NOW).buy  # bought on condition


# Where age alone tells of a part.


def aged(**dearer) -> TimingTerms:
    return replace(costly(step_hours=1.0, **dearer), life_shape=6.0)


def cost_rates(ages, costs: Costs) -> np.ndarray:
    """What an hour of use costs where parts of a year's life are replaced at an age, or at their failure."""
    alive = np.exp(-np.log(2) * (ages / YEAR) ** 3)
    length = np.concatenate(([0.0], np.cumsum(np.diff(ages) * (alive[1:] + alive[:-1]) / 2)))
    return (costs.planned + (costs.failure - costs.planned) * (1 - alive[1:])) / length[1:]


@pytest.mark.parametrize(("price", "standstill_a_day"), [(60.0, 2_500.0), (60.0, 21_600.0), (400.0, 4_000.0)])
def test_where_age_alone_tells_a_part_is_fitted_at_the_best_age(price, standstill_a_day):
    """Within 2 % of the best that age replacement costs; by its share of a life it would go too early, and dearer."""

    def fitted(shape: float | None) -> int:
        young, old = 0, round(2 * YEAR)
        while old - young > 10:
            age = (young + old) // 2
            belief, terms = part(price, standstill_a_day, age)
            costs = replace(terms.costs, failure=price + standstill_a_day / 3)
            said = advise(belief, holding(replace(terms, costs=costs, life_shape=shape), 0.0), NOW)
            young, old = (young, age) if said.code == FIT_NOW else (age, old)
        return old

    rates = cost_rates(np.arange(0.0, 2 * YEAR, 2.0), Costs("EUR", price, price + standstill_a_day / 3, 0.0, 0.0))
    by_age, by_share = (rates[fitted(shape) // 2 - 1] / rates.min() for shape in (3.0, None))
    assert by_age < 1.02
    assert by_share > 1.2


@settings(max_examples=30)
@given(st.floats(0, 250), st.floats(1, 20))
def test_a_dearer_standstill_never_delays_an_order_where_age_alone_tells(age_hours, dearer):
    before, after = (
        advise(worn(age_hours), aged(standstill=10.0 * each, failure=100 + 400 * each), NOW) for each in (1.0, dearer)
    )
    assert after.buy >= before.buy


def test_a_long_lived_part_that_is_kept_on_the_shelf_is_not_fitted_for_its_rent():
    """Keeping one costs more than its share of a life: but then so does an hour of use, and no part is thrown away."""
    belief, terms = part(100.0, 200_000.0)
    terms = replace(terms, costs=replace(terms.costs, holding=3 * 100.0 / YEAR, failure=500.0), life_shape=3.0)
    for shape in (3.0, None):
        said = replace(terms, life_shape=shape)
        assert advise(belief, said, NOW).buy
        assert not advise(belief, holding(said, 0.0), NOW).buy


# Maintenance windows.

FRIDAYS = Openings(((94.0, 98.0),), closed=80.0)
"""Monday 8:00 is now: on Fridays a job may begin from 6:00 to 10:00."""


def test_a_fitting_waits_for_the_window_that_is_best_and_says_which():
    terms = holding(replace(costly(step_hours=1.0), openings=replace(FRIDAYS, closed=400.0)), 0.0)
    free = holding(costly(step_hours=1.0), 0.0)
    due = next(age for age in range(250) if advise(worn(age), free, NOW).buy)
    advice = advise(worn(due), terms, NOW)
    assert (advice.buy, advice.code) == (False, FIT_LATER)
    assert advice.fit_by == NOW + 94 * HOUR
    assert advice.parameters["fit_by"] == "2026-03-06T06:00:00+00:00"


def test_out_of_a_window_it_is_fitted_where_waiting_for_one_costs_more_than_the_stop():
    terms = holding(replace(costly(step_hours=1.0), openings=FRIDAYS), 0.0)
    assert advise(worn(240), terms, NOW).code == FIT_NOW
    dearer = replace(terms, openings=replace(FRIDAYS, closed=400.0))
    assert advise(worn(100), dearer, NOW).fit_by == NOW + 94 * HOUR


def test_within_a_window_it_is_fitted_a_little_early_rather_than_a_week_late():
    free = holding(costly(step_hours=1.0), 0.0)
    due = next(age for age in range(250) if advise(worn(age), free, NOW).buy)
    open_now = replace(free, openings=Openings(((0.0, 0.5), (166.0, 168.0)), 80.0))
    assert not advise(worn(due - 10), free, NOW).buy
    assert advise(worn(due - 10), open_now, NOW).code == FIT_NOW


def test_an_order_comes_in_time_for_the_window_that_is_best():
    """With one window a week, a day before the part would best be fitted, it is ordered sooner than for that day."""
    free = advise(worn(0), costly(20.0, step_hours=1.0), NOW)
    assert free.fit_by is not None
    opens = (free.fit_by - timedelta(days=1) - NOW) / HOUR % 168.0
    terms = replace(costly(20.0, step_hours=1.0), openings=Openings(((opens, opens + 4.0),), closed=80.0))
    closed = advise(worn(0), terms, NOW)
    assert closed.decide_by is not None
    assert free.decide_by is not None
    assert closed.decide_by < free.decide_by
    assert closed.fit_by is not None
    assert -4 * HOUR <= closed.fit_by - (free.fit_by - timedelta(days=1)) <= 4 * HOUR
    assert closed.decide_by + 20 * HOUR <= closed.fit_by


@settings(max_examples=30)
@given(st.floats(0, 250), st.floats(0, 200), st.floats(1, 20))
def test_a_dearer_failure_never_delays_a_fitting_in_a_window(age_hours, closed, dearer):
    openings = replace(FRIDAYS, closed=closed)
    before, after = (
        advise(worn(age_hours), holding(replace(costly(failure=100 + 400 * each), openings=openings), 0.0), NOW)
        for each in (1.0, dearer)
    )
    assert after.buy >= before.buy


@settings(max_examples=30)
@given(st.floats(0, 250), st.floats(0, 100), st.floats(0, 160), st.floats(1, 20))
def test_a_dearer_standstill_never_delays_an_order_for_a_window(age_hours, delay_hours, opens, dearer):
    before, after = (
        advise(worn(age_hours), replace(terms, openings=Openings(((opens, opens + 8.0),), 40.0 * each)), NOW)
        for each in (1.0, dearer)
        for terms in (costly(delay_hours, standstill=10.0 * each, failure=100 + 400 * each),)
    )
    assert after.buy >= before.buy


# Which lines of a job are wanted.

GOODS, VISIT = (JobLine(kind, kind, Decimal(1), "C62", JobKind(kind)) for kind in ("part", "service"))


def test_a_service_is_wanted_in_time_for_the_fitting_and_not_when_the_shelf_is_filled():
    job = (GOODS, VISIT)
    belief, terms = part(60.0, 2_500.0)
    assert advise(belief, terms, NOW).wants(job) == (GOODS,)  # a spare for the shelf
    assert advise(belief, holding(terms, 0.0), NOW).wants(job) == ()
    near = advise(worn(150), holding(costly(), 0.0), NOW)
    assert near.wants(job) == ((GOODS, VISIT) if near.buy else (VISIT,))
    assert advise(worn(0), costly(), NOW).wants(job) == ()


def test_without_costs_all_lines_are_wanted_together_and_a_service_alone_by_the_verdict():
    bought = advise(LINEAR, terms_of(lead_time_hours=41), NOW)
    assert bought.wants((GOODS, VISIT)) == (GOODS, VISIT)
    assert bought.wants((VISIT,)) == (VISIT,)
    assert advise(LINEAR, terms_of(), NOW).wants((VISIT,)) == ()
