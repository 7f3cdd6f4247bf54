"""Fixtures that every test may use; a test that leaves a task behind fails."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
from collections.abc import AsyncIterator, Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import StaticPool, create_engine, text

from gateway.storage import FULL, Storage
from marketplace import store
from marketplace.store import Owner
from tests import compiled_once

compiled_once.share()

# The same examples at every run, so that a red test means a changed program; HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look after thousands of tests for no garbage: they stay until the end, and every search would go through them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def owner() -> Owner:
    return Owner("northworks", "G1")


@pytest.fixture(scope="session")
def empty_spend() -> bytes:
    """The bytes of a spend database with every table and no row: built once, as that takes longer than most tests."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    store.metadata.create_all(engine)
    with engine.connect() as connection:
        made: bytes = connection.connection.driver_connection.serialize()
    engine.dispose()
    return made


@pytest.fixture
async def spend(tmp_path: Path, empty_spend: bytes) -> AsyncIterator[Storage]:
    """A real spend database on disk, with every table."""
    (tmp_path / "spend.db").write_bytes(empty_spend)
    storage = Storage(tmp_path / "spend.db", FULL)
    async with storage.write() as connection:
        assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar_one() == 1
    yield storage
    await storage.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every asynchronous test answer for the tasks that it leaves; the others need no event loop."""
    for item in items:
        if inspect.iscoroutinefunction(getattr(item, "obj", None)):
            item.fixturenames.insert(0, "no_task_is_left_behind")  # type: ignore[attr-defined]


@pytest.fixture
async def no_task_is_left_behind() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before - {asyncio.current_task()} if not task.done()}
    assert not left, f"left running: {left}"
