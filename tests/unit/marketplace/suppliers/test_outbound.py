import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from socket import AF_INET, AddressFamily

import pytest
from aiohttp import ClientConnectorError, web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from marketplace.suppliers.outbound import (
    AnswerTooLong,
    PrivateTarget,
    PublicResolver,
    client_session,
    is_address,
    is_private,
    read_bounded,
)


class Directory(AbstractResolver):
    """Names and their addresses, as some name server would tell them."""

    def __init__(self, **addresses: list[str]) -> None:
        self._addresses = addresses
        self.closed = False

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._addresses[host]
        ]

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "::1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::", "ff02::1", "255.255.255.255",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_private(address):
    assert is_private(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address):
    assert not is_private(address)


def test_a_name_is_no_address():
    assert is_address("10.0.0.1")
    assert is_address("::1")
    assert not is_address("kontor.example")
    assert not is_address("")


async def test_a_name_that_leads_inside_is_refused():
    resolver = PublicResolver(Directory(inside=["10.0.0.1"], both=["8.8.8.8", "127.0.0.1"], outside=["8.8.8.8"]))
    for name in ("inside", "both"):
        with pytest.raises(PrivateTarget, match="allow_private_targets"):
            await resolver.resolve(name)
    assert [result["host"] for result in await resolver.resolve("outside")] == ["8.8.8.8"]


async def test_the_site_s_own_proxy_may_be_inside():
    resolver = PublicResolver(Directory(proxy=["10.0.0.1"]), excepted=frozenset({"proxy"}))
    assert len(await resolver.resolve("proxy")) == 1


async def test_closing_closes_what_it_asks():
    directory = Directory()
    await PublicResolver(directory).close()
    assert directory.closed


@asynccontextmanager
async def served(handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_localhost_cannot_be_reached_unless_the_site_allows_it():
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async with served(hello) as url:
        named = url.replace("127.0.0.1", "localhost")
        async with client_session() as session:
            with pytest.raises(ClientConnectorError):
                await session.get(named)
        async with client_session(allow_private_targets=True) as session, session.get(url) as reply:
            assert await read_bounded(reply, 5) == b"hello"


async def test_an_answer_beyond_the_bound_is_not_read_to_its_end():
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(10_000):
            try:
                await answer.write(b"x" * 65536)
            except ConnectionError:
                break
            sent += 65536
        return answer

    async with (
        served(flood) as url,
        client_session(allow_private_targets=True) as session,
        session.get(url) as reply,
    ):
        with pytest.raises(AnswerTooLong):
            await read_bounded(reply, 100_000)
    assert sent < 100 * 65536


async def test_a_packed_answer_is_not_unpacked():
    async def packed(_request: web.Request) -> web.Response:
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    async with (
        served(packed) as url,
        client_session(allow_private_targets=True) as session,
        session.get(url) as reply,
    ):
        with pytest.raises(AnswerTooLong, match="packed"):
            await read_bounded(reply, 100)


async def test_everything_goes_through_the_site_s_proxy():
    asked: list[str] = []

    async def relay(request: web.Request) -> web.Response:
        asked.append(str(request.url))
        return web.Response(text="from outside")

    async with (
        served(relay) as proxy,
        client_session(allow_private_targets=True, proxy=proxy) as session,
        session.get("http://kontor.invalid/") as reply,
    ):
        assert await read_bounded(reply, 100) == b"from outside"
    assert asked == ["http://kontor.invalid/"]


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """The site's own certificate authority, which here is the server's self-signed certificate; with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime.now(UTC) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return tmp_path / "ca.pem"


async def test_the_site_s_own_authority_is_trusted_only_where_it_is_named(authority: Path):
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority, authority.parent / "key.pem")
    async with served(hello, context) as url:
        async with client_session(allow_private_targets=True) as session:
            with pytest.raises(ClientConnectorError):
                await session.get(url)
        trusting = client_session(allow_private_targets=True, certificate_authority=authority)
        async with trusting as session, session.get(url) as reply:
            assert reply.status == 200
