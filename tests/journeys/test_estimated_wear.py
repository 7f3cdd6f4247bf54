"""A tool whose wear nobody measures: taught by measured ones while the gateway runs, followed over a restart."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors.samples import Batch, Provenance, Quality, Sample, moment_of
from gateway.build import Gateway, open_gateway
from gateway.config import load
from gateway.reload import reload
from maintenance.needs import Need
from marketplace.audit.actor import Actor, ActorKind
from tests.unit.gateway.test_wear_tags import COMPONENT, START, edited, learn, measurements, recorded, rows_of
from tests.unit.gateway.test_wear_tags import site as site  # a fixture
from tests.unit.maintenance.worn_tools import tool

PERSON = Actor(ActorKind.PERSON, "anna", "test")
PART, HALFWAY = 40, 30


class Plant:
    def __init__(self) -> None:
        self.now = START + timedelta(hours=PART - 1)

    def __call__(self) -> datetime:
        return self.now

    async def work(self, gateway: Gateway, rows: range) -> Need:
        for number, (at, said) in enumerate(rows_of(PART)):
            if number in rows:
                self.now = moment_of(at)
                samples = [
                    Sample(f"lathe/{name}", value, Quality.GOOD, self.now, self.now, Provenance.A)
                    for name, value in said.items()
                ]
                await gateway.pipeline.deliver(Batch.of("hall", samples))
        return gateway.monitor.assess(COMPONENT, self.now)


async def test_a_tool_is_followed_from_its_fitting_to_its_end(site: Path):
    edited(site, "opc.tcp://10.0.0.5:4840", "opc.tcp://127.0.0.1:9")  # nobody answers: its values are handed over here
    edited(site, "port: 8080", "port: 0")
    plant, teachers = Plant(), range(6)
    files = ["--measured", measurements(site.parent, teachers), "--telemetry", recorded(site.parent, teachers)]
    async with open_gateway(load(site), clock=plant) as gateway:
        (sentence,) = gateway.status()["estimates"]
        assert "models/wear.json cannot be read" in sentence
        assert (await asyncio.to_thread(learn, site, *files))[0] == 0
        assert (await reload(gateway, PERSON)).ok
        assert gateway.status()["estimates"] == []
        await plant.work(gateway, range(1))
        await gateway.pipeline.lives.fitted_by(COMPONENT, PERSON, "", 0.0, "")
        half = await plant.work(gateway, range(1, HALFWAY))
        assert half.belief.known
        await gateway.pipeline.keep_snapshots()
    async with open_gateway(load(site), clock=plant) as gateway:
        worn = await plant.work(gateway, range(HALFWAY, 100))
        told = gateway.board.readings()["lathe/wear"]
    assert worn.belief.known
    assert told.quality is Quality.GOOD
    assert told.value == pytest.approx(float(tool(PART).wear[-1]), abs=60)
    assert half.health > worn.health + 0.3
