"""The control of a simulated machine: every fault is had by whoever holds its token, and odd wishes are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua

from connectors.simulator.control import Control, ControlRefused
from connectors.simulator.machine_control import MachineReady, serve_machine
from connectors.simulator.modelled import MACHINING
from connectors.simulator.shape import OWN

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[MachineReady, Path]]:
    state = tmp_path_factory.mktemp("machine")
    ready: asyncio.Future[MachineReady] = asyncio.get_running_loop().create_future()
    work = asyncio.create_task(
        serve_machine(
            (MACHINING,), clock=lambda: NOW, state=state, ready=ready.set_result, tags=3, is_open=True, history=True
        )
    )
    yield await ready, state
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def act(state: Path, path: str, **body: Any) -> dict[str, Any]:
    async with Control(state) as control:
        return await control.call("POST", path, body)


async def value(url: str, key: str) -> ua.DataValue:
    async with Client(url) as client:
        index = await client.get_namespace_index(OWN)
        return await client.get_node(ua.NodeId(key, index)).read_data_value(raise_on_bad_status=False)


async def test_parts_are_broken_and_fitted(served: tuple[MachineReady, Path]):
    _ready, state = served
    broken = await act(state, "/fail", machine="M-4711", component="spindle")
    assert broken["machines"]["M-4711"]["running"] is False
    fitted = await act(state, "/fit", machine="M-4711", component="spindle")
    assert fitted["machines"]["M-4711"]["components"]["spindle"] == {"wear": 0.0, "failed": False}


async def test_a_flood_a_jump_and_a_vanished_node_show_over_the_wire(served: tuple[MachineReady, Path]):
    ready, state = served
    assert (await act(state, "/bad", rounds=2))["values"] > 20
    assert (await value(ready.url, "tag-0")).StatusCode.name == "BadNoCommunication"
    await act(state, "/clock", seconds=-3600)
    assert (await value(ready.url, "M-4711.power")).SourceTimestamp == NOW.replace(hour=7)
    await act(state, "/clock", seconds=3600)
    await act(state, "/vanish", key="tag-2")
    assert (await value(ready.url, "tag-2")).StatusCode.name == "BadNodeIdUnknown"


@pytest.mark.long
async def test_a_restart_with_a_new_certificate_keeps_the_address(served: tuple[MachineReady, Path]):
    ready, state = served
    told = await act(state, "/restart", new_certificate=True, shift_namespaces=True)
    assert told["url"] == ready.url
    assert told["fingerprint"] != ready.fingerprint
    assert (await value(ready.url, "M-4711.power")).Value.Value == 18.0


async def test_browses_can_be_made_endless_and_circular(served: tuple[MachineReady, Path]):
    _ready, state = served
    assert await act(state, "/endless") == {}
    assert await act(state, "/circle") == {}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/fit", {"machine": "M-4711", "component": "wing"}),
        ("/fail", {"machine": "x", "component": "spindle"}),
        ("/vanish", {"key": 5}),
        ("/bad", {"rounds": 10**9}),
        ("/bad", {"rounds": True}),
        ("/clock", {"seconds": "soon"}),
        ("/circle", {"node": "Nowhere"}),
    ],
)
async def test_odd_wishes_are_refused_in_a_sentence(served: tuple[MachineReady, Path], path: str, body: dict[str, Any]):
    with pytest.raises(ControlRefused, match=r"here|number"):
        await act(served[1], path, **body)
