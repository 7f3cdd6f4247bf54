"""Values that are no plain number: where they end, checked before the library makes anything of them.

Promises: an array is as long as its bytes can be, nesting has a bound, so a few hostile bytes cannot become gigabytes
or minutes (the library would build two thousand million nulls if told so); structures are handed on as bytes with the
id of their type, for only the server's own description says what they hold; a long array of numbers is one view of
memory, and no object for each. Refuses to know messages and tags.
Encoding: OPC 10000-6, 5.2.2.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, variant_from_binary

DEPTH_MAX: Final = 16
"""Variants in variants; the standard asks decoders for 100, and nobody nests three."""
STRUCTURE: Final = 22
"""The built-in type of an extension object."""

LONG: Final = 256
"""Numbers in an array beyond which it is a window or nothing; shorter ones are told apart number by number."""

_NUMBERS: Final[Mapping[int, str]] = {
    2: "i1",
    3: "u1",
    4: "<i2",
    5: "<u2",
    6: "<i4",
    7: "<u4",
    8: "<i8",
    9: "<u8",
    10: "<f4",
    11: "<f8",
}
_I32: Final = struct.Struct("<i")
_SIZES: Final[Mapping[int, int]] = {
    **dict.fromkeys((1, 2, 3), 1),
    **dict.fromkeys((4, 5), 2),
    **dict.fromkeys((6, 7, 10, 19), 4),
    **dict.fromkeys((8, 9, 11, 13), 8),
    14: 16,
}
_NODE_IDS: Final[Mapping[int, int]] = {0: 2, 1: 4, 2: 7, 4: 19}
"""Bytes of a node id by its encoding; texts (3) and byte strings (5) say their own length (OPC 10000-6, 5.2.2.9)."""


class Overlong(ValueError):
    """A value that ends behind its message, is nested too deep, or has more elements than bytes."""


@dataclass(frozen=True, slots=True)
class Structure:
    """An extension object as it came: the id of its encoding, and its bytes."""

    encoding: ua.NodeId
    body: bytes = field(repr=False)


def read_variant(body: bytes, at: int, end: int) -> tuple[Any, int]:
    """Return a variant's value as the library reads it, and where it ends; structures are `Structure`s.

    An array of more than `LONG` numbers in one dimension is a numpy array of doubles in place of a list. A structure
    inside a variant inside an array is not looked for: such a value is None. Raises Overlong, and whatever the library
    raises.
    """
    walk = _Walk(body, end)
    behind = walk.variant(at, 0)
    kind, is_array = body[at] & 0x3F, body[at] & 0x80 != 0
    if kind in _NUMBERS and body[at] & 0xC0 == 0x80 and (count := _I32.unpack_from(body, at + 1)[0]) > LONG:
        return np.frombuffer(body, _NUMBERS[kind], count, at + 5).astype(np.float64), behind
    if kind == STRUCTURE:
        found: list[Any] = [*walk.structures, None]
        return (walk.structures if is_array else found[0]), behind
    if walk.structures:
        return None, behind
    return variant_from_binary(Buffer(body, at, behind - at)).Value, behind


def encodings(values: Iterable[Any]) -> Iterator[ua.NodeId]:
    """Yield the ids of the structures among values, those in arrays too."""
    for value in values:
        if isinstance(value, Structure):
            yield value.encoding
        elif isinstance(value, list):
            yield from encodings(value)


class _Walk:
    """Steps over a value without building it; `structures` are those that it met."""

    def __init__(self, body: bytes, end: int) -> None:
        self._body = body
        self._end = end
        self.structures: list[Structure] = []
        self._steps: Final[Mapping[int, Callable[[int, int], int]]] = {
            12: self._text,
            15: self._text,
            16: self._text,
            17: self._node_id,
            18: self._expanded_node_id,
            20: lambda at, depth: self._text(at + 2, depth),
            21: self._localized,
            STRUCTURE: self._structure,
            23: self._data_value,
            24: self.variant,
            25: self._diagnostics,
        }

    def variant(self, at: int, depth: int) -> int:
        """Return where a variant ends."""
        if depth > DEPTH_MAX:
            raise Overlong(f"nested deeper than {DEPTH_MAX} levels")
        encoding = self._byte(at)
        kind, at = encoding & 0x3F, at + 1
        if not encoding & 0x80:
            return self._one(kind, at, depth)
        count, at = self._length(at), self._many(kind, at, depth)
        return self._dimensions(at, count) if encoding & 0x40 else at

    def _dimensions(self, at: int, count: int) -> int:
        """Step over the dimensions of an array; they hold no more elements than came, or the library adds them."""
        behind = self._many(6, at, 0)
        sizes = struct.unpack_from(f"<{max(self._length(at), 0)}i", self._body, at + 4)
        if math.prod(max(size, 1) for size in sizes) > max(count, 1):
            raise Overlong(f"dimensions {sizes[:8]} hold more than {count} elements")
        return behind

    def _one(self, kind: int, at: int, depth: int) -> int:
        if kind == 0:
            return at
        size = _SIZES.get(kind)
        if size is not None:
            return self._within(at + size)
        step = self._steps.get(kind)
        if step is None:
            raise Overlong(f"{kind} is no built-in type")
        return self._within(step(at, depth + 1))

    def _many(self, kind: int, at: int, depth: int) -> int:
        count, at = self._length(at), at + 4
        if count > self._end - at or (kind == 0 and count > 0):
            raise Overlong(f"{count} elements are announced and not there")
        if (size := _SIZES.get(kind)) is not None:
            return self._within(at + size * max(count, 0))
        for _element in range(count):
            at = self._one(kind, at, depth)
        return at

    def _byte(self, at: int) -> int:
        self._within(at + 1)
        return self._body[at]

    def _length(self, at: int) -> int:
        self._within(at + 4)
        return int(_I32.unpack_from(self._body, at)[0])

    def _within(self, at: int) -> int:
        if at > self._end:
            raise Overlong("the value ends behind its message")
        return at

    def _text(self, at: int, _depth: int) -> int:
        return at + 4 + max(self._length(at), 0)

    def _node_id(self, at: int, depth: int) -> int:
        kind = self._byte(at) & 0x3F
        if (size := _NODE_IDS.get(kind)) is not None:
            return at + size
        if kind not in (3, 5):
            raise Overlong(f"{kind} is no encoding of a node id")
        return self._text(at + 3, depth)

    def _expanded_node_id(self, at: int, depth: int) -> int:
        flags, behind = self._byte(at), self._node_id(at, depth)
        behind = self._text(behind, depth) if flags & 0x80 else behind
        return behind + 4 if flags & 0x40 else behind

    def _localized(self, at: int, depth: int) -> int:
        flags, at = self._byte(at), at + 1
        for bit in (0x01, 0x02):
            at = self._text(at, depth) if flags & bit else at
        return at

    def _structure(self, at: int, depth: int) -> int:
        behind = self._within(self._node_id(at, depth))
        encoding, start = self._byte(behind), behind + 5
        if encoding == 0:
            return behind + 1
        end = self._within(start + max(self._length(behind + 1), 0))
        node = nodeid_from_binary(Buffer(self._body, at, behind - at))
        self.structures.append(Structure(node, self._body[start:end]))
        return end

    def _data_value(self, at: int, depth: int) -> int:
        flags, at = self._byte(at), at + 1
        at = self.variant(at, depth) if flags & 0x01 else at
        for bit, size in ((0x02, 4), (0x04, 8), (0x10, 2), (0x08, 8), (0x20, 2)):
            at += size if flags & bit else 0
        return at

    def _diagnostics(self, at: int, depth: int) -> int:
        if depth > DEPTH_MAX:
            raise Overlong(f"nested deeper than {DEPTH_MAX} levels")
        flags, at = self._byte(at), at + 1
        for bit in (0x01, 0x02, 0x04, 0x08):
            at += 4 if flags & bit else 0
        at = self._text(at, depth) if flags & 0x10 else at
        at += 4 if flags & 0x20 else 0
        return self._diagnostics(at, depth + 1) if flags & 0x40 else at
