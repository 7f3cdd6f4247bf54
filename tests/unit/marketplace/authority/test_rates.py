from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from marketplace.authority.mandate import Decision, Outcome
from marketplace.authority.rates import TOO_MUCH, Converted, PinnedRate, Rates, convert
from marketplace.money import AMOUNT_MAX, DECIMALS, Money, decimals_of

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
RATES = Rates.model_validate(
    {
        "base": "EUR",
        "good_for_days": 30,
        "of": {
            "USD": {"rate": "0.92", "dated": "2026-03-01"},
            "JPY": {"rate": "0.0061", "dated": "2026-03-02"},
            "KWD": {"rate": "3", "dated": date(2026, 1, 31)},
            "GBP": {"rate": "1.15", "dated": "2026-01-30"},
            "CHF": {"rate": "1.05", "dated": "2026-03-03"},
        },
    }
)


def minor(amount: Money, currency: str) -> int:
    found = convert(amount, currency, RATES, NOW)
    assert isinstance(found, Converted), found
    return found.minor


def code(amount: Money, currency: str, rates: Rates | None = RATES) -> str:
    found = convert(amount, currency, rates, NOW)
    assert isinstance(found, Decision), found
    return found.rule


def test_the_same_currency_needs_no_rate():
    assert convert(Money(5, "USD"), "USD", None, NOW) == Converted(5)


def test_an_amount_is_rounded_up_to_the_minor_unit_of_the_other_currency():
    assert minor(Money(100_00, "USD"), "EUR") == 92_00
    assert minor(Money(1, "USD"), "EUR") == 1
    assert minor(Money(92_00, "EUR"), "USD") == 100_00
    assert minor(Money(1_000, "JPY"), "EUR") == 6_10
    assert minor(Money(1, "EUR"), "JPY") == 2
    assert minor(Money(1_000, "KWD"), "EUR") == 3_00
    assert minor(Money(1, "EUR"), "KWD") == 4
    assert minor(Money(100_00, "USD"), "JPY") == 15_082


def test_the_rates_that_count_are_told_with_their_days():
    found = convert(Money(1, "USD"), "JPY", RATES, NOW)
    assert found.rates == ("1 USD = 0.92 EUR of 2026-03-01", "1 JPY = 0.0061 EUR of 2026-03-02")


@pytest.mark.parametrize(
    ("currency", "rule"),
    [("KWD", None), ("GBP", "RATE_STALE"), ("CHF", "RATE_FUTURE"), ("SEK", "CURRENCY_UNKNOWN")],
)
def test_a_rate_that_is_too_old_not_yet_due_or_not_there_asks(currency, rule):
    for amount, into in ((Money(1, currency), "EUR"), (Money(1, "EUR"), currency)):
        found = convert(amount, into, RATES, NOW)
        assert (found.rule if isinstance(found, Decision) else None) == rule


def test_a_policy_without_rates_asks():
    assert code(Money(1, "USD"), "EUR", None) == "RATE_MISSING"


@pytest.mark.parametrize(
    ("currency", "rates", "rule", "figures"),
    [
        ("USD", None, "RATE_MISSING", {"currency": "USD"}),
        ("SEK", RATES, "CURRENCY_UNKNOWN", {"currency": "SEK", "base": "EUR"}),
        ("CHF", RATES, "RATE_FUTURE", {"currency": "CHF", "rate": "1.05", "base": "EUR", "dated": "2026-03-03"}),
        (
            "GBP",
            RATES,
            "RATE_STALE",
            {"currency": "GBP", "rate": "1.15", "base": "EUR", "dated": "2026-01-30", "days": "31"},
        ),
    ],
)
def test_who_is_asked_sees_which_rate_of_which_day_it_is_about(currency, rates, rule, figures):
    assert convert(Money(1, currency), "EUR", rates, NOW) == Decision(Outcome.ASK, rule, figures)


@pytest.mark.parametrize("rate", ["0.000001", "1000000", Decimal(7), 7])
def test_a_rate_lies_between_a_millionth_and_a_million(rate):
    assert PinnedRate(rate=rate, dated=date(2026, 3, 1)) == PinnedRate(rate=str(rate), dated="2026-03-01")
    for beyond in ("0.0000009", "1000000.1"):
        with pytest.raises(ValidationError, match="no rate"):
            PinnedRate(rate=beyond, dated="2026-03-01")


def test_a_rate_of_any_day_counts_where_a_person_has_approved():
    assert convert(Money(100, "GBP"), "EUR", RATES, NOW, of_any_day=True).minor == 115
    assert convert(Money(100, "CHF"), "EUR", RATES, NOW, of_any_day=True).minor == 105
    assert convert(Money(100, "SEK"), "EUR", RATES, NOW, of_any_day=True).rule == "CURRENCY_UNKNOWN"


def test_an_amount_beyond_any_fits_nowhere():
    assert minor(Money(AMOUNT_MAX, "KWD"), "JPY") == TOO_MUCH or minor(Money(AMOUNT_MAX, "JPY"), "KWD") == TOO_MUCH


@given(st.integers(0, 10**10), st.sampled_from(["EUR", "USD", "JPY", "KWD"]), st.sampled_from(["EUR", "USD", "JPY"]))
def test_no_conversion_is_ever_in_our_favour(amount, one, other):
    worth = {"EUR": Fraction(1), "USD": Fraction("0.92"), "JPY": Fraction("0.0061"), "KWD": Fraction(3)}
    got = minor(Money(amount, one), other)
    exact = amount * worth[one] / worth[other] * Fraction(10) ** (decimals_of(other) - decimals_of(one))
    assert exact <= got < exact + 1


@pytest.mark.parametrize(
    "change",
    [
        {"base": "XXX"},
        {"good_for_days": 0},
        {"of": {"XXX": {"rate": "1", "dated": "2026-03-01"}}},
        {"of": {"USD": {"rate": 0.92, "dated": "2026-03-01"}}},
        {"of": {"USD": {"rate": True, "dated": "2026-03-01"}}},
        {"of": {"USD": {"rate": "0", "dated": "2026-03-01"}}},
        {"of": {"USD": {"rate": "1", "dated": "soon"}}},
        {"of": {"USD": {"rate": "1", "dated": 7}}},
        {"of": {"USD": {"rate": "1", "dated": NOW}}},
        {"of": {"USD": {"rate": "1"}}},
    ],
)
def test_what_is_no_rate_is_refused(change):
    with pytest.raises(ValidationError):
        Rates.model_validate(RATES.document() | change)


def test_rates_have_one_canonical_form():
    assert Rates.model_validate(RATES.document()) == RATES
    assert RATES.document()["of"]["USD"] == {"rate": "0.92", "dated": "2026-03-01"}
    assert Rates.model_json_schema()["additionalProperties"] is False
    assert set(DECIMALS.values()) == {0, 2, 3}
    assert RATES.of["USD"].rate == Decimal("0.92")
    assert NOW - timedelta(days=30) < NOW
