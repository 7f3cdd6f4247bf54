"""The demo's technician: checks goods in, fits them, and says so only where no telemetry can.

A process of its own, as the technician of a plant is a person of its own. It learns of deliveries from the carrier,
tells the gateway through the control socket under its own name, and touches machines through the factory's loopback
control, which the gateway cannot reach. What is to be fitted is read from the gateway's books, so a restart forgets
nothing.
Usage: python -m gateway.demo.technician CONFIG FACTORY_STATE CARRIER_URL CARRIER_TOKEN_FILE
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout
from sqlalchemy import select

from connectors.simulator import technician
from connectors.simulator.errors import SimulatorError
from gateway import control_client
from gateway.config import Config, load
from gateway.databases import Databases, read_databases
from gateway.demo.plant import TECHNICIAN
from gateway.logs import configure
from maintenance.settings import wear_tags
from maintenance.store import open_lives
from marketplace.ordering.states import OrderState, RequisitionState
from marketplace.store import purchase_order, requisition

log = structlog.get_logger()

ROUND_S = 0.4
"""A round of the hall; in compressed time some hours."""
AWAITED = (OrderState.CONFIRMED, OrderState.SHIPPED)


@dataclass(slots=True)
class Technician:
    """Walks around until told to stop; `fitted` are the lives whose successor is in and not yet noticed."""

    config: Config
    factory: Path
    carrier: str
    token: str
    fitted: set[str] = field(default_factory=set)

    async def work(self) -> None:
        """Make round after round; what fails now is done in a later one."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            ClientSession(self.carrier, headers=headers, timeout=ClientTimeout(total=5)) as session,
            read_databases(self.config.directory) as databases,
        ):
            while True:
                with suppress(ClientError, TimeoutError, SimulatorError, control_client.NotRunning):
                    await self._round(session, databases)
                await asyncio.sleep(ROUND_S)

    async def _round(self, session: ClientSession, databases: Databases) -> None:
        async with session.get("/deliveries") as reply:
            delivered = {each["reference"] for each in (await reply.json())["deliveries"]}
        for number in sorted(delivered & await self._awaited(databases)):
            await self._tell("received", {"number": number})
        for component, life in await self._jobs(databases):
            if life not in self.fitted:
                await self._fit(component)
                self.fitted.add(life)

    async def _awaited(self, databases: Databases) -> set[str]:
        async with databases.spend.read() as tx:
            rows = await tx.execute(select(purchase_order.c.number).where(purchase_order.c.state.in_(AWAITED)))
            return set(rows.scalars())

    async def _jobs(self, databases: Databases) -> list[tuple[str, str]]:
        """Return (component, life) where all that was wanted for the life in the slot is here, and it is still in."""
        async with databases.spend.read() as tx:
            lives = await open_lives(tx, self.config.owner)
            wants = await tx.execute(select(requisition.c.component, requisition.c.life, requisition.c.state))
            rows = [(row.component, row.life, row.state) for row in wants]
        return list(_complete({key: life.id for key, life in lives.items()}, rows))

    async def _fit(self, component: str) -> None:
        machine, _slash, name = component.partition("/")
        await technician.fit(self.factory, machine, name)
        log.info("fitted", component=component)
        if not wear_tags(self.config.components[component].wear):  # no telemetry will tell
            await self._tell("fitted", {"component": component, "used": "0 h"})

    async def _tell(self, act: str, body: dict[str, Any]) -> None:
        try:
            await asyncio.to_thread(control_client.act, self.config.directory, act, body, TECHNICIAN)
        except control_client.Refused as refusal:
            log.warning("refused", act=act, reason=str(refusal))


def _complete(lives: dict[str, str], rows: list[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    for component, life in sorted(lives.items()):
        states = [state for each, of, state in rows if each == component and of == life]
        states = [state for state in states if state != RequisitionState.WITHDRAWN]
        if states and all(state == RequisitionState.FULFILLED for state in states):
            yield component, life


async def main(person: Technician) -> None:
    """Work until SIGTERM."""
    work = asyncio.ensure_future(person.work())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    with suppress(asyncio.CancelledError):
        await work


if __name__ == "__main__":
    configure()
    _module, config, factory, carrier, token = sys.argv
    asyncio.run(main(Technician(load(Path(config)), Path(factory), carrier, Path(token).read_text().strip())))
