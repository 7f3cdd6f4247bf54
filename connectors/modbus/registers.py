"""Registers to values, a block at a time: pure functions.

Promises: numbers of one kind are read in one go, whatever their places; what holds no finite number is NaN; the order
of words and bytes is the device's habit and stands in the tag. What a plan of reading does to the bytes is worked out
once, when it is made. Refuses to know devices. Registers: MODBUS Application Protocol V1.1b3, 4.2 and 4.4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from connectors.modbus.plan import Block, Point
from connectors.modbus.settings import Kind
from connectors.samples import Values

_FORMS: Final[Mapping[Kind, str]] = {
    "uint16": ">u2",
    "int16": ">i2",
    "uint32": ">u4",
    "int32": ">i4",
    "uint64": ">u8",
    "int64": ">i8",
    "float32": ">f4",
    "float64": ">f8",
}
_BCD: Final[Mapping[Kind, int]] = {"bcd16": 4, "bcd32": 8}
ROLL_NEAR: Final = 0.1
"""A counter that rolls over goes from the last tenth of its range to the first; any other fall is a reset."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Points of a block that are read alike: their rows in it, and the registers of each, the highest word first."""

    kind: Kind
    rows: NDArray[np.int64]
    registers: NDArray[np.int64]
    swapped: bool


class Decoder:
    """Reads the values of blocks out of their bytes, one behind the other; counters count on from poll to poll."""

    def __init__(self, blocks: Sequence[Block], counters: Mapping[str, Counter] | None = None) -> None:
        """Take blocks of registers, or one of bits, and the state of those of their tags that count, by key."""
        self.points = tuple(point for block in blocks for point in block.points)
        starts = np.cumsum([0, *(block.count for block in blocks)])
        places = [
            start + point.address - block.address
            for start, block in zip(starts.tolist(), blocks, strict=False)
            for point in block.points
        ]
        points = self.points
        self._counters = {
            row: counters[point.key] for row, point in enumerate(points) if counters and point.key in counters
        }
        self._bits = np.array(places, np.int64)
        self._is_bits = any(block.table in ("coil", "discrete") for block in blocks)
        self._texts = [row for row, point in enumerate(points) if point.tag.type == "string"]
        self._groups = () if self._is_bits else tuple(_groups(points, self._bits))
        self._masks = np.array([-1 if point.tag.bit is None else point.tag.bit for point in points], np.int64)
        self._masked = bool((self._masks >= 0).any())
        self._scale = np.array([point.tag.scale for point in points], np.float64)
        self._offset = np.array([point.tag.offset for point in points], np.float64)
        self._scaled = bool((self._scale != 1).any() or (self._offset != 0).any())

    def values(self, data: bytes) -> Values:
        """Return a value for each point, NaN where it holds none; texts are NaN, see `texts`.

        `data` is the answer's: big-endian registers, or packed bits. Its length has been checked.
        """
        if self._is_bits:
            bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
            return self._worth(bits[self._bits].astype(np.float64))
        registers = np.frombuffer(data, ">u2")
        values = np.full(len(self.points), math.nan)
        for group in self._groups:
            values[group.rows] = _read(registers, group)
        if self._masked:
            rows = np.flatnonzero(self._masks >= 0)
            words = registers[self._bits[rows]].astype(np.int64)
            values[rows] = (words >> self._masks[rows]) & 1
        for row, counter in self._counters.items():
            values[row] = counter.take(float(values[row]))
        return self._worth(values)

    def _worth(self, values: Values) -> Values:
        worth = values * self._scale + self._offset if self._scaled else values
        finite = np.isfinite(worth)
        return worth if finite.all() else np.where(finite, worth, math.nan)

    def texts(self, data: bytes) -> dict[int, str]:
        """Return the texts of those points that hold one, by their row."""
        found = {}
        for row in self._texts:
            point = self.points[row]
            start = int(self._bits[row]) * 2
            found[row] = text(data[start : start + 2 * point.tag.words], swapped=point.tag.byte_order == "little")
        return found


def _groups(points: Sequence[Point], places: NDArray[np.int64]) -> list[Group]:
    alike: dict[tuple[Kind, str, str], list[tuple[int, Point]]] = {}
    for row, point in enumerate(points):
        tag = point.tag
        if tag.type != "string" and tag.bit is None:
            alike.setdefault((tag.type, tag.word_order, tag.byte_order), []).append((row, point))
    return [_group(kind, words, order, held, places) for (kind, words, order), held in alike.items()]


def _group(
    kind: Kind, word_order: str, byte_order: str, held: Sequence[tuple[int, Point]], places: NDArray[np.int64]
) -> Group:
    width = held[0][1].tag.words
    steps = np.arange(width) if word_order == "big" else np.arange(width)[::-1]
    rows = np.array([row for row, _point in held], np.int64)
    starts = places[rows]
    return Group(kind, rows, starts[:, None] + steps[None, :], byte_order == "little")


def _read(registers: NDArray[np.uint16], group: Group) -> Values:
    words = registers[group.registers]
    if group.swapped:
        words = words.byteswap()
    if group.kind in _BCD:
        return _bcd(words, _BCD[group.kind])
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        return np.ascontiguousarray(words).view(_FORMS[group.kind]).ravel().astype(np.float64)


def _bcd(words: NDArray[np.uint16], digits: int) -> Values:
    """Four bits a digit; NaN where one of them is none."""
    whole = np.zeros(len(words), np.int64)
    valid = np.ones(len(words), bool)
    for place in range(digits):
        nibble = (words[:, place // 4].astype(np.int64) >> (12 - 4 * (place % 4))) & 0xF
        valid &= nibble <= 9
        whole = whole * 10 + nibble
    return np.where(valid, whole.astype(np.float64), math.nan)


def text(data: bytes, *, swapped: bool = False) -> str:
    """Return a text in registers: two characters each, up to the first zero byte, without space around it."""
    if swapped:
        data = b"".join(data[place + 1 : place + 2] + data[place : place + 1] for place in range(0, len(data), 2))
    return data.partition(b"\0")[0].decode("utf-8", errors="replace").strip()


@dataclass(slots=True)
class Counter:
    """A number that only grows and begins again at its end: counted on beyond it.

    modulus: how many steps its range has. A fall from its last tenth to its first is a roll-over; any other fall is a
    reset and is passed on as it is: what became of the part is not for a connector to judge.
    """

    modulus: float
    last: float | None = None
    turns: int = 0

    def take(self, raw: float) -> float:
        """Return the count for a raw number."""
        if not math.isfinite(raw):
            return raw
        if self.last is not None and raw < self.last:
            near = ROLL_NEAR * self.modulus
            rolled = self.last >= self.modulus - near and raw <= near
            self.turns = self.turns + 1 if rolled else 0
        self.last = raw
        return raw + self.turns * self.modulus


def modulus(kind: Kind) -> float:
    """Return how many steps the range of a counter's kind has. Raises KeyError for what cannot count."""
    return {"uint16": 2.0**16, "uint32": 2.0**32, "uint64": 2.0**64, "bcd16": 1e4, "bcd32": 1e8}[kind]
