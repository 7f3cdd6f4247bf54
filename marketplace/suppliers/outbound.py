"""The one way out to suppliers over HTTP: one session, and answers that cannot grow without end.

The session goes through the site's proxy and trusts the site's own certificate authority besides the public ones;
it keeps no cookies, unpacks nothing, and follows what the environment says nowhere. Names that resolve to private,
loopback or link-local addresses are refused unless the site allows them, at every connection, so that a name which
resolves elsewhere the second time gains nothing. Behind a proxy the proxy resolves, and its rules hold.
"""

from __future__ import annotations

import ssl
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from socket import AF_INET, AddressFamily

from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

CONNECTIONS_PER_HOST_MAX = 4
"""Quotes, look-ups and one order to the same supplier at once; more would only queue at their end."""


class PrivateTarget(OSError):
    """A supplier's name leads into a private network, which the site does not allow; nothing was sent."""


class AnswerTooLong(Exception):
    """An answer was longer than allowed, or packed; reading stopped."""


def is_private(address: str) -> bool:
    """Tell whether an IP address is anything but a public one (loopback, private, link-local, mapped, reserved)."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return not ip.is_global or ip.is_multicast


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address rather than a name."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class PublicResolver(AbstractResolver):
    """Resolves as the system does, and refuses a name if any of its addresses is private."""

    def __init__(self, inner: AbstractResolver, *, excepted: frozenset[str] = frozenset()) -> None:
        self._inner = inner
        self._excepted = excepted

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        """Return the addresses of a name. Raises `PrivateTarget`, which aiohttp reports as a failed connection."""
        found = await self._inner.resolve(host, port, family)
        if host not in self._excepted and any(is_private(result["host"]) for result in found):
            raise PrivateTarget(f"{host} is in a private network, and network.allow_private_targets is false")
        return found

    async def close(self) -> None:
        """Release the inner resolver."""
        await self._inner.close()


def client_session(
    *, allow_private_targets: bool = False, proxy: str | None = None, certificate_authority: Path | None = None
) -> ClientSession:
    """Return the session for all HTTP suppliers; the caller closes it. Call it inside the running loop."""
    trusted: ssl.SSLContext | bool = True  # aiohttp's own context; a second one would hold the public ones twice
    if certificate_authority is not None:
        trusted = ssl.create_default_context()
        trusted.load_verify_locations(certificate_authority)
    resolver: AbstractResolver = ThreadedResolver()
    if not allow_private_targets:
        host = None if proxy is None else URL(proxy).host
        resolver = PublicResolver(resolver, excepted=frozenset(() if host is None else (host,)))
    return ClientSession(
        connector=TCPConnector(
            ssl=trusted, resolver=resolver, use_dns_cache=False, limit_per_host=CONNECTIONS_PER_HOST_MAX
        ),
        proxy=proxy,
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=ClientTimeout(total=30),  # each adapter sets its own; this bounds whoever forgets
        headers={"Accept-Encoding": "identity", "User-Agent": "toolcrib"},
    )


async def read_bounded(reply: ClientResponse, bytes_max: int) -> bytes:
    """Return the body of an answer. Raises `AnswerTooLong` as soon as it is longer than `bytes_max`, or packed."""
    if reply.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise AnswerTooLong("packed, though asked not to be")
    content = bytearray()
    async for chunk in reply.content.iter_chunked(65536):
        content += chunk
        if len(content) > bytes_max:
            raise AnswerTooLong(f"longer than {bytes_max} bytes")
    return bytes(content)
