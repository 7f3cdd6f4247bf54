"""The factory wears by the clock it is given, keeps its state, and says clearly why it cannot run.

Machines on Modbus only: their server costs nothing to start. The journeys drive the encrypted ones.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.simulator.control import Control, ControlRefused
from connectors.simulator.errors import PortInUse, SimulatorError
from connectors.simulator.factory import Addresses, Factory, serve_factory
from connectors.simulator.machines import COMPRESSOR, CONVEYOR
from connectors.simulator.technician import fit, look

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
MACHINES = (COMPRESSOR, CONVEYOR)
NEVER = timedelta(hours=1)
"""Wall time between updates where the test itself decides when the factory looks at the clock."""


class Clock:
    """Plant time that stands until it is moved; counts who asks."""

    def __init__(self) -> None:
        self.now = START
        self.asked = 0
        self.often_asked = asyncio.Event()

    def __call__(self) -> datetime:
        self.asked += 1
        if self.asked > 20:
            self.often_asked.set()
        return self.now


def factory(state: Path, clock: Clock, seed: int = 1, **more: Any) -> Factory:
    options = {"update_interval": NEVER, **more}
    return Factory(MACHINES, clock=clock, seed=seed, state=state, **options)


def belt(of: Factory) -> dict[str, float]:
    found: dict[str, float] = of.truth()["machines"]["conveyor"]["components"]["belt"]
    return found


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def running(tmp_path: Path, clock: Clock) -> AsyncIterator[Factory]:
    async with factory(tmp_path, clock) as open_factory:
        yield open_factory


async def test_machines_wear_by_plant_time(running: Factory, clock: Clock) -> None:
    before = belt(running)
    clock.now += timedelta(days=3)
    await running.step()
    assert belt(running)["used_hours"] == pytest.approx(before["used_hours"] + 60)
    assert belt(running)["wear"] > before["wear"]


async def test_a_clock_that_jumps_back_heals_nothing(running: Factory, clock: Clock) -> None:
    before = belt(running)
    clock.now -= timedelta(days=3)
    await running.step()
    assert belt(running) == before
    assert running.truth()["at"] == START.isoformat()


async def test_the_factory_runs_by_itself(tmp_path: Path, clock: Clock) -> None:
    async with factory(tmp_path, clock, update_interval=timedelta(milliseconds=5)):
        await clock.often_asked.wait()


async def test_a_second_start_goes_on_from_the_same_wear(tmp_path: Path, clock: Clock) -> None:
    async with factory(tmp_path, clock) as first:
        await first.fit("conveyor", "belt")
        clock.now += timedelta(days=2)
    async with factory(tmp_path, clock) as second:
        assert belt(second)["part"] == 2
        assert belt(second)["used_hours"] == pytest.approx(40)


async def test_a_crash_loses_no_wear(tmp_path: Path, clock: Clock) -> None:
    async with factory(tmp_path / "factory", clock) as first:
        shutil.copytree(tmp_path / "factory", tmp_path / "crashed")
        clock.now += timedelta(days=2)
        await first.step()
        truth = belt(first)
    async with factory(tmp_path / "crashed", clock) as second:
        assert belt(second) == truth


async def test_a_factory_that_was_off_for_a_year_has_worn_a_week(tmp_path: Path, clock: Clock) -> None:
    async with factory(tmp_path, clock) as first:
        before = belt(first)["used_hours"]
    clock.now += timedelta(days=365)
    async with factory(tmp_path, clock) as second:
        assert belt(second)["used_hours"] == pytest.approx(before + 7 * 20)


async def test_the_technician_fits_and_the_counter_starts_again(running: Factory, tmp_path: Path, clock: Clock) -> None:
    clock.now += timedelta(days=1)
    done = await fit(tmp_path, "conveyor", "belt")
    assert (done.machine, done.component, done.part, done.at) == ("conveyor", "belt", 2, clock.now)
    seen = await look(tmp_path)
    assert seen == running.truth()
    assert seen["machines"]["conveyor"]["tags"]["belt-cycles"] <= 20 * 20


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("machine", "component"), [("lathe", "belt"), ("conveyor", "oil"), ("", "")])
async def test_what_does_not_exist_cannot_be_fitted(tmp_path: Path, machine: str, component: str) -> None:
    with pytest.raises(ControlRefused, match="no component"):
        await fit(tmp_path, machine, component)


@pytest.mark.usefixtures("running")
async def test_a_test_may_break_a_part(tmp_path: Path) -> None:
    async with Control(tmp_path) as control:
        await control.call("POST", "/fail", {"machine": "conveyor", "component": "belt"})
        state = await control.call("GET", "/state")
        assert not state["machines"]["conveyor"]["running"]
        with pytest.raises(ControlRefused, match="component is missing"):
            await control.call("POST", "/fail", {"machine": "conveyor"})


async def test_a_server_goes_down_and_comes_back_on_its_port(running: Factory, tmp_path: Path) -> None:
    port = running.addresses().modbus_port
    async with Control(tmp_path) as control:
        assert await control.call("POST", "/switch", {"server": "modbus", "up": False}) == {
            "server": "modbus",
            "up": False,
        }
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await control.call("POST", "/switch", {"server": "modbus", "up": True})
        with pytest.raises(ControlRefused, match="no server 'opcua'"):
            await control.call("POST", "/switch", {"server": "opcua", "up": False})
    _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()
    assert running.addresses().modbus_port == port


async def test_the_state_of_another_seed_is_refused(tmp_path: Path, clock: Clock) -> None:
    async with factory(tmp_path, clock, seed=1):
        pass
    with pytest.raises(SimulatorError, match="made with seed 1, not 2"):
        async with factory(tmp_path, clock, seed=2):
            pass


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seed": 1, "at": "now", "machines": {}}', '{"seed": 1, "machin'])
async def test_a_damaged_state_is_said_and_kept(tmp_path: Path, clock: Clock, content: str) -> None:
    (tmp_path / "factory.json").write_text(content)
    with pytest.raises(SimulatorError, match="cannot be read"):
        async with factory(tmp_path, clock):
            pass
    assert (tmp_path / "factory.json").read_text() == content


@pytest.mark.parametrize("port", ["opcua_port", "modbus_port", "control_port"])
async def test_a_port_in_use_is_one_clear_error_and_nothing_is_left_running(
    tmp_path: Path, clock: Clock, port: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {number} on 127.0.0.1 is in use"):
            async with factory(tmp_path, clock, **{port: number}):
                pass
    assert not (tmp_path / "control.json").exists()


async def test_two_servers_on_one_port_are_one_clear_error(tmp_path: Path, clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(PortInUse):
        async with factory(tmp_path, clock, modbus_port=port, control_port=port):
            pass


async def test_serving_says_its_addresses_and_runs_until_cancelled(tmp_path: Path, clock: Clock) -> None:
    told: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve_factory(MACHINES, clock=clock, seed=1, state=tmp_path, ready=told.set_result, update_interval=NEVER)
    )
    addresses = await told
    assert json.loads(addresses.as_json())["device_ids"] == {"compressor": 1, "conveyor": 2}
    assert addresses.machines["compressor"]["tags"]["running-hours"] == {
        "register": 40001,
        "type": "uint32",
        "word_order": "little",
        "unit": "h",
    }
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert (tmp_path / "factory.json").exists()
    assert not (tmp_path / "control.json").exists()


async def test_a_state_that_can_no_longer_be_saved_ends_the_factory_with_its_reason(
    tmp_path: Path, clock: Clock
) -> None:
    state = tmp_path / "state"

    def lose_the_disk(_addresses: Addresses) -> None:
        shutil.rmtree(state)

    with pytest.raises(SimulatorError, match="cannot save the factory's state"):
        await serve_factory(
            MACHINES,
            clock=clock,
            seed=1,
            state=state,
            ready=lose_the_disk,
            update_interval=timedelta(milliseconds=5),
            save_interval=timedelta(milliseconds=5),
        )
