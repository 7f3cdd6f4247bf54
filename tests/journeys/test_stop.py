"""Somebody stops buying: by page, command line or file; on a real gateway process, against suppliers over real HTTP.

A stop is measured from the act until its row is durable, and must take less than a second by every door. Afterwards
nothing leaves: not what waited for approval, not what was approved, not after a kill and not after a start. Plant time
is compressed; the stop is not.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway import control_client, views
from gateway.cli import main
from gateway.clock import PlantClock
from gateway.databases import read_databases
from gateway.demo import plant
from marketplace.audit.verify import verify
from marketplace.suppliers.simulator.habits import Fault
from marketplace.suppliers.simulator.market import Market
from tests.faults.bench import SPEED, Bench, config, policy

pytestmark = [pytest.mark.serial, pytest.mark.timeout(240)]

WITHIN_S = 1.0
OFF = {"cancelled", "denied", "expired"}
"""How orders end of which nothing is sent; in compressed time some prices run out by themselves."""
SHOPS = ("kontor", "express")
PARTS = ("page", "command", "file", "approved", "later", "first", "second")


class StopBench(Bench):
    """A bench whose gateway is told to stop buying, and not always left running."""

    async def command(self, *words: str) -> int:
        return await asyncio.to_thread(main, [*words, "--config", str(self.home / "toolcrib.yaml"), "--json"])

    async def want(self, component: str) -> None:
        await self.act("fitted", {"component": component, "used": "995 h"})

    async def approve(self, order: views.OrderView) -> None:
        await self.act("approve", {"number": order.number, "order_hash": order.order_hash})

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


def policy_that(mode: str) -> dict[str, Any]:
    return {"text": policy({"default": mode}, SHOPS)}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[StopBench]:
    clock = PlantClock(datetime(2026, 3, 2, tzinfo=UTC), time.time(), SPEED)
    async with Market(tmp_path / "market", clock=clock, seed=3) as market:
        alarms = {"acknowledge_within": {"default": "60 d", "OTHER_TERMS": "2 d"}}
        plant.write(tmp_path / "toolcrib.yaml", config(market, PARTS, SHOPS) | {"alarms": alarms}, "test")
        bench = StopBench(tmp_path, market, clock)
        yield bench
        await bench.stop()


class Visitor:
    """A browser without JavaScript, signed in at the page of the process."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.session = session
        self.address = address

    async def sign_in(self, bench: StopBench) -> None:
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


async def test_by_every_door_a_stop_counts_within_a_second_and_nothing_leaves(bench: StopBench, capsys):
    ready = await bench.start()
    await bench.act("policy", policy_that("ask"))
    taken: dict[str, float] = {}
    for component in ("page", "command", "file"):
        await bench.want(f"bench/{component}")

    # By page: the whole plant. What waited is off, and nobody can approve it.
    order = await bench.until_order("bench/page", "awaiting_approval")
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
    await bench.until_order("bench/command", "awaiting_approval")
    taken["command"] = await bench.seconds_until_stopped("machine bench", bench.command("stop", "machine", "bench"))
    assert {each.state for each in await bench.orders()} <= OFF
    assert await bench.command("resume", "machine", "bench") == 0

    # By file: one component; taking the file away lifts nothing.
    await bench.until_order("bench/file", "awaiting_approval")
    file, scope = bench.home / "STOP", "component bench/file"
    taken["file"] = await bench.seconds_until_stopped(scope, asyncio.to_thread(file.write_text, f"{scope}\n"))
    assert (await bench.until_order("bench/file", "cancelled")).rule == "STOPPED"
    await bench.until_order("bench/command", "awaiting_approval")  # others go on
    assert await bench.command("resume", "component", "bench/file") == 1
    file.unlink()
    assert scope in bench.stops()
    assert await bench.command("resume", "component", "bench/file") == 0
    order = await bench.until_order("bench/file", "awaiting_approval")

    assert max(taken.values()) < WITHIN_S, taken
    assert bench.received() + bench.received("express") == []
    await bench.approve(order)
    await bench.until_order("bench/file", "confirmed", "shipped", "received")
    assert len(bench.received() + bench.received("express")) == 1
    said = capsys.readouterr()
    assert '"code": "STOP_FILE_THERE"' in said.out
    await verified(bench)
    print("seconds until durable:", taken)


async def test_a_stop_outlives_a_kill_and_counts_before_anything_is_sent_at_start(bench: StopBench):
    await bench.start()
    await bench.act("policy", policy_that("ask"))
    await bench.want("bench/approved")
    order = await bench.until_order("bench/approved", "awaiting_approval")
    for shop in bench.market.shops.values():
        shop.habits.switch_on(Fault.LOCKS_OUT)  # nothing can be sent now: the order stays approved
    await bench.approve(order)
    await bench.until_order("bench/approved", "approved")
    await bench.kill()
    for shop in bench.market.shops.values():
        shop.habits.clear()

    assert await bench.command("stop") == 0  # no gateway answers: it is the file that stops
    assert (bench.home / "STOP").read_text() == "plant\n"
    await bench.start()
    assert bench.stops() == {"plant"}
    assert (await bench.until_order("bench/approved", "cancelled")).rule == "STOPPED"
    (bench.home / "STOP").unlink()

    await bench.kill()
    await bench.start()
    assert bench.stops() == {"plant"}
    before = await bench.orders()
    await bench.act("policy", policy_that("buy"))
    await bench.want("bench/later")
    passes = time.monotonic() + 2.0
    while time.monotonic() < passes:  # four passes of reconciliation at this speed
        now = await bench.orders()
        assert [each.number for each in now] == [each.number for each in before]
        assert {each.state for each in now} <= OFF
        await asyncio.sleep(0.1)
    assert bench.received() + bench.received("express") == []
    assert await bench.command("resume") == 0
    await bench.until_order("bench/later", "confirmed", "shipped", "received")
    await verified(bench)


@pytest.mark.long
async def test_an_alarm_that_nobody_acknowledges_stops_its_supplier_and_no_other(bench: StopBench):
    await bench.start()
    await bench.act("policy", policy_that("buy"))
    cheap, other = bench.market.shops["kontor"], bench.market.shops["express"]
    other.habits.switch_on(Fault.UNAVAILABLE)
    cheap.habits.switch_on(Fault.PRICE_RISE)
    await bench.want("bench/first")
    await bench.until_order("bench/first", "needs_person")
    other.habits.clear()

    async def stopped() -> bool:
        return bench.stops() == {"supplier kontor"}

    await bench.until(stopped, "the supplier stopped")
    cheap.habits.clear()
    await bench.want("bench/second")
    bought = await bench.until_order("bench/second", "confirmed", "shipped", "received")
    assert bought.supplier == "express"
    assert bench.stops() == {"supplier kontor"}
    [alarm] = await alarms_of(bench)
    assert (alarm.code, alarm.halted) == ("OTHER_TERMS", True)
    assert await bench.command("alarms", "ack", alarm.id) == 0
    assert await bench.command("resume", "supplier", "kontor") == 0
    assert (bench.stops(), await alarms_of(bench)) == (set(), [])
    await verified(bench)


async def alarms_of(bench: StopBench) -> list[views.AlarmView]:
    async with read_databases(bench.home) as databases, databases.spend.read() as tx:
        return await views.open_alarms(tx, bench.config.owner)


async def verified(bench: StopBench) -> None:
    async with read_databases(bench.home) as databases, databases.spend.read() as tx:
        audit = await verify(tx, bench.config.owner)
    assert audit.verified, audit.problems
