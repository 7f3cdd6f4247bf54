"""Fixtures that every test may use; a test that leaves a task behind fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.storage import FULL, Storage
from marketplace import store
from marketplace.store import Owner

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def owner() -> Owner:
    return Owner("northworks", "G1")


@pytest.fixture
async def spend(tmp_path: Path) -> AsyncIterator[Storage]:
    """A real spend database on disk, with every table."""
    storage = Storage(tmp_path / "spend.db", FULL)
    async with storage.write() as connection:
        await connection.run_sync(store.metadata.create_all)
        assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar_one() == 1
    yield storage
    await storage.close()


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before - {asyncio.current_task()} if not task.done()}
    assert not left, f"left running: {left}"
