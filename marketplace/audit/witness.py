"""A witness: cosigns a log's checkpoint once it was shown that the log only grew (as of C2SP tlog-witness).

It promises to sign only what continues the newest checkpoint that it has seen of that log, to have that durable before
it answers, and to answer with the standard's codes: 404 a log that it does not know, 403 not signed by the log, 400
no request, 409 another size than it has seen last (which it says), another root or a key that has handed over, 422 not
shown to be continued. It is given a log's key once: hand-overs that travel with a checkpoint lead it to the newer ones,
and they too are durable before it answers. `judge` decides and reads nothing; `Witness` keeps its state and its own key
in a directory that is no gateway's.
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

from marketplace.audit import chain, keys
from marketplace.audit.chain import Followed
from marketplace.audit.checkpoint import Checkpoint, SignedCheckpoint
from marketplace.audit.merkle import HASH_BYTES, verify_consistency
from marketplace.audit.note import (
    NOTE_MAX,
    KeyKind,
    Note,
    NoteBroken,
    Signature,
    VerifierKey,
    cosign,
    verifier_of,
    verify,
)

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


def judge(
    request: Request, trusted: Sequence[VerifierKey], seen: Checkpoint | None, retired: Sequence[VerifierKey] = ()
) -> Answer:
    """Return 200 when a checkpoint may be cosigned, else why not.

    `trusted` are the keys of the log that it names, none when that log is not known; `seen` is what was cosigned last.
    `retired` have handed over: what only one of them has signed contradicts what was seen.
    """
    said, last = request.signed.checkpoint, seen.size if seen else 0
    if not trusted:
        return Answer(404, "this log is not known here\n")
    try:
        verify(request.signed.note, trusted)
    except NoteBroken as error:
        if _signed(request.signed.note, retired):
            return Answer(409, f"{last}\n", SIZE_TYPE)
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


def _signed(note: Note, keys: Sequence[VerifierKey]) -> bool:
    try:
        return bool(verify(note, keys))
    except NoteBroken:
        return False


class Witness:
    """A witness with its state in a directory: its key, and of each log the newest checkpoint and the hand-overs."""

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
        with self._alone():
            try:
                seen, known = (
                    self.seen(request.signed.checkpoint.origin),
                    self._followed(request.signed.checkpoint.origin),
                )
            except NoteBroken:
                return Answer(500, "what was seen of this log cannot be read any more; look at the witness\n")
            return self._considered(request, seen.checkpoint if seen else None, known, seconds)

    def _considered(self, request: Request, seen: Checkpoint | None, known: Followed, seconds: int) -> Answer:
        said, note = request.signed.checkpoint, request.signed.note
        try:
            now = chain.follow(self._trusted(said.origin), known.steps, chain.carried_by(note, said.origin))
        except NoteBroken as error:
            return Answer(403, f"{error}\n")
        verdict = judge(request, now.current, seen, now.retired)
        if verdict.status != 200:
            return verdict
        if now.steps != known.steps:
            self._keep(said.origin, now)
        line = cosign(note.text, self.public.name, self._key, seconds)
        self._remember(SignedCheckpoint(said, note.also([line])))
        return Answer(200, str(line))

    def _trusted(self, origin: str) -> Sequence[VerifierKey]:
        return self._logs.get(origin, ())

    def seen(self, origin: str) -> SignedCheckpoint | None:
        """Return what was cosigned last of a log. Raises `NoteBroken` when the file is none any more."""
        try:
            return SignedCheckpoint.parse(self._file(origin, "checkpoint").read_bytes().decode())
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise NoteBroken("this is no text") from error

    def _followed(self, origin: str) -> Followed:
        """Return where hand-overs have led so far. Raises `NoteBroken` when the file holds none any more."""
        try:
            lines = self._file(origin, "keys").read_bytes().decode().splitlines()
        except FileNotFoundError:
            lines = []
        except UnicodeDecodeError as error:
            raise NoteBroken("this is no text") from error
        return chain.follow(self._trusted(origin), [Signature.parse(line) for line in lines], ())

    def _file(self, origin: str, what: str) -> Path:
        return self._directory / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.{what}"

    def _keep(self, origin: str, followed: Followed) -> None:
        replace_durably(self._file(origin, "keys"), "".join(map(str, followed.steps)))

    def _remember(self, signed: SignedCheckpoint) -> None:
        replace_durably(self._file(signed.checkpoint.origin, "checkpoint"), str(signed.note))

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
