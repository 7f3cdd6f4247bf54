"""Plant IT edits the config while the line runs: what is new is read, what stays the same notices nothing."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from connectors.samples import Batch, Quality
from gateway.build import Gateway, open_gateway
from gateway.config import load
from tests.servers import NAMESPACE, OpcUaBench
from tests.unit.maintenance.bearing_signal import window

SECONDS = 20
SITE = {
    "schema": 1,
    "site": {
        "plant": "northworks",
        "gateway": "G1",
        "name": "Northworks",
        "time_zone": "UTC",
        "currency": "EUR",
        "country": "DE",
    },
    "organisation": {"name": "Northworks", "ship_to": "Gate 1", "contact": "Anna"},
    "people": {"anna": {"name": "Anna", "may": ["operate"]}, "ben": {"name": "Ben", "may": []}},
    "web": {"port": 0},
}


@dataclass
class Line:
    gateway: Gateway
    server: OpcUaBench
    file: Path
    document: dict[str, Any]
    taken: list[Batch]

    async def edit(self, **sections: Any) -> None:
        """Change the file; nothing reads it by itself."""
        self.document |= sections
        self.file.write_text(json.dumps(self.document))

    async def until(self, there: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS), self.gateway.board.watch() as watcher:
            while not there():
                await watcher.changes()

    def shows(self, tag: str, value: float) -> bool:
        reading = self.gateway.board.readings().get(tag)
        return reading is not None and reading.value == value

    def values(self, tag: str) -> list[float]:
        return [s.value for batch in self.taken for s in batch if s.tag == tag and not math.isnan(s.value)]


def machine(connection: str, *tags: str) -> dict[str, Any]:
    return {
        "name": "Mill",
        "connection": connection,
        "tags": {tag: {"node": f"nsu={NAMESPACE};s={tag}", "unit": "mm"} for tag in tags},
    }


def component(tag: str) -> dict[str, Any]:
    return {
        "name": "Bearing",
        "rated_life": "1000 h",
        "wear": {"by": "level", "tag": tag, "as_new": "0 mm", "limit": "100000 mm"},
        "job": {"title": "Replace"},
    }


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    tags = dict.fromkeys(("a", "b", "c"), 0.0) | {"raw": ua.Variant(window(0.0).tolist())}
    server = OpcUaBench(tmp_path / "server", tags=tags)
    await server.start()
    connection = {
        "connector": "opcua",
        "url": server.url,
        "server_certificate": server.fingerprint,
        "sampling": "50 ms",
    }
    document = {**SITE, "connections": {"hall": connection}, "machines": {"mill": machine("hall", "a", "b")}}
    file = tmp_path / "toolcrib.yaml"
    file.write_text(json.dumps(document))
    async with open_gateway(load(file)) as gateway:
        taken: list[Batch] = []
        take = gateway.pipeline.intake.take

        def watch(batch: Batch) -> Batch:
            taken.append(batch)
            return take(batch)

        gateway.pipeline.intake.take = watch  # type: ignore[method-assign]
        yield Line(gateway, server, file, document, taken)
    await server.stop()


async def test_tags_come_and_go_while_the_others_lose_nothing(line: Line):
    await line.server.write("a", 1.0)
    await line.until(lambda: line.shows("mill/a", 1.0))
    running = asyncio.Event()

    async def run() -> None:
        for value in range(2, 400):
            await line.server.write("a", float(value))
            running.set()
            await asyncio.sleep(0.002)

    writing = asyncio.create_task(run())
    await running.wait()
    await line.edit(machines={"mill": machine("hall", "a", "c") | {"components": {"bearing": component("a")}}})
    done = await line.gateway.operations.reload("anna", "socket")
    assert (done.ok, done.code) == (True, "CONFIG_RELOADED")
    assert done.message == "Applied: tags +1 -1 ~0, components +1 -0 ~0."
    await line.server.write("c", 7.0)
    await line.until(lambda: line.shows("mill/c", 7.0))
    await writing
    await line.until(lambda: line.shows("mill/a", 399.0))
    assert line.values("mill/a") == [0.0, *map(float, range(1, 400))] or line.values("mill/a") == [
        *map(float, range(1, 400))
    ]
    assert line.gateway.conversations.supervisors["hall"].counters.connects == 1
    assert "mill/b" not in line.gateway.board.readings()
    assert [each.component for each in line.gateway.monitor.needs(line.gateway.clock())] == ["mill/bearing"]
    await line.server.write("b", 9.0)
    await line.server.write("c", 8.0)
    await line.until(lambda: line.shows("mill/c", 8.0))
    assert 9.0 not in line.values("mill/b")


@pytest.mark.long
async def test_a_changed_tag_is_watched_anew_and_a_new_connection_begins(line: Line):
    other = line.document["connections"]["hall"] | {"sampling": "100 ms"}
    press = machine("second", "b") | {"name": "Press"}
    changed = machine("hall", "a")
    changed["tags"]["a"]["deadband"] = "5 mm"
    await line.edit(
        connections=line.document["connections"] | {"second": other}, machines={"mill": changed, "press": press}
    )
    await line.server.write("a", 1.0)
    await line.until(lambda: line.shows("mill/a", 1.0))
    done = await line.gateway.operations.reload("anna", "socket")
    assert done.message == "Applied: connections +1 -0 ~0, tags +1 -1 ~1."
    await line.server.write("b", 4.0)
    await line.until(lambda: line.shows("press/b", 4.0))
    await line.server.write("a", 2.0)
    await line.server.write("a", 20.0)
    await line.until(lambda: line.shows("mill/a", 20.0))
    assert 2.0 not in line.values("mill/a")
    assert list(line.gateway.machines) == ["mill", "press"]
    await line.edit(connections={"second": other}, machines={"press": press})
    assert (await line.gateway.operations.reload("anna", "socket")).ok
    assert list(line.gateway.conversations.supervisors) == ["second"]
    assert [link.name for link in line.gateway.board.links()] == ["second"]


async def test_what_cannot_be_applied_changes_nothing_and_says_why(line: Line):
    before, whole = line.gateway.config, dict(line.document)
    for sections, code, says in (
        ({"machines": {"mill": {"name": "Mill", "connection": "nowhere"}}}, "CONFIG_REFUSED", "toolcrib.yaml:1:"),
        ({"organisation": {"name": "Other", "ship_to": "x", "contact": "y"}}, "RESTART_NEEDED", "organisation"),
        ({}, "CONFIG_UNCHANGED", "as it was"),
    ):
        line.document = dict(whole)
        await line.edit(**sections)
        done = await line.gateway.operations.reload("anna", "socket")
        assert (done.code, done.ok) == (code, code == "CONFIG_UNCHANGED")
        assert says in done.message
        assert line.gateway.config is before
    assert line.gateway.conversations.supervisors["hall"].counters.disconnects == 0
    assert (await line.gateway.operations.reload("ben", "socket")).code == "NOT_AUTHORISED"


async def test_a_machine_begins_to_be_heard_by_its_windows_and_ends_to_be(line: Line):
    await line.until(lambda: line.shows("mill/a", 0.0))
    heard = machine("hall", "a", "raw")
    heard["tags"]["raw"] |= {"unit": "g", "window": True}
    knock = {"from": "raw", "kind": "kurtosis", "sampling_rate": "25600 Hz"}
    worn = component("a") | {"wear": {"by": "deviation", "tags": ["knock"]}}
    del worn["rated_life"]
    mill = heard | {"features": {"knock": knock}, "components": {"bearing": worn}}
    await line.edit(machines={"mill": mill})
    done = await line.gateway.operations.reload("anna", "socket")
    assert done.message == "Applied: tags +1 -1 ~0, features +1 -0 ~0, components +1 -0 ~0."
    readings = line.gateway.board.readings()
    await line.until(lambda: "mill/knock" in line.gateway.board.readings())
    quiet = readings["mill/knock"].value
    await line.server.write("raw", window(20.0).tolist())
    await line.until(lambda: readings["mill/knock"].value > quiet + 1)
    await line.server.write("raw", [1.0] * 4000)
    await line.until(lambda: readings["mill/knock"].quality is Quality.BAD)
    assert readings["mill/knock"].text == "FLAT"
    assert readings["mill/raw"].text == "4000 numbers"
    assert line.gateway.monitor.latest("mill/knock").quality is not Quality.GOOD
    assert not any(batch.windows or line.values("mill/raw") for batch in line.taken)
    await line.edit(machines={"mill": machine("hall", "a")})
    done = await line.gateway.operations.reload("anna", "socket")
    assert done.message == "Applied: tags +0 -1 ~0, features +0 -1 ~0, components +0 -1 ~0."
    assert "mill/knock" not in readings


async def test_jobs_symptoms_and_windows_are_taken_up_and_what_people_said_is_judged_anew(line: Line):
    await line.edit(machines={"mill": machine("hall", "a") | {"components": {"bearing": component("a")}}})
    assert (await line.gateway.operations.reload("anna", "socket")).ok
    await line.server.write("a", 5.0)
    await line.until(lambda: line.shows("mill/a", 5.0))
    said = await line.gateway.operations.symptom("mill/bearing", "grinding noise", "anna", "socket")
    assert (said.ok, said.code) == (True, "SYMPTOM_NOTED")
    monitor, clock = line.gateway.monitor, line.gateway.clock
    before = monitor.assess("mill/bearing", clock())
    row = {"component": "*", "said": "Grinding noise", "job": "grease"}
    await line.edit(
        jobs={"grease": {"title": "Relubricate"}},
        symptoms=[row],
        maintenance_windows=["saturday 06:00-14:00", {"when": "2099-12-12 06:00 to 14:00", "machines": ["mill"]}],
    )
    done = await line.gateway.operations.reload("anna", "socket")
    assert done.message == "Applied: jobs +1 -0 ~0, symptoms +1 -0 ~0, maintenance windows +2 -0 ~0."
    after = monitor.assess("mill/bearing", clock())
    assert (before.job, after.job) == ("Replace", "Relubricate")
    assert monitor.latest("mill/a").quality is Quality.GOOD
    assert line.gateway.purchasing.terms.windows == line.gateway.purchasing.rounds.terms.windows
    windows = line.gateway.purchasing.terms.windows
    assert (len(windows.of("mill").weekly), len(windows.of("mill").once), len(windows.of("saw").once)) == (1, 1, 0)
    await line.edit(symptoms=[row | {"failure": True}], maintenance_windows=["saturday 06:00-14:00"])
    done = await line.gateway.operations.reload("anna", "socket")
    assert done.message == "Applied: symptoms +0 -0 ~1, maintenance windows +0 -1 ~0."
    assert monitor.assess("mill/bearing", clock()).health == 0.0
    over = await line.gateway.operations.symptom_over("mill/bearing", "grinding noise", "anna", "socket")
    assert (over.ok, monitor.assess("mill/bearing", clock()).job) == (True, "Replace")
