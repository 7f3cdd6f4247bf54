"""The real gateway process, whose own system calls fail: no room, an I/O error, a read-only disk.

strace makes the n-th write or sync of the spend database's files fail, and the following ones for a while. The
purchase is made once all the same, or after a restart. Here a sample; `python -m tests.campaigns.storage` takes more.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from gateway import control_client
from gateway.databases import read_databases, spend_file
from marketplace.audit.verify import verify
from tests.faults.bench import Bench, bench
from tests.faults.power import STRACE

__all__ = ["bench"]  # the fixture

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(STRACE is None, reason="strace, which makes system calls fail, is not installed"),
]

HAPPY = ("confirmed", "shipped", "received", "closed")
AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Injection:
    """From the `first` call of this kind on, so many fail with an error."""

    call: str
    error: str
    first: int
    many: int

    def __str__(self) -> str:
        return f"{self.call}:{self.error}:{self.first}+{self.many}"

    def arguments(self, bench: Bench) -> list[str]:
        spend = spend_file(bench.home)
        paths = ["-P", str(spend), "-P", f"{spend}-wal"]
        last = self.first + self.many - 1
        inject = f"inject={self.call}:error={self.error}:when={self.first}..{last}"
        return [str(STRACE), "-D", "-f", "-qq", "-o", str(bench.home / "trace"), *paths, "-e", inject]


async def start_on(bench: Bench, injection: Injection) -> bool:
    """Start the gateway on a failing disk; False when it refused with one sentence."""
    gateway = (sys.executable, "-m", "gateway.demo.gateway", str(bench.home / "toolcrib.yaml"), bench.clock.to_text())
    with (bench.home / "gateway.log").open("ab") as log:
        bench.process = await asyncio.create_subprocess_exec(*injection.arguments(bench), *gateway, stderr=log)
    process = bench.process
    try:
        await asyncio.to_thread(control_client.wait_ready, bench.home, 30, lambda: process.returncode is None)
    except control_client.NotRunning:
        assert await asyncio.wait_for(process.wait(), 10) == 1, (bench.home / "gateway.log").read_text()[-3000:]
        return False
    return True


async def want(bench: Bench, component: str) -> None:
    """Say what the part has run, until somebody takes it."""

    async def taken() -> bool:
        try:
            await bench.act("fitted", {"component": component, "used": "995 h"})
        except control_client.Refused as error:
            if error.code != "STORAGE_FAILED":
                raise
            await asyncio.sleep(AGAIN_S)
            return False
        return True

    await bench.until(taken, "the fitting was entered")


async def purchase_on_calls(bench: Bench, component: str, injection: Injection) -> bool:
    """Buy one part while calls fail; returns whether the gateway itself said that buying stopped."""
    before = len(bench.market.shops["kontor"]._book.all("order"))
    await bench.stop()
    if not await start_on(bench, injection):
        await bench.start()
    await want(bench, component)
    order = await bench.until_order(component, *HAPPY)
    book: list[dict[str, Any]] = bench.market.shops["kontor"]._book.all("order")
    assert [each["reference"] for each in book].count(order.number) == 1
    assert len(book) == before + 1, str(injection)
    async with read_databases(bench.home) as databases, databases.spend.read() as tx:
        found = await verify(tx, bench.config.owner)
    assert found.verified, (str(injection), found.problems)
    said = (bench.home / "gateway.log").read_text()
    return "buying_stopped" in said or "cannot be written" in said or "cannot be used" in said


@pytest.mark.long
@pytest.mark.parametrize(
    "injection", [Injection("pwrite64", "ENOSPC", 40, 25), Injection("fdatasync", "EIO", 4, 3)], ids=str
)
async def test_system_calls_that_fail_cost_no_purchase_and_buy_none_twice(bench: Bench, injection: Injection):
    assert await purchase_on_calls(bench, "bench/confirmed", injection)
