"""An OPC-UA server for measuring clients: it encodes its messages beforehand and publishes as fast as it is told.

One subscription over any number of variables, without security; every other service is answered as far as a client
needs it to get there. Message after message goes through all variables in turn, each value the number of the round, so
that a loss shows as a hole. Times are this computer's. It is no simulated machine: for those see `opcua_server`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any, Final

import asyncua.ua
import numpy as np
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.common.utils import Buffer, NotEnoughData
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import (
    header_from_binary,
    nodeid_from_binary,
    struct_from_binary,
    struct_to_binary,
    uatcp_to_binary,
)

ua: Any = asyncua.ua  # its generated classes take plain numbers and texts, which their annotations do not say

NAMESPACE: Final = "urn:toolcrib:load"
ITEMS_PER_MESSAGE: Final = 1000
TICK_SECONDS: Final = 0.1
"""How often a paced server publishes."""
WAITING_MAX: Final = 100
"""Publish requests that are kept; a client has three."""

_EPOCH_TICKS: Final = 116_444_736_000_000_000
_UNNUMBERED: Final = 0xDEADBEEF
_NAMESPACE_ARRAY: Final = 2255
_UNIFORM: Final = np.dtype(
    [("handle", "<u4"), ("mask", "u1"), ("kind", "u1"), ("value", "<f8"), ("source", "<i8"), ("server", "<i8")]
)
"""How a double without a status lies in a message (OPC 10000-6, 5.2.2.17)."""
_MIXED: Final[Sequence[tuple[ua.VariantType, Any]]] = (
    (ua.VariantType.Boolean, True),
    (ua.VariantType.SByte, -3),
    (ua.VariantType.Byte, 3),
    (ua.VariantType.Int16, -300),
    (ua.VariantType.UInt16, 300),
    (ua.VariantType.Int32, -70_000),
    (ua.VariantType.UInt32, 70_000),
    (ua.VariantType.Int64, -(2**40)),
    (ua.VariantType.UInt64, 2**40),
    (ua.VariantType.Float, 1.5),
    (ua.VariantType.Double, 2.5),
)
_STATUSES: Final = (None, 0x00960000, 0x40900000, None, 0x808B0000)


@dataclass(frozen=True, slots=True)
class Load:
    """What is published: doubles, or mixed types with status words; `per_second` values, 0 for as many as are asked."""

    mixed: bool = False
    per_second: int = 0


class Message:
    """A publish response that is encoded once; what changes is written into its bytes."""

    def __init__(self, handles: Sequence[int], clock_ns: Callable[[], int], *, mixed: bool) -> None:
        self.items = len(handles)
        self._clock_ns = clock_ns
        now = datetime.fromtimestamp(clock_ns() / 1e9, UTC)
        answer = _response([_item(handle, place, now, mixed) for place, handle in enumerate(handles)])
        self._body = bytearray(answer)
        self._number_at = answer.index(_UNNUMBERED.to_bytes(4, "little"))
        items_at = answer.index(b"\x01\x00\x2b\x03\x01") + 13
        self._columns = None if mixed else np.frombuffer(self._body, _UNIFORM, self.items, items_at)
        self._places = np.arange(self.items)

    def written(self, handle: int, number: int, before: int, tags: int) -> bytes:
        """Return the bytes for a request's handle and a sequence number, behind `before` values that were published."""
        self._body[12:16] = handle.to_bytes(4, "little")
        self._body[self._number_at : self._number_at + 4] = number.to_bytes(4, "little")
        if self._columns is not None:
            now = self._clock_ns() // 100 + _EPOCH_TICKS
            self._columns["value"] = (before + self._places) // tags
            self._columns["source"] = now - self.items + self._places  # no two of a tag at once
            self._columns["server"] = now
        return bytes(self._body)


def _policy() -> Any:
    policy: Any = SecurityPolicyNone
    return policy()


def _item(handle: int, place: int, now: datetime, mixed: bool) -> ua.MonitoredItemNotification:
    kind, figure = _MIXED[place * 7 % len(_MIXED)] if mixed else (ua.VariantType.Double, 0.0)
    code = _STATUSES[place % len(_STATUSES)] if mixed else None
    value = ua.DataValue(
        ua.Variant(figure, kind),
        None if code is None else ua.StatusCode(ua.UInt32(code)),
        SourceTimestamp=now,
        ServerTimestamp=now,
    )
    return ua.MonitoredItemNotification(ua.UInt32(handle), value)


def _response(items: list[ua.MonitoredItemNotification]) -> bytes:
    answer = ua.PublishResponse()
    answer.Parameters.SubscriptionId = ua.IntegerId(1)
    answer.Parameters.NotificationMessage.SequenceNumber = ua.UInt32(_UNNUMBERED)
    answer.Parameters.NotificationMessage.NotificationData = [ua.DataChangeNotification(MonitoredItems=items)]
    return bytes(struct_to_binary(answer))


class Publisher:
    """What is published, to whom: `sent` counts values. One client at a time."""

    def __init__(self, load: Load, clock_ns: Callable[[], int]) -> None:
        self.sent = 0
        self._clock_ns = clock_ns
        self._load = load
        self._handles: list[int] = []
        self._messages: list[Message] = []
        self._waiting: deque[tuple[int, int]] = deque(maxlen=WAITING_MAX)
        self._number = 0
        self._send: Callable[[bytes, int], None] | None = None

    def begin(self, send: Callable[[bytes, int], None]) -> None:
        """A client made a subscription; `send` sends a body as the answer to a request by its id."""
        self._handles, self._messages, self._number, self._send = [], [], 0, send
        self._waiting.clear()

    def watch(self, handles: Sequence[int]) -> None:
        """Publish these, too."""
        self._handles += handles
        self._messages = []

    def asked(self, handle: int, request: int) -> None:
        """Take a publish request: answer it now, or when its time has come."""
        self._waiting.append((handle, request))
        if self._load.per_second == 0:
            self.publish()

    def publish(self) -> bool:
        """Answer the oldest request; False when there is none, or nothing to say."""
        if not self._waiting or not self._handles or self._send is None:
            return False
        if not self._messages:
            self._messages = list(self._encoded())
        message = self._messages[self._number % len(self._messages)]
        self._number += 1
        handle, request = self._waiting.popleft()
        self._send(message.written(handle, self._number, self.sent, len(self._handles)), request)
        self.sent += message.items
        return True

    def _encoded(self) -> list[Message]:
        """Messages that go through all variables in turn, and through few of them several times."""
        repeats = max(1, ITEMS_PER_MESSAGE // len(self._handles))
        handles = self._handles * repeats
        return [
            Message(handles[first : first + ITEMS_PER_MESSAGE], self._clock_ns, mixed=self._load.mixed)
            for first in range(0, len(handles), ITEMS_PER_MESSAGE)
        ]

    async def pace(self) -> None:
        """Publish so many values a second, for ever; what could not be sent in time is sent as soon as it can."""
        loop = asyncio.get_running_loop()
        began, begun = loop.time(), 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self._number == 0:
                began, begun = loop.time(), self.sent
            while self.sent - begun < (loop.time() - began + TICK_SECONDS) * self._load.per_second and self.publish():
                pass


class _Conversation(asyncio.Protocol):
    """One client's channel: services from bytes to bytes."""

    def __init__(self, publisher: Publisher, url: str) -> None:
        self._publisher = publisher
        self._url = url
        self._limits = TransportLimits()
        self._channel = SecureConnection(_policy(), self._limits)
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._received:
            buffer = Buffer(self._received)
            try:
                header = header_from_binary(buffer)
            except NotEnoughData:
                return
            if len(buffer) < header.body_size:
                return
            behind = buffer.cur_pos + header.body_size
            message = self._channel.receive_from_header_and_body(header, buffer.copy(header.body_size))
            self._received = self._received[behind:]
            self._take(message)

    def _take(self, message: Any) -> None:
        assert self._transport is not None
        if isinstance(message, ua.Hello):
            answer = self._limits.create_acknowledge_and_set_limits(message)
            self._transport.write(uatcp_to_binary(ua.MessageType.Acknowledge, answer))
        elif isinstance(message, ua.Message):
            self._serve(message.body(), message.request_id())

    def _send(self, body: bytes, request: int, kind: ua.MessageType = ua.MessageType.SecureMessage) -> None:
        assert self._transport is not None
        self._transport.write(self._channel.message_to_binary(body, message_type=kind, request_id=request))

    def _serve(self, body: Buffer, request: int) -> None:
        whole = body.copy()
        kind = int(nodeid_from_binary(body).Identifier)
        if kind == ObjectIds.OpenSecureChannelRequest_Encoding_DefaultBinary:
            opened = struct_from_binary(ua.OpenSecureChannelRequest, whole)
            answer = ua.OpenSecureChannelResponse(Parameters=self._channel.open(opened.Parameters, self))
            answer.ResponseHeader.RequestHandle = opened.RequestHeader.RequestHandle
            self._send(struct_to_binary(answer), request, ua.MessageType.SecureOpen)
            return
        header = struct_from_binary(ua.RequestHeader, body)
        if kind == ObjectIds.PublishRequest_Encoding_DefaultBinary:
            self._publisher.asked(int(header.RequestHandle), request)
            return
        serve = _SERVICES.get(kind)
        response = ua.ServiceFault() if serve is None else serve(self, body)
        if serve is None:
            response.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(StatusCodes.BadServiceUnsupported))
        response.ResponseHeader.RequestHandle = header.RequestHandle
        self._send(struct_to_binary(response), request)

    def get_new_channel_id(self) -> int:
        """The stack asks for it by this name."""
        return 1

    def endpoints(self, _body: Buffer) -> Any:
        return ua.GetEndpointsResponse(Endpoints=[self._endpoint()])

    def _endpoint(self) -> ua.EndpointDescription:
        return ua.EndpointDescription(
            EndpointUrl=self._url,
            SecurityMode=ua.MessageSecurityMode.None_,
            SecurityPolicyUri=SecurityPolicyNone.URI,
            UserIdentityTokens=[ua.UserTokenPolicy(PolicyId="anonymous", TokenType=ua.UserTokenType.Anonymous)],
            TransportProfileUri="http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary",
        )

    def create_session(self, body: Buffer) -> Any:
        asked = struct_from_binary(ua.CreateSessionParameters, body)
        response = ua.CreateSessionResponse()
        response.Parameters.SessionId = ua.NodeId(1, 1)
        response.Parameters.AuthenticationToken = ua.NodeId(2, 1)
        response.Parameters.RevisedSessionTimeout = asked.RequestedSessionTimeout
        response.Parameters.ServerNonce = bytes(32)
        response.Parameters.ServerEndpoints = [self._endpoint()]
        return response

    def activate_session(self, _body: Buffer) -> Any:
        response = ua.ActivateSessionResponse()
        response.Parameters.ServerNonce = bytes(32)
        return response

    def close_session(self, _body: Buffer) -> Any:
        return ua.CloseSessionResponse()

    def read(self, body: Buffer) -> Any:
        asked = struct_from_binary(ua.ReadParameters, body).NodesToRead
        return ua.ReadResponse(Results=[_read(node.NodeId) for node in asked])

    def create_subscription(self, body: Buffer) -> Any:
        asked = struct_from_binary(ua.CreateSubscriptionParameters, body)
        self._publisher.begin(self._send)
        response = ua.CreateSubscriptionResponse()
        response.Parameters.SubscriptionId = ua.IntegerId(1)
        response.Parameters.RevisedPublishingInterval = asked.RequestedPublishingInterval
        response.Parameters.RevisedLifetimeCount = asked.RequestedLifetimeCount
        response.Parameters.RevisedMaxKeepAliveCount = asked.RequestedMaxKeepAliveCount
        return response

    def create_items(self, body: Buffer) -> Any:
        asked = struct_from_binary(ua.CreateMonitoredItemsParameters, body).ItemsToCreate
        self._publisher.watch([int(item.RequestedParameters.ClientHandle) for item in asked])
        granted = [
            ua.MonitoredItemCreateResult(MonitoredItemId=ua.IntegerId(place), RevisedQueueSize=ua.Counter(1))
            for place in range(len(asked))
        ]
        return ua.CreateMonitoredItemsResponse(Results=granted)

    def delete_subscriptions(self, body: Buffer) -> Any:
        asked = struct_from_binary(ua.DeleteSubscriptionsParameters, body).SubscriptionIds
        return ua.DeleteSubscriptionsResponse(Results=[ua.StatusCode()] * len(asked))


def _read(node: ua.NodeId) -> ua.DataValue:
    if node.Identifier == _NAMESPACE_ARRAY:
        return ua.DataValue(ua.Variant(["http://opcfoundation.org/UA/", NAMESPACE], ua.VariantType.String))
    return ua.DataValue(ua.Variant(0, ua.VariantType.Int32))


_SERVICES: Final[Mapping[int, Callable[[_Conversation, Buffer], Any]]] = {
    int(ObjectIds.GetEndpointsRequest_Encoding_DefaultBinary): _Conversation.endpoints,
    int(ObjectIds.CreateSessionRequest_Encoding_DefaultBinary): _Conversation.create_session,
    int(ObjectIds.ActivateSessionRequest_Encoding_DefaultBinary): _Conversation.activate_session,
    int(ObjectIds.CloseSessionRequest_Encoding_DefaultBinary): _Conversation.close_session,
    int(ObjectIds.ReadRequest_Encoding_DefaultBinary): _Conversation.read,
    int(ObjectIds.CreateSubscriptionRequest_Encoding_DefaultBinary): _Conversation.create_subscription,
    int(ObjectIds.CreateMonitoredItemsRequest_Encoding_DefaultBinary): _Conversation.create_items,
    int(ObjectIds.DeleteSubscriptionsRequest_Encoding_DefaultBinary): _Conversation.delete_subscriptions,
}


def serve(load: Load, clock_ns: Callable[[], int], pipe: Connection) -> None:
    """Serve on a free port of the loopback: sends the port, and for whatever comes the values sent so far; ends at EOF.

    Made to be a process of its own. clock_ns: nanoseconds since 1970, for the times of values.
    """
    asyncio.run(_serve(load, clock_ns, pipe))


async def _serve(load: Load, clock_ns: Callable[[], int], pipe: Connection) -> None:
    publisher = Publisher(load, clock_ns)
    loop = asyncio.get_running_loop()
    url = ["opc.tcp://127.0.0.1:0"]
    server = await loop.create_server(lambda: _Conversation(publisher, url[0]), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url[0] = f"opc.tcp://127.0.0.1:{port}"
    pipe.send(port)
    pacing = asyncio.create_task(publisher.pace()) if load.per_second else None
    ended = asyncio.Event()

    def answer() -> None:
        try:
            pipe.recv()
            pipe.send(publisher.sent)
        except EOFError:
            loop.remove_reader(pipe.fileno())
            ended.set()

    loop.add_reader(pipe.fileno(), answer)
    await ended.wait()
    if pacing is not None:
        pacing.cancel()
    server.close()
