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
        self._tasks: set[asyncio.Task[None]] = set()
        self._later_ones: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._joined, self._host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up and listen no more."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._later_ones:
            task.cancel()
        # the others end by themselves, now that their connections are gone
        await asyncio.gather(*self._tasks, *self._later_ones, return_exceptions=True)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            while True:
                await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one question; its answer comes when it comes, and over TCP others may overtake it."""
        number, unit = 0, 0
        if self._rtu:
            unit, *rest = await reader.readexactly(8)
            question = bytes(rest[:5])
        else:
            number, _protocol, length, unit = HEADER.unpack(await reader.readexactly(HEADER.size))
            question = await reader.readexactly(length - 1)
        device = self.units.get(unit)
        self.asked[unit] = self.asked.get(unit, 0) + 1
        if device is None or device.dead:
            return
        if device.delay_s and not self._rtu:
            later = asyncio.create_task(self._later(device, number, unit, question, writer))
            self._later_ones.add(later)
            later.add_done_callback(self._later_ones.discard)
            return
        await self._later(device, number, unit, question, writer)

    async def _later(self, device: Unit, number: int, unit: int, question: bytes, writer: asyncio.StreamWriter) -> None:
        if device.delay_s:
            await asyncio.sleep(device.delay_s)
        writer.write(self._frames(device, number, unit, question))

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
        return frame[: len(frame) // 2] if lie is Lie.TRUNCATED else frame

    def _framed(self, number: int, unit: int, pdu: bytes, lie: Lie | None) -> bytes:
        body = bytes([unit]) + pdu
        if self._rtu:
            ending = checksum(body)
            return body + (bytes([ending[0] ^ 0xFF, ending[1]]) if lie is Lie.CHECKSUM else ending)
        number = {Lie.TRANSACTION: number ^ 0x5555, Lie.TRANSACTION_ZERO: 0}.get(lie, number) if lie else number
        length = len(body) + {Lie.SHORT: -1, Lie.LONG: 2}.get(lie, 0) if lie else len(body)
        return struct.pack(">HHH", number, 7 if lie is Lie.PROTOCOL else 0, max(length, 0)) + body


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
