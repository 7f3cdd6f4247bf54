"""Recorded lives are played in lock-step: whole, in order, and never ahead."""

from __future__ import annotations

import asyncio
import math
import os
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.samples import Batch, Provenance, Quality, Sample
from connectors.simulator.control import ControlRefused
from connectors.simulator.errors import PortInUse
from connectors.simulator.factory import Addresses
from connectors.simulator.player import Lockstep, Player, Position, serve_player
from connectors.simulator.recordings import Recording, parse_units, read_recordings

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)


def life(unit: int, cycles: int) -> Recording:
    """A life of one sensor that moves and one that never does."""
    return Recording(unit, ("s1", "s2"), tuple((unit + cycle / 1000, 100.0) for cycle in range(1, cycles + 1)))


class Reader:
    """What a gateway would have taken: good samples by tag, in the order of their arrival."""

    def __init__(self) -> None:
        self.taken: dict[str, list[Sample]] = defaultdict(list)
        self.first = asyncio.Event()
        self._arrived = asyncio.Condition()

    async def deliver(self, batch: Batch) -> None:
        async with self._arrived:
            for sample in batch:
                if sample.quality is Quality.GOOD:
                    self.taken[sample.tag].append(sample)
            self.first.set()
            self._arrived.notify_all()

    async def has_taken(self, position: Position, tags: Sequence[str]) -> None:
        """Wait until every tag of every unit served has a sample of this cycle."""
        wanted = [f"{unit}/{tag}" for unit in position.served for tag in tags]
        async with self._arrived:
            await self._arrived.wait_for(
                lambda: all(self.taken[tag] and self.taken[tag][-1].source_time == position.at for tag in wanted)
            )


@asynccontextmanager
async def reading(addresses: Addresses, state: Path) -> AsyncIterator[Reader]:
    """A real connector at work on the player."""
    tags = {
        f"{machine}/{tag}": OpcUaTag(**wire)
        for machine, known in addresses.machines.items()
        for tag, wire in known["tags"].items()
    }
    settings = OpcUaSettings(
        url=addresses.opcua_url,
        server_certificate=addresses.fingerprint,
        sampling=timedelta(milliseconds=20),
        clock_tolerance=timedelta(days=3650),  # plant time stands still here while the recording runs on
    )
    reader = Reader()
    connector = OpcUaConnector("replay", settings, tags, clock=lambda: ORIGIN, state=state)
    work = asyncio.create_task(connector.converse(reader.deliver, lambda faults: None))
    await reader.first.wait()
    yield reader
    work.cancel()
    await asyncio.wait([work])


async def play(reader: Reader, state: Path, tags: Sequence[str]) -> list[Position]:
    positions = []
    async with Lockstep(state) as lockstep:
        position = await lockstep.position()
        while not position.done:
            position = await lockstep.advance(taken=position.cycle)
            await reader.has_taken(position, tags)
            positions.append(position)
    return positions


async def test_every_recorded_value_is_taken_once_and_equal_values_too(tmp_path: Path) -> None:
    lives = [life(1, 4), life(2, 6)]
    async with (
        Player(lives, origin=ORIGIN, state=tmp_path / "player") as player,
        reading(player.addresses(), tmp_path / "gateway") as reader,
    ):
        positions = await play(reader, tmp_path / "player", ("cycle", "s1", "s2"))
        assert player.done
    assert [position.served for position in positions] == [("unit-1", "unit-2")] * 4 + [("unit-2",)] * 2
    for recording in lives:
        for column, channel in enumerate(recording.channels):
            seen = reader.taken[f"unit-{recording.unit}/{channel}"]
            assert [sample.value for sample in seen] == [row[column] for row in recording.rows]
            assert [sample.source_time for sample in seen] == [
                ORIGIN + timedelta(hours=cycle) for cycle in range(1, len(recording) + 1)
            ]
            assert {sample.provenance for sample in seen} == {Provenance.A}
    assert [sample.value for sample in reader.taken["unit-1/cycle"]] == [1, 2, 3, 4]


async def test_the_next_cycle_is_served_only_to_who_has_taken_the_last(tmp_path: Path) -> None:
    async with Player([life(1, 2)], origin=ORIGIN, state=tmp_path) as player, Lockstep(tmp_path) as lockstep:
        assert await lockstep.position() == Position(0, ORIGIN, (), False)
        for out_of_turn in (1, -1):
            with pytest.raises(ControlRefused, match="cycle 0 is being served"):
                await lockstep.advance(taken=out_of_turn)
        assert (await lockstep.advance(taken=0)).cycle == 1
        with pytest.raises(ControlRefused):
            await lockstep.advance(taken=0)
        assert player.cycle == 1
        assert (await lockstep.advance(taken=1)).done
        assert (await lockstep.advance(taken=2)).cycle == 2


async def test_a_player_serves_until_cancelled(tmp_path: Path) -> None:
    told: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_player([life(3, 1)], origin=ORIGIN, state=tmp_path, ready=told.set_result))
    addresses = await told
    assert addresses.machines["unit-3"]["tags"]["s1"] == {"node": "nsu=urn:toolcrib:factory;s=unit-3.s1", "unit": "1"}
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


@pytest.mark.parametrize("port", ["opcua_port", "control_port"])
async def test_a_port_in_use_is_one_clear_error(tmp_path: Path, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {number} on 127.0.0.1 is in use"):
            async with Player([life(1, 1)], origin=ORIGIN, state=tmp_path, **{port: number}):
                pass


@pytest.mark.shared
@pytest.mark.skipif("TOOLCRIB_SHARED" not in os.environ, reason="TOOLCRIB_SHARED names no recordings")
async def test_published_recordings_arrive_whole(tmp_path: Path) -> None:
    lives = read_recordings(Path(os.environ["TOOLCRIB_SHARED"]) / "data" / "cmapss", parse_units("1-3"))
    async with (
        Player(lives, origin=ORIGIN, state=tmp_path / "player") as player,
        reading(player.addresses(), tmp_path / "gateway") as reader,
    ):
        await play(reader, tmp_path / "player", ("cycle", *lives[0].channels))
    taken = [[sample.value for sample in reader.taken[f"unit-{one.unit}/s{n}"]] for one in lives for n in range(1, 22)]
    assert taken == [[row[2 + n] for row in one.rows] for one in lives for n in range(1, 22)]
    assert not any(math.isnan(value) for values in taken for value in values)
