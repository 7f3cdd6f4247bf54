"""Values that are no plain number, and how little hostile ones may cost."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.ua_binary import variant_to_binary

from connectors.opcua.variants import DEPTH_MAX, LONG, Overlong, Structure, read_variant

VT = ua.VariantType


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("on", VT.String),
        (None, VT.String),
        ([1.0, 2.0], VT.Double),
        ([], VT.Int32),
        (["a", "bc"], VT.String),
        (ua.QualifiedName("q", 2), VT.QualifiedName),
        (ua.LocalizedText("Öl", "de"), VT.LocalizedText),
        (ua.NodeId("text", 3), VT.NodeId),
        (ua.NodeId(7, 3), VT.NodeId),
        (ua.DataValue(ua.Variant(1.5), ua.StatusCode(ua.UInt32(0x80000000))), VT.DataValue),
        ([ua.Variant(1.5), ua.Variant("x")], VT.Variant),
        (ua.DiagnosticInfo(SymbolicId=ua.Int32(4), AdditionalInfo="why"), VT.DiagnosticInfo),
    ],
)
def test_a_value_ends_where_it_ends_and_is_as_the_library_reads_it(value: Any, kind: ua.VariantType):
    body = variant_to_binary(ua.Variant(value, kind, is_array=isinstance(value, list)))
    read, behind = read_variant(body + b"more", 0, len(body) + 4)
    assert behind == len(body)
    assert repr(read) == repr(value)


def test_a_matrix_keeps_its_shape():
    body = variant_to_binary(ua.Variant([[1, 2, 3], [4, 5, 6]], VT.Int32))
    assert read_variant(body, 0, len(body)) == ([[1, 2, 3], [4, 5, 6]], len(body))


def test_structures_come_as_bytes_with_the_id_of_their_type():
    body = variant_to_binary(ua.Variant(ua.Range(1.0, 2.0), VT.ExtensionObject))
    assert read_variant(body, 0, len(body))[0] == Structure(ua.FourByteNodeId(886), struct.pack("<dd", 1, 2))
    body = variant_to_binary(ua.Variant([ua.Range(1.0, 2.0)] * 3, VT.ExtensionObject))
    assert len(read_variant(body, 0, len(body))[0]) == 3
    assert read_variant(b"\x16\x00\x00\x00", 0, 4) == (None, 4)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\x80" + struct.pack("<i", 2**31 - 1), "announced"),
        (b"\x98" + struct.pack("<i", 2) + b"\x80" + struct.pack("<i", 2**31 - 1), "announced"),
        (b"\x8b" + struct.pack("<i", 2) + bytes(8), "behind its message"),
        (b"\x0c" + struct.pack("<i", 2**31 - 1), "behind its message"),
        (b"\x18" * (DEPTH_MAX + 2) + b"\x00", "nested"),
        (b"\x19" + b"\x40" * (DEPTH_MAX + 2), "nested"),
        (b"\x3f", "no built-in type"),
        (b"\x11\x06", "no encoding of a node id"),
        (b"\xc6" + struct.pack("<iiiii", 1, 5, 2, 1000, 1000), "hold more than"),
    ],
)
def test_what_announces_more_than_it_brings_is_refused_at_once(body: bytes, says: str):
    with pytest.raises(Overlong, match=says):
        read_variant(body, 0, len(body))


@pytest.mark.parametrize("kind", [VT.SByte, VT.Byte, VT.Int16, VT.UInt32, VT.Int64, VT.Float, VT.Double])
def test_a_long_array_of_numbers_is_what_the_library_reads(kind: ua.VariantType):
    values = [number % 100 for number in range(LONG + 1)]
    body = b"??" + variant_to_binary(ua.Variant(values, kind))
    found, behind = read_variant(body + b"more", 2, len(body) + 4)
    assert (found.dtype, behind) == (np.float64, len(body))
    assert found.tolist() == values
    short = variant_to_binary(ua.Variant(values[:-1], kind))
    assert read_variant(short, 0, len(short)) == (values[:-1], len(short))


def test_a_long_matrix_keeps_its_shape():
    rows = [[float(number) for number in range(LONG)]] * 2
    body = variant_to_binary(ua.Variant(rows, VT.Double))
    assert read_variant(body, 0, len(body)) == (rows, len(body))
