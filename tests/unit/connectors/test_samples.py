"""Values with units, and how believable a value is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.samples import Measure, Provenance, Quality

UNITS = ("h", "mm/s", "cycles", "°C", "%", "µm", "EUR/h", "m³/h", "1/min", "kg·m²", "d", "Ω")


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("20000 h", 20000, "h"),
        ("2.8 mm/s", 2.8, "mm/s"),
        ("5%", 5, "%"),
        (" 14  d ", 14, "d"),
        ("-3 °C", -3, "°C"),
        ("3000 1/min", 3000, "1/min"),
        ("900 EUR/h", 900, "EUR/h"),
        ("0.5 µm", 0.5, "µm"),
        ("12 inH2O", 12, "inH2O"),
    ],
)
def test_a_measure_is_a_number_and_its_unit(text: str, value: float, unit: str):
    assert Measure.parse(text) == Measure(value, unit)


@pytest.mark.parametrize(
    "text",
    [
        *("", "h", "12", "1e3", "1e3 h", "1E+3 h", "12 3h", "1,5 h", "1.5.2 h", "1 000 h", "nan h", "inf h", "- 3 h"),
        *("٣ h", "3 h 4", "5 €", "5 h;", "9" * 400 + " h", "0x10 h", ".5 h", "5. h"),
    ],
)
def test_a_text_that_could_be_misread_is_refused(text: str):
    with pytest.raises(ValueError, match="needs a number and its unit"):
        Measure.parse(text)


@given(st.decimals(-(10**12), 10**12, allow_nan=False, places=4), st.sampled_from(UNITS))
def test_a_measure_reads_back_as_it_was_written(value, unit: str):
    measure = Measure(float(value), unit)
    assert Measure.parse(str(measure)) == measure


@given(st.text(max_size=40))
def test_no_text_does_more_than_be_refused(text: str):
    try:
        measure = Measure.parse(text)
    except ValueError:
        return
    assert measure.unit in text


def test_a_span_of_time_needs_a_unit_of_time():
    assert Measure.parse("14 d").duration == timedelta(days=14)
    assert Measure.parse("250 ms").duration == timedelta(milliseconds=250)
    assert Measure.parse("1 week").duration == timedelta(weeks=1)
    with pytest.raises(ValueError, match="not a unit of time"):
        Measure.parse("14 mm").duration  # noqa: B018
    with pytest.raises(ValueError, match="longer than a calendar"):
        Measure.parse("99999999999 year").duration  # noqa: B018


def test_the_worst_quality_and_the_weakest_provenance_win():
    assert max(Quality.GOOD, Quality.BAD, Quality.UNCERTAIN) is Quality.BAD
    assert Provenance.A.weakest(Provenance.B) is Provenance.B
    assert Provenance.A.weakest(Provenance.A) is Provenance.A
