"""What the rules say to one order, and that they never become more lenient by accident."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maintenance.needs import Provenance
from marketplace.authority import policy as module
from marketplace.authority.checks import Checks
from marketplace.authority.limits import LimitRule, Subject, Used, claims_of
from marketplace.authority.mandate import Decision
from marketplace.authority.policy import (
    CAUTION,
    FREEDOM,
    Circumstances,
    Mandate,
    Mode,
    Outcome,
    Policy,
    Similar,
    Standing,
    Window,
    clock_jumped,
    decide,
    ledger_time,
    mode_of,
)
from marketplace.authority.rates import PinnedRate, Rates
from marketplace.authority.scopes import BY_PERSON, Halt, Scope, ScopeKind
from marketplace.catalogue import Item
from marketplace.documents import Delivery, OrderLine, PurchaseOrder
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.sentences import SENTENCES

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
ITEM = Item("bearing-7014", "Nordlager", "NL-7014-P4", "Bearing", "C62")
MANDATE = Mandate(
    granted_by="anna", machines=("*",), per_order=Money(50_000, "EUR"), until=datetime(2027, 12, 31, tzinfo=UTC)
)
POLICY = Policy(
    schema_=1,
    checks=Checks(own_price_most="1000", own_price_least="0"),  # `test_checks` looks at these
    mandate=MANDATE,
    window=Window(days=30, per_machine=Money(200_000, "EUR")),
    modes={"mill": Mode.BUY},
)
RATED = Rates(base="EUR", good_for_days=30, of={"USD": PinnedRate(rate=Decimal("0.5"), dated=date(2026, 3, 1))})


def order(price: Decimal = Decimal("61.5"), quantity: Decimal = Decimal(2), currency: str = "EUR", **changes):
    line = OrderLine(1, ("r1",), ITEM, "L-7014", Quantity(quantity, "C62"), UnitPrice(price, currency))
    made = PurchaseOrder(
        number="G1-0001-A",
        plant="northworks",
        gateway="G1",
        supplier="shop",
        account="1",
        quotation="Q",
        lines=(line,),
        freight=Money(900, currency),
        fees=Money(0, currency),
        deliver_by=NOW + timedelta(days=20),
        quoted_until=NOW + timedelta(days=14),
        delivery=Delivery("", "", "", "", "", "", ""),
    )
    return replace(made, **changes)


def told(**changes) -> Circumstances:
    known = Circumstances(
        stopped=None,
        mode=Mode.BUY,
        provenance=Provenance.A,
        known_history=True,
        machine="mill",
        component="mill/spindle-bearing",
        asked_by="G1",
        first_order_at_supplier=False,
        first_purchase_of_item=False,
        supplier_suspended=False,
        wanted={1: Quantity(Decimal(2), "C62")},
        last_prices={ITEM.key: UnitPrice(Decimal(60), "EUR")},
        quoted={1: UnitPrice(Decimal(5000), "EUR")},
        own_prices={ITEM.key: UnitPrice(Decimal(60), "EUR")},
        similar=(),
        plant_orders={"minute": 0, "hour": 0, "day": 0},
        supplier_orders={"minute": 0, "hour": 0, "day": 0},
        exposure={},
    )
    return replace(known, **changes)


def judged(made, known, policy, mandate, *, now, mark=None, used=Used(0, 0)):  # noqa: B008 - a value
    """The verdict where so much stands against each limit."""
    claims = () if policy is None else claims_of(policy.terms, Subject.of(made, known.machine, known.component), now)
    standing = Standing(mark, {claim.name: used for claim in claims})
    return decide(made, known, policy, mandate, standing=standing, now=now)


def rule(made=None, known=None, policy=POLICY, mandate=MANDATE, now=NOW) -> str:
    return judged(made or order(), known or told(), policy, mandate, now=now).rule


def denied(code: str, **figures: str) -> Decision:
    return Decision(Outcome.DENY, code, figures)


def asked(code: str, **figures: str) -> Decision:
    return Decision(Outcome.ASK, code, figures)


def with_policy(**changes) -> Policy:
    return POLICY.model_copy(update=changes)


def test_an_order_to_which_nothing_objects_is_approved():
    decision = judged(order(), told(), POLICY, MANDATE, now=NOW)
    assert (decision.outcome, decision.rule) == (Outcome.APPROVE, "WITHIN_LIMITS")
    assert decision.parameters == {"total": "132.00 EUR", "limit": "500.00 EUR"}


def test_without_policy_or_mandate_nothing_is_bought():
    assert judged(order(), told(), None, MANDATE, now=NOW).outcome is Outcome.DENY
    assert rule(policy=None) == "NO_POLICY"
    assert judged(order(), told(), POLICY, None, now=NOW).outcome is Outcome.DENY
    assert rule(mandate=None) == "NO_MANDATE"


@pytest.mark.parametrize("policy", [None, POLICY], ids=["without a policy", "within every limit"])
def test_a_stop_has_the_first_word(policy):
    stopped = Halt("h1", Scope(ScopeKind.MACHINE, "mill"), BY_PERSON, "anna", "web", NOW)
    decision = decide(order(), told(stopped=stopped), policy, MANDATE, standing=Standing(None, {}), now=NOW)
    assert (decision.outcome, decision.rule) == (Outcome.DENY, "STOPPED")
    assert decision.parameters == stopped.parameters
    assert told(stopped=stopped).facts()["stopped"] == stopped.parameters
    assert told().facts()["stopped"] is None


def test_a_mandate_ends_at_its_end():
    assert rule(now=MANDATE.until, made=order(quoted_until=MANDATE.until + timedelta(1))) == "MANDATE_ENDED"


def test_a_mandate_is_for_the_machines_that_it_names():
    narrow = MANDATE.model_copy(update={"machines": ("press",)})
    assert rule(mandate=narrow) == "MACHINE_NOT_COVERED"
    assert rule(mandate=MANDATE.model_copy(update={"machines": ("press", "mill")})) == "WITHIN_LIMITS"


def test_a_suspended_supplier_gets_no_order():
    assert rule(known=told(supplier_suspended=True)) == "SUPPLIER_SUSPENDED"


@pytest.mark.parametrize(
    ("mode", "code", "outcome"),
    [
        (Mode.WATCH, "MODE_WATCH", Outcome.DENY),
        (Mode.ADVISE, "MODE_ADVISE", Outcome.DENY),
        (Mode.ASK, "MODE_ASK", Outcome.ASK),
    ],
)
def test_the_stricter_of_both_modes_rules(mode, code, outcome):
    for decision in (
        judged(order(), told(mode=mode), POLICY, MANDATE, now=NOW),
        judged(order(), told(), with_policy(modes={"mill": mode}), MANDATE, now=NOW),
    ):
        assert (decision.rule, decision.outcome) == (code, outcome)


def test_a_mode_is_the_components_then_the_machines_then_the_default_then_ask():
    modes = {"default": Mode.ADVISE, "mill": Mode.WATCH, "mill/spindle-bearing": Mode.BUY}
    assert mode_of(with_policy(modes=modes), "mill/spindle-bearing") is Mode.BUY
    assert mode_of(with_policy(modes=modes), "mill/coolant") is Mode.WATCH
    assert mode_of(with_policy(modes=modes), "mill/coolant/pump") is Mode.WATCH
    assert mode_of(with_policy(modes=modes), "press/seal") is Mode.ADVISE
    assert mode_of(with_policy(modes={}), "press/seal") is Mode.ASK
    assert mode_of(None, "press/seal") is Mode.ASK


def test_an_order_of_nothing_is_denied():
    assert rule(made=order(lines=())) == "ORDER_EMPTY"


def test_plain_evidence_and_unknown_history_ask():
    assert rule(known=told(provenance=Provenance.B)) == "PROVENANCE_B"
    assert rule(known=told(known_history=False)) == "HISTORY_UNKNOWN"


def test_a_first_order_asks_unless_somebody_vouches():
    first = told(first_order_at_supplier=True, first_purchase_of_item=True)
    assert rule(known=first) == "FIRST_ORDER_AT_SUPPLIER"
    assert rule(known=first, policy=with_policy(known={"shop": ()})) == "FIRST_PURCHASE_OF_ITEM"
    assert rule(known=first, policy=with_policy(known={"shop": ("other",)})) == "FIRST_PURCHASE_OF_ITEM"
    assert rule(known=first, policy=with_policy(known={"shop": (ITEM.key,)})) == "WITHIN_LIMITS"
    assert (
        rule(known=replace(first, last_prices={}), policy=with_policy(known={"shop": (ITEM.key,)})) == "WITHIN_LIMITS"
    )


def test_a_quotation_binds_until_its_end_and_no_longer():
    assert rule(made=order(quoted_until=NOW + timedelta(microseconds=1))) == "WITHIN_LIMITS"
    assert rule(made=order(quoted_until=NOW)) == "QUOTATION_EXPIRED"


@pytest.mark.parametrize(
    "wanted",
    [{}, {1: Quantity(Decimal(1), "C62")}, {1: Quantity(Decimal(3), "C62")}, {1: Quantity(Decimal(2), "PK")}],
)
def test_another_quantity_than_is_wanted_asks(wanted):
    assert rule(known=told(wanted=wanted)) == "QUANTITY_DIFFERS"


def test_forty_instead_of_four_asks():
    four = told(wanted={1: Quantity(Decimal(4), "C62")})
    decision = judged(order(Decimal(1), Decimal(40)), four, POLICY, MANDATE, now=NOW)
    assert decision.rule == "QUANTITY_ABSURD"
    assert decision.parameters == {"item": "bearing-7014", "ordered": "40 C62", "wanted": "4 C62"}
    assert rule(known=four, made=order(Decimal(60), Decimal(20))) == "QUANTITY_DIFFERS"


def test_amounts_of_two_currencies_are_never_compared():
    assert rule(made=order(currency="USD")) == "CURRENCY_DIFFERS"
    assert rule(known=told(quoted={1: UnitPrice(Decimal(60), "USD")})) == "CURRENCY_DIFFERS"
    assert rule(mandate=MANDATE.model_copy(update={"per_order": Money(9, "JPY")})) == "RATE_MISSING"
    yen = Window(days=30, per_machine=Money(10**9, "JPY"))
    assert rule(policy=with_policy(window=yen)) == "RATE_MISSING"
    assert rule(known=told(last_prices={ITEM.key: UnitPrice(Decimal(60), "USD")})) == "CURRENCY_DIFFERS"


def test_a_rebate_that_hides_a_price_asks():
    assert rule(made=order(freight=Money(-1, "EUR"))) == "AMOUNT_NEGATIVE"
    assert rule(made=order(fees=Money(-1, "EUR"))) == "AMOUNT_NEGATIVE"


def test_gross_limits_ask_while_nobody_says_the_tax():
    assert rule(policy=with_policy(amounts="gross")) == "TAX_UNKNOWN"


def test_the_order_limit_is_the_last_amount_that_passes():
    exact = MANDATE.model_copy(update={"per_order": Money(13_200, "EUR")})
    assert rule(mandate=exact) == "WITHIN_LIMITS"
    assert rule(mandate=exact, made=order(freight=Money(901, "EUR"))) == "ORDER_LIMIT_EXCEEDED"


def test_an_item_that_was_bought_at_an_unknown_price_asks():
    assert rule(known=told(last_prices={})) == "LAST_PRICE_UNKNOWN"


def test_a_price_far_above_the_last_asks():
    assert rule(made=order(Decimal(90))) == "WITHIN_LIMITS"
    assert rule(made=order(Decimal("90.000001"))) == "PRICE_COLLAR"
    dozen = told(last_prices={ITEM.key: UnitPrice(Decimal(720), "EUR", Decimal(12))})
    assert rule(known=dozen, made=order(Decimal(90))) == "WITHIN_LIMITS"
    assert rule(known=dozen, made=order(Decimal("90.01"))) == "PRICE_COLLAR"
    free = told(last_prices={ITEM.key: UnitPrice(Decimal(0), "EUR")})
    assert rule(known=free) == "PRICE_COLLAR"


def test_a_missing_window_asks():
    assert rule(policy=with_policy(window=None)) == "MISSING_LIMIT"
    assert rule(policy=with_policy(window=Window(days=30))) == "MISSING_LIMIT"


def test_a_missing_limit_names_the_machine_for_which_none_is_set():
    found = judged(order(), told(), with_policy(window=None), MANDATE, now=NOW)
    assert found == asked("MISSING_LIMIT", machine="mill")


def test_a_limit_for_a_component_holds_the_orders_for_it():
    limit = LimitRule(scope="component", key="mill/spindle-bearing", per="total", amount=Money(131_99, "EUR"))
    assert rule(policy=with_policy(limits=(limit,))) == "LIMIT_EXCEEDED"
    assert rule(known=told(component="mill/seal"), policy=with_policy(limits=(limit,))) == "WITHIN_LIMITS"


def test_an_order_above_the_whole_window_asks():
    small = Window(days=30, per_machine=Money(13_199, "EUR"))
    assert rule(policy=with_policy(window=small)) == "PERIOD_LIMIT_EXCEEDED"


def test_every_rule_has_its_place_in_the_header_and_its_sentence():
    codes = {
        line.split()[1] for line in module.__doc__.splitlines() if line.startswith(("    deny", "    ask", "    yes"))
    }
    listed = {code.rstrip(",") for code in codes} | {"MODE_ADVISE"}
    assert listed <= SENTENCES.keys()
    assert {"NO_POLICY", "MODE_WATCH", "PERIOD_LIMIT_EXCEEDED", "WITHIN_LIMITS"} <= listed


@pytest.mark.parametrize(
    ("made", "known", "policy", "now", "expected"),
    [
        (order(), told(), None, NOW, Decision(Outcome.DENY, "NO_POLICY", {})),
        (order(), told(supplier_suspended=True), POLICY, NOW, denied("SUPPLIER_SUSPENDED", supplier="shop")),
        (order(), told(mode=Mode.WATCH), POLICY, NOW, denied("MODE_WATCH", component="mill/spindle-bearing")),
        (order(lines=()), told(), POLICY, NOW, denied("ORDER_EMPTY")),
        (order(), told(mode=Mode.ASK), POLICY, NOW, asked("MODE_ASK", component="mill/spindle-bearing")),
        (order(), told(provenance=Provenance.B), POLICY, NOW, asked("PROVENANCE_B", machine="mill")),
        (order(), told(known_history=False), POLICY, NOW, asked("HISTORY_UNKNOWN", component="mill/spindle-bearing")),
        (order(), told(first_order_at_supplier=True), POLICY, NOW, asked("FIRST_ORDER_AT_SUPPLIER", supplier="shop")),
        (
            order(),
            told(first_purchase_of_item=True),
            POLICY,
            NOW,
            asked("FIRST_PURCHASE_OF_ITEM", supplier="shop", item="bearing-7014"),
        ),
        (
            order(quoted_until=NOW),
            told(),
            POLICY,
            NOW,
            asked("QUOTATION_EXPIRED", quoted_until="2026-03-02T08:00:00.000000Z"),
        ),
        (order(), told(wanted={}), POLICY, NOW, asked("QUANTITY_DIFFERS", item=ITEM.key, ordered="2 C62", wanted="?")),
        (
            order(),
            told(wanted={1: Quantity(Decimal(3), "C62")}),
            POLICY,
            NOW,
            asked("QUANTITY_DIFFERS", item=ITEM.key, ordered="2 C62", wanted="3 C62"),
        ),
        (order(currency="USD"), told(), POLICY, NOW, asked("CURRENCY_DIFFERS", currency="USD", other="EUR")),
        (
            order(fees=Money(-1, "EUR")),
            told(),
            POLICY,
            NOW,
            asked("AMOUNT_NEGATIVE", freight="9.00 EUR", fees="-0.01 EUR"),
        ),
        (order(), told(), with_policy(amounts="gross"), NOW, asked("TAX_UNKNOWN", total="132.00 EUR")),
        (
            order(freight=Money(90_000, "EUR")),
            told(),
            POLICY,
            NOW,
            asked("ORDER_LIMIT_EXCEEDED", total="1023.00 EUR", limit="500.00 EUR"),
        ),
        (order(), told(last_prices={}), POLICY, NOW, asked("LAST_PRICE_UNKNOWN", item=ITEM.key)),
    ],
)
def test_a_verdict_says_in_figures_what_it_rests_on(made, known, policy, now, expected):
    assert judged(made, known, policy, MANDATE, now=now) == expected


def test_a_clock_that_jumped_is_named_with_both_times():
    found = judged(order(quoted_until=NOW + timedelta(400)), told(), POLICY, MANDATE, now=NOW, mark=NOW + timedelta(2))
    times = {"now": "2026-03-02T08:00:00.000000Z", "mark": "2026-03-04T08:00:00.000000Z"}
    assert found == Decision(Outcome.ASK, "CLOCK_JUMPED", times)


TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("mark", "jumped"),
    [
        (None, False),
        (NOW, False),
        (NOW + timedelta(hours=1), False),
        (NOW + timedelta(hours=1) + TICK, True),
        (NOW - timedelta(days=32), False),
        (NOW - timedelta(days=32) - TICK, True),
    ],
)
def test_a_clock_jumps_beyond_an_hour_back_or_a_month_ahead_and_then_its_time_counts_for_nothing(mark, jumped):
    assert clock_jumped(mark, NOW) is jumped
    assert ledger_time(mark, NOW) == (mark if jumped else NOW)


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires"])
def test_a_time_zone_is_kept_by_its_name(name):
    assert Policy.model_validate({"schema": 1, "time_zone": name}).time_zone == name
    assert Policy.model_validate({"schema": 1, "time_zone": name}).terms.zone.key == name


@pytest.mark.parametrize("name", ["", "Berlin", "Europe", "../etc/passwd", "/etc/passwd", "Europe/Berlin\0"])
def test_what_names_no_time_zone_is_refused(name):
    with pytest.raises(ValidationError, match="no time zone of the IANA data base"):
        Policy.model_validate({"schema": 1, "time_zone": name})


def test_without_a_zone_the_calendar_of_a_limit_is_nobodys():
    assert Policy(schema_=1).terms.zone.key == "UTC"
    for per in ("day", "month"):
        with pytest.raises(ValidationError, match="need the site's time_zone"):
            Policy.model_validate({"schema": 1, "limits": [{"scope": "plant", "per": per, "amount": "9 EUR"}]})
    rolling = {"scope": "plant", "per": "30 d", "amount": "9 EUR"}
    assert Policy.model_validate({"schema": 1, "limits": [rolling]}).time_zone is None


def test_the_window_is_a_limit_for_each_machine_beside_the_others():
    plant = LimitRule(scope="plant", per="total", amount=Money(9_00, "EUR"))
    terms = with_policy(limits=(plant,), rates=RATED).terms
    window = LimitRule(scope="machine", each=True, per="30 d", amount=Money(200_000, "EUR"))
    assert (terms.rules, terms.rates) == ((plant, window), RATED)


def test_circumstances_have_one_canonical_form():
    price, seen = UnitPrice(Decimal(60), "EUR"), Similar("G1-9", ITEM.key, NOW, open=True)
    known = told(
        similar=(seen,), quoted={1: price}, own_prices={ITEM.key: price}, exposure={"EUR": 5},
        plant_orders={"minute": 1}, supplier_orders={"day": 2},
    )  # fmt: skip
    assert known.facts() == {
        "stopped": None,
        "mode": "buy",
        "provenance": "A",
        "known_history": True,
        "machine": "mill",
        "component": "mill/spindle-bearing",
        "asked_by": "G1",
        "first_order_at_supplier": False,
        "first_purchase_of_item": False,
        "supplier_suspended": False,
        "wanted": {"1": "2 C62"},
        "last_prices": {"bearing-7014": "60 EUR"},
        "quoted": {"1": "60 EUR"},
        "own_prices": {"bearing-7014": "60 EUR"},
        "similar": [["G1-9", "bearing-7014", "2026-03-02T08:00:00.000000Z", True]],
        "plant_orders": {"minute": 1},
        "supplier_orders": {"day": 2},
        "exposure": {"EUR": 5},
    }


def test_a_policy_has_one_canonical_form():
    whole = with_policy(known={"shop": ("b", "a", "a")}, time_zone="Europe/Berlin")
    assert whole.document() == {
        "schema": 1,
        "mandate": MANDATE.document(),
        "window": {"days": 30, "per_machine": "2000.00 EUR"},
        "amounts": "net",
        "modes": {"mill": "buy"},
        "known": {"shop": ["a", "b"]},
        "time_zone": "Europe/Berlin",
        "checks": POLICY.checks.document(),
    }
    assert Policy.model_validate(whole.document()).hash == whole.hash
    assert Policy(schema_=1).document() == {
        "schema": 1, "mandate": None, "window": None, "amounts": "net", "modes": {}, "known": {},
    }  # fmt: skip
    assert Policy(schema_=1, window=Window(days=7)).document()["window"] == {"days": 7, "per_machine": None}


def test_what_came_later_to_policies_is_told_where_it_says_something_and_whatever_its_order():
    plant = {"scope": "plant", "per": "total", "amount": "9.00 EUR"}
    machine = {"scope": "machine", "each": True, "per": "30 d", "amount": "9.00 EUR"}
    rates = {"base": "EUR", "good_for_days": 30, "of": {"USD": {"rate": "0.5", "dated": "2026-03-01"}}}
    for limits in ([plant, machine], [machine, plant]):
        policy = Policy.model_validate({"schema": 1, "limits": limits, "rates": rates, "time_zone": "UTC"})
        assert policy.document() == {
            "schema": 1,
            "mandate": None,
            "window": None,
            "amounts": "net",
            "modes": {},
            "known": {},
            "limits": [machine, plant],
            "time_zone": "UTC",
            "rates": rates,
        }


def test_a_price_in_another_currency_asks_wherever_it_stands():
    cheap, dollars = UnitPrice(Decimal(60), "EUR"), UnitPrice(Decimal(60), "USD")
    line = order().lines[0]
    second = replace(line, number=2, item=replace(ITEM, key="seal"))
    wanted = {1: line.quantity, 2: line.quantity}
    known = told(wanted=wanted, quoted={1: cheap, 2: dollars}, last_prices={ITEM.key: cheap, "seal": cheap})
    differs = asked("CURRENCY_DIFFERS", currency="EUR", other="USD")
    assert judged(order(lines=(line, second)), known, POLICY, MANDATE, now=NOW) == differs
    known = replace(known, quoted={1: cheap, 2: cheap}, last_prices={"seal": dollars})
    assert judged(order(lines=(line, second)), known, POLICY, MANDATE, now=NOW) == differs


def test_an_order_above_the_limit_in_another_currency_is_told_with_its_rates():
    policy = with_policy(rates=RATED, mandate=MANDATE.model_copy(update={"per_order": Money(263_99, "USD")}))
    figures = {"total": "132.00 EUR", "limit": "263.99 USD", "rates": "1 USD = 0.5 EUR of 2026-03-01"}
    assert judged(order(), told(), policy, policy.mandate, now=NOW) == asked("ORDER_LIMIT_EXCEEDED", **figures)
    enough = MANDATE.model_copy(update={"per_order": Money(264_00, "USD")})
    assert rule(policy=policy, mandate=enough) != "ORDER_LIMIT_EXCEEDED"


def test_where_two_rates_count_both_are_told():
    both = RATED.of | {"CHF": PinnedRate(rate=Decimal("1.5"), dated=date(2026, 3, 2))}
    policy = with_policy(rates=RATED.model_copy(update={"of": both}))
    price = UnitPrice(Decimal(60), "CHF")
    known = told(quoted={1: price}, last_prices={ITEM.key: price}, own_prices={ITEM.key: price})
    dollar = MANDATE.model_copy(update={"per_order": Money(50_00, "USD")})
    found = judged(order(currency="CHF"), known, policy, dollar, now=NOW)
    assert found.rule == "ORDER_LIMIT_EXCEEDED"
    assert found.parameters["rates"] == "1 CHF = 1.5 EUR of 2026-03-02; 1 USD = 0.5 EUR of 2026-03-01"


def test_freight_and_fees_of_nothing_hide_no_price():
    assert rule(made=order(freight=Money(0, "EUR"), fees=Money(0, "EUR"))) == "WITHIN_LIMITS"


def test_every_line_is_looked_at():
    line, wanted = order().lines[0], Quantity(Decimal(2), "C62")
    second = replace(line, number=2, item=replace(ITEM, key="seal"))
    price = UnitPrice(Decimal(5000), "EUR")
    known = told(wanted={1: wanted}, quoted={1: price, 2: price}, own_prices={ITEM.key: price, "seal": price})
    made = order(lines=(line, second))

    def found(**changes):
        return judged(made, replace(known, **changes), POLICY, MANDATE, now=NOW)

    assert found() == asked("QUANTITY_DIFFERS", item="seal", ordered="2 C62", wanted="?")
    assert found(wanted={1: wanted, 2: wanted}) == asked("LAST_PRICE_UNKNOWN", item="seal")
    first = {"wanted": {1: wanted, 2: wanted}, "first_purchase_of_item": True}
    policy = with_policy(known={"shop": (ITEM.key,)})
    assert judged(made, replace(known, **first), policy, MANDATE, now=NOW) == asked(
        "FIRST_PURCHASE_OF_ITEM", supplier="shop", item="seal"
    )


def test_circumstances_are_kept_as_texts():
    facts = told().facts()
    assert facts["wanted"] == {"1": "2 C62"}
    assert facts["last_prices"] == {"bearing-7014": "60 EUR"}
    assert told().hash != told(known_history=False).hash


prices = st.decimals(min_value=0, max_value=2000, places=2)
quantities = st.one_of(st.just(Decimal(2)), st.integers(1, 50).map(Decimal))
moneys = st.integers(1, 300_000).map(lambda minor: Money(minor, "EUR"))
flags = st.booleans()
anything_known = st.builds(
    told,
    mode=st.sampled_from(Mode),
    provenance=st.sampled_from(Provenance),
    known_history=flags,
    first_order_at_supplier=flags,
    first_purchase_of_item=flags,
    supplier_suspended=flags,
    wanted=st.one_of(st.just({}), quantities.map(lambda amount: {1: Quantity(amount, "C62")})),
    last_prices=st.one_of(st.just({}), prices.map(lambda price: {ITEM.key: UnitPrice(price, "EUR")})),
)
known = st.one_of(
    st.just(told()),
    st.builds(lambda price: told(last_prices={ITEM.key: UnitPrice(price, "EUR")}), prices),
    anything_known,
)
"""Half of them object to nothing, so that the limits are reached."""
mandates = st.one_of(
    st.none(),
    st.just(MANDATE),
    st.builds(
        Mandate,
        granted_by=st.just("anna"),
        machines=st.sampled_from([("*",), ("mill",), ("press",)]),
        per_order=moneys,
        until=st.sampled_from([NOW - timedelta(1), NOW + timedelta(1)]),
    ),
)
windows = st.one_of(st.none(), st.builds(Window, days=st.just(30), per_machine=st.one_of(st.none(), moneys)))
policies = st.one_of(
    st.none(),
    st.just(POLICY),
    st.builds(
        lambda **rules: Policy(schema_=1, **rules),
        window=windows,
        amounts=st.sampled_from(["net", "gross"]),
        modes=st.dictionaries(st.sampled_from(["default", "mill", "mill/spindle-bearing"]), st.sampled_from(Mode)),
        known=st.sampled_from([{}, {"shop": ()}, {"shop": (ITEM.key,)}]),
    ),
)
orders = st.builds(order, prices, quantities, st.sampled_from(["EUR", "EUR", "EUR", "USD"]))


@given(prices, prices, quantities, known, policies, mandates)
def test_a_higher_price_is_never_judged_more_leniently(price, rise, quantity, known, policy, mandate):
    before, after = (
        judged(order(amount, quantity), known, policy, mandate, now=NOW).outcome for amount in (price, price + rise)
    )
    assert CAUTION.index(after) >= CAUTION.index(before)


@given(orders, known, policies, mandates)
def test_the_gateway_approves_only_what_everything_allows(made, known, policy, mandate):
    if judged(made, known, policy, mandate, now=NOW).outcome is not Outcome.APPROVE:
        return
    assert policy is not None
    assert mandate is not None
    assert known.provenance is Provenance.A
    assert known.known_history
    assert known.mode is Mode.BUY
    assert mode_of(policy, known.component) is Mode.BUY
    assert not known.supplier_suspended
    assert made.total <= mandate.per_order
    assert made.total <= policy.window.per_machine
    assert mandate.until > NOW
    assert made.lines[0].quantity == known.wanted[1]


open_known = known.map(lambda each: replace(each, mode=Mode.BUY, known_history=True))


@given(orders, open_known, policies)
def test_without_a_mandate_nothing_is_approved(made, known, policy):
    assert judged(made, known, policy, None, now=NOW).outcome is Outcome.DENY


@given(orders, open_known, policies, mandates)
def test_plain_evidence_is_never_approved(made, known, policy, mandate):
    plain = replace(known, provenance=Provenance.B)
    assert judged(made, plain, policy, mandate, now=NOW).outcome is not Outcome.APPROVE


@given(orders, open_known, policies, mandates)
def test_an_unknown_history_is_never_approved(made, known, policy, mandate):
    unknown = replace(known, known_history=False)
    assert judged(made, unknown, policy, mandate, now=NOW).outcome is not Outcome.APPROVE


@given(orders, open_known, policies, mandates, st.sampled_from(FREEDOM[:-1]))
def test_no_mode_but_buy_is_ever_approved(made, known, policy, mandate, mode):
    assert judged(made, replace(known, mode=mode), policy, mandate, now=NOW).outcome is not Outcome.APPROVE


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"limits": {"scope": "plant"}},
        {"amounts": "both"},
        {"modes": {"default": "yes"}},
        {"window": {"days": 0}},
        {"window": {"days": 30, "per_machine": "2000"}},
        {"window": {"days": 30, "per_machine": "0 EUR"}},
        {"window": {"days": 30, "per_machine": "9 XXX"}},
        {"mandate": {"granted_by": "anna", "machines": [], "per_order": "5 EUR", "until": "2027-01-01T00:00:00Z"}},
        {"mandate": {"granted_by": "anna", "machines": ["*"], "per_order": "5 EUR", "until": "2027-01-01T00:00:00"}},
        {"mandate": {"granted_by": "anna", "machines": ["*"], "per_order": "-5 EUR", "until": "2027-01-01T00:00:00Z"}},
        {"mandate": {"granted_by": "anna", "machines": ["*"], "until": "2027-01-01T00:00:00Z"}},
    ],
)
def test_a_document_with_a_mistake_is_no_policy(policy_document, change):
    with pytest.raises(ValidationError):
        Policy.model_validate({**policy_document, **change})


def test_the_canonical_form_is_the_policy(policy_document):
    policy = Policy.model_validate(policy_document)
    again = Policy.model_validate(policy.document())
    assert again == policy
    assert again.hash == policy.hash
    assert again.document() == policy.document()


def test_the_empty_policy_has_a_canonical_form_too():
    policy = Policy.model_validate({"schema": 1})
    assert Policy.model_validate(policy.document()) == policy
    assert policy.document()["mandate"] is None
    half = Policy.model_validate({"schema": 1, "window": {"days": 3}})
    assert Policy.model_validate(half.document()) == half


def test_the_order_of_machines_and_items_changes_no_hash(policy_document):
    policy = Policy.model_validate({**policy_document, "known": {"a": ["x", "y"]}})
    assert Policy.model_validate({**policy_document, "known": {"a": ["y", "x"]}}).hash == policy.hash


def test_the_document_has_a_json_schema():
    assert Policy.model_json_schema()["additionalProperties"] is False
