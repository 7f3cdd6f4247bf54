import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from marketplace.authority import issuing, permit

AT = datetime(2026, 3, 2, tzinfo=UTC)
BEFORE = AT - timedelta(minutes=1)


def issued() -> permit.SpendPermit:
    return issuing.issue(
        id="p", supplier="shop", reference="G1-1", key="k", order_hash="h", request_bytes=b"x", ends_at=AT
    )


def test_a_permit_of_the_gate_is_accepted_for_its_supplier_only():
    permit.require(issued(), "shop", BEFORE)
    with pytest.raises(permit.PermitRefused, match="nothing was sent"):
        permit.require(issued(), "other", BEFORE)


def test_a_permit_is_bound_to_what_it_was_issued_for():
    leave = issued()
    assert (leave.id, leave.supplier, leave.reference, leave.ends_at) == ("p", "shop", "G1-1", AT)
    assert (leave.key, leave.order_hash, leave.request_bytes) == ("k", "h", b"x")


def test_a_refusal_of_the_gate_says_its_code():
    assert permit.PermitRefused("no leave", "NOT_RESERVED").code == "NOT_RESERVED"


def test_nobody_else_makes_a_permit():
    with pytest.raises(permit.PermitRefused) as refused:
        permit.SpendPermit("p", "shop", "G1-1", "k", "h", b"x", AT, object())
    assert refused.value.code == "", "the gate was not even asked"


def test_what_only_looks_like_a_permit_is_refused():
    forged = issued()
    object.__setattr__(forged, "seal", object())
    for each in (forged, {"supplier": "shop"}, None):
        with pytest.raises(permit.PermitRefused):
            permit.require(each, "shop", BEFORE)


def test_the_seal_is_not_shown():
    assert "seal" not in repr(issued())


def test_a_permit_is_used_once():
    leave = issued()
    permit.require(leave, "shop", BEFORE)
    with pytest.raises(permit.PermitRefused, match="used before"):
        permit.require(leave, "shop", BEFORE)


def test_a_copy_is_no_second_permit():
    leave = issued()
    permit.require(dataclasses.replace(leave), "shop", BEFORE)
    with pytest.raises(permit.PermitRefused, match="used before"):
        permit.require(leave, "shop", BEFORE)


def test_a_permit_that_has_ended_is_refused():
    with pytest.raises(permit.PermitRefused, match="has ended"):
        permit.require(issued(), "shop", AT)
