"""Goods arrive: what the shelf, those who wait, and the order make of them, and what the leaves say."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import update

from maintenance.needs import Provenance
from marketplace import stock, store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.documents import GoodsReceipt
from marketplace.ordering import arrival, inbox
from marketplace.ordering.edges import problem
from marketplace.ordering.orders import insert_proposed, load, load_row
from marketplace.ordering.shares import Share
from tests.unit.marketplace.fakes import BLIND, SERVICE, DroppingSupplier, ReceivingSupplier
from tests.unit.marketplace.ordering.test_inbox import invoice, take
from tests.unit.marketplace.ordering.test_serving import PartSupplier

BOB = Actor(ActorKind.PERSON, "bob", "form")
HIS = "person:form:bob"


@pytest.fixture
async def plant(make_plant):
    """Two bearings are confirmed."""
    plant = await make_plant()
    await plant.want()
    plant.clock.forward(days=3)
    return plant


async def arrive(plant, quantity="2", number=None, line=1):
    """Bob checks goods in; returns the verdict."""
    number = number or (await plant.order()).number
    receipt = GoodsReceipt(number, f"R-{quantity}", {line: Decimal(quantity)}, plant.clock(), "bob", "")
    async with plant.database.write() as tx:
        stored = await load(tx, plant.owner, number)
        return await arrival.take_in(tx, plant.owner, stored, receipt, BOB, plant.clock())


async def leaves(plant, kind):
    async with plant.database.read() as tx:
        found = await log.entries(tx, owner=plant.owner, kind=kind)
    return [(leaf.subject, inbox.write_actor(leaf.actor), leaf.facts) for leaf in found]


async def put(plant, table=store.purchase_order, **columns):
    async with plant.database.write() as tx:
        await tx.execute(update(table).values(**columns))


async def shelf(plant):
    async with plant.database.read() as tx:
        return await stock.shelf(tx, plant.owner, "bearing-7014")


async def standing(plant):
    row = await plant.order()
    return row.state, json.loads(row.problem) if row.problem else ""


# The shelf, and those who wait.


async def test_what_arrives_is_on_the_line_on_the_shelf_and_promised_and_each_says_so(plant):
    assert await arrive(plant) == "APPLIED"
    row, behind = await plant.order(), await plant.requisition()
    assert (row.state, row.changed_at, behind.state) == ("received", plant.clock(), "fulfilled")
    assert [line.received for line in await plant.rows(store.order_line)] == [2]
    assert await shelf(plant) == stock.Shelf("bearing-7014", "C62", Decimal(2), Decimal(2), Decimal(0))
    said = {"quantity": "2", "order": row.number}
    assert await leaves(plant, "stock.received") == [("bearing-7014", HIS, said)]
    said = {"before": "confirmed", "effect": "none", "receipt": "R-2", "lines": {"1": "2"}}
    assert await leaves(plant, "order.received") == [(row.number, HIS, said)]
    said = {"before": "ordered", "order": row.number}
    assert await leaves(plant, "requisition.fulfilled") == [(behind.id, HIS, said)]


async def test_goods_in_parts_add_up_and_each_part_was_expected(plant):
    number = (await plant.order()).number
    await plant.want(life="life-2")
    assert (await shelf(plant)).in_transit == 4
    assert await arrive(plant, "0.5", number) == "APPLIED"
    assert await shelf(plant) == stock.Shelf("bearing-7014", "C62", Decimal("0.5"), Decimal("0.5"), Decimal("3.5"))
    assert await leaves(plant, "order.received") == []
    assert await arrive(plant, "1.5", number) == "APPLIED"
    assert await shelf(plant) == stock.Shelf("bearing-7014", "C62", Decimal(2), Decimal(2), Decimal(2))
    (received,) = await leaves(plant, "order.received")
    assert received[2]["lines"] == {"1": "1.5"}


async def test_of_too_much_only_what_was_confirmed_had_been_expected(plant):
    number = (await plant.order()).number
    await plant.want(life="life-2")
    await arrive(plant, "1", number)
    await arrive(plant, "3", number)
    assert ((await shelf(plant)).on_hand, (await shelf(plant)).in_transit) == (4, 2)
    await arrive(plant, "1", number)
    assert ((await shelf(plant)).on_hand, (await shelf(plant)).in_transit) == (5, 2)


async def test_a_service_that_was_done_lies_on_no_shelf_and_fulfils(make_plant):
    plant = await make_plant()
    await plant.want(SERVICE)
    assert await arrive(plant, "1") == "APPLIED"
    assert ((await plant.requisition()).state, await plant.states()) == ("fulfilled", ["received"])
    assert (await plant.rows(store.stock_item), await plant.rows(store.stock_reservation)) == ([], [])


@pytest.mark.parametrize(
    ("reason", "goods"), [({"kind": "service"}, False), ({"kind": "part"}, True), ({"kind": "tool"}, True), ({}, True)]
)
async def test_whatever_is_not_a_service_is_goods(plant, reason, goods):
    await put(plant, store.requisition, reason=json.dumps(reason))
    async with plant.database.read() as tx:
        (line,) = (await load(tx, plant.owner, (await plant.order()).number)).order.lines
        assert await arrival.is_goods(tx, line) is goods


async def test_a_line_that_serves_both_brings_goods(plant):
    await plant.want(SERVICE)
    async with plant.database.read() as tx:
        orders = [(await load(tx, plant.owner, row.number)).order for row in await plant.orders()]
        ids = [id for order in orders for id in order.lines[0].requisitions]
        assert [await arrival.is_goods(tx, order.lines[0]) for order in orders] == [True, False]
        assert await arrival.is_goods(tx, replace(orders[1].lines[0], requisitions=tuple(ids)))


# What is not taken in.


@pytest.mark.parametrize(("quantity", "line", "code"), [("0", 1, "ODD_QUANTITY"), ("1", 2, "UNKNOWN_LINE")])
async def test_an_odd_receipt_says_why_and_changes_nothing(plant, quantity, line, code):
    assert await arrive(plant, quantity, line=line) == code
    assert (await plant.states(), (await shelf(plant)).on_hand) == (["confirmed"], 0)


async def test_every_line_of_which_too_much_came_is_named(plant, make_order, now):
    """Two lines of one want; of each comes more than was ordered."""
    id = (await plant.requisition()).id
    line = replace(make_order().lines[0], requisitions=(id,))
    order = make_order("G1-0009-Z", lines=(line, replace(line, number=2)))
    shares = (Share(1, id, Decimal(1)), Share(2, id, Decimal(1)))
    async with plant.database.write() as tx:
        await insert_proposed(tx, plant.owner, order, shares, machine="mill", provenance=Provenance.A, at=now)
        mine = update(store.purchase_order).where(store.purchase_order.c.number == order.number)
        await tx.execute(mine.values(state="confirmed"))
        receipt = GoodsReceipt(order.number, "R-1", {1: Decimal(3), 2: Decimal(4)}, now, "bob", "")
        assert await arrival.take_in(tx, plant.owner, await load(tx, plant.owner, order.number), receipt, BOB, now)
        row = await load_row(tx, plant.owner, order.number)
    assert json.loads(row.problem)["parameters"] == {"lines": "1, 2"}


async def test_goods_wait_while_their_order_is_being_sent(plant):
    await put(plant, state="submitting")
    assert await arrive(plant) == ""
    assert (await plant.states(), (await shelf(plant)).on_hand) == (["submitting"], 0)


# What becomes of the order.


@pytest.mark.parametrize("state", ["submitted", "unknown", "needs_person", "cancelling"])
@pytest.mark.parametrize(("quantity", "after"), [("1", "confirmed"), ("2", "received")])
async def test_goods_in_hand_settle_what_was_open(make_plant, state, quantity, after):
    plant = await make_plant(ReceivingSupplier)
    await plant.want()
    booked = "committed" if state == "cancelling" else "reserved"
    for table in (store.booking, store.reservation):
        await put(plant, table, state=booked)
    await put(plant, state=state, problem=problem("OUTCOME_UNKNOWN", {"supplier": "supplier-1"}))
    assert await arrive(plant, quantity) == "APPLIED"
    assert await standing(plant) == (after, "")
    said = {"receipt": f"R-{quantity}", "lines": {"1": quantity}}
    number, effect = (await plant.order()).number, "none" if state == "cancelling" else "commit"
    assert await leaves(plant, "order.confirmed") == [(number, HIS, {"before": state, "effect": effect, **said})]
    on = [(number, HIS, {"before": "confirmed", "effect": "none", **said})] if quantity == "2" else []
    assert await leaves(plant, "order.received") == on
    assert [each.state for each in await plant.rows(store.reservation)] == ["committed"]


async def test_goods_that_nobody_confirmed_were_not_expected(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=BLIND)
    await plant.want()
    assert await arrive(plant) == "APPLIED"
    assert ((await shelf(plant)).on_hand, (await shelf(plant)).in_transit) == (2, 0)


async def test_what_has_come_in_part_stays_where_it_was(plant):
    before = await plant.order()
    await arrive(plant, "1")
    assert await plant.order() == before
    assert (await plant.requisition()).state == "ordered"


async def test_what_comes_after_part_of_it_left_may_move_it_to_shipped(plant):
    await put(plant, store.order_line, shipped=Decimal(2))
    await arrive(plant, "1")
    assert await plant.states() == ["shipped"]
    said = {"before": "confirmed", "effect": "none", "receipt": "R-1", "lines": {"1": "1"}}
    assert [leaf[2] for leaf in await leaves(plant, "order.shipped")] == [said]
    await arrive(plant, "1")
    assert (await leaves(plant, "order.received"))[0][2]["before"] == "shipped"


async def test_nobody_is_reminded_any_more_of_goods_that_are_here(plant):
    await put(plant, problem=problem("DELIVERY_LATE", {"since": "x"}))
    await arrive(plant, "1")
    assert await standing(plant) == ("confirmed", {"code": "DELIVERY_LATE", "parameters": {"since": "x"}})
    await arrive(plant, "1")
    assert await standing(plant) == ("received", "")


async def test_too_much_is_disputed_with_its_lines(plant):
    await arrive(plant, "3")
    assert await standing(plant) == ("disputed", {"code": "OVER_DELIVERY", "parameters": {"lines": "1"}})
    number = (await plant.order()).number
    said = {"receipt": "R-3", "lines": {"1": "3"}, "effect": "none"}
    assert await leaves(plant, "order.disputed") == [(number, HIS, {"before": "received", **said})]


async def test_too_much_in_the_end_is_disputed_from_where_the_order_stood(plant):
    await arrive(plant, "2")
    await arrive(plant, "1")
    assert await standing(plant) == ("disputed", {"code": "OVER_DELIVERY", "parameters": {"lines": "1"}})
    assert len(await leaves(plant, "order.received")) == 1


async def test_an_invoice_that_did_not_agree_has_waited_for_the_goods(plant):
    number = (await plant.order()).number
    await take(plant, invoice(plant, number, "130.00"))
    noted = (await standing(plant))[1]
    await arrive(plant)
    assert await standing(plant) == ("disputed", noted)
    assert noted["code"] == "INVOICE_DIFFERS"


async def test_an_order_whose_invoice_came_first_closes_with_its_goods(plant):
    number = (await plant.order()).number
    await take(plant, invoice(plant, number))
    await arrive(plant)
    assert await standing(plant) == ("closed", "")
    said = {"before": "received", "effect": "none", "receipt": "R-2", "lines": {"1": "2"}}
    assert await leaves(plant, "order.closed") == [(number, HIS, said)]


async def test_what_was_wrong_with_an_open_order_is_settled_by_its_goods_and_no_dispute(plant):
    await put(plant, state="needs_person", problem=problem("REJECTED_AFTER_CONFIRMATION"))
    await arrive(plant)
    assert await standing(plant) == ("received", "")


async def test_more_goods_after_the_end_are_taken_in_and_move_nothing(plant):
    await put(plant, state="closed")
    assert await arrive(plant) == "APPLIED"
    assert (await plant.states(), (await shelf(plant)).on_hand) == (["closed"], 2)


# A part was confirmed, and nobody has said what becomes of the rest.


@pytest.fixture
async def partly(make_plant):
    plant = await make_plant(PartSupplier)
    await plant.want()
    return plant


async def test_goods_of_the_part_leave_the_rest_to_a_person(partly):
    before = await partly.order()
    assert await arrive(partly, "1") == "APPLIED"
    assert await partly.order() == before
    assert ((await shelf(partly)).on_hand, (await shelf(partly)).in_transit) == (1, 0)


async def test_all_the_goods_leave_nothing_to_say(partly):
    assert await arrive(partly, "2") == "APPLIED"
    assert await standing(partly) == ("received", "")
    assert [leaf[2]["before"] for leaf in await leaves(partly, "order.confirmed")] == ["needs_person"]


async def test_another_problem_keeps_no_part_from_being_taken(partly):
    await put(partly, problem=problem("OUTCOME_UNKNOWN"))
    await arrive(partly, "1")
    assert await standing(partly) == ("confirmed", "")


def test_states_that_goods_settle_are_never_ends():
    assert arrival.SETTLED_BY_GOODS < arrival.AWAITING_GOODS
    assert not arrival.AWAITING_GOODS & arrival.AFTER_GOODS
