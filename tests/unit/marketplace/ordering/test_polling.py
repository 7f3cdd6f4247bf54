"""What a poll costs when nothing new is said, and how it grows rare once the goods are here."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from marketplace import store
from marketplace.audit.actor import Actor, ActorKind
from marketplace.money import Money
from marketplace.ordering import inbox
from tests.unit.marketplace.fakes import ANNA


class CountingStore:
    """The store, counting the transactions that could write."""

    def __init__(self, inner):
        self.inner, self.writes = inner, 0

    @asynccontextmanager
    async def write(self):
        self.writes += 1
        async with self.inner.write() as tx:
            yield tx

    def read(self):
        return self.inner.read()


@pytest.fixture
async def plant(make_plant):
    """An order is confirmed, and of it everything has left the supplier."""
    plant = await make_plant()
    plant.database = CountingStore(plant.database)
    plant.restart()
    await plant.want()
    plant.suppliers["supplier-1"].ship((await plant.order()).number)
    await plant.passes(1)
    assert await plant.states() == ["shipped"]
    return plant


async def writes_of_a_pass(plant, **later):
    plant.clock.forward(**later)
    plant.database.writes = 0
    await plant.reconciliation.run_once()
    return plant.database.writes


async def test_a_poll_that_hears_nothing_new_writes_only_when_to_ask_again(plant):
    said = len(plant.suppliers["supplier-1"].answers[(await plant.order()).number])
    assert said == 2
    kept = await plant.rows(store.inbox)
    assert [await writes_of_a_pass(plant, hours=1) for _ in range(3)] == [1, 1, 1]
    assert await plant.rows(store.inbox) == kept


async def test_what_is_new_among_the_known_is_kept_and_then_applied(plant):
    number = (await plant.order()).number
    await plant.purchasing.received(number, None, ANNA)
    plant.suppliers["supplier-1"].bill(number, Money(12_300, "EUR"))
    assert await writes_of_a_pass(plant, hours=1) == 3
    assert await plant.states() == ["closed"]


async def test_an_answer_that_was_kept_and_not_applied_is_applied_when_it_comes_again(plant):
    number = (await plant.order()).number
    supplier = plant.suppliers["supplier-1"]
    supplier.bill(number, Money(12_300, "EUR"))
    (answer,) = supplier.answers[number][2:]
    async with plant.database.write() as tx:
        await tx.execute(store.purchase_order.update().values(state="submitted"))
    assert await plant.purchasing.sending.take("supplier-1", answer) == ""
    async with plant.database.write() as tx:
        await tx.execute(store.purchase_order.update().values(state="shipped"))
    assert await plant.purchasing.sending.take("supplier-1", answer) == "APPLIED"


async def test_an_answer_that_two_bring_at_the_same_moment_is_kept_and_applied_once(plant):
    """Neither saw it when it looked; the second finds it kept when it is to keep it, and applied when it applies."""
    number = (await plant.order()).number
    supplier = plant.suppliers["supplier-1"]
    await plant.purchasing.received(number, None, ANNA)
    supplier.bill(number, Money(12_300, "EUR"))
    (answer,) = supplier.answers[number][2:]
    actor, now, rows = (
        Actor(ActorKind.SUPPLIER, "supplier-1", "port"),
        plant.clock(),
        len(await plant.rows(store.inbox)),
    )
    told = []
    for _ in range(2):
        async with plant.database.write() as tx:
            kept = await inbox.receive(tx, plant.owner, "supplier-1", answer, actor, now)
        async with plant.database.write() as tx:
            told.append((kept.id, kept.new, await inbox.apply(tx, plant.owner, kept.id, now, plant.terms)))
    assert told == [(told[0][0], True, "APPLIED"), (told[0][0], False, "APPLIED")]
    assert len(await plant.rows(store.inbox)) == rows + 1
    assert await plant.states() == ["closed"]


async def test_goods_without_an_invoice_are_told_of_with_the_end_of_asking(plant):
    await plant.purchasing.received((await plant.order()).number, None, ANNA)
    since = (await plant.order()).changed_at
    await writes_of_a_pass(plant, hours=5)
    assert (await plant.order()).next_ask_at == since + timedelta(hours=10)
    await writes_of_a_pass(plant, days=60)
    assert (since + timedelta(days=120)).date().isoformat() in (await plant.order()).problem
    assert await writes_of_a_pass(plant, days=30) == 1
    assert await writes_of_a_pass(plant, days=31) == 0
    assert (await plant.purchasing.settle((await plant.order()).number, ANNA, "it never came")).ok
