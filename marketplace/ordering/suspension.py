"""Suppliers that said one thing and did another: not asked and not trusted until a named person says otherwise."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.acts import record
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import alarms
from marketplace.authority.alarms import AlarmCode, AlarmTerms
from marketplace.authority.halts import Scope, ScopeKind
from marketplace.store import Owner, supplier_status

_SUSPENDED: Final = select(supplier_status.c.supplier).where(
    supplier_status.c.plant == bindparam("of_plant"), supplier_status.c.suspended.is_(True)
)


async def suspended(tx: AsyncConnection, owner: Owner) -> frozenset[str]:
    """Return the names of the suspended suppliers of the plant."""
    return frozenset((await tx.execute(_SUSPENDED, {"of_plant": owner.plant})).scalars())


async def suspend(
    tx: AsyncConnection,
    owner: Owner,
    supplier: str,
    code: str,
    number: str,
    at: datetime,
    terms: AlarmTerms = alarms.USUAL,
) -> None:
    """Suspend a supplier because of what it said about an order; one that is suspended already stays so.

    It is a money alarm: nobody acknowledges it in time, and buying stops at that supplier.
    """
    if supplier in await suspended(tx, owner):
        return
    scope, figures = Scope(ScopeKind.SUPPLIER, supplier), {"order": number, "code": code}
    await alarms.raise_alarm(tx, owner, AlarmCode.OTHER_TERMS, scope, supplier, at, parameters=figures, terms=terms)
    await _set(tx, owner, supplier, True, code, at)
    actor = Actor(ActorKind.GATEWAY, owner.gateway_id, "inbox")
    await record(tx, owner, "supplier", supplier, "suspended", actor, at, {"code": code, "order": number})


async def reinstate(tx: AsyncConnection, owner: Owner, supplier: str, person: Actor, at: datetime) -> bool:
    """A named person lets a supplier be asked again; False when it was not suspended."""
    if supplier not in await suspended(tx, owner):
        return False
    await _set(tx, owner, supplier, False, "", at)
    await alarms.acted_on(tx, owner, AlarmCode.OTHER_TERMS, supplier, person, at)
    await record(tx, owner, "supplier", supplier, "reinstated", person, at, {})
    return True


async def _set(tx: AsyncConnection, owner: Owner, supplier: str, state: bool, reason: str, at: datetime) -> None:
    values = {"suspended": state, "reason": reason, "changed_at": at}
    mine = (supplier_status.c.plant == owner.plant) & (supplier_status.c.supplier == supplier)
    if (await tx.execute(update(supplier_status).where(mine).values(**values))).rowcount == 0:
        await tx.execute(insert(supplier_status).values(supplier=supplier, **values, **owner.columns))
