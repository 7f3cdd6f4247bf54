"""Machines go away and come back while the gateway runs: shown stale, sought again, and nothing is bought twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import time

import pytest

from connectors.samples import Quality
from connectors.simulator.factory import Factory
from connectors.simulator.machines import shopfloor
from gateway.build import Gateway, open_gateway
from gateway.clock import PlantClock
from gateway.config import load
from gateway.demo import plant

SECONDS = 30


@dataclass
class Hall:
    factory: Factory
    gateway: Gateway

    async def until(self, there: Callable[[], bool]) -> None:
        """Wait for what the board shows."""
        async with asyncio.timeout(SECONDS), self.gateway.board.watch() as watcher:
            while not there():
                await watcher.changes()

    def connected(self, name: str) -> bool:
        return any(link.name == name and link.connected for link in self.gateway.board.links())

    def fresh(self, tag: str) -> bool:
        reading = self.gateway.board.readings().get(tag)
        return reading is not None and not self.gateway.board.is_stale(reading, self.gateway.clock())


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    clock = PlantClock(datetime(2026, 3, 2, tzinfo=UTC), time(), 3600.0)
    async with Factory(shopfloor(), clock=clock, seed=1, state=tmp_path / "factory") as factory:
        addresses = factory.addresses()
        machines = {
            "machines": {**addresses.machines},
            "opcua_url": addresses.opcua_url,
            "fingerprint": addresses.fingerprint,
            "modbus_host": addresses.modbus_host,
            "modbus_port": addresses.modbus_port,
            "device_ids": addresses.device_ids,
        }
        around = plant.Surroundings(machines, {}, "nobody-here", 0)
        document = plant.config(around, plant.machines(machines))
        document["machines"]["press"]["tags"]["gone"] = {"node": "nsu=urn:toolcrib:factory;s=press.gone", "unit": "bar"}
        plant.write(tmp_path / "toolcrib.yaml", document, "test")
        async with open_gateway(load(tmp_path / "toolcrib.yaml"), clock=clock, speed=clock.speed) as gateway:
            yield Hall(factory, gateway)


async def test_servers_that_die_are_shown_stale_and_found_again(hall: Hall):
    vibration, hours = "mill/spindle-vibration", "compressor/running-hours"
    await hall.until(lambda: hall.fresh(vibration) and hall.fresh(hours))
    for server in ("opcua", "modbus"):
        await hall.factory.switch(server, up=False)
    await hall.until(lambda: not hall.connected("hall-2") and not hall.connected("compressor-plc"))
    assert not hall.fresh(vibration)
    assert not hall.fresh(hours)
    shown = hall.gateway.monitor.latest(vibration)
    assert shown is not None
    assert shown.quality is not Quality.GOOD
    for server in ("opcua", "modbus"):
        await hall.factory.switch(server, up=True)
    await hall.until(lambda: hall.fresh(vibration) and hall.fresh(hours))


async def test_a_tag_that_does_not_exist_is_named_and_the_others_run_on(hall: Hall):
    await hall.until(lambda: hall.fresh("press/filter-pressure"))
    (link,) = (link for link in hall.gateway.board.links() if link.name == "hall-2")
    assert [tag for tag, _reason in link.faults] == ["press/gone"]


@pytest.mark.long
async def test_encrypted_and_plain_wires_are_told_apart(hall: Hall):
    await hall.until(lambda: hall.fresh("mill/spindle-vibration") and hall.fresh("conveyor/belt-cycles"))
    classes = {tag: reading.provenance.value for tag, reading in hall.gateway.board.readings().items()}
    assert {classes[tag] for tag in classes if tag.startswith(("mill/", "press/"))} == {"A"}
    assert {classes[tag] for tag in classes if tag.startswith(("compressor/", "conveyor/"))} == {"B"}


async def test_a_fitting_is_noticed_but_counts_only_where_a_part_was_there(hall: Hall):
    """The counter fell, but nothing was received: proposed, kept, and nothing assumed."""
    tag = "press/seal-cycles"
    await hall.until(lambda: hall.fresh(tag))
    seen = hall.gateway.monitor.assess("press/seal", hall.gateway.clock()).life
    before = hall.gateway.board.readings()[tag].value
    await hall.factory.fit("press", "seal")
    await hall.until(lambda: hall.gateway.board.readings()[tag].value < before / 2)
    async with asyncio.timeout(SECONDS), hall.gateway.board.watch() as watcher:
        while not hall.gateway.monitor.notice():
            await watcher.changes()
    await hall.gateway.pipeline.decide()
    need = hall.gateway.monitor.assess("press/seal", hall.gateway.clock())
    assert need.life == seen
    assert not need.belief.known
