"""Which key counts for which tree: each new key was handed over by the one before, in a leaf that the log holds.

It promises that a checkpoint counts only when the key of its size has signed it, that a key after the first is
believed only on the signature of the one before it over a statement that can be nothing else, and that whoever trusts
any key of the chain learns from it which others to trust. It reads nothing: leaves, keys and notes are arguments.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from marketplace.audit.checkpoint import Checkpoint, SignedCheckpoint
from marketplace.audit.note import KeyKind, NoteBroken, VerifierKey, verify

ROTATED: Final = "audit.key_rotated"
_DOMAIN: Final = "toolcrib/audit-key-handover/v1"


@dataclass(frozen=True, slots=True)
class KeySpan:
    """A key and the smallest tree that it signs; the next span ends it."""

    from_size: int
    key: VerifierKey


def statement(old: VerifierKey, new: VerifierKey) -> bytes:
    """Return what an old key signs to hand over; a checkpoint never begins like this."""
    return f"{_DOMAIN}\n{old}\n{new}\n".encode()


def hand_over(old: VerifierKey, new: VerifierKey, key: Ed25519PrivateKey) -> dict[str, str]:
    """Return the facts of the leaf that hands over."""
    signed = base64.b64encode(key.sign(statement(old, new))).decode()
    return {"old": str(old), "new": str(new), "signature": signed}


def handed_over(facts: Mapping[str, Any], old: VerifierKey) -> VerifierKey:
    """Return the new key that a leaf's facts speak of. Raises `NoteBroken` unless the old one has signed for it."""
    try:
        said, new = str(facts["old"]), VerifierKey.parse(str(facts["new"]))
        signature = base64.b64decode(str(facts["signature"]), validate=True)
        Ed25519PublicKey.from_public_bytes(old.public).verify(signature, statement(old, new))
    except (KeyError, binascii.Error, ValueError, InvalidSignature) as error:
        raise NoteBroken("the key before has not signed for this one") from error
    if said != str(old) or new.name != old.name or new.kind is not KeyKind.LOG:
        raise NoteBroken("the key is handed over by another one, or to another log")
    return new


def spans(first: VerifierKey, rotations: Iterable[tuple[int, Mapping[str, Any]]]) -> list[KeySpan]:
    """Return the keys of a log, given its first and the facts of its rotation leaves by index. Raises `NoteBroken`."""
    found = [KeySpan(0, first)]
    for index, facts in rotations:
        try:
            found.append(KeySpan(index + 1, handed_over(facts, found[-1].key)))
        except NoteBroken as error:
            raise NoteBroken(f"leaf {index}: {error}") from error
    return found


def key_for(keys: Sequence[KeySpan], size: int) -> VerifierKey:
    """Return the key that signs a tree of that size."""
    return max((each for each in keys if each.from_size <= size), key=lambda span: span.from_size).key


def require(signed: SignedCheckpoint, origin: str, keys: Sequence[KeySpan]) -> Checkpoint:
    """Return what a signed checkpoint says. Raises `NoteBroken` unless it is this log's, by the key of its size."""
    said = signed.checkpoint
    if said.origin != origin:
        raise NoteBroken(f"this is a checkpoint of {said.origin}")
    verify(signed.note, [key_for(keys, said.size)])
    return said
