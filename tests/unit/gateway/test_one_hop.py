import sqlite3

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway import one_hop
from marketplace import store


@pytest.fixture
async def connection(tmp_path):
    connection = await one_hop.connect(f"file:{tmp_path / 'a.db'}?mode=rwc")
    yield connection
    await connection.close()


async def test_rows_columns_and_counts_are_those_of_sqlite(connection):
    cursor = connection.cursor()
    await cursor.execute("create table t (n integer primary key, s text)")
    await cursor.executemany("insert into t (s) values (?)", [("a",), ("b",)])
    assert cursor.rowcount == 2
    await cursor.execute("select n, s from t order by n")
    assert [column[0] for column in cursor.description] == ["n", "s"]
    assert await cursor.fetchall() == [(1, "a"), (2, "b")]
    assert list(await cursor.fetchall()) == []
    await cursor.execute("insert into t (s) values (?) returning n", ("c",))
    assert await cursor.fetchall() == [(3,)]
    assert cursor.lastrowid == 3


async def test_a_mistake_is_raised_and_the_connection_goes_on(connection):
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await connection.cursor().execute("select * from absent")
    assert await (await connection.cursor().execute("select 1")).fetchall() == [(1,)]


async def test_sqlalchemy_notices_no_difference(spend, owner):
    rows = [{"id": str(n), "name": f"N{n}", **owner.columns} for n in range(3)]
    async with spend.write() as tx:
        await tx.execute(insert(store.person), rows)
        renamed = await tx.execute(update(store.person).where(store.person.c.id != "0").values(name="Anna"))
        assert renamed.rowcount == 2
    async with spend.read() as tx:
        found = select(store.person.c.name).order_by(store.person.c.id)
        assert (await tx.execute(found)).scalars().all() == ["N0", "Anna", "Anna"]
    with pytest.raises(IntegrityError):
        async with spend.write() as tx:
            await tx.execute(insert(store.person), rows[:1])


async def test_a_file_that_cannot_be_opened_leaves_no_thread_that_would_speak_to_a_closed_loop(tmp_path):
    for _again in range(20):
        connection = one_hop.connect(f"file:{tmp_path / 'absent.db'}?mode=rw")
        with pytest.raises(sqlite3.OperationalError, match="unable to open"):
            await connection
        assert not connection._thread.is_alive()
