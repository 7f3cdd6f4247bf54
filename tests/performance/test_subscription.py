"""A thousand encrypted tags a second, and a replay in which every value counts."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.contract import listening
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from tests.servers import NAMESPACE, OpcUaBench

pytestmark = pytest.mark.serial


def connector(server: OpcUaBench, names: list[str], state: Path, sampling: str) -> OpcUaConnector:
    settings = OpcUaSettings(
        url=server.url, server_certificate=server.fingerprint, sampling=sampling, clock_tolerance="3650 d"
    )
    tags = {f"m/{name}": OpcUaTag(node=f"nsu={NAMESPACE};s={name}", unit="mm") for name in names}
    return OpcUaConnector("hall", settings, tags, clock=lambda: datetime.now(UTC), state=state)


async def test_a_thousand_tags_are_subscribed_and_none_is_lost(tmp_path: Path):
    names = [f"t{number}" for number in range(1000)]
    server = OpcUaBench(tmp_path / "server", tags=dict.fromkeys(names, 0.0))
    await server.start()
    reader = connector(server, names, tmp_path, "200 ms")
    try:
        async with listening(reader) as listener:
            await listener.until(lambda heard: len(heard.samples) == 1000)
            for round_ in (1.0, 2.0, 3.0):
                for name in names:
                    await server.write(name, round_)
                await listener.until(lambda heard, r=round_: len(heard.samples) == 1000 * (1 + r))
    finally:
        await server.stop()
    assert listener.reports == [()]
    assert reader.counters.losses.total == 0


async def test_a_replay_flat_out_loses_no_value_and_no_order(tmp_path: Path):
    """20 machines of 22 sensors, 50 cycles, written as fast as the server takes them."""
    names = [f"u{unit}.s{sensor}" for unit in range(20) for sensor in range(22)]
    server = OpcUaBench(tmp_path / "server", tags=dict.fromkeys(names, 0.0))
    await server.start()
    reader = connector(server, names, tmp_path, "50 ms")
    start, began = datetime(2026, 1, 1, tzinfo=UTC), 0.0
    times = [start + timedelta(hours=cycle) for cycle in range(50)]
    try:
        async with listening(reader) as listener:
            await listener.until(lambda heard: len(heard.samples) == len(names))
            began = time.monotonic()
            for at in times:
                for name in names:
                    await server.write(name, 518.67, at=at)
                await asyncio.sleep(0)
            await listener.until(lambda heard: len(heard.samples) == len(names) * 51)
    finally:
        await server.stop()
    dated: dict[str, list[datetime]] = {}
    for sample in listener.samples[len(names) :]:
        dated.setdefault(sample.tag, []).append(sample.source_time)
    assert all(held == times for held in dated.values())
    assert (len(dated), reader.counters.losses.total) == (440, 0)
    assert time.monotonic() - began < 20
