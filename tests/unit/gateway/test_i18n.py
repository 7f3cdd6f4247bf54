import gettext
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from gateway import i18n
from marketplace.money import Money

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("LANGUAGE", os.environ.get("LANGUAGE", ""))
    domain = gettext.textdomain()
    yield
    i18n.activate("en")
    gettext.textdomain(domain)


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "1,234,567.50"), ("de", "1.234.567,50"), ("fr", "1\u202f234\u202f567,50"), ("xx", "1,234,567.50")],
)
def test_numbers_are_written_as_the_language_does(language, text):
    i18n.activate(language)
    assert i18n.number(Decimal("1234567.5"), 2) == text


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123450, "EUR", "1,234.50"),
        (5, "EUR", "0.05"),
        (1234, "JPY", "1,234"),
        (-50, "EUR", "-0.50"),
        (1234567, "KWD", "1,234.567"),
    ],
)
def test_an_amount_has_its_currencys_decimals_and_code(minor, currency, text):
    assert i18n.amount(Money(minor, currency)) == f"{text}\N{NO-BREAK SPACE}{currency}"


@pytest.mark.parametrize(
    ("price", "text"), [("61.5", "61.50"), ("0.0345", "0.0345"), ("120", "120.00"), ("1E+2", "100.00")]
)
def test_a_unit_price_keeps_every_decimal_and_at_least_two(price, text):
    assert i18n.unit_price(Decimal(price), "EUR") == f"{text}\N{NO-BREAK SPACE}EUR"


def test_a_unit_price_names_its_base():
    assert i18n.unit_price(Decimal("12"), "EUR", Decimal(100)) == "12.00\N{NO-BREAK SPACE}EUR per 100"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (5.6123, "5.61"),
        (0.000123456, "0.000123"),
        (41782.4, "41,782"),
        (-0.5, "-0.500"),
        (float("nan"), "no value"),
        (float("inf"), "no value"),
    ],
)
def test_a_measured_value_has_three_digits_and_no_exponent(value, text):
    assert i18n.figure(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.0000001, "below 0.1 %"), (0.028, "2.8 %"), (0.26, "26 %"), (0.9999, "above 99.9 %"), (1, "100 %")],
)
def test_what_is_possible_is_never_shown_as_impossible(share, text):
    assert i18n.percent(share) == text


def test_times_are_those_of_the_site():
    assert i18n.when(NOW, ZoneInfo("Europe/Berlin")) == "2026-03-02 09:00"
    assert i18n.day(datetime(2026, 3, 1, 23, 30, tzinfo=UTC), ZoneInfo("Europe/Berlin")) == "2026-03-02"


def test_moments_in_a_sentence_are_those_of_the_site_and_other_figures_stay():
    said = {
        "fit_by": "2026-03-02T08:00:00+00:00",
        "since": "2026-02-30T08:00Z",
        "tag": "2026-03-02",
        "n": "3",
        "at": "",
    }
    told = i18n.figures(said, ZoneInfo("Europe/Berlin"))
    assert told == said | {"fit_by": "2026-03-02 09:00"}


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(seconds=-1), "0 s"),
        (timedelta(seconds=89), "89 s"),
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=30), "30 h"),
        (timedelta(days=3), "3 days"),
        (timedelta(days=120), "4 months"),
        (timedelta(days=800), "2 years"),
    ],
)
def test_a_span_has_one_unit(length, text):
    assert i18n.span(length) == text


def test_a_distance_says_which_side_of_now():
    assert i18n.distance(NOW + timedelta(days=3), NOW) == "in 3 days"
    assert i18n.distance(NOW - timedelta(minutes=3), NOW) == "3 min ago"


def test_a_piece_needs_no_unit_and_a_litre_does():
    assert i18n.quantity(Decimal("2"), "C62") == "2"
    assert i18n.quantity(Decimal("2.50"), "LTR") == "2.5\N{NO-BREAK SPACE}l"
