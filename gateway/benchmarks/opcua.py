"""What reading OPC-UA costs: notifications per second of processor time, ours over the library's own interface.

The library's side is its tutorial: a subscription with a handler whose `datachange_notification` only counts, loggers
at WARNING. Ours is the connector as a gateway uses it, up to batches. Both take messages of 1,000 items with both
timestamps, without security, from a server in another process that encoded them beforehand; they run in turns, and the
ratio is that of the medians. Only the client's processor time counts (`process_time`).
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from asyncua import ua
from asyncua.client.client import Client

from connectors.connector import TagFault
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.samples import Batch
from connectors.simulator.load import NAMESPACE, Load
from gateway.benchmarks.load_server import serving

TAGS: Final = 1000
LIBRARY_VALUES: Final = 30_000
"""Half a second of the library's."""
OUR_VALUES: Final = 1_000_000
WARM_UP: Final = 5_000


def measure(runs: int = 5) -> dict[str, float]:
    """Return the ratios `uniform_ratio` and `mixed_ratio`, and what they are made of, in notifications a second."""
    found: dict[str, float] = {}
    for name, mixed in (("uniform", False), ("mixed", True)):
        with serving(Load(mixed=mixed)) as server:
            pairs = [(asyncio.run(_library(server.url)), asyncio.run(_ours(server.url))) for _run in range(runs)]
        library, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
        found[f"{name}_ratio"] = round(ours / library, 1)
        found[f"{name}_library_per_second"] = round(library)
        found[f"{name}_ours_per_second"] = round(ours)
    return found


class _Count:
    """Counts values, and the processor time since the warm-up, until enough have come."""

    def __init__(self, wanted: int) -> None:
        self.enough = asyncio.Event()
        self._wanted = wanted
        self._seen = self._first = 0
        self._began = self._ended = 0.0

    def add(self, values: int) -> None:
        self._seen += values
        if self._began == 0.0 and self._seen >= WARM_UP:
            self._began, self._first = time.process_time(), self._seen
        elif self._began and not self.enough.is_set() and self._seen - self._first >= self._wanted:
            self._ended, self._first = time.process_time(), self._seen - self._first
            self.enough.set()

    @property
    def per_second(self) -> float:
        return self._first / (self._ended - self._began)


class _Handler:
    """What the library's tutorial shows."""

    def __init__(self, count: _Count) -> None:
        self._count = count

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        self._count.add(1)


async def _library(url: str) -> float:
    logging.getLogger("asyncua").setLevel(logging.WARNING)
    count = _Count(LIBRARY_VALUES)
    async with Client(url) as client:
        subscription = await client.create_subscription(100, _Handler(count))
        nodes = [client.get_node(ua.NodeId(ua.String(f"t{number}"), ua.Int16(1))) for number in range(TAGS)]
        await subscription.subscribe_data_change(nodes, queuesize=1000)
        await count.enough.wait()
    return count.per_second


async def _ours(url: str) -> float:
    count = _Count(OUR_VALUES)

    async def deliver(batch: Batch) -> None:
        count.add(len(batch))

    def report(_faults: Sequence[TagFault]) -> None:
        pass

    tags = {f"m/t{number}": OpcUaTag(node=f"nsu={NAMESPACE};s=t{number}", unit="1") for number in range(TAGS)}
    settings = OpcUaSettings(url=url, insecure=True)
    with tempfile.TemporaryDirectory() as state:
        connector = OpcUaConnector("load", settings, tags, clock=lambda: datetime.now(UTC), state=Path(state))
        talking = asyncio.create_task(connector.converse(deliver, report))
        enough = asyncio.create_task(count.enough.wait())
        done, _pending = await asyncio.wait({talking, enough}, return_when=asyncio.FIRST_COMPLETED)
        for task in (talking, enough):
            task.cancel()
        await asyncio.gather(talking, enough, return_exceptions=True)
        if enough not in done:
            talking.result()
    return count.per_second
