"""The supplier on the phone, on a real spend database."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from marketplace.audit.actor import Actor, ActorKind
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.suppliers.by_hand import ByHandSettings, ByHandSupplier, enter_prices
from marketplace.suppliers.contract import NOW, SupplierContract
from marketplace.suppliers.price_list import PriceRow
from marketplace.suppliers.simulator.catalogue import ITEMS
from marketplace.suppliers.supplier import SupplierContext


class TestByHandSupplier(SupplierContract):
    @pytest.fixture
    async def supplier(self, tmp_path: Path, spend, owner) -> ByHandSupplier:
        row = PriceRow(
            item="bearing-7014",
            sku="7014-P4",
            unit_price=UnitPrice(Decimal("391.50"), "EUR"),
            unit="C62",
            pack=Decimal(1),
            freight=Money.of("7.50", "EUR"),
            lead_time_days=Decimal(3),
            valid_until=NOW + timedelta(days=30),
        )
        async with spend.write() as tx:
            await enter_prices(tx, owner, "corner-shop", [row], Actor(ActorKind.PERSON, "anna", "socket"), NOW)
        settings = ByHandSettings(adapter="by_hand", name="Huber Werkzeuge", phone="+49 711 555 0177")
        return ByHandSupplier.build("corner-shop", settings, SupplierContext(spend, owner, lambda: NOW, tmp_path))

    @pytest.fixture
    def wanted(self):
        return ITEMS["bearing-7014"], Quantity(Decimal(2), "C62")
