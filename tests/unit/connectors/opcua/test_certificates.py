"""What certificates say of themselves, and what people are told before they run out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.certificates import (
    CERTIFICATE_BYTES_MAX,
    Certificate,
    CertificateBroken,
    describe,
    fingerprint,
    leaf,
    links,
    stage,
    warnings,
)
from connectors.opcua.identity import own_identity

NOW = datetime(2027, 3, 1, tzinfo=UTC)
SHORT = b"\x30\x82\x00\x02ab"


def lasting(left: timedelta) -> Certificate:
    return Certificate("sha256:ab", "CN=mill", "urn:mill", NOW - timedelta(days=400), NOW + left)


def test_a_chain_is_known_by_its_first_certificate():
    assert leaf(SHORT + b"\x30\x82the issuer") == SHORT
    assert leaf(b"\x30") == b"\x30"
    assert leaf(b"") == b""


def test_a_chain_falls_into_its_certificates(tmp_path: Path):
    first, second = (own_identity(tmp_path / each, NOW).certificate for each in "ab")
    assert links(first + second) == [first, second]
    with pytest.raises(CertificateBroken):
        links(first + b"\x30\x82")


def test_a_certificate_is_described(tmp_path: Path):
    own = own_identity(tmp_path, NOW)
    found = describe(own.certificate)
    assert (found.uri, found.subject, found.fingerprint) == (own.uri, "CN=Toolcrib", fingerprint(own.certificate))


@given(st.binary(max_size=200))
def test_odd_bytes_are_no_certificate_and_nothing_worse(odd: bytes):
    for broken in (odd, SHORT + odd, b"\x30\x82" + odd):
        with pytest.raises(CertificateBroken):
            describe(broken)


def test_what_is_too_large_is_not_even_parsed():
    with pytest.raises(CertificateBroken, match="larger"):
        describe(bytes(CERTIFICATE_BYTES_MAX + 1))


@pytest.mark.parametrize(
    ("left", "reached", "said"),
    [
        (timedelta(days=31), None, None),
        (timedelta(days=30), 30, "within 30 days"),
        (timedelta(days=7, seconds=1), 30, "within 8 days"),
        (timedelta(days=7), 7, "within 7 days"),
        (timedelta(hours=24), 1, "within 1 day,"),
        (timedelta(minutes=1), 1, "within 1 day,"),
        (timedelta(0), 0, "ran out on 2027-03-01"),
        (timedelta(days=-300), 0, "ran out on"),
    ],
)
def test_its_end_is_told_at_thirty_seven_and_one_days(left: timedelta, reached: int | None, said: str | None):
    assert stage(lasting(left), NOW) == reached
    told = warnings(lasting(left), NOW)
    assert len(told) == (said is not None)
    assert said is None or said in told[0]


def test_one_that_is_not_valid_yet_is_told():
    assert "valid only from" in warnings(lasting(timedelta(days=900)), NOW - timedelta(days=500))[0]
