"""The protocol stack's client, bounded: what it may take, how long it may wait, how it ends.

Promises: a request, a message and a farewell have limits; the first sign of death is told; nothing survives `close`.
Refuses to reconnect. It is the one place that reaches into the stack's private parts, for want of a public way.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState, UASocketProtocol

REQUEST_SECONDS: Final = 4.0
"""A server under load answers within one; a longer wait would hide its death."""
WATCHDOG_SECONDS: Final = 1.75
"""How often the server is asked for a sign of life, and how long it may take: a silent death shows within four."""
CLOSE_SECONDS: Final = 1.0
"""A courtesy; the socket is closed anyway."""
SESSION_MS: Final = 60_000
"""A session that we left without a word is the server's again after this."""
MESSAGE_BYTES: Final = 4 * 1024 * 1024
MESSAGE_CHUNKS: Final = 64
"""Ten times what 1,000 tags need; the stack's own limit is a hundred megabytes."""

# At INFO its logging costs half of the throughput. What its client logs as an error also reaches us as an exception,
# and a page of traceback for each pulled plug would bury the log.
logging.getLogger("asyncua").setLevel(logging.WARNING)
logging.getLogger("asyncua.client").setLevel(logging.CRITICAL)


class BoundedClient(Client):
    """A client for one conversation; `offered` is what the server said under encryption that it offers."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout=REQUEST_SECONDS, watchdog_intervall=WATCHDOG_SECONDS, auto_reconnect=False)
        self.name = self.description = "Toolcrib"
        self.product_uri = "urn:toolcrib"
        self.session_timeout = SESSION_MS
        self.max_messagesize = MESSAGE_BYTES
        self.max_chunkcount = MESSAGE_CHUNKS
        self.offered: list[ua.EndpointDescription] = []

    async def send_hello(self) -> None:
        """Greet, then bound what we accept: the stack takes the server's own limits for ours."""
        await super().send_hello()
        if self.uaclient.protocol is not None:
            limits = self.uaclient.protocol._connection._limits
            limits.max_message_size = MESSAGE_BYTES
            limits.max_chunk_count = MESSAGE_CHUNKS

    async def create_session(self) -> ua.CreateSessionResult:
        """Create the session, keeping the list of endpoints that came with it."""
        result = await super().create_session()
        self.offered = list(result.ServerEndpoints)
        return result


async def close(client: Client) -> None:
    """End a conversation in whatever state it is, within `CLOSE_SECONDS`; never raises but for cancellation."""
    publishing = client.uaclient.session._publish_task
    protocol = client.uaclient.protocol
    if client.uaclient.state is not UaClientState.CONNECTED:
        _hang_up(protocol)  # a farewell to the dead would only be waited for
    # In a task of its own: the stack swallows cancellations while it closes, and ours must come through.
    closing = asyncio.create_task(client.disconnect())
    try:
        await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
    finally:
        _hang_up(protocol)
        left = [task for task in (closing, publishing) if task is not None]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _hang_up(protocol: UASocketProtocol | None) -> None:
    if protocol is not None and protocol.transport is not None:
        protocol.transport.abort()
