"""What simulated machines do to a conversation: each fault is named, bounded, and harms nobody else's tag."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import Client, ua

from connectors.connector import ConnectionLost, ConnectionRefused
from connectors.contract import listening
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.samples import Quality
from connectors.simulator.channel import Manners
from connectors.simulator.identity import load_or_make
from connectors.simulator.machine_server import APPLICATION_URI, MachineServer
from connectors.simulator.modelled import MACHINING, PUMP, listening_config
from connectors.simulator.shape import OWN
from gateway.intake import Intake, Sieve
from gateway.live import Board
from maintenance.assets import Life
from maintenance.derivation import Derivation
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.settings import ComponentSettings
from maintenance.slots import Watched
from maintenance.windows import FeatureSettings, feature, unit_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
TAGS = 60


def wall() -> datetime:
    return datetime.now(UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MachineServer]:
    identity = load_or_make(tmp_path_factory.mktemp("machine"), APPLICATION_URI)
    manners = Manners(items_per_call=25, nodes_per_read=25)
    made = MachineServer(identity, (MACHINING, PUMP), clock=wall, tags=TAGS, manners=manners)
    await made.start()
    yield made
    await made.stop()


def connector(server: MachineServer, state: Path, count: int = TAGS, first: int = 0) -> OpcUaConnector:
    settings = OpcUaSettings(url=server.url, server_certificate=server.identity.fingerprint, sampling="20 ms")
    tags = {
        f"m/t{number}": OpcUaTag(node=f"nsu={OWN};s=tag-{number}", unit="1") for number in range(first, first + count)
    }
    return OpcUaConnector("hall", settings, tags, clock=wall, state=state)


async def test_more_tags_than_one_call_takes_are_watched(server: MachineServer, tmp_path: Path):
    async with listening(connector(server, tmp_path)) as listener:
        await listener.until(lambda heard: len({s.tag for s in heard.samples}) == TAGS)
    assert listener.reports == [()]


async def test_a_flood_of_bad_values_is_bad_and_ends_with_the_first_good_one(server: MachineServer, tmp_path: Path):
    async with listening(connector(server, tmp_path, 3)) as listener:
        await listener.until(lambda heard: len(heard.samples) >= 3)
        await server.flood_bad(50)
        await listener.until(lambda heard: sum(s.quality is Quality.BAD for s in heard.samples) >= 100)
        await server.stir(7.0)
        await listener.until(lambda heard: heard.samples[-1].value == 7.0)
    assert listener.samples[-1].quality is Quality.GOOD


async def test_a_clock_that_jumps_makes_values_uncertain_and_never_wrong(server: MachineServer, tmp_path: Path):
    async with listening(connector(server, tmp_path, 1)) as listener:
        await listener.until(lambda heard: bool(heard.samples))
        server.jump_clock(timedelta(days=-2))
        await server.stir(8.0)
        await listener.until(lambda heard: heard.samples[-1].value == 8.0)
        dated = listener.samples[-1]
        server.jump_clock(timedelta(days=2))
        await server.stir(9.0)
        await listener.until(lambda heard: heard.samples[-1].value == 9.0)
    assert dated.quality is Quality.UNCERTAIN
    assert dated.source_time < wall() - timedelta(days=1)
    assert listener.samples[-1].quality is Quality.GOOD


async def test_a_node_that_vanishes_is_bad_and_named_and_the_others_run_on(server: MachineServer, tmp_path: Path):
    async with listening(connector(server, tmp_path, 2, first=58)) as listener:
        await listener.until(lambda heard: len(heard.samples) >= 2)
        await server.vanish("tag-58")
        await listener.until(lambda heard: heard.samples[-1].quality is Quality.BAD)
        await server.stir(11.0)
        await listener.until(lambda heard: heard.samples[-1].value == 11.0)
    assert [s.tag for s in listener.samples[2:]] == ["m/t58", "m/t59"]
    (fault,) = await connector(server, tmp_path, 2, first=58).probe()
    assert fault.tag == "m/t58"
    assert "BadNodeIdUnknown" in fault.reason


async def test_a_server_that_is_not_open_wants_encryption(server: MachineServer):
    offered = await Client(server.url).connect_and_get_server_endpoints()
    assert {each.SecurityMode for each in offered} == {ua.MessageSecurityMode.SignAndEncrypt}
    with pytest.raises(Exception, match=r"(?i)no matching endpoints|denied|secur"):
        await Client(server.url).connect()


async def test_a_restart_with_other_numbers_and_another_certificate_wants_a_person_and_reads_the_same(
    server: MachineServer, tmp_path: Path
):
    before = connector(server, tmp_path, 3)
    async with listening(before) as listener:
        await listener.until(lambda heard: len(heard.samples) >= 3)
        await server.restart(
            identity=await asyncio.to_thread(load_or_make, tmp_path / "other", APPLICATION_URI), shift_namespaces=True
        )
        with pytest.raises(ConnectionLost):
            assert listener.task is not None
            await listener.task
    with pytest.raises(ConnectionRefused, match="pinned"):
        await before.probe()
    async with listening(connector(server, tmp_path, 3)) as again:
        await again.until(lambda heard: len({s.tag for s in heard.samples}) == 3)
    assert [s.value for s in again.samples[:3]] == [0.0, 1.0, 2.0]


# ---- a bearing that is heard


class Pump:
    """The simulated pump as a gateway hears it: by what the simulator says belongs into a config, and nothing else."""

    def __init__(self) -> None:
        said = listening_config(PUMP)
        self.tags = {f"P-101/{name}": OpcUaTag(**each) for name, each in said["tags"].items()}
        units = {name: each["unit"] for name, each in said["tags"].items()}
        features = {name: FeatureSettings.model_validate(each) for name, each in said["features"].items()}
        derivation = Derivation({f"P-101/{name}": feature(each, units) for name, each in features.items()})
        units |= {name: unit_of(each, units) for name, each in features.items()}
        wear = {"by": "level", "tag": "outer-ring", "as_new": "0.1 m/s2", "limit": "2 m/s2", "smoothing": "50 ms"}
        settings = ComponentSettings.model_validate(
            {"name": "Bearing", "rated_life": "4000 h", "wear": wear, "job": {"title": "Replace the bearing"}}
        )
        self.monitor = Monitor(
            {"P-101/bearing": Watched("P-101", settings, units)},
            {"P-101/bearing": Life("l", "P-101/bearing", wall(), used_before=0.0)},
        )
        self.board = Board()
        self.intake = Intake(self.monitor, self.board, Sieve({}), wall, derivation)

    def need(self) -> Need:
        return self.monitor.assess("P-101/bearing", wall())


async def test_windows_of_a_bearing_that_flakes_raise_its_need(server: MachineServer, tmp_path: Path):
    pump, bearing = Pump(), server.machines["P-101"]
    settings = OpcUaSettings(url=server.url, server_certificate=server.identity.fingerprint, sampling="20 ms")
    heard = OpcUaConnector("hall", settings, pump.tags, clock=wall, state=tmp_path)
    taken = 0
    async with listening(heard) as listener:

        async def hear(windows: int) -> Need:
            nonlocal taken
            for _window in range(windows):
                count = len(listener.batches)
                await server.step()
                await listener.until(lambda ear, count=count: any(each.windows for each in ear.batches[count:]))
            for batch in listener.batches[taken:]:
                pump.intake.take(await pump.intake.derived(batch) if batch.windows else batch)
            taken = len(listener.batches)
            return pump.need()

        await listener.until(lambda ear: any(each.windows for each in ear.batches))
        new = await hear(8)
        assert new.belief.known
        assert new.health > 0.8
        bearing.advance(0.8 * bearing.slots["bearing"].hours_left)
        worn = await hear(8)
        bearing.advance(0.95 * bearing.slots["bearing"].hours_left)
        failing = await hear(8)
    assert new.health - 0.1 > worn.health > failing.health + 0.1
    soon = timedelta(days=80)
    early, later, last = (need.belief.failure_probability(soon) for need in (new, worn, failing))
    assert early + 0.02 < later < last - 0.1
    assert {"P-101/knock", "P-101/outer-ring"} <= set(pump.board.readings())
