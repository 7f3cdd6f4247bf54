"""Registers to values: every width, every order, and what is no number."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.plan import Limits, plan, points_of
from connectors.modbus.registers import Counter, Decoder, text
from connectors.modbus.settings import ModbusTag

FORMS = {
    "uint16": ">H",
    "int16": ">h",
    "uint32": ">I",
    "int32": ">i",
    "uint64": ">Q",
    "int64": ">q",
    "float32": ">f",
    "float64": ">d",
}


def tag(**told: Any) -> ModbusTag:
    return ModbusTag.model_validate({"unit": "1", "address": 0} | told)


def read(data: bytes, *tags: ModbusTag) -> list[float]:
    (block,) = plan(points_of({f"m/t{n}": each for n, each in enumerate(tags)}, 1), Limits(gap=100))
    values = Decoder([block]).values(data)
    return [float(values[[point.key for point in block.points].index(f"m/t{n}")]) for n in range(len(tags))]


def shuffled(data: bytes, words: str, order: str) -> bytes:
    pairs = [data[place : place + 2] for place in range(0, len(data), 2)]
    pairs = pairs if words == "big" else pairs[::-1]
    return b"".join(pair if order == "big" else pair[::-1] for pair in pairs)


@given(st.data())
def test_every_number_comes_back_in_every_order(data: st.DataObject):
    kind = data.draw(st.sampled_from(sorted(FORMS)))
    form = struct.Struct(FORMS[kind])
    raw = data.draw(st.binary(min_size=form.size, max_size=form.size))
    words, order = data.draw(st.sampled_from(["big", "little"])), data.draw(st.sampled_from(["big", "little"]))
    (expected,) = form.unpack(raw)
    (found,) = read(shuffled(raw, words, order), tag(type=kind, word_order=words, byte_order=order))
    if math.isfinite(expected):
        assert found == float(expected)
    else:
        assert math.isnan(found)


def test_many_kinds_in_one_block_are_read_at_once():
    data = struct.pack(">fHhId", 1.5, 7, -7, 70_000, 2.25)
    tags = [
        tag(address=0, type="float32"),
        tag(address=2),
        tag(address=3, type="int16", scale=0.1, offset=2),
        tag(address=4, type="uint32"),
        tag(address=6, type="float64"),
        tag(address=2, bit=0),
        tag(address=2, bit=3),
    ]
    assert read(data, *tags) == pytest.approx([1.5, 7, 1.3, 70_000, 2.25, 1, 0])


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("bcd16", b"\x12\x34", 1234.0),
        ("bcd32", b"\x12\x34\x56\x78", 12345678.0),
        ("bcd16", b"\x12\x3a", math.nan),
    ],
)
def test_digits_of_four_bits_are_a_number_or_none(kind: str, data: bytes, value: float):
    assert read(data, tag(type=kind)) == [pytest.approx(value, nan_ok=True)]


def test_bits_of_coils_are_read_the_lowest_first():
    tags = [tag(table="coil", address=n) for n in range(10)]
    assert read(b"\x05\x02", *tags) == [1, 0, 1, 0, 0, 0, 0, 0, 0, 1]


def test_texts_end_at_the_first_zero_and_may_be_swapped():
    assert text(b"ABC\0XX") == "ABC"
    assert text(b"BADC  ", swapped=True) == "ABCD"
    assert text(b"\xff\xfe") == "\ufffd\ufffd"
    (block,) = plan(points_of({"m/s": tag(type="string", length=3), "m/n": tag(address=3)}, 1), Limits())
    decoder = Decoder([block])
    assert decoder.texts(b"Mill\0\0\0\x07") == {0: "Mill"}
    assert decoder.values(b"Mill\0\0\0\x07").tolist()[1] == 7


def test_a_counter_goes_on_beyond_its_end_and_a_reset_is_passed_on():
    counter = Counter(65536.0)
    assert [counter.take(raw) for raw in (60_000, 65_535, 3, 4_000, 65_000, 10)] == [
        60_000,
        65_535,
        65_539,
        69_536,
        130_536,
        131_082,
    ]
    assert [counter.take(raw) for raw in (30_000, 0, 5)] == [161_072, 0, 5]
    assert math.isnan(counter.take(math.nan))


def test_a_counter_in_a_block_counts_from_poll_to_poll_before_it_is_scaled():
    tags = {"m/c": tag(counter=True, scale=0.5)}
    (block,) = plan(points_of(tags, 1), Limits())
    decoder = Decoder([block], {"m/c": Counter(65536.0)})
    assert [decoder.values(struct.pack(">H", raw))[0] for raw in (65_530, 6)] == [32_765, 32_771]
