"""One send: what is durable before the first byte, and what is known after it."""

import asyncio
import gc
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from marketplace import store
from marketplace.audit import log
from marketplace.authority import alarms, halts
from marketplace.authority.alarms import AlarmTerms
from marketplace.authority.halts import BY_PERSON, PLANT, Scope, ScopeKind
from marketplace.authority.policy import Mode
from marketplace.documents import DespatchAdvice, timestamp
from marketplace.ordering import inbox
from marketplace.ordering.sending import Locks
from marketplace.ordering.states import OrderState
from marketplace.ordering.stopping import Stopping
from marketplace.ordering.suspension import suspend
from marketplace.suppliers.supplier import ReferenceTaken, SupplierRejected, SupplierUnavailable
from tests.unit.marketplace.fakes import (
    ANNA,
    EVERYTHING,
    BrokenSupplier,
    DroppingSupplier,
    MisaddressedSupplier,
    RejectingSupplier,
    SlowSupplier,
    UnavailableSupplier,
    VanishingSupplier,
)

LOOKUP_ONLY = replace(EVERYTHING, idempotency_key=None, documents=False)
KEY_ONLY = replace(EVERYTHING, lookup_window=None, documents=False)
PORT, POLICY, CLOCK = "gateway:port:G1", "gateway:policy:G1", "gateway:clock:G1"
MILL, LATHE = Scope(ScopeKind.MACHINE, "mill"), Scope(ScopeKind.MACHINE, "lathe")
FIRST, BEARING = Scope(ScopeKind.SUPPLIER, "supplier-1"), Scope(ScopeKind.COMPONENT, "mill/spindle-bearing")


class Looked(Exception):
    """The adapter has seen enough."""


async def last_leaf(plant, kind):
    """Who did it last, and what the leaf says."""
    async with plant.database.read() as tx:
        (leaf,) = await log.entries(tx, limit=1, owner=plant.owner, kind=kind)
    return leaf.subject, inbox.write_actor(leaf.actor), leaf.facts


async def open_alarms(plant):
    async with plant.database.read() as tx:
        return await alarms.open_alarms(tx, plant.owner)


def noted(row):
    problem = json.loads(row.problem)
    return problem["code"], problem["parameters"]


def failing(supplier, error):
    """Let a supplier's port raise from now on."""

    async def place(permit):
        raise error

    supplier.place = place


async def put(plant, **columns):
    async with plant.database.write() as tx:
        await tx.execute(update(store.purchase_order).values(**columns))


@pytest.fixture
async def approved(make_plant):
    """An order that is approved and could not be sent, as its supplier was away."""
    plant = await make_plant(UnavailableSupplier)
    await plant.want()
    return plant


@pytest.fixture
async def unknown(make_plant):
    """An order that was sent under a young key, and whose answer got lost; its supplier knows it from now on."""
    plant = await make_plant(DroppingSupplier, capabilities=KEY_ONLY)
    await plant.want()
    return plant


async def again(plant, **how):
    return await plant.purchasing.sending.send((await plant.order()).number, OrderState.UNKNOWN, **how)


# Before the first byte.


async def test_everything_a_send_needs_is_durable_before_the_first_byte(make_plant, clock):
    plant = await make_plant()
    supplier, seen = plant.suppliers["supplier-1"], []

    async def place(permit):
        seen.append((permit, await plant.order(), await plant.rows(store.permit), await plant.requisition()))
        raise Looked

    supplier.place = place
    await plant.want()
    ((permit, row, (kept,), behind),) = seen
    assert (row.state, row.sends, row.clean_misses, row.next_ask_at) == ("submitting", 1, 0, None)
    assert (row.first_sent_at, row.last_sent_at, row.send_by) == (clock(), clock(), clock() + timedelta(days=1))
    assert row.request_bytes == permit.request_bytes == row.document.encode()
    assert (permit.reference, permit.key, permit.ends_at) == (row.number, row.key, clock() + timedelta(minutes=5))
    assert (kept.order_number, kept.send, kept.ends_at) == (row.number, 1, permit.ends_at)
    assert behind.state == "ordered"
    sent = {"before": "approved", "effect": "none", "send": 1, "key_proven": False}
    assert await last_leaf(plant, "order.submitting") == (row.number, PORT, sent)
    ordered = {"before": "proposed", "order": row.number}
    assert await last_leaf(plant, "requisition.ordered") == (behind.id, PORT, ordered)


async def test_a_permit_lasts_as_the_plant_says_and_tells_which_software_asked(make_plant):
    plant = await make_plant()
    plant.terms = replace(plant.terms, software="0.1+abc", permit_lasts=timedelta(minutes=2))
    plant.restart()
    await plant.want()
    _subject, _actor, facts = await last_leaf(plant, "permit.issued")
    assert (facts["software"], facts["ends_at"]) == ("0.1+abc", timestamp(plant.clock() + timedelta(minutes=2)))


async def test_bytes_leave_no_later_than_their_quotation_holds(make_plant, clock):
    plant = await make_plant()
    plant.suppliers["supplier-1"].valid_for = timedelta(hours=2)
    await plant.want()
    row = await plant.order()
    assert row.send_by == row.quoted_until == clock() + timedelta(hours=2)


async def test_the_bytes_of_an_order_are_written_once(approved, clock):
    before = await approved.order()
    approved.suppliers["supplier-1"].encode = None  # nobody asks for them again
    clock.forward(hours=3)
    await approved.purchasing.submit(before.number)
    row = await approved.order()
    assert (row.state, row.request_bytes, row.send_by) == ("confirmed", before.request_bytes, before.send_by)


async def test_while_buying_is_held_nothing_is_sent(approved):
    before = await approved.order()
    approved.purchasing.sending.held = lambda: True
    await approved.purchasing.submit(before.number)
    assert await approved.order() == before


# Nothing was sent.


async def test_a_supplier_that_is_away_is_tried_again_after_a_wait_that_doubles(make_plant, clock):
    plant = await make_plant(UnavailableSupplier)
    plant.suppliers["supplier-1"].failures = 2
    await plant.want()
    for attempts, wait in ((1, timedelta(minutes=1)), (2, timedelta(minutes=2))):
        row = await plant.order()
        assert (row.state, row.sends, row.next_ask_at) == ("approved", attempts, clock() + wait)
        assert (row.first_sent_at, row.last_sent_at, row.problem) == (None, None, "")
        assert await last_leaf(plant, "order.approved") == (
            row.number, PORT, {"before": "submitting", "effect": "none", "sent": False},
        )  # fmt: skip
        clock.forward(minutes=30)
        await plant.purchasing.submit(row.number)
    row = await plant.order()
    assert (row.state, row.sends, row.first_sent_at, row.last_sent_at) == ("confirmed", 3, clock(), clock())
    assert [held.state for held in await plant.rows(store.reservation)] == ["committed"]


async def test_what_a_second_send_that_reached_nobody_was_reserved_for_is_given_back(make_plant, clock):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    before = await plant.order()
    failing(plant.suppliers["supplier-1"], SupplierUnavailable("down"))
    clock.forward(hours=1)
    await again(plant)
    row = await plant.order()
    assert (row.state, row.sends, row.next_ask_at) == ("unknown", 2, clock() + timedelta(minutes=2))
    assert (row.first_sent_at, row.last_sent_at) == (before.first_sent_at, before.last_sent_at)
    held = sorted(await plant.rows(store.reservation), key=lambda each: each.send)
    assert [(each.send, each.state) for each in held] == [(1, "reserved"), (2, "released")]


# The supplier said no.


async def test_a_no_ends_the_order_with_its_reason_and_the_want_is_quoted_afresh(make_plant, clock):
    plant = await make_plant(RejectingSupplier)
    failing(plant.suppliers["supplier-1"], SupplierRejected("n" * 300))
    await plant.want()
    row, behind = await plant.order(), await plant.requisition()
    assert (row.state, noted(row)) == ("rejected", ("REJECTED_BY_SUPPLIER", {"reason": "n" * 200}))
    assert (behind.state, behind.quoting_after) == ("needed", clock() + timedelta(minutes=1))
    said = {"before": "submitting", "effect": "release", "problem": "REJECTED_BY_SUPPLIER"}
    assert await last_leaf(plant, "order.rejected") == (row.number, "supplier:port:supplier-1", said)
    needed = {"before": "ordered", "order": row.number}
    assert await last_leaf(plant, "requisition.needed") == (behind.id, "supplier:port:supplier-1", needed)


async def test_a_no_to_a_second_send_is_a_persons_and_an_alarm_about_the_supplier(unknown):
    failing(unknown.suppliers["supplier-1"], SupplierRejected("r" * 300))
    await again(unknown, key_proven=True)
    row = await unknown.order()
    figures = {"reason": "r" * 200}
    assert (row.state, noted(row), row.next_ask_at) == ("needs_person", ("REJECTED_AFTER_UNKNOWN", figures), None)
    said = {"before": "submitting", "effect": "none", "code": "REJECTED_AFTER_UNKNOWN", "parameters": figures}
    assert await last_leaf(unknown, "order.needs_person") == (row.number, PORT, said)
    (alarm,) = await open_alarms(unknown)
    assert (alarm.code, alarm.scope, alarm.subject) == ("OUTCOME_OPEN", FIRST, row.number)
    assert (alarm.parameters["order"], alarm.parameters["problem"]) == (row.number, "REJECTED_AFTER_UNKNOWN")


async def test_an_alarm_about_an_order_is_raised_on_the_plants_terms(make_plant, clock):
    plant = await make_plant(UnavailableSupplier)
    plant.terms = replace(plant.terms, alarms=AlarmTerms(timedelta(minutes=7)))
    plant.restart()
    await plant.want()
    row = await plant.order()
    await plant.apply_policy(mandate=None)
    await plant.purchasing.submit(row.number)
    (alarm,) = await open_alarms(plant)
    assert (alarm.raised_at, alarm.acknowledge_by) == (clock(), clock() + timedelta(minutes=7))


# Nobody knows.


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (DroppingSupplier, "OutcomeUnknown"),
        (BrokenSupplier, "ZeroDivisionError"),
        (SlowSupplier, "TimeoutError"),
        (MisaddressedSupplier, "answer_not_usable"),
    ],
)
async def test_an_outcome_that_nobody_knows_says_what_was_in_the_way(make_plant, kind, reason, clock):
    plant = await make_plant(kind)
    plant.terms = replace(plant.terms, wire_timeout=timedelta(milliseconds=50))
    plant.restart()
    await plant.want()
    row = await plant.order()
    assert (row.state, row.problem, row.next_ask_at, row.changed_at) == ("unknown", "", None, clock())
    said = {"before": "submitting", "effect": "none", "reason": reason}
    assert await last_leaf(plant, "order.unknown") == (row.number, PORT, said)


async def test_a_number_that_is_taken_is_noted_on_the_unknown_order(make_plant):
    plant = await make_plant()
    failing(plant.suppliers["supplier-1"], ReferenceTaken("taken"))
    await plant.want()
    row = await plant.order()
    assert (row.state, noted(row)) == ("unknown", ("REFERENCE_TAKEN", {}))
    assert (await last_leaf(plant, "order.unknown"))[2]["reason"] == "reference_taken"


async def test_a_lost_send_is_settled_at_once_and_not_after_an_earlier_wait(make_plant, clock):
    plant = await make_plant()
    await plant.want()
    number = (await plant.order()).number
    await put(plant, state="submitting", next_ask_at=clock() + timedelta(days=1))
    await plant.purchasing.sending.lose(number, "interrupted")
    assert (await plant.order()).next_ask_at is None


# A second send.


async def test_a_second_send_is_the_same_bytes_under_the_same_key_by_another_permit(unknown, clock):
    before = await unknown.order()
    await put(unknown, clean_misses=3, next_ask_at=clock() + timedelta(days=1))
    clock.forward(minutes=30)
    await again(unknown, key_proven=True)
    first, second = unknown.suppliers["supplier-1"].sent
    assert first == second == (before.number, before.key, before.request_bytes)
    row = await unknown.order()
    assert (row.state, row.sends, row.clean_misses, row.next_ask_at) == ("confirmed", 2, 0, None)
    assert (row.first_sent_at, row.last_sent_at) == (before.first_sent_at, clock())
    assert sorted(each.send for each in await unknown.rows(store.permit)) == [1, 2]
    said = {"before": "unknown", "effect": "none", "send": 2, "key_proven": True}
    assert (await last_leaf(unknown, "order.submitting"))[2] == said
    assert [each.send for each in await unknown.rows(store.reservation)] == [1]


async def test_a_send_whose_key_nobody_remembers_is_reserved_anew(make_plant):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    await again(plant)
    assert sorted(each.send for each in await plant.rows(store.reservation)) == [1, 2]
    assert (await last_leaf(plant, "order.submitting"))[2]["key_proven"] is False


@pytest.mark.parametrize("back", [timedelta(0), timedelta(hours=1)])
async def test_a_second_send_is_later_than_the_first_whatever_the_clock_says(unknown, clock, back):
    before = await unknown.order()
    clock.now -= back
    await again(unknown, key_proven=True)
    row = await unknown.order()
    assert (row.first_sent_at, row.last_sent_at) == (
        before.first_sent_at,
        before.last_sent_at + timedelta(microseconds=1),
    )


async def test_only_what_is_where_it_was_seen_is_sent(unknown):
    before = await unknown.order()
    await unknown.purchasing.submit(before.number)
    assert await unknown.order() == before
    assert len(unknown.suppliers["supplier-1"].sent) == 1


# What must not be sent now.


async def test_a_stop_lets_an_unknown_order_wait_and_calls_an_unsent_one_off(unknown, clock):
    await Stopping(unknown.database, unknown.owner, clock).stop(PLANT, BY_PERSON, ANNA)
    await again(unknown, key_proven=True)
    row = await unknown.order()
    assert (row.state, row.sends, row.next_ask_at) == ("unknown", 1, clock() + timedelta(minutes=1))
    await put(unknown, state="approved", first_sent_at=None)
    await unknown.purchasing.submit(row.number)
    assert await unknown.states() == ["cancelled"]
    assert (await last_leaf(unknown, "order.cancelled"))[1] == POLICY


@pytest.mark.parametrize("scope", [LATHE, FIRST, BEARING], ids=str)
@pytest.mark.parametrize("other", [False, True])
async def test_a_stop_covers_the_orders_of_its_machine_component_or_supplier_alone(approved, clock, scope, other):
    await put(approved, machine="lathe")  # so that its component alone does not tell
    number = (await approved.order()).number
    where = Scope(scope.kind, "another/one") if other else scope
    async with approved.database.write() as tx:  # put while nobody sweeps
        await halts.put(tx, approved.owner, where, BY_PERSON, ANNA, clock())
    await approved.purchasing.submit(number)
    assert await approved.states() == ["confirmed" if other else "cancelled"]


async def test_an_order_whose_supplier_is_gone_says_so_and_waits(approved, clock):
    before = await approved.order()
    approved.suppliers.clear()
    clock.forward(hours=1)
    await approved.purchasing.submit(before.number)
    row = await approved.order()
    assert (row.state, row.sends) == ("approved", 1)
    assert noted(row) == ("SUPPLIER_GONE", {"supplier": "supplier-1"})
    assert row.next_ask_at == clock() + timedelta(minutes=1)


@pytest.mark.parametrize("valid", [timedelta(days=14), timedelta(hours=2)])
async def test_an_approved_order_expires_at_the_moment_its_bytes_may_no_longer_leave(make_plant, clock, valid):
    plant = await make_plant(UnavailableSupplier)
    plant.suppliers["supplier-1"].valid_for, plant.suppliers["supplier-1"].failures = valid, 2
    await plant.want()
    end = (await plant.order()).send_by
    assert end == clock() + min(valid, timedelta(days=1))
    number = (await plant.order()).number
    await put(plant, send_by=end)
    clock.now = end - timedelta(microseconds=1)
    await plant.purchasing.submit(number)
    assert await plant.states() == ["approved"]
    clock.now = end
    await plant.purchasing.submit(number)
    row, behind = await plant.order(), await plant.requisition()
    assert (row.state, behind.state, behind.quoting_after) == ("expired", "needed", None)
    assert await last_leaf(plant, "order.expired") == (number, CLOCK, {"before": "approved", "effect": "release"})
    assert (await last_leaf(plant, "requisition.needed"))[1] == CLOCK


@pytest.mark.parametrize("late", [False, True])
async def test_without_bytes_an_approved_order_expires_with_its_quotation(make_plant, clock, late):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    supplier = plant.suppliers.pop("supplier-1")
    await plant.approve()
    row = await plant.order()
    assert (row.state, row.send_by) == ("approved", None)
    plant.suppliers["supplier-1"] = supplier
    clock.now = row.quoted_until - timedelta(microseconds=0 if late else 1)
    await plant.purchasing.submit(row.number)
    assert await plant.states() == ["expired" if late else "confirmed"]


async def test_what_was_sent_once_and_came_back_asks_a_person_and_never_leaves(approved, clock):
    await put(approved, first_sent_at=clock())
    await approved.purchasing.submit((await approved.order()).number)
    row = await approved.order()
    assert (row.state, row.authority, row.decided_by, row.rule) == ("awaiting_approval", "", "", "RESEND_REFUSED")
    said = {"before": "approved", "effect": "release", "rule": "RESEND_REFUSED"}
    assert await last_leaf(approved, "order.awaiting_approval") == (row.number, POLICY, said)


@pytest.mark.parametrize("authority", ["policy", "person"])
async def test_what_the_policy_approved_for_a_supplier_that_is_suspended_since_asks_a_person(
    approved, owner, clock, authority
):
    async with approved.database.write() as tx:
        await suspend(tx, owner, "supplier-1", "PRICE_DIFFERS", "another", clock())
    await put(approved, authority=authority)
    await approved.purchasing.submit((await approved.order()).number)
    row = await approved.order()
    if authority == "person":
        assert row.state == "confirmed"
    else:
        assert (row.state, row.authority, row.decided_by) == ("awaiting_approval", "", "")
        assert row.rule == "SUPPLIER_SUSPENDED"


async def test_another_suppliers_suspension_stops_nobody(unknown, owner, clock):
    async with unknown.database.write() as tx:
        await suspend(tx, owner, "supplier-2", "PRICE_DIFFERS", "another", clock())
    await again(unknown, key_proven=True)
    assert await unknown.states() == ["confirmed"]


async def test_a_suspended_suppliers_unknown_order_is_a_persons(unknown, owner, clock):
    async with unknown.database.write() as tx:
        await suspend(tx, owner, "supplier-1", "PRICE_DIFFERS", "another", clock())
    await put(unknown, next_ask_at=clock() + timedelta(days=1))
    await again(unknown, key_proven=True)
    row = await unknown.order()
    assert (row.state, row.sends, row.next_ask_at) == ("needs_person", 1, None)
    assert noted(row) == ("SUPPLIER_SUSPENDED", {"supplier": "supplier-1"})
    assert (await last_leaf(unknown, "order.needs_person"))[2]["before"] == "unknown"


async def test_an_approval_that_no_longer_holds_asks_again_and_is_an_alarm_for_the_machine(approved):
    await approved.apply_policy(mandate=None)
    await approved.purchasing.submit((await approved.order()).number)
    row = await approved.order()
    assert (row.state, row.rule, row.sends) == ("awaiting_approval", "PERMIT_REFUSED", 1)
    (alarm,) = await open_alarms(approved)
    assert (alarm.code, alarm.scope, alarm.subject) == ("APPROVED_NOT_PERMITTED", MILL, row.number)
    assert alarm.parameters["order"] == row.number
    assert isinstance(alarm.parameters["reason"], str)
    assert "mandate" in alarm.parameters["reason"].lower()


async def test_a_second_send_that_the_gate_refuses_is_a_persons_with_the_gates_rule(unknown):
    await unknown.apply_policy(mandate=None)
    await again(unknown, key_proven=True)
    row = await unknown.order()
    code, figures = noted(row)
    assert (row.state, code, row.sends) == ("needs_person", "RESEND_REFUSED", 1)
    assert set(figures) == {"rule"}
    assert figures["rule"].isupper()


async def test_a_second_send_that_would_exceed_a_limit_says_so(make_plant):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY)
    plant.suppliers["supplier-1"].vanishes = 99
    await plant.want()
    while await plant.states() == ["unknown"]:  # 123 EUR each, and 500 EUR an order
        await again(plant)
    row = await plant.order()
    assert (row.sends, noted(row)) == (4, ("RESEND_OVER_LIMIT", {"rule": "RESEND_OVER_LIMIT"}))


# Answers.


async def test_an_answer_is_kept_as_the_suppliers_own_unless_somebody_else_tells_it(approved, clock):
    sending, number = approved.purchasing.sending, (await approved.order()).number
    await approved.purchasing.submit(number)
    await sending.take("supplier-1", DespatchAdvice(number, "D-1", {1: Decimal(1)}, clock(), None))
    assert (await last_leaf(approved, "answer.applied"))[1] == "supplier:port:supplier-1"
    clock.forward(hours=1)
    told = DespatchAdvice(number, "D-2", {1: Decimal(1)}, clock(), None)
    assert await sending.take("supplier-1", told, actor=ANNA) == "APPLIED"
    assert (await last_leaf(approved, "answer.applied"))[1] == "person:socket:anna"
    kept = (await approved.rows(store.inbox))[-1]
    assert (kept.received_at, kept.applied_at, kept.supplier) == (clock(), clock(), "supplier-1")


async def test_an_answer_that_is_none_is_told_and_not_kept(approved, clock):
    number = (await approved.order()).number
    broken = DespatchAdvice(number, "D" * 101, {1: Decimal(1)}, clock(), None)
    assert await approved.purchasing.sending.take("supplier-1", broken) == "REFERENCE_TOO_LONG"
    assert await approved.rows(store.inbox) == []


async def test_what_was_applied_costs_no_second_transaction(approved, clock):
    sending, number = approved.purchasing.sending, (await approved.order()).number
    await approved.purchasing.submit(number)
    advice = DespatchAdvice(number, "D-1", {1: Decimal(1)}, clock(), None)
    await sending.take("supplier-1", advice)
    sending.database = Reading(sending.database)
    assert await sending.take("supplier-1", advice) == "APPLIED"


async def heard_before(plant):
    """Keep what the supplier is going to say, as if it had been heard and set aside."""
    supplier = plant.suppliers["supplier-1"]
    said = supplier.response(json.loads((await plant.order()).document))
    async with plant.database.write() as tx:
        kept = await inbox.receive(tx, plant.owner, "supplier-1", said, ANNA, plant.clock())
        of_it = update(store.inbox).where(store.inbox.c.id == kept.id)
        await tx.execute(of_it.values(applied_at=plant.clock(), verdict="REPEATED"))
    return said


async def test_the_answer_to_a_send_counts_even_if_the_same_words_were_heard_before(approved):
    await heard_before(approved)
    await approved.purchasing.submit((await approved.order()).number)
    assert await approved.states() == ["confirmed"]
    (kept,) = await approved.rows(store.inbox)
    assert kept.supplier == "supplier-1"


async def test_what_a_supplier_repeats_by_itself_counts_no_second_time(unknown):
    said, sending = await heard_before(unknown), unknown.purchasing.sending
    assert await sending.take("supplier-1", said) == "REPEATED"
    assert await sending.take_asked("supplier-1", "another", said) == "REPEATED"
    assert await unknown.states() == ["unknown"]
    assert await sending.take_asked("supplier-1", said.reference, said) == "APPLIED"
    assert await unknown.states() == ["confirmed"]


async def test_bookkeeping_is_of_one_order_alone(approved, clock):
    await approved.want(life="life-2")
    first, second = await approved.orders()
    await approved.purchasing.sending.set(first.number, clean_misses=2, next_ask_at=clock())
    changed, other = await approved.orders()
    assert dict(changed._mapping) == dict(first._mapping) | {"clean_misses": 2, "next_ask_at": clock()}
    assert other == second


class Reading:
    """A database that nobody may write to."""

    def __init__(self, database):
        self.read = database.read


# Locks.


def test_whoever_is_at_one_order_has_its_lock_and_another_order_has_another():
    locks = Locks()
    held = locks.of("one")
    assert locks.of("one") is held
    assert isinstance(held, asyncio.Lock)
    assert locks.of("two") is not held


def test_a_lock_that_nobody_holds_is_forgotten():
    locks = Locks()
    held = locks.of("one")
    assert list(locks._locks) == ["one"]
    del held
    gc.collect()
    assert list(locks._locks) == []
