"""A round from the shelf to a decided order: what each step leaves in rows and leaves."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from marketplace import stock, store
from marketplace.audit import log
from marketplace.authority import halts
from marketplace.authority.halts import BY_PERSON, PLANT, Scope, ScopeKind
from marketplace.authority.policy import Decision, Mode, Outcome
from marketplace.ordering import inbox, proposal
from marketplace.ordering.decisions import award_record
from marketplace.ordering.offers import offers
from marketplace.ordering.orders import load
from marketplace.ordering.reason import award_terms
from marketplace.ordering.rounds import Round, decision_facts
from marketplace.ordering.serving import OrderedAlready
from marketplace.sourcing.award import award
from marketplace.suppliers.supplier import SupplierRejected
from tests.unit.marketplace.fakes import ANNA, AcceptingSupplier, AwaySupplier, RejectingSupplier

STOCK, TIMING, AWARD, POLICY = (f"gateway:{of}:G1" for of in ("stock", "timing", "award", "policy"))


async def leaves(plant, kind):
    """Of each leaf of a kind: whom it is about, who did it, and what it says."""
    async with plant.database.read() as tx:
        found = await log.entries(tx, owner=plant.owner, kind=kind)
    return [(leaf.subject, inbox.write_actor(leaf.actor), leaf.facts) for leaf in found]


async def begin(plant, id):
    async with plant.database.write() as tx:
        return await plant.purchasing.rounds.begin(tx, id)


async def put(plant, table, **columns):
    async with plant.database.write() as tx:
        await tx.execute(update(table).values(**columns))


async def halt(plant, scope=PLANT):
    async with plant.database.write() as tx:
        return await halts.put(tx, plant.owner, scope, BY_PERSON, ANNA, plant.clock())


@pytest.fixture
async def away(make_plant):
    """A requisition that is needed, as neither of two suppliers offered anything in its first round."""
    plant = await make_plant(AwaySupplier, AwaySupplier)
    await plant.want()
    return plant


def come_back(plant):
    """Let every supplier offer again."""
    for name in plant.suppliers:
        plant.suppliers[name] = AcceptingSupplier(name, plant.clock)


# Before anybody is asked.


async def test_a_round_is_durable_before_anybody_is_asked(away):
    row = await away.requisition()
    await put(away, store.requisition, quoting_after=away.clock() + timedelta(days=9))
    begun = await begin(away, row.id)
    request = proposal.request_for(row, 2, away.purchasing.catalogue, away.terms)
    assert begun == Round(row.id, 2, request, away.suppliers)
    assert list(begun.suppliers) == ["supplier-1", "supplier-2"]
    after = await away.requisition()
    assert (after.state, after.quoting_after, after.changed_at) == ("quoting", None, away.clock())
    said = {"before": "needed", "round": 2, "suppliers": ["supplier-1", "supplier-2"]}
    assert (await leaves(away, "requisition.quoting"))[-1] == (row.id, TIMING, said)


async def test_suppliers_are_asked_in_the_order_of_their_names(make_plant):
    plant = await make_plant(AwaySupplier, AwaySupplier)
    plant.suppliers = dict(reversed(plant.suppliers.items()))
    plant.restart()
    await plant.want()
    begun = await begin(plant, (await plant.requisition()).id)
    assert list(begun.suppliers) == ["supplier-1", "supplier-2"]
    assert (await leaves(plant, "requisition.quoting"))[0][2]["suppliers"] == ["supplier-1", "supplier-2"]


async def test_a_round_that_a_crash_left_open_goes_on_under_its_first_leaf(away):
    id = (await away.requisition()).id
    first, again = await begin(away, id), await begin(away, id)
    assert first == again
    assert len(await leaves(away, "requisition.quoting")) == 2  # of rounds 1 and 2


async def test_nobody_is_asked_for_what_is_not_wanted(make_plant):
    plant = await make_plant()
    await plant.want()
    assert await begin(plant, (await plant.requisition()).id) is None
    assert await begin(plant, "nobody's") is None
    assert await plant.purchasing.rounds.run("nobody's") == (None, None)
    assert len(plant.suppliers["supplier-1"].asked) == 1


async def test_a_supplier_that_is_stopped_is_not_in_the_round(away):
    await halt(away, Scope(ScopeKind.SUPPLIER, "supplier-2"))
    assert list((await begin(away, (await away.requisition()).id)).suppliers) == ["supplier-1"]


@pytest.mark.parametrize(
    ("scope", "stops"),
    [
        (PLANT, True),
        (Scope(ScopeKind.MACHINE, "mill"), True),
        (Scope(ScopeKind.COMPONENT, "mill/spindle-bearing"), True),
        (Scope(ScopeKind.MACHINE, "press"), False),
        (Scope(ScopeKind.COMPONENT, "mill/belt"), False),
    ],
    ids=str,
)
@pytest.mark.parametrize("state", ["needed", "quoting"])
async def test_what_is_stopped_waits_as_needed(away, scope, stops, state):
    row = await away.requisition()
    if state == "quoting":
        await begin(away, row.id)
    set_, _new = await halt(away, scope)
    told = len(await leaves(away, "requisition.needed"))
    begun = await begin(away, row.id)
    assert (begun is None) == stops
    assert (await away.requisition()).state == ("needed" if stops else "quoting")
    back = (await leaves(away, "requisition.needed"))[told:]
    said = {"before": "quoting", "code": "STOPPED", "parameters": set_.parameters}
    assert back == ([(row.id, POLICY, said)] if stops and state == "quoting" else [])


async def test_who_refused_an_order_for_the_want_is_not_asked_for_it_again(make_plant):
    plant = await make_plant(RejectingSupplier, AcceptingSupplier)
    plant.suppliers["supplier-2"].price += 20
    await plant.want()
    assert await plant.states() == ["rejected"]
    assert list((await begin(plant, (await plant.requisition()).id)).suppliers) == ["supplier-2"]


# The shelf.


async def count(plant, number, item="bearing-7014"):
    async with plant.database.write() as tx:
        await stock.count(tx, plant.owner, item, Decimal(number), "C62", ANNA, plant.clock())


async def test_what_lies_free_serves_a_life_and_no_money_moves(away):
    come_back(away)
    await count(away, 2)
    id = (await away.requisition()).id
    assert await begin(away, id) is None
    row, (held,) = await away.requisition(), await away.rows(store.stock_reservation)
    assert (row.state, row.open_slot, row.changed_at) == ("fulfilled", None, away.clock())
    assert (held.requisition, held.item, held.quantity) == (id, "bearing-7014", 2)
    assert await leaves(away, "requisition.fulfilled") == [(id, STOCK, {"before": "needed", "from": "stock"})]
    (reserved,) = await leaves(away, "stock.reserved")
    assert reserved == ("bearing-7014", STOCK, {"quantity": "2", "requisition": id})
    assert await away.orders() == []


async def test_too_little_on_the_shelf_is_promised_and_only_the_rest_is_asked_for(away):
    id = (await away.requisition()).id
    await count(away, 1)
    begun = await begin(away, id)
    assert [line.quantity.amount for line in begun.request.lines] == [1]
    rows = {row.id: row for row in await away.rows(store.requisition)}
    rest = rows.pop(id)
    (part,) = rows.values()
    assert (rest.quantity, rest.state, rest.open_slot) == (1, "quoting", "mill/spindle-bearing|life-1|bearing")
    assert (part.quantity, part.state, part.open_slot) == (1, "fulfilled", None)
    (held,) = await away.rows(store.stock_reservation)
    assert (held.requisition, held.quantity) == (part.id, 1)
    assert await leaves(away, "requisition.reduced") == [(id, STOCK, {"wanted": "2", "quantity": "1"})]
    told = {"slot": rest.open_slot, "rest_of": id, "quantity": "1"}
    assert (await leaves(away, "requisition.raised"))[-1] == (part.id, STOCK, told)


async def test_the_shelf_is_not_replenished_from_itself(away):
    await count(away, 5)
    await put(away, store.requisition, life="")
    assert await begin(away, (await away.requisition()).id) is not None
    assert await away.rows(store.stock_reservation) == []


async def test_what_suppliers_are_asked_for_already_is_not_taken_from_the_shelf(away):
    id = (await away.requisition()).id
    await begin(away, id)
    await count(away, 5)
    assert await begin(away, id) is not None
    assert await away.rows(store.stock_reservation) == []


# The offers.


async def test_every_answer_is_kept_and_the_award_is_recorded_to_the_byte(away, clock):
    come_back(away)
    dear, cheap = away.suppliers.values()
    dear.price = Decimal("70.00")
    away.terms = replace(away.terms, software="0.1+abc", approval=timedelta(hours=5))
    away.restart()
    clock.forward(hours=2)
    row = await away.requisition()
    number, outcome = await away.purchasing.rounds.run(row.id)
    assert outcome is Outcome.APPROVE
    async with away.database.read() as tx:
        found = await offers(tx, away.owner, row.id, 2)
        order = (await load(tx, away.owner, number)).order
    assert [offer.supplier for offer in found] == ["supplier-1", "supplier-2"]
    request = proposal.request_for(row, 2, away.purchasing.catalogue, away.terms)
    terms = award_terms(json.loads(row.reason), timedelta(hours=5))
    best = award(found, request, terms, clock())
    record = award_record(row.reason, request, found, terms, best, best.refusals, clock(), round=2, software="0.1+abc")
    said = {"before": "quoting", **record, "order": number}
    assert await leaves(away, "requisition.proposed") == [(row.id, AWARD, said)]
    assert order == proposal.order_for(number, away.owner, best.chosen, request, away.terms, clock())
    assert (order.supplier, order.lines[0].unit_price.amount) == (cheap.name, Decimal("61.50"))
    kept = [each for each in await away.rows(store.award_term) if each.round == 2]
    assert {(each.supplier, each.term, each.minor, each.rank) for each in kept} == {
        (each.supplier, str(each.term), each.amount.minor, each.rank) for each in best.terms
    }
    assert {each.requisition for each in kept} == {row.id}


async def test_no_offer_is_recorded_with_its_reasons_and_the_next_round_waits_longer(make_plant, clock):
    plant = await make_plant()
    plant.suppliers["supplier-1"].pack = Decimal(100)  # nobody wants so many
    plant.terms = replace(plant.terms, software="0.1+abc")
    plant.restart()
    await plant.want()
    for round, wait in ((1, timedelta(hours=1)), (2, timedelta(hours=2)), (3, timedelta(hours=4))):
        row = await plant.requisition()
        assert (row.state, row.quoting_after) == ("needed", clock() + wait)
        subject, actor, facts = (await leaves(plant, "requisition.needed"))[-1]
        assert (subject, actor, facts["before"], facts["code"]) == (row.id, AWARD, "quoting", "NO_AWARD")
        assert (facts["round"], facts["software"], facts["offers"]) == (round, "0.1+abc", 1)
        (refused,) = facts["verdict"]["refused"]
        kept = [each for each in await plant.rows(store.quotation) if each.round == round]
        assert (refused["supplier"], [each.detail.split(":")[0] for each in kept]) == ("supplier-1", [refused["code"]])
        assert [each.answered_at for each in kept] == [clock()]
        clock.forward(days=1)
        assert await plant.purchasing.rounds.run(row.id) == (None, None)
    assert await plant.orders() == []
    assert await plant.rows(store.award_term) == []


class MuteSupplier(AcceptingSupplier):
    """Thinks for ever about a quotation."""

    async def quote(self, request):
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


class UnwillingSupplier(AcceptingSupplier):
    """Offers nothing to anybody."""

    async def quote(self, request):
        raise SupplierRejected("no account")


async def test_who_thinks_for_too_long_is_late_and_who_offers_is_taken(make_plant):
    plant = await make_plant(MuteSupplier, AcceptingSupplier, UnwillingSupplier)
    plant.terms = replace(plant.terms, quote_deadline=timedelta(milliseconds=30))
    plant.restart()
    await plant.want()
    assert {row.supplier: row.outcome for row in await plant.rows(store.quotation)} == {
        "supplier-1": "late",
        "supplier-2": "offered",
        "supplier-3": "rejected",
    }
    assert (await plant.order()).supplier == "supplier-2"


async def test_an_offer_that_has_expired_when_it_comes_is_none(make_plant):
    plant = await make_plant()
    plant.suppliers["supplier-1"].valid_for = timedelta(0)
    await plant.want()
    (row,) = await plant.rows(store.quotation)
    assert row.outcome == "invalid"


async def test_what_is_withdrawn_while_suppliers_think_is_not_proposed(away):
    id = (await away.requisition()).id
    come_back(away)
    begun = await begin(away, id)
    assert (await away.purchasing.withdraw(id, ANNA)).ok
    assert await away.purchasing.rounds.finish(begun) == (None, None)
    assert await away.orders() == []


# The order.


async def test_a_proposal_says_what_it_is_for_and_inherits_where_it_comes_from(away, clock):
    come_back(away)
    await put(away, store.requisition, attempt_group=4, provenance="B", machine="lathe")
    id = (await away.requisition()).id
    number, _outcome = await away.purchasing.rounds.run(id)
    row = await away.order()
    assert (row.number, row.machine, row.provenance, row.attempt_group) == (number, "lathe", "B", 4)
    assert (row.created_at, row.quoted_until) == (clock(), clock() + timedelta(days=14))
    said = {
        "order_hash": row.order_hash, "supplier": "supplier-1", "total": "123.00 EUR", "requisition": id,
        "attempt_group": 4,
    }  # fmt: skip
    assert await leaves(away, "order.proposed") == [(number, AWARD, said)]
    (link,) = await away.rows(store.line_requisition)
    assert (link.order_number, link.requisition, link.quantity) == (number, id, 2)
    (told,) = [each for each in await away.rows(store.outbox) if each.topic == "order" and each.event == "proposed"]
    assert (told.subject, told.at) == (number, clock())


async def test_no_second_order_is_proposed_for_what_is_on_its_way(away):
    come_back(away)
    id = (await away.requisition()).id
    await away.purchasing.rounds.run(id)
    await put(away, store.requisition, state="quoting")
    with pytest.raises(OrderedAlready):
        await away.purchasing.rounds.run(id)
    assert len(await away.orders()) == 1


async def test_the_shares_of_a_new_order_must_fit_and_not_its_packs(away):
    """Three come in a pack, two are wanted: for the want two are on their way."""
    come_back(away)
    for supplier in away.suppliers.values():
        supplier.pack = Decimal(3)
    id = (await away.requisition()).id
    number, _outcome = await away.purchasing.rounds.run(id)
    assert number is not None
    assert [row.quantity for row in await away.rows(store.order_line)] == [3]
    assert [row.quantity for row in await away.rows(store.line_requisition)] == [2]


# The verdict.


@pytest.mark.parametrize(
    ("mode", "state", "authority", "by"),
    [(Mode.BUY, "approved", "policy", "G1"), (Mode.ASK, "awaiting_approval", "", "")],
)
async def test_a_verdict_moves_the_order_under_the_rule_and_the_policy_of_it(away, mode, state, authority, by):
    come_back(away)
    away.terms = replace(away.terms, software="0.1+abc")
    away.restart()
    await away.apply_policy(window={"days": 30, "per_machine": "1900 EUR"})
    await put(away, store.requisition, mode=mode)
    number, outcome = await away.purchasing.rounds.run((await away.requisition()).id)
    row = await away.order()
    assert outcome is (Outcome.APPROVE if mode is Mode.BUY else Outcome.ASK)
    assert (row.state, row.authority, row.decided_by, row.policy_version) == (state, authority, by, 2)
    ((subject, actor, facts),) = await leaves(away, f"order.{state}")
    ((about, _actor, made),) = await leaves(away, "decision.made")
    assert (subject, actor, about, made["software"]) == (number, POLICY, number, "0.1+abc")
    assert (facts["rule"], facts["parameters"]) == (made["verdict"]["rule"], made["verdict"]["parameters"])
    assert row.rule == facts["rule"]


async def test_what_the_policy_denies_waits_for_a_while_and_is_quoted_afresh(make_plant, clock):
    plant = await make_plant(policy={"modes": {"default": "advise"}})
    await plant.want()
    row, behind = await plant.order(), await plant.requisition()
    assert (row.state, row.authority, row.decided_by) == ("denied", "policy", "G1")
    assert (behind.state, behind.quoting_after) == ("needed", clock() + timedelta(days=1))
    assert (await leaves(plant, "requisition.needed")) == [
        (behind.id, POLICY, {"before": "proposed", "order": row.number})
    ]


async def test_what_a_stop_denies_waits_for_nothing_else(away):
    come_back(away)
    id = (await away.requisition()).id
    begun = await begin(away, id)
    await halt(away)
    number, outcome = await away.purchasing.rounds.finish(begun)
    row, behind = await away.order(), await away.requisition()
    assert (row.number, outcome, row.state, row.rule) == (number, Outcome.DENY, "denied", "STOPPED")
    assert (behind.state, behind.quoting_after) == ("needed", None)


def test_a_decision_is_told_by_its_rule_and_figures():
    decision = Decision(Outcome.ASK, "ORDER_LIMIT_EXCEEDED", {"limit": "500.00 EUR"})
    assert decision_facts(decision) == {"rule": "ORDER_LIMIT_EXCEEDED", "parameters": {"limit": "500.00 EUR"}}
