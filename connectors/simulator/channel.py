"""A server's side of a conversation that browses as the standard says: bounded answers, and the rest by continuation.

The protocol stack's server answers every browse whole, knows no BrowseNext and holds nobody to its operation limits.
Real machines do all three, so clients must be tested against them. `Manners` says how one server behaves, the endless
browse of a broken one included. Browse and BrowseNext: OPC 10000-4, 5.9.2 and 5.9.3; limits: OPC 10000-5, 6.3.11.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncua.ua
from asyncua.common.utils import ServiceError
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.server import Server
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_from_binary

ua: Any = asyncua.ua  # its generated classes take plain numbers and texts, which their annotations do not say

POINTS_MAX: Final = 100
"""Continuation points that a session may hold, as small controllers allow; the oldest goes first."""
REFERENCES_MAX: Final = 1_000
"""References of one node in one answer."""


@dataclass(slots=True)
class Manners:
    """How a server behaves towards those who browse and read.

    nodes_per_browse, nodes_per_read, items_per_call: more in one request is refused as a whole.
    references: how many references of a node come at once. endless: nodes whose browse never ends; with `invents` it
    goes on with children that do not exist, else it says the same again.
    """

    nodes_per_browse: int = 1_000
    nodes_per_read: int = 1_000
    items_per_call: int = 1_000
    references: int = REFERENCES_MAX
    endless: set[asyncua.ua.NodeId] = field(default_factory=set)
    invents: bool = False

    def limits(self) -> dict[int, int]:
        """Return what the server says of its limits, by the number of the node that says it."""
        return {
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse: self.nodes_per_browse,
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead: self.nodes_per_read,
            ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall: self.items_per_call,
        }


_BROWSE: Final = ObjectIds.BrowseRequest_Encoding_DefaultBinary
_NEXT: Final = ObjectIds.BrowseNextRequest_Encoding_DefaultBinary
_READ: Final = ObjectIds.ReadRequest_Encoding_DefaultBinary
_MONITOR: Final = ObjectIds.CreateMonitoredItemsRequest_Encoding_DefaultBinary


class _Rest:
    """What a browse has left to say; an endless one says the same again and again, or what never was."""

    def __init__(self, references: Sequence[Any], size: int, *, endless: bool, invents: bool = False) -> None:
        self._references = references
        self._size = size
        self._endless = endless
        self._invents = invents
        self._at = 0

    def take(self) -> list[Any]:
        if self._endless and self._invents:
            self._at += self._size
            return [_invented(self._at - number) for number in range(self._size)]
        if self._endless:
            return list(self._references[: self._size])
        taken = list(self._references[self._at : self._at + self._size])
        self._at += self._size
        return taken

    @property
    def over(self) -> bool:
        return not self._endless and self._at >= len(self._references)


def _invented(number: int) -> Any:
    return ua.ReferenceDescription(
        ReferenceTypeId=ua.NodeId(ObjectIds.HasComponent),
        IsForward=True,
        NodeId=ua.NodeId(f"never-{number}", 1),
        BrowseName=ua.QualifiedName(f"Never{number}", 1),
        DisplayName=ua.LocalizedText(f"Never{number}"),
        NodeClass=ua.NodeClass.Variable,
        TypeDefinition=ua.NodeId(ObjectIds.BaseDataVariableType),
    )


class Channel(UaProcessor):
    """One client's channel, which holds it to the server's limits."""

    def __init__(self, server: InternalServer, transport: Any, limits: Any, manners: Manners) -> None:
        super().__init__(server, transport, limits)
        self._manners = manners
        self._points: OrderedDict[bytes, _Rest] = OrderedDict()
        self._numbered = 0

    async def _process_message(self, typeid: Any, requesthdr: Any, seqhdr: Any, body: Any) -> Any:
        """Serve what the stack does not; the stack calls it by this name."""
        kind = typeid.Identifier if typeid.NamespaceIndex == 0 else None
        if kind == _NEXT:
            self._require_session()
            asked = struct_from_binary(ua.BrowseNextParameters, body)
            self._answer(
                requesthdr, seqhdr, ua.BrowseNextResponse(Parameters=ua.BrowseNextResult(Results=self._next(asked)))
            )
            return True
        if kind == _BROWSE:
            self._require_session()
            asked = struct_from_binary(ua.BrowseParameters, body)
            self._answer(requesthdr, seqhdr, ua.BrowseResponse(Results=self._browse(asked)))
            return True
        if kind == _READ:
            self._hold(struct_from_binary(ua.ReadParameters, body.copy()).NodesToRead, self._manners.nodes_per_read)
        if kind == _MONITOR:
            asked = struct_from_binary(ua.CreateMonitoredItemsParameters, body.copy())
            self._hold(asked.ItemsToCreate, self._manners.items_per_call)
        process: Any = super()._process_message
        return await process(typeid, requesthdr, seqhdr, body)

    def _answer(self, header: Any, sequence: Any, response: Any) -> None:
        send: Any = self.send_response
        send(header.RequestHandle, sequence, response)

    def _require_session(self) -> None:
        if self.session is None or not self.session.is_activated():
            raise ServiceError(StatusCodes.BadSessionIdInvalid)
        self.session.touch()

    def _hold(self, asked: Sequence[Any], most: int) -> None:
        if len(asked) > most:
            raise ServiceError(StatusCodes.BadTooManyOperations)

    def _browse(self, asked: Any) -> list[Any]:
        self._hold(asked.NodesToBrowse, self._manners.nodes_per_browse)
        most = min(asked.RequestedMaxReferencesPerNode or REFERENCES_MAX, self._manners.references)
        return [self._first(each, most) for each in asked.NodesToBrowse]

    def _first(self, asked: Any, most: int) -> Any:
        data = self.iserver.aspace.get(asked.NodeId)
        if data is None:
            return ua.BrowseResult(StatusCode=ua.StatusCode(StatusCodes.BadNodeIdUnknown))
        wanted = self._subtypes(asked) if not asked.ReferenceTypeId.is_null() else None
        found = [each for each in data.references if _fits(each, asked, wanted)]
        endless = asked.NodeId in self._manners.endless
        return self._page(_Rest(found, most, endless=endless, invents=self._manners.invents))

    def _subtypes(self, asked: Any) -> set[Any]:
        """Return a type of reference and, where they are wanted, all its subtypes."""
        found, left = set(), [asked.ReferenceTypeId]
        while left:
            node = left.pop()
            found.add(node)
            data = self.iserver.aspace.get(node) if asked.IncludeSubtypes else None
            references = data.references if data is not None else []
            left += [
                each.NodeId
                for each in references
                if each.IsForward and each.ReferenceTypeId.Identifier == ObjectIds.HasSubtype
            ]
        return found

    def _page(self, rest: _Rest) -> Any:
        result = ua.BrowseResult(References=rest.take())
        if not rest.over:
            self._numbered += 1
            point = self._numbered.to_bytes(8, "big")
            self._points[point] = rest
            result.ContinuationPoint = point
            while len(self._points) > POINTS_MAX:
                self._points.popitem(last=False)
        return result

    def _next(self, asked: Any) -> list[Any]:
        self._hold(asked.ContinuationPoints, self._manners.nodes_per_browse)
        answers = []
        for point in asked.ContinuationPoints:
            rest = self._points.pop(bytes(point), None)
            if rest is None:
                answers.append(ua.BrowseResult(StatusCode=ua.StatusCode(StatusCodes.BadContinuationPointInvalid)))
            else:
                answers.append(ua.BrowseResult() if asked.ReleaseContinuationPoints else self._page(rest))
        return answers


def _fits(reference: Any, asked: Any, wanted: set[Any] | None) -> bool:
    if asked.BrowseDirection != ua.BrowseDirection.Both:
        forward = asked.BrowseDirection == ua.BrowseDirection.Forward
        if reference.IsForward is not forward:
            return False
    if wanted is not None and reference.ReferenceTypeId not in wanted:
        return False
    return not asked.NodeClassMask or bool(asked.NodeClassMask & int(reference.NodeClass))


class _Protocol(OPCUAProtocol):
    def __init__(self, manners: Manners, **more: Any) -> None:
        super().__init__(**more)
        self._manners = manners

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.processor is not None:  # None when there are too many already
            self.processor = Channel(self.iserver, transport, self.limits, self._manners)
            set_policies: Any = self.processor.set_policies
            set_policies(self.policies)


class _Listener(BinaryServer):
    def __init__(self, manners: Manners, *more: Any) -> None:
        super().__init__(*more)
        self._manners = manners

    def _make_protocol(self) -> OPCUAProtocol:
        return _Protocol(
            self._manners,
            iserver=self.iserver,
            policies=self._policies,
            clients=self.clients,
            closing_tasks=self.closing_tasks,
            limits=self.limits,
        )


class MannerlyServer(Server):
    """The stack's server, whose channels hold to `Manners`."""

    def __init__(self, manners: Manners, **more: Any) -> None:
        super().__init__(**more)
        self._manners = manners

    async def start(self) -> None:
        """Listen. Raises OSError when the address is taken."""
        await self._setup_server_nodes()
        await self.iserver.start()
        host, port = self._get_bind_socket_info()
        self.bserver = _Listener(self._manners, self.iserver, host, port, self.limits)
        self.bserver.set_policies(self._policies)
        try:
            await self.bserver.start()
        except OSError:
            await self.iserver.stop()
            raise
