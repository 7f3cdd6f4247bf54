"""Recordings as machines: every unit a machine on a real OPC-UA server, one cycle one plant hour, in lock-step.

Unit n is the machine `unit-n` with the tags `cycle` and one for each channel (C-MAPSS: `op1`..`op3`, `s1`..`s21`). The
source time of cycle c is `origin` + c hours. `advance` shows the next cycle of every unit that still has rows; nothing
of a later cycle is anywhere on the server, and a unit that has ended merely keeps its last values. The reader drives:
through the loopback control it says which cycle it has taken, and only then the next is served. Values that repeat from
cycle to cycle differ in their timestamp alone, so a client that wants them all subscribes with the trigger
StatusValueTimestamp.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from types import TracebackType
from typing import Self

from connectors.simulator.control import Body, Control, ControlRefused, ControlServer, Route
from connectors.simulator.errors import claim
from connectors.simulator.factory import Addresses, reachable
from connectors.simulator.identity import load_or_make
from connectors.simulator.machines import NAMESPACE
from connectors.simulator.opcua_server import APPLICATION_URI, OpcUaServer, variables
from connectors.simulator.recordings import Recording

CYCLE = "cycle"
_CYCLE_TIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Position:
    """How far the recordings have been played: `served` are the machines that have a row at this cycle.

    `cycle` is 0 before the first. `done` once the last row of the longest life is served.
    """

    cycle: int
    at: datetime
    served: tuple[str, ...]
    done: bool


class Player:
    """Plays recordings from entering to leaving; it always begins at the first cycle."""

    def __init__(
        self,
        recordings: Sequence[Recording],
        *,
        origin: datetime,
        state: Path,
        host: str = "127.0.0.1",
        opcua_port: int = 0,
        control_port: int = 0,
    ) -> None:
        """Describe the player; port 0 lets the system choose."""
        self._recordings = {f"unit-{recording.unit}": recording for recording in recordings}
        self._origin = origin
        self._state = state
        self._host = host
        self._ports = (opcua_port, control_port)
        self._server: OpcUaServer | None = None
        self._fingerprint = ""
        self._cycle = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Serve, with nothing played yet. Raises PortInUse, SimulatorError; then nothing is left running."""
        opcua_port, control_port = self._ports
        for host, port in ((self._host, opcua_port), ("127.0.0.1", control_port)):
            claim(host, port)
        try:
            identity = await asyncio.to_thread(load_or_make, self._state, APPLICATION_URI)
            self._fingerprint = identity.fingerprint
            tags = {unit: variables((CYCLE, *life.channels)) for unit, life in self._recordings.items()}
            self._server = OpcUaServer(identity, NAMESPACE, tags, host=self._host, port=opcua_port)
            await self._server.start()
            self._stack.push_async_callback(self._server.stop)
            control = ControlServer(self._state, self._routes(), port=control_port)
            await control.start()
            self._stack.push_async_callback(control.stop)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        await self._stack.aclose()

    @property
    def cycle(self) -> int:
        """The last cycle served; 0 before the first."""
        return self._cycle

    @property
    def done(self) -> bool:
        """Whether the last row of the longest life has been served."""
        return self._cycle >= max((len(recording) for recording in self._recordings.values()), default=0)

    @property
    def fingerprint(self) -> str:
        """Of the server's certificate, `sha256:<hex>`."""
        return self._fingerprint

    @property
    def position(self) -> Position:
        """How far it has played."""
        served = tuple(unit for unit, life in self._recordings.items() if 0 < self._cycle <= len(life))
        return Position(self._cycle, self._origin + self._cycle * _CYCLE_TIME, served, self.done)

    def addresses(self) -> Addresses:
        """Return where everything is served, and the tags of every unit."""
        assert self._server is not None, "the player is not open"
        return Addresses(
            opcua_url=f"opc.tcp://{reachable(self._host)}:{self._server.port}/",
            fingerprint=self._fingerprint,
            modbus_host="",
            modbus_port=0,
            device_ids={},
            machines={
                unit: {
                    "connection": "opcua",
                    "tags": {
                        tag: {"node": f"nsu={NAMESPACE};s={unit}.{tag}", "unit": "cycles" if tag == CYCLE else "1"}
                        for tag in (CYCLE, *life.channels)
                    },
                }
                for unit, life in self._recordings.items()
            },
        )

    async def advance(self) -> Position:
        """Show the next cycle of every unit that still has rows; when done, change nothing."""
        if not self.done:
            self._cycle += 1
            await self._show()
        return self.position

    async def _show(self) -> None:
        assert self._server is not None, "the player is not open"
        position = self.position
        values: dict[str, float] = {}
        for unit in position.served:
            recording = self._recordings[unit]
            values[f"{unit}.{CYCLE}"] = position.cycle
            for channel, value in zip(recording.channels, recording.rows[position.cycle - 1], strict=True):
                values[f"{unit}.{channel}"] = value
        await self._server.write(position.at, values)

    def _routes(self) -> dict[tuple[str, str], Route]:
        async def position(body: Body) -> Body:
            return _as_body(self.position)

        async def advance(body: Body) -> Body:
            if body.get("taken") != self._cycle:
                message = _("cycle {cycle} is being served, and {taken} was said to be taken")
                raise ControlRefused(message.format(cycle=self._cycle, taken=body.get("taken")))
            return _as_body(await self.advance())

        return {("GET", "/position"): position, ("POST", "/advance"): advance}


class Lockstep:
    """The reader's side of the lock-step, a client of a running player's control."""

    def __init__(self, state: Path) -> None:
        """Name the player by its state directory."""
        self._control = Control(state)

    async def __aenter__(self) -> Self:
        """Find the player. Raises ControlUnreachable."""
        await self._control.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up; the player waits for the next reader."""
        await self._control.__aexit__(kind, error, trace)

    async def position(self) -> Position:
        """Return how far the player is. Raises ControlUnreachable."""
        return _from_body(await self._control.call("GET", "/position"))

    async def advance(self, taken: int) -> Position:
        """Say that a cycle (0 at the beginning) has been taken whole, and have the next one served.

        Raises ControlRefused when that is not the cycle being served, ControlUnreachable.
        """
        return _from_body(await self._control.call("POST", "/advance", {"taken": taken}))


async def serve_player(
    recordings: Sequence[Recording],
    *,
    origin: datetime,
    state: Path,
    ready: Callable[[Addresses], None],
    host: str = "127.0.0.1",
    opcua_port: int = 0,
    control_port: int = 0,
) -> None:
    """Serve recordings until cancelled; `ready` is told the addresses once everything listens.

    Prints nothing. Raises PortInUse, SimulatorError.
    """
    player = Player(recordings, origin=origin, state=state, host=host, opcua_port=opcua_port, control_port=control_port)
    async with player:
        ready(player.addresses())
        await asyncio.get_running_loop().create_future()


def _as_body(position: Position) -> Body:
    return {
        "cycle": position.cycle,
        "at": position.at.isoformat(),
        "served": list(position.served),
        "done": position.done,
    }


def _from_body(body: Body) -> Position:
    return Position(int(body["cycle"]), datetime.fromisoformat(body["at"]), tuple(body["served"]), bool(body["done"]))
