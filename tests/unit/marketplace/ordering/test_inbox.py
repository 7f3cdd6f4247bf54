import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert, update

from gateway import views
from maintenance.needs import Provenance
from marketplace import stock, store
from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority import alarms
from marketplace.authority.alarms import AlarmTerms
from marketplace.authority.policy import Mode
from marketplace.documents import DespatchAdvice, GoodsReceipt, Invoice, Reply
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering import inbox
from marketplace.ordering.answers import fingerprint, kind_of, write
from marketplace.ordering.edges import problem
from marketplace.ordering.orders import insert_proposed, load
from marketplace.ordering.shares import Share
from marketplace.ordering.states import OrderState
from marketplace.store import Owner
from marketplace.suppliers.supplier import OutcomeUnknown
from tests.unit.marketplace.fakes import ANNA, SERVICE, AcceptingSupplier, DroppingSupplier, ReceivingSupplier

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


# What is kept, and what the leaves say.

HIS = "supplier:port:supplier-1"


async def leaves(plant, kind):
    """Of each leaf of a kind: whom it is about, who did it, what it says."""
    async with plant.database.read() as tx:
        found = await log.entries(tx, owner=plant.owner, kind=kind)
    return [(leaf.subject, inbox.write_actor(leaf.actor), leaf.facts) for leaf in found]


async def last_facts(plant, kind):
    """What the last leaf of a kind says, less what every edge tells."""
    facts = dict((await leaves(plant, kind))[-1][2])
    return {name: value for name, value in facts.items() if name not in ("before", "effect")}


async def noted(plant):
    kept = json.loads((await plant.order()).problem)
    return kept["code"], kept["parameters"]


async def put(plant, table=store.purchase_order, **columns):
    async with plant.database.write() as tx:
        await tx.execute(update(table).values(**columns))


async def keep(plant, answer, owner=None, actor=SUPPLIER, supplier="supplier-1"):
    async with plant.database.write() as tx:
        return await inbox.receive(tx, owner or plant.owner, supplier, answer, actor, plant.clock())


async def known(plant, answer, *, asked=False, owner=None, supplier="supplier-1"):
    async with plant.database.read() as tx:
        return await inbox.known(tx, owner or plant.owner, supplier, answer, asked=asked)


@pytest.mark.parametrize("actor", [SUPPLIER, ANNA, Actor(ActorKind.SUPPLIER, "a:b:c", "port")], ids=str)
def test_an_actor_comes_back_as_it_was_kept(actor):
    assert inbox.read_actor(inbox.write_actor(actor)) == actor


async def test_an_answer_is_kept_whole_before_it_counts(submitted):
    said = despatch(submitted, (await submitted.order()).number, name="Größe")
    found = await keep(submitted, said)
    (row,) = [row for row in await submitted.rows(store.inbox) if row.id == found.id]
    mark = fingerprint("supplier-1", "despatch", write(said))
    assert found.new
    assert dict(row._mapping) == {
        "id": found.id, "plant": "northworks", "gateway_id": "G1", "supplier": "supplier-1",
        "order_number": said.reference, "kind": "despatch", "fingerprint": mark,
        "document": json.dumps(write(said), sort_keys=True, ensure_ascii=False), "actor": HIS,
        "received_at": submitted.clock(), "applied_at": None, "verdict": "",
    }  # fmt: skip
    told = {"kind": "despatch", "supplier": "supplier-1", "fingerprint": mark}
    assert (await leaves(submitted, "answer.received"))[-1] == (said.reference, HIS, told)
    heard = (await submitted.rows(store.outbox))[-1]
    assert (heard.topic, heard.subject, heard.event) == ("answer", said.reference, "received")


async def test_the_same_words_are_kept_once_for_each_plant_and_supplier(submitted):
    said = despatch(submitted, (await submitted.order()).number)
    first = await keep(submitted, said)
    assert await keep(submitted, said) == inbox.Received(first.id, new=False)
    assert (await keep(submitted, said, owner=Owner("southworks", "G1"))).new
    assert (await keep(submitted, said, supplier="supplier-2")).new
    assert not (await keep(submitted, said, owner=Owner("northworks", "G2"))).new


async def test_an_endless_reference_is_kept_as_far_as_its_column_goes(submitted):
    reference = "X" * 100
    assert await take(submitted, await confirmation(submitted, reference=reference)) == "UNKNOWN_REFERENCE"
    row = (await submitted.rows(store.inbox))[-1]
    assert (row.order_number, json.loads(row.document)["reference"]) == ("X" * 64, reference)


async def test_what_is_known_of_an_answer_is_final_once_it_was_applied(submitted):
    said = await confirmation(submitted)
    assert await known(submitted, said) is None
    kept = await keep(submitted, said)
    assert await known(submitted, said) == inbox.Known(kept.id, "")
    assert await take(submitted, said) == "APPLIED"
    assert await known(submitted, said) == inbox.Known(kept.id, "APPLIED")
    assert await known(submitted, said, asked=True) == inbox.Known(kept.id, "")
    assert await known(submitted, said, owner=Owner("southworks", "G1")) is None
    assert await known(submitted, said, supplier="supplier-2") is None
    assert await known(submitted, said, owner=Owner("northworks", "G2")) is not None


async def test_goods_are_known_for_good_even_when_they_were_asked_for(confirmed):
    said = despatch(confirmed, (await confirmed.order()).number)
    await take(confirmed, said)
    kept = (await confirmed.rows(store.inbox))[-1]
    assert await known(confirmed, said, asked=True) == inbox.Known(kept.id, "APPLIED")
    assert await take(confirmed, said, asked=True) == "APPLIED"
    (line,) = await confirmed.rows(store.order_line)
    assert line.shipped == 2


async def test_whatever_waits_for_an_order_is_found_oldest_first(submitted):
    number = (await submitted.order()).number
    kept = [await keep(submitted, despatch(submitted, number, "1", name)) for name in ("D-1", "D-2", "D-3")]
    await keep(submitted, despatch(submitted, "another"))
    await keep(submitted, despatch(submitted, number, "1", "D-4"), owner=Owner("southworks", "G1"))
    await keep(submitted, despatch(submitted, number, "1", "D-5"), owner=Owner("northworks", "G2"))
    async with submitted.database.write() as tx:
        await tx.execute(update(store.inbox).where(store.inbox.c.id == kept[1].id).values(applied_at=submitted.clock()))
        found = await inbox.waiting(tx, submitted.owner, number)
    assert [(row.id, row.order_number) for row in found] == [(kept[0].id, number), (kept[2].id, number)]


async def test_what_became_of_an_answer_is_in_its_row_and_leaf(submitted):
    number, said = (await submitted.order()).number, await confirmation(submitted)
    await keep(submitted, said)
    submitted.clock.forward(hours=1)
    await take(submitted, said)
    row = (await submitted.rows(store.inbox))[-1]
    assert (row.verdict, row.applied_at, row.received_at) == (
        "APPLIED", submitted.clock(), submitted.clock() - timedelta(hours=1),
    )  # fmt: skip
    told = {"kind": "response", "supplier": "supplier-1", "fingerprint": row.fingerprint, "verdict": "APPLIED"}
    assert (await leaves(submitted, "answer.applied"))[-1] == (number, HIS, told)
    await take(submitted, replace(said, reason="again"))
    row = (await submitted.rows(store.inbox))[-1]
    told = {"kind": "response", "supplier": "supplier-1", "fingerprint": row.fingerprint, "verdict": "REPEATED"}
    assert (await leaves(submitted, "answer.set_aside"))[-1] == (number, HIS, told)


async def test_goods_that_were_early_are_applied_with_the_confirmation_at_its_time(submitted):
    number = (await submitted.order()).number
    await take(submitted, despatch(submitted, number))
    submitted.clock.forward(hours=1)
    await take(submitted, await confirmation(submitted))
    early, _said = sorted((await submitted.rows(store.inbox))[-2:], key=lambda row: row.kind)
    assert (early.kind, early.verdict, early.applied_at) == ("despatch", "APPLIED", submitted.clock())


async def test_an_answer_that_changes_nothing_lets_early_ones_wait(submitted):
    number = (await submitted.order()).number
    await take(submitted, despatch(submitted, number))
    await take(submitted, await confirmation(submitted, reply=Reply.RECEIVED, lines=()))
    assert await verdicts(submitted) == ["APPLIED", "", "REPEATED"]


# What an answer does to its order.


async def test_a_mere_receipt_is_what_became_of_a_send(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    await put(plant, problem=problem("REFERENCE_TAKEN"), next_ask_at=plant.clock())
    number = (await plant.order()).number
    told = await confirmation(plant, reply=Reply.RECEIVED, lines=(), order_hash=(await plant.order()).order_hash)
    assert await take(plant, told) == "APPLIED"
    row = await plant.order()
    assert (row.state, row.supplier_reference, row.promised_at) == ("submitted", "supplier-1-1", told.promised_at)
    assert (row.problem, row.next_ask_at, row.changed_at) == ("", None, plant.clock())
    said = {"before": "unknown", "effect": "none", "reply": "received", "supplier_reference": "supplier-1-1"}
    assert await leaves(plant, "order.submitted") == [(number, HIS, said)]


async def test_a_mere_receipt_of_what_was_received_is_repeated(submitted):
    assert await take(submitted, await confirmation(submitted, reply=Reply.RECEIVED, lines=())) == "REPEATED"
    await take(submitted, await confirmation(submitted))
    assert await take(submitted, await confirmation(submitted, reply=Reply.RECEIVED, reason="?")) == "REPEATED"
    assert await submitted.states() == ["confirmed"]


@pytest.mark.parametrize("state", ["submitting", "submitted", "unknown"])
async def test_a_confirmation_settles_whatever_was_open(submitted, state):
    await put(submitted, state=state, problem=problem("BROKE"), next_ask_at=submitted.clock())
    said = await confirmation(submitted)
    assert await take(submitted, said) == "APPLIED"
    row = await submitted.order()
    assert (row.state, row.problem, row.next_ask_at) == ("confirmed", "", None)
    assert (row.supplier_reference, row.promised_at) == ("supplier-1-1", said.promised_at)
    told = {"before": state, "effect": "commit", "reply": "confirmed", "supplier_reference": "supplier-1-1"}
    assert await leaves(submitted, "order.confirmed") == [(row.number, HIS, told)]


async def test_only_a_person_confirms_what_waits_for_a_person(submitted):
    await put(submitted, state="needs_person", problem=problem("OUTCOME_UNKNOWN"))
    assert await take(submitted, await confirmation(submitted)) == "WAITS_FOR_PERSON"
    assert await take(submitted, await confirmation(submitted, reason="by phone"), actor=ANNA) == "APPLIED"
    row = await submitted.order()
    assert (row.state, row.problem) == ("confirmed", "")
    assert (await leaves(submitted, "order.confirmed"))[-1][1] == "person:socket:anna"
    (line,) = await submitted.rows(store.order_line)
    assert line.confirmed == 2


async def test_a_promise_moves_with_the_supplier_even_when_goods_have_left(confirmed):
    number = (await confirmed.order()).number
    await take(confirmed, despatch(confirmed, number))
    later = confirmed.clock() + timedelta(days=9)
    assert await take(confirmed, await confirmation(confirmed, promised_at=later)) == "APPLIED"
    assert await take(confirmed, await confirmation(confirmed, promised_at=None)) == "REPEATED"
    row = await confirmed.order()
    assert (row.state, row.promised_at) == ("shipped", later)


async def test_a_promise_is_that_of_its_order_alone(confirmed):
    first = await confirmed.order()
    await confirmed.want(life="life-2")
    later = confirmed.clock() + timedelta(days=9)
    await take(confirmed, await confirmation(confirmed, promised_at=later))
    assert [row.promised_at for row in await confirmed.orders()] == [first.promised_at, later]


async def test_a_promise_for_goods_that_are_here_is_repeated(confirmed):
    await confirmed.purchasing.received((await confirmed.order()).number, None, ANNA)
    later = confirmed.clock() + timedelta(days=9)
    assert await take(confirmed, await confirmation(confirmed, promised_at=later)) == "REPEATED"


async def cancelling(plant):
    await put(plant, state="cancelling", next_ask_at=plant.clock())


async def test_still_on_counts_when_we_asked(confirmed):
    await cancelling(confirmed)
    assert await take(confirmed, await confirmation(confirmed, reason="?")) == "REPEATED"
    assert await take(confirmed, await confirmation(confirmed, reason="still on"), asked=True) == "APPLIED"
    row = await confirmed.order()
    assert (row.state, row.next_ask_at) == ("confirmed", None)
    assert await last_facts(confirmed, "order.confirmed") == {
        "reply": "confirmed", "supplier_reference": "supplier-1-1",
    }  # fmt: skip


async def test_a_cancellation_that_is_confirmed_frees_money_shelf_and_slot(confirmed):
    await cancelling(confirmed)
    assert await take(confirmed, await confirmation(confirmed, reply=Reply.REJECTED)) == "APPLIED"
    row, behind = await confirmed.order(), await confirmed.requisition()
    assert (row.state, row.next_ask_at, behind.state) == ("cancelled", None, "withdrawn")
    told = {"before": "cancelling", "effect": "release", "reply": "rejected", "supplier_reference": "supplier-1-1"}
    assert await leaves(confirmed, "order.cancelled") == [(row.number, HIS, told)]
    (shelf,) = await confirmed.rows(store.stock_item)
    (hold,) = await confirmed.rows(store.slot_hold)
    assert (shelf.in_transit, hold.until) == (0, confirmed.clock() + confirmed.terms.hold)
    assert (await leaves(confirmed, "requisition.withdrawn"))[-1][1] == HIS


async def test_of_what_came_before_a_cancellation_only_the_rest_is_expected_no_more(confirmed):
    await confirmed.want(life="life-2")
    first = (await confirmed.orders())[0].number
    await confirmed.purchasing.received(first, {1: Decimal("0.5")}, ANNA)
    async with confirmed.database.write() as tx:
        await inbox.goods_will_not_come(tx, confirmed.owner, await load(tx, confirmed.owner, first))
    (shelf,) = await confirmed.rows(store.stock_item)
    assert (shelf.in_transit, shelf.on_hand) == (2, Decimal("0.5"))


async def test_an_order_of_which_too_much_came_takes_nothing_from_what_others_expect(confirmed):
    await confirmed.want(life="life-2")
    first = (await confirmed.orders())[0].number
    await confirmed.purchasing.received(first, {1: Decimal(3)}, ANNA)
    async with confirmed.database.write() as tx:
        await inbox.goods_will_not_come(tx, confirmed.owner, await load(tx, confirmed.owner, first))
    (shelf,) = await confirmed.rows(store.stock_item)
    assert shelf.in_transit == 2


@pytest.mark.parametrize("state", ["submitting", "submitted", "unknown"])
async def test_a_no_ends_what_was_open_and_the_want_is_quoted_after_a_while(submitted, state):
    await put(submitted, state=state, next_ask_at=submitted.clock())
    said = await confirmation(submitted, reply=Reply.REJECTED)
    assert await take(submitted, said) == "APPLIED"
    row, behind = await submitted.order(), await submitted.requisition()
    assert (row.state, row.next_ask_at, row.supplier_reference) == ("rejected", None, "supplier-1-1")
    assert row.promised_at == said.promised_at
    told = {"before": state, "effect": "release", "reply": "rejected", "supplier_reference": "supplier-1-1"}
    assert await leaves(submitted, "order.rejected") == [(row.number, HIS, told)]
    assert (behind.state, behind.quoting_after) == ("needed", submitted.clock() + submitted.terms.ask_again)
    assert (await leaves(submitted, "requisition.needed"))[-1][1] == HIS


async def test_a_no_to_a_second_send_is_a_persons(submitted):
    await put(submitted, state="submitting", last_sent_at=submitted.clock() + timedelta(hours=1))
    assert await take(submitted, await confirmation(submitted, reply=Reply.REJECTED)) == "REJECTED_AFTER_UNKNOWN"
    assert (await noted(submitted), await submitted.states()) == (("REJECTED_AFTER_UNKNOWN", {}), ["needs_person"])


@pytest.mark.parametrize(
    ("state", "code", "after"),
    [
        ("confirmed", "REJECTED_AFTER_CONFIRMATION", "needs_person"),
        ("needs_person", "WAITS_FOR_PERSON", "needs_person"),
        ("shipped", "REJECTED_TOO_LATE", "shipped"),
        ("received", "REJECTED_TOO_LATE", "received"),
        ("closed", "REJECTED_TOO_LATE", "closed"),
    ],
)
async def test_a_no_comes_too_late_for_what_is_on(confirmed, state, code, after):
    await put(confirmed, state=state, next_ask_at=confirmed.clock())
    assert await take(confirmed, await confirmation(confirmed, reply=Reply.REJECTED)) == code
    assert await confirmed.states() == [after]
    if state == "confirmed":
        row = await confirmed.order()
        assert (await noted(confirmed), row.next_ask_at) == ((code, {}), None)
        assert await last_facts(confirmed, "order.needs_person") == {"code": code, "parameters": {}}


async def test_other_terms_are_told_in_figures_with_the_suppliers_reference_and_as_an_alarm(make_plant):
    plant = await make_plant(ReceivingSupplier)
    plant.terms = replace(plant.terms, alarms=AlarmTerms(timedelta(minutes=7)))
    plant.restart()
    await plant.want()
    await put(plant, next_ask_at=plant.clock())
    said = dearer(await confirmation(plant, supplier_reference="S-9"))
    assert await take(plant, said) == "PRICE_DIFFERS"
    row, figures = await plant.order(), {"line": "1", "ordered": "61.50 EUR", "answered": "61.51 EUR"}
    assert (await noted(plant), row.supplier_reference) == (("PRICE_DIFFERS", figures), "S-9")
    assert row.next_ask_at is None
    assert await last_facts(plant, "order.needs_person") == {"code": "PRICE_DIFFERS", "parameters": figures}
    async with plant.database.read() as tx:
        (alarm,) = await alarms.open_alarms(tx, plant.owner)
    assert (alarm.code, alarm.subject, alarm.parameters["order"]) == ("OTHER_TERMS", "supplier-1", row.number)
    assert (alarm.parameters["code"], alarm.acknowledge_by) == (
        "PRICE_DIFFERS", plant.clock() + timedelta(minutes=7),
    )  # fmt: skip
    (status,) = await plant.rows(store.supplier_status)
    assert (status.supplier, status.reason, status.changed_at) == ("supplier-1", "PRICE_DIFFERS", plant.clock())


@pytest.mark.parametrize("state", ["shipped", "received", "closed", "cancelling", "needs_person"])
async def test_other_terms_of_what_cannot_be_stopped_any_more_are_noted(confirmed, state):
    await put(confirmed, state=state)
    assert await take(confirmed, dearer(await confirmation(confirmed))) == "PRICE_DIFFERS"
    figures = {"line": "1", "ordered": "61.50 EUR", "answered": "61.51 EUR"}
    assert (await noted(confirmed), await confirmed.states()) == (("PRICE_DIFFERS", figures), [state])


async def test_under_a_taken_number_only_the_orders_hash_says_that_it_is_ours(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    await put(plant, problem=problem("REFERENCE_TAKEN"))
    assert await take(plant, await confirmation(plant)) == "REFERENCE_TAKEN"
    assert (await plant.states(), await noted(plant)) == (["needs_person"], ("REFERENCE_TAKEN", {}))
    assert await plant.rows(store.supplier_status) == []
    await put(plant, state="unknown")
    ours = await confirmation(plant, order_hash=(await plant.order()).order_hash)
    assert await take(plant, ours) == "APPLIED"
    assert await plant.states() == ["confirmed"]


async def test_under_a_taken_number_a_person_may_say_that_it_is_ours(make_plant):
    plant = await make_plant(DroppingSupplier)
    await plant.want()
    await put(plant, problem=problem("REFERENCE_TAKEN"))
    assert await take(plant, await confirmation(plant), actor=ANNA) == "APPLIED"


@pytest.mark.parametrize(("state", "noted_code"), [("submitted", "REFERENCE_TAKEN"), ("unknown", "OUTCOME_UNKNOWN")])
async def test_a_number_is_taken_only_while_its_outcome_is_unknown_and_marked_so(submitted, state, noted_code):
    await put(submitted, state=state, problem=problem(noted_code))
    assert await take(submitted, await confirmation(submitted)) == "APPLIED"


# Answers out of time.


@pytest.mark.parametrize("state", ["proposed", "awaiting_approval", "approved"])
async def test_an_answer_to_what_was_not_sent_is_shown_with_what_it_was(confirmed, state):
    number = (await confirmed.order()).number
    for table in (store.booking, store.reservation):
        await put(confirmed, table, state="reserved")
    await put(confirmed, state=state, authority="policy", decided_by="G1", rule="WITHIN_LIMITS")
    assert await take(confirmed, despatch(confirmed, number)) == "ANSWER_BEFORE_SENDING"
    row = await confirmed.order()
    assert await noted(confirmed) == ("ANSWER_BEFORE_SENDING", {"kind": "despatch", "state": state})
    if state == "approved":
        assert (row.state, row.authority, row.decided_by) == ("awaiting_approval", "", "")
        assert row.rule == "ANSWER_BEFORE_SENDING"
        assert (await leaves(confirmed, "order.awaiting_approval"))[-1][:2] == (number, HIS)
    else:
        assert (row.state, row.rule) == (state, "WITHIN_LIMITS")


@pytest.mark.parametrize("state", ["denied", "expired", "rejected", "not_placed", "cancelled"])
async def test_an_answer_after_an_end_without_goods_is_shown_and_a_no_is_none(confirmed, state):
    number = (await confirmed.order()).number
    await put(confirmed, state=state)
    assert await take(confirmed, await confirmation(confirmed, reply=Reply.REJECTED)) == "REPEATED"
    assert (await confirmed.order()).problem == ""
    assert await take(confirmed, invoice(confirmed, number)) == "ANSWER_AFTER_END"
    assert await noted(confirmed) == ("ANSWER_AFTER_END", {"kind": "invoice", "state": state})
    assert await confirmed.states() == [state]


async def test_a_date_far_away_stops_what_is_open_with_the_suppliers_reference(submitted):
    far = submitted.clock() + timedelta(days=500)
    assert (
        await take(submitted, await confirmation(submitted, promised_at=far, supplier_reference="S-9"))
        == "DATE_FAR_AWAY"
    )
    assert (await noted(submitted), (await submitted.order()).supplier_reference) == (
        ("DATE_FAR_AWAY", {"kind": "response"}), "S-9",
    )  # fmt: skip
    told = {"code": "DATE_FAR_AWAY", "parameters": {"kind": "response"}}
    assert await last_facts(submitted, "order.needs_person") == told


async def test_a_date_far_away_about_what_is_on_is_noted_unless_something_worse_is(confirmed):
    number, far = (await confirmed.order()).number, confirmed.clock() + timedelta(days=500)
    assert await take(confirmed, await confirmation(confirmed, promised_at=far)) == "DATE_FAR_AWAY"
    assert (await noted(confirmed), await confirmed.states()) == (
        ("DATE_FAR_AWAY", {"kind": "response"}),
        ["confirmed"],
    )
    await put(confirmed, problem=problem("INVOICE_DIFFERS"))
    assert await take(confirmed, replace(despatch(confirmed, number), expected_at=far)) == "DATE_FAR_AWAY"
    assert await noted(confirmed) == ("INVOICE_DIFFERS", {})
    await put(confirmed, problem=problem("DELIVERY_LATE"))
    assert await take(confirmed, replace(invoice(confirmed, number), issued_at=far)) == "DATE_FAR_AWAY"
    assert await noted(confirmed) == ("DATE_FAR_AWAY", {"kind": "invoice"})


async def test_a_receipt_counts_whoever_the_supplier_is_said_to_be(confirmed):
    number = (await confirmed.order()).number
    receipt = GoodsReceipt(number, "R-1", {1: Decimal(1)}, confirmed.clock(), "anna", "")
    assert await take(confirmed, receipt, supplier="supplier-9", actor=ANNA) == "APPLIED"
    (line,) = await confirmed.rows(store.order_line)
    assert line.received == 1


@pytest.mark.parametrize("state", ["submitting", "submitted", "unknown", "needs_person"])
async def test_goods_and_bills_of_what_is_not_confirmed_wait(submitted, state):
    number = (await submitted.order()).number
    await put(submitted, state=state)
    assert await take(submitted, despatch(submitted, number)) == inbox.WAITS
    assert await take(submitted, invoice(submitted, number)) == inbox.WAITS
    (line,) = await submitted.rows(store.order_line)
    assert (line.shipped, line.invoiced) == (0, 0)


# Goods leave.


async def test_a_despatch_moves_the_order_and_says_what_left(confirmed):
    number = (await confirmed.order()).number
    await put(confirmed, next_ask_at=confirmed.clock())
    assert await take(confirmed, despatch(confirmed, number, "0.5", "D-1")) == "APPLIED"
    assert (await confirmed.order()).next_ask_at is not None
    assert await take(confirmed, despatch(confirmed, number, "1.50", "D-2")) == "APPLIED"
    told = {"before": "confirmed", "effect": "none", "despatch": "D-2", "lines": {"1": "1.5"}}
    assert await leaves(confirmed, "order.shipped") == [(number, HIS, told)]
    assert (await confirmed.order()).next_ask_at is None
    (line,) = await confirmed.rows(store.order_line)
    assert line.shipped == 2


@pytest.mark.parametrize(("quantity", "after"), [("1", "confirmed"), ("2", "shipped")])
async def test_goods_that_left_during_a_cancellation_end_it(confirmed, quantity, after):
    number = (await confirmed.order()).number
    await cancelling(confirmed)
    assert await take(confirmed, despatch(confirmed, number, quantity)) == "APPLIED"
    row = await confirmed.order()
    assert (row.state, row.next_ask_at) == (after, None)
    assert await last_facts(confirmed, f"order.{after}") == {"despatch": "D-1", "lines": {"1": quantity}}


@pytest.mark.parametrize("state", ["shipped", "received", "disputed", "closed"])
async def test_more_that_leaves_later_is_noted_on_the_line_and_moves_nothing(confirmed, state):
    await put(confirmed, state=state)
    assert await take(confirmed, despatch(confirmed, (await confirmed.order()).number, "5")) == "APPLIED"
    (line,) = await confirmed.rows(store.order_line)
    assert (line.shipped, await confirmed.states()) == (5, [state])


# Bills.


async def test_a_bill_for_too_much_says_what_was_ordered_and_what_is_billed_in_all(confirmed):
    number = (await confirmed.order()).number
    await take(confirmed, invoice(confirmed, number, "100.00"))
    assert await take(confirmed, invoice(confirmed, number, "23.01", name="I-2")) == "INVOICE_DIFFERS"
    figures = {"ordered": "123.00 EUR", "invoiced": "123.01 EUR", "invoice": "I-2"}
    assert (await noted(confirmed), await confirmed.states()) == (("INVOICE_DIFFERS", figures), ["confirmed"])


@pytest.mark.parametrize(
    ("amount", "currency", "told"), [("123.00", "USD", "123.00 USD"), ("-0.01", "EUR", "-0.01 EUR")]
)
async def test_a_bill_in_another_currency_or_below_zero_disputes_goods_that_are_here(confirmed, amount, currency, told):
    number = (await confirmed.order()).number
    await confirmed.purchasing.received(number, None, ANNA)
    assert await take(confirmed, invoice(confirmed, number, amount, currency)) == "INVOICE_DIFFERS"
    figures = {"ordered": "123.00 EUR", "invoiced": told, "invoice": "I-1"}
    assert (await noted(confirmed), await confirmed.states()) == (("INVOICE_DIFFERS", figures), ["disputed"])
    assert await leaves(confirmed, "order.disputed") == [
        (number, HIS, {"before": "received", "effect": "none", "code": "INVOICE_DIFFERS", "parameters": figures})
    ]


async def test_a_bill_for_nothing_is_no_dispute(confirmed):
    number = (await confirmed.order()).number
    assert await take(confirmed, invoice(confirmed, number, "0.00")) == "APPLIED"
    (line,) = await confirmed.rows(store.order_line)
    assert line.invoiced == 0


async def test_what_is_billed_is_of_this_order_and_of_bills_that_agreed(confirmed):
    first = (await confirmed.order()).number
    await take(confirmed, invoice(confirmed, first, "100.00"))
    await take(confirmed, invoice(confirmed, first, "30.00", name="I-2"))
    await confirmed.want(life="life-2")
    second = (await confirmed.order()).number
    assert await take(confirmed, invoice(confirmed, second, "123.00", name="I-3")) == "APPLIED"
    assert await take(confirmed, invoice(confirmed, first, "23.00", name="I-4")) == "APPLIED"
    assert [line.invoiced for line in await confirmed.rows(store.order_line)] == [2, 2]


async def test_a_bill_after_the_end_is_measured_by_what_is_still_bound(confirmed):
    number = (await confirmed.order()).number
    await confirmed.purchasing.received(number, None, ANNA)
    assert (await confirmed.purchasing.settle(number, ANNA, "we agreed", Money(100_00, "EUR"))).ok
    assert await take(confirmed, invoice(confirmed, number, "100.01")) == "INVOICE_AFTER_END"
    figures = {"ordered": "100.00 EUR", "invoiced": "100.01 EUR", "invoice": "I-1"}
    assert await noted(confirmed) == ("INVOICE_AFTER_END", figures)
    assert await take(confirmed, invoice(confirmed, number, "100.00", name="I-2")) == "APPLIED"


@pytest.mark.parametrize("state", [state for state in OrderState if state not in ("confirmed", "shipped")])
async def test_nothing_that_a_supplier_repeats_reopens_what_is_past_it(confirmed, state):
    """Whatever the state: the same confirmation, heard before and not asked for, moves nothing."""
    (said,) = confirmed.suppliers["supplier-1"].answers[(await confirmed.order()).number]
    assert kind_of(said) == "response"
    await put(confirmed, state=state)
    before = await confirmed.order()
    assert await take(confirmed, said) == "APPLIED"
    assert await confirmed.order() == before


# A part, and a person's word about it.

BOB = Actor(ActorKind.PERSON, "bob", "form")


@pytest.fixture
async def partly(submitted):
    """Two were ordered, and half of one is confirmed."""
    said = await confirmation(submitted)
    line = replace(said.lines[0], quantity=Quantity(Decimal("0.5"), "C62"))
    assert await take(submitted, replace(said, lines=(line,), total=Money.of("30.75", "EUR"))) == "PARTLY_CONFIRMED"
    submitted.clock.forward(hours=1)
    return submitted


async def line_and_shelf(plant):
    (line,), (shelf,) = await plant.rows(store.order_line), await plant.rows(store.stock_item)
    return line.quantity, line.confirmed, shelf.in_transit


async def accept(plant):
    return (await plant.purchasing.accept_part((await plant.order()).number, BOB, "it will do")).ok


async def test_a_part_is_kept_on_the_line_and_expected_and_told_in_figures(partly):
    assert await line_and_shelf(partly) == (2, Decimal("0.5"), Decimal("0.5"))
    row = await partly.order()
    assert await noted(partly) == ("PARTLY_CONFIRMED", {"ordered": "1: 2", "answered": "1: 0.5"})
    assert (row.state, row.supplier_reference) == ("needs_person", "supplier-1-1")
    assert [each.state for each in await partly.rows(store.booking)] == ["reserved"]


async def test_a_part_that_is_taken_cuts_line_share_and_money_and_the_rest_is_needed_again(partly):
    number, first, at = (await partly.order()).number, await partly.requisition(), partly.clock()
    assert await accept(partly)
    assert await line_and_shelf(partly) == (Decimal("0.5"), Decimal("0.5"), Decimal("0.5"))
    assert [row.quantity for row in await partly.rows(store.line_requisition)] == [Decimal("0.5")]
    async with partly.database.read() as tx:
        (cut,) = await log.entries(tx, owner=partly.owner, kind="budget.reduced")
    told = {"send": 1, "amount": "30.75 EUR", "by_person": False, "before": "123.00 EUR"}
    assert (cut.subject, cut.actor, cut.at, cut.facts) == (number, BOB, at, told)
    wanted = {row.quantity: row for row in await partly.rows(store.requisition)}
    assert set(wanted) == {Decimal("0.5"), Decimal("1.5")}
    rest = wanted[Decimal("1.5")]
    assert (wanted[Decimal("0.5")].id, rest.state, rest.quoting_after) == (first.id, "needed", None)
    assert (rest.created_at, rest.attempt_group) == (at, 1)
    assert (await leaves(partly, "requisition.raised"))[-1][:2] == (rest.id, "person:form:bob")
    assert await partly.states() == ["confirmed"]
    assert await leaves(partly, "order.shipped") == []


async def test_a_part_that_is_here_already_is_received_with_the_persons_word(partly):
    number = (await partly.order()).number
    await partly.purchasing.received(number, {1: Decimal("0.5")}, ANNA)
    assert await accept(partly)
    told = {"before": "confirmed", "effect": "none"}
    assert await leaves(partly, "order.received") == [(number, "person:form:bob", told)]
    row = await partly.order()
    assert (row.state, row.changed_at) == ("received", partly.clock())
    assert await line_and_shelf(partly) == (Decimal("0.5"), Decimal("0.5"), 0)


async def test_a_part_that_is_here_and_billed_is_closed_with_the_persons_word(partly):
    number = (await partly.order()).number
    await partly.purchasing.received(number, {1: Decimal("0.5")}, ANNA)
    await put(partly, store.order_line, invoiced=Decimal("0.5"))
    assert await accept(partly)
    told = {"before": "received", "effect": "none"}
    assert await leaves(partly, "order.closed") == [(number, "person:form:bob", told)]
    assert (await partly.order()).changed_at == partly.clock()


async def test_of_more_than_was_agreed_no_more_counts(partly):
    assert await accept(partly)
    await put(partly, store.order_line, confirmed=Decimal(2))
    await put(partly, store.stock_item, in_transit=Decimal(2))
    number = (await partly.order()).number
    async with partly.database.write() as tx:
        stored = await load(tx, partly.owner, number)
        await inbox.take_part(tx, partly.owner, stored, BOB, partly.clock())
    assert await line_and_shelf(partly) == (Decimal("0.5"), Decimal("0.5"), Decimal("0.5"))


async def test_what_a_part_takes_back_is_not_expected_any_more(confirmed):
    assert await line_and_shelf(confirmed) == (2, 2, 2)
    said = await confirmation(confirmed)
    line = replace(said.lines[0], quantity=Quantity(Decimal("0.5"), "C62"))
    await take(confirmed, replace(said, lines=(line,), total=Money.of("30.75", "EUR")))
    assert await line_and_shelf(confirmed) == (2, Decimal("0.5"), Decimal("0.5"))


async def test_of_what_is_here_already_no_more_is_expected_when_it_is_confirmed(submitted):
    await put(submitted, store.order_line, received=Decimal("0.5"))
    await take(submitted, await confirmation(submitted))
    assert await line_and_shelf(submitted) == (2, 2, Decimal("1.5"))


async def test_a_service_is_confirmed_and_expected_on_no_shelf(make_plant):
    plant = await make_plant()
    await plant.want(SERVICE)
    (line,) = await plant.rows(store.order_line)
    assert (line.confirmed, await plant.rows(store.stock_item)) == (1, [])


async def test_each_line_is_expected_for_itself_whatever_its_neighbours_are(confirmed, make_order, now):
    """A service, then two lines of goods: all are confirmed, and then none will come."""
    await confirmed.want(SERVICE)
    ids = {row.item: row.id for row in await confirmed.rows(store.requisition)}
    (line,) = make_order().lines
    service = replace(line, requisitions=(ids["calibration"],))
    goods = replace(line, number=2, requisitions=(ids["bearing-7014"],))
    order = make_order("G1-0009-Z", lines=(service, goods, replace(goods, number=3)))
    shares = tuple(Share(each.number, each.requisitions[0], Decimal(1)) for each in order.lines)
    async with confirmed.database.write() as tx:
        owner, proven = confirmed.owner, {"machine": "mill", "provenance": Provenance.A, "at": now}
        await insert_proposed(tx, owner, order, shares, **proven)
        stored = await load(tx, owner, order.number)
        expected = []
        for act in (inbox.confirm_lines, inbox.goods_will_not_come):
            await act(tx, owner, stored)
            expected.append((await stock.shelf(tx, owner, "bearing-7014")).in_transit)
    assert expected == [2 + 4, 2]
