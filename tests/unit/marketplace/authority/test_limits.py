from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from marketplace.authority import limits as module
from marketplace.authority.limits import (
    LimitRule,
    Scope,
    Subject,
    Terms,
    Used,
    claims_of,
    limit_for,
    objection,
    period_of,
)
from marketplace.authority.mandate import Outcome
from marketplace.authority.rates import PinnedRate, Rates
from marketplace.money import AMOUNT_MAX, Money
from marketplace.sentences import SENTENCES, sentence

NOW = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
SUBJECT = Subject("G1-1", "mill", "mill/spindle", "shop", ("oil", "tools"), Money(100_00, "EUR"))
RATES = Rates(base="EUR", good_for_days=30, of={"USD": PinnedRate(rate=Decimal("0.5"), dated=date(2026, 3, 1))})

OLD = RATES.model_copy(update={"good_for_days": 0})


def rule(**said) -> LimitRule:
    return LimitRule.model_validate({"amount": "150 EUR", "per": "month"} | said)


def claims(*rules: LimitRule, subject: Subject = SUBJECT, rates: Rates | None = None):
    return claims_of(Terms(rules, rates, BERLIN), subject, NOW)


def asked(*rules: LimitRule, used: Used = Used(0, 0), subject: Subject = SUBJECT, rates: Rates | None = None):  # noqa: B008
    found = claims(*rules, subject=subject, rates=rates)
    return objection(found, {claim.name: used for claim in found}, "mill")


MACHINE = rule(scope="machine", each=True, per="30 d")


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"scope": "component", "key": "mill/spindle"}, ["component:mill/spindle:month:EUR:2026-03"]),
        ({"scope": "machine", "each": True, "per": "30 d"}, ["machine:mill:30 d:EUR"]),
        ({"scope": "supplier", "key": "shop", "per": "day"}, ["supplier:shop:day:EUR:2026-03-03"]),
        ({"scope": "category", "each": True, "per": "total"}, ["category:oil:total:EUR", "category:tools:total:EUR"]),
        ({"scope": "category", "key": "tools"}, ["category:tools:month:EUR:2026-03"]),
        ({"scope": "plant", "amount": None, "count": 3}, ["plant:*:month:orders:2026-03"]),
        ({"scope": "machine", "key": "press"}, []),
        ({"scope": "supplier", "key": "other"}, []),
    ],
)
def test_a_limit_fits_what_it_names(said, names):
    assert [claim.name for claim in claims(rule(**said))] == names


def test_a_limit_for_one_order_may_be_for_a_category():
    cheap = LimitRule.model_validate({"scope": "order", "amount": "90 EUR", "category": "tools"})
    assert asked(MACHINE, cheap).rule == "ORDER_LIMIT_EXCEEDED"
    assert asked(MACHINE, cheap, subject=replace(SUBJECT, categories=("oil",))) is None


def test_a_limit_that_does_not_fit_hides_none_that_stands_after_it():
    other = LimitRule.model_validate({"scope": "order", "amount": "90 EUR", "category": "paint"})
    assert [claim.scope for claim in claims(other, MACHINE)] == [Scope.MACHINE]


def test_what_costs_nothing_takes_nothing_of_a_limit():
    for currency, rates, trouble in (("EUR", None, False), ("USD", RATES, False), ("USD", OLD, True)):
        (claim,) = claims(MACHINE, subject=replace(SUBJECT, total=Money(0, currency)), rates=rates)
        assert (claim.amount, claim.trouble is not None) == (0, trouble)


def test_an_item_without_a_category_is_in_none(make_order):
    order = make_order()
    assert order.lines[0].item.category == ""
    of = Subject(order.number, "mill", "mill/spindle", order.supplier, (), order.total)
    assert Subject.of(order, "mill", "mill/spindle") == of


def test_what_has_no_name_in_a_scope_has_no_limit_there():
    assert claims(rule(scope="component", each=True), subject=replace(SUBJECT, component="")) == ()


def test_of_several_limits_with_one_name_the_lowest_counts():
    rules = [rule(scope="machine", each=True), rule(scope="machine", key="mill", amount="70 EUR")]
    for order in (rules, rules[::-1]):
        [claim] = claims(*order)
        assert claim.limit == 70_00
    assert limit_for(rules, Scope.MACHINE, "mill", "month", "EUR") == 70_00
    assert limit_for(rules, Scope.MACHINE, "press", "month", "EUR") == 150_00
    assert limit_for(rules, Scope.MACHINE, "press", "day", "EUR") == 0


def test_the_narrowest_scope_is_asked_first():
    found = claims(rule(scope="plant"), rule(scope="supplier", each=True), rule(scope="machine", each=True))
    assert [claim.scope for claim in found] == [Scope.MACHINE, Scope.SUPPLIER, Scope.PLANT]


def test_a_day_is_the_sites_day():
    assert period_of("day", NOW, BERLIN) == "2026-03-03"
    assert period_of("day", NOW, ZoneInfo("UTC")) == "2026-03-02"
    assert period_of("month", NOW, BERLIN) == "2026-03"
    assert period_of("total", NOW, BERLIN) == period_of("30 d", NOW, BERLIN) == ""


def test_there_is_room_up_to_the_limit_and_no_further():
    assert asked(MACHINE, used=Used(30_00, 20_00)) is None
    over = asked(MACHINE, used=Used(30_01, 20_00))
    assert (over.rule, over.parameters["machine"], over.parameters["days"]) == ("PERIOD_LIMIT_EXCEEDED", "mill", "30")


def test_each_way_of_being_full_has_its_code():
    orders = rule(scope="supplier", each=True, amount=None, count=2)
    assert asked(MACHINE, orders, used=Used(2, 0)).rule == "ORDER_COUNT_EXCEEDED"
    assert asked(MACHINE, orders, used=Used(1, 0)) is None
    month = rule(scope="plant", amount="90 EUR")
    assert asked(MACHINE, month).rule == "LIMIT_EXCEEDED"
    assert asked(rule(scope="plant", per="30 d", amount="90 EUR")).rule == "LIMIT_EXCEEDED"
    assert asked(month, used=Used(90_01, 0)).rule == "LIMIT_OVERDRAWN"
    assert asked(month, used=Used(0, 90_01)).parameters["used"] == "90.01 EUR"


def test_each_way_of_being_full_tells_its_figures():
    order = LimitRule.model_validate({"scope": "order", "amount": "90 EUR"})
    orders = rule(scope="supplier", each=True, amount=None, count=2)
    month, ever = rule(scope="plant", amount="90 EUR"), rule(scope="plant", per="total", amount="90 EUR")
    plant = {"total": "100.00 EUR", "limit": "90.00 EUR", "scope": "plant", "key": "*"}
    for rules, used, code, figures in (
        ((MACHINE, order), Used(0, 0), "ORDER_LIMIT_EXCEEDED", {"total": "100.00 EUR", "limit": "90.00 EUR"}),
        (
            (MACHINE,),
            Used(60_00, 0),
            "PERIOD_LIMIT_EXCEEDED",
            {"total": "100.00 EUR", "limit": "150.00 EUR", "machine": "mill", "days": "30"},
        ),
        ((month,), Used(1_00, 2_00), "LIMIT_EXCEEDED", plant | {"per": "2026-03", "used": "3.00 EUR"}),
        ((ever,), Used(1_00, 2_00), "LIMIT_EXCEEDED", plant | {"per": "total", "used": "3.00 EUR"}),
        ((month,), Used(0, 90_01), "LIMIT_OVERDRAWN", plant | {"per": "2026-03", "used": "90.01 EUR"}),
        (
            (MACHINE, orders),
            Used(1, 1),
            "ORDER_COUNT_EXCEEDED",
            {"total": "1", "limit": "2", "scope": "supplier", "key": "shop", "per": "2026-03", "used": "2"},
        ),
    ):
        found = asked(*rules, used=used)
        assert (found.outcome, found.rule, found.parameters) == (Outcome.ASK, code, figures)


def test_a_missing_limit_is_told_with_its_machine_and_its_name():
    (claim,) = claims(MACHINE)
    assert asked().parameters == {"machine": "mill"}
    assert objection([claim], {}, "mill").parameters == {"machine": "mill", "limit": "machine:mill:30 d:EUR"}


def test_the_document_of_a_limit_for_one_order_has_no_time():
    said = {"scope": "order", "amount": "90.00 EUR"}
    assert LimitRule.model_validate(said).document() == said


def test_all_rates_of_a_conversion_are_told():
    (claim,) = claims(MACHINE)
    full = objection([replace(claim, rates=("a", "b"))], {claim.name: Used(60_00, 0)}, "mill")
    assert full.parameters["rates"] == "a; b"


def test_without_an_amount_for_machine_or_plant_nobody_knows_a_limit():
    for rules in ((), (rule(scope="supplier", each=True),), (rule(scope="plant", amount=None, count=9),)):
        assert asked(*rules).rule == "MISSING_LIMIT"


def test_a_limit_that_nobody_counted_gives_no_room():
    assert objection(claims(MACHINE), {}, "mill").rule == "MISSING_LIMIT"


def test_an_amount_that_nobody_knows_finds_no_room():
    (claim,) = claims(MACHINE)
    unknown = replace(claim, amount=None)
    found = objection([unknown], {claim.name: Used(0, 0)}, "mill")
    assert (found.outcome, found.rule, found.parameters) == (
        Outcome.ASK,
        "MISSING_LIMIT",
        {"machine": "mill", "limit": claim.name},
    )


def test_another_currency_is_converted_or_asks():
    dollars = replace(SUBJECT, total=Money(300_00, "USD"))
    assert asked(MACHINE, subject=dollars).rule == "RATE_MISSING"
    assert asked(MACHINE, subject=dollars, rates=RATES) is None
    over = asked(MACHINE, subject=dollars, rates=RATES, used=Used(1, 0))
    assert over.parameters["rates"] == "1 USD = 0.5 EUR of 2026-03-01"
    old = RATES.model_copy(update={"good_for_days": 0})
    assert asked(MACHINE, subject=dollars, rates=old).rule == "RATE_STALE"


def test_sums_beyond_any_amount_can_still_be_told():
    over = asked(rule(scope="plant", amount="1 EUR"), used=Used(AMOUNT_MAX, AMOUNT_MAX))
    assert over.parameters["used"] == f"{2 * AMOUNT_MAX} EUR"


@pytest.mark.parametrize(
    "said",
    [
        {"scope": "machine"},
        {"scope": "machine", "key": "mill", "each": True},
        {"scope": "plant", "key": "x"},
        {"scope": "plant", "each": True},
        {"scope": "plant", "count": 1},
        {"scope": "plant", "amount": None},
        {"scope": "plant", "category": "tools"},
        {"scope": "plant", "per": "week"},
        {"scope": "plant", "per": "0 d"},
        {"scope": "plant", "per": "367 d"},
        {"scope": "plant", "amount": "-1 EUR"},
        {"scope": "plant", "amount": None, "count": 0},
        {"scope": "order", "per": "day"},
        {"scope": "order", "key": "G1-1", "per": "total"},
        {"scope": "order", "per": "total", "amount": None, "count": 1},
        {"scope": "hall", "each": True},
    ],
)
def test_what_has_no_one_meaning_is_no_limit(said):
    with pytest.raises(ValidationError):
        rule(**said)


def test_only_a_limit_for_one_order_has_no_time():
    with pytest.raises(ValidationError):
        LimitRule.model_validate({"scope": "plant", "amount": "5 EUR"})


rules = st.sampled_from(
    [
        rule(scope="machine", each=True),
        rule(scope="plant", per="day", amount=None, count=5),
        rule(scope="category", key="tools", per="12 d"),
        LimitRule.model_validate({"scope": "order", "amount": "90 EUR", "category": "tools"}),
    ]
)


@given(rules)
def test_a_limit_has_one_canonical_form(said):
    assert LimitRule.model_validate(said.document()) == said
    assert "orders" in said.measure or said.measure == "EUR"


@given(st.integers(1, 400_00), st.integers(0, 200_00), st.integers(0, 200_00), st.integers(0, 100_00))
def test_who_has_room_for_more_has_room_for_less(total, machine, person, less):
    dear, cheap = (replace(SUBJECT, total=Money(max(minor, 0), "EUR")) for minor in (total, total - less))
    used = Used(machine, person)
    assert asked(MACHINE, subject=dear, used=used) is not None or asked(MACHINE, subject=cheap, used=used) is None


def test_every_code_has_its_sentence_with_all_of_its_figures():
    codes = [line.split()[1] for line in (module.__doc__ or "").splitlines() if line.startswith("    ask")]
    assert set(codes) <= SENTENCES.keys()
    for found in (
        asked(MACHINE, used=Used(60_00, 0)),
        asked(rule(scope="plant", amount="90 EUR")),
        asked(rule(scope="plant", amount="90 EUR"), used=Used(90_01, 0)),
        asked(MACHINE, rule(scope="supplier", each=True, amount=None, count=2), used=Used(2, 0)),
    ):
        assert "?" not in sentence(found.rule, found.parameters)
