"""Shows each new checkpoint to the witnesses and keeps what they sign; what they object to is evidence.

It promises that a witness is told from what it has seen last and by which hand-overs the log's key was changed, that a
cosignature is kept only when it holds, and that a witness which has seen more leaves than there are, or other ones, is
told apart from one that cannot be reached: the first means that the log was rolled back or forked, the second nothing.
In an epoch after the first, whoever objected before it is waited for until it has cosigned one of its checkpoints, and
so is whoever refuses them: a new name must not get rid of what a witness remembers. How one is reached is a `Way`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from gettext import gettext as _
from typing import Final, Protocol

from sqlalchemy import func, insert, select

from marketplace.audit import epochs, proofs
from marketplace.audit.chain import CARRIED_MAX, carried
from marketplace.audit.checkpoint import SignedCheckpoint
from marketplace.audit.epochs import Epoch
from marketplace.audit.notary import hand_overs
from marketplace.audit.note import Note, NoteBroken, VerifierKey, signatures, verify
from marketplace.audit.witness import Answer, Request
from marketplace.store import Database, Owner, cosignature

_TRIES: Final = 3
"""Of one checkpoint at one witness: once from what is remembered, once from what it says, once for a race."""


class WitnessAway(Exception):
    """A witness could not be asked; it is asked again later."""


class Way(Protocol):
    """How one witness is reached; `key` is what its cosignatures are verified with."""

    key: VerifierKey

    async def submit(self, request: str) -> Answer | None:
        """Hand a request over and return the answer, None when it comes later. Raises `WitnessAway`."""


class Attested(StrEnum):
    """What came of showing a checkpoint."""

    COSIGNED = "cosigned"
    WAITING = "waiting"  # handed over, not answered yet
    AWAY = "away"
    REFUSED = "refused"  # not known there, or not understood: somebody must look at the configuration
    ROLLED_BACK = "rolled_back"  # it has seen more leaves than there are
    FORKED = "forked"  # it has seen other leaves
    UNACCEPTED = "unaccepted"  # it has not cosigned the epoch yet, and objected before it or refuses it


ALARMING: Final = frozenset({Attested.ROLLED_BACK, Attested.FORKED})
OBJECTING: Final = ALARMING | {Attested.UNACCEPTED}
"""Buying waits for these."""
_UNHEARD: Final = frozenset({Attested.WAITING, Attested.AWAY, Attested.REFUSED})


@dataclass(frozen=True, slots=True)
class Attestation:
    """What one witness did with a checkpoint; `seen` is the number of leaves that it has seen, where it said so.

    `key` is the log's public key that its owner must accept, where that is what is wrong.
    """

    witness: str
    outcome: Attested
    size: int
    seen: int | None = None
    key: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong, for people; empty when nothing is."""
        where = {"witness": self.witness, "seen": self.seen, "size": self.size, "key": self.key}
        if self.outcome is Attested.ROLLED_BACK:
            sentence = _(
                "the witness {witness} has seen {seen} entries and the log has {size}: it was rolled back; put the "
                "newer database back, or a newer backup"
            )
            return sentence.format(**where)
        if self.outcome is Attested.FORKED:
            return _("the witness {witness} has seen another log than this one: it was forked").format(**where)
        if self.outcome is Attested.UNACCEPTED:
            sentence = _(
                "entries of the log are lost, and the witness {witness} has not accepted its new epoch yet: its owner "
                "must take one more log with '--log' or under 'audit.serve.logs': {key}"
            )
            return sentence.format(**where)
        return ""


class Attendance:
    """The witnesses of one gateway's log."""

    def __init__(self, database: Database, owner: Owner, ways: Sequence[Way], clock: Callable[[], datetime]) -> None:
        self._database = database
        self._owner = owner
        self._ways = ways
        self._clock = clock

    async def show(self, signed: SignedCheckpoint, *, again: bool = False) -> list[Attestation]:
        """Show the newest checkpoint to every witness that has not signed it. Raises `AuditBroken`, `NoteBroken`.

        `again`: also to those that are remembered to have signed it, because that memory may be an old one.
        """
        async with self._database.read() as connection:
            epoch = await epochs.current(connection, self._owner, signed.checkpoint.size)
        return [await self._show(way, signed, again, epoch) for way in self._ways]

    async def _show(self, way: Way, signed: SignedCheckpoint, again: bool, epoch: Epoch) -> Attestation:
        old = await self._cosigned(way.key, epoch.start)
        found = await self._asked(way, signed, old, again)
        if not epoch.start or old or found.outcome not in _UNHEARD:
            return found
        if way.key.name in epoch.objected or found.outcome is Attested.REFUSED:
            return replace(found, outcome=Attested.UNACCEPTED, key=str(epoch.key))
        return found

    async def _asked(self, way: Way, signed: SignedCheckpoint, old: int, again: bool) -> Attestation:
        size = signed.checkpoint.size
        if old == size and not again:
            return Attestation(way.key.name, Attested.COSIGNED, size)
        for _try in range(_TRIES):
            if old > size:
                return Attestation(way.key.name, Attested.ROLLED_BACK, size, old)
            try:
                answer = await way.submit(str(await self._request(old, signed)))
            except WitnessAway:
                return Attestation(way.key.name, Attested.AWAY, size)
            if answer is None:
                return Attestation(way.key.name, Attested.WAITING, size)
            seen = _size(answer)
            if seen is None or seen == old:
                last = old if answer.status == 422 else seen  # from there it was asked, as it had said
                return Attestation(way.key.name, await self._settled(way.key, signed, answer), size, last)
            old = seen
        return Attestation(way.key.name, Attested.AWAY, size)

    async def _request(self, old: int, signed: SignedCheckpoint) -> Request:
        size = signed.checkpoint.size
        async with self._database.read() as connection:
            proof = await proofs.consistency(connection, self._owner, old, size)
            handed = await hand_overs(connection, self._owner, size, CARRIED_MAX)
        return Request(old, tuple(proof), SignedCheckpoint(signed.checkpoint, signed.note.also(map(carried, handed))))

    async def _cosigned(self, key: VerifierKey, start: int) -> int:
        """Return the size of the newest checkpoint from a size on that a witness is remembered to have signed."""
        c = cosignature.c
        mine = (
            c.plant == self._owner.plant,
            c.gateway_id == self._owner.gateway_id,
            c.witness == str(key),
            c.size >= start,
        )
        async with self._database.read() as connection:
            found = (await connection.execute(select(func.max(c.size)).where(*mine))).scalar_one()
        return int(found or 0)

    async def _settled(self, key: VerifierKey, signed: SignedCheckpoint, answer: Answer) -> Attested:
        if answer.status in (409, 422):  # it was asked from what it has seen, and says that this is another log
            return Attested.FORKED
        if answer.status != 200:
            return Attested.REFUSED
        try:
            [(_key, line)] = verify(Note(signed.note.text, signatures(answer.text)), [key])
        except (NoteBroken, ValueError):
            return Attested.REFUSED
        if await self._cosigned(key, 0) < signed.checkpoint.size:
            row = {"size": signed.checkpoint.size, "witness": str(key), "line": str(line), "at": self._clock()}
            async with self._database.write() as tx:
                await tx.execute(insert(cosignature).values(**row, **self._owner.columns))
        return Attested.COSIGNED


def _size(answer: Answer) -> int | None:
    """Return the size that a witness says to have seen, None when it says none."""
    said = answer.text.strip()
    if answer.status != 409 or not (said.isascii() and said.isdecimal() and len(said) < 20):
        return None
    return int(said)
