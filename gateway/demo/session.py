"""One run of the demo: start the plant, watch it, let the demo's person answer where nobody else can, and end it.

Order of start: factory, market, gateway, policy, technician; they end in the opposite order. Plant time is one
`PlantClock` handed to all of them, written down so that the next run goes on from there.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import signal
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
from gateway.demo.processes import Child, ChildFailed
from gateway.demo.report import Report, is_whole, report
from gateway.options import DemoOptions
from gateway.storage import StorageBroken
from gateway.views import OrderView, orders, waiting
from marketplace.ordering.states import OrderState

SPEED = 14_400.0
"""Plant seconds in a second: a day of the plant in six seconds."""
BEGIN = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
LOOK_S = 0.3
UNTIL_S = 110.0
"""Wall time after which a headless demo that has not come to its end has failed."""


class DemoFailed(Exception):
    """The demo did not come to its end; `str()` says why."""


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
        stack.callback(_remember, home, clock)
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


def _remember(home: Path, clock: PlantClock) -> None:
    fresh = home / "clock.new"
    fresh.write_text(json.dumps({"plant": clock().isoformat()}))
    fresh.replace(home / "clock.json")


async def headless(options: DemoOptions) -> Report:
    """Run without a view until orders have come as far as `options.until`, or for ever. Raises `DemoFailed`."""
    stop = _stop_signal()
    began = time.monotonic()
    async with open_plant(options) as running:
        while not stop.is_set():
            running.check()
            await running.answer()
            _remember(options.directory.absolute(), running.clock)
            if options.until and await running.heard() and is_whole(await running.orders(), options.until):
                break
            if options.until and time.monotonic() - began > UNTIL_S:
                raise DemoFailed(f"no order came as far as {options.until} in {UNTIL_S:.0f} s; see {options.directory}")
            await _wait(stop)
        return await report(running.databases, running.config.owner)


async def watched(options: DemoOptions) -> Report:
    """Run with the live view until Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    from gateway.demo.glance import Glancer

    stop = _stop_signal()
    console = Console()
    console.print("Starting the factory, the market and the gateway ...", style="dim")
    async with open_plant(options) as running:
        glancer = Glancer(running)
        link = await asyncio.to_thread(control_client.sign_in, running.config.directory, plant.PERSON)
        with Live(console=console, auto_refresh=False, screen=False) as live:
            while not stop.is_set():
                running.check()
                live.update(await glancer.look(link["link"]), refresh=True)
                _remember(options.directory.absolute(), running.clock)
                await _wait(stop)
        return await report(running.databases, running.config.owner)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    return stop


async def _wait(stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_S):
            await stop.wait()


def run(options: DemoOptions) -> int:
    """Run the demo and return its exit code; with `json` its report is the last line."""
    import sys

    began = time.monotonic()
    try:
        done = asyncio.run(headless(options) if options.headless else watched(options))
    except (ChildFailed, DemoFailed, StorageBroken, control_client.Refused) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if options.json:
        sys.stdout.write(json.dumps(done.as_dict(time.monotonic() - began)) + "\n")
    return 0 if done.audit.verified else 1
