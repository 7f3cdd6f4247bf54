"""State in few characters: numbers as bytes, the bytes as text that a JSON document can hold.

Promises: what comes back is the same to the last bit, in the order in which it went in; nothing is decided. A number
takes eight bytes, a whole number as many as it needs. A text that was cut off, or is of another shape, is a ValueError.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import math
import struct
from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

_FLOAT: Final = struct.Struct("<d")
_SEVEN: Final = 0x7F


class Kept(Protocol):
    """An object of which some attributes are kept."""

    @property
    def kept(self) -> Layout:
        """Which."""


class Packer:
    """Takes numbers; `text` is all of them."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def number(self, value: float | None) -> None:
        """Take a number, or that there is none; not a number comes back as none."""
        self._bytes += _FLOAT.pack(math.nan if value is None else value)

    def whole(self, value: int | None) -> None:
        """Take a whole number of any sign and size, or that there is none."""
        left = 0 if value is None else -2 * value if value < 0 else 2 * value + 1
        while left > _SEVEN:
            self._bytes.append(left & _SEVEN | (_SEVEN + 1))
            left >>= 7
        self._bytes.append(left)

    def things(self, *things: Kept) -> None:
        """Take what is kept of objects."""
        for thing in things:
            thing.kept.pack(thing, self)

    def array(self, values: NDArray[Any], kind: DTypeLike = "<f8") -> None:
        """Take an array, whose shape whoever unpacks it knows; `kind` is little-endian."""
        self._bytes += np.ascontiguousarray(values, dtype=kind).tobytes()

    @property
    def text(self) -> str:
        """Everything that was taken, four characters for three bytes."""
        return binascii.b2a_base64(bytes(self._bytes), newline=False).decode()


class Unpacker:
    """Gives what was packed, in the same order. Raises ValueError for a text that is not whole."""

    def __init__(self, text: str) -> None:
        self._bytes = binascii.a2b_base64(text, strict_mode=True)
        self._at = 0

    def _next(self, count: int) -> bytes:
        found = self._bytes[self._at : self._at + count]
        if len(found) < count:
            raise ValueError("a packed state was cut off")
        self._at += count
        return found

    def number(self) -> float | None:
        """Return the next number, None where there was none."""
        (value,) = _FLOAT.unpack(self._next(_FLOAT.size))
        return None if math.isnan(value) else value

    def whole(self) -> int | None:
        """Return the next whole number, None where there was none."""
        value = shift = 0
        while True:
            byte = self._next(1)[0]
            value |= (byte & _SEVEN) << shift
            shift += 7
            if byte <= _SEVEN:
                break
        return None if not value else (value - 1) // 2 if value % 2 else -value // 2

    def count(self) -> int:
        """Return the next whole number. Raises ValueError where there was none."""
        found = self.whole()
        if found is None:
            raise ValueError("a packed state lacks a number")
        return found

    def things(self, *things: Kept) -> None:
        """Set what is kept of objects."""
        for thing in things:
            thing.kept.unpack(thing, self)

    def array(self, *shape: int, kind: DTypeLike = "<f8") -> NDArray[Any]:
        """Return the next array, of that shape."""
        size = np.dtype(kind).itemsize * math.prod(shape)
        return np.frombuffer(self._next(size), kind).reshape(shape).copy()


class Layout:
    """Which attributes of an object are kept: numbers and whole numbers, each of which may be None, and truths."""

    def __init__(
        self, *, numbers: tuple[str, ...] = (), wholes: tuple[str, ...] = (), truths: tuple[str, ...] = ()
    ) -> None:
        self._numbers, self._wholes, self._truths = numbers, wholes, truths

    def pack(self, thing: object, packer: Packer) -> None:
        """Pack an object's attributes."""
        for name in self._numbers:
            packer.number(getattr(thing, name))
        for name in (*self._wholes, *self._truths):
            packer.whole(getattr(thing, name))

    def unpack(self, thing: object, packed: Unpacker) -> None:
        """Set an object's attributes to what was packed."""
        for name in self._numbers:
            setattr(thing, name, packed.number())
        for name in self._wholes:
            setattr(thing, name, packed.whole())
        for name in self._truths:
            setattr(thing, name, bool(packed.whole()))

    def adopt(self, thing: object, state: Mapping[str, Any]) -> None:
        """Set them to what a snapshot from before states were packed says by name."""
        for name in (*self._numbers, *self._wholes, *self._truths):
            setattr(thing, name, state[name])


def digest(document: Any) -> str:
    """Return what tells a JSON document from any other, in eleven characters."""
    found = hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=8).digest()
    return binascii.b2a_base64(found, newline=False).decode().rstrip("=")
