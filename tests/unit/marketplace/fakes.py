"""Suppliers that keep the port and misbehave behind it, and a plant around one purchase; for every test of buying.

`bought` is the supplier's own book: one entry for each order that it would deliver and bill. Whatever the gateway
believes, two entries for one want are money spent twice.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from maintenance.needs import Belief, Evidence, JobKind, JobLine, Need, Provenance
from marketplace import store
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import gate
from marketplace.authority.gate import Approver
from marketplace.authority.permit import SpendPermit, require
from marketplace.authority.policy import Mode
from marketplace.catalogue import Item
from marketplace.documents import (
    Delivery,
    DespatchAdvice,
    Invoice,
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
from marketplace.ordering.purchase import Purchasing, PurchasingTerms
from marketplace.ordering.reconciliation import Reconciliation
from marketplace.settings import BuyingSettings
from marketplace.store import Database, Owner
from marketplace.suppliers.supplier import (
    Capabilities,
    NotSupported,
    Offer,
    OutcomeUnknown,
    SupplierRejected,
    SupplierUnavailable,
)
from marketplace.timing import Advice, TimingTerms, advise
from marketplace.windows import PlantWindows, Windows

BEARING = Item("bearing-7014", "Nordlager", "NL-7014-P4", "Angular contact bearing 7014", "C62")
CALIBRATION = Item("calibration", "Messhaus", "CAL-1", "Calibration on site", "C62")
CATALOGUE = {item.key: item for item in (BEARING, CALIBRATION)}
DELIVERY = Delivery("Northworks GmbH", "DE123456789", "Hall 2", "Office", "Anna", "4711", "PR-4711")
ANNA = Actor(ActorKind.PERSON, "anna", "socket")
APPROVER = Approver("anna", may_approve=True, limit=Money(500_000, "EUR"), may_apply_policy=True)
LINE = JobLine("bearing", BEARING.key, Decimal(2), "C62", JobKind.PART)
SERVICE = JobLine("calibration", CALIBRATION.key, Decimal(1), "C62", JobKind.SERVICE)
ECONOMICS = BuyingSettings(lead_time="14 d", price="61.50 EUR", standstill="900 EUR/h")
EVERYTHING = Capabilities(
    quotes=True,
    cancel=True,
    documents=True,
    idempotency_key=timedelta(hours=24),
    lookup_window=timedelta(minutes=2),
)
BLIND = Capabilities(quotes=True)
"""No key, no look-up, no documents: what such a supplier does not say, only a person can find out."""


_ANY_PACE = {"minute": 1_000_000, "hour": 1_000_000, "day": 1_000_000}
EASY_GOING = {
    "duplicates": False,
    "plant_orders": _ANY_PACE,
    "supplier_orders": _ANY_PACE,
    "exposure": "1000000 EUR",
}
"""Checks for tests that buy the same again and again within a moment; what the checks find has tests of its own."""


@dataclass
class Clock:
    """Plant time that moves when a test says so."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


class AcceptingSupplier:
    """Offers, takes orders, confirms at once, ships and bills when told; honest in everything it declares."""

    def __init__(
        self, name: str, clock: Clock, *, price: str = "61.50", capabilities: Capabilities = EVERYTHING
    ) -> None:
        self.name = name
        self.capabilities = capabilities
        self.clock = clock
        self.price = Decimal(price)
        self.pack = Decimal(1)
        self.valid_for = timedelta(days=14)
        self.bought: list[str] = []
        self.sent: list[tuple[str, str, bytes]] = []
        self.asked: list[str] = []
        self.answers: dict[str, list[SupplierDocument]] = {}
        self._by_key: dict[str, OrderResponse] = {}

    def encode(self, order: PurchaseOrder) -> bytes:
        return canonical(order.document())

    async def search(self, text: str) -> Sequence[Offer]:
        raise NotSupported(self.name)

    async def quote(self, request: RequestForQuotation) -> Quotation:
        self.asked.append(request.reference)
        lines = tuple(
            QuotationLine(
                line.number,
                f"SKU-{line.item.key}",
                Quantity(math.ceil(line.quantity.amount / self.pack) * self.pack, line.quantity.unit),
                UnitPrice(self.price, request.currency),
                Decimal(5),
                None,
            )
            for line in request.lines
        )
        free = Money(0, request.currency)
        return Quotation(self.name, f"Q-{request.reference}", lines, free, free, self.clock() + self.valid_for)

    async def place(self, permit: SpendPermit) -> OrderResponse:
        return self.accept(permit)

    def accept(self, permit: SpendPermit) -> OrderResponse:
        """Take an order into the book, unless a key that is remembered says that it is there."""
        require(permit, self.name, self.clock())
        self.sent.append((permit.reference, permit.key, permit.request_bytes))
        if self.capabilities.idempotency_key is not None and permit.key in self._by_key:
            return self._by_key[permit.key]
        response = self.response(json.loads(permit.request_bytes))
        self.bought.append(permit.reference)
        self._by_key[permit.key] = response
        self.answers.setdefault(permit.reference, []).append(response)
        return response

    def response(self, order: dict[str, Any]) -> OrderResponse:
        """Say what the order said."""
        currency = order["currency"]
        lines = tuple(
            ResponseLine(
                line["number"],
                line["sku"],
                Quantity(Decimal(line["quantity"]), line["unit"]),
                UnitPrice(Decimal(line["unit_price"]), currency, Decimal(line["per"])),
            )
            for line in order["lines"]
        )
        promised = self.clock() + timedelta(days=5)
        total = Money(order["total"], currency)
        return OrderResponse(order["number"], f"{self.name}-1", Reply.CONFIRMED, lines, total, promised)

    async def find(self, reference: str) -> OrderResponse | None:
        if self.capabilities.lookup_window is None:
            raise NotSupported(self.name)
        responses = [each for each in self.answers.get(reference, []) if isinstance(each, OrderResponse)]
        return responses[-1] if responses else None

    async def cancel(self, reference: str) -> OrderResponse:
        confirmed = await self.find(reference)
        assert confirmed is not None
        self.bought.remove(reference)
        off = replace(confirmed, reply=Reply.REJECTED)
        self.answers[reference].append(off)
        return off

    async def documents(self, reference: str) -> Sequence[SupplierDocument]:
        if not self.capabilities.documents:
            raise NotSupported(self.name)
        return tuple(self.answers.get(reference, ()))

    def ship(self, reference: str, quantity: str = "2", despatch: str = "D-1") -> None:
        """Send goods of line 1."""
        advice = DespatchAdvice(reference, despatch, {1: Decimal(quantity)}, self.clock(), None)
        self.answers[reference].append(advice)

    def bill(self, reference: str, total: Money, invoice: str = "I-1") -> None:
        """Send an invoice."""
        self.answers[reference].append(Invoice(reference, invoice, total, self.clock()))

    async def close(self) -> None:
        pass


class DroppingSupplier(AcceptingSupplier):
    """Takes the order and then says nothing, the first few times."""

    drops = 1

    async def place(self, permit: SpendPermit) -> OrderResponse:
        response = self.accept(permit)
        if len(self.sent) <= self.drops:
            raise OutcomeUnknown(permit.reference)
        return response


class VanishingSupplier(AcceptingSupplier):
    """Loses the order on the way, the first few times: nobody can tell it from a dropped answer."""

    vanishes = 1

    async def place(self, permit: SpendPermit) -> OrderResponse:
        if len(self.sent) < self.vanishes:
            require(permit, self.name, self.clock())
            self.sent.append((permit.reference, permit.key, permit.request_bytes))
            raise OutcomeUnknown(permit.reference)
        return self.accept(permit)


class BrokenSupplier(AcceptingSupplier):
    """Takes the order; its adapter then breaks in a way that nobody foresaw."""

    async def place(self, permit: SpendPermit) -> OrderResponse:
        self.accept(permit)
        raise ZeroDivisionError


class UnavailableSupplier(AcceptingSupplier):
    """Cannot be reached, the first few times."""

    failures = 1

    async def place(self, permit: SpendPermit) -> OrderResponse:
        if self.failures:
            self.failures -= 1
            raise SupplierUnavailable(self.name)
        return self.accept(permit)


class SilentSupplier(AcceptingSupplier):
    """Quotes, and cannot be reached for anything else."""

    async def place(self, permit: SpendPermit) -> OrderResponse:
        raise OutcomeUnknown(permit.reference)

    async def find(self, reference: str) -> OrderResponse | None:
        raise SupplierUnavailable(self.name)

    async def documents(self, reference: str) -> Sequence[SupplierDocument]:
        raise SupplierUnavailable(self.name)


class RejectingSupplier(AcceptingSupplier):
    """Says no to every order."""

    async def place(self, permit: SpendPermit) -> OrderResponse:
        raise SupplierRejected("no account")


class SlowSupplier(AcceptingSupplier):
    """Takes the order, and answers when nobody listens any more."""

    async def place(self, permit: SpendPermit) -> OrderResponse:
        self.accept(permit)
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


class DearerSupplier(AcceptingSupplier):
    """Confirms at another price than it quoted."""

    def response(self, order: dict[str, Any]) -> OrderResponse:
        said = super().response(order)
        line = replace(said.lines[0], unit_price=UnitPrice(self.price + 1, order["currency"]))
        return replace(said, lines=(line,), total=Money(said.total.minor + 200, said.total.currency))


class ForeignSupplier(AcceptingSupplier):
    """Confirms the same figures in another currency."""

    def response(self, order: dict[str, Any]) -> OrderResponse:
        return super().response({**order, "currency": "USD"})


class MisaddressedSupplier(AcceptingSupplier):
    """Answers about an order of somebody else."""

    def response(self, order: dict[str, Any]) -> OrderResponse:
        return super().response({**order, "number": "TC-ZZ-000001-A"})


class ReceivingSupplier(AcceptingSupplier):
    """Says that it has the order, and confirms later."""

    def response(self, order: dict[str, Any]) -> OrderResponse:
        return replace(super().response(order), reply=Reply.RECEIVED, lines=(), promised_at=None)

    def confirm(self, order: PurchaseOrder) -> OrderResponse:
        said = AcceptingSupplier.response(self, order.document())
        self.answers[order.number].append(said)
        return said


class AwaySupplier(AcceptingSupplier):
    """Does not even quote."""

    async def quote(self, request: RequestForQuotation) -> Quotation:
        raise SupplierUnavailable(self.name)


def a_need(now: datetime, *, provenance: Provenance = Provenance.A, life: str = "life-1", known: bool = True) -> Need:
    """A spindle bearing that fails within ten days, likely."""
    belief = Belief.of(
        [0.0, 120.0, 240.0, 480.0],
        [1.0, 0.9, 0.4, 0.0],
        unit="h",
        use_per_hour=1.0,
        as_of=now,
        provenance=provenance,
        known=known,
    )
    evidence = (Evidence("LEVEL_NEAR_LIMIT", {"tag": "mill/spindle-vibration"}),)
    return Need(
        "mill",
        "mill/spindle-bearing",
        life,
        1,
        "Replace the spindle bearing",
        (LINE, SERVICE),
        belief,
        0.4,
        evidence,
        now,
    )


def advice(now: datetime, *, buy: bool = True) -> Advice:
    """What timing says of it: with a probability of 61 % it fails before a part is there."""
    terms = TimingTerms(timedelta(days=10), timedelta(hours=6), timedelta(0), 0.6 if buy else 0.7)
    return advise(a_need(now).belief, terms, now)


def roomy(suppliers: Iterable[str] = ("supplier-1",)) -> dict[str, Any]:
    """What to change in a policy so that the same order may be sent, and reserved, five times over."""
    mandate = policy_for(suppliers)["mandate"] | {"per_order": "5000 EUR"}
    return {"mandate": mandate, "window": {"days": 30, "per_machine": "20000 EUR"}}


def policy_for(suppliers: Iterable[str], **changes: Any) -> dict[str, Any]:
    """A policy under which the bearing may be bought from these suppliers without a person."""
    return {
        "schema": 1,
        "mandate": {
            "granted_by": "anna",
            "machines": ["*"],
            "per_order": "500 EUR",
            "until": "2027-12-31T00:00:00Z",
        },
        "window": {"days": 30, "per_machine": "2000 EUR"},
        "modes": {"default": "buy"},
        "known": {name: list(CATALOGUE) for name in suppliers},
        "checks": EASY_GOING,
        **changes,
    }


def everywhere(windows: Windows) -> PlantWindows:
    """The windows of a plant whose machines all have the same."""
    return PlantWindows(tuple((each, ()) for each in (*windows.weekly, *windows.once)), windows.zone)


@dataclass
class Plant:
    """One gateway with its suppliers; `restart` forgets everything that is not durable."""

    database: Database
    owner: Owner
    clock: Clock
    suppliers: dict[str, Any]
    terms: PurchasingTerms = field(
        default_factory=lambda: PurchasingTerms(
            "EUR", "DE", DELIVERY, quote_deadline=timedelta(seconds=5), wire_timeout=timedelta(seconds=5)
        )
    )
    purchasing: Purchasing = field(init=False)
    reconciliation: Reconciliation = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.purchasing = Purchasing(self.database, self.owner, self.suppliers, CATALOGUE, self.terms, self.clock)
        self.reconciliation = Reconciliation(self.purchasing)

    async def apply_policy(self, **changes: Any) -> None:
        async with self.database.write() as tx:
            await gate.apply_policy(tx, self.owner, policy_for(self.suppliers, **changes), APPROVER, self.clock())

    async def want(
        self, line: JobLine = LINE, mode: Mode = Mode.BUY, *, job: Sequence[JobLine] = (), **need: Any
    ) -> str | None:
        """Tell the need, of a job of this line alone or of `job`; returns the requisition's id, None for none."""
        now = self.clock()
        told = replace(a_need(now, **need), lines=tuple(job) or (line,), duration=timedelta(hours=6))
        raised = await self.purchasing.want(told, line, advice(now), mode, ECONOMICS)
        return raised.id if raised else None

    async def rows(self, table: Any) -> list[Any]:
        async with self.database.read() as tx:
            return list(await tx.execute(select(table)))

    async def order(self) -> Any:
        """The newest order's row."""
        return (await self.orders())[-1]

    async def orders(self) -> list[Any]:
        return sorted(await self.rows(store.purchase_order), key=lambda row: row.number)

    async def states(self) -> list[str]:
        return [row.state for row in await self.orders()]

    async def requisition(self) -> Any:
        """The newest requisition's row."""
        return sorted(await self.rows(store.requisition), key=lambda row: (row.created_at, row.changed_at))[-1]

    async def approve(self) -> Any:
        row = await self.order()
        return await self.purchasing.approve(row.number, row.order_hash, APPROVER, "socket", "go")

    async def passes(self, number: int, **apart: float) -> None:
        """Reconcile a few times, with plant time between."""
        for _ in range(number):
            await self.reconciliation.run_once()
            self.clock.forward(**(apart or {"minutes": 5}))
