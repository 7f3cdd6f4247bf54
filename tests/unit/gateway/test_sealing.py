import random

import pytest

from gateway.sealing import SealUnopened, seal, unseal

FILES = {"audit.key": b"-----BEGIN PRIVATE KEY-----", "connections/own.key": b"\x00\xff"}
RNG = random.Random(1).randbytes


def test_what_was_sealed_opens_with_its_passphrase():
    sealed = seal(FILES, b"open sesame", RNG)
    assert b"PRIVATE KEY" not in sealed
    assert unseal(sealed, b"open sesame") == FILES


def test_another_passphrase_opens_nothing():
    with pytest.raises(SealUnopened, match="passphrase"):
        unseal(seal(FILES, b"open sesame", RNG), b"open barley")


@pytest.mark.parametrize("at", [0, 20, 40, -1])
def test_a_changed_bit_opens_nothing(at):
    sealed = bytearray(seal(FILES, b"open sesame", RNG))
    sealed[at] ^= 1
    with pytest.raises(SealUnopened):
        unseal(bytes(sealed), b"open sesame")


def test_what_was_cut_off_opens_nothing():
    with pytest.raises(SealUnopened):
        unseal(b"short", b"open sesame")
