"""An act is told: written into the audit, and to those who listen, in the transaction in which it is done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import log
from marketplace.audit.actor import Actor
from marketplace.statements import Prepared
from marketplace.store import Owner, outbox

_TELL: Final = Prepared(insert(outbox), ("plant", "gateway_id", "topic", "subject", "event", "at"))


async def record(
    tx: AsyncConnection,
    owner: Owner,
    topic: str,
    subject: str,
    event: str,
    actor: Actor,
    at: datetime,
    facts: Mapping[str, Any],
) -> None:
    """Write an act into the audit as `topic.event` and tell those who listen, in the caller's transaction."""
    await log.append(tx, owner, f"{topic}.{event}", subject, actor, facts, at)
    row = {"topic": topic, "subject": subject, "event": event, "at": at}
    await _TELL.run(tx, row | owner.columns)
