"""A real OPC-UA server for simulated machines: encrypted, read-only, with the plant's clock.

It offers Basic256Sha256 with SignAndEncrypt and nothing else. Endpoints can be asked for in the clear, as the standard
wants for discovery, but a session without a client certificate is refused; nobody can write. Source and server
timestamps are plant time. A node that has not been written yet is BadWaitingForInitialData.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from gettext import gettext as _
from typing import Any, cast

from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaprotocol_auto import AnonymousIdentityToken
from asyncua.ua.uatypes import (
    DataValue,
    DateTime,
    Int16,
    Int32,
    NodeId,
    SecurityPolicyType,
    StatusCode,
    String,
    UInt32,
    Variant,
    VariantType,
)

from connectors.simulator.errors import SimulatorError, claim
from connectors.simulator.identity import Identity

APPLICATION_URI = "urn:toolcrib:simulator"
_GOOD = StatusCode(UInt32(StatusCodes.Good))
_HELD = StatusCode(UInt32(StatusCodes.UncertainLastUsableValue))
_INITIAL = DataValue(Variant(None, VariantType.Null), StatusCode(UInt32(StatusCodes.BadWaitingForInitialData)))
_CURRENT_TIME = NodeId(Int32(ObjectIds.Server_ServerStatus_CurrentTime))
_SERVER_STATUS = NodeId(Int32(ObjectIds.Server_ServerStatus))


class _OnlyWithCertificate(UserManager):
    """Refuses a session whose channel showed no certificate, which is one that is not encrypted."""

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        return User(role=UserRole.User) if certificate else None


class OpcUaServer:
    """One server; `variables` names the tags of each machine and their types. Node ids are `s=machine.tag`."""

    def __init__(
        self,
        identity: Identity,
        namespace: str,
        variables: Mapping[str, Mapping[str, VariantType]],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Describe the server; it listens from `start`."""
        self._identity = identity
        self._namespace = namespace
        self._variables = variables
        self._host = host
        self._port = port
        self._server: Server | None = None
        self._nodes: dict[str, tuple[NodeId, VariantType]] = {}

    @property
    def up(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    @property
    def port(self) -> int:
        """The port it listens on; after the first start always the same."""
        return self._port

    async def start(self) -> None:
        """Listen, with every node waiting for its first value. Raises PortInUse, SimulatorError.

        Costs one to two seconds: asyncua builds the standard address space in a thread.
        """
        claim(self._host, self._port)
        logging.getLogger("asyncua").setLevel(logging.WARNING)  # at INFO it halves its throughput
        server = Server(user_manager=_OnlyWithCertificate())
        server.disable_clock()  # we write the plant's time ourselves
        await server.init()
        await server.set_application_uri(self._identity.application_uri)
        server.set_server_name("Toolcrib simulator")
        server.set_endpoint(f"opc.tcp://{self._host}:{self._port}/")
        server.set_security_policy([SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        server.set_identity_tokens([AnonymousIdentityToken])
        await self._load_identity(server)
        await self._add_nodes(server)
        await server.start()
        assert server.bserver is not None
        self._port = server.bserver.port
        self._server = server

    async def stop(self) -> None:
        """Stop listening and end every conversation, as a server does that is switched off."""
        server, self._server = self._server, None
        if server is not None:
            for conversation in list(server.iserver._external_sessions.values()):
                await conversation.close_session()  # asyncua's own stop leaves their tasks to run out by themselves
            await server.stop()

    async def write(self, at: datetime, values: Mapping[str, float], *, held: AbstractSet[str] = frozenset()) -> None:
        """Show values (by `machine.tag`) as of a plant time; those `held` are Uncertain: the last usable ones.

        Does nothing while the server is down.
        """
        server = self._server
        if server is None:
            return
        time = cast(DateTime, at)
        await self._write_clock(server, time)
        for key, value in values.items():
            node, kind = self._nodes[key]
            variant = Variant(float(value) if kind is VariantType.Double else int(value), kind)
            status = _HELD if key in held else _GOOD
            await server.write_attribute_value(
                node, DataValue(variant, status, SourceTimestamp=time, ServerTimestamp=time)
            )

    async def _load_identity(self, server: Server) -> None:
        try:
            await server.load_certificate(self._identity.certificate, "der")
            await server.load_private_key(self._identity.key, format="pem")
        except (ValueError, TypeError) as error:
            raise SimulatorError(_("the simulator's certificate or key is damaged; delete both to make new")) from error

    async def _add_nodes(self, server: Server) -> None:
        index = await server.register_namespace(self._namespace)
        for machine, tags in self._variables.items():
            folder = await server.nodes.objects.add_object(_node(machine, index), f"{index}:{machine}")
            for tag, kind in tags.items():
                node = _node(f"{machine}.{tag}", index)
                zero = Variant(0.0 if kind is VariantType.Double else 0, kind)
                await folder.add_variable(node, f"{index}:{tag}", zero)
                await server.write_attribute_value(node, _INITIAL)
                self._nodes[f"{machine}.{tag}"] = (node, kind)

    async def _write_clock(self, server: Server, time: DateTime) -> None:
        status = await server.get_node(_SERVER_STATUS).read_value()
        status.CurrentTime = time
        for node, value in ((_SERVER_STATUS, status), (_CURRENT_TIME, time)):
            await server.write_attribute_value(node, DataValue(Variant(value), SourceTimestamp=time))


def _node(name: str, index: int) -> NodeId:
    return NodeId(String(name), Int16(index))


def variables(
    tags: Sequence[str], whole: AbstractSet[str] = frozenset(), flags: AbstractSet[str] = frozenset()
) -> dict[str, VariantType]:
    """Return the type of every tag: counters are UInt32, flags UInt16, everything else Double."""
    special = {**dict.fromkeys(whole, VariantType.UInt32), **dict.fromkeys(flags, VariantType.UInt16)}
    return {tag: special.get(tag, VariantType.Double) for tag in tags}
