"""A connection that says `adopt: true`: the gateway takes over what the server describes, at every start."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from connectors.simulator.identity import load_or_make
from connectors.simulator.machine_server import APPLICATION_URI, MachineServer
from connectors.simulator.modelled import DEVICE, MACHINING
from gateway.config import Config, load
from gateway.self_description import with_adopted
from tests.journeys.test_reload import SITE

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MachineServer]:
    identity = load_or_make(tmp_path_factory.mktemp("machine"), APPLICATION_URI)
    made = MachineServer(identity, (MACHINING, DEVICE), clock=lambda: datetime.now(UTC), is_open=True)
    await made.start()
    yield made
    await made.stop()


def config(tmp_path: Path, url: str, **more: Any) -> Config:
    file = tmp_path / "toolcrib.yaml"
    connection = {"connector": "opcua", "url": url, "insecure": True, "adopt": True}
    file.write_text(json.dumps({**SITE, "connections": {"hall": connection}, **more}))
    return load(file)


async def test_machines_come_from_the_server_and_the_file_stays(server: MachineServer, tmp_path: Path):
    before = config(tmp_path, server.url)
    text = before.path.read_text()
    after = await with_adopted(before)
    assert set(after.file.machines) == {"m-4711", "valve-block-1"}
    assert after.components["m-4711/clamping-seal"].job.lines["part"].item == "dichtwerk-dw-60-l"
    assert len(after.tags_of("hall")) == 10
    assert (after.path, before.path.read_text()) == (before.path, text)


async def test_without_the_wish_nothing_is_asked(tmp_path: Path):
    connection = {"connector": "opcua", "url": "opc.tcp://127.0.0.1:1", "insecure": True}
    same = config(tmp_path, "opc.tcp://127.0.0.1:1", connections={"hall": connection})
    assert await with_adopted(same) is same


async def test_a_machine_that_is_off_stays_known_under_its_keys(server: MachineServer, tmp_path: Path):
    first = await with_adopted(config(tmp_path, server.url))
    off = await with_adopted(config(tmp_path, "opc.tcp://127.0.0.1:1"))
    assert off.components == first.components
    assert off.tags == first.tags


async def test_a_server_that_was_never_reached_leaves_the_config_as_it_is(tmp_path: Path):
    before = config(tmp_path, "opc.tcp://127.0.0.1:1")
    assert (await with_adopted(before)).components == {}


async def test_what_the_file_says_wins(server: MachineServer, tmp_path: Path):
    first = await with_adopted(config(tmp_path, server.url))
    node = first.tags["m-4711/spindle-bearing-hours"]
    mine = {
        "name": "Old lady",
        "connection": "hall",
        "tags": {"hours": node.model_dump(mode="json", exclude_unset=True)},
        "components": {
            "bearing": {
                "name": "Bearing",
                "rated_life": "5000 h",
                "wear": {"by": "usage", "tag": "hours"},
                "job": {"title": "Replace"},
            }
        },
    }
    file = tmp_path / "mine"
    file.mkdir()
    after = await with_adopted(config(file, server.url, machines={"lady": mine}))
    assert set(after.file.machines) == {"lady", "valve-block-1"}
    assert str(after.components["lady/bearing"].rated_life) == "5000 h"
    assert "lady/spindle" not in after.components
    assert "lady/clamping-seal" in after.components


async def test_a_broken_memory_is_none(server: MachineServer, tmp_path: Path):
    before = config(tmp_path, server.url)
    memory = before.connector_state / "adopted" / "hall.json"
    memory.parent.mkdir(parents=True)
    memory.write_text('{"machines": {"x": 5}}')
    assert set((await with_adopted(before)).file.machines) == {"m-4711", "valve-block-1"}


async def test_a_description_that_makes_no_config_is_left_out(server: MachineServer, tmp_path: Path):
    before = config(tmp_path, server.url)
    memory = before.connector_state / "adopted" / "hall.json"
    memory.parent.mkdir(parents=True)
    wrong = {"head": {"name": ""}, "tags": {}, "components": {}}
    memory.write_text(json.dumps({"machines": {"x": wrong}, "items": {}}))
    assert (await with_adopted(before)).file.machines == {}
