"""The OPC-UA connector against another stack: node-opcua, encrypted and pinned.

TOOLCRIB_NODE names a directory with `node_modules` in which `node-opcua-server` is installed; continuous integration
installs it. Without it, or without node, these tests are skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.connector import ConnectionLost
from connectors.contract import Listener, listening
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.samples import Provenance, Quality
from tests.servers import NAMESPACE, Relay

MODULES = os.environ.get("TOOLCRIB_NODE", "")
pytestmark = pytest.mark.skipif(
    not (shutil.which("node") and MODULES and (Path(MODULES) / "node_modules" / "node-opcua-server").is_dir()),
    reason="TOOLCRIB_NODE names no directory in which node-opcua-server is installed",
)
SCRIPT = Path(__file__).with_name("node_opcua_server.cjs")
START_SECONDS = 60.0


class Server:
    """A server of the other stack, as a process."""

    def __init__(self, url: str, fingerprint: str, process: asyncio.subprocess.Process) -> None:
        self.url, self.fingerprint, self.process = url, fingerprint, process
        self.port = int(url.rpartition(":")[2])

    async def stop(self) -> None:
        self.process.kill()
        await self.process.wait()


async def start(root: Path, port: int = 0) -> Server:
    process = await asyncio.create_subprocess_exec(
        *("node", str(SCRIPT), str(root), MODULES, str(port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=sys.stderr,
    )
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        while True:
            line = await process.stdout.readline()
            assert line, "the server ended"
            if line.startswith(b"{"):
                said = json.loads(line)
                return Server(said["url"], said["fingerprint"], process)


@asynccontextmanager
async def serving(root: Path) -> AsyncIterator[Server]:
    server = await start(root)
    try:
        yield server
    finally:
        await server.stop()


def connector(server: Server, state: Path, *names: str, port: int | None = None) -> OpcUaConnector:
    settings = OpcUaSettings.model_validate(
        {
            "url": f"opc.tcp://127.0.0.1:{port or server.port}",
            "server_certificate": server.fingerprint,
            "sampling": "50 ms",
        }
    )
    tags = {f"m/{name}": OpcUaTag(node=f"nsu={NAMESPACE};s={name}", unit="1") for name in names}
    return OpcUaConnector("hall", settings, tags, clock=lambda: datetime.now(UTC), state=state)


def rising(listener: Listener) -> list[float]:
    return [s.value for s in listener.samples if s.tag == "m/level"]


async def test_every_kind_of_value_is_read_signed_and_encrypted(tmp_path: Path):
    many = [f"t{number}" for number in range(1500)]
    names = ["level", "count", "words", "list", "state", "nowhere", *many]
    async with serving(tmp_path / "server") as server:
        reader = connector(server, tmp_path / "state", *names)
        async with listening(reader) as listener:
            await listener.until(lambda heard: len({s.tag for s in heard.samples}) == len(names))
    found = {s.tag.removeprefix("m/"): s for s in listener.samples}
    assert {s.provenance for s in listener.samples} == {Provenance.A}
    assert [fault.tag for fault in listener.reports[-1]] == ["m/nowhere"]
    assert (found["count"].value, found["words"].text) == (70_000, "running")
    assert (found["list.0"].value, found["list.1"].value) == (1.5, 2.5)
    assert (found["state"].value, found["state"].text) == (1.0, "Running")
    assert all(found[name].value == float(name[1:]) + 0.5 for name in many)
    assert {s.quality for s in found.values()} == {Quality.GOOD}


async def test_a_cut_wire_is_taken_up_again_without_a_loss(tmp_path: Path):
    async with serving(tmp_path / "server") as server:
        relay = Relay(server.port)
        await relay.restore()
        before = connector(server, tmp_path / "state", "level", port=relay.port)
        async with listening(before) as listener:
            await listener.until(lambda heard: len(rising(heard)) > 5)
            relay.cut()
            assert listener.task is not None
            with pytest.raises(ConnectionLost):
                await asyncio.wait_for(listener.task, 10)
        await relay.restore()
        after = connector(server, tmp_path / "state", "level", port=relay.port)
        after.succeed(before)
        after.counters = before.counters
        async with listening(after) as again:
            await again.until(lambda heard: len(rising(heard)) > 20)
        await relay.close()
    times = [s.source_time for s in (*listener.samples, *again.samples)]
    assert times == sorted(times)
    assert len(times) - len(set(times)) <= 1  # a subscription that is transferred says its present value again
    assert after.counters.losses.total == 0


async def test_a_restarted_server_is_found_again(tmp_path: Path):
    server = await start(tmp_path / "server")
    try:
        before = connector(server, tmp_path / "state", "level")
        async with listening(before) as listener:
            await listener.until(lambda heard: bool(rising(heard)))
            await server.stop()
            assert listener.task is not None
            with pytest.raises(ConnectionLost):
                await asyncio.wait_for(listener.task, 10)
        server = await start(tmp_path / "server", server.port)
        after = connector(server, tmp_path / "state", "level")
        after.succeed(before)
        async with listening(after) as again:
            await again.until(lambda heard: len(rising(heard)) > 3)
    finally:
        await server.stop()
