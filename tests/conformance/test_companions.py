"""Machines by the published NodeSets of the companion specifications, served by another stack (node-opcua).

The simulator's shapes are ours; here the types, their numbers and their children are the standards' own. TOOLCRIB_NODE
is as for `test_node_opcua`; the NodeSets come with that package.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from connectors.opcua.browse import Tree, browse
from connectors.opcua.discovery import discover
from connectors.opcua.inspection import inspect
from connectors.opcua.machinery import Findings, Nameplate
from connectors.opcua.settings import OpcUaSettings
from connectors.opcua.survey import surveyed
from connectors.opcua.visit import visiting
from tests.conformance.test_node_opcua import MODULES, START_SECONDS

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        not (shutil.which("node") and MODULES and (Path(MODULES) / "node_modules" / "node-opcua-nodesets").is_dir()),
        reason="TOOLCRIB_NODE names no directory in which node-opcua-server and its NodeSets are installed",
    ),
]
SCRIPT = Path(__file__).with_name("node_opcua_machine.cjs")


class Seen:
    """Where the server is, and what a visit found."""

    def __init__(self, url: str, fingerprint: str, tree: Tree, findings: Findings, values: dict[str, str]) -> None:
        self.url, self.fingerprint, self.tree, self.findings, self.values = url, fingerprint, tree, findings, values


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    """A server of the other stack, looked at once over an encrypted and pinned channel."""
    process = await asyncio.create_subprocess_exec(
        *("node", str(SCRIPT), str(tmp_path_factory.mktemp("server")), MODULES),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=sys.stderr,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            said: dict[str, str] = {}
            while not said:
                line = await process.stdout.readline()
                assert line, "the server ended"
                said = json.loads(line) if line.startswith(b"{") else {}
        settings = OpcUaSettings(url=said["url"], server_certificate=said["fingerprint"])
        state = tmp_path_factory.mktemp("state")
        async with visiting("press", settings, state, datetime.now(UTC)) as client:
            tree = await browse(client)
            findings = await surveyed(client, tree)
            places = [place for place, node in enumerate(tree.nodes) if node.is_variable and not node.is_property]
            values = {each.path: each.value for each in await inspect(client, tree, places)}
        yield Seen(said["url"], said["fingerprint"], tree, findings, values)
    finally:
        process.kill()
        await process.wait()


async def test_the_whole_address_space_is_browsed_without_a_remark(seen: Seen):
    assert seen.tree.notes == []
    assert {"Machines", "DeviceSet"} <= {node.path for node in seen.tree.nodes}
    assert seen.values["Machines/Press 7/Components/Pump/LifetimeCounters/SealStrokes"] == "1234"


async def test_machinery_is_recognised_by_the_standards_own_types(seen: Seen):
    press = next(each for each in seen.findings.machines if each.name == "Press 7")
    assert press.nameplate == Nameplate("Presswerk", "P7", "PW-7", "S-1")
    (pump,) = press.components
    assert pump.nameplate == Nameplate("Pumpwerk", "PX", "PX-200", "S-2")
    (life,) = pump.lifetimes
    assert (life.start, life.limit, life.warnings, life.runs_down) == (9000.0, 1000.0, (2000.0, 1500.0), True)
    assert (life.indication, life.signal.unit) == ("NumberOfUsagesIndicationType", "cycles")
    assert life.signal.node.startswith("nsu=urn:toolcrib:conformance:machine;i=")


async def test_a_machine_tool_is_recognised_with_its_prognosis(seen: Seen):
    mill = next(each for each in seen.findings.machines if each.name == "Mill 9")
    assert (mill.nameplate.manufacturer, mill.nameplate.serial) == ("Fraeswerk", "F-9")
    (due,) = mill.prognoses
    assert (due.kind, due.about) == ("MaintenancePrognosisType", "Grease the guides")
    assert due.signal.path == "Machines/Mill 9/Notification/Prognoses/Grease/PredictedTime"


async def test_discovery_names_every_way_in(seen: Seen, tmp_path: Path):
    (application,) = await discover(seen.url, tmp_path)
    assert {each.fingerprint for each in application.endpoints} == {seen.fingerprint}
    assert ("Basic256Sha256", "SignAndEncrypt") in {(each.policy, each.mode) for each in application.endpoints}
