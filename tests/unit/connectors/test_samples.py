"""Values with units, and how believable a value is."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.samples import Batch, Keys, Measure, Provenance, Quality, Sample, moment_of, ticks_of

AT = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)

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


class TestBatch:
    """Columns say what samples said."""

    SAMPLES = (
        Sample("m/a", 1.5, Quality.GOOD, AT, AT + timedelta(microseconds=1), Provenance.A),
        Sample("m/b", math.nan, Quality.GOOD, AT, AT, Provenance.A, text="running"),
        Sample("m/a", -2.0, Quality.UNCERTAIN, AT - timedelta(days=40_000), AT, Provenance.A),
    )

    def test_samples_come_back_as_they_went_in(self):
        batch = Batch.of("hall", self.SAMPLES)
        assert len(batch) == 3
        assert repr(batch.samples) == repr(self.SAMPLES)  # NaN equals nothing
        assert list(batch.keys) == ["m/a", "m/b"]
        assert batch.tags.tolist() == [0, 1, 0]

    def test_a_batch_comes_over_one_wire(self):
        plain = Sample("m/c", 0.0, Quality.GOOD, AT, AT, Provenance.B)
        with pytest.raises(ValueError, match="one wire"):
            Batch.of("hall", [*self.SAMPLES, plain])

    def test_a_tag_keeps_its_number(self):
        keys = Keys(["m/a", "m/b"])
        assert (keys.number("m/b"), keys.number("m/c"), keys.number("m/b")) == (1, 2, 1)
        assert (keys.find("m/c"), keys.find("m/d")) == (2, None)
        assert [keys[2], *keys] == ["m/c", "m/a", "m/b", "m/c"]
        assert len(Batch.of("hall", self.SAMPLES, keys=keys).keys) == 3


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_survives_as_ticks(moment: datetime):
    assert moment_of(ticks_of(moment)) == moment


def test_ticks_beyond_a_calendar_are_its_ends():
    assert moment_of(2**63 - 1) == datetime.max.replace(tzinfo=UTC)
    assert moment_of(-(2**63)) == datetime.min.replace(tzinfo=UTC)
    assert moment_of(9) == moment_of(0)
