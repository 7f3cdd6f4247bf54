"""Modbus over a serial port: a terminal of the operating system, whose far end is a simulated line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.connector import ConnectionLost
from connectors.contract import ABSENT, PRESENT, ConnectorContract, Listener, heard, listening
from connectors.modbus.connector import ModbusConnector
from connectors.modbus.settings import ModbusSettings, ModbusTag
from connectors.samples import Provenance, Quality
from connectors.simulator.modbus_line import Line, Unit, of_floats
from connectors.simulator.serial_port import SerialPort


def connector(path: Path, state: Path, tags: Mapping[str, ModbusTag], **told: Any) -> ModbusConnector:
    settings = ModbusSettings.model_validate({"transport": "rtu", "serial": str(path), "sampling": "20 ms"} | told)
    return ModbusConnector("plc", settings, tags, clock=lambda: datetime.now(UTC), state=state)


class Bench:
    provenance = Provenance.B

    def __init__(self, port: SerialPort, unit: Unit, state: Path) -> None:
        self.port, self.unit, self.state = port, unit, state
        self.cut = port.unplug

    def connector(self) -> ModbusConnector:
        tags = {
            PRESENT: ModbusTag(register=40001, type="float32", unit="mm"),
            ABSENT: ModbusTag(address=60_000, unit="mm"),
        }
        return connector(self.port.path, self.state, tags, timeout="500 ms")

    async def show(self, value: float) -> None:
        self.unit.registers[:2] = of_floats([value])

    def freeze(self) -> None:
        self.port.silent = True

    async def restore(self) -> None:
        self.port.silent = False
        self.port.unplug()
        self.port.plug()


@pytest.fixture
async def unit() -> Unit:
    return Unit(registers=list(range(1, 1001)))


@pytest.fixture
async def port(unit: Unit, tmp_path: Path) -> AsyncIterator[SerialPort]:
    made = SerialPort(Line({1: unit}, rtu=True), tmp_path / "tty")
    made.plug()
    yield made
    made.unplug()


class TestSerialPort(ConnectorContract):
    @pytest.fixture
    async def bench(self, port: SerialPort, unit: Unit, tmp_path: Path) -> Bench:
        return Bench(port, unit, tmp_path)


async def test_a_port_belongs_to_one_gateway(port: SerialPort, tmp_path: Path):
    tags = {"m/a": ModbusTag(address=0, unit="1")}
    async with listening(connector(port.path, tmp_path, tags)) as listener:
        await listener.until(heard(1.0))
        with pytest.raises(ConnectionLost, match="cannot be opened"):
            await connector(port.path, tmp_path, tags).probe()


async def test_a_speed_that_no_terminal_has_is_said(port: SerialPort, tmp_path: Path):
    with pytest.raises(ConnectionLost, match="1234 baud"):
        await connector(port.path, tmp_path, {"m/a": ModbusTag(address=0, unit="1")}, baudrate=1234).probe()


async def test_a_late_answer_is_not_the_next_ones(port: SerialPort, unit: Unit, tmp_path: Path):
    """Every answer comes after its question was given up; blocks of one shape, so that it would fit."""
    unit.delay_s = 0.48
    tags = {f"m/{n}": ModbusTag(address=100 * n, unit="1") for n in range(3)}
    listener = Listener()
    told = {"timeout": "300 ms", "retries": 3}
    with pytest.raises(ConnectionLost):
        async with asyncio.timeout(20):
            await connector(port.path, tmp_path, tags, **told).converse(listener.deliver, listener.report)
    good = [s for s in listener.samples if s.quality is Quality.GOOD]
    assert [s for s in good if s.value != 1 + 100 * int(s.tag[-1])] == []
