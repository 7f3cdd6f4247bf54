"""What a value costs from the wire to the rules: in one process, spread over few tags and many, and in a whole gateway.

`points_per_cpu_second`: the connector, the board and the monitor as a gateway has them, fed by a server in another
process as fast as they take it; every tag feeds an estimator. `cost_per_sample`: the same at 50,000 values a second
however many tags there are, in microseconds of processor time. `sustained`: a gateway of its own process (`toolcrib
run`), page, schedule, backlog and telemetry store included; its processor time, memory and losses as the system and the
gateway tell them. What waits for the network counts nowhere; what is waited for in the processor counts in full.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from connectors.connector import TagFault
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.samples import Batch
from connectors.simulator.load import NAMESPACE, Load
from gateway.benchmarks.load_server import serving
from gateway.intake import Intake, Sieve
from gateway.live import Board
from maintenance.assets import Life
from maintenance.monitor import Monitor
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched

TAGS: Final = 5_000
TAGS_PER_MACHINE: Final = 50
FLOOD_VALUES: Final = 2_000_000
PACED_PER_SECOND: Final = 50_000
PACED_SECONDS: Final = 6.0
WARM_UP_SECONDS: Final = 2.0
SPREADS: Final = (100, 1_000, 10_000, 50_000)
SUSTAINED_HZ: Final = 10


def measure(runs: int = 3, seconds: float = 60.0) -> dict[str, Any]:
    """Return every figure; see the module."""
    from gateway.benchmarks.sustained import sustain

    with serving(Load()) as server:
        rates = [asyncio.run(_flooded(server.url, TAGS)) for _run in range(runs)]
    costs: dict[int, list[float]] = {tags: [] for tags in SPREADS}
    for _run in range(runs):  # in turns, so that a busy minute of the computer falls on all of them
        for tags in SPREADS:
            with serving(Load(per_second=PACED_PER_SECOND)) as server:
                costs[tags].append(asyncio.run(_paced(server.url, tags)))
    return {
        "points_per_cpu_second": round(statistics.median(rates)),
        "cost_per_sample": {str(tags): round(statistics.median(each), 3) for tags, each in costs.items()},
        "sustained": sustain(TAGS, SUSTAINED_HZ, seconds),
    }


def wear_of(first: int) -> Mapping[str, Mapping[str, Any]]:
    """Return components that read fifty tags from `t{first}` on: a level, a counter, and six signals of eight."""
    level = {"by": "level", "tag": f"t{first}", "as_new": "0 mm/s", "limit": "1000000000 mm/s"}
    signals = range(first + 2, first + TAGS_PER_MACHINE)
    eights = [list(signals[place : place + 8]) for place in range(0, len(signals), 8)]
    deviations = {
        f"drive-{number}": {"wear": {"by": "deviation", "tags": [f"t{tag}" for tag in tags]}}
        for number, tags in enumerate(eights)
    }
    return {
        "bearing": {"rated_life": "20000 h", "wear": level},
        "seal": {"rated_life": "1000000000 cycles", "wear": {"by": "usage", "tag": f"t{first + 1}"}},
        **deviations,
    }


def units(tags: int) -> dict[str, str]:
    """Return the unit of each tag as `wear_of` reads it."""
    special = {0: "mm/s", 1: "cycles"}
    return {f"t{number}": special.get(number % TAGS_PER_MACHINE, "1") for number in range(tags)}


def monitor_of(tags: int) -> Monitor:
    """Return a monitor of machines of fifty tags each, every one of which feeds an estimator."""
    names = units(tags)
    components = {
        f"m/{name}-{first}": Watched(
            "m", ComponentSettings.model_validate({"name": name, "job": {"title": name}} | dict(said)), names
        )
        for first in range(0, tags, TAGS_PER_MACHINE)
        for name, said in wear_of(first).items()
    }
    now = datetime.now(UTC)
    return Monitor(components, {key: Life("l", key, now, used_before=0.0) for key in components})


async def _flooded(url: str, tags: int) -> float:
    """Return values per second of processor time, taken as fast as possible."""
    seen, began, first = 0, 0.0, 0
    done = asyncio.Event()
    rate = 0.0

    def count(values: int) -> None:
        nonlocal seen, began, first, rate
        seen += values
        if began == 0.0 and seen >= 2 * tags:
            began, first = time.process_time(), seen
        elif began and not done.is_set() and seen - first >= FLOOD_VALUES:
            rate = (seen - first) / (time.process_time() - began)
            done.set()

    await _taking(url, tags, count, done.wait)
    return rate


async def _paced(url: str, tags: int) -> float:
    """Return the microseconds of processor time that a value costs at 50,000 a second."""
    seen = 0
    cost = 0.0
    begun = asyncio.Event()

    def count(values: int) -> None:
        nonlocal seen
        seen += values
        if seen >= min(tags, PACED_PER_SECOND):
            begun.set()

    async def watch() -> None:
        nonlocal cost
        await begun.wait()
        await asyncio.sleep(WARM_UP_SECONDS)
        began, first = time.process_time(), seen
        await asyncio.sleep(PACED_SECONDS)
        cost = (time.process_time() - began) / (seen - first) * 1e6

    await _taking(url, tags, count, watch)
    return cost


async def _taking(url: str, tags: int, count: Callable[[int], None], until: Callable[[], Awaitable[object]]) -> None:
    """Converse, and take everything as a gateway does, until something has come true."""
    intake = Intake(monitor_of(tags), Board(), Sieve({}), lambda: datetime.now(UTC))

    async def deliver(batch: Batch) -> None:
        intake.take(batch)
        count(len(batch))

    def report(_faults: Sequence[TagFault]) -> None:
        pass

    named = {f"m/{key}": OpcUaTag(node=f"nsu={NAMESPACE};s={key}", unit=unit) for key, unit in units(tags).items()}
    settings = OpcUaSettings(url=url, insecure=True)
    with tempfile.TemporaryDirectory() as state:
        connector = OpcUaConnector("load", settings, named, clock=lambda: datetime.now(UTC), state=Path(state))
        talking = asyncio.create_task(connector.converse(deliver, report))
        waiting = asyncio.ensure_future(until())
        done, _pending = await asyncio.wait({talking, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in (talking, waiting):
            task.cancel()
        await asyncio.gather(talking, waiting, return_exceptions=True)
        if waiting not in done:
            talking.result()
