from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.needs import Belief, Provenance
from marketplace.catalogue import Item
from marketplace.documents import Quotation, QuotationLine, RequestedLine, RequestForQuotation
from marketplace.money import CurrencyMismatch, Money, Quantity, Rate, UnitPrice
from marketplace.sourcing.award import AwardTerms, Cost, award, expected_wait, refusals_of

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
YEAR = timedelta(hours=8766)
ITEM = Item("bearing-7014", "Nordlager", "NL-7014-P4", "Bearing", "C62")
REQUEST = RequestForQuotation("R-1", (RequestedLine(1, "req", ITEM, Quantity(Decimal(2), "C62")),), "EUR", "DE", None)


def belief_of(use, survival, as_of=NOW) -> Belief:
    return Belief.of(use, survival, unit="h", use_per_hour=1.0, as_of=as_of, provenance=Provenance.A)


SAFE = belief_of([0, 10_000], [1, 1])
"""It does not fail within what is known."""
LINEAR = belief_of([0, 1000], [1, 0])


def terms_of(belief=SAFE, standstill=90_000, holding=0, **changes) -> AwardTerms:
    return AwardTerms(belief, Rate(Money(standstill, "EUR"), HOUR), Rate(Money(holding, "EUR"), YEAR), **changes)


def offer_of(
    supplier="kontor", price="100", days="5", *, quantity="2", unit="C62", freight=0, fees=0, **changes
) -> Quotation:
    line = QuotationLine(
        1, "SKU", Quantity(Decimal(quantity), unit), UnitPrice(Decimal(price), "EUR"), Decimal(days), None
    )
    return Quotation(
        supplier,
        f"Q-{supplier}",
        (replace(line, **changes),),
        Money(freight, "EUR"),
        Money(fees, "EUR"),
        NOW + timedelta(days=90),
    )


def chosen(*offers: Quotation, terms: AwardTerms | None = None, request=REQUEST) -> str:
    result = award(offers, request, terms or terms_of(), NOW)
    assert result is not None
    return result.chosen.supplier


def test_the_cheapest_wins_when_nothing_can_come_too_late():
    assert chosen(offer_of("slow", "100", "9"), offer_of("fast", "130", "1")) == "slow"


def test_the_fast_one_wins_when_waiting_would_cost_more():
    assert chosen(offer_of("slow", "100", "9"), offer_of("fast", "130", "1"), terms=terms_of(LINEAR)) == "fast"


def test_freight_and_fees_count():
    assert chosen(offer_of("cheap", "100", freight=900, fees=1500), offer_of("plain", "110")) == "plain"


def test_every_term_of_every_offer_is_a_row():
    result = award(
        [offer_of("kontor", freight=950, fees=1500), offer_of("express", "130", "1")], REQUEST, terms_of(), NOW
    )
    assert result is not None
    rows = {(row.supplier, row.term): row for row in result.terms}
    assert len(rows) == 2 * len(Cost)
    assert rows["kontor", Cost.GOODS].amount == Money(20000, "EUR")
    assert rows["kontor", Cost.FREIGHT].amount == Money(950, "EUR")
    assert rows["kontor", Cost.FEES].amount == Money(1500, "EUR")
    assert {row.rank for row in result.terms if row.supplier == "kontor"} == {1}
    assert {row.rank for row in result.terms if row.supplier == "express"} == {2}


def test_what_would_have_changed_the_choice_is_told():
    result = award([offer_of("kontor"), offer_of("express", "130", "1", freight=500)], REQUEST, terms_of(), NOW)
    assert result is not None
    assert result.runner_up is not None
    assert result.landed("kontor") == Money(20000, "EUR")
    assert result.margin == Money(6500, "EUR")
    assert result.differences()[Cost.GOODS] == Money(6000, "EUR")
    assert result.differences()[Cost.FREIGHT] == Money(500, "EUR")
    with pytest.raises(KeyError):
        result.landed("nobody")


def test_a_single_offer_has_no_runner_up():
    result = award([offer_of()], REQUEST, terms_of(), NOW)
    assert result is not None
    assert (result.runner_up, result.margin, result.differences()) == (None, None, {})


def test_lateness_is_the_expected_wait_times_the_cost_of_standstill():
    # uniform over 1000 h: for a part after 100 h the integral of t/1000 over 0..100 is 5 h
    assert expected_wait(LINEAR, timedelta(0), timedelta(hours=100), timedelta(days=14)) == 5 * HOUR
    result = award([offer_of(days="4")], REQUEST, terms_of(LINEAR, approval=timedelta(hours=4)), NOW)
    assert result is not None
    assert result.landed("kontor") == Money(20000 + 5 * 90_000, "EUR")


def test_one_failure_waits_no_longer_than_the_cap():
    certain = belief_of([0, 1e-6, 1000], [1, 0, 0])
    wait = expected_wait(certain, timedelta(0), timedelta(hours=500), timedelta(hours=48))
    assert abs(wait - timedelta(hours=48)) < timedelta(seconds=1)


def test_a_belief_that_has_grown_old_makes_waiting_likelier():
    fresh = expected_wait(LINEAR, timedelta(0), timedelta(hours=100), timedelta(days=14))
    assert expected_wait(LINEAR, timedelta(hours=50), timedelta(hours=100), timedelta(days=14)) > fresh


def test_goods_that_come_before_they_are_needed_cost_their_shelf():
    request = replace(REQUEST, needed_by=NOW + timedelta(days=5) + YEAR)
    result = award([offer_of()], request, terms_of(holding=1000), NOW)
    assert result is not None
    assert [row.amount for row in result.terms if row.term is Cost.HOLDING] == [Money(2000, "EUR")]


def test_without_a_day_they_are_needed_at_the_median_of_the_belief():
    belief = belief_of([0, 2 * 8766 + 2 * 120], [1, 0])
    result = award([offer_of()], REQUEST, terms_of(belief, standstill=0, holding=1000), NOW)
    assert result is not None
    assert [row.amount for row in result.terms if row.term is Cost.HOLDING] == [Money(2000, "EUR")]


def test_a_life_of_ages_keeps_the_shelf_within_the_calendar():
    result = award([offer_of()], REQUEST, terms_of(belief_of([0, 1e15], [1, 0]), holding=1000), NOW)
    assert result is not None


def test_of_two_equal_offers_the_earlier_wins_and_then_the_name():
    assert chosen(offer_of("b", days="5"), offer_of("a", days="6")) == "b"
    for order in permutations([offer_of("a"), offer_of("b"), offer_of("c")]):
        assert chosen(*order) == "a"


@pytest.mark.parametrize(
    ("offer", "code"),
    [
        (replace(offer_of(), valid_until=NOW), "EXPIRED"),
        (replace(offer_of(), freight=Money(0, "USD")), "OTHER_CURRENCY"),
        (offer_of(unit_price=UnitPrice(Decimal(1), "USD")), "OTHER_CURRENCY"),
        (replace(offer_of(), lines=()), "LINES_MISSING"),
        (offer_of(number=7), "LINES_MISSING"),
        (offer_of(quantity="2", available=Decimal(1)), "NOT_AVAILABLE"),
        (
            replace(offer_of(), lines=(replace(offer_of().lines[0], quantity=Quantity(Decimal(2), "KGM")),)),
            "OTHER_UNIT",
        ),
        (offer_of(quantity="1"), "QUANTITY_SHORT"),
        (offer_of(quantity="4"), "QUANTITY_EXCESS"),
    ],
)
def test_an_offer_that_cannot_serve_is_named_and_never_ranked(offer, code):
    result = award([offer, offer_of("other", "999999")], REQUEST, terms_of(), NOW)
    assert result is not None
    assert result.chosen.supplier == "other"
    assert [(refusal.supplier, refusal.code) for refusal in result.refusals] == [("kontor", code)]


def test_a_pack_may_raise_the_quantity_within_reason():
    assert chosen(offer_of("pack", quantity="3")) == "pack"
    assert refusals_of([offer_of(quantity="3")], REQUEST, terms_of(excess_max=Decimal(0)), NOW)[0].code == (
        "QUANTITY_EXCESS"
    )


def test_without_any_offer_that_serves_nothing_is_awarded():
    assert award([], REQUEST, terms_of(), NOW) is None
    assert award([offer_of(quantity="1")], REQUEST, terms_of(), NOW) is None


def test_costs_in_another_currency_are_never_added():
    terms = AwardTerms(SAFE, Rate(Money(90_000, "USD"), HOUR), Rate(Money(0, "EUR"), YEAR))
    with pytest.raises(CurrencyMismatch):
        award([offer_of()], REQUEST, terms, NOW)


def test_several_lines_are_served_by_one_supplier_or_not_at_all():
    other = RequestedLine(2, "req-2", ITEM, Quantity(Decimal(1), "C62"))
    request = replace(REQUEST, lines=(*REQUEST.lines, other))
    both = offer_of("both")
    second = replace(both.lines[0], number=2, quantity=Quantity(Decimal(1), "C62"), lead_time_days=Decimal(9))
    both = replace(both, lines=(*both.lines, second))
    result = award([offer_of("one"), both], request, terms_of(), NOW)
    assert result is not None
    assert result.chosen.supplier == "both"
    assert result.landed("both") == Money(30000, "EUR")


prices = st.integers(1, 100_000).map(lambda cents: str(Decimal(cents) / 100))
days = st.integers(0, 60).map(str)


@given(st.lists(st.tuples(prices, days, st.integers(0, 5000)), min_size=2, max_size=6), prices)
def test_a_dearer_offer_never_takes_the_award(offers, rise):
    """Whatever loses goes on losing when its price rises."""
    made = [offer_of(f"s{i}", price, lead, freight=freight) for i, (price, lead, freight) in enumerate(offers)]
    result = award(made, REQUEST, terms_of(LINEAR), NOW)
    assert result is not None
    loser = next(offer for offer in made if offer.supplier != result.chosen.supplier)
    line = loser.lines[0]
    dearer = replace(loser, lines=(replace(line, unit_price=UnitPrice(line.unit_price.amount + Decimal(rise), "EUR")),))
    again = award([dearer if offer is loser else offer for offer in made], REQUEST, terms_of(LINEAR), NOW)
    assert again is not None
    assert again.chosen.supplier != loser.supplier or loser == dearer


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=8), st.integers(0, 2000), st.integers(0, 500), st.integers(1, 400)
)
def test_the_expected_wait_lies_between_nothing_and_the_cap(survival, arrival, later, cap):
    belief = belief_of(np.linspace(0, 1000, len(survival)), survival)
    span, limit = timedelta(hours=arrival), timedelta(hours=cap)
    wait = expected_wait(belief, timedelta(0), span, limit)
    assert timedelta(0) <= wait <= min(span, limit) + timedelta(milliseconds=1)
    tolerance = timedelta(milliseconds=1)
    assert expected_wait(belief, timedelta(0), span + timedelta(hours=later), limit) >= wait - tolerance
