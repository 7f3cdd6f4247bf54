import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from gateway.buying import BuyingState, Cause
from gateway.inline import InlineStorage, open_file, open_memory
from gateway.one_hop import OneHopConnection
from gateway.storage import FULL, Storage, StorageBroken
from marketplace import store
from marketplace.statements import Prepared
from marketplace.store import Database

KINDS: dict[str, Callable[[Path, bytes], Storage | InlineStorage]] = {
    "threads": lambda path, _empty: Storage(path, FULL),
    "inline file": lambda path, _empty: InlineStorage(open_file(path)),
    "inline memory": lambda _path, empty: InlineStorage(open_memory(empty)),
}


class TestEveryStore:
    """What `marketplace.store.Database` promises, with threads and without."""

    @pytest.fixture(params=KINDS)
    async def database(self, request, tmp_path, empty_spend) -> AsyncIterator[Database]:
        path = tmp_path / "spend.db"
        path.write_bytes(empty_spend)
        storage = KINDS[request.param](path, empty_spend)
        yield storage
        await storage.close()

    @staticmethod
    async def names(database: Database) -> list[str]:
        async with database.read() as tx:
            return list((await tx.execute(select(store.person.c.name).order_by(store.person.c.id))).scalars())

    async def test_what_is_left_well_is_there_for_the_next_reader(self, database, owner):
        async with database.write() as tx:
            await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
        assert await self.names(database) == ["Anna"]

    async def test_what_fails_leaves_nothing(self, database, owner):
        with pytest.raises(RuntimeError):
            async with database.write() as tx:
                await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
                raise RuntimeError
        assert await self.names(database) == []

    async def test_who_is_called_off_leaves_nothing(self, database, owner):
        begun = asyncio.Event()

        async def halfway() -> None:
            async with database.write() as tx:
                await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(halfway())
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await self.names(database) == []

    async def test_writers_wait_for_each_other(self, database, owner):
        async with database.write() as tx:
            await tx.execute(insert(store.person).values(id="p1", name="0", **owner.columns))

        async def count_up() -> None:
            async with database.write() as tx:
                before = int((await tx.execute(select(store.person.c.name))).scalar_one())
                await asyncio.sleep(0)
                await tx.execute(update(store.person).values(name=str(before + 1)))

        await asyncio.gather(*(count_up() for _ in range(8)))
        assert await self.names(database) == ["8"]

    async def test_a_reader_sees_nothing_that_is_not_committed(self, database, owner):
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slowly() -> None:
            async with database.write() as tx:
                await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
                begun.set()
                await go_on.wait()
                await tx.execute(update(store.person).values(name="Berta"))

        writing = asyncio.create_task(slowly())
        await begun.wait()
        reading = asyncio.create_task(self.names(database))
        await asyncio.sleep(0)
        go_on.set()
        await writing
        assert await reading in ([], ["Berta"])

    async def test_a_reader_changes_nothing(self, database, owner):
        async with database.read() as tx:
            await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
        assert await self.names(database) == []

    async def test_foreign_keys_and_nested_transactions_hold(self, database, owner):
        async with database.write() as tx:
            await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
            with pytest.raises(IntegrityError):
                async with tx.begin_nested():
                    await tx.execute(insert(store.person).values(id="p1", name="Berta", **owner.columns))
            lost = {"requisition": "absent", "item": "bearing", "quantity": 1, "state": "reserved"}
            with pytest.raises(IntegrityError):
                async with tx.begin_nested():
                    await tx.execute(insert(store.stock_reservation).values(**lost, **owner.columns))
        assert await self.names(database) == ["Anna"]


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
            asyncio.get_running_loop().call_soon(begun.set)
            if way == "write":  # what is large goes to the thread, where a statement can be left
                rows = [{"id": f"p{number}", "name": "Anna", **owner.columns} for number in range(100_000)]
                await tx.execute(insert(store.person), rows)
            else:
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


async def test_without_threads_a_transaction_within_ones_own_is_refused_and_not_waited_for(empty_spend):
    storage = InlineStorage(open_memory(empty_spend))
    with pytest.raises(RuntimeError, match="within another"):
        async with storage.write(), storage.read():
            pass
    async with storage.read():  # and the store goes on
        pass
    await storage.close()


async def test_without_threads_there_are_no_threads(empty_spend, owner):
    before = threading.active_count()
    storage = InlineStorage(open_memory(empty_spend))
    async with storage.write() as tx:
        await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
        assert threading.active_count() == before
    await storage.close()


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
    await (await storage._held_connection()).exec_driver_sql("PRAGMA query_only=1")
    assert not await storage.try_writing()
    assert buying.is_stopped_by(Cause.REFUSED)
    await (await storage._held_connection()).exec_driver_sql("PRAGMA query_only=0")
    assert await storage.try_writing()
    assert not buying.stopped


async def test_a_refusal_that_went_past_the_library_is_told_too(watched):
    storage, buying = watched
    with pytest.raises(sqlite3.OperationalError):
        async with storage.write():
            raise fault(sqlite3.SQLITE_FULL)
    assert "database or disk is full" in buying.sentence


async def test_a_statement_on_the_short_way_is_told_of_too(watched, owner):
    storage, buying = watched
    await (await storage._held_connection()).exec_driver_sql("PRAGMA query_only=1")
    with pytest.raises(DBAPIError):
        async with storage.write() as tx:
            await Prepared(insert(store.person)).run(tx, {"id": "p1", "name": "Anna", **owner.columns})
    assert buying.is_stopped_by(Cause.REFUSED)


class Stubborn(OneHopConnection):
    """Fails once at a statement: done or not, it says that it failed."""

    strikes = ""
    done = False

    async def in_thread(self, act: Any, statement: str, parameters: Any) -> Any:
        if not self.strikes or not statement.startswith(self.strikes):
            return await super().in_thread(act, statement, parameters)
        self.strikes = ""
        if self.done:
            await super().in_thread(act, statement, parameters)
        raise fault(sqlite3.SQLITE_IOERR)


@pytest.mark.parametrize(("strikes", "done"), [("ROLLBACK", False), ("ROLLBACK", True), ("BEGIN", True)])
async def test_what_the_disk_broke_off_half_way_holds_up_nobody_after_it(spend, owner, strikes, done):
    opened: list[Stubborn] = []

    def connecting(address: str) -> OneHopConnection:
        opened.append(Stubborn(lambda: sqlite3.connect(address, uri=True, check_same_thread=False), 64))
        return opened[-1]

    storage = Storage(spend.path, FULL, connecting=connecting)
    try:
        assert await storage.try_writing()
        opened[-1].strikes, opened[-1].done = strikes, done
        with pytest.raises((RuntimeError, DBAPIError)):
            async with storage.write() as tx:
                await tx.execute(insert(store.person).values(id="p1", name="Anna", **owner.columns))
                raise RuntimeError
        async with storage.write() as tx:
            assert (await tx.execute(select(store.person))).all() == []
    finally:
        await storage.close()


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
