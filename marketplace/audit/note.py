"""Signed notes as of C2SP (signed-note, tlog-cosignature): a text, an empty line, and a line for each signature.

It promises to verify only what a trusted key has signed, to ignore signatures of keys that it was not given, and to
refuse a note on which a given key's signature does not hold. Two kinds of signature: a log's own over the text
(Ed25519, 0x01), and a witness's over the text and the time at which it looked (0x04). It knows no clock, no file and
no meaning of the text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NOTE_MAX: Final = 64_000
"""Bytes: a checkpoint with the sixteen signatures that every reader must take has 3,000."""
SIGNATURES_MAX: Final = 64
_DASH: Final = "— "
_ID_BYTES: Final = 4
_KEY_BYTES: Final = 32
_TIME_BYTES: Final = 8


class NoteBroken(Exception):
    """A note, a key or a signature is none, or does not hold; `str()` says which."""


class KeyKind(IntEnum):
    """What a key signs: the byte stands in its identifier."""

    LOG = 0x01
    WITNESS = 0x04


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name that it signs under. Written `name+id+base64`, as C2SP's vkey."""

    name: str
    kind: KeyKind
    public: bytes

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or any(each.isspace() or ord(each) < 0x20 for each in self.name):
            raise NoteBroken(f"{self.name!r} is no name of a key: it has no spaces and no plus")
        if len(self.public) != _KEY_BYTES:
            raise NoteBroken(f"a public key has {_KEY_BYTES} bytes")

    @property
    def id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        told = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(told).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_encoded(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Return the key that was written. Raises `NoteBroken`."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise NoteBroken("a public key is written name+id+base64")
        raw = _decoded(parts[2])
        if not raw or raw[0] not in set(KeyKind):
            raise NoteBroken("the key is of a kind that is not known here")
        key = cls(parts[0], KeyKind(raw[0]), raw[1:])
        if key.id.hex() != parts[1]:
            raise NoteBroken("the key's identifier is not that of its name and bytes")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who says to have signed, and the bytes."""

    name: str
    id: bytes
    signed: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {_encoded(self.id + self.signed)}\n"

    @classmethod
    def parse(cls, line: str) -> Signature:
        """Return what a line says. Raises `NoteBroken`."""
        name, _space, rest = line.removeprefix(_DASH).partition(" ")
        raw = _decoded(rest)
        if not line.startswith(_DASH) or not name or "+" in name or len(raw) <= _ID_BYTES:
            raise NoteBroken("a signature is a line of a dash, a name and base64")
        return cls(name, raw[:_ID_BYTES], raw[_ID_BYTES:])

    def by(self, key: VerifierKey) -> bool:
        """Return whether the line says to be a key's."""
        return (self.name, self.id) == (key.name, key.id)

    @property
    def seconds(self) -> int:
        """When a witness says that it looked, in seconds since 1970; for cosignatures only."""
        return int.from_bytes(self.signed[:_TIME_BYTES], "big")


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends with a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def also(self, more: Iterable[Signature]) -> Note:
        """Return the note with more signatures; none is there twice."""
        return Note(self.text, tuple(dict.fromkeys((*self.signatures, *more))))


def parse(text: str) -> Note:
    """Return a note as it was written; nothing is verified. Raises `NoteBroken`."""
    if len(text.encode()) > NOTE_MAX:
        raise NoteBroken(f"a note of more than {NOTE_MAX} bytes is none")
    if any(ord(each) < 0x20 and each != "\n" for each in text):
        raise NoteBroken("a note has no control characters")
    body, empty, lines = text.rpartition("\n\n")
    if not empty or not lines.endswith("\n"):
        raise NoteBroken("a note is a text, an empty line and lines of signatures")
    return Note(body + "\n", signatures(lines))


def signatures(lines: str) -> tuple[Signature, ...]:
    """Return what signature lines say. Raises `NoteBroken`."""
    if lines.count("\n") > SIGNATURES_MAX:
        raise NoteBroken(f"more than {SIGNATURES_MAX} signatures are too many")
    return tuple(Signature.parse(line) for line in lines.removesuffix("\n").split("\n"))


def sign(text: str, name: str, key: Ed25519PrivateKey) -> Signature:
    """Return a log's signature over a text."""
    public = verifier_of(name, KeyKind.LOG, key)
    return Signature(name, public.id, key.sign(text.encode()))


def cosign(text: str, name: str, key: Ed25519PrivateKey, seconds: int) -> Signature:
    """Return a witness's signature over a text and the time at which it looked, in seconds since 1970."""
    public = verifier_of(name, KeyKind.WITNESS, key)
    signed = key.sign(_cosigned(text, seconds))
    return Signature(name, public.id, seconds.to_bytes(_TIME_BYTES, "big") + signed)


def verifier_of(name: str, kind: KeyKind, key: Ed25519PrivateKey) -> VerifierKey:
    """Return the public half of a key."""
    return VerifierKey(name, kind, key.public_key().public_bytes_raw())


def verify(note: Note, keys: Iterable[VerifierKey]) -> list[tuple[VerifierKey, Signature]]:
    """Return which of the keys have signed a note, with their signatures.

    Raises `NoteBroken` when a signature that says to be one of theirs does not hold, or when there is none of theirs.
    """
    known = tuple(keys)
    found = []
    for signature in note.signatures:
        for key in known:
            if signature.by(key):
                _require(note.text, signature, key)
                found.append((key, signature))
    if not found:
        raise NoteBroken("no key that is trusted here has signed this")
    return found


def _require(text: str, signature: Signature, key: VerifierKey) -> None:
    message, signed = text.encode(), signature.signed
    if key.kind is KeyKind.WITNESS:
        message, signed = _cosigned(text, signature.seconds), signed[_TIME_BYTES:]
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signed, message)
    except InvalidSignature as error:
        raise NoteBroken(f"the signature of {key.name} does not hold") from error


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteBroken("this is no base64") from error
