from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from multidict import MultiDict

from gateway.actions import HandReply
from gateway.web import forms
from gateway.web.forms import Choice, Unreadable
from marketplace.money import Money

ZONE = ZoneInfo("Europe/Berlin")
EMPTY = {"reply": "confirmed", "supplier_reference": "", "total": "", "promised": "", "reason": ""}


def answer(**said: str) -> object:
    return forms.answer_of(EMPTY | said, "EUR", ZONE)


@pytest.mark.parametrize("text", ["1234.50", "1234.50 EUR", "1234.5"])
def test_a_price_is_in_the_orders_currency_unless_it_says_so_itself(text):
    assert answer(total=text).total == Money(123_450, "EUR")


@pytest.mark.parametrize("text", ["12 USD", "1,234.50", "much", "12.345", "1e5", "NaN"])
def test_a_price_that_cannot_be_compared_is_not_guessed(text):
    with pytest.raises(Unreadable):
        answer(total=text)


def test_a_price_that_was_not_named_is_that_of_the_order():
    assert answer().total is None


def test_a_day_is_noon_at_the_site():
    assert answer(promised="2026-07-09").promised_at == datetime(2026, 7, 9, 10, tzinfo=UTC)
    with pytest.raises(Unreadable, match="2026-03-31"):
        answer(promised="tomorrow")


@pytest.mark.parametrize("reply", HandReply)
def test_every_reply_can_be_chosen(reply):
    assert answer(reply=reply.value).reply is reply


def test_what_is_missing_too_long_or_no_choice_is_named_by_its_label():
    form = forms.stock_form([Choice("coolant", "Coolant")])
    for posted, said in (
        ({"item": "coolant"}, "“On the shelf” is missing"),
        ({"item": "coolant", "quantity": "1" * 201}, "longer than 200"),
        ({"item": "oil", "quantity": "1"}, "choose one of the list"),
    ):
        with pytest.raises(Unreadable, match=said):
            forms.typed(form, MultiDict(posted))


def test_fields_that_the_form_has_not_are_left_out():
    form = forms.stock_form([Choice("coolant", "Coolant")])
    posted = MultiDict({"item": "coolant", "quantity": "1", "person": "anna", "form_token": "x"})
    assert forms.typed(form, posted) == {"item": "coolant", "quantity": "1"}
