"""What a conversation notes while values pass, without a wire."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.counters import Loss
from connectors.opcua.connector import OpcUaConnector
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.opcua.variants import Structure
from tests.unit.connectors.opcua.test_readings import changes

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
UNKNOWN = Structure(None, b"")  # type: ignore[arg-type]  # of no type at all


def fresh(state: Path, *standby: str) -> OpcUaConnector:
    tags = {"m/t": OpcUaTag(node="i=1", unit="mm")}
    settings = OpcUaSettings(url="opc.tcp://plc", standby=standby)
    return OpcUaConnector("hall", settings, tags, clock=lambda: NOW, state=state)


@pytest.fixture
def reader(tmp_path: Path) -> OpcUaConnector:
    return fresh(tmp_path)


def test_a_tag_that_turns_unreadable_and_back_is_news_each_time(reader: OpcUaConnector):
    values: tuple[Any, ...] = (1.0, UNKNOWN, UNKNOWN, 2.0, 3.0)
    assert [reader._judged(reader._read(changes((0, value)))) for value in values] == [False, True, False, True, False]


def test_what_was_lost_on_the_way_is_counted(reader: OpcUaConnector):
    reader._read(changes((0, 1.0)))
    reader._read(changes((0, 2.0), code=0x0480))
    reader._read(changes((0, 2.0), source=1))
    assert (reader.counters.losses[Loss.SERVER_OVERFLOW], reader.counters.clock_off) == (1, 1)


def test_a_fresh_connector_goes_on_where_the_last_one_ended(reader: OpcUaConnector, tmp_path: Path):
    heir = fresh(tmp_path)
    heir.succeed(reader)
    assert heir._continuity is reader._continuity
    other = OpcUaConnector(
        "hall",
        OpcUaSettings(url="opc.tcp://plc"),
        {"m/u": OpcUaTag(node="i=2", unit="mm")},
        clock=lambda: NOW,
        state=tmp_path,
    )
    other.succeed(reader)
    assert other._continuity is not reader._continuity


def test_the_endpoints_of_a_machine_are_asked_in_turn(tmp_path: Path):
    several = fresh(tmp_path, "opc.tcp://second", "opc.tcp://third")
    asked = []
    for _ in range(4):
        asked.append(several._url)
        several._continuity.turn_to_the_next()
    assert asked == ["opc.tcp://plc", "opc.tcp://second", "opc.tcp://third", "opc.tcp://plc"]
