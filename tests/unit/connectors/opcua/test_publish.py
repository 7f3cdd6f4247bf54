"""From what a server publishes to samples, with no server in sight."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.publish import Wire, ended, missed, number, quality_of, read, readings
from connectors.samples import Provenance, Quality

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
WIRE = Wire(("m/a", "m/b"), NOW, Provenance.A, timedelta(minutes=5))


def value(figure: Any, kind: ua.VariantType = ua.VariantType.Double, code: int = 0, **times: Any) -> ua.DataValue:
    return ua.DataValue(ua.Variant(figure, kind), ua.StatusCode(code), **({"SourceTimestamp": NOW} | times))


def publish(*parts: Any, sequence: int = 1) -> ua.PublishResult:
    return ua.PublishResult(
        1, NotificationMessage=ua.NotificationMessage(SequenceNumber=sequence, NotificationData=list(parts))
    )


def changes(*items: tuple[int, ua.DataValue]) -> ua.DataChangeNotification:
    return ua.DataChangeNotification(
        MonitoredItems=[ua.MonitoredItemNotification(ClientHandle=handle, Value=held) for handle, held in items]
    )


@pytest.mark.parametrize(
    ("figure", "kind", "expected"),
    [
        (True, ua.VariantType.Boolean, 1.0),
        (-5, ua.VariantType.Int16, -5.0),
        (2**63, ua.VariantType.UInt64, float(2**63)),
        (1.5, ua.VariantType.Float, 1.5),
    ],
)
def test_a_scalar_number_is_read(figure: Any, kind: ua.VariantType, expected: float):
    reading = read(value(figure, kind), "m/a", WIRE)
    assert (reading.sample.value, reading.sample.quality, reading.unreadable) == (expected, Quality.GOOD, None)


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_bad_and_nan(figure: float):
    sample = read(value(figure), "m/a", WIRE).sample
    assert math.isnan(sample.value)
    assert sample.quality is Quality.BAD


def test_no_value_is_bad_and_no_fault_of_the_tag():
    for empty in (ua.DataValue(ua.Variant(None), ua.StatusCode(0x80320000)), ua.DataValue()):
        reading = read(empty, "m/a", WIRE)
        assert (math.isnan(reading.sample.value), reading.sample.quality) == (True, Quality.BAD)
        assert reading.unreadable is None


@pytest.mark.parametrize(
    ("variant", "says"),
    [
        (ua.Variant("on", ua.VariantType.String), "holds String, not a number"),
        (ua.Variant([1.0], ua.VariantType.Double), "holds a list of Double, not a number"),
        (ua.Variant(NOW, ua.VariantType.DateTime), "holds DateTime, not a number"),
    ],
)
def test_another_type_is_named(variant: ua.Variant, says: str):
    figure, why = number(variant)
    assert math.isnan(figure)
    assert why == says


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
    assert quality_of(code) is quality
    assert read(value(1.0, code=code), "m/a", WIRE).sample.quality is quality


@given(st.timedeltas(timedelta(days=-4000), timedelta(days=4000)), st.sampled_from([0, 0x40000000, 0x80000000]))
def test_the_source_time_is_never_altered_and_far_from_now_never_good(away: timedelta, code: int):
    reading = read(value(1.0, code=code, SourceTimestamp=NOW + away), "m/a", WIRE)
    assert reading.sample.source_time == NOW + away
    assert reading.sample.receive_time == NOW
    assert reading.clock_off == (abs(away) > WIRE.clock_tolerance)
    assert reading.sample.quality >= quality_of(code)
    if reading.clock_off:
        assert reading.sample.quality is not Quality.GOOD


def test_without_a_source_time_the_servers_counts_and_then_ours():
    server = NOW - timedelta(seconds=3)
    assert read(value(1.0, SourceTimestamp=None, ServerTimestamp=server), "m/a", WIRE).sample.source_time == server
    assert read(value(1.0, SourceTimestamp=None), "m/a", WIRE).sample.source_time == NOW


def test_a_time_without_zone_is_utc_as_the_protocol_has_it():
    assert read(value(1.0, SourceTimestamp=NOW.replace(tzinfo=None)), "m/a", WIRE).sample.source_time == NOW


def test_an_overflowing_queue_is_seen_and_its_value_good():
    reading = read(value(1.0, code=0x0480), "m/a", WIRE)
    assert reading.overflowed
    assert reading.sample.quality is Quality.GOOD
    assert not read(value(1.0, code=0x0400), "m/a", WIRE).overflowed


def test_values_come_in_their_order_and_unknown_handles_are_skipped():
    result = publish(changes((1, value(1.0)), (7, value(2.0))), changes((0, value(3.0)), (1, value(4.0))))
    assert [(r.sample.tag, r.sample.value) for r in readings(result, WIRE)] == [("m/b", 1), ("m/a", 3), ("m/b", 4)]


def test_a_keep_alive_holds_nothing_and_uses_no_number():
    assert list(readings(publish(), WIRE)) == []
    assert missed(4, publish(sequence=9)) == (0, 4)


@pytest.mark.parametrize(
    ("last", "now", "gap"),
    [(0, 5, 0), (1, 2, 0), (1, 4, 2), (2**32 - 1, 1, 0), (2**32 - 1, 3, 2), (4, 4, 0), (4, 3, 0)],
)
def test_messages_that_never_arrived_are_counted(last: int, now: int, gap: int):
    assert missed(last, publish(changes((0, value(1.0))), sequence=now)) == (gap, now)


def test_an_ended_subscription_says_why():
    gone = ua.StatusChangeNotification(Status=ua.StatusCode(ua.StatusCodes.BadTimeout))
    assert ended(publish(gone)) == "BadTimeout"
    assert ended(publish(ua.StatusChangeNotification(Status=ua.StatusCode(0)))) is None
    assert ended(publish()) is None
