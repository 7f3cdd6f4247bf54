from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from gateway.actions import HandAnswer, HandReply, Outcome
from maintenance.store import keep_report
from maintenance.symptoms import Report
from marketplace import store
from marketplace.money import Money
from marketplace.ordering.edges import problem


async def hash_of(made, number: str) -> str:
    return str((await made.purchasing.sending.row(number)).order_hash)


async def test_approving_sends_exactly_what_was_shown(made, anna):
    number = made.numbers["dear"]
    page = await anna.post(f"/orders/{number}/approve", order_hash=await hash_of(made, number))
    assert page.path == "/"
    assert f"Order {number} is approved" in page.text
    row = await made.purchasing.sending.row(number)
    assert (row.state, row.authority, row.decided_by) == ("confirmed", "person", "anna")
    assert made.shops[row.supplier].orders.count(number) == 1


async def test_approving_twice_buys_once(made, anna):
    number = made.numbers["dear"]
    shown = await hash_of(made, number)
    await anna.post(f"/orders/{number}/approve", order_hash=shown)
    page = await anna.post(f"/orders/{number}/approve", order_hash=shown)
    assert page.status == 409
    assert "no longer waits" in page.text
    assert sum(shop.orders.count(number) for shop in made.shops.values()) == 1


@pytest.mark.parametrize("verdict", ["approve", "deny"])
async def test_a_decision_on_another_order_than_the_one_shown_does_not_count(made, anna, verdict):
    number = made.numbers["dear"]
    page = await anna.post(f"/orders/{number}/{verdict}", order_hash="0" * 64, note="too dear")
    assert page.status == 409
    assert "look at it again" in page.text
    assert (await made.purchasing.sending.row(number)).state == "awaiting_approval"


async def test_rejecting_sends_nothing_and_keeps_the_note(made, anna):
    number = made.numbers["dear"]
    page = await anna.post(f"/orders/{number}/deny", order_hash=await hash_of(made, number), note="We have one.")
    assert "is rejected" in page.text
    assert (await made.purchasing.sending.row(number)).state == "denied"
    assert "We have one." in (await anna.get(f"/orders/{number}")).text
    assert all(number not in shop.orders for shop in made.shops.values())


async def test_who_may_not_approve_is_refused_by_the_server_too(made, anna):
    await anna.sign_in(made, "jonas")
    number = made.numbers["dear"]
    for act in ("approve", "deny", "cancel"):
        page = await anna.post(f"/orders/{number}/{act}", order_hash=await hash_of(made, number))
        assert page.status == 403
        assert "Jonas Brandt may not do this" in page.text
    assert (await made.purchasing.sending.row(number)).state == "awaiting_approval"


async def test_what_came_of_an_act_is_said_once(made, anna):
    number = made.numbers["dear"]
    await anna.post(f"/orders/{number}/deny", order_hash=await hash_of(made, number))
    assert "is rejected" not in (await anna.get("/")).text


async def test_an_order_can_be_called_off(made, anna):
    number = made.numbers["plain"]
    page = await anna.post(f"/orders/{number}/cancel")
    assert "is cancelled" in page.text
    assert (await made.purchasing.sending.row(number)).state == "cancelled"


async def test_what_was_set_apart_is_shown_and_taken_up_again(made, anna):
    number, now = made.numbers["shipped"], datetime(2026, 3, 2, tzinfo=UTC)
    noted = problem("QUARANTINED", {"error": "KeyError"})
    async with made.spend.write() as tx:
        (wanted,) = (await tx.execute(select(store.requisition.c.id).limit(1))).all()
        for table, key, subject in (
            (store.purchase_order, store.purchase_order.c.number, number),
            (store.requisition, store.requisition.c.id, wanted.id),
        ):
            await tx.execute(update(table).where(key == subject).values(quarantined_at=now, failures=5, problem=noted))
    page = await anna.get("/")
    assert page.text.count("failed at it again and again (KeyError)") == 2
    for subject in (number, wanted.id):
        page = await anna.post(f"/release/{subject}")
        assert f"{subject} is taken up again" in page.text
    assert "again and again" not in (await anna.get("/")).text
    assert (await made.purchasing.sending.row(number)).quarantined_at is None


async def test_goods_are_counted_in_by_line(made, anna):
    number = made.numbers["shipped"]
    page = await anna.post(f"/orders/{number}/received", **{"line-1": "2"})
    assert "is entered" in page.text
    assert (await made.purchasing.sending.row(number)).state == "received"


async def test_an_order_whose_goods_are_here_is_settled_with_a_reason_and_a_sum(made, anna):
    number = made.numbers["shipped"]
    await anna.post(f"/orders/{number}/received", **{"line-1": "2"})
    assert "Settle it" in (await anna.get(f"/orders/{number}")).text
    assert "They confirmed it" not in (await anna.get(f"/orders/{number}/answer")).text
    assert (await anna.post(f"/orders/{number}/answer", reply="settled", reason="")).status == 422
    page = await anna.post(f"/orders/{number}/answer", reply="settled", total="100", reason="a discount")
    assert page.path == f"/orders/{number}"
    said = HandAnswer(HandReply.SETTLED, "", Money(10_000, "EUR"), None, "a discount")
    assert made.actions.entered == [("answered", number, said, "anna", "web")]


async def test_choosing_an_order_that_arrived_leads_to_its_lines(made, anna):
    number = made.numbers["shipped"]
    assert number in (await anna.get("/enter/received")).text
    page = await anna.get(f"/enter/received?number={number}")
    assert page.path == f"/orders/{number}/received"
    assert (await anna.get("/enter/received?number=https://evil.example")).path == "/enter/received"


async def test_a_supplier_who_was_called_is_entered_with_price_and_date(made, anna):
    number = made.numbers["shipped"]
    page = await anna.post(
        f"/orders/{number}/answer",
        reply="confirmed", supplier_reference="AB-1", total="270.5", promised="2026-03-09", reason="said Mr Huber",
    )  # fmt: skip
    assert page.path == f"/orders/{number}"
    answer = HandAnswer(
        HandReply.CONFIRMED, "AB-1", Money(27_050, "EUR"), datetime(2026, 3, 9, 11, tzinfo=UTC), "said Mr Huber"
    )
    assert made.actions.entered == [("answered", number, answer, "anna", "web")]


@pytest.mark.parametrize(
    ("path", "form", "entered"),
    [
        ("reading", {"component": "bench-drill/belt", "value": " 1234 h "}, ("bench-drill/belt", "1234 h")),
        ("reading", {"component": "mill/coolant", "value": "9 h", "clock": "on"}, ("mill/coolant", "9 h", "on")),
        ("stock", {"item": "coolant-5l", "quantity": "3,5"}, ("coolant-5l", "3.5")),
        ("fitted", {"component": "mill/coolant", "used": "0 h"}, ("mill/coolant", "", "0 h", "")),
        ("fitted", {"component": "mill/coolant", "serial": "S1", "note": "n"}, ("mill/coolant", "S1", None, "n")),
        ("fitted", {"component": "mill/coolant", "found": "worn"}, ("mill/coolant", "", None, "", "worn")),
    ],
)
async def test_what_people_enter_goes_to_the_actions_with_their_id(bare, stranger, path, form, entered):
    await stranger.sign_in(bare, "jonas")
    page = await stranger.post(f"/enter/{path}", **form)
    assert page.path == "/enter"
    assert "Entered." in page.text
    assert bare.actions.entered == [(path, *entered, "jonas", "web")]


@pytest.mark.parametrize(
    ("path", "form", "said"),
    [
        ("reading", {"component": "mill/coolant"}, "“Reading” is missing."),
        ("reading", {"component": "press/none", "value": "1 h"}, "choose one of the list"),
        ("stock", {"item": "coolant-5l", "quantity": "many"}, "“many” is not a number."),
        ("stock", {"item": "coolant-5l", "quantity": "-1"}, "not below zero"),
        ("stock", {"item": "coolant-5l", "quantity": "NaN"}, "is not a number"),
        ("fitted", {"component": "mill/coolant", "serial": "x" * 201}, "longer than 200 characters"),
    ],
)
async def test_what_cannot_be_read_is_shown_again_with_why(bare, stranger, path, form, said):
    await stranger.sign_in(bare)
    page = await stranger.post(f"/enter/{path}", **form)
    assert page.status == 422
    assert said in page.text
    assert "Nothing was entered." in page.text
    assert bare.actions.entered == []


@pytest.mark.parametrize(
    ("path", "form", "act"),
    [
        ("symptom", {"symptom": "squeals"}, ("symptom", "squeals")),
        ("symptom", {"symptom": "squeals", "words": " smells "}, ("symptom", "smells")),
        ("symptom/over", {"symptom": "squeals"}, ("symptom_over", "squeals")),
    ],
)
async def test_a_symptom_is_reported_on_the_page_of_its_component(bare, stranger, path, form, act):
    await stranger.sign_in(bare, "jonas")
    shown = (await stranger.get("/machines/mill/coolant")).text
    assert 'action="/machines/mill/coolant/symptom"' in shown
    page = await stranger.post(f"/machines/mill/coolant/{path}", **form)
    assert page.path == "/machines/mill/coolant"
    assert bare.actions.entered == [(act[0], "mill/coolant", act[1], "jonas", "web")]


async def test_a_page_lists_what_people_report_and_what_may_be_said(bare, stranger):
    mill = bare.context.machines["mill"]
    said = replace(mill, components=tuple(replace(each, symptoms=("<squeals>",)) for each in mill.components))
    bare.context.machines["mill"] = said
    async with bare.spend.write() as tx:
        await keep_report(tx, bare.context.owner, "mill/coolant", Report("smells & foams", bare.clock(), "jonas"))
    await stranger.sign_in(bare, "jonas")
    text = (await stranger.get("/machines/mill/coolant")).text
    assert "<option>&lt;squeals&gt;</option>" in text
    assert '<input type="hidden" name="symptom" value="smells &amp; foams">' in text


async def test_a_refusal_is_shown_with_what_was_typed(bare, stranger):
    await stranger.sign_in(bare)
    bare.actions.answer = Outcome(False, "UNIT_DIFFERS", "The reading is in h, the component counts cycles.")
    page = await stranger.post("/enter/reading", component="mill/coolant", value="77 h")
    assert page.status == 422
    assert "the component counts cycles" in page.text
    assert 'value="77 h"' in page.text
    assert '<option value="mill/coolant" selected>' in page.text


async def test_quantities_that_say_nothing_arrived_are_refused(made, anna):
    page = await anna.post(f"/orders/{made.numbers['shipped']}/received", **{"line-1": "0"})
    assert page.status == 422
    assert "Nothing arrived then" in page.text


async def test_who_may_not_operate_enters_nothing(bare, stranger):
    anna = bare.context.people["anna"]
    bare.context.people["anna"] = type(anna)(anna.id, anna.name, frozenset({"approve"}), anna.approval_limit)
    await stranger.sign_in(bare)
    assert "does not let you enter" in (await stranger.get("/enter/stock")).text
    assert (await stranger.post("/enter/stock", item="coolant-5l", quantity="1")).status == 403
    assert bare.actions.entered == []
