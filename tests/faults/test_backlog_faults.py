"""Power, disks and files fail under backlog and store: nothing twice, nothing missing that was on disk, losses counted.

The kills are real ones of a process of its own, the full disk is the kernel's own refusal, and the store's errors are
SQLite's.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from connectors import backlog as module
from connectors.backlog import Backlog
from connectors.counters import Loss
from connectors.journal import Journal
from connectors.samples import TICKS_PER_SECOND, Batch, Keys, Provenance, ticks_of
from gateway.historian import READER, Historian
from gateway.storage import NORMAL, Storage
from maintenance import history
from maintenance.store import telemetry
from tests.faults.failing_disk import Disk, Kind
from tests.faults.hoarder import begins

START = ticks_of(datetime(2026, 3, 2, 8, tzinfo=UTC))
KEYS = Keys(["m/t"])


def batch(number: int, rows: int = 100) -> Batch:
    values = np.arange(number * rows, (number + 1) * rows, dtype=np.float64)
    at = START + values.astype(np.int64) * TICKS_PER_SECOND
    return Batch("hall", KEYS, np.zeros(rows, np.int32), values, np.zeros(rows, np.uint8), at, at, Provenance.A)


async def hoarder(directory: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.hoarder", str(directory), *arguments, stdout=asyncio.subprocess.PIPE
    )


async def kill_after(directory: Path, run: int, seconds: float, *arguments: str) -> int:
    """Let a process take in samples and kill it in the middle; returns how many it said were on disk."""
    process = await hoarder(directory, str(run), *arguments)
    assert process.stdout is not None
    said = await process.stdout.readline()
    await asyncio.sleep(seconds)  # the moment of the kill, which is what is tried
    process.kill()
    said += await process.stdout.read()
    await process.wait()
    return int(said.split(b"\n")[-2])


async def stored(directory: Path, run: int) -> tuple[list[float], int]:
    """Return the values of a run, and how many samples the store believes to have of all."""
    storage = Storage(directory / "telemetry.db", NORMAL)
    async with storage.read() as tx:
        stretch = await history.read(tx, f"run/{run}", begins(run))
        total = await history.count(tx)
    await storage.close()
    return stretch.values.tolist(), total


@pytest.mark.parametrize(
    ("kills", "fold"),
    [(3, ()), pytest.param(30, (), marks=pytest.mark.long), pytest.param(30, ("4",), marks=pytest.mark.long)],
)
async def test_a_kill_at_any_moment_costs_nothing_that_was_on_disk_and_doubles_nothing(
    tmp_path: Path, kills: int, fold: tuple[str, ...]
):
    rng = random.Random(7)
    said = [await kill_after(tmp_path, run, rng.uniform(0, 0.3), *fold) for run in range(kills)]
    process = await hoarder(tmp_path, "drain", *fold)
    assert await process.wait() == 0
    found = [await stored(tmp_path, run) for run in range(kills)]
    for safe, (values, _total) in zip(said, found, strict=True):
        assert len(values) >= safe > 0
        assert values == list(range(len(values)))
    assert found[0][1] == sum(len(values) for values, _total in found)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let the kernel refuse to write more into any file, as a full disk does: in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_in_the_middle_of_a_record_leaves_the_others_whole(tmp_path: Path):
    journal = Journal(tmp_path / "backlog")
    cursor, kept, refused = journal.cursor("store"), 0, 0
    for number in range(40):
        with no_file_larger_than(10_000 if 10 <= number < 20 else 5_000_000):
            try:
                journal.append([batch(number)])
                kept += 1
            except OSError:
                refused += 1
    assert 0 < refused <= 10
    found = []
    while parcel := journal.read(cursor, 500):
        found += [float(value) for each in parcel.batches for value in each.values]
        journal.done(cursor, parcel)
    assert len(found) == kept * 100
    assert found == sorted(set(found))
    assert (cursor.losses.total, cursor.depth) == (0, 0)
    again = Journal(tmp_path / "backlog")
    again.look()
    assert again.cursor("store").losses.total == 0


async def test_a_disk_that_stays_full_costs_the_oldest_samples_and_no_memory(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "COMMIT_SECONDS", 0.001)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    backlog = Backlog(tmp_path / "backlog", memory=1_000)
    reader = await backlog.reader("store")
    with no_file_larger_than(0), capture_logs():
        for number in range(50):
            await backlog.put(batch(number))
            await backlog._committed()
        assert backlog.is_failing
        assert backlog.waiting == 1_000
        assert backlog.losses[Loss.BACKLOG_DISK] == 4_000
    await backlog.put(batch(50))
    parcel = await reader.take(within=0)
    assert [int(each.values[0]) for each in parcel.batches] == [number * 100 for number in range(41, 51)]
    assert not backlog.is_failing
    await backlog.close()


@pytest.mark.parametrize("kind", [Kind.FULL, Kind.LATE_IO_ERROR])
async def test_a_store_that_fails_at_any_call_stores_everything_once_when_it_is_mended(
    tmp_path: Path, kind: Kind, monkeypatch
):
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(history, "FOLD_BLOCKS", 3)
    disk = Disk(kind=kind)
    storage = Storage(tmp_path / "telemetry.db", NORMAL, connecting=disk.connect)
    async with storage.write() as tx:
        await tx.run_sync(telemetry.create_all)
    backlog, historian = Backlog(tmp_path / "backlog"), Historian(storage, 2**30)
    reader = await backlog.reader(READER, await historian.mark())
    task = asyncio.create_task(reader.forward(historian.store, within=0))
    number = 0
    for at in range(30):  # more than the calls of a parcel, of a fold, and of a look at the size
        disk.calls.clear()
        disk.at = at
        await backlog.put(batch(number))
        await backlog.drain(10)
        disk.mend()
        number += 1
    assert len(disk.calls) < 30
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with storage.read() as tx:
        stretch = await history.read(tx, "m/t", datetime(2026, 1, 1, tzinfo=UTC))
        assert await history.count(tx) == number * 100
    assert stretch.values.tolist() == list(range(number * 100))
    assert backlog.lost == 0
    await backlog.close()
    await storage.close()


async def test_a_store_that_is_away_for_a_hundred_virtual_hours_gets_the_last_seventy_two(tmp_path: Path):
    now = [datetime(2026, 3, 2, 8, tzinfo=UTC)]
    backlog = Backlog(Journal(tmp_path / "backlog", clock=lambda: now[0]))
    reader = await backlog.reader("store")
    for hour in range(100):
        await backlog.put(batch(hour))
        await backlog._committed()
        now[0] += timedelta(hours=1)
    assert backlog.age_seconds >= 71 * 3600
    got = []
    while reader.cursor.depth:
        parcel = await reader.take(within=0)
        got += [float(value) for each in parcel.batches for value in each.values]
        await reader.done(parcel)
    lost = backlog.losses[Loss.BACKLOG_FULL]
    assert got == list(range(lost, 10_000))
    assert 7_200 <= len(got) <= 7_400
    await backlog.close()


async def test_a_store_that_proves_broken_loses_nothing_of_the_backlog(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    path = tmp_path / "telemetry.db"
    storage = Storage(path, NORMAL)
    async with storage.write() as tx:
        await tx.run_sync(telemetry.create_all)
        await tx.exec_driver_sql("DROP TABLE block")
    backlog, historian = Backlog(tmp_path / "backlog"), Historian(storage, 2**30)
    reader = await backlog.reader(READER)
    task = asyncio.create_task(reader.forward(historian.store, within=0))
    await backlog.put(batch(0))
    async with asyncio.timeout(10):
        while not backlog.failures:
            await asyncio.sleep(0.001)
    assert backlog.depth == 100
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA busy_timeout = 5000")
    async with storage.write() as tx:
        await tx.run_sync(telemetry.create_all)
    await backlog.drain(10)
    assert (backlog.depth, backlog.lost, historian.samples) == (0, 0, 100)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await backlog.close()
    await storage.close()
