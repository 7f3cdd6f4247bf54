"""Only a pinned server, and never weaker than before."""

from __future__ import annotations

import pytest
from asyncua import ua

from connectors.connector import ConnectionRefused
from connectors.opcua import trust
from connectors.opcua.memory import Memory
from connectors.opcua.policies import Mode, Offer, Protection

CERTIFICATE = b"\x30\x82\x00\x02ab"
PREFIX = "http://opcfoundation.org/UA/SecurityPolicy#"
WEAK = Offer(Protection("Basic256Sha256", Mode.SignAndEncrypt), CERTIFICATE)
STRONG = Offer(Protection("Aes256_Sha256_RsaPss", Mode.SignAndEncrypt), CERTIFICATE)
SIGNED = Offer(Protection("Aes256_Sha256_RsaPss", Mode.Sign), CERTIFICATE)
PINNED = {WEAK.fingerprint}


def endpoint(policy: str, mode: Mode = Mode.SignAndEncrypt, certificate: bytes | None = CERTIFICATE):
    return ua.EndpointDescription(SecurityPolicyUri=PREFIX + policy, SecurityMode=mode, ServerCertificate=certificate)


NONE = endpoint("None", Mode.None_)


def test_the_pinned_server_is_accepted_and_every_other_named():
    assert trust.accept(WEAK, PINNED, None) is WEAK
    with pytest.raises(ConnectionRefused, match=f"trust pin hall {WEAK.fingerprint}"):
        trust.accept(WEAK, (), None, name="hall")
    with pytest.raises(ConnectionRefused, match="it was replaced, or this is another server"):
        trust.accept(WEAK, {"sha256:" + "0" * 64}, None)


def test_a_server_that_a_person_rejected_is_refused_with_that_word():
    with pytest.raises(ConnectionRefused, match="was rejected by a person"):
        trust.accept(WEAK, (), None, rejected=PINNED)
    assert trust.accept(WEAK, PINNED, None, rejected=PINNED) is WEAK  # the config wins


@pytest.mark.parametrize("weaker", [WEAK, SIGNED])
def test_a_weaker_offer_is_an_alarm_and_a_stronger_one_is_not(weaker: Offer):
    with pytest.raises(ConnectionRefused, match="ALARM"):
        trust.accept(weaker, PINNED, Memory(STRONG.protection, STRONG.fingerprint))
    assert trust.accept(STRONG, PINNED, Memory(weaker.protection, STRONG.fingerprint)) is STRONG
    # A newly pinned certificate is a person's act, and begins anew.
    assert trust.accept(weaker, PINNED, Memory(STRONG.protection, "sha256:another")) is weaker


def test_an_offer_struck_out_of_discovery_is_found_in_the_session():
    trust.confirm(WEAK, [endpoint("Basic256Sha256"), NONE])
    with pytest.raises(ConnectionRefused, match="Aes256_Sha256_RsaPss"):
        trust.confirm(WEAK, [endpoint("Basic256Sha256"), endpoint("Aes256_Sha256_RsaPss", certificate=b"other")])
    with pytest.raises(ConnectionRefused, match="ALARM"):
        trust.confirm(SIGNED, [endpoint("Basic256Sha256")])


def test_a_server_that_offers_nothing_good_is_told_what_it_lacks():
    assert trust.protected(WEAK, []) is WEAK
    with pytest.raises(ConnectionRefused, match="Basic256, which is deprecated"):
        trust.protected(None, [endpoint("Basic256"), NONE])
    with pytest.raises(ConnectionRefused, match="signed and encrypted"):
        trust.protected(None, [NONE])


def test_a_server_without_an_open_door_is_not_spoken_to_in_the_clear():
    trust.accept_insecure([NONE, endpoint("Basic256Sha256")])
    with pytest.raises(ConnectionRefused, match="insecure"):
        trust.accept_insecure([endpoint("Basic256Sha256")])
