"""A checkpoint as of C2SP (tlog-checkpoint): three lines that stand for a whole log, signed as a note.

It promises one form: the log's name, the number of its leaves in decimal, the root in base64, and no further line of
ours. Where it was signed, by which key and with what authority, is for others; it reads no clock and no database.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from marketplace.audit.merkle import HASH_BYTES
from marketplace.audit.note import Note, NoteBroken, VerifierKey
from marketplace.audit.note import parse as parse_note
from marketplace.store import Owner

_LINES: Final = 3


def origin_of(owner: Owner) -> str:
    """Return the name of a gateway's log; plant and gateway are permanent."""
    return f"toolcrib/{owner.plant}/{owner.gateway_id}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log was at one time."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse(text: str) -> Checkpoint:
    """Return the checkpoint that a text says; lines after the third are taken as they come. Raises `NoteBroken`."""
    lines = text.split("\n")
    if len(lines) <= _LINES or lines.pop() or not all(lines):
        raise NoteBroken("a checkpoint has three lines: a name, a size and a root")
    origin, size, root = lines[:_LINES]
    if not (size.isascii() and size.isdecimal()) or str(int(size[:20])) != size:
        raise NoteBroken("the size of a checkpoint is a decimal number")
    try:
        raw = base64.b64decode(root, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteBroken("the root of a checkpoint is base64") from error
    if len(raw) != HASH_BYTES:
        raise NoteBroken(f"the root of a checkpoint has {HASH_BYTES} bytes")
    return Checkpoint(origin, int(size), raw)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with the note that holds it."""

    checkpoint: Checkpoint
    note: Note

    @classmethod
    def parse(cls, text: str) -> SignedCheckpoint:
        """Return what a signed note says; nothing is verified. Raises `NoteBroken`."""
        note = parse_note(text)
        return cls(parse(note.text), note)

    def signed_by(self, key: VerifierKey) -> bool:
        """Return whether a signature on it says to be a key's; whether it holds is for `note.verify`."""
        return any(each.by(key) for each in self.note.signatures)
