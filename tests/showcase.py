"""A plant to look at: four machines, three weeks of history, orders in every stage, bought through the real gate.

The tests of the page stand on it, and it draws the picture of the README:

    python -m tests.showcase serve                 a page on loopback, with a sign-in link
    python -m tests.showcase picture docs/page.png [--dark] [--phone] [--path /machines]

Suppliers are ours and in memory; purchasing, gate, ledger and audit are the product's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from prometheus_client import CollectorRegistry
from sqlalchemy import insert

from connectors.samples import Provenance, Quality, Sample
from gateway.actions import HandAnswer, Outcome
from gateway.live import Board, Link
from gateway.storage import FULL, NORMAL, Storage
from gateway.web import accounts
from gateway.web.accounts import Account
from gateway.web.app import serve
from gateway.web.context import ComponentInfo, MachineInfo, Names, TagInfo, WebContext
from maintenance.needs import Belief, Evidence, JobKind, JobLine, Need
from maintenance.picture import BandPoint, Picture
from maintenance.store import durable, save_needs, telemetry
from marketplace import store
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority.approval import Approver
from marketplace.authority.gate import apply_policy
from marketplace.authority.policy import Mode
from marketplace.catalogue import Item
from marketplace.documents import (
    Delivery,
    DespatchAdvice,
    OrderResponse,
    PurchaseOrder,
    Quotation,
    QuotationLine,
    Reply,
    RequestForQuotation,
    ResponseLine,
    canonical,
)
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering.purchase import Act, Purchasing, PurchasingTerms
from marketplace.sentences import sentence
from marketplace.settings import BuyingSettings
from marketplace.store import Owner
from marketplace.suppliers.supplier import Capabilities, SupplierUnavailable
from marketplace.timing import TimingTerms, advise

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
OWNER = Owner("northworks", "G1")
ZONE = ZoneInfo("Europe/Berlin")
ANNA = Account("anna", "Anna Weber", frozenset({"approve", "operate", "apply_policy"}), Money(500_000, "EUR"))
JONAS = Account("jonas", "Jonas Brandt", frozenset({"operate"}))
SIGNS = Approver("anna", may_approve=True, limit=Money(500_000, "EUR"), may_apply_policy=True)
PERSON = Actor(ActorKind.PERSON, "anna", "web")

ITEMS = {
    item.key: item
    for item in (
        Item("bearing-7014", "Nordlager", "NL-7014-P4", "Angular contact bearing 7014", "C62"),
        Item("coolant-5l", "Oleum", "OL-EM-05", "Emulsion concentrate, 5 l", "C62"),
        Item("filter-d140", "Hydrofil", "HF-D140-10", "Pressure filter element D140", "C62"),
        Item("seal-kit-80", "Dichtwerk", "DW-80-KIT", "Seal kit, cylinder 80 mm", "C62"),
        Item("oil-filter-c3", "Airtec", "AT-C3-OF", "Oil filter C3", "C62"),
        Item("gear-motor-1k5", "Antriebstechnik Süd", "GM-1500-71", "Gear motor 1.5 kW", "C62"),
    )
}
POLICY = {
    "schema": 1,
    "mandate": {"granted_by": "anna", "machines": ["*"], "per_order": "500 EUR", "until": "2027-12-31T00:00:00Z"},
    "window": {"days": 30, "per_machine": "2000 EUR"},
    "amounts": "net",
    "modes": {"default": "buy"},
    "known": {name: list(ITEMS) for name in ("kontor", "express", "maker")},
}


@dataclass(frozen=True)
class Part:
    """One component: how it has worn, and what it costs. Times in days, prices in euros."""

    component: str
    name: str
    job: str
    item: str
    quantity: str
    unit: str
    begin: float
    value: float
    limit: float
    past: float
    median: float
    spread: float
    provenance: Provenance
    price: int
    lead: int
    evidence: str
    noise: float = 0.02
    known: bool = True

    @property
    def health(self) -> float:
        """How far from the limit, of the way from the beginning."""
        return max(0.0, min(1.0, (self.limit - self.value) / (self.limit - self.begin)))


A, B = Provenance.A, Provenance.B
PARTS = (
    Part("mill/spindle-bearing", "Spindle bearing", "Replace the spindle bearing", "bearing-7014", "2", "mm/s", 1.4, 5.6, 7.1, 60, 19, 5, A, 120, 9, "LEVEL_TREND", 0.05),
    Part("mill/coolant", "Coolant", "Refill coolant", "coolant-5l", "4", "%", 98, 61, 25, 21, 24, 4, A, 42, 4, "LEVEL_TREND", 0.015),
    Part("press/filter", "Pressure filter", "Replace the filter element", "filter-d140", "1", "bar", 0.4, 1.1, 3.5, 40, 96, 22, A, 86, 6, "LEVEL_TREND", 0.03),
    Part("press/seals", "Cylinder seals", "Reseal the cylinder", "seal-kit-80", "1", "cycles", 0, 212_000, 600_000, 80, 148, 30, A, 240, 12, "USAGE", 0.0),
    Part("compressor/oil-filter", "Oil filter", "Replace the oil filter", "oil-filter-c3", "1", "h", 0, 1_782, 2_000, 74, 7.2, 1.3, B, 64, 5, "USAGE", 0.0),
    Part("conveyor/motor", "Gear motor", "Replace the gear motor", "gear-motor-1k5", "1", "A", 3.1, 4.5, 5.0, 90, 12, 4, A, 890, 8, "LEVEL_TREND", 0.025),
)  # fmt: skip
MACHINES = {
    "mill": ("CNC mill 3", "hall-2", {"spindle-vibration": ("mm/s", 5.61), "spindle-temperature": ("°C", 48.3), "coolant-level": ("%", 61.2), "tool-cycles": ("cycles", 18_234)}),
    "press": ("Hydraulic press", "hall-2", {"filter-pressure": ("bar", 1.12), "oil-temperature": ("°C", 52.9), "seal-cycles": ("cycles", 212_044)}),
    "compressor": ("Screw compressor", "compressor-plc", {"running-hours": ("h", 41_782), "oil-level": ("%", 71.5)}),
    "conveyor": ("Conveyor 12", "conveyor-plc", {"motor-current": ("A", 4.52), "motor-temperature": ("°C", 66.1), "belt-cycles": ("cycles", 902_411)}),
    "bench-drill": ("Bench drill", "", {}),
}  # fmt: skip
BEHIND = {"compressor": timedelta(minutes=4)}


class Clock:
    """Plant time that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Shop:
    """A supplier in memory: a price list, a lead time, and every order that reached it."""

    name: str
    factor: Decimal
    lead_days: Decimal
    freight: int
    clock: Clock
    open: bool = True
    orders: list[str] = field(default_factory=list)
    capabilities: Capabilities = Capabilities(quotes=True, idempotency_key=timedelta(days=1))

    def encode(self, order: PurchaseOrder) -> bytes:
        return canonical(order.document())

    async def quote(self, request: RequestForQuotation) -> Quotation:
        if not self.open:
            raise SupplierUnavailable(f"{self.name} does not answer")
        prices = {part.item: Decimal(part.price) for part in PARTS}
        lines = tuple(
            QuotationLine(
                line.number,
                f"{self.name[:1].upper()}-{line.item.mpn}",
                line.quantity,
                UnitPrice((prices[line.item.key] * self.factor).quantize(Decimal("0.01")), "EUR"),
                self.lead_days,
                Decimal(20),
            )
            for line in request.lines
        )
        until = self.clock() + timedelta(days=3)
        return Quotation(
            self.name, f"Q-{len(self.orders) + 100}", lines, Money(self.freight, "EUR"), Money(0, "EUR"), until
        )

    async def place(self, permit: Any) -> OrderResponse:
        self.orders.append(permit.reference)
        order = json.loads(permit.request_bytes)
        promised = self.clock() + timedelta(days=float(self.lead_days))
        reference = f"AB-{7000 + len(self.orders)}"
        lines = tuple(
            ResponseLine(
                line["number"],
                line["sku"],
                Quantity(Decimal(line["quantity"]), line["unit"]),
                UnitPrice(Decimal(line["unit_price"]), "EUR"),
            )
            for line in order["lines"]
        )
        return OrderResponse(permit.reference, reference, Reply.CONFIRMED, lines, Money(order["total"], "EUR"), promised)

    async def find(self, reference: str) -> OrderResponse | None:
        return None

    async def search(self, text: str) -> Sequence[Any]:
        return ()

    async def cancel(self, reference: str) -> OrderResponse:
        raise SupplierUnavailable("closed")

    async def documents(self, reference: str) -> Sequence[Any]:
        return ()

    async def close(self) -> None:
        return None


class PlantActions:
    """Approvals go through the real purchasing; what else people enter is kept to be looked at."""

    def __init__(self, purchasing: Purchasing) -> None:
        self.purchasing = purchasing
        self.entered: list[tuple[Any, ...]] = []
        self.answer = Outcome(True, "DONE", "Entered.")

    async def approve(self, number: str, order_hash: str, person: str, note: str, method: str) -> Outcome:
        return said(
            await self.purchasing.approve(number, order_hash, SIGNS, method, note),
            f"Order {number} is approved and on its way to the supplier.",
        )

    async def deny(self, number: str, order_hash: str, person: str, note: str, method: str) -> Outcome:
        act = await self.purchasing.deny(number, order_hash, Actor(ActorKind.PERSON, person, method), note)
        return said(act, f"Order {number} is rejected. Nothing was sent.")

    async def cancel(self, number: str, person: str, method: str) -> Outcome:
        act = await self.purchasing.cancel(number, Actor(ActorKind.PERSON, person, method))
        return said(act, f"Order {number} is cancelled.")

    async def answered(self, number: str, answer: HandAnswer, person: str, method: str) -> Outcome:
        return self._enter("answered", number, answer, person, method)

    async def received(
        self, number: str, quantities: Mapping[int, Decimal] | None, person: str, method: str
    ) -> Outcome:
        act = await self.purchasing.received(number, quantities, Actor(ActorKind.PERSON, person, method))
        return said(act, f"The receipt for {number} is entered.")

    async def reading(self, component: str, value: str, person: str, method: str) -> Outcome:
        return self._enter("reading", component, value, person, method)

    async def fitted(
        self, component: str, serial: str, used: str | None, note: str, person: str, method: str
    ) -> Outcome:
        return self._enter("fitted", component, serial, used, note, person, method)

    async def stock(self, item: str, quantity: str, person: str, method: str) -> Outcome:
        return self._enter("stock", item, quantity, person, method)

    async def policy_apply(self, text: str, person: str, method: str) -> Outcome:
        return self._enter("policy", text, person, method)

    def _enter(self, *what: Any) -> Outcome:
        self.entered.append(what)
        return self.answer


def said(act: Act, done: str) -> Outcome:
    """Return what an act came to."""
    return Outcome(act.ok, act.code, done if act.ok else sentence(act.code, act.parameters))


@dataclass
class Plant:
    """Everything that a test of the page may want to reach."""

    context: WebContext
    spend: Storage
    telemetry: Storage
    purchasing: Purchasing
    actions: PlantActions
    board: Board
    shops: dict[str, Shop]
    clock: Clock
    wall: Clock
    numbers: dict[str, str]

    async def link(self, person: str = "anna") -> str:
        """Return the path of a fresh sign-in link."""
        async with self.spend.write() as tx:
            return accounts.link_path(await accounts.issue_link(tx, OWNER, person, self.wall()))

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Serve the page on a free port; gives its address."""
        runner = await serve(self.context, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@asynccontextmanager
async def plant(directory: Path, *, empty: bool = False) -> AsyncIterator[Plant]:
    """Build the plant in a directory; `empty` has machines but neither values nor orders."""
    clock, wall = Clock(NOW), Clock(datetime.now(UTC))
    spend, values = Storage(directory / "spend.db", FULL), Storage(directory / "telemetry.db", NORMAL)
    try:
        async with spend.write() as tx:
            for metadata in (store.metadata, durable, accounts.metadata):
                await tx.run_sync(metadata.create_all)
            for person in (ANNA, JONAS):
                await tx.execute(insert(store.person).values(id=person.id, name=person.name, **OWNER.columns))
        async with values.write() as tx:
            await tx.run_sync(telemetry.create_all)
        shops = {
            "kontor": Shop("kontor", Decimal("0.92"), Decimal(7), 1490, clock),
            "express": Shop("express", Decimal("1.31"), Decimal(2), 2450, clock),
            "maker": Shop("maker", Decimal("1.12"), Decimal(4), 0, clock),
        }
        terms = PurchasingTerms("EUR", "DE", Delivery("Northworks GmbH", "DE123456789", "Hall 2", "Office", "Anna Weber", "4711", "PR-4711"), accounts=dict.fromkeys(shops, "K-20991"))  # fmt: skip
        purchasing = Purchasing(spend, OWNER, shops, ITEMS, terms, clock)
        board, actions = Board(), PlantActions(purchasing)
        context = context_of(spend, values, board, actions, clock, wall)
        made = Plant(context, spend, values, purchasing, actions, board, shops, clock, wall, {})
        if not empty:
            await fill(made)
        yield made
    finally:
        await spend.close()
        await values.close()


def context_of(
    spend: Storage, values: Storage, board: Board, actions: PlantActions, clock: Clock, wall: Clock
) -> WebContext:
    """Return the page's view of the plant."""
    machines = {
        key: MachineInfo(
            key,
            name,
            connection,
            tuple(TagInfo(f"{key}/{tag}", unit) for tag, (unit, _value) in tags.items()),
            tuple(
                ComponentInfo(part.component, part.name, terms_of(part))
                for part in PARTS
                if part.component.startswith(f"{key}/")
            ),
        )
        for key, (name, connection, tags) in MACHINES.items()
    }
    machines["bench-drill"] = MachineInfo(
        "bench-drill", "Bench drill", "", (), (ComponentInfo("bench-drill/belt", "Drive belt"),)
    )
    suppliers = {
        "kontor": "Kontor Lagertechnik",
        "express": "Blitz Industriebedarf",
        "maker": "Machine maker's service",
    }
    return WebContext(
        title="Northworks, hall 2",
        owner=OWNER,
        machines=machines,
        names=Names(suppliers, {key: item.description for key, item in ITEMS.items()}),
        people={ANNA.id: ANNA, JONAS.id: JONAS},
        spend=spend,
        telemetry=values,
        actions=actions,
        live=board,
        time_zone=ZONE,
        currency="EUR",
        clock=clock,
        wall_clock=wall,
        registry=CollectorRegistry(),
        ready=lambda: (True, ""),
    )


def terms_of(part: Part) -> TimingTerms:
    """Return when the part is bought."""
    return TimingTerms(timedelta(days=part.lead), timedelta(hours=8), timedelta(hours=1), 0.05)


def need_of(part: Part, at: datetime) -> Need:
    """Return the part's need: a normal end of life, seen at a time."""
    hours = [24.0 * day for day in range(0, int(part.median + 5 * part.spread) + 2)]
    reach = part.spread * math.sqrt(2)
    survival = [0.5 * (1 - math.erf((hour / 24 - part.median) / reach)) for hour in hours]
    belief = Belief.of(
        hours, survival, unit="h", use_per_hour=1.0, as_of=at, provenance=part.provenance, known=part.known
    )
    slope = (part.limit - part.value) / part.median
    figures = {"tag": part.component.partition("/")[2], "value": f"{part.value:g}", "unit": part.unit, "limit": f"{part.limit:g}", "slope_per_day": f"{slope:.3g}", "used": f"{part.value:g}", "rated": f"{part.limit:g}"}  # fmt: skip
    line = JobLine("part", part.item, Decimal(part.quantity), "C62", JobKind.PART)
    return Need(
        part.component.partition("/")[0],
        part.component,
        "l1",
        1,
        part.job,
        (line,),
        belief,
        part.health,
        (Evidence(part.evidence, figures),),
        at,
    )


def picture_of(part: Part, at: datetime) -> Picture:
    """Return the part's history, with a seeded scatter, and its forecast."""
    rng, steps = random.Random(part.component), 160
    reach = part.limit - part.begin
    history = []
    for step in range(steps + 1):
        share = step / steps
        course = share if part.evidence == "USAGE" else share**2.2
        value = part.begin + (part.value - part.begin) * course + rng.gauss(0, part.noise) * reach * (share < 1)
        history.append((at - timedelta(days=part.past * (1 - share)), value))
    slope = (part.limit - part.value) / part.median
    band = []
    for step in range(25):
        days = part.median * 2 * step / 24
        spread = 1.28 * abs(slope) * part.spread * math.sqrt(days / part.median)
        middle = part.value + slope * days
        band.append(BandPoint(at + timedelta(days=days), middle - spread, middle, middle + spread))
    return Picture(part.component, part.unit, part.limit, tuple(history), tuple(band))


async def fill(made: Plant) -> None:
    """Live three weeks: a policy, needs, orders in every stage, and the values of this minute."""
    clock, parts = made.clock, {part.component: part for part in PARTS}
    clock.now = NOW - timedelta(days=21)
    async with made.spend.write() as tx:
        await apply_policy(tx, OWNER, POLICY, SIGNS, clock.now)
    clock.now = NOW - timedelta(days=12)
    first = await want(made, near(parts["mill/coolant"], 3.0))
    clock.now = NOW - timedelta(days=4, hours=20)
    await ship(made, first)
    clock.now = NOW - timedelta(days=4)
    await made.purchasing.received(first, None, PERSON)
    clock.now = NOW - timedelta(days=2, hours=3)
    made.shops["express"].open = False
    bearing = await want(made, near(parts["mill/spindle-bearing"], 9.5))
    made.shops["express"].open = True
    clock.now = NOW - timedelta(hours=19)
    await ship(made, bearing)
    clock.now = NOW - timedelta(hours=4, minutes=12)
    motor = await want(made, parts["conveyor/motor"])
    clock.now = NOW - timedelta(hours=1, minutes=38)
    oil = await want(made, parts["compressor/oil-filter"])
    made.numbers.update(received=first, shipped=bearing, dear=motor, plain=oil)
    clock.now = NOW
    async with made.telemetry.write() as tx:
        await save_needs(tx, [(need_of(part, NOW), picture_of(part, NOW)) for part in PARTS])
    speak(made)


def near(part: Part, days: float) -> Part:
    """Return the part nearer to its end."""
    return Part(**{**part.__dict__, "median": days, "spread": days / 5})


async def want(made: Plant, part: Part) -> str:
    """Let the gateway buy for a component, and return the order's number."""
    need = need_of(part, made.clock())
    advice = advise(need.belief, terms_of(part), made.clock())
    assert advice.buy, part.component
    economics = BuyingSettings.model_validate(
        {"lead_time": f"{part.lead} d", "price": f"{part.price} EUR", "standstill": "90 EUR/h"}
    )
    raised = await made.purchasing.want(need, need.lines[0], advice, Mode.BUY, economics)
    assert raised is not None
    async with made.spend.read() as tx:
        rows = await tx.exec_driver_sql(f"select order_number from line_requisition where requisition = '{raised.id}'")
        return str(rows.scalar_one())


async def ship(made: Plant, number: str) -> None:
    """Let the supplier send the goods."""
    row = await made.purchasing.sending.row(number)
    advice = DespatchAdvice(number, f"LS-{number[-4:]}", {1: Decimal(json.loads(row.document)["lines"][0]["quantity"])}, made.clock(), made.clock() + timedelta(days=1))  # fmt: skip
    await made.purchasing.sending.take(row.supplier, advice)


def speak(made: Plant) -> None:
    """Let every machine have spoken just now; the compressor's line is down."""
    for machine, (_name, connection, tags) in MACHINES.items():
        if not connection:
            continue
        at = NOW - BEHIND.get(machine, timedelta(seconds=len(machine) % 4))
        samples = [
            Sample(f"{machine}/{tag}", value, Quality.GOOD, at, at, B if "plc" in connection else A)
            for tag, (_unit, value) in tags.items()
        ]
        made.board.put(connection, samples)
    made.board.notify(Link("hall-2", True, NOW - timedelta(days=3), ""))
    made.board.notify(Link("conveyor-plc", True, NOW - timedelta(days=3), ""))
    made.board.notify(
        Link("compressor-plc", False, NOW - BEHIND["compressor"], "The device does not answer at 10.0.0.9:502.")
    )


# --- by hand ----------------------------------------------------------------------------------------------------------

CHROMIUM = "/usr/bin/chromium"


async def take_picture(arguments: argparse.Namespace, directory: Path) -> None:
    """Sign in with a real browser and keep what it shows."""
    from playwright.async_api import async_playwright

    width, height = (360, 780) if arguments.phone else (1280, arguments.height)
    async with plant(directory, empty=arguments.empty) as made, made.served() as address, async_playwright() as tool:
        browser = await tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if arguments.dark else "light",
            device_scale_factor=arguments.scale,
        )  # fmt: skip
        page.on("console", lambda message: print("console:", message.text))
        page.on("pageerror", lambda error: print("error:", error))
        await page.goto(address + await made.link())
        await page.click("button[type=submit]")
        path = arguments.path.format(**made.numbers)
        await page.goto(address + path)
        for opened in arguments.click:
            await page.click(opened)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            print(f"wider than the screen: {wide} > {width}")
        await page.screenshot(path=arguments.file, full_page=arguments.full)
        await browser.close()


async def serve_by_hand(directory: Path) -> None:
    """Serve until interrupted."""
    async with plant(directory) as made, made.served() as address:
        print(address + await made.link())
        await asyncio.Event().wait()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=["serve", "picture"])
    parser.add_argument("file", nargs="?", default="docs/page.png")
    parser.add_argument("--path", default="/machines")
    parser.add_argument("--height", type=int, default=860)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--click", action="append", default=[])
    for flag in ("--dark", "--phone", "--full", "--empty"):
        parser.add_argument(flag, action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if arguments.act == "serve":
            asyncio.run(serve_by_hand(Path(directory)))
        else:
            asyncio.run(take_picture(arguments, Path(directory)))


if __name__ == "__main__":
    main()
