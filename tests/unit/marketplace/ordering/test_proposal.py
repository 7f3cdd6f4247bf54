"""What is asked, what is ordered, and what the gate is told: whole values, out of real rows."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, update

from maintenance.needs import Provenance
from marketplace import store
from marketplace.authority import halts
from marketplace.authority.halts import BY_PERSON, PLANT, Scope, ScopeKind
from marketplace.authority.policy import Circumstances, Mode, Similar
from marketplace.documents import (
    OrderLine,
    PurchaseOrder,
    Quotation,
    QuotationLine,
    RequestedLine,
    RequestForQuotation,
)
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering import proposal
from marketplace.ordering.orders import load
from marketplace.ordering.shares import Share
from marketplace.ordering.states import OrderState
from marketplace.ordering.suspension import suspend
from marketplace.store import Owner
from tests.unit.marketplace.fakes import ANNA, BEARING, CATALOGUE, DELIVERY, AcceptingSupplier, AwaySupplier

ELSEWHERE = Owner("southworks", "G1")
PRICE = UnitPrice(Decimal("61.50"), "EUR")
NAMES = ("supplier-1", "supplier-2", "supplier-3")


@pytest.fixture
async def asked(make_plant):
    """The first order of a plant, which waits for a person."""
    plant = await make_plant(AcceptingSupplier, AcceptingSupplier)
    await plant.want(mode=Mode.ASK)
    return plant


@pytest.fixture
async def row(asked):
    return await asked.requisition()


async def told(plant, owner=None):
    """What the gate is told of the newest order."""
    number = (await plant.order()).number
    async with plant.database.read() as tx:
        order = (await load(tx, plant.owner, number)).order
        behind = await proposal.requisition_behind(tx, order)
        return await proposal.circumstances_of(tx, owner or plant.owner, order, behind, plant.clock())


async def put(plant, number=None, **columns):
    """Set columns of one order, or of all."""
    query = update(store.purchase_order).values(**columns)
    if number is not None:
        query = query.where(store.purchase_order.c.number == number)
    async with plant.database.write() as tx:
        await tx.execute(query)


# What is asked, and of whom.


def test_a_request_names_the_item_of_the_catalogue_and_no_date(asked, row):
    line = RequestedLine(1, row.id, BEARING, Quantity(Decimal(2), "C62"))
    expected = RequestForQuotation(f"RQ-{row.id[:12]}-7", (line,), "EUR", "DE", None)
    assert proposal.request_for(row, 7, CATALOGUE, asked.terms) == expected


def test_an_item_that_the_catalogue_lost_cannot_be_asked_for(asked, row):
    with pytest.raises(KeyError):
        proposal.request_for(row, 1, {}, asked.terms)


async def may_be_asked(plant, id=None, owner=None):
    id = id or (await plant.requisition()).id
    async with plant.database.read() as tx:
        return await proposal.may_be_asked(tx, owner or plant.owner, id, NAMES)


async def test_whoever_is_suspended_or_stopped_is_not_asked(asked, owner, clock):
    assert await may_be_asked(asked) == set(NAMES)
    async with asked.database.write() as tx:
        await suspend(tx, owner, "supplier-1", "PRICE_DIFFERS", "another", clock())
        await halts.put(tx, owner, Scope(ScopeKind.SUPPLIER, "supplier-2"), BY_PERSON, ANNA, clock())
    assert await may_be_asked(asked) == {"supplier-3"}
    assert await may_be_asked(asked, owner=ELSEWHERE) == set(NAMES)


@pytest.mark.parametrize("state", ["rejected", "cancelled", "denied", "expired", "not_placed", "confirmed"])
async def test_only_whoever_refused_an_order_for_a_want_is_not_asked_for_it_again(asked, state):
    await put(asked, state=state)
    supplier = (await asked.order()).supplier
    assert await may_be_asked(asked) == set(NAMES) - ({supplier} if state == "rejected" else set())
    assert await may_be_asked(asked, "another") == set(NAMES)


# What is ordered.


def quotation(now, *quantities):
    lines = tuple(
        QuotationLine(
            number, f"SKU-{number}", Quantity(Decimal(quantity), "C62"), PRICE, Decimal(number) + Decimal("0.5"), None
        )
        for number, quantity in enumerate(quantities, 1)
    )
    return Quotation("supplier-2", "Q-9", lines, Money(900, "EUR"), Money(150, "EUR"), now + timedelta(days=3))


def test_an_order_takes_an_offer_exactly_as_it_was_made(asked, owner, now):
    wanted = Quantity(Decimal(2), "C62")
    request = RequestForQuotation(
        "RQ", tuple(RequestedLine(number, f"r{number}", BEARING, wanted) for number in (1, 2)), "EUR", "DE", None
    )
    terms = replace(asked.terms, accounts={"supplier-2": "K-2"})
    order = proposal.order_for("TC-G1-000009-X", owner, quotation(now, "2", "5"), request, terms, now)
    lines = tuple(
        OrderLine(number, (f"r{number}",), BEARING, f"SKU-{number}", Quantity(Decimal(quantity), "C62"), PRICE)
        for number, quantity in ((1, "2"), (2, "5"))
    )
    assert order == PurchaseOrder(
        number="TC-G1-000009-X",
        plant="northworks",
        gateway="G1",
        supplier="supplier-2",
        account="K-2",
        quotation="Q-9",
        lines=lines,
        freight=Money(900, "EUR"),
        fees=Money(150, "EUR"),
        deliver_by=now + timedelta(days=2.5),
        quoted_until=now + timedelta(days=3),
        delivery=DELIVERY,
    )
    unknown = proposal.order_for("X", owner, quotation(now, "2"), request, asked.terms, now)
    assert unknown.account == ""


@pytest.mark.parametrize(
    ("lines", "shares"),
    [
        (("2",), ("2",)),
        (("3",), ("2",)),
        (("1.5",), ("1.5",)),
        (("1.5", "3"), ("1.5", "0.5")),
        (("3", "1"), ("2", "0")),
    ],
)
def test_an_order_serves_its_want_and_not_its_packs(row, make_order, lines, shares):
    (line,) = make_order().lines
    ordered = [
        replace(line, number=number, quantity=Quantity(Decimal(quantity), "C62"))
        for number, quantity in enumerate(lines, 1)
    ]
    expected = tuple(Share(number, row.id, Decimal(share)) for number, share in enumerate(shares, 1))
    assert proposal.shares_in(make_order(lines=tuple(ordered)), row) == expected


# What the gate is told.

NEW = Circumstances(
    stopped=None,
    mode=Mode.ASK,
    provenance=Provenance.A,
    known_history=True,
    machine="mill",
    component="mill/spindle-bearing",
    asked_by="mill",
    first_order_at_supplier=True,
    first_purchase_of_item=True,
    supplier_suspended=False,
    wanted={1: Quantity(Decimal(2), "C62")},
    last_prices={},
    quoted={1: PRICE},
    own_prices={"bearing-7014": PRICE},
    similar=(),
    plant_orders={"minute": 0, "hour": 0, "day": 0},
    supplier_orders={"minute": 0, "hour": 0, "day": 0},
    exposure={},
)


async def test_of_the_first_order_of_a_plant_nothing_is_known_but_its_want(asked):
    assert await told(asked) == NEW


async def test_the_gate_is_told_what_its_want_says(asked):
    columns = {"provenance": "B", "known": False, "mode": "advise", "machine": "lathe", "component": "lathe/x"}
    async with asked.database.write() as tx:
        await tx.execute(update(store.requisition).values(**columns, asked_by="anna", quantity=Decimal("1.5")))
    expected = replace(
        NEW, provenance=Provenance.B, known_history=False, mode=Mode.ADVISE, machine="lathe", component="lathe/x",
        asked_by="anna", wanted={1: Quantity(Decimal("1.5"), "C62")},
    )  # fmt: skip
    assert await told(asked) == expected


async def test_after_a_purchase_the_gate_knows_supplier_item_price_and_pace(asked, clock):
    first = await asked.order()
    await asked.approve()
    clock.forward(minutes=30)
    await asked.want(mode=Mode.ASK, life="life-2")
    assert [row.supplier for row in await asked.orders()] == ["supplier-1", "supplier-1"]
    once = {"minute": 0, "hour": 1, "day": 1}
    assert await told(asked) == replace(
        NEW, first_order_at_supplier=False, first_purchase_of_item=False, last_prices={"bearing-7014": PRICE},
        similar=(Similar(first.number, "bearing-7014", first.created_at, open=True),),
        plant_orders=once, supplier_orders=once, exposure={"EUR": 12_300},
    )  # fmt: skip
    assert await told(asked, ELSEWHERE) == NEW


async def test_at_another_supplier_both_are_new_and_the_price_is_known(asked, clock):
    await asked.approve()
    asked.suppliers["supplier-1"].price = Decimal("70.00")
    await asked.want(mode=Mode.ASK, life="life-2")
    assert (await asked.order()).supplier == "supplier-2"
    found = await told(asked)
    assert (found.first_order_at_supplier, found.first_purchase_of_item) == (True, True)
    assert found.last_prices == {"bearing-7014": PRICE}
    assert (found.plant_orders["minute"], found.supplier_orders["minute"]) == (1, 0)


async def test_the_last_price_is_that_of_the_newest_purchase_from_whomever(asked, clock):
    await asked.approve()
    clock.forward(days=1)
    asked.suppliers["supplier-1"].price = Decimal("70.00")
    asked.suppliers["supplier-2"].price = Decimal("65.00")
    await asked.want(life="life-2", mode=Mode.ASK)
    await asked.approve()
    clock.forward(days=1)
    asked.suppliers["supplier-1"].price = Decimal("60.00")
    await asked.want(life="life-3", mode=Mode.ASK)
    assert [row.supplier for row in await asked.orders()] == ["supplier-1", "supplier-2", "supplier-1"]
    found = await told(asked)
    assert found.last_prices == {"bearing-7014": UnitPrice(Decimal("65.00"), "EUR")}
    assert (found.first_order_at_supplier, found.first_purchase_of_item) == (False, False)


async def test_the_last_price_is_for_as_many_as_it_was(asked):
    await asked.approve()
    async with asked.database.write() as tx:
        await tx.execute(update(store.order_line).values(per=Decimal(100)))
    await asked.want(life="life-2", mode=Mode.ASK)
    assert (await told(asked)).last_prices == {"bearing-7014": UnitPrice(PRICE.amount, "EUR", Decimal(100))}


async def test_an_item_that_was_bought_of_another_is_new_here_and_the_supplier_is_not(asked):
    await asked.approve()
    async with asked.database.write() as tx:
        await tx.execute(update(store.order_line).values(item="another"))
    await asked.want(life="life-2", mode=Mode.ASK)
    found = await told(asked)
    assert (found.first_order_at_supplier, found.first_purchase_of_item) == (False, True)
    assert (found.last_prices, found.similar) == ({}, ())


@pytest.mark.parametrize("state", OrderState)
async def test_a_supplier_that_took_an_order_on_our_terms_is_no_stranger(asked, state):
    first = await asked.order()
    await asked.want(life="life-2", mode=Mode.ASK)
    await put(asked, first.number, state=state)
    stranger = state not in proposal.PROVEN
    found = await told(asked)
    assert (found.first_order_at_supplier, found.first_purchase_of_item) == (stranger, stranger)
    assert (found.last_prices == {}) == stranger


async def test_a_suspended_supplier_and_a_stop_are_told(asked, owner, clock):
    async with asked.database.write() as tx:
        await suspend(tx, owner, "supplier-1", "PRICE_DIFFERS", "another", clock())
        await suspend(tx, owner, "supplier-2", "PRICE_DIFFERS", "another", clock())
        halt, _new = await halts.put(tx, owner, PLANT, BY_PERSON, ANNA, clock())
    assert await told(asked) == replace(NEW, supplier_suspended=True, stopped=halt)


@pytest.mark.parametrize(
    ("scope", "stops"),
    [
        (Scope(ScopeKind.MACHINE, "mill"), True),
        (Scope(ScopeKind.COMPONENT, "mill/spindle-bearing"), True),
        (Scope(ScopeKind.SUPPLIER, "supplier-1"), True),
        (Scope(ScopeKind.MACHINE, "press"), False),
        (Scope(ScopeKind.COMPONENT, "mill/belt"), False),
        (Scope(ScopeKind.SUPPLIER, "supplier-2"), False),
    ],
    ids=str,
)
async def test_only_a_stop_that_covers_the_order_is_told(asked, owner, clock, scope, stops):
    async with asked.database.write() as tx:
        await halts.put(tx, owner, scope, BY_PERSON, ANNA, clock())
    assert ((await told(asked)).stopped is not None) == stops


async def quoted(plant, **columns):
    """What is told to have been quoted after the kept quotations were changed."""
    async with plant.database.write() as tx:
        await tx.execute(update(store.quotation).where(store.quotation.c.supplier == "supplier-1").values(**columns))
    return (await told(plant)).quoted


async def test_what_was_quoted_is_what_was_kept_and_not_what_the_order_says(asked):
    assert await quoted(asked, unit_price=Decimal("60.00"), per=Decimal(10)) == {
        1: UnitPrice(Decimal("60.00"), "EUR", Decimal(10))
    }
    assert await quoted(asked, currency="USD") == {1: UnitPrice(Decimal("60.00"), "USD", Decimal(10))}


@pytest.mark.parametrize("columns", [{"reference": "another"}, {"supplier": "supplier-9"}, {"unit_price": None}])
async def test_what_nobody_kept_of_this_offer_was_not_quoted(asked, columns):
    assert await quoted(asked, **columns) == {}


async def test_an_order_without_a_want_was_quoted_nothing(asked, make_order):
    order = make_order()
    bare = replace(order, lines=(replace(order.lines[0], requisitions=()),))
    async with asked.database.read() as tx:
        behind = await proposal.requisition_behind(
            tx, (await load(tx, asked.owner, (await asked.order()).number)).order
        )
        found = await proposal.circumstances_of(tx, asked.owner, bare, behind, asked.clock())
    assert (found.quoted, found.wanted) == ({}, {})


async def test_a_want_that_keeps_no_price_tells_none(asked):
    async with asked.database.write() as tx:
        await tx.execute(update(store.requisition).values(reason="{}"))
    assert (await told(asked)).own_prices == {}


async def test_the_plants_own_price_is_the_one_that_the_want_keeps(asked):
    async with asked.database.write() as tx:
        await tx.execute(update(store.requisition).values(reason='{"price": "8.05 USD"}', item="other"))
    assert (await told(asked)).own_prices == {"other": UnitPrice(Decimal("8.05"), "USD")}


@pytest.mark.parametrize("state", OrderState)
async def test_what_failed_is_not_similar_and_what_has_come_is_not_open(asked, state):
    first = await asked.order()
    await asked.want(life="life-2", mode=Mode.ASK)
    await put(asked, first.number, state=state)
    failed = state in ("denied", "expired", "rejected", "not_placed", "cancelled")
    here = state in ("received", "disputed", "closed")
    expected = () if failed else (Similar(first.number, "bearing-7014", first.created_at, open=not here),)
    assert (await told(asked)).similar == expected


@pytest.mark.parametrize(("moment", "similar"), [(0, False), (1, True)])
async def test_similar_are_the_orders_of_a_year_for_the_same_component(asked, clock, moment, similar):
    first = await asked.order()
    await asked.want(life="life-2", mode=Mode.ASK)
    await put(asked, first.number, created_at=clock() - timedelta(days=366) + timedelta(microseconds=moment))
    assert ([each.number for each in (await told(asked)).similar] == [first.number]) == similar
    async with asked.database.write() as tx:
        await tx.execute(update(store.requisition).where(store.requisition.c.life == "life-1").values(component="x"))
    assert (await told(asked)).similar == ()


# What stands behind it.


async def test_the_policy_in_force_is_the_one_applied_last_by_this_gateway(spend, owner, asked):
    async with spend.read() as tx:
        assert await proposal.policy_in_force(tx, owner) == 1
        assert await proposal.policy_in_force(tx, Owner(owner.plant, "G2")) == 0
        assert await proposal.policy_in_force(tx, ELSEWHERE) == 0
    await asked.apply_policy(window={"days": 30, "per_machine": "1900 EUR"})
    async with spend.read() as tx:
        assert await proposal.policy_in_force(tx, owner) == 2


async def test_behind_an_order_stands_the_first_want_that_it_serves(asked, row, make_order):
    await asked.want(life="life-2", mode=Mode.ASK)
    (line,) = make_order().lines
    async with asked.database.read() as tx:
        ids = (await tx.execute(select(store.requisition.c.id).order_by(store.requisition.c.created_at))).scalars()
        other = next(id for id in ids if id != row.id)
        order = make_order(lines=(replace(line, requisitions=(row.id, other)), replace(line, requisitions=(other,))))
        assert (await proposal.requisition_behind(tx, order)).id == row.id


def test_a_reason_is_read_back_from_its_row(row):
    assert proposal.reason_of(row)["price"] == "61.50 EUR"


async def test_a_want_of_which_nobody_offered_anything_has_no_order(make_plant):
    plant = await make_plant(AwaySupplier)
    await plant.want()
    assert await may_be_asked(plant) == set(NAMES)
