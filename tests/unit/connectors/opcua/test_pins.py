"""Strangers wait in a bounded quarantine; what a person said of them holds."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.connector import ConnectionRefused
from connectors.opcua import pins
from connectors.opcua.pins import JUDGED_MAX, STRANGERS_MAX, NotSeen, Verdict

NOW = datetime(2027, 3, 1, tzinfo=UTC)
_SECRET = ec.generate_private_key(ec.SECP256R1())


def certificate(name: str = "mill") -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(_SECRET.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=365))
        .sign(_SECRET, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return made.public_bytes(serialization.Encoding.DER)


def test_a_stranger_is_kept_with_when_they_came(tmp_path: Path):
    for later in (timedelta(0), timedelta(minutes=1), timedelta(hours=1)):
        pins.note(tmp_path, "hall", certificate(), NOW + later)
    (found,) = pins.seen(tmp_path, "hall")
    assert (found.first_seen, found.last_seen) == (NOW, NOW + timedelta(hours=1))
    assert (found.verdict, found.described.subject) == (Verdict.QUARANTINED, "CN=mill")
    assert pins.seen(tmp_path, "elsewhere") == ()
    assert pins.connections(tmp_path) == ("hall",)
    assert all(file.stat().st_mode & 0o077 == 0 for file in pins.directory(tmp_path).iterdir())


def test_what_a_person_said_holds_and_names_them(tmp_path: Path):
    pins.note(tmp_path, "hall", certificate(), NOW)
    (stranger,) = pins.seen(tmp_path, "hall")
    judged, before = pins.judge(tmp_path, "hall", stranger.fingerprint, Verdict.PINNED, "anna", NOW)
    assert (judged.by, judged.judged_at, before) == ("anna", NOW, Verdict.QUARANTINED)
    pins.note(tmp_path, "hall", certificate(), NOW + timedelta(days=1))
    found = pins.seen(tmp_path, "hall")
    assert pins.judged(found, Verdict.PINNED) == {stranger.fingerprint}
    assert pins.judged(found, Verdict.REJECTED) == frozenset()
    _again, before = pins.judge(tmp_path, "hall", stranger.fingerprint, Verdict.REJECTED, "ben", NOW)
    assert before is Verdict.PINNED
    with pytest.raises(NotSeen):
        pins.judge(tmp_path, "hall", "sha256:" + "0" * 64, Verdict.PINNED, "anna", NOW)


def test_a_flood_of_strangers_is_bounded_and_pushes_out_nobody_who_was_judged(tmp_path: Path):
    pins.note(tmp_path, "hall", certificate("known"), NOW)
    (known,) = pins.seen(tmp_path, "hall")
    pins.judge(tmp_path, "hall", known.fingerprint, Verdict.PINNED, "anna", NOW)
    for number in range(STRANGERS_MAX + 5):
        pins.note(tmp_path, "hall", certificate(f"stranger {number}"), NOW + timedelta(seconds=number))
    found = pins.seen(tmp_path, "hall")
    assert len(found) == STRANGERS_MAX + 1
    assert {each.described.subject for each in found} >= {"CN=known", f"CN=stranger {STRANGERS_MAX + 4}"}


def test_no_more_are_judged_than_fit(tmp_path: Path):
    for number in range(JUDGED_MAX + 1):
        pins.note(tmp_path, "hall", certificate(f"number {number}"), NOW)
        stranger = pins.seen(tmp_path, "hall")[-1].fingerprint
        if number < JUDGED_MAX:
            pins.judge(tmp_path, "hall", stranger, Verdict.REJECTED, "anna", NOW)
    with pytest.raises(ValueError, match="too many"):
        pins.judge(tmp_path, "hall", stranger, Verdict.PINNED, "anna", NOW)
    first = pins.seen(tmp_path, "hall")[0].fingerprint
    for verdict in (Verdict.PINNED, Verdict.REJECTED):  # whoever is judged already can always be thrown out
        judged, _before = pins.judge(tmp_path, "hall", first, verdict, "anna", NOW)
        assert judged.verdict is verdict


@pytest.mark.parametrize("odd", [b"", b"no certificate", bytes(100_000)])
def test_what_is_no_certificate_is_refused_and_not_kept(tmp_path: Path, odd: bytes):
    with pytest.raises(ConnectionRefused, match="shows no certificate"):
        pins.note(tmp_path, "hall", odd, NOW)
    assert pins.seen(tmp_path, "hall") == ()


@pytest.mark.parametrize("spoilt", ["", "{}", "[1]", '[{"certificate": "AA=="}]', "null"])
def test_a_spoilt_file_lets_nobody_in(tmp_path: Path, spoilt: str):
    pins.note(tmp_path, "hall", certificate(), NOW)
    file = pins.directory(tmp_path) / "hall.json"
    file.write_text(spoilt)
    for call in (
        lambda: pins.seen(tmp_path, "hall"),
        lambda: pins.note(tmp_path, "hall", certificate(), NOW),
    ):
        with pytest.raises(ConnectionRefused, match="none of its servers is let in"):
            call()


def test_two_who_write_at_once_lose_nothing(tmp_path: Path):
    made = [certificate(f"number {number}") for number in range(8)]
    threads = [threading.Thread(target=pins.note, args=(tmp_path, "hall", each, NOW)) for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pins.seen(tmp_path, "hall")) == len(made)
