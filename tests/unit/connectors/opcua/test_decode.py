"""Publish responses from bytes to columns, with no server in sight."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from connectors.opcua.decode import OTHER, Malformed, ServiceFault, decode, decode_republished
from tests.campaigns.fuzz.messages import differences, response_of
from tests.campaigns.fuzz.opcua import escape, mangled

NOW = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)
VT = ua.VariantType


def data(figure: Any, kind: ua.VariantType = VT.Double, code: int = 0) -> ua.DataValue:
    return ua.DataValue(ua.Variant(figure, kind), ua.StatusCode(ua.UInt32(code)), SourceTimestamp=NOW)


def response(*parts: Any, number: int = 1, subscription: int = 7) -> bytes:
    answer = ua.PublishResponse()
    answer.Parameters.SubscriptionId = ua.IntegerId(subscription)
    answer.Parameters.NotificationMessage.SequenceNumber = ua.UInt32(number)
    answer.Parameters.NotificationMessage.NotificationData = list(parts)
    return bytes(struct_to_binary(answer))


def changed(values: Sequence[ua.DataValue]) -> ua.DataChangeNotification:
    items = [ua.MonitoredItemNotification(ua.UInt32(handle), value) for handle, value in enumerate(values)]
    return ua.DataChangeNotification(MonitoredItems=items)


def test_both_decoders_read_alike_and_mangled_bytes_escape_nowhere():
    for number in range(400):
        rng = random.Random(f"decode/{number}")
        body = response_of(rng)
        assert differences(body) == [], number
        assert escape(mangled(rng, body)) is None, number


def test_a_message_of_one_shape_is_read():
    (found,) = decode(response(changed([data(float(n)) for n in range(1000)]))).changes
    assert found.values.tolist() == [float(n) for n in range(1000)]
    assert found.handles.tolist() == list(range(1000))
    assert set(found.kinds.tolist()) == {VT.Double.value}
    assert found.fallbacks == 0


def test_ticks_are_kept_to_the_last():
    body = bytearray(response(changed([data(1.0), data(2.0)])))
    ticks = struct.pack("<q", 134169120001234567)
    place = body.index(struct.pack("<q", 134169120001234560))
    body[place : place + 8] = ticks
    (found,) = decode(bytes(body)).changes
    assert found.source.tolist() == [134169120001234567, 134169120001234560]


def test_picoseconds_stand_where_the_standard_puts_them():
    """Each behind its own time (OPC 10000-6, 5.2.2.17); asyncua 2.1 puts both behind the server's time."""
    item = struct.pack("<IBB d I q H q H", 5, 0x3F, 11, 2.5, 0x40000000, 111, 7, 222, 8)
    for items in ([item], [item, struct.pack("<IBBd", 6, 0x01, 11, 1.0)]):
        body = response(changed([]))
        empty = struct.pack("<iii", 8, 0, 0)
        part = struct.pack("<i", len(items)) + b"".join(items) + struct.pack("<i", 0)
        assert body.count(empty) == 1
        (found,) = decode(body.replace(empty, struct.pack("<i", len(part)) + part)).changes
        assert (found.values[0], found.status[0], found.source[0], found.server[0]) == (2.5, 0x40000000, 111, 222)


def test_several_notifications_an_end_and_events_come_in_one_message():
    events = ua.EventNotificationList(Events=[ua.EventFieldList(ClientHandle=ua.UInt32(1), EventFields=[])])
    gone = ua.StatusChangeNotification(Status=ua.StatusCode(ua.UInt32(0x800A0000)))
    message = decode(response(changed([data(1.0)]), events, changed([data(2.0), data("on", VT.String)]), gone))
    assert [len(part) for part in message.changes] == [1, 2]
    assert (message.events, message.ended, message.keep_alive) == (1, 0x800A0000, False)
    assert message.changes[1].others == {1: "on"}
    assert message.changes[1].kinds.tolist() == [VT.Double.value, OTHER]
    assert math.isnan(message.changes[1].values[1])


def test_a_keep_alive_holds_nothing_and_names_the_next_number():
    message = decode(response(number=9))
    assert (message.keep_alive, message.number, message.changes) == (True, 9, ())


def test_a_fault_is_a_fault():
    header = ua.ResponseHeader(ServiceResult=ua.StatusCode(ua.UInt32(0x80790000)))
    with pytest.raises(ServiceFault) as caught:
        decode(bytes(struct_to_binary(ua.ServiceFault(ResponseHeader=header))))
    assert (caught.value.code, str(caught.value)) == (0x80790000, "BadNoSubscription")
    with pytest.raises(ServiceFault):
        decode_republished(bytes(struct_to_binary(ua.RepublishResponse(ResponseHeader=header))))


def test_a_republished_message_is_read_as_if_published():
    answer = ua.RepublishResponse()
    answer.NotificationMessage.SequenceNumber = ua.UInt32(3)
    answer.NotificationMessage.NotificationData = [changed([data(4.0)])]
    message = decode_republished(bytes(struct_to_binary(answer)))
    assert (message.number, message.changes[0].values.tolist()) == (3, [4.0])


def test_another_answer_is_malformed():
    with pytest.raises(Malformed, match="not a publish response"):
        decode(bytes(struct_to_binary(ua.ReadResponse())))


@pytest.mark.parametrize("count", [2, 1_000, 2**31 - 1])
def test_items_that_are_announced_and_not_there_are_malformed(count: int):
    body = response(changed([data(1.0)]))
    place = body.index(struct.pack("<iI", 1, 0) + b"\x07")
    with pytest.raises(Malformed):
        decode(body[:place] + struct.pack("<i", count) + body[place + 4 :])
