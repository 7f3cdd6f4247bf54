import asyncio
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

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


LONG = text("WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 300000) SELECT max(n) FROM up")
"""A statement that is still at work when somebody loses patience."""


@pytest.mark.parametrize("way", ["write", "read"])
async def test_who_is_cancelled_within_a_statement_stops_and_leaves_nothing(spend, owner, way):
    begun = asyncio.Event()

    async def work() -> None:
        async with getattr(spend, way)() as tx:
            if way == "write":
                await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
            asyncio.get_running_loop().call_soon(begun.set)
            await tx.execute(LONG)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with spend.write() as tx:
        assert (await tx.execute(select(store.person))).all() == []


async def test_a_broken_file_is_named_and_left_alone(tmp_path: Path):
    path = tmp_path / "spend.db"
    path.write_bytes(b"this is no database" * 1000)
    storage = Storage(path, FULL)
    with pytest.raises(StorageBroken, match="cannot be used"):
        await storage.check()
    await storage.close()
    assert path.read_bytes().startswith(b"this is no database")
