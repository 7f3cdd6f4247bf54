"""How tags stand in the registers of a simulated Modbus device. Pure: values in, words out.

Addresses count from 0 as on the wire (40001 in a manual is holding register 0). Devices disagree about the order of the
two words of a 32-bit value, so every register names its own: `big` sends the high word first, `little` the low word.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

WordType = Literal["uint16", "uint32", "float32"]
WordOrder = Literal["big", "little"]

_FORMAT: dict[WordType, str] = {"uint16": ">H", "uint32": ">I", "float32": ">f"}
_LARGEST: dict[WordType, int] = {"uint16": 0xFFFF, "uint32": 0xFFFF_FFFF}


@dataclass(frozen=True, slots=True)
class Register:
    """Where a tag stands: first address, type, and for 32 bits the order of its words."""

    tag: str
    address: int
    type: WordType
    word_order: WordOrder = "big"

    @property
    def words(self) -> int:
        """How many 16-bit registers the value takes."""
        return struct.calcsize(_FORMAT[self.type]) // 2


@dataclass(frozen=True, slots=True)
class DeviceMap:
    """A Modbus device: its id (unit) and its registers, readable as holding and as input registers alike."""

    device_id: int
    registers: tuple[Register, ...]

    @property
    def size(self) -> int:
        """One past the highest address."""
        return max(register.address + register.words for register in self.registers)

    def image(self, values: Mapping[str, float]) -> list[int]:
        """Return all words of the device for the values of its tags, zero where nothing stands."""
        words = [0] * self.size
        for register in self.registers:
            encoded = encode(register, values[register.tag])
            words[register.address : register.address + len(encoded)] = encoded
        return words


def encode(register: Register, value: float) -> list[int]:
    """Return the words of a value; a counter past the end of its register starts again at 0, as counters do."""
    number = value if register.type == "float32" else int(value) % (_LARGEST[register.type] + 1)
    raw = struct.pack(_FORMAT[register.type], number)
    words = list(struct.unpack(f">{len(raw) // 2}H", raw))
    return words[::-1] if register.word_order == "little" else words
