from collections.abc import AsyncIterator

import pytest
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.inline import InlineStorage, open_memory
from marketplace import store
from marketplace.statements import Prepared, short_way
from marketplace.store import Database

_C = store.clock_mark.c
_P = store.person.c
ADD = Prepared(insert(store.person))
FIND = Prepared(select(store.person).where(_P.id == bindparam("of_id")))
RENAME = Prepared(update(store.person).where(_P.id != bindparam("but")).values(name="Anna"))
ADD_MARK = Prepared(insert(store.clock_mark))
MARKS = Prepared(select(store.clock_mark).where(_C.plant == bindparam("of_plant")))


class OfAnotherMake:
    """A database whose driver has no short way."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.write, self.read = engine.begin, engine.connect


@pytest.fixture(params=["threads", "inline", "of another make"])
async def database(request, spend, empty_spend) -> AsyncIterator[Database]:
    if request.param == "threads":
        yield spend
    elif request.param == "inline":
        storage = InlineStorage(open_memory(empty_spend))
        yield storage
        await storage.close()
    else:
        engine = create_async_engine(f"sqlite+aiosqlite:///{spend.path}")
        yield OfAnotherMake(engine)
        await engine.dispose()


async def test_our_own_databases_have_a_short_way(database):
    async with database.write() as tx:
        assert (short_way(tx) is None) == isinstance(database, OfAnotherMake)


async def test_rows_and_counts_are_those_of_the_ordinary_way(database, owner):
    people = [{"id": str(number), "name": f"N{number}", **owner.columns} for number in range(3)]
    async with database.write() as tx:
        assert await ADD.run(tx, *people) == 3
        assert await RENAME.run(tx, {"but": "0"}) == 2
        assert await RENAME.run(tx, {"but": "0"}, {"but": "1"}) == 4
    async with database.read() as tx:
        found = await FIND.rows(tx, {"of_id": "1"})
        assert [(row.id, row.name) for row in found] == [("1", "Anna")]
        assert found == (await tx.execute(FIND.statement, {"of_id": "1"})).all()
        assert await FIND.rows(tx, {"of_id": "9"}) == []


async def test_values_go_through_the_columns_types(database, owner, now):
    mark = {column.name: now for column in store.clock_mark.c if isinstance(column.type, store.PlantTime)}
    rest = {column.name: None for column in store.clock_mark.c if column.nullable and column.name not in mark}
    async with database.write() as tx:
        await ADD_MARK.run(tx, {**rest, **mark, **owner.columns})
        (row,) = await MARKS.rows(tx, {"of_plant": owner.plant})
    assert mark
    assert all(getattr(row, name) == now for name in mark)


async def test_a_refusal_is_the_librarys(database, owner):
    person = {"id": "p1", "name": "Anna", **owner.columns}
    with pytest.raises(IntegrityError):
        async with database.write() as tx:
            await ADD.run(tx, person)
            await ADD.run(tx, person)
    async with database.read() as tx:
        assert await FIND.rows(tx, {"of_id": "p1"}) == []


async def test_a_query_that_fails_is_the_librarys_error(database):
    async with database.write() as tx:
        await tx.exec_driver_sql("ALTER TABLE person RENAME TO persons")
        with pytest.raises(OperationalError, match="no such table"):
            await FIND.rows(tx, {"of_id": "p1"})


def test_a_list_of_any_length_has_no_finished_form():
    query = Prepared(select(store.person).where(_P.id.in_(bindparam("ids", expanding=True))))
    with pytest.raises(ValueError, match="no finished form"):
        assert query.text
