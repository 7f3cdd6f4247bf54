"""An order is read back from its rows as it was decided on, or not at all."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, update

from maintenance.needs import Provenance
from marketplace import store
from marketplace.documents import canonical
from marketplace.money import Quantity, UnitPrice
from marketplace.ordering.answers import LineSum
from marketplace.ordering.orders import (
    OrderBroken,
    OrderUnknown,
    insert_proposed,
    keep_sums,
    load,
    load_row,
    read_order,
    sums_of,
)
from marketplace.ordering.shares import Share
from marketplace.ordering.states import OrderState
from marketplace.store import Owner

SHARES = (Share(1, "r1", Decimal(2)),)


@pytest.fixture
async def stored(spend, owner, make_order, now):
    order = make_order()
    async with spend.write() as tx:
        await _requisition(tx, owner, now)
        await insert_proposed(tx, owner, order, SHARES, machine="mill", provenance=Provenance.A, at=now)
    return order


@pytest.fixture
async def bundle(spend, owner, make_order, now):
    """Two lines: the first serves two requisitions, the second one of them, with a grease by the kilogram."""
    order = make_order("G1-0002-B")
    (line,) = order.lines
    grease = replace(
        line,
        number=2,
        requisitions=("b2",),
        item=replace(line.item, key="grease", unit="KGM", category="consumables"),
        sku="L-9",
        quantity=Quantity(Decimal("0.5"), "KGM"),
        unit_price=UnitPrice(Decimal("12.345678"), "EUR", Decimal(10)),
    )
    order = replace(order, lines=(replace(line, requisitions=("b1", "b2")), grease))
    shares = (Share(2, "b2", Decimal("0.5")), Share(1, "b2", Decimal("0.5")), Share(1, "b1", Decimal("1.5")))
    async with spend.write() as tx:
        for id in ("b1", "b2"):
            await _requisition(tx, owner, now, id)
        await insert_proposed(
            tx, owner, order, shares, machine="lathe", provenance=Provenance.B, at=now, attempt_group=3
        )
    return order


async def _requisition(tx, owner, now, id="r1"):
    texts = dict.fromkeys(("machine", "component", "life", "line", "item", "mode", "asked_by", "reason"), "")
    row = {"id": id, "quantity": Decimal(2), "unit": "C62", "state": "quoting", "provenance": "A", "known": True}
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


async def test_an_order_is_read_back_as_it_was_proposed(spend, owner, stored, bundle):
    async with spend.read() as tx:
        for order in (stored, bundle):
            found = await load(tx, owner, order.number)
            assert (found.order, found.state, found.row.number) == (order, OrderState.PROPOSED, order.number)


async def test_a_proposal_is_kept_whole_and_nothing_is_decided_in_it(spend, owner, now, bundle):
    async with spend.read() as tx:
        row = dict((await load_row(tx, owner, bundle.number))._mapping)
    key = row.pop("key")
    assert len(key) >= 32
    assert row == {
        "number": "G1-0002-B", "plant": "northworks", "gateway_id": "G1", "supplier": "cheap-and-slow",
        "machine": "lathe", "state": "proposed", "currency": "EUR", "total_minor": bundle.total.minor,
        "document": canonical(bundle.document()).decode(), "order_hash": bundle.hash, "request_bytes": None,
        "send_by": None, "sends": 0, "first_sent_at": None, "last_sent_at": None, "clean_misses": 0,
        "provenance": "B", "authority": "", "decided_by": "", "rule": "", "policy_version": 0,
        "quoted_until": bundle.quoted_until, "supplier_reference": "", "promised_at": None, "problem": "",
        "next_ask_at": None, "attempt_group": 3, "failures": 0, "quarantined_at": None,
        "created_at": now, "changed_at": now,
    }  # fmt: skip


async def test_the_first_attempt_is_of_the_first_group_and_each_order_has_its_own_key(spend, owner, stored, bundle):
    async with spend.read() as tx:
        one, other = await load_row(tx, owner, stored.number), await load_row(tx, owner, bundle.number)
    assert (one.attempt_group, one.provenance) == (1, "A")
    assert one.key != other.key


async def test_every_line_is_kept_with_what_it_is_and_nothing_has_become_of_it(spend, bundle):
    async with spend.read() as tx:
        first, second = [dict(row._mapping) for row in await tx.execute(select(store.order_line))]
    nothing = dict.fromkeys(("confirmed", "shipped", "received", "invoiced"), Decimal(0))
    mine = {"order_number": "G1-0002-B", "plant": "northworks", "gateway_id": "G1", **nothing}
    assert first == mine | {
        "number": 1, "item": "bearing-7014", "sku": "L-7014", "quantity": Decimal(2), "unit": "C62",
        "unit_price": Decimal("61.50"), "per": Decimal(1),
    }  # fmt: skip
    assert second == mine | {
        "number": 2, "item": "grease", "sku": "L-9", "quantity": Decimal("0.5"), "unit": "KGM",
        "unit_price": Decimal("12.345678"), "per": Decimal(10),
    }  # fmt: skip


async def test_who_shares_a_line_is_kept_with_how_much(spend, bundle):
    shares = store.line_requisition
    async with spend.read() as tx:
        rows = [tuple(row) for row in await tx.execute(select(shares).order_by(shares.c.line, shares.c.requisition))]
    of = ("northworks", "G1")
    assert rows == [
        ("G1-0002-B", 1, "b1", *of, Decimal("1.5")),
        ("G1-0002-B", 1, "b2", *of, Decimal("0.5")),
        ("G1-0002-B", 2, "b2", *of, Decimal("0.5")),
    ]


@pytest.mark.parametrize("read", [load, load_row])
async def test_an_order_of_another_plant_is_unknown_and_that_of_another_gateway_is_not(spend, owner, stored, read):
    async with spend.read() as tx:
        with pytest.raises(OrderUnknown, match=stored.number):
            await read(tx, Owner("southworks", owner.gateway_id), stored.number)
        assert await read(tx, Owner(owner.plant, "G2"), stored.number)


async def test_another_orders_document_under_this_number_is_broken(spend, owner, stored, make_order):
    other = make_order("G1-0009-Z")
    document = canonical(other.document()).decode()
    async with spend.write() as tx:
        await tx.execute(update(store.purchase_order).values(document=document, order_hash=other.hash))
        with pytest.raises(OrderBroken, match=f"{stored.number} was changed"):
            await load(tx, owner, stored.number)


@pytest.mark.parametrize("document", ["[]", "no JSON", "{}", '{"currency": "EUR"}'])
async def test_what_is_no_order_is_broken(spend, owner, stored, document):
    async with spend.write() as tx:
        await tx.execute(update(store.purchase_order).values(document=document))
        with pytest.raises(OrderBroken, match=f"{stored.number} cannot be read"):
            await load(tx, owner, stored.number)


async def test_a_document_in_another_spelling_is_not_what_was_hashed(spend, owner, stored):
    async with spend.write() as tx:
        await tx.execute(update(store.purchase_order).values(document=json.dumps(stored.document(), indent=1)))
        with pytest.raises(OrderBroken):
            await load(tx, owner, stored.number)


async def test_another_hash_beside_the_document_is_not_what_was_decided_on(spend, owner, stored):
    async with spend.write() as tx:
        await tx.execute(update(store.purchase_order).values(order_hash="0" * 64))
        with pytest.raises(OrderBroken):
            await load(tx, owner, stored.number)


def test_every_word_of_a_document_is_read(make_order, now):
    order = make_order(deliver_by=now + timedelta(days=3), quoted_until=now + timedelta(days=2))
    (line,) = order.lines
    other = replace(
        line,
        number=2,
        requisitions=(),
        item=replace(line.item, key="oil", manufacturer="M", mpn="P", description="D", unit="LTR", category="fluids"),
        sku="L-2",
        quantity=Quantity(Decimal("2.5"), "LTR"),
        unit_price=UnitPrice(Decimal("0.12"), "EUR", Decimal(100)),
    )
    order = replace(order, lines=(line, other), fees=replace(order.fees, minor=7))
    assert read_order(order.document(), {1: ("r1",)}) == order


async def test_sums_are_those_of_the_line_and_of_no_other(spend, stored, bundle):
    one = LineSum(1, Decimal("1.5"), Decimal(1), Decimal("0.75"), Decimal("0.5"), Decimal("0.25"))
    two = LineSum(2, Decimal("0.5"))
    async with spend.write() as tx:
        assert await sums_of(tx, bundle.number) == (LineSum(1, Decimal(2)), two)
        await keep_sums(tx, bundle.number, (one,))
        assert await sums_of(tx, bundle.number) == (one, two)
        await keep_sums(tx, bundle.number, (replace(two, received=Decimal(9)),))
        assert await sums_of(tx, bundle.number) == (one, replace(two, received=Decimal(9)))
        assert await sums_of(tx, stored.number) == (LineSum(1, Decimal(2)),)
