"""A press whose belt wears by an hour counter, as a config and as telemetry."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import starter
from gateway.backtest.playing import Plant
from gateway.config import Config, load
from gateway.plants import plant_of

START = datetime(2026, 1, 1, tzinfo=UTC)

PRESS = """
connections:
  hall: {connector: opcua, url: "opc.tcp://10.0.0.5:4840", insecure: true, sampling: 1 s}
machines:
  press:
    name: Press
    connection: hall
    tags:
      hours: {node: "nsu=urn:x;s=press.hours", unit: h}
      belt: {node: "nsu=urn:x;s=press.belt", unit: h}
    components:
      belt:
        name: Belt
        rated_life: 1000 h
        wear: {by: usage, tag: belt, resets_at_fitting: true, shape: 8}
        job: {title: Replace the belt, lines: {belt: {item: bearing-7014, quantity: 2}}}
        buying: {lead_time: 5 d, lead_time_spread: 0 %, price: 400 EUR, standstill: 5 EUR/h, holding: 5 EUR/d}
      lamp:
        name: Lamp
        rated_life: 1000 h
        wear: {by: usage, tag: hours}
        job: {title: Replace the lamp}
"""


@pytest.fixture
def site(tmp_path: Path) -> Config:
    path = tmp_path / "toolcrib.yaml"
    starter.write(path, START)
    text = path.read_text()
    start, end = text.index("connections:"), text.index("items: ")
    text = text[:start] + PRESS.lstrip() + "\n" + text[end:]
    path.write_text(text.replace("approval: 8 h, step: 1 h", "approval: 0 h, step: 36 h"))
    return load(path)


@pytest.fixture
def plant(site: Config) -> Plant:
    return plant_of(site)


@pytest.fixture
def recording(tmp_path: Path) -> Callable[[Sequence[float]], Path]:
    """Return a file in which belts run so many hours each, one after the other; every one begins at 0."""

    def write(lives: Sequence[float]) -> Path:
        file = tmp_path / "press.csv"
        lines, at = ["time,hours,belt\n"], START
        for life in lives:
            for hour in range(0, int(life), 12):
                lines.append(f"{at.isoformat()},{(at - START) / timedelta(hours=1):.0f},{hour}\n")
                at += timedelta(hours=12)
        file.write_text("".join(lines))
        return file

    return write
