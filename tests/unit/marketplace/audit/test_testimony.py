"""What leaves say about money is heard by order and send; leaves of older versions speak of the first send."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.log import AuditEntry
from marketplace.audit.testimony import Testimony as Heard

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ANNA = Actor(ActorKind.PERSON, "anna", "web")
ORDER, HASH = "TC-G1-000001-A", "h1"
ALLOWED = {"order_hash": HASH, "total": "132.00 EUR"}
GATEWAYS = ALLOWED | {"verdict": {"outcome": "approve"}}


def hear(*said):
    """Return what leaves of (kind, facts) about one order say."""
    heard = Heard()
    for index, (kind, facts) in enumerate(said):
        heard.hear(AuditEntry("G1", index, kind, ORDER, NOW, ANNA, facts, ""))
    return heard


def booked(*said):
    return hear(*said).orders[ORDER].booked


def test_a_gateways_own_approval_states_and_allows_the_order_and_reserves_for_nobody():
    order = hear(("order.proposed", {"order_hash": "h0"}), ("decision.made", GATEWAYS)).orders[ORDER]
    assert (order.stated, order.allowed, order.signed) == ({"h0", HASH}, {HASH}, set())
    assert order.booked == {1: ("reserved", "132.00 EUR", False)}
    assert order.last_index == 1


@pytest.mark.parametrize("outcome", ["ask", "deny"])
def test_a_decision_that_does_not_approve_states_the_order_and_allows_nothing(outcome):
    order = hear(("decision.made", ALLOWED | {"verdict": {"outcome": outcome}})).orders[ORDER]
    assert (order.stated, order.allowed, order.booked) == ({HASH}, set(), {})


def test_a_persons_approval_is_their_signature_and_reserves_for_a_person():
    order = hear(("approval.given", ALLOWED | {"send": 2})).orders[ORDER]
    assert (order.allowed, order.signed) == ({HASH}, {(HASH, "anna", "approve")})
    assert order.booked == {2: ("reserved", "132.00 EUR", True)}


def test_a_persons_refusal_is_their_signature_and_allows_nothing():
    order = hear(("approval.refused", {"order_hash": HASH})).orders[ORDER]
    assert (order.allowed, order.signed, order.booked) == (set(), {(HASH, "anna", "deny")}, {})


@pytest.mark.parametrize("by_person", [True, False])
def test_a_second_send_reserves_money_of_its_own(by_person):
    issued = {"permit": "p2", "order_hash": HASH, "send": 2, "total": "132.00 EUR", "by_person": by_person}
    heard = hear(("decision.made", GATEWAYS), ("permit.issued", issued | {"reserved": True}))
    assert heard.permits == {"p2": (ORDER, HASH)}
    assert heard.orders[ORDER].booked == {
        1: ("reserved", "132.00 EUR", False),
        2: ("reserved", "132.00 EUR", by_person),
    }
    assert booked(("permit.issued", issued | {"reserved": False})) == {}
    assert booked(("permit.issued", {"permit": "p1", "order_hash": HASH})) == {}


@pytest.mark.parametrize("state", ["committed", "released"])
@pytest.mark.parametrize(("said", "send"), [({}, 1), ({"send": 3}, 3)])
def test_what_is_settled_is_settled_for_its_send(state, said, send):
    settled = {"amount": "132.00 EUR", "by_person": True} | said
    assert booked((f"budget.{state}", settled)) == {send: (state, "132.00 EUR", True)}


def test_the_send_that_bought_releases_the_others():
    settled = {"amount": "132.00 EUR", "by_person": False, "send": 2, "released": [1, 3]}
    assert booked(("budget.committed", settled)) == {
        2: ("committed", "132.00 EUR", False),
        1: ("released", "132.00 EUR", False),
        3: ("released", "132.00 EUR", False),
    }


def test_a_policy_is_heard_by_its_version():
    assert hear(("policy.applied", {"version": 7, "hash": "p"})).policies == {7: "p"}


def test_what_is_no_business_of_money_is_not_heard():
    heard = hear(("order.shipped", {}), ("thing.done", {"order_hash": HASH}))
    assert (heard.orders, heard.permits, heard.policies) == ({}, {}, {})
