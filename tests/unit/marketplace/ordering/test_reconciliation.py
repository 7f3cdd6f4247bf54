import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import delete, update

from marketplace import store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority.alarms import AlarmTerms, open_alarms
from marketplace.authority.halts import PLANT, Scope, ScopeKind
from marketplace.authority.policy import Mode
from marketplace.documents import DespatchAdvice, timestamp
from marketplace.ordering import inbox
from marketplace.ordering.due import Step, poll_wait
from marketplace.ordering.edges import move_order, problem
from marketplace.ordering.orders import load
from marketplace.ordering.reconciliation import Pass, Reconciliation
from marketplace.ordering.states import ForbiddenTransition, OrderState
from marketplace.suppliers.supplier import OutcomeUnknown, SupplierRejected, SupplierUnavailable
from tests.unit.marketplace.fakes import (
    ANNA,
    BLIND,
    EVERYTHING,
    LINE,
    AcceptingSupplier,
    AwaySupplier,
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


# What a pass takes up, and in which order.

CLOCK = Actor(ActorKind.GATEWAY, "G1", "clock")
SUPPLIER = Actor(ActorKind.SUPPLIER, "supplier-1", "port")


async def put(at, table=store.purchase_order, /, *where, **columns):
    async with at.database.write() as tx:
        await tx.execute(update(table).where(*where).values(**columns))


async def said(plant, kind):
    """Of each leaf of a kind: whom it is about, who did it, what it says."""
    async with plant.database.read() as tx:
        found = await log.entries(tx, owner=plant.owner, kind=kind)
    return [(leaf.subject, leaf.actor, leaf.facts) for leaf in found]


async def keep(plant, quantity="1", name="D-1"):
    """Keep a despatch advice of the newest order, as if the power had failed before it was applied."""
    advice = DespatchAdvice((await plant.order()).number, name, {1: Decimal(quantity)}, plant.clock(), None)
    async with plant.database.write() as tx:
        return (await inbox.receive(tx, plant.owner, "supplier-1", advice, SUPPLIER, plant.clock())).id


async def test_a_pass_tells_what_it_took_up(make_plant, clock):
    plant = await make_plant(DroppingSupplier, capabilities=LOOKUP_ONLY)
    assert await plant.reconciliation.run_once() == Pass()
    await plant.want()
    plant.suppliers["supplier-2"] = AwaySupplier("supplier-2", clock)
    plant.suppliers["supplier-1"].capabilities = replace(LOOKUP_ONLY, quotes=False)
    await plant.want(life="life-2")
    clock.forward(days=1)
    assert await plant.reconciliation.run_once() == Pass(orders=1, requisitions=1)
    await keep(plant)
    assert await plant.reconciliation.run_once() == Pass(answers=1)
    await put(plant, document="{}")
    await keep(plant, name="D-2")
    assert await plant.reconciliation.run_once() == Pass(answers=1, failed=1)


async def test_two_failures_of_a_pass_are_counted_and_so_are_two_answers(make_plant):
    plant = await make_plant()
    await plant.want()
    await keep(plant, name="D-1")
    await keep(plant, name="D-2")
    await put(plant, document="{}")
    assert await plant.reconciliation.run_once() == Pass(answers=2, failed=2)  # and their order rests


async def test_a_reminder_is_told_and_is_no_work(make_plant, clock):
    plant = await make_plant(ReceivingSupplier, capabilities=BLIND)
    await plant.want()
    sent_at = clock()
    clock.forward(days=4)
    assert await plant.reconciliation.run_once() == Pass(reminded=1)
    row = await plant.order()
    since = {"since": timestamp(sent_at)}
    assert json.loads(row.problem) == {"code": "NO_ANSWER", "parameters": since}
    facts = {"code": "NO_ANSWER", "parameters": since}
    assert await said(plant, "purchase.reminded") == [(row.number, CLOCK, facts)]


async def test_a_reminder_of_an_invoice_says_until_when_it_is_asked_for(make_plant, clock):
    plant = await make_plant()
    await plant.want()
    await plant.purchasing.received((await plant.order()).number, None, ANNA)
    here = clock()
    clock.forward(days=60)
    assert (await plant.reconciliation.run_once()).reminded == 1
    figures = {"since": timestamp(here), "until": timestamp(here + timedelta(days=120))}
    assert json.loads((await plant.order()).problem) == {"code": "INVOICE_MISSING", "parameters": figures}


async def test_what_was_noted_meanwhile_is_not_reminded_of(make_plant, clock):
    plant = await make_plant(ReceivingSupplier, capabilities=BLIND)
    await plant.want()
    clock.forward(days=4)
    ((_step, seen),) = (await plant.reconciliation.survey()).due
    await put(plant, problem=problem("PRICE_DIFFERS"))
    await plant.reconciliation._remind([seen])
    assert json.loads((await plant.order()).problem)["code"] == "PRICE_DIFFERS"
    assert await said(plant, "purchase.reminded") == []


async def test_every_open_order_is_classified_and_the_most_pressing_come_first(make_plant, clock):
    plant = await make_plant()
    for life in ("1", "2", "3", "4", "5", "6"):
        await plant.want(life=life)
    numbers = [row.number for row in await plant.orders()]
    old = clock() - timedelta(days=1)
    for number, columns in zip(
        numbers,
        (
            {"changed_at": old},
            {"next_ask_at": old - timedelta(days=1)},
            {"state": "unknown"},
            {"state": "closed"},
            {"next_ask_at": clock() + timedelta(days=1)},
            {"state": "approved"},
        ),
        strict=True,
    ):
        await put(plant, store.purchase_order, store.purchase_order.c.number == number, **columns)
    found = await plant.reconciliation.survey()
    assert found.steps == Counter({Step.POLL: 2, Step.SETTLE: 1, Step.SEND: 1, Step.LEAVE: 1})
    first, second = sorted([(Step.SETTLE, numbers[2]), (Step.SEND, numbers[5])])
    polls = [(Step.POLL, numbers[1]), (Step.POLL, numbers[0])]
    assert [(step, row.number) for step, row in found.due] == [first, second, *polls]


@pytest.mark.parametrize("columns", [{"plant": "southworks"}, {"gateway_id": "G2"}, {"quarantined_at": 1}])
async def test_what_is_elsewhere_or_set_apart_is_not_seen(make_plant, clock, columns):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    await put(plant, **({"quarantined_at": clock()} if "quarantined_at" in columns else columns))
    assert (await plant.reconciliation.survey()).steps == Counter()


@pytest.mark.parametrize(
    ("capabilities", "submitted", "confirmed"),
    [
        (EVERYTHING, Step.POLL, Step.POLL),
        (replace(BLIND, documents=True), Step.POLL, Step.POLL),
        (LOOKUP_ONLY, Step.POLL, Step.LEAVE),
        (BLIND, Step.LEAVE, Step.LEAVE),
        (None, Step.LEAVE, Step.LEAVE),
    ],
)
async def test_only_a_supplier_that_can_tell_by_itself_is_polled(make_plant, capabilities, submitted, confirmed):
    plant = await make_plant()
    await plant.want()
    if capabilities is None:
        plant.suppliers.clear()
    else:
        plant.suppliers["supplier-1"].capabilities = capabilities
    for state, step in (("submitted", submitted), ("confirmed", confirmed)):
        await put(plant, state=state)
        assert (await plant.reconciliation.survey()).steps == Counter([step])


async def test_a_poll_is_postponed_whatever_comes_of_it_and_no_other_order_is(make_plant, clock):
    plant = await make_plant(AcceptingSupplier, AcceptingSupplier)
    await plant.want()
    await plant.want(life="life-2")
    first, second = await plant.orders()
    later = clock() + timedelta(days=9)
    await put(plant, store.purchase_order, store.purchase_order.c.number == second.number, next_ask_at=later)

    async def broken(reference):
        raise ZeroDivisionError

    plant.suppliers["supplier-1"].documents = broken
    ((step, seen),) = (await plant.reconciliation.survey()).due
    assert (step, seen.number) == (Step.POLL, first.number)
    await plant.reconciliation._postpone([seen])
    assert [row.next_ask_at for row in await plant.orders()] == [
        clock() + poll_wait(seen, plant.terms, clock()), later,
    ]  # fmt: skip


async def test_answers_are_taken_up_oldest_first_unless_their_order_rests_or_is_set_apart(make_plant, clock):
    plant = await make_plant()
    await plant.want()
    ids = [await keep(plant, "0.5", name) for name in ("D-1", "D-2")]
    number = (await plant.order()).number

    async def waiting():
        return [(row.id, row.order_number) for row in await plant.reconciliation._answers()]

    both = [(id, number) for id in ids]
    assert await waiting() == both
    for columns, found in (
        ({"failures": 1, "next_ask_at": None}, both),
        ({"failures": 1, "next_ask_at": clock()}, both),
        ({"failures": 1, "next_ask_at": clock() + timedelta(microseconds=1)}, []),
        ({"failures": 0, "next_ask_at": clock() + timedelta(days=1)}, both),
        ({"failures": 0, "next_ask_at": None, "quarantined_at": clock()}, []),
        ({"quarantined_at": None}, both),
    ):
        await put(plant, **columns)
        assert await waiting() == found
    await put(plant, store.inbox, store.inbox.c.id == ids[0], applied_at=clock())
    assert await waiting() == both[1:]
    for columns in ({"plant": "southworks"}, {"plant": plant.owner.plant, "gateway_id": "G2"}):
        await put(plant, store.inbox, store.inbox.c.id == ids[1], **columns)
        assert await waiting() == []


async def test_an_answer_about_nobodys_order_is_taken_up_too(make_plant, clock):
    plant = await make_plant()
    advice = DespatchAdvice("nobody's", "D-1", {1: Decimal(1)}, clock(), None)
    async with plant.database.write() as tx:
        await inbox.receive(tx, plant.owner, "supplier-1", advice, SUPPLIER, clock())
    assert await plant.reconciliation.run_once() == Pass(answers=1)
    assert [row.verdict for row in await plant.rows(store.inbox)] == ["UNKNOWN_REFERENCE"]


async def test_wants_are_taken_up_oldest_first_when_their_wait_is_over(make_plant, clock):
    plant = await make_plant(AwaySupplier)
    for life in ("life-1", "life-2", "life-3"):
        await plant.want(life=life)
    table = store.requisition
    ids = {row.life: row.id for row in await plant.rows(table)}
    for days, life in enumerate(("life-2", "life-3", "life-1")):
        created = clock() + timedelta(days=days)
        await put(plant, table, table.c.life == life, created_at=created, quoting_after=None)

    async def wanted():
        return [row.id for row in await plant.reconciliation._requisitions()]

    assert await wanted() == [ids["life-2"], ids["life-3"], ids["life-1"]]
    await put(plant, table, table.c.life == "life-2", quoting_after=clock())
    await put(plant, table, table.c.life == "life-3", quoting_after=clock() + timedelta(microseconds=1))
    await put(plant, table, table.c.life == "life-1", state="quoting")
    assert await wanted() == [ids["life-2"], ids["life-1"]]
    await put(plant, table, table.c.life == "life-1", state="proposed")
    assert await wanted() == [ids["life-2"]]
    for columns in ({"quarantined_at": clock()}, {"quarantined_at": None, "gateway_id": "G2"}, {"plant": "southworks"}):
        await put(plant, table, table.c.life == "life-2", **columns)
        assert await wanted() == []
        await put(plant, table, gateway_id="G1")


async def test_an_approval_expires_by_the_clock_and_its_want_is_quoted_at_once(make_plant, clock):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    number = (await plant.order()).number
    plant.suppliers.clear()
    clock.forward(days=14)
    assert await plant.reconciliation.run_once() == Pass(orders=1, requisitions=1)
    expired = {"before": "awaiting_approval", "effect": "none"}
    assert await said(plant, "order.expired") == [(number, CLOCK, expired)]
    first, _no_award = await said(plant, "requisition.needed")
    assert (first[1], first[2]) == (CLOCK, {"before": "proposed", "order": number})
    assert (await plant.order()).changed_at == clock()


async def test_a_send_that_nobody_is_at_is_lost_and_asked_about_at_once(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    await put(plant, state="submitting")
    assert await plant.reconciliation.run_once() == Pass(orders=1)
    assert await plant.states() == ["confirmed"]
    assert [leaf[2]["reason"] for leaf in await said(plant, "order.unknown")] == ["OutcomeUnknown", "interrupted"]


# Failures.


async def test_what_went_well_after_a_failure_is_forgiven(make_plant, clock):
    plant = await make_plant()
    await plant.want()
    await put(plant, failures=3)
    await plant.reconciliation.run_once()
    assert (await plant.order()).failures == 0


async def test_a_failure_is_noted_by_its_name_and_waits(make_plant, clock):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    await put(plant, document="{}")
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert json.loads(row.problem) == {"code": "RECONCILIATION_FAILED", "parameters": {"error": "OrderBroken"}}
    assert (row.failures, row.next_ask_at) == (1, clock() + plant.terms.ask_again)


@pytest.mark.parametrize("machine", ["mill", ""])
async def test_a_failure_about_money_is_an_alarm_on_the_plants_terms(make_plant, clock, machine):
    plant = await make_plant(DroppingSupplier)
    plant.terms = replace(plant.terms, alarms=AlarmTerms(timedelta(minutes=7)))
    plant.restart()
    await plant.want()
    await put(plant, document="{}", machine=machine)
    await plant.reconciliation.run_once()
    async with plant.database.read() as tx:
        (alarm,) = await open_alarms(tx, plant.owner)
    number = (await plant.order()).number
    scope = Scope(ScopeKind.MACHINE, "mill") if machine else PLANT
    assert (alarm.code, alarm.scope, alarm.subject) == ("ORDER_ALTERED", scope, number)
    assert alarm.parameters["order"] == number
    assert alarm.parameters["reason"] == f"order {number} cannot be read"
    assert (alarm.raised_at, alarm.acknowledge_by) == (clock(), clock() + timedelta(minutes=7))


async def test_a_failure_of_the_weather_is_no_alarm(make_plant, clock):
    plant = await make_plant(DroppingSupplier, capabilities=replace(BLIND, documents=True))
    await plant.want()

    async def broken(reference):
        raise ZeroDivisionError("x" * 300)

    plant.suppliers["supplier-1"].documents = broken
    assert (await plant.reconciliation.run_once()).failed == 1
    async with plant.database.read() as tx:
        assert await open_alarms(tx, plant.owner) == ()


async def test_what_an_alarm_quotes_of_an_error_is_bounded(make_plant, clock):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    async with plant.database.write() as tx:
        for table in (store.booking, store.reservation):
            await tx.execute(delete(table))
    await plant.reconciliation.run_once()
    async with plant.database.read() as tx:
        (alarm,) = await open_alarms(tx, plant.owner)
    assert alarm.code == "LEDGER_BROKEN"
    assert 0 < len(alarm.parameters["reason"]) <= 200


async def test_as_many_as_the_plant_says_are_handled_side_by_side(make_plant, clock):
    plant = await make_plant(DroppingSupplier, capabilities=LOOKUP_ONLY)
    plant.suppliers["supplier-1"].drops = 99
    plant.terms = replace(plant.terms, parallel=2)
    plant.restart()
    for life in ("1", "2", "3", "4"):
        await plant.want(life=life)
    busy, most, find = 0, 0, plant.suppliers["supplier-1"].find
    pair = asyncio.Barrier(2)

    async def slow(reference):
        nonlocal busy, most
        busy += 1
        await pair.wait()
        for _ in range(5):  # time for a third to come
            await plant.orders()
        most = max(most, busy)
        busy -= 1
        return await find(reference)

    plant.suppliers["supplier-1"].find = slow
    assert (await plant.reconciliation.run_once()).orders == 4
    assert (most, await plant.states()) == (2, ["confirmed"] * 4)


async def test_a_pass_is_of_the_plant_that_it_was_built_for(make_plant):
    plant = await make_plant()
    again = Reconciliation(plant.purchasing)
    await plant.want(mode=Mode.ASK)
    assert (await again.survey()).steps == Counter([Step.LEAVE])
