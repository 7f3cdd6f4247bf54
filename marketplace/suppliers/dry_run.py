"""A supplier that buys nothing: it asks a real one for offers, and answers orders itself.

A dry run is an adapter like any other, so nothing else in the program knows of it: proposals, decisions, approvals
and the audit are those of a real purchase, and only the last step leaves nothing. An order counts as received and
stays so; there is nothing to look up, to cancel or to be delivered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from gettext import gettext as _
from typing import Any, ClassVar

from pydantic import SerializeAsAny, field_validator

from marketplace.authority.permit import SpendPermit, require
from marketplace.documents import (
    OrderResponse,
    PurchaseOrder,
    Quotation,
    Reply,
    RequestForQuotation,
    SupplierDocument,
    canonical,
)
from marketplace.money import Money
from marketplace.settings import SupplierSettings, supplier_type
from marketplace.suppliers.supplier import Capabilities, NotSupported, Offer, Supplier, SupplierContext


class DryRunSettings(SupplierSettings):
    """`of`: the real supplier's settings, whose offers are asked for and who never gets an order."""

    of: SerializeAsAny[SupplierSettings]

    @field_validator("of", mode="before")
    @classmethod
    def _by_its_own_adapter(cls, value: Any) -> Any:
        if isinstance(value, SupplierSettings):
            return value
        if not isinstance(value, dict) or not isinstance(value.get("adapter"), str):
            raise ValueError("a dry run needs the real supplier's settings, with its adapter")
        if value["adapter"] == "dry_run":
            raise ValueError("a dry run of a dry run buys no less")
        return supplier_type(value["adapter"]).Settings.model_validate(value)


class DryRunSupplier:
    """Offers of a real supplier, and orders that go nowhere."""

    Settings: ClassVar[type[SupplierSettings]] = DryRunSettings

    def __init__(self, name: str, real: Supplier, clock: Callable[[], datetime]) -> None:
        self.name = name
        self.capabilities = Capabilities(quotes=real.capabilities.quotes, search=real.capabilities.search)
        self._real = real
        self._clock = clock

    @classmethod
    def build(cls, name: str, settings: DryRunSettings, context: SupplierContext) -> DryRunSupplier:
        """Return the dry run, with the real supplier behind it under the same name."""
        real = supplier_type(settings.of.adapter).build(name, settings.of, context)
        return cls(name, real, context.clock)

    def encode(self, order: PurchaseOrder) -> bytes:
        """Return the order's canonical form."""
        return canonical(order.document())

    async def search(self, text: str) -> Sequence[Offer]:
        """Return what the real supplier has."""
        return await self._real.search(text)

    async def quote(self, request: RequestForQuotation) -> Quotation:
        """Return the real supplier's offer."""
        return await self._real.quote(request)

    async def place(self, permit: SpendPermit) -> OrderResponse:
        """Buy nothing, and say that the order was received."""
        require(permit, self.name, self._clock())
        order = json.loads(permit.request_bytes)
        total = Money(order["total"], order["currency"])
        reason = _("a dry run: nothing was bought")
        return OrderResponse(permit.reference, "", Reply.RECEIVED, (), total, None, reason)

    async def find(self, reference: str) -> OrderResponse | None:
        """There is nothing to look up."""
        raise NotSupported(_("{supplier} is a dry run").format(supplier=self.name))

    async def cancel(self, reference: str) -> OrderResponse:
        """There is nothing to cancel."""
        raise NotSupported(_("{supplier} is a dry run").format(supplier=self.name))

    async def documents(self, reference: str) -> Sequence[SupplierDocument]:
        """Nothing comes of nothing."""
        raise NotSupported(_("{supplier} is a dry run").format(supplier=self.name))

    async def close(self) -> None:
        """Close the real supplier's adapter."""
        await self._real.close()
