"""Engineering units: the code of UN/ECE wins, a text only where a measure can be written with it."""

from __future__ import annotations

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.units import CODES, UNKNOWN, is_writable, unit_of
from connectors.samples import Measure


def information(code: str | int, text: str | None) -> ua.EUInformation:
    number = code if isinstance(code, int) else int.from_bytes(code.encode(), "big")
    return ua.EUInformation(UnitId=number, DisplayName=ua.LocalizedText(text))


@pytest.mark.parametrize(
    ("code", "text", "unit"),
    [
        ("HUR", "Stunde", "h"),
        ("CEL", "degree", "°C"),
        ("P1", "%", "%"),
        ("C62", "one", "1"),
        ("H87", "piece", "pieces"),
        (0, "strokes", "strokes"),
        (-1, "mm/s", "mm/s"),
        ("ZZZ", "m³/h", "m³/h"),
        (0, "number of parts", UNKNOWN),
        (0, None, UNKNOWN),
        (2**31 - 1, "", UNKNOWN),
    ],
)
def test_a_unit_is_what_people_write(code: str | int, text: str | None, unit: str):
    assert unit_of(information(code, text)) == unit


@pytest.mark.parametrize("other", [None, 5, "h", {"UnitId": 4}, ua.Range(1.0, 2.0)])
def test_what_is_no_unit_has_none(other: object):
    assert unit_of(other) == UNKNOWN


def test_every_known_unit_but_one_can_be_written_with_a_number():
    assert [unit for unit in CODES.values() if not is_writable(unit) and unit not in (UNKNOWN, "1/min")] == []
    assert Measure.parse("3 1/min").unit == "1/min"


@given(st.integers(-(2**31), 2**31 - 1), st.text(max_size=50))
def test_any_unit_of_any_server_can_be_used_or_is_none(number: int, text: str):
    unit = unit_of(information(number, text))
    assert unit == UNKNOWN or unit in CODES.values() or Measure.parse(f"2.5 {unit}").unit == unit
