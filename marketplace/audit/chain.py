"""Which key counts for which tree: each new key was handed over by the one before, in a leaf that the log holds.

It promises that a checkpoint counts only when the key of its size has signed it under that key's name, that a key
after the first is believed only on the signature of the one before it over a statement that can be nothing else, and
that whoever trusts any key of the chain learns from it which others to trust. A rotation keeps the log's name; an epoch
begins under a new one below the log's first, so that whoever watches the log must be told (see `epochs`). A hand-over
travels with a checkpoint as one more line of signature (C2SP signed-note, 0xFF with a name of ours), which whoever
knows nothing of it ignores; a witness follows it from a key that it trusts, and never back to one that has handed over.
It reads nothing: leaves, keys and notes are arguments.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from marketplace.audit.checkpoint import Checkpoint, SignedCheckpoint
from marketplace.audit.note import KeyKind, Note, NoteBroken, Signature, VerifierKey, verify

ROTATED: Final = "audit.key_rotated"
EPOCH: Final = "audit.epoch"
HANDING_OVER: Final = (ROTATED, EPOCH)
"""The kinds of the leaves that hand over."""
CARRIED_MAX: Final = 8
"""Hand-overs that travel with a checkpoint: a witness may be away while a key is rotated so often, and readers of notes
must take sixteen lines."""
STEPS_MAX: Final = 1_000
"""Hand-overs that are followed from one key: one a month for eighty years, in a quarter of a megabyte."""
_DOMAIN: Final = "toolcrib/audit-key-handover/v1"
_UNASSIGNED: Final = 0xFF
_KEY_BYTES: Final = 32
_LINE_BYTES: Final = 2 * _KEY_BYTES + 64


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


def handed_over(facts: Mapping[str, Any], old: VerifierKey, *, names: Sequence[str] = ()) -> VerifierKey:
    """Return the new key that a leaf's facts speak of. Raises `NoteBroken` unless the old one has signed for it.

    `names`: those that the log has had, the first in front, when an epoch begins; else the new key has the old one's.
    """
    try:
        said, new = str(facts["old"]), VerifierKey.parse(str(facts["new"]))
        signature = base64.b64decode(str(facts["signature"]), validate=True)
        Ed25519PublicKey.from_public_bytes(old.public).verify(signature, statement(old, new))
    except (KeyError, binascii.Error, ValueError, InvalidSignature) as error:
        raise NoteBroken("the key before has not signed for this one") from error
    named = new.name.startswith(f"{names[0]}/") and new.name not in names if names else new.name == old.name
    if said != str(old) or not named or new.kind is not KeyKind.LOG:
        raise NoteBroken("the key is handed over by another one, or to another log")
    return new


def carried(facts: Mapping[str, Any]) -> Signature:
    """Return the line of signature that carries a hand-over's facts. Raises `NoteBroken`."""
    try:
        old, new = VerifierKey.parse(str(facts["old"])), VerifierKey.parse(str(facts["new"]))
        signed = base64.b64decode(str(facts["signature"]), validate=True)
    except (KeyError, ValueError) as error:
        raise NoteBroken("this hands over no key") from error
    return Signature(new.name, _line_id(new.name), old.public + new.public + signed)


def carried_by(note: Note, name: str) -> list[Signature]:
    """Return the hand-overs of a log's keys that a note carries, in their order."""
    return [each for each in note.signatures if (each.name, each.id) == (name, _line_id(name))]


def _line_id(name: str) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([_UNASSIGNED]) + _DOMAIN.encode()).digest()[:4]


@dataclass(frozen=True, slots=True)
class Followed:
    """Which keys of a log sign now, which did before, and the hand-overs that said so, oldest first."""

    current: tuple[VerifierKey, ...]
    retired: tuple[VerifierKey, ...]
    steps: tuple[Signature, ...]


def follow(trusted: Sequence[VerifierKey], kept: Sequence[Signature], offered: Iterable[Signature]) -> Followed:
    """Return where hand-overs lead from the keys that somebody trusts.

    `kept` were followed earlier: what they retired stays retired, whatever is trusted now. Of what is `offered`, those
    count that a current key has signed. Raises `NoteBroken` for one that a current key is said to have signed.
    """
    known, steps = list(trusted), list(kept)
    retired = []
    for line in kept:
        old, new = _step(line)
        retired.append(old)
        if old in known:
            known.append(new)
    for line in offered:
        old, new = _ends(line)
        if old in known and old not in retired and new not in (old, *retired) and len(steps) < STEPS_MAX:
            known.append(_step(line)[1])
            retired.append(old)
            steps.append(line)
    return Followed(tuple(each for each in known if each not in retired), tuple(retired), tuple(steps))


def _ends(line: Signature) -> tuple[VerifierKey, VerifierKey]:
    """Return the old and the new key of a line; nothing is verified. Raises `NoteBroken`."""
    if len(line.signed) != _LINE_BYTES:
        raise NoteBroken(f"a hand-over has {_LINE_BYTES} bytes")
    old, new = line.signed[:_KEY_BYTES], line.signed[_KEY_BYTES : 2 * _KEY_BYTES]
    return VerifierKey(line.name, KeyKind.LOG, old), VerifierKey(line.name, KeyKind.LOG, new)


def _step(line: Signature) -> tuple[VerifierKey, VerifierKey]:
    """Return the old and the new key of a line that the old one has signed. Raises `NoteBroken`."""
    old, new = _ends(line)
    signed = base64.b64encode(line.signed[2 * _KEY_BYTES :]).decode()
    return old, handed_over({"old": str(old), "new": str(new), "signature": signed}, old)


HandOver = tuple[int, str, Mapping[str, Any]]
"""A leaf that hands over: its index, its kind and its facts."""


def spans(first: VerifierKey, hand_overs: Iterable[HandOver]) -> list[KeySpan]:
    """Return the keys of a log, given its first and the leaves that hand over. Raises `NoteBroken`."""
    found = [KeySpan(0, first)]
    for index, kind, facts in hand_overs:
        try:
            names = [each.key.name for each in found] if kind == EPOCH else []
            found.append(KeySpan(index + 1, handed_over(facts, found[-1].key, names=names)))
        except NoteBroken as error:
            raise NoteBroken(f"leaf {index}: {error}") from error
    return found


def key_for(keys: Sequence[KeySpan], size: int) -> VerifierKey:
    """Return the key that signs a tree of that size."""
    return max((each for each in keys if each.from_size <= size), key=lambda span: span.from_size).key


def epoch_start(keys: Sequence[KeySpan], size: int) -> int:
    """Return the smallest tree of the epoch that a tree of that size belongs to."""
    name = key_for(keys, size).name
    return min(each.from_size for each in keys if each.key.name == name)


def require(signed: SignedCheckpoint, origin: str, keys: Sequence[KeySpan]) -> Checkpoint:
    """Return what a signed checkpoint says. Raises `NoteBroken` unless it is by the key of its size, under its name.

    `origin` is the log's first name.
    """
    said = signed.checkpoint
    key = key_for(keys, said.size)
    if keys[0].key.name != origin or said.origin != key.name:
        raise NoteBroken(f"this is a checkpoint of {said.origin}")
    verify(signed.note, [key])
    return said
