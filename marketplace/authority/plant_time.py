"""The highest plant time that the gateway has seen, kept durably: how a clock that jumps is noticed.

It promises that a clock which went back by more than an hour, or ahead by more than a month, moves nothing: no limit
elapses and no new month begins until a person has said that the time is right. It reads no clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority.approval import Approver
from marketplace.authority.mandate import Decision, Outcome
from marketplace.authority.policy import clock_jumped
from marketplace.documents import timestamp
from marketplace.store import Owner, clock_mark

MARK_EVERY: Final = timedelta(minutes=1)
"""How far the mark may lag behind: a sixtieth of the smallest jump that counts."""

_MINE: Final = (clock_mark.c.plant == bindparam("of_plant"), clock_mark.c.gateway_id == bindparam("of_gateway"))
_READ: Final = select(clock_mark.c.highest).where(*_MINE)
_WRITE: Final = update(clock_mark).where(*_MINE)


async def observe(tx: AsyncConnection, owner: Owner, now: datetime) -> datetime | None:
    """Return the highest plant time seen before `now` (None: none yet) and keep `now`, unless the clock has jumped."""
    mark: datetime | None = (await tx.execute(_READ, _place(owner))).scalar_one_or_none()
    if mark is None or (now - mark >= MARK_EVERY and not clock_jumped(mark, now)):
        await _keep(tx, owner, mark, now)
    return mark


async def accept_clock(
    tx: AsyncConnection, owner: Owner, person: Approver, now: datetime, *, method: str = "socket"
) -> Decision:
    """A person says that plant time is right as it is: windows elapse by it from now on. Kept in the audit."""
    if not person.may_approve:
        return Decision(Outcome.DENY, "NOT_AUTHORISED", {"person": person.id})
    mark: datetime | None = (await tx.execute(_READ, _place(owner))).scalar_one_or_none()
    await _keep(tx, owner, mark, now)
    facts = {"before": timestamp(mark) if mark else "", "now": timestamp(now), "jumped": clock_jumped(mark, now)}
    await log.append(tx, owner, "clock.accepted", "clock", Actor(ActorKind.PERSON, person.id, method), facts, now)
    return Decision(Outcome.APPROVE, "CLOCK_ACCEPTED", {"person": person.id, "now": timestamp(now)})


async def _keep(tx: AsyncConnection, owner: Owner, mark: datetime | None, now: datetime) -> None:
    if mark is None:
        await tx.execute(insert(clock_mark), owner.columns | {"highest": now})
    else:
        await tx.execute(_WRITE, _place(owner) | {"highest": now})


def _place(owner: Owner) -> dict[str, str]:
    return {"of_plant": owner.plant, "of_gateway": owner.gateway_id}
