"""Frames on their way into the file: nothing twice, nothing without a bound, and every loss counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from gateway.learning import keeping
from gateway.learning.keeping import FrameKeeper
from gateway.storage import NORMAL, Storage, StorageBroken
from maintenance.assets import Life
from maintenance.frames import CHUNK, Frames
from maintenance.store import forget_frames, load_frames, telemetry
from tests.unit.gateway.learning.plants import SPINDLE, spindle

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass
class Told:
    """A monitor that closed what it is told to have closed, in the life of this id."""

    id: str = "l1"
    closed: dict[str, list[tuple[float, list[float]]]] = field(default_factory=dict)

    def drain_frames(self) -> dict[str, list[tuple[float, list[float]]]]:
        drained, self.closed = self.closed, {}
        return drained

    def life(self, component: str) -> Life | None:
        return Life(self.id, component, NOW)

    def closes(self, count: int, first: int = 1) -> None:
        self.closed = {SPINDLE: [(float(use), [float(use)] * 6) for use in range(first, first + count)]}


@dataclass
class Bench:
    storage: Storage
    monitor: Told
    keeper: FrameKeeper

    async def kept(self, life: str = "l1") -> Frames:
        async with self.storage.read() as tx:
            return Frames.joined(row.frames for row in await load_frames(tx, life))

    def again(self) -> FrameKeeper:
        """The keeper after a restart."""
        return FrameKeeper(self.storage, self.monitor, {SPINDLE: spindle()})  # type: ignore[arg-type]


@asynccontextmanager
async def store(path: Path) -> AsyncIterator[Storage]:
    storage = Storage(path / "telemetry.db", NORMAL)
    async with storage.write() as tx:
        await tx.run_sync(telemetry.create_all)
    try:
        yield storage
    finally:
        await storage.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with store(tmp_path) as storage:
        bench = Bench(storage, Told(), None)  # type: ignore[arg-type]
        bench.keeper = bench.again()
        yield bench


async def test_frames_are_kept_in_rows_and_come_back_in_order(bench: Bench):
    for first in range(1, 201, 8):
        bench.monitor.closes(8, first)
        await bench.keeper.keep(NOW)
    kept = await bench.kept()
    assert kept.use.tolist() == [float(use) for use in range(1, 201)]
    async with bench.storage.read() as tx:
        rows = await load_frames(tx, "l1")
    assert [len(row.frames) for row in rows] == [CHUNK, CHUNK, CHUNK, 8]
    assert bench.keeper.kept == 200


async def test_a_restart_goes_on_where_the_file_ends(bench: Bench):
    bench.monitor.closes(70)
    await bench.keeper.keep(NOW)
    keeper = bench.again()
    bench.monitor.closes(10, 65)  # six of them are known
    await keeper.keep(NOW)
    assert (await bench.kept()).use.tolist() == [float(use) for use in range(1, 75)]


async def test_a_long_life_is_bounded_and_its_healthy_frames_stay(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keeping, "FRAMES_MAX", 200)
    for first in range(1, 1001, 25):
        bench.monitor.closes(25, first)
        await bench.keeper.keep(NOW)
        assert len(await bench.kept()) <= 200
    kept = await bench.kept()
    assert kept.weights.sum() == 1000
    assert kept.weights[:10].tolist() == [1] * 10
    assert kept.history("l1", 0.0).use == pytest.approx(range(1, 1001))


async def test_frames_belong_to_the_life_that_was_in_the_slot(bench: Bench):
    bench.monitor.closes(3)
    await bench.keeper.keep(NOW)
    bench.monitor.id = "l2"
    bench.monitor.closes(2)
    await bench.keeper.keep(NOW)
    assert (len(await bench.kept("l1")), len(await bench.kept("l2"))) == (3, 2)


async def test_what_the_disk_refuses_waits_and_beyond_a_bound_is_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    @asynccontextmanager
    async def refused() -> AsyncIterator[None]:
        raise StorageBroken("no disk")
        yield

    with structlog.testing.capture_logs(), monkeypatch.context() as patched:
        patched.setattr(bench.storage, "write", refused)
        for first in (1, 301):
            bench.monitor.closes(300, first)
            await bench.keeper.keep(NOW)
    await bench.keeper.keep(NOW)
    assert bench.keeper.lost == 600 - keeping.WAITING_MAX
    assert (await bench.kept()).use[-1] == 600.0


async def test_lives_of_which_nothing_was_written_for_long_are_forgotten_whole(bench: Bench):
    for life, at in (("old", NOW), ("long", NOW), ("long", NOW + timedelta(days=9))):
        bench.monitor.id = life
        bench.monitor.closes(70 if at == NOW else 80)
        await bench.keeper.keep(at)
    assert await bench.keeper.forget(NOW + timedelta(days=1)) == 2
    assert len(await bench.kept("long")) == 80
    async with bench.storage.write() as tx:
        assert await forget_frames(tx, NOW) == 0


async def test_a_component_that_is_not_watched_by_signals_is_left_alone(bench: Bench):
    bench.monitor.closed = {"press/seal": [(1.0, [1.0])]}
    assert await bench.keeper.keep(NOW) == {"press/seal": [(1.0, [1.0])]}
    assert bench.keeper.kept == 0
