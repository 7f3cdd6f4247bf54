import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, update

from maintenance.needs import Provenance
from marketplace import stock, store
from marketplace.audit.verify import verify
from marketplace.authority.policy import Mode
from marketplace.documents import Reply
from marketplace.money import Money
from marketplace.ordering import numbers
from marketplace.ordering.orders import OrderBroken, load
from marketplace.ordering.requisition import Raising, want_of
from marketplace.ordering.states import OrderState
from tests.unit.marketplace.fakes import (
    ANNA,
    APPROVER,
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
