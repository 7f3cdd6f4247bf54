"""Our HTTP adapter against the simulated market on real loopback HTTP."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from marketplace.money import Quantity
from marketplace.settings import SecretReference
from marketplace.suppliers.contract import NOW, SupplierContract
from marketplace.suppliers.http import HttpSettings, HttpSupplier
from marketplace.suppliers.outbound import client_session
from marketplace.suppliers.simulator.catalogue import ITEMS
from marketplace.suppliers.simulator.market import Market
from marketplace.suppliers.supplier import SupplierContext


@pytest.fixture(params=["kontor", "express", "maker"])
def business(request) -> str:
    return request.param


class TestHttpSupplier(SupplierContract):
    @pytest.fixture
    async def supplier(self, tmp_path: Path, business, spend, owner) -> AsyncIterator[HttpSupplier]:
        async with (
            Market(tmp_path / "market", clock=lambda: NOW) as market,
            client_session(allow_private_targets=True) as session,
        ):
            settings = HttpSettings(
                adapter="http",
                name="Kontor",
                account="K-1",
                url=market.ready.addresses[business],
                token=SecretReference(file=market.ready.tokens[business]),
                idempotency_key="24 h",
            )
            context = SupplierContext(spend, owner, lambda: NOW, tmp_path, session, allow_private_targets=True)
            yield HttpSupplier.build(business, settings, context)

    @pytest.fixture
    def wanted(self):
        return ITEMS["bearing-7014"], Quantity(Decimal(2), "C62")
