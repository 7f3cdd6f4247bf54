"""Recorded lives, bought for by the real gateway: `toolcrib demo --replay DIR`.

The gateway runs here, complete, on real databases; recorded machines and the market are another process, reached over
OPC-UA with SignAndEncrypt and HTTP. Plant time is the recording's: one cycle is one hour, and the next is served when
the gateway has taken every value of the last. It decides every 10 cycles, on the unit's own past and the first cycles
of its peers alone. Once a part is fitted, or the unit has failed, the rest of its recording is of another life: it is
still received, and the unit is only watched, by a policy that the demo's person applies.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession

from connectors.simulator.errors import SimulatorError
from connectors.simulator.player import Lockstep, Position
from gateway.build import CannotStart, Gateway, open_gateway
from gateway.config import load
from gateway.demo import plant, processes
from gateway.demo.processes import ChildFailed
from gateway.demo.score import Outcome, cost_ratio
from gateway.demo.stage import ORIGIN
from gateway.logs import quiet
from gateway.options import DemoOptions
from gateway.replacement import FAILURE, HOLDING, LEAD_TIME, PLANNED, STEP, WAITING
from gateway.storage import StorageBroken
from gateway.views import OrderView, orders
from maintenance import history
from maintenance.profiles import turbofan
from marketplace.suppliers.simulator.catalogue import ITEMS

ITEM: Final = "turbofan-module"
COMPONENT: Final = "engine"
SUPPLIER: Final = "maker"
CYCLE: Final = timedelta(hours=1)
CYCLE_S: Final = 30.0
"""Wall time for one cycle to arrive whole; a cycle takes some ten milliseconds."""


class ReplayFailed(Exception):
    """The replay did not come to its end; `str()` says why."""


@dataclass(slots=True)
class Course:
    """What is known of one unit so far, in cycles."""

    length: int
    order: int | None = None
    number: str = ""
    arrival: int | None = None
    orders: int = 0


@dataclass(slots=True)
class Replay:
    """One run; `now` is plant time, which stands still between two cycles."""

    gateway: Gateway
    step: Lockstep
    carrier: ClientSession
    courses: dict[str, Course]
    tags: Mapping[str, tuple[str, ...]]
    retired: set[str] = field(default_factory=set)

    async def play(self, hand: Hand, show: Callable[[int], None]) -> None:
        """Play every cycle; `hand` is plant time, moved on before each cycle is served. `show` is told the cycle."""
        position = await self.step.position()
        while not position.done:
            hand.now = position.at + CYCLE
            position = await self.step.advance(position.cycle)
            await self._taken(position)
            await self._act(position)
            show(position.cycle)

    async def _taken(self, position: Position) -> None:
        """Wait until every value of the cycle has arrived."""
        wanted = {tag for unit in position.served for tag in self.tags[unit]}
        readings = self.gateway.board.readings()

        def missing() -> set[str]:
            return {tag for tag in wanted if tag not in readings or readings[tag].source_time < position.at}

        async with asyncio.timeout(CYCLE_S), self.gateway.board.watch() as watcher:
            while wanted := missing():
                await watcher.changes()

    async def _act(self, position: Position) -> None:
        """Do what falls due at this cycle: parts that arrive, the step's decisions, units that have ended."""
        cycle = position.cycle
        arrived = await self._arrivals() if self._open() else []
        for unit in arrived:
            self.courses[unit].arrival = cycle
            await self._fit(unit)
        ended = {unit for unit, course in self.courses.items() if course.length == cycle}
        await self._retire({*arrived, *ended})
        if cycle % STEP == 0:
            await self.gateway.pipeline.decide()
            await self._note_orders(cycle)

    async def _arrivals(self) -> list[str]:
        """Return the units whose part the carrier has just handed over; the gateway hears of it from the supplier."""
        await self.gateway.reconciliation.run_once()
        async with self.carrier.get("/deliveries") as reply:
            there = {each["reference"] for each in (await reply.json())["deliveries"]}
        return [unit for unit, course in self._open().items() if course.number in there]

    async def _fit(self, unit: str) -> None:
        course = self.courses[unit]
        received = await self.gateway.operations.received(course.number, None, plant.TECHNICIAN, "demo")
        if not received.ok:
            sentence = _("{unit}: the part of order {number} is not here: {reason}")
            raise ReplayFailed(sentence.format(unit=unit, number=course.number, reason=received.message))
        component = f"{unit}/{COMPONENT}"
        await self.gateway.operations.fitted(component, "", "0 h", "", plant.TECHNICIAN, "demo")

    async def _retire(self, units: Iterable[str]) -> None:
        """From here on a unit is only watched: what follows in its recording is not its new part's life."""
        fresh = set(units) - self.retired
        if fresh:
            self.retired |= fresh
            text = json.dumps(policy(self.retired))
            applied = await self.gateway.operations.policy_apply(text, plant.PERSON, "demo")
            if not applied.ok:
                raise ReplayFailed(applied.message)

    async def _note_orders(self, cycle: int) -> None:
        for order in await self._orders():
            unit = order.machine
            course = self.courses[unit]
            if course.order is None:
                course.order, course.number = cycle, order.number

    async def _orders(self) -> list[OrderView]:
        async with self.gateway.databases.spend.read() as tx:
            return await orders(tx, self.gateway.config.owner, limit=100_000)

    def _open(self) -> dict[str, Course]:
        return {unit: each for unit, each in self.courses.items() if each.order is not None and each.arrival is None}

    async def outcomes(self) -> list[Outcome]:
        """Return what became of each unit; `orders` counts every order that was ever made for it."""
        for order in await self._orders():
            self.courses[order.machine].orders += 1
        return [
            Outcome(int(unit.removeprefix("unit-")), course.orders, course.order, course.arrival, course.length)
            for unit, course in self.courses.items()
        ]


@dataclass(slots=True)
class Hand:
    """Plant time as the replay moves it."""

    now: datetime

    def __call__(self) -> datetime:
        """Return plant time."""
        return self.now


def config(around: plant.Surroundings) -> dict[str, Any]:
    """Return a config of recorded engines; the shipped profile says what is watched on each."""
    base = plant.config(around, machines={})
    profile = turbofan().model_dump(mode="json", exclude_none=True)
    profile["job"]["lines"] = {COMPONENT: {"item": ITEM, "quantity": "1", "kind": "part"}}
    profile["buying"] = {
        "lead_time": f"{LEAD_TIME} h",
        "lead_time_spread": "0 %",  # the recorded market delivers to the hour
        "price": f"{PLANNED:.0f} EUR",
        "failure": f"{FAILURE - PLANNED:.0f} EUR",
        "standstill": f"{WAITING:.0f} EUR/h",
        "holding": f"{HOLDING:.0f} EUR/h",
    }
    item = ITEMS[ITEM]
    return base | {
        "machines": {
            unit: {
                "name": f"Recorded engine {unit.removeprefix('unit-')}",
                "connection": "hall-2",
                "tags": told["tags"],
                "components": {COMPONENT: profile},
            }
            for unit, told in around.factory["machines"].items()
        },
        "connections": {
            "hall-2": {
                "connector": "opcua",
                "url": around.factory["opcua_url"],
                "server_certificate": around.factory["fingerprint"],
                "sampling": "20 ms",
                "clock_tolerance": "1 d",
            }
        },
        "items": {
            ITEM: {
                "manufacturer": item.manufacturer,
                "mpn": item.mpn,
                "description": item.description,
                "unit": item.unit,
            }
        },
        "timing": {"approval": "0 h", "step": f"{STEP} h", "quote_deadline": "5 s"},
    }


def policy(retired: Iterable[str] = ()) -> dict[str, Any]:
    """Return the policy: modules from the maker may be bought; units that have ended are watched."""
    return {
        "schema": 1,
        "mandate": {
            "granted_by": plant.PERSON,
            "machines": ["*"],
            "per_order": "500 EUR",
            "until": "2099-12-31T00:00:00Z",
        },
        "window": {"days": 30, "per_machine": "2000 EUR"},
        "amounts": "net",
        "modes": {"default": "buy", **dict.fromkeys(sorted(retired), "watch")},
        "known": {SUPPLIER: [ITEM]},
        # a whole fleet decides in the same minute of plant time
        "checks": {f"{whose}_orders": {"minute": 500, "hour": 500, "day": 500} for whose in ("plant", "supplier")},
    }


async def replay(options: DemoOptions) -> dict[str, Any]:
    """Play recordings to their end and return the report. Raises `ReplayFailed`, `ChildFailed`, `CannotStart`."""
    assert options.replay is not None
    began = time.monotonic()
    home = _fresh(options.directory.absolute())
    async with AsyncExitStack() as stack:
        arguments = (str(options.replay.absolute()), options.units or "", str(home))
        child = await processes.start("stage", ("-m", "gateway.demo.stage", *arguments), home)
        stack.push_async_callback(processes.stop, child)
        ready = await processes.answer(child)
        around = plant.Surroundings(
            ready["factory"],
            plant.market({SUPPLIER: ready["addresses"][SUPPLIER]}, ready["tokens"]),
            getpass.getuser(),
            0 if options.headless else options.port,
        )
        plant.write(home / "policy.yaml", policy(), "The replay's policy.")
        plant.write(home / "toolcrib.yaml", config(around), "The replay's config.")
        hand = Hand(ORIGIN)
        gateway = await stack.enter_async_context(open_gateway(load(home / "toolcrib.yaml"), clock=hand))
        tags = {
            unit: tuple(f"{unit}/{tag}" for tag in told["tags"]) for unit, told in ready["factory"]["machines"].items()
        }
        courses = {unit: Course(length) for unit, length in ready["lengths"].items()}
        step = await stack.enter_async_context(Lockstep(home / "player"))
        token = Path(ready["tokens"]["carrier"]).read_text().strip()  # noqa: ASYNC240 - forty bytes
        carrier = await stack.enter_async_context(
            ClientSession(ready["addresses"]["carrier"], headers={"Authorization": f"Bearer {token}"})
        )
        run = Replay(gateway, step, carrier, courses, tags)
        await _begin(run)
        with progress(max(ready["lengths"].values()), hidden=options.headless) as show:
            await run.play(hand, show)
        outcomes = await run.outcomes()
        values = await _values(gateway, {unit: course.length * len(tags[unit]) for unit, course in courses.items()})
    return {
        "units": [asdict(one) for one in outcomes],
        "in_time": sum(one.in_time for one in outcomes),
        "cost_ratio": round(cost_ratio(outcomes), 4),
        "values": values,
        "seconds": round(time.monotonic() - began, 1),
    }


async def _begin(run: Replay) -> None:
    """Put the policy into force, say that every engine is new, and wait until the machines are connected."""
    gateway = run.gateway
    applied = await gateway.operations.policy_apply(json.dumps(policy()), plant.PERSON, "demo")
    if not applied.ok:
        raise ReplayFailed(applied.message)
    for unit in run.courses:
        await gateway.operations.fitted(f"{unit}/{COMPONENT}", "", "0 cycles", "", plant.TECHNICIAN, "demo")
    async with asyncio.timeout(processes.READY_S), gateway.board.watch() as watcher:
        while not any(link.connected for link in gateway.board.links()):
            await watcher.changes()


async def _values(gateway: Gateway, recorded: Mapping[str, int]) -> dict[str, int]:
    """Return how many recorded values there are, and how many of them lie in the telemetry database."""
    while gateway.backlog.depth:
        await gateway.backlog.drain()
    async with gateway.databases.telemetry.read() as tx:
        received = await history.count(tx, good=True)
    return {"recorded": sum(recorded.values()), "received": received}


@contextmanager
def progress(cycles: int, *, hidden: bool) -> Iterator[Callable[[int], None]]:
    """Show how far the recordings have been played, on stderr; hidden, show nothing."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=hidden) as bar:
        task = bar.add_task("Cycles played", total=cycles)
        yield lambda cycle: bar.update(task, completed=cycle)


def _fresh(directory: Path) -> Path:
    """Return a directory of its own for one replay: an experiment never goes on from another's data."""
    home = directory / time.strftime("replay-%Y%m%d-%H%M%S")
    home.mkdir(parents=True, mode=0o700)
    return home


def run(options: DemoOptions) -> int:
    """Play recordings and return the exit code; the report is the last line."""
    quiet()
    try:
        done = asyncio.run(replay(options))
    except (ReplayFailed, ChildFailed, CannotStart, StorageBroken, SimulatorError, TimeoutError) as error:
        sys.stderr.write(f"{str(error) or _('a cycle did not arrive whole in time')}\n")
        return 1
    except KeyboardInterrupt:
        return 1
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(done) + "\n")
    return 0 if done["values"]["received"] == done["values"]["recorded"] else 1
