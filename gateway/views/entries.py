"""The audit log as people read it: entries with the names of who acted, and the root that stands for all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.views.texts import text_of
from marketplace import store
from marketplace.audit.notary import newest_checkpoint
from marketplace.audit.note import NoteBroken
from marketplace.store import Owner

ENTRIES_MAX = 100
"""Entries of one page; older ones by `before`."""


@dataclass(frozen=True, slots=True)
class AuditEntryView:
    """One leaf: its place, what was done to what, by whom, and its hash; `actor_name` is empty once erased."""

    index: int
    at: datetime
    kind: str
    subject: str
    actor_kind: str
    actor: str
    actor_name: str
    method: str
    facts: Mapping[str, Any]
    leaf_hash: str

    def as_dict(self) -> dict[str, Any]:
        """Return the entry for programs; names are left out, ids stay."""
        return {
            "index": self.index,
            "at": text_of(self.at),
            "kind": self.kind,
            "subject": self.subject,
            "actor": {"kind": self.actor_kind, "id": self.actor, "method": self.method},
            "facts": dict(self.facts),
            "leaf_hash": self.leaf_hash,
        }


@dataclass(frozen=True, slots=True)
class SealView:
    """The newest checkpoint: how many entries were signed, by the key of which identifier, and who witnessed it last.

    `witnessed_at` is when a witness's newest signature came in, `witness` whose; None and "" before the first.
    """

    size: int
    key_id: str
    witness: str
    witnessed_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditView:
    """One page of the log, newest first; `size` and `root` stand for the whole."""

    size: int
    root: str
    entries: tuple[AuditEntryView, ...]
    seal: SealView | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the page for programs."""
        return {"entries": self.size, "root": self.root, "page": [entry.as_dict() for entry in self.entries]}


async def audit(
    spend: AsyncConnection, owner: Owner, *, before: int | None = None, limit: int = ENTRIES_MAX
) -> AuditView:
    """Return this gateway's newest entries, or the newest before an index."""
    tree = store.audit_tree.c
    found = await spend.execute(select(tree.size, tree.root).where(tree.gateway_id == owner.gateway_id))
    head = found.one_or_none()
    older = [] if before is None else [store.audit_leaf.c.leaf_index < before]
    entries = await _entries(spend, owner, older, limit)
    size, root = (0, "") if head is None else (head.size, head.root.hex())
    return AuditView(size, root, tuple(entries), await _seal(spend, owner))


async def _seal(spend: AsyncConnection, owner: Owner) -> SealView | None:
    """Return the newest checkpoint as people see it; one that cannot be read is for verification to name."""
    try:
        newest = await newest_checkpoint(spend, owner)
    except NoteBroken:
        return None
    if newest is None or not newest.note.signatures:
        return None
    c = store.cosignature.c
    query = select(c.witness, c.at).where(c.plant == owner.plant, c.gateway_id == owner.gateway_id)
    last = (await spend.execute(query.order_by(c.at.desc()).limit(1))).one_or_none()
    who, when = (last.witness.partition("+")[0], last.at) if last else ("", None)
    return SealView(newest.checkpoint.size, newest.note.signatures[0].id.hex(), who, when)


async def history(spend: AsyncConnection, owner: Owner, subject: str) -> list[AuditEntryView]:
    """Return what happened to one subject, such as an order number, oldest first."""
    return (await _entries(spend, owner, [store.audit_leaf.c.subject == subject], ENTRIES_MAX))[::-1]


async def _entries(
    spend: AsyncConnection, owner: Owner, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[AuditEntryView]:
    leaf, person = store.audit_leaf, store.person
    query = select(leaf).where(leaf.c.plant == owner.plant, leaf.c.gateway_id == owner.gateway_id, *conditions)
    rows = await spend.execute(query.order_by(leaf.c.leaf_index.desc()).limit(limit))
    names = {row.id: row.name for row in await spend.execute(select(person.c.id, person.c.name))}
    return [_entry(row, names) for row in rows]


def _entry(row: Row[Any], names: Mapping[str, str]) -> AuditEntryView:
    said = json.loads(row.leaf)
    actor = said.get("actor", {})
    return AuditEntryView(
        index=row.leaf_index,
        at=row.at,
        kind=row.kind,
        subject=row.subject,
        actor_kind=actor.get("kind", ""),
        actor=actor.get("id", ""),
        actor_name=names.get(actor.get("id", ""), ""),
        method=actor.get("method", ""),
        facts=said.get("facts", {}),
        leaf_hash=row.leaf_hash.hex(),
    )
