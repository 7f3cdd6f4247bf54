from datetime import UTC, datetime

import pytest

from marketplace.authority import permit

AT = datetime(2026, 3, 2, tzinfo=UTC)


def issued() -> permit.SpendPermit:
    return permit.issue(
        id="p", supplier="shop", reference="G1-1", key="k", order_hash="h", request_bytes=b"x", ends_at=AT
    )


def test_a_permit_of_the_gate_is_accepted_for_its_supplier_only():
    permit.require(issued(), "shop")
    with pytest.raises(permit.PermitRefused, match="nothing was sent"):
        permit.require(issued(), "other")


def test_nobody_else_makes_a_permit():
    with pytest.raises(permit.PermitRefused):
        permit.SpendPermit("p", "shop", "G1-1", "k", "h", b"x", AT, object())


def test_what_only_looks_like_a_permit_is_refused():
    forged = issued()
    object.__setattr__(forged, "seal", object())
    for each in (forged, {"supplier": "shop"}, None):
        with pytest.raises(permit.PermitRefused):
            permit.require(each, "shop")


def test_the_seal_is_not_shown():
    assert "seal" not in repr(issued())
