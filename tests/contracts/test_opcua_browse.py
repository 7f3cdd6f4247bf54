"""Looking around on a real server: whole where it behaves, bounded and named where it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import ua

from connectors.connector import ConnectionLost, ConnectionRefused
from connectors.opcua import browse as browsing
from connectors.opcua.browse import Tree, browse
from connectors.opcua.client import BoundedClient
from connectors.opcua.discovery import discover
from connectors.opcua.inspection import Variable, inspect, missing
from connectors.opcua.machinery import DiscoveredMachine, Nameplate
from connectors.opcua.settings import OpcUaSettings
from connectors.opcua.survey import survey, surveyed
from connectors.opcua.visit import visiting
from connectors.simulator.channel import Manners
from connectors.simulator.identity import load_or_make
from connectors.simulator.machine_server import APPLICATION_URI, MachineServer
from connectors.simulator.modelled import DEVICE, MACHINING, MILLING
from connectors.simulator.shape import OWN

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
WALL = datetime.now(UTC)
TAGS = 230


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MachineServer]:
    """A small controller: few nodes in a request, few references in an answer."""
    made = MachineServer(
        load_or_make(tmp_path_factory.mktemp("machine"), APPLICATION_URI),
        (MACHINING, MILLING, DEVICE),
        clock=lambda: NOW,
        tags=TAGS,
        is_open=True,
        manners=Manners(nodes_per_browse=8, nodes_per_read=30, references=9),
    )
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: MachineServer, tmp_path: Path) -> AsyncIterator[BoundedClient]:
    settings = OpcUaSettings(url=server.url, insecure=True)
    async with visiting("hall", settings, tmp_path, WALL) as opened:
        yield opened


def paths(tree: Tree) -> list[str]:
    return [node.path for node in tree.nodes]


async def looked(client: BoundedClient, *endings: str) -> dict[str, Variable]:
    tree = await browse(client)
    places = [place for place, node in enumerate(tree.nodes) if node.path.endswith(endings)]
    return {each.path.rpartition("/")[2]: each for each in await inspect(client, tree, places)}


async def test_everything_is_found_within_the_servers_limits_and_in_its_order(client: BoundedClient):
    tree = await browse(client)
    tags = [node.name for node in tree.nodes if node.name.startswith("Tag0")]
    assert tags == [f"Tag{number:06}" for number in range(TAGS)]
    assert tree.notes == []
    assert len(set(paths(tree))) == len(tree.nodes)
    assert "Server" not in paths(tree)


async def test_a_node_is_named_by_the_uri_of_its_namespace(client: BoundedClient):
    found = await looked(client, "M-4711/Power", "Identification/YearOfConstruction")
    assert found["Power"].node == f"nsu={OWN};s=M-4711.power"


async def test_a_variable_shows_value_type_and_unit(client: BoundedClient):
    found = await looked(client, "M-4711/Power", "/CurrentState", "/Strokes", "PilotValve/SwitchingCycles")
    assert (found["Power"].value, found["Power"].kind, found["Power"].unit) == ("18", "Double", "kW")
    assert (found["CurrentState"].value, found["CurrentState"].is_number) == ("Executing", False)
    assert found["Strokes"].unit == "pieces"
    assert found["Power"].status == "Good"


async def test_a_bad_value_is_shown_with_its_reason(client: BoundedClient, server: MachineServer):
    await server.write({"M-4711.power": None}, status=ua.StatusCodes.BadSensorFailure)
    found = await looked(client, "M-4711/Power")
    await server.step()
    assert (found["Power"].value, found["Power"].status) == ("", "BadSensorFailure")
    assert found["Power"].is_number


async def test_an_endless_browse_is_cut_and_named(client: BoundedClient, server: MachineServer):
    server.never_end("Plant.Area000.Cell00")
    try:
        tree = await browse(client)
    finally:
        server.manners.endless.clear()
    (note,) = tree.notes
    assert note == "Plant/Area000/Cell00: the server's list of what is below it has no end; cut after 9 nodes"
    assert sum(path.startswith("Plant/Area000/Cell01/") for path in paths(tree)) == 100


async def test_a_server_that_invents_nodes_is_cut_at_the_bound(client: BoundedClient, server: MachineServer):
    server.never_end("Plant.Area000.Cell00")
    server.manners.invents = True
    try:
        tree = await browse(client, nodes_max=500)
    finally:
        server.manners.endless.clear()
        server.manners.invents = False
    assert len(tree.nodes) == 500
    assert "more than 500 nodes" in tree.notes[0]


async def test_nodes_beyond_the_bound_are_left_out_and_it_is_said(client: BoundedClient):
    tree = await browse(client, nodes_max=40)
    assert len(tree.nodes) == 40
    assert "more than 40 nodes" in tree.notes[0]


async def test_a_tree_that_is_too_deep_is_cut_and_named(client: BoundedClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(browsing, "DEPTH_MAX", 3)
    tree = await browse(client)
    assert max(path.count("/") for path in paths(tree)) == 2
    assert "too deep" in tree.notes[-1]


async def test_what_a_server_no_longer_has_is_told_from_what_hangs_elsewhere(client: BoundedClient):
    namespaces = await client.get_namespace_array()
    asked = ["i=2258", f"nsu={OWN};s=M-4711.power", f"nsu={OWN};s=never", "nsu=urn:elsewhere;s=x"]
    assert await missing(client, asked, namespaces) == [f"nsu={OWN};s=never", "nsu=urn:elsewhere;s=x"]


async def test_machines_are_recognised_with_parts_and_lifetimes(client: BoundedClient):
    findings = await survey(client)
    machines = {each.name: each for each in findings.machines}
    assert set(machines) == {"M-4711", "MT-9", "valve-block-1"}
    machining = machines["M-4711"]
    assert machining.nameplate == Nameplate("Nordwerk", "Formstar 3", "FS3-440", "4711-0042")
    seal = next(each for each in machining.components if each.name == "ClampingSeal")
    assert seal.nameplate == Nameplate("Dichtwerk", "Lip seal 60", "DW-60-L", "A-3390")
    (life,) = seal.lifetimes
    assert (life.start, life.limit, life.warnings, life.runs_down) == (45_000.0, 0.0, (4_500.0,), True)
    assert life.indication == "NumberOfUsagesIndicationType"
    assert findings.notes == ()


async def test_tools_and_prognoses_of_a_machine_tool_are_recognised(client: BoundedClient):
    milling = next(each for each in (await survey(client)).machines if each.name == "MT-9")
    tool = next(each for each in milling.components if each.name == "Cutter D10")
    assert (tool.nameplate.product_code, tool.lifetimes[0].signal.unit) == ("SW-HPC-10", "min")
    told = {(each.kind, each.about) for each in milling.prognoses}
    assert told == {("ToolChangePrognosisType", "Cutter D10"), ("MaintenancePrognosisType", "Replace CoolantFilter")}


async def test_a_device_without_machinery_is_a_machine_with_counters(client: BoundedClient):
    device = next(each for each in (await survey(client)).machines if each.name == "valve-block-1")
    assert list(device.counters) == ["OperationDuration", "PowerOnDuration", "OperationCycleCounter"]
    assert device.counters["OperationDuration"].unit == "ms"
    assert [each.name for each in device.components] == ["PilotValve"]


async def test_discovery_names_endpoints_policies_and_the_certificate(server: MachineServer, tmp_path: Path):
    (application,) = await discover(server.url, tmp_path)
    assert application.uri == APPLICATION_URI
    secured = [each for each in application.endpoints if each.mode == "SignAndEncrypt"]
    assert {each.policy for each in secured} == {"Basic256Sha256", "Aes256_Sha256_RsaPss"}
    assert {each.fingerprint for each in secured} == {server.identity.fingerprint}
    assert {each.mode for each in application.endpoints} == {"SignAndEncrypt", "None"}


async def test_nobody_at_an_address_is_one_sentence(tmp_path: Path, unused_tcp_port: int):
    with pytest.raises(ConnectionLost, match="cannot be reached"):
        await discover(f"opc.tcp://127.0.0.1:{unused_tcp_port}", tmp_path)


async def test_a_visit_is_as_well_protected_as_a_conversation(server: MachineServer, tmp_path: Path):
    pinned = OpcUaSettings(url=server.url, server_certificate=server.identity.fingerprint)
    async with visiting("hall", pinned, tmp_path, WALL) as client:
        assert (await browse(client, nodes_max=20)).nodes
    with pytest.raises(ConnectionRefused, match=server.identity.fingerprint):
        async with visiting("other", OpcUaSettings(url=server.url), tmp_path, WALL):
            pass


async def test_other_namespace_numbers_after_a_restart_find_the_same(
    server: MachineServer, client: BoundedClient, tmp_path: Path
):
    def without_notes(machines: tuple[DiscoveredMachine, ...]) -> set[str]:
        return {life.signal.node for each in machines for part in each.components for life in part.lifetimes}

    before = without_notes((await surveyed(client, await browse(client))).machines)
    await server.restart(shift_namespaces=True)
    async with visiting("hall", OpcUaSettings(url=server.url, insecure=True), tmp_path, WALL) as again:
        assert without_notes((await survey(again)).machines) == before


async def test_circles_end(server: MachineServer, tmp_path: Path):
    server.circle()
    async with visiting("hall", OpcUaSettings(url=server.url, insecure=True), tmp_path, WALL) as client:
        tree = await browse(client)
    assert sum(node.name == "Plant" for node in tree.nodes) == 1
    assert tree.notes == []
