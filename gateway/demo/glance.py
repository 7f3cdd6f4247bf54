"""Looks at the running demo for its live view: reads the databases and the gateway's own word, changes nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from rich.console import Group

from gateway import control_client, views
from gateway.demo import screen
from gateway.demo.running import Plant
from gateway.doors import circumstances_of, machines_of
from gateway.web.context import plans_of
from maintenance.store import load_needs


class Glancer:
    """Turns a running demo into a picture, as often as it is asked."""

    def __init__(self, running: Plant) -> None:
        self._running = running
        self._circumstances = circumstances_of(running.config)
        self._plans = plans_of(machines_of(running.config))

    async def look(self, link: str) -> Group:
        """Return the picture as it is now."""
        running, now = self._running, self._running.clock()
        with suppress(control_client.NotRunning, control_client.Interrupted):
            running.status = await asyncio.to_thread(control_client.status, running.config.directory)
        async with running.databases.telemetry.read() as telemetry:
            needs = [need for need, _picture in (await load_needs(telemetry)).values()]
        async with running.databases.spend.read() as spend:
            shown = await views.need_views(spend, running.config.owner, needs, self._plans, now, self._circumstances)
        return screen.picture(
            shown,
            await running.orders(),
            address=running.status["address"],
            link=link,
            now=now,
            zone=running.config.zone,
            connections=running.status["connections"],
        )
