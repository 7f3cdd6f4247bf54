"""What counts in a gateway is told to Prometheus, by name, and every loss by its reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from connectors.backlog import Backlog
from connectors.counters import Counters, Latencies, Loss
from connectors.samples import Batch, Provenance, Quality, Sample
from gateway.historian import Historian
from gateway.learning.kinds import Kind, Wearing
from gateway.learning.phases import Phase
from gateway.learning.standing import Standing
from gateway.live import Board, Link
from gateway.metrics import Counted, exposition
from gateway.schedule import Schedule
from gateway.storage import NORMAL, Storage
from maintenance.alarms.alarm import Finding
from maintenance.alarms.book import Book
from maintenance.alarms.kinds import AlarmKind, Priority
from maintenance.alarms.rules import Rules

NOW = datetime(2026, 3, 2, tzinfo=UTC)


async def test_what_counts_in_the_gateway_is_told_to_prometheus(tmp_path: Path):
    board = Board()
    board.notify(Link("hall-2", True, NOW, "", (("mill/gone", "no such node"),)))
    board.notify(Link("plc", False, NOW, "no answer"))
    said = NOW - timedelta(seconds=90)
    for connection in ("hall-2", "plc"):
        sample = Sample(f"{connection}/t", 1.0, Quality.GOOD, said, said, Provenance.A)
        board.put(Batch.of(connection, [sample]))
    schedule = Schedule()

    async def nothing() -> None: ...

    schedule.every(timedelta(hours=1), "decide", nothing)
    hall = Counters(samples=5, batches=2, recalled=1, connects=3, fallbacks=4)
    hall.losses.count(Loss.SERVER_OVERFLOW, 6)
    hall.polls.observe(0.02)
    backlog = Backlog(tmp_path / "backlog", memory=2)
    for _ in range(5):
        await backlog.put(Batch.of("plc", [Sample("plc/t", 1.0, Quality.GOOD, NOW, NOW, Provenance.B)]))
    storage = Storage(tmp_path / "telemetry.db", NORMAL)
    counters = {"hall-2": hall, "plc": Counters()}
    lag = Latencies()
    lag.observe(0.003)
    pipeline = SimpleNamespace(samples=7, intake=SimpleNamespace(lag=lag))
    book = Book(Rules())
    lost = Finding(AlarmKind.CONNECTION_LOST, "plc", "", True, Priority.MEDIUM, since=said)
    silent = Finding(AlarmKind.SENSOR_SILENT, "plc/t", "plc", True, connection="plc", since=said)
    for at in (NOW, NOW + timedelta(minutes=20)):
        book.observe([lost, silent], at)
    seals = Kind(Wearing.USAGE, "seal-kit")
    standings = {seals: Standing(Phase.ADAPTABLE, lives=5)}
    keeper = SimpleNamespace(kept=9, lost=1)
    learning: Any = SimpleNamespace(standings=lambda: standings, seconds={seals: 1.5}, failures=2, frames=keeper)
    overview = partial(book.overview, NOW)
    historian = Historian(storage, 1)
    counted = Counted(pipeline, backlog, historian, counters, board, schedule, lambda: NOW, overview, learning)
    body, content_type = exposition(counted)
    await backlog.close()
    await storage.close()
    lines = body.decode().splitlines()
    for line in (
        'toolcrib_alarms_active{priority="medium"} 1.0',
        'toolcrib_alarms_active{priority="low"} 0.0',
        "toolcrib_alarms_unacknowledged 1.0",
        "toolcrib_alarms_shelved 0.0",
        "toolcrib_alarms_suppressed 1.0",
        "toolcrib_alarms_raised_per_hour 1.0",
        "toolcrib_alarm_flood 0.0",
        "toolcrib_samples_total 7.0",
        'toolcrib_intake_lag_seconds_bucket{le="0.0025"} 0.0',
        'toolcrib_intake_lag_seconds_bucket{le="0.005"} 1.0',
        'toolcrib_samples_lost_total{connection="hall-2",reason="server_overflow"} 6.0',
        'toolcrib_samples_lost_total{connection="plc",reason="messages_missed"} 0.0',
        'toolcrib_samples_lost_total{connection="",reason="backlog_behind"} 3.0',
        'toolcrib_connection_samples_total{connection="hall-2"} 5.0',
        'toolcrib_connection_batches_total{connection="hall-2"} 2.0',
        'toolcrib_recalled_samples_total{connection="hall-2"} 1.0',
        'toolcrib_reconnects_total{connection="hall-2"} 2.0',
        'toolcrib_decode_fallbacks_total{connection="hall-2"} 4.0',
        'toolcrib_poll_seconds_bucket{connection="hall-2",le="0.01"} 0.0',
        'toolcrib_poll_seconds_bucket{connection="hall-2",le="0.025"} 1.0',
        'toolcrib_poll_seconds_count{connection="hall-2"} 1.0',
        "toolcrib_stale_tags 1.0",
        "toolcrib_tags 2.0",
        "toolcrib_oldest_value_seconds 90.0",
        "toolcrib_backlog_samples 2.0",
        "toolcrib_backlog_bytes 0.0",
        "toolcrib_stored_samples_total 0.0",
        "toolcrib_store_bytes 0.0",
        'toolcrib_connection_up{connection="hall-2"} 1.0',
        'toolcrib_connection_up{connection="plc"} 0.0',
        'toolcrib_tag_faults{connection="hall-2"} 1.0',
        'toolcrib_act_failures_total{act="decide"} 0.0',
        'toolcrib_learning_phase{kind="seal-kit",phase="adaptable",wear="usage"} 1.0',
        'toolcrib_learning_phase{kind="seal-kit",phase="bound",wear="usage"} 0.0',
        'toolcrib_learning_lives{kind="seal-kit",wear="usage"} 5.0',
        'toolcrib_learning_seconds{kind="seal-kit",wear="usage"} 1.5',
        "toolcrib_learning_failures_total 2.0",
        "toolcrib_frames_kept_total 9.0",
        "toolcrib_frames_lost_total 1.0",
    ):
        assert line in lines, line
    assert content_type.startswith("text/plain")
