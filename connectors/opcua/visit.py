"""A short visit to a server: a session to look around in, opened as the site demands and left behind closed.

Promises: what the server does wrong is one bounded sentence; nothing is left open. Refuses to subscribe.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from connectors.opcua.client import BoundedClient, close
from connectors.opcua.session import asked, open_session
from connectors.opcua.settings import OpcUaSettings

CONNECT_SECONDS: Final = 20.0
"""Discovery, channel and session on a small controller."""


@asynccontextmanager
async def visiting(name: str, settings: OpcUaSettings, state: Path, now: datetime) -> AsyncIterator[BoundedClient]:
    """Open a session and close it on leaving; `name` and `state` are as for a connection, `now` is the wall's time.

    Raises ConnectionLost, ConnectionRefused. What the body raises is its own affair: see `session.asked`.
    """
    client = BoundedClient(settings.url)
    try:
        await asked(settings.url, state, _open(client, name, settings, state, now))
        yield client
    finally:
        await close(client)


async def _open(client: BoundedClient, name: str, settings: OpcUaSettings, state: Path, now: datetime) -> None:
    async with asyncio.timeout(CONNECT_SECONDS):
        await open_session(client, name, settings, state, now)
