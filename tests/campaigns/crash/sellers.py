"""The suppliers of one season: the product's simulated shops, one of each kind, in a process that outlives the kills.

They misbehave at random for as long as their temper is bad: they take an order and hang up, hang up without taking
it, answer late, answer 500 having taken it or not, answer rubbish, forget what they took, tell everything twice. A
request whose sender was killed is worked on all the same. What they hold is told in short on `/simulator/book`,
together with how many orders they have in hand at this moment.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from gateway.clock import Clock, PlantClock
from marketplace.documents import parse_timestamp
from marketplace.suppliers.simulator.book import Book
from marketplace.suppliers.simulator.habits import Fault
from marketplace.suppliers.simulator.server import supplier_app
from marketplace.suppliers.simulator.shop import Shop
from tests.campaigns.crash import site

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ORDER_FAULTS: Final = {
    Fault.DROP_AFTER_ACCEPT: 0.10,
    Fault.DROP_BEFORE_ACCEPT: 0.07,
    Fault.SERVER_ERROR_AFTER_ACCEPT: 0.08,
    Fault.SERVER_ERROR: 0.06,
    Fault.GARBAGE: 0.05,
    Fault.FORGETS: 0.04,
    Fault.SLOW: 0.08,
    Fault.UNAVAILABLE: 0.04,
    Fault.LOCKS_OUT: 0.03,
}
"""What may happen to an order, and how often. Two may happen to one: taken, forgotten, and the line dropped."""
OTHER_FAULTS: Final = {Fault.SERVER_ERROR: 0.04, Fault.SLOW: 0.02, Fault.ANSWERS_TWICE: 0.10}


@dataclass(frozen=True, slots=True)
class SellersOrders:
    """Where the suppliers keep their books, in what time they live, and the seed of their temper.

    told: the file into which they write their addresses once they serve. log: what their server complains of, which
    is mostly about buyers that die.
    """

    directory: str
    clock: str
    seed: int
    told: str
    token: str
    log: str


@dataclass(slots=True)
class Temper:
    """Whether suppliers misbehave, and what they have in hand."""

    chance: random.Random
    bad: bool = True
    in_hand: dict[str, int] = field(default_factory=dict)

    def spoil(self, shop: Shop, faults: dict[Fault, float]) -> None:
        """Switch on what goes wrong with the next request."""
        for fault, share in faults.items():
            if self.chance.random() < share:
                shop.habits.switch_on(fault, 1)


def run(orders: SellersOrders) -> None:
    """Serve until killed."""
    with open(orders.log, "ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    asyncio.run(serve(orders))


async def serve(orders: SellersOrders) -> None:
    """Serve all three suppliers, and say where."""
    clock, temper = PlantClock.from_text(orders.clock), Temper(random.Random(orders.seed))
    async with AsyncExitStack() as stack:
        addresses = {}
        for name, kind in site.KINDS.items():
            book = Book(Path(orders.directory) / f"{name}.db")
            stack.callback(book.close)
            shop = Shop(site.business(name), book, clock=clock, seed=orders.seed, recall=kind.recall)
            shop.habits.slow_seconds = site.SLOW_S
            addresses[name] = await _open(stack, application(shop, temper, orders.token, clock))
        fresh = Path(orders.told).with_suffix(".new")
        fresh.write_text(json.dumps(addresses))
        fresh.replace(orders.told)
        await asyncio.Event().wait()


async def _open(stack: AsyncExitStack, app: web.Application) -> str:
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"


def application(shop: Shop, temper: Temper, token: str, clock: Clock) -> web.Application:
    """Return a supplier's application with its temper in front."""
    app = supplier_app(shop, token)
    app.middlewares.insert(0, _tempered(shop, temper))

    async def book(_request: web.Request) -> web.Response:
        told = {"in_hand": temper.in_hand.get(shop.business.key, 0), "orders": entries(shop, clock)}
        return web.json_response(told)

    async def behave(request: web.Request) -> web.Response:
        temper.bad = bool((await request.json())["bad"])
        shop.habits.clear()
        return web.json_response({"bad": temper.bad})

    app.router.add_get("/simulator/book", book)
    app.router.add_put("/simulator/temper", behave)
    return app


def _tempered(shop: Shop, temper: Temper) -> Any:
    key = shop.business.key

    @web.middleware
    async def tempered(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/simulator/"):
            return await handler(request)
        ordering = request.method == "POST" and request.path == "/orders"
        if temper.bad:
            temper.spoil(shop, ORDER_FAULTS if ordering else OTHER_FAULTS)
        temper.in_hand[key] = temper.in_hand.get(key, 0) + ordering
        try:
            return await handler(request)
        finally:
            temper.in_hand[key] -= ordering

    return tempered


@dataclass(frozen=True, slots=True)
class Entry:
    """One order that a supplier took: `live` unless it was cancelled or forgotten."""

    supplier: str
    reference: str
    live: bool
    forgotten: bool
    delivered: bool


def entries(shop: Shop, clock: Clock) -> list[dict[str, Any]]:
    """Return everything that a shop ever took, one entry for each time."""
    now, key = clock(), shop.business.key
    held = [
        Entry(key, each["reference"], not each["cancelled"], False, parse_timestamp(each["delivered_at"]) <= now)
        for each in shop.orders()
    ]
    lost = [Entry(key, each["reference"], False, True, False) for each in shop.forgotten()]
    return [asdict(entry) for entry in held + lost]
