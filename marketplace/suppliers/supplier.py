"""The port for suppliers: what each can do, and what its failures allow us to do next.

Three errors, by what may follow: `SupplierUnavailable`, nothing was sent, ask again later; `SupplierRejected`, the
answer is no, stop; `OutcomeUnknown`, it may have been bought, ask and never simply send again (`ReferenceTaken`: under
our number, but perhaps not by us; only the order's hash, or a person, tells). An adapter sends only
what a `SpendPermit` allows, byte for byte, and matches answers by our reference only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from marketplace.authority.permit import SpendPermit
from marketplace.catalogue import Item
from marketplace.documents import (
    OrderResponse,
    PurchaseOrder,
    Quotation,
    RequestForQuotation,
    SupplierDocument,
)
from marketplace.store import Database, Owner

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from marketplace.settings import SupplierSettings


class SupplierError(Exception):
    """Base of what a supplier's failure allows; `str()` is a sentence for people."""


class SupplierUnavailable(SupplierError):
    """Nothing was sent, so nothing was bought; ask again later."""


class SupplierRejected(SupplierError):
    """The supplier said no, and will say no again; stop."""


class OutcomeUnknown(SupplierError):
    """The order may have been placed; ask what became of it, never send again blindly."""


class ReferenceTaken(OutcomeUnknown):
    """The supplier has an order under our number and does not take this one for it: ours from before, or another's."""


class NotSupported(SupplierError):
    """The supplier has no such service; what is not declared does not exist."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a supplier can do; the default is nothing.

    idempotency_key: how long the supplier remembers a key; None: it does not know keys.
    lookup_window: how long after a send a look-up by our reference may still miss it; None: no look-up.
    """

    quotes: bool = False
    search: bool = False
    cancel: bool = False
    documents: bool = False
    idempotency_key: timedelta | None = None
    lookup_window: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """One hit of a search: a supplier's SKU for an item that it names by manufacturer and MPN."""

    supplier: str
    sku: str
    item: Item


class Supplier(Protocol):
    """One supplier."""

    name: str
    capabilities: Capabilities

    def encode(self, order: PurchaseOrder) -> bytes:
        """Return the exact request bytes of an order; pure, so that they can be stored before they are sent."""

    async def search(self, text: str) -> Sequence[Offer]:
        """Return what the supplier offers under a text. Raises `SupplierUnavailable`, `NotSupported`."""

    async def quote(self, request: RequestForQuotation) -> Quotation:
        """Return an offer for every line of the request. Raises `SupplierUnavailable`, `SupplierRejected`."""

    async def place(self, permit: SpendPermit) -> OrderResponse:
        """Send exactly `permit.request_bytes` once. Raises all three errors."""

    async def find(self, reference: str) -> OrderResponse | None:
        """Return what the supplier knows of our order number, None if nothing. Raises `SupplierUnavailable`."""

    async def cancel(self, reference: str) -> OrderResponse:
        """Ask to cancel; the response says REJECTED when the order is off. Raises all three errors, `NotSupported`."""

    async def documents(self, reference: str) -> Sequence[SupplierDocument]:
        """Return every document about our order that the supplier has, oldest first. Raises `SupplierUnavailable`."""

    async def close(self) -> None:
        """Release what the adapter holds open."""


@dataclass(frozen=True, slots=True)
class SupplierContext:
    """What the composition root lends to every adapter; an adapter takes what it needs and closes none of it.

    session: HTTP client with the site's proxy and certificate authority (`suppliers.http.client_session`).
    base: the directory that relative file names in the config start from.
    allow_private_targets: the site lets suppliers be on its own network.
    """

    database: Database
    owner: Owner
    clock: Callable[[], datetime]
    base: Path
    session: ClientSession | None = None
    allow_private_targets: bool = False


class SupplierType(Protocol):
    """What an adapter's class offers: its own settings, and one way to be built."""

    Settings: ClassVar[type[SupplierSettings]]

    def build(self, name: str, settings: Any, context: SupplierContext) -> Supplier:
        """Return the supplier that the config calls `name`; a classmethod. Opens nothing but its secret."""
