"""One plant-month: the plant, its suppliers and people, the gateway that is killed and started again, and fate.

Everything is drawn from the month's seed, each actor from a generator of its own, so that one more draw here moves
nothing there. Time is the loop's; the plant's clock follows it, and sometimes goes wrong. After the month come days of
quiet in which nothing fails, so that what hangs in between has time to settle.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import structlog
from sqlalchemy import StaticPool, create_engine

from gateway.inline import InlineStorage
from marketplace import identity, store
from marketplace.audit.replay import replay
from marketplace.audit.verify import verify
from marketplace.ordering.terms import PurchasingTerms
from marketplace.store import Owner
from tests.campaigns import virtual_time
from tests.campaigns.simulation.disk import BROKEN, FULL, Disk, open_on
from tests.campaigns.simulation.gateway import Gateway, on_purpose
from tests.campaigns.simulation.invariants import Checker
from tests.campaigns.simulation.people import ANNA, People
from tests.campaigns.simulation.sabotage import planted
from tests.campaigns.simulation.site import CURRENCY, DELIVERY, Site
from tests.campaigns.simulation.suppliers import CHARACTERS, DAY, Book, Pallet
from tests.campaigns.simulation.trace import Trace, Violation

ORIGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MONTH_DAYS, QUIET_DAYS = 30.0, 6.0
STRICT_EVERY = 3
"""Each third month has the checks that a policy has which says nothing of them; the others ask less of people."""
JUMPS_S = (-400 * DAY, -2 * DAY, -3600.0, 3600.0, 2 * DAY, 400 * DAY)
"""By how much a clock goes wrong, for a while."""


@dataclass(frozen=True, slots=True)
class Month:
    """What one month was like; picklable, for it comes from another process."""

    seed: int
    events: int
    orders: int
    purchases: int
    faults: dict[str, int]
    violations: tuple[Violation, ...]
    recent: tuple[str, ...]
    trace: str
    root: str
    seconds: float


@cache
def empty_spend() -> bytes:
    """Return a spend database with every table and no row."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    store.metadata.create_all(engine)
    with engine.connect() as connection:
        made: bytes = connection.connection.driver_connection.serialize()  # type: ignore[union-attr]
    engine.dispose()
    return made


class World:
    """Everything there is in one month."""

    def __init__(self, seed: int, sabotage: str = "none") -> None:
        self.seed = seed
        self.loop = asyncio.get_running_loop()
        self.trace = Trace(seed, self.loop.time)
        self.owner = Owner("northworks", "G1")
        self.terms = PurchasingTerms(
            CURRENCY,
            "DE",
            DELIVERY,
            wire_timeout=timedelta(seconds=30),
            poll_every=timedelta(hours=24),
            software="simulated",
        )
        self.disk = Disk()
        self.connection = open_on(self.disk, empty_spend())
        self.storage = InlineStorage(self.connection)
        self.site = Site(self.rng("site"))
        self.books = {each.name: Book(self, each, self.rng(each.name)) for each in CHARACTERS}
        self.checker = Checker(self.connection, self.trace, self.books)
        self.sabotage = planted(sabotage, self, self.rng("sabotage"))
        self.people = People(self, self.rng("people"))
        self.fate = self.rng("fate")
        self.gateway: Gateway | None = None
        self.quiet = False
        self.strict = seed % STRICT_EVERY == 0
        self._ahead = 0.0
        self._ended: list[Gateway] = []

    def rng(self, name: str) -> random.Random:
        """Return the generator of one actor."""
        return random.Random(f"{self.seed}:{name}")

    # Time.

    @property
    def seconds(self) -> float:
        """How long the month has lasted."""
        return self.loop.time()

    def true_now(self) -> datetime:
        """Return the time that everybody else's clock shows."""
        return ORIGIN + timedelta(microseconds=round(self.seconds * 1e6))

    def clock(self) -> datetime:
        """Return the time that the plant's clock shows."""
        return self.true_now() + timedelta(seconds=self._ahead)

    def later(self, seconds: float, act: Callable[..., None], *arguments: Any) -> None:
        """Do something later, whatever becomes of the gateway."""
        self.loop.call_later(seconds, act, *arguments)

    def chance(self, rng: random.Random, probability: float) -> bool:
        """Return whether something goes wrong now; in the days of quiet nothing does."""
        return rng.random() < probability and not self.quiet

    # What others tell.

    def deliver(self, pallet: Pallet) -> None:
        """Goods stand at the gate of the plant."""
        self.people.pallets.append(pallet)

    def failed(self, where: str, error: BaseException) -> None:
        """The program raised something: the disk was told to fail, or it is broken."""
        self.trace.tell("failed", where, type(error).__name__)
        if not on_purpose(error):
            self.trace.violated("PROGRAM_BROKE", f"{where}: {error!r}")

    def hear(self, _logger: Any, _method: str, told: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Listen to the program's log: what it caught itself must not have been its own mistake."""
        trace = told.get("trace", "") if told["event"] == "reconciliation_failed" else ""
        if trace and "disk" not in trace and "AdapterBroke" not in trace:
            self.trace.violated("PROGRAM_BROKE", f"{told['subject']}: {trace}")
        error = sys.exc_info()[1] if told.get("exc_info") else None
        if error is not None and not on_purpose(error):
            self.trace.violated("PROGRAM_BROKE", f"{told['event']}: {error!r}")
        raise structlog.DropEvent

    # The gateway lives and dies.

    def start_gateway(self) -> None:
        """Start it anew, on what is durable."""
        self.gateway = Gateway(self)
        self.trace.tell("started")
        self.gateway.start()

    def gateway_died(self) -> None:
        """It will be started again."""
        assert self.gateway is not None
        self._ended.append(self.gateway)
        self.gateway = None
        self.disk.mend()
        self.later(self.fate.uniform(10, 3 * 3600), self.start_gateway)

    # Fate.

    async def strike(self) -> None:
        """Let something fail every few hours, until the month is over."""
        strikes = (
            (self._arm_kill, 10), (self._kill_now, 3), (self._outage, 6), (self._disk_fails, 5), (self._clock_jumps, 1),
            (self._garbles, 2),
        )  # fmt: skip
        while True:
            await asyncio.sleep(self.fate.expovariate(1 / (7 * 3600)))
            self.fate.choices([act for act, _ in strikes], [weight for _, weight in strikes])[0]()

    def _arm_kill(self) -> None:
        if self.gateway is not None:
            self.gateway.strikes_in = self.fate.randrange(60)

    def _kill_now(self) -> None:
        if self.gateway is not None:
            self.trace.fault("killed")
            self.gateway.kill()

    def _outage(self) -> None:
        book = self.books[self.fate.choice(sorted(self.books))]
        book.down_until = self.seconds + self.fate.uniform(600, 30 * 3600)
        self.trace.fault("outage", book.name)

    def _garbles(self) -> None:
        book = self.books[self.fate.choice(sorted(self.books))]
        book.garbled_until = self.seconds + self.fate.uniform(3600, 30 * 3600)
        self.trace.fault("documents garbled", book.name)

    def _disk_fails(self) -> None:
        reason = self.fate.choice((FULL, BROKEN))
        self.disk.fail(reason, self.fate.randrange(400))
        self.trace.fault(reason.replace(" ", "-"))
        self.later(self.fate.uniform(600, 4 * 3600), self.disk.mend)

    def _clock_jumps(self) -> None:
        if self._ahead:
            return
        self._ahead = self.fate.choice(JUMPS_S)
        self.trace.fault("clock jumps", self._ahead)
        self.later(self.fate.uniform(600, 6 * 3600), self._clock_is_set)

    def _clock_is_set(self) -> None:
        self._ahead = 0.0
        self.trace.tell("clock set")

    # The month.

    async def live(self, days: float, quiet_days: float) -> None:
        """Live through the month and the quiet after it."""
        self.start_gateway()
        await self.people.apply(self.people.policy(2500), ANNA)
        acts = self.sabotage.prepare(), self.strike()
        tasks = [*self.people.begin(), *map(asyncio.create_task, acts)]
        await self._until(days * DAY)
        self._calm(tasks.pop())
        await self._until((days + quiet_days) * DAY)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if self.gateway is not None:
            self._ended.append(self.gateway)
            self.gateway.stop()
        for gateway in self._ended:
            await gateway.ended()

    async def _until(self, seconds: float) -> None:
        """Wait for a time, or for the first violation: what follows from it is only its echo."""
        while self.seconds < seconds and not self.trace.violations:
            await asyncio.sleep(min(3600.0, seconds - self.seconds))

    def _calm(self, fate: asyncio.Task[None]) -> None:
        self.quiet = True
        fate.cancel()
        self.disk.mend()
        self._ahead = 0.0
        for book in self.books.values():
            book.down_until = book.garbled_until = 0.0
        if self.gateway is not None:
            self.gateway.strikes_in = -1

    async def conclude(self) -> None:
        """Count everything, and let the program's own verification and its replay of every decision have their say."""
        if self.trace.violations:
            return
        self.checker.recount()
        self.checker.settled()
        async with self.storage.read() as tx:
            found, again = await verify(tx, self.owner), await replay(tx, self.owner)
        if not found.verified or found.root != self.checker.root:
            self.trace.violated("AUDIT_VERIFY", "; ".join(found.problems) or "another root than every append gave")
        if again.identical != again.decisions:
            self.trace.violated("REPLAY", "; ".join(again.differences) or f"{again.incomplete} without their inputs")


async def _live(seed: int, days: float, quiet_days: float, sabotage: str) -> Month:
    began = time.process_time()
    world = World(seed, sabotage)
    structlog.configure(processors=[world.hear], cache_logger_on_first_use=False)
    try:
        with identity.drawing_from(world.rng("identity").randbytes):
            await world.live(days, quiet_days)
            await world.conclude()
    finally:
        structlog.reset_defaults()
        await world.storage.close()
    trace = world.trace
    return Month(
        seed=seed,
        events=trace.events,
        orders=world.checker.orders,
        purchases=sum(len(book.entries) for book in world.books.values()),
        faults=dict(sorted(trace.faults.items())),
        violations=tuple(trace.violations),
        recent=tuple(trace.recent) if trace.violations else (),
        trace=trace.hash,
        root=world.checker.root,
        seconds=time.process_time() - began,
    )


def simulate(seed: int, days: float = MONTH_DAYS, sabotage: str = "none") -> Month:
    """Live one month, or less of it, and return what it was like."""
    return virtual_time.run(_live(seed, days, min(days, QUIET_DAYS), sabotage))
