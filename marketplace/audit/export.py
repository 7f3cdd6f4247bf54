"""What leaves the gateway for an auditor: the proof of one order, or the whole log; both verify without us.

It promises that `standalone` needs nothing but what stands in them and a public key that the auditor knows from
elsewhere: leaves as they were hashed, proofs, the newest checkpoint with every cosignature, and the chain of keys. It
reads the database, names no person and judges nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import proofs
from marketplace.audit.accounts import chunked
from marketplace.audit.chain import HANDING_OVER
from marketplace.audit.checkpoint import origin_of
from marketplace.audit.notary import cosigned, newest_checkpoint, stored_keys
from marketplace.store import Owner, audit_leaf, checkpoint

PROOF_FORMAT: Final = "toolcrib/audit-proof/v1"
LOG_FORMAT: Final = "toolcrib/audit-log/v1"


class NothingSigned(Exception):
    """There is no checkpoint that what is asked for stands under."""


async def prove(connection: AsyncConnection, owner: Owner, subject: str) -> dict[str, Any]:
    """Return the proof of every leaf of one subject under the newest checkpoint, ready for JSON.

    `unsigned` counts leaves that are younger than the checkpoint. Raises `NothingSigned`, `AuditBroken`, `NoteBroken`.
    """
    signed = await newest_checkpoint(connection, owner)
    if signed is None:
        raise NothingSigned
    size = signed.checkpoint.size
    c = audit_leaf.c
    query = select(c.leaf_index, c.leaf, c.subject).where(c.plant == owner.plant, c.gateway_id == owner.gateway_id)
    rows = (await connection.execute(query.where(c.subject == subject).order_by(c.leaf_index))).all()
    rotations = (await connection.execute(query.where(c.kind.in_(HANDING_OVER)).order_by(c.leaf_index))).all()
    under = [row for row in rows if row.leaf_index < size]
    return {
        "format": PROOF_FORMAT,
        "origin": origin_of(owner),
        "subject": subject,
        "key": str((await stored_keys(connection, owner))[0].key),
        "rotations": [await _proven(connection, owner, row, size) for row in rotations if row.leaf_index < size],
        "leaves": [await _proven(connection, owner, row, size) for row in under],
        "unsigned": len(rows) - len(under),
        "checkpoint": str(signed.note),
    }


async def _proven(connection: AsyncConnection, owner: Owner, row: Any, size: int) -> dict[str, Any]:
    path = await proofs.inclusion(connection, owner, row.leaf_index, size)
    return {"index": row.leaf_index, "leaf": _encoded(row.leaf), "proof": [_encoded(node) for node in path]}


async def lines(connection: AsyncConnection, owner: Owner) -> AsyncIterator[str]:
    """Yield the whole log, a JSON value a line: what it is, every leaf in its order, every checkpoint."""
    keys = await stored_keys(connection, owner)
    yield _line({"format": LOG_FORMAT, "origin": origin_of(owner), "key": str(keys[0].key) if keys else ""})
    mine = (audit_leaf.c.plant == owner.plant, audit_leaf.c.gateway_id == owner.gateway_id)
    async for row in chunked(connection, audit_leaf, audit_leaf.c.leaf_index, *mine):
        yield _line({"leaf": _encoded(row.leaf)})
    signed = (checkpoint.c.plant == owner.plant, checkpoint.c.gateway_id == owner.gateway_id)
    async for row in chunked(connection, checkpoint, checkpoint.c.size, *signed):
        yield _line({"checkpoint": str((await cosigned(connection, owner, row.size, row.note)).note)})


def _line(value: dict[str, str]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
