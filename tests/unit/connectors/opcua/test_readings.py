"""From data changes to samples, with no server in sight."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.decode import OTHER, Changes
from connectors.opcua.readings import DEPTH_MAX, EPOCH_TICKS, LEAVES_MAX, TEXT_MAX, Reader, Reading, read
from connectors.opcua.variants import Structure
from connectors.samples import WINDOW_MAX, Provenance, Quality, moment_of, ticks_of

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TICKS = ticks_of(NOW)


def reader() -> Reader:
    return Reader.of("hall", ("m/a", "m/b"), Provenance.A, 300.0)


def changes(*rows: tuple[int, Any], code: int = 0, source: int = TICKS + EPOCH_TICKS, server: int = 0) -> Changes:
    others: Mapping[int, Any] = {n: value for n, (_handle, value) in enumerate(rows) if not isinstance(value, float)}
    return Changes(
        np.array([handle for handle, _value in rows], np.uint32),
        np.array([value if isinstance(value, float) else math.nan for _handle, value in rows]),
        np.array([OTHER if n in others else 11 for n in range(len(rows))], np.uint8),
        np.full(len(rows), code, np.uint32),
        np.full(len(rows), source, np.int64),
        np.full(len(rows), server, np.int64),
        others,
    )


def told(reading: Reading) -> dict[str, float | str]:
    return {sample.tag: sample.text if sample.text is not None else sample.value for sample in reading.batch}


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_bad_and_nan(figure: float):
    (sample,) = read(changes((0, figure)), reader(), TICKS).batch
    assert math.isnan(sample.value)
    assert sample.quality is Quality.BAD


@pytest.mark.parametrize(
    ("code", "quality"),
    [
        (0, Quality.GOOD),
        (0x00960000, Quality.GOOD),
        (0x40900000, Quality.UNCERTAIN),
        (0x80000000, Quality.BAD),
        (0xC0000000, Quality.BAD),
        (0xFFFFFFFF, Quality.BAD),
    ],
)
def test_the_two_highest_bits_are_the_quality(code: int, quality: Quality):
    (sample,) = read(changes((0, 1.0), code=code), reader(), TICKS).batch
    assert sample.quality is quality


@given(st.timedeltas(timedelta(days=-4000), timedelta(days=4000)), st.sampled_from([0, 0x40000000, 0x80000000]))
def test_the_source_time_is_never_altered_and_far_from_now_never_good(away: timedelta, code: int):
    source = TICKS + away // timedelta(microseconds=1) * 10 + 7
    found = read(changes((0, 1.0), code=code, source=source + EPOCH_TICKS), reader(), TICKS)
    assert found.batch.source.tolist() == [source]
    assert found.batch.received.tolist() == [TICKS]
    far = abs(source - TICKS) > 300 * 10_000_000
    assert found.clock_off == far
    assert (found.batch.quality[0] > Quality.GOOD) == (far or code != 0)


def test_what_is_recalled_is_old_and_no_clock_is_off():
    found = read(changes((0, 1.0), source=TICKS + EPOCH_TICKS - 10**12), reader(), TICKS, recalled=True)
    assert (found.clock_off, found.batch.recalled, found.batch.quality.tolist()) == (0, True, [Quality.GOOD])


def test_without_a_source_time_the_servers_counts_and_then_ours():
    server = TICKS - 30
    assert read(changes((0, 1.0), source=0, server=server + EPOCH_TICKS), reader(), TICKS).batch.source[0] == server
    assert read(changes((0, 1.0), source=0), reader(), TICKS).batch.source[0] == TICKS


def test_an_overflowing_queue_is_counted_and_its_value_good():
    found = read(changes((0, 1.0), (1, 1.0), code=0x0480), reader(), TICKS)
    assert found.overflowed == 2
    assert found.batch.quality.tolist() == [Quality.GOOD] * 2
    assert read(changes((0, 1.0), code=0x0400), reader(), TICKS).overflowed == 0


def test_values_come_in_their_order_and_unknown_handles_are_counted():
    found = read(changes((1, 1.0), (7, "lost"), (0, 3.0), (1, "on")), reader(), TICKS)
    assert [(s.tag, s.text or s.value) for s in found.batch] == [("m/b", 1), ("m/a", 3), ("m/b", "on")]
    assert found.strange == 1


def test_the_values_of_an_enumeration_have_names_and_stay_numbers():
    known = reader()
    known.enumerations[1] = {0: "Idle", 2: "Running"}
    found = read(changes((0, 2.0), (1, 2.0), (1, 5.0)), known, TICKS)
    assert [(s.value, s.text) for s in found.batch] == [(2, None), (2, "Running"), (5, None)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("on", "on"),
        (ua.LocalizedText("an", "de"), "an"),
        (ua.QualifiedName("name", 2), "name"),
        (b"\x01\xff", "01ff"),
        (ua.StatusCode(ua.UInt32(0x80340000)), "BadNodeIdUnknown"),
        ("x" * 1000, "x" * TEXT_MAX),
    ],
)
def test_words_are_texts(value: Any, text: str):
    (sample,) = read(changes((0, value)), reader(), TICKS).batch
    assert (sample.text, sample.quality) == (text, Quality.GOOD)
    assert math.isnan(sample.value)


def test_a_moment_is_words_and_seconds_since_1970():
    (sample,) = read(changes((0, NOW)), reader(), TICKS).batch
    assert (sample.value, sample.text, sample.quality) == (NOW.timestamp(), NOW.isoformat(), Quality.GOOD)


def test_lists_and_structures_become_a_row_for_each_part():
    found = read(changes((0, [1.0, math.nan]), (1, 4.0), (1, ua.Range(1.0, 2.0))), reader(), TICKS)
    assert [s.tag for s in found.batch] == ["m/b", "m/a.0", "m/a.1", "m/b.Low", "m/b.High"]
    assert found.batch.quality.tolist() == [0, 0, Quality.BAD, 0, 0]
    unit = ua.EUInformation(UnitId=ua.Int32(5), DisplayName=ua.LocalizedText("mm"))
    assert told(read(changes((0, unit)), reader(), TICKS)) | {"m/a.NamespaceUri": 0} == {
        "m/a.NamespaceUri": 0,
        "m/a.UnitId": 5,
        "m/a.DisplayName": "mm",
        "m/a.Description": "",
    }
    assert told(read(changes((0, [[1, 2], [3, True]])), reader(), TICKS)) == {
        "m/a.0.0": 1,
        "m/a.0.1": 2,
        "m/a.1.0": 3,
        "m/a.1.1": 1,
    }


def test_parts_keep_the_quality_and_the_times_of_their_value():
    found = read(changes((0, [1.0, 2.0]), code=0x40000000, source=TICKS + EPOCH_TICKS - 5), reader(), TICKS)
    assert found.batch.quality.tolist() == [Quality.UNCERTAIN] * 2
    assert [moment_of(ticks) for ticks in found.batch.source.tolist()] == [moment_of(TICKS - 5)] * 2


def test_what_is_empty_is_no_row_of_its_own():
    found = read(changes((0, []), (1, 1.0)), reader(), TICKS)
    assert told(found) == {"m/b": 1.0, "m/a": pytest.approx(math.nan, nan_ok=True)}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1.0] * (LEAVES_MAX + 1), "more than"),
        (np.ones(LEAVES_MAX + 1), "more than"),
        ([[[[[[[1.0]]]]]]], f"deeper than {DEPTH_MAX}"),
        (Structure(ua.NodeId(1, 2), b""), "does not describe"),
    ],
)
def test_what_cannot_be_rows_is_named_and_bad(value: Any, says: str):
    found = read(changes((1, value), (0, 1.0)), reader(), TICKS)
    assert says in found.unreadable[1]
    assert found.batch.quality.tolist() == [Quality.BAD, Quality.GOOD]


# ---- windows


def windowed() -> Reader:
    found = reader()
    found.windows.add(0)
    return found


@pytest.mark.parametrize("window", [[1.0, -2.0, math.nan], [1, 2, 300], np.full(WINDOW_MAX, 0.5)])
def test_an_array_of_a_window_stays_whole_beside_plain_numbers_and_unfolded_ones(window: Any):
    found = read(changes((1, 4.0), (0, window), (1, [7.0])), windowed(), TICKS)
    assert [(found.batch.keys[tag], row) for row, tag in enumerate(found.batch.tags)] == [
        ("m/b", 0),
        ("m/a", 1),
        ("m/b.0", 2),
    ]
    np.testing.assert_array_equal(found.batch.windows[1], window)
    assert found.batch.quality.tolist() == [Quality.GOOD] * 3
    assert not found.refused
    assert not found.unreadable


def test_a_window_keeps_its_row_when_another_value_is_unfolded_before_it():
    found = read(changes((1, [7.0, 8.0]), (0, [1.0, 2.0])), windowed(), TICKS)
    ((row, window),) = found.batch.windows.items()
    assert (found.batch.keys[int(found.batch.tags[row])], window.tolist()) == ("m/a", [1.0, 2.0])


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.full(WINDOW_MAX + 1, 0.5), f"{WINDOW_MAX + 1} numbers"),
        (["a", "b"], "no array of numbers"),
        ([True, False], "no array of numbers"),
        ([[1.0], [1.0, 2.0]], "no array of numbers"),
        ([None, 1.0], "no array of numbers"),
        ("text", "no array of numbers"),
        (3.0, "no array of numbers"),
    ],
)
def test_what_is_no_window_is_named_counted_and_bad(value: Any, says: str):
    found = read(changes((0, value), (1, 4.0)), windowed(), TICKS)
    assert says in found.unreadable[0]
    assert found.refused == 1
    assert found.batch.quality.tolist() == [Quality.BAD, Quality.GOOD]
    assert len(found.batch.windows[0]) == 0
    assert math.isnan(found.batch.values[0])


def test_a_window_that_the_server_has_no_value_for_is_an_empty_one_and_no_mistake():
    nothing = Changes(
        np.zeros(1, np.uint32),
        np.full(1, math.nan),
        np.zeros(1, np.uint8),
        np.full(1, 0x80000000, np.uint32),
        np.full(1, TICKS + EPOCH_TICKS),
        np.zeros(1, np.int64),
    )
    found = read(nothing, windowed(), TICKS)
    assert (len(found.batch.windows[0]), found.batch.quality.tolist(), found.refused) == (0, [Quality.BAD], 0)
