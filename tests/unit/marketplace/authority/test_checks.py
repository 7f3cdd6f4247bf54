"""Each check that an order passes before it goes out: the last figure that passes, and the first that does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from marketplace.authority import checks as module
from marketplace.authority.checks import Checks
from marketplace.authority.limits import Subject, Used, claims_of
from marketplace.authority.policy import Outcome, Policy, Similar, Standing, decide
from marketplace.money import Quantity, UnitPrice
from marketplace.sentences import SENTENCES, sentence
from tests.conftest import NOW

DOLLARS = {"base": "EUR", "good_for_days": 30, "of": {"USD": {"rate": "0.5", "dated": "2026-03-01"}}}


@pytest.fixture
def judged(make_order, circumstances, policy_document, now):
    """Judge an order (132.00 EUR: two at 61.50, freight 9.00) with other checks, circumstances or limits."""

    def judge(order=None, *, checks=None, known=None, at=now, mark=None, policy=None, **told):
        document = policy_document | {"checks": checks or {}} | (policy or {})
        rules = Policy.model_validate(document)
        order = order or make_order()
        told = replace(known or circumstances, **told)
        found = claims_of(rules.terms, Subject.of(order, told.machine, told.component), now)
        standing = Standing(mark, {claim.name: Used(0, 0) for claim in found})
        decision = decide(order, told, rules, rules.mandate, standing=standing, now=at)
        assert "?" not in sentence(decision.rule, decision.parameters)
        return decision

    return judge


@pytest.fixture
def rule(judged):
    return lambda *args, **kwargs: judged(*args, **kwargs).rule


def test_an_ordinary_order_passes(rule):
    assert rule() == "WITHIN_LIMITS"


def test_a_value_beyond_any_mistake_is_denied(judged, rule, make_order):
    assert rule(checks={"order_value": "132 EUR", "line_value": "123 EUR"}) == "WITHIN_LIMITS"
    for ceiling in ({"order_value": "131.99 EUR"}, {"line_value": "122.99 EUR"}):
        decision = judged(checks=ceiling)
        assert (decision.outcome, decision.rule) == (Outcome.DENY, "VALUE_CEILING")


def test_a_hundred_times_the_mandate_is_beyond_any_mistake(judged, make_order):
    assert judged(make_order(price="25000")).outcome is Outcome.DENY
    assert judged(make_order(price="24995.50")).rule == "ORDER_LIMIT_EXCEEDED"


def test_a_ceiling_in_another_currency_is_left_to_the_limits(rule):
    assert rule(checks={"order_value": "1 USD"}) == "WITHIN_LIMITS"
    assert rule(checks={"order_value": "1 USD"}, policy={"rates": DOLLARS}) == "VALUE_CEILING"


def test_many_times_what_is_wanted_is_absurd(rule, make_order):
    four = {1: Quantity(Decimal(4), "C62")}
    assert rule(make_order(price="1", quantity="20"), wanted=four) == "QUANTITY_DIFFERS"
    assert rule(make_order(price="1", quantity="21"), wanted=four) == "QUANTITY_ABSURD"
    assert rule(make_order(price="1", quantity="40"), wanted=four, checks={"quantity_most": "10"}) == "QUANTITY_DIFFERS"
    assert rule(make_order(price="1", quantity="40"), wanted={1: Quantity(Decimal(1), "PK")}) == "QUANTITY_DIFFERS"


def test_an_order_above_the_quotation_asks(rule):
    assert rule(quoted={1: UnitPrice(Decimal("61.50"), "EUR")}) == "WITHIN_LIMITS"
    assert rule(quoted={1: UnitPrice(Decimal("61.499999"), "EUR")}) == "PRICE_ABOVE_QUOTE"
    assert rule(quoted={1: UnitPrice(Decimal(738), "EUR", Decimal(12))}) == "WITHIN_LIMITS"
    assert rule(quoted={}) == "QUOTE_MISSING"


def test_a_price_far_above_the_last_asks(rule):
    last = {"bearing-7014": UnitPrice(Decimal(41), "EUR")}
    assert rule(last_prices=last) == "WITHIN_LIMITS"
    assert rule(last_prices=last, checks={"price_collar": "1.49"}) == "PRICE_COLLAR"


def test_a_price_far_from_the_plants_own_asks(rule):
    def own(price, currency="EUR"):
        return {"bearing-7014": UnitPrice(Decimal(price), currency)}

    assert rule(own_prices=own("20.50")) == "WITHIN_LIMITS"
    assert rule(own_prices=own("20.49")) == "OWN_PRICE_DIFFERS"
    assert rule(own_prices=own("615")) == "WITHIN_LIMITS"
    assert rule(own_prices=own("615.10")) == "OWN_PRICE_DIFFERS"
    assert rule(own_prices=own("99999"), checks={"own_price_least": "0"}) == "WITHIN_LIMITS"
    assert rule(own_prices={}) == "OWN_PRICE_UNKNOWN"
    assert rule(own_prices=own("123", "USD")) == "RATE_MISSING"
    assert rule(own_prices=own("123", "USD"), policy={"rates": DOLLARS}) == "WITHIN_LIMITS"


def test_the_same_for_the_same_place_asks(rule, now):
    hours = timedelta(hours=1)
    assert rule(similar=(Similar("G1-9", "bearing-7014", now - 300 * hours, True),)) == "DUPLICATE_ORDER"
    assert rule(similar=(Similar("G1-9", "bearing-7014", now - 23 * hours, False),)) == "DUPLICATE_ORDER"
    day_ago = (Similar("G1-9", "bearing-7014", now - 24 * hours, False),)
    assert rule(similar=day_ago) == "WITHIN_LIMITS"
    assert rule(similar=day_ago, checks={"duplicate_days": 2}) == "DUPLICATE_ORDER"
    assert rule(similar=day_ago, checks={"duplicate_days": 2, "duplicates": False}) == "WITHIN_LIMITS"


@pytest.mark.parametrize("span", ["minute", "hour", "day"])
@pytest.mark.parametrize(("whose", "most"), [("plant_orders", (10, 40, 120)), ("supplier_orders", (5, 20, 60))])
def test_orders_that_follow_each_other_too_fast_ask(judged, whose, most, span):
    spans = ("minute", "hour", "day")
    allowed = dict(zip(spans, most, strict=True))[span]
    none = dict.fromkeys(spans, 0)
    assert judged(**{whose: none | {span: allowed - 1}}).rule == "WITHIN_LIMITS"
    decision = judged(**{whose: none | {span: allowed}})
    assert (decision.rule, decision.parameters["span"]) == ("ORDER_PACE", span)
    assert judged(**{whose: {}}).rule == "ORDER_PACE"


def test_too_much_open_at_once_asks(rule):
    assert rule(exposure={"EUR": 9_868_00}) == "WITHIN_LIMITS"
    assert rule(exposure={"EUR": 9_868_01}) == "EXPOSURE_EXCEEDED"
    assert rule(exposure={"EUR": 1}, checks={"exposure": "132 EUR"}) == "EXPOSURE_EXCEEDED"
    assert rule(exposure={"USD": 1}) == "RATE_MISSING"
    assert rule(exposure={"USD": 19_736_00}, policy={"rates": DOLLARS}) == "WITHIN_LIMITS"
    assert rule(exposure={"USD": 19_736_01}, policy={"rates": DOLLARS}) == "EXPOSURE_EXCEEDED"
    assert rule(exposure={"EUR": 10**18}) == "EXPOSURE_EXCEEDED"


def test_prices_of_a_dozen_and_of_one_are_compared_as_prices_of_one(rule, make_order):
    one, dozen = UnitPrice(Decimal("61.50"), "EUR"), UnitPrice(Decimal(738), "EUR", Decimal(12))
    order = make_order()
    by_dozen = replace(order, lines=(replace(order.lines[0], unit_price=dozen),))
    assert rule(by_dozen, quoted={1: one}, last_prices={"bearing-7014": one}) == "WITHIN_LIMITS"
    assert rule(quoted={1: dozen}, last_prices={"bearing-7014": dozen}) == "WITHIN_LIMITS"
    less = UnitPrice(Decimal("737.99"), "EUR", Decimal(12))
    assert rule(quoted={1: less}) == "PRICE_ABOVE_QUOTE"
    assert rule(last_prices={"bearing-7014": less}, checks={"price_collar": "1"}) == "PRICE_COLLAR"


ITEM = {"item": "bearing-7014"}
SPENT = dict.fromkeys(("minute", "hour", "day"), 0)


@pytest.mark.parametrize(
    ("checks", "told", "rule", "figures"),
    [
        ({"order_value": "131.99 EUR"}, {}, "VALUE_CEILING", {"value": "132.00 EUR", "ceiling": "131.99 EUR"}),
        ({"line_value": "1 EUR"}, {}, "VALUE_CEILING", {"value": "123.00 EUR", "ceiling": "1.00 EUR"}),
        (
            {"quantity_most": "1"},
            {"wanted": {1: Quantity(Decimal(1), "C62")}},
            "QUANTITY_ABSURD",
            ITEM | {"ordered": "2 C62", "wanted": "1 C62"},
        ),
        ({}, {"quoted": {}}, "QUOTE_MISSING", ITEM),
        (
            {},
            {"quoted": {1: UnitPrice(Decimal(61), "EUR")}},
            "PRICE_ABOVE_QUOTE",
            ITEM | {"price": "61.50 EUR", "quoted": "61 EUR"},
        ),
        (
            {"price_collar": "1.49"},
            {"last_prices": {"bearing-7014": UnitPrice(Decimal(41), "EUR")}},
            "PRICE_COLLAR",
            ITEM | {"price": "61.50 EUR", "last": "41 EUR", "factor": "1.49"},
        ),
        ({}, {"own_prices": {}}, "OWN_PRICE_UNKNOWN", ITEM),
        (
            {},
            {"own_prices": {"bearing-7014": UnitPrice(Decimal(20), "EUR")}},
            "OWN_PRICE_DIFFERS",
            ITEM | {"price": "61.50 EUR", "own": "20 EUR"},
        ),
        (
            {},
            {"similar": (Similar("G1-9", "bearing-7014", NOW, True),)},
            "DUPLICATE_ORDER",
            ITEM | {"component": "mill/spindle-bearing", "order": "G1-9", "ordered_at": "2026-03-02T08:00:00.000000Z"},
        ),
        (
            {},
            {"plant_orders": SPENT | {"hour": 40}},
            "ORDER_PACE",
            {"whose": "plant", "span": "hour", "count": "40", "limit": "40"},
        ),
        (
            {},
            {"supplier_orders": SPENT | {"day": 60}},
            "ORDER_PACE",
            {"whose": "cheap-and-slow", "span": "day", "count": "60", "limit": "60"},
        ),
        (
            {"exposure": "132 EUR"},
            {"exposure": {"EUR": 1}},
            "EXPOSURE_EXCEEDED",
            {"total": "132.00 EUR", "limit": "132.00 EUR"},
        ),
    ],
)
def test_what_a_check_finds_is_told_in_figures(judged, checks, told, rule, figures):
    decision = judged(checks=checks, **told)
    assert (decision.rule, decision.parameters) == (rule, figures)
    assert decision.outcome is (Outcome.DENY if rule == "VALUE_CEILING" else Outcome.ASK)


@pytest.mark.parametrize("factor", ["0", "1000", 3])
def test_a_factor_lies_between_nothing_and_a_thousand(factor):
    assert Checks.model_validate({"quantity_most": factor}).quantity_most == Decimal(factor)
    for beyond in ("-0.01", "1000.01"):
        with pytest.raises(ValidationError, match="between 0 and 1000"):
            Checks.model_validate({"quantity_most": beyond})


def test_a_clock_that_jumped_asks(rule, now):
    year, hour = timedelta(days=365), timedelta(hours=1)
    assert rule(mark=now) == rule(mark=now + hour) == rule(mark=now - timedelta(days=32)) == "WITHIN_LIMITS"
    for mark in (now + year, now + hour + timedelta(microseconds=1), now - year):
        assert rule(mark=mark) == "CLOCK_JUMPED"


def test_an_order_in_another_currency_is_held_against_every_limit_at_the_rate(judged, make_order):
    dollars = {"bearing-7014": UnitPrice(Decimal(60), "USD")}
    told = {"last_prices": dollars, "quoted": {1: dollars["bearing-7014"]}, "own_prices": dollars}
    order = make_order(price="60", currency="USD")
    assert judged(order, **told).rule == "RATE_MISSING"
    assert judged(order, policy={"rates": DOLLARS}, **told).rule == "WITHIN_LIMITS"
    over = judged(make_order(price="500", currency="USD"), policy={"rates": DOLLARS}, **told)
    assert (over.rule, over.parameters["rates"]) == ("ORDER_LIMIT_EXCEEDED", "1 USD = 0.5 EUR of 2026-03-01")


@pytest.mark.parametrize(
    "said",
    [
        {"price_collar": 1.5},
        {"price_collar": True},
        {"price_collar": "-1"},
        {"quantity_most": "1001"},
        {"duplicate_days": 400},
        {"plant_orders": {"minute": 1}},
        {"exposure": "0 EUR"},
        {"colour": "red"},
    ],
)
def test_what_is_no_threshold_is_refused(said):
    with pytest.raises(ValidationError):
        Checks.model_validate(said)


def test_thresholds_have_one_canonical_form(policy_document):
    strict = Checks.model_validate({"price_collar": "1.20", "exposure": "5000 EUR"})
    assert Checks.model_validate(strict.document()) == strict
    assert strict.document()["price_collar"] == "1.2"
    policy = Policy.model_validate(policy_document | {"checks": {"price_collar": "1.2"}})
    assert Policy.model_validate(policy.document()) == policy


def test_what_says_nothing_new_keeps_the_hash_of_older_policies(policy_document):
    policy = Policy.model_validate(policy_document)
    assert set(policy.document()) == {"schema", "mandate", "window", "amounts", "modes", "known"}
    assert Policy.model_validate(policy_document | {"checks": {}, "limits": []}).hash == policy.hash


def test_a_calendar_needs_the_sites_zone(policy_document):
    monthly = policy_document | {"limits": [{"scope": "plant", "per": "month", "amount": "500 EUR"}]}
    for zone in (None, "Moon/Base"):
        with pytest.raises(ValidationError):
            Policy.model_validate(monthly | {"time_zone": zone})
    policy = Policy.model_validate(monthly | {"time_zone": "Europe/Berlin", "rates": DOLLARS})
    assert Policy.model_validate(policy.document()) == policy
    assert str(policy.terms.zone) == "Europe/Berlin"


def test_the_order_of_limits_changes_no_hash(policy_document):
    limits = [
        {"scope": "plant", "per": "30 d", "amount": "500 EUR"},
        {"scope": "machine", "each": True, "per": "total", "count": 5},
    ]
    one, other = (Policy.model_validate(policy_document | {"limits": each}) for each in (limits, limits[::-1]))
    assert one.hash == other.hash


def test_every_check_has_its_place_in_the_header_and_its_sentence():
    codes = {
        line.split()[1] for line in (module.__doc__ or "").splitlines() if line.startswith(("    deny", "    ask"))
    }
    assert codes <= SENTENCES.keys()
    assert len(codes) == 10
