import json

import pytest
from sqlalchemy import update

from maintenance.needs import Provenance
from marketplace import store
from marketplace.ordering.orders import OrderBroken, OrderUnknown, insert_proposed, load, read_order, sums_of


@pytest.fixture
async def stored(spend, owner, make_order, now):
    order = make_order()
    async with spend.write() as tx:
        await tx.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        await _requisition(tx, owner, now)
        await insert_proposed(tx, owner, order, machine="mill", provenance=Provenance.A, at=now)
    return order


async def _requisition(tx, owner, now):
    texts = dict.fromkeys(("machine", "component", "life", "line", "item", "mode", "asked_by", "reason"), "")
    await tx.execute(
        store.requisition.insert().values(
            id="r1", quantity=2, unit="C62", state="quoting", provenance="A", known=True, created_at=now, changed_at=now,
            **texts, **owner.columns,
        )
    )  # fmt: skip


async def test_an_order_is_read_back_whole(spend, owner, stored):
    async with spend.read() as tx:
        found = await load(tx, owner, stored.number)
        assert found.order == stored
        assert found.order.hash == stored.hash == found.row.order_hash
        (line,) = await sums_of(tx, stored.number)
        assert (line.quantity, line.received) == (2, 0)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [('"quantity":"2"', '"quantity":"3"'), ('"total":13200', '"total":13199'), ('"lines":', '"line":')],
)
async def test_an_edited_order_is_broken(spend, owner, stored, ours, theirs):
    async with spend.write() as tx:
        document = json.dumps(stored.document(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert ours in document
        await tx.execute(update(store.purchase_order).values(document=document.replace(ours, theirs)))
    async with spend.read() as tx:
        if '"total"' in ours:  # the total follows from the lines: the hash of what is read is that of the truth
            assert (await load(tx, owner, stored.number)).order.total == stored.total
        else:
            with pytest.raises(OrderBroken):
                await load(tx, owner, stored.number)


async def test_an_unknown_number_is_unknown(spend, owner):
    async with spend.read() as tx:
        with pytest.raises(OrderUnknown):
            await load(tx, owner, "TC-G1-999999-A")


def test_a_document_says_everything_but_whom_it_serves(make_order):
    order = make_order()
    assert read_order(order.document(), {1: ("r1",)}) == order
