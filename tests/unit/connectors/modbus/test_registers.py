"""Registers to numbers, on odd words and no device in sight."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.registers import decode, figure
from connectors.modbus.settings import ModbusTag

FORMATS = {"uint16": ">H", "int16": ">h", "uint32": ">I", "int32": ">i", "float32": ">f"}
WORD = st.integers(0, 0xFFFF)


@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_every_pattern_of_bits_is_the_number_that_the_processor_sees(kind, data):
    form = struct.Struct(FORMATS[kind])
    words = data.draw(st.lists(WORD, min_size=form.size // 2, max_size=form.size // 2))
    (expected,) = form.unpack(struct.pack(f">{len(words)}H", *words))
    for order, given_words in (("big", words), ("little", words[::-1])):
        found = decode(given_words, kind, order)
        assert found == float(expected) or (math.isnan(found) and math.isnan(expected))


@pytest.mark.parametrize(
    ("words", "kind", "order", "expected"),
    [
        ([0xFFFF], "uint16", "big", 65535),
        ([0xFFFF], "int16", "big", -1),
        ([0x0001, 0x0000], "uint32", "big", 65536),
        ([0x0000, 0x0001], "uint32", "little", 65536),
        ([0xFFFF, 0xFFFE], "int32", "big", -2),
        ([0x4049, 0x0FDB], "float32", "big", pytest.approx(math.pi, rel=1e-6)),
        ([0x0FDB, 0x4049], "float32", "little", pytest.approx(math.pi, rel=1e-6)),
    ],
)
def test_known_numbers(words, kind, order, expected):
    assert decode(words, kind, order) == expected


@given(st.sampled_from(sorted(FORMATS)), st.lists(st.integers(-70000, 70000), max_size=4))
def test_what_does_not_fit_is_refused_and_never_guessed(kind, words):
    fits = len(words) * 2 == struct.calcsize(FORMATS[kind]) and all(0 <= word <= 0xFFFF for word in words)
    if fits:
        decode(words, kind)
    else:
        with pytest.raises(ValueError, match="registers"):
            decode(words, kind)


def test_a_scale_applies_and_what_is_not_finite_is_nan():
    assert figure([123], ModbusTag(address=0, unit="bar", scale=0.5)) == 61.5
    for words in ([0x7F80, 0], [0xFF80, 0], [0x7FC0, 0]):
        assert math.isnan(figure(words, ModbusTag(address=0, unit="bar", type="float32")))
    assert math.isnan(figure([0x7F7F, 0xFFFF], ModbusTag(address=0, unit="bar", type="float32", scale=1e300)))
