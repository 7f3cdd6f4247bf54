"""From an address to an authenticated session: discovery, trust, secure channel, session.

Promises: what is connected is as well protected as the site demands and as it was before, or it is refused; every
way in which a server can spoil it becomes `ConnectionLost` or `ConnectionRefused`, in one bounded sentence. Refuses to
know tags and subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from gettext import gettext as _
from pathlib import Path
from typing import Final, TypeVar

from asyncua import ua
from asyncua.crypto import uacrypto
from asyncua.ua import uaerrors

from connectors.connector import ConnectionLost, ConnectionRefused
from connectors.opcua import trust
from connectors.opcua.client import BoundedClient
from connectors.opcua.settings import OpcUaSettings

# The server says so while the channel or the session is made; only a person can put it right, at the server.
_UNTRUSTED: Final = (
    uaerrors.BadCertificateUntrusted,
    uaerrors.BadCertificateUriInvalid,
    uaerrors.BadCertificateUseNotAllowed,
    uaerrors.BadIdentityTokenRejected,
    uaerrors.BadSecurityChecksFailed,
    uaerrors.BadSecurityPolicyRejected,
    uaerrors.BadUserAccessDenied,
)

_T = TypeVar("_T")


async def open_session(client: BoundedClient, name: str, settings: OpcUaSettings, state: Path) -> None:
    """Connect a fresh client as the site demands. Raises `ConnectionRefused`, and whatever the stack raises."""
    offered = await BoundedClient(settings.url).connect_and_get_server_endpoints()
    if settings.insecure:
        trust.accept_insecure(offered)
        await client.connect()
    else:
        await _connect_securely(client, name, settings, state, trust.best_offer(offered))


async def _connect_securely(
    client: BoundedClient, name: str, settings: OpcUaSettings, state: Path, best: trust.Offer | None
) -> None:
    remembered = await asyncio.to_thread(trust.recall, state, name)
    offer = trust.accept(best, settings.server_certificate, remembered)
    own = await asyncio.to_thread(trust.own_identity, state)
    client.application_uri = own.uri
    await client.set_security(
        offer.policy,
        uacrypto.CertProperties(own.certificate, "der"),
        uacrypto.CertProperties(own.key, "pem"),
        server_certificate=uacrypto.CertProperties(offer.certificate, "der"),
        mode=ua.MessageSecurityMode.SignAndEncrypt,
    )
    await client.connect()
    trust.confirm(offer, client.offered)
    await asyncio.to_thread(trust.remember, state, name, offer)


async def asked(url: str, state: Path, call: Awaitable[_T]) -> _T:
    """Await what only the server can spoil; whatever does is a `ConnectionLost` or `ConnectionRefused`."""
    try:
        return await call
    except ConnectionLost:
        raise
    except _UNTRUSTED as error:
        text = _("the server refuses us ({error}): let it trust our certificate, {file}")
        file = trust.certificate_file(state)
        raise ConnectionRefused(text.format(error=type(error).__name__, file=file)) from error
    except Exception as error:  # a server that answers garbage makes its decoding raise anything
        text = _("{url} cannot be reached: {error}")
        raise ConnectionLost(text.format(url=url, error=said(error))) from error


def said(error: BaseException) -> str:
    """Return an error in one bounded line; a server's text is data, however long."""
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
