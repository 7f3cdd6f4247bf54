"""The best of what a server offers, and what it is worth."""

from __future__ import annotations

import itertools

import pytest
from asyncua import ua

from connectors.opcua.policies import DEPRECATED, UNSECURED, Mode, Protection, Secured, best_offer
from connectors.samples import Provenance

CERTIFICATE = b"\x30\x82\x00\x02ab"
PREFIX = "http://opcfoundation.org/UA/SecurityPolicy#"
BEST_FIRST = [
    ("Aes256_Sha256_RsaPss", Mode.SignAndEncrypt),
    ("Aes128_Sha256_RsaOaep", Mode.SignAndEncrypt),
    ("Basic256Sha256", Mode.SignAndEncrypt),
    ("Aes256_Sha256_RsaPss", Mode.Sign),
    ("Aes128_Sha256_RsaOaep", Mode.Sign),
    ("Basic256Sha256", Mode.Sign),
    ("Basic256", Mode.SignAndEncrypt),
    ("Basic128Rsa15", Mode.SignAndEncrypt),
    ("Basic256", Mode.Sign),
    ("Basic128Rsa15", Mode.Sign),
]


def endpoint(policy: str, mode: Mode = Mode.SignAndEncrypt, certificate: bytes | None = CERTIFICATE):
    return ua.EndpointDescription(SecurityPolicyUri=PREFIX + policy, SecurityMode=mode, ServerCertificate=certificate)


def test_the_best_offer_is_taken_whatever_the_order():
    for better, worse in itertools.combinations(BEST_FIRST, 2):
        for offers in ((better, worse), (worse, better)):
            best = best_offer([endpoint(*each) for each in offers], DEPRECATED)
            assert best is not None
            assert (best.protection.policy, best.protection.mode) == better


def test_only_what_is_encrypted_by_a_policy_that_holds_is_class_a():
    worth = {Protection(*each): Secured(Protection(*each)).provenance for each in BEST_FIRST}
    assert [each.policy for each, found in worth.items() if found is Provenance.A] == [
        "Aes256_Sha256_RsaPss",
        "Aes128_Sha256_RsaOaep",
        "Basic256Sha256",
    ]
    assert UNSECURED.provenance is Provenance.B


@pytest.mark.parametrize("policy", ["None", "Basic128Rsa15", "Basic256", "Unheard"])
def test_old_and_unknown_policies_are_no_offer_unless_named(policy: str):
    assert best_offer([endpoint(policy), endpoint("Basic256Sha256", certificate=None)]) is None
    named = best_offer([endpoint(policy)], {policy})
    assert (named is not None) is (policy in DEPRECATED)


def test_a_policy_is_known_by_its_whole_name_and_a_mode_must_protect():
    strange = ua.EndpointDescription(
        SecurityPolicyUri="urn:mine#Basic256Sha256", SecurityMode=Mode.Sign, ServerCertificate=CERTIFICATE
    )
    assert best_offer([strange, endpoint("Basic256Sha256", Mode.None_)]) is None
    with pytest.raises(ValueError, match="no protection"):
        Protection("Basic256Sha256", Mode.None_)


def test_people_read_the_mode_where_it_is_the_weaker_one():
    assert str(Protection("Basic256Sha256", Mode.SignAndEncrypt)) == "Basic256Sha256"
    assert str(Protection("Basic256Sha256", Mode.Sign)) == "Basic256Sha256 (Sign)"
