"""What a conversation notes while values pass, without a wire."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def reader(tmp_path: Path) -> OpcUaConnector:
    tags = {"m/t": OpcUaTag(node="i=1", unit="mm")}
    return OpcUaConnector("hall", OpcUaSettings(url="opc.tcp://plc"), tags, clock=lambda: NOW, state=tmp_path)


def message(value: Any, sequence: int, code: int = 0) -> tuple[datetime, ua.PublishResult]:
    held = ua.DataValue(ua.Variant(value), ua.StatusCode(code), SourceTimestamp=NOW)
    change = ua.DataChangeNotification(MonitoredItems=[ua.MonitoredItemNotification(ClientHandle=0, Value=held)])
    part = ua.NotificationMessage(SequenceNumber=sequence, NotificationData=[change])
    return NOW, ua.PublishResult(1, NotificationMessage=part)


def test_a_tag_that_turns_unreadable_and_back_is_news_each_time(reader: OpcUaConnector):
    news = [reader._decode(message(value, n))[1] for n, value in enumerate((1.0, "on", "off", 2.0, 3.0), 1)]
    assert news == [False, True, False, True, False]


def test_what_was_lost_on_the_way_is_counted(reader: OpcUaConnector):
    reader._decode(message(1.0, 1))
    reader._decode(message(2.0, 5, code=0x0480))
    assert (reader.received, reader.missed, reader.overflowed) == (2, 3, 1)
