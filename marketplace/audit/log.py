"""The log of every act that touches money: one Merkle tree for each gateway, grown in the caller's transaction.

It promises that a leaf and the rows it speaks of become durable together or not at all, that leaves are numbered
without a gap, and that a leaf holds codes, facts and opaque ids only: what a person wrote stands in an erasable row,
of which the leaf keeps the salted hash. It opens no transaction, knows no rule and renders no sentence.

A leaf is canonical JSON: `version`, `plant`, `gateway`, `index`, `at`, `kind` (noun.verb), `subject` (an order's
number, a component, a policy), `actor`, `facts`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.merkle import leaf_hash
from marketplace.audit.tree import AuditBroken, flush, growing, settle
from marketplace.documents import canonical, timestamp
from marketplace.identity import random_bytes
from marketplace.store import Owner, audit_leaf, free_text

LEAF_VERSION: Final = 1
LEAF_MAX = 64_000
"""Bytes of one leaf: twenty times the largest decision; more is a mistake of the caller's or somebody's flood."""
NOTE_MAX = 4_000
"""Characters of what a person may write beside an act."""
SALT_BYTES = 16

__all__ = ["AuditBroken", "AuditEntry", "append", "entries", "note", "note_digest", "parse", "written"]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One leaf as readers see it."""

    gateway: str
    index: int
    kind: str
    subject: str
    at: datetime
    actor: Actor
    facts: Mapping[str, Any]
    leaf_hash: str


async def append(
    tx: AsyncConnection, owner: Owner, kind: str, subject: str, actor: Actor, facts: Mapping[str, Any], at: datetime
) -> int:
    """Add one leaf; leaf and tree are written in the same transaction, before it commits.

    Returns the leaf's index, if nobody else writes this gateway's log meanwhile: else it is numbered anew.

    Facts are texts, integers, truths, lists and mappings of such. Raises TypeError for anything else (a float has no
    canonical form), `AuditBroken` when the stored tree does not hold together or inside of a savepoint.
    """
    grown = await growing(tx, owner)
    index = grown.frontier.size
    leaf = canonical(
        {
            "version": LEAF_VERSION,
            "plant": owner.plant,
            "gateway": owner.gateway_id,
            "index": index,
            "at": timestamp(at),
            "kind": kind,
            "subject": subject,
            "actor": actor.facts(),
            "facts": facts,
        }
    )
    if len(leaf) > LEAF_MAX:
        raise AuditBroken(f"a leaf of {len(leaf)} bytes is more than the log takes ({LEAF_MAX})")
    grown.add(leaf, {"kind": kind, "subject": subject, "at": at})
    await settle(tx, grown)
    return index


async def note(tx: AsyncConnection, owner: Owner, text: str) -> str:
    """Keep what a person wrote in the erasable table and return its salted SHA-256 for the leaf; "" for no text.

    Text beyond `NOTE_MAX` characters is cut, and the digest is of what was kept.
    """
    kept = text.strip()[:NOTE_MAX]
    if not kept:
        return ""
    salt = random_bytes(SALT_BYTES)
    digest = note_digest(salt, kept)
    await tx.execute(insert(free_text).values(digest=digest, salt=salt, text=kept, **owner.columns))
    return digest


def note_digest(salt: bytes, text: str) -> str:
    """Return the digest that a leaf holds of a text, hexadecimal."""
    return hashlib.sha256(salt + text.encode()).hexdigest()


async def written(connection: AsyncConnection, digest: str) -> str | None:
    """Return the text behind a digest, None when it was erased or never written."""
    query = select(free_text.c.text).where(free_text.c.digest == digest)
    return (await connection.execute(query)).scalar_one_or_none()


async def entries(
    connection: AsyncConnection,
    subject: str | None = None,
    limit: int = 100,
    *,
    owner: Owner | None = None,
    kind: str | None = None,
    before: int | None = None,
) -> list[AuditEntry]:
    """Return the newest `limit` leaves, oldest of them first; of one subject, gateway or kind, if given.

    `before`: only leaves below that index, for paging.

    Raises `AuditBroken` when a stored leaf cannot be read.
    """
    query = select(audit_leaf).order_by(audit_leaf.c.leaf_index.desc()).limit(limit)
    if subject is not None:
        query = query.where(audit_leaf.c.subject == subject)
    if kind is not None:
        query = query.where(audit_leaf.c.kind == kind)
    if owner is not None:
        query = query.where(audit_leaf.c.plant == owner.plant, audit_leaf.c.gateway_id == owner.gateway_id)
    if before is not None:
        query = query.where(audit_leaf.c.leaf_index < before)
    await flush(connection)
    rows = (await connection.execute(query)).all()
    return [parse(row.gateway_id, row.leaf_index, row.leaf) for row in reversed(rows)]


def parse(gateway: str, index: int, leaf: bytes) -> AuditEntry:
    """Return what a stored leaf says. Raises `AuditBroken` when it is no leaf of ours."""
    try:
        said = json.loads(leaf)
        actor = said["actor"]
        if not (isinstance(said["kind"], str) and isinstance(said["facts"], dict)):
            raise TypeError
        return AuditEntry(
            gateway=gateway,
            index=index,
            kind=said["kind"],
            subject=said["subject"],
            at=datetime.fromisoformat(said["at"]),
            actor=Actor(ActorKind(actor["kind"]), actor["id"], actor["method"]),
            facts=said["facts"],
            leaf_hash=leaf_hash(leaf).hex(),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise AuditBroken(f"leaf {index} of {gateway} cannot be read") from error
