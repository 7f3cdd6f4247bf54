"""A telemetry database of the older schema: the newest samples are carried over, the rest is dropped and said."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from structlog.testing import capture_logs

from connectors.samples import Provenance, Quality
from gateway.databases import open_databases, telemetry_file
from maintenance import history
from maintenance.store import telemetry

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def older(path: Path, rows: int) -> None:
    """Make a file of schema 0001 with a tag a second, every tenth value bad and no number."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "gateway.migrations:telemetry")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    first = int(START.timestamp() * 1e6)
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany("INSERT INTO tag (id, key) VALUES (?, ?)", [(3, "m/a"), (4, "m/b"), (9, "m/silent")])
        told = (
            (3 + number % 2, first + number * 500_000, first + number * 500_000 + 250_000)
            + ((None, 2, "B") if number % 10 == 0 else (number / 10, 0, "A"))
            for number in range(rows)
        )
        query = "INSERT INTO sample (tag, source_time, receive_time, value, quality, provenance) VALUES (?,?,?,?,?,?)"
        connection.executemany(query, told)
        connection.commit()


async def test_samples_are_carried_over_and_the_last_of_each_tag_is_known(tmp_path: Path):
    older(telemetry_file(tmp_path), 20_000)
    async with open_databases(tmp_path) as databases, databases.telemetry.read() as tx:
        found = await history.history(tx, "m/b", START)
        assert len(found) == 10_000
        assert await history.count(tx, good=True) == 18_000
        latest = await history.load_latest(tx)
        assert (await history.history(tx, "m/a", START))[0].quality is Quality.BAD
    assert [one.tag for one in latest] == ["m/a", "m/b"]
    assert latest[1] == found[-1]
    assert (found[0].value, found[0].provenance) == (0.1, Provenance.A)
    assert found[0].source_time == START + timedelta(milliseconds=500)
    assert found[0].receive_time == START + timedelta(milliseconds=750)
    with closing(sqlite3.connect(telemetry_file(tmp_path))) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert set(telemetry.tables) == tables - {"alembic_version", "sqlite_sequence"}
    assert (tmp_path / "telemetry.db.schema-0001").exists()


@pytest.mark.long
async def test_a_ring_too_full_to_convert_keeps_its_newest_and_says_what_it_dropped(tmp_path: Path):
    older(telemetry_file(tmp_path), 1_200_000)
    began = time.process_time()
    with capture_logs() as told:
        async with open_databases(tmp_path) as databases, databases.telemetry.read() as tx:
            kept = await history.count(tx)
            assert (await history.history(tx, "m/b", START))[-1].value == 119_999.9
    print(f"{time.process_time() - began:.1f} s of CPU")
    assert kept == 1_000_000
    assert [line["samples"] for line in told if "dropped" in line["event"]] == [200_000]
