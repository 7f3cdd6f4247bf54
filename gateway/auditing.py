"""The audit log's care on a running gateway: signed each minute that it grew, shown to its witnesses, watched.

It promises that buying waits, with one sentence, while the log cannot be signed, cannot be shown, or a witness has seen
another log than this one, and that the last is told as an alarm, once; after an epoch began over such a loss, until the
witness has accepted it. What is signed and what is believed is decided in `marketplace.audit`; here is only when, and
who is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from gettext import gettext as _

import structlog

from gateway.buying import BuyingState, Cause
from marketplace.audit import epochs
from marketplace.audit.actor import Actor
from marketplace.audit.attendance import ALARMING, OBJECTING, Attendance, Attestation, Attested
from marketplace.audit.checkpoint import SignedCheckpoint
from marketplace.audit.notary import Notary
from marketplace.audit.note import NoteBroken, VerifierKey
from marketplace.audit.tree import AuditBroken

log = structlog.get_logger()

Alarm = Callable[[str, str], Awaitable[None]]
"""Told a stable code and a sentence, when a person must look before more money is spent."""


class Auditing:
    """One gateway's notary and its witnesses; `trouble` is why buying waits, empty when nothing is wrong."""

    def __init__(self, notary: Notary, attendance: Attendance, alarm: Alarm, buying: BuyingState) -> None:
        self._notary = notary
        self._attendance = attendance
        self._alarm = alarm
        self._buying = buying
        self._objections: dict[str, Attestation] = {}
        self._unshown = self._remembered = ""
        self._alone = asyncio.Lock()
        self.attestations: Sequence[Attestation] = ()

    @property
    def trouble(self) -> str:
        """Why buying must wait."""
        objections = (each.sentence for each in self._objections.values())
        return self._notary.trouble or self._unshown or next(objections, self._remembered)

    async def begin(self, remembered: str = "") -> None:
        """Sign and show what is there at the start, to every witness: an old copy of the database is found out here.

        `remembered`: what a witness objected before, if nobody has looked since: it holds until every witness has
        cosigned, for the one that objected may be away.
        """
        self._remembered = remembered
        await self.run_once(again=True)

    async def run_once(self, *, again: bool = False) -> None:
        """Sign the log if it has grown, and show it to the witnesses that have not signed it yet."""
        async with self._alone:
            await self._run_once(again)

    async def _run_once(self, again: bool) -> None:
        """Do it while nobody else does: what a witness says of an older checkpoint must not be heard last."""
        try:
            signed = await self._notary.sign()
            if signed is not None:
                await self._show(signed, again or bool(self._objections))
        finally:
            self._tell()

    def _tell(self) -> None:
        """Buying waits for as long as there is trouble."""
        if self.trouble:
            self._buying.stop(Cause.AUDIT, self.trouble)
        else:
            self._buying.resume(Cause.AUDIT)

    async def finish(self) -> None:
        """Sign the last leaves when everything else has stopped; no witness is waited for."""
        await self._notary.sign()

    async def _show(self, signed: SignedCheckpoint, again: bool) -> None:
        try:
            self.attestations = await self._attendance.show(signed, again=again)
        except (AuditBroken, NoteBroken) as error:
            sentence = _("the audit log cannot be shown to its witnesses: {reason}; look with 'toolcrib audit verify'")
            self._unshown = sentence.format(reason=error)
            return
        self._unshown = ""
        for each in self.attestations:
            await self._hear(each)
        if all(each.outcome is Attested.COSIGNED for each in self.attestations):
            self._remembered = ""

    async def _hear(self, said: Attestation) -> None:
        if said.outcome in OBJECTING:
            known, self._objections[said.witness] = self._objections.get(said.witness), said
            if said.outcome in ALARMING and (known is None or known.outcome not in ALARMING):
                await self._alarm(f"AUDIT_{said.outcome.name}", said.sentence)
        elif said.outcome is Attested.COSIGNED:
            self._objections.pop(said.witness, None)
        elif said.outcome is Attested.REFUSED:
            log.warning("a witness does not know this log or its key", witness=said.witness)

    async def rotate(self, actor: Actor) -> VerifierKey:
        """Put a new key in the old one's place; returns its public half. Raises as `Notary.rotate` does."""
        async with self._alone:
            key = await self._notary.rotate(actor)
            await self._run_once(again=False)
        return key

    async def begin_epoch(self, actor: Actor, entries: int) -> VerifierKey | None:
        """Let the log, of which so many entries were restored, go on in a new epoch; returns its key's public half.

        None, and nothing is begun, unless a witness has just objected. Raises as `Notary.rotate` does.
        """
        async with self._alone:
            await self._run_once(again=True)
            objections = [each for each in self._objections.values() if each.outcome in ALARMING]
            if not objections:
                return None
            last = {each.witness: each for each in (*self.attestations, *objections)}
            said = [(each.witness, str(each.outcome), each.seen) for each in last.values()]
            key = await epochs.begin(self._notary, actor, entries, said)
            await self._run_once(again=True)
        return key
