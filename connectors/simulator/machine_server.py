"""An OPC-UA server as integrators meet it: machines in standard shapes, as many nodes as wanted, and faults on demand.

A real server, encrypted unless it is asked to be open. Its machines wear with the clock that it is given. What breaks
at customers' sites can be had at will: a restart on the same port, with another certificate or other namespace numbers;
a flood of bad quality; a clock that jumps; a browse that never ends; a node that vanishes; a circle of references. Node
ids are texts in `shape.OWN`; nobody can write. Source times are the given clock's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from gettext import gettext as _
from itertools import islice
from typing import Any, Final

import asyncua.ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.user_managers import UserManager
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from connectors.simulator.channel import MannerlyServer, Manners
from connectors.simulator.companions import TYPES
from connectors.simulator.errors import SimulatorError, claim
from connectors.simulator.identity import Identity
from connectors.simulator.machines import Machine
from connectors.simulator.modelled import ModelledPlan, filler, folders, shape_of, show
from connectors.simulator.nodes import CAPACITY_MAX, NodeSpace
from connectors.simulator.remembered import VALUES_MAX, Remembered
from connectors.simulator.shape import OWN, Reference

ua: Any = asyncua.ua  # its generated classes take plain numbers and texts, which their annotations do not say

APPLICATION_URI: Final = "urn:toolcrib:simulator:machine"
_STATUS: Final = ua.NodeId(ObjectIds.Server_ServerStatus)
_CURRENT_TIME: Final = ua.NodeId(ObjectIds.Server_ServerStatus_CurrentTime)
_ENCRYPTED: Final = (
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
)


class _Guard(UserManager):
    """Lets everybody look and nobody write; without encryption only where the server is open."""

    def __init__(self, *, is_open: bool) -> None:
        self._open = is_open

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        return User(role=UserRole.User) if certificate or self._open else None


class MachineServer:
    """One server and its machines; everything it does can be done again after a restart."""

    def __init__(
        self,
        identity: Identity,
        plans: Sequence[ModelledPlan],
        *,
        clock: Callable[[], datetime],
        seed: int = 1,
        host: str = "127.0.0.1",
        port: int = 0,
        tags: int = 0,
        is_open: bool = False,
        manners: Manners | None = None,
    ) -> None:
        """Describe the server; it listens from `start`.

        tags: how many further variables it has, in areas and folders below `Plant`. is_open: it takes whoever comes,
        encrypted or not. Raises SimulatorError for more nodes than a server holds here.
        """
        if not 0 <= tags <= CAPACITY_MAX:
            raise SimulatorError(_("a simulated server holds at most {most} nodes").format(most=CAPACITY_MAX))
        self.manners = manners or Manners()
        self.identity = identity
        self._plans = tuple(plans)
        self._machines = {plan.key: Machine(plan.plan(), seed) for plan in plans}
        self._clock = clock
        self._host = host
        self._port = port
        self._tags = tags
        self._open = is_open
        self._fillers = 0
        self._offset = timedelta()
        self._remembered = Remembered()
        self._historized: tuple[str, ...] = ()
        self._at: datetime | None = None
        self._server: MannerlyServer | None = None
        self._nodes: NodeSpace | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"opc.tcp://{self._host}:{self._port}/"

    @property
    def port(self) -> int:
        """The port it listens on; after the first start always the same."""
        return self._port

    @property
    def up(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    @property
    def machines(self) -> Mapping[str, Machine]:
        """The machines in their true state, which no gateway ever sees."""
        return self._machines

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of every variable whose value changes, in the order in which they were made."""
        return tuple(self._space.keys)

    @property
    def sessions(self) -> int:
        """How many conversations are going on."""
        return len(self._running.iserver._external_sessions)

    async def start(self) -> None:
        """Listen, with every value shown. Raises PortInUse, SimulatorError. Costs a second or two: the stack builds
        the standard's own address space."""
        claim(self._host, self._port)
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # what its clients do wrong is told to them
        server = MannerlyServer(self.manners, user_manager=_Guard(is_open=self._open))
        server.disable_clock()  # it shows the plant's time, at every step
        await server.init()
        await server.set_application_uri(self.identity.application_uri)
        server.set_server_name("Toolcrib simulated machine")
        server.set_endpoint(f"opc.tcp://{self._host}:{self._port}/")
        server.set_security_policy([*_ENCRYPTED, *([ua.SecurityPolicyType.NoSecurity] if self._open else [])])
        server.set_identity_tokens([ua.AnonymousIdentityToken])
        await server.load_certificate(self.identity.certificate, "der")
        await server.load_private_key(self.identity.key, format="pem")
        server.iserver.history_manager.set_storage(self._remembered)
        self._nodes = await self._made(server)
        for number, most in self.manners.limits().items():
            shown = ua.DataValue(ua.Variant(most, ua.VariantType.UInt32))
            await server.write_attribute_value(ua.NodeId(number), shown)
        self._server = server
        self.historize(self._historized)
        await self.step()
        await server.start()
        assert server.bserver is not None
        self._port = server.bserver.port

    async def stop(self) -> None:
        """Stop listening and end every conversation, as a server does that is switched off."""
        server, self._server = self._server, None
        if server is not None:
            for conversation in list(server.iserver._external_sessions.values()):
                await conversation.close_session()  # the stack's own stop leaves their tasks to run out by themselves
            await server.stop()

    async def restart(self, *, identity: Identity | None = None, shift_namespaces: bool = False) -> None:
        """Stop and start on the same port, with another certificate or other namespace numbers where asked."""
        await self.stop()
        if identity is not None:
            self.identity = identity
        if shift_namespaces:
            self._fillers = (self._fillers + 1) % 4
        await self.start()

    async def step(self) -> None:
        """Let the machines run until now, and show what they show."""
        now = self._clock()
        elapsed = now - self._at if self._at is not None else timedelta()
        self._at = max(now, self._at or now)
        shown: dict[str, Any] = {}
        for plan in self._plans:
            machine = self._machines[plan.key]
            machine.advance(machine.plan.utilised(elapsed))
            shown |= show(plan, machine, self._at)
        await self.write(shown)
        await self._show_time()

    async def write(self, values: Mapping[str, Any], *, at: datetime | None = None, status: int = 0) -> None:
        """Show values by their keys, dated now or at a time; a key whose node has vanished is passed over."""
        dated = (at or self._clock()) + self._offset
        for key, value in values.items():
            node = self._space.keys.get(key)
            if node is None:
                continue
            kind = ua.VariantType.Null if value is None else self._space.kinds[key]
            shown = ua.DataValue(
                ua.Variant(value, kind),
                ua.StatusCode(status),
                SourceTimestamp=dated,
                ServerTimestamp=dated,
            )
            await self._running.write_attribute_value(node, shown)
            self._remembered.note(node, shown)

    async def stir(self, value: float, count: int | None = None) -> None:
        """Show one value at the first so many tags below `Plant`, or at all of them."""
        await self.write({f"tag-{number}": value for number in range(self._tags if count is None else count)})

    async def fit(self, machine: str, component: str) -> None:
        """Put a new part into a component. Raises KeyError for one that does not exist."""
        self._machines[machine].fit(component)
        await self.step()

    async def fail(self, machine: str, component: str) -> None:
        """Break a part. Raises KeyError for one that does not exist."""
        self._machines[machine].fail(component)
        await self.step()

    async def flood_bad(self, rounds: int = 1, status: int = StatusCodes.BadSensorFailure) -> int:
        """Let every variable turn bad, so many times over; returns how many values that were.

        The next `step` and `stir` show good ones again.
        """
        keys = self.keys
        for number in range(rounds):
            code = status if number % 2 == 0 else StatusCodes.BadNoCommunication
            await self.write(dict.fromkeys(keys), status=code)
        return rounds * len(keys)

    def jump_clock(self, by: timedelta) -> None:
        """Let the server's clock be wrong by so much more from now on."""
        self._offset += by

    def historize(self, keys: Iterable[str], values_max: int = VALUES_MAX) -> None:
        """Keep the history of these variables from now on, also after a restart."""
        self._historized = tuple(dict.fromkeys((*self._historized, *keys)))
        for key in self._historized:
            node = self._space.keys[key]
            self._space.remember(node)
            self._remembered.keep(node, values_max)

    async def vanish(self, key: str) -> None:
        """Take a variable out of the address space; who watches it sees BadNodeIdUnknown. Raises KeyError."""
        node = self._space.keys[key]
        gone = ua.DataValue(ua.Variant(None), ua.StatusCode(StatusCodes.BadNodeIdUnknown))
        await self._running.write_attribute_value(node, gone)
        self._space.remove(node)

    def never_end(self, name: str = "Plant") -> None:
        """Let the browse of a node below Objects give continuation points for ever."""
        self.manners.endless.add(self._space.node(name, OWN))

    def circle(self, name: str = "Plant") -> None:
        """Let a node below Objects be found below its own first child, too. Raises KeyError when it has none."""
        node = self._space.node(name, OWN)
        self._space.link(next(islice(self._space.below(node), 1)), node, Reference.ORGANIZES)

    async def _show_time(self) -> None:
        """Let the server's own clock show the plant's time."""
        now = self._clock() + self._offset
        status = await self._running.get_node(_STATUS).read_value()
        status.CurrentTime = now
        for node, value in ((_STATUS, status), (_CURRENT_TIME, now)):
            await self._running.write_attribute_value(node, ua.DataValue(ua.Variant(value), SourceTimestamp=now))

    @property
    def _running(self) -> MannerlyServer:
        assert self._server is not None, "the server is not started"
        return self._server

    @property
    def _space(self) -> NodeSpace:
        assert self._nodes is not None, "the server is not started"
        return self._nodes

    async def _made(self, server: MannerlyServer) -> NodeSpace:
        spaces = [f"urn:toolcrib:filler:{number}" for number in range(self._fillers)]
        spaces += [OWN, *dict.fromkeys(each.name.space for each in TYPES)]
        if self._fillers % 2:
            spaces.reverse()
        indexes = {uri: await server.register_namespace(uri) for uri in spaces}
        nodes = NodeSpace(server, indexes)
        nodes.define(TYPES)
        objects = ua.NodeId(ObjectIds.ObjectsFolder)
        entries = {folder.name: nodes.build(objects, folder) for folder in folders()}
        for plan in self._plans:
            entry, shape = shape_of(plan)
            nodes.build(entries[entry], shape)
        if self._tags:
            nodes.build(objects, filler(self._tags))
        return nodes
