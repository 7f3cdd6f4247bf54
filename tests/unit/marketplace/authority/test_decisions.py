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
from marketplace.authority.decisions import circumstances_from, judge_record, verdict_of
from marketplace.authority.limits import Subject, Used, claims_of
from marketplace.authority.policy import Policy, Similar, Standing
from marketplace.documents import canonical
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering.states import Effect
from marketplace.store import policy_version, purchase_order
from tests.unit.marketplace.authority.test_policy import NOW, anything_known, mandates, order, policies, told

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
