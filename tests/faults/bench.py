"""A real gateway that can be killed, beside a market that cannot: what several tests of faults stand on.

The gateway is a process, the supplier an HTTP server, the databases are files; only plant time is compressed. The
machine has no telemetry, as many in small plants; a person says what its parts have run. Nothing here is a test.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from gateway import control_client, views
from gateway.clock import PlantClock
from gateway.config import Config, load
from gateway.databases import read_databases
from gateway.demo import plant
from marketplace.store import requisition
from marketplace.suppliers.simulator.market import Market

SPEED = 43_200.0
PARTS = ("quoting", "approved", "confirmed", "shipped")
"""Components of the one machine, named after what a test makes of them."""
ASKED = ("approved",)
"""Of those a person decides, so that the supplier can be made to misbehave between quote and order."""


_FOR_PARTS_THAT_ARE_IN = text(
    "SELECT served.order_number FROM line_requisition served JOIN requisition ON requisition.id = served.requisition"
    " JOIN life ON life.id = requisition.life WHERE life.open_slot IS NOT NULL"
)


@dataclass
class Bench:
    """A gateway that can be killed, beside a market that cannot."""

    home: Path
    market: Market
    clock: PlantClock
    process: asyncio.subprocess.Process | None = None
    acts: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def config(self) -> Config:
        return load(self.home / "toolcrib.yaml")

    async def start(self) -> dict[str, Any]:
        """Start the gateway and return its status once it is ready."""
        command = (sys.executable, "-m", "gateway.demo.gateway", str(self.home / "toolcrib.yaml"), self.clock.to_text())
        log = (self.home / "gateway.log").open("ab")
        with log:
            self.process = await asyncio.create_subprocess_exec(*command, stderr=log)
        return await asyncio.to_thread(control_client.wait_ready, self.home, 30)

    async def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        await asyncio.gather(*self.acts, return_exceptions=True)
        self.acts.clear()

    async def stop(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(self.process.wait(), 10) == 0

    async def act(self, name: str, body: dict[str, Any], person: str = plant.PERSON) -> None:
        await asyncio.to_thread(control_client.act, self.home, name, body, person)

    def begin(self, name: str, body: dict[str, Any]) -> None:
        """Do an act of which the gateway may die."""
        self.acts.append(asyncio.create_task(self.act(name, body)))

    async def orders(self) -> list[views.OrderView]:
        async with read_databases(self.home) as databases, databases.spend.read() as tx:
            return await views.orders(tx, self.config.owner)

    async def order_for(self, component: str) -> views.OrderView | None:
        """The newest order for the part that is in; the gateway may have wanted one for the part before, unasked."""
        async with read_databases(self.home) as databases, databases.spend.read() as tx:
            found = await views.orders(tx, self.config.owner)
            numbers = set((await tx.execute(_FOR_PARTS_THAT_ARE_IN)).scalars())
        return next((order for order in found if order.component == component and order.number in numbers), None)

    async def until(self, there: Callable[[], Awaitable[bool]], what: str) -> None:
        deadline = time.monotonic() + 60
        while not await there():
            assert time.monotonic() < deadline, f"never came: {what}"
            await asyncio.sleep(0.01)

    async def until_order(self, component: str, *states: str) -> views.OrderView:
        found: list[views.OrderView] = []

        async def there() -> bool:
            order = await self.order_for(component)
            if order is not None and order.state in states:
                found.append(order)
            return bool(found)

        await self.until(there, f"{component} in {states}")
        return found[0]

    async def until_quoting(self, component: str) -> None:
        async def there() -> bool:
            async with read_databases(self.home) as databases, databases.spend.read() as tx:
                query = requisition.select().where(requisition.c.component == component)
                return any(row.state == "quoting" for row in await tx.execute(query))

        await self.until(there, f"{component} quoting")

    async def until_delivered(self, number: str) -> None:
        async def there() -> bool:
            return number in self.delivered()

        await self.until(there, f"{number} delivered")

    def delivered(self) -> list[str]:
        return [each["reference"] for each in self.market.shops["kontor"].deliveries()]


def config(market: Market, parts: Sequence[str] = PARTS, shops: Sequence[str] = ("kontor",)) -> dict[str, Any]:
    """Return the config of a machine with these parts, which are bought at these shops."""
    ready = market.ready
    suppliers = plant.market(
        {shop: ready.addresses[shop] for shop in shops}, {shop: str(ready.tokens[shop]) for shop in shops}
    )
    component = {
        "name": "Wheel",
        "rated_life": "1000 h",
        "wear": {"by": "usage", "shape": 6},
        "job": {"title": "Change it", "lines": {"it": {"item": "filter-10um", "quantity": 1, "kind": "part"}}},
        "buying": {"lead_time": "5 d", "price": "63 EUR", "standstill": "100 EUR/h"},
    }
    factory = {"machines": {}, "opcua_url": "", "fingerprint": "", "device_ids": {}}
    around = plant.Surroundings(factory, suppliers, getpass.getuser(), 0)
    machines = {"bench": {"name": "Bench", "components": dict.fromkeys(parts, component)}}
    return plant.config(around, machines) | {"connections": {}}


def policy(modes: Mapping[str, str], shops: Sequence[str] = ("kontor",)) -> str:
    """Return a policy under which the bench's parts may be bought at these shops."""
    usual = plant.policy()
    checks = usual.get("checks", {}) | {"duplicates": False}  # for the part before, see `order_for`
    known, window = {shop: ["filter-10um"] for shop in shops}, {"days": 30, "per_machine": "20000 EUR"}
    return json.dumps(usual | {"modes": modes, "window": window, "known": known, "checks": checks})


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Bench]:
    """A market, and a gateway at work beside it under a policy."""
    clock = PlantClock(datetime(2026, 3, 2, tzinfo=UTC), time.time(), SPEED)
    async with Market(home / "market", clock=clock, seed=3) as market:
        plant.write(home / "toolcrib.yaml", config(market), "test")
        bench = Bench(home, market, clock)
        await bench.start()
        modes = {"default": "buy", **{f"bench/{part}": "ask" for part in ASKED}}
        await bench.act("policy", {"text": policy(modes)})
        yield bench
        await bench.stop()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with opened(tmp_path) as bench:
        yield bench
