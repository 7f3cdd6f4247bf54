"""What an OPC-UA conversation takes over from the one before it, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from connectors.connector import ConnectionLost
from connectors.contract import Listener, heard, listening
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.samples import Quality
from tests.servers import NAMESPACE, OpcUaBench, Relay

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpcUaBench]:
    bench = OpcUaBench(tmp_path_factory.mktemp("server"), tags={"level": 0.0, "still": 0.0})
    await bench.start()
    yield bench
    await bench.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def relay(server: OpcUaBench) -> AsyncIterator[Relay]:
    wire = Relay(server.port)
    await wire.restore()
    yield wire
    await wire.close()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


def connector(server: OpcUaBench, state: Path, port: int, *standby: int) -> OpcUaConnector:
    settings = OpcUaSettings.model_validate(
        {
            "url": f"opc.tcp://127.0.0.1:{port}",
            "standby": [f"opc.tcp://127.0.0.1:{each}" for each in standby],
            "server_certificate": server.fingerprint,
            "sampling": "50 ms",
        }
    )
    tags = {"bench/level": OpcUaTag(node=f"nsu={NAMESPACE};s=level", unit="mm")}
    return OpcUaConnector("hall", settings, tags, clock=lambda: datetime.now(UTC), state=state)


def heir(of: OpcUaConnector, server: OpcUaBench, state: Path, port: int, *standby: int) -> OpcUaConnector:
    fresh = connector(server, state, port, *standby)
    fresh.succeed(of)
    fresh.counters = of.counters
    return fresh


async def lost(listener: Listener) -> None:
    assert listener.task is not None
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(listener.task, 10)


async def test_what_a_server_kept_while_the_wire_was_cut_arrives_once_and_in_order(
    server: OpcUaBench, relay: Relay, state: Path
):
    before = connector(server, state, relay.port)
    async with listening(before) as listener:
        await server.write("level", 1.0)
        await listener.until(heard(1.0))
        relay.cut()
        await lost(listener)
    for value in range(2, 8):
        await server.write("level", float(value))
    await relay.restore()
    after = heir(before, server, state, relay.port)
    kept = after._continuity.session
    async with listening(after) as listener:
        await listener.until(heard(7.0))
    assert kept is not None
    assert [s.value for s in listener.samples if 1.0 < s.value < 8.0] == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert after.counters.losses.total == 0


async def test_a_message_that_was_lost_with_the_wire_is_sent_again(server: OpcUaBench, relay: Relay, state: Path):
    before = connector(server, state, relay.port)
    async with listening(before) as listener:
        await server.write("level", 10.0)
        await listener.until(heard(10.0))
        relay.freeze()  # the server publishes into a wire that swallows everything
        for value in range(11, 15):
            await server.write("level", float(value))
        await relay.held.wait()
        relay.swallow()
        await lost(listener)
    await relay.restore()
    after = heir(before, server, state, relay.port)
    async with listening(after) as listener:
        await server.write("level", 15.0)
        await listener.until(heard(15.0))
    assert [s.value for s in listener.samples if s.value > 10.0] == [11.0, 12.0, 13.0, 14.0, 15.0]
    assert after.counters.republished > 0
    assert after.counters.losses.total == 0


async def test_where_the_first_server_is_gone_its_standby_is_asked(server: OpcUaBench, relay: Relay, state: Path):
    other = Relay(server.port)
    await other.restore()
    try:
        before = connector(server, state, other.port, relay.port)
        async with listening(before) as listener:
            await server.write("level", 20.0)
            await listener.until(heard(20.0))
            other.cut()
            await lost(listener)
        second = heir(before, server, state, other.port, relay.port)
        with pytest.raises(ConnectionLost):
            await second.converse(Listener().deliver, Listener().report)
        third = heir(second, server, state, other.port, relay.port)
        async with listening(third) as listener:
            await server.write("level", 21.0)
            await listener.until(heard(21.0))
    finally:
        await other.close()


async def test_a_session_that_the_server_no_longer_knows_is_made_anew(server: OpcUaBench, relay: Relay, state: Path):
    before = connector(server, state, relay.port)
    async with listening(before) as listener:
        await server.write("level", 30.0)
        await listener.until(heard(30.0))
        relay.cut()
        await lost(listener)
    await server.end_sessions()
    await relay.restore()
    async with listening(heir(before, server, state, relay.port)) as listener:
        await server.write("level", 31.0)
        await listener.until(heard(31.0))
    assert {s.quality for s in listener.samples} == {Quality.GOOD}


async def test_a_gap_that_nobody_kept_is_filled_from_the_machines_own_history(
    server: OpcUaBench, relay: Relay, state: Path
):
    await server.remember("level")
    before = connector(server, state, relay.port)
    async with listening(before) as listener:
        await server.write("level", 40.0)
        await listener.until(heard(40.0))
        relay.cut()
        await lost(listener)
    await server.end_sessions()
    dated = [await server.write("level", float(value)) for value in range(41, 46)]
    await relay.restore()
    after = heir(before, server, state, relay.port)
    async with listening(after) as listener:
        await listener.until(heard(41.0))
        await server.write("level", 46.0)
        await listener.until(heard(46.0))
    told = sorted((s.source_time, s.value) for s in listener.samples if 40.0 < s.value < 46.0)
    assert told == list(zip(dated, [41.0, 42.0, 43.0, 44.0, 45.0], strict=True))
    assert after.counters.losses.total == 0
