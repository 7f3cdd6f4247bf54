"""The Modbus connector keeps the promise of a connector, and reads in few and large requests."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from connectors.connector import ConnectionLost
from connectors.contract import ABSENT, PRESENT, ConnectorContract, Listener, listening
from connectors.modbus.connector import ModbusConnector
from connectors.modbus.settings import ModbusSettings, ModbusTag
from connectors.samples import Provenance
from tests.servers import ModbusBench, Relay, babbling

pytestmark = pytest.mark.asyncio(loop_scope="module")


def connector(port: int, tags: Mapping[str, ModbusTag], **changes: Any) -> ModbusConnector:
    settings = ModbusSettings(**({"host": "127.0.0.1", "port": port, "sampling": "50 ms"} | changes))
    state = Path(tempfile.mkdtemp(prefix="toolcrib-"))
    return ModbusConnector("plc", settings, tags, clock=lambda: datetime.now(UTC), state=state)


class Bench:
    provenance = Provenance.B

    def __init__(self, server: ModbusBench, relay: Relay) -> None:
        self.server, self.relay = server, relay
        self.cut, self.freeze, self.restore = relay.cut, relay.freeze, relay.restore

    def connector(self) -> ModbusConnector:
        present = ModbusTag(register=40001, type="float32", unit="mm")
        absent = ModbusTag(address=5000, unit="mm")
        return connector(self.relay.port, {PRESENT: present, ABSENT: absent})

    async def show(self, value: float) -> None:
        self.server.put_float(0, value)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[ModbusBench]:
    bench = ModbusBench()
    await bench.start()
    yield bench
    await bench.stop()


class TestModbusConnector(ConnectorContract):
    @pytest_asyncio.fixture(loop_scope="module")
    async def bench(self, server: ModbusBench) -> AsyncIterator[Bench]:
        relay = Relay(server.port)
        await relay.restore()
        yield Bench(server, relay)
        await relay.close()


async def test_tags_side_by_side_are_one_request_each_poll(server: ModbusBench):
    tags = {f"m/t{n}": ModbusTag(address=10 + 2 * n, type="uint32", unit="h") for n in range(50)}
    tags["m/input"] = ModbusTag(register=30001, unit="h")
    server.asked.clear()
    assert await connector(server.port, tags).probe() == ()
    assert server.asked == [(3, 10, 100), (4, 0, 1)]


async def test_a_block_that_reaches_beyond_the_device_costs_only_the_tags_outside(server: ModbusBench):
    tags = {f"m/t{n}": ModbusTag(address=n, unit="h") for n in range(190, 210)}
    reader = connector(server.port, tags)
    async with listening(reader) as listener:
        await listener.until(lambda heard: len(heard.samples) >= 30)
    assert {fault.tag for fault in listener.reports[-1]} == {f"m/t{n}" for n in range(200, 210)}
    assert {s.tag for s in listener.samples} == {f"m/t{n}" for n in range(190, 200)}


async def test_swapped_words_and_a_scale_give_the_value(server: ModbusBench):
    server.words[20:22] = [0x0001, 0x0002]
    tags = {"m/hours": ModbusTag(register=40021, type="uint32", word_order="little", scale=0.1, unit="h")}
    async with listening(connector(server.port, tags)) as listener:
        await listener.until(lambda heard: bool(heard.samples))
    assert listener.samples[0].value == pytest.approx(0x00020001 / 10)


async def test_a_device_with_none_of_the_registers_is_a_lost_connection_that_names_them(server: ModbusBench):
    listener = Listener()
    reader = connector(server.port, {"m/t": ModbusTag(address=9000, unit="h")})
    with pytest.raises(ConnectionLost, match="none of the registers"):
        await reader.converse(listener.deliver, listener.report)
    assert [fault.tag for fault in listener.reports[-1]] == ["m/t"]


async def test_a_device_id_that_nobody_answers_is_a_lost_connection(server: ModbusBench):
    reader = connector(server.port, {"m/t": ModbusTag(address=0, unit="h")}, device_id=9, timeout="100 ms", retries=0)
    with pytest.raises(ConnectionLost):
        await reader.probe()


GARBAGE = {
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "too few registers": b"\x00\x01\x00\x00\x00\x05\x01\x03\x02\x00\x07",
    "another function": b"\x00\x01\x00\x00\x00\x07\x01\x04\x04\x00\x07\x00\x08",
    "another device": b"\x00\x01\x00\x00\x00\x07\x02\x03\x04\x00\x07\x00\x08",
    "another transaction": b"\x00\x09\x00\x00\x00\x07\x01\x03\x04\x00\x07\x00\x08",
    "nothing": b"",
}


@pytest.mark.parametrize("words", GARBAGE.values(), ids=GARBAGE)
async def test_a_device_that_talks_garbage_is_a_lost_connection(words: bytes):
    tags = {"m/a": ModbusTag(address=0, type="uint32", unit="h")}
    async with babbling(words) as port:
        with pytest.raises(ConnectionLost):
            await connector(port, tags, timeout="200 ms").probe()
