from __future__ import annotations

from dataclasses import replace

import pytest

from marketplace.authority.approval import Approver, check
from marketplace.authority.mandate import Decision, Outcome
from marketplace.money import Money
from marketplace.sentences import SENTENCES


@pytest.fixture
def signed(make_order, anna, now):
    """Check a signature that counts, with changes."""
    order = make_order()

    def sign(approver: Approver = anna, **changes):
        known = {"awaiting": True, "asked_by": "G1", "approved_hash": order.hash, "now": now, **changes}
        decision = check(order, approver, **known)
        assert (decision.outcome is Outcome.APPROVE) == (decision.rule == "APPROVED_BY_PERSON")
        assert decision.rule in SENTENCES
        return decision.rule

    return sign


@pytest.mark.parametrize(
    ("changes", "rights", "rule", "figures"),
    [
        ({"awaiting": False}, {}, "ALREADY_DECIDED", {"order": "G1-0001-A"}),
        ({}, {"may_approve": False}, "NOT_AUTHORISED", {"person": "anna"}),
        ({"asked_by": "anna"}, {}, "SELF_APPROVAL", {"person": "anna"}),
        ({"approved_hash": "0" * 64}, {}, "ORDER_CHANGED", {"order": "G1-0001-A"}),
        ({}, {}, "QUOTATION_EXPIRED", {"quoted_until": "2026-03-16T08:00:00.000000Z"}),
        ({}, {"limit": None}, "OWN_LIMIT_EXCEEDED", {"person": "anna", "total": "132.00 EUR", "limit": "-"}),
        (
            {},
            {"limit": Money(1, "EUR")},
            "OWN_LIMIT_EXCEEDED",
            {"person": "anna", "total": "132.00 EUR", "limit": "0.01 EUR"},
        ),
        ({}, {"limit": Money(1, "USD")}, "CURRENCY_DIFFERS", {"currency": "EUR", "other": "USD"}),
    ],
)
def test_a_signature_that_does_not_count_says_why_in_figures(make_order, anna, now, changes, rights, rule, figures):
    order = make_order()
    at = order.quoted_until if rule == "QUOTATION_EXPIRED" else now
    known = {"awaiting": True, "asked_by": "G1", "approved_hash": order.hash, "now": at, **changes}
    assert check(order, replace(anna, **rights), **known) == Decision(Outcome.DENY, rule, figures)


def test_a_signature_that_counts_says_whose_it_is_and_for_how_much(make_order, anna, now):
    order = make_order()
    decision = check(order, anna, awaiting=True, asked_by="G1", approved_hash=order.hash, now=now)
    assert decision == Decision(Outcome.APPROVE, "APPROVED_BY_PERSON", {"person": "anna", "total": "132.00 EUR"})


def test_a_person_within_the_own_limit_approves_what_was_shown(signed):
    assert signed() == "APPROVED_BY_PERSON"


def test_an_order_that_waits_for_nobody_is_not_approved(signed):
    assert signed(awaiting=False) == "ALREADY_DECIDED"


def test_who_may_not_approve_does_not(signed, anna):
    assert signed(replace(anna, may_approve=False)) == "NOT_AUTHORISED"


def test_nobody_approves_what_they_asked_for(signed):
    assert signed(asked_by="anna") == "SELF_APPROVAL"


def test_a_signature_under_another_hash_does_not_count(signed):
    assert signed(approved_hash="0" * 64) == "ORDER_CHANGED"


def test_a_signature_after_the_quotation_does_not_count(signed, make_order):
    assert signed(now=make_order().quoted_until) == "QUOTATION_EXPIRED"


@pytest.mark.parametrize(
    ("limit", "rule"),
    [
        (Money(13_200, "EUR"), "APPROVED_BY_PERSON"),
        (Money(13_199, "EUR"), "OWN_LIMIT_EXCEEDED"),
        (None, "OWN_LIMIT_EXCEEDED"),
        (Money(13_200, "USD"), "CURRENCY_DIFFERS"),
    ],
)
def test_the_own_limit_is_one_order_in_its_own_currency(signed, anna, limit, rule):
    assert signed(replace(anna, limit=limit)) == rule
