"""Every decision that the gate records can be computed again from what it recorded, to the byte."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from maintenance.needs import Provenance
from marketplace.audit import log
from marketplace.authority import gate
from marketplace.authority.approval import Approver
from marketplace.authority.decisions import (
    approval_record,
    circumstances_from,
    judge_record,
    permit_record,
    standing_facts,
    verdict_of,
)
from marketplace.authority.limits import LimitRule, Subject, Used, claims_of
from marketplace.authority.policy import Policy, Similar, Standing
from marketplace.authority.scopes import BY_PERSON, Halt, Scope, ScopeKind
from marketplace.documents import canonical
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering.states import Effect
from marketplace.store import policy_version, purchase_order
from tests.unit.marketplace.authority.test_leave import FOUND, SECOND
from tests.unit.marketplace.authority.test_policy import (
    MANDATE,
    NOW,
    POLICY,
    RATED,
    anything_known,
    mandates,
    order,
    policies,
    told,
    with_policy,
)

DECIDING = ("decision.made", "approval.given", "approval.blocked", "permit.issued")


async def replayed(spend, owner):
    """Return each recorded verdict beside the one that the recorded inputs give."""
    async with spend.read() as tx:
        orders = {row.number: row.document for row in await tx.execute(select(purchase_order))}
        policies = {row.version: row.document for row in await tx.execute(select(policy_version))}
        leaves = [leaf for leaf in await log.entries(tx, limit=500, owner=owner) if leaf.kind in DECIDING]
    return [
        (
            canonical(leaf.facts["verdict"]),
            canonical(
                verdict_of(
                    leaf.facts,
                    json.loads(orders[leaf.subject]),
                    json.loads(policies[leaf.facts["policy"]["version"]]) if leaf.facts["policy"]["version"] else None,
                )
            ),
        )
        for leaf in leaves
    ]


@pytest.fixture
def acts(spend, owner, now, anna, circumstances, store_order, move, make_order):
    """Acts of the gate, each in a transaction of its own."""

    class Acts:
        async def apply(self, document):
            async with spend.write() as tx:
                await gate.apply_policy(tx, owner, document, anna, now)

        async def judge(self, made, told=circumstances, at=now):
            async with spend.write() as tx:
                await store_order(tx, made)
                return await gate.judge(tx, owner, made, told, at, software="0.1.0")

        async def allow(self, made, person=anna, state="awaiting_approval", **said):
            async with spend.write() as tx:
                await store_order(tx, made, state)
                told = {"asked_by": "G1", "approved_hash": made.hash} | said
                return await gate.allow(tx, owner, made, person, **told, method="web", note="why not", now=now)

        async def permit(self, number, **columns):
            async with spend.write() as tx:
                await move(tx, number, **columns)
                row = (await tx.execute(select(purchase_order).where(purchase_order.c.number == number))).one()
                await gate.permit(tx, owner, row, now, key_proven=False)

        async def settle(self, number, effect):
            async with spend.write() as tx:
                await gate.settle(tx, owner, number, effect, now)

    return Acts()


async def test_what_the_gate_recorded_can_be_computed_again(
    acts, spend, owner, now, anna, circumstances, make_order, policy_document
):
    await acts.judge(make_order("G1-00"))
    limits = [
        {"scope": "plant", "per": "month", "amount": "300 USD"},
        {"scope": "supplier", "each": True, "per": "day", "count": 2},
        {"scope": "order", "amount": "300 EUR"},
    ]
    rates = {"base": "EUR", "good_for_days": 30, "of": {"USD": {"rate": "0.92", "dated": "2026-03-01"}}}
    rules = policy_document | {"limits": limits, "rates": rates, "time_zone": "Europe/Berlin"}
    await acts.apply(rules)
    verdicts = [
        (await acts.judge(make_order("G1-01"))).rule,
        (await acts.judge(make_order("G1-02", price="70"))).rule,
        (await acts.judge(make_order("G1-03"))).rule,
        (await acts.judge(make_order("G1-04"), replace(circumstances, provenance=Provenance.B))).rule,
        (await acts.judge(make_order("G1-05"), at=now + timedelta(days=99))).rule,
    ]
    assert verdicts == ["WITHIN_LIMITS", "LIMIT_EXCEEDED", "WITHIN_LIMITS", "PROVENANCE_B", "CLOCK_JUMPED"]
    await acts.allow(make_order("G1-06", price="900"))
    await acts.allow(make_order("G1-07"), replace(anna, limit=None))
    await acts.allow(make_order("G1-08"), state="approved")
    await acts.allow(make_order("G1-09"), Approver("bob", may_approve=False, limit=Money(1, "EUR")))
    await acts.allow(make_order("G1-10"), approved_hash="0" * 64)
    await acts.permit("G1-01", state="approved")
    await acts.settle("G1-06", Effect.RELEASE)
    await acts.apply(policy_document)
    await acts.permit("G1-01", state="unknown", sends=1, first_sent_at=now)
    pairs = await replayed(spend, owner)
    assert len(pairs) == 13
    for recorded, again in pairs:
        assert again == recorded


async def test_a_record_that_was_changed_gives_another_verdict(acts, spend, owner, make_order, policy_document):
    await acts.apply(policy_document)
    made = make_order()
    await acts.judge(made)
    async with spend.read() as tx:
        [leaf] = await log.entries(tx, made.number)
    facts = json.loads(json.dumps(leaf.facts))
    document = Policy.model_validate(policy_document).document()
    facts["standing"]["limits"][0]["machine"] = 2000_00
    assert verdict_of(facts, made.document(), document)["rule"] == "PERIOD_LIMIT_EXCEEDED"
    facts["checks"]["price_collar"] = "1"
    assert verdict_of(facts, made.document(), document)["rule"] == "PRICE_COLLAR"
    assert verdict_of(facts, made.document(), None)["rule"] == "NO_POLICY"


async def test_a_leaf_holds_every_limit_with_what_stood_against_it(acts, spend, owner, make_order, policy_document):
    await acts.apply(policy_document)
    await acts.judge(make_order("G1-1"))
    await acts.judge(make_order("G1-2"))
    async with spend.read() as tx:
        [leaf] = await log.entries(tx, "G1-2")
    assert leaf.facts["standing"]["limits"] == [
        {
            "name": "machine:mill:30 d:EUR",
            "limit": 2000_00,
            "amount": 132_00,
            "machine": 132_00,
            "person": 0,
            "rates": [],
        }
    ]
    assert leaf.facts["standing"]["mark"] == leaf.facts["standing"]["now"]


def test_what_is_no_decision_is_not_computed():
    with pytest.raises(ValueError, match="no decision"):
        verdict_of({"act": "guess"}, {}, None)


prices = st.builds(
    UnitPrice,
    st.decimals(min_value=0, max_value=10**6, places=6),
    st.sampled_from(["EUR", "JPY", "KWD"]),
    st.sampled_from([Decimal(1), Decimal(12), Decimal("0.5")]),
)
counts = st.dictionaries(st.sampled_from(["minute", "hour", "day"]), st.integers(0, 200))
known = st.builds(
    lambda told, **more: replace(told, **more),
    anything_known,
    quoted=st.dictionaries(st.integers(1, 3), prices),
    own_prices=st.dictionaries(st.sampled_from(["bearing-7014", "x"]), prices),
    plant_orders=counts,
    supplier_orders=counts,
    exposure=st.dictionaries(st.sampled_from(["EUR", "USD"]), st.integers(0, 10**9)),
    similar=st.lists(
        st.builds(
            Similar,
            st.just("G1-7"),
            st.just("bearing-7014"),
            st.integers(0, 10**6).map(lambda seconds: NOW - timedelta(seconds=seconds)),
            st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    wanted=st.dictionaries(st.integers(1, 2), st.integers(1, 9).map(lambda n: Quantity(Decimal(n), "C62"))),
)


@given(known)
def test_circumstances_come_back_as_they_were(each):
    facts = json.loads(canonical(each.facts()))
    assert circumstances_from(facts) == each
    assert circumstances_from(facts).hash == each.hash


@given(
    st.decimals(min_value=0, max_value=500, places=2),
    st.one_of(known, st.just(told())),
    policies,
    mandates,
    st.integers(0, 300_000),
    st.sampled_from([None, NOW, NOW - timedelta(days=400)]),
)
def test_a_verdict_is_the_same_from_its_record(price, each, policy, mandate, used, mark):
    made = order(price)
    if policy is not None:
        policy = Policy.model_validate(policy.document() | {"mandate": mandate.document() if mandate else None})
    claims = claims_of(policy.terms, Subject.of(made, each.machine, each.component), NOW) if policy else ()
    standing = Standing(mark, {claim.name: Used(used, 0) for claim in claims})
    authority = {"version": 1, "hash": policy.hash if policy else "", "mandate": ""}
    record = judge_record(made, each, policy, standing, claims, NOW, authority=authority, software="x")
    stored = json.loads(canonical(record))
    again = verdict_of(stored, json.loads(canonical(made.document())), policy.document() if policy else None)
    assert canonical(again) == canonical(record["verdict"])


STOP = Halt("h1", Scope(ScopeKind.MACHINE, "mill"), BY_PERSON, "anna", "web", NOW)
STOPPED = {"scope": "machine", "key": "mill", "machine": "mill", "since": "2026-03-02T08:00:00.000000Z"}
AUTHORITY = {"version": 3, "hash": "ab", "mandate": "cd"}
BOB = Approver("bob", may_approve=True, limit=Money(500_00, "EUR"))


def standing_of(policy, made, mark=None, used=Used(100, 7)):  # noqa: B008 - a value
    """What an order claims, and as much standing against each limit."""
    claims = claims_of(policy.terms, Subject.of(made, "mill", "mill/spindle-bearing"), NOW)
    return claims, Standing(mark, {claim.name: used for claim in claims})


def stored(record):
    """The record as a leaf gives it back."""
    return json.loads(canonical(record))


def test_a_leaf_of_the_policys_verdict_holds_all_that_it_rests_on():
    policy, made, known_of_it = with_policy(rates=RATED), order(Decimal(60), currency="USD"), told()
    claims, standing = standing_of(policy, made, mark=NOW - timedelta(seconds=1))
    record = judge_record(made, known_of_it, policy, standing, claims, NOW, authority=AUTHORITY, software="0.1.0")
    assert record == {
        "act": "judge",
        "verdict": {
            "outcome": "ask",
            "rule": "CURRENCY_DIFFERS",
            "parameters": {"currency": "USD", "other": "EUR"},
        },
        "order_hash": made.hash,
        "supplier": "shop",
        "total": "129.00 USD",
        "policy": AUTHORITY,
        "checks": policy.checks.document(),
        "inputs": known_of_it.facts(),
        "inputs_hash": known_of_it.hash,
        "standing": {
            "now": "2026-03-02T08:00:00.000000Z",
            "mark": "2026-03-02T07:59:59.000000Z",
            "limits": [
                {
                    "name": "machine:mill:30 d:EUR",
                    "limit": 2000_00,
                    "amount": 64_50,
                    "machine": 100,
                    "person": 7,
                    "rates": list(claims[0].rates),
                }
            ],
        },
        "software": "0.1.0",
    }
    assert claims[0].rates


def test_without_a_policy_a_leaf_holds_no_thresholds_and_no_limits():
    record = judge_record(order(), told(), None, Standing(None, {}), (), NOW, authority={}, software="x")
    assert (record["verdict"]["rule"], record["checks"], record["policy"]) == ("NO_POLICY", {}, {})
    assert record["standing"] == {"now": "2026-03-02T08:00:00.000000Z", "mark": "", "limits": []}


def test_a_limit_against_which_nothing_was_counted_is_not_in_the_leaf():
    claims, _standing = standing_of(POLICY, order())
    assert standing_facts(Standing(None, {}), claims, NOW)["limits"] == []


def signed(made=None, person=BOB, policy=POLICY, now=NOW, **changes):
    """The record of a signature to which nothing objects, but for the changes."""
    made = made or order()
    known_of_it = {"stopped": None, "awaiting": True, "asked_by": "G1", "approved_hash": made.hash} | changes
    return approval_record(made, "mill", person, policy, now, **known_of_it, authority=AUTHORITY, software="0.1.0")


def test_a_leaf_of_a_signature_holds_all_that_it_rests_on():
    made = order()
    assert signed(made) == {
        "act": "approve",
        "verdict": {
            "outcome": "approve",
            "rule": "APPROVED_BY_PERSON",
            "parameters": {"person": "bob", "total": "132.00 EUR"},
        },
        "order_hash": made.hash,
        "approved_hash": made.hash,
        "total": "132.00 EUR",
        "machine": "mill",
        "stopped": None,
        "awaiting": True,
        "asked_by": "G1",
        "approver": {"id": "bob", "may_approve": True, "limit": "500.00 EUR"},
        "policy": AUTHORITY,
        "now": "2026-03-02T08:00:00.000000Z",
        "software": "0.1.0",
    }
    assert signed(person=replace(BOB, limit=None))["approver"]["limit"] == ""
    assert signed(stopped=STOP)["stopped"] == STOPPED


@pytest.mark.parametrize(
    ("changes", "rule", "parameters"),
    [
        ({}, "APPROVED_BY_PERSON", {"person": "bob", "total": "132.00 EUR"}),
        ({"stopped": STOP}, "STOPPED", STOPPED),
        ({"policy": None}, "NO_MANDATE", {}),
        ({"policy": with_policy(mandate=None)}, "NO_MANDATE", {}),
        (
            {"policy": with_policy(mandate=MANDATE.model_copy(update={"machines": ("press",)}))},
            "MACHINE_NOT_COVERED",
            {"machine": "mill"},
        ),
        ({"now": MANDATE.until}, "MANDATE_ENDED", {"until": "2027-12-31T00:00:00.000000Z"}),
        ({"awaiting": False}, "ALREADY_DECIDED", {"order": "G1-0001-A"}),
        ({"person": replace(BOB, may_approve=False)}, "NOT_AUTHORISED", {"person": "bob"}),
        ({"asked_by": "bob"}, "SELF_APPROVAL", {"person": "bob"}),
        ({"approved_hash": "0" * 64}, "ORDER_CHANGED", {"order": "G1-0001-A"}),
        (
            {"now": NOW + timedelta(days=14)},
            "QUOTATION_EXPIRED",
            {"quoted_until": "2026-03-16T08:00:00.000000Z"},
        ),
        (
            {"person": replace(BOB, limit=None)},
            "OWN_LIMIT_EXCEEDED",
            {"person": "bob", "total": "132.00 EUR", "limit": "-"},
        ),
        (
            {"person": replace(BOB, limit=Money(131_99, "EUR"))},
            "OWN_LIMIT_EXCEEDED",
            {"person": "bob", "total": "132.00 EUR", "limit": "131.99 EUR"},
        ),
    ],
)
def test_whether_a_signature_counts_can_be_computed_again(changes, rule, parameters):
    record = signed(**changes)
    policy = changes.get("policy", POLICY)
    assert (record["verdict"]["rule"], record["verdict"]["parameters"]) == (rule, parameters)
    again = verdict_of(stored(record), stored(order().document()), policy.document() if policy else None)
    assert again == record["verdict"]


def test_a_leaf_of_a_leave_to_send_holds_all_that_it_rests_on():
    claims, standing = standing_of(POLICY, order(), mark=NOW)
    subject = replace(FOUND.subject, categories=("bearings", "tools"))
    record = permit_record(replace(FOUND, subject=subject, reserved=(1, 2)), POLICY, standing, claims, NOW)
    assert record == {
        "act": "permit",
        "verdict": {
            "outcome": "approve",
            "rule": "LEAVE_TO_SEND",
            "parameters": {"order": "G1-0001-A", "send": "1"},
        },
        "dispatch": {
            "order": "G1-0001-A",
            "machine": "mill",
            "component": "mill/spindle-bearing",
            "supplier": "shop",
            "categories": ["bearings", "tools"],
            "total": "132.00 EUR",
            "stopped": None,
            "state": "approved",
            "has_bytes": True,
            "intact": True,
            "quoted_until": "2026-03-16T08:00:00.000000Z",
            "reserved": [1, 2],
            "by_person": False,
            "allowed": True,
            "sends": 0,
            "may_be_there": False,
            "key_proven": False,
        },
        "standing": standing_facts(standing, claims, NOW),
    }


@pytest.mark.parametrize(
    ("found", "mark", "used", "rule"),
    [
        (FOUND, None, 132_00, "LEAVE_TO_SEND"),
        (replace(FOUND, stopped=STOP), None, 132_00, "STOPPED"),
        (replace(FOUND, state="confirmed"), None, 132_00, "NOTHING_TO_SEND"),
        (replace(FOUND, has_bytes=False), None, 132_00, "NOTHING_TO_SEND"),
        (replace(FOUND, intact=False), None, 132_00, "ORDER_ALTERED"),
        (replace(FOUND, quoted_until=NOW), None, 132_00, "QUOTATION_EXPIRED"),
        (replace(FOUND, reserved=()), None, 132_00, "NOT_RESERVED"),
        (replace(FOUND, allowed=False), None, 132_00, "NOT_ALLOWED"),
        (FOUND, NOW + timedelta(2), 132_00, "CLOCK_JUMPED"),
        (replace(FOUND, by_person=True), NOW + timedelta(2), 132_00, "LEAVE_TO_SEND"),
        (SECOND, None, 132_00, "LEAVE_TO_SEND"),
        (SECOND, None, 1868_01, "RESEND_OVER_LIMIT"),
        (replace(SECOND, key_proven=True), None, 1868_01, "LEAVE_TO_SEND"),
        (replace(SECOND, reserved=(1, 2)), None, 1868_01, "LEAVE_TO_SEND"),
        (replace(SECOND, subject=replace(SECOND.subject, machine="")), None, 132_00, "RESEND_OVER_LIMIT"),
    ],
)
def test_whether_an_orders_bytes_may_be_sent_can_be_computed_again(found, mark, used, rule):
    claims, standing = standing_of(POLICY, order(), mark, Used(used, 0))
    record = permit_record(found, POLICY, standing, claims, NOW)
    assert record["verdict"]["rule"] == rule
    assert verdict_of(stored(record), {}, POLICY.document()) == record["verdict"]


def test_without_a_policy_nothing_is_sent_and_the_leaf_says_why():
    record = permit_record(FOUND, None, Standing(None, {}), (), NOW)
    assert record["verdict"] == {"outcome": "deny", "rule": "NO_MANDATE", "parameters": {}}
    assert verdict_of(stored(record), {}, None) == record["verdict"]


LIMITS_OF_EVERYTHING = with_policy(
    limits=tuple(
        LimitRule(scope=scope, key=key, per="total", amount=Money(200_00, "EUR"))
        for scope, key in (
            ("component", "mill/spindle-bearing"),
            ("machine", "mill"),
            ("supplier", "shop"),
            ("category", "tools"),
        )
    )
)


@pytest.mark.parametrize("scope", ["component", "machine", "supplier", "category"])
def test_a_second_send_is_held_again_to_every_limit_that_it_was_held_to(scope):
    found = replace(SECOND, subject=replace(SECOND.subject, categories=("tools",)))
    claims = claims_of(LIMITS_OF_EVERYTHING.terms, found.subject, NOW)
    full = {claim.name: Used(132_00 if claim.scope == scope else 0, 0) for claim in claims}
    record = permit_record(found, LIMITS_OF_EVERYTHING, Standing(None, full), claims, NOW)
    assert record["verdict"]["parameters"]["scope"] == scope
    assert verdict_of(stored(record), {}, LIMITS_OF_EVERYTHING.document()) == record["verdict"]


def test_what_persons_use_counts_again_as_what_the_gateway_uses():
    claims, standing = standing_of(POLICY, order(), used=Used(1000_00, 868_01))
    record = judge_record(order(), told(), POLICY, standing, claims, NOW, authority={}, software="x")
    assert record["verdict"]["rule"] == "PERIOD_LIMIT_EXCEEDED"
    assert verdict_of(stored(record), stored(order().document()), POLICY.document()) == record["verdict"]


def test_a_stop_that_covered_an_order_denies_it_again():
    record = judge_record(order(), told(stopped=STOP), POLICY, Standing(None, {}), (), NOW, authority={}, software="x")
    assert (record["verdict"]["rule"], record["verdict"]["parameters"]) == ("STOPPED", STOPPED)
    assert verdict_of(stored(record), stored(order().document()), POLICY.document()) == record["verdict"]
