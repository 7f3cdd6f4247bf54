"""How fast a need becomes a proposal, and a proposal that the policy allows becomes bytes on the wire.

Real database with durable commits, real gate, real audit, a supplier in the same process. Both must stay below 50 ms
in 99 of 100 purchases. The second is counted from before the commit that makes the approval durable. Other programs on
the machine are not what is measured: the calmest of a few rounds counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage import Storage
from marketplace.authority.policy import Mode
from tests.unit.marketplace.fakes import AcceptingSupplier, Clock, Plant

PURCHASES = 200
"""Enough for a 99th percentile that two odd moments of the machine decide, not one."""
ROUNDS_MAX = 3
WARM_UP = 10
LIMIT_MS = 50.0

pytestmark = pytest.mark.serial


class Watched:
    """A database that remembers when each transaction was ready to be made durable."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner
        self.ready: list[float] = []

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with self.inner.write() as tx:
            yield tx
            self.ready.append(time.perf_counter())

    def read(self) -> Any:
        return self.inner.read()


class Timed(AcceptingSupplier):
    """Remembers when it was asked to send."""

    reached: list[float]

    async def place(self, permit: Any) -> Any:
        self.reached.append(time.perf_counter())
        return self.accept(permit)


@pytest.fixture
async def plant(spend, owner, now) -> Plant:
    clock = Clock(now)
    supplier = Timed("supplier-1", clock)
    supplier.reached = []
    plant = Plant(spend, owner, clock, {supplier.name: supplier, "supplier-2": AcceptingSupplier("supplier-2", clock)})
    plant.suppliers["supplier-2"].price *= 2
    await plant.apply_policy(window={"days": 30, "per_machine": "1000000 EUR"})
    plant.database = Watched(spend)
    plant.restart()
    return plant


async def calmest(capsys: Any, what: str, one: Callable[[str], Awaitable[float]]) -> float:
    """Return the 99th percentile, in ms, of the calmest round; the first one within the limit ends it."""
    for number in range(WARM_UP):
        await one(f"warm-{number}")
    found = []
    for round in range(ROUNDS_MAX):
        spans = [await one(f"life-{round}-{number}") for number in range(PURCHASES)]
        found.append(statistics.quantiles(spans, n=100, method="inclusive")[98])
        with capsys.disabled():
            median, worst = statistics.median(spans), max(spans)
            print(f"\n{what}: median {median:.1f} ms, p99 {found[-1]:.1f} ms, worst {worst:.1f} ms")
        if found[-1] < LIMIT_MS:
            break
    return min(found)


async def test_need_to_proposal(plant, capsys):
    async def one(life: str) -> float:
        begun = time.perf_counter()
        await plant.want(mode=Mode.ASK, life=life)
        return (time.perf_counter() - begun) * 1000

    assert await calmest(capsys, "need to proposal", one) < LIMIT_MS
    assert set(await plant.states()) == {"awaiting_approval"}


async def test_policys_leave_to_bytes_on_the_wire(plant, capsys):
    supplier = plant.suppliers["supplier-1"]

    async def one(life: str) -> float:
        plant.database.ready.clear()
        await plant.want(life=life)
        decided, _intended = [ready for ready in plant.database.ready if ready < supplier.reached[-1]][-2:]
        return (supplier.reached[-1] - decided) * 1000

    assert await calmest(capsys, "policy's leave to bytes on the wire", one) < LIMIT_MS
    assert set(await plant.states()) == {"confirmed"}
    assert len(supplier.bought) == len(await plant.orders())
