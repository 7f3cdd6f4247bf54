"""Nothing leaves while it is stopped: what was not sent is off, what may have been sent waits, the rest goes on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import delete, update

from marketplace import stock, store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.explain import why
from marketplace.audit.verify import verify
from marketplace.authority import alarms, gate, halts
from marketplace.authority.alarms import AlarmCode, AlarmTerms
from marketplace.authority.halts import BY_ALARM, BY_PERSON, PLANT, Scope, ScopeKind
from marketplace.authority.permit import PermitRefused
from marketplace.documents import RequestForQuotation
from marketplace.ordering import inbox, stopping
from marketplace.ordering.orders import load
from marketplace.ordering.states import OrderState
from marketplace.ordering.stopping import Stopping
from marketplace.suppliers.supplier import SupplierUnavailable
from tests.unit.marketplace.fakes import (
    ANNA,
    BLIND,
    AcceptingSupplier,
    DearerSupplier,
    DroppingSupplier,
    ReceivingSupplier,
    SilentSupplier,
    UnavailableSupplier,
    VanishingSupplier,
)

MILL = Scope(ScopeKind.MACHINE, "mill")
BEARING = Scope(ScopeKind.COMPONENT, "mill/spindle-bearing")
FIRST = Scope(ScopeKind.SUPPLIER, "supplier-1")
ASK = {"modes": {"default": "ask"}}
REACHING = [PLANT, MILL, BEARING, FIRST]


def switch(plant) -> Stopping:
    return Stopping(plant.database, plant.owner, plant.clock)


async def stop(plant, scope=PLANT, note=""):
    return await switch(plant).stop(scope, BY_PERSON, ANNA, note=note)


async def resume(plant, scope=PLANT):
    halt = await switch(plant).resume(scope, ANNA)
    await plant.purchasing.reconsider()
    return halt


async def verified(plant) -> bool:
    async with plant.database.read() as tx:
        found = await verify(tx, plant.owner)
    assert found.verified, found.problems
    return found.verified


@pytest.mark.parametrize("scope", REACHING, ids=str)
async def test_a_stop_cancels_what_waits_and_the_want_stays(make_plant, scope):
    plant = await make_plant(policy=ASK)
    await plant.want()
    waiting = await plant.order()
    stopped = await stop(plant, scope, "Smoke.")
    assert stopped.cancelled == (waiting.number,)
    row, wanted = await plant.order(), await plant.requisition()
    assert (row.state, row.rule, wanted.state) == ("cancelled", "STOPPED", "needed")
    assert wanted.open_slot is not None
    async with plant.database.read() as tx:
        told = await why(tx, waiting.number)
        [leaf] = await log.entries(tx, kind="halt.set")
    assert "Buying is stopped" in " ".join(told)
    assert leaf.actor == ANNA
    assert await verified(plant)


@pytest.mark.parametrize(
    "scope",
    [Scope(ScopeKind.MACHINE, "press"), Scope(ScopeKind.SUPPLIER, "huber"), Scope(ScopeKind.COMPONENT, "mill/belt")],
    ids=str,
)
async def test_others_go_on(make_plant, scope):
    plant = await make_plant(policy=ASK)
    await plant.want()
    assert (await stop(plant, scope)).cancelled == ()
    assert await plant.states() == ["awaiting_approval"]
    assert (await plant.approve()).ok
    await plant.want(life="life-2")
    assert await plant.states() == ["confirmed", "awaiting_approval"]


@pytest.mark.parametrize("scope", [PLANT, MILL, BEARING], ids=str)
async def test_while_stopped_nobody_is_asked_for_a_price_and_after_it_all_goes_on(make_plant, scope):
    plant = await make_plant()
    await stop(plant, scope)
    await plant.want()
    await plant.passes(3)
    assert plant.suppliers["supplier-1"].asked == []
    assert (await plant.requisition()).state == "needed"
    plant.restart()
    await plant.passes(1)
    assert await plant.orders() == []
    assert (await resume(plant, scope)) is not None
    await plant.passes(1)
    assert await plant.states() == ["confirmed"]
    assert len(plant.suppliers["supplier-1"].bought) == 1
    assert await verified(plant)


async def test_a_stopped_supplier_is_not_asked_and_another_serves(make_plant):
    plant = await make_plant(AcceptingSupplier, AcceptingSupplier)
    await stop(plant, FIRST)
    await plant.want()
    assert plant.suppliers["supplier-1"].asked == []
    assert [row.supplier for row in await plant.orders()] == ["supplier-2"]


async def test_what_lies_on_the_shelf_is_used_while_buying_is_stopped(make_plant):
    plant = await make_plant()
    await stop(plant)
    async with plant.database.write() as tx:
        await stock.count(tx, plant.owner, "bearing-7014", Decimal(2), "C62", ANNA, plant.clock())
    await plant.want()
    assert (await plant.requisition()).state == "fulfilled"


class StoppingSupplier(AcceptingSupplier):
    """Somebody stops buying while it thinks about its price."""

    plant = None
    scope = PLANT

    async def quote(self, request: RequestForQuotation):
        await stop(self.plant, self.scope)
        return await super().quote(request)


async def test_a_stop_while_suppliers_think_denies_what_they_offer(make_plant):
    plant = await make_plant(StoppingSupplier)
    plant.suppliers["supplier-1"].plant = plant
    await plant.want()
    [order] = await plant.orders()
    assert (order.state, order.rule) == ("denied", "STOPPED")
    assert plant.suppliers["supplier-1"].bought == []
    async with plant.database.read() as tx:
        [decided] = await log.entries(tx, order.number, kind="decision.made")
    assert decided.facts["verdict"]["parameters"]["scope"] == "plant"
    assert decided.facts["inputs"]["stopped"]["scope"] == "plant"
    await plant.passes(1)
    assert len(await plant.orders()) == 1
    await resume(plant)
    plant.suppliers["supplier-1"].quote = AcceptingSupplier.quote.__get__(plant.suppliers["supplier-1"])
    await plant.passes(1)
    assert (await plant.states())[-1] == "confirmed"


async def test_a_supplier_stopped_while_it_thinks_is_passed_over_at_the_next_round(make_plant):
    plant = await make_plant(StoppingSupplier, AcceptingSupplier)
    first, second = plant.suppliers.values()
    first.plant, first.scope = plant, FIRST
    second.price += 5
    await plant.want()
    assert [(row.supplier, row.rule) for row in await plant.orders()] == [("supplier-1", "STOPPED")]
    await plant.passes(1)
    assert [row.supplier for row in await plant.orders()] == ["supplier-1", "supplier-2"]
    assert (first.bought, len(second.bought)) == ([], 1)


async def test_a_round_that_a_crash_left_open_does_not_ask_again_while_stopped(make_plant):
    plant = await make_plant(policy=ASK)
    await stop(plant)
    await plant.want()
    async with plant.database.write() as tx:  # as a crash leaves it after the stop of another gateway of the plant
        await tx.execute(update(store.requisition).values(state="quoting"))
    await plant.passes(1)
    assert (await plant.requisition()).state == "needed"
    assert plant.suppliers["supplier-1"].asked == []


class AtTheGate(AcceptingSupplier):
    """Holds the order in its hand until it is told to answer."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.here, self.answer = asyncio.Event(), asyncio.Event()

    async def place(self, permit):
        self.here.set()
        await self.answer.wait()
        return self.accept(permit)


async def test_what_is_being_sent_at_that_moment_is_settled_as_always(make_plant):
    plant = await make_plant(AtTheGate)
    supplier = plant.suppliers["supplier-1"]
    wanting = asyncio.create_task(plant.want())
    await supplier.here.wait()
    assert (await stop(plant)).cancelled == ()
    assert await plant.states() == ["submitting"]
    supplier.answer.set()
    await wanting
    assert await plant.states() == ["confirmed"]


class RefusingWhileStopped(UnavailableSupplier):
    """Cannot be reached, and somebody stops buying meanwhile."""

    plant = None

    async def place(self, permit):
        if self.plant is not None:
            await stop(self.plant)
            raise SupplierUnavailable(self.name)
        return self.accept(permit)


async def test_an_order_that_came_back_unsent_is_cancelled_not_sent_again(make_plant):
    plant = await make_plant(RefusingWhileStopped)
    supplier = plant.suppliers["supplier-1"]
    supplier.plant = plant
    await plant.want()
    assert await plant.states() == ["approved"]
    supplier.plant = None
    plant.clock.forward(hours=1)
    await plant.passes(1)
    assert await plant.states() == ["cancelled"]
    assert supplier.bought == []
    assert (await plant.requisition()).state == "needed"
    assert await verified(plant)


async def test_an_unknown_order_is_asked_about_but_not_sent_again_while_stopped(make_plant):
    plant = await make_plant(VanishingSupplier)
    supplier = plant.suppliers["supplier-1"]
    await plant.want()
    assert await plant.states() == ["unknown"]
    await stop(plant)
    await plant.passes(4)
    assert await plant.states() == ["unknown"]
    assert len(supplier.sent) == 1
    await resume(plant)
    await plant.passes(2)
    assert await plant.states() == ["confirmed"]
    assert len(supplier.sent) == 2


async def test_an_unknown_order_that_the_supplier_has_is_adopted_while_stopped(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    await stop(plant)
    await plant.passes(1)
    assert await plant.states() == ["confirmed"]


async def test_a_person_cannot_approve_what_is_stopped(make_plant):
    plant = await make_plant(policy=ASK)
    await plant.want()
    async with plant.database.write() as tx:  # a stop of which the cancellations have not reached this order yet
        await halts.put(tx, plant.owner, MILL, BY_PERSON, ANNA, plant.clock())
    act = await plant.approve()
    assert (act.ok, act.code, act.parameters["key"]) == (False, "STOPPED", "mill")
    assert plant.suppliers["supplier-1"].bought == []
    async with plant.database.read() as tx:
        assert len(await log.entries(tx, kind="approval.blocked")) == 1
    await switch(plant).watch()
    assert await plant.states() == ["cancelled"]


async def test_no_permit_is_given_for_what_is_stopped(make_plant):
    plant = await make_plant(UnavailableSupplier)
    await plant.want()
    async with plant.database.write() as tx:
        await halts.put(tx, plant.owner, FIRST, BY_PERSON, ANNA, plant.clock())
        with pytest.raises(PermitRefused, match="STOPPED"):
            await gate.permit(tx, plant.owner, await plant.order(), plant.clock(), key_proven=False)


async def test_a_stop_and_its_cancellations_are_one_transaction(make_plant):
    plant = await make_plant(policy=ASK)
    await plant.want()
    orders_before = await plant.states()

    class PowerCut(BaseException):
        pass

    class Cut(Stopping):
        async def _cancel(self, tx, orders, actor):
            await super()._cancel(tx, orders, actor)
            raise PowerCut

    with pytest.raises(PowerCut):
        await Cut(plant.database, plant.owner, plant.clock).stop(PLANT, BY_PERSON, ANNA)
    assert await plant.states() == orders_before
    assert await plant.rows(store.halt) == []


async def test_an_order_that_cannot_be_cancelled_stops_no_stop(make_plant):
    plant = await make_plant(UnavailableSupplier)
    await plant.want()
    assert await plant.states() == ["approved"]
    async with plant.database.write() as tx:  # a ledger that somebody has tampered with
        await tx.execute(delete(store.booking))
        await tx.execute(delete(store.reservation))
    stopped = await stop(plant)
    assert (stopped.new, stopped.cancelled) == (True, ())
    plant.clock.forward(hours=1)
    await plant.passes(1)
    assert plant.suppliers["supplier-1"].bought == []


async def test_more_orders_than_one_transaction_takes_are_all_cancelled(make_plant):
    plant = await make_plant(policy=ASK)
    for number in range(stopping.AT_ONCE + 3):
        await plant.want(life=f"life-{number}")
    stopped = await stop(plant)
    assert len(stopped.cancelled) == stopping.AT_ONCE + 3
    assert set(await plant.states()) == {"cancelled"}


async def test_stopping_again_cancels_nothing_and_is_no_second_stop(make_plant):
    plant = await make_plant()
    first, second = await stop(plant), await stop(plant)
    assert (first.new, second.new) == (True, False)
    assert first.halt == second.halt
    assert await resume(plant) == first.halt
    assert await resume(plant) is None


# Money alarms.


async def the_alarms(plant):
    async with plant.database.read() as tx:
        return list(await alarms.open_alarms(tx, plant.owner))


async def test_other_terms_are_an_alarm_that_stops_only_its_supplier(make_plant):
    plant = await make_plant(DearerSupplier, AcceptingSupplier)
    plant.suppliers["supplier-2"].price += 5
    await plant.want()
    [alarm] = await the_alarms(plant)
    assert (alarm.code, alarm.scope, alarm.subject) == (AlarmCode.OTHER_TERMS, FIRST, "supplier-1")
    plant.clock.forward(hours=7)
    assert await switch(plant).watch() == ()
    plant.clock.forward(hours=1)
    [stopped] = await switch(plant).watch()
    assert (stopped.halt.scope, stopped.halt.code, stopped.halt.alarm) == (FIRST, "ALARM_UNACKNOWLEDGED", alarm.id)
    assert await switch(plant).watch() == ()
    await plant.want(life="life-2")
    assert [row.supplier for row in await plant.orders()][-1] == "supplier-2"
    assert (await plant.states())[-1] == "confirmed"
    assert await resume(plant, FIRST) == stopped.halt
    assert await the_alarms(plant) == []
    assert await verified(plant)


async def test_an_acknowledged_alarm_stops_nothing(make_plant):
    plant = await make_plant(DearerSupplier)
    await plant.want()
    [alarm] = await the_alarms(plant)
    assert await switch(plant).acknowledge(alarm.id, ANNA, note="Called them.") == alarm
    assert await switch(plant).acknowledge(alarm.id, ANNA) is None
    plant.clock.forward(days=2)
    assert await switch(plant).watch() == ()
    assert await plant.rows(store.halt) == []


async def test_an_alarm_that_is_acknowledged_at_the_last_moment_stops_nothing(make_plant):
    plant = await make_plant(DearerSupplier)
    await plant.want()
    [alarm] = await the_alarms(plant)
    plant.clock.forward(days=1)
    stopper = switch(plant)
    await stopper.acknowledge(alarm.id, ANNA)
    assert await stopper._escalate(alarm.id) is None  # as a pass that had read the alarm just before
    assert await plant.rows(store.halt) == []


async def test_reinstating_the_supplier_is_seeing_its_alarm(make_plant):
    plant = await make_plant(DearerSupplier)
    await plant.want()
    assert (await plant.purchasing.reinstate("supplier-1", ANNA)).ok
    assert await the_alarms(plant) == []


async def test_an_unknown_outcome_is_an_alarm_until_a_person_has_found_out(make_plant):
    plant = await make_plant(SilentSupplier, capabilities=BLIND)
    await plant.want()
    await plant.passes(1)
    row = await plant.order()
    assert row.state == "needs_person"
    [alarm] = await the_alarms(plant)
    assert (alarm.code, alarm.subject, alarm.parameters["order"]) == ("OUTCOME_OPEN", row.number, row.number)
    await plant.purchasing.resolve(row.number, OrderState.NOT_PLACED, ANNA, "They have nothing.")
    assert await the_alarms(plant) == []


async def test_a_permit_that_is_refused_after_approval_is_an_alarm_for_the_machine(make_plant):
    plant = await make_plant(UnavailableSupplier)
    await plant.want()
    plant.clock.forward(hours=1)
    await plant.apply_policy(mandate=None)
    await plant.passes(1)
    assert await plant.states() == ["awaiting_approval"]
    [alarm] = await the_alarms(plant)
    assert (alarm.code, alarm.scope) == ("APPROVED_NOT_PERMITTED", MILL)


async def test_a_broken_ledger_is_an_alarm_for_the_machine(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    async with plant.database.write() as tx:
        await tx.execute(delete(store.booking))
        await tx.execute(delete(store.reservation))
    await plant.passes(1)
    [alarm] = await the_alarms(plant)
    assert (alarm.code, alarm.scope) == ("LEDGER_BROKEN", MILL)


async def test_an_order_that_was_altered_is_an_alarm(make_plant):
    plant = await make_plant(UnavailableSupplier)
    await plant.want()
    async with plant.database.write() as tx:
        await tx.execute(update(store.purchase_order).values(document="{}"))
    plant.clock.forward(hours=1)
    await plant.passes(1)
    [alarm] = await the_alarms(plant)
    assert (alarm.code, alarm.scope) == ("ORDER_ALTERED", MILL)


async def test_an_answer_that_breaks_the_ledger_is_an_alarm_for_the_plant(make_plant):
    plant = await make_plant(ReceivingSupplier, capabilities=BLIND)
    await plant.want()
    row = await plant.order()
    assert row.state == "submitted"
    async with plant.database.write() as tx:  # kept, and a crash before it was applied; then somebody tampers
        order = (await load(tx, plant.owner, row.number)).order
        confirmed = AcceptingSupplier.response(plant.suppliers["supplier-1"], order.document())
        await inbox.receive(tx, plant.owner, "supplier-1", confirmed, ANNA, plant.clock())
        await tx.execute(delete(store.booking))
        await tx.execute(delete(store.reservation))
    await plant.passes(1)
    [alarm] = await the_alarms(plant)
    assert (alarm.code, alarm.scope, alarm.subject) == ("LEDGER_BROKEN", PLANT, row.number)


async def test_an_alarm_that_cannot_be_raised_stops_no_pass(make_plant):
    plant = await make_plant(UnavailableSupplier)
    await plant.want()
    async with plant.database.write() as tx:
        await tx.execute(update(store.purchase_order).values(document="{}"))
        await tx.execute(update(store.audit_tree).values(root=b"\0" * 32))
    plant.clock.forward(hours=1)
    assert (await plant.reconciliation.run_once()).failed == 1
    assert await the_alarms(plant) == []


def test_the_site_says_how_long_a_person_may_take():
    terms = AlarmTerms(timedelta(hours=1), {"CLOCK_WRONG": timedelta(0)})
    assert terms.within(AlarmCode.CLOCK_WRONG) == timedelta(0)
    assert terms.within(AlarmCode.OTHER_TERMS) == timedelta(hours=1)


# What a stop leaves in rows and leaves.


async def leaves(plant, kind):
    async with plant.database.read() as tx:
        found = await log.entries(tx, owner=plant.owner, kind=kind)
    return [(leaf.subject, leaf.actor, leaf.facts, leaf.at) for leaf in found]


@pytest.fixture
async def waiting(make_plant):
    """An order that waits for a person, to be looked at again some day."""
    plant = await make_plant(policy=ASK)
    await plant.want()
    async with plant.database.write() as tx:
        await tx.execute(update(store.purchase_order).values(next_ask_at=plant.clock() + timedelta(days=1)))
    plant.clock.forward(hours=1)
    return plant


async def test_what_a_stop_cancels_says_which_stop_it_was(waiting):
    stopped, now = await stop(waiting, MILL, "Smoke."), waiting.clock()
    row, wanted = await waiting.order(), await waiting.requisition()
    assert (row.state, row.rule, row.next_ask_at, row.changed_at) == ("cancelled", "STOPPED", None, now)
    facts = {
        "before": "awaiting_approval", "effect": "none", "code": "STOPPED", "parameters": stopped.halt.parameters,
        "halt": stopped.halt.id,
    }  # fmt: skip
    assert await leaves(waiting, "order.cancelled") == [(row.number, ANNA, facts, now)]
    again = {"before": "proposed", "order": row.number}
    assert await leaves(waiting, "requisition.needed") == [(wanted.id, ANNA, again, now)]
    assert (wanted.state, wanted.quoting_after) == ("needed", None)
    assert (stopped.halt.scope, stopped.halt.by, stopped.halt.at, stopped.halt.code) == (MILL, "anna", now, BY_PERSON)
    ((_id, actor, _facts, at),) = await leaves(waiting, "halt.set")
    assert (actor, at) == (ANNA, now)


async def test_a_stop_keeps_what_was_written_and_told_beside_it(waiting):
    halt = (await switch(waiting).stop(FIRST, BY_PERSON, ANNA, note="Smoke.", facts={"file": "STOP"})).halt
    ((_id, _actor, facts, _at),) = await leaves(waiting, "halt.set")
    assert facts["file"] == "STOP"
    assert halt.note != ""
    lifted = await switch(waiting).resume(FIRST, ANNA, note="It was steam.")
    assert lifted.id == halt.id
    ((_id, actor, facts, at),) = await leaves(waiting, "halt.lifted")
    assert (actor, at) == (ANNA, waiting.clock())
    texts = {row.digest: row.text for row in await waiting.rows(store.free_text)}
    assert sorted(texts.values()) == ["It was steam.", "Smoke."]
    assert texts[facts["note"]] == "It was steam."


@pytest.mark.parametrize("state", list(OrderState))
async def test_only_what_is_unsent_is_covered(waiting, state):
    async with waiting.database.write() as tx:
        await tx.execute(update(store.purchase_order).values(state=state))
        halt, _new = await halts.put(tx, waiting.owner, PLANT, BY_PERSON, ANNA, waiting.clock())
        found = await stopping.covered(tx, waiting.owner)
    unsent = state in ("proposed", "awaiting_approval", "approved")
    assert found == ([((await waiting.order()).number, state, halt)] if unsent else [])


async def test_only_this_gateways_orders_are_covered_in_the_order_of_their_numbers(waiting):
    await waiting.want(life="life-2")
    async with waiting.database.write() as tx:
        assert await stopping.covered(tx, waiting.owner) == []
        await halts.put(tx, waiting.owner, PLANT, BY_PERSON, ANNA, waiting.clock())
        numbers = [number for number, _state, _halt in await stopping.covered(tx, waiting.owner)]
        assert numbers == [row.number for row in await waiting.orders()]
        await tx.execute(update(store.purchase_order).values(gateway_id="G2"))
        assert await stopping.covered(tx, waiting.owner) == []


@pytest.mark.parametrize("scope", [BEARING, Scope(ScopeKind.COMPONENT, "mill/other")], ids=str)
async def test_an_order_is_covered_by_the_stop_of_any_component_that_it_serves(waiting, scope):
    row, number = await waiting.requisition(), (await waiting.order()).number
    async with waiting.database.write() as tx:
        other = {**row._mapping, "id": "other", "open_slot": "x", "component": "mill/other"}
        await tx.execute(store.requisition.insert(), other)
        link = {"order_number": number, "line": 1, "requisition": "other", "quantity": 1}
        await tx.execute(store.line_requisition.insert().values(**link, **waiting.owner.columns))
        await halts.put(tx, waiting.owner, scope, BY_PERSON, ANNA, waiting.clock())
        assert [number for number, _state, _halt in await stopping.covered(tx, waiting.owner)] == [number]


async def test_an_alarm_is_acknowledged_by_a_named_person_with_a_note(make_plant):
    plant = await make_plant(DearerSupplier)
    await plant.want()
    [alarm] = await the_alarms(plant)
    plant.clock.forward(hours=1)
    assert await switch(plant).acknowledge("nobody's", ANNA) is None
    seen = await switch(plant).acknowledge(alarm.id, ANNA, note="I have telephoned.")
    assert seen == alarm
    ((subject, actor, facts, at),) = await leaves(plant, "alarm.acknowledged")
    assert (subject, actor, at) == (alarm.id, ANNA, plant.clock())
    assert {row.digest: row.text for row in await plant.rows(store.free_text)} == {facts["note"]: "I have telephoned."}


async def test_an_alarm_that_nobody_saw_in_time_stops_its_scope_at_that_moment(make_plant):
    plant = await make_plant(DearerSupplier, AcceptingSupplier, policy=None)
    plant.suppliers["supplier-2"].price += 20
    await plant.want()
    [alarm] = await the_alarms(plant)
    await plant.apply_policy(**ASK)
    plant.suppliers["supplier-1"].capabilities = BLIND
    await plant.purchasing.reinstate("supplier-2", ANNA)
    plant.clock.now = alarm.acknowledge_by - timedelta(microseconds=1)
    assert await switch(plant).watch() == ()
    plant.clock.now = alarm.acknowledge_by
    (stopped,) = await switch(plant).watch()
    assert (stopped.new, stopped.cancelled) == (True, ())
    assert (stopped.halt.scope, stopped.halt.code, stopped.halt.alarm) == (FIRST, BY_ALARM, alarm.id)
    assert stopped.halt.at == plant.clock()
    gateway = Actor(ActorKind.GATEWAY, plant.owner.gateway_id, "alarm")
    ((_id, actor, _facts, at),) = await leaves(plant, "halt.set")
    assert (actor, at) == (gateway, plant.clock())
    ((subject, _actor, facts, at),) = await leaves(plant, "alarm.escalated")
    assert (subject, facts["halt"], at) == (alarm.id, stopped.halt.id, plant.clock())
    assert await switch(plant).watch() == ()


async def test_lifting_a_stop_is_seeing_the_alarms_that_led_to_it(make_plant):
    plant = await make_plant(DearerSupplier)
    await plant.want()
    [alarm] = await the_alarms(plant)
    plant.clock.now = alarm.acknowledge_by
    await switch(plant).watch()
    plant.clock.forward(hours=1)
    assert (await switch(plant).resume(FIRST, ANNA)).alarm == alarm.id
    assert await the_alarms(plant) == []
    ((subject, actor, _facts, at),) = await leaves(plant, "alarm.acknowledged")
    assert (subject, actor, at) == (alarm.id, ANNA, plant.clock())
    assert await switch(plant).resume(FIRST, ANNA) is None


async def test_an_alarm_cancels_what_it_covers_as_the_gateway(make_plant):
    plant = await make_plant(UnavailableSupplier, policy=ASK)
    await plant.want()
    now, terms = plant.clock(), AlarmTerms(timedelta(0))
    async with plant.database.write() as tx:
        await alarms.raise_alarm(tx, plant.owner, AlarmCode.CLOCK_WRONG, PLANT, "clock", now, terms=terms)
    (stopped,) = await switch(plant).watch()
    number, gateway = (await plant.order()).number, Actor(ActorKind.GATEWAY, "G1", "alarm")
    assert stopped.cancelled == (number,)
    assert [leaf[:2] for leaf in await leaves(plant, "order.cancelled")] == [(number, gateway)]


async def test_the_watch_cancels_what_a_stop_left_over(waiting):
    async with waiting.database.write() as tx:
        await halts.put(tx, waiting.owner, PLANT, BY_PERSON, ANNA, waiting.clock())
    assert await switch(waiting).watch() == ()
    number, gateway = (await waiting.order()).number, Actor(ActorKind.GATEWAY, "G1", "alarm")
    assert [leaf[:2] for leaf in await leaves(waiting, "order.cancelled")] == [(number, gateway)]
    assert await switch(waiting).sweep(ANNA) == []


async def test_one_order_that_cannot_be_cancelled_keeps_no_other_from_it(make_plant):
    plant = await make_plant(UnavailableSupplier)
    plant.suppliers["supplier-1"].failures = 9
    await plant.want()
    await plant.want(life="life-2")
    first, second = [row.number for row in await plant.orders()]
    async with plant.database.write() as tx:  # a ledger that somebody has tampered with
        for table in (store.booking, store.reservation):
            await tx.execute(delete(table).where(table.c.order_number == first))
    stopped = await stop(plant)
    assert (stopped.cancelled, await plant.states()) == ((second,), ["approved", "cancelled"])
