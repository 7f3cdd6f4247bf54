"""The plant itself: databases, purchasing, live values and the page, three weeks after its first policy."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sqlalchemy import insert, select

from connectors.backlog import Mark, Parcel
from connectors.samples import Batch, Provenance, Quality, Sample
from gateway.historian import Historian
from gateway.learning.ledger import metadata as learning
from gateway.live import Board, Link
from gateway.storage import FULL, NORMAL, Storage
from gateway.web import accounts
from gateway.web.app import serve
from gateway.web.context import ComponentInfo, MachineInfo, Names, TagInfo, WebContext
from maintenance.alarms.book import Book
from maintenance.alarms.rules import Rules
from maintenance.store import durable, save_needs, telemetry
from marketplace import store
from marketplace.authority.gate import apply_policy
from marketplace.authority.policy import Mode
from marketplace.documents import Delivery, DespatchAdvice
from marketplace.ordering.purchase import Purchasing, PurchasingTerms
from marketplace.timing import advise
from tests.showcase.data import (
    ANNA,
    CONNECTIONS,
    ITEMS,
    JONAS,
    NAMES,
    NOW,
    OWNER,
    PARTS,
    PERSON,
    POLICY,
    READINGS,
    SIGNS,
    SUPPLIERS,
    ZONE,
    Part,
    economics_of,
    need_of,
    picture_of,
    terms_of,
)  # fmt: skip
from tests.showcase.people import PlantActions, Shop

NUMBERS = "numbers.json"
BEHIND = {"compressor": timedelta(minutes=4)}


class Clock:
    """Plant time that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


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
    book: Book

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
async def plant(directory: Path, *, empty: bool = False, template: Path | None = None) -> AsyncIterator[Plant]:
    """Build the plant in a directory; `empty` has machines but neither values nor orders.

    `template` is a directory in which its history is kept, so that living three weeks takes a second only once.
    """
    if template is not None and not empty:
        await _from_template(directory, template)
    clock, wall = Clock(NOW), Clock(NOW)
    spend, values = Storage(directory / "spend.db", FULL), Storage(directory / "telemetry.db", NORMAL)
    try:
        lived = (directory / NUMBERS).exists()
        if not lived:
            await _create(spend, values)
        shops = {
            "kontor": Shop("kontor", Decimal("0.92"), Decimal(7), 1490, clock),
            "express": Shop("express", Decimal("1.31"), Decimal(2), 2450, clock),
            "maker": Shop("maker", Decimal("1.12"), Decimal(4), 0, clock),
        }
        delivery = Delivery("Northworks GmbH", "DE123456789", "Hall 2", "Office", "Anna Weber", "4711", "PR-4711")
        terms = PurchasingTerms("EUR", "DE", delivery, accounts=dict.fromkeys(shops, "K-20991"))
        purchasing = Purchasing(spend, OWNER, shops, ITEMS, terms, clock)
        board, book = Board(), Book(Rules())
        actions = PlantActions(purchasing, book)
        context = replace(context_of(spend, values, board, actions, clock, wall), alarms=lambda: book.overview(clock()))
        made = Plant(context, spend, values, purchasing, actions, board, shops, clock, wall, {}, book)
        if lived:
            made.numbers.update(json.loads((directory / NUMBERS).read_text()))
            speak(made)
        elif not empty:
            await fill(made)
        yield made
    finally:
        await spend.close()
        await values.close()


async def _create(spend: Storage, values: Storage) -> None:
    async with spend.write() as tx:
        for metadata in (store.metadata, durable, accounts.metadata, learning):
            await tx.run_sync(metadata.create_all)
        for person in (ANNA, JONAS):
            await tx.execute(insert(store.person).values(id=person.id, name=person.name, **OWNER.columns))
    async with values.write() as tx:
        await tx.run_sync(telemetry.create_all)


async def _from_template(directory: Path, template: Path) -> None:
    """Copy a plant that was closed, living its history first where nobody has."""
    if not (template / NUMBERS).exists():
        async with plant(template) as first:
            numbers = json.dumps(first.numbers)
        (template / NUMBERS).write_text(numbers)
    for file in template.iterdir():
        shutil.copy(file, directory)


def context_of(
    spend: Storage, values: Storage, board: Board, actions: PlantActions, clock: Clock, wall: Clock
) -> WebContext:
    """Return the page's view of the plant."""
    machines = {key: machine_of(key) for key in NAMES}
    belt = ComponentInfo("bench-drill/belt", "Drive belt")
    machines["bench-drill"] = MachineInfo("bench-drill", "Bench drill", "", (), (belt,))
    return WebContext(
        title="Northworks, hall 2",
        owner=OWNER,
        machines=machines,
        names=Names(SUPPLIERS, {key: item.description for key, item in ITEMS.items()}),
        people={ANNA.id: ANNA, JONAS.id: JONAS},
        spend=spend,
        telemetry=values,
        actions=actions,
        live=board,
        time_zone=ZONE,
        currency="EUR",
        clock=clock,
        wall_clock=wall,
        metrics=lambda: (b"", "text/plain"),
        ready=lambda: (True, ""),
    )


def machine_of(key: str) -> MachineInfo:
    """Return a machine of the table as the config would name it."""
    tags = tuple(TagInfo(tag, unit) for tag, (unit, _value) in READINGS.items() if tag.startswith(f"{key}/"))
    parts = [part for part in PARTS.values() if part.machine == key]
    components = tuple(ComponentInfo(part.component, part.name, terms_of(part)) for part in parts)
    return MachineInfo(key, NAMES[key], CONNECTIONS[key], tags, components)


async def fill(made: Plant) -> None:
    """Live three weeks: a policy, needs, orders in every stage, and the values of this minute."""
    made.clock.now = NOW - timedelta(days=21)
    async with made.spend.write() as tx:
        await apply_policy(tx, OWNER, POLICY, SIGNS, made.clock())
    await buy_coolant(made)
    await buy_bearing(made)
    made.clock.now = NOW - timedelta(hours=4, minutes=12)
    made.numbers["dear"] = await want(made, PARTS["conveyor/motor"])
    made.clock.now = NOW - timedelta(hours=1, minutes=38)
    made.numbers["plain"] = await want(made, PARTS["compressor/oil-filter"])
    made.clock.now = NOW
    async with made.telemetry.write() as tx:
        await save_needs(tx, [(need_of(part, NOW), picture_of(part, NOW)) for part in PARTS.values()])
    await remember(made)
    speak(made)


async def remember(made: Plant) -> None:
    """Store a week of the mill's vibration, by the minute, and an hour of it in which the sensor was off."""
    rng, tag, minutes = random.Random(7), "mill/spindle-vibration", 7 * 24 * 60
    end = READINGS[tag][1]
    samples = []
    for minute in range(minutes + 1):
        at = NOW - timedelta(minutes=minutes - minute)
        load = 1.0 if 6 <= at.hour < 22 else 0.35
        value = round(end * load * (0.8 + 0.2 * minute / minutes) + rng.gauss(0, 0.05), 2)
        off = minutes - 600 <= minute < minutes - 540
        samples.append(Sample(tag, value, Quality.BAD if off else Quality.GOOD, at, at, Provenance.A))
    batch = Batch.of("hall-2", samples)
    await Historian(made.telemetry, 2**30).store(Parcel(Mark("showcase", 1), [batch], len(batch)))


async def buy_coolant(made: Plant) -> None:
    """Within the limits, sent by itself, and arrived."""
    made.clock.now = NOW - timedelta(days=12)
    made.numbers["received"] = await want(made, near(PARTS["mill/coolant"], 3.0))
    made.clock.now = NOW - timedelta(days=4, hours=20)
    await ship(made, made.numbers["received"])
    made.clock.now = NOW - timedelta(days=4)
    await made.purchasing.received(made.numbers["received"], None, PERSON)


async def buy_bearing(made: Plant) -> None:
    """Within the limits, while one supplier did not answer; on its way."""
    made.clock.now = NOW - timedelta(days=2, hours=3)
    made.shops["express"].open = False
    made.numbers["shipped"] = await want(made, near(PARTS["mill/spindle-bearing"], 8.7))
    made.shops["express"].open = True
    made.clock.now = NOW - timedelta(hours=19)
    await ship(made, made.numbers["shipped"])


def near(part: Part, days: float) -> Part:
    """Return the part nearer to its end, or further from it."""
    return replace(part, median=days, spread=days / 5)


async def want(made: Plant, part: Part) -> str:
    """Let the gateway buy for a component, and return the order's number."""
    need = need_of(part, made.clock())
    advice = advise(need.belief, terms_of(part), made.clock())
    assert advice.buy, part.component
    raised = await made.purchasing.want(need, need.lines[0], advice, Mode.BUY, economics_of(part))
    assert raised is not None
    link = store.line_requisition.c
    async with made.spend.read() as tx:
        found = await tx.execute(select(link.order_number).where(link.requisition == raised.id))
        return str(found.scalar_one())


async def ship(made: Plant, number: str) -> None:
    """Let the supplier send the goods."""
    row, now = await made.purchasing.sending.row(number), made.clock()
    quantity = Decimal(json.loads(row.document)["lines"][0]["quantity"])
    advice = DespatchAdvice(number, f"LS-{number[-4:]}", {1: quantity}, now, now + timedelta(days=1))
    await made.purchasing.sending.take(row.supplier, advice)


def speak(made: Plant) -> None:
    """Let every machine have spoken just now; the compressor's line is down."""
    since = NOW - timedelta(days=3)
    for machine, connection in CONNECTIONS.items():
        at = NOW - BEHIND.get(machine, timedelta(seconds=len(machine) % 4))
        kind = Provenance.B if machine == "compressor" else Provenance.A
        tags = {tag: value for tag, (_unit, value) in READINGS.items() if tag.startswith(f"{machine}/")}
        samples = [Sample(tag, value, Quality.GOOD, at, at, kind) for tag, value in tags.items()]
        made.board.put(Batch.of(connection, samples))
        made.board.notify(Link(connection, True, since, ""))
    reason = "The device does not answer at 10.0.0.9:502."
    made.board.notify(Link("compressor-plc", False, NOW - BEHIND["compressor"], reason))
