"""May an approved order leave (again)? Each reason against it, in the order in which they are looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from marketplace.authority.leave import Dispatch, leave
from marketplace.authority.limits import LimitRule, Subject, Used, claims_of
from marketplace.authority.mandate import Decision, Outcome
from marketplace.authority.policy import Standing, Window
from marketplace.authority.scopes import BY_PERSON, PLANT, Halt
from marketplace.money import AMOUNT_MAX, Money
from marketplace.ordering.states import OrderState
from tests.unit.marketplace.authority.test_policy import MANDATE, NOW, POLICY, RATED, order, with_policy

SUBJECT = Subject.of(order(), "mill", "mill/spindle-bearing")
FOUND = Dispatch(
    subject=SUBJECT,
    stopped=None,
    state=OrderState.APPROVED,
    has_bytes=True,
    intact=True,
    quoted_until=NOW + timedelta(days=14),
    reserved=(1,),
    by_person=False,
    allowed=True,
    sends=0,
    may_be_there=False,
    key_proven=False,
)
SECOND = replace(FOUND, state=OrderState.UNKNOWN, sends=1, may_be_there=True)
STOP = Halt("h1", PLANT, BY_PERSON, "anna", "web", NOW)
ORDER = {"order": "G1-0001-A"}


def asked_to_send(found=FOUND, policy=POLICY, *, mark=None, used=13_200, now=NOW) -> Decision:
    """The answer where so much stands against each limit."""
    claims = claims_of(policy.terms, found.subject, now) if policy else ()
    standing = Standing(mark, {claim.name: Used(used, 0) for claim in claims})
    return leave(found, policy, standing=standing, now=now)


def dear(total: int) -> Dispatch:
    return replace(SECOND, subject=replace(SUBJECT, total=Money(total, "EUR")))


@pytest.mark.parametrize("state", [OrderState.APPROVED, OrderState.SUBMITTING, OrderState.UNKNOWN])
def test_what_nothing_speaks_against_leaves(state):
    yes = Decision(Outcome.APPROVE, "LEAVE_TO_SEND", ORDER | {"send": "1"})
    assert asked_to_send(replace(FOUND, state=state)) == yes


@pytest.mark.parametrize(
    ("changes", "rule", "figures"),
    [
        ({"stopped": STOP}, "STOPPED", STOP.parameters),
        ({"state": OrderState.CONFIRMED}, "NOTHING_TO_SEND", ORDER | {"state": "confirmed"}),
        ({"has_bytes": False}, "NOTHING_TO_SEND", ORDER | {"state": "approved"}),
        ({"intact": False}, "ORDER_ALTERED", ORDER),
        ({"quoted_until": NOW}, "QUOTATION_EXPIRED", {"quoted_until": "2026-03-02T08:00:00.000000Z"}),
        ({"reserved": ()}, "NOT_RESERVED", ORDER),
        ({"allowed": False}, "NOT_ALLOWED", ORDER),
    ],
)
def test_each_reason_against_a_send_is_told_in_figures(changes, rule, figures):
    assert asked_to_send(replace(FOUND, **changes)) == Decision(Outcome.DENY, rule, figures)


def test_without_a_mandate_for_the_machine_nothing_leaves():
    press = MANDATE.model_copy(update={"machines": ("press",)})
    assert asked_to_send(policy=None).rule == "NO_MANDATE"
    assert asked_to_send(policy=with_policy(mandate=None)).rule == "NO_MANDATE"
    uncovered = Decision(Outcome.DENY, "MACHINE_NOT_COVERED", {"machine": "mill"})
    assert asked_to_send(policy=with_policy(mandate=press)) == uncovered
    mill = MANDATE.model_copy(update={"machines": ("press", "mill")})
    assert asked_to_send(policy=with_policy(mandate=mill)).rule == "LEAVE_TO_SEND"
    later = replace(FOUND, quoted_until=MANDATE.until + timedelta(1))
    assert asked_to_send(later, now=MANDATE.until).rule == "MANDATE_ENDED"


def test_while_the_clock_has_jumped_only_what_a_person_signed_leaves():
    times = {"now": "2026-03-02T08:00:00.000000Z", "mark": "2026-03-04T08:00:00.000000Z"}
    ahead = NOW + timedelta(2)
    assert asked_to_send(mark=ahead) == Decision(Outcome.DENY, "CLOCK_JUMPED", times)
    assert asked_to_send(replace(FOUND, by_person=True), mark=ahead).rule == "LEAVE_TO_SEND"
    assert asked_to_send(mark=NOW).rule == "LEAVE_TO_SEND"


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({}, True),
        ({"may_be_there": False}, False),
        ({"key_proven": True}, False),
        ({"reserved": (1, 2)}, False),
        ({"sends": 2, "reserved": (1, 2)}, True),
    ],
)
def test_only_a_send_that_may_buy_twice_reserves_again(changes, again):
    assert replace(SECOND, **changes).reserves_again is again


def test_a_second_send_leaves_while_twice_is_within_the_limits():
    assert asked_to_send(SECOND) == Decision(Outcome.APPROVE, "LEAVE_TO_SEND", ORDER | {"send": "2"})
    assert asked_to_send(dear(25_000), used=25_000).rule == "LEAVE_TO_SEND"


def test_twice_above_the_limit_of_one_order_does_not_leave():
    figures = ORDER | {"because": "ORDER_LIMIT_EXCEEDED", "total": "250.01 EUR", "limit": "500.00 EUR"}
    assert asked_to_send(dear(25_001), used=0) == Decision(Outcome.DENY, "RESEND_OVER_LIMIT", figures)
    third = replace(dear(16_667), sends=2, reserved=(1, 2))
    assert asked_to_send(third, used=0).parameters["because"] == "ORDER_LIMIT_EXCEEDED"
    most = with_policy(mandate=MANDATE.model_copy(update={"per_order": Money(AMOUNT_MAX, "EUR")}))
    assert asked_to_send(dear(AMOUNT_MAX), most, used=0).parameters["because"] == "PERIOD_LIMIT_EXCEEDED"


def test_twice_above_a_period_limit_does_not_leave():
    window = with_policy(window=Window(days=30, per_machine=Money(26_400, "EUR")))
    assert asked_to_send(SECOND, window).rule == "LEAVE_TO_SEND"
    over = asked_to_send(SECOND, window, used=13_201)
    assert (over.outcome, over.rule) == (Outcome.DENY, "RESEND_OVER_LIMIT")
    assert over.parameters["because"] == "PERIOD_LIMIT_EXCEEDED"


def test_twice_in_a_currency_without_a_rate_does_not_leave():
    found = replace(SECOND, subject=Subject.of(order(Decimal(60), currency="USD"), "mill", "mill/spindle-bearing"))
    over = asked_to_send(found, used=0)
    assert (over.rule, over.parameters["because"]) == ("RESEND_OVER_LIMIT", "RATE_MISSING")


def test_twice_in_another_currency_is_held_against_the_limits_at_the_pinned_rate():
    dollars = order(Decimal(60), currency="USD")  # 129 USD, twice that is 129 EUR
    found = replace(SECOND, subject=Subject.of(dollars, "mill", "mill/spindle-bearing"))
    exact = MANDATE.model_copy(update={"per_order": Money(129_00, "EUR")})
    assert asked_to_send(found, with_policy(rates=RATED, mandate=exact), used=0).rule == "LEAVE_TO_SEND"
    below = MANDATE.model_copy(update={"per_order": Money(128_99, "EUR")})
    over = asked_to_send(found, with_policy(rates=RATED, mandate=below), used=0)
    assert over.parameters["because"] == "ORDER_LIMIT_EXCEEDED"


def test_where_no_limit_is_set_for_the_machine_it_is_named():
    over = asked_to_send(SECOND, with_policy(window=None))
    assert over.parameters == ORDER | {"because": "MISSING_LIMIT", "machine": "mill"}


def test_while_the_clock_has_jumped_twice_is_held_against_the_month_that_was_seen_last():
    month = LimitRule(scope="plant", per="month", amount=Money(300_00, "EUR"))
    policy, april = with_policy(limits=(month,), time_zone="UTC"), NOW + timedelta(days=40)
    claims = claims_of(policy.terms, SECOND.subject, april)
    standing = Standing(april, {claim.name: Used(0, 132_00) for claim in claims})
    signed = replace(SECOND, by_person=True)
    assert leave(signed, policy, standing=standing, now=NOW).rule == "LEAVE_TO_SEND"
    full = Standing(april, {claim.name: Used(0, 168_01) for claim in claims})
    assert leave(signed, policy, standing=full, now=NOW).parameters["per"] == "2026-04"
