"""The one gate for money: it decides, books, signs and keeps the record, always in the caller's transaction.

It promises that nothing is spent without a decision on the hash of the exact order: by the policy that a named person
applied, or by a person's signature. Each act leaves its audit leaf in the same transaction, so that neither exists
without the other. Only here are spend permits made, one for each send. It opens no transaction, talks to no supplier
and moves no order: `ordering` does, and must have stored the order's row before it asks here.

    apply_policy   a named person makes a policy document count; an edited file changes nothing before
    judge          the policy's verdict on an order; approval reserves
    allow          a person's approval of exactly what was shown; reserves
    refuse         a person's no
    permit         leave to send an approved order's bytes, once; where it may be there already and no key makes sure
                   that it counts once, the total is reserved once more
    unsent         a send never left the plant: what was reserved for it beside an earlier one is given back
    settle         what the order's path does to the reservation
    bound          what an order binds for good
    reduce         what was agreed is less than what was ordered: the commitment comes down to it
    observe_clock, accept_clock   plant time as it was seen, and a person's word that it is right

Every decision is a pure function of what its leaf records (`authority.decisions`); the ledger's conditional booking
must agree with it, else nothing of the transaction happens.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import decisions, halts, ledger, plant_time, reduction
from marketplace.authority.applied import AppliedPolicy, GateClosed, PolicyRefused, apply_policy, current_policy
from marketplace.authority.approval import Approver
from marketplace.authority.issuing import issue
from marketplace.authority.leave import Dispatch
from marketplace.authority.ledger import BookingState, LedgerBroken, StoredRow
from marketplace.authority.limits import Claim, Subject, claims_of
from marketplace.authority.mandate import Decision, Outcome
from marketplace.authority.permit import PermitRefused, SpendPermit
from marketplace.authority.plant_time import accept_clock
from marketplace.authority.policy import Circumstances, Policy, Standing, ledger_time
from marketplace.documents import PurchaseOrder, timestamp
from marketplace.identity import new_id
from marketplace.money import Money
from marketplace.ordering.states import Effect, OrderState
from marketplace.store import Owner, approval, purchase_order, requisition
from marketplace.store import permit as permit_table

__all__ = [
    "AppliedPolicy", "Approver", "GateClosed", "PermitRefused", "PolicyRefused",
    "accept_clock", "allow", "apply_policy", "bound", "current_policy", "judge", "observe_clock", "permit", "reduce",
    "refuse", "settle", "unsent",
]  # fmt: skip

PERMIT_LASTS: Final = timedelta(minutes=5)
"""Plant time from permit to send; longer would let an approval outlive the reasons for it."""
FIRST_SEND: Final = 1

# Every purchase runs these: built once, because building a statement costs more than running it.
_STORED: Final = select(
    purchase_order.c.machine,
    purchase_order.c.state,
    purchase_order.c.order_hash,
    purchase_order.c.total_minor,
    purchase_order.c.sends,
).where(purchase_order.c.plant == bindparam("of_plant"), purchase_order.c.number == bindparam("of_number"))
_COMPONENT: Final = select(requisition.c.component).where(
    requisition.c.plant == bindparam("of_plant"), requisition.c.id == bindparam("of_id")
)


async def observe_clock(tx: AsyncConnection, owner: Owner, now: datetime) -> bool:
    """Keep plant time as it is seen, and return whether it has jumped; for whoever looks at it regularly."""
    return ledger_time(await plant_time.observe(tx, owner, now), now) != now


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
    policy = applied.policy if applied else None
    subject = Subject.of(order, row.machine, circumstances.component)
    claims, standing = await _books(tx, owner, policy, subject, now)
    facts = decisions.judge_record(
        order, circumstances, policy, standing, claims, now, authority=_authority(applied), software=software
    )
    decision = _decision(facts["verdict"])
    if decision.outcome is Outcome.APPROVE:
        at, send = ledger_time(standing.mark, now), row.sends + 1
        room = await ledger.reserve(tx, owner, subject, claims, send=send, by_person=False, at=at)
        if room is not ledger.Room.RESERVED:
            raise LedgerBroken(f"order {order.number} was approved, but the ledger has no room for it")
        facts["send"] = send
    await log.append(tx, owner, "decision.made", order.number, _gateway(owner), facts, now)
    return decision


async def _books(
    tx: AsyncConnection, owner: Owner, policy: Policy | None, subject: Subject, now: datetime
) -> tuple[tuple[Claim, ...], Standing]:
    """Return what an order would take of each limit, and what stands there by the time that counts."""
    mark = await plant_time.observe(tx, owner, now)
    if policy is None:
        return (), Standing(mark, {})
    at = ledger_time(mark, now)
    claims = claims_of(policy.terms, subject, at)
    return claims, Standing(mark, await ledger.standing(tx, owner, claims, policy.terms, at))


def _decision(verdict: dict[str, Any]) -> Decision:
    return Decision(Outcome(verdict["outcome"]), verdict["rule"], verdict["parameters"])


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
    *,
    software: str = "",
) -> Decision:
    """Return whether a person's approval of an order counts, and keep it; if so, the total is reserved.

    `approved_hash` is what the person was shown, `asked_by` the actor behind the requisition. A person needs the
    plant's mandate as much as the gateway does. Raises `GateClosed` unless this exact order is stored.
    """
    row = await _stored(tx, owner, order)
    applied = await current_policy(tx, owner)
    policy = applied.policy if applied else None
    facts = decisions.approval_record(
        order,
        row.machine,
        approver,
        policy,
        now,
        stopped=await halts.over_order(tx, owner, order.number, row.machine, order.supplier),
        awaiting=row.state == OrderState.AWAITING_APPROVAL,
        asked_by=asked_by,
        approved_hash=approved_hash,
        authority=_authority(applied),
        software=software,
    )
    decision = _decision(facts["verdict"])
    counts = decision.outcome is Outcome.APPROVE
    facts["note"] = await log.note(tx, owner, note)
    if counts:
        await _sign(tx, owner, order.number, order.hash, approver.id, method, "approve", facts["note"], now)
        facts |= await _book_for_person(tx, owner, order, row, policy, now)
    kind = "approval.given" if counts else "approval.blocked"
    await log.append(tx, owner, kind, order.number, Actor(ActorKind.PERSON, approver.id, method), facts, now)
    return decision


async def _book_for_person(
    tx: AsyncConnection, owner: Owner, order: PurchaseOrder, row: StoredRow, policy: Policy | None, now: datetime
) -> dict[str, Any]:
    """Book what a person approved, room or not: it narrows the gateway's room. Returns what the leaf says of it."""
    subject = Subject.of(order, row.machine, await _component(tx, owner, order))
    claims, standing = await _books(tx, owner, policy, subject, now)
    at, send = ledger_time(standing.mark, now), row.sends + 1
    room = await ledger.reserve(tx, owner, subject, claims, send=send, by_person=True, at=at, must_fit=False)
    if room is not ledger.Room.RESERVED:
        raise LedgerBroken(f"the limits of order {order.number} are not all there")
    return {"send": send, "standing": decisions.standing_facts(standing, claims, now)}


async def _component(tx: AsyncConnection, owner: Owner, order: PurchaseOrder) -> str:
    """Return for which component an order is, by the first requisition that it serves; empty when there is none."""
    served = [id for line in order.lines for id in line.requisitions]
    found = await tx.execute(_COMPONENT, {"of_plant": owner.plant, "of_id": served[0] if served else ""})
    return found.scalar_one_or_none() or ""


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
            id=new_id(),
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
    key_proven: bool,
    software: str = "",
) -> SpendPermit:
    """Return leave to send an order's stored bytes once more, as send `order_row.sends + 1`.

    `order_row`: the whole row of `purchase_order` as read in this transaction, before `sends` is counted up.
    `key_proven`: the supplier still remembers the order's key, so that a second send cannot buy twice; without it a
    send after one that may have arrived reserves the total once more. Raises `PermitRefused` with its code when the
    order is not allowed and reserved as it stands, its quotation or the mandate has ended, its bytes are missing, or
    there is no room to reserve again; nothing may be sent then. A second permit for the same send breaks the unique
    index, and with it the caller's transaction.
    """
    applied = await current_policy(tx, owner)
    policy = applied.policy if applied else None
    found = await _dispatch(tx, owner, order_row, key_proven)
    if found.reserves_again:
        claims, standing = await _books(tx, owner, policy, found.subject, now)
    else:
        claims, standing = (), Standing(await plant_time.observe(tx, owner, now), {})
    facts = decisions.permit_record(found, policy, standing, claims, now)
    decision = _decision(facts["verdict"])
    if decision.outcome is not Outcome.APPROVE:
        raise PermitRefused(f"no leave to send order {order_row.number}: {decision.rule}", decision.rule)
    send = order_row.sends + 1
    if found.reserves_again:
        await _reserve_again(tx, owner, found, claims, send, ledger_time(standing.mark, now))
    leave = issue(
        id=new_id(),
        supplier=order_row.supplier,
        reference=order_row.number,
        key=order_row.key,
        order_hash=order_row.order_hash,
        request_bytes=order_row.request_bytes,
        ends_at=min(now + lasts, order_row.quoted_until),
    )
    row = {"order_hash": leave.order_hash, "send": send, "issued_at": now, "ends_at": leave.ends_at}
    await tx.execute(insert(permit_table), {"id": leave.id, "order_number": leave.reference, **owner.columns, **row})
    facts |= {
        "permit": leave.id,
        "send": send,
        "reserved": found.reserves_again,
        "by_person": found.by_person,
        "total": str(found.subject.total),
        "order_hash": leave.order_hash,
        "request_hash": _sha256(leave.request_bytes),
        "ends_at": timestamp(leave.ends_at),
        "policy": _authority(applied),
        "software": software,
    }
    await log.append(tx, owner, "permit.issued", leave.reference, _gateway(owner), facts, now)
    return leave


async def _dispatch(tx: AsyncConnection, owner: Owner, row: StoredRow, key_proven: bool) -> Dispatch:
    """Return what there is to say about an order that is to be sent; reservations of another total do not count."""
    live = await ledger.live(tx, row.number)
    held = [each for each in live if each.state == BookingState.RESERVED]
    fits = all((each.minor, each.currency) == (row.total_minor, row.currency) for each in held) and held == live
    by_person = bool(held and held[0].by_person)
    total = Money(row.total_minor, row.currency)
    subject = ledger.subject_of(held[0]) if held and fits else _bare_subject(row, total)
    return Dispatch(
        subject=subject,
        stopped=await halts.over_order(tx, owner, row.number, row.machine, row.supplier),
        state=row.state,
        has_bytes=bool(row.request_bytes),
        intact=_sha256(row.document.encode()) == row.order_hash,
        quoted_until=row.quoted_until,
        reserved=tuple(each.send for each in held) if fits else (),
        by_person=by_person,
        allowed=await (_signed(tx, row) if by_person else _approved(tx, owner, row)),
        sends=row.sends,
        may_be_there=row.sends >= FIRST_SEND and (row.first_sent_at is not None or row.state == OrderState.UNKNOWN),
        key_proven=key_proven,
    )


def _bare_subject(row: StoredRow, total: Money) -> Subject:
    return Subject(row.number, row.machine, "", row.supplier, (), total)


async def _reserve_again(
    tx: AsyncConnection, owner: Owner, found: Dispatch, claims: tuple[Claim, ...], send: int, at: datetime
) -> None:
    room = await ledger.reserve(
        tx, owner, found.subject, claims, send=send, by_person=found.by_person, at=at, extra=True
    )
    if room is not ledger.Room.RESERVED:
        raise LedgerBroken(f"order {found.subject.order} may be sent again, but the ledger has no room for it")


async def unsent(tx: AsyncConnection, owner: Owner, number: str, send: int, now: datetime) -> None:
    """A send never left the plant: give back what was reserved for it beside an earlier one."""
    if any(row.send < send for row in await ledger.live(tx, number)):
        settled = await ledger.release(tx, number, send=send)
        await _keep(tx, owner, "budget.released", number, settled, _gateway(owner), now)


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
        if not any(row.state == BookingState.RESERVED for row in await ledger.live(tx, number)):
            raise LedgerBroken(f"order {number} moves on without a reservation")
        return
    commits = effect is Effect.COMMIT
    settled = await (ledger.commit(tx, number) if commits else ledger.release(tx, number))
    kind = "budget.committed" if commits else "budget.released"
    await _keep(tx, owner, kind, number, settled, actor or _gateway(owner), now)


async def bound(tx: AsyncConnection, number: str) -> Money:
    """Return how much an order binds for good. Raises `ledger.LedgerBroken` when nothing is committed."""
    row = await reduction.committed(tx, number)
    return Money(row.minor, row.currency)


async def reduce(tx: AsyncConnection, owner: Owner, number: str, total: Money, now: datetime, *, actor: Actor) -> None:
    """Bind no more than was agreed of a committed order, and keep it; what is bound never goes up.

    Raises `ledger.LedgerBroken` when nothing is committed in the total's currency.
    """
    done = await reduction.reduce(tx, number, total)
    if done is not None:
        facts = {"send": done.send, "amount": str(done.amount), "by_person": done.by_person}
        await log.append(tx, owner, "budget.reduced", number, actor, facts | {"before": str(done.before)}, now)


async def _keep(
    tx: AsyncConnection,
    owner: Owner,
    kind: str,
    number: str,
    settled: ledger.Settled | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Keep what became of an order's money: the send that was settled, and further ones that were given back."""
    if settled is None:
        return
    facts = {
        "send": settled.send,
        "amount": str(settled.amount),
        "by_person": settled.by_person,
        "released": list(settled.released),
    }
    await log.append(tx, owner, kind, number, actor, facts, now)


async def _stored(tx: AsyncConnection, owner: Owner, order: PurchaseOrder) -> StoredRow:
    """Return the order's row. Raises `GateClosed` when it is missing or is another order than the one in hand."""
    row = (await tx.execute(_STORED, {"of_plant": owner.plant, "of_number": order.number})).one_or_none()
    if row is None or row.order_hash != order.hash or row.total_minor != order.total.minor:
        raise GateClosed(f"order {order.number} is not stored as it is to be decided")
    return row


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
