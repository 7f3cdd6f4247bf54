"""One poisoned purchase is set apart, visibly, and the rest go on."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from gateway import views
from marketplace import store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.ordering import inbox, quarantine
from marketplace.ordering.edges import problem
from marketplace.ordering.purchase import Purchasing
from marketplace.ordering.reconciliation import Reconciliation
from marketplace.ordering.terms import PurchasingTerms
from tests.unit.marketplace.fakes import ANNA, BEARING, DELIVERY, AcceptingSupplier, AwaySupplier, DroppingSupplier


async def poison(plant, document="{}"):
    """Make the first order unreadable; returns what it said."""
    row = (await plant.orders())[0]
    async with plant.database.write() as tx:
        mine = store.purchase_order.c.number == row.number
        await tx.execute(update(store.purchase_order).where(mine).values(document=document))
    return row.number, row.document


async def heal(plant, document):
    await poison(plant, document)


@pytest.fixture
async def poisoned(make_plant):
    """Two orders of unknown outcome, the first unreadable."""
    plant = await make_plant(DroppingSupplier, DroppingSupplier)
    plant.suppliers["supplier-2"].price += 1
    await plant.want()
    plant.suppliers["supplier-1"].price += 2
    await plant.want(life="life-2")
    plant.number, plant.good = await poison(plant)
    return plant


async def test_a_purchase_that_fails_again_and_again_is_set_apart_and_the_rest_go_on(poisoned):
    failed, waits = 0, []
    for _ in range(100):
        done = await poisoned.reconciliation.run_once()
        failed += done.failed
        row = (await poisoned.orders())[0]
        if done.failed:
            waits.append(row.next_ask_at - poisoned.clock())
        poisoned.clock.forward(minutes=1)
    assert failed == poisoned.terms.failures_max
    assert waits == sorted(waits)
    assert waits[-1] > 8 * waits[0]
    assert await poisoned.states() == ["unknown", "confirmed"]
    row = (await poisoned.orders())[0]
    assert (row.failures, row.quarantined_at is not None) == (5, True)
    assert ("QUARANTINED" in row.problem, "OrderBroken" in row.problem) == (True, True)
    async with poisoned.database.read() as tx:
        (leaf,) = await log.entries(tx, row.number, 9, owner=poisoned.owner, kind="purchase.quarantined")
    assert leaf.facts == {"error": "OrderBroken", "failures": 5}
    assert leaf.actor == Actor(ActorKind.GATEWAY, "G1", "reconciliation")


async def test_a_released_purchase_goes_on_where_it_stood(poisoned):
    await poisoned.passes(40)
    await heal(poisoned, poisoned.good)
    await poisoned.passes(5)
    assert (await poisoned.states())[0] == "unknown"  # healed, and still not touched
    act = await poisoned.purchasing.release(poisoned.number, ANNA)
    assert (act.ok, act.code) == (True, "RELEASED")
    await poisoned.passes(1)
    row = (await poisoned.orders())[0]
    assert (row.state, row.failures, row.quarantined_at, row.problem) == ("confirmed", 0, None, "")
    assert (await poisoned.purchasing.release(poisoned.number, ANNA)).code == "NOT_QUARANTINED"
    assert (await poisoned.purchasing.release("TC-G1-999999-A", ANNA)).code == "NOT_QUARANTINED"


async def test_a_restart_does_not_forget_what_is_set_apart(poisoned):
    await poisoned.passes(40)
    poisoned.restart()
    await heal(poisoned, poisoned.good)
    done = await poisoned.reconciliation.run_once()
    assert done.failed == 0
    assert (await poisoned.states())[0] == "unknown"


async def test_only_failures_in_a_row_count(poisoned):
    await poisoned.passes(5, minutes=1)
    row = (await poisoned.orders())[0]
    assert (row.failures, "RECONCILIATION_FAILED" in row.problem) == (3, True)
    await heal(poisoned, poisoned.good)
    await poisoned.passes(2, hours=1)
    row = (await poisoned.orders())[0]
    assert (row.state, row.failures, row.problem) == ("confirmed", 0, "")
    async with poisoned.database.write() as tx:
        for _ in range(4):
            now, terms = poisoned.clock(), poisoned.terms
            assert not await quarantine.note_failure(tx, poisoned.owner, row.number, "KeyError", now, terms)


async def test_a_poisoned_answer_sets_its_order_apart_and_is_kept(make_plant):
    plant = await make_plant()
    await plant.want()
    number, _good = await poison(plant)
    supplier = plant.suppliers["supplier-1"]
    supplier.ship(number)
    async with plant.database.write() as tx:
        answer = supplier.answers[number][-1]
        actor = quarantine.gateway_actor(plant.owner, "port")
        await inbox.receive(tx, plant.owner, "supplier-1", answer, actor, plant.clock())
    await plant.passes(60, minutes=2)
    row = await plant.order()
    assert (row.failures, row.quarantined_at is not None) == (5, True)
    assert [each.verdict for each in await plant.rows(store.inbox)] == ["APPLIED", ""]


async def test_a_requisition_can_be_poisoned_too(make_plant):
    plant = await make_plant(AwaySupplier)
    await plant.want()
    supplier = AcceptingSupplier("supplier-1", plant.clock)
    plant.suppliers["supplier-1"] = supplier
    whole = plant.purchasing.catalogue
    plant.purchasing = Purchasing(plant.database, plant.owner, plant.suppliers, {}, plant.terms, plant.clock)
    plant.reconciliation = Reconciliation(plant.purchasing)
    plant.clock.forward(days=1)
    await plant.passes(60, minutes=2)
    row = await plant.requisition()
    assert (row.state, row.failures, row.quarantined_at is not None) == ("needed", 5, True)
    assert "KeyError" in row.problem
    async with plant.database.read() as tx:
        (view,) = await views.set_apart(tx, plant.owner)
    assert (view.requisition, view.item) == (row.id, BEARING.key)
    assert view.as_dict()["problem"]["code"] == "QUARANTINED"
    assert supplier.asked == []
    plant.purchasing = Purchasing(plant.database, plant.owner, plant.suppliers, whole, plant.terms, plant.clock)
    plant.reconciliation = Reconciliation(plant.purchasing)
    await plant.passes(3)
    assert await plant.orders() == []
    assert (await plant.purchasing.release(row.id, ANNA)).ok
    await plant.passes(1)
    assert await plant.states() == ["confirmed"]


async def test_what_is_wrong_with_the_order_itself_stays_noted(make_plant, owner, clock):
    plant = await make_plant()
    await plant.want()
    number = (await plant.order()).number
    async with plant.database.write() as tx:
        await tx.execute(update(store.purchase_order).values(problem='{"code": "INVOICE_DIFFERS", "parameters": {}}'))
        for _ in range(plant.terms.failures_max):
            await quarantine.note_failure(tx, owner, number, "KeyError", clock(), plant.terms)
    row = await plant.order()
    assert "INVOICE_DIFFERS" in row.problem
    assert row.quarantined_at is not None
    assert (await plant.purchasing.release(number, ANNA)).ok
    row = await plant.order()
    assert ("INVOICE_DIFFERS" in row.problem, row.quarantined_at) == (True, None)


NUMBER = "TC-G1-000001-X"
TERMS = PurchasingTerms("EUR", "DE", DELIVERY)


@pytest.fixture
async def stored(spend, store_order, make_order):
    """One order's row; `tell` notes something on it, `read` returns failures, quarantine, problem and next ask."""

    class Stored:
        async def tell(self, tx, **columns):
            await tx.execute(update(store.purchase_order).values(**columns))

        async def read(self, tx):
            row = (await tx.execute(store.purchase_order.select())).one()
            return row.failures, row.quarantined_at, row.problem, row.next_ask_at

    async with spend.write() as tx:
        await store_order(tx, make_order(NUMBER))
    return Stored()


async def test_the_failure_that_is_one_too_many_says_so(spend, stored, owner, now):
    async with spend.write() as tx:
        said = [await quarantine.note_failure(tx, owner, NUMBER, "KeyError", now, TERMS) for _ in range(5)]
        assert said == [False] * 4 + [True]
        assert (await stored.read(tx))[:2] == (5, now)
        await quarantine.forget_failures(tx, owner, NUMBER)
        assert (await stored.read(tx))[:2] == (5, now)  # only a person takes it up again


async def test_what_went_well_forgets_the_failure_and_not_what_is_wrong_with_the_order(spend, stored, owner, now):
    theirs = problem("INVOICE_DIFFERS")
    async with spend.write() as tx:
        await quarantine.note_failure(tx, owner, NUMBER, "KeyError", now, TERMS)
        await quarantine.forget_failures(tx, owner, NUMBER)
        assert (await stored.read(tx))[:3] == (0, None, "")
        await stored.tell(tx, problem=theirs)
        await quarantine.note_failure(tx, owner, NUMBER, "KeyError", now, TERMS)
        await quarantine.forget_failures(tx, owner, NUMBER)
        assert (await stored.read(tx))[:3] == (0, None, theirs)


@pytest.mark.parametrize("code", ["QUARANTINED", "RECONCILIATION_FAILED", *sorted(quarantine.SEEN)])
async def test_a_release_is_a_named_persons_and_takes_away_what_was_only_to_be_seen(spend, stored, owner, now, code):
    later = now + timedelta(hours=3)
    async with spend.write() as tx:
        seen = code in quarantine.SEEN
        await stored.tell(
            tx, failures=5, problem=problem(code), next_ask_at=later, quarantined_at=None if seen else now
        )
        assert await quarantine.release(tx, owner, NUMBER, ANNA, later)
        assert await stored.read(tx) == (0, None, "", None)
        (leaf,) = await log.entries(tx, NUMBER, kind="purchase.released")
    assert (leaf.actor, leaf.facts, leaf.at) == (ANNA, {"code": code}, later)


async def test_an_order_of_another_plant_is_nobodys_here(spend, stored, owner, now):
    elsewhere = replace(owner, plant="southworks")
    async with spend.write() as tx:
        await stored.tell(tx, quarantined_at=now)
        assert not await quarantine.note_failure(tx, elsewhere, NUMBER, "KeyError", now, TERMS)
        assert not await quarantine.release(tx, elsewhere, NUMBER, ANNA, now)
        assert await stored.read(tx) == (0, now, "", None)


async def test_a_failure_at_nobodys_purchase_is_nobodys(make_plant, owner, clock):
    plant = await make_plant()
    async with plant.database.write() as tx:
        assert not await quarantine.note_failure(tx, owner, "TC-ZZ-000001-A", "KeyError", clock(), plant.terms)
        await quarantine.forget_failures(tx, owner, "TC-ZZ-000001-A")


async def test_it_stands_among_what_needs_a_person(poisoned):
    await poisoned.passes(40)
    await heal(poisoned, poisoned.good)
    async with poisoned.database.read() as tx:
        (view,) = await views.waiting(tx, poisoned.owner)
    assert (view.number, view.releasable, view.problem) == (
        poisoned.number,
        True,
        ("QUARANTINED", {"error": "OrderBroken"}),
    )


# What has waited for too long is told to a person.


async def reminded(plant):
    row = await plant.order()
    async with plant.database.read() as tx:
        leaves = await log.entries(tx, row.number, 9, owner=plant.owner, kind="purchase.reminded")
        shown = [view.number for view in await views.waiting(tx, plant.owner)]
    return row, [leaf.facts["code"] for leaf in leaves], shown


class MuteSupplier(AcceptingSupplier):
    """Says that it has the order, and never another word."""

    def response(self, order):
        said = super().response(order)
        return replace(said, reply="received", lines=(), promised_at=None)


async def test_a_sent_order_without_an_answer_is_told_once_and_may_still_be_answered(make_plant, clock):
    plant = await make_plant(MuteSupplier)
    await plant.want()
    await plant.passes(3, days=1)
    assert (await reminded(plant))[1:] == ([], [])
    await plant.passes(3, days=1)
    row, codes, shown = await reminded(plant)
    assert (row.state, codes, shown) == ("submitted", ["NO_ANSWER"], [row.number])
    supplier = plant.suppliers["supplier-1"]
    supplier.answers[row.number].append(AcceptingSupplier.response(supplier, json.loads(row.document)))
    await plant.passes(1)
    row, codes, shown = await reminded(plant)
    assert (row.state, row.problem, shown) == ("confirmed", "", [])


async def test_goods_long_past_their_promise_are_told_and_their_arrival_ends_it(make_plant, clock):
    plant = await make_plant()
    await plant.want()
    await plant.passes(7, days=1)
    assert (await reminded(plant))[1] == []
    await plant.passes(2, days=1)
    row, codes, shown = await reminded(plant)
    assert (row.state, codes, shown) == ("confirmed", ["DELIVERY_LATE"], [row.number])
    await plant.purchasing.received(row.number, None, ANNA)
    row, _codes, shown = await reminded(plant)
    assert (row.state, row.problem, shown) == ("received", "", [])
    clock.forward(days=61)
    await plant.passes(1)
    row, codes, shown = await reminded(plant)
    assert (codes, shown) == (["DELIVERY_LATE", "INVOICE_MISSING"], [row.number])


async def test_reminders_of_a_long_silence_come_in_bounded_transactions(make_plant, clock):
    plant = await make_plant(MuteSupplier, policy={"window": {"days": 30, "per_machine": "9000 EUR"}})
    for life in range(3):
        await plant.want(life=f"life-{life}")
    clock.forward(days=4)
    done = await plant.reconciliation.run_once()
    assert done.reminded == 3
    assert (await plant.reconciliation.run_once()).reminded == 0
    assert plant.terms.answer_within == timedelta(days=3)
