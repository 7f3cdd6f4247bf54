"""Somebody stops buying: by page, command line or file; on a real gateway process, against suppliers over real HTTP.

A stop is measured from the act until its row is durable, and must take less than a second by every door. Afterwards
nothing leaves: not what waited for approval, not what was approved, not after a kill and not after a start. Plant time
is compressed; the stop is not.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import re
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway import control_client, views
from gateway.cli import main
from gateway.clock import PlantClock
from gateway.config import load
from gateway.databases import read_databases
from gateway.demo import plant
from marketplace.audit.verify import verify
from marketplace.suppliers.simulator.habits import Fault
from marketplace.suppliers.simulator.market import Market

pytestmark = [pytest.mark.serial, pytest.mark.timeout(240)]

SPEED = 43_200.0
WITHIN_S = 1.0
OFF = {"cancelled", "denied", "expired"}
"""How orders end of which nothing is sent; in compressed time some prices run out by themselves."""
PARTS = ("page", "command", "file", "approved", "later", "first", "second")


@dataclass
class Bench:
    """A gateway process, beside a market that outlives it."""

    home: Path
    market: Market
    clock: PlantClock
    process: asyncio.subprocess.Process | None = None

    @property
    def config(self) -> Path:
        return self.home / "toolcrib.yaml"

    async def start(self) -> dict[str, Any]:
        command = (sys.executable, "-m", "gateway.demo.gateway", str(self.config), self.clock.to_text())
        with (self.home / "gateway.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(*command, stderr=log)
        return await asyncio.to_thread(control_client.wait_ready, self.home, 30)

    async def end(self, how: signal.Signals) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(how)
            await asyncio.wait_for(self.process.wait(), 10)

    async def act(self, name: str, **body: Any) -> dict[str, Any]:
        return await asyncio.to_thread(control_client.act, self.home, name, body, plant.PERSON)

    async def command(self, *words: str) -> int:
        return await asyncio.to_thread(main, [*words, "--config", str(self.config), "--json"])

    async def orders(self) -> list[views.OrderView]:
        async with read_databases(self.home) as databases, databases.spend.read() as tx:
            return await views.orders(tx, load(self.config).owner)

    async def until(self, there: Callable[[], Awaitable[Any]], what: str) -> Any:
        deadline = time.monotonic() + 60
        while not (found := await there()):
            assert time.monotonic() < deadline, f"never came: {what}"
            await asyncio.sleep(0.02)
        return found

    async def until_order(self, component: str, *states: str) -> views.OrderView:
        async def there() -> views.OrderView | None:
            found = [each for each in await self.orders() if each.component == f"bench/{component}"]
            return next((each for each in found[:1] if each.state in states), None)

        found: views.OrderView = await self.until(there, f"{component} in {states}")
        return found

    async def want(self, component: str) -> None:
        await self.act("fitted", component=f"bench/{component}", used="995 h")

    async def approve(self, order: views.OrderView) -> dict[str, Any]:
        return await self.act("approve", number=order.number, order_hash=order.order_hash)

    def stops(self) -> set[str]:
        """What stands durably, read as anybody may read the file."""
        with sqlite3.connect(f"file:{self.home / 'spend.db'}?mode=ro", uri=True) as connection:
            return {row[0] for row in connection.execute("SELECT open_scope FROM halt WHERE open_scope IS NOT NULL")}

    async def seconds_until_stopped(self, scope: str, act: Awaitable[Any]) -> float:
        """Do an act and return how long it took until the stop was durable."""
        began = time.perf_counter()
        acting = asyncio.ensure_future(act)
        while scope not in self.stops():
            assert time.perf_counter() - began < 10, f"{scope} was never stopped"
            await asyncio.sleep(0.005)
        taken = time.perf_counter() - began
        await acting
        return taken

    def received(self, shop: str = "kontor") -> list[str]:
        """The orders that reached a supplier."""
        with sqlite3.connect(f"file:{self.home / 'market' / f'{shop}.db'}?mode=ro", uri=True) as connection:
            return [row[0] for row in connection.execute("SELECT key FROM page WHERE kind = 'order'")]


def config(market: Market, within: str) -> dict[str, Any]:
    ready = market.ready
    shops = ("kontor", "express")
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
    machines = {"bench": {"name": "Bench", "components": dict.fromkeys(PARTS, component)}}
    alarms = {"acknowledge_within": {"default": "60 d", "OTHER_TERMS": within}}
    return plant.config(around, machines) | {"connections": {}, "alarms": alarms}


def policy(mode: str) -> str:
    window = {"days": 30, "per_machine": "20000 EUR"}
    known = {shop: ["filter-10um"] for shop in ("kontor", "express")}
    usual = plant.policy()
    # a slow start wants something for the parts of unknown age that are in, before anybody says what was fitted
    checks = usual.get("checks", {}) | {"duplicates": False}
    return json.dumps(usual | {"modes": {"default": mode}, "window": window, "known": known, "checks": checks})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = PlantClock(datetime(2026, 3, 2, tzinfo=UTC), time.time(), SPEED)
    async with Market(tmp_path / "market", clock=clock, seed=3) as market:
        plant.write(tmp_path / "toolcrib.yaml", config(market, "2 d"), "test")
        bench = Bench(tmp_path, market, clock)
        yield bench
        await bench.end(signal.SIGTERM)


class Visitor:
    """A browser without JavaScript, signed in at the page of the process."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.session = session
        self.address = address

    async def sign_in(self, bench: Bench) -> None:
        link = (await asyncio.to_thread(control_client.sign_in, bench.home, plant.PERSON))["link"]
        async with self.session.post(link, data={"x": ""}, headers={"Origin": self.address}) as reply:
            assert reply.status == 200

    async def stop(self, query: str) -> str:
        async with self.session.get(f"{self.address}/stop/confirm?{query}") as reply:
            text = await reply.text()
        return await self.press(text, "/stop")

    async def press(self, text: str, path: str) -> str:
        form = text[text.index(f'action="{path}"') :]
        fields = dict(re.findall(r'name="(form_token|scope|key)" value="([^"]*)"', form)[:3])
        async with self.session.post(self.address + path, data=fields, headers={"Origin": self.address}) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.text()


async def test_by_every_door_a_stop_counts_within_a_second_and_nothing_leaves(bench: Bench, capsys):
    ready = await bench.start()
    await bench.act("policy", text=policy("ask"))
    taken: dict[str, float] = {}
    for component in ("page", "command", "file"):
        await bench.want(component)

    # By page: the whole plant. What waited is off, and nobody can approve it.
    order = await bench.until_order("page", "awaiting_approval")
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        visitor = Visitor(session, ready["address"])
        await visitor.sign_in(bench)
        taken["page"] = await bench.seconds_until_stopped("plant", visitor.stop("scope=plant"))
        async with session.get(f"{ready['address']}/orders") as reply:
            assert "Buying is stopped: the whole plant" in await reply.text()
        with pytest.raises(control_client.Refused) as refused:
            await bench.approve(order)
        assert refused.value.code == "STOPPED"
        assert {each.state for each in await bench.orders()} <= OFF
        async with session.get(f"{ready['address']}/stop/lift?scope=plant") as reply:
            lifted = await visitor.press(await reply.text(), "/stop/lift")
        assert "The stop is lifted" in lifted

    # By command line: one machine.
    await bench.until_order("command", "awaiting_approval")
    taken["command"] = await bench.seconds_until_stopped("machine bench", bench.command("stop", "machine", "bench"))
    assert {each.state for each in await bench.orders()} <= OFF
    assert await bench.command("resume", "machine", "bench") == 0

    # By file: one component; taking the file away lifts nothing.
    await bench.until_order("file", "awaiting_approval")
    file, scope = bench.home / "STOP", "component bench/file"
    taken["file"] = await bench.seconds_until_stopped(scope, asyncio.to_thread(file.write_text, f"{scope}\n"))
    assert (await bench.until_order("file", "cancelled")).rule == "STOPPED"
    await bench.until_order("command", "awaiting_approval")  # others go on
    assert await bench.command("resume", "component", "bench/file") == 1
    file.unlink()
    assert scope in bench.stops()
    assert await bench.command("resume", "component", "bench/file") == 0
    order = await bench.until_order("file", "awaiting_approval")

    assert max(taken.values()) < WITHIN_S, taken
    assert bench.received() + bench.received("express") == []
    await bench.approve(order)
    await bench.until_order("file", "confirmed", "shipped", "received")
    assert len(bench.received() + bench.received("express")) == 1
    said = capsys.readouterr()
    assert '"code": "STOP_FILE_THERE"' in said.out
    await verified(bench)
    print("seconds until durable:", taken)


async def test_a_stop_outlives_a_kill_and_counts_before_anything_is_sent_at_start(bench: Bench):
    await bench.start()
    await bench.act("policy", text=policy("ask"))
    await bench.want("approved")
    order = await bench.until_order("approved", "awaiting_approval")
    for shop in bench.market.shops.values():
        shop.habits.switch_on(Fault.LOCKS_OUT)  # nothing can be sent now: the order stays approved
    await bench.approve(order)
    await bench.until_order("approved", "approved")
    await bench.end(signal.SIGKILL)
    for shop in bench.market.shops.values():
        shop.habits.clear()

    assert await bench.command("stop") == 0  # no gateway answers: it is the file that stops
    assert (bench.home / "STOP").read_text() == "plant\n"
    await bench.start()
    assert bench.stops() == {"plant"}
    assert (await bench.until_order("approved", "cancelled")).rule == "STOPPED"
    (bench.home / "STOP").unlink()

    await bench.end(signal.SIGKILL)
    await bench.start()
    assert bench.stops() == {"plant"}
    before = await bench.orders()
    await bench.act("policy", text=policy("buy"))
    await bench.want("later")
    passes = time.monotonic() + 2.0
    while time.monotonic() < passes:  # four passes of reconciliation at this speed
        now = await bench.orders()
        assert [each.number for each in now] == [each.number for each in before]
        assert {each.state for each in now} <= OFF
        await asyncio.sleep(0.1)
    assert bench.received() + bench.received("express") == []
    assert await bench.command("resume") == 0
    await bench.until_order("later", "confirmed", "shipped", "received")
    await verified(bench)


async def test_an_alarm_that_nobody_acknowledges_stops_its_supplier_and_no_other(bench: Bench):
    await bench.start()
    await bench.act("policy", text=policy("buy"))
    cheap, other = bench.market.shops["kontor"], bench.market.shops["express"]
    other.habits.switch_on(Fault.UNAVAILABLE)
    cheap.habits.switch_on(Fault.PRICE_RISE)
    await bench.want("first")
    await bench.until_order("first", "needs_person")
    other.habits.clear()

    async def stopped() -> bool:
        return bench.stops() == {"supplier kontor"}

    await bench.until(stopped, "the supplier stopped")
    cheap.habits.clear()
    await bench.want("second")
    bought = await bench.until_order("second", "confirmed", "shipped", "received")
    assert bought.supplier == "express"
    assert bench.stops() == {"supplier kontor"}
    [alarm] = await alarms_of(bench)
    assert (alarm.code, alarm.halted) == ("OTHER_TERMS", True)
    assert await bench.command("alarms", "ack", alarm.id) == 0
    assert await bench.command("resume", "supplier", "kontor") == 0
    assert (bench.stops(), await alarms_of(bench)) == (set(), [])
    await verified(bench)


async def alarms_of(bench: Bench) -> list[views.AlarmView]:
    async with read_databases(bench.home) as databases, databases.spend.read() as tx:
        return await views.open_alarms(tx, load(bench.config).owner)


async def verified(bench: Bench) -> None:
    async with read_databases(bench.home) as databases, databases.spend.read() as tx:
        audit = await verify(tx, load(bench.config).owner)
    assert audit.verified, audit.problems
