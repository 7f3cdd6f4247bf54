"""Money alarms: something about money is not as it must be, and a named person must look within a set time.

It promises that an alarm is raised once for as long as it is open (by code, scope and subject, by a unique index), and
that raising, acknowledging and escalating leave their audit leaf in the caller's transaction. Whoever acts on the
subject itself, by resolving an order or reinstating a supplier, has acknowledged it. An alarm that nobody acknowledged
in time stops its own scope and nothing else: `ordering.stopping` does that, and is told here which are due.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.acts import record
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority.alarm_terms import USUAL, AlarmCode, AlarmTerms
from marketplace.authority.halts import Halt, Scope, ScopeKind
from marketplace.documents import timestamp
from marketplace.identity import new_id
from marketplace.store import Owner, money_alarm

__all__ = [
    "USUAL", "Alarm", "AlarmCode", "AlarmTerms", "acknowledge", "acted_on", "escalated", "lifted", "open_alarms",
    "raise_alarm",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that nobody has acknowledged; `halted` is the id of the stop that followed, "" before."""

    id: str
    code: str
    scope: Scope
    subject: str
    parameters: Mapping[str, str]
    raised_at: datetime
    acknowledge_by: datetime
    halted: str = ""

    def due(self, now: datetime) -> bool:
        """Return whether its time is over and its scope not stopped yet."""
        return not self.halted and now >= self.acknowledge_by


_OPEN: Final = (
    select(money_alarm)
    .where(money_alarm.c.plant == bindparam("of_plant"), money_alarm.c.open_alarm.is_not(None))
    .order_by(money_alarm.c.raised_at, money_alarm.c.id)
)


async def open_alarms(tx: AsyncConnection, owner: Owner) -> tuple[Alarm, ...]:
    """Return every alarm of the plant that nobody has acknowledged, the oldest first."""
    return tuple(read(row) for row in await tx.execute(_OPEN, {"of_plant": owner.plant}))


def read(row: Row[Any]) -> Alarm:
    """Return an alarm as its row tells it."""
    scope, parameters = Scope(ScopeKind(row.scope), row.key), json.loads(row.parameters)
    return Alarm(row.id, row.code, scope, row.subject, parameters, row.raised_at, row.acknowledge_by, row.halted)


async def raise_alarm(
    tx: AsyncConnection,
    owner: Owner,
    code: AlarmCode,
    scope: Scope,
    subject: str,
    at: datetime,
    *,
    parameters: Mapping[str, str] | None = None,
    terms: AlarmTerms = USUAL,
) -> str:
    """Raise an alarm about a subject (an order, a supplier, the audit) and return its id, or that of the open one."""
    same = f"{code}|{scope}|{subject}"
    query = select(money_alarm.c.id).where(money_alarm.c.plant == owner.plant, money_alarm.c.open_alarm == same)
    found: str | None = (await tx.execute(query)).scalar_one_or_none()
    if found is not None:
        return found
    id, by, figures = new_id(), at + terms.within(code), {**scope.parameters, **(parameters or {})}
    row = {
        "id": id,
        "code": code,
        "scope": scope.kind,
        "key": scope.key,
        "subject": subject,
        "parameters": json.dumps(figures),
        "raised_at": at,
        "acknowledge_by": by,
        "halted": "",
        "open_alarm": same,
    }
    await tx.execute(insert(money_alarm).values(**row, **owner.columns))
    facts = {**_facts(code, scope, subject), "parameters": figures, "acknowledge_by": timestamp(by)}
    await record(tx, owner, "alarm", id, "raised", _gateway(owner), at, facts)
    return id


async def acknowledge(
    tx: AsyncConnection, owner: Owner, id: str, person: Actor, at: datetime, note: str = ""
) -> Alarm | None:
    """A named person has seen an alarm; None when no such alarm is open. A stop that it caused stays."""
    alarm = next((each for each in await open_alarms(tx, owner) if each.id == id), None)
    if alarm is not None:
        await _close(tx, owner, alarm, person, at, await log.note(tx, owner, note))
    return alarm


async def acted_on(
    tx: AsyncConnection, owner: Owner, code: AlarmCode, subject: str, person: Actor, at: datetime
) -> None:
    """A named person dealt with the subject itself: its alarms of this code are acknowledged by that."""
    for alarm in await open_alarms(tx, owner):
        if (alarm.code, alarm.subject) == (code, subject):
            await _close(tx, owner, alarm, person, at, "")


async def lifted(tx: AsyncConnection, owner: Owner, halt: Halt, person: Actor, at: datetime) -> None:
    """A named person lifted a stop: the alarms that had led to it are acknowledged by that."""
    for alarm in await open_alarms(tx, owner):
        if alarm.halted == halt.id:
            await _close(tx, owner, alarm, person, at, "")


async def _close(tx: AsyncConnection, owner: Owner, alarm: Alarm, person: Actor, at: datetime, note: str) -> None:
    values = {"open_alarm": None, "acknowledged_at": at, "acknowledged_by": person.id}
    await tx.execute(update(money_alarm).where(money_alarm.c.id == alarm.id).values(**values))
    facts = {**_facts(alarm.code, alarm.scope, alarm.subject), "note": note}
    await record(tx, owner, "alarm", alarm.id, "acknowledged", person, at, facts)


async def escalated(tx: AsyncConnection, owner: Owner, alarm: Alarm, halt: Halt, at: datetime) -> None:
    """Keep that an alarm's time was over and which stop followed."""
    await tx.execute(update(money_alarm).where(money_alarm.c.id == alarm.id).values(halted=halt.id))
    facts = {**_facts(alarm.code, alarm.scope, alarm.subject), "halt": halt.id}
    await record(tx, owner, "alarm", alarm.id, "escalated", _gateway(owner), at, facts)


def _facts(code: str, scope: Scope, subject: str) -> dict[str, str]:
    return {"code": code, "scope": str(scope.kind), "key": scope.key, "subject": subject}


def _gateway(owner: Owner) -> Actor:
    return Actor(ActorKind.GATEWAY, owner.gateway_id, "alarm")
