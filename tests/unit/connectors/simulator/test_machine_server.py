"""The simulated machines' server does at will what breaks at customers' sites, over the real protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.client.ua_client import UaClientState
from asyncua.ua import uaerrors

from connectors.simulator.channel import Manners
from connectors.simulator.companions import DI, LIFETIME
from connectors.simulator.errors import SimulatorError
from connectors.simulator.identity import load_or_make
from connectors.simulator.machine_server import APPLICATION_URI, MachineServer
from connectors.simulator.modelled import DEVICE, MACHINING, MILLING
from connectors.simulator.nodes import CAPACITY_MAX
from connectors.simulator.shape import OWN

pytestmark = pytest.mark.asyncio(loop_scope="module")
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


CLOCK = Clock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MachineServer]:
    identity = load_or_make(tmp_path_factory.mktemp("machine"), APPLICATION_URI)
    manners = Manners(nodes_per_browse=10, nodes_per_read=20, references=7)
    made = MachineServer(identity, (MACHINING, MILLING, DEVICE), clock=CLOCK, tags=250, is_open=True, manners=manners)
    await made.start()
    yield made
    await made.stop()


@asynccontextmanager
async def visiting(server: MachineServer) -> AsyncIterator[Client]:
    async with Client(server.url) as client:
        yield client
    assert client.uaclient.state is not UaClientState.CONNECTED


async def node(client: Client, key: str) -> Any:
    return client.get_node(ua.NodeId(key, await client.get_namespace_index(OWN)))


async def children(client: Client, key: str, most: int = 0) -> ua.BrowseResult:
    asked = ua.BrowseDescription(NodeId=(await node(client, key)).nodeid, ReferenceTypeId=ua.NodeId(33))
    parameters = ua.BrowseParameters(NodesToBrowse=[asked], RequestedMaxReferencesPerNode=most)
    return (await client.uaclient.session.browse(parameters))[0]


async def more(client: Client, point: bytes) -> ua.BrowseResult:
    return (await client.uaclient.session.browse_next(ua.BrowseNextParameters(False, [point])))[0]


async def test_a_lifetime_is_of_the_standards_type_and_wears_down_to_its_limit(server: MachineServer):
    async with visiting(server) as client:
        strokes = await node(client, "M-4711.seal.Strokes")
        type_ = client.get_node(await strokes.read_type_definition())
        name = await type_.read_browse_name()
        spaces = await client.get_namespace_array()
        assert (spaces[name.NamespaceIndex], name.Name) == (LIFETIME.space, LIFETIME.name)
        before = await strokes.read_value()
        CLOCK.now += timedelta(days=10)
        await server.step()
        assert await strokes.read_value() < before
        await server.fail("M-4711", "seal")
        assert await strokes.read_value() == 0.0
        await server.fit("M-4711", "seal")
        assert await strokes.read_value() == 45_000.0
        di = spaces.index(DI)
        assert await (await strokes.get_child(f"{di}:StartValue")).read_value() == 45_000.0


async def test_what_does_not_fit_into_one_answer_comes_by_continuation_points(server: MachineServer):
    async with visiting(server) as client:
        first = await children(client, "Plant.Area000.Cell00")
        found, answer = len(first.References), first
        while answer.ContinuationPoint:
            answer = await more(client, answer.ContinuationPoint)
            found += len(answer.References)
        assert (len(first.References), found) == (7, 100)


async def test_a_spent_continuation_point_is_invalid(server: MachineServer):
    async with visiting(server) as client:
        first = await children(client, "Plant.Area000.Cell00", 50)
        await more(client, first.ContinuationPoint)
        again = await more(client, first.ContinuationPoint)
        assert again.StatusCode.name == "BadContinuationPointInvalid"


async def test_more_than_the_limits_allow_is_refused_as_a_whole(server: MachineServer):
    async with visiting(server) as client:
        with pytest.raises(uaerrors.BadTooManyOperations):
            await client.uaclient.session.read_attributes([ua.NodeId(2255)] * 21, ua.AttributeIds.Value)
        with pytest.raises(uaerrors.BadTooManyOperations):
            await client.uaclient.session.browse(ua.BrowseParameters(NodesToBrowse=[ua.BrowseDescription()] * 11))


async def test_an_endless_browse_gives_points_for_ever_until_it_is_released(server: MachineServer):
    server.never_end()
    try:
        async with visiting(server) as client:
            answer = await children(client, "Plant")
            for _each in range(50):
                answer = await more(client, answer.ContinuationPoint)
                assert answer.References
            released = ua.BrowseNextParameters(True, [answer.ContinuationPoint])
            assert not (await client.uaclient.session.browse_next(released))[0].ContinuationPoint
    finally:
        server.manners.endless.clear()


async def test_a_flood_of_bad_values_passes_with_the_next_good_one(server: MachineServer):
    async with visiting(server) as client:
        power = await node(client, "M-4711.power")
        assert await server.flood_bad(3) == 3 * len(server.keys)
        assert (await power.read_data_value(raise_on_bad_status=False)).StatusCode.name == "BadSensorFailure"
        await server.step()
        await server.stir(1.0)
        assert (await power.read_data_value()).StatusCode.is_good()


async def test_a_clock_that_jumps_dates_what_follows(server: MachineServer):
    async with visiting(server) as client:
        power = await node(client, "M-4711.power")
        server.jump_clock(timedelta(days=-3))
        try:
            await server.step()
            assert (await power.read_data_value()).SourceTimestamp == CLOCK.now - timedelta(days=3)
        finally:
            server.jump_clock(timedelta(days=3))


async def test_a_machine_remembers_and_answers_in_pieces_and_backwards(server: MachineServer):
    server.historize(["tag-1"])
    begin = CLOCK.now
    times = [begin + timedelta(seconds=second) for second in range(5)]
    for number, at in enumerate(times):
        await server.write({"tag-1": float(number)}, at=at)
    async with visiting(server) as client:
        tag = await node(client, "tag-1")
        assert await tag.read_attribute(ua.AttributeIds.Historizing)
        forwards = await tag.read_raw_history(times[1], times[3])
        backwards = await tag.read_raw_history(times[3], times[1])
        assert [each.Value.Value for each in forwards] == [1.0, 2.0, 3.0]
        assert [each.Value.Value for each in backwards] == [3.0, 2.0, 1.0]
        details = ua.ReadRawModifiedDetails(False, times[0], times[4], 2, False)
        answer = await tag.history_read(details)
        answer.StatusCode.check()
        assert len(answer.HistoryData.DataValues) == 2
        assert answer.ContinuationPoint


async def test_a_node_that_vanishes_is_gone_from_browse_and_read(server: MachineServer):
    async with visiting(server) as client:
        await server.vanish("tag-249")
        found = await children(client, "Plant.Area000.Cell02", 100)
        assert "Tag000249" not in {each.BrowseName.Name for each in found.References}
        with pytest.raises(uaerrors.BadNodeIdUnknown):
            await (await node(client, "tag-249")).read_value()
        with pytest.raises(KeyError):
            await server.vanish("tag-249")


@pytest.mark.long
async def test_a_restart_keeps_port_and_wear_and_may_change_numbers_and_certificate(
    server: MachineServer, tmp_path: Path
):
    port, old = server.port, server.identity.fingerprint
    async with visiting(server) as client:
        before = await client.get_namespace_array()
        hours = await (await node(client, "M-4711.OperationDuration")).read_value()
    other = load_or_make(tmp_path / "other", APPLICATION_URI)
    await server.restart(identity=other, shift_namespaces=True)
    async with visiting(server) as client:
        after = await client.get_namespace_array()
        assert await (await node(client, "M-4711.OperationDuration")).read_value() == hours
    assert server.port == port
    assert set(before) < set(after)
    assert before.index(OWN) != after.index(OWN)
    assert server.identity.fingerprint != old


async def test_nobody_writes(server: MachineServer):
    async with visiting(server) as client:
        with pytest.raises(uaerrors.BadUserAccessDenied):
            await (await node(client, "tag-1")).write_value(9.0)


async def test_too_many_nodes_are_refused_in_a_sentence(tmp_path: Path):
    with pytest.raises(SimulatorError, match="at most"):
        MachineServer(load_or_make(tmp_path, APPLICATION_URI), (), clock=CLOCK, tags=CAPACITY_MAX + 1)
