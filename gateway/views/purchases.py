"""Purchase orders with their lines, and those that wait for a person."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.views.texts import text_of
from marketplace import store
from marketplace.money import Money, plain
from marketplace.ordering.edges import BROKE
from marketplace.ordering.quarantine import SEEN
from marketplace.ordering.states import ENDED, OrderState
from marketplace.store import Owner

LIST_MAX = 200
"""Rows of one list: as many as people read on a page; programs may ask for more."""


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of an order; quantities in `unit`, `amount` the line's net total."""

    number: int
    component: str
    item: str
    description: str
    mpn: str
    sku: str
    quantity: Decimal
    unit: str
    unit_price: Decimal
    per: Decimal
    amount: Money
    confirmed: Decimal
    shipped: Decimal
    received: Decimal
    invoiced: Decimal

    def as_dict(self) -> dict[str, Any]:
        """Return the line for programs."""
        return {
            "number": self.number,
            "component": self.component,
            "item": self.item,
            "mpn": self.mpn,
            "sku": self.sku,
            "quantity": plain(self.quantity),
            "unit": self.unit,
            "unit_price": f"{self.unit_price:f}",
            "per": plain(self.per),
            "amount": f"{self.amount.amount:f}",
            "confirmed": plain(self.confirmed),
            "shipped": plain(self.shipped),
            "received": plain(self.received),
            "invoiced": plain(self.invoiced),
        }


@dataclass(frozen=True, slots=True)
class OrderView:
    """One purchase order. `problem` is (code, parameters) when a person is needed, else None.

    releasable: it is set apart, or shown, until a person has looked and releases it.
    """

    number: str
    supplier: str
    machine: str
    total: Money
    state: str
    authority: str
    rule: str
    decided_by: str
    provenance: str
    lines: tuple[LineView, ...]
    freight: Money
    fees: Money
    created_at: datetime
    changed_at: datetime
    quoted_until: datetime
    promised_at: datetime | None
    supplier_reference: str
    problem: tuple[str, Mapping[str, str]] | None
    order_hash: str
    policy_version: int
    releasable: bool = False

    @property
    def currency(self) -> str:
        """The one currency of the order."""
        return self.total.currency

    @property
    def component(self) -> str:
        """The component of the first line."""
        return self.lines[0].component if self.lines else ""

    def as_dict(self) -> dict[str, Any]:
        """Return the order for programs."""
        return {
            "number": self.number,
            "supplier": self.supplier,
            "machine": self.machine,
            "total": f"{self.total.amount:f}",
            "currency": self.currency,
            "state": self.state,
            "authority": self.authority,
            "rule": self.rule,
            "decided_by": self.decided_by or None,
            "provenance": self.provenance,
            "lines": [line.as_dict() for line in self.lines],
            "freight": f"{self.freight.amount:f}",
            "fees": f"{self.fees.amount:f}",
            "created_at": text_of(self.created_at),
            "changed_at": text_of(self.changed_at),
            "quoted_until": text_of(self.quoted_until),
            "promised_at": text_of(self.promised_at),
            "supplier_reference": self.supplier_reference or None,
            "problem": None if self.problem is None else {"code": self.problem[0], "parameters": dict(self.problem[1])},
            "order_hash": self.order_hash,
            "policy_version": self.policy_version,
            "releasable": self.releasable,
        }


async def orders(
    spend: AsyncConnection, owner: Owner, *, states: Iterable[str] | None = None, limit: int = LIST_MAX
) -> list[OrderView]:
    """Return the newest orders of the plant, in these states or in any."""
    table = store.purchase_order
    query = select(table).where(table.c.plant == owner.plant)
    if states is not None:
        query = query.where(table.c.state.in_([str(state) for state in states]))
    return await _views(spend, owner, query.order_by(table.c.created_at.desc(), table.c.number).limit(limit))


async def _views(spend: AsyncConnection, owner: Owner, query: Select[Any]) -> list[OrderView]:
    rows = (await spend.execute(query)).all()
    lines = await _lines(spend, owner, [row.number for row in rows])
    return [_order_view(row, lines[row.number]) for row in rows]


async def order(spend: AsyncConnection, owner: Owner, number: str) -> OrderView | None:
    """Return one order, None when the plant has none of this number."""
    table = store.purchase_order
    found = await spend.execute(select(table).where(table.c.plant == owner.plant, table.c.number == number))
    row = found.one_or_none()
    return None if row is None else _order_view(row, (await _lines(spend, owner, [number]))[number])


async def _lines(spend: AsyncConnection, owner: Owner, numbers: Sequence[str]) -> dict[str, list[tuple[Row[Any], str]]]:
    """Return each order's line rows with the component that the line serves."""
    line, link, wanted = store.order_line, store.line_requisition, store.requisition
    joined = line.outerjoin(
        link, and_(link.c.order_number == line.c.order_number, link.c.line == line.c.number)
    ).outerjoin(wanted, wanted.c.id == link.c.requisition)
    rows = await spend.execute(
        select(line, func.min(wanted.c.component).label("component"))
        .select_from(joined)
        .where(line.c.plant == owner.plant, line.c.order_number.in_(numbers))
        .group_by(*line.primary_key.columns)
        .order_by(line.c.order_number, line.c.number)
    )
    lines: dict[str, list[tuple[Row[Any], str]]] = defaultdict(list)
    for row in rows:
        lines[row.order_number].append((row, row.component or ""))
    return lines


def _order_view(row: Row[Any], lines: Sequence[tuple[Row[Any], str]]) -> OrderView:
    document = json.loads(row.document)
    said = {line["number"]: line for line in document.get("lines", [])}
    problem = _problem(row.problem)
    noted = problem[0] if problem else ""
    return OrderView(
        number=row.number,
        supplier=row.supplier,
        machine=row.machine,
        total=Money(row.total_minor, row.currency),
        state=row.state,
        authority=row.authority,
        rule=row.rule,
        decided_by=row.decided_by,
        provenance=row.provenance,
        lines=tuple(_line_view(line, component, row.currency, said.get(line.number, {})) for line, component in lines),
        freight=Money(document.get("freight", 0), row.currency),
        fees=Money(document.get("fees", 0), row.currency),
        created_at=row.created_at,
        changed_at=row.changed_at,
        quoted_until=row.quoted_until,
        promised_at=row.promised_at,
        supplier_reference=row.supplier_reference,
        problem=problem,
        order_hash=row.order_hash,
        policy_version=row.policy_version,
        releasable=row.quarantined_at is not None or noted in SEEN,
    )


def _line_view(row: Row[Any], component: str, currency: str, said: Mapping[str, Any]) -> LineView:
    return LineView(
        number=row.number,
        component=component,
        item=row.item,
        description=said.get("description", ""),
        mpn=said.get("mpn", ""),
        sku=row.sku,
        quantity=row.quantity,
        unit=row.unit,
        unit_price=row.unit_price,
        per=row.per,
        amount=Money(said.get("amount", 0), currency),
        confirmed=row.confirmed,
        shipped=row.shipped,
        received=row.received,
        invoiced=row.invoiced,
    )


def _problem(stored: str) -> tuple[str, Mapping[str, str]] | None:
    if not stored:
        return None
    try:
        said = json.loads(stored)
        return str(said["code"]), {str(key): str(value) for key, value in said.get("parameters", {}).items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return stored, {}


WAITING = (OrderState.AWAITING_APPROVAL, OrderState.NEEDS_PERSON)
"""Where an order goes no further without a person."""


async def waiting(spend: AsyncConnection, owner: Owner) -> list[OrderView]:
    """Return the orders that wait for a person, the one whose quotation ends first in front.

    They go no further by themselves, or are set apart, or something is noted on them that a person must know.
    """
    table = store.purchase_order
    query = select(table).where(table.c.plant == owner.plant, _wants_a_person())
    found = await _views(spend, owner, query.order_by(table.c.quoted_until, table.c.number).limit(LIST_MAX))
    return sorted(found, key=lambda view: (view.quoted_until, view.number))


def _wants_a_person() -> ColumnElement[bool]:
    table = store.purchase_order.c
    noted = (table.problem != "") & table.state.not_in(ENDED) & ~_says(BROKE)
    return or_(table.state.in_(WAITING), table.quarantined_at.is_not(None), noted, *(_says(code) for code in SEEN))


def _says(code: str) -> ColumnElement[bool]:
    return store.purchase_order.c.problem.startswith(f'{{"code": "{code}"', autoescape=True)


@dataclass(frozen=True, slots=True)
class SetApartView:
    """A requisition that the program failed at too often, by its id; nothing asks for it until it is released."""

    requisition: str
    component: str
    item: str
    since: datetime
    problem: tuple[str, Mapping[str, str]] | None

    def as_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "requisition": self.requisition,
            "component": self.component,
            "item": self.item,
            "state": "quarantined",
            "since": text_of(self.since),
            "problem": None if self.problem is None else {"code": self.problem[0], "parameters": dict(self.problem[1])},
        }


async def set_apart(spend: AsyncConnection, owner: Owner) -> list[SetApartView]:
    """Return the requisitions that are quarantined, the oldest first."""
    table = store.requisition.c
    query = (
        select(table.id, table.component, table.item, table.quarantined_at, table.problem)
        .where(table.plant == owner.plant, table.quarantined_at.is_not(None))
        .order_by(table.quarantined_at, table.id)
        .limit(LIST_MAX)
    )
    return [
        SetApartView(row.id, row.component, row.item, row.quarantined_at, _problem(row.problem))
        for row in await spend.execute(query)
    ]
