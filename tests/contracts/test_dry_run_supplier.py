"""A dry run keeps every promise of a supplier, except that nothing is bought."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from marketplace.money import Quantity
from marketplace.suppliers.contract import NOW, REFERENCE, SupplierContract
from marketplace.suppliers.dry_run import DryRunSettings, DryRunSupplier
from marketplace.suppliers.outbound import client_session
from marketplace.suppliers.simulator.catalogue import ITEMS
from marketplace.suppliers.simulator.market import Market, supplier_entries
from marketplace.suppliers.simulator.shop import Refusal
from marketplace.suppliers.supplier import SupplierContext


class TestDryRunSupplier(SupplierContract):
    @pytest.fixture
    async def market(self, tmp_path: Path) -> AsyncIterator[Market]:
        async with Market(tmp_path / "market", clock=lambda: NOW) as market:
            yield market

    @pytest.fixture
    async def supplier(self, tmp_path: Path, market, spend, owner) -> AsyncIterator[DryRunSupplier]:
        of = supplier_entries(market.ready)["kontor"]
        settings = DryRunSettings.model_validate({"adapter": "dry_run", "name": "Practice", "of": of})
        async with client_session(allow_private_targets=True) as session:
            context = SupplierContext(spend, owner, lambda: NOW, tmp_path, session, allow_private_targets=True)
            yield DryRunSupplier.build("kontor", settings, context)

    @pytest.fixture
    def wanted(self):
        return ITEMS["bearing-7014"], Quantity(Decimal(2), "C62")

    async def test_the_real_supplier_never_hears_of_an_order(self, supplier, market, order, permit_for):
        await supplier.place(permit_for(order))
        with pytest.raises(Refusal, match="no order"):
            market.shops["kontor"].find(REFERENCE)
