"""What a server has offered before is not forgotten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connectors.connector import ConnectionRefused
from connectors.opcua import memory
from connectors.opcua.memory import SERVERS_MAX, Memory
from connectors.opcua.policies import Mode, Offer, Protection

OFFER = Offer(Protection("Aes128_Sha256_RsaOaep", Mode.Sign), b"first")
OTHER = Offer(Protection("Basic256Sha256", Mode.SignAndEncrypt), b"second")


def test_what_was_offered_is_remembered_by_connection_and_server(tmp_path: Path):
    for offer in (OFFER, OTHER, OFFER, OFFER):
        memory.remember(tmp_path, "hall/2", offer)
    for offer in (OFFER, OTHER):
        found = memory.recall(tmp_path, "hall/2", offer.fingerprint)
        assert found == Memory(offer.protection, offer.fingerprint)
        assert memory.recall(tmp_path, "hall", offer.fingerprint) is None


def test_a_standby_server_does_not_push_out_what_the_first_has_offered(tmp_path: Path):
    for number in range(SERVERS_MAX - 1):
        memory.remember(tmp_path, "hall", OFFER)
        memory.remember(tmp_path, "hall", Offer(OTHER.protection, b"another" + bytes([number])))
    assert memory.recall(tmp_path, "hall", OFFER.fingerprint) is not None
    for number in range(SERVERS_MAX):
        memory.remember(tmp_path, "hall", Offer(OTHER.protection, b"third" + bytes([number])))
    assert memory.recall(tmp_path, "hall", OFFER.fingerprint) is None


def test_a_record_of_one_server_is_an_encrypted_one(tmp_path: Path):
    file = tmp_path / "opcua" / "hall.json"
    file.parent.mkdir()
    file.write_text('{"policy": "Basic256Sha256", "fingerprint": "sha256:ab"}')
    found = memory.recall(tmp_path, "hall", "sha256:ab")
    assert found == Memory(Protection("Basic256Sha256", Mode.SignAndEncrypt), "sha256:ab")


@pytest.mark.parametrize(
    "spoilt", ["", "[]", "null", '{"policy": "None", "fingerprint": "x"}', '{"policy": 1}', " " * 70_000]
)
def test_a_spoilt_memory_is_not_forgotten_without_a_person(tmp_path: Path, spoilt: str):
    memory.remember(tmp_path, "hall", OFFER)
    (tmp_path / "opcua" / "hall.json").write_text(spoilt)
    for call in (
        lambda: memory.recall(tmp_path, "hall", OFFER.fingerprint),
        lambda: memory.remember(tmp_path, "hall", OTHER),
    ):
        with pytest.raises(ConnectionRefused, match="delete it"):
            call()


def test_where_nothing_can_be_written_only_what_is_new_is_an_error(tmp_path: Path):
    for offer in (OFFER, OTHER):
        memory.remember(tmp_path, "hall", offer)
    (tmp_path / "opcua" / f"hall.json.{os.getpid()}.tmp").mkdir()  # where the next content would be drafted
    memory.remember(tmp_path, "hall", OFFER)
    assert memory.recall(tmp_path, "hall", OFFER.fingerprint) == Memory(OFFER.protection, OFFER.fingerprint)
    with pytest.raises(OSError, match="tmp"):
        memory.remember(tmp_path, "hall", Offer(OFFER.protection, b"third"))
