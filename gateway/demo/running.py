"""The demo's plant while it runs: factory, market, gateway, policy and technician, in this order and back.

Plant time is one `PlantClock` handed to all of them, written down so that the next run goes on from there.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway import control_client
from gateway.clock import PlantClock
from gateway.config import Config, load
from gateway.databases import Databases, read_databases
from gateway.demo import plant, processes
from gateway.demo.processes import Child
from gateway.options import DemoOptions
from gateway.views import OrderView, orders, waiting
from marketplace.ordering.states import OrderState

SPEED = 14_400.0
"""Plant seconds in a second: a day of the plant in six seconds."""
BEGIN = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


@dataclass(slots=True)
class Plant:
    """A running demo."""

    config: Config
    clock: PlantClock
    databases: Databases
    children: list[Child]
    status: dict[str, Any]

    async def orders(self) -> list[OrderView]:
        """Return every order, the newest first."""
        async with self.databases.spend.read() as tx:
            return await orders(tx, self.config.owner)

    async def answer(self) -> None:
        """Let the demo's person approve whatever waits; the log says that it was `demo`."""
        async with self.databases.spend.read() as tx:
            asked = await waiting(tx, self.config.owner)
        for order in asked:
            if order.state == OrderState.AWAITING_APPROVAL:
                body = {"number": order.number, "order_hash": order.order_hash, "note": "approved by the demo itself"}
                with suppress(control_client.Refused):  # expired, or changed meanwhile: it will be asked again
                    await asyncio.to_thread(control_client.act, self.config.directory, "approve", body, plant.PERSON)

    async def heard(self) -> bool:
        """Return whether every connection of this run delivers."""
        status = await asyncio.to_thread(control_client.status, self.config.directory)
        return bool(status["samples"]) and all(status["connections"].values()) and bool(status["connections"])

    def check(self) -> None:
        """Raise `ChildFailed` when a process has ended by itself."""
        for child in self.children:
            if child.process.returncode is not None:
                raise processes.failed(child)


@asynccontextmanager
async def open_plant(options: DemoOptions) -> AsyncIterator[Plant]:
    """Run the demo's processes for as long as it is entered. Raises `ChildFailed`, `StorageBroken`."""
    home = options.directory.absolute()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    clock = _go_on(home)
    async with AsyncExitStack() as stack:
        stack.callback(
            remember, home, clock
        )  # last of all, so that the next run never goes back behind what was stored
        children: list[Child] = []

        async def start(name: str, *arguments: str) -> Child:
            child = await processes.start(name, arguments, home)
            stack.push_async_callback(processes.stop, child)
            children.append(child)
            return child

        surroundings, carrier = await _surroundings(start, home, clock, options)
        config = _write(home, surroundings)
        gateway = await start("gateway", "-m", "gateway.demo.gateway", str(config.path), clock.to_text())
        status = await _ready(gateway, config)
        await _apply_policy(config)
        await start("technician", "-m", "gateway.demo.technician", str(config.path), str(home / "factory"), *carrier)
        databases = await stack.enter_async_context(read_databases(config.directory))
        yield Plant(config, clock, databases, children, status)


async def _surroundings(
    start: Any, home: Path, clock: PlantClock, options: DemoOptions
) -> tuple[plant.Surroundings, tuple[str, str]]:
    """Start factory and market; return what the config needs of them, and where the carrier is."""
    common = ("--json", "--clock", clock.to_text(), "--seed", str(options.seed), "--state")
    simulate = ("-m", "gateway", "simulate")
    ports = ("--opcua-port", "0", "--modbus-port", "0")
    factory = await start("factory", *simulate, "factory", *ports, *common, str(home / "factory"))
    market = await start("market", *simulate, "market", *common, str(home / "market"))
    machines, ready = await asyncio.gather(processes.answer(factory), processes.answer(market))
    addresses, tokens = ready["addresses"], ready["tokens"]
    suppliers = plant.market(addresses, tokens)
    around = plant.Surroundings(machines, suppliers, getpass.getuser(), options.port)
    return around, (addresses["carrier"], tokens["carrier"])


def _write(home: Path, around: plant.Surroundings) -> Config:
    plant.write(
        home / "policy.yaml", plant.policy(), "The demo's policy. It counts because the demo's person applied it."
    )
    plant.write(
        home / "toolcrib.yaml",
        plant.config(around, plant.machines(around.factory)),
        "The demo's config, written anew at every start.",
    )
    return load(home / "toolcrib.yaml")


async def _ready(gateway: Child, config: Config) -> dict[str, Any]:
    deadline = time.monotonic() + processes.READY_S
    while time.monotonic() < deadline:
        if gateway.process.returncode is not None:
            break
        with suppress(control_client.NotRunning, control_client.Interrupted):
            status = await asyncio.to_thread(control_client.status, config.directory)
            if status.get("ready"):
                return status
        await asyncio.sleep(0.05)
    raise processes.failed(gateway)


async def _apply_policy(config: Config) -> None:
    body = {"text": config.policy_file.read_text()}
    await asyncio.to_thread(control_client.act, config.directory, "policy", body, plant.PERSON)


def _go_on(home: Path) -> PlantClock:
    """Return the clock of this run: plant time goes on where the last run stopped."""
    with suppress(OSError, ValueError, KeyError):
        saved = json.loads((home / "clock.json").read_text())
        return PlantClock(datetime.fromisoformat(saved["plant"]), time.time(), SPEED)
    return PlantClock(BEGIN, time.time(), SPEED)


def remember(home: Path, clock: PlantClock) -> None:
    fresh = home / "clock.new"
    fresh.write_text(json.dumps({"plant": clock().isoformat()}))
    fresh.replace(home / "clock.json")
