"""A market on loopback, and our adapter pointed at one of its suppliers."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import ClientSession

from marketplace.authority.issuing import issue
from marketplace.authority.permit import SpendPermit
from marketplace.documents import PurchaseOrder, RequestForQuotation
from marketplace.money import Quantity
from marketplace.settings import SecretReference
from marketplace.suppliers.contract import NOW, request_for
from marketplace.suppliers.http import HttpSettings, HttpSupplier
from marketplace.suppliers.outbound import client_session
from marketplace.suppliers.simulator.catalogue import ITEMS
from marketplace.suppliers.simulator.market import Market
from marketplace.suppliers.supplier import Supplier, SupplierContext


class PlantClock:
    """Plant time that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, span: timedelta) -> None:
        self.now += span


@pytest.fixture
def clock() -> PlantClock:
    return PlantClock()


@pytest.fixture
def request_() -> RequestForQuotation:
    return request_for(ITEMS["bearing-7014"], Quantity(Decimal(2), "C62"))


@pytest.fixture
async def market(tmp_path: Path, clock: PlantClock) -> AsyncIterator[Market]:
    async with Market(tmp_path / "market", clock=clock) as market:
        yield market


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with client_session(allow_private_targets=True) as session:
        yield session


@pytest.fixture
def connect(market, session, spend, owner, clock, tmp_path) -> Callable[..., HttpSupplier]:
    """Make our adapter for one supplier of the market; settings may be changed."""

    def connect(name: str = "kontor", **changes: object) -> HttpSupplier:
        settings = HttpSettings.model_validate(
            {
                "adapter": "http",
                "name": name.title(),
                "account": "K-1",
                "url": market.ready.addresses[name],
                "token": SecretReference(file=market.ready.tokens[name]),
                "idempotency_key": "24 h",
            }
            | changes
        )
        context = SupplierContext(spend, owner, clock, tmp_path, session, allow_private_targets=True)
        return HttpSupplier.build(name, settings, context)

    return connect


@pytest.fixture
def permit_for(clock: PlantClock) -> Callable[[Supplier, PurchaseOrder], SpendPermit]:
    def permit(supplier: Supplier, order: PurchaseOrder) -> SpendPermit:
        return issue(
            id=f"permit-{order.number}",
            supplier=supplier.name,
            reference=order.number,
            key=f"key-{order.number}",
            order_hash=order.hash,
            request_bytes=supplier.encode(order),
            ends_at=clock() + timedelta(minutes=5),
        )

    return permit
