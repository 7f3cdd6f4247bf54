"""What may be done about an order of unknown outcome, by what its supplier declares and by nothing else."""

import asyncio
import itertools
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from marketplace import store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority.policy import Mode
from marketplace.documents import Reply
from marketplace.ordering.suspension import suspend
from marketplace.suppliers.supplier import Capabilities, OutcomeUnknown, ReferenceTaken, SupplierUnavailable
from tests.unit.marketplace.fakes import (
    ANNA,
    BLIND,
    EVERYTHING,
    AcceptingSupplier,
    DearerSupplier,
    DroppingSupplier,
    ReceivingSupplier,
    SilentSupplier,
    VanishingSupplier,
    roomy,
)

LOOKUP_ONLY = replace(EVERYTHING, idempotency_key=None, documents=False)
KEY_ONLY = replace(EVERYTHING, lookup_window=None, documents=False)


class LaggingSupplier(VanishingSupplier):
    """Takes the order and loses the answer; its index learns of an order only `lag` after it was taken."""

    lag = timedelta(minutes=90)
    vanishes = 0

    async def place(self, permit):
        taken_at = self.clock()
        if permit.reference in self.bought:  # without keys every further send would be another purchase
            self.bought.append(permit.reference)
        response = self.accept(permit)
        self.known_from = taken_at + self.lag
        raise OutcomeUnknown(response.reference)

    async def find(self, reference):
        return await super().find(reference) if self.clock() >= self.known_from else None


class TakenSupplier(AcceptingSupplier):
    """Has our number for an order of another gateway, of the same part at the same price."""

    echo = "0" * 64

    async def place(self, permit):
        response = self.accept(permit)
        self.bought.clear()
        self.answers[permit.reference] = [replace(response, order_hash=self.echo)]
        raise ReferenceTaken(permit.reference)


def said(row):
    """What an order that waits for a person tells: the code and its figures."""
    problem = json.loads(row.problem)
    return problem["code"], problem["parameters"]


async def until_due(plant):
    """Let time pass until the order is looked at again, and do so."""
    row = await plant.order()
    plant.clock.now = max(plant.clock.now, row.next_ask_at or plant.clock.now)
    await plant.reconciliation.run_once()


async def test_what_is_not_declared_does_not_exist():
    assert Capabilities() == Capabilities(False, False, False, False, None, None)


async def test_a_supplier_that_declares_nothing_is_neither_asked_nor_sent_to_again(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=Capabilities(quotes=True))
    supplier = plant.suppliers["supplier-1"]
    await plant.want()

    async def never(reference):
        raise AssertionError("it was asked what it does not declare")

    supplier.find = supplier.documents = never
    await plant.passes(5, hours=1)
    row = await plant.order()
    assert (row.state, len(supplier.sent)) == ("needs_person", 1)
    assert said(row) == ("OUTCOME_UNKNOWN", {"supplier": "supplier-1"})
    assert [booking.state for booking in await plant.rows(store.booking)] == ["reserved"]


async def test_each_send_to_a_look_up_begins_its_window_anew(make_plant, clock):
    hourly = replace(LOOKUP_ONLY, lookup_window=timedelta(hours=1))
    plant = await make_plant(VanishingSupplier, capabilities=hourly, policy=roomy())
    supplier = plant.suppliers["supplier-1"]
    supplier.vanishes = 99
    sent_at = []
    await plant.want()
    sent_at.append(clock())
    for _ in range(60):
        before = len(supplier.sent)
        await until_due(plant)
        if len(supplier.sent) > before:
            sent_at.append(clock())
    gaps = [later - earlier for earlier, later in itertools.pairwise(sent_at)]
    assert len(sent_at) == plant.terms.sends_max
    assert min(gaps) >= timedelta(hours=1) + 2 * plant.terms.ask_again  # the window, and three clean misses
    assert (await plant.order()).state == "needs_person"
    assert said(await plant.order()) == ("NOT_FOUND", {"supplier": "supplier-1"})


async def test_a_send_that_would_exceed_a_limit_if_all_had_arrived_is_a_persons(make_plant):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY)  # 123 EUR each, and 500 EUR an order
    plant.suppliers["supplier-1"].vanishes = 99
    await plant.want()
    await plant.passes(40)
    row = await plant.order()
    assert (row.state, len(plant.suppliers["supplier-1"].sent)) == ("needs_person", 4)
    assert "RESEND_OVER_LIMIT" in row.problem


async def test_a_look_up_that_lags_within_its_declared_window_is_waited_for(make_plant):
    plant = await make_plant(LaggingSupplier, capabilities=replace(LOOKUP_ONLY, lookup_window=timedelta(hours=2)))
    await plant.want()
    for _ in range(10):
        await until_due(plant)
    assert await plant.states() == ["confirmed"]
    assert len(plant.suppliers["supplier-1"].bought) == 1


async def test_the_window_counts_from_when_the_last_send_was_given_up(make_plant, clock):
    """A send that hung for ten minutes may have left at its end: the window begins there."""
    plant = await make_plant(DroppingSupplier, capabilities=LOOKUP_ONLY)
    supplier = plant.suppliers["supplier-1"]

    async def hang(permit):
        supplier.accept(permit)
        clock.forward(minutes=10)
        supplier.answers.clear()
        raise OutcomeUnknown(permit.reference)

    supplier.place = hang
    await plant.want()
    lost_at = clock()
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert (row.clean_misses, row.next_ask_at) == (0, lost_at + supplier.capabilities.lookup_window)


async def sends(plant):
    """What the log says of each send: whether its key was proven."""
    async with plant.database.read() as tx:
        leaves = await log.entries(tx, None, 200, owner=plant.owner, kind="order.submitting")
    return [leaf.facts["key_proven"] for leaf in sorted(leaves, key=lambda leaf: leaf.index)]


async def test_only_a_key_that_is_declared_and_young_counts_as_proven(make_plant):
    plant = await make_plant(VanishingSupplier, capabilities=KEY_ONLY)
    await plant.want()
    await plant.passes(1)
    assert await sends(plant) == [False, True]


async def test_a_look_up_alone_proves_no_key(make_plant):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    for _ in range(4):
        await until_due(plant)
    assert await sends(plant) == [False, False]


async def test_a_second_send_that_the_gate_refuses_is_a_persons(make_plant):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    await plant.apply_policy(mandate=None)
    for _ in range(4):
        await until_due(plant)
    row = await plant.order()
    assert row.state == "needs_person"
    assert "RESEND_REFUSED" in row.problem
    assert len(plant.suppliers["supplier-1"].sent) == 1


async def test_a_suspended_supplier_gets_no_second_send(make_plant, owner, clock):
    plant = await make_plant(VanishingSupplier, capabilities=KEY_ONLY)
    await plant.want()
    async with plant.database.write() as tx:
        await suspend(tx, owner, "supplier-1", "PRICE_DIFFERS", "another", clock())
    await plant.passes(1)
    row = await plant.order()
    assert row.state == "needs_person"
    assert "SUPPLIER_SUSPENDED" in row.problem
    assert len(plant.suppliers["supplier-1"].sent) == 1


class DearerWhenAsked(DearerSupplier, DroppingSupplier):
    """Drops the answer, and tells another price when it is looked up."""


async def test_a_look_up_that_differs_stops_the_order_and_suspends_the_supplier(make_plant):
    plant = await make_plant(DearerWhenAsked, capabilities=LOOKUP_ONLY)
    await plant.want()
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert row.state == "needs_person"
    assert "PRICE_DIFFERS" in row.problem
    (status,) = await plant.rows(store.supplier_status)
    assert status.suspended


async def test_a_look_up_that_answers_about_another_order_settles_nothing_but_for_a_person(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    supplier = plant.suppliers["supplier-1"]
    (number,) = supplier.answers
    supplier.answers[number] = [replace(supplier.answers[number][0], reference="TC-ZZ-000001-A")]
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert row.state == "needs_person"
    assert said(row) == ("LOOKUP_NOT_USABLE", {"supplier": "supplier-1"})


@pytest.mark.parametrize("capabilities", [LOOKUP_ONLY, KEY_ONLY, EVERYTHING, BLIND])
async def test_an_order_of_another_gateway_under_our_number_is_never_adopted(make_plant, capabilities):
    plant = await make_plant(TakenSupplier, capabilities=capabilities)
    await plant.want()
    assert await plant.states() == ["unknown"]
    await plant.passes(4)
    row = await plant.order()
    assert (row.state, said(row)[0]) == ("needs_person", "REFERENCE_TAKEN")
    assert len(plant.suppliers["supplier-1"].sent) == 1
    assert [booking.state for booking in await plant.rows(store.booking)] == ["reserved"]


async def test_our_own_order_under_our_number_is_adopted_by_its_hash(make_plant):
    plant = await make_plant(TakenSupplier, capabilities=LOOKUP_ONLY)
    await plant.want(mode=Mode.ASK)
    plant.suppliers["supplier-1"].echo = (await plant.order()).order_hash
    await plant.approve()
    await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed"]


async def test_a_taken_number_that_the_look_up_does_not_find_is_a_persons(make_plant):
    plant = await make_plant(TakenSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    plant.suppliers["supplier-1"].answers.clear()
    for _ in range(5):
        await until_due(plant)
    row = await plant.order()
    assert row.state == "needs_person"
    assert said(row) == ("REFERENCE_TAKEN", {"supplier": "supplier-1"})
    assert len(plant.suppliers["supplier-1"].sent) == 1


async def test_an_outcome_stays_unknown_for_a_bounded_time(make_plant, clock):
    plant = await make_plant(SilentSupplier, capabilities=replace(LOOKUP_ONLY, lookup_window=timedelta(hours=5)))
    await plant.want()
    clock.forward(hours=28)
    await plant.reconciliation.run_once()
    assert await plant.states() == ["unknown"]
    clock.forward(hours=2)
    await plant.reconciliation.run_once()
    assert said(await plant.order()) == ("LOOKUP_UNAVAILABLE", {"supplier": "supplier-1"})


async def test_misses_that_never_come_in_a_row_end_at_a_person(make_plant, clock):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY)
    plant.terms = replace(plant.terms, misses_wanted=10**6)
    plant.restart()
    await plant.want()
    clock.forward(days=2)
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert row.state == "needs_person"
    assert said(row) == ("OUTCOME_UNKNOWN", {"supplier": "supplier-1"})


def listen(supplier, *, documents=None):
    """Return where every look-up of this supplier is noted; what it has for documents may be given."""
    asked, find, honest = [], supplier.find, supplier.documents

    async def noted(reference):
        asked.append(reference)
        return await find(reference)

    async def given(reference):
        return await honest(reference) if documents is None else documents

    supplier.find, supplier.documents = noted, given
    return asked


async def test_what_its_documents_settle_is_not_looked_up(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    asked = listen(plant.suppliers["supplier-1"])
    await plant.reconciliation.run_once()
    assert (await plant.states(), asked) == (["confirmed"], [])


async def test_what_has_no_documents_yet_is_looked_up(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    asked = listen(plant.suppliers["supplier-1"], documents=())
    await plant.reconciliation.run_once()
    assert (await plant.states(), asked) == (["confirmed"], [(await plant.order()).number])


async def test_documents_of_a_confirmed_order_are_taken_in(make_plant):
    plant = await make_plant()
    await plant.want()
    plant.suppliers["supplier-1"].ship((await plant.order()).number)
    await plant.passes(1, hours=1)
    assert await plant.states() == ["shipped"]
    assert {row.supplier for row in await plant.rows(store.inbox)} == {"supplier-1"}


@pytest.mark.parametrize("capabilities", [LOOKUP_ONLY, EVERYTHING])
async def test_a_supplier_that_never_answers_is_waited_for_a_bounded_time(make_plant, clock, capabilities):
    plant = await make_plant(VanishingSupplier, capabilities=capabilities)
    plant.terms = replace(plant.terms, wire_timeout=timedelta(milliseconds=20))
    plant.restart()
    await plant.want()
    number = (await plant.order()).number
    async with plant.database.write() as tx:
        await tx.execute(store.purchase_order.update().values(clean_misses=2))

    async def hang(reference):
        assert reference == number
        await asyncio.Event().wait()

    supplier = plant.suppliers["supplier-1"]
    supplier.find = supplier.documents = hang
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert (row.state, row.clean_misses, row.next_ask_at) == ("unknown", 0, clock() + plant.terms.ask_again)


@pytest.mark.parametrize("ends", ["key", "bytes"])
async def test_a_key_is_used_again_for_nine_tenths_of_its_life_and_while_its_bytes_may_leave(make_plant, clock, ends):
    life = timedelta(hours=10) if ends == "key" else timedelta(days=10)
    plant = await make_plant(VanishingSupplier, capabilities=replace(KEY_ONLY, idempotency_key=life))
    plant.suppliers["supplier-1"].vanishes = 99
    await plant.want()
    row = await plant.order()
    end = row.first_sent_at + life * 0.9 if ends == "key" else row.send_by
    clock.now = end - timedelta(seconds=1)
    await plant.reconciliation.run_once()
    assert (await plant.states(), len(plant.suppliers["supplier-1"].sent)) == (["unknown"], 2)
    clock.now = end
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert (row.state, len(plant.suppliers["supplier-1"].sent)) == ("needs_person", 2)
    assert said(row) == ("OUTCOME_UNKNOWN", {"supplier": "supplier-1"})


async def test_an_outcome_is_overdue_from_the_last_send_on_and_not_from_its_failure(make_plant, clock):
    plant = await make_plant(SilentSupplier, capabilities=LOOKUP_ONLY)
    supplier = plant.suppliers["supplier-1"]

    async def hang(permit):
        clock.forward(minutes=10)
        raise OutcomeUnknown(permit.reference)

    supplier.place = hang
    sent_at = clock()
    await plant.want()
    clock.now = sent_at + supplier.capabilities.lookup_window + plant.terms.unknown_max
    await plant.reconciliation.run_once()
    assert await plant.states() == ["unknown"]
    clock.forward(seconds=plant.terms.ask_again.total_seconds())
    await plant.reconciliation.run_once()
    assert said(await plant.order()) == ("LOOKUP_UNAVAILABLE", {"supplier": "supplier-1"})


@pytest.mark.parametrize("state", ["unknown", "submitting"])
async def test_an_open_order_at_a_supplier_that_left_the_config_is_a_persons(make_plant, state):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    async with plant.database.write() as tx:  # "submitting": as if the power had failed within the send
        await tx.execute(store.purchase_order.update().values(state=state))
    plant.suppliers.clear()
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert (row.state, said(row)) == ("needs_person", ("SUPPLIER_GONE", {"supplier": "supplier-1"}))
    async with plant.database.read() as tx:
        leaves = await log.entries(tx, row.number, owner=plant.owner, kind="order.unknown")
    assert [leaf.facts["reason"] for leaf in leaves[1:]] == (["interrupted"] if state == "submitting" else [])


# A cancellation.


async def cancelling(make_plant, **capabilities):
    plant = await make_plant(capabilities=replace(EVERYTHING, **capabilities))
    await plant.want()
    supplier = plant.suppliers["supplier-1"]
    plant.honest_cancel = supplier.cancel

    async def drop(reference):
        raise OutcomeUnknown(reference)

    supplier.cancel = drop
    assert (await plant.purchasing.cancel((await plant.order()).number, ANNA)).code == "CANCELLATION_UNKNOWN"
    assert await plant.states() == ["cancelling"]
    return plant


async def test_still_on_counts_only_when_the_look_up_must_know_of_the_cancellation(make_plant, clock):
    plant = await cancelling(make_plant)
    await plant.passes(1)
    assert await plant.states() == ["cancelling"]
    clock.forward(minutes=5)
    await plant.passes(1)
    assert await plant.states() == ["confirmed"]


async def test_still_on_counts_from_the_very_end_of_the_look_ups_window(make_plant, clock):
    plant = await cancelling(make_plant, documents=False)
    clock.forward(seconds=plant.suppliers["supplier-1"].capabilities.lookup_window.total_seconds())
    await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed"]


async def test_a_cancellation_that_took_late_is_found(make_plant, clock):
    plant = await cancelling(make_plant)
    await plant.passes(1, minutes=1)
    await plant.honest_cancel((await plant.order()).number)
    await plant.passes(1)
    assert await plant.states() == ["cancelled"]
    assert [booking.state for booking in await plant.rows(store.booking)] == ["released"]


async def test_a_cancellation_that_nobody_settles_goes_to_a_person_and_nothing_is_sent_again(make_plant, clock):
    plant = await cancelling(make_plant, lookup_window=None, documents=False)
    asked = listen(plant.suppliers["supplier-1"])
    began_at = clock()
    await plant.reconciliation.run_once()
    assert (await plant.order()).next_ask_at == clock() + plant.terms.ask_again
    clock.now = began_at + plant.terms.cancel_within - plant.terms.ask_again
    await plant.reconciliation.run_once()
    assert (await plant.states(), asked) == (["cancelling"], [])
    clock.now = began_at + plant.terms.cancel_within
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert (row.state, row.next_ask_at) == ("needs_person", None)
    async with plant.database.read() as tx:
        leaves = (await log.entries(tx, row.number, owner=plant.owner))[-2:]
    facts = {"code": "CANCELLATION_OPEN", "parameters": {"supplier": "supplier-1"}}
    assert [leaf.kind for leaf in leaves] == ["order.unknown", "order.needs_person"]
    for leaf in leaves:
        assert (leaf.actor, leaf.facts.items() >= facts.items()) == (Actor(ActorKind.GATEWAY, "G1", "clock"), True)
    assert said(row) == ("CANCELLATION_OPEN", {"supplier": "supplier-1"})
    assert len(plant.suppliers["supplier-1"].sent) == 1


async def test_a_cancellation_at_a_supplier_that_left_the_config_is_a_persons(make_plant):
    plant = await cancelling(make_plant)
    plant.suppliers.clear()
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert row.state == "needs_person"
    assert said(row) == ("SUPPLIER_GONE", {"supplier": "supplier-1"})


async def test_a_supplier_that_is_away_is_no_poison(make_plant, clock):
    plant = await cancelling(make_plant)
    supplier = plant.suppliers["supplier-1"]

    async def away(reference):
        raise SupplierUnavailable("down")

    supplier.find = supplier.documents = away
    for _ in range(8):
        done = await plant.reconciliation.run_once()
        assert done.failed == 0
        clock.forward(minutes=30)
    assert (await plant.order()).failures == 0


async def test_where_only_a_look_up_answers_a_sent_order_is_looked_up(make_plant, clock):
    plant = await make_plant(ReceivingSupplier, capabilities=replace(LOOKUP_ONLY, documents=False))
    await plant.want()
    assert await plant.states() == ["submitted"]
    supplier = plant.suppliers["supplier-1"]
    number = (await plant.order()).number
    said = supplier.answers[number][0]
    supplier.answers[number].append(replace(said, reply=Reply.REJECTED))
    await plant.passes(1)
    assert await plant.states() == ["rejected"]
    assert supplier.price == Decimal("61.50")


async def test_an_order_that_came_back_to_the_gate_after_it_was_sent_never_leaves_again(make_plant):
    plant = await make_plant(AcceptingSupplier)
    await plant.want()
    number = (await plant.order()).number
    async with plant.database.write() as tx:  # a state that no edge of today's program leads to
        await tx.execute(store.purchase_order.update().values(state="approved"))
        await tx.execute(store.booking.update().values(state="reserved"))
    await plant.purchasing.submit(number)
    row = await plant.order()
    assert (row.state, row.rule) == ("awaiting_approval", "RESEND_REFUSED")
    assert len(plant.suppliers["supplier-1"].sent) == 1


# Rows and leaves of each wait.


async def leaves_of(plant, kind):
    async with plant.database.read() as tx:
        found = await log.entries(tx, owner=plant.owner, kind=kind)
    return [(leaf.subject, leaf.actor, leaf.facts) for leaf in found]


async def put(plant, **columns):
    async with plant.database.write() as tx:
        await tx.execute(store.purchase_order.update().values(**columns))


async def test_a_miss_counts_from_the_very_end_of_the_window_and_is_repeated_after_a_while(make_plant, clock):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY)
    plant.suppliers["supplier-1"].vanishes = 99
    await plant.want()
    given_up, wait = clock(), plant.terms.ask_again
    knows_at = given_up + LOOKUP_ONLY.lookup_window
    for now, misses, next_ask_at in (
        (given_up, 0, knows_at),
        (knows_at - timedelta(microseconds=1), 0, knows_at),
        (knows_at, 1, knows_at + wait),
        (knows_at + wait, 2, knows_at + 2 * wait),
    ):
        clock.now = now
        await put(plant, next_ask_at=None)
        await plant.reconciliation.run_once()
        row = await plant.order()
        assert (row.state, row.clean_misses, row.next_ask_at) == ("unknown", misses, next_ask_at)
    clock.forward(hours=1)
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert (row.state, row.sends, row.clean_misses) == ("unknown", 2, 0)


async def test_a_look_up_that_is_no_answer_about_the_order_says_so(make_plant, clock):
    plant = await make_plant(DroppingSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    supplier, number = plant.suppliers["supplier-1"], (await plant.order()).number
    other = replace((await supplier.find(number)), reference="TC-ZZ-000001-A")

    async def wrong(reference):
        return other

    supplier.find = wrong
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert (row.state, said(row)) == ("needs_person", ("LOOKUP_NOT_USABLE", {"supplier": "supplier-1"}))
    kept = (await plant.rows(store.inbox))[-1]
    assert (kept.supplier, kept.order_number, kept.verdict) == ("supplier-1", "TC-ZZ-000001-A", "UNKNOWN_REFERENCE")


async def test_what_cannot_be_looked_up_now_is_asked_again_from_the_start(make_plant, clock):
    plant = await make_plant(SilentSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    await put(plant, clean_misses=2)
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert (row.state, row.clean_misses, row.next_ask_at) == ("unknown", 0, clock() + plant.terms.ask_again)


@pytest.mark.parametrize("sends", [4, 5])
async def test_a_key_is_used_as_often_as_sends_are_allowed(make_plant, sends):
    plant = await make_plant(VanishingSupplier, capabilities=KEY_ONLY)
    plant.suppliers["supplier-1"].vanishes = 99
    await plant.want()
    await put(plant, sends=sends)
    await plant.reconciliation.run_once()
    assert await plant.states() == ["unknown" if sends < plant.terms.sends_max else "needs_person"]


@pytest.mark.parametrize("column", ["first_sent_at", "send_by"])
async def test_without_a_first_send_or_an_end_no_key_is_trusted(make_plant, column):
    plant = await make_plant(DroppingSupplier, capabilities=KEY_ONLY)
    await plant.want()
    await put(plant, **{column: None})
    await plant.reconciliation.run_once()
    assert said(await plant.order()) == ("OUTCOME_UNKNOWN", {"supplier": "supplier-1"})
    assert len(plant.suppliers["supplier-1"].sent) == 1


async def test_a_taken_number_at_a_supplier_without_a_look_up_is_told_as_such(make_plant):
    plant = await make_plant(TakenSupplier, capabilities=KEY_ONLY)
    await plant.want()
    await plant.reconciliation.run_once()
    assert said(await plant.order()) == ("REFERENCE_TAKEN", {"supplier": "supplier-1"})


async def test_a_taken_number_that_nobody_finds_is_told_as_such(make_plant, clock):
    plant = await make_plant(TakenSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    plant.suppliers["supplier-1"].answers.clear()
    for _ in range(8):
        await until_due(plant)
    assert said(await plant.order()) == ("REFERENCE_TAKEN", {"supplier": "supplier-1"})
    assert len(plant.suppliers["supplier-1"].sent) == 1


async def test_documents_that_settle_nothing_are_kept_and_the_look_up_is_asked(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=replace(LOOKUP_ONLY, documents=True))
    await plant.want()
    supplier, number = plant.suppliers["supplier-1"], (await plant.order()).number
    supplier.ship(number)
    early = supplier.answers[number][-1]
    asked = listen(supplier, documents=(early,))
    await plant.reconciliation.run_once()
    assert (asked, await plant.states()) == ([number], ["shipped"])
    assert {row.supplier for row in await plant.rows(store.inbox)} == {"supplier-1"}


async def test_documents_that_cannot_be_had_leave_it_to_the_look_up(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    supplier = plant.suppliers["supplier-1"]
    asked = listen(supplier)

    async def away(reference):
        raise SupplierUnavailable("down")

    supplier.documents = away
    await plant.reconciliation.run_once()
    assert (asked, await plant.states()) == ([(await plant.order()).number], ["confirmed"])


async def test_the_same_words_count_again_when_they_answer_our_question_about_an_unknown_order(make_plant):
    plant = await make_plant(DroppingSupplier, capabilities=replace(BLIND, documents=True))
    await plant.want()
    supplier, number = plant.suppliers["supplier-1"], (await plant.order()).number
    (heard,) = supplier.answers[number]
    await plant.purchasing.sending.take("supplier-1", heard)
    async with plant.database.write() as tx:
        await tx.execute(store.purchase_order.update().values(state="unknown"))
        await tx.execute(store.booking.update().values(state="reserved"))
        await tx.execute(store.reservation.update().values(state="reserved"))
    await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed"]


@pytest.mark.parametrize("state", ["unknown", "submitted"])
async def test_what_a_look_up_finds_counts_even_if_the_same_words_were_heard_before(make_plant, clock, state):
    plant = await make_plant(DroppingSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    (heard,) = plant.suppliers["supplier-1"].answers[(await plant.order()).number]
    await put(plant, state="needs_person")
    await plant.purchasing.sending.take("supplier-1", heard)
    assert [row.verdict for row in await plant.rows(store.inbox)] == ["WAITS_FOR_PERSON"]
    await put(plant, state=state)
    await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed"]


async def test_what_a_poll_hears_again_counts_no_second_time(make_plant, clock):
    plant = await make_plant()
    await plant.want()
    supplier, number = plant.suppliers["supplier-1"], (await plant.order()).number
    (heard,) = supplier.answers[number]
    await put(plant, state="needs_person")
    await put(plant, state="submitted")
    clock.forward(hours=1)
    await plant.reconciliation.run_once()
    assert (await plant.states(), heard.reference) == (["submitted"], number)


async def test_a_cancellation_is_asked_about_every_while(make_plant, clock):
    plant = await cancelling(make_plant)
    for _ in range(2):
        await plant.reconciliation.run_once()
        row = await plant.order()
        assert (row.state, row.next_ask_at) == ("cancelling", clock() + plant.terms.ask_again)
        clock.now = row.next_ask_at - timedelta(seconds=1)
        asked = listen(plant.suppliers["supplier-1"])
        await plant.reconciliation.run_once()
        assert asked == []
        clock.forward(seconds=1)


async def test_a_no_to_the_look_up_ends_a_cancellation_within_the_window(make_plant, clock):
    plant = await cancelling(make_plant, documents=False)
    await plant.honest_cancel((await plant.order()).number)
    await plant.reconciliation.run_once()
    assert await plant.states() == ["cancelled"]


async def test_without_a_look_up_documents_may_end_a_cancellation(make_plant, clock):
    plant = await cancelling(make_plant, lookup_window=None)
    asked = listen(plant.suppliers["supplier-1"])
    plant.suppliers["supplier-1"].ship((await plant.order()).number)
    await plant.reconciliation.run_once()
    assert (await plant.states(), asked) == (["shipped"], [])


async def test_a_cancellation_at_nobodys_is_told_in_figures_and_by_the_clock(make_plant):
    plant = await cancelling(make_plant)
    number = (await plant.order()).number
    plant.suppliers.clear()
    await plant.reconciliation.run_once()
    figures = {"code": "SUPPLIER_GONE", "parameters": {"supplier": "supplier-1"}}
    clocked = Actor(ActorKind.GATEWAY, "G1", "clock")
    assert await leaves_of(plant, "order.unknown") == [
        (number, clocked, {"before": "cancelling", "effect": "none", **figures})
    ]
    assert await leaves_of(plant, "order.needs_person") == [
        (number, clocked, {"before": "unknown", "effect": "none", **figures})
    ]
    assert (await plant.order()).next_ask_at is None


async def test_a_sent_order_whose_look_up_fails_or_finds_nothing_is_left(make_plant, clock):
    plant = await make_plant(ReceivingSupplier, capabilities=LOOKUP_ONLY)
    await plant.want()
    supplier, answers = plant.suppliers["supplier-1"], [None, SupplierUnavailable("down"), TimeoutError()]

    async def find(reference):
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    supplier.find = find
    for _ in range(3):
        clock.forward(hours=1)
        done = await plant.reconciliation.run_once()
        assert (done.orders, done.failed, await plant.states()) == (1, 0, ["submitted"])
    assert answers == []
