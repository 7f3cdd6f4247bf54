"""Acts that come too late, twice, or at the wrong moment: each is refused with its code, and changes nothing."""

import asyncio
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from marketplace import store
from marketplace.authority.policy import Mode
from marketplace.documents import DespatchAdvice
from marketplace.ordering import inbox
from marketplace.ordering.answers import LINES_MAX, AnswerBroken, write
from marketplace.ordering.edges import gateway_actor
from marketplace.ordering.states import OrderState
from marketplace.ordering.suspension import suspend
from marketplace.suppliers.supplier import SupplierRejected
from tests.unit.marketplace.fakes import (
    ANNA,
    BLIND,
    SERVICE,
    AcceptingSupplier,
    AwaySupplier,
    DroppingSupplier,
    ReceivingSupplier,
)

S = OrderState


async def test_a_cancellation_that_the_supplier_refuses_leaves_the_order_on(make_plant):
    plant = await make_plant()
    await plant.want()

    async def refuse(reference):
        raise SupplierRejected("it is on the road")

    plant.suppliers["supplier-1"].cancel = refuse
    act = await plant.purchasing.cancel((await plant.order()).number, ANNA)
    assert (act.ok, act.code, act.parameters["reason"]) == (False, "CANCELLATION_REFUSED", "it is on the road")
    assert await plant.states() == ["confirmed"]
    assert [row.state for row in await plant.rows(store.booking)] == ["committed"]


async def test_a_cancellation_that_broke_is_asked_about(make_plant):
    plant = await make_plant()
    await plant.want()

    async def break_down(reference):
        raise ZeroDivisionError

    plant.suppliers["supplier-1"].cancel = break_down
    assert (await plant.purchasing.cancel((await plant.order()).number, ANNA)).code == "CANCELLATION_UNKNOWN"
    assert await plant.states() == ["cancelling"]


@pytest.mark.parametrize("kind", [ReceivingSupplier, AcceptingSupplier])
async def test_what_cannot_be_cancelled_is_said_so(make_plant, kind):
    plant = await make_plant(kind, capabilities=BLIND)
    await plant.want()
    act = await plant.purchasing.cancel((await plant.order()).number, ANNA)
    assert (act.ok, act.code) == (False, "NOT_CANCELLABLE")


async def test_an_unknown_order_is_not_called_off_by_word_of_mouth(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    act = await plant.purchasing.resolve((await plant.order()).number, S.CANCELLED, ANNA, "we do not want it any more")
    assert (act.ok, act.code) == (False, "NOT_RESOLVABLE")
    assert await plant.states() == ["unknown"]


async def test_an_answer_to_what_was_not_sent_is_not_taken_from_a_person(make_plant, owner):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    row = await plant.order()
    said = AcceptingSupplier.response(plant.suppliers["supplier-1"], json.loads(row.document))
    assert (await plant.purchasing.answered(said, ANNA)).code == "NOT_SENT_YET"


async def test_a_want_is_withdrawn_while_nothing_is_proposed_and_not_later(make_plant):
    plant = await make_plant(AwaySupplier)
    id = await plant.want()
    act = await plant.purchasing.withdraw(id, ANNA)
    assert (act.ok, act.code) == (True, "WITHDRAWN")
    assert (await plant.purchasing.withdraw(id, ANNA)).code == "NOT_WITHDRAWABLE"
    assert (await plant.purchasing.withdraw("nobody's", ANNA)).code == "NOT_WITHDRAWABLE"
    assert await plant.want() == ""


async def test_a_want_that_is_withdrawn_while_suppliers_think_is_not_ordered(make_plant):
    plant = await make_plant()
    supplier = plant.suppliers["supplier-1"]
    quote, asked, go_on = supplier.quote, asyncio.Event(), asyncio.Event()

    async def think(request):
        asked.set()
        await go_on.wait()
        return await quote(request)

    supplier.quote = think
    wanting = asyncio.create_task(plant.want())
    await asked.wait()
    (row,) = await plant.rows(store.requisition)
    async with plant.database.write() as tx:  # as another process of the plant would
        await tx.execute(update(store.requisition).values(state="withdrawn", open_slot=None))
    go_on.set()
    await wanting
    assert await plant.orders() == []
    assert row.state == "quoting"


async def test_reinstating_whom_nobody_suspended_changes_nothing(make_plant, owner, clock):
    plant = await make_plant()
    assert (await plant.purchasing.reinstate("supplier-1", ANNA)).code == "NOT_SUSPENDED"
    async with plant.database.write() as tx:
        for code in ("PRICE_DIFFERS", "TOTAL_DIFFERS"):
            await suspend(tx, owner, "supplier-1", code, "x", clock())
    (status,) = await plant.rows(store.supplier_status)
    assert status.reason == "PRICE_DIFFERS"  # the first reason is the reason


async def test_only_what_stands_where_it_was_seen_is_sent_or_judged(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    number = (await plant.order()).number
    await plant.purchasing.submit(number)
    await plant.purchasing.judge_again(number)
    assert await plant.states() == ["awaiting_approval"]
    assert plant.suppliers["supplier-1"].sent == []


async def test_a_pass_leaves_what_somebody_else_holds(make_plant, owner, clock):
    """An order, an answer and a requisition that are in hand are not taken out of it."""
    plant = await make_plant(AwaySupplier)
    id = await plant.want()
    supplier = plant.suppliers["supplier-1"] = AcceptingSupplier("supplier-1", clock)
    clock.forward(days=1)
    async with plant.purchasing.locks.of(id):
        await plant.reconciliation.run_once()
    assert supplier.asked == []
    await plant.reconciliation.run_once()
    number = (await plant.order()).number
    advice = DespatchAdvice(number, "D-1", {1: Decimal(2)}, clock(), None)
    async with plant.database.write() as tx:
        await inbox.receive(tx, owner, "supplier-1", advice, gateway_actor(owner, "port"), clock())
    async with plant.purchasing.locks.of(number):
        await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed"]
    await plant.reconciliation.run_once()
    assert await plant.states() == ["shipped"]


async def test_a_service_lies_on_no_shelf(make_plant):
    plant = await make_plant()
    await plant.want(SERVICE)
    number = (await plant.order()).number
    assert (await plant.purchasing.received(number, None, ANNA)).ok
    assert await plant.rows(store.stock_item) == []
    assert (await plant.requisition()).state == "fulfilled"


async def test_a_silent_supplier_that_only_looks_up_is_left_as_it_is(make_plant, clock):
    plant = await make_plant(ReceivingSupplier)
    supplier = plant.suppliers["supplier-1"]
    supplier.capabilities = type(supplier.capabilities)(quotes=True, lookup_window=timedelta(minutes=2))
    await plant.want()
    supplier.answers.clear()
    await plant.passes(1)
    assert await plant.states() == ["submitted"]


async def test_a_send_that_a_crash_left_at_a_supplier_that_is_gone_is_a_persons(make_plant):
    plant = await make_plant(ReceivingSupplier)
    await plant.want()
    async with plant.database.write() as tx:
        await tx.execute(update(store.purchase_order).values(state="submitting"))
    plant.suppliers.clear()
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert row.state == "needs_person"
    assert "SUPPLIER_GONE" in row.problem


async def test_an_approved_order_of_a_supplier_that_is_gone_waits_for_it(make_plant, clock):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    supplier = plant.suppliers.pop("supplier-1")
    await plant.approve()
    row = await plant.order()
    assert (row.state, "SUPPLIER_GONE" in row.problem) == ("approved", True)
    plant.suppliers["supplier-1"] = supplier
    clock.forward(hours=2)
    await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed"]


def test_an_answer_with_endless_lines_is_refused(now):
    advice = DespatchAdvice("TC-G1-000001-8", "D", {line: Decimal(1) for line in range(LINES_MAX + 1)}, now, None)
    with pytest.raises(AnswerBroken, match="ODD_QUANTITY"):
        write(advice)
