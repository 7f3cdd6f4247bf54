"""A simulated Modbus line for integrators: many units behind one port, each of which may be dead, slow, or lie.

It writes its frames itself, because a proper server cannot be made to answer wrongly. Every way in which a device can
lie about an answer is a `Lie`; what it tells is wrong, well-formed enough to tempt, and different from the truth. Over
TCP, over serial frames on TCP, or under TLS. It is for tests and for trying a site's config: see `toolcrib simulate`.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from connectors.modbus.wire import FUNCTIONS, HEADER, checksum

ILLEGAL_ADDRESS: Final = 2
NO_ANSWER_BEHIND: Final = 0x0B
"""What a gateway says of a unit that does not answer it."""
_TABLES: Final = {function: table for table, function in FUNCTIONS.items()}


class Lie(StrEnum):
    """How a device answers wrongly."""

    TRANSACTION = "another transaction"
    TRANSACTION_ZERO = "transaction 0"
    PROTOCOL = "another protocol"
    UNIT = "another unit"
    FUNCTION = "another function"
    FEWER = "fewer registers"
    MORE = "more registers"
    BYTE_COUNT = "a byte count that is not true"
    SHORT = "a length that is too short"
    LONG = "a length that is too long"
    TRUNCATED = "an answer cut off"
    ENDLESS = "an answer whose last bytes are missing"
    NOISE = "noise"
    TWICE = "every answer twice"
    STALE = "the answer to the question before"
    EXCEPTION_OF_ANOTHER = "an exception of another function"
    CHECKSUM = "a wrong checksum"


@dataclass(slots=True)
class Unit:
    """A device: its registers and bits by table, and how it behaves.

    holes: addresses of holding and input registers that it does not have. delay_s: before each answer. dead: it never
    answers. refused: as dead, and the gateway says so by exception 11.
    """

    registers: list[int] = field(default_factory=lambda: [0] * 1000)
    bits: list[bool] = field(default_factory=lambda: [False] * 2000)
    holes: frozenset[int] = frozenset()
    delay_s: float = 0.0
    dead: bool = False
    refused: bool = False
    lie: Lie | None = None


class Line:
    """Units behind one port; `asked` counts the questions of each."""

    def __init__(
        self,
        units: Mapping[int, Unit],
        *,
        rtu: bool = False,
        tls: ssl.SSLContext | None = None,
        seed: int = 1,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Describe the line; it listens while it is entered. Port 0 lets the system choose."""
        self.units = dict(units)
        self.asked: dict[int, int] = dict.fromkeys(units, 0)
        self.port = port
        self._rtu = rtu
        self._tls = tls
        self._host = host
        self._rng = random.Random(seed)
        self._before = b""
        self._server: asyncio.Server | None = None
        self._open: set[_Conversation] = set()
        self._later: set[asyncio.TimerHandle] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Conversation(self), self._host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up and listen no more."""
        if self._server is not None:
            self._server.close()
        for timer in self._later:
            timer.cancel()
        for conversation in self._open:
            conversation.hang_up()

    def _asked(self, number: int, unit: int, question: bytes, send: Callable[[bytes], None]) -> bytes:
        """Return what is sent at once; what a slow unit says is sent later, and over TCP others overtake it."""
        device = self.units.get(unit)
        self.asked[unit] = self.asked.get(unit, 0) + 1
        if device is None or device.dead:
            return b""
        if device.delay_s == 0.0:
            return self._frames(device, number, unit, question)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(device.delay_s, lambda: send(self._frames(device, number, unit, question)))
        self._later.add(timer)
        return b""

    def _frames(self, device: Unit, number: int, unit: int, question: bytes) -> bytes:
        """Return what is sent as the answer to a question."""
        honest = answer(device, question)
        lie = device.lie
        if lie is Lie.NOISE:
            return self._rng.randbytes(self._rng.randrange(1, 40))
        pdu = _LIES[lie](honest) if lie in _LIES else honest
        if lie is Lie.UNIT:
            unit ^= 0x40
        frame = self._framed(number, unit, pdu, lie)
        before, self._before = self._before, frame
        if lie is Lie.TWICE:
            return frame + frame
        if lie is Lie.STALE:
            return before
        if lie is Lie.ENDLESS:
            return frame[:-3]
        return frame[: len(frame) // 2] if lie is Lie.TRUNCATED else frame

    def _framed(self, number: int, unit: int, pdu: bytes, lie: Lie | None) -> bytes:
        body = bytes([unit]) + pdu
        if self._rtu:
            ending = checksum(body)
            return body + (bytes([ending[0] ^ 0xFF, ending[1]]) if lie is Lie.CHECKSUM else ending)
        number = {Lie.TRANSACTION: number ^ 0x5555, Lie.TRANSACTION_ZERO: 0}.get(lie, number) if lie else number
        length = len(body) + {Lie.SHORT: -1, Lie.LONG: 2}.get(lie, 0) if lie else len(body)
        return struct.pack(">HHH", number, 7 if lie is Lie.PROTOCOL else 0, max(length, 0)) + body


class _Conversation(asyncio.Protocol):
    """One client: its bytes into questions, and what is ready into one piece."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._line._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._line._open.discard(self)

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def send(self, frames: bytes) -> None:
        if self._transport is not None and frames:
            self._transport.write(frames)

    def data_received(self, data: bytes) -> None:
        data, at = self._received + data, 0
        frames = []
        while (whole := self._length(data, at)) and len(data) - at >= whole:
            number = 0 if self._line._rtu else int.from_bytes(data[at : at + 2], "big")
            body = data[at : at + 6] if self._line._rtu else data[at + 6 : at + whole]
            frames.append(self._line._asked(number, body[0], body[1:], self.send))
            at += whole
        self._received = data[at:]
        self.send(b"".join(frames))

    def _length(self, data: bytes, at: int) -> int:
        """How long the next question is; 0 while it cannot be told."""
        if self._line._rtu:
            return 8
        return 6 + int.from_bytes(data[at + 4 : at + 6], "big") if len(data) - at >= HEADER.size else 0


def conversation(line: Line) -> asyncio.Protocol:
    """Return one client's talk with a line, for another transport than its port."""
    return _Conversation(line)


def answer(device: Unit, question: bytes) -> bytes:
    """Return the honest answer of a device: function and data, or an exception."""
    function, address, count = struct.unpack(">BHH", question[:5])
    if device.refused:
        return bytes([function | 0x80, NO_ANSWER_BEHIND])
    table = _TABLES.get(function)
    if table is None:
        return bytes([function | 0x80, 1])
    if table in ("coil", "discrete"):
        bits = device.bits[address : address + count]
        if len(bits) < count or count == 0:
            return bytes([function | 0x80, ILLEGAL_ADDRESS])
        packed = bytearray((count + 7) // 8)
        for place, bit in enumerate(bits):
            packed[place // 8] |= bit << place % 8
        return bytes([function, len(packed)]) + bytes(packed)
    words = device.registers[address : address + count]
    asked = range(address, address + count)
    if len(words) < count or count == 0 or any(hole in asked for hole in device.holes):
        return bytes([function | 0x80, ILLEGAL_ADDRESS])
    return bytes([function, 2 * count]) + struct.pack(f">{count}H", *words)


def _fewer(pdu: bytes) -> bytes:
    return bytes([pdu[0], max(0, pdu[1] - 2)]) + pdu[2:-2]


def _more(pdu: bytes) -> bytes:
    return bytes([pdu[0], (pdu[1] + 2) & 0xFF]) + pdu[2:] + b"\x12\x34"


_LIES: Final[Mapping[Lie | None, Callable[[bytes], bytes]]] = {
    Lie.FUNCTION: lambda pdu: bytes([pdu[0] ^ 7]) + pdu[1:],
    Lie.FEWER: _fewer,
    Lie.MORE: _more,
    Lie.BYTE_COUNT: lambda pdu: pdu[:1] + bytes([pdu[1] ^ 2]) + pdu[2:],
    Lie.EXCEPTION_OF_ANOTHER: lambda pdu: bytes([(pdu[0] ^ 7) | 0x80, 2]),
}


def of_floats(values: Sequence[float]) -> list[int]:
    """Return registers that hold numbers as 32-bit floats, the high word first."""
    return list(struct.unpack(f">{2 * len(values)}H", struct.pack(f">{len(values)}f", *values)))
