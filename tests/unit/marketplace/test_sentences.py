from __future__ import annotations

import pytest

from marketplace.authority.alarm_terms import AlarmCode
from marketplace.authority.scopes import ScopeKind
from marketplace.ordering.states import OrderState
from marketplace.sentences import ANSWERED, SENTENCES, STATES, reach, sentence, standing


def test_a_code_becomes_a_sentence():
    assert (
        sentence("ORDER_LIMIT_EXCEEDED", {"total": "900.00 EUR", "limit": "500.00 EUR"})
        == "The total of 900.00 EUR is above the limit of 500.00 EUR for one order."
    )


def test_a_suppliers_difference_is_told_from_a_rule_of_the_same_code():
    rule = sentence("QUANTITY_DIFFERS", {"item": "bearing", "ordered": "40 C62", "wanted": "4 C62"})
    answer = sentence("QUANTITY_DIFFERS", {"line": "1", "ordered": "4 C62", "answered": "40 C62"})
    assert rule == "The order is for 40 C62 of bearing, but 4 C62 is wanted."
    assert answer == "The supplier answered with 40 C62 instead of 4 C62."
    assert "does not agree" in sentence("INVOICE_DIFFERS", {"ordered": "1 EUR", "invoiced": "2 EUR"})


def test_an_act_says_where_it_has_brought_the_order():
    assert sentence("ORDER_NOT_PLACED", {"order": "G1-1"}) == "G1-1: never placed"
    assert sentence("ORDER_CHANGED", {"order": "G1-1"}).startswith("The order G1-1 is not the one")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"scope": "plant", "key": ""}, "Buying is stopped for the whole plant since noon."),
        ({"scope": "machine", "machine": "mill"}, "Buying is stopped for the machine mill since noon."),
        ({"scope": "supplier", "supplier": "kontor"}, "Buying is stopped at the supplier kontor since noon."),
        ({"scope": "component", "component": "mill/bearing"}, "Buying is stopped for mill/bearing since noon."),
        ({"scope": "hall"}, "Buying is stopped since noon."),
        ({}, "Buying is stopped since noon."),
    ],
)
def test_a_stop_says_how_far_it_reaches(parameters, said):
    assert sentence("STOPPED", {**parameters, "since": "noon"}) == said


def test_every_alarm_and_every_reach_has_its_words():
    for code in AlarmCode:
        assert sentence(code, {"order": "G1-1"}) != code
    assert {reach(kind, "mill") for kind in ScopeKind} == {
        "the whole plant", "the machine mill", "the supplier mill", "the component mill",
    }  # fmt: skip
    assert reach("hall", "2") == "hall 2"


def test_a_code_of_another_version_speaks_for_itself():
    assert sentence("MOON_PHASE", {"moon": "full"}) == "MOON_PHASE (moon full)"
    assert sentence("MOON_PHASE", {}) == "MOON_PHASE"


@pytest.mark.parametrize("code", sorted(SENTENCES.keys() | ANSWERED.keys()))
def test_what_is_missing_shows(code):
    for parameters in ({}, {"answered": "x"}):
        assert "{" not in sentence(code, parameters)
    assert "?" in sentence("MANDATE_ENDED", {})


def test_a_supplier_cannot_write_our_sentences():
    assert sentence("SUPPLIER_SUSPENDED", {"supplier": "{total}{0}"}) == "The supplier {total}{0} is suspended."


def test_every_state_of_an_order_has_its_words():
    assert STATES.keys() == set(OrderState)
    assert standing("closed") == "closed"
    assert standing("of another version") == "of another version"
