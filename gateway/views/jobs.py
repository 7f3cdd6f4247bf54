"""What a component's job wants, line by line, and how each line is covered: all needs together.

What is promised to a life counts for it alone: goods kept for it on the shelf, orders that serve it. What nobody has
yet promised is netted over all needs, as purchasing would (`marketplace.netting`), so that two pages never show the
same piece. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.views.texts import text_of
from maintenance.needs import JobKind, JobLine, Need
from marketplace import stock, store
from marketplace.money import Quantity, plain
from marketplace.netting import Asked, Coming, Netted, net
from marketplace.ordering import supply
from marketplace.ordering.states import ENDED, OrderState, RequisitionState
from marketplace.store import Owner

S, R = OrderState, RequisitionState
NOTHING: Final = Decimal(0)
ON_ITS_WAY: Final = frozenset({S.SUBMITTED, S.CONFIRMED, S.SHIPPED})
HERE: Final = frozenset({S.RECEIVED, S.DISPUTED}) | ENDED
"""Of orders in these states nothing is to come any more."""


@dataclass(frozen=True, slots=True)
class JobLineView:
    """One line of a job. Amounts are in `unit` and add up to `quantity`; those of a service are all but `missing` 0.

    on_shelf: kept for it, or free and nobody needs it sooner. on_its_way: by order; of those that serve it, or bring
    more than is needed. promised: what of both is for it alone. in_hand: of orders that are not sent yet. missing: what
    has to be bought.
    due: for when a service is, or shall be, booked.
    """

    key: str
    item: str
    kind: str
    quantity: Decimal
    unit: str
    on_shelf: Decimal = NOTHING
    on_its_way: tuple[Coming, ...] = ()
    in_hand: Decimal = NOTHING
    missing: Decimal = NOTHING
    due: datetime | None = None
    promised: Decimal = NOTHING

    def as_dict(self) -> dict[str, Any]:
        """Return the line for programs."""
        return {
            "line": self.key,
            "item": self.item,
            "kind": self.kind,
            "quantity": plain(self.quantity),
            "unit": self.unit,
            "on_shelf": plain(self.on_shelf),
            "on_its_way": [
                {"order": each.order, "quantity": plain(each.amount), "expected_at": text_of(each.expected_at)}
                for each in self.on_its_way
            ],
            "in_hand": plain(self.in_hand),
            "missing": plain(self.missing),
            "due": text_of(self.due),
        }


@dataclass(frozen=True, slots=True)
class Promised:
    """What is promised to one line of one life by now; `needed_by` and `since` of the want, where there is one."""

    kept: Decimal = NOTHING
    coming: tuple[Coming, ...] = ()
    in_hand: Decimal = NOTHING
    needed_by: datetime | None = None
    since: datetime | None = None

    @property
    def amount(self) -> Decimal:
        """All of it."""
        return self.kept + self.in_hand + sum((each.amount for each in self.coming), start=NOTHING)


Place = tuple[str, str]
"""A component and a line of its job."""


async def job_lines(
    spend: AsyncConnection, owner: Owner, needs: Sequence[Need], due: Mapping[str, datetime | None], now: datetime
) -> dict[str, tuple[JobLineView, ...]]:
    """Return the lines of every need by component; `due`: by when each component's goods must be here, if known."""
    promised = await _promised(spend, owner, needs)
    items = {line.item for need in needs for line in need.lines}
    free = await supply.free_on_shelf(spend, owner, items)
    coming = await supply.on_its_way(spend, owner, items, now)
    asked = [
        wanted
        for need in needs
        for line in need.lines
        if (wanted := _asked(need, line, promised.get((need.component, line.key), Promised()), due)) is not None
    ]
    found = {each.asked.name: each for each in net(asked, free, coming)}
    return {
        need.component: tuple(
            _view(line, promised.get((need.component, line.key), Promised()), found.get(_name(need, line)))
            for line in need.lines
        )
        for need in needs
    }


def _name(need: Need, line: JobLine) -> str:
    return f"{need.component}|{line.key}"


def _asked(need: Need, line: JobLine, held: Promised, due: Mapping[str, datetime | None]) -> Asked | None:
    """Return what of a line nobody has promised yet; a service lies on no shelf."""
    left = line.quantity - held.amount
    if line.kind is JobKind.SERVICE or left <= NOTHING:
        return None
    needed_by = held.needed_by or due.get(need.component)
    return Asked(_name(need, line), line.item, Quantity(left, line.unit), needed_by, held.since or need.as_of)


def _view(line: JobLine, held: Promised, found: Netted | None) -> JobLineView:
    service = line.kind is JobKind.SERVICE
    missing = found.missing if found is not None else max(line.quantity - held.amount, NOTHING)
    return JobLineView(
        key=line.key,
        item=line.item,
        kind=line.kind.value,
        quantity=line.quantity,
        unit=line.unit,
        on_shelf=held.kept + (found.on_shelf if found is not None else NOTHING),
        on_its_way=held.coming + (found.on_its_way if found is not None else ()),
        in_hand=held.in_hand,
        missing=missing,
        due=held.needed_by if service else None,
        promised=held.amount - held.in_hand,
    )


async def _promised(spend: AsyncConnection, owner: Owner, needs: Sequence[Need]) -> dict[Place, Promised]:
    """Return what is promised to the lives of these needs, by component and line."""
    lives = {(need.component, need.life) for need in needs}
    rows = await _rows(spend, owner, {life for _component, life in lives if life})
    wants: dict[str, list[Row[Any]]] = {}
    for row in rows:
        if (row.component, row.life) in lives:
            wants.setdefault(row.id, []).append(row)
    found: dict[Place, Promised] = {}
    for mine in wants.values():
        place = mine[0].component, mine[0].line
        found[place] = _together(found.get(place, Promised()), _of_want(mine))
    return found


def _of_want(rows: Sequence[Row[Any]]) -> Promised:
    """Return what is promised to one want: a row for each order that serves it, one without where none does."""
    first = rows[0]
    kept = first.kept if first.reserved == stock.RESERVED else NOTHING
    came = kept or NOTHING
    coming, in_hand = [], NOTHING
    for row in rows:
        if row.number is None or row.order_state in HERE:
            continue
        part = max(row.share - came, NOTHING)
        came -= row.share - part
        if row.order_state in ON_ITS_WAY and part > NOTHING:
            coming.append(Coming(row.number, part, row.promised_at))
        elif row.order_state not in ON_ITS_WAY:
            in_hand += part
    done = first.state == R.FULFILLED and first.reserved is None  # a service was rendered
    return Promised(first.quantity if done else kept, tuple(coming), in_hand, first.needed_by, first.created_at)


def _together(one: Promised, other: Promised) -> Promised:
    days = [each for each in (one.needed_by, other.needed_by) if each is not None]
    times = [each for each in (one.since, other.since) if each is not None]
    return Promised(
        one.kept + other.kept,
        one.coming + other.coming,
        one.in_hand + other.in_hand,
        min(days, default=None),
        min(times, default=None),
    )


async def _rows(spend: AsyncConnection, owner: Owner, lives: Collection[str]) -> Sequence[Row[Any]]:
    wanted, link, order, held = (
        store.requisition.c,
        store.line_requisition.c,
        store.purchase_order.c,
        store.stock_reservation.c,
    )
    joined = (
        store.requisition.outerjoin(store.line_requisition, link.requisition == wanted.id)
        .outerjoin(store.purchase_order, order.number == link.order_number)
        .outerjoin(store.stock_reservation, held.requisition == wanted.id)
    )
    query: Any = (
        select(
            wanted.id,
            wanted.component,
            wanted.life,
            wanted.line,
            wanted.state,
            wanted.quantity,
            wanted.needed_by,
            wanted.created_at,
            link.quantity.label("share"),
            order.number,
            order.state.label("order_state"),
            order.promised_at,
            held.quantity.label("kept"),
            held.state.label("reserved"),
        )
        .select_from(joined)
        .where(wanted.plant == owner.plant, wanted.life.in_(lives), wanted.state != R.WITHDRAWN)
        .order_by(wanted.created_at, wanted.id, order.created_at)
    )
    rows: Sequence[Row[Any]] = (await spend.execute(query)).all()
    return rows
