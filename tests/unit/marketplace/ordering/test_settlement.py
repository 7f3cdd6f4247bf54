"""What may be done about an order of unknown outcome, by what its supplier declares and by nothing else."""

import itertools
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from marketplace import store
from marketplace.audit import log
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
    assert "OUTCOME_UNKNOWN" in row.problem
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
    assert "NOT_FOUND" in (await plant.order()).problem


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
    assert "LOOKUP_NOT_USABLE" in row.problem


@pytest.mark.parametrize("capabilities", [LOOKUP_ONLY, KEY_ONLY, EVERYTHING, BLIND])
async def test_an_order_of_another_gateway_under_our_number_is_never_adopted(make_plant, capabilities):
    plant = await make_plant(TakenSupplier, capabilities=capabilities)
    await plant.want()
    assert await plant.states() == ["unknown"]
    await plant.passes(4)
    row = await plant.order()
    assert row.state == "needs_person"
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
    assert "REFERENCE_TAKEN" in row.problem
    assert len(plant.suppliers["supplier-1"].sent) == 1


async def test_an_outcome_stays_unknown_for_a_bounded_time(make_plant, clock):
    plant = await make_plant(SilentSupplier, capabilities=replace(LOOKUP_ONLY, lookup_window=timedelta(hours=5)))
    await plant.want()
    clock.forward(hours=28)
    await plant.reconciliation.run_once()
    assert await plant.states() == ["unknown"]
    clock.forward(hours=2)
    await plant.reconciliation.run_once()
    assert "LOOKUP_UNAVAILABLE" in (await plant.order()).problem


async def test_misses_that_never_come_in_a_row_end_at_a_person(make_plant, clock):
    plant = await make_plant(VanishingSupplier, capabilities=LOOKUP_ONLY)
    plant.terms = replace(plant.terms, misses_wanted=10**6)
    plant.restart()
    await plant.want()
    clock.forward(days=2)
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert row.state == "needs_person"
    assert "OUTCOME_UNKNOWN" in row.problem


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


async def test_a_cancellation_that_took_late_is_found(make_plant, clock):
    plant = await cancelling(make_plant)
    await plant.passes(1, minutes=1)
    await plant.honest_cancel((await plant.order()).number)
    await plant.passes(1)
    assert await plant.states() == ["cancelled"]
    assert [booking.state for booking in await plant.rows(store.booking)] == ["released"]


async def test_a_cancellation_that_nobody_settles_goes_to_a_person_and_nothing_is_sent_again(make_plant, clock):
    plant = await cancelling(make_plant, lookup_window=None, documents=False)
    await plant.passes(3)
    assert await plant.states() == ["cancelling"]
    clock.forward(days=2)
    await plant.passes(3)
    row = await plant.order()
    assert row.state == "needs_person"
    assert "CANCELLATION_OPEN" in row.problem
    assert len(plant.suppliers["supplier-1"].sent) == 1


async def test_a_cancellation_at_a_supplier_that_left_the_config_is_a_persons(make_plant):
    plant = await cancelling(make_plant)
    plant.suppliers.clear()
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert row.state == "needs_person"
    assert "SUPPLIER_GONE" in row.problem


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
