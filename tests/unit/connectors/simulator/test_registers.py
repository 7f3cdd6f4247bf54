"""Values become words as devices send them, swapped or not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.simulator.registers import DeviceMap, Register, encode


@given(st.integers(0, 2**32 - 1))
def test_swapped_words_put_the_low_word_first(value: int) -> None:
    low, high = encode(Register("running-hours", 0, "uint32", "little"), value)
    assert high * 65536 + low == value
    assert encode(Register("running-hours", 0, "uint32"), value) == [high, low]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_keeps_its_value(value: float) -> None:
    words = encode(Register("oil-level", 0, "float32"), value)
    assert struct.unpack(">f", struct.pack(">2H", *words))[0] == value


@pytest.mark.parametrize(
    ("register", "words"), [(Register("n", 0, "uint16"), [4]), (Register("n", 0, "uint32"), [0, 4])]
)
def test_a_counter_past_its_end_starts_again_at_zero(register: Register, words: list[int]) -> None:
    assert encode(register, 4 + 2 ** (16 * register.words)) == words


def test_a_device_shows_zero_where_nothing_stands() -> None:
    device = DeviceMap(1, (Register("a", 0, "uint16"), Register("b", 3, "uint32")))
    assert device.size == 5
    assert device.image({"a": 7, "b": 65536}) == [7, 0, 0, 1, 0]
