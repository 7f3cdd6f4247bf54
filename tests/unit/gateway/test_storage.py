import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError

from gateway.buying import BuyingState, Cause
from gateway.storage import FULL, Storage, StorageBroken
from marketplace import store


async def test_what_fails_leaves_nothing(spend, owner):
    with pytest.raises(RuntimeError):
        async with spend.write() as tx:
            await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
            raise RuntimeError
    async with spend.read() as tx:
        assert (await tx.execute(select(store.person))).all() == []


async def test_what_is_left_well_is_there_for_the_next_process(spend, owner):
    async with spend.write() as tx:
        await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
    other = Storage(spend.path, FULL, read_only=True)
    async with other.read() as tx:
        assert (await tx.execute(select(store.person.c.name))).scalars().all() == ["Anna"]
    await other.close()


async def test_a_broken_file_is_named_and_left_alone(tmp_path: Path):
    path = tmp_path / "spend.db"
    path.write_bytes(b"this is no database" * 1000)
    storage = Storage(path, FULL)
    with pytest.raises(StorageBroken, match="cannot be used"):
        await storage.check()
    await storage.close()
    assert path.read_bytes().startswith(b"this is no database")


@pytest.fixture
async def watched(spend: Storage) -> AsyncIterator[tuple[Storage, BuyingState]]:
    """The same database, opened by whoever tells of its faults."""
    buying = BuyingState()
    storage = Storage(spend.path, FULL, watch=buying)
    yield storage, buying
    await storage.close()


def fault(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = code
    return error


async def test_a_disk_that_refuses_is_told_and_the_next_durable_write_too(watched):
    storage, buying = watched
    async with storage._writer.connect() as connection:
        await connection.exec_driver_sql("PRAGMA query_only=1")
    assert not await storage.try_writing()
    assert buying.is_stopped_by(Cause.REFUSED)
    async with storage._writer.connect() as connection:
        await connection.exec_driver_sql("PRAGMA query_only=0")
    assert await storage.try_writing()
    assert not buying.stopped


async def test_a_refusal_that_went_past_the_library_is_told_too(watched):
    storage, buying = watched
    with pytest.raises(sqlite3.OperationalError):
        async with storage.write():
            raise fault(sqlite3.SQLITE_FULL)
    assert "database or disk is full" in buying.sentence


async def test_a_file_that_proves_malformed_is_not_written_again(watched):
    storage, buying = watched
    with pytest.raises(sqlite3.OperationalError):
        async with storage.write():
            raise fault(sqlite3.SQLITE_CORRUPT)
    for _ in range(2):
        with pytest.raises(StorageBroken, match="cannot be trusted any more"):
            async with storage.write():
                pass
    assert not await storage.try_writing()
    assert buying.is_stopped_by(Cause.BROKEN)


async def test_a_file_that_is_taken_away_is_neither_written_nor_made_anew(watched, spend):
    storage, buying = watched
    assert await storage.try_writing()
    spend.path.rename(spend.path.with_name("aside.db"))
    with pytest.raises(StorageBroken, match="removed or exchanged"):
        async with storage.write():
            pass
    with pytest.raises(DBAPIError):
        async with storage.read():
            pass
    assert not spend.path.exists()
    assert buying.is_stopped_by(Cause.BROKEN)
    spend.path.with_name("aside.db").rename(spend.path)


async def test_an_error_of_the_caller_is_nothing_to_tell(watched):
    storage, buying = watched
    with pytest.raises(DBAPIError):
        async with storage.write() as tx:
            await tx.exec_driver_sql("SELECT nothing FROM nowhere")
    assert not buying.stopped


async def test_without_a_watch_the_same_holds(spend):
    with pytest.raises(sqlite3.OperationalError):
        async with spend.write():
            raise fault(sqlite3.SQLITE_CORRUPT)
    assert not await spend.try_writing()


async def test_a_cancelled_write_leaves_nothing_and_the_next_one_works(spend, owner):
    begun = asyncio.Event()

    async def write() -> None:
        async with spend.write() as tx:
            await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
            begun.set()
            await asyncio.Event().wait()

    writing = asyncio.create_task(write())
    await begun.wait()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert writing.cancelled()
    async with spend.write() as tx:
        assert (await tx.execute(select(store.person))).all() == []
