"""Walk one edge: state, budget, audit and outbox move in the caller's transaction, together or not at all.

Nothing else in the program writes the state of an order or of a requisition. The update is conditional on the state
that the caller saw: whoever comes second gets `ForbiddenTransition`, and nothing of their transaction happens. The
tables of `states` say which edges there are and what each does to the money. What follows from an edge for those
whom an order serves is `serving`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import Update, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.acts import record
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import gate
from marketplace.documents import timestamp
from marketplace.ordering.states import (
    ForbiddenTransition,
    OrderState,
    RequisitionState,
    effect,
    require_edge,
)
from marketplace.statements import Prepared
from marketplace.store import Owner, line_requisition, purchase_order, requisition, slot_hold

OPEN: Final = frozenset(
    {RequisitionState.NEEDED, RequisitionState.QUOTING, RequisitionState.PROPOSED, RequisitionState.ORDERED}
)
"""Requisitions that still hold their slot."""

_MOVE_ORDER: Final = update(purchase_order).where(
    purchase_order.c.plant == bindparam("of_plant"),
    purchase_order.c.number == bindparam("of_key"),
    purchase_order.c.state == bindparam("of_state"),
)
_MOVE_REQUISITION: Final = update(requisition).where(
    requisition.c.plant == bindparam("of_plant"),
    requisition.c.id == bindparam("of_key"),
    requisition.c.state == bindparam("of_state"),
)


@cache
def _moving(move: Update, columns: frozenset[str]) -> Prepared:
    """Return an edge's statement that sets these columns; every edge sets the same few."""
    return Prepared(move, sorted(columns))


async def _moved(
    tx: AsyncConnection, move: Update, owner: Owner, key: str, before: str, columns: Mapping[str, Any]
) -> bool:
    """Set columns of what is still in the state that the caller saw; return whether it was."""
    of = {"of_plant": owner.plant, "of_key": key, "of_state": before}
    return await _moving(move, frozenset(columns)).run(tx, {**columns, **of}) == 1


def gateway_actor(owner: Owner, method: str) -> Actor:
    """Return the gateway as the one who acts; it never approves, it only does what rules or persons allowed."""
    return Actor(ActorKind.GATEWAY, owner.gateway_id, method)


async def move_order(
    tx: AsyncConnection,
    owner: Owner,
    number: str,
    before: OrderState,
    after: OrderState,
    *,
    actor: Actor,
    at: datetime,
    facts: Mapping[str, Any] | None = None,
    **columns: Any,
) -> None:
    """Move an order along one edge and settle what the edge does to the budgets; `columns` are set with it.

    A reservation is made by the gate when it approves; here it is only made sure of. Raises `ForbiddenTransition` when
    the table has no such edge or the order is not in `before` any more.
    """
    money = effect(before, after)
    if not await _moved(tx, _MOVE_ORDER, owner, number, before, {"state": after, "changed_at": at, **columns}):
        raise ForbiddenTransition(f"{number} is not {before} any more")
    await gate.settle(tx, owner, number, money, at, actor=actor)
    await record(
        tx, owner, "order", number, after, actor, at, {"before": str(before), "effect": str(money), **(facts or {})}
    )


async def move_requisition(
    tx: AsyncConnection,
    owner: Owner,
    id: str,
    before: RequisitionState,
    after: RequisitionState,
    *,
    actor: Actor,
    at: datetime,
    facts: Mapping[str, Any] | None = None,
    **columns: Any,
) -> None:
    """Move a requisition along one edge; an ended one gives its slot free. Raises `ForbiddenTransition`."""
    require_edge(before, after)
    if after not in OPEN:
        columns["open_slot"] = None
    if not await _moved(tx, _MOVE_REQUISITION, owner, id, before, {"state": after, "changed_at": at, **columns}):
        raise ForbiddenTransition(f"requisition {id} is not {before} any more")
    await record(tx, owner, "requisition", id, after, actor, at, {"before": str(before), **(facts or {})})


async def requisitions_of(
    tx: AsyncConnection, owner: Owner, number: str, line: int | None = None
) -> list[tuple[str, RequisitionState]]:
    """Return id and state of the requisitions that an order, or one line of it, serves; the oldest first."""
    query = (
        select(requisition.c.id, requisition.c.state, requisition.c.created_at)
        .join(line_requisition, line_requisition.c.requisition == requisition.c.id)
        .where(line_requisition.c.plant == owner.plant, line_requisition.c.order_number == number)
        .distinct()
        .order_by(requisition.c.created_at, requisition.c.id)
    )
    if line is not None:
        query = query.where(line_requisition.c.line == line)
    return [
        (row.id, RequisitionState(row.state)) for row in await tx.execute(query.add_columns(requisition.c.created_at))
    ]


async def mark_ordered(tx: AsyncConnection, owner: Owner, number: str, actor: Actor, at: datetime) -> None:
    """From the first byte on, what the order serves counts as ordered: it can no longer simply be withdrawn."""
    for id, state in await requisitions_of(tx, owner, number):
        if state is RequisitionState.PROPOSED:
            await move_requisition(
                tx, owner, id, state, RequisitionState.ORDERED, actor=actor, at=at, facts={"order": number}
            )


async def withdraw_requisition(
    tx: AsyncConnection,
    owner: Owner,
    id: str,
    state: RequisitionState,
    actor: Actor,
    at: datetime,
    hold: timedelta | None,
) -> None:
    """Withdraw a requisition of which nothing was sent; with `hold`, its slot stays quiet that long."""
    slot = (await tx.execute(select(requisition.c.open_slot).where(requisition.c.id == id))).scalar_one()
    facts = {"hold_until": timestamp(at + hold)} if hold is not None else {}
    await move_requisition(tx, owner, id, state, RequisitionState.WITHDRAWN, actor=actor, at=at, facts=facts)
    if hold is not None and slot is not None:
        await hold_slot(tx, owner, slot, at + hold, actor)


async def hold_slot(tx: AsyncConnection, owner: Owner, slot: str, until: datetime, actor: Actor) -> None:
    """Keep a slot quiet until a time; a later hold takes the place of an earlier one."""
    mine = (slot_hold.c.plant == owner.plant) & (slot_hold.c.slot == slot)
    values = {"until": until, "by": actor.id, "reason": "REFUSED"}
    held = await tx.execute(update(slot_hold).where(mine).values(**values))
    if held.rowcount == 0:
        await tx.execute(insert(slot_hold).values(slot=slot, **values, **owner.columns))


BROKE: Final = "RECONCILIATION_FAILED"
"""Noted when the program failed at an order. It says nothing about the order itself and gives way to whatever does."""
QUARANTINED: Final = "QUARANTINED"
"""Noted when it failed again and again: nothing touches the purchase any more until a person releases it."""
REFERENCE_TAKEN: Final = "REFERENCE_TAKEN"
"""Noted when the supplier has our number under an order that it does not take for this one."""
NO_ANSWER: Final = "NO_ANSWER"
DELIVERY_LATE: Final = "DELIVERY_LATE"
INVOICE_MISSING: Final = "INVOICE_MISSING"
SERVICE_BEFORE_PARTS: Final = "SERVICE_BEFORE_PARTS"
"""Noted on the order of a service while the parts of its job are promised for after the visit."""
SERVICE_WITHOUT_PARTS: Final = "SERVICE_WITHOUT_PARTS"
"""Noted likewise while nobody promises them any more."""
INVOICE_DIFFERS: Final = "INVOICE_DIFFERS"
"""Noted when an invoice did not agree; the corrected one takes it back."""
REMINDERS: Final = frozenset(
    {BROKE, QUARANTINED, NO_ANSWER, DELIVERY_LATE, INVOICE_MISSING, SERVICE_BEFORE_PARTS, SERVICE_WITHOUT_PARTS}
)
"""What a person is told though nothing is wrong with the order as such."""


def problem(code: str, parameters: Mapping[str, str] | None = None) -> str:
    """Return a problem as the order's row keeps it: a stable code and its figures."""
    return json.dumps({"code": code, "parameters": dict(parameters or {})}, sort_keys=True)


def problem_code(kept: str) -> str:
    """Return the code of a kept problem, empty when there is none."""
    return str(json.loads(kept)["code"]) if kept else ""


def speaks_against(kept: str) -> bool:
    """Return whether a kept problem is about the order itself, so that it cannot simply be closed."""
    return bool(kept) and problem_code(kept) not in REMINDERS


async def note_problem(
    tx: AsyncConnection, owner: Owner, number: str, code: str, parameters: Mapping[str, str] | None = None
) -> None:
    """Note on an order that something is wrong with it, without moving it."""
    mine = (purchase_order.c.plant == owner.plant) & (purchase_order.c.number == number)
    await tx.execute(update(purchase_order).where(mine).values(problem=problem(code, parameters)))
