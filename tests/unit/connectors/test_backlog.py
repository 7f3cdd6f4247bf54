"""Between machines and store: order is kept, an outage loses nothing that fits, and what is lost is counted."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors import backlog as module
from connectors.backlog import Backlog
from connectors.samples import Batch, Provenance, Quality, Sample

START = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)


def batch(number: float, samples: int = 1) -> Batch:
    quality = Quality.BAD if math.isnan(number) else Quality.UNCERTAIN
    return Batch.of("hall", [Sample("m/t", number, quality, START, START, Provenance.B)] * samples)


def numbers(batches: list[Batch]) -> list[float]:
    return [held.samples[0].value for held in batches]


class Store:
    """A store that can be out of order."""

    def __init__(self) -> None:
        self.held: list[Batch] = []
        self.broken = False
        self.tried = asyncio.Event()

    async def take(self, taken: Batch) -> None:
        self.tried.set()
        if self.broken:
            raise OSError("the disk of the store is full")
        self.held.append(taken)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.held) < count:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def forwarding(line: Backlog, store: Store) -> AsyncIterator[None]:
    task = asyncio.create_task(line.forward(store.take, sleep=lambda seconds: asyncio.sleep(0.001)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await line.close()


async def drained(line: Backlog) -> list[Batch]:
    """Return what a backlog holds, storing all of it."""
    await line.open()
    taken = []
    while line.depth:
        taken.append(await line.take())
    line._taken = None  # all stored: `close` shall keep none
    await line.close()
    return taken


async def test_while_the_store_works_nothing_touches_the_disk(tmp_path: Path):
    line, store = Backlog(tmp_path / "spill"), Store()
    async with forwarding(line, store):
        for number in range(500):
            await line.put(batch(number))
        await store.until(500)
    assert numbers(store.held) == list(range(500))
    assert not (tmp_path / "spill").exists()


async def test_an_outage_loses_nothing_and_keeps_the_order(tmp_path: Path):
    line, store = Backlog(tmp_path / "spill"), Store()
    async with forwarding(line, store):
        await line.put(batch(0))
        await store.until(1)
        store.broken = True
        for number in range(1, 300):
            await line.put(batch(number))
        await asyncio.wait_for(store.tried.wait(), 5)
        store.broken = False
        await line.put(batch(300))
        await store.until(301)
        await line.put(batch(301))
        await store.until(302)
    assert numbers(store.held) == list(range(302))
    assert (line.lost, line.depth) == (0, 0)


async def test_everything_of_an_outage_is_on_disk_before_a_kill(tmp_path: Path):
    line = Backlog(tmp_path / "spill")
    for number in range(10):
        await line.put(batch(number))
    await line.take()
    await line.put_back()
    await line.put(batch(10))
    # No close: this process is killed here.
    assert numbers(await drained(Backlog(tmp_path / "spill"))) == list(range(11))
    await line.close()


async def test_what_was_not_stored_at_the_end_comes_first_at_the_next_start(tmp_path: Path):
    line = Backlog(tmp_path / "spill")
    for number in range(5):
        await line.put(batch(number))
    await line.take()
    await line.take()
    await line.close()
    again = Backlog(tmp_path / "spill")
    await again.put(batch(5))
    assert numbers(await drained(again)) == [1, 2, 3, 4, 5]
    assert await drained(Backlog(tmp_path / "spill")) == []


async def test_more_chunks_than_one_come_back_in_order_and_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CHUNK_BATCHES", 4)
    line = Backlog(tmp_path / "spill", memory=3)
    for number in range(30):
        await line.put(batch(number))
    taken = []
    for number in range(30):
        taken.append(await line.take())
        if number in (5, 6, 17):
            await line.put_back()
            taken.pop()
            taken.append(await line.take())
    assert numbers(taken) == list(range(30))
    assert (line.depth, line.lost) == (0, 0)
    await line.close()


async def test_a_sample_comes_back_from_disk_as_it_went(tmp_path: Path):
    line = Backlog(tmp_path / "spill", memory=0)
    await line.put(batch(1.1))
    await line.put(batch(math.nan))
    first, second = await line.take(), await line.take()
    assert first.samples == batch(1.1).samples
    assert math.isnan(second.samples[0].value)
    assert second.samples[0].source_time == START
    await line.close()


async def test_beyond_the_bound_the_oldest_on_disk_are_lost_and_counted(tmp_path: Path):
    line = Backlog(tmp_path / "spill", memory=0, disk=10)
    for number in range(8):
        await line.put(batch(number, samples=2))
    assert (line.lost, line.depth) == (6, 10)
    assert numbers(await drained(line)) == [3, 4, 5, 6, 7]


async def test_a_broken_file_is_set_aside_and_the_work_goes_on(tmp_path: Path):
    (tmp_path / "spill.db").write_bytes(b"this is not a database" * 100)
    line = Backlog(tmp_path / "spill.db", memory=0)
    await line.put(batch(1))
    await line.put(batch(2))
    assert (tmp_path / "spill.broken").exists()
    assert numbers(await drained(line)) == [1, 2]


async def test_a_disk_that_cannot_be_written_costs_samples_and_nothing_else(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    line = Backlog(tmp_path / "file" / "spill", memory=1)
    for number in range(5):
        await line.put(batch(number))
    assert (line.lost, line.depth) == (4, 1)
    assert numbers(await drained(line)) == [0]


async def test_taking_waits_for_the_first_batch(tmp_path: Path):
    line = Backlog(tmp_path / "spill")
    waiting: asyncio.Task[Any] = asyncio.create_task(line.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    await line.put(batch(1))
    assert numbers([await waiting]) == [1]
    await line.close()
