"""The protocol stack's client, bounded: what it may take, how long it may wait, how it ends.

Promises: a request, a message and a farewell have limits; a session that was kept is resumed where the server still has
it; nothing survives `close`. Refuses to reconnect. It is the one place that reaches into the stack's private parts, for
want of a public way; `subscription` and `publishing` take from it what they need of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState, UASocketProtocol
from asyncua.client.ua_session import SessionState
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from connectors.opcua import bounds
from connectors.opcua.bounds import MESSAGE_BYTES, MESSAGE_CHUNKS, BoundedProtocol
from connectors.opcua.continuity import KeptSession
from connectors.opcua.identity import Identity
from connectors.opcua.users import may_send_password

bounds.bound_the_decoder()

REQUEST_SECONDS: Final = 4.0
"""A server under load answers within one; a longer wait would hide its death."""
WATCHDOG_SECONDS: Final = 1.75
"""How often the server is asked for a sign of life, and how long it may take: a silent death shows within four."""
SOCKET_SECONDS: Final = 1.0
"""How long a machine may take to answer a call: one that is off does not, and is called again."""
CLOSE_SECONDS: Final = 1.0
"""A courtesy; the socket is closed anyway."""
SESSION_MS: Final = 60_000
"""A session that we left without a word is the server's again after this."""

# At INFO its logging costs half of the throughput. What its client logs as an error also reaches us as an exception,
# and a page of traceback for each pulled plug would bury the log.
logging.getLogger("asyncua").setLevel(logging.WARNING)
logging.getLogger("asyncua.client").setLevel(logging.CRITICAL)


class BoundedClient(Client):
    """A client for one conversation.

    offered: what the server said under encryption that it offers. kept: a session to resume; None afterwards unless it
    was. deprecated: the policies of `policies.DEPRECATED` that the site has named. confirm: holds `offered` against
    what is in use, raising ConnectionRefused, before anybody signs in.
    """

    def __init__(self, url: str, kept: KeptSession | None = None) -> None:
        super().__init__(url, timeout=REQUEST_SECONDS, watchdog_intervall=WATCHDOG_SECONDS, auto_reconnect=False)
        self.name = self.description = "Toolcrib"
        self.product_uri = "urn:toolcrib"
        self.session_timeout = SESSION_MS
        self.max_messagesize = MESSAGE_BYTES
        self.max_chunkcount = MESSAGE_CHUNKS
        self.offered: list[ua.EndpointDescription] = []
        self.kept = kept
        self.deprecated: frozenset[str] = frozenset()
        self.confirm: Callable[[Sequence[ua.EndpointDescription]], None] = lambda _offered: None
        self.uaclient._make_protocol = self._bounded_protocol  # type: ignore[method-assign]

    def _bounded_protocol(self) -> UASocketProtocol:
        uaclient = self.uaclient
        protocol = BoundedProtocol(uaclient._timeout, uaclient.security_policy, bounds.limits())
        protocol.pre_request_hook = uaclient._pre_request_hook
        protocol.on_connection_lost = uaclient._on_transport_lost
        protocol.is_session_closing = uaclient._is_session_closing
        uaclient.protocol = protocol
        return protocol

    async def connect_socket(self) -> None:
        """Call the server. Raises TimeoutError, OSError."""
        async with asyncio.timeout(SOCKET_SECONDS):
            await super().connect_socket()

    async def send_hello(self) -> None:
        """Greet, then bound what we accept: the stack takes the server's own limits for ours."""
        await super().send_hello()
        if self.uaclient.protocol is not None:
            bounds.hold(self.uaclient.protocol._connection._limits)

    async def create_session(self) -> ua.CreateSessionResult:
        """Create the session, keeping the list of endpoints that came with it."""
        result = await super().create_session()
        self.offered = list(result.ServerEndpoints)
        return result

    def present(self, user: Identity) -> None:
        """Sign in with a certificate; its key signs what the server asks and never leaves."""
        self.user_certificate = x509.load_der_x509_certificate(user.certificate)
        self.user_certificate_chain = [x509.load_der_x509_certificate(each) for each in user.chain]
        self.user_private_key = serialization.load_pem_private_key(user.key, None)

    async def activate_session(
        self, username: str | None = None, password: str | None = None, certificate: x509.Certificate | None = None
    ) -> ua.ActivateSessionResult:
        """Sign in. Raises ConnectionRefused, before anything of the user is sent, where the wire was weakened or a
        password could be read on the way.
        """
        self.confirm(self.offered)
        if password is not None:
            token = self.server_policy(ua.UserTokenType.UserName)
            may_send_password(self.security_policy.Mode, str(token.SecurityPolicyUri), self.deprecated)
        return await super().activate_session(username, password, certificate)

    def leave_open(self, now: float) -> KeptSession | None:
        """Return the session for the next conversation, or None when there is none; `now` is the loop's time."""
        session = self.uaclient.session
        if session.state is not SessionState.ACTIVATED or session.authentication_token.is_null():
            return None
        until = now + self.session_timeout / 1000
        return KeptSession(session.authentication_token, self._server_nonce, self._policy_ids, self.offered, until)

    # The stack keeps sessions in a file and asks for them by these names; ours are in memory only.

    def _try_load_persisted_session(self) -> bool:
        if self.kept is None or asyncio.get_running_loop().time() >= self.kept.until:
            self.kept = None
            return False
        self.uaclient.session.restore_authentication_token(self.kept.token)
        self._server_nonce = self.kept.nonce  # type: ignore[assignment]  # the stack declares it None and sets bytes
        self._policy_ids = list(self.kept.policies)
        self.offered = list(self.kept.offered)
        return True

    def _save_session_state(self) -> None:
        pass

    def _clear_persisted_session(self) -> None:
        self.kept = None


async def close(client: Client, *, keep_session: bool = False) -> None:
    """End a conversation in whatever state it is, within `CLOSE_SECONDS`; never raises but for cancellation.

    keep_session: hang up without a farewell, so that the server keeps the session for a while.
    """
    publishing = client.uaclient.session._publish_task
    protocol = client.uaclient.protocol
    if keep_session or client.uaclient.state is not UaClientState.CONNECTED:
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
