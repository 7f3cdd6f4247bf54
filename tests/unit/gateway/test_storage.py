from pathlib import Path

import pytest
from sqlalchemy import insert, select

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
