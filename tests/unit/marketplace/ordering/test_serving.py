"""Sums stay right on lines and requisitions, whatever happens to an order and in whatever sequence."""

import asyncio
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from gateway.storage import NORMAL, Storage
from marketplace import stock, store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.verify import verify
from marketplace.authority.policy import Mode
from marketplace.documents import Reply, timestamp
from marketplace.money import Money, Quantity
from marketplace.ordering import serving
from marketplace.ordering.orders import load
from marketplace.ordering.serving import OrderedAlready, cover_of, require_room, withdraw_wants
from marketplace.ordering.shares import Cover, Share, allot
from marketplace.ordering.states import FAILED, OrderState
from marketplace.store import Owner
from tests.unit.marketplace.fakes import (
    ANNA,
    EVERYTHING,
    LINE,
    AcceptingSupplier,
    Clock,
    DearerSupplier,
    Plant,
    ReceivingSupplier,
)

S = OrderState
OWNER = Owner("northworks", "G1")


class PartSupplier(AcceptingSupplier):
    """Confirms fewer than ordered, at the same price."""

    takes_on = Decimal(1)

    def response(self, order):
        said = AcceptingSupplier.response(self, order)
        if self.takes_on >= said.lines[0].quantity.amount:
            return said
        line = replace(said.lines[0], quantity=Quantity(self.takes_on, "C62"))
        less = said.lines[0].unit_price.times(Quantity(said.lines[0].quantity.amount - self.takes_on, "C62"))
        return replace(said, lines=(line,), total=said.total - less)


@pytest.fixture(autouse=True)
async def the_audit_verifies_in_the_end(spend):
    yield
    async with spend.read() as connection:
        found = await verify(connection)
    assert found.verified, found.problems


@pytest.fixture
async def partly(make_plant):
    """Two were ordered, one is confirmed."""
    plant = await make_plant(PartSupplier)
    await plant.want()
    return plant


async def line_of(plant):
    return (await plant.rows(store.order_line))[0]


async def shelf_of(plant):
    return (await plant.rows(store.stock_item))[0]


async def wants(plant):
    rows = sorted(await plant.rows(store.requisition), key=lambda row: (row.created_at, row.quantity))
    return [(row.quantity, row.state) for row in rows]


# A part is confirmed.


async def test_a_part_that_is_confirmed_stops_the_order_and_stays_on_the_line(partly):
    row, line = await partly.order(), await line_of(partly)
    assert row.state == "needs_person"
    assert ("PARTLY_CONFIRMED" in row.problem, line.quantity, line.confirmed) == (True, 2, 1)
    (status,) = await partly.rows(store.supplier_status)
    assert status.suspended
    assert (await shelf_of(partly)).in_transit == 1


async def test_a_person_takes_the_part_and_the_rest_is_wanted_by_itself(partly, clock):
    number = (await partly.order()).number
    clock.forward(minutes=1)
    assert (await partly.purchasing.accept_part(number, ANNA, " ")).code == "REASON_MISSING"
    act = await partly.purchasing.accept_part(number, ANNA, "one will do for now")
    assert (act.ok, act.code) == (True, "ORDER_CONFIRMED")
    row, line = await partly.order(), await line_of(partly)
    assert (row.state, row.problem, line.quantity, line.confirmed) == ("confirmed", "", 1, 1)
    assert await wants(partly) == [(1, "ordered"), (1, "needed")]
    (link,) = await partly.rows(store.line_requisition)
    assert link.quantity == 1
    assert (await partly.purchasing.accept_part(number, ANNA, "again")).code == "NOT_PARTLY_CONFIRMED"


async def test_the_rest_is_bought_and_the_part_is_paid_as_a_part(partly, clock):
    number = (await partly.order()).number
    await partly.purchasing.accept_part(number, ANNA, "one will do for now")
    await partly.purchasing.reinstate("supplier-1", ANNA)
    clock.forward(minutes=1)
    await partly.passes(1)
    assert [(row.quantity, row.confirmed) for row in await partly.rows(store.order_line)] == [(1, 1), (1, 1)]
    assert await partly.states() == ["confirmed", "confirmed"]
    partly.suppliers["supplier-1"].bill(number, Money(6150, "EUR"))
    await partly.purchasing.received(number, None, ANNA)
    await partly.passes(1, hours=1)
    await partly.passes(1)
    assert await partly.states() == ["closed", "confirmed"]
    assert await wants(partly) == [(1, "fulfilled"), (1, "ordered")]
    assert await partly.want() in {row.id for row in await partly.rows(store.requisition)}
    assert len(await partly.orders()) == 2  # the life has what it wants


async def bound(plant):
    """What is booked for an order, and what its machine's limit counts."""
    (held,), (limit,) = await plant.rows(store.reservation), await plant.rows(store.spend_limit)
    bookings = await plant.rows(store.booking)
    assert sum(each.amount for each in bookings) == limit.machine_used + limit.person_used
    return held.state, held.minor, limit.machine_used


async def entries(plant, number, kind):
    async with plant.database.read() as tx:
        return await log.entries(tx, number, 1, owner=plant.owner, kind=kind)


async def test_of_a_part_that_a_person_takes_only_the_part_is_bound(partly):
    number = (await partly.order()).number
    assert await bound(partly) == ("reserved", 12_300, 12_300)
    await partly.purchasing.accept_part(number, ANNA, "one will do for now")
    assert await bound(partly) == ("committed", 6_150, 6_150)
    leaf = (await entries(partly, number, "budget.reduced"))[0]
    assert (leaf.subject, leaf.actor) == (number, ANNA)
    assert leaf.facts == {"send": 1, "amount": "61.50 EUR", "by_person": False, "before": "123.00 EUR"}


async def test_a_larger_part_after_a_smaller_one_binds_no_more_than_was_agreed(make_plant):
    plant = await make_plant(PartSupplier)
    await plant.want(replace(LINE, quantity=Decimal(3)))
    number = (await plant.order()).number
    await plant.purchasing.accept_part(number, ANNA, "one will do for now")
    supplier = plant.suppliers["supplier-1"]
    supplier.takes_on = Decimal(2)
    async with plant.database.read() as tx:
        order = (await load(tx, plant.owner, number)).order
    assert await plant.purchasing.sending.take("supplier-1", supplier.response(order.document())) == "PARTLY_CONFIRMED"
    await plant.purchasing.accept_part(number, ANNA, "one is what was said")
    line = await line_of(plant)
    assert (line.quantity, line.confirmed, (await shelf_of(plant)).in_transit) == (1, 1, 1)
    assert (await bound(plant))[:2] == ("committed", 6_150)


async def test_a_person_may_also_call_the_part_off(partly):
    number = (await partly.order()).number
    assert (await partly.purchasing.resolve(number, S.CANCELLED, ANNA, "all or nothing")).ok
    assert await partly.states() == ["cancelled"]
    assert await wants(partly) == [(2, "needed")]
    assert (await shelf_of(partly)).in_transit == 0


async def test_goods_of_the_part_that_come_before_the_persons_word(partly):
    number = (await partly.order()).number
    assert (await partly.purchasing.received(number, {1: Decimal(1)}, ANNA)).ok
    assert await partly.states() == ["needs_person"]
    assert (await partly.purchasing.accept_part(number, ANNA, "as they said")).ok
    assert await partly.states() == ["received"]
    assert await wants(partly) == [(1, "fulfilled"), (1, "needed")]


async def test_all_that_comes_all_the_same_settles_it(partly):
    number = (await partly.order()).number
    assert (await partly.purchasing.received(number, {1: Decimal(2)}, ANNA)).ok
    assert await partly.states() == ["received"]
    assert await wants(partly) == [(2, "fulfilled")]


async def test_a_part_after_the_whole_was_confirmed_takes_back_what_was_expected(make_plant):
    plant = await make_plant(AcceptingSupplier)
    await plant.want()
    row = await plant.order()
    async with plant.database.read() as tx:
        order = (await load(tx, plant.owner, row.number)).order
    part = PartSupplier("supplier-1", plant.clock)
    said = part.response(order.document())
    assert await plant.purchasing.sending.take("supplier-1", said) == "PARTLY_CONFIRMED"
    assert ((await line_of(plant)).confirmed, (await shelf_of(plant)).in_transit) == (1, 1)
    assert await plant.states() == ["needs_person"]


@pytest.mark.parametrize("change", ["dearer", "more", "other total"])
async def test_what_is_not_a_part_on_our_terms_is_no_part(make_plant, change):
    plant = await make_plant(ReceivingSupplier)
    await plant.want()
    async with plant.database.read() as tx:
        order = (await load(tx, plant.owner, (await plant.order()).number)).order
    said = PartSupplier("supplier-1", plant.clock).response(order.document())
    if change == "dearer":
        said = replace(said, lines=(replace(said.lines[0], sku="X"),))
    elif change == "more":
        said = replace(said, lines=(replace(said.lines[0], quantity=Quantity(Decimal(3), "C62")),))
    else:
        said = replace(said, total=order.total)
    verdict = await plant.purchasing.sending.take("supplier-1", said)
    assert verdict in ("SKU_DIFFERS", "QUANTITY_DIFFERS")
    assert ((await line_of(plant)).confirmed, await plant.states()) == (0, ["needs_person"])


# Another attempt.


async def test_not_placed_said_by_a_person_opens_the_next_attempt_group_and_nothing_else_does(make_plant, clock):
    plant = await make_plant(DearerSupplier, AcceptingSupplier)
    plant.suppliers["supplier-2"].price += 20
    await plant.want()
    number = (await plant.order()).number
    assert (await plant.purchasing.resolve(number, S.NOT_PLACED, ANNA, "Ms Huber knows nothing of it")).ok
    assert (await plant.requisition()).attempt_group == 2
    await plant.passes(1)
    assert [(row.state, row.attempt_group) for row in await plant.orders()] == [("not_placed", 1), ("confirmed", 2)]
    async with plant.database.read() as tx:
        leaves = await log.entries(tx, (await plant.requisition()).id, 50, kind="requisition.needed")
    assert [leaf.facts["attempt_group"] for leaf in leaves if "attempt_group" in leaf.facts] == [2]
    assert [leaf.actor.id for leaf in leaves if "attempt_group" in leaf.facts] == ["anna"]


async def test_a_rejected_an_expired_and_a_denied_order_are_proven_not_placed(make_plant, clock):
    plant = await make_plant(policy={"mandate": None})
    await plant.want()
    clock.forward(days=2)
    await plant.passes(1)
    assert [(row.state, row.attempt_group) for row in await plant.orders()] == [("denied", 1), ("denied", 1)]


async def test_without_a_persons_word_nothing_follows_an_order_that_was_not_placed(make_plant, owner):
    plant = await make_plant(DearerSupplier)
    await plant.want()
    await plant.purchasing.resolve((await plant.order()).number, S.NOT_PLACED, ANNA, "knows nothing of it")
    async with plant.database.write() as tx:  # as a defect would: the want is open, and no group was
        await tx.execute(update(store.requisition).values(attempt_group=1))
        row = (await tx.execute(select(store.requisition))).one()
        with pytest.raises(OrderedAlready, match="nobody opened"):
            await require_room(tx, owner, row, Decimal(1))
    await plant.purchasing.reinstate("supplier-1", ANNA)
    done = await plant.reconciliation.run_once()
    assert (done.failed, len(await plant.orders())) == (1, 1)


async def test_no_second_order_is_proposed_for_what_is_ordered(make_plant, owner):
    plant = await make_plant()
    await plant.want()
    async with plant.database.write() as tx:  # as a defect would: it is on order, and asked for all the same
        await tx.execute(update(store.requisition).values(state="needed"))
    done = await plant.reconciliation.run_once()
    assert (done.failed, len(await plant.orders())) == (1, 1)
    async with plant.database.write() as tx:
        await tx.execute(update(store.requisition).values(state="ordered", quoting_after=None))


# Several requisitions in a line, several orders for a requisition.


async def share_with_another(plant, quantity):
    """Let the order's line serve a second requisition too, as an order that bundles wants does."""
    first, order = await plant.requisition(), await plant.order()
    second = {**first._mapping, "id": "second", "open_slot": "x", "component": "mill/other", "quantity": quantity}
    async with plant.database.write() as tx:
        await tx.execute(insert(store.requisition), second)
        link = {"order_number": order.number, "line": 1, "requisition": "second", "quantity": quantity}
        await tx.execute(insert(store.line_requisition).values(**link, **plant.owner.columns))
        await tx.execute(
            update(store.requisition).where(store.requisition.c.id == first.id).values(quantity=2 - quantity)
        )
        await tx.execute(
            update(store.line_requisition)
            .where(store.line_requisition.c.requisition == first.id)
            .values(quantity=2 - quantity)
        )


async def test_a_line_serves_the_oldest_want_first(make_plant):
    plant = await make_plant()
    await plant.want()
    await share_with_another(plant, Decimal(1))
    number = (await plant.order()).number
    await plant.purchasing.received(number, {1: Decimal(1)}, ANNA)
    assert sorted(await wants(plant)) == [(1, "fulfilled"), (1, "ordered")]
    await plant.purchasing.received(number, {1: Decimal(1)}, ANNA)
    assert await wants(plant) == [(1, "fulfilled"), (1, "fulfilled")]
    assert {(row.quantity, row.state) for row in await plant.rows(store.stock_reservation)} == {(1, "reserved")}


async def test_a_part_of_a_bundle_serves_whom_it_reaches(make_plant):
    plant = await make_plant(PartSupplier)
    await plant.want()
    await share_with_another(plant, Decimal(1))
    await plant.purchasing.accept_part((await plant.order()).number, ANNA, "one each later")
    assert sorted(await wants(plant)) == [(1, "needed"), (1, "ordered")]
    assert sorted(row.quantity for row in await plant.rows(store.line_requisition)) == [0, 1]


async def test_what_came_of_an_order_that_is_called_off_stays_and_the_rest_is_wanted_again(make_plant):
    plant = await make_plant(DearerSupplier)
    await plant.want()
    number = (await plant.order()).number
    async with plant.database.write() as tx:  # one came before anybody could say what became of the rest
        await tx.execute(update(store.order_line).values(received=Decimal(1)))
    await plant.purchasing.resolve(number, S.CANCELLED, ANNA, "they send no more")
    assert await wants(plant) == [(1, "fulfilled"), (1, "needed")]
    slots = {row.state: row.open_slot for row in await plant.rows(store.requisition)}
    assert slots == {"fulfilled": None, "needed": "mill/spindle-bearing|life-1|bearing"}


async def test_a_no_takes_nothing_from_whom_other_goods_serve(make_plant):
    """Neither what is on its way as a whole, nor what has come, is withdrawn or kept quiet."""
    plant = await make_plant()
    await plant.want()
    number, hold = (await plant.order()).number, plant.terms.hold
    for state in ("ordered", "fulfilled"):
        async with plant.database.write() as tx:
            await withdraw_wants(tx, OWNER, number, ANNA, plant.clock(), hold)
        assert await wants(plant) == [(2, state)]
        await plant.purchasing.received(number, None, ANNA)
    assert await plant.rows(store.slot_hold) == []


async def test_a_no_leaves_a_want_that_has_ended_already(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    row = await plant.order()
    await plant.purchasing.deny(row.number, row.order_hash, ANNA)
    assert await wants(plant) == [(2, "withdrawn")]
    async with plant.database.write() as tx:
        await withdraw_wants(tx, OWNER, row.number, ANNA, plant.clock(), plant.terms.hold)
    assert await wants(plant) == [(2, "withdrawn")]


async def test_what_came_before_a_cancellation_stays_and_nothing_more_is_wanted(make_plant):
    plant = await make_plant()
    await plant.want()
    number = (await plant.order()).number
    await plant.purchasing.received(number, {1: Decimal(1)}, ANNA)
    assert (await plant.purchasing.cancel(number, ANNA)).ok
    assert await plant.states() == ["cancelled"]
    assert await wants(plant) == [(1, "fulfilled")]
    assert await plant.want() != ""
    assert len(await plant.orders()) == 1


# What rows and leaves say of it.

BOB = Actor(ActorKind.PERSON, "bob", "form")
ELSEWHERE = Owner("southworks", "G1")


async def said(plant, kind):
    """Of each leaf of a kind: whom it is about, who did it, what it says."""
    async with plant.database.read() as tx:
        found = await log.entries(tx, owner=plant.owner, kind=kind)
    return [(leaf.subject, leaf.actor, leaf.facts) for leaf in found]


async def put(plant, table, **columns):
    async with plant.database.write() as tx:
        await tx.execute(update(table).values(**columns))


@pytest.fixture
async def ordered(make_plant):
    """Two are on order for one want."""
    plant = await make_plant()
    await plant.want()
    plant.clock.forward(hours=1)
    return plant


async def shares(plant, owner=None, number=None):
    async with plant.database.read() as tx:
        return await serving.shares_of(tx, owner or plant.owner, number or (await plant.order()).number)


async def covers(plant):
    """How far each want is served, by its id."""
    async with plant.database.read() as tx:
        return {row.id: await cover_of(tx, plant.owner, row.id) for row in await plant.rows(store.requisition)}


async def test_shares_are_told_by_line_the_oldest_want_first(ordered):
    mine, now = (await ordered.requisition()).id, ordered.clock()
    first = {**(await ordered.requisition())._mapping, "open_slot": None}
    number = (await ordered.order()).number
    async with ordered.database.write() as tx:
        for id, age in (("b", 1), ("a", 1), ("c", 2)):
            old = {**first, "id": id, "created_at": now - timedelta(days=age)}
            await tx.execute(insert(store.requisition), old)
        for line, id, quantity in ((1, "b", "0.5"), (1, "a", "0.25"), (2, "c", "3"), (2, "a", "4")):
            link = {"order_number": number, "line": line, "requisition": id, "quantity": Decimal(quantity)}
            await tx.execute(insert(store.line_requisition).values(**link, **ordered.owner.columns))
    assert await shares(ordered) == {
        1: (Share(1, "a", Decimal("0.25")), Share(1, "b", Decimal("0.5")), Share(1, mine, Decimal(2))),
        2: (Share(2, "c", Decimal(3)), Share(2, "a", Decimal(4))),
    }
    assert await shares(ordered, ELSEWHERE) == {}
    assert await shares(ordered, number="another") == {}


@pytest.mark.parametrize("state", OrderState)
async def test_a_want_is_covered_by_what_came_and_by_what_may_still_come(ordered, state):
    await put(ordered, store.order_line, received=Decimal("0.5"))
    await put(ordered, store.purchase_order, state=state)
    coming = Decimal(0) if state in FAILED else Decimal("1.5")
    assert list((await covers(ordered)).values()) == [Cover(Decimal(2), Decimal("0.5"), coming)]


async def test_of_a_shared_line_each_want_is_covered_by_its_own_share(ordered):
    await share_with_another(ordered, Decimal("0.5"))
    await put(ordered, store.order_line, received=Decimal("1.75"))
    mine = next(row.id for row in await ordered.rows(store.requisition) if row.id != "second")
    found = await covers(ordered)
    first, second = (mine, "second") if mine < "second" else ("second", mine)
    quantity = {mine: Decimal("1.5"), "second": Decimal("0.5")}
    came = min(quantity[first], Decimal("1.75"))
    assert found == {
        first: Cover(quantity[first], came, quantity[first] - came),
        second: Cover(quantity[second], Decimal("1.75") - came, quantity[second] - Decimal("1.75") + came),
    }


async def test_several_orders_cover_one_want_together(ordered):
    row, first = await ordered.requisition(), await ordered.order()
    second = {**first._mapping, "number": "TC-G1-000009-X", "key": "another"}
    (line,), (link,) = await ordered.rows(store.order_line), await ordered.rows(store.line_requisition)
    async with ordered.database.write() as tx:
        await tx.execute(insert(store.purchase_order), second)
        await tx.execute(insert(store.order_line), {**line._mapping, "order_number": "TC-G1-000009-X"})
        more = {"order_number": "TC-G1-000009-X", "quantity": Decimal(1)}
        await tx.execute(insert(store.line_requisition), {**link._mapping, **more})
    assert await covers(ordered) == {row.id: Cover(Decimal(2), Decimal(0), Decimal(3))}
    async with ordered.database.write() as tx:  # as if it had never been
        for table in (store.line_requisition, store.order_line):
            await tx.execute(table.delete().where(table.c.order_number == "TC-G1-000009-X"))
        await tx.execute(store.purchase_order.delete().where(store.purchase_order.c.number == "TC-G1-000009-X"))


@pytest.mark.parametrize(("share", "fits"), [("1.5", True), ("1.51", False)])
async def test_an_order_must_fit_into_what_is_missing(ordered, owner, share, fits):
    await put(ordered, store.line_requisition, quantity=Decimal("0.5"))
    async with ordered.database.read() as tx:
        row = await ordered.requisition()
        if fits:
            await require_room(tx, owner, row, Decimal(share))
        else:
            with pytest.raises(OrderedAlready, match="ordered already"):
                await require_room(tx, owner, row, Decimal(share))


@pytest.mark.parametrize(
    ("state", "group", "free"), [("not_placed", 1, False), ("not_placed", 2, True), ("rejected", 1, True)]
)
async def test_within_an_attempt_group_nothing_follows_what_was_not_placed(ordered, owner, state, group, free):
    await put(ordered, store.purchase_order, state=state)
    await put(ordered, store.requisition, attempt_group=group)
    async with ordered.database.read() as tx:
        row = await ordered.requisition()
        if free:
            await require_room(tx, owner, row, Decimal(2))
        else:
            with pytest.raises(OrderedAlready, match=f"{(await ordered.order()).number} was not placed"):
                await require_room(tx, owner, row, Decimal(2))


async def test_shares_are_cut_to_what_was_agreed_the_oldest_kept_first(ordered, owner):
    await share_with_another(ordered, Decimal(1))
    await ordered.want(life="life-2")
    first, second = await ordered.orders()
    before = await shares(ordered, number=first.number)
    async with ordered.database.write() as tx:
        await serving.keep_shares(tx, owner, first.number, {1: Decimal("1.25")})
    after = await shares(ordered, number=first.number)
    assert [each.requisition for each in after[1]] == [each.requisition for each in before[1]]
    assert [each.quantity for each in after[1]] == [Decimal(1), Decimal("0.25")]
    assert [each.quantity for each in (await shares(ordered, number=second.number))[1]] == [2]


# Goods come.


async def came(plant, before, after, goods=True):
    async with plant.database.write() as tx:
        number = (await plant.order()).number
        (line,) = (await load(tx, plant.owner, number)).order.lines
        moved = Decimal(before), Decimal(after)
        await tx.execute(update(store.order_line).values(received=moved[1]))
        await stock.adjust(tx, plant.owner, line.item.key, moved[1] - moved[0], "C62", BOB, plant.clock())
        await serving.goods_came(tx, plant.owner, number, line, moved, goods, BOB, plant.clock())
    return number


async def test_goods_are_promised_as_they_come_and_the_last_of_them_fulfils(ordered):
    id = (await ordered.requisition()).id
    await came(ordered, "0", "0.5")
    (held,) = await ordered.rows(store.stock_reservation)
    assert (held.requisition, held.item, held.quantity, held.state) == (id, LINE.item, Decimal("0.5"), "reserved")
    assert await said(ordered, "requisition.fulfilled") == []
    await put(ordered, store.requisition, problem="noted")
    number = await came(ordered, "0.5", "3")
    (held,) = await ordered.rows(store.stock_reservation)
    row = await ordered.requisition()
    assert (held.quantity, row.state, row.problem, row.changed_at) == (2, "fulfilled", "", ordered.clock())
    facts = {"before": "ordered", "order": number}
    assert await said(ordered, "requisition.fulfilled") == [(id, BOB, facts)]
    promised = [each[1:] for each in await said(ordered, "stock.reserved")]
    assert promised == [
        (BOB, {"quantity": "0.5", "requisition": id}), (BOB, {"quantity": "1.5", "requisition": id}),
    ]  # fmt: skip


async def test_a_service_is_done_and_nothing_is_promised(ordered):
    await came(ordered, "0", "2", goods=False)
    assert (await ordered.requisition()).state == "fulfilled"
    assert await ordered.rows(store.stock_reservation) == []


@pytest.mark.parametrize("state", ["fulfilled", "withdrawn", "needed", "quoting", "proposed"])
async def test_whoever_no_longer_waits_gets_no_promise(ordered, state):
    await put(ordered, store.requisition, state=state)
    await came(ordered, "0", "2")
    assert await ordered.rows(store.stock_reservation) == []
    assert (await ordered.requisition()).state == state
    await put(ordered, store.requisition, state="ordered")


async def test_an_older_want_that_no_longer_waits_keeps_nothing_from_the_next(ordered):
    await share_with_another(ordered, Decimal(1))
    first, second = (await shares(ordered))[1]
    async with ordered.database.write() as tx:
        ended = update(store.requisition).where(store.requisition.c.id == first.requisition)
        await tx.execute(ended.values(state="withdrawn", open_slot=None))
    await came(ordered, "0", "2")
    held = [(row.requisition, row.quantity) for row in await ordered.rows(store.stock_reservation)]
    assert held == [(second.requisition, 1)]


async def test_goods_of_a_line_that_serves_nobody_lie_on_the_shelf(ordered):
    async with ordered.database.write() as tx:
        await tx.execute(store.line_requisition.delete())
    await came(ordered, "0", "2")
    assert await ordered.rows(store.stock_reservation) == []


# Goods do not come.


async def again(plant, *, new_attempt=False, after=None):
    async with plant.database.write() as tx:
        number = (await plant.orders())[0].number
        await serving.need_again(
            tx, plant.owner, number, BOB, plant.clock(), quoting_after=after, new_attempt=new_attempt
        )
    return number


@pytest.mark.parametrize("state", ["proposed", "ordered"])
@pytest.mark.parametrize("new_attempt", [False, True])
async def test_what_nothing_covers_is_needed_again_as_a_whole(ordered, state, new_attempt):
    await put(ordered, store.purchase_order, state="rejected")
    await put(ordered, store.requisition, state=state, attempt_group=4)
    before, later = await ordered.requisition(), ordered.clock() + timedelta(days=1)
    number = await again(ordered, new_attempt=new_attempt, after=later)
    group = 5 if new_attempt else 4
    expected = {"state": "needed", "quoting_after": later, "attempt_group": group, "changed_at": ordered.clock()}
    assert dict((await ordered.requisition())._mapping) == dict(before._mapping) | expected
    facts = {"before": state, "order": number} | ({"attempt_group": 5} if new_attempt else {})
    assert (await said(ordered, "requisition.needed"))[-1] == (before.id, BOB, facts)


@pytest.mark.parametrize("state", ["needed", "quoting", "fulfilled", "withdrawn"])
async def test_what_is_not_waiting_for_an_order_is_left(ordered, state):
    await put(ordered, store.purchase_order, state="rejected")
    await put(ordered, store.requisition, state=state)
    before = await ordered.requisition()
    await again(ordered)
    assert await ordered.rows(store.requisition) == [before]


async def test_what_is_covered_is_not_needed_again(ordered):
    before = await ordered.requisition()
    await again(ordered)
    assert await ordered.rows(store.requisition) == [before]


async def test_the_rest_becomes_a_want_of_its_own_beside_the_one_that_still_waits(ordered):
    await put(ordered, store.line_requisition, quantity=Decimal("0.5"))
    before, later = await ordered.requisition(), ordered.clock() + timedelta(days=1)
    number = await again(ordered, new_attempt=True, after=later)
    rows = {row.id: dict(row._mapping) for row in await ordered.rows(store.requisition)}
    assert rows.pop(before.id) == dict(before._mapping) | {"quantity": Decimal("0.5")}
    ((id, rest),) = rows.items()
    assert rest == dict(before._mapping) | {
        "id": id, "quantity": Decimal("1.5"), "state": "needed", "open_slot": f"{before.open_slot}|{id}",
        "created_at": ordered.clock(), "changed_at": ordered.clock(), "quoting_after": later, "attempt_group": 2,
    }  # fmt: skip
    reduced = {"order": number, "wanted": "2", "quantity": "0.5"}
    assert await said(ordered, "requisition.reduced") == [(before.id, BOB, reduced)]
    raised = {
        "slot": before.open_slot, "rest_of": before.id, "order": number, "quantity": "1.5", "attempt_group": 2,
        "at": timestamp(ordered.clock()),
    }  # fmt: skip
    assert (await said(ordered, "requisition.raised"))[-1] == (id, BOB, raised)


async def test_the_rest_takes_the_slot_of_the_one_whose_part_is_here(ordered):
    await put(ordered, store.order_line, received=Decimal("0.5"))
    await put(ordered, store.purchase_order, state="cancelled")
    before = await ordered.requisition()
    number = await again(ordered)
    first, rest = sorted(await ordered.rows(store.requisition), key=lambda row: row.quantity)
    assert (first.id, first.quantity, first.state, first.open_slot) == (before.id, Decimal("0.5"), "fulfilled", None)
    assert (rest.quantity, rest.open_slot, rest.attempt_group) == (Decimal("1.5"), before.open_slot, 1)
    facts = {"before": "ordered", "order": number}
    assert await said(ordered, "requisition.fulfilled") == [(before.id, BOB, facts)]


async def test_the_rest_of_an_override_stands_beside_the_slot_too(ordered):
    await put(ordered, store.order_line, received=Decimal("0.5"))
    await put(ordered, store.purchase_order, state="cancelled")
    slot = (await ordered.requisition()).open_slot
    await put(ordered, store.requisition, open_slot=f"{slot}|override")
    await again(ordered)
    (rest,) = [row for row in await ordered.rows(store.requisition) if row.state == "needed"]
    assert rest.open_slot == f"{slot}|{rest.id}"


async def test_only_the_want_that_an_order_served_is_reduced(ordered):
    await ordered.want(life="life-2")
    first = (await ordered.orders())[0].number
    async with ordered.database.write() as tx:
        links = update(store.line_requisition).where(store.line_requisition.c.order_number == first)
        await tx.execute(links.values(quantity=Decimal("0.5")))
    await again(ordered)
    found = sorted((row.life, row.quantity) for row in await ordered.rows(store.requisition))
    assert found == [("life-1", Decimal("0.5")), ("life-1", Decimal("1.5")), ("life-2", 2)]


# A person says no.


async def no(plant):
    async with plant.database.write() as tx:
        number = (await plant.orders())[0].number
        await withdraw_wants(tx, plant.owner, number, BOB, plant.clock(), timedelta(days=3))
    return number


@pytest.mark.parametrize("state", ["needed", "proposed", "ordered"])
async def test_what_nothing_covers_is_withdrawn_and_its_slot_stays_quiet(ordered, state):
    await put(ordered, store.purchase_order, state="cancelled")
    await put(ordered, store.requisition, state=state)
    before, until = await ordered.requisition(), ordered.clock() + timedelta(days=3)
    number = await no(ordered)
    row, (hold,) = await ordered.requisition(), await ordered.rows(store.slot_hold)
    assert (row.state, row.changed_at) == ("withdrawn", ordered.clock())
    assert (hold.slot, hold.until, hold.by) == (before.open_slot, until, "bob")
    back = [(before.id, BOB, {"before": "ordered", "order": number})] if state == "ordered" else []
    assert await said(ordered, "requisition.needed") == back
    facts = {"before": "needed" if state == "ordered" else state, "hold_until": timestamp(until)}
    assert await said(ordered, "requisition.withdrawn") == [(before.id, BOB, facts)]


@pytest.mark.parametrize("state", ["quoting", "fulfilled", "withdrawn"])
async def test_a_no_leaves_what_is_asked_for_anew_or_has_ended(ordered, state):
    await put(ordered, store.purchase_order, state="cancelled")
    await put(ordered, store.requisition, state=state)
    before = await ordered.requisition()
    await no(ordered)
    assert (await ordered.rows(store.requisition), await ordered.rows(store.slot_hold)) == ([before], [])


async def test_a_no_to_the_rest_lets_a_want_be_content_and_keeps_its_slot_quiet(ordered):
    await put(ordered, store.order_line, received=Decimal("0.5"))
    await put(ordered, store.purchase_order, state="cancelled")
    before = await ordered.requisition()
    number = await no(ordered)
    (row,), (hold,) = await ordered.rows(store.requisition), await ordered.rows(store.slot_hold)
    assert (row.quantity, row.state) == (Decimal("0.5"), "fulfilled")
    assert (hold.slot, hold.until, hold.by) == (before.open_slot, ordered.clock() + timedelta(days=3), "bob")
    reduced = {"order": number, "wanted": "2", "quantity": "0.5"}
    assert await said(ordered, "requisition.reduced") == [(row.id, BOB, reduced)]


# Whatever happens, in whatever sequence.

EVENTS = ("ship", "receive", "cancel", "part", "reject", "not placed", "accept", "call off", "confirm", "pass", "late")


class Moody(AcceptingSupplier):
    """Says what the next event makes it say."""

    takes_on: Decimal | None = None

    def response(self, order):
        said = super().response(order)
        ordered = said.lines[0].quantity.amount
        if self.takes_on is None or self.takes_on >= ordered:
            return said
        return PartSupplier.response(self, order)


async def happen(plant, event, amount):
    """Let something happen to the newest open order; whatever is refused is refused."""
    supplier = plant.suppliers["supplier-1"]
    supplier.takes_on = amount if event == "part" else None
    open_ones = [row for row in await plant.orders() if row.state not in {*FAILED, S.CLOSED}]
    if not open_ones or event in ("pass", "late"):
        await plant.purchasing.reinstate("supplier-1", ANNA)
        plant.clock.forward(hours=30 if event == "late" else 2)
        await plant.reconciliation.run_once()
        return
    row = open_ones[-1]
    if event == "ship":
        supplier.ship(row.number, str(amount), f"D-{len(supplier.answers.get(row.number, ()))}")
    elif event == "receive":
        await plant.purchasing.received(row.number, {1: amount}, ANNA)
    elif event == "cancel" and row.number in supplier.bought:
        await plant.purchasing.cancel(row.number, ANNA)
    elif event in ("part", "reject", "confirm"):
        async with plant.database.read() as tx:
            order = (await load(tx, plant.owner, row.number)).order
        said = replace(supplier.response(order.document()), reason=f"{plant.clock.now}")
        said = replace(said, reply=Reply.REJECTED) if event == "reject" else said
        await plant.purchasing.sending.take("supplier-1", said)
    elif event == "accept":
        await plant.purchasing.accept_part(row.number, ANNA, "so be it")
    elif event in ("not placed", "call off"):
        verdict = S.NOT_PLACED if event == "not placed" else S.CANCELLED
        await plant.purchasing.resolve(row.number, verdict, ANNA, "they said so")


async def require_right_sums(plant, wanted):
    """Per line nothing below zero; per requisition never more than wanted; together exactly what was wanted."""
    orders = {row.number: row for row in await plant.orders()}
    lines = {(row.order_number, row.number): row for row in await plant.rows(store.order_line)}
    for line in lines.values():
        assert min(line.quantity, line.confirmed, line.shipped, line.received, line.invoiced) >= 0
    shares = defaultdict(list)
    for link in await plant.rows(store.line_requisition):
        shares[link.order_number, link.line].append(link)
    held = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for place, links in shares.items():
        assert sum(link.quantity for link in links) <= max(lines[place].quantity, lines[place].received)
        for link, came in zip(links, allot(lines[place].received, links), strict=True):
            held[link.requisition][0] += came
            if S(orders[place[0]].state) not in FAILED:
                held[link.requisition][1] += link.quantity - came
    rows = await plant.rows(store.requisition)
    for row in rows:
        came, coming = held[row.id]
        assert came + coming <= row.quantity
        async with plant.database.read() as tx:
            assert await cover_of(tx, plant.owner, row.id) == Cover(row.quantity, came, coming)
        if row.state == "fulfilled":
            assert came == row.quantity
        if row.state in ("proposed", "ordered"):
            assert came < row.quantity
            assert came + coming == row.quantity
        if row.state in ("needed", "quoting", "withdrawn"):
            assert came + coming == 0
    assert (
        sum(row.quantity for row in rows) == wanted or any(row.state == "withdrawn" for row in rows) or _dropped(rows)
    )
    promised = sum(row.quantity for row in await plant.rows(store.stock_reservation))
    assert promised == sum(came for came, _coming in held.values())
    slots = [row.open_slot for row in rows if row.open_slot is not None]
    assert len(slots) == len(set(slots))


def _dropped(rows):
    """A person called off the rest of an order of which a part had come: less is wanted than before."""
    return all(row.state in ("fulfilled", "ordered") for row in rows)


async def live_through(events, empty):
    with TemporaryDirectory() as folder:
        (Path(folder) / "spend.db").write_bytes(empty)
        storage = Storage(Path(folder) / "spend.db", NORMAL)
        clock = Clock(datetime(2026, 3, 2, 8, 0, tzinfo=UTC))
        plant = Plant(storage, OWNER, clock, {"supplier-1": Moody("supplier-1", clock, capabilities=EVERYTHING)})
        await plant.apply_policy(window={"days": 30, "per_machine": "1000000 EUR"})
        await plant.want(replace(LINE, quantity=Decimal(4)), mode=Mode.BUY)
        for event, amount in events:
            await happen(plant, event, Decimal(amount))
            await require_right_sums(plant, 4)
            clock.forward(seconds=1)
        async with storage.read() as tx:
            found = await verify(tx)
        assert found.verified, found.problems
        await storage.close()


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 4)), min_size=1, max_size=10))
@settings(max_examples=15)
def test_sums_stay_right_whatever_happens(empty_spend, events):
    asyncio.run(live_through(events, empty_spend))
