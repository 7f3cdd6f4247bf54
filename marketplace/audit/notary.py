"""Signs for the log: a checkpoint each time that it has grown, never one that contradicts an earlier one.

It promises that the log's key is made once and, lost, never made anew; that nothing is signed unless the stored tree
holds together and continues the newest checkpoint; and that whatever keeps it from signing is said in one sentence,
`trouble`, for as long as it lasts. Buying asks for it before each send; watching goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from gettext import gettext as _
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import chain, keys, log, proofs, tree
from marketplace.audit.actor import Actor
from marketplace.audit.chain import KeySpan
from marketplace.audit.checkpoint import Checkpoint, SignedCheckpoint, origin_of
from marketplace.audit.keys import KeyUnreadable
from marketplace.audit.merkle import Frontier
from marketplace.audit.note import KeyKind, Note, NoteBroken, VerifierKey, sign, signatures, verifier_of
from marketplace.audit.tree import AuditBroken
from marketplace.store import Database, Owner, audit_key, audit_leaf, checkpoint, cosignature

_NEXT: Final = ".next"
"""A new key waits under this name until its hand-over is durable."""


class Notary:
    """One gateway's signing. `trouble` says why buying must wait, empty when nothing is wrong."""

    def __init__(self, database: Database, owner: Owner, key_file: Path, clock: Callable[[], datetime]) -> None:
        self.database = database
        self.owner = owner
        self.origin = origin_of(owner)
        self.trouble = ""
        self._file = key_file
        self._clock = clock
        self._key: Ed25519PrivateKey | None = None

    async def sign(self) -> SignedCheckpoint | None:
        """Sign the log as it stands if it has grown, and return the newest checkpoint; never raises, see `trouble`."""
        try:
            signed = await self._sign()
        except (KeyUnreadable, AuditBroken, NoteBroken) as error:
            self.trouble = _("the audit log cannot be signed: {reason}").format(reason=error)
        except DBAPIError as error:
            self.trouble = _("the audit log cannot be written: {reason}").format(reason=error.orig)
        else:
            self.trouble = ""
            return signed
        return None

    async def _sign(self) -> SignedCheckpoint | None:
        async with self.database.read() as connection:
            spans = await stored_keys(connection, self.owner)
            frontier = await tree.head(connection, self.owner)
            newest = await newest_checkpoint(connection, self.owner)
            await self._require_continued(connection, frontier, newest, spans)
        key = await self._signing_key(spans)
        name = spans[-1].key.name if spans else self.origin
        if frontier.size == (newest.checkpoint.size if newest else 0):
            return newest
        signed = _signed(key, name, frontier)
        async with self.database.write() as tx:
            await self._keep(tx, signed)
        return signed

    async def _require_continued(
        self, connection: AsyncConnection, frontier: Frontier, newest: SignedCheckpoint | None, spans: list[KeySpan]
    ) -> None:
        if newest is None:
            return
        if not spans:
            raise AuditBroken("there are checkpoints, but no key that signed them")
        said = chain.require(newest, self.origin, spans)
        if said.size > frontier.size:
            raise AuditBroken(f"the log has {frontier.size} leaves and was signed with {said.size}")
        if await proofs.root_at(connection, self.owner, said.size) != said.root:
            raise AuditBroken(f"the log is not the one that was signed with {said.size} leaves")

    async def _signing_key(self, spans: list[KeySpan]) -> Ed25519PrivateKey:
        """Return the private half of the key that counts; the very first start makes it."""
        if not spans:
            key = keys.load(self._file) if self._file.exists() else keys.make(self._file)
            await self._announce(verifier_of(self.origin, KeyKind.LOG, key))
            self._key = key
        elif self._key is None or not _is(self._key, spans[-1].key):
            self._key = self._loaded(spans[-1].key)
        return self._key

    def _loaded(self, wanted: VerifierKey) -> Ed25519PrivateKey:
        """Return the key of the file; a rotation that was cut off after its hand-over is brought to its end here."""
        waiting = self._file.with_name(self._file.name + _NEXT)
        if waiting.exists() and _is(keys.load(waiting), wanted):
            waiting.replace(self._file)
            keys.settle(self._file.parent)
        key = keys.load(self._file)
        if not _is(key, wanted):
            raise KeyUnreadable(_("{path} is not the key that the log is signed with").format(path=self._file))
        return key

    async def _announce(self, key: VerifierKey) -> None:
        """Keep the first key; it answers for whatever it found in the log."""
        async with self.database.write() as tx:
            await self._add_key(tx, key, 0)

    async def _add_key(self, tx: AsyncConnection, key: VerifierKey, from_size: int) -> None:
        row = {"from_size": from_size, "key": str(key), "at": self._clock()}
        await tx.execute(insert(audit_key).values(**row, **self.owner.columns))

    async def _keep(self, tx: AsyncConnection, signed: SignedCheckpoint) -> None:
        """Store a checkpoint; whoever was faster with the same size has signed the same."""
        mine = (checkpoint.c.plant == self.owner.plant) & (checkpoint.c.gateway_id == self.owner.gateway_id)
        size = signed.checkpoint.size
        found = await tx.execute(select(checkpoint.c.size).where(mine, checkpoint.c.size == size))
        if found.first() is None:
            row = {"size": size, "note": str(signed.note), "at": self._clock()}
            await tx.execute(insert(checkpoint).values(**row, **self.owner.columns))

    async def rotate(self, actor: Actor) -> VerifierKey:
        """Put a new key in the old one's place, handed over in the log, and sign with it; returns its public half.

        Raises `KeyUnreadable`, `AuditBroken`, `NoteBroken`; then the old key goes on.
        """
        return await self._hand_over(actor, chain.ROTATED, "", {})

    async def begin_epoch(self, actor: Actor, facts: Mapping[str, Any]) -> VerifierKey:
        """Let the log go on under a new name, handed over in a leaf with these facts; returns the new public key.

        Raises as `rotate` does: without the old key nothing is handed over.
        """
        return await self._hand_over(actor, chain.EPOCH, f"{self.origin}/{self._clock():%Y%m%dT%H%M%SZ}", facts)

    async def _hand_over(self, actor: Actor, kind: str, name: str, facts: Mapping[str, Any]) -> VerifierKey:
        await self._sign()
        async with self.database.read() as connection:
            spans = await stored_keys(connection, self.owner)
        old_key = await self._signing_key(spans)
        waiting = self._file.with_name(self._file.name + _NEXT)
        waiting.unlink(missing_ok=True)  # of a rotation that never was handed over
        new_key = keys.make(waiting)
        old = spans[-1].key
        new = verifier_of(name or old.name, KeyKind.LOG, new_key)
        async with self.database.write() as tx:
            said = {**facts, **chain.hand_over(old, new, old_key)}
            await log.append(tx, self.owner, kind, "audit", actor, said, self._clock())
            await self._add_key(tx, new, (await tree.head(tx, self.owner)).size)
        os.replace(waiting, self._file)
        keys.settle(self._file.parent)
        self._key = new_key
        await self._sign()
        return new


def _is(key: Ed25519PrivateKey, wanted: VerifierKey) -> bool:
    """Return whether a private key is the other half of a public one."""
    return verifier_of(wanted.name, KeyKind.LOG, key) == wanted


def _signed(key: Ed25519PrivateKey, name: str, frontier: Frontier) -> SignedCheckpoint:
    said = Checkpoint(name, frontier.size, frontier.root)
    return SignedCheckpoint(said, Note(said.text, (sign(said.text, name, key),)))


async def stored_keys(connection: AsyncConnection, owner: Owner) -> list[KeySpan]:
    """Return the keys as the table has them, oldest first; whether the log agrees is for `verify`.

    Raises `NoteBroken`.
    """
    c = audit_key.c
    query = select(c.from_size, c.key).where(c.plant == owner.plant, c.gateway_id == owner.gateway_id)
    rows = await connection.execute(query.order_by(c.from_size))
    return [KeySpan(row.from_size, VerifierKey.parse(row.key)) for row in rows]


async def hand_overs(connection: AsyncConnection, owner: Owner, size: int, limit: int) -> list[Mapping[str, Any]]:
    """Return the facts of the newest hand-overs that led to the key of a tree of that size, oldest first.

    Raises `NoteBroken`, `AuditBroken`.
    """
    spans = [each for each in await stored_keys(connection, owner) if each.from_size <= size]
    places = [
        span.from_size - 1 for before, span in pairwise(spans) if before.key.name == span.key.name == spans[-1].key.name
    ]
    c = audit_leaf.c
    mine = (c.plant == owner.plant, c.gateway_id == owner.gateway_id, c.leaf_index.in_(places[-limit:]))
    rows = await connection.execute(select(c.leaf_index, c.leaf).where(*mine).order_by(c.leaf_index))
    return [log.parse(owner.gateway_id, row.leaf_index, row.leaf).facts for row in rows]


async def newest_checkpoint(connection: AsyncConnection, owner: Owner) -> SignedCheckpoint | None:
    """Return the newest checkpoint with every cosignature that is stored for it. Raises `NoteBroken`."""
    c = checkpoint.c
    mine = (c.plant == owner.plant, c.gateway_id == owner.gateway_id)
    query = select(c.size, c.note).where(*mine).order_by(c.size.desc()).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else await cosigned(connection, owner, row.size, row.note)


async def cosigned(connection: AsyncConnection, owner: Owner, size: int, text: str) -> SignedCheckpoint:
    """Return a stored checkpoint with every cosignature that is stored for it. Raises `NoteBroken`."""
    c = cosignature.c
    query = select(c.line).where(c.plant == owner.plant, c.gateway_id == owner.gateway_id, c.size == size)
    lines = [row.line for row in await connection.execute(query.order_by(c.witness))]
    signed = SignedCheckpoint.parse(text)
    more = [each for line in lines for each in signatures(line)]
    return SignedCheckpoint(signed.checkpoint, signed.note.also(more))
