"""What shall be bought for one slot: raised once, however often the need is told.

A slot is `component|life|line`, or `stock|item` for the shelf. At most one requisition is open for a slot, by a unique
index and not by a look before the leap. A life whose want was served once does not want it again; where the shelf
served a part and a person refused the rest, only that is wanted later. After a person's refusal the slot stays quiet
for a while; only a named person overrides either. A requisition keeps why it was raised (the timing's figures, the
belief, the costs), so that a restart quotes and awards as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, exists, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from maintenance.needs import JobLine, Need, Provenance
from marketplace.acts import record
from marketplace.audit.actor import Actor
from marketplace.authority.policy import Mode
from marketplace.identity import new_id
from marketplace.money import Quantity
from marketplace.ordering.booking import booking_for
from marketplace.ordering.decisions import advice_facts
from marketplace.ordering.reason import reason_for, reason_text
from marketplace.ordering.shares import NOTHING
from marketplace.ordering.states import RequisitionState
from marketplace.settings import BuyingSettings
from marketplace.store import Owner, line_requisition, quotation, requisition, slot_hold
from marketplace.timing import Advice


@dataclass(frozen=True, slots=True)
class Want:
    """What shall be bought, for which slot, and why; `reason` is kept as JSON beside it."""

    machine: str
    component: str
    life: str
    line: str
    item: str
    quantity: Quantity
    provenance: Provenance
    known: bool
    mode: Mode
    asked_by: str
    needed_by: datetime | None
    reason: Mapping[str, Any]

    @property
    def slot(self) -> str:
        """The place in the plant that gets replenished."""
        return slot_of(self.component, self.life, self.line, self.item)


def slot_of(component: str, life: str, line: str, item: str) -> str:
    """Return the name of the place in the plant that gets replenished: a life's, or the shelf's."""
    return f"{component}|{life}|{line}" if life else f"stock|{item}"


class Raising(StrEnum):
    """What became of raising a want."""

    RAISED = "raised"
    OPEN = "open"
    SERVED = "served"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Raised:
    """The requisition of a want, new or the one there is; a held slot has none, and `id` is empty."""

    id: str
    outcome: Raising


def want_of(
    need: Need, line: JobLine, advice: Advice, mode: Mode, economics: BuyingSettings, asked_by: str, now: datetime
) -> Want:
    """Return the want of one job line of a need, with the timing's advice and the costs as its reason."""
    due = None if advice.decide_by is None else max(advice.decide_by, now) + economics.lead_time
    return Want(
        machine=need.machine,
        component=need.component,
        life=need.life,
        line=line.key,
        item=line.item,
        quantity=Quantity(line.quantity, line.unit),
        provenance=need.belief.provenance,
        known=need.belief.known,
        mode=mode,
        asked_by=asked_by,
        needed_by=due,
        reason={**reason_for(need, line, advice, economics), **booking_for(need, line)},
    )


# Every want runs these: built once, because building a statement costs more than running it.
_HELD: Final = select(slot_hold.c.until).where(
    slot_hold.c.plant == bindparam("of_plant"), slot_hold.c.slot == bindparam("of_slot")
)
_ROUNDS: Final = select(func.max(quotation.c.round)).where(quotation.c.requisition == bindparam("of_id"))
_OPEN: Final = select(requisition.c.id).where(
    requisition.c.plant == bindparam("of_plant"), requisition.c.open_slot == bindparam("of_slot")
)
_ENDED: Final[Select[Any]] = (
    select(
        requisition.c.id,
        requisition.c.quantity,
        requisition.c.state,
        exists().where(line_requisition.c.requisition == requisition.c.id).label("ordered"),
    )
    .where(
        requisition.c.plant == bindparam("of_plant"),
        requisition.c.component == bindparam("of_component"),
        requisition.c.life == bindparam("of_life"),
        requisition.c.line == bindparam("of_line"),
        requisition.c.state.in_((RequisitionState.FULFILLED, RequisitionState.WITHDRAWN)),
    )
    .order_by(requisition.c.created_at, requisition.c.id)
)
_ROW: Final = select(requisition).where(
    requisition.c.plant == bindparam("of_plant"), requisition.c.id == bindparam("of_id")
)


async def raise_requisition(
    tx: AsyncConnection,
    owner: Owner,
    want: Want,
    actor: Actor,
    at: datetime,
    *,
    id: str | None = None,
    override: bool = False,
) -> Raised:
    """Raise a want, under `id` if the caller has drawn one, or return the requisition that serves it already.

    `override` is for a named person who wants another one all the same; the caller has made sure who it is.
    """
    if not override:
        standing = await _standing(tx, owner, want)
        if standing is not None:
            return standing
        if await held_until(tx, owner, want.slot, at) is not None:
            return Raised("", Raising.HELD)
        want = await _rest(tx, owner, want)
    id = id or new_id()
    try:
        async with tx.begin_nested():  # a lost race must not take the caller's transaction with it
            await _insert(tx, owner, want, id, f"{want.slot}|{id}" if override else want.slot, at)
    except IntegrityError:
        standing = await _standing(tx, owner, want)
        if standing is None:
            raise
        return standing
    facts = {
        **advice_facts(want.reason),
        "slot": want.slot,
        "item": want.item,
        "quantity": str(want.quantity),
        "mode": str(want.mode),
        "provenance": str(want.provenance),
        "known": want.known,
        "override": override,
        "evidence": want.reason["evidence"],
    }
    await record(tx, owner, "requisition", id, "raised", actor, at, facts)
    return Raised(id, Raising.RAISED)


async def _standing(tx: AsyncConnection, owner: Owner, want: Want) -> Raised | None:
    open_one = {"of_plant": owner.plant, "of_slot": want.slot}
    id = (await tx.execute(_OPEN, open_one)).scalar_one_or_none()
    if id is not None:
        return Raised(id, Raising.OPEN)
    if not want.life:  # the shelf is replenished again and again
        return None
    served, from_shelf = await _served(tx, owner, want)
    return None if not served or from_shelf is not None else Raised(served, Raising.SERVED)


async def _served(tx: AsyncConnection, owner: Owner, want: Want) -> tuple[str, Decimal | None]:
    """Return the first requisition that served a life's line, and what the shelf did where a person refused the rest.

    None: all is served that shall be. Once an order brought something it is a person's word that ends a want.
    """
    of = {"of_plant": owner.plant, "of_component": want.component, "of_life": want.life, "of_line": want.line}
    rows = (await tx.execute(_ENDED, of)).all()
    done = [row for row in rows if row.state == RequisitionState.FULFILLED]
    amount = sum((row.quantity for row in done), start=NOTHING)
    rest_refused = len(done) < len(rows) and not any(row.ordered for row in done)
    lacking = rest_refused and NOTHING < amount < want.quantity.amount
    return (done[0].id if done else ""), (amount if lacking else None)


async def _rest(tx: AsyncConnection, owner: Owner, want: Want) -> Want:
    """Return what of a want the shelf has not served."""
    from_shelf = (await _served(tx, owner, want))[1] if want.life else None
    if from_shelf is None:
        return want
    return replace(want, quantity=Quantity(want.quantity.amount - from_shelf, want.quantity.unit))


async def _insert(tx: AsyncConnection, owner: Owner, want: Want, id: str, slot: str, at: datetime) -> None:
    await tx.execute(
        insert(requisition),
        {
            "id": id,
            "machine": want.machine,
            "component": want.component,
            "life": want.life,
            "line": want.line,
            "item": want.item,
            "quantity": want.quantity.amount,
            "unit": want.quantity.unit,
            "state": RequisitionState.NEEDED,
            "open_slot": slot,
            "provenance": want.provenance,
            "known": want.known,
            "mode": want.mode,
            "asked_by": want.asked_by,
            "needed_by": want.needed_by,
            "reason": reason_text(want.reason),
            "quoting_after": None,
            "created_at": at,
            "changed_at": at,
            **owner.columns,
        },
    )


async def held_until(tx: AsyncConnection, owner: Owner, slot: str, now: datetime) -> datetime | None:
    """Return until when a slot stays quiet, None when it does not."""
    of = {"of_plant": owner.plant, "of_slot": slot}
    until: datetime | None = (await tx.execute(_HELD, of)).scalar_one_or_none()
    return until if until is not None and until > now else None


async def load(tx: AsyncConnection, owner: Owner, id: str) -> Row[Any] | None:
    """Return a requisition's row, None when the plant has none of this id."""
    return (await tx.execute(_ROW, {"of_plant": owner.plant, "of_id": id})).one_or_none()


async def rounds(tx: AsyncConnection, id: str) -> int:
    """Return how many rounds of quotations a requisition has had."""
    return (await tx.execute(_ROUNDS, {"of_id": id})).scalar_one_or_none() or 0


def quantity_of(row: Row[Any]) -> Quantity:
    """Return what a requisition wants."""
    return Quantity(Decimal(row.quantity), row.unit)
