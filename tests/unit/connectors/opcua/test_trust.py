"""Only the pinned server, never weaker than before, and a certificate of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from asyncua import ua
from cryptography import x509

from connectors.connector import ConnectionRefused
from connectors.opcua import trust
from connectors.opcua.trust import Memory, Offer

CERTIFICATE = b"\x30\x82\x00\x02ab"
ENCRYPTED, SIGNED = ua.MessageSecurityMode.SignAndEncrypt, ua.MessageSecurityMode.Sign
PREFIX = "http://opcfoundation.org/UA/SecurityPolicy#"


def endpoint(policy: str, mode: ua.MessageSecurityMode = ENCRYPTED, certificate: bytes | None = CERTIFICATE):
    return ua.EndpointDescription(SecurityPolicyUri=PREFIX + policy, SecurityMode=mode, ServerCertificate=certificate)


NONE = endpoint("None", ua.MessageSecurityMode.None_)


def test_the_best_signed_and_encrypted_offer_is_taken_whatever_the_order():
    offers = [endpoint("Aes256_Sha256_RsaPss", SIGNED), endpoint("Basic256Sha256"), NONE]
    better = endpoint("Aes128_Sha256_RsaOaep")
    for listed in ([*offers, better], [better, *offers]):
        best = trust.best_offer(listed)
        assert best is not None
        assert best.name == "Aes128_Sha256_RsaOaep"


@pytest.mark.parametrize("policy", ["None", "Basic128Rsa15", "Basic256", "Unheard"])
def test_old_and_unknown_policies_are_no_offer(policy: str):
    assert trust.best_offer([endpoint(policy), endpoint("Basic256Sha256", certificate=None)]) is None


def test_a_chain_is_known_by_its_first_certificate():
    assert trust.leaf(CERTIFICATE + b"\x30\x82the issuer") == CERTIFICATE
    assert trust.leaf(b"\x30") == b"\x30"
    assert trust.leaf(b"") == b""


def test_the_pinned_server_is_accepted_and_every_other_named():
    offer = Offer(0, CERTIFICATE)
    assert trust.accept(offer, offer.fingerprint, None) is offer
    for pinned in (None, "sha256:" + "0" * 64):
        with pytest.raises(ConnectionRefused, match=offer.fingerprint):
            trust.accept(offer, pinned, None)
    with pytest.raises(ConnectionRefused, match="signed and encrypted"):
        trust.accept(None, offer.fingerprint, None)


def test_a_weaker_offer_is_an_alarm_and_a_stronger_one_is_not():
    weak, strong = Offer(0, CERTIFICATE), Offer(2, CERTIFICATE)
    with pytest.raises(ConnectionRefused, match="ALARM"):
        trust.accept(weak, weak.fingerprint, Memory(2, weak.fingerprint))
    assert trust.accept(strong, strong.fingerprint, Memory(0, strong.fingerprint)) is strong
    # A newly pinned certificate is a person's act, and begins anew.
    assert trust.accept(weak, weak.fingerprint, Memory(2, "sha256:another")) is weak


def test_an_offer_struck_out_of_discovery_is_found_in_the_session():
    offer = Offer(0, CERTIFICATE)
    trust.confirm(offer, [endpoint("Basic256Sha256"), NONE])
    with pytest.raises(ConnectionRefused, match="Aes256_Sha256_RsaPss"):
        trust.confirm(offer, [endpoint("Basic256Sha256"), endpoint("Aes256_Sha256_RsaPss", certificate=b"other")])


def test_a_server_without_an_open_door_is_not_spoken_to_in_the_clear():
    trust.accept_insecure([NONE, endpoint("Basic256Sha256")])
    with pytest.raises(ConnectionRefused, match="insecure"):
        trust.accept_insecure([endpoint("Basic256Sha256")])


def test_what_was_offered_is_remembered_by_connection(tmp_path: Path):
    offer = Offer(1, CERTIFICATE)
    trust.remember(tmp_path, "hall/2", offer)
    trust.remember(tmp_path, "hall/2", offer)
    assert trust.recall(tmp_path, "hall/2") == Memory(1, offer.fingerprint)
    assert trust.recall(tmp_path, "hall") is None


@pytest.mark.parametrize("spoilt", ["", "[]", "null", '{"policy": "None", "fingerprint": "x"}', '{"policy": 1}'])
def test_a_spoilt_memory_is_not_forgotten_without_a_person(tmp_path: Path, spoilt: str):
    trust.remember(tmp_path, "hall", Offer(1, CERTIFICATE))
    (file,) = (tmp_path / "opcua").iterdir()
    file.write_text(spoilt)
    with pytest.raises(ConnectionRefused, match="delete it"):
        trust.recall(tmp_path, "hall")


def test_our_certificate_is_made_once_and_names_us(tmp_path: Path):
    first, again = trust.own_identity(tmp_path), trust.own_identity(tmp_path)
    assert first == again
    assert first.certificate == trust.certificate_file(tmp_path).read_bytes()
    assert first.key == trust.key_file(tmp_path).read_bytes()
    assert b"PRIVATE" not in repr(first).encode()
    assert trust.key_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert trust.key_file(tmp_path).parent.stat().st_mode & 0o777 == 0o700
    made = x509.load_der_x509_certificate(first.certificate)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [first.uri]
    assert made.not_valid_before_utc.year == 2020
    assert made.not_valid_after_utc.year == 2049
    made.verify_directly_issued_by(made)
