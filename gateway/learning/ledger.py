"""How far each kind has come, kept in the spend database beside the audit entry of every change.

A change of what money follows is durable together with its entry in the log, or it is none.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, MetaData, String, Table, Text, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.learning.kinds import Kind
from gateway.learning.standing import Standing
from marketplace.audit import log as audit
from marketplace.audit.actor import Actor, ActorKind
from marketplace.store import Owner
from marketplace.store import metadata as marketplace

metadata = MetaData(naming_convention=marketplace.naming_convention)

standing = Table(
    "standing",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("gateway_id", String(64), primary_key=True),
    Column("kind", String(150), primary_key=True),
    Column("document", Text, nullable=False),
)


async def standings(tx: AsyncConnection, owner: Owner) -> dict[Kind, Standing]:
    """Return how far each kind has come; one that cannot be read begins anew, which is never worse than the rule."""
    found = {}
    mine = (standing.c.plant == owner.plant) & (standing.c.gateway_id == owner.gateway_id)
    for row in await tx.execute(select(standing.c.kind, standing.c.document).where(mine)):
        try:
            found[Kind.of(row.kind)] = Standing.of(json.loads(row.document))
        except (ValueError, TypeError, KeyError):
            continue
    return found


async def keep(
    tx: AsyncConnection, owner: Owner, kind: Kind, before: Standing, after: Standing, now: datetime
) -> Standing:
    """Write a kind's standing, and the change into the log if money follows something else; return it as it stands."""
    changed = not after.same_as(before)
    kept = replace(after, since=now.isoformat(timespec="seconds") if changed else before.since)
    key = {"plant": owner.plant, "gateway_id": owner.gateway_id, "kind": str(kind)}
    mine = [getattr(standing.c, name) == value for name, value in key.items()]
    await tx.execute(delete(standing).where(*mine))
    await tx.execute(insert(standing).values(**key, document=json.dumps(kept.document(), sort_keys=True)))
    if changed:
        actor = Actor(ActorKind.GATEWAY, owner.gateway_id, "learning")
        await audit.append(tx, owner, "learning.changed", str(kind), actor, _facts(before, kept), now)
    return kept


def _facts(before: Standing, after: Standing) -> dict[str, Any]:
    return {
        "before": before.phase.value,
        "after": after.phase.value,
        "code": after.code,
        "parameters": dict(after.parameters),
        "patience": f"{after.patience:g}",
        "model": after.model,
        "version": after.version,
        "lives": after.lives,
        "judged": after.judged,
        "gain": f"{after.gain:.2f}",
        "error": f"{after.error:.2f}",
        "currency": after.currency,
    }
