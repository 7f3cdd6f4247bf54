import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from marketplace import store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority.policy import Mode
from marketplace.ordering.due import Step
from marketplace.ordering.edges import move_order
from marketplace.ordering.orders import load
from marketplace.ordering.states import ForbiddenTransition, OrderState
from marketplace.suppliers.supplier import OutcomeUnknown, SupplierRejected, SupplierUnavailable
from tests.unit.marketplace.fakes import (
    ANNA,
    BLIND,
    EVERYTHING,
    LINE,
    AcceptingSupplier,
    DroppingSupplier,
    ReceivingSupplier,
    SilentSupplier,
    VanishingSupplier,
    roomy,
)

LOOKUP_ONLY = replace(EVERYTHING, idempotency_key=None, documents=False)
KEY_ONLY = replace(EVERYTHING, lookup_window=None, documents=False)
GATEWAY = Actor(ActorKind.GATEWAY, "G1", "test")


async def test_what_was_taken_is_found_and_adopted(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    assert await plant.states() == ["unknown"]
    await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed"]
    assert len(plant.suppliers["supplier-1"].sent) == 1


async def test_documents_settle_what_a_look_up_cannot(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=replace(BLIND, documents=True))
    await plant.want()
    await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed"]


async def test_under_a_young_key_the_same_bytes_go_again_and_buy_once(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=KEY_ONLY)
    await plant.want()
    await plant.reconciliation.run_once()
    supplier = plant.suppliers["supplier-1"]
    assert await plant.states() == ["confirmed"]
    assert supplier.sent[0] == supplier.sent[1]
    assert len(supplier.bought) == 1
    assert [row.send for row in await plant.rows(store.permit)] == [1, 2]


async def test_an_old_key_protects_nobody(make_plant, clock):
    plant = await make_plant(DroppingSupplier, capabilities=KEY_ONLY)
    await plant.want()
    clock.forward(hours=22)  # nine tenths of a day have passed
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert row.state == "needs_person"
    assert "OUTCOME_UNKNOWN" in row.problem
    assert len(plant.suppliers["supplier-1"].sent) == 1


async def test_with_neither_key_nor_look_up_only_a_person_can_find_out(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=BLIND)
    await plant.want()
    await plant.passes(3)
    row = await plant.order()
    assert row.state == "needs_person"
    assert [booking.state for booking in await plant.rows(store.booking)] == ["reserved"]
    assert len(plant.suppliers["supplier-1"].sent) == 1


async def test_what_is_not_found_is_sent_once_more_after_the_window_and_three_clean_misses(make_plant, clock):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    supplier = plant.suppliers["supplier-1"]
    await plant.passes(2, seconds=30)  # within the window nothing counts
    assert (await plant.order()).clean_misses == 0
    sent = []
    for _ in range(4):
        clock.now = max(clock.now, (await plant.order()).next_ask_at or clock.now)
        await plant.reconciliation.run_once()
        sent.append(len(supplier.sent))
    assert sent == [1, 1, 2, 2]
    assert supplier.sent[0] == supplier.sent[1]
    assert await plant.states() == ["confirmed"]
    assert len(supplier.bought) == 1


async def test_what_is_lost_every_time_is_for_a_person(make_plant):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY, policy=roomy())
    plant.suppliers["supplier-1"].vanishes = 99
    await plant.want()
    await plant.passes(40)
    row = await plant.order()
    assert row.state == "needs_person"
    assert "NOT_FOUND" in row.problem
    assert len(plant.suppliers["supplier-1"].sent) == plant.terms.sends_max


async def test_sends_under_a_key_are_bounded(make_plant):
    plant = await make_plant(VanishingSupplier, capabilities=KEY_ONLY)
    plant.suppliers["supplier-1"].vanishes = 99
    await plant.want()
    await plant.passes(20, minutes=1)
    assert (await plant.order()).state == "needs_person"
    assert len(plant.suppliers["supplier-1"].sent) == plant.terms.sends_max


async def test_a_look_up_that_nobody_answers_keeps_the_money_and_goes_to_a_person_in_the_end(make_plant, clock):
    plant = await make_plant(SilentSupplier)
    await plant.want()
    await plant.passes(5)
    assert await plant.states() == ["unknown"]
    assert [booking.state for booking in await plant.rows(store.booking)] == ["reserved"]
    clock.forward(days=2)
    await plant.reconciliation.run_once()
    assert "LOOKUP_UNAVAILABLE" in (await plant.order()).problem


async def test_bytes_are_never_sent_after_their_quotation_expired(make_plant, clock):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY)
    plant.suppliers["supplier-1"].valid_for = timedelta(minutes=3)
    await plant.want()
    await plant.passes(10)
    assert (await plant.order()).state == "needs_person"
    assert len(plant.suppliers["supplier-1"].sent) == 1


async def test_a_second_send_that_is_refused_proves_nothing(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=KEY_ONLY)
    await plant.want()
    supplier = plant.suppliers["supplier-1"]

    async def refuse(permit):
        raise SupplierRejected("order number already used")

    supplier.place = refuse
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert row.state == "needs_person"
    assert "REJECTED_AFTER_UNKNOWN" in row.problem


async def test_a_second_send_that_reached_nobody_leaves_the_first_unknown(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=KEY_ONLY)
    await plant.want()
    supplier, before = plant.suppliers["supplier-1"], await plant.order()

    async def unavailable(permit):
        raise SupplierUnavailable("down")

    supplier.place = unavailable
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert (row.state, row.first_sent_at, row.last_sent_at) == ("unknown", before.first_sent_at, before.last_sent_at)


async def test_a_send_that_nobody_is_at_any_more_is_unknown(make_plant):
    plant = await make_plant(ReceivingSupplier)
    await plant.want()
    async with plant.database.write() as tx:  # as a crash in the middle of a send leaves it
        await tx.execute(update(store.purchase_order).values(state="submitting"))
        await tx.execute(store.inbox.delete())
    plant.restart()
    await plant.reconciliation.run_once()
    assert await plant.states() == ["submitted"]
    kinds = [row.event for row in await plant.rows(store.outbox) if row.topic == "order"]
    assert kinds[-2:] == ["unknown", "submitted"]


async def test_an_order_that_somebody_is_sending_is_left_alone(make_plant):
    plant = await make_plant()
    supplier = plant.suppliers["supplier-1"]
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(permit):
        reached.set()
        await go_on.wait()
        return supplier.accept(permit)

    supplier.place = slow
    buying = asyncio.create_task(plant.want())
    await reached.wait()
    await plant.reconciliation.run_once()
    assert await plant.states() == ["submitting"]
    go_on.set()
    await buying
    assert await plant.states() == ["confirmed"]
    assert len(supplier.sent) == 1


async def test_two_passes_at_once_buy_once(make_plant):
    plant = await make_plant(VanishingSupplier)
    await plant.want()
    await asyncio.gather(*(plant.reconciliation.run_once() for _ in range(4)))
    assert len(plant.suppliers["supplier-1"].bought) == 1


async def test_one_poisoned_purchase_does_not_stop_the_others(make_plant, clock):
    plant = await make_plant(DroppingSupplier, DroppingSupplier)
    plant.suppliers["supplier-2"].price += 1
    await plant.want()
    plant.suppliers["supplier-1"].price += 2
    await plant.want(life="life-2")
    assert await plant.states() == ["unknown", "unknown"]
    good = (await plant.orders())[0].document
    async with plant.database.write() as tx:
        first = (await plant.orders())[0].number
        await tx.execute(
            update(store.purchase_order).where(store.purchase_order.c.number == first).values(document="{}")
        )
    done = await plant.reconciliation.run_once()
    assert done.failed == 1
    assert await plant.states() == ["unknown", "confirmed"]
    assert "RECONCILIATION_FAILED" in (await plant.orders())[0].problem
    async with plant.database.write() as tx:
        await tx.execute(
            update(store.purchase_order).where(store.purchase_order.c.number == first).values(document=good)
        )
    clock.forward(hours=1)
    await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed", "confirmed"]
    assert (await plant.orders())[0].problem == ""


async def test_documents_are_fetched_and_the_order_goes_its_way(make_plant, clock):
    plant = await make_plant(ReceivingSupplier)
    await plant.want()
    row = await plant.order()
    supplier = plant.suppliers["supplier-1"]
    async with plant.database.read() as tx:
        order = (await load(tx, plant.owner, row.number)).order
    supplier.confirm(order)
    await plant.passes(1, hours=1)
    assert await plant.states() == ["confirmed"]
    supplier.ship(row.number)
    await plant.passes(1, hours=1)
    assert await plant.states() == ["shipped"]
    supplier.bill(row.number, order.total)
    await plant.purchasing.received(row.number, None, ANNA)
    await plant.passes(1, hours=1)
    assert await plant.states() == ["closed"]
    assert len(await plant.rows(store.inbox)) == 5  # each document once, however often it was fetched


async def test_a_cancellation_that_nobody_answered_is_asked_about(make_plant, clock):
    plant = await make_plant()
    await plant.want()
    supplier, number = plant.suppliers["supplier-1"], (await plant.order()).number
    cancel = supplier.cancel

    async def drop(reference):
        await cancel(reference)
        raise TimeoutError

    supplier.cancel = drop
    await plant.purchasing.cancel(number, ANNA)
    assert await plant.states() == ["cancelling"]
    await plant.reconciliation.run_once()
    assert await plant.states() == ["cancelled"]


@pytest.mark.parametrize("state", ["submitted", "cancelling"])
async def test_a_supplier_that_cannot_be_asked_how_it_is_has_broken_nothing(make_plant, clock, state):
    plant = await make_plant(AwayForLookUps, capabilities=LOOKUP_ONLY)
    await plant.want()
    if state == "cancelling":
        supplier = plant.suppliers["supplier-1"]
        supplier.away = False
        supplier.answers[supplier.bought[0]].append(supplier.confirm((await load_order(plant)).order))
        clock.forward(hours=1)
        await plant.reconciliation.run_once()
        supplier.away = True
        await plant.purchasing.cancel((await plant.order()).number, ANNA)
    clock.forward(hours=1)
    done = await plant.reconciliation.run_once()
    row = await plant.order()
    assert (done.failed, row.state, row.problem) == (0, state, "")


class AwayForLookUps(ReceivingSupplier):
    """Has the order; its look-up cannot be reached, nor does it say what became of a cancellation."""

    away = True

    async def find(self, reference):
        if self.away:
            raise SupplierUnavailable(self.name)
        return await super().find(reference)

    async def cancel(self, reference):
        raise OutcomeUnknown(reference)


async def load_order(plant):
    async with plant.database.read() as tx:
        return await load(tx, plant.owner, (await plant.order()).number)


async def test_a_supplier_that_left_the_config_leaves_its_unknown_orders_to_a_person(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    plant.suppliers.clear()
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert row.state == "needs_person"
    assert "SUPPLIER_GONE" in row.problem


async def test_another_gateways_orders_are_left_alone(make_plant, owner):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    async with plant.database.write() as tx:
        await tx.execute(update(store.purchase_order).values(gateway_id="G2"))
    done = await plant.reconciliation.run_once()
    assert done.orders == 0
    assert await plant.states() == ["unknown"]


async def test_a_proposal_that_nobody_decided_on_is_judged(make_plant, spend):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    async with spend.write() as tx:
        await tx.execute(update(store.purchase_order).values(state="proposed"))
        await tx.execute(update(store.requisition).values(mode="buy"))
    await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed"]


async def test_an_expired_approval_is_quoted_afresh_in_the_same_pass(make_plant, clock):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    clock.forward(days=15)
    await plant.reconciliation.run_once()
    assert await plant.states() == ["expired", "awaiting_approval"]
    assert {row.round for row in await plant.rows(store.quotation)} == {1, 2}


async def test_an_approved_order_that_a_crash_left_is_sent(make_plant, spend, owner, clock):
    plant = await make_plant()
    supplier = plant.suppliers["supplier-1"]
    plant.suppliers.clear()  # so that nothing is sent
    await plant.want()
    assert await plant.orders() == []
    plant.suppliers["supplier-1"] = supplier
    clock.forward(days=1)
    await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed"]
    assert len(supplier.bought) == 1
    assert LINE.item in supplier.sent[0][2].decode()


async def test_the_table_is_the_only_way(make_plant, spend, owner, now):
    plant = await make_plant()
    await plant.want()
    number = (await plant.order()).number
    for before, after in ((OrderState.APPROVED, OrderState.SUBMITTING), (OrderState.CONFIRMED, OrderState.CLOSED)):
        with pytest.raises(ForbiddenTransition):
            async with spend.write() as tx:
                await move_order(tx, owner, number, before, after, actor=GATEWAY, at=now)
    assert await plant.states() == ["confirmed"]


async def test_accepting_suppliers_need_no_pass(make_plant):
    plant = await make_plant(AcceptingSupplier)
    await plant.want()
    done = await plant.reconciliation.run_once()
    assert (done.orders, done.requisitions, done.failed) == (1, 0, 0)


async def test_what_somebody_else_settled_since_it_was_seen_is_left_alone(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    ((step, seen),) = (await plant.reconciliation.survey()).due
    act = plant.reconciliation._doing(step)
    await plant.reconciliation.run_once()
    before = await plant.order()
    assert (seen.state, before.state) == ("unknown", "confirmed")
    await act(seen)
    assert await plant.order() == before


async def test_two_that_see_the_same_silence_tell_of_it_once(make_plant, clock):
    plant = await make_plant(ReceivingSupplier, capabilities=BLIND)
    await plant.want()
    clock.forward(days=4)
    ((step, seen),) = (await plant.reconciliation.survey()).due
    assert step is Step.REMIND
    for _ in range(2):
        await plant.reconciliation._remind([seen])
    async with plant.database.read() as tx:
        assert [entry.kind for entry in await log.entries(tx)].count("purchase.reminded") == 1
