"""The simulated factory: machines that wear in plant time, served over real OPC-UA and Modbus.

Machines on OPC-UA share one server, machines on Modbus one port with a device id each. All of it is driven by a clock
that it is given, so plant time may run thousands of times faster than the wall. Wear is kept in the state directory: at
every stop and every few seconds; at the next start the machines first run through what they missed, so that after a
crash no counter jumps back. Acting on machines (fitting, breaking, switching a server off) goes through `control`.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from connectors.simulator.control import Body, ControlRefused, ControlServer, Route
from connectors.simulator.errors import SimulatorError, claim
from connectors.simulator.identity import load_or_make, private_directory, write_private
from connectors.simulator.machines import NAMESPACE, RUNNING, Machine, MachinePlan, Reading, wiring
from connectors.simulator.modbus_server import ModbusServer
from connectors.simulator.opcua_server import APPLICATION_URI, OpcUaServer, variables

UPDATE_INTERVAL = timedelta(seconds=0.5)
SAVE_INTERVAL = timedelta(seconds=5)
"""Both are wall time; what a crash loses is run again at the next start."""

_CATCH_UP_MAX = timedelta(days=7)  # plant; a factory that was off for a year has not worn for a year
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a gateway's config needs: urls, ports, the fingerprint to pin, device ids, and the tags of every machine.

    `machines` maps a machine to its connection (`opcua` or `modbus`) and its tags in the words of a config. What a
    factory has none of is empty or 0.
    """

    opcua_url: str
    fingerprint: str
    modbus_host: str
    modbus_port: int
    device_ids: dict[str, int]
    machines: dict[str, dict[str, Any]]

    def as_json(self) -> str:
        """Return it as one JSON object, keys as named here."""
        return json.dumps(asdict(self))


class Factory:
    """The machines, their servers and their control, from entering to leaving."""

    def __init__(
        self,
        machines: Sequence[MachinePlan],
        *,
        clock: Callable[[], datetime],
        seed: int,
        state: Path,
        host: str = "127.0.0.1",
        opcua_port: int = 0,
        modbus_port: int = 0,
        control_port: int = 0,
        update_interval: timedelta = UPDATE_INTERVAL,
        save_interval: timedelta = SAVE_INTERVAL,
    ) -> None:
        """Describe the factory. Port 0 lets the system choose; the intervals are wall time."""
        self._machines = {plan.key: Machine(plan, seed) for plan in machines}
        self._clock = clock
        self._seed = seed
        self._state = state
        self._file = state / "factory.json"
        self._noise = random.Random(f"{seed}/noise")
        self._interval = update_interval
        self._steps_per_save = max(1, round(save_interval / update_interval))
        self._ports = (opcua_port, modbus_port, control_port)
        self._host = host
        self._now: datetime | None = None
        self._readings: dict[str, dict[str, Reading]] = {}
        self._opcua: OpcUaServer | None = None
        self._modbus: ModbusServer | None = None
        self._fingerprint = ""
        self._switching = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Go on from the saved state and serve. Raises PortInUse, SimulatorError; then nothing is left running."""
        opcua_port, modbus_port, control_port = self._ports
        for host, port in ((self._host, opcua_port), (self._host, modbus_port), ("127.0.0.1", control_port)):
            claim(host, port)
        try:
            await self._open(opcua_port, modbus_port, control_port)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Save, stop every server and leave. Raises SimulatorError when the state cannot be saved."""
        await self._stack.aclose()

    @property
    def fingerprint(self) -> str:
        """Of the OPC-UA server's certificate, `sha256:<hex>`: the same at every start on the same state."""
        return self._fingerprint

    def addresses(self) -> Addresses:
        """Return where everything is served."""
        plans = [machine.plan for machine in self._machines.values()]
        host = reachable(self._host)
        return Addresses(
            opcua_url=f"opc.tcp://{host}:{self._opcua.port}/" if self._opcua else "",
            fingerprint=self._fingerprint,
            modbus_host=host if self._modbus else "",
            modbus_port=self._modbus.port if self._modbus else 0,
            device_ids={plan.key: plan.device.device_id for plan in plans if plan.device},
            machines={
                plan.key: {"connection": "modbus" if plan.device else "opcua", "tags": wiring(plan)} for plan in plans
            },
        )

    async def ended(self) -> None:
        """Wait until the factory cannot go on, and raise why."""
        assert self._work is not None, "the factory is not open"
        await asyncio.shield(self._work)

    async def step(self) -> None:
        """Let the machines run until now and show their readings."""
        now = self._clock()
        elapsed = now - self._now if self._now else timedelta()
        for machine in self._machines.values():
            machine.advance(machine.plan.utilised(elapsed))
        self._now = max(now, self._now or now)
        self._readings = {key: machine.readings(self._noise) for key, machine in self._machines.items()}
        await self._show(self._now)

    async def fit(self, machine: str, component: str) -> Body:
        """Fit the next new part. Raises ControlRefused for a machine or component that does not exist."""
        number = self._component(machine, component).fit(component)
        await self.step()
        self._save()
        return {"machine": machine, "component": component, "part": number, "at": self._iso()}

    async def fail(self, machine: str, component: str) -> Body:
        """Break a part now. Raises ControlRefused for a machine or component that does not exist."""
        self._component(machine, component).fail(component)
        await self.step()
        self._save()
        return {"machine": machine, "component": component, "at": self._iso()}

    async def switch(self, server: str, *, up: bool) -> Body:
        """Bring a server (`opcua` or `modbus`) down or up again, on the same port; machines run on meanwhile."""
        chosen = {"opcua": self._opcua, "modbus": self._modbus}.get(server)
        if chosen is None:
            raise ControlRefused(_("no server {server!r} here").format(server=server))
        async with self._switching:
            if up and not chosen.up:
                await chosen.start()
                await self.step()
            elif not up:
                await chosen.stop()
        return {"server": server, "up": chosen.up}

    def truth(self) -> Body:
        """Return the true wear of everything and what the tags show: for people and tests, never for a gateway."""
        return {"at": self._iso(), "machines": {key: self._truth(key) for key in self._machines}}

    async def _open(self, opcua_port: int, modbus_port: int, control_port: int) -> None:
        private_directory(self._state)
        self._load()
        plans = [machine.plan for machine in self._machines.values()]
        encrypted = {plan.key: _variables(plan) for plan in plans if plan.device is None}
        devices = [plan.device for plan in plans if plan.device]
        if encrypted:
            identity = await asyncio.to_thread(load_or_make, self._state, APPLICATION_URI)
            self._fingerprint = identity.fingerprint
            self._opcua = OpcUaServer(identity, NAMESPACE, encrypted, host=self._host, port=opcua_port)
            await self._opcua.start()
            self._stack.push_async_callback(self._opcua.stop)
        if devices:
            self._modbus = ModbusServer(devices, host=self._host, port=modbus_port)
            await self._modbus.start()
            self._stack.push_async_callback(self._modbus.stop)
        await self.step()
        self._save()
        control = ControlServer(self._state, self._routes(), port=control_port)
        await control.start()
        self._stack.push_async_callback(control.stop)
        self._work = asyncio.create_task(self._run(), name="simulated factory")
        self._stack.push_async_callback(self._finish, self._work)

    async def _run(self) -> None:
        while True:
            for _step in range(self._steps_per_save):
                await asyncio.sleep(self._interval.total_seconds())
                await self.step()
            self._save()

    async def _finish(self, work: asyncio.Task[None]) -> None:
        work.cancel()
        await asyncio.wait([work])
        if not work.cancelled() and (error := work.exception()) is not None:
            raise error
        await self.step()
        self._save()

    async def _show(self, at: datetime) -> None:
        values: dict[str, float] = {}
        held = set()
        for key, readings in self._readings.items():
            device = self._machines[key].plan.device
            if device is not None:
                assert self._modbus is not None
                self._modbus.write(device.device_id, {tag: reading.value for tag, reading in readings.items()})
                continue
            values |= {f"{key}.{tag}": reading.value for tag, reading in readings.items()}
            held |= {f"{key}.{tag}" for tag, reading in readings.items() if not reading.fresh}
        if self._opcua is not None:
            await self._opcua.write(at, values, held=held)

    def _component(self, machine: str, component: str) -> Machine:
        found = self._machines.get(machine)
        if found is None or component not in found.slots:
            message = _("no component {component} on a machine {machine} here")
            raise ControlRefused(message.format(component=component, machine=machine))
        return found

    def _truth(self, key: str) -> Body:
        machine = self._machines[key]
        return {
            "running": machine.running,
            "components": {
                component: {
                    "part": slot.part.number,
                    "wear": slot.wear,
                    "used_hours": slot.used,
                    "life_hours": slot.part.life,
                    "failed": slot.failed,
                }
                for component, slot in machine.slots.items()
            },
            "tags": {tag: reading.value for tag, reading in self._readings[key].items()},
        }

    def _routes(self) -> dict[tuple[str, str], Route]:
        async def fit(body: Body) -> Body:
            return await self.fit(_text(body, "machine"), _text(body, "component"))

        async def fail(body: Body) -> Body:
            return await self.fail(_text(body, "machine"), _text(body, "component"))

        async def switch(body: Body) -> Body:
            return await self.switch(_text(body, "server"), up=body.get("up") is True)

        async def state(body: Body) -> Body:
            return self.truth()

        return {
            ("POST", "/fit"): fit,
            ("POST", "/fail"): fail,
            ("POST", "/switch"): switch,
            ("GET", "/state"): state,
        }

    def _iso(self) -> str:
        return (self._now or self._clock()).isoformat()

    def _save(self) -> None:
        machines = {key: machine.saved() for key, machine in self._machines.items()}
        saved = {"schema": _SCHEMA, "seed": self._seed, "at": self._iso(), "machines": machines}
        try:
            write_private(self._file, json.dumps(saved, indent=1).encode())
        except OSError as error:
            message = _("cannot save the factory's state in {file}: {reason}")
            raise SimulatorError(message.format(file=self._file, reason=error.strerror or error)) from error

    def _load(self) -> None:
        if not self._file.exists():
            return
        try:
            saved = json.loads(self._file.read_bytes())
            self._restore(saved)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            message = _("the factory's state in {file} cannot be read ({reason}); delete it to begin anew")
            raise SimulatorError(message.format(file=self._file, reason=error)) from error

    def _restore(self, saved: Mapping[str, Any]) -> None:
        if saved["seed"] != self._seed:
            message = _("{file} was made with seed {made}, not {seed}; use that seed or another directory")
            raise SimulatorError(message.format(file=self._file, made=saved["seed"], seed=self._seed))
        for key, machine in saved["machines"].items():
            if key in self._machines:
                self._machines[key].restore(machine)
        self._now = max(datetime.fromisoformat(saved["at"]), self._clock() - _CATCH_UP_MAX)


def reachable(host: str) -> str:
    """Return where a server can be reached from this machine that binds to a host, or to all as in a container."""
    return "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared, not bound


async def serve_factory(
    machines: Sequence[MachinePlan],
    *,
    clock: Callable[[], datetime],
    seed: int,
    state: Path,
    ready: Callable[[Addresses], None],
    host: str = "127.0.0.1",
    opcua_port: int = 0,
    modbus_port: int = 0,
    control_port: int = 0,
    update_interval: timedelta = UPDATE_INTERVAL,
    save_interval: timedelta = SAVE_INTERVAL,
) -> None:
    """Serve a factory until cancelled; `ready` is told its addresses once everything listens.

    Prints nothing. Raises PortInUse, SimulatorError.
    """
    factory = Factory(
        machines,
        clock=clock,
        seed=seed,
        state=state,
        host=host,
        opcua_port=opcua_port,
        modbus_port=modbus_port,
        control_port=control_port,
        update_interval=update_interval,
        save_interval=save_interval,
    )
    async with factory:
        ready(factory.addresses())
        await factory.ended()


def _variables(plan: MachinePlan) -> dict[str, Any]:
    return variables(tuple(plan.units), {counter.tag for counter in plan.counters}, {RUNNING})


def _text(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise ControlRefused(_("{key} is missing").format(key=key))
    return value
