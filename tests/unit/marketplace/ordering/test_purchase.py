import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, update

from maintenance.needs import Provenance
from marketplace import stock, store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.audit.verify import verify
from marketplace.authority.alarms import open_alarms
from marketplace.authority.approval import Approver
from marketplace.authority.policy import Mode
from marketplace.documents import Invoice, Reply
from marketplace.money import Money
from marketplace.ordering import numbers
from marketplace.ordering.edges import problem
from marketplace.ordering.orders import OrderBroken, load
from marketplace.ordering.purchase import VERDICTS, Act
from marketplace.ordering.requisition import Raised, Raising, want_of
from marketplace.ordering.states import OrderState
from marketplace.suppliers.supplier import Capabilities, OutcomeUnknown, SupplierRejected
from tests.unit.marketplace.fakes import (
    ANNA,
    APPROVER,
    BLIND,
    ECONOMICS,
    LINE,
    AcceptingSupplier,
    AwaySupplier,
    BrokenSupplier,
    DearerSupplier,
    DroppingSupplier,
    ForeignSupplier,
    MisaddressedSupplier,
    ReceivingSupplier,
    RejectingSupplier,
    SlowSupplier,
    UnavailableSupplier,
    a_need,
    advice,
)


@pytest.fixture(autouse=True)
async def the_audit_verifies_in_the_end(spend, owner):
    yield
    async with spend.read() as connection:
        found = await verify(connection)
    assert found.verified, found.problems


async def test_what_the_policy_allows_is_bought_at_once(make_plant):
    plant = await make_plant()
    await plant.want()
    row = await plant.order()
    assert (row.state, row.authority, row.rule) == ("confirmed", "policy", "WITHIN_LIMITS")
    assert plant.suppliers["supplier-1"].bought == [row.number]
    assert str(numbers.parse(row.number)) == row.number
    assert (await plant.requisition()).state == "ordered"


async def test_ordering_twice_buys_once(make_plant):
    plant = await make_plant()
    first = await plant.want()
    assert await plant.want() == first
    assert len(plant.suppliers["supplier-1"].bought) == 1


async def test_needs_told_at_the_same_time_buy_once(make_plant):
    plant = await make_plant()
    ids = await asyncio.gather(*(plant.want() for _ in range(8)))
    assert len(set(ids)) == 1
    assert len(plant.suppliers["supplier-1"].bought) == 1


async def test_every_supplier_is_asked_and_the_best_serves(make_plant, clock):
    plant = await make_plant(AcceptingSupplier, AcceptingSupplier, AwaySupplier)
    plant.suppliers["supplier-1"].price = Decimal(80)
    id = await plant.want()
    assert (await plant.order()).supplier == "supplier-2"
    answers = {row.supplier: row.outcome for row in await plant.rows(store.quotation)}
    assert answers == {"supplier-1": "offered", "supplier-2": "offered", "supplier-3": "unavailable"}
    terms = await plant.rows(store.award_term)
    assert {(row.supplier, row.rank) for row in terms} == {("supplier-2", 1), ("supplier-1", 2)}
    assert {row.requisition for row in terms} == {id}
    assert {row.term for row in terms} == {"goods", "freight", "fees", "lateness", "holding"}


async def test_the_exact_bytes_and_the_permit_are_durable_before_the_first_byte_leaves(make_plant, spend):
    plant = await make_plant()
    supplier = plant.suppliers["supplier-1"]
    seen = {}

    async def place(permit):
        async with spend.read() as tx:  # another connection: it sees only what is committed
            seen["row"] = (await tx.execute(select(store.purchase_order))).one()
            seen["permits"] = (await tx.execute(select(store.permit))).all()
        seen["permit"] = permit
        return supplier.accept(permit)

    supplier.place = place
    await plant.want()
    row, permit = seen["row"], seen["permit"]
    assert (row.state, row.sends, row.request_bytes) == ("submitting", 1, permit.request_bytes)
    assert (row.key, row.number, row.order_hash) == (permit.key, permit.reference, permit.order_hash)
    assert [(each.id, each.send) for each in seen["permits"]] == [(permit.id, 1)]


@pytest.mark.parametrize("mode", [Mode.WATCH, Mode.ADVISE])
async def test_a_component_that_only_watches_raises_nothing(make_plant, mode):
    plant = await make_plant()
    assert await plant.want(mode=mode) is None
    assert await plant.rows(store.requisition) == []


async def test_advice_not_to_buy_raises_nothing(make_plant, now):
    plant = await make_plant()
    assert await plant.purchasing.want(a_need(now), LINE, advice(now, buy=False), Mode.BUY, ECONOMICS) is None
    assert await plant.rows(store.requisition) == []


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"mode": Mode.ASK}, "MODE_ASK"),
        ({"provenance": Provenance.B}, "PROVENANCE_B"),
        ({"known": False}, "HISTORY_UNKNOWN"),
    ],
)
async def test_what_must_be_asked_waits_for_a_person(make_plant, told, rule):
    plant = await make_plant()
    await plant.want(**told)
    row = await plant.order()
    assert (row.state, row.rule, row.authority) == ("awaiting_approval", rule, "")
    assert plant.suppliers["supplier-1"].sent == []


async def test_a_persons_approval_sends(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    act = await plant.approve()
    row = await plant.order()
    assert act.ok
    assert (row.state, row.authority, row.decided_by) == ("confirmed", "person", "anna")


async def test_an_approval_of_another_hash_changes_nothing(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    act = await plant.purchasing.approve((await plant.order()).number, "0" * 64, APPROVER, "socket")
    assert (act.ok, act.code) == (False, "ORDER_CHANGED")
    assert await plant.states() == ["awaiting_approval"]


async def test_approving_twice_buys_once(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    acts = await asyncio.gather(*(plant.approve() for _ in range(4)))
    assert sorted(act.code for act in acts) == ["ALREADY_DECIDED"] * 3 + ["APPROVED_BY_PERSON"]
    assert len(plant.suppliers["supplier-1"].bought) == 1


async def test_an_order_edited_in_the_database_is_neither_approved_nor_sent(make_plant, spend):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    row = await plant.order()
    edited = {"document": row.document.replace('"quantity":"2"', '"quantity":"200"')}
    async with spend.write() as tx:
        await tx.execute(update(store.purchase_order).values(**edited))
    with pytest.raises(OrderBroken):
        await plant.approve()
    assert plant.suppliers["supplier-1"].sent == []
    async with spend.write() as tx:
        await tx.execute(update(store.purchase_order).values(document=row.document))


async def test_a_persons_refusal_keeps_the_slot_quiet_for_a_while(make_plant, clock):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    row = await plant.order()
    act = await plant.purchasing.deny(row.number, row.order_hash, ANNA, "we have one in the cellar")
    assert act.ok
    assert (await plant.requisition()).state == "withdrawn"
    assert await plant.want(mode=Mode.ASK) == ""
    clock.forward(days=8)
    assert await plant.want(mode=Mode.ASK)
    assert await plant.states() == ["denied", "awaiting_approval"]


async def test_a_named_person_may_override_a_quiet_slot(make_plant, now):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    row = await plant.order()
    await plant.purchasing.deny(row.number, row.order_hash, ANNA)
    want = want_of(a_need(now), LINE, advice(now), Mode.ASK, ECONOMICS, "bert", now)
    raised = await plant.purchasing.want_now(want, ANNA, override=True)
    assert raised.outcome is Raising.RAISED
    assert await plant.states() == ["denied", "awaiting_approval"]


async def test_the_policys_denial_waits_and_asks_again(make_plant, clock):
    plant = await make_plant(policy={"mandate": None})
    await plant.want()
    assert await plant.states() == ["denied"]
    await plant.passes(3)
    assert await plant.states() == ["denied"]
    await plant.apply_policy()
    await plant.purchasing.reconsider()
    await plant.passes(1)
    assert await plant.states() == ["denied", "confirmed"]


async def test_without_offers_the_want_waits_longer_each_time(make_plant, clock):
    plant = await make_plant(AwaySupplier)
    await plant.want()
    waits = []
    for _ in range(3):
        row = await plant.requisition()
        assert (row.state, await plant.orders()) == ("needed", [])
        waits.append(row.quoting_after - clock())
        clock.now = row.quoting_after
        await plant.reconciliation.run_once()
    assert waits == sorted(waits)
    assert waits[0] < waits[-1]


async def test_own_stock_is_asked_before_any_supplier(make_plant, spend, owner, now):
    plant = await make_plant()
    async with spend.write() as tx:
        await stock.count(tx, owner, LINE.item, Decimal(3), "C62", ANNA, now)
    await plant.want()
    assert (await plant.requisition()).state == "fulfilled"
    assert plant.suppliers["supplier-1"].asked == []
    (shelf,) = await plant.rows(store.stock_item)
    assert (shelf.on_hand, shelf.reserved) == (3, 2)
    again = await plant.want()  # the life has what it wants
    assert again == (await plant.requisition()).id
    assert len(await plant.rows(store.requisition)) == 1


async def test_too_little_on_the_shelf_is_left_there(make_plant, spend, owner, now):
    plant = await make_plant()
    async with spend.write() as tx:
        await stock.count(tx, owner, LINE.item, Decimal(1), "C62", ANNA, now)
    await plant.want()
    assert await plant.states() == ["confirmed"]


async def test_a_supplier_that_cannot_be_reached_got_nothing_and_is_tried_again(make_plant, clock):
    plant = await make_plant(UnavailableSupplier)
    await plant.want()
    row = await plant.order()
    assert (row.state, row.first_sent_at) == ("approved", None)
    await plant.reconciliation.run_once()
    assert await plant.states() == ["approved"]  # not yet
    clock.now = row.next_ask_at
    await plant.reconciliation.run_once()
    assert await plant.states() == ["confirmed"]
    assert len(plant.suppliers["supplier-1"].bought) == 1


async def test_a_supplier_that_refuses_is_not_asked_again_for_the_same_want(make_plant, clock):
    plant = await make_plant(RejectingSupplier, AcceptingSupplier)
    plant.suppliers["supplier-2"].price = Decimal(70)
    await plant.want()
    assert await plant.states() == ["rejected"]
    clock.forward(minutes=5)
    await plant.reconciliation.run_once()
    assert [(row.supplier, row.state) for row in await plant.orders()] == [
        ("supplier-1", "rejected"),
        ("supplier-2", "confirmed"),
    ]


@pytest.mark.parametrize("kind", [DroppingSupplier, BrokenSupplier, SlowSupplier, MisaddressedSupplier])
async def test_whatever_is_not_an_answer_leaves_the_order_unknown_and_its_money_reserved(make_plant, kind):
    plant = await make_plant(kind)
    plant.terms = replace(plant.terms, wire_timeout=timedelta(milliseconds=50))
    plant.restart()
    await plant.want()
    assert await plant.states() == ["unknown"]
    (booking,) = await plant.rows(store.booking)
    assert booking.state == "reserved"
    assert len(plant.suppliers["supplier-1"].sent) == 1


@pytest.mark.parametrize(("kind", "code"), [(DearerSupplier, "PRICE_DIFFERS"), (ForeignSupplier, "CURRENCY_DIFFERS")])
async def test_other_terms_are_never_accepted_in_silence(make_plant, kind, code):
    plant = await make_plant(kind)
    await plant.want()
    row = await plant.order()
    assert row.state == "needs_person"
    assert code in row.problem
    (status,) = await plant.rows(store.supplier_status)
    assert (status.supplier, status.suspended) == ("supplier-1", True)


async def test_a_suspended_supplier_is_not_asked_until_a_person_says_so(make_plant, clock):
    plant = await make_plant(DearerSupplier, AcceptingSupplier)
    plant.suppliers["supplier-2"].price = Decimal(70)
    await plant.want()
    await plant.want(life="life-2")
    assert [row.supplier for row in await plant.orders()] == ["supplier-1", "supplier-2"]
    assert len(plant.suppliers["supplier-1"].asked) == 1
    assert (await plant.purchasing.reinstate("supplier-1", ANNA)).ok
    await plant.want(life="life-3")
    assert len(plant.suppliers["supplier-1"].asked) == 2


@pytest.mark.parametrize(
    ("verdict", "state", "wanted", "booked"),
    [
        (OrderState.CONFIRMED, "confirmed", "ordered", "committed"),
        (OrderState.NOT_PLACED, "not_placed", "needed", "released"),
        (OrderState.CANCELLED, "cancelled", "needed", "released"),
    ],
)
async def test_a_person_settles_what_nobody_else_can(make_plant, verdict, state, wanted, booked):
    plant = await make_plant(DearerSupplier)
    await plant.want()
    number = (await plant.order()).number
    act = await plant.purchasing.resolve(number, verdict, ANNA, "telephoned with Ms Huber")
    assert act.ok
    assert await plant.states() == [state]
    assert (await plant.requisition()).state == wanted
    assert [row.state for row in await plant.rows(store.booking)] == [booked]
    assert (await plant.order()).problem == ""


async def test_a_verdict_needs_a_reason_and_an_order_that_needs_one(make_plant):
    plant = await make_plant(DearerSupplier, policy=None)
    await plant.want()
    number = (await plant.order()).number
    silent = await plant.purchasing.resolve(number, OrderState.NOT_PLACED, ANNA, "  ")
    odd = await plant.purchasing.resolve(number, OrderState.CLOSED, ANNA, "because")
    assert (silent.code, odd.code) == ("REASON_MISSING", "NOT_RESOLVABLE")
    assert await plant.states() == ["needs_person"]


async def test_an_unsent_order_is_cancelled_at_once(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    act = await plant.purchasing.cancel((await plant.order()).number, ANNA)
    assert act.ok
    assert await plant.states() == ["cancelled"]
    assert (await plant.requisition()).state == "withdrawn"


async def test_a_confirmed_order_is_cancelled_with_the_supplier(make_plant):
    plant = await make_plant()
    await plant.want()
    act = await plant.purchasing.cancel((await plant.order()).number, ANNA)
    assert (act.ok, act.code) == (True, "ORDER_CANCELLED")
    assert plant.suppliers["supplier-1"].bought == []
    assert [row.state for row in await plant.rows(store.booking)] == ["released"]
    (shelf,) = await plant.rows(store.stock_item)
    assert shelf.in_transit == 0


async def test_an_answer_on_the_phone_enters_by_the_same_door(make_plant):
    plant = await make_plant(ReceivingSupplier)
    await plant.want()
    row = await plant.order()
    assert row.state == "submitted"
    async with plant.database.read() as tx:
        stored = await load(tx, plant.owner, row.number)
    said = AcceptingSupplier.response(plant.suppliers["supplier-1"], stored.order.document())
    dearer = replace(said, total=Money(said.total.minor + 1, "EUR"))
    assert (await plant.purchasing.answered(dearer, ANNA)).code == "TOTAL_DIFFERS"
    assert await plant.states() == ["needs_person"]
    assert (await plant.purchasing.answered(said, ANNA)).ok  # a named person says that it is settled
    assert await plant.states() == ["confirmed"]
    assert (await plant.purchasing.answered(replace(said, reply=Reply.RECEIVED), ANNA)).code == "REPEATED"


async def test_a_quotation_that_expired_before_sending_is_never_ordered(make_plant, clock):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    clock.forward(days=15)
    act = await plant.approve()
    assert act.code == "QUOTATION_EXPIRED"
    await plant.reconciliation.run_once()
    assert await plant.states() == ["expired", "awaiting_approval"]  # quoted afresh
    assert plant.suppliers["supplier-1"].sent == []


async def test_an_order_is_asked_about_when_its_mandate_ended_before_sending(make_plant, clock):
    plant = await make_plant(UnavailableSupplier)
    await plant.want()
    await plant.apply_policy(mandate=None)
    clock.forward(minutes=5)
    await plant.reconciliation.run_once()
    row = await plant.order()
    assert (row.state, row.rule) == ("awaiting_approval", "PERMIT_REFUSED")
    assert [each.state for each in await plant.rows(store.booking)] == ["released"]
    assert plant.suppliers["supplier-1"].sent == []


async def test_a_window_that_is_full_asks(make_plant):
    plant = await make_plant(policy={"window": {"days": 30, "per_machine": "200 EUR"}})
    await plant.want()
    await plant.want(life="life-2")
    assert [(row.state, row.rule) for row in await plant.orders()] == [
        ("confirmed", "WITHIN_LIMITS"),
        ("awaiting_approval", "PERIOD_LIMIT_EXCEEDED"),
    ]


async def test_a_pack_that_is_more_than_wanted_asks(make_plant):
    plant = await make_plant()
    plant.suppliers["supplier-1"].pack = Decimal(3)
    await plant.want()
    assert (await plant.order()).rule == "QUANTITY_DIFFERS"


async def test_the_same_for_the_same_place_asks_while_the_first_is_on_its_way(make_plant):
    plant = await make_plant(policy={"checks": {}})
    await plant.want()
    await plant.want(life="life-2")
    assert [(row.state, row.rule) for row in await plant.orders()] == [
        ("confirmed", "WITHIN_LIMITS"),
        ("awaiting_approval", "DUPLICATE_ORDER"),
    ]


async def test_an_order_that_failed_is_no_duplicate(make_plant):
    plant = await make_plant(policy={"checks": {}})
    await plant.want()
    async with plant.database.write() as tx:
        await tx.execute(update(store.purchase_order).values(state="rejected"))
    await plant.want(life="life-2")
    assert (await plant.order()).rule == "WITHIN_LIMITS"


async def test_a_price_that_is_not_the_plants_own_asks(make_plant):
    plant = await make_plant()
    for supplier in plant.suppliers.values():
        supplier.price = Decimal("184.51")
    await plant.want()
    assert (await plant.order()).rule == "OWN_PRICE_DIFFERS"


async def test_a_want_without_the_plants_own_price_asks(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    async with plant.database.write() as tx:
        await tx.execute(update(store.requisition).values(mode="buy", reason="{}"))
        await tx.execute(update(store.purchase_order).values(state="proposed"))
    await plant.purchasing.judge_again((await plant.order()).number)
    assert (await plant.order()).rule == "OWN_PRICE_UNKNOWN"


async def test_an_order_whose_quotation_nobody_kept_asks(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    async with plant.database.write() as tx:
        await tx.execute(update(store.requisition).values(mode="buy"))
        await tx.execute(update(store.quotation).values(reference="another"))
        await tx.execute(update(store.purchase_order).values(state="proposed"))
    await plant.purchasing.judge_again((await plant.order()).number)
    assert (await plant.order()).rule == "QUOTE_MISSING"


# What each act answers, and what its leaf says.

BOB = Actor(ActorKind.PERSON, "bob", "form")
BOBS = Approver("bob", may_approve=True, limit=Money(500_000, "EUR"), may_apply_policy=False)


async def leaves(plant, kind):
    """Of each leaf of a kind: whom it is about, who did it, what it says."""
    async with plant.database.read() as tx:
        found = await log.entries(tx, owner=plant.owner, kind=kind)
    return [(leaf.subject, leaf.actor, leaf.facts) for leaf in found]


async def put(plant, table=store.purchase_order, **columns):
    async with plant.database.write() as tx:
        await tx.execute(update(table).values(**columns))


async def note_of(plant):
    """What a person wrote last: its digest and its text."""
    row = (await plant.rows(store.free_text))[-1]
    return row.digest, row.text


@pytest.fixture
async def waiting(make_plant):
    """An order that waits for a person."""
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    return plant


@pytest.fixture
async def confirmed(make_plant):
    plant = await make_plant()
    await plant.want()
    return plant


async def test_a_machines_want_is_raised_in_its_name_and_told_as_raised(make_plant, clock):
    plant = await make_plant()
    raised = await plant.purchasing.want(a_need(clock()), LINE, advice(clock()), Mode.BUY, ECONOMICS)
    row = await plant.requisition()
    assert raised == Raised(row.id, Raising.RAISED)
    ((subject, actor, _facts),) = await leaves(plant, "requisition.raised")
    assert (subject, actor, row.asked_by) == (row.id, Actor(ActorKind.MACHINE, "mill", "telemetry"), "mill")
    assert (row.created_at, row.mode) == (clock(), "buy")
    told = await plant.purchasing.want(a_need(clock()), LINE, advice(clock()), Mode.BUY, ECONOMICS)
    assert told == Raised(row.id, Raising.OPEN)
    assert len(plant.suppliers["supplier-1"].asked) == 1


async def test_a_persons_want_is_raised_in_theirs_and_may_override(waiting, clock):
    want = want_of(a_need(clock()), LINE, advice(clock()), Mode.ASK, ECONOMICS, "bob", clock())
    assert (await waiting.purchasing.want_now(want, BOB)).outcome is Raising.OPEN
    raised = await waiting.purchasing.want_now(want, BOB, override=True)
    assert raised.outcome is Raising.RAISED
    subject, actor, facts = (await leaves(waiting, "requisition.raised"))[-1]
    assert (subject, actor, facts["override"]) == (raised.id, BOB, True)
    assert await waiting.states() == ["awaiting_approval", "awaiting_approval"]


async def test_a_want_that_must_be_asked_about_is_not_sent(waiting):
    assert waiting.suppliers["supplier-1"].sent == []
    assert await waiting.states() == ["awaiting_approval"]


async def test_a_round_that_is_asked_for_tells_the_order_and_sends_it(make_plant, clock):
    plant = await make_plant(AwaySupplier)
    id = await plant.want()
    assert await plant.purchasing.quote(id) is None
    plant.suppliers["supplier-1"] = AcceptingSupplier("supplier-1", clock)
    number = await plant.purchasing.quote(id)
    assert (number, await plant.states()) == ((await plant.order()).number, ["confirmed"])
    assert await plant.purchasing.quote(id) is None


async def test_a_round_whose_order_asks_tells_the_order_and_sends_nothing(make_plant, clock):
    plant = await make_plant(AwaySupplier)
    id = await plant.want(mode=Mode.ASK)
    plant.suppliers["supplier-1"] = AcceptingSupplier("supplier-1", clock)
    assert await plant.purchasing.quote(id) == (await plant.order()).number
    assert await plant.states() == ["awaiting_approval"]


@pytest.mark.parametrize(("mode", "state"), [(Mode.BUY, "confirmed"), (Mode.ASK, "awaiting_approval")])
async def test_a_proposal_that_nobody_decided_on_is_judged_now(waiting, clock, mode, state):
    await put(waiting, state="proposed")
    await put(waiting, store.requisition, mode=mode)
    clock.forward(hours=1)
    await waiting.purchasing.judge_again((await waiting.order()).number)
    assert (await waiting.states(), (await waiting.order()).changed_at) == ([state], clock())


async def test_a_new_policy_ends_the_waits_of_this_gateways_needs_alone(make_plant, clock):
    plant, later = await make_plant(AwaySupplier), clock() + timedelta(days=9)
    for life in ("life-1", "life-2", "life-3", "life-4"):
        await plant.want(life=life)
    async with plant.database.write() as tx:
        table = store.requisition
        await tx.execute(update(table).values(quoting_after=later))
        for life, columns in (
            ("life-2", {"state": "quoting"}), ("life-3", {"gateway_id": "G2"}), ("life-4", {"plant": "southworks"}),
        ):  # fmt: skip
            await tx.execute(update(table).where(table.c.life == life).values(**columns))
    await plant.purchasing.reconsider()
    kept = {row.life: row.quoting_after for row in await plant.rows(store.requisition)}
    assert kept == {"life-1": None, "life-2": later, "life-3": later, "life-4": later}


# Approve and deny.


async def test_an_approval_is_the_persons_word_by_word(waiting, clock):
    waiting.terms = replace(waiting.terms, software="0.1+abc")
    waiting.restart()
    before = await waiting.order()
    await put(waiting, problem="noted")
    clock.forward(hours=1)
    waiting.suppliers.clear()  # so that it stays where the person put it
    act = await waiting.purchasing.approve(before.number, before.order_hash, BOBS, "form", "for the mill")
    row = await waiting.order()
    assert (row.state, row.authority, row.decided_by, row.rule) == ("approved", "person", "bob", act.code)
    assert (row.changed_at, json.loads(row.problem)["code"]) == (clock(), "SUPPLIER_GONE")
    ((subject, actor, facts),) = await leaves(waiting, "order.approved")
    assert (subject, actor) == (row.number, BOB)
    assert facts == {
        "before": "awaiting_approval", "effect": "reserve", "rule": act.code, "parameters": dict(act.parameters),
    }  # fmt: skip
    assert act.ok
    (signed,) = await waiting.rows(store.approval)
    assert (signed.order_number, signed.order_hash, signed.person, signed.method, signed.verdict, signed.at) == (
        row.number, row.order_hash, "bob", "form", "approve", clock(),
    )  # fmt: skip
    assert (await note_of(waiting))[1] == "for the mill"
    ((_subject, _actor, given),) = await leaves(waiting, "approval.given")
    assert given["software"] == "0.1+abc"


async def test_an_approval_ends_what_was_noted_on_the_order(waiting):
    await put(waiting, problem='{"code": "PERMIT_REFUSED", "parameters": {}}')
    assert (await waiting.approve()).ok
    row = await waiting.order()
    assert (row.state, row.problem) == ("confirmed", "")


async def test_an_approval_that_does_not_count_says_why_with_its_figures(waiting):
    row = await waiting.order()
    small = replace(BOBS, limit=Money(1_00, "EUR"))
    act = await waiting.purchasing.approve(row.number, row.order_hash, small, "form")
    assert (act.ok, await waiting.states()) == (False, ["awaiting_approval"])
    assert (act.code, act.parameters["total"]) == ("OWN_LIMIT_EXCEEDED", "123.00 EUR")


async def test_whoever_asked_for_it_does_not_approve_it(waiting):
    await put(waiting, store.requisition, asked_by="bob")
    row = await waiting.order()
    act = await waiting.purchasing.approve(row.number, row.order_hash, BOBS, "form")
    assert (act.ok, await waiting.states()) == (False, ["awaiting_approval"])


async def test_a_refusal_is_the_persons_word_by_word(waiting, clock):
    row = await waiting.order()
    clock.forward(hours=1)
    act = await waiting.purchasing.deny(row.number, row.order_hash, BOB, "too dear")
    assert act == Act(True, "DENIED_BY_PERSON", {"order": row.number})
    after, behind = await waiting.order(), await waiting.requisition()
    assert (after.state, after.authority, after.decided_by, after.rule) == (
        "denied", "person", "bob", "DENIED_BY_PERSON",
    )  # fmt: skip
    assert (after.changed_at, behind.state) == (clock(), "withdrawn")
    denied = {"before": "awaiting_approval", "effect": "none"}
    assert await leaves(waiting, "order.denied") == [(row.number, BOB, denied)]
    (signed,) = await waiting.rows(store.approval)
    assert (signed.order_number, signed.order_hash, signed.person, signed.method, signed.verdict, signed.at) == (
        row.number, row.order_hash, "bob", "form", "deny", clock(),
    )  # fmt: skip
    assert (await note_of(waiting))[1] == "too dear"
    (hold,) = await waiting.rows(store.slot_hold)
    assert (hold.until, hold.by) == (clock() + waiting.terms.hold, "bob")
    assert (await leaves(waiting, "requisition.withdrawn"))[-1][1] == BOB


async def test_a_refusal_that_does_not_count_says_why(waiting):
    row = await waiting.order()
    act = await waiting.purchasing.deny(row.number, "0" * 64, BOB)
    assert act == Act(False, "ORDER_CHANGED", {"order": row.number})
    await waiting.approve()
    act = await waiting.purchasing.deny(row.number, row.order_hash, BOB)
    assert act == Act(False, "ALREADY_DECIDED", {"order": row.number})
    assert await waiting.states() == ["confirmed"]


# Cancel.


async def test_an_unsent_order_is_called_off_by_a_person_and_its_slot_stays_quiet(waiting, clock):
    number = (await waiting.order()).number
    clock.forward(hours=1)
    assert await waiting.purchasing.cancel(number, BOB) == Act(True, "CANCELLED", {"order": number})
    off = {"before": "awaiting_approval", "effect": "none"}
    assert await leaves(waiting, "order.cancelled") == [(number, BOB, off)]
    (hold,) = await waiting.rows(store.slot_hold)
    assert ((await waiting.order()).changed_at, hold.until) == (clock(), clock() + waiting.terms.hold)
    assert (await leaves(waiting, "requisition.withdrawn"))[-1][1] == BOB


async def test_a_confirmed_order_is_called_off_there_in_the_persons_name(confirmed, clock):
    number = (await confirmed.order()).number
    clock.forward(hours=1)
    assert await confirmed.purchasing.cancel(number, BOB) == Act(True, "ORDER_CANCELLED", {"order": number})
    asked = {"before": "confirmed", "effect": "none"}
    assert await leaves(confirmed, "order.cancelling") == [(number, BOB, asked)]
    assert (await leaves(confirmed, "order.cancelled"))[0][1] == Actor(ActorKind.SUPPLIER, "supplier-1", "port")


@pytest.mark.parametrize("state", ["submitted", "unknown", "shipped", "closed", "cancelled"])
async def test_what_is_neither_unsent_nor_confirmed_cannot_be_called_off(confirmed, state):
    await put(confirmed, state=state)
    number = (await confirmed.order()).number
    act = await confirmed.purchasing.cancel(number, BOB)
    assert act == Act(False, "NOT_CANCELLABLE", {"order": number, "state": state})


@pytest.mark.parametrize("how", ["gone", "unable"])
async def test_where_nobody_can_call_it_off_the_order_stays(confirmed, how):
    number = (await confirmed.order()).number
    if how == "gone":
        confirmed.suppliers.clear()
    else:
        confirmed.suppliers["supplier-1"].capabilities = Capabilities(quotes=True)
    act = await confirmed.purchasing.cancel(number, BOB)
    assert act == Act(False, "NOT_CANCELLABLE", {"order": number, "state": "confirmed"})
    assert await confirmed.states() == ["confirmed"]


def answering(plant, error):
    """Let the supplier answer a cancellation so."""

    async def cancel(reference):
        raise error

    plant.suppliers["supplier-1"].cancel = cancel


async def test_a_cancellation_that_is_refused_leaves_the_order_on_and_says_why(confirmed, clock):
    number = (await confirmed.order()).number
    answering(confirmed, SupplierRejected("r" * 300))
    act = await confirmed.purchasing.cancel(number, BOB)
    assert act == Act(False, "CANCELLATION_REFUSED", {"order": number, "reason": "r" * 200})
    on = {"before": "cancelling", "effect": "none"}
    port = Actor(ActorKind.GATEWAY, "G1", "port")
    assert (await leaves(confirmed, "order.confirmed"))[-1] == (number, port, on)


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), ZeroDivisionError(), TimeoutError()])
async def test_a_cancellation_of_which_nothing_is_known_is_left_open(confirmed, error):
    number = (await confirmed.order()).number
    answering(confirmed, error)
    act = await confirmed.purchasing.cancel(number, BOB)
    assert act == Act(False, "CANCELLATION_UNKNOWN", {"order": number})
    assert await confirmed.states() == ["cancelling"]


async def test_a_supplier_that_thinks_about_a_cancellation_for_ever_is_not_waited_for(confirmed):
    async def cancel(reference):
        await asyncio.Event().wait()

    confirmed.terms = replace(confirmed.terms, wire_timeout=timedelta(milliseconds=30))
    confirmed.restart()
    confirmed.suppliers["supplier-1"].cancel = cancel
    assert (await confirmed.purchasing.cancel((await confirmed.order()).number, BOB)).code == "CANCELLATION_UNKNOWN"


async def test_an_answer_to_a_cancellation_that_says_it_is_on_is_told_as_it_is(confirmed):
    number = (await confirmed.order()).number
    (said,) = confirmed.suppliers["supplier-1"].answers[number]

    async def cancel(reference):
        return said

    confirmed.suppliers["supplier-1"].cancel = cancel
    assert await confirmed.purchasing.cancel(number, BOB) == Act(False, "ORDER_CONFIRMED", {"order": number})


# Resolve.


@pytest.mark.parametrize("verdict", sorted(VERDICTS))
@pytest.mark.parametrize("state", ["needs_person", "unknown"])
async def test_a_verdict_is_the_persons_word_by_word(make_plant, clock, verdict, state):
    plant = await make_plant(DroppingSupplier, capabilities=BLIND)
    await plant.want()
    row = await plant.order()
    await put(plant, state=state, problem="noted", next_ask_at=clock())
    clock.forward(hours=1)
    act = await plant.purchasing.resolve(row.number, verdict, BOB, "telephoned")
    if state == "unknown" and verdict is OrderState.CANCELLED:
        assert act == Act(False, "NOT_RESOLVABLE", {"order": row.number, "state": "unknown"})
        return
    assert act == Act(True, f"ORDER_{verdict.upper()}", {"order": row.number})
    digest, text = await note_of(plant)
    ((subject, actor, facts),) = await leaves(plant, f"order.{verdict}")
    effect = "commit" if verdict is OrderState.CONFIRMED else "release"
    assert (subject, actor, text) == (row.number, BOB, "telephoned")
    assert facts == {"before": state, "effect": effect, "note": digest}
    after, behind = await plant.order(), await plant.requisition()
    assert (after.problem, after.next_ask_at, after.changed_at) == ("", None, clock())
    (line,) = await plant.rows(store.order_line)
    assert line.confirmed == (2 if verdict is OrderState.CONFIRMED else 0)
    if verdict is not OrderState.CONFIRMED:
        assert (behind.state, behind.quoting_after, behind.changed_at) == ("needed", None, clock())
        assert behind.attempt_group == (2 if verdict is OrderState.NOT_PLACED else 1)
        assert (await leaves(plant, "requisition.needed"))[-1][1] == BOB


async def test_a_verdict_ends_the_alarm_about_the_order_in_the_persons_name(make_plant, clock):
    plant = await make_plant(DroppingSupplier, capabilities=BLIND)
    await plant.want()
    await plant.passes(1)
    number = (await plant.order()).number
    act = await plant.purchasing.resolve(number, OrderState.CONFIRMED, BOB, "they have it")
    assert act.ok
    async with plant.database.read() as tx:
        assert await open_alarms(tx, plant.owner) == ()
    ((_subject, actor, _facts),) = await leaves(plant, "alarm.acknowledged")
    assert actor == BOB


async def test_goods_that_will_not_come_are_not_expected_any_more(confirmed):
    await put(confirmed, state="needs_person")
    number = (await confirmed.order()).number
    assert (await confirmed.purchasing.resolve(number, OrderState.CANCELLED, BOB, "off")).ok
    (shelf,) = await confirmed.rows(store.stock_item)
    assert shelf.in_transit == 0


@pytest.mark.parametrize(
    ("state", "verdict", "reason", "code"),
    [
        ("confirmed", OrderState.CANCELLED, "because", "NOT_RESOLVABLE"),
        ("needs_person", OrderState.SHIPPED, "because", "NOT_RESOLVABLE"),
        ("needs_person", OrderState.CONFIRMED, " \n", "REASON_MISSING"),
    ],
)
async def test_a_verdict_that_does_not_count_says_why(confirmed, state, verdict, reason, code):
    await put(confirmed, state=state)
    number = (await confirmed.order()).number
    act = await confirmed.purchasing.resolve(number, verdict, BOB, reason)
    of = {"order": number} | ({"state": state} if code == "NOT_RESOLVABLE" else {})
    assert (act, await confirmed.states()) == (Act(False, code, of), [state])


# A part, a settlement, a release, an answer, goods, a withdrawal.


async def test_a_part_is_taken_by_a_person_word_by_word(confirmed, clock):
    number = (await confirmed.order()).number
    await put(confirmed, store.order_line, confirmed=Decimal(1))
    await put(confirmed, state="needs_person", problem=problem("PARTLY_CONFIRMED"))
    clock.forward(hours=1)
    silent = await confirmed.purchasing.accept_part(number, BOB, " ")
    assert silent == Act(False, "REASON_MISSING", {"order": number})
    act = await confirmed.purchasing.accept_part(number, BOB, "one will do")
    assert act == Act(True, "ORDER_CONFIRMED", {"order": number})
    digest, text = await note_of(confirmed)
    _first, said = await leaves(confirmed, "order.confirmed")
    facts = {"before": "needs_person", "effect": "commit", "part": True, "note": digest}
    assert (said, text) == ((number, BOB, facts), "one will do")
    row = await confirmed.order()
    assert (row.state, row.problem, row.changed_at) == ("confirmed", "", clock())
    assert [each[1] for each in await leaves(confirmed, "budget.reduced")] == [BOB]
    assert {each.quantity for each in await confirmed.rows(store.requisition)} == {1}


@pytest.mark.parametrize(("state", "code"), [("confirmed", "PARTLY_CONFIRMED"), ("needs_person", "PRICE_DIFFERS")])
async def test_only_a_part_can_be_taken_as_a_part(confirmed, state, code):
    number = (await confirmed.order()).number
    await put(confirmed, state=state, problem=problem(code))
    act = await confirmed.purchasing.accept_part(number, BOB, "one will do")
    assert act == Act(False, "NOT_PARTLY_CONFIRMED", {"order": number})


async def test_a_settlement_tells_from_where_and_for_how_much(confirmed):
    number = (await confirmed.order()).number
    act = await confirmed.purchasing.settle(number, BOB, "agreed")
    assert act == Act(False, "NOT_SETTLABLE", {"order": number, "state": "confirmed", "paid": "None"})
    await confirmed.purchasing.received(number, None, BOB)
    act = await confirmed.purchasing.settle(number, BOB, "agreed", Money(100_00, "EUR"))
    assert act == Act(True, "SETTLED", {"order": number, "state": "received", "paid": "100.00 EUR"})
    ((_subject, actor, facts),) = await leaves(confirmed, "order.closed")
    assert (actor, facts["note"], facts["settled"]) == (BOB, (await note_of(confirmed))[0], "100.00 EUR")


async def test_a_release_tells_of_what(confirmed, clock):
    number = (await confirmed.order()).number
    act = await confirmed.purchasing.release(number, BOB)
    assert act == Act(False, "NOT_QUARANTINED", {"order": number})
    await put(confirmed, quarantined_at=clock())
    assert await confirmed.purchasing.release(number, BOB) == Act(True, "RELEASED", {"order": number})
    ((subject, actor, _facts),) = await leaves(confirmed, "purchase.released")
    assert (subject, actor) == (number, BOB)


@pytest.mark.parametrize("state", ["proposed", "awaiting_approval", "approved"])
async def test_nobody_answers_what_was_not_sent(waiting, clock, state):
    number = (await waiting.order()).number
    if state == "approved":
        waiting.suppliers.clear()
        await waiting.approve()
    else:
        await put(waiting, state=state)
    act = await waiting.purchasing.answered(Invoice(number, "I-1", Money(1, "EUR"), clock()), BOB)
    assert act == Act(False, "NOT_SENT_YET", {"order": number, "state": state})
    assert await waiting.rows(store.inbox) == []


async def test_what_a_person_heard_is_taken_as_theirs_about_their_orders_supplier(confirmed, clock):
    number = (await confirmed.order()).number
    act = await confirmed.purchasing.answered(Invoice(number, "I-1", Money(1, "EUR"), clock()), BOB)
    assert act == Act(True, "APPLIED", {"order": number})
    subject, actor, facts = (await leaves(confirmed, "answer.applied"))[-1]
    assert (subject, actor, facts["supplier"]) == (number, BOB, "supplier-1")
    await put(confirmed, state="unknown")
    act = await confirmed.purchasing.answered(Invoice(number, "I-2", Money(1, "EUR"), clock()), BOB)
    assert act == Act(False, "WAITS", {"order": number})
    act = await confirmed.purchasing.answered(Invoice(number, "I" * 101, Money(1, "EUR"), clock()), BOB)
    assert act == Act(False, "REFERENCE_TOO_LONG", {"order": number})


async def test_goods_are_checked_in_by_whoever_did_it_with_their_note(confirmed, clock):
    number = (await confirmed.order()).number
    clock.forward(hours=1)
    act = await confirmed.purchasing.received(number, {1: Decimal(1)}, BOB, "one box")
    assert act == Act(True, "APPLIED", {"order": number})
    assert (await leaves(confirmed, "stock.received"))[0][1] == BOB
    assert (await note_of(confirmed))[1] == "one box"
    kept = (await confirmed.rows(store.inbox))[-1]
    assert (kept.kind, kept.received_at) == ("receipt", clock())
    act = await confirmed.purchasing.received(number, {9: Decimal(1)}, BOB)
    assert act == Act(False, "UNKNOWN_LINE", {"order": number})


@pytest.mark.parametrize("state", ["needed", "quoting"])
async def test_a_want_is_withdrawn_by_a_person_and_its_slot_stays_quiet(make_plant, clock, state):
    plant = await make_plant(AwaySupplier)
    id = await plant.want()
    await put(plant, store.requisition, state=state)
    clock.forward(hours=1)
    assert await plant.purchasing.withdraw(id, BOB) == Act(True, "WITHDRAWN", {"requisition": id})
    ((subject, actor, facts),) = await leaves(plant, "requisition.withdrawn")
    (hold,) = await plant.rows(store.slot_hold)
    assert (subject, actor, facts["before"]) == (id, BOB, state)
    assert (hold.until, (await plant.requisition()).changed_at) == (clock() + plant.terms.hold, clock())


async def test_what_is_proposed_or_nobodys_is_not_withdrawn(waiting):
    id = (await waiting.requisition()).id
    assert await waiting.purchasing.withdraw(id, BOB) == Act(False, "NOT_WITHDRAWABLE", {"requisition": id})
    assert await waiting.purchasing.withdraw("x", BOB) == Act(False, "NOT_WITHDRAWABLE", {"requisition": "x"})


async def test_a_supplier_is_reinstated_by_a_person(make_plant, clock):
    plant = await make_plant(DearerSupplier)
    assert await plant.purchasing.reinstate("supplier-1", BOB) == Act(
        False, "NOT_SUSPENDED", {"supplier": "supplier-1"}
    )
    await plant.want()
    clock.forward(hours=1)
    assert await plant.purchasing.reinstate("supplier-1", BOB) == Act(True, "REINSTATED", {"supplier": "supplier-1"})
    assert await leaves(plant, "supplier.reinstated") == [("supplier-1", BOB, {})]
    (status,) = await plant.rows(store.supplier_status)
    assert status.changed_at == clock()


# Acts on one order wait for each other.


@pytest.mark.parametrize(
    "act",
    [
        lambda buying, number: buying.approve(number, "0" * 64, BOBS, "form"),
        lambda buying, number: buying.deny(number, "0" * 64, BOB),
        lambda buying, number: buying.cancel(number, BOB),
        lambda buying, number: buying.resolve(number, OrderState.CONFIRMED, BOB, "why"),
        lambda buying, number: buying.accept_part(number, BOB, "why"),
        lambda buying, number: buying.settle(number, BOB, "why"),
        lambda buying, number: buying.release(number, BOB),
        lambda buying, number: buying.received(number, None, BOB),
        lambda buying, number: buying.submit(number),
        lambda buying, number: buying.judge_again(number),
        lambda buying, number: buying.withdraw(number, BOB),
        lambda buying, number: buying.quote(number),
    ],
)
async def test_an_act_waits_for_whoever_is_at_the_same_order(waiting, act):
    number = (await waiting.order()).number
    async with waiting.purchasing.locks.of(number):
        doing = asyncio.ensure_future(act(waiting.purchasing, number))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not doing.done()
    await doing


async def test_while_buying_is_held_nothing_is_wanted_quoted_or_judged(make_plant, clock):
    plant = await make_plant(AwaySupplier)
    id = await plant.want()
    await plant.want(life="life-2", mode=Mode.ASK)
    plant.suppliers["supplier-1"] = AcceptingSupplier("supplier-1", clock)
    plant.purchasing.held = lambda: True
    wanted = await plant.rows(store.requisition)
    assert await plant.purchasing.quote(id) is None
    assert await plant.want(life="life-3") is None
    assert (await plant.rows(store.requisition), await plant.orders()) == (wanted, [])
    plant.purchasing.held = bool
    number = await plant.purchasing.quote(next(row.id for row in wanted if row.id != id))
    await put(plant, state="proposed")
    plant.purchasing.held = lambda: True
    await plant.purchasing.judge_again(number)
    assert await plant.states() == ["proposed"]


async def test_whoever_wants_is_at_it_until_suppliers_have_answered(make_plant):
    plant = await make_plant()
    supplier, seen = plant.suppliers["supplier-1"], []
    quote = supplier.quote

    async def look(request):
        seen.append(plant.purchasing.locks.of((await plant.requisition()).id).locked())
        return await quote(request)

    supplier.quote = look
    await plant.want()
    assert seen == [True]
