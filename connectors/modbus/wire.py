"""Questions and answers as bytes, and whether an answer fits its question: pure functions.

Promises: a number is taken only from an answer of the unit, the function and the length that were asked for; anything
else says what it is: an exception of the device, or a lie with its reason. Refuses to know sockets and time. Frames:
MODBUS Messaging on TCP/IP V1.0b, 3.1.3 and MODBUS over Serial Line V1.02, 2.5.1; functions: Application Protocol
V1.1b3, 6.1 to 6.4.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pymodbus.framer.rtu import FramerRTU

from connectors.modbus.settings import Table

FUNCTIONS: Final[Mapping[Table, int]] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
BITS: Final = frozenset({"coil", "discrete"})
"""The tables of single bits."""
NOT_THERE: Final = frozenset({1, 2, 3})
"""Exception codes by which a device says that it has no such function, address or number of registers."""
UNREACHABLE: Final = frozenset({0x0A, 0x0B})
"""Exception codes by which a gateway says that the unit behind it does not answer."""
HEADER: Final = struct.Struct(">HHHB")
"""Transaction, protocol (0), bytes that follow, unit."""
PDU_MAX: Final = 253
"""Bytes of function and data (Application Protocol V1.1b3, 4.1)."""
_TCP: Final = struct.Struct(">HHHBBHH")
_QUESTION: Final = struct.Struct(">BBHH")


class Reason(StrEnum):
    """In what an answer did not fit its question."""

    TRANSACTION = "transaction"
    PROTOCOL = "protocol"
    LENGTH = "length"
    UNIT = "unit"
    FUNCTION = "function"
    BYTE_COUNT = "byte count"
    CHECKSUM = "checksum"


class Lie(Exception):
    """An answer that does not fit its question: none of its bytes may be a value. `reason` says in what."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the {reason.value} of the answer does not fit the question")
        self.reason = reason


class DeviceException(Exception):
    """The device answered that it will not, or cannot; `code` is its exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Question:
    """A read: `count` registers or bits from `address` of a table of a unit.

    function: its code. data_bytes: how many bytes of data its answer has. Both are worked out once, for it is asked at
    every poll.
    """

    unit: int
    table: Table
    address: int
    count: int
    function: int = field(init=False, compare=False, repr=False)
    data_bytes: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "function", FUNCTIONS[self.table])
        size = (self.count + 7) // 8 if self.table in BITS else 2 * self.count
        object.__setattr__(self, "data_bytes", size)

    def body(self) -> bytes:
        """Return unit, function, address and count."""
        return _QUESTION.pack(self.unit, self.function, self.address, self.count)

    def tcp(self, transaction: int) -> bytes:
        """Return the frame for TCP."""
        return _TCP.pack(transaction, 0, 6, self.unit, self.function, self.address, self.count)

    def rtu(self) -> bytes:
        """Return the frame for a serial line."""
        body = self.body()
        return body + checksum(body)


def checksum(body: bytes) -> bytes:
    """Return the two bytes that end a frame on a serial line, the low one first."""
    value: int = FramerRTU.compute_CRC(body)
    return struct.pack(">H", value)


def data_of(question: Question, unit: int, pdu: bytes) -> bytes:
    """Return the data of an answer: a unit, and function and what follows it.

    Raises `DeviceException`, and `Lie` for whatever does not fit.
    """
    if unit != question.unit:
        raise Lie(Reason.UNIT)
    if not pdu or pdu[0] & 0x7F != question.function:
        raise Lie(Reason.FUNCTION)
    if pdu[0] & 0x80:
        if len(pdu) != 2:
            raise Lie(Reason.LENGTH)
        raise DeviceException(pdu[1])
    if len(pdu) < 2 or pdu[1] != question.data_bytes:
        raise Lie(Reason.BYTE_COUNT)
    if len(pdu) != 2 + question.data_bytes:
        raise Lie(Reason.LENGTH)
    return pdu[2:]


def rtu_length(question: Question, frame: bytes) -> int | None:
    """Return how many bytes the answer on a serial line will have, by its first two; None while it cannot be told."""
    if len(frame) < 2:
        return None
    return 5 if frame[1] & 0x80 else 5 + question.data_bytes


def rtu_data_of(question: Question, frame: bytes) -> bytes:
    """Return the data of an answer on a serial line. Raises `DeviceException`, `Lie`."""
    if len(frame) < 4:
        raise Lie(Reason.LENGTH)
    if frame[-2:] != checksum(frame[:-2]):
        raise Lie(Reason.CHECKSUM)
    return data_of(question, frame[0], frame[1:-2])
