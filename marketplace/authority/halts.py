"""The stop switch as rows: what is stopped, since when, by whom; kept until a named person lifts it.

It promises that at most one stop stands for a scope, by a unique index, and that setting and lifting leave their audit
leaf in the caller's transaction. A stop outlives every restart because nothing but a row makes it stand. It cancels
nothing itself: what follows from a stop is done by `ordering.stopping` in the same transaction, and `gate` asks here
before it decides, signs or lets anything leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.acts import record
from marketplace.audit import log
from marketplace.audit.actor import Actor
from marketplace.authority.scopes import BY_ALARM, BY_FILE, BY_PERSON, PLANT, STOPPED, Halt, Scope, ScopeKind, covering
from marketplace.identity import new_id
from marketplace.store import Owner, halt, line_requisition, requisition

__all__ = [
    "BY_ALARM", "BY_FILE", "BY_PERSON", "Halt", "PLANT", "STOPPED", "Scope", "ScopeKind", "covering",
    "lift", "over_order", "over_want", "put", "standing", "stopped_suppliers",
]  # fmt: skip

# Every decision and every send asks these: built once, because building a statement costs more than running it.
_STANDING: Final = (
    select(halt)
    .where(halt.c.plant == bindparam("of_plant"), halt.c.open_scope.is_not(None))
    .order_by(halt.c.at, halt.c.id)
)
_COMPONENTS: Final = (
    select(requisition.c.component)
    .join(line_requisition, line_requisition.c.requisition == requisition.c.id)
    .where(line_requisition.c.plant == bindparam("of_plant"), line_requisition.c.order_number == bindparam("of_number"))
    .distinct()
)


async def standing(tx: AsyncConnection, owner: Owner) -> tuple[Halt, ...]:
    """Return every stop that stands in the plant, whichever gateway set it; the oldest first."""
    return tuple(read(row) for row in await tx.execute(_STANDING, {"of_plant": owner.plant}))


def read(row: Row[Any]) -> Halt:
    """Return a stop as its row tells it."""
    scope = Scope(ScopeKind(row.scope), row.key)
    return Halt(row.id, scope, row.code, row.by, row.method, row.at, row.note, row.alarm)


async def over_order(tx: AsyncConnection, owner: Owner, number: str, machine: str, supplier: str) -> Halt | None:
    """Return the stop that covers an order with everything it serves, None when nothing stops it."""
    halts = await standing(tx, owner)
    if not halts:
        return None
    components = (await tx.execute(_COMPONENTS, {"of_plant": owner.plant, "of_number": number})).scalars().all()
    return covering(halts, machine=machine, components=components, supplier=supplier)


async def over_want(tx: AsyncConnection, owner: Owner, machine: str, component: str) -> Halt | None:
    """Return the stop that covers whatever is bought for a component, from whomever."""
    return covering(await standing(tx, owner), machine=machine, components=(component,), supplier="")


async def stopped_suppliers(tx: AsyncConnection, owner: Owner) -> frozenset[str]:
    """Return the suppliers from whom nothing is bought."""
    scopes = [each.scope for each in await standing(tx, owner)]
    return frozenset(scope.key for scope in scopes if scope.kind is ScopeKind.SUPPLIER)


async def put(
    tx: AsyncConnection,
    owner: Owner,
    scope: Scope,
    code: str,
    actor: Actor,
    at: datetime,
    *,
    note: str = "",
    alarm: str = "",
    facts: Mapping[str, Any] | None = None,
) -> tuple[Halt, bool]:
    """Return the stop of a scope, and whether it is new; a scope that is stopped already stays as it is."""
    found = next((each for each in await standing(tx, owner) if each.scope == scope), None)
    if found is not None:
        return found, False
    made = Halt(new_id(), scope, code, actor.id, actor.method, at, await log.note(tx, owner, note), alarm)
    row = {
        "id": made.id,
        "scope": scope.kind,
        "key": scope.key,
        "open_scope": str(scope),
        "code": code,
        "by": made.by,
        "method": made.method,
        "at": at,
        "note": made.note,
        "alarm": alarm,
    }
    await tx.execute(insert(halt).values(**row, **owner.columns))
    said = {"scope": str(scope.kind), "key": scope.key, "code": code, "note": made.note, "alarm": alarm}
    await record(tx, owner, "halt", made.id, "set", actor, at, {**said, **(facts or {})})
    return made, True


async def lift(
    tx: AsyncConnection, owner: Owner, scope: Scope, person: Actor, at: datetime, note: str = ""
) -> Halt | None:
    """A named person ends the stop of exactly this scope; None when it was not stopped."""
    found = next((each for each in await standing(tx, owner) if each.scope == scope), None)
    if found is None:
        return None
    values = {"open_scope": None, "lifted_at": at, "lifted_by": person.id}
    await tx.execute(update(halt).where(halt.c.id == found.id).values(**values))
    facts = {"scope": str(scope.kind), "key": scope.key, "note": await log.note(tx, owner, note)}
    await record(tx, owner, "halt", found.id, "lifted", person, at, facts)
    return found
