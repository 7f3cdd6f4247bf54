"""Suppliers as they are: with keys, with a look-up that lags, with neither; honest, forgetful, slow, and lying.

A `Book` is the supplier's own truth and outlives every gateway; an adapter belongs to one run of the gateway and keeps
the supplier port. What is declared is kept: a look-up knows an order at the latest when its window has passed, a key is
remembered for its life, "unavailable" means that nothing was taken. Everything else may happen.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from marketplace.authority.permit import SpendPermit, require
from marketplace.documents import (
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
from marketplace.suppliers.supplier import (
    Capabilities,
    NotSupported,
    Offer,
    OutcomeUnknown,
    SupplierRejected,
    SupplierUnavailable,
)
from tests.campaigns.simulation.site import PRICES

if TYPE_CHECKING:
    from tests.campaigns.simulation.gateway import Gateway
    from tests.campaigns.simulation.world import World

DAY = 86_400.0
KEY_LIFE = timedelta(hours=24)
WINDOW = timedelta(minutes=20)
FATES = {
    "answered": 60, "unavailable": 6, "lost": 8, "dropped": 10, "late": 5, "broken": 2, "rejected": 3, "received": 4,
}  # fmt: skip
"""What becomes of a send, by weight."""
LIES = ("price", "currency", "quantity", "unit", "total", "sku", "lines", "other order")


@dataclass(frozen=True, slots=True)
class Character:
    """What a supplier is like. `lies`: the share of its confirmations that say something else than the order;
    `forgets`: the share of its orders that its look-up shows long after the window that it declares; `short`: the
    share of its orders of which it takes on all but one piece.
    """

    name: str
    capabilities: Capabilities
    price: float
    lead_days: float
    lies: float = 0.0
    pack: int = 1
    forgets: float = 0.0
    short: float = 0.0


_OPEN = Capabilities(quotes=True, cancel=True, documents=True)
CHARACTERS = (
    Character("keyed", replace(_OPEN, idempotency_key=KEY_LIFE), 1.00, 1.9),
    Character("indexed", replace(_OPEN, lookup_window=WINDOW), 1.00, 1.9),
    Character("thorough", replace(_OPEN, idempotency_key=KEY_LIFE, lookup_window=WINDOW), 1.02, 1.8),
    Character("by-phone", Capabilities(quotes=True), 0.99, 1.9),
    Character("liar", replace(_OPEN, idempotency_key=KEY_LIFE, lookup_window=WINDOW), 0.98, 1.9, lies=0.3),
    Character("sluggish", replace(_OPEN, lookup_window=WINDOW), 0.99, 1.9, forgets=0.5),
    Character("short", replace(_OPEN, idempotency_key=KEY_LIFE, lookup_window=WINDOW), 0.98, 1.9, short=0.4),
    Character("packs", Capabilities(quotes=True, cancel=True, lookup_window=WINDOW), 0.98, 1.9, pack=2),
)
"""Nearly alike in price and lead time, so that each is chosen often."""


@dataclass
class Entry:
    """One order in a supplier's book, to be delivered and billed until it is off."""

    supplier: str
    reference: str
    key: str
    document: dict[str, Any]
    at: float
    said: list[SupplierDocument] = field(default_factory=list)
    live: bool = True
    shipped: bool = False
    kept: bool = True  # on our terms
    shown_from: float = 0.0  # at the latest; what the look-up owes us by its window, if it keeps it
    part: OrderResponse | None = None  # all that it would take on
    agreed: OrderResponse | None = None  # the part that was settled for

    @property
    def minor(self) -> int:
        """What it costs on our terms."""
        return self.agreed.total.minor if self.agreed else int(self.document["total"])

    @property
    def quantities(self) -> dict[int, Decimal]:
        """What is to be delivered, by line."""
        if self.agreed:
            return {line.number: line.quantity.amount for line in self.agreed.lines}
        return {line["number"]: Decimal(line["quantity"]) for line in self.document["lines"]}


@dataclass
class Pallet:
    """Goods at the gate of the plant."""

    reference: str
    quantities: dict[int, Decimal]


class Book:
    """One supplier's truth."""

    def __init__(self, world: World, character: Character, rng: random.Random) -> None:
        self.world = world
        self.character = character
        self.name = character.name
        self.rng = rng
        self.entries: list[Entry] = []
        self.down_until = 0.0
        self.on_the_way: dict[str, int] = {}
        self.garbled_until = 0.0  # its documents break the adapter
        self.forgets = character.forgets > 0

    def of(self, reference: str) -> list[Entry]:
        """Return every entry of an order number; more than one live is an order placed twice."""
        return [entry for entry in self.entries if entry.reference == reference]

    def live(self, reference: str) -> list[Entry]:
        """Return what it would deliver and bill."""
        return [entry for entry in self.of(reference) if entry.live]

    def arrive(self, reference: str, key: str, request: bytes, *, only_received: bool = False) -> OrderResponse:
        """An order has reached the supplier: it is taken, unless its key says that it was taken before."""
        known = next((each for each in self.of(reference) if each.key == key), None)
        if known is not None and self.character.capabilities.idempotency_key is not None:
            return self._first(known)
        entry = Entry(self.name, reference, key, json.loads(request), self.world.seconds)
        if self.rng.random() < self.character.forgets:
            entry.shown_from = entry.at + self.rng.uniform(1, 20) * 3600
            self.world.trace.fault("look-up forgets", self.name, reference)
        self.entries.append(entry)
        self.world.trace.tell("accepted", self.name, reference, entry.minor)
        self.world.checker.accepted(entry)
        polite = only_received and (self.character.capabilities.documents or self.character.capabilities.lookup_window)
        entry.said.append(self._received(entry) if polite else self._confirmation(entry))
        if polite:
            self.world.later(self.rng.uniform(0.1, 0.8) * DAY, self._confirm, entry)
        self.world.later(self.rng.uniform(0.5, 1.2) * self.character.lead_days * DAY, self._ship, entry)
        return self._first(entry)

    @staticmethod
    def _first(entry: Entry) -> OrderResponse:
        first = entry.said[0]
        assert isinstance(first, OrderResponse)
        return first

    def _confirm(self, entry: Entry) -> None:
        if entry.live:
            entry.said.append(self._confirmation(entry))
            self.world.trace.tell("confirmed late", self.name, entry.reference)

    def _received(self, entry: Entry) -> OrderResponse:
        return replace(self.truth(entry), reply=Reply.RECEIVED, lines=(), promised_at=None)

    def truth(self, entry: Entry) -> OrderResponse:
        """Return the confirmation that says what the order said."""
        order, currency = entry.document, entry.document["currency"]
        lines = tuple(
            ResponseLine(
                line["number"],
                line["sku"],
                Quantity(Decimal(line["quantity"]), line["unit"]),
                UnitPrice(Decimal(line["unit_price"]), currency, Decimal(line["per"])),
            )
            for line in order["lines"]
        )
        promised = self.world.true_now() + timedelta(days=self.character.lead_days)
        reference = f"{self.name}-{len(self.entries)}"
        return OrderResponse(order["number"], reference, Reply.CONFIRMED, lines, Money(entry.minor, currency), promised)

    def _confirmation(self, entry: Entry) -> OrderResponse:
        said = self.truth(entry)
        if self.character.short and self.rng.random() < self.character.short:
            return self._part(entry, said)
        if self.rng.random() >= self.character.lies:
            return said
        lie = self.rng.choice(LIES)
        self.world.trace.fault("lie", self.name, entry.reference, lie)
        entry.kept = lie == "other order"
        return _lie(said, lie)

    def _part(self, entry: Entry, said: OrderResponse) -> OrderResponse:
        """Return a confirmation of one piece less, at the same price; of a single piece there is no part."""
        (line,) = said.lines
        if line.quantity.amount < 2:
            return said
        less = replace(line, quantity=replace(line.quantity, amount=line.quantity.amount - 1))
        total = said.total - line.unit_price.times(line.quantity) + line.unit_price.times(less.quantity)
        entry.kept, entry.part = False, replace(said, lines=(less,), total=total)
        self.world.trace.fault("part offered", self.name, entry.reference)
        return entry.part

    def settle_for_part(self, entry: Entry) -> None:
        """Somebody has taken the part that was offered: it is delivered and billed."""
        entry.kept, entry.agreed = True, entry.part
        self.world.trace.fault("part taken", self.name, entry.reference)
        self.world.later(self.rng.uniform(0.5, 1.0) * DAY, self._ship, entry)

    def _ship(self, entry: Entry) -> None:
        if (
            not entry.live or not entry.kept or entry.shipped
        ):  # on other terms nothing leaves before somebody has spoken to somebody
            return
        entry.shipped = True
        whole = entry.quantities
        parts = [whole]
        if self.rng.random() < 0.15 and all(amount >= 2 for amount in whole.values()):
            parts = [dict.fromkeys(whole, Decimal(1)), {number: amount - 1 for number, amount in whole.items()}]
        for number, part in enumerate(parts):
            self.world.later(number * 0.3 * DAY, self._despatch, entry, f"D-{number}", part)
        self.world.later(self.rng.uniform(0.5, 2.5) * DAY, self._bill, entry)

    def _despatch(self, entry: Entry, despatch: str, part: dict[int, Decimal]) -> None:
        now = self.world.true_now()
        entry.said.append(DespatchAdvice(entry.reference, despatch, part, now, now + timedelta(hours=12)))
        self.world.trace.tell("shipped", self.name, entry.reference, despatch)
        self.world.later(self.rng.uniform(0.3, 0.8) * DAY, self._deliver, entry, part)

    def _deliver(self, entry: Entry, part: dict[int, Decimal]) -> None:
        if entry.live:
            self.world.deliver(Pallet(entry.reference, part))

    def _bill(self, entry: Entry) -> None:
        total = Money(entry.minor, entry.document["currency"])
        if self.rng.random() < 0.05:
            self.world.trace.fault("overbilled", self.name, entry.reference)
            total = Money(total.minor + 500, total.currency)
        invoice = Invoice(entry.reference, f"I-{entry.reference}", total, self.world.true_now())
        entry.said.append(invoice)
        if self.rng.random() < 0.1:  # and once more, which must count once
            entry.said.append(invoice)
        self.world.trace.tell("billed", self.name, entry.reference, total)

    def call_off(self, entry: Entry) -> OrderResponse:
        """The order is off."""
        entry.live = False
        off = replace(self.truth(entry), reply=Reply.REJECTED)
        entry.said.append(off)
        self.world.trace.tell("called off", self.name, entry.reference)
        return off

    def take_back(self, entry: Entry) -> None:
        """Somebody has noticed that the same was bought twice: this one is off, and nothing is said of it."""
        entry.live = False
        entry.said.clear()
        self.world.trace.tell("taken back", self.name, entry.reference)

    def agree(self, entry: Entry) -> None:
        """On the phone the supplier takes its own terms back: it delivers on ours."""
        entry.kept = True
        entry.said.append(self.truth(entry))
        if not entry.shipped:
            self.world.later(self.rng.uniform(0.5, 1.0) * DAY, self._ship, entry)

    def visible(self, reference: str) -> list[Entry]:
        """Return what the look-up shows already."""
        window = self.character.capabilities.lookup_window
        lag = 0.0 if window is None else self.rng.uniform(0.0, 0.9) * window.total_seconds()
        now = self.world.seconds
        return [entry for entry in self.of(reference) if entry.at + lag <= now and entry.shown_from <= now]


def _lie(said: OrderResponse, lie: str) -> OrderResponse:
    line = said.lines[0]
    price, quantity = line.unit_price, line.quantity
    other: dict[str, ResponseLine] = {
        "price": replace(line, unit_price=replace(price, amount=price.amount + 1)),
        "currency": replace(line, unit_price=replace(price, currency="USD")),
        "quantity": replace(line, quantity=replace(quantity, amount=quantity.amount + 36)),
        "unit": replace(line, quantity=replace(quantity, unit="KGM")),
        "sku": replace(line, sku=f"{line.sku}-B"),
    }
    if lie in other:
        return replace(said, lines=(other[lie], *said.lines[1:]))
    if lie == "total":
        return replace(said, total=Money(said.total.minor * 10, said.total.currency))
    if lie == "lines":
        return replace(said, lines=(*said.lines, replace(line, number=99)))
    return replace(said, reference="TC-ZZ-000001-A")


class AdapterBroke(Exception):
    """A supplier's document was such that its adapter failed in a way that nobody foresaw."""


class SimulatedSupplier:
    """The adapter of one run of the gateway; keeps `marketplace.suppliers.supplier.Supplier`'s promise."""

    def __init__(self, gateway: Gateway, book: Book) -> None:
        self.gateway = gateway
        self.book = book
        self.name = book.name
        self.capabilities = book.character.capabilities

    def encode(self, order: PurchaseOrder) -> bytes:
        return canonical(order.document())

    async def search(self, text: str) -> Sequence[Offer]:
        raise NotSupported(self.name)

    async def _wire(self) -> None:
        """A word on the wire: it takes a while, and the line may be dead, or we."""
        await asyncio.sleep(self.book.rng.uniform(0.05, 2.0))
        self.gateway.moment("on the wire")
        if self.book.world.seconds < self.book.down_until or self.book.world.chance(self.book.rng, 0.02):
            raise SupplierUnavailable(self.name)

    async def quote(self, request: RequestForQuotation) -> Quotation:
        await self._wire()
        rng, character = self.book.rng, self.book.character
        if self.book.world.chance(rng, 0.02):
            raise SupplierRejected("not today")
        if self.book.world.chance(rng, 0.02):
            await asyncio.sleep(60)  # longer than anybody waits
        surge = 2.0 if self.book.world.chance(rng, 0.03) else 1.0
        lines = tuple(
            QuotationLine(
                line.number,
                f"{self.name}-{line.item.key}",
                Quantity(-(-line.quantity.amount // character.pack) * character.pack, line.quantity.unit),
                self._price(line.item.key, request.currency, surge),
                Decimal(str(character.lead_days)),
                None,
            )
            for line in request.lines
        )
        valid = self.book.world.true_now() + timedelta(days=rng.choice((1, 3, 14)))
        freight = Money(rng.choice((0, 490, 900)), request.currency)
        fees = Money(0, request.currency)
        return Quotation(self.name, f"Q-{request.reference}", lines, freight, fees, valid)

    def _price(self, item: str, currency: str, surge: float) -> UnitPrice:
        usual = float(PRICES[item]) * self.book.character.price * surge * self.book.rng.uniform(0.96, 1.04)
        return UnitPrice(Decimal(f"{usual:.2f}"), currency)

    async def place(self, permit: SpendPermit) -> OrderResponse:
        require(permit, self.name, self.gateway.world.clock())
        await self._wire()
        fate = self._fate()
        if fate == "unavailable":
            raise SupplierUnavailable(self.name)
        return await self.send(permit.reference, permit.key, permit.request_bytes, fate, permit.id)

    async def send(self, reference: str, key: str, request: bytes, fate: str, permit: str) -> OrderResponse:
        """The bytes leave the plant."""
        world, book = self.book.world, self.book
        world.trace.tell("sent", self.name, reference, fate)
        world.checker.leaving(self.name, reference, key, request, permit)
        if fate == "lost":
            world.trace.fault("request lost", self.name, reference)
            raise OutcomeUnknown(reference)
        if fate == "rejected" and not book.of(reference):
            raise SupplierRejected("no account")
        if fate == "late":
            return await self._late(reference, key, request)
        response = book.arrive(reference, key, request, only_received=fate == "received")
        self.gateway.moment("after the supplier took it")
        if fate in ("dropped", "broken"):
            world.trace.fault(f"answer {fate}", self.name, reference)
            raise OutcomeUnknown(reference) if fate == "dropped" else ZeroDivisionError
        await asyncio.sleep(book.rng.uniform(0.05, 3.0))
        self.gateway.moment("before the answer")
        return response

    async def _late(self, reference: str, key: str, request: bytes) -> OrderResponse:
        """The request lies about somewhere, well within the window, and nobody waits that long for the answer."""
        world, book = self.book.world, self.book
        world.trace.fault("request late", self.name, reference)
        book.on_the_way[reference] = book.on_the_way.get(reference, 0) + 1

        def arrive() -> None:
            book.on_the_way[reference] -= 1
            book.arrive(reference, key, request)

        world.later(book.rng.uniform(1.0, 60.0), arrive)
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    def _fate(self) -> str:
        if self.book.world.quiet:
            return "answered"
        return self.book.rng.choices(list(FATES), list(FATES.values()))[0]

    async def find(self, reference: str) -> OrderResponse | None:
        if self.capabilities.lookup_window is None:
            raise NotSupported(self.name)
        await self._wire()
        said = [
            each for entry in self.book.visible(reference) for each in entry.said if isinstance(each, OrderResponse)
        ]
        return said[-1] if said else None

    async def cancel(self, reference: str) -> OrderResponse:
        if not self.capabilities.cancel:
            raise NotSupported(self.name)
        await self._wire()
        world, rng = self.book.world, self.book.rng
        if world.chance(rng, 0.1):
            raise OutcomeUnknown(reference)
        entry, *again = self.book.live(reference) or [None]
        if entry is None or entry.shipped:
            raise SupplierRejected("it has left")
        for each in again:
            self.book.take_back(each)
        off = self.book.call_off(entry)
        self.gateway.moment("after the supplier called it off")
        if world.chance(rng, 0.1):
            raise OutcomeUnknown(reference)
        return off

    async def documents(self, reference: str) -> Sequence[SupplierDocument]:
        if not self.capabilities.documents:
            raise NotSupported(self.name)
        await self._wire()
        if self.book.world.seconds < self.book.garbled_until:
            raise AdapterBroke(self.name)
        return tuple(each for entry in self.book.visible(reference) for each in entry.said)

    async def close(self) -> None:
        pass
