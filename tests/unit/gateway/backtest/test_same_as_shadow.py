"""A backtest of what a gateway has recorded says what that gateway said as a shadow while it recorded it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.samples import Batch, Provenance, Quality, Sample
from connectors.supervisor import ConnectionStatus
from gateway import shadow
from gateway.backtest.plant_orders import Event, What
from gateway.backtest.playing import Played, Playing
from gateway.backtest.wouldbe import WatchedLife
from gateway.build import Gateway, open_gateway
from gateway.config import Config, load
from gateway.learning.judging import judge
from gateway.learning.kinds import Kind, Wearing
from gateway.learning.task import Task, Verdict
from gateway.plants import plant_of
from gateway.recordings.reading import batches
from gateway.recordings.tables import Read
from tests.unit.gateway.test_shadow import CONFIG

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
STEP = timedelta(hours=15)
BELT, BEARING = "saw/belt", "saw/bearing"
BELTS = Kind(Wearing.USAGE, "wheel")
LIVES = (230, 240, 160)
"""Hours of belts, one after the other, the last not to its end. They are rated for less, as their lives teach."""


def component(name: str, wear: dict[str, Any], item: str) -> dict[str, Any]:
    job = {"title": f"Change the {name}", "duration": "2 h", "lines": {name: {"item": item, "quantity": 1}}}
    buying = {"lead_time": "1 d", "price": "60 EUR", "standstill": "4 EUR/h", "failure": "90 EUR", "holding": "1 EUR/d"}
    return {"name": name, "wear": wear, "job": job, "buying": buying}


MACHINE = {
    "name": "Saw",
    "connection": "hall",
    "tags": {
        "hours": {"node": "nsu=urn:x;s=hours", "unit": "h"},
        "shake": {"node": "nsu=urn:x;s=shake", "unit": "mm/s", "deadband": "0.05 mm/s"},
    },
    "components": {
        "belt": component("belt", {"by": "usage", "tag": "hours", "shape": 4}, "wheel") | {"rated_life": "140 h"},
        "bearing": component("bearing", {"by": "level", "tag": "shake", "as_new": "1 mm/s", "limit": "7 mm/s"}, "cup")
        | {"rated_life": "900 h"},
    },
}


@pytest.fixture
def site(tmp_path: Path) -> Config:
    items = {each: {"manufacturer": "Rolf", "mpn": each} for each in ("wheel", "cup")}
    changes = {
        "connections": {"hall": {"connector": "opcua", "url": "opc.tcp://127.0.0.1:9", "insecure": True}},
        "machines": {"saw": MACHINE},
        "items": items,
        "timing": {"approval": "0 h", "step": "15 h"},
        "maintenance_windows": ["daily 04:00-09:00"],
    }
    path = tmp_path / "toolcrib.yaml"
    path.write_text(json.dumps(CONFIG | changes))
    return load(path)


def heard(now: datetime) -> Batch:
    """What the saw says: hours of work, and a bearing that shakes ever more."""
    hours = (now - START) / timedelta(hours=1)
    said = {"saw/hours": 5000.0 + hours, "saw/shake": 1.0 + 5.9 * hours / sum(LIVES)}
    return Batch.of("hall", [Sample(tag, value, Quality.GOOD, now, now, Provenance.A) for tag, value in said.items()])


class Recorded:
    """A shadow that hears its saw, and a person who changes belts when they have failed."""

    def __init__(self, site: Config) -> None:
        self.site, self.now, self.events = site, START, list[Event]()

    async def run(self) -> list[WatchedLife]:
        async with open_gateway(self.site, clock=lambda: self.now) as gateway:
            await gateway.conversations.end()  # nobody is at the other end; what is heard is told below
            gateway.learning._retraining = self._judge
            gateway.pipeline.notify(ConnectionStatus("hall", True, START))
            for each in (BELT, BEARING):
                await gateway.operations.fitted(each, "", "0 h", "", "anna", "test")
            await self._live(gateway)
        return list(shadow.read(self.site.directory / shadow.FILE)[0].values())

    async def _live(self, gateway: Gateway) -> None:
        for ended, life in enumerate(LIVES):
            begun = self.now
            if ended:
                await self._failed(gateway, ended)
            while self.now < begun + timedelta(hours=life):
                await gateway.pipeline.deliver(heard(self.now))
                if self.now > START:
                    await gateway.pipeline.decide()
                self.now += STEP

    async def _failed(self, gateway: Gateway, ended: int) -> None:
        """An hour before the next look a person changes the belt."""
        self.now -= timedelta(hours=1)
        await gateway.operations.fitted(BELT, "", "0 h", "", "anna", "test", found="failed")
        self.events += [Event(self.now, BELT, What.FAILED), Event(self.now, BELT, What.FITTED)]
        while gateway.learning.standings()[BELTS].closed < ended:
            await asyncio.sleep(0)  # it is judged beside
        self.now += timedelta(hours=1)

    async def _judge(self, task: Task) -> Verdict:
        return judge(task, {})


def played(site: Config, events: list[Event]) -> Playing:
    plant, read = plant_of(site), Read()
    run = Playing(plant, events, new=True)
    run.play(batches([site.directory], site.tags, site.zone, read))
    return run


def said(lives: list[WatchedLife]) -> list[dict[str, Any]]:
    documents = [each.document() for each in lives if each.bought is not None]
    told = [{name: value for name, value in each.items() if name != "life"} for each in documents]
    return sorted(told, key=lambda each: (each["bought"]["at"], each["component"]))


def lives_of(found: Played) -> list[WatchedLife]:
    return [*(each.watched for each in found.ended), *found.open.values()]


async def test_a_backtest_of_what_was_recorded_says_what_the_shadow_said(site: Config):
    shadowed = Recorded(site)
    kept = await shadowed.run()
    run = await asyncio.to_thread(played, site, shadowed.events)
    assert said(lives_of(run.played)) == said(kept)
    assert sorted(each["component"] for each in said(kept)) == [BEARING, BELT, BELT, BELT]
    first, _second, third = (each.bought.at - each.began for each in kept if each.bought and each.component == BELT)
    assert third > first  # by what the two before it taught
    assert run.school.standings()[BELTS].model == "lifetimes"
