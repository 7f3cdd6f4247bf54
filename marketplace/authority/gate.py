"""The one gate for money: it decides, books, signs and keeps the record, always in the caller's transaction.

It promises that nothing is spent without a decision on the hash of the exact order: by the policy that a named person
applied, or by a person's signature. Each act leaves its audit leaf in the same transaction, so that neither exists
without the other. Only here are spend permits made, one for each send. It opens no transaction, talks to no supplier
and moves no order: `ordering` does, and must have stored the order's row before it asks here.

    apply_policy   a named person makes a policy document count; an edited file changes nothing before
    judge          the policy's verdict on an order; approval reserves
    allow          a person's approval of exactly what was shown; reserves
    refuse         a person's no
    permit         leave to send an approved order's bytes, once
    settle         what the order's path does to the reservation
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import approval as signature
from marketplace.authority import ledger
from marketplace.authority.applied import AppliedPolicy, GateClosed, PolicyRefused, apply_policy, current_policy
from marketplace.authority.approval import Approver
from marketplace.authority.ledger import StoredRow
from marketplace.authority.mandate import Decision, Outcome, objection_of
from marketplace.authority.permit import PermitRefused, SpendPermit, issue
from marketplace.authority.policy import Circumstances, Policy, decide, period_exceeded
from marketplace.documents import PurchaseOrder, timestamp
from marketplace.ordering.states import Effect, OrderState
from marketplace.store import Owner, approval, purchase_order
from marketplace.store import permit as permit_table

__all__ = [
    "AppliedPolicy", "Approver", "GateClosed", "PermitRefused", "PolicyRefused",
    "allow", "apply_policy", "current_policy", "judge", "permit", "refuse", "settle",
]  # fmt: skip

PERMIT_LASTS: Final = timedelta(minutes=5)
"""Plant time from permit to send; longer would let an approval outlive the reasons for it."""


_SENDABLE: Final = frozenset({OrderState.APPROVED, OrderState.SUBMITTING, OrderState.UNKNOWN})
"""A first send, and the same bytes again where the rules of `ordering` allow that."""


async def judge(
    tx: AsyncConnection,
    owner: Owner,
    order: PurchaseOrder,
    circumstances: Circumstances,
    now: datetime,
    *,
    software: str = "",
) -> Decision:
    """Return the policy's verdict on an order and keep it; an approval has reserved the total in the ledger.

    `software` is the version that decides, for the record. Raises `GateClosed` unless this exact order is stored.
    """
    row = await _stored(tx, owner, order)
    if row.machine != circumstances.machine or row.state != OrderState.PROPOSED:
        raise GateClosed(f"order {order.number} is not a proposal for {circumstances.machine}")
    applied = await current_policy(tx, owner)
    policy, mandate = (applied.policy, applied.mandate) if applied else (None, None)
    decision = decide(order, circumstances, policy, mandate, now=now)
    if decision.outcome is Outcome.APPROVE:
        assert policy is not None
        decision = await _reserve(tx, owner, order, circumstances.machine, policy, decision, now)
    facts = {
        "verdict": _verdict(decision),
        "order_hash": order.hash,
        "supplier": order.supplier,
        "total": str(order.total),
        "policy": _authority(applied),
        "inputs": circumstances.facts(),
        "inputs_hash": circumstances.hash,
        "software": software,
    }
    await log.append(tx, owner, "decision.made", order.number, _gateway(owner), facts, now)
    return decision


async def _reserve(
    tx: AsyncConnection,
    owner: Owner,
    order: PurchaseOrder,
    machine: str,
    policy: Policy,
    decision: Decision,
    now: datetime,
) -> Decision:
    """Book an order that the rules approve; without room in the window the verdict becomes a question."""
    window = policy.window
    assert window is not None  # the rules ask for one
    await ledger.open_budget(tx, owner, machine, currency=order.currency, limit=window.per_machine, days=window.days)
    room = await ledger.reserve(tx, owner, order.number, machine, order.total, by_person=False, now=now)
    return decision if room is ledger.Room.RESERVED else period_exceeded(machine, order.total, window)


async def allow(
    tx: AsyncConnection,
    owner: Owner,
    order: PurchaseOrder,
    approver: Approver,
    asked_by: str,
    approved_hash: str,
    method: str,
    note: str,
    now: datetime,
) -> Decision:
    """Return whether a person's approval of an order counts, and keep it; if so, the total is reserved.

    `approved_hash` is what the person was shown, `asked_by` the actor behind the requisition. A person needs the
    plant's mandate as much as the gateway does. Raises `GateClosed` unless this exact order is stored.
    """
    row = await _stored(tx, owner, order)
    applied = await current_policy(tx, owner)
    decision = objection_of(applied.mandate if applied else None, row.machine, now) or signature.check(
        order,
        approver,
        awaiting=row.state == OrderState.AWAITING_APPROVAL,
        asked_by=asked_by,
        approved_hash=approved_hash,
        now=now,
    )
    counts = decision.outcome is Outcome.APPROVE
    digest = await log.note(tx, owner, note)
    if counts:
        await _sign(tx, owner, order.number, order.hash, approver.id, method, "approve", digest, now)
        await _book_for_person(tx, owner, order, row.machine, applied, now)
    facts = {
        "verdict": _verdict(decision),
        "order_hash": order.hash,
        "approved_hash": approved_hash,
        "total": str(order.total),
        "asked_by": asked_by,
        "policy": _authority(applied),
        "note": digest,
    }
    kind = "approval.given" if counts else "approval.blocked"
    await log.append(tx, owner, kind, order.number, Actor(ActorKind.PERSON, approver.id, method), facts, now)
    return decision


async def _book_for_person(
    tx: AsyncConnection, owner: Owner, order: PurchaseOrder, machine: str, applied: AppliedPolicy | None, now: datetime
) -> None:
    """Book what a person approved, also where the gateway itself has no limit: it narrows the gateway's room."""
    window = applied.policy.window if applied else None
    limit, days = (window.per_machine, window.days) if window else (None, ledger.WINDOW_DAYS_DEFAULT)
    await ledger.open_budget(tx, owner, machine, currency=order.currency, limit=limit, days=days)
    room = await ledger.reserve(tx, owner, order.number, machine, order.total, by_person=True, now=now)
    assert room is ledger.Room.RESERVED  # the budget is there, and persons always have room


async def refuse(
    tx: AsyncConnection,
    owner: Owner,
    number: str,
    order_hash: str,
    person: str,
    method: str,
    note: str,
    now: datetime,
) -> None:
    """Keep a person's no to an order; to refuse needs no limit and no mandate."""
    digest = await log.note(tx, owner, note)
    await _sign(tx, owner, number, order_hash, person, method, "deny", digest, now)
    facts = {"order_hash": order_hash, "note": digest}
    await log.append(tx, owner, "approval.refused", number, Actor(ActorKind.PERSON, person, method), facts, now)


async def _sign(
    tx: AsyncConnection,
    owner: Owner,
    number: str,
    order_hash: str,
    person: str,
    method: str,
    verdict: str,
    digest: str,
    now: datetime,
) -> None:
    await tx.execute(
        insert(approval).values(
            id=secrets.token_hex(16),
            **owner.columns,
            order_number=number,
            order_hash=order_hash,
            person=person,
            method=method,
            verdict=verdict,
            note=digest,
            at=now,
        )
    )


async def permit(
    tx: AsyncConnection,
    owner: Owner,
    order_row: StoredRow,
    now: datetime,
    *,
    lasts: timedelta = PERMIT_LASTS,
    key_proven: bool = False,
) -> SpendPermit:
    """Return leave to send an order's stored bytes once more, as send `order_row.sends + 1`.

    `key_proven`: the supplier still remembers the order's key, so that a second send cannot buy a second time.

    `order_row`: the whole row of `purchase_order` as read in this transaction, before `sends` is counted up. Raises
    `PermitRefused` when the order is not allowed and reserved as it stands, its quotation or the mandate has ended,
    or its bytes are missing; nothing may be sent then. A second permit for the same send breaks the unique index,
    and with it the caller's transaction.
    """
    await _may_send(tx, owner, order_row, now)
    send = order_row.sends + 1
    leave = issue(
        id=secrets.token_hex(16),
        supplier=order_row.supplier,
        reference=order_row.number,
        key=order_row.key,
        order_hash=order_row.order_hash,
        request_bytes=order_row.request_bytes,
        ends_at=min(now + lasts, order_row.quoted_until),
    )
    row = {"order_hash": leave.order_hash, "send": send, "issued_at": now, "ends_at": leave.ends_at}
    await tx.execute(insert(permit_table).values(id=leave.id, order_number=leave.reference, **owner.columns, **row))
    facts = {
        "permit": leave.id,
        "send": send,
        "order_hash": leave.order_hash,
        "request_hash": _sha256(leave.request_bytes),
        "ends_at": timestamp(leave.ends_at),
    }
    await log.append(tx, owner, "permit.issued", leave.reference, _gateway(owner), facts, now)
    return leave


async def _may_send(tx: AsyncConnection, owner: Owner, row: StoredRow, now: datetime) -> None:
    if row.state not in _SENDABLE or not row.request_bytes:
        raise PermitRefused(f"order {row.number} is {row.state} and has nothing to send")
    if _sha256(row.document.encode()) != row.order_hash:
        raise PermitRefused(f"order {row.number} was changed after it was decided")
    if now >= row.quoted_until:
        raise PermitRefused(f"the quotation behind order {row.number} has expired")
    applied = await current_policy(tx, owner)
    objection = objection_of(applied.mandate if applied else None, row.machine, now)
    if objection is not None:
        raise PermitRefused(f"order {row.number} has no authority any more: {objection.rule}")
    booked = await ledger.reserved(tx, row.number)
    if booked is None or booked.state != ledger.BookingState.RESERVED or booked.minor != row.total_minor:
        raise PermitRefused(f"order {row.number} has no reservation for what it costs")
    if not await (_signed(tx, row) if booked.by_person else _approved(tx, owner, row)):
        raise PermitRefused(f"order {row.number} is allowed by nobody as it stands")


async def _signed(tx: AsyncConnection, row: StoredRow) -> bool:
    """Return whether a person signed this very order."""
    query = select(approval.c.id).where(
        approval.c.order_number == row.number,
        approval.c.order_hash == row.order_hash,
        approval.c.verdict == "approve",
    )
    return (await tx.execute(query)).first() is not None


async def _approved(tx: AsyncConnection, owner: Owner, row: StoredRow) -> bool:
    """Return whether the policy's last word on this very order was yes; the log says so, not the order's row."""
    said = await log.entries(tx, row.number, 1, owner=owner, kind="decision.made")
    return any(
        entry.facts["order_hash"] == row.order_hash and entry.facts["verdict"]["outcome"] == Outcome.APPROVE
        for entry in said
    )


async def settle(
    tx: AsyncConnection, owner: Owner, number: str, effect: Effect, now: datetime, *, actor: Actor | None = None
) -> None:
    """Do to the order's booking what its edge says, and keep it.

    RESERVE only makes sure that `judge` or `allow` has reserved. Raises `ledger.LedgerBroken` when the bookings do
    not fit the edge.
    """
    if effect is Effect.NONE:
        return
    if effect is Effect.RESERVE:
        booked = await ledger.reserved(tx, number)
        if booked is None or booked.state != ledger.BookingState.RESERVED:
            raise ledger.LedgerBroken(f"order {number} moves on without a reservation")
        return
    settled = await (ledger.commit if effect is Effect.COMMIT else ledger.release)(tx, number)
    if settled is None:
        return
    facts = {"budget": settled.budget, "amount": str(settled.amount), "by_person": settled.by_person}
    kind = "budget.committed" if effect is Effect.COMMIT else "budget.released"
    await log.append(tx, owner, kind, number, actor or _gateway(owner), facts, now)


async def _stored(tx: AsyncConnection, owner: Owner, order: PurchaseOrder) -> StoredRow:
    """Return the order's row. Raises `GateClosed` when it is missing or is another order than the one in hand."""
    query = select(
        purchase_order.c.machine, purchase_order.c.state, purchase_order.c.order_hash, purchase_order.c.total_minor
    ).where(purchase_order.c.plant == owner.plant, purchase_order.c.number == order.number)
    row = (await tx.execute(query)).one_or_none()
    if row is None or row.order_hash != order.hash or row.total_minor != order.total.minor:
        raise GateClosed(f"order {order.number} is not stored as it is to be decided")
    return row


def _verdict(decision: Decision) -> dict[str, Any]:
    return {"outcome": decision.outcome.value, "rule": decision.rule, "parameters": decision.parameters}


def _authority(applied: AppliedPolicy | None) -> dict[str, Any]:
    """Return by which rules it was decided, as a leaf holds it."""
    if applied is None:
        return {"version": 0, "hash": "", "mandate": ""}
    mandate = applied.mandate.hash if applied.mandate else ""
    return {"version": applied.version, "hash": applied.hash, "mandate": mandate}


def _gateway(owner: Owner) -> Actor:
    return Actor(ActorKind.GATEWAY, owner.gateway_id, "policy")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
