import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert

from gateway import views
from marketplace import store
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority.policy import Mode
from marketplace.documents import DespatchAdvice, Invoice, Reply
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering import inbox
from marketplace.ordering.orders import load
from marketplace.suppliers.supplier import OutcomeUnknown
from tests.unit.marketplace.fakes import ANNA, AcceptingSupplier, DroppingSupplier, ReceivingSupplier

SUPPLIER = Actor(ActorKind.SUPPLIER, "supplier-1", "port")


async def take(plant, document, supplier="supplier-1", **how):
    return await plant.purchasing.sending.take(supplier, document, **how)


async def confirmation(plant, **changes):
    row = await plant.order()
    async with plant.database.read() as tx:
        order = (await load(tx, plant.owner, row.number)).order
    return replace(AcceptingSupplier.response(plant.suppliers["supplier-1"], order.document()), **changes)


def despatch(plant, number, quantity="2", name="D-1"):
    return DespatchAdvice(number, name, {1: Decimal(quantity)}, plant.clock(), None)


def invoice(plant, number, amount="123.00", currency="EUR", name="I-1"):
    return Invoice(number, name, Money.of(amount, currency), plant.clock())


@pytest.fixture
async def submitted(make_plant):
    """An order that the supplier has, and has not confirmed yet."""
    plant = await make_plant(ReceivingSupplier)
    await plant.want()
    return plant


@pytest.fixture
async def confirmed(make_plant):
    plant = await make_plant()
    await plant.want()
    return plant


async def verdicts(plant):
    return [row.verdict for row in sorted(await plant.rows(store.inbox), key=lambda row: row.id)]


async def test_the_same_answer_counts_once(confirmed):
    number = (await confirmed.order()).number
    for _ in range(3):
        assert await take(confirmed, despatch(confirmed, number, "1")) == "APPLIED"
    (line,) = await confirmed.rows(store.order_line)
    assert line.shipped == 1
    assert len(await confirmed.rows(store.inbox)) == 2


async def test_a_confirmation_commits_the_money_and_expects_the_goods(submitted):
    assert [row.state for row in await submitted.rows(store.booking)] == ["reserved"]
    assert await take(submitted, await confirmation(submitted)) == "APPLIED"
    row = await submitted.order()
    assert (row.state, row.supplier_reference) == ("confirmed", "supplier-1-1")
    assert row.promised_at == submitted.clock() + timedelta(days=5)
    assert [row.state for row in await submitted.rows(store.booking)] == ["committed"]
    (line,) = await submitted.rows(store.order_line)
    (shelf,) = await submitted.rows(store.stock_item)
    assert (line.confirmed, shelf.in_transit) == (2, 2)


async def test_a_rejection_days_later_frees_the_money_and_the_want(submitted):
    submitted.clock.forward(days=2)
    assert await take(submitted, await confirmation(submitted, reply=Reply.REJECTED)) == "APPLIED"
    assert await submitted.states() == ["rejected"]
    assert [row.state for row in await submitted.rows(store.booking)] == ["released"]
    assert (await submitted.requisition()).state == "needed"


async def test_goods_told_before_the_confirmation_wait_for_it(submitted):
    number = (await submitted.order()).number
    assert await take(submitted, despatch(submitted, number)) == inbox.WAITS
    assert await submitted.states() == ["submitted"]
    assert await take(submitted, await confirmation(submitted)) == "APPLIED"
    assert await submitted.states() == ["shipped"]


async def test_lines_decide_when_an_order_has_left(confirmed):
    number = (await confirmed.order()).number
    await take(confirmed, despatch(confirmed, number, "1"))
    assert await confirmed.states() == ["confirmed"]
    await take(confirmed, despatch(confirmed, number, "1", "D-2"))
    assert await confirmed.states() == ["shipped"]


@pytest.mark.parametrize(
    ("quantities", "code"),
    [({2: Decimal(1)}, "UNKNOWN_LINE"), ({1: Decimal(-1)}, "ODD_QUANTITY"), ({}, "UNKNOWN_LINE")],
)
async def test_an_odd_despatch_is_set_aside_and_kept(confirmed, quantities, code):
    number = (await confirmed.order()).number
    advice = DespatchAdvice(number, "D-9", quantities, confirmed.clock(), None)
    assert await take(confirmed, advice) == code
    assert await confirmed.states() == ["confirmed"]
    assert await verdicts(confirmed) == ["APPLIED", code]


async def test_an_answer_about_nobodys_order_is_kept(confirmed):
    assert await take(confirmed, await confirmation(confirmed, reference="TC-ZZ-000009-X")) == "UNKNOWN_REFERENCE"
    assert await verdicts(confirmed) == ["APPLIED", "UNKNOWN_REFERENCE"]


async def test_one_supplier_cannot_speak_for_another(submitted):
    assert await take(submitted, await confirmation(submitted), supplier="supplier-2") == "OTHER_SUPPLIER"
    assert await submitted.states() == ["submitted"]


async def test_a_repeated_confirmation_changes_nothing_but_the_promise(confirmed):
    later = (await confirmed.order()).promised_at + timedelta(days=3)
    assert await take(confirmed, await confirmation(confirmed, reason="again")) == "REPEATED"
    assert await take(confirmed, await confirmation(confirmed, promised_at=later)) == "APPLIED"
    row = await confirmed.order()
    assert (row.state, row.promised_at) == ("confirmed", later)
    (shelf,) = await confirmed.rows(store.stock_item)
    assert shelf.in_transit == 2


async def test_other_terms_after_the_confirmation_stop_the_order(confirmed):
    said = await confirmation(confirmed)
    assert await take(confirmed, replace(said, total=Money(1, "EUR"))) == "TOTAL_DIFFERS"
    assert await confirmed.states() == ["needs_person"]


async def test_a_rejection_after_the_confirmation_is_for_a_person(confirmed):
    assert await take(confirmed, await confirmation(confirmed, reply=Reply.REJECTED)) == "REJECTED_AFTER_CONFIRMATION"
    assert await confirmed.states() == ["needs_person"]
    assert [row.state for row in await confirmed.rows(store.booking)] == ["committed"]


async def test_a_supplier_cannot_settle_what_waits_for_a_person(confirmed):
    await take(confirmed, await confirmation(confirmed, reply=Reply.REJECTED))
    assert await take(confirmed, await confirmation(confirmed, reason="we changed our mind")) == "WAITS_FOR_PERSON"
    assert await confirmed.states() == ["needs_person"]


async def test_an_answer_to_an_order_that_has_ended_is_seen_and_never_lost(make_plant):
    plant = await make_plant(ReceivingSupplier)
    await plant.want()
    await take(plant, await confirmation(plant, reply=Reply.REJECTED))
    assert await take(plant, await confirmation(plant)) == "ANSWER_AFTER_END"
    row = await plant.order()
    assert row.state == "rejected"
    assert "ANSWER_AFTER_END" in row.problem


async def test_an_answer_to_an_order_that_was_not_sent_stops_it(make_plant):
    plant = await make_plant()
    await plant.want(mode=Mode.ASK)
    assert await take(plant, await confirmation(plant)) == "ANSWER_BEFORE_SENDING"
    row = await plant.order()
    assert row.state == "awaiting_approval"
    assert "ANSWER_BEFORE_SENDING" in row.problem


async def test_the_same_words_settle_an_unknown_order_when_they_answer_our_question(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    said = await confirmation(plant)
    async with plant.database.write() as tx:  # it was heard before, and set aside
        kept = await inbox.receive(tx, plant.owner, "supplier-1", said, SUPPLIER, plant.clock())
        await tx.execute(store.inbox.update().values(applied_at=plant.clock(), verdict="REPEATED"))
    assert await take(plant, said) == "REPEATED"
    assert await plant.states() == ["unknown"]
    assert await take(plant, said, asked=True) == "APPLIED"
    assert await plant.states() == ["confirmed"]
    assert kept.new


async def test_an_invoice_that_agrees_closes_what_has_come(confirmed):
    number = (await confirmed.order()).number
    assert await take(confirmed, invoice(confirmed, number)) == "APPLIED"
    assert await confirmed.states() == ["confirmed"]
    await confirmed.purchasing.received(number, None, ANNA)
    assert await confirmed.states() == ["closed"]


async def test_invoices_in_parts_add_up(confirmed):
    number = (await confirmed.order()).number
    await confirmed.purchasing.received(number, None, ANNA)
    await take(confirmed, invoice(confirmed, number, "100.00"))
    assert await confirmed.states() == ["received"]
    await take(confirmed, invoice(confirmed, number, "23.00", name="I-2"))
    assert await confirmed.states() == ["closed"]


@pytest.mark.parametrize(("amount", "currency"), [("123.01", "EUR"), ("123.00", "USD")])
@pytest.mark.parametrize("first", ["goods", "invoice"])
async def test_an_invoice_that_does_not_agree_is_disputed(confirmed, amount, currency, first):
    number = (await confirmed.order()).number
    acts = [
        confirmed.purchasing.received(number, None, ANNA),
        take(confirmed, invoice(confirmed, number, amount, currency)),
    ]
    for act in acts if first == "goods" else reversed(acts):
        await act
    row = await confirmed.order()
    assert row.state == "disputed"
    assert "INVOICE_DIFFERS" in row.problem


async def test_a_despatch_ends_a_cancellation_that_came_too_late(make_plant):
    plant = await make_plant()
    await plant.want()
    number = (await plant.order()).number

    async def asked_and_silent(reference):
        raise TimeoutError

    plant.suppliers["supplier-1"].cancel = asked_and_silent
    assert (await plant.purchasing.cancel(number, ANNA)).code == "CANCELLATION_UNKNOWN"
    assert await plant.states() == ["cancelling"]
    assert await take(plant, despatch(plant, number)) == "APPLIED"
    assert await plant.states() == ["shipped"]


async def test_what_cannot_be_read_back_is_set_aside(confirmed):
    number = (await confirmed.order()).number
    row = {"supplier": "supplier-1", "order_number": number, "kind": "response", "fingerprint": "f", "document": "{}"}
    async with confirmed.database.write() as tx:
        actor = inbox.write_actor(SUPPLIER)
        await tx.execute(
            insert(store.inbox).values(
                **row, actor=actor, received_at=confirmed.clock(), verdict="", **confirmed.owner.columns
            )
        )
    await confirmed.reconciliation.run_once()
    assert await verdicts(confirmed) == ["APPLIED", "UNREADABLE"]


async def test_what_was_kept_before_a_crash_is_applied_after_it(submitted):
    said = await confirmation(submitted)
    async with submitted.database.write() as tx:
        await inbox.receive(tx, submitted.owner, "supplier-1", said, SUPPLIER, submitted.clock())
    submitted.restart()
    await submitted.reconciliation.run_once()
    assert await submitted.states() == ["confirmed"]


# Bad input: each has its rule, and nothing of it moves money, goods or another order.


def dearer(said):
    return replace(said, lines=(replace(said.lines[0], unit_price=UnitPrice(Decimal("61.51"), "EUR")),))


def cheaper(said):
    return replace(said, lines=(replace(said.lines[0], unit_price=UnitPrice(Decimal("61.49"), "EUR")),))


def more(said):
    return replace(said, lines=(replace(said.lines[0], quantity=Quantity(Decimal(200), "C62")),))


def boxes(said):
    return replace(said, lines=(replace(said.lines[0], quantity=Quantity(Decimal(2), "BX")),))


def dollars(said):
    return replace(said, total=Money(said.total.minor, "USD"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (dearer, "PRICE_DIFFERS"),
        (cheaper, "PRICE_DIFFERS"),
        (more, "QUANTITY_DIFFERS"),
        (boxes, "UNIT_DIFFERS"),
        (dollars, "CURRENCY_DIFFERS"),
        (lambda said: replace(said, order_hash="0" * 64), "ORDER_DIFFERS"),
        (lambda said: replace(said, lines=()), "LINES_DIFFER"),
    ],
)
async def test_an_answer_on_other_terms_stops_the_order_and_suspends_the_supplier(submitted, change, code):
    assert await take(submitted, change(await confirmation(submitted))) == code
    assert await submitted.states() == ["needs_person"]
    (status,) = await submitted.rows(store.supplier_status)
    assert (status.suspended, status.reason) == (True, code)
    assert [row.state for row in await submitted.rows(store.booking)] == ["reserved"]


async def test_an_answer_for_another_order_moves_neither(make_plant):
    """Asked about one order, the supplier answers about another of ours: for that one nobody had asked."""
    plant = await make_plant()
    await plant.want()
    first = (await plant.order()).number
    supplier = plant.suppliers["supplier-1"]

    async def unknown(reference):
        raise OutcomeUnknown(reference)

    supplier.cancel = unknown
    await plant.purchasing.cancel(first, ANNA)
    said = supplier.answers[first][0]

    async def answer_about_the_first(permit):
        supplier.accept(permit)
        return said

    supplier.place = answer_about_the_first
    await plant.want(life="life-2")
    assert await plant.states() == ["cancelling", "unknown"]


async def test_an_answer_twice_counts_once_however_it_comes(submitted):
    said = await confirmation(submitted)
    assert await take(submitted, said) == "APPLIED"
    assert await take(submitted, said) == "APPLIED"  # what became of it, not once more
    assert await take(submitted, replace(said, reason="as I said")) == "REPEATED"
    (shelf,) = await submitted.rows(store.stock_item)
    assert (shelf.in_transit, [row.state for row in await submitted.rows(store.booking)]) == (2, ["committed"])


async def test_an_answer_years_after_the_end_is_shown_to_a_person_until_they_have_seen_it(submitted):
    await take(submitted, await confirmation(submitted, reply=Reply.REJECTED))
    number = (await submitted.order()).number
    said = await confirmation(submitted)
    submitted.clock.forward(days=3 * 365)
    assert await take(submitted, said) == "ANSWER_AFTER_END"
    assert await submitted.states() == ["rejected"]
    async with submitted.database.read() as tx:
        assert [view.number for view in await views.waiting(tx, submitted.owner)] == [number]
    assert (await submitted.purchasing.release(number, ANNA)).ok
    async with submitted.database.read() as tx:
        assert await views.waiting(tx, submitted.owner) == []


async def test_a_second_invoice_after_the_end_is_shown_to_a_person(confirmed):
    number = (await confirmed.order()).number
    await confirmed.purchasing.received(number, None, ANNA)
    await take(confirmed, invoice(confirmed, number))
    assert await confirmed.states() == ["closed"]
    assert await take(confirmed, invoice(confirmed, number, name="I-2")) == "INVOICE_AFTER_END"
    assert await confirmed.states() == ["closed"]
    async with confirmed.database.read() as tx:
        assert [view.problem[0] for view in await views.waiting(tx, confirmed.owner)] == ["INVOICE_AFTER_END"]


@pytest.mark.parametrize("days", [-4000, 500, 27000])
async def test_a_confirmation_with_a_date_far_away_is_a_persons(submitted, days):
    promised = submitted.clock() + timedelta(days=days)
    assert await take(submitted, await confirmation(submitted, promised_at=promised)) == "DATE_FAR_AWAY"
    row = await submitted.order()
    assert (row.state, row.promised_at) == ("needs_person", None)


async def test_goods_and_bills_with_a_date_far_away_are_set_aside(confirmed):
    number = (await confirmed.order()).number
    then = confirmed.clock() - timedelta(days=3650)
    assert await take(confirmed, replace(despatch(confirmed, number), shipped_at=then)) == "DATE_FAR_AWAY"
    assert await take(confirmed, replace(invoice(confirmed, number), issued_at=then)) == "DATE_FAR_AWAY"
    (line,) = await confirmed.rows(store.order_line)
    assert (line.shipped, line.invoiced, await confirmed.states()) == (0, 0, ["confirmed"])
    async with confirmed.database.read() as tx:
        (view,) = await views.waiting(tx, confirmed.owner)
    assert (view.number, view.releasable) == (number, True)


def odd(number):
    """Texts that a careless comparison would take for a number."""
    return [
        f" {number}", f"{number} ", f"{number}\n", number.lower(), number.replace("-", "\u2010"), f"{number}\u200b",
        f"{number}\x00", f"{number}%", "%", "_" * len(number), number.replace("O", "0").replace("0", "O", 1),
        f"{number}'; DROP TABLE purchase_order; --", "\ud800", "Ｔ" + number[1:], f"{number}{number}", "",
    ]  # fmt: skip


async def test_a_reference_with_odd_characters_is_never_matched_loosely(submitted):
    number = (await submitted.order()).number
    for reference in odd(number):
        verdict = await take(submitted, await confirmation(submitted, reference=reference))
        assert verdict in ("UNKNOWN_REFERENCE", "REFERENCE_ODD"), reference
    assert await submitted.states() == ["submitted"]
    assert await take(submitted, await confirmation(submitted)) == "APPLIED"


@pytest.mark.parametrize("field", ["supplier_reference", "sku"])
async def test_control_characters_in_what_is_kept_are_refused(submitted, field):
    said = await confirmation(submitted)
    if field == "sku":
        said = replace(said, lines=(replace(said.lines[0], sku="A\x1b[2J"),))
    else:
        said = replace(said, supplier_reference="A\u202e1")
    assert await take(submitted, said) == "REFERENCE_ODD"
    assert await submitted.states() == ["submitted"]


async def test_a_reason_is_kept_readable(submitted):
    assert await take(submitted, await confirmation(submitted, reason="yes\x07\ud800!")) == "APPLIED"
    kept = [json.loads(row.document) for row in await submitted.rows(store.inbox)]
    assert kept[-1]["reason"] == "yes  !"


@pytest.mark.parametrize("quantity", ["1E+999999", "1E-999999", "1000000000000", "NaN"])
async def test_a_quantity_beyond_all_measure_is_refused_before_it_is_written(confirmed, quantity):
    number = (await confirmed.order()).number
    before = len(await confirmed.rows(store.inbox))
    advice = DespatchAdvice(number, "D-9", {1: Decimal(quantity)}, confirmed.clock(), None)
    assert await take(confirmed, advice) == "ODD_QUANTITY"
    assert len(await confirmed.rows(store.inbox)) == before
