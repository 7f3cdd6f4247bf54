"""Servers that mean harm: slow, endless, garbled, lying about lengths. Bounded in time and memory, and by name."""

from __future__ import annotations

import asyncio
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.common.utils import Buffer
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.ua import ua_binary
from hypothesis import given
from hypothesis import strategies as st

from connectors.connector import ConnectionLost
from connectors.opcua import bounds, client
from connectors.opcua.bounds import CHUNK_BYTES, MESSAGE_BYTES, MESSAGE_CHUNKS, BoundedProtocol, TooLarge
from connectors.opcua.client import BoundedClient, close
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.session import asked
from connectors.opcua.settings import OpcUaSettings, OpcUaTag

ACKNOWLEDGE = b"ACKF" + struct.pack("<I5I", 28, 0, 65536, 65536, 0, 0)
HELD_BYTES = 3 * MESSAGE_BYTES
"""What a client may hold at the worst moment: a message in chunks, joined, and in parts."""

Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def playing(play: Play) -> AsyncIterator[str]:
    """A server that does the same to every caller; yields its address."""
    calls: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        calls.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await play(reader, writer)
                while await reader.read(65536):
                    pass
        finally:
            writer.transport.abort()
            calls.discard(task)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for call in tuple(calls):
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def _asked_for(reader: asyncio.StreamReader) -> bytes:
    header = await reader.readexactly(8)
    return header + await reader.readexactly(int.from_bytes(header[4:], "little") - 8)


class Channel:
    """The honest beginning of a conversation without security, on a server that turns bad after it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.wire = SecureConnection(SecurityPolicyNone(), TransportLimits())
        self.request = 0

    async def open(self) -> None:
        await _asked_for(self.reader)
        self.writer.write(ACKNOWLEDGE)
        asked_for = await self._request()
        response = ua.OpenSecureChannelResponse()
        request = ua_binary.struct_from_binary(ua.OpenSecureChannelRequest, asked_for)
        response.Parameters = self.wire.open(request.Parameters, self)
        self.send(response, ua.MessageType.SecureOpen)

    def get_new_channel_id(self) -> int:
        return 7

    async def _request(self) -> Buffer:
        buffer = Buffer(await _asked_for(self.reader))
        header = ua_binary.header_from_binary(buffer)
        message = self.wire.receive_from_header_and_body(header, buffer)
        self.request = message.request_id()
        body: Buffer = message.body()
        return body

    async def asked(self) -> None:
        """Wait for the client's question."""
        await self._request()

    def packed(self, response: Any, kind: Any = ua.MessageType.SecureMessage) -> bytes:
        return self.wire.message_to_binary(ua_binary.struct_to_binary(response), kind, self.request)

    def send(self, response: Any, kind: Any = ua.MessageType.SecureMessage) -> None:
        self.writer.write(self.packed(response, kind))

    def chunk(self, kind: bytes, body: bytes, size: int | None = None) -> bytes:
        """Return one chunk of the answer; `size` is what its header says."""
        self.wire._sequence_number += 1
        rest = struct.pack("<IIII", 7, 13, self.wire._sequence_number, self.request) + body
        return b"MSG" + kind + struct.pack("<I", 8 + len(rest) if size is None else size) + rest


async def greeting(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await _asked_for(reader)


async def greeted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _asked_for(reader)
    writer.write(ACKNOWLEDGE)
    await _asked_for(reader)


async def opened(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    channel = Channel(reader, writer)
    await channel.open()
    await channel.asked()


PHASES: dict[str, tuple[Play, bytes]] = {
    "in hello": (greeting, ACKNOWLEDGE),
    "in open channel": (greeted, b"OPNF" + struct.pack("<I", 132) + bytes(124)),
    "in a response": (opened, b"MSGF" + struct.pack("<I", 60_000) + bytes(59_992)),
}


def conversation(url: str, state: Path) -> OpcUaConnector:
    settings = OpcUaSettings(url=url, server_certificate="sha256:" + "ab" * 32)
    tags = {"m/level": OpcUaTag(node="nsu=urn:mill;s=level", unit="mm")}
    return OpcUaConnector("hall", settings, tags, clock=lambda: datetime.now(UTC), state=state)


async def lost(url: str, state: Path) -> str:
    """Return how a conversation with a server ends, which has to be as a lost connection."""
    with pytest.raises(ConnectionLost) as caught:
        await conversation(url, state).probe()
    said = str(caught.value)
    assert len(said) < 400
    return said


@pytest.mark.parametrize("phase", PHASES)
async def test_a_server_that_sends_a_byte_at_a_time_is_left_in_time(
    phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client, "REQUEST_SECONDS", 0.4)
    until, slowly = PHASES[phase]

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await until(reader, writer)
        for byte in slowly:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.1)

    async with playing(trickle) as url:
        begun = time.monotonic()
        said = await lost(url, tmp_path)
    assert "TimeoutError" in said
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    "garbage", [b"\x00" * 100, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 5000, b"MSGF\x00\x00\x00\x00"]
)
async def test_garbage_at_any_time_is_a_lost_connection(
    phase: str, garbage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client, "REQUEST_SECONDS", 0.4)
    until, _slowly = PHASES[phase]

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await until(reader, writer)
        writer.write(garbage)

    async with playing(babble) as url:
        begun = time.monotonic()
        await lost(url, tmp_path)
    assert time.monotonic() - begun < 4


async def _flooded(flood: Callable[[Channel], Awaitable[None]], state: Path) -> tuple[str, int]:
    """Return how a flood ends, and the most bytes that were held during it."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = Channel(reader, writer)
        await channel.open()
        await channel.asked()
        await flood(channel)

    async with playing(play) as url:
        tracemalloc.start()
        try:
            said = await lost(url, state)
            return said, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


async def test_a_message_of_a_hundred_megabytes_is_cut_at_four(tmp_path: Path):
    sent = 0

    async def flood(channel: Channel) -> None:
        nonlocal sent
        for _number in range(100 * 1024 * 1024 // 60_000):
            channel.writer.write(channel.chunk(b"C", bytes(60_000)))
            await channel.writer.drain()
            sent += 60_000

    said, held = await _flooded(flood, tmp_path)
    assert "BadRequestTooLarge" in said
    assert held < HELD_BYTES
    assert sent < 40_000_000  # what was on its way when the client hung up


async def test_more_chunks_than_a_message_may_have_are_refused(tmp_path: Path):
    async def flood(channel: Channel) -> None:
        for _number in range(MESSAGE_CHUNKS + 1):
            channel.writer.write(channel.chunk(b"C", b"x"))
        await channel.writer.drain()

    said, _held = await _flooded(flood, tmp_path)
    assert "BadRequestTooLarge" in said


async def test_one_chunk_of_a_hundred_megabytes_is_not_waited_for(tmp_path: Path):
    async def flood(channel: Channel) -> None:
        channel.writer.write(channel.chunk(b"F", bytes(1000), size=100 * 1024 * 1024))
        for _number in range(1000):
            channel.writer.write(bytes(100_000))
            await channel.writer.drain()

    said, held = await _flooded(flood, tmp_path)
    assert f"a chunk of {100 * 1024 * 1024} bytes, and {CHUNK_BYTES} is the most" in said
    assert held < HELD_BYTES


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x80" + struct.pack("<i", 2**31 - 1),  # a Variant: an array of nothing
        b"\x98" + struct.pack("<i", 2) + (b"\x80" + struct.pack("<i", 2**31 - 1)) * 2,  # two of them in a Variant
        b"\x18" * 100_000,  # a Variant in a Variant in a Variant
    ],
)
async def test_a_few_bytes_that_would_decode_to_gigabytes_are_refused(bomb: bytes, tmp_path: Path):
    async def send(channel: Channel) -> None:
        # In the header of any response, so before anybody has proved who they are.
        response = ua.GetEndpointsResponse()
        response.ResponseHeader.Timestamp = datetime.now(UTC)
        whole = ua_binary.struct_to_binary(response)
        header = ua_binary.nodeid_to_binary(response.TypeId) + ua_binary.struct_to_binary(response.ResponseHeader)
        assert whole.startswith(header)
        kind = ua.NodeId(ua.ObjectIds.LiteralOperand_Encoding_DefaultBinary)
        additional = ua_binary.nodeid_to_binary(kind) + b"\x01" + struct.pack("<i", len(bomb)) + bomb
        body = header[: -len(b"\x00\x00\x00")] + additional + whole[len(header) :]
        channel.writer.write(channel.wire.message_to_binary(body, request_id=channel.request))

    begun = time.monotonic()
    said, held = await _flooded(send, tmp_path)
    assert held < HELD_BYTES
    assert time.monotonic() - begun < 4
    assert "announces" in said or "RecursionError" in said, said


def test_a_list_is_no_longer_than_its_bytes():
    decode = bounds._list_of(ua.TransmitQosDataType)  # a structure without any field
    with pytest.raises(TooLarge):
        decode(Buffer(struct.pack("<i", 2**31 - 1)))
    assert len(decode(Buffer(struct.pack("<i", 3)))) == 3
    assert decode(Buffer(struct.pack("<i", -1))) == []


async def test_a_server_that_takes_no_request_of_any_size_is_left(tmp_path: Path):
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _asked_for(reader)
        writer.write(b"ACKF" + struct.pack("<I5I", 28, 0, 100, 100, 0, 0))

    async with playing(play) as url:
        assert "no request fits" in await lost(url, tmp_path)


async def test_one_hostile_server_does_not_slow_the_others(tmp_path: Path):
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greeting(reader, writer)
        while True:
            writer.write(b"MSGC" + struct.pack("<I", CHUNK_BYTES + 1) + bytes(CHUNK_BYTES - 7))
            await writer.drain()

    waited = []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            waited.append(time.monotonic() - before)

    ticking = asyncio.create_task(tick())
    async with playing(flood) as url:
        for _number in range(3):
            await lost(url, tmp_path)
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    assert max(waited) < 3.0  # what is taken in whole would take longer, a busy machine does not


class _Transport:
    """Notes that it was hung up."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True

    close = abort


@given(st.lists(st.integers(1, 40), max_size=40), st.integers(1, 5))
def test_however_bytes_are_cut_the_same_chunks_are_seen(cuts: list[int], count: int):
    """Fed whole or in pieces, the receiver passes on the same messages; nothing waits that is whole."""

    async def seen(pieces: list[bytes]) -> list[bytes]:
        found: list[bytes] = []
        protocol = BoundedProtocol(1.0, SecurityPolicyNone(), bounds.limits())
        protocol._process_received_message = lambda message: found.append(repr(message).encode())  # type: ignore[method-assign,assignment]
        protocol.connection_made(_Transport())  # type: ignore[arg-type]
        for piece in pieces:
            protocol.data_received(piece)
        return found

    wire = ACKNOWLEDGE * count
    pieces, rest = [], wire
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    whole, cut_up = asyncio.run(seen([wire])), asyncio.run(seen([each for each in (*pieces, rest) if each]))
    assert len(whole) == count
    assert cut_up == whole


async def test_a_farewell_to_a_server_that_takes_nothing_is_short(tmp_path: Path):
    async with playing(opened) as url:
        caller = BoundedClient(url)
        caller.uaclient._timeout = 0.3
        with pytest.raises(ConnectionLost):
            await asked(url, tmp_path, caller.connect())
        begun = time.monotonic()
        await close(caller)
    assert time.monotonic() - begun < 1.5
