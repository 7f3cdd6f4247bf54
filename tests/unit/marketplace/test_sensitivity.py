from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance.needs import Belief, Provenance
from marketplace import sensitivity
from marketplace.sensitivity import ASKED_MAX, NEAREST, STEPS, Input, moved, nearest_changes, rounded, value_of
from marketplace.stakes import Supply
from marketplace.timing import Costs, TimingTerms, advise

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def belief_of(median_hours: float, shape: float = 3.0) -> Belief:
    use = np.linspace(0.0, 3.0 * median_hours, 60)
    survival = np.exp(-np.log(2.0) * (use / median_hours) ** shape)
    return Belief.of(
        use, survival, unit="h", use_per_hour=1.0, as_of=NOW, provenance=Provenance.A, life=4.0 * median_hours
    )


def terms_of(lead=240.0, approval=8.0, price=400.0, standstill=90.0, failure=300.0, holding=0.05, supplies=1):
    costs = Costs("EUR", price, price + failure, standstill, holding)
    each = tuple(
        Supply(f"s{place}", 10.0 * place, (approval + lead * 0.8, approval + lead * 1.3)) for place in range(supplies)
    )
    return TimingTerms(lead * HOUR, approval * HOUR, HOUR, None, costs, each)


beliefs = st.builds(belief_of, st.floats(50.0, 20_000.0), st.floats(1.0, 6.0))
terms = st.builds(
    terms_of,
    lead=st.floats(1.0, 1000.0),
    approval=st.floats(0.0, 72.0),
    price=st.floats(1.0, 30_000.0),
    standstill=st.floats(0.0, 500.0),
    failure=st.floats(0.0, 5_000.0),
    holding=st.floats(0.0, 2.0),
    supplies=st.integers(1, 2),
)


def nearer(change) -> float:
    """Return a factor nearer to what is: by what the search left open, and one step of a figure that people can say."""
    more = 1.014 if change.input is not Input.REMAINING else 1.004 + 0.011 / change.factor
    return max(change.factor / more, 1.0) if change.factor > 1 else min(change.factor * more, 1.0)


@settings(max_examples=30)
@given(beliefs, terms)
def test_every_told_change_turns_the_advice_round_at_its_figure(belief, given_terms):
    with pytest.MonkeyPatch.context() as patch:
        asked = []
        patch.setattr(sensitivity, "advise", lambda *inputs: asked.append(1) or advise(*inputs))
        told = nearest_changes(belief, given_terms, NOW)
    assert len(asked) <= ASKED_MAX
    before = advise(belief, given_terms, NOW)
    for change in told:
        after = advise(*moved(belief, given_terms, change.input, change.value / change.was), NOW)
        assert after.buy == change.buy != before.buy
        assert after.decide_by == change.decide_by
        if change.input is Input.STANDSTILL:  # the one that is known to turn it round once only
            assert advise(*moved(belief, given_terms, change.input, nearer(change)), NOW).buy == before.buy
        if change.input is not Input.PRICE:
            hastens = change.input is not Input.REMAINING
            assert (change.factor > 1.0) == (change.buy == hastens)
    distances = [abs(np.log(change.factor)) for change in told]
    assert distances == sorted(distances)
    assert len({change.input for change in told}) == len(told) <= NEAREST


@settings(max_examples=40)
@given(beliefs, terms, st.floats(1.0, 10.0))
def test_a_dearer_standstill_never_delays(belief, given_terms, factor):
    before = advise(belief, given_terms, NOW)
    after = advise(*moved(belief, given_terms, Input.STANDSTILL, factor), NOW)
    assert after.buy or not before.buy


@pytest.mark.parametrize("median", [300.0, 1200.0, 3000.0, 9000.0])
def test_no_nearer_figure_turns_it_round(median):
    belief, given_terms = belief_of(median), terms_of(holding=0.4)
    told = nearest_changes(belief, given_terms, NOW)
    assert told
    for change in told:
        assert advise(*moved(belief, given_terms, change.input, nearer(change)), NOW).buy != change.buy


def test_one_input_moves_and_all_else_stays():
    belief, given_terms = belief_of(500.0), terms_of()
    assert moved(belief, given_terms, Input.PRICE, 2.0)[1].costs == Costs("EUR", 800.0, 1100.0, 90.0, 0.1)
    assert moved(belief, given_terms, Input.STANDSTILL, 2.0)[1].costs == Costs("EUR", 400.0, 1000.0, 180.0, 0.05)
    later = moved(belief, given_terms, Input.LEAD_TIME, 2.0)[1]
    assert (later.lead_time, later.supplies[0].delays) == (480 * HOUR, (8 + 2 * 192.0, 8 + 2 * 312.0))
    slower = moved(belief, given_terms, Input.APPROVAL, 2.0)[1]
    assert (slower.approval, slower.supplies[0].delays) == (16 * HOUR, (16 + 192.0, 16 + 312.0))
    assert moved(belief, given_terms, Input.REMAINING, 0.5)[0].remaining_use(0.5) == pytest.approx(250.0, rel=0.01)


def test_where_nothing_is_known_of_costs_only_times_and_life_can_change_the_advice():
    ceiling = TimingTerms(240 * HOUR, 8 * HOUR, HOUR, 0.05)
    for what in (Input.PRICE, Input.STANDSTILL):
        assert value_of(ceiling, what) == 0.0
        assert moved(belief_of(900.0), ceiling, what, 3.0)[1] is ceiling
    told = nearest_changes(belief_of(900.0), ceiling, NOW)
    assert {change.input for change in told} == {Input.LEAD_TIME, Input.REMAINING}
    assert all(change.buy for change in told)


def test_what_is_nothing_cannot_be_more():
    still = terms_of(approval=0.0, standstill=0.0, failure=0.0)
    told = nearest_changes(belief_of(900.0), still, NOW, most=9)
    assert not {Input.APPROVAL, Input.STANDSTILL} & {change.input for change in told}


def test_a_figure_is_rounded_away_from_what_is_to_three_digits_and_times_to_days():
    assert rounded(1234.0, upwards=True) == pytest.approx(1240.0)
    assert rounded(1234.0, upwards=False) == pytest.approx(1230.0)
    assert rounded(0.01234, upwards=False) == pytest.approx(0.0123)
    assert rounded(120.0, upwards=True) == rounded(120.0, upwards=False) == pytest.approx(120.0)
    told = nearest_changes(belief_of(900.0), TimingTerms(240 * HOUR, 8 * HOUR, HOUR, 0.05), NOW)
    (days,) = [change.value / 24 for change in told if change.input is Input.LEAD_TIME]
    assert days == pytest.approx(round(days, 1))


def test_what_no_factor_turns_round_is_not_told():
    hopeless = replace(belief_of(900.0), survival=np.zeros(60))
    assert nearest_changes(hopeless, terms_of(), NOW) == ()
    assert STEPS[0] == 1.0
