"""The ring gives back what it got, at its own time and once; charts come quickly; the oldest go first."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, update

from connectors.samples import TICKS_PER_SECOND, Batch, Keys, Provenance, Quality, Sample, ticks_of
from gateway.storage import NORMAL, Storage
from maintenance import curves, history
from maintenance.store import telemetry

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
BEGIN = ticks_of(START)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Storage]:
    storage = Storage(tmp_path / "telemetry.db", NORMAL)
    async with storage.write() as tx:
        await tx.run_sync(telemetry.create_all)
    yield storage
    await storage.close()


def steady(
    key: str, values: Sequence[float] | np.ndarray, *, step: timedelta = SECOND, begin: datetime = START
) -> Batch:
    """A tag's values, one after the other, each with us at once."""
    rows = len(values)
    at = ticks_of(begin) + np.arange(rows, dtype=np.int64) * (step // timedelta(microseconds=1) * 10)
    column = np.asarray(values, np.float64)
    quality = np.where(np.isnan(column), 2, 0).astype(np.uint8)
    return Batch("hall", Keys([key]), np.zeros(rows, np.int32), column, quality, at, at, Provenance.B)


class Ring:
    """A writer of the ring that folds when it is told to."""

    def __init__(self, database: Storage) -> None:
        self._database = database
        self._numbered = history.Numbered()
        self._number = 0

    async def write(self, *batches: Batch, number: int | None = None) -> bool:
        self._number = self._number + 1 if number is None else number
        async with self._database.write() as tx:
            for keys in self._numbered.unknown(batches):
                self._numbered.learn(keys, await history.tag_ids(tx, keys))
            flush = history.flush_of(batches, self._numbered)
            return await history.save_flush(tx, flush, "store", ("journal", self._number))

    async def fold(self) -> history.Folded:
        async with self._database.write() as tx:
            (bundle,) = (await history.load_pile(tx)).blocks
            found = await history.foldable(tx, bundle)
            result = history.folded(found)
            await history.save_folded(tx, found, result)
        return result

    async def samples(self, key: str, since: datetime = START) -> list[Sample]:
        async with self._database.read() as tx:
            return await history.history(tx, key, since)

    async def series(self, key: str, until: timedelta, points: int) -> history.Series:
        async with self._database.read() as tx:
            return await history.series(tx, key, START, START + until, points)

    async def count(self, *, good: bool = False) -> int:
        async with self._database.read() as tx:
            return await history.count(tx, good=good)


@pytest.fixture
def ring(database: Storage) -> Ring:
    return Ring(database)


@pytest.mark.parametrize("fold", [False, True])
async def test_samples_come_back_as_they_were(ring: Ring, fold: bool):
    told = [
        Sample("m/a", 0.1 + 0.2, Quality.GOOD, START, START + SECOND, Provenance.A),
        Sample("m/b", math.inf, Quality.UNCERTAIN, START, START + SECOND, Provenance.A),
        Sample("m/a", -3.5e-300, Quality.GOOD, START + HOUR, START + HOUR, Provenance.A),
        Sample("m/a", 7.0, Quality.BAD, START + 2 * HOUR, START + 2 * HOUR, Provenance.A, "aus"),
    ]
    await ring.write(Batch.of("hall", told))
    if fold:
        await ring.fold()
    assert await ring.samples("m/a") == [told[0], told[2], told[3]]
    assert await ring.samples("m/a", START + HOUR) == told[2:]
    assert await ring.samples("m/b") == [told[1]]
    assert await ring.samples("m/c") == []
    assert (await ring.count(), await ring.count(good=True)) == (4, 2)


@pytest.mark.parametrize("fold", [False, True])
async def test_what_is_not_a_number_comes_back_as_that(ring: Ring, fold: bool):
    await ring.write(steady("m/a", [1.0, math.nan, 3.0]))
    if fold:
        await ring.fold()
    found = await ring.samples("m/a")
    assert math.isnan(found[1].value)
    assert [one.quality for one in found] == [Quality.GOOD, Quality.BAD, Quality.GOOD]


async def test_a_parcel_is_written_once_however_often_it_comes(ring: Ring):
    assert await ring.write(steady("m/a", [1.0, 2.0]), number=5)
    assert not await ring.write(steady("m/a", [1.0, 2.0]), number=5)
    assert not await ring.write(steady("m/a", [9.0]), number=4)
    assert await ring.count() == 2


async def test_late_samples_lie_at_their_own_time_and_once(ring: Ring):
    """Redundant servers, or a history that overlaps with what came live."""
    live, late = steady("m/a", [0.0, 1.0, 5.0, 6.0]), steady("m/a", [0.0, 1.0, 2.0, 3.0, 4.0])
    source = live.source.copy()
    source[2:] += 3 * TICKS_PER_SECOND
    await ring.write(replace(live, source=source))
    await ring.fold()
    await ring.write(replace(late, recalled=True))
    assert [one.value for one in await ring.samples("m/a")] == [0, 1, 2, 3, 4, 5, 6]
    await ring.fold()
    assert [one.value for one in await ring.samples("m/a")] == [0, 1, 2, 3, 4, 5, 6]
    chart = await ring.series("m/a", timedelta(seconds=7), 7)
    assert chart.last.tolist() == [0, 1, 2, 3, 4, 5, 6]


async def test_the_last_value_is_the_one_that_came_last_and_never_a_recalled_older_one(ring: Ring, database: Storage):
    now = Sample("m/a", 5.0, Quality.GOOD, START, START, Provenance.A)
    back = Sample("m/a", 6.0, Quality.BAD, START - HOUR, START + SECOND, Provenance.A, "clock set back")
    older = Sample("m/a", 1.0, Quality.GOOD, START - 9 * HOUR, START + HOUR, Provenance.A)
    newer = Sample("m/b", 2.0, Quality.GOOD, START, START + HOUR, Provenance.A)
    for said, recalled in (([now], False), ([back], False), ([older, newer], True)):
        await ring.write(replace(Batch.of("hall", said), recalled=recalled))
    async with database.read() as tx:
        assert await history.load_latest(tx) == [back, newer]


async def test_tags_keep_their_numbers(database: Storage):
    async with database.write() as tx:
        first = await history.tag_ids(tx, ["a", "b", "a"])
        second = await history.tag_ids(tx, ["b", "c"])
        many = await history.tag_ids(tx, [f"m/{number}" for number in range(1200)])
    assert first == {"a": 1, "b": 2}
    assert second == {"b": 2, "c": 3}
    assert sorted(many.values()) == list(range(4, 1204))


async def test_many_small_flushes_become_few_segments(ring: Ring, database: Storage):
    for minute in range(60):
        at = START + timedelta(minutes=minute)
        await ring.write(*(steady(f"m/{tag}", [float(minute)], begin=at) for tag in range(10)))
    await ring.fold()
    async with database.read() as tx:
        rows = (await tx.execute(select(func.count()).select_from(history.segment))).scalar_one()
        assert (await history.load_pile(tx)).blocks == {}
    assert rows == 10
    assert [one.value for one in await ring.samples("m/3")] == list(range(60))


async def test_a_long_stretch_becomes_segments_of_a_bounded_length(ring: Ring):
    await ring.write(steady("m/a", np.arange(10_000.0)))
    result = await ring.fold()
    assert [row["samples"] for row in result.segments] == [4096, 4096, 1808]
    assert [row["final"] for row in result.segments] == [4095, 8191, 9999]


async def test_a_broken_block_costs_itself_alone(ring: Ring, database: Storage):
    await ring.write(steady("m/a", [1.0]))
    await ring.write(steady("m/a", [2.0, 3.0], begin=START + SECOND))
    async with database.write() as tx:
        await tx.execute(update(history.block).where(history.block.c.id == 1).values(content=b"\x01scrambled"))
    assert [one.value for one in await ring.samples("m/a")] == [2.0, 3.0]
    result = await ring.fold()
    assert result.broken_blocks == 1
    assert [one.value for one in await ring.samples("m/a")] == [2.0, 3.0]
    async with database.write() as tx:
        await tx.execute(update(history.segment).values(content=b"", minutes=b""))
    assert await ring.samples("m/a") == []
    assert np.isnan((await ring.series("m/a", HOUR, 3600)).last).all()


async def test_a_chart_keeps_the_peaks_and_shows_a_gap_where_it_was_bad(ring: Ring):
    values = np.sin(np.arange(1000.0))
    values[500], values[700:800] = 99.0, math.nan
    await ring.write(steady("m/a", values))
    for folded in (False, True):
        if folded:
            await ring.fold()
        chart = await ring.series("m/a", timedelta(seconds=1000), 10)
        assert chart.highest[5] == 99.0
        assert chart.last[0] == values[99]
        assert chart.lowest[1] == values[100:200].min()
        assert math.isnan(chart.last[7])
        assert chart.gap.tolist() == [False] * 7 + [True, False, False]
        assert chart.at.tolist() == [BEGIN + step * 100 * TICKS_PER_SECOND for step in range(10)]


async def test_a_chart_of_nothing_is_empty_and_one_without_points_is_refused(ring: Ring):
    assert np.isnan((await ring.series("m/a", HOUR, 5)).last).all()
    with pytest.raises(ValueError, match="points"):
        await ring.series("m/a", HOUR, 0)
    with pytest.raises(ValueError, match="ends"):
        await ring.series("m/a", -HOUR, 5)


@pytest.mark.parametrize("days", [1, pytest.param(30, marks=pytest.mark.long)])
async def test_coarse_charts_from_sums_agree_with_every_sample(ring: Ring, days: int):
    rng = np.random.default_rng(3)
    values = np.round(20 + np.cumsum(rng.normal(0, 0.01, 86_400)), 2)
    for day in range(days):
        await ring.write(steady("m/a", values + day, begin=START + day * timedelta(days=1)))
        await ring.fold()
    span, points = timedelta(days=days), 100
    began = time.process_time()
    chart = await ring.series("m/a", span, points)
    print(f"{(time.process_time() - began) * 1000:.0f} ms of CPU for {days} days")
    whole = np.concatenate([values + day for day in range(days)]).reshape(points, -1)
    assert np.abs(chart.highest - whole.max(axis=1)).max() < 0.5
    assert chart.highest.max() == whole.max()
    assert chart.lowest.min() == whole.min()
    assert not np.isnan(chart.last).any()


async def test_the_ring_forgets_what_was_received_first(ring: Ring, database: Storage):
    for hour in range(10):
        await ring.write(steady("m/a", [float(hour)], begin=START + hour * HOUR))
        if hour == 4:
            await ring.fold()
    async with database.write() as tx:
        dropped = 0
        while some := await history.forget(tx, ticks_of(START + 7 * HOUR)):
            dropped += some
    assert dropped == 7
    assert [one.value for one in await ring.samples("m/a")] == [7, 8, 9]


async def test_what_the_pages_hold_is_known_without_looking_at_them(ring: Ring, database: Storage):
    async with database.read() as tx:
        before = await history.used_bytes(tx)
    await ring.write(steady("m/a", np.random.default_rng(1).normal(size=50_000)))
    async with database.read() as tx:
        assert await history.used_bytes(tx) - before > 50_000 * 8


def test_the_flags_say_what_the_columns_mean():
    assert curves.RECALLED == 8
    assert history.Pile().fullest() is None
