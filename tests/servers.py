"""Real servers on the loopback for tests, and a plug to pull: nothing here is scripted."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import SimpleRoleRuleset
from asyncua.server.user_managers import PermissiveUserManager
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from connectors.opcua import certificates, identity

NAMESPACE = "urn:toolcrib:bench"
ENCRYPTED = (ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,)


class Relay:
    """A wire between a client and a server that can be cut, frozen and mended; `held` once it froze an answer."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._swallows = False
        self.held = asyncio.Event()

    async def restore(self) -> None:
        self._flows.set()
        self._swallows = False
        if self._server is None:
            self._server = await asyncio.start_server(self._joined, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def freeze(self) -> None:
        self._flows.clear()

    def swallow(self) -> None:
        """Lose what is under way, and break the connections."""
        self._swallows = True
        self.cut()
        self._flows.set()

    def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def close(self) -> None:
        self._flows.set()
        self.cut()
        pumps = tuple(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._writers.add(sink)
            pump = asyncio.create_task(self._pump(source, sink, answers=sink is writer))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        try:
            while data := await source.read(65536):
                if answers and not self._flows.is_set():
                    self.held.set()
                await self._flows.wait()
                if self._swallows:
                    break
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.transport.abort()
            self._writers.discard(sink)


class OpcUaBench:
    """An asyncua server with a few nodes; `identity` is its certificate, kept in a directory of its own."""

    def __init__(
        self,
        state: Path,
        *,
        policies: Sequence[ua.SecurityPolicyType] = ENCRYPTED,
        tags: Mapping[str, Any] | None = None,
        port: int = 0,
        fillers: int = 0,
    ) -> None:
        self._trusts: Callable[[bytes], bool] = lambda _certificate: True
        self.identity = identity.own_identity(state, datetime.now(UTC))
        self.fingerprint = certificates.fingerprint(self.identity.certificate)
        self.port = port
        self._policies = list(policies)
        self._tags = tags or {"level": 0.0}
        self._fillers = fillers
        self._server: Server | None = None
        self._nodes: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    @property
    def server(self) -> Server:
        assert self._server is not None
        return self._server

    async def start(self) -> None:
        server = Server(user_manager=PermissiveUserManager())
        await server.init()
        await server.set_application_uri(self.identity.uri)
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}")
        server.set_security_policy(self._policies, permission_ruleset=SimpleRoleRuleset())
        await server.load_certificate(self.identity.certificate, "der")
        await server.load_private_key(self.identity.key, format="pem")
        for number in range(self._fillers):
            await server.register_namespace(f"urn:toolcrib:filler:{number}")
        index = await server.register_namespace(NAMESPACE)
        for tag, value in self._tags.items():
            node = ua.NodeId(tag, index)
            self._nodes[tag] = await server.nodes.objects.add_variable(node, f"{index}:{tag}", _variant(value))
        server.set_certificate_validator(self._validate)
        await server.start()
        self.port = server.bserver.port
        self._server = server

    async def become(
        self,
        state: Path,
        policies: Sequence[ua.SecurityPolicyType] = ENCRYPTED,
        *,
        users: Any = None,
        tokens: Sequence[type] = (ua.AnonymousIdentityToken,),
        trusts: Callable[[bytes], bool] = lambda _certificate: True,
    ) -> None:
        """Be another server to whoever calls from now on: to build one anew takes two seconds."""
        server = self._server
        assert server is not None
        self.identity, self._trusts = identity.own_identity(state, datetime.now(UTC)), trusts
        self.fingerprint = certificates.fingerprint(self.identity.certificate)
        server._policies.clear()
        server.iserver.endpoints.clear()
        server.iserver.user_manager = users or PermissiveUserManager()
        server.set_identity_tokens(list(tokens))
        await server.set_application_uri(self.identity.uri)
        server.set_security_policy(list(policies), permission_ruleset=SimpleRoleRuleset())
        await server.load_certificate(self.identity.certificate, "der")
        await server.load_private_key(self.identity.key, format="pem")
        await server._setup_server_nodes()

    async def _validate(self, certificate: x509.Certificate, _application: ua.ApplicationDescription) -> None:
        if not self._trusts(certificate.public_bytes(serialization.Encoding.DER)):
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    def take_passwords_readable(self) -> None:
        """Offer what no server should: passwords without encryption, whatever the channel."""
        assert self._server is not None
        for endpoint in self._server.iserver.endpoints:
            for token in endpoint.UserIdentityTokens:
                token.SecurityPolicyUri = "http://opcfoundation.org/UA/SecurityPolicy#None"

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def remember(self, tag: str) -> None:
        """Keep the history of a tag from now on."""
        assert self._server is not None
        await self._server.historize_node_data_change(self._nodes[tag], count=1000)

    async def end_sessions(self) -> None:
        """Close every session, with its subscriptions, as a server does that forgets."""
        assert self._server is not None
        for session in list(self._server.iserver._external_sessions.values()):
            await session.close_session()

    async def write(self, tag: str, value: float, *, at: datetime | None = None, status: int = 0) -> datetime:
        dated = at or datetime.now(UTC)
        shown = ua.DataValue(ua.Variant(value), ua.StatusCode(status), SourceTimestamp=dated)
        assert self._server is not None
        await self._server.write_attribute_value(self._nodes[tag].nodeid, shown)
        return dated


def _variant(value: Any) -> ua.Variant:
    return value if isinstance(value, ua.Variant) else ua.Variant(value)


class ModbusBench:
    """A pymodbus server: input and holding registers alike, from 0 to `size`, and nothing behind."""

    def __init__(self, size: int = 200) -> None:
        self.words = [0] * size
        self.port = 0
        self.asked: list[tuple[int, int, int]] = []
        self._server: Any = None

    async def start(self) -> None:
        block = SimData(0, count=len(self.words), values=0, datatype=DataType.REGISTERS, readonly=True)
        device = SimDevice(id=1, simdata=[block], action=self._answer)
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self._server.serve_forever(background=True)
        self.port = self._server.transport.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        await self._server.shutdown()

    def put_float(self, address: int, value: float) -> None:
        self.words[address : address + 2] = struct.unpack(">2H", struct.pack(">f", value))

    async def _answer(
        self, function: int, start: int, address: int, count: int, registers: list[int], _written: object
    ) -> None:
        self.asked.append((function, address, count))
        registers[: len(self.words)] = self.words


@asynccontextmanager
async def babbling(words: bytes) -> AsyncIterator[int]:
    """A server that answers everything with the same bytes; yields its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(4096):
                writer.write(words)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
