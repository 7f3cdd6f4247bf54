"""Who answers at an address: its applications, their endpoints, how well each is protected, by which certificate.

It opens channels without security and without a session, as the standard wants for discovery (OPC 10000-4, 5.5), so
nothing that it finds is proven: a fingerprint is to be compared at the machine. Answers are bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from connectors.connector import ConnectionLost
from connectors.opcua.certificates import fingerprint, leaf
from connectors.opcua.client import BoundedClient
from connectors.opcua.session import asked

APPLICATIONS_MAX: Final = 50
"""Of one discovery server; each is asked by itself."""
ENDPOINTS_MAX: Final = 100
TEXT_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A way in: policy and mode by their standard names, how a client may sign in, the certificate's fingerprint."""

    url: str
    policy: str
    mode: str
    sign_in: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Application:
    """An application; `problem` says why its endpoints could not be asked for."""

    uri: str
    name: str
    kind: str
    urls: tuple[str, ...]
    endpoints: tuple[Endpoint, ...] = field(default=())
    problem: str = ""


async def discover(url: str, state: Path) -> list[Application]:
    """Return the applications that a server knows, itself included. Raises ConnectionLost when it does not answer."""
    described = await asked(url, state, BoundedClient(url).connect_and_find_servers())
    return [await _asked(url, state, each) for each in described[:APPLICATIONS_MAX]]


async def _asked(url: str, state: Path, described: Any) -> Application:
    urls = tuple(_text(each) for each in (described.DiscoveryUrls or ())[:ENDPOINTS_MAX])
    uri, name = _text(described.ApplicationUri), _text(getattr(described.ApplicationName, "Text", None))
    endpoints: Sequence[Endpoint] = ()
    problem = ""
    try:
        endpoints = await _endpoints(_reachable(url, urls), state)
    except ConnectionLost as error:
        problem = str(error)
    return Application(uri, name, described.ApplicationType.name, urls, tuple(endpoints), problem)


def _reachable(asked_at: str, urls: Sequence[str]) -> str:
    """The address that we know to answer, if it is one of the application's; else its first of our protocol."""
    if not urls or asked_at.rstrip("/") in {each.rstrip("/") for each in urls}:
        return asked_at
    return next((each for each in urls if each.startswith("opc.tcp://")), asked_at)


async def _endpoints(url: str, state: Path) -> list[Endpoint]:
    offered = await asked(url, state, BoundedClient(url).connect_and_get_server_endpoints())
    return [_endpoint(each) for each in offered[:ENDPOINTS_MAX]]


def _endpoint(offered: Any) -> Endpoint:
    certificate = bytes(offered.ServerCertificate or b"")
    tokens = offered.UserIdentityTokens or ()
    return Endpoint(
        url=_text(offered.EndpointUrl),
        policy=_text(offered.SecurityPolicyUri).rpartition("#")[2],
        mode=offered.SecurityMode.name.rstrip("_"),
        sign_in=tuple(dict.fromkeys(token.TokenType.name for token in tokens)),
        fingerprint=fingerprint(leaf(certificate)) if certificate else "",
    )


def _text(value: Any) -> str:
    return " ".join(str(value or "").split())[:TEXT_MAX]
