"""One run of the gateway, from its start to the moment when it is killed: what is not durable dies with it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import JumpWatch
from gateway.money_watch import MoneyWatch
from marketplace.authority.gate import current_policy
from marketplace.authority.policy import Policy, mode_of
from marketplace.ordering.purchase import Purchasing
from marketplace.ordering.reconciliation import Reconciliation
from marketplace.ordering.stopping import Stopping
from tests.campaigns.simulation.site import CATALOGUE, Component, advice_on, economics
from tests.campaigns.simulation.suppliers import AdapterBroke, SimulatedSupplier

if TYPE_CHECKING:
    from tests.campaigns.simulation.world import World

Result = TypeVar("Result")
DECIDE_S = 8 * 3600.0
PASS_S, BUSY_PASS_S = 2 * 3600.0, 120.0
"""Between two passes where nothing is in the balance, and where something is."""
_BUSY = text(
    "SELECT count(*) FROM purchase_order WHERE state IN ('proposed', 'approved', 'submitting', 'unknown', 'cancelling')"
)


def on_purpose(error: BaseException) -> bool:
    """Return whether an error is one that the disk or an adapter was told to make."""
    if isinstance(error, BaseExceptionGroup):
        return all(on_purpose(each) for each in error.exceptions)
    return isinstance(error, AdapterBroke) or (isinstance(error, DBAPIError | sqlite3.Error) and "disk" in str(error))


class GatewayStore:
    """The store as one run of the gateway sees it: gone once that run is over."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        gateway, world = self._gateway, self._gateway.world
        gateway.moment("before the transaction")
        async with world.storage.write() as tx:
            yield tx
            gateway.moment("before the commit")
            world.sabotage.before_commit()
        world.checker.committed()
        gateway.moment("after the commit")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        self._gateway.moment("before a look")
        async with self._gateway.world.storage.read() as tx:
            yield tx


class Gateway:
    """Purchasing and reconciliation, with their schedule."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.alive = True
        self.strikes_in = -1  # so many moments from now it is killed; never, below zero
        self._tasks: set[asyncio.Task[Any]] = set()
        self.database = GatewayStore(self)
        suppliers = {name: world.sabotage.around(SimulatedSupplier(self, book)) for name, book in world.books.items()}
        self.purchasing = Purchasing(self.database, world.owner, suppliers, CATALOGUE, world.terms, world.clock)
        self.reconciliation = Reconciliation(self.purchasing)
        self.stopping = Stopping(self.database, world.owner, world.clock)
        jumps = JumpWatch(world.clock, running=world.loop.time)
        self.watch = MoneyWatch(self.stopping, jumps, world.terms.alarms, lambda: world.trace.tell("stopped by alarm"))

    def start(self) -> None:
        """Begin to work; recovery is the first pass."""
        self._spawn(self._passes())
        self._spawn(self._decides())

    def _spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def moment(self, where: str) -> None:
        """Die here if it is time to. Whoever is dead goes no further."""
        if not self.alive:
            raise asyncio.CancelledError
        if self.strikes_in == 0:
            self.world.trace.fault(f"killed {where}")
            self.kill()
            raise asyncio.CancelledError
        self.strikes_in -= 1 if self.strikes_in > 0 else 0

    def kill(self) -> None:
        """End this run at once, as SIGKILL does; the next one begins later."""
        self.stop()
        self.world.gateway_died()

    def stop(self) -> None:
        """End this run for good."""
        self.alive = False
        for task in self._tasks:
            task.cancel()

    async def ended(self) -> None:
        """Wait until nothing of this run moves any more."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def act(self, name: str, work: Awaitable[Result]) -> Result | None:
        """Do what a person asks of the gateway; None when it died over it or the disk refused."""

        async def doing() -> Result:
            return await work

        task = self._spawn(doing())
        await asyncio.wait({task})
        if task.cancelled():
            return None
        error = task.exception()
        if error is None:
            return task.result()
        self.world.failed(name, error)
        return None

    async def _passes(self) -> None:
        await self.watch.begin()
        while True:
            busy = True
            try:
                await self.watch.look()
                done = await self.reconciliation.run_once()
                self.world.trace.tell("pass", done.answers, done.orders, done.requisitions, done.failed)
                async with self.database.read() as tx:
                    busy = (await tx.execute(_BUSY)).scalar_one() > 0
            except Exception as error:
                self.world.failed("a pass", error)
            await asyncio.sleep(BUSY_PASS_S if busy else PASS_S)

    async def _decides(self) -> None:
        while True:
            try:
                await self._decide()
            except Exception as error:
                self.world.failed("a decision step", error)
            await asyncio.sleep(DECIDE_S)

    async def _decide(self) -> None:
        """As the pipeline does: revise every need, and want what timing says to buy."""
        now = self.world.clock()
        async with self.database.read() as tx:
            applied = await current_policy(tx, self.world.owner)
        policy = applied.policy if applied else None
        await asyncio.gather(*(self._want(component, policy, now) for component in self.world.site.components))

    async def _want(self, component: Component, policy: Policy | None, now: datetime) -> None:
        need = component.need(now, self.world.seconds / 3600)
        advice = advice_on(need, now)
        if not advice.buy:
            return
        try:
            for line in need.lines:
                await self.purchasing.want(need, line, advice, mode_of(policy, need.component), economics(line.item))
        except Exception as error:
            self.world.failed("a want", error)
