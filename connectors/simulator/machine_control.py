"""A simulated machine served alone until it is stopped, with a control through which its faults are had.

The routes of its control (see `control`): POST `/fit`, `/fail` (machine, component), `/restart` (shift_namespaces,
new_certificate), `/bad` (rounds), `/clock` (seconds to jump), `/vanish` (key), `/endless`, `/circle`; GET `/state`. The
control is the integrator's; a gateway is never given its token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

from connectors.simulator.control import Body, ControlRefused, ControlServer, Route
from connectors.simulator.identity import load_or_make, private_directory
from connectors.simulator.machine_server import APPLICATION_URI, MachineServer
from connectors.simulator.modelled import ModelledPlan

UPDATE_SECONDS: Final = 1.0
"""Wall time between two looks at the clock."""
JUMP_MAX_SECONDS: Final = 10 * 365 * 86_400.0
ROUNDS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class MachineReady:
    """Where a machine is served, by which certificate, how many tags it has beside its own."""

    url: str
    fingerprint: str
    tags: int


class Controlled:
    """The acts of the control upon one server."""

    def __init__(self, server: MachineServer, state: Path) -> None:
        self._server = server
        self._state = state
        self._certificates = 0

    def routes(self) -> dict[tuple[str, str], Route]:
        """Return what the control serves."""
        return {
            ("POST", "/fit"): self._fit,
            ("POST", "/fail"): self._fail,
            ("POST", "/restart"): self._restart,
            ("POST", "/bad"): self._bad,
            ("POST", "/clock"): self._clock,
            ("POST", "/vanish"): self._vanish,
            ("POST", "/endless"): self._endless,
            ("POST", "/circle"): self._circle,
            ("GET", "/state"): self._look,
        }

    async def _fit(self, body: Body) -> Body:
        machine, component = self._component(body)
        await self._server.fit(machine, component)
        return await self._look(body)

    async def _fail(self, body: Body) -> Body:
        machine, component = self._component(body)
        await self._server.fail(machine, component)
        return await self._look(body)

    async def _restart(self, body: Body) -> Body:
        identity = None
        if body.get("new_certificate") is True:
            self._certificates += 1
            identity = await asyncio.to_thread(
                load_or_make, self._state / f"certificate-{self._certificates}", APPLICATION_URI
            )
        await self._server.restart(identity=identity, shift_namespaces=body.get("shift_namespaces") is True)
        return await self._look(body)

    async def _bad(self, body: Body) -> Body:
        rounds = int(_number(body, "rounds", 1, ROUNDS_MAX))
        return {"values": await self._server.flood_bad(rounds)}

    async def _clock(self, body: Body) -> Body:
        self._server.jump_clock(timedelta(seconds=_number(body, "seconds", 0, JUMP_MAX_SECONDS)))
        await self._server.step()
        return {}

    async def _vanish(self, body: Body) -> Body:
        key = body.get("key")
        if not isinstance(key, str) or key not in self._server.keys:
            raise ControlRefused(_("no variable {key} here").format(key=key))
        await self._server.vanish(key)
        return {}

    async def _endless(self, body: Body) -> Body:
        self._server.never_end(str(body.get("node", "Plant")))
        return {}

    async def _circle(self, body: Body) -> Body:
        try:
            self._server.circle(str(body.get("node", "Plant")))
        except KeyError as error:
            raise ControlRefused(_("no node {key} here").format(key=error)) from error
        return {}

    async def _look(self, _body: Body) -> Body:
        machines: dict[str, Any] = {
            key: {
                "running": machine.running,
                "components": {
                    name: {"wear": slot.wear, "failed": slot.failed} for name, slot in machine.slots.items()
                },
            }
            for key, machine in self._server.machines.items()
        }
        return {"url": self._server.url, "fingerprint": self._server.identity.fingerprint, "machines": machines}

    def _component(self, body: Body) -> tuple[str, str]:
        machine, component = str(body.get("machine")), str(body.get("component"))
        found = self._server.machines.get(machine)
        if found is None or component not in found.slots:
            message = _("no component {component} on a machine {machine} here")
            raise ControlRefused(message.format(component=component, machine=machine))
        return machine, component


def _number(body: Body, key: str, default: float, most: float) -> float:
    value = body.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > most:
        raise ControlRefused(_("{key} is no number up to {most}").format(key=key, most=most))
    return float(value)


async def serve_machine(
    plans: Sequence[ModelledPlan],
    *,
    clock: Callable[[], datetime],
    state: Path,
    ready: Callable[[MachineReady], None],
    seed: int = 1,
    host: str = "127.0.0.1",
    port: int = 0,
    control_port: int = 0,
    tags: int = 0,
    is_open: bool = False,
    history: bool = False,
    update_seconds: float = UPDATE_SECONDS,
) -> None:
    """Serve machines until cancelled; `ready` is told where, once everything listens. Raises PortInUse, SimulatorError.

    history: the values of the machines themselves (not of `tags`, and no windows) are remembered.
    """
    private_directory(state)
    identity = await asyncio.to_thread(load_or_make, state, APPLICATION_URI)
    server = MachineServer(identity, plans, clock=clock, seed=seed, host=host, port=port, tags=tags, is_open=is_open)
    control = ControlServer(state, Controlled(server, state).routes(), port=control_port)
    await server.start()
    try:
        if history:
            windows = {plan.window for plan in plans}  # ten thousand of them would be half a gigabyte
            server.historize([key for key in server.keys if not key.startswith("tag-") and key not in windows])
        await control.start()
        ready(MachineReady(server.url, identity.fingerprint, tags))
        while True:
            await asyncio.sleep(update_seconds)
            if server.up:  # a restart through the control takes a second or two
                await server.step()
    finally:
        await control.stop()
        await server.stop()
