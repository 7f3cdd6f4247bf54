"""A service is booked for when the parts of its job are here: their arrival, joined with a maintenance window.

A want of a service names the lines of goods of the same job, and how long the job takes. No supplier is asked for it
before each of those lines is here or on an order whose supplier has promised a day that has not passed; then it is
asked for the first window with room for the job after the last of those days, and after the day on which timing would
fit the parts, for parts that are here are no reason yet to stop the machine. While it is not ordered it is joined
again at every round. Once it is, a supplier who slips moves nothing: a person is told that the visit comes before the
parts, and the note goes when that is no longer so. What a service has to do with money is the gate's, as ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maintenance.needs import JobKind, JobLine, Need
from marketplace.acts import record
from marketplace.documents import parse_timestamp, timestamp
from marketplace.ordering.edges import (
    SERVICE_BEFORE_PARTS,
    SERVICE_WITHOUT_PARTS,
    gateway_actor,
    problem,
    problem_code,
)
from marketplace.ordering.states import ENDED, OrderState, RequisitionState
from marketplace.store import Owner, line_requisition, purchase_order, requisition
from marketplace.windows import Windows

CLASHES: Final = (SERVICE_BEFORE_PARTS, SERVICE_WITHOUT_PARTS)
"""What is noted on the order of a service."""

R = RequisitionState


@dataclass(frozen=True, slots=True)
class Booking:
    """What a want of a service waits for: lines of goods of its job, how long it takes, and when the part is due."""

    after: tuple[str, ...]
    duration: timedelta
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a line of goods is: one of its requisitions, and what each order behind it promises, None for nothing."""

    line: str
    state: RequisitionState
    promises: tuple[datetime | None, ...] = ()


def booking_for(need: Need, line: JobLine) -> dict[str, Any]:
    """Return what is kept with a want besides its reason: for a service what it waits for, for goods nothing."""
    if line.kind is not JobKind.SERVICE:
        return {}
    after = [each.key for each in need.lines if each.kind is not JobKind.SERVICE]
    takes = need.duration.total_seconds() if need.duration is not None else 0.0
    return {"booking": {"after": after, "duration_s": takes}}


def booking_of(reason: Mapping[str, Any]) -> Booking | None:
    """Return what a want waits for, by its kept reason; None for goods, and for what was wanted by older programs."""
    told, fit_by = reason.get("booking"), reason.get("parameters", {}).get("fit_by")
    if told is None:
        return None
    not_before = datetime.fromisoformat(fit_by) if fit_by else None  # older advice did not say it
    return Booking(tuple(told["after"]), timedelta(seconds=told["duration_s"]), not_before)


def is_service(reason: Mapping[str, Any]) -> bool:
    """Return whether a want is one of a service."""
    return bool(reason.get("kind") == JobKind.SERVICE)


def arrival(after: Sequence[str], standings: Iterable[Standing], now: datetime) -> datetime | None:
    """Return when all lines of goods are here, `now` when they are; None while somebody has yet to promise."""
    found = list(standings)
    latest = now
    for line in after:
        mine = [each for each in found if each.line == line and each.state is not R.WITHDRAWN]
        if not mine:
            return None
        for each in mine:
            if each.state is R.FULFILLED:
                continue
            if each.state is not R.ORDERED or not each.promises:
                return None
            for promised in each.promises:
                if promised is None or promised <= now:
                    return None
                latest = max(latest, promised)
    return latest


_GOODS: Final = (
    select(
        requisition.c.id, requisition.c.line, requisition.c.state, purchase_order.c.number,
        purchase_order.c.promised_at, purchase_order.c.state.label("order_state"),
    )
    .select_from(
        requisition.outerjoin(line_requisition, line_requisition.c.requisition == requisition.c.id).outerjoin(
            purchase_order, purchase_order.c.number == line_requisition.c.order_number
        )
    )
    .where(
        requisition.c.plant == bindparam("of_plant"),
        requisition.c.component == bindparam("of_component"),
        requisition.c.life == bindparam("of_life"),
        requisition.c.line.in_(bindparam("of_lines", expanding=True)),
    )
    .order_by(requisition.c.id)
)  # fmt: skip


async def goods_of(tx: AsyncConnection, owner: Owner, row: Row[Any], after: Sequence[str]) -> list[Standing]:
    """Return how far the lines of goods are that a want of a service waits for."""
    of = {"of_plant": owner.plant, "of_component": row.component, "of_life": row.life, "of_lines": list(after)}
    states: dict[tuple[str, str], RequisitionState] = {}
    promises: dict[tuple[str, str], tuple[datetime | None, ...]] = {}
    for each in await tx.execute(_GOODS, of):
        key = each.line, each.id
        states[key] = R(each.state)
        if each.number is not None and each.order_state not in ENDED:
            promises[key] = (*promises.get(key, ()), each.promised_at)
    return [Standing(key[0], state, promises.get(key, ())) for key, state in states.items()]


async def join(
    tx: AsyncConnection, owner: Owner, row: Row[Any], booking: Booking, windows: Windows, now: datetime
) -> datetime | None:
    """Return for when a service is to be booked, kept as its `needed_by`; None while its parts are not promised."""
    here = arrival(booking.after, await goods_of(tx, owner, row, booking.after), now)
    window = None if here is None else windows.next(max(here, booking.not_before or here), booking.duration)
    if window is None:
        return None
    if window.start != row.needed_by:
        mine = (requisition.c.plant == owner.plant) & (requisition.c.id == row.id)
        await tx.execute(update(requisition).where(mine).values(needed_by=window.start))
        facts = {"start": timestamp(window.start), "end": timestamp(window.end)}
        await record(tx, owner, "requisition", row.id, "booked", gateway_actor(owner, "timing"), now, facts)
    return window.start


def visit(needed_by: datetime, earliest: datetime, booking: Booking, windows: Windows) -> datetime:
    """Return for when a service is ordered whose supplier can come at `earliest`: the first window from then on."""
    if earliest <= needed_by:
        return needed_by
    later = windows.next(earliest, booking.duration)
    return earliest if later is None else later.start


_VISITS: Final[Select[Any]] = (
    select(
        requisition.c.component, requisition.c.life, requisition.c.reason, purchase_order.c.number,
        purchase_order.c.promised_at, purchase_order.c.document, purchase_order.c.problem,
    )
    .join(line_requisition, line_requisition.c.requisition == requisition.c.id)
    .join(purchase_order, purchase_order.c.number == line_requisition.c.order_number)
    .where(
        requisition.c.plant == bindparam("of_plant"),
        requisition.c.gateway_id == bindparam("of_gateway"),
        requisition.c.state == R.ORDERED,
        requisition.c.reason.contains('"booking": {', autoescape=True),
        purchase_order.c.state.in_((OrderState.SUBMITTED, OrderState.CONFIRMED)),
    )
    .order_by(purchase_order.c.number)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be noted on the order of a service in the place of what was; empty for nothing."""

    number: str
    before: str
    after: str


async def notes(tx: AsyncConnection, owner: Owner, now: datetime) -> list[Note]:
    """Return what is to be noted anew on ordered services: whether a visit comes before its parts.

    Whatever else is noted on an order stays: a person is at it already.
    """
    found = []
    for row in (await tx.execute(_VISITS, {"of_plant": owner.plant, "of_gateway": owner.gateway_id})).all():
        if problem_code(row.problem) in ("", *CLASHES):
            said = await _clash(tx, owner, row, now)
            if said != row.problem:
                found.append(Note(row.number, row.problem, said))
    return found


async def note(tx: AsyncConnection, owner: Owner, each: Note, now: datetime) -> None:
    """Note it, unless something else was noted in between, and tell the audit."""
    of = {"of_plant": owner.plant, "of_number": each.number, "of_problem": each.before, "noted": each.after}
    if (await tx.execute(_NOTE, of)).rowcount == 1:
        facts = json.loads(each.after or each.before)
        event = "reminded" if each.after else "settled"
        await record(tx, owner, "purchase", each.number, event, gateway_actor(owner, "clock"), now, facts)


_NOTE: Final = (
    update(purchase_order)
    .where(
        purchase_order.c.plant == bindparam("of_plant"),
        purchase_order.c.number == bindparam("of_number"),
        purchase_order.c.problem == bindparam("of_problem"),
    )
    .values(problem=bindparam("noted"))
)


async def _clash(tx: AsyncConnection, owner: Owner, row: Row[Any], now: datetime) -> str:
    """Return what is to be noted on the order of a service, empty where its parts come before it."""
    booking = booking_of(json.loads(row.reason))
    assert booking is not None  # that is what was looked for
    comes = row.promised_at or parse_timestamp(json.loads(row.document)["deliver_by"])
    here = arrival(booking.after, await goods_of(tx, owner, row, booking.after), now)
    if here is None:
        return problem(SERVICE_WITHOUT_PARTS, {"visit": timestamp(comes)})
    if here <= max(comes, now):
        return ""
    return problem(SERVICE_BEFORE_PARTS, {"visit": timestamp(comes), "parts": timestamp(here)})
