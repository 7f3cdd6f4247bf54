"""A factory for integrators: real servers, machines that wear, a technician who fits, and nobody else who can touch.

Read from top to bottom it is one day at the factory; every test leaves the machines running.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import Client, ua
from pymodbus.client import AsyncModbusTcpClient

from connectors.connector import ConnectionLost, ConnectionRefused
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.samples import Batch, Provenance, Quality, Sample
from connectors.simulator.control import Control
from connectors.simulator.factory import Factory
from connectors.simulator.machines import shopfloor
from connectors.simulator.technician import fit

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


class PlantClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Plant:
    """A running factory, its clock, and where it keeps its state."""

    def __init__(self, factory: Factory, clock: PlantClock, state: Path) -> None:
        self.factory, self.clock, self.state = factory, clock, state

    async def pass_time(self, elapsed: timedelta) -> None:
        self.clock.now += elapsed
        await self.factory.step()

    def connector(self, gateway: Path, **more: object) -> OpcUaConnector:
        addresses = self.factory.addresses()
        tags = {
            f"{machine}/{tag}": OpcUaTag(**wire)
            for machine, known in addresses.machines.items()
            if known["connection"] == "opcua"
            for tag, wire in known["tags"].items()
        }
        pinned = {"url": addresses.opcua_url, "server_certificate": addresses.fingerprint, **more}
        settings = OpcUaSettings.model_validate({"sampling": "50 ms", **pinned})
        return OpcUaConnector("hall-2", settings, tags, clock=self.clock, state=gateway)


class Ear:
    """The last sample of every tag."""

    def __init__(self) -> None:
        self.last: dict[str, Sample] = {}
        self._heard = asyncio.Condition()

    async def deliver(self, batch: Batch) -> None:
        async with self._heard:
            self.last.update({sample.tag: sample for sample in batch})
            self._heard.notify_all()

    async def hear(self, tag: str, *, since: datetime) -> Sample:
        """Wait for a value of a tag that is not older than that."""
        async with self._heard:
            await self._heard.wait_for(lambda: tag in self.last and self.last[tag].source_time >= since)
        return self.last[tag]


@asynccontextmanager
async def listening(connector: OpcUaConnector) -> AsyncIterator[Ear]:
    ear = Ear()
    work = asyncio.create_task(connector.converse(ear.deliver, lambda faults: None))
    try:
        yield ear
    finally:
        work.cancel()
        await asyncio.wait([work])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plant]:
    state, clock = tmp_path_factory.mktemp("factory"), PlantClock()
    factory = Factory(shopfloor(), clock=clock, seed=1, state=state, update_interval=timedelta(hours=1))
    async with factory:
        yield Plant(factory, clock, state)


async def test_the_server_offers_encryption_and_nothing_weaker(plant: Plant) -> None:
    offered = await Client(plant.factory.addresses().opcua_url).connect_and_get_server_endpoints()
    assert [(each.SecurityMode, each.SecurityPolicyUri.rpartition("#")[2]) for each in offered] == [
        (ua.MessageSecurityMode.SignAndEncrypt, "Basic256Sha256")
    ]


class CarelessClient(Client):
    """Goes on without security although none is offered."""

    async def create_session(self) -> None:
        with pytest.raises(ua.UaError, match="No matching endpoints"):
            await super().create_session()
        self._policy_ids = []


async def test_a_session_in_the_clear_is_refused(plant: Plant) -> None:
    client = CarelessClient(plant.factory.addresses().opcua_url)
    await client.connect_socket()
    await client.send_hello()
    await client.open_secure_channel()
    await client.create_session()
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        await client.activate_session()
    client.disconnect_socket()


async def test_a_pinned_gateway_hears_class_a_values_in_plant_time(plant: Plant, tmp_path: Path) -> None:
    async with listening(plant.connector(tmp_path)) as ear:
        await plant.pass_time(timedelta(hours=3))
        vibration = await ear.hear("mill/spindle-vibration", since=plant.clock.now)
        pressure = await ear.hear("press/filter-pressure", since=plant.clock.now)
    assert vibration.source_time == plant.clock.now
    assert {vibration.provenance, pressure.provenance} == {Provenance.A}
    assert vibration.quality is Quality.GOOD
    assert 1.2 < vibration.value < 7.5
    assert 0.3 < pressure.value < 2.6


async def test_a_gateway_that_pinned_another_certificate_does_not_connect(plant: Plant, tmp_path: Path) -> None:
    stranger = plant.connector(tmp_path, server_certificate="sha256:" + "0" * 64)
    with pytest.raises(ConnectionRefused):
        await stranger.probe()


async def test_plain_modbus_carries_a_32_bit_value_in_swapped_words(plant: Plant) -> None:
    addresses = plant.factory.addresses()
    truth = plant.factory.truth()["machines"]
    client = AsyncModbusTcpClient(addresses.modbus_host, port=addresses.modbus_port)
    assert await client.connect()
    hours = await client.read_holding_registers(0, count=2, device_id=addresses.device_ids["compressor"])
    oil = await client.read_input_registers(2, count=2, device_id=addresses.device_ids["compressor"])
    belt = await client.read_holding_registers(4, count=2, device_id=addresses.device_ids["conveyor"])
    low, high = hours.registers
    float32, uint32 = client.DATATYPE.FLOAT32, client.DATATYPE.UINT32
    assert high * 65536 + low == truth["compressor"]["tags"]["running-hours"]
    oil_level = client.convert_from_registers(oil.registers, float32)
    assert oil_level == pytest.approx(truth["compressor"]["tags"]["oil-level"], rel=1e-6)
    assert client.convert_from_registers(belt.registers, uint32) == truth["conveyor"]["tags"]["belt-cycles"]
    client.close()


async def test_nobody_writes_to_a_machine_over_modbus(plant: Plant) -> None:
    addresses = plant.factory.addresses()
    client = AsyncModbusTcpClient(addresses.modbus_host, port=addresses.modbus_port)
    assert await client.connect()
    before = await client.read_holding_registers(0, count=5, device_id=1)
    assert (await client.write_register(4, 0, device_id=1)).isError()
    assert (await client.write_registers(0, [0, 0], device_id=1)).isError()
    after = await client.read_holding_registers(0, count=5, device_id=1)
    assert after.registers == before.registers
    client.close()


async def test_the_technician_fits_a_tool_and_the_gateway_can_tell_from_the_counter(
    plant: Plant, tmp_path: Path
) -> None:
    async with listening(plant.connector(tmp_path)) as ear:
        worn = await ear.hear("mill/tool-cycles", since=START)
        await fit(plant.state, "mill", "cutting-tool")
        await plant.pass_time(timedelta(minutes=1))
        fresh = await ear.hear("mill/tool-cycles", since=plant.clock.now)
    assert worn.value > 3_000
    assert fresh.value < 10


async def test_a_machine_nobody_cared_for_stops_until_the_part_is_fitted(plant: Plant, tmp_path: Path) -> None:
    async with listening(plant.connector(tmp_path)) as ear:
        await plant.pass_time(timedelta(days=60))
        stopped = await ear.hear("mill/running", since=plant.clock.now)
        held = await ear.hear("mill/spindle-vibration", since=plant.clock.now)
        truth = plant.factory.truth()["machines"]["mill"]
        assert not truth["running"]
        for component, slot in truth["components"].items():
            if slot["failed"]:
                await fit(plant.state, "mill", component)
        await plant.pass_time(timedelta(minutes=1))
        runs = await ear.hear("mill/running", since=plant.clock.now)
    assert (stopped.value, runs.value) == (0, 1)
    assert held.quality is Quality.UNCERTAIN


async def test_a_server_that_was_off_comes_back_as_the_same(plant: Plant, tmp_path: Path) -> None:
    before = plant.factory.addresses()
    ear = Ear()
    talk = asyncio.create_task(plant.connector(tmp_path).converse(ear.deliver, lambda faults: None))
    await ear.hear("mill/running", since=START)
    async with Control(plant.state) as control:
        await control.call("POST", "/switch", {"server": "opcua", "up": False})
        with pytest.raises(ConnectionLost):
            await talk
        await plant.pass_time(timedelta(hours=1))
        await control.call("POST", "/switch", {"server": "opcua", "up": True})
    assert plant.factory.addresses() == before
    async with listening(plant.connector(tmp_path)) as again:
        assert (await again.hear("mill/running", since=plant.clock.now)).value == 1


@pytest.mark.long
async def test_another_day_the_factory_goes_on_with_the_same_wear_and_fingerprint(plant: Plant, tmp_path: Path) -> None:
    state = tmp_path / "factory"
    first = Factory(shopfloor(), clock=plant.clock, seed=1, state=state, update_interval=timedelta(hours=1))
    async with first:
        await first.fit("press", "seal")
        truth = first.truth()["machines"]["press"]["components"]
    second = Factory(shopfloor(), clock=plant.clock, seed=1, state=state, update_interval=timedelta(hours=1))
    async with second:
        assert second.truth()["machines"]["press"]["components"] == truth
        assert second.fingerprint == first.fingerprint
