"""Parcels are stored once, folded on the way, and the file stays within its bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from connectors.backlog import Backlog, Unstorable
from connectors.journal import Mark, Parcel
from connectors.samples import TICKS_PER_SECOND, Batch, Keys, Provenance, ticks_of
from gateway.historian import READER, Historian
from gateway.storage import NORMAL, Storage
from maintenance import history
from maintenance.store import telemetry

START = ticks_of(datetime(2026, 3, 2, 8, tzinfo=UTC))
KEYS = Keys([f"m/{number}" for number in range(8)])


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Storage]:
    storage = Storage(tmp_path / "telemetry.db", NORMAL)
    async with storage.write() as tx:
        await tx.run_sync(telemetry.create_all)
    yield storage
    await storage.close()


def batch(second: int, rows: int = 1_000, *, noise: bool = False) -> Batch:
    at = START + (second * rows + np.arange(rows, dtype=np.int64)) * TICKS_PER_SECOND
    tags = (np.arange(rows) % 8).astype(np.int32)
    values = np.random.default_rng(second).normal(size=rows) if noise else np.full(rows, float(second))
    return Batch("hall", KEYS, tags, values, np.zeros(rows, np.uint8), at, at, Provenance.B)


def parcel(number: int, *batches: Batch) -> Parcel:
    return Parcel(Mark("journal", number), batches, sum(map(len, batches)))


async def rows(database: Storage) -> tuple[int, int, int]:
    """How many blocks, segments and samples there are."""
    async with database.read() as tx:
        found = [
            (await tx.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (history.block, history.segment)
        ]
        return found[0], found[1], await history.count(tx)


async def test_a_parcel_that_comes_again_is_not_stored_again(database: Storage):
    historian = Historian(database, 2**30)
    for number in (1, 2, 2, 1):
        await historian.store(parcel(number, batch(number)))
    assert historian.samples == 2_000
    assert await rows(database) == (2, 0, 2_000)
    assert await historian.mark() == Mark("journal", 2)


async def test_blocks_are_folded_on_the_way_and_by_the_next_run_as_well(database: Storage, monkeypatch):
    monkeypatch.setattr(history, "FOLD_BLOCKS", 5)
    for number in range(1, 8):  # each is a fresh run
        await Historian(database, 2**30).store(parcel(number, batch(number)))
    assert await rows(database) == (2, 8, 7_000)


async def test_a_file_that_grows_beyond_its_bound_forgets_the_oldest_and_says_how_many(database: Storage, monkeypatch):
    monkeypatch.setattr(history, "FOLD_SAMPLES", 20_000)
    monkeypatch.setattr("gateway.historian.BOUND_EVERY", 2)
    historian, bound = Historian(database, 1_500_000), 1_500_000
    for number in range(1, 31):
        await historian.store(parcel(number, batch(number, rows=10_000, noise=True)))
    assert historian.forgotten > 0
    assert historian.used_bytes <= bound
    assert database.path.stat().st_size < 2 * bound
    _blocks, _segments, kept = await rows(database)
    assert kept + historian.forgotten == 300_000
    async with database.read() as tx:
        found = await history.history(tx, "m/0", datetime(2026, 1, 1, tzinfo=UTC), limit=1)
    assert ticks_of(found[0].source_time) > START + 299_000 * TICKS_PER_SECOND


async def test_what_is_old_is_forgotten_by_its_age(database: Storage):
    historian = Historian(database, 2**30)
    for number in range(10):
        await historian.store(parcel(number + 1, batch(number)))
    cut = datetime(2026, 3, 2, 8, tzinfo=UTC) + timedelta(seconds=5_000)
    assert await historian.forget(cut) == 5_000
    assert (await rows(database))[2] == 5_000


async def test_what_no_store_can_take_is_said_to_be_that(database: Storage):
    column = np.zeros(3, np.int64)
    broken = Batch("hall", KEYS, np.array([0, 1, 99], np.int32), column * 1.0, column, column, column, Provenance.B)
    with pytest.raises(Unstorable):
        await Historian(database, 2**30).store(parcel(1, broken))


async def test_from_the_backlog_everything_arrives_once_over_two_runs(database: Storage, tmp_path: Path):
    for run in range(2):
        backlog, historian = Backlog(tmp_path / "backlog"), Historian(database, 2**30)
        reader = await backlog.reader(READER, await historian.mark())
        task = asyncio.create_task(reader.forward(historian.store))
        for second in range(10):
            await backlog.put(batch(run * 20 + second))
        await backlog.drain(10)
        for second in range(10, 20):
            await backlog.put(batch(run * 20 + second))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await backlog.close()
    assert (await rows(database))[2] == 30_000
    backlog, historian = Backlog(tmp_path / "backlog"), Historian(database, 2**30)
    reader = await backlog.reader(READER, await historian.mark())
    assert backlog.depth == 10_000
    await historian.store(await reader.take(within=0))
    assert (await rows(database))[2] == 40_000
    await backlog.close()
