"""A supplier in this process that answers at once: what is measured with it is ours alone.

It keeps the promise of `marketplace.suppliers.supplier.Supplier` for quoting and placing, and declares nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from marketplace.authority.permit import SpendPermit, require
from marketplace.documents import (
    OrderResponse,
    PurchaseOrder,
    Quotation,
    QuotationLine,
    Reply,
    RequestForQuotation,
    ResponseLine,
    SupplierDocument,
    canonical,
)
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.suppliers.supplier import Capabilities, NotSupported, Offer


class InstantShop:
    """Offers everything at one price, and confirms what it is sent; `now` is the only time that it knows."""

    capabilities = Capabilities(quotes=True)

    def __init__(self, name: str, now: datetime) -> None:
        self.name = name
        self._now = now

    def encode(self, order: PurchaseOrder) -> bytes:
        """Return the order's canonical form."""
        return canonical(order.document())

    async def search(self, text: str) -> Sequence[Offer]:
        """Nothing can be searched for."""
        raise NotSupported(self.name)

    async def quote(self, request: RequestForQuotation) -> Quotation:
        """Offer every line as it is asked for, for a year."""
        price = UnitPrice(Decimal("61.50"), request.currency)
        lines = tuple(
            QuotationLine(line.number, "S-1", line.quantity, price, Decimal(5), None) for line in request.lines
        )
        free = Money(0, request.currency)
        until = self._now.replace(year=self._now.year + 1)
        return Quotation(self.name, f"Q-{request.reference}", lines, free, free, until)

    async def place(self, permit: SpendPermit) -> OrderResponse:
        """Confirm exactly what was permitted."""
        require(permit, self.name, self._now)
        order = json.loads(permit.request_bytes)
        lines = tuple(
            ResponseLine(
                line["number"],
                line["sku"],
                Quantity(Decimal(line["quantity"]), line["unit"]),
                UnitPrice(Decimal(line["unit_price"]), order["currency"], Decimal(line["per"])),
            )
            for line in order["lines"]
        )
        total = Money(order["total"], order["currency"])
        return OrderResponse(order["number"], "S-1", Reply.CONFIRMED, lines, total, self._now)

    async def find(self, reference: str) -> OrderResponse | None:
        """Nothing is looked up."""
        raise NotSupported(self.name)

    async def cancel(self, reference: str) -> OrderResponse:
        """Nothing is cancelled."""
        raise NotSupported(self.name)

    async def documents(self, reference: str) -> Sequence[SupplierDocument]:
        """There are no documents."""
        raise NotSupported(self.name)

    async def close(self) -> None:
        """Nothing is open."""
