"""From an address to an authenticated session: discovery, trust, secure channel, session.

Promises: what is connected is as well protected as the site demands and as it was before, or it is refused; what a
stranger shows is kept in quarantine for a person; every way in which a server can spoil it becomes `ConnectionLost` or
`ConnectionRefused`, in one bounded sentence. Refuses to know tags and subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import Final, TypeVar

import structlog
from asyncua.crypto import uacrypto
from asyncua.ua import uaerrors

from connectors.connector import ConnectionLost, ConnectionRefused
from connectors.opcua import identity, memory, pins, trust
from connectors.opcua.client import BoundedClient
from connectors.opcua.identity import Identity
from connectors.opcua.pins import Verdict
from connectors.opcua.policies import UNSECURED, Offer, Secured, best_offer
from connectors.opcua.settings import OpcUaSettings
from connectors.opcua.users import ANONYMOUS, Credentials, credentials
from connectors.secrets import SecretMissing

# The server says so while the channel or the session is made; only a person can put it right, at the server.
_UNTRUSTED: Final = (
    uaerrors.BadCertificateUntrusted,
    uaerrors.BadCertificateUriInvalid,
    uaerrors.BadCertificateUseNotAllowed,
    uaerrors.BadCertificateTimeInvalid,
    uaerrors.BadCertificateIssuerTimeInvalid,
    uaerrors.BadCertificateChainIncomplete,
    uaerrors.BadCertificateRevoked,
    uaerrors.BadSecurityChecksFailed,
    uaerrors.BadSecurityPolicyRejected,
)
_UNWELCOME: Final = (
    uaerrors.BadIdentityTokenInvalid,
    uaerrors.BadIdentityTokenRejected,
    uaerrors.BadUserAccessDenied,
    uaerrors.BadUserSignatureInvalid,
)

_T = TypeVar("_T")
_log = structlog.get_logger()


async def open_session(
    client: BoundedClient, name: str, settings: OpcUaSettings, state: Path, now: datetime
) -> Secured:
    """Connect a fresh client as the site demands; returns how well it is protected.

    now: the wall's time, by which certificates are valid and strangers are noted.

    Raises `ConnectionRefused`, and whatever the stack raises.
    """
    user = ANONYMOUS if settings.user is None else await asyncio.to_thread(credentials, settings.user, now)
    offered = await BoundedClient(str(client.server_url.geturl())).connect_and_get_server_endpoints()
    if settings.insecure:
        trust.accept_insecure(offered)
        _sign_in_as(client, user)
        await client.connect()
        return UNSECURED
    offer = trust.protected(best_offer(offered, settings.deprecated_policies), offered)
    await asyncio.to_thread(_accept, name, settings, state, offer, now)
    return await _connect_securely(client, name, settings, state, offer, user, now)


def _accept(name: str, settings: OpcUaSettings, state: Path, offer: Offer, now: datetime) -> None:
    """Hold an offer against what people have said; a server that shows itself is noted whatever comes of it."""
    remembered = memory.recall(state, name, offer.fingerprint)
    if offer.fingerprint in settings.pinned:  # what the config says wins
        _note_if_possible(name, state, offer, now)
        trust.accept(offer, settings.pinned, remembered)
        return
    pins.note(state, name, offer.certificate, now)
    seen = pins.seen(state, name)
    pinned = settings.pinned or pins.judged(seen, Verdict.PINNED)
    trust.accept(offer, pinned, remembered, rejected=pins.judged(seen, Verdict.REJECTED), name=name)


def _note_if_possible(name: str, state: Path, offer: Offer, now: datetime) -> None:
    """Note a server that the config lets in: a full disk or a spoilt quarantine must not end the watching."""
    try:
        pins.note(state, name, offer.certificate, now)
    except (ConnectionRefused, OSError) as error:
        _log.warning("a server could not be noted", connection=name, error=said(error))


async def _connect_securely(
    client: BoundedClient,
    name: str,
    settings: OpcUaSettings,
    state: Path,
    offer: Offer,
    user: Credentials,
    now: datetime,
) -> Secured:
    own = await asyncio.to_thread(_identity, name, settings, state, now)
    client.application_uri = own.uri
    client.deprecated = settings.deprecated_policies
    client.confirm = partial(trust.confirm, offer, deprecated=settings.deprecated_policies)
    await client.set_security(
        offer.protection.kind,
        uacrypto.CertProperties(own.certificate, "der"),
        uacrypto.CertProperties(own.key, "pem"),
        server_certificate=uacrypto.CertProperties(offer.certificate, "der"),
        mode=offer.protection.mode,
        certificate_chain=[uacrypto.CertProperties(each, "der") for each in own.chain],
    )
    _sign_in_as(client, user)
    try:
        await client.connect()
    except _UNTRUSTED as error:
        await asyncio.to_thread(_refused, name, state, own, error, now)
    await asyncio.to_thread(_welcomed, name, state, offer, own)
    return Secured(offer.protection, offer.fingerprint)


def _identity(name: str, settings: OpcUaSettings, state: Path, now: datetime) -> Identity:
    if settings.certificate is None or settings.key is None:
        return _own_identity(name, state, now)
    try:
        password = None if settings.key_password is None else settings.key_password.read()
    except SecretMissing as error:
        raise ConnectionRefused(str(error)) from error
    return identity.issued_identity(settings.certificate, settings.key, password, now)


def _own_identity(name: str, state: Path, now: datetime) -> Identity:
    try:
        return identity.shown_identity(state, name, now)
    except (OSError, ValueError) as error:
        text = _(
            "our own certificate in {directory} cannot be used ({error}), so nobody is called: restore its files, or"
            " delete them, and every server must trust a new one"
        )
        directory = identity.certificate_file(state).parent
        raise ConnectionLost(text.format(directory=directory, error=said(error))) from error


def _refused(name: str, state: Path, own: Identity, error: Exception, now: datetime) -> None:
    """Say that a server does not trust us; a renewed certificate is followed by the one before, while it is valid."""
    if identity.note_refusal(state, name, own, now):
        text = _("the server does not trust our renewed certificate yet ({error}), so the one before is used: {file}")
        raise ConnectionLost(text.format(error=type(error).__name__, file=own.file)) from error
    text = _("the server refuses us ({error}): let it trust our certificate, {file}")
    raise ConnectionRefused(text.format(error=type(error).__name__, file=own.file)) from error


def _welcomed(name: str, state: Path, offer: Offer, own: Identity) -> None:
    memory.remember(state, name, offer)
    identity.note_welcome(state, name, own)


def _sign_in_as(client: BoundedClient, user: Credentials) -> None:
    if user.password is not None:
        client.set_user(user.name)
        client.set_password(user.password)
    if user.certificate is not None:
        client.present(user.certificate)


async def asked(url: str, state: Path, call: Awaitable[_T]) -> _T:
    """Await what only the server can spoil; whatever does is a `ConnectionLost` or `ConnectionRefused`."""
    try:
        return await call
    except ConnectionLost:
        raise
    except _UNWELCOME as error:
        text = _("the server refuses the user that we sign in as ({error}): look at 'user' of this connection")
        raise ConnectionRefused(text.format(error=type(error).__name__)) from error
    except _UNTRUSTED as error:
        text = _("the server refuses us ({error}): let it trust our certificate, {file}")
        file = identity.certificate_file(state)
        raise ConnectionRefused(text.format(error=type(error).__name__, file=file)) from error
    except Exception as error:  # a server that answers garbage makes its decoding raise anything
        text = _("{url} cannot be reached: {error}")
        raise ConnectionLost(text.format(url=url, error=said(error))) from error


def said(error: BaseException) -> str:
    """Return an error in one bounded line; a server's text is data, however long."""
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
