"""Registers to numbers: pure functions.

Promises: what has the wrong number of words is refused, never guessed; a register is 16 bits, its high byte first on
the wire; which word of a 32-bit number comes first is the device's habit and an argument. Refuses to know devices.
Registers: MODBUS Application Protocol V1.1b3, 4.2.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Final

from connectors.modbus.settings import Kind, ModbusTag

_FORMATS: Final[dict[Kind, struct.Struct]] = {
    "uint16": struct.Struct(">H"),
    "int16": struct.Struct(">h"),
    "uint32": struct.Struct(">I"),
    "int32": struct.Struct(">i"),
    "float32": struct.Struct(">f"),
}


def decode(words: Sequence[int], kind: Kind, word_order: str = "big") -> float:
    """Return the number in some registers; not a number and infinity come back as they are.

    Raises ValueError when the words are too few, too many or no words of 16 bits.
    """
    form = _FORMATS[kind]
    if len(words) * 2 != form.size:
        raise ValueError(f"{kind} fills {form.size // 2} registers, not {len(words)}")
    if any(not 0 <= word <= 0xFFFF for word in words):
        raise ValueError(f"{list(words)} are not registers of 16 bits")
    ordered = words if word_order == "big" else words[::-1]
    (number,) = form.unpack(struct.pack(f">{len(words)}H", *ordered))
    return float(number)


def figure(words: Sequence[int], tag: ModbusTag) -> float:
    """Return a tag's value in its unit, or NaN where the device holds no finite number. Raises ValueError."""
    number = decode(words, tag.type, tag.word_order) * tag.scale
    return number if math.isfinite(number) else math.nan
