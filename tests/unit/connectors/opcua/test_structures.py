"""Structures from bytes to named parts, as a description says and not otherwise."""

from __future__ import annotations

import struct

import pytest

from connectors.opcua.structures import DEPTH_MAX, Definition, Field, read_structure

POINT = Definition((Field("x", 11), Field("y", 11)))
LINE = Definition((Field("name", 12), Field("points", 22, POINT, is_array=True), Field("end", 22, POINT)))
NOTED = Definition((Field("x", 11), Field("note", 12, is_optional=True), Field("count", 7, is_optional=True)))
CHOICE = Definition((Field("whole", 7), Field("real", 11)), is_union=True)


def text(words: str) -> bytes:
    return struct.pack("<i", len(words)) + words.encode()


def test_structures_in_structures_and_arrays_of_them_are_read():
    body = text("edge") + struct.pack("<i", 2) + struct.pack("<6d", 1, 2, 3, 4, 5, 6)
    assert read_structure(body, LINE) == {
        "name": "edge",
        "points": [{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}],
        "end": {"x": 5.0, "y": 6.0},
    }


@pytest.mark.parametrize(
    ("mask", "rest", "parts"),
    [
        (0, b"", {"x": 1.0}),
        (1, text("worn"), {"x": 1.0, "note": "worn"}),
        (2, struct.pack("<I", 7), {"x": 1.0, "count": 7}),
        (3, text("worn") + struct.pack("<I", 7), {"x": 1.0, "note": "worn", "count": 7}),
    ],
)
def test_what_is_optional_is_there_when_its_bit_says_so(mask: int, rest: bytes, parts: dict[str, object]):
    assert read_structure(struct.pack("<Id", mask, 1.0) + rest, NOTED) == parts


def test_of_a_union_one_part_is_there_or_none():
    assert read_structure(struct.pack("<II", 1, 9), CHOICE) == {"whole": 9}
    assert read_structure(struct.pack("<Id", 2, 0.5), CHOICE) == {"real": 0.5}
    assert read_structure(struct.pack("<I", 0), CHOICE) == {}


@pytest.mark.parametrize(
    ("body", "definition"),
    [
        (struct.pack("<d", 1.0), POINT),
        (struct.pack("<3d", 1.0, 2.0, 3.0), POINT),
        (struct.pack("<I", 9), CHOICE),
        (text("edge") + struct.pack("<i", 2**31 - 1), LINE),
        (struct.pack("<i", 2**31 - 1), Definition((Field("many", 11, is_array=True),))),
        (b"", Definition((Field("unknown", 0),))),
    ],
)
def test_bytes_that_are_not_what_the_description_says_are_refused(body: bytes, definition: Definition):
    with pytest.raises(ValueError, match=r"."):
        read_structure(body, definition)


def test_nesting_has_an_end():
    deep = Definition((Field("x", 11),))
    for _ in range(DEPTH_MAX + 1):
        deep = Definition((Field("inner", 22, deep),))
    with pytest.raises(ValueError, match="nested"):
        read_structure(struct.pack("<d", 1.0), deep)
