"""What follows from a stop: everything covered that was not sent is cancelled, and alarms without an answer stop too.

The stop and the cancellations are one transaction: state, budget, audit and outbox move together, and what an order
served is wanted again, not withdrawn. An order that is being sent at that very moment is not touched; it is settled as
always. So that a stop counts at once however much is open, one transaction cancels `AT_ONCE` orders and the next ones
follow directly; none of them can leave in between, because the gate asks for stops first. A purchase that cannot be
cancelled stops no stop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit.actor import Actor
from marketplace.audit.tree import savepoint
from marketplace.authority import alarms, halts
from marketplace.authority.alarms import Alarm
from marketplace.authority.halts import BY_ALARM, STOPPED, Halt, Scope, covering
from marketplace.ordering.edges import gateway_actor, move_order
from marketplace.ordering.serving import need_again
from marketplace.ordering.states import UNSENT, OrderState
from marketplace.store import Database, Owner, line_requisition, purchase_order, requisition

_log = structlog.get_logger()

AT_ONCE: Final = 20
"""Orders cancelled in the transaction of the stop: a sixth of a second's work on a computer of today."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The stop of a scope, whether it is new, and which orders were cancelled for it."""

    halt: Halt
    new: bool
    cancelled: tuple[str, ...]


async def cancel_stopped(
    tx: AsyncConnection, owner: Owner, number: str, state: OrderState, halt: Halt, actor: Actor, at: datetime
) -> None:
    """Cancel an order of which nothing was sent, because of a stop; what it served is wanted again."""
    facts = {"code": STOPPED, "parameters": halt.parameters, "halt": halt.id}
    await move_order(
        tx, owner, number, state, OrderState.CANCELLED, actor=actor, at=at, facts=facts, rule=STOPPED, next_ask_at=None
    )
    await need_again(tx, owner, number, actor, at, quoting_after=None)


async def covered(tx: AsyncConnection, owner: Owner) -> list[tuple[str, OrderState, Halt]]:
    """Return every unsent order of this gateway that a stop covers: number, state, and that stop."""
    standing = await halts.standing(tx, owner)
    if not standing:
        return []
    components: defaultdict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for number, state, machine, supplier, component in await tx.execute(_UNSENT, _place(owner)):
        components[number, state, machine, supplier].add(component)
    found = []
    for (number, state, machine, supplier), served in components.items():
        halt = covering(standing, machine=machine, components=served, supplier=supplier)
        if halt is not None:
            found.append((number, OrderState(state), halt))
    return found


_UNSENT: Final = (
    select(
        purchase_order.c.number,
        purchase_order.c.state,
        purchase_order.c.machine,
        purchase_order.c.supplier,
        requisition.c.component,
    )
    .join(line_requisition, line_requisition.c.order_number == purchase_order.c.number)
    .join(requisition, requisition.c.id == line_requisition.c.requisition)
    .where(
        purchase_order.c.plant == bindparam("of_plant"),
        purchase_order.c.gateway_id == bindparam("of_gateway"),
        purchase_order.c.state.in_(sorted(UNSENT)),
    )
    .order_by(purchase_order.c.number)
)


def _place(owner: Owner) -> dict[str, str]:
    return {"of_plant": owner.plant, "of_gateway": owner.gateway_id}


class Stopping:
    """The stop switch of one gateway, and the watch over its alarms. Holds nothing that a restart would miss."""

    def __init__(self, database: Database, owner: Owner, clock: Callable[[], datetime]) -> None:
        self.database = database
        self.owner = owner
        self.clock = clock

    async def stop(
        self, scope: Scope, code: str, actor: Actor, *, note: str = "", facts: Mapping[str, Any] | None = None
    ) -> Stopped:
        """Stop buying within a scope; durable when it returns, and everything covered that was not sent is off."""
        async with self.database.write() as tx:
            halt, new = await halts.put(tx, self.owner, scope, code, actor, self.clock(), note=note, facts=facts)
            cancelled = await self._cancel(tx, (await covered(tx, self.owner))[:AT_ONCE], actor)
        return Stopped(halt, new, (*cancelled, *await self.sweep(actor)))

    async def resume(self, scope: Scope, person: Actor, *, note: str = "") -> Halt | None:
        """A named person ends the stop of exactly this scope, having seen the alarms that led to it."""
        async with self.database.write() as tx:
            halt = await halts.lift(tx, self.owner, scope, person, self.clock(), note)
            if halt is not None:
                await alarms.lifted(tx, self.owner, halt, person, self.clock())
        return halt

    async def acknowledge(self, id: str, person: Actor, *, note: str = "") -> Alarm | None:
        """A named person has seen an alarm; None when none of this id is open."""
        async with self.database.write() as tx:
            return await alarms.acknowledge(tx, self.owner, id, person, self.clock(), note)

    async def watch(self) -> tuple[Stopped, ...]:
        """Stop the scopes of alarms that nobody acknowledged in time; cancel what a stop covers and was left over."""
        async with self.database.read() as tx:
            due = [alarm.id for alarm in await alarms.open_alarms(tx, self.owner) if alarm.due(self.clock())]
        found = [await self._escalate(id) for id in due]
        await self.sweep(gateway_actor(self.owner, "alarm"))
        return tuple(each for each in found if each is not None)

    async def _escalate(self, id: str) -> Stopped | None:
        """Stop the scope of an alarm, unless somebody has acknowledged it meanwhile."""
        now, actor = self.clock(), gateway_actor(self.owner, "alarm")
        async with self.database.write() as tx:
            alarm = next((each for each in await alarms.open_alarms(tx, self.owner) if each.id == id), None)
            if alarm is None or not alarm.due(now):
                return None
            halt, new = await halts.put(tx, self.owner, alarm.scope, BY_ALARM, actor, now, alarm=alarm.id)
            await alarms.escalated(tx, self.owner, alarm, halt, now)
            cancelled = await self._cancel(tx, (await covered(tx, self.owner))[:AT_ONCE], actor)
        _log.warning("alarm_unacknowledged", alarm=alarm.code, scope=str(alarm.scope), subject=alarm.subject)
        return Stopped(halt, new, tuple(cancelled))

    async def sweep(self, actor: Actor) -> list[str]:
        """Cancel what stops cover and the first transaction left over; what failed is left to the next sweep."""
        async with self.database.read() as tx:
            left = await covered(tx, self.owner)
        cancelled = []
        for start in range(0, len(left), AT_ONCE):
            async with self.database.write() as tx:
                cancelled += await self._cancel(tx, left[start : start + AT_ONCE], actor)
        return cancelled

    async def _cancel(
        self, tx: AsyncConnection, orders: Sequence[tuple[str, OrderState, Halt]], actor: Actor
    ) -> list[str]:
        cancelled = []
        for number, state, halt in orders:
            try:
                async with savepoint(tx):  # one that cannot be cancelled must not take the stop with it
                    await cancel_stopped(tx, self.owner, number, state, halt, actor, self.clock())
            except Exception as error:
                _log.error("stopped_order_not_cancelled", order=number, error=type(error).__name__)
            else:
                cancelled.append(number)
        return cancelled
