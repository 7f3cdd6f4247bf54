"""One bearing from one supplier, and what the gate wants to know about it; builders for tests of money and record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maintenance.needs import Provenance
from marketplace import store
from marketplace.authority.approval import Approver
from marketplace.authority.policy import Circumstances, Mode
from marketplace.catalogue import Item
from marketplace.documents import Delivery, OrderLine, PurchaseOrder, canonical
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.store import Owner

BEARING = Item("bearing-7014", "Nordlager", "NL-7014-P4", "Angular contact bearing 7014", "C62")

MakeOrder = Callable[..., PurchaseOrder]
StoreOrder = Callable[..., Awaitable[None]]


@pytest.fixture
def make_order(now: datetime, owner: Owner) -> MakeOrder:
    def make(number: str = "G1-0001-A", *, price: str = "61.50", quantity: str = "2", **changes: Any) -> PurchaseOrder:
        line = OrderLine(
            1,
            ("r1",),
            BEARING,
            "L-7014",
            Quantity(Decimal(quantity), "C62"),
            UnitPrice(Decimal(price), changes.pop("currency", "EUR")),
        )
        order = PurchaseOrder(
            number=number,
            plant=owner.plant,
            gateway=owner.gateway_id,
            supplier="cheap-and-slow",
            account="K-20991",
            quotation="Q-1",
            lines=(line,),
            freight=Money(900, line.unit_price.currency),
            fees=Money(0, line.unit_price.currency),
            deliver_by=now + timedelta(days=20),
            quoted_until=now + timedelta(days=14),
            delivery=Delivery("Northworks GmbH", "DE123456789", "Hall 2", "Office", "Anna", "4711", "PR-4711"),
        )
        return replace(order, **changes)

    return make


@pytest.fixture
def circumstances() -> Circumstances:
    """Circumstances in which nothing asks for a person."""
    return Circumstances(
        stopped=None,
        mode=Mode.BUY,
        provenance=Provenance.A,
        known_history=True,
        machine="mill",
        component="mill/spindle-bearing",
        asked_by="G1",
        first_order_at_supplier=False,
        first_purchase_of_item=False,
        supplier_suspended=False,
        wanted={1: Quantity(Decimal(2), "C62")},
        last_prices={"bearing-7014": UnitPrice(Decimal(60), "EUR")},
        quoted={1: UnitPrice(Decimal(5000), "EUR")},
        own_prices={"bearing-7014": UnitPrice(Decimal(60), "EUR")},
        similar=(),
        plant_orders={"minute": 0, "hour": 0, "day": 0},
        supplier_orders={"minute": 0, "hour": 0, "day": 0},
        exposure={},
    )


@pytest.fixture
def policy_document() -> dict[str, Any]:
    """What a plant writes into its policy file."""
    return {
        "schema": 1,
        "mandate": {
            "granted_by": "anna",
            "machines": ["*"],
            "per_order": "500 EUR",
            "until": "2027-12-31T00:00:00Z",
        },
        "window": {"days": 30, "per_machine": "2000 EUR"},
        "amounts": "net",
        "modes": {"default": "ask", "mill/spindle-bearing": "buy"},
        "known": {"cheap-and-slow": ["bearing-7014"]},
    }


@pytest.fixture
def anna() -> Approver:
    return Approver("anna", may_approve=True, limit=Money(500_000, "EUR"), may_apply_policy=True)


@pytest.fixture
def store_order(owner: Owner, now: datetime) -> StoreOrder:
    """Write an order's row as `ordering` does before it asks the gate."""

    async def keep(tx: AsyncConnection, order: PurchaseOrder, state: str = "proposed", machine: str = "mill") -> None:
        await tx.execute(
            insert(store.purchase_order).values(
                number=order.number,
                **owner.columns,
                supplier=order.supplier,
                machine=machine,
                state=state,
                currency=order.currency,
                total_minor=order.total.minor,
                document=canonical(order.document()).decode(),
                order_hash=order.hash,
                key=f"key-{order.number}",
                request_bytes=b"<order/>",
                provenance="A",
                authority="",
                decided_by="",
                rule="",
                policy_version=0,
                quoted_until=order.quoted_until,
                supplier_reference="",
                problem="",
                created_at=now,
                changed_at=now,
            )
        )

    return keep


@pytest.fixture
def move() -> Callable[..., Awaitable[None]]:
    """Set an order's state, as `ordering` does along its edges."""

    async def move(tx: AsyncConnection, number: str, **columns: Any) -> None:
        await tx.execute(update(store.purchase_order).where(store.purchase_order.c.number == number).values(**columns))

    return move
