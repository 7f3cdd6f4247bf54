"""SIGTERM at any moment: the process is gone within five seconds, with exit code 0, and what was open is taken up.

Everything is real, as in `bench`: a process, files, a supplier over HTTP.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway import control_client
from gateway.databases import read_databases
from gateway.demo import plant
from marketplace.audit.verify import verify
from marketplace.suppliers.simulator.habits import Fault, Habits
from tests.faults.bench import Bench, bench

__all__ = ["bench"]  # the fixture

pytestmark = pytest.mark.timeout(120)

WITHIN_S = 5.0
HANGS_S = 60.0
"""Far longer than the gateway may take to stop."""


async def stop(bench: Bench) -> float:
    """Send SIGTERM and return after how many seconds the process was gone; its exit code must be 0."""
    assert bench.process is not None
    began = time.monotonic()
    bench.process.send_signal(signal.SIGTERM)
    code = await asyncio.wait_for(bench.process.wait(), 15)
    took = time.monotonic() - began
    await asyncio.gather(*bench.acts, return_exceptions=True)
    bench.acts.clear()
    log = (bench.home / "gateway.log").read_text()
    assert code == 0, log[-3000:]
    assert took < WITHIN_S, log[-3000:]
    assert "Traceback" not in log, log[-3000:]
    return took


@asynccontextmanager
async def hanging(bench: Bench) -> AsyncIterator[None]:
    """The supplier takes what is sent and answers nobody."""
    habits = bench.market.shops["kontor"].habits
    habits.slow_seconds = HANGS_S
    habits.switch_on(Fault.SLOW)
    yield
    habits.clear()


async def bought_once(bench: Bench, component: str) -> None:
    order = await bench.until_order(component, "confirmed", "shipped", "received", "closed")
    assert [each["reference"] for each in bench.market.shops["kontor"]._book.all("order")] == [order.number]
    async with read_databases(bench.home) as databases, databases.spend.read() as tx:
        found = await verify(tx, bench.config.owner)
    assert found.verified, found.problems


@pytest.mark.long
async def test_while_a_supplier_thinks_about_a_quotation(bench: Bench):
    async with hanging(bench):
        await bench.act("fitted", {"component": "bench/quoting", "used": "995 h"})
        await bench.until_quoting("bench/quoting")
        await stop(bench)
    await bench.start()
    await bought_once(bench, "bench/quoting")


async def test_while_a_supplier_hangs_with_the_order(bench: Bench):
    await bench.act("fitted", {"component": "bench/approved", "used": "995 h"})
    order = await bench.until_order("bench/approved", "awaiting_approval")
    async with hanging(bench):
        bench.begin("approve", {"number": order.number, "order_hash": order.order_hash})
        await bench.until_order("bench/approved", "submitting")
        await stop(bench)
    left = await bench.order_for("bench/approved")
    assert left is not None
    assert left.state == "submitting"
    await bench.start()
    await bought_once(bench, "bench/approved")


@pytest.mark.long
async def test_while_it_asks_what_became_of_an_order(bench: Bench):
    await bench.act("fitted", {"component": "bench/approved", "used": "995 h"})
    order = await bench.until_order("bench/approved", "awaiting_approval")
    habits = bench.market.shops["kontor"].habits
    habits.slow_seconds = HANGS_S
    habits.switch_on(Fault.DROP_AFTER_ACCEPT, 1)
    bench.begin("approve", {"number": order.number, "order_hash": order.order_hash})
    await bench.until(lambda: _asked_for(habits), "the order at the supplier")
    habits.switch_on(Fault.SLOW)
    await asyncio.gather(*bench.acts, return_exceptions=True)
    await stop(bench)
    habits.clear()
    await bench.start()
    await bought_once(bench, "bench/approved")


async def _asked_for(habits: Habits) -> bool:
    """Whether the fault has struck."""
    return Fault.DROP_AFTER_ACCEPT not in habits.active()


@pytest.mark.long
async def test_while_it_writes(bench: Bench):
    """A crowd of acts is under way; each was done or was not, and its answer is never a lie."""
    for wait in (0.02, 0.15):
        acts = [asyncio.create_task(_stocked(bench, quantity)) for quantity in range(1, 40)]
        await asyncio.sleep(wait)  # the moment is the point: somewhere in the middle of them
        await stop(bench)
        done = [quantity for quantity in await asyncio.gather(*acts) if quantity]
        await bench.start()
        async with read_databases(bench.home) as databases, databases.spend.read() as tx:
            found = await verify(tx, bench.config.owner)
        assert found.verified, found.problems
        assert found.entries >= len(done)


async def _stocked(bench: Bench, quantity: int) -> int:
    body = {"item": "filter-10um", "quantity": str(quantity)}
    try:
        answer = await asyncio.to_thread(control_client.act, bench.home, "stock", body, plant.TECHNICIAN)
    except (control_client.NotRunning, control_client.Interrupted):
        return 0
    return quantity if answer["ok"] else 0


@pytest.mark.long
async def test_while_a_browser_watches_and_another_sends_a_form_that_never_ends(bench: Bench):
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        told = await asyncio.to_thread(control_client.sign_in, bench.home, plant.PERSON)
        address = control_client.status(bench.home)["address"]
        async with browser.post(
            told["link"], headers={"Origin": address}, data={"go": ""}, allow_redirects=False
        ) as reply:
            assert reply.status == 303
        stream = await browser.get(f"{address}/events")
        assert stream.status == 200
        host, port = address.removeprefix("http://").split(":")
        _reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /enter/stock HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nitem=")
        await writer.drain()
        await stop(bench)
        stream.close()
        writer.close()
    await bench.start()


@pytest.mark.long
async def test_at_any_moment_of_a_start(bench: Bench):
    """From the first moment at which the program can hear a signal at all."""
    await stop(bench)
    for wait in (0.0, 0.2, 0.4, 0.7):
        command = (sys.executable, "-m", "gateway.demo.gateway", str(bench.home / "toolcrib.yaml"))
        with (bench.home / "gateway.log").open("ab") as log:
            bench.process = await asyncio.create_subprocess_exec(*command, bench.clock.to_text(), stderr=log)
        await bench.until(lambda: _hears(bench), "a signal handler")
        await asyncio.sleep(wait)  # the moment is the point
        await stop(bench)
    await bench.start()
    assert control_client.status(bench.home)["ready"]


async def _hears(bench: Bench) -> bool:
    """Whether the process has said what to do at SIGTERM."""
    assert bench.process is not None
    for line in Path(f"/proc/{bench.process.pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False
