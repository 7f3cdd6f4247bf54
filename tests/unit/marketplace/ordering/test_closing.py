"""How an order whose goods are here comes to its end, and what of its money stays bound."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from marketplace import store
from marketplace.audit import log
from marketplace.authority.ledger import LedgerBroken
from marketplace.money import Money
from marketplace.ordering.answers import LineSum
from marketplace.ordering.closing import close_if_done
from marketplace.ordering.edges import problem
from tests.unit.marketplace.fakes import ANNA
from tests.unit.marketplace.ordering.test_inbox import invoice, take


@pytest.fixture
async def plant(make_plant):
    """Two bearings for 123 EUR are confirmed."""
    plant = await make_plant()
    await plant.want()
    return plant


@pytest.fixture
async def disputed(plant):
    """They are here, and the invoice is too high."""
    number = (await plant.order()).number
    await plant.purchasing.received(number, None, ANNA)
    assert await take(plant, invoice(plant, number, "130.00")) == "INVOICE_DIFFERS"
    return plant


async def settle(plant, paid=None, reason="we agreed on that"):
    return await plant.purchasing.settle((await plant.order()).number, ANNA, reason, paid)


async def bound(plant):
    (held,), (limit,) = await plant.rows(store.reservation), await plant.rows(store.spend_limit)
    assert held.minor == limit.machine_used
    return held.state, held.minor


async def leaf(plant, kind):
    async with plant.database.read() as tx:
        return (await log.entries(tx, (await plant.order()).number, 1, owner=plant.owner, kind=kind))[0]


async def test_a_person_settles_a_dispute_and_the_whole_stays_bound(disputed):
    act = await settle(disputed)
    assert (act.ok, act.code) == (True, "SETTLED")
    row = await disputed.order()
    assert (row.state, row.problem, row.next_ask_at) == ("closed", "", None)
    assert await bound(disputed) == ("committed", 12_300)
    said = await leaf(disputed, "order.closed")
    assert (said.actor, said.facts["code"], said.facts["settled"]) == (ANNA, "INVOICE_DIFFERS", "123.00 EUR")
    assert said.facts["note"]


async def test_what_is_not_paid_is_not_bound_any_more(disputed):
    assert (await settle(disputed, Money(100_00, "EUR"))).ok
    assert await bound(disputed) == ("committed", 10_000)
    assert (await leaf(disputed, "budget.reduced")).facts["before"] == "123.00 EUR"


async def test_nothing_at_all_may_be_paid(disputed):
    assert (await settle(disputed, Money(0, "EUR"))).ok
    assert await bound(disputed) == ("committed", 0)


@pytest.mark.parametrize("paid", [Money(123_01, "EUR"), Money(-1, "EUR"), Money(1, "USD")])
async def test_nothing_is_paid_beyond_what_was_ordered(disputed, paid):
    act = await settle(disputed, paid)
    assert (act.ok, act.code) == (False, "PAID_BEYOND_ORDER")
    assert await disputed.states() == ["disputed"]
    assert await bound(disputed) == ("committed", 12_300)


async def test_a_dispute_is_settled_with_a_reason(disputed):
    assert (await settle(disputed, reason="  ")).code == "REASON_MISSING"
    assert await disputed.states() == ["disputed"]


async def test_goods_without_an_invoice_can_be_closed(plant):
    assert (await settle(plant)).code == "NOT_SETTLABLE"
    await plant.purchasing.received((await plant.order()).number, None, ANNA)
    assert (await settle(plant, reason="they forgot it")).ok
    assert await plant.states() == ["closed"]
    assert (await settle(plant)).code == "NOT_SETTLABLE"


async def test_after_a_settlement_for_less_a_higher_invoice_is_shown_to_a_person(disputed):
    await settle(disputed, Money(100_00, "EUR"))
    number = (await disputed.order()).number
    assert await take(disputed, invoice(disputed, number, "100.00", name="I-2")) == "APPLIED"
    assert (await disputed.order()).problem == ""
    assert await take(disputed, invoice(disputed, number, "0.01", name="I-3")) == "INVOICE_AFTER_END"
    assert await disputed.states() == ["closed"]


async def test_the_corrected_invoice_settles_the_dispute_by_itself(disputed):
    number = (await disputed.order()).number
    assert await take(disputed, invoice(disputed, number, "100.00", name="I-2")) == "APPLIED"
    assert await disputed.states() == ["disputed"]
    assert await take(disputed, invoice(disputed, number, "23.00", name="I-3")) == "APPLIED"
    row = await disputed.order()
    assert (row.state, row.problem) == ("closed", "")
    assert (await leaf(disputed, "order.closed")).facts["answered"] == "INVOICE_DIFFERS"


async def test_an_invoice_that_is_corrected_before_the_goods_come_begins_no_dispute(plant):
    number = (await plant.order()).number
    await take(plant, invoice(plant, number, "130.00"))
    await take(plant, invoice(plant, number, "123.00", name="I-2"))
    assert (await plant.order()).problem == ""
    await plant.purchasing.received(number, None, ANNA)
    assert await plant.states() == ["closed"]


async def test_an_invoice_that_agrees_settles_no_dispute_about_goods(plant):
    number = (await plant.order()).number
    await plant.purchasing.received(number, {1: Decimal(3)}, ANNA)
    await take(plant, invoice(plant, number, "184.50"))
    assert await take(plant, invoice(plant, number, "123.00", name="I-2")) == "APPLIED"
    assert await plant.states() == ["disputed"]
    assert (await settle(plant, reason="the third went back")).ok


async def test_an_order_without_a_commitment_is_not_settled(disputed):
    number = (await disputed.order()).number
    async with disputed.database.write() as tx:
        await tx.execute(store.reservation.update().values(state="reserved"))
    with pytest.raises(LedgerBroken, match="no commitment"):
        await disputed.purchasing.settle(number, ANNA, "we agreed")
    assert await disputed.states() == ["disputed"]


async def put(plant, **columns):
    async with plant.database.write() as tx:
        await tx.execute(update(store.purchase_order).values(**columns))


async def done(plant, *lines, number=None):
    """Ask whether the order is at its end."""
    number = number or (await plant.order()).number
    async with plant.database.write() as tx:
        await close_if_done(tx, plant.owner, number, lines, ANNA, plant.clock())


TWO = Decimal(2)
ALL = LineSum(1, TWO, received=TWO, invoiced=TWO)


async def test_an_end_by_itself_says_who_told_the_last_word_and_when(plant):
    await plant.purchasing.received((await plant.order()).number, None, ANNA)
    plant.clock.forward(hours=1)
    await done(plant, ALL)
    row, said = await plant.order(), await leaf(plant, "order.closed")
    assert (row.state, row.changed_at, said.actor, said.at) == ("closed", plant.clock(), ANNA, plant.clock())
    assert said.facts == {"before": "received", "effect": "none"}


@pytest.mark.parametrize("code", ["DELIVERY_LATE", "INVOICE_MISSING"])
async def test_a_reminder_keeps_no_order_from_its_end(plant, code):
    await put(plant, state="received", problem=problem(code))
    await done(plant, ALL)
    assert await plant.states() == ["closed"]


@pytest.mark.parametrize(
    ("state", "code", "line"),
    [
        ("received", "", LineSum(1, TWO, received=TWO, invoiced=Decimal(1))),
        ("received", "PRICE_DIFFERS", ALL),
        ("shipped", "", ALL),
        ("disputed", "OVER_DELIVERY", ALL),
        ("disputed", "INVOICE_DIFFERS", LineSum(1, TWO, received=Decimal(3), invoiced=TWO)),
        ("disputed", "INVOICE_DIFFERS", LineSum(1, TWO, received=TWO, invoiced=Decimal(1))),
    ],
)
async def test_what_is_not_at_its_end_stays_as_it_is(plant, state, code, line):
    await put(plant, state=state, problem=problem(code) if code else "")
    before = await plant.order()
    await done(plant, line)
    assert await plant.order() == before


async def test_a_corrected_invoice_ends_the_dispute_and_nobody_is_asked_any_more(disputed):
    await put(disputed, next_ask_at=disputed.clock() + timedelta(days=1))
    disputed.clock.forward(hours=1)
    await done(disputed, ALL)
    row, said = await disputed.order(), await leaf(disputed, "order.closed")
    assert (row.state, row.problem, row.next_ask_at) == ("closed", "", None)
    assert (said.actor, said.at) == (ANNA, disputed.clock())
    assert said.facts == {"before": "disputed", "effect": "none", "answered": "INVOICE_DIFFERS"}


async def test_an_invoice_that_was_corrected_is_taken_back_from_its_order_alone(plant):
    await plant.want(life="life-2")
    noted = problem("INVOICE_DIFFERS")
    await put(plant, problem=noted)
    first, _second = await plant.orders()
    await done(plant, ALL, number=first.number)
    assert [row.problem for row in await plant.orders()] == ["", noted]
    assert await plant.states() == ["confirmed", "confirmed"]


async def test_a_settlement_says_what_is_paid_why_and_by_whom(disputed):
    await put(disputed, next_ask_at=disputed.clock() + timedelta(days=1))
    disputed.clock.forward(hours=1)
    assert (await settle(disputed, Money(100_00, "EUR"), reason="one was scratched")).ok
    row, said = await disputed.order(), await leaf(disputed, "order.closed")
    assert (row.problem, row.next_ask_at, row.changed_at) == ("", None, disputed.clock())
    (text,) = await disputed.rows(store.free_text)
    assert said.facts == {
        "before": "disputed", "effect": "none", "settled": "100.00 EUR", "code": "INVOICE_DIFFERS",
        "note": text.digest,
    }  # fmt: skip
    assert text.text == "one was scratched"
    cut = await leaf(disputed, "budget.reduced")
    assert (cut.actor, cut.at, cut.subject) == (ANNA, disputed.clock(), row.number)


async def test_everything_that_is_bound_may_be_paid_and_not_a_cent_more(disputed):
    assert (await settle(disputed, Money(123_00, "EUR"))).ok
    assert await bound(disputed) == ("committed", 12_300)
