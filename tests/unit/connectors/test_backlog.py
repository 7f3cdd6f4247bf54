"""Between machines and store: order is kept, an outage loses nothing that fits, and what is lost is counted."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors import backlog as module
from connectors.backlog import Backlog, Parcel, Unstorable
from connectors.counters import Loss
from connectors.journal import Journal, Mark
from connectors.samples import Batch, Provenance, Quality, Sample

START = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for company waits a tenth as long."""
    monkeypatch.setattr(module, "COMMIT_SECONDS", 0.01)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)


def batch(number: float, samples: int = 1) -> Batch:
    quality = Quality.BAD if math.isnan(number) else Quality.UNCERTAIN
    return Batch.of("hall", [Sample("m/t", number, quality, START, START, Provenance.B)] * samples)


class Store:
    """A store that can be out of order, and remembers its mark with what it holds."""

    def __init__(self) -> None:
        self.held: list[Batch] = []
        self.mark: Mark | None = None
        self.broken = self.unstorable = False
        self.tried = asyncio.Event()

    @property
    def numbers(self) -> list[float]:
        return [float(value) for each in self.held for value in each.values]

    async def take(self, parcel: Parcel) -> None:
        self.tried.set()
        if self.unstorable:
            raise Unstorable("a value that nobody can hold")
        if self.broken:
            raise OSError("the disk of the store is full")
        self.held += parcel.batches
        self.mark = parcel.mark


@asynccontextmanager
async def forwarding(line: Backlog, store: Store, within: float = 0.01) -> AsyncIterator[None]:
    reader = await line.reader("store", store.mark)
    task = asyncio.create_task(reader.forward(store.take, within=within))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await line.close()


async def put(line: Backlog, *numbers: float) -> None:
    for number in numbers:
        await line.put(batch(number))


async def test_everything_arrives_in_its_order_and_the_disk_is_tidied(tmp_path: Path):
    line, store = Backlog(tmp_path / "backlog"), Store()
    async with forwarding(line, store):
        await put(line, *range(500))
        await line.drain()
        assert (line.depth, line.lost, line.failures, line.age_seconds) == (0, 0, 0, 0)
    assert store.numbers == list(range(500))


async def test_an_outage_loses_nothing_and_keeps_the_order(tmp_path: Path):
    line, store = Backlog(tmp_path / "backlog"), Store()
    async with forwarding(line, store):
        await put(line, 0)
        await line.drain()
        store.broken = True
        store.tried.clear()
        await put(line, *range(1, 300))
        await asyncio.wait_for(store.tried.wait(), 5)
        assert line.depth == 299
        store.broken = False
        await put(line, 300)
        await line.drain()
    assert store.numbers == list(range(301))
    assert line.lost == 0
    assert line.failures > 0


async def test_what_was_not_stored_at_the_end_comes_first_at_the_next_start_and_once(tmp_path: Path):
    store = Store()
    line = Backlog(tmp_path / "backlog")
    async with forwarding(line, store):
        await put(line, 0, 1, 2)
        await line.drain()
        store.broken = True
        await put(line, 3, 4)
    store.broken = False
    again = Backlog(tmp_path / "backlog")
    async with forwarding(again, store):
        await put(again, 5)
        await again.drain()
    assert store.numbers == [0, 1, 2, 3, 4, 5]


async def test_what_a_store_has_committed_is_not_given_again_though_nobody_said_so(tmp_path: Path):
    store = Store()
    line = Backlog(tmp_path / "backlog")
    reader = await line.reader("store")
    await put(line, 1, 2)
    await store.take(await reader.take(within=0))
    # The process is killed between the commit and `done`.
    again = Backlog(tmp_path / "backlog")
    async with forwarding(again, store):
        await put(again, 3)
        await again.drain()
    assert store.numbers == [1, 2, 3]
    await line.close()


async def test_a_sample_comes_back_from_disk_as_it_went(tmp_path: Path):
    line, store = Backlog(tmp_path / "backlog"), Store()
    said = Batch.of(
        "hall",
        [
            Sample("m/t", 1.1, Quality.GOOD, START, START, Provenance.A),
            Sample("m/s", math.nan, Quality.GOOD, START, START, Provenance.A, "Läuft"),
        ],
    )
    async with forwarding(line, store):
        await line.put(said)
        await line.drain()
    (found,) = store.held
    assert found.samples[0] == said.samples[0]
    assert found.samples[1].text == "Läuft"
    assert found.source.tolist() == said.source.tolist()


async def test_a_parcel_that_can_never_be_stored_is_counted_and_stops_nothing(tmp_path: Path):
    line, store = Backlog(tmp_path / "backlog"), Store()
    async with forwarding(line, store):
        store.unstorable = True
        await line.put(batch(1, samples=3))
        await line.drain()
        store.unstorable = False
        await put(line, 2)
        await line.drain()
    assert store.numbers == [2]
    assert line.losses[Loss.STORE_REFUSED] == 3


async def test_a_disk_that_cannot_be_written_costs_samples_and_nothing_else(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    line, store = Backlog(tmp_path / "file" / "backlog", memory=2), Store()
    async with forwarding(line, store):
        await put(line, *range(5))
        await line.drain(0.1)
        await put(line, *range(5, 10))
        assert line.depth == 2
        assert line.losses[Loss.BACKLOG_DISK] + line.losses[Loss.BACKLOG_BEHIND] == 8
        assert line.losses[Loss.BACKLOG_DISK] >= 5
        (tmp_path / "file").unlink()
        async with asyncio.timeout(5):
            while not store.held:
                await asyncio.sleep(0.01)
    assert store.numbers == [8, 9]


async def test_a_disk_that_stands_still_costs_no_memory(tmp_path: Path):
    line = Backlog(tmp_path / "backlog", memory=10)
    await put(line, *range(100))
    assert (line.waiting, line.losses[Loss.BACKLOG_BEHIND]) == (10, 90)
    await line.close()


async def test_a_sink_that_remembers_nothing_goes_on_where_it_was(tmp_path: Path):
    for run in range(2):
        line, store = Backlog(tmp_path / "backlog"), Store()
        reader = await line.reader("broker")
        task = asyncio.create_task(reader.forward(store.take, within=0.01, keep=True))
        await put(line, run)
        await line.drain()
        assert store.numbers == [run]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await line.close()


async def test_a_reader_that_had_nothing_to_do_is_not_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BEHIND_SECONDS", 0.05)
    line, store = Backlog(tmp_path / "backlog"), Store()
    reader = await line.reader("store")
    task = asyncio.create_task(reader.forward(store.take, within=60))
    await asyncio.sleep(0.1)  # idle for longer than a reader may be given nothing
    await put(line, 1)
    await line._committed()
    assert reader.cursor.depth == 1
    assert not reader.is_behind
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await line.close()


async def test_enough_samples_do_not_wait_for_more(tmp_path: Path):
    line = Backlog(tmp_path / "backlog")
    reader = await line.reader("store")
    taking = asyncio.create_task(reader.take(samples_max=3, within=3600))
    await put(line, 1, 2)
    await line._committed()
    assert not taking.done()
    await put(line, 3)
    async with asyncio.timeout(5):
        parcel = await taking
    assert parcel.samples == 3
    await line.close()


async def test_while_the_store_is_away_records_take_less_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BEHIND_SECONDS", -1)
    line = Backlog(Journal(tmp_path / "backlog"))
    await line.reader("store")
    sizes = []
    for _ in range(2):
        before = line.size_bytes
        await line.put(batch(1.5, samples=5_000))
        await line._committed()
        sizes.append(line.size_bytes - before)
    assert sizes[1] < sizes[0] / 5
    assert line.age_seconds < 5
    await line.close()
