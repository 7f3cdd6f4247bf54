"""Amounts are exact, rounding happens once and is symmetric, and currencies never meet."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.money import (
    AMOUNT_MAX,
    DECIMALS,
    CurrencyMismatch,
    Money,
    Quantity,
    Rate,
    UnitPrice,
    UnknownCurrency,
    decimals_of,
    plain,
    to_decimal,
)

currencies = st.sampled_from(sorted(DECIMALS))
minors = st.integers(-AMOUNT_MAX, AMOUNT_MAX)
small = st.integers(-(10**9), 10**9)
prices = st.decimals(min_value=0, max_value=10**6, places=6)
quantities = st.decimals(min_value=Decimal("0.001"), max_value=10**4, places=3)
spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3650))


@given(minors, currencies)
def test_what_is_written_reads_back(minor, currency):
    amount = Money(minor, currency)
    assert Money.parse(str(amount)) == amount
    assert Money.of(amount.amount, currency) == amount


@pytest.mark.parametrize(
    ("text", "minor", "currency"),
    [
        ("380 EUR", 38000, "EUR"),
        ("1500.50 EUR", 150050, "EUR"),
        ("  -0.01   USD ", -1, "USD"),
        ("1000 JPY", 1000, "JPY"),
        ("1.234 KWD", 1234, "KWD"),
        ("1.50 JPY".replace(".50", ".0"), 1, "JPY"),
    ],
)
def test_amounts_read_as_people_write_them(text, minor, currency):
    assert Money.parse(text) == Money(minor, currency)


@pytest.mark.parametrize(
    "text", ["", "380", "EUR", "EUR 380", "380 eur", "1,5 EUR", "1e3 EUR", "0.001 EUR", "0.5 JPY", "5 XXX", "NaN EUR"]
)
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match=r"amount|minor unit|currency"):
        Money.parse(text)


@pytest.mark.parametrize("minor", [1.0, True, Decimal(1), "1", AMOUNT_MAX + 1, -AMOUNT_MAX - 1])
def test_an_amount_is_an_integer_within_bounds(minor):
    with pytest.raises(ValueError, match="integer"):
        Money(minor, "EUR")


def test_an_unknown_currency_is_named():
    with pytest.raises(UnknownCurrency, match="XXX"):
        Money(1, "XXX")
    assert (decimals_of("JPY"), decimals_of("EUR"), decimals_of("KWD")) == (0, 2, 3)


@given(small, small, currencies)
def test_sums_and_comparisons_are_those_of_the_integers(first, second, currency):
    one, two = Money(first, currency), Money(second, currency)
    assert (one + two).minor == first + second
    assert (one - two).minor == first - second
    assert (one < two, one <= two, one > two, one >= two) == (
        first < second,
        first <= second,
        first > second,
        first >= second,
    )


@pytest.mark.parametrize("act", ["__add__", "__sub__", "__lt__", "__le__", "__gt__", "__ge__"])
def test_two_currencies_never_meet(act):
    with pytest.raises(CurrencyMismatch, match="different currencies"):
        getattr(Money(1, "EUR"), act)(Money(1, "USD"))


@given(prices, quantities, st.sampled_from([1, 10, 12, 100, 1000]), currencies)
def test_a_line_is_rounded_once_to_the_nearest_minor_unit(price, quantity, per, currency):
    amount = UnitPrice(price, currency, Decimal(per)).times(Quantity(quantity, "C62"))
    exact = Fraction(price) * Fraction(quantity) / per * 10 ** decimals_of(currency)
    assert abs(Fraction(amount.minor) - exact) <= Fraction(1, 2)
    if (exact * 2).denominator == 1 and exact.denominator == 2:
        assert amount.minor > exact


@pytest.mark.parametrize(
    ("price", "quantity", "minor"), [("0.005", "1", 1), ("0.0049", "1", 0), ("0.125", "1", 13), ("1.005", "3", 302)]
)
def test_halves_round_away_from_zero(price, quantity, minor):
    assert UnitPrice(Decimal(price), "EUR").times(Quantity(Decimal(quantity), "C62")) == Money(minor, "EUR")


@given(prices, prices, quantities, currencies)
def test_a_higher_price_never_costs_less(price, rise, quantity, currency):
    wanted = Quantity(quantity, "C62")
    assert UnitPrice(price, currency).times(wanted) <= UnitPrice(price + rise, currency).times(wanted)


@pytest.mark.parametrize(
    ("price", "per"), [("-1", "1"), ("NaN", "1"), ("Infinity", "1"), ("1", "0"), ("1", "NaN"), ("0.0000001", "1")]
)
def test_what_is_no_price_is_refused(price, per):
    with pytest.raises(ValueError, match="unit price"):
        UnitPrice(Decimal(price), "EUR", Decimal(per))


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "Infinity"])
def test_a_quantity_is_above_zero(amount):
    with pytest.raises(ValueError, match="above zero"):
        Quantity(Decimal(amount), "C62")


@pytest.mark.parametrize("unit", ["", "piece", "c62", "C", "C62 "])
def test_a_unit_is_a_code(unit):
    with pytest.raises(ValueError, match="UN/ECE"):
        Quantity(Decimal(1), unit)


def test_prices_and_quantities_read_well():
    assert str(UnitPrice(Decimal("61.50"), "EUR")) == "61.50 EUR"
    assert str(UnitPrice(Decimal("720"), "EUR", Decimal("12"))) == "720 EUR per 12"
    assert str(Quantity(Decimal("2.500"), "LTR")) == "2.5 LTR"


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6))
def test_a_plain_number_is_the_same_number(number):
    assert Decimal(plain(number)) == number
    assert "E" not in plain(number)


@pytest.mark.parametrize("number", ["100", "1E+2", "100.00", "0.10", "0"])
def test_plain_numbers_have_no_exponent_and_no_loose_zeros(number):
    assert plain(Decimal(number)) == {"100": "100", "1E+2": "100", "100.00": "100", "0.10": "0.1", "0": "0"}[number]


@pytest.mark.parametrize("value", [1.5, "one", "NaN", "-Infinity"])
def test_what_is_no_exact_number_is_refused(value):
    with pytest.raises(ValueError, match=r"float|number"):
        to_decimal(value)


def test_exact_numbers_are_taken():
    assert to_decimal("1.50") == to_decimal(Decimal("1.5"))
    assert to_decimal(3) == 3


@given(st.integers(0, 10**9), spans, spans)
def test_a_rate_costs_more_for_longer_and_nothing_for_less_than_nothing(minor, span, more):
    rate = Rate(Money(minor, "EUR"), timedelta(hours=1))
    assert rate.over(span) <= rate.over(span + more)
    assert rate.over(-more) == Money(0, "EUR")
    exact = Decimal(minor) * Decimal(span // timedelta(microseconds=1)) / Decimal(3_600_000_000)
    assert rate.over(span).minor == exact.quantize(Decimal(1), rounding=ROUND_HALF_UP)


def test_a_rate_of_many_is_many_times_the_rate():
    rate = Rate(Money(7_600, "EUR"), timedelta(days=365))
    assert rate.times(Decimal("2.5")) == Rate(Money(19_000, "EUR"), timedelta(days=365))
    assert rate.over(timedelta(days=365)) == Money(7_600, "EUR")


@pytest.mark.parametrize(("minor", "per"), [(-1, timedelta(hours=1)), (1, timedelta(0)), (1, timedelta(-1))])
def test_what_is_no_rate_is_refused(minor, per):
    with pytest.raises(ValueError, match="rate"):
        Rate(Money(minor, "EUR"), per)


@pytest.mark.parametrize(
    ("wanted", "pack", "bought"), [("8", "5", "10"), ("10", "5", "10"), ("0.1", "5", "5"), ("7.5", "2.5", "7.5")]
)
def test_whole_packs_hold_what_is_wanted_and_no_more(wanted, pack, bought):
    quantity = Quantity(Decimal(wanted), "C62").in_packs(Decimal(pack))
    assert quantity == Quantity(Decimal(bought), "C62")


def test_half_a_minor_unit_of_time_is_rounded_away_from_zero():
    assert Rate(Money(1, "EUR"), timedelta(hours=2)).over(timedelta(hours=1)) == Money(1, "EUR")


def test_half_a_minor_unit_of_a_share_is_rounded_away_from_zero():
    assert Rate(Money(1, "EUR"), timedelta(hours=1)).times(Decimal("0.5")).amount == Money(1, "EUR")


def test_a_span_of_centuries_is_counted_to_the_microsecond():
    span = timedelta(microseconds=9_007_199_254_741_005)  # an odd number that no float holds
    assert Rate(Money(1, "EUR"), timedelta(microseconds=10)).over(span) == Money(900_719_925_474_101, "EUR")
