"""A witness: cosigns a log's checkpoint once it was shown that the log only grew (as of C2SP tlog-witness).

It promises to sign only what continues the newest checkpoint that it has seen of that log, to have that durable before
it answers, and to answer with the standard's codes: 404 a log that it does not know, 403 not signed by the log, 400
no request, 409 another size than it has seen last (which it says) or another root, 422 not shown to be continued.
`judge` decides and reads nothing; `Witness` keeps its state and its own key in a directory that is no gateway's.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from marketplace.audit import keys
from marketplace.audit.checkpoint import Checkpoint, SignedCheckpoint
from marketplace.audit.merkle import HASH_BYTES, verify_consistency
from marketplace.audit.note import NOTE_MAX, KeyKind, NoteBroken, VerifierKey, cosign, verifier_of, verify

PROOF_MAX: Final = 63
"""Lines of a proof: more than any tree needs."""
REQUEST_MAX: Final = NOTE_MAX + 64 * PROOF_MAX
SIZE_TYPE: Final = "text/x.tlog.size"
_TEXT_TYPE: Final = "text/plain"


@dataclass(frozen=True, slots=True)
class Request:
    """What a log asks for: that this checkpoint continues the tree of `old` leaves, as the proof shows."""

    old: int
    proof: tuple[bytes, ...]
    signed: SignedCheckpoint

    def __str__(self) -> str:
        lines = [f"old {self.old}", *(base64.b64encode(each).decode() for each in self.proof)]
        return "\n".join(lines) + f"\n\n{self.signed.note}"

    @classmethod
    def parse(cls, text: str) -> Request:
        """Return what a request says. Raises `NoteBroken`."""
        head, empty, note = text.partition("\n\n")
        first, *lines = head.split("\n")
        word, _space, size = first.partition(" ")
        if word != "old" or not empty or not (size.isascii() and size.isdecimal()) or str(int(size[:20])) != size:
            raise NoteBroken("a request begins with 'old' and a size")
        if len(lines) > PROOF_MAX:
            raise NoteBroken(f"a proof has at most {PROOF_MAX} lines")
        return cls(int(size), tuple(_hash(line) for line in lines), SignedCheckpoint.parse(note))


def _hash(line: str) -> bytes:
    try:
        found = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteBroken("a line of a proof is base64") from error
    if len(found) != HASH_BYTES:
        raise NoteBroken(f"a line of a proof has {HASH_BYTES} bytes")
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness says: an HTTP status, a text and its type."""

    status: int
    text: str = ""
    kind: str = _TEXT_TYPE


def judge(request: Request, trusted: Sequence[VerifierKey], seen: Checkpoint | None) -> Answer:
    """Return 200 when a checkpoint may be cosigned, else why not.

    `trusted` are the keys of the log that it names, none when that log is not known; `seen` is what was cosigned last.
    """
    said, last = request.signed.checkpoint, seen.size if seen else 0
    if not trusted:
        return Answer(404, "this log is not known here\n")
    try:
        verify(request.signed.note, trusted)
    except NoteBroken as error:
        return Answer(403, f"{error}\n")
    if request.old > said.size:
        return Answer(400, "the old size is above the new one\n")
    if request.old != last:
        return Answer(409, f"{last}\n", SIZE_TYPE)
    if seen is not None and seen.size == said.size and seen.root != said.root:
        return Answer(409, f"{last}\n", SIZE_TYPE)
    if seen is None:
        return Answer(200) if not request.proof else Answer(422, "from nothing there is no proof\n")
    if not verify_consistency(seen.size, said.size, seen.root, said.root, request.proof):
        return Answer(422, "the log is not shown to continue what was seen\n")
    return Answer(200)


class Witness:
    """A witness with its state in a directory: its key, and of each log the newest checkpoint that it cosigned."""

    def __init__(self, directory: Path, name: str, logs: Sequence[VerifierKey]) -> None:
        """Open a witness; its key is made at the first start. Raises `KeyUnreadable`."""
        self._directory = directory
        self._logs: Mapping[str, list[VerifierKey]] = {
            key.name: [each for each in logs if each.name == key.name] for key in logs
        }
        file = directory / "witness.key"
        self._key = keys.load(file) if file.exists() else keys.make(file)
        self.public = verifier_of(name, KeyKind.WITNESS, self._key)

    def consider(self, text: str, seconds: int) -> Answer:
        """Answer a request; `seconds` since 1970 is the time that is signed. Raises OSError: nothing was signed."""
        try:
            request = Request.parse(text)
        except NoteBroken as error:
            return Answer(400, f"{error}\n")
        said = request.signed.checkpoint
        with self._alone():
            try:
                seen = self.seen(said.origin)
            except NoteBroken:
                return Answer(500, "what was seen of this log cannot be read any more; look at the witness\n")
            verdict = judge(request, self._logs.get(said.origin, ()), seen.checkpoint if seen else None)
            if verdict.status != 200:
                return verdict
            line = cosign(request.signed.note.text, self.public.name, self._key, seconds)
            self._remember(SignedCheckpoint(said, request.signed.note.also([line])))
        return Answer(200, str(line))

    def seen(self, origin: str) -> SignedCheckpoint | None:
        """Return what was cosigned last of a log. Raises `NoteBroken` when the file is none any more."""
        try:
            return SignedCheckpoint.parse(self._file(origin).read_bytes().decode())
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise NoteBroken("this is no text") from error

    def _file(self, origin: str) -> Path:
        return self._directory / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.checkpoint"

    def _remember(self, signed: SignedCheckpoint) -> None:
        replace_durably(self._file(signed.checkpoint.origin), str(signed.note))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """What was seen must not change between the look and the answer, whoever else uses the directory."""
        descriptor = os.open(self._directory / "witness.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def replace_durably(path: Path, text: str) -> None:
    """Put a text in a file's place, whole or not at all, and on the disk before this returns. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    keys.settle(path.parent)
