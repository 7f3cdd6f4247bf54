"""What a server may make us hold and do, however it lies: chunks, messages and lists have an end.

Promises: memory and time spent on what arrives grow with the bytes that have arrived and never with a number that they
contain; what goes beyond ends the connection at once, in one sentence. The protocol stack's own receiver waits for a
chunk of any announced size and joins what it has anew for every byte; its decoder makes as many elements as a length
says, also of those that take no bytes. Refuses to know what messages mean.

Chunks and messages: OPC 10000-6, 6.7.2 and 7.1.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

from asyncua import ua
from asyncua.client.ua_client import UASocketProtocol
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import uatcp_to_binary
from asyncua.ua.uaerrors import UaError

MESSAGE_BYTES: Final = 4 * 1024 * 1024
MESSAGE_CHUNKS: Final = 64
"""Ten times what 1,000 tags need; the stack's own limit is a hundred megabytes."""
CHUNK_BYTES: Final = 65_536
"""As large as we tell a server that it may make them."""
SENT_CHUNK_BYTES_LEAST: Final = 8192
"""The least that anybody must take (OPC 10000-6, 7.1.2.3); with less, no request of ours fits."""
EMPTY_ELEMENTS_MAX: Final = 1_000
"""Elements of a list that take no bytes: nobody has a use for any."""
_HEADER_BYTES: Final = 8
_HELLO: Final[Any] = ua.MessageType.Hello  # the stack declares it as bytes and takes it as a type of message
_NO_CLASS: Final[Any] = type(None)


class TooLarge(UaError):
    """A server sent, or announced, more than it may."""


class BoundedProtocol(UASocketProtocol):
    """The stack's receiver, which holds at most one chunk that is not whole."""

    _begun: bytearray | None = None
    _whole: int = 0

    async def send_hello(self, url: str, max_messagesize: int = 0, max_chunkcount: int = 0) -> ua.Acknowledge:
        """Greet, telling the server what we take; the stack tells it that chunks may have two gigabytes."""
        hello = ua.Hello(
            ReceiveBufferSize=ua.UInt32(CHUNK_BYTES),
            SendBufferSize=ua.UInt32(CHUNK_BYTES),
            MaxMessageSize=ua.UInt32(max_messagesize),
            MaxChunkCount=ua.UInt32(max_chunkcount),
            EndpointUrl=ua.String(url),
        )
        if self.transport is None:
            raise ConnectionError("the connection is closed")
        answer: asyncio.Future[ua.Acknowledge] = asyncio.get_running_loop().create_future()
        self._callbackmap[0] = answer
        self.transport.write(uatcp_to_binary(_HELLO, hello))
        async with asyncio.timeout(self.timeout):
            return await answer

    def data_received(self, data: bytes) -> None:
        """Take what arrived; a chunk is looked at when it is whole, and refused when it could never be."""
        if self._begun is not None:
            self._begun += data
            if len(self._begun) < self._whole:
                return
            data, self._begun = bytes(self._begun), None
        super().data_received(data)
        self._wait_for_the_rest()

    def _wait_for_the_rest(self) -> None:
        begun, self.receive_buffer = self.receive_buffer, None
        if begun is None:
            return
        if len(begun) < _HEADER_BYTES:
            self.receive_buffer = begun
            return
        self._whole = int.from_bytes(begun[4:_HEADER_BYTES], "little")
        if self._whole > CHUNK_BYTES:
            self._refuse(f"a chunk of {self._whole} bytes, and {CHUNK_BYTES} is the most")
        else:
            self._begun = bytearray(begun)

    def _refuse(self, what: str) -> None:
        self._fail_all_pending(TooLarge(f"the server sends {what}"))
        if self.transport is not None:
            self.transport.abort()


def limits() -> TransportLimits:
    """Return what we tell a server that we take, for a fresh protocol: it holds until the server has greeted, too."""
    return TransportLimits(CHUNK_BYTES, CHUNK_BYTES, MESSAGE_CHUNKS, MESSAGE_BYTES)


def hold(told: TransportLimits) -> None:
    """Put our limits where the stack has taken the server's for ours. Raises TooLarge where no request fits."""
    if told.max_send_buffer < SENT_CHUNK_BYTES_LEAST:
        raise TooLarge(f"the server takes chunks of {told.max_send_buffer} bytes: no request fits")
    told.max_send_buffer = min(told.max_send_buffer, CHUNK_BYTES)
    told.max_recv_buffer = CHUNK_BYTES
    told.max_message_size = MESSAGE_BYTES
    told.max_chunk_count = MESSAGE_CHUNKS


def _elements(count: int, data: Buffer) -> int:
    if count > max(len(data), EMPTY_ELEMENTS_MAX):
        raise TooLarge(f"the server announces {count} elements in {len(data)} bytes")
    return count


class _Nulls:
    """Arrays of nothing, which the decoder would make of six bytes as long as memory lasts."""

    @staticmethod
    def unpack_array(data: Buffer, length: int) -> Iterable[None]:
        return [None] * _elements(length, data)

    @staticmethod
    def pack_array(array: list[None] | None) -> bytes:
        return (-1 if array is None else len(array)).to_bytes(4, "little", signed=True)


@cache
def _list_of(kind: Any) -> Callable[[Buffer], list[Any]]:
    element: Callable[[Any], Any] | None = None

    def decode(data: Buffer) -> list[Any]:
        nonlocal element
        count = _elements(int.from_bytes(data.read(4), "little", signed=True), data)
        if element is None:  # as late as this, since structures may hold lists of themselves
            element = ua_binary._create_type_deserializer(kind, _NO_CLASS)
        return [element(data) for _ in range(count)]

    return decode


def bound_the_decoder() -> None:
    """Put bounded lists in the place of the decoder's own, for this process; doing it again changes nothing.

    To be called before anything is decoded: what the decoder has built once, it keeps.
    """
    ua_binary.Primitives1.Null = _Nulls  # type: ignore[attr-defined]
    ua_binary._create_list_deserializer = _list_of  # type: ignore[assignment]
