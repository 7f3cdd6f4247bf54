"""Acts that come too late, twice, or at the wrong moment: each is refused with its code, and changes nothing."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from maintenance.needs import Provenance
from marketplace import fulfilment, store
from marketplace.audit import log
from marketplace.authority.policy import Mode
from marketplace.documents import DespatchAdvice, GoodsReceipt, Reply
from marketplace.money import Money
from marketplace.ordering import arrival, inbox
from marketplace.ordering.answers import LINES_MAX, AnswerBroken, write
from marketplace.ordering.edges import gateway_actor
from marketplace.ordering.orders import insert_proposed, load, sums_of
from marketplace.ordering.purchase import Purchasing
from marketplace.ordering.requisition import raise_requisition, want_of
from marketplace.ordering.shares import Share
from marketplace.ordering.states import OrderState
from marketplace.ordering.suspension import suspend
from marketplace.suppliers.supplier import SupplierRejected
from tests.unit.marketplace.fakes import (
    ANNA,
    BLIND,
    CATALOGUE,
    ECONOMICS,
    EVERYTHING,
    LINE,
    SERVICE,
    AcceptingSupplier,
    AwaySupplier,
    DroppingSupplier,
    ReceivingSupplier,
    UnavailableSupplier,
    a_need,
    advice,
)

S = OrderState
KEY_ONLY = replace(EVERYTHING, lookup_window=None, documents=False)


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
    left = DespatchAdvice(number, "D-1", {1: Decimal(2)}, clock(), None)
    async with plant.database.write() as tx:
        await inbox.receive(tx, owner, "supplier-1", left, gateway_actor(owner, "port"), clock())
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
    endless = DespatchAdvice("TC-G1-000001-8", "D", {line: Decimal(1) for line in range(LINES_MAX + 1)}, now, None)
    with pytest.raises(AnswerBroken, match="ODD_QUANTITY"):
        write(endless)


async def test_a_refusal_of_another_order_than_the_one_shown_does_not_count(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    row = await plant.order()
    assert (await plant.purchasing.deny(row.number, "0" * 64, ANNA)).code == "ORDER_CHANGED"
    assert (await plant.purchasing.deny(row.number, row.order_hash, ANNA)).ok
    assert (await plant.purchasing.deny(row.number, row.order_hash, ANNA)).code == "ALREADY_DECIDED"


async def test_an_order_that_could_not_be_sent_expires_with_its_quotation(make_plant, clock):
    plant = await make_plant(UnavailableSupplier)
    plant.suppliers["supplier-1"].failures = 99
    await plant.want()
    assert await plant.states() == ["approved"]
    clock.forward(days=15)
    await plant.reconciliation.run_once()
    assert (await plant.states())[0] == "expired"
    assert plant.suppliers["supplier-1"].sent == []


async def test_an_order_that_waits_for_a_supplier_that_is_suspended_asks_a_person(make_plant, owner, clock):
    plant = await make_plant(UnavailableSupplier)
    await plant.want()
    async with plant.database.write() as tx:
        await suspend(tx, owner, "supplier-1", "PRICE_DIFFERS", "another", clock())
    clock.forward(minutes=5)
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert (row.state, row.rule) == ("awaiting_approval", "SUPPLIER_SUSPENDED")


async def said_by(plant, answer):
    return await plant.purchasing.sending.take("supplier-1", answer)


async def test_an_answer_to_an_approved_order_keeps_it_from_being_sent(make_plant):
    plant = await make_plant(UnavailableSupplier)
    await plant.want()
    supplier, row = plant.suppliers["supplier-1"], await plant.order()
    said = AcceptingSupplier.response(supplier, json.loads(row.document))
    assert await said_by(plant, said) == "ANSWER_BEFORE_SENDING"
    assert await plant.states() == ["awaiting_approval"]


async def test_a_no_after_the_end_or_after_the_goods_left_changes_nothing(make_plant):
    plant = await make_plant(ReceivingSupplier)
    await plant.want()
    supplier, row = plant.suppliers["supplier-1"], await plant.order()
    yes = AcceptingSupplier.response(supplier, json.loads(row.document))
    no = replace(yes, reply=Reply.REJECTED)
    await said_by(plant, yes)
    await said_by(plant, DespatchAdvice(row.number, "D-1", {1: Decimal(2)}, plant.clock(), None))
    assert await said_by(plant, no) == "REJECTED_TOO_LATE"
    assert await said_by(plant, replace(yes, total=Money(1, "EUR"))) == "TOTAL_DIFFERS"
    assert await plant.states() == ["shipped"]
    await plant.purchasing.reinstate("supplier-1", ANNA)
    other = await make_plant(ReceivingSupplier)
    await other.want(life="life-2")
    row = await other.order()
    no = replace(no, reference=row.number)
    assert await said_by(other, no) == "APPLIED"
    assert await said_by(other, replace(no, reason="no, I said")) == "REPEATED"
    assert (await other.states())[-1] == "rejected"


class TwiceAsked(DroppingSupplier):
    """Takes the order, drops the answer, and answers "no" to the second send."""

    async def place(self, permit):
        response = await super().place(permit)
        return replace(response, reply=Reply.REJECTED)


async def test_a_no_to_a_second_send_may_mean_that_the_first_was_taken(make_plant):
    plant = await make_plant(TwiceAsked, capabilities=KEY_ONLY)
    await plant.want()
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert row.state == "needs_person"
    assert "REJECTED_AFTER_UNKNOWN" in row.problem
    assert [booking.state for booking in await plant.rows(store.booking)] == ["reserved"]


async def test_goods_while_the_order_is_being_sent_wait_and_odd_ones_are_set_aside(make_plant, owner, clock):
    plant = await make_plant()
    await plant.want()
    number = (await plant.order()).number
    odd = GoodsReceipt(number, "R-1", {9: Decimal(1)}, clock(), "anna")
    assert await plant.purchasing.sending.take("supplier-1", odd, actor=ANNA) == "UNKNOWN_LINE"
    async with plant.database.write() as tx:
        await tx.execute(update(store.purchase_order).values(state="submitting"))
    early = GoodsReceipt(number, "R-2", {1: Decimal(1)}, clock(), "anna")
    assert await plant.purchasing.sending.take("supplier-1", early, actor=ANNA) == inbox.WAITS


async def test_an_offer_that_cannot_serve_keeps_why(make_plant):
    plant = await make_plant()
    plant.suppliers["supplier-1"].valid_for = timedelta(days=-1)
    await plant.want()
    (row,) = await plant.rows(store.quotation)
    assert ":" in row.detail
    assert await plant.orders() == []


async def test_what_was_fitted_meanwhile_is_not_needed_again(make_plant, owner, clock):
    plant = await make_plant(DroppingSupplier, capabilities=BLIND)
    await plant.want()
    async with plant.database.write() as tx:
        await fulfilment.fitted(tx, owner, "mill/spindle-bearing", "life-1", ANNA, clock())
    number = (await plant.order()).number
    assert (await plant.purchasing.resolve(number, S.NOT_PLACED, ANNA, "they know nothing of it")).ok
    assert (await plant.requisition()).state == "fulfilled"
    assert (await plant.requisition()).attempt_group == 1


async def test_a_requisition_is_never_written_over_another(make_plant, owner, clock):
    plant = await make_plant()
    id = await plant.want()
    want = want_of(a_need(clock(), life="life-2"), LINE, advice(clock()), Mode.BUY, ECONOMICS, "mill", clock())
    with pytest.raises(IntegrityError):
        async with plant.database.write() as tx:
            await raise_requisition(tx, owner, want, ANNA, clock(), id=id)
    assert len(await plant.rows(store.requisition)) == 1


class FullDisk:
    """A real database that can be read and not written any more."""

    def __init__(self, inner):
        self.read = inner.read

    def write(self):
        raise OSError(28, "No space left on device")


async def test_a_failure_that_cannot_be_noted_stops_nobody(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    plant.database = FullDisk(plant.database)
    plant.restart()
    done = await plant.reconciliation.run_once()
    assert (done.failed, await plant.states()) == (1, ["unknown"])


class ShortSupplier(AcceptingSupplier):
    """Offers what it does not have enough of."""

    async def quote(self, request):
        offer = await super().quote(request)
        return replace(offer, lines=(replace(offer.lines[0], available=Decimal(1)),))


async def test_an_offer_that_does_not_fit_is_kept_with_what_was_wrong_with_it(make_plant):
    plant = await make_plant(ShortSupplier)
    await plant.want()
    (row,) = await plant.rows(store.quotation)
    assert row.detail == "NOT_AVAILABLE: offered=2 C62, wanted=2 C62, line=1"
    assert await plant.orders() == []


@pytest.fixture
async def held(make_plant):
    """A plant whose buying is held, with an order that waits; `held.pause` says whether it still is."""
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    plant.pause = [True]
    plant.purchasing = Purchasing(
        plant.database,
        plant.owner,
        plant.suppliers,
        CATALOGUE,
        plant.terms,
        plant.clock,
        held=lambda: bool(plant.pause),
    )
    return plant


async def put(plant, table, **columns):
    async with plant.database.write() as tx:
        await tx.execute(update(table).values(**columns))


async def test_while_buying_is_held_nothing_is_wanted(held):
    assert await held.want(life="life-2") is None
    assert len(await held.rows(store.requisition)) == 1


async def test_while_buying_is_held_nobody_is_asked_for_a_price_and_afterwards_they_are(held, clock):
    await held.purchasing.deny((await held.order()).number, (await held.order()).order_hash, ANNA)
    await put(held, store.requisition, state="needed")
    row, before = await held.requisition(), list(held.suppliers["supplier-1"].asked)
    assert await held.purchasing.quote(row.id) is None
    assert held.suppliers["supplier-1"].asked == before
    held.pause.clear()
    assert await held.purchasing.quote(row.id) is not None
    assert len(held.suppliers["supplier-1"].asked) == len(before) + 1


async def test_while_buying_is_held_no_order_is_judged_and_afterwards_it_is(held):
    await put(held, store.purchase_order, state="proposed")
    await put(held, store.requisition, mode="buy")
    number = (await held.order()).number
    await held.purchasing.judge_again(number)
    assert await held.states() == ["proposed"]
    held.pause.clear()
    await held.purchasing.judge_again(number)
    assert await held.states() == ["confirmed"]


async def test_while_buying_is_held_an_approved_order_stays_as_it_is_and_then_goes_out(held):
    await held.approve()
    assert await held.states() == ["approved"]
    number, supplier = (await held.order()).number, held.suppliers["supplier-1"]
    await held.purchasing.submit(number)
    assert (await held.states(), supplier.sent) == (["approved"], [])
    held.pause.clear()
    await held.purchasing.submit(number)
    assert (await held.states(), len(supplier.bought)) == (["confirmed"], 1)


async def test_what_is_ordered_or_unknown_is_not_quoted_again(make_plant):
    plant = await make_plant()
    id = await plant.want()
    asked = list(plant.suppliers["supplier-1"].asked)
    assert await plant.purchasing.quote(id) is None
    assert await plant.purchasing.quote("nobody's") is None
    assert plant.suppliers["supplier-1"].asked == asked


async def test_a_round_that_a_crash_left_open_is_asked_anew(make_plant, clock):
    plant = await make_plant(AwaySupplier)
    await plant.want()
    await put(plant, store.requisition, state="quoting")
    plant.suppliers["supplier-1"] = AcceptingSupplier("supplier-1", clock)
    clock.forward(days=1)
    await plant.passes(1)
    assert await plant.states() == ["confirmed"]
    assert {row.round for row in await plant.rows(store.quotation)} == {1, 2}
    begun = [entry for entry in await leaves(plant) if entry.kind == "requisition.quoting"]
    assert len(begun) == 1


async def leaves(plant):
    async with plant.database.read() as tx:
        return await log.entries(tx)


async def test_a_receipt_of_one_line_leaves_the_other_outstanding(make_plant, owner, make_order, now, move):
    plant = await make_plant()
    id = await plant.want()
    line = replace(make_order().lines[0], requisitions=(id,))
    order = make_order(lines=(line, replace(line, number=2)))
    shares = (Share(1, id, Decimal(2)), Share(2, id, Decimal(2)))
    async with plant.database.write() as tx:
        await insert_proposed(tx, owner, order, shares, machine="mill", provenance=Provenance.A, at=now)
        await move(tx, order.number, state="confirmed")
        receipt = GoodsReceipt(order.number, "R-1", {2: Decimal(2)}, now, "anna")
        stored = await load(tx, owner, order.number)
        assert await arrival.take_in(tx, owner, stored, receipt, ANNA, now) == inbox.APPLIED
        first, second = await sums_of(tx, order.number)
    assert (first.received, second.received) == (0, 2)
