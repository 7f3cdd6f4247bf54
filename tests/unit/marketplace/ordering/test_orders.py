import json
from decimal import Decimal

import pytest
from sqlalchemy import update

from maintenance.needs import Provenance
from marketplace import store
from marketplace.ordering.orders import OrderBroken, OrderUnknown, insert_proposed, load, read_order
from marketplace.ordering.shares import Share

SHARES = (Share(1, "r1", Decimal(2)),)


@pytest.fixture
async def stored(spend, owner, make_order, now):
    order = make_order()
    async with spend.write() as tx:
        await _requisition(tx, owner, now)
        await insert_proposed(tx, owner, order, SHARES, machine="mill", provenance=Provenance.A, at=now)
    return order


async def _requisition(tx, owner, now):
    texts = dict.fromkeys(("machine", "component", "life", "line", "item", "mode", "asked_by", "reason"), "")
    row = {"id": "r1", "quantity": Decimal(2), "unit": "C62", "state": "quoting", "provenance": "A", "known": True}
    times = {"created_at": now, "changed_at": now}
    await tx.execute(store.requisition.insert().values(**row, **texts, **times, **owner.columns))


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
        with pytest.raises(OrderBroken):
            await load(tx, owner, stored.number)


async def test_an_unknown_number_is_unknown(spend, owner):
    async with spend.read() as tx:
        with pytest.raises(OrderUnknown):
            await load(tx, owner, "TC-G1-999999-A")


def test_a_document_says_everything_but_whom_it_serves(make_order):
    order = make_order()
    assert read_order(order.document(), {1: ("r1",)}) == order
