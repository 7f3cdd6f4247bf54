"""Pages at a plant with history, on its first day, and with a supplier who writes markup."""

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import structlog
from sqlalchemy import insert, update

from connectors.samples import Batch, Provenance, Quality, Sample
from gateway.learning.kinds import Kind, Wearing
from gateway.learning.ledger import keep
from gateway.learning.phases import Phase
from gateway.learning.standing import Standing
from gateway.live import Link
from maintenance.assets import Found, Life
from maintenance.needs import JobKind, JobLine
from maintenance.store import close_life, open_life, save_needs
from marketplace import store
from marketplace.audit import epochs
from marketplace.audit.notary import Notary
from tests.showcase.data import NOW, PARTS, need_of, picture_of
from tests.unit.gateway.learning.plants import seal
from tests.unit.marketplace.fakes import ANNA

BARE = ["/", "/machines", "/machines/mill", "/machines/mill/coolant", "/machines/bench-drill", "/orders", "/audit",
        "/enter", "/enter/reading", "/enter/fitted", "/enter/stock", "/enter/received"]  # fmt: skip


@pytest.mark.parametrize("path", BARE)
async def test_a_page_of_the_first_day_says_what_to_do(bare, stranger, path):
    await stranger.sign_in(bare)
    page = await stranger.get(path)
    assert page.status == 200
    assert "Traceback" not in page.text
    assert '<html lang="en">' in page.text


async def test_every_page_of_a_plant_with_history_is_shown_whole(made, anna):
    numbers = made.numbers.values()
    paths = [
        *BARE,
        *(f"/orders/{number}{part}" for number in numbers for part in ("", "/decide", "/answer", "/received")),
    ]
    for path in paths:
        page = await anna.get(path)
        assert page.status == 200, path
        assert page.text.count("<main") == 1
        assert page.text.count("<h1") == 1, path
        assert not re.search(r"\{\{|\{%|%\(\w+\)s|Undefined", page.text), path


async def test_a_component_shows_its_job_and_how_each_line_is_covered(made, anna):
    need = need_of(PARTS["mill/spindle-bearing"], NOW)
    visit = JobLine("visit", "calibration", Decimal(1), "C62", JobKind.SERVICE)
    told = replace(
        need,
        lines=(*need.lines, visit),
        duration=timedelta(hours=6),
        tools=("bearing heater", "<b>wrench</b>"),
        skills=("spindle alignment",),
    )
    async with made.telemetry.write() as tx:
        await save_needs(tx, [(told, picture_of(PARTS["mill/spindle-bearing"], NOW))])
    text = re.sub(r"<[^>]*>|\s+", " ", (await anna.get("/machines/mill/spindle-bearing")).text)
    text = " ".join(text.split()).replace("\N{NO-BREAK SPACE}", " ")
    assert "Takes 6 h" in text
    assert "Tools bearing heater, &lt;b&gt;wrench&lt;/b&gt; Skills spindle alignment" in text
    assert f"2 wanted, 2 on its way with {made.numbers['shipped']} (" in text
    assert "Service calibration: 1 wanted, 1 to be bought" in text
    text = (await anna.get("/machines/mill/coolant")).text.replace("\N{NO-BREAK SPACE}", " ")
    assert "on the shelf" in text


async def test_the_inbox_shows_supplier_items_total_and_why(made, anna):
    text = (await anna.get("/")).text
    assert "Gear motor 1.5 kW" in text
    assert "Machine maker&#39;s service" in text
    assert "996.80\N{NO-BREAK SPACE}EUR" in text
    assert "above the limit of 500.00 EUR" in text
    assert "unprotected connection" in text
    assert f"/orders/{made.numbers['dear']}/decide" in text


async def test_the_decision_page_carries_the_hash_of_what_it_shows(made, anna):
    number = made.numbers["dear"]
    text = (await anna.get(f"/orders/{number}/decide")).text
    row = await made.purchasing.sending.row(number)
    assert text.count(f'name="order_hash" value="{row.order_hash}"') == 2
    assert "Approve 996.80" in text


async def test_who_may_not_approve_sees_no_button_for_it(made, anna):
    await anna.sign_in(made, "jonas")
    text = (await anna.get(f"/orders/{made.numbers['dear']}/decide")).text
    assert "/approve" not in text
    assert "does not let you approve" in text
    assert "Review and decide" not in (await anna.get("/")).text


async def test_the_decision_page_shows_what_was_believed_when_it_was_ordered_and_not_what_is_believed_now(made, anna):
    path, part = f"/orders/{made.numbers['dear']}/decide", PARTS["conveyor/motor"]
    before = (await anna.get(path)).text
    assert "What was believed then: Conveyor 12, Gear motor" in before
    assert "What would have changed the advice" in before
    assert before.count("<title>Conveyor 12, Gear motor, as it was then</title>") == 2
    another = replace(part, median=900.0, limit=77.0)
    async with made.telemetry.write() as tx:
        await save_needs(tx, [(need_of(another, NOW), picture_of(part, NOW))])
    assert re.findall("<desc>.*?</desc>", (await anna.get(path)).text) == re.findall("<desc>.*?</desc>", before)


async def test_an_order_is_decided_even_where_the_telemetry_store_is_broken(made, anna):
    async with made.telemetry.write() as tx:
        await tx.exec_driver_sql("DROP TABLE need")
    page = await anna.get(f"/orders/{made.numbers['dear']}/decide")
    assert (page.status, "no longer kept" in page.text, "Approve 996.80" in page.text) == (200, True, True)


async def test_a_component_explains_itself_by_weight_in_a_picture_and_by_what_would_change_the_advice(made, anna):
    text = (await anna.get("/machines/compressor/oil-filter")).text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Reasons, the heaviest first" in text
    assert "It has run 1782 of 2000 h." in text
    assert "89 % of the way to worn out" in text
    assert "as likely as not by 2026-03-09" in text
    assert "Such a part usually lasts" in text
    assert re.search(r"<li>It could wait (until [-0-9]+ )?if [a-z ]+ [0-9.]+", text)
    assert text.count('class="risk half"') == text.count('class="arrive"') == 2


async def test_where_nothing_is_bought_no_advice_is_explained(made, anna):
    machine = made.context.machines["press"]
    bare = tuple(replace(each, terms=None) for each in machine.components)
    made.context.machines["press"] = replace(machine, components=bare)
    text = (await anna.get("/machines/press/filter")).text
    assert "What would change the advice" not in text
    assert 'class="even"' in text
    assert 'class="decide"' not in text


async def test_what_is_above_a_persons_own_limit_offers_no_approval(made, anna):
    number = made.numbers["dear"]
    async with made.spend.write() as tx:
        await tx.execute(
            update(store.purchase_order).where(store.purchase_order.c.number == number).values(total_minor=500_001)
        )
    text = (await anna.get(f"/orders/{number}/decide")).text
    assert "/approve" not in text
    assert "above what you may approve" in text
    assert "/deny" in text


async def test_machines_show_value_age_quality_health_and_forecast(anna):
    text = (await anna.get("/machines")).text
    assert "6.31" in text
    assert "0 s</span> old" in text
    assert "good</span>" in text
    assert "health 14 %, nearly worn out" in text
    assert "likely 5 days to 8 days" in text or "likely 5 days to 9 days" in text
    for part in (
        'class="history"',
        'class="limit"',
        'class="band"',
        'class="decide"',
        "<title>Spindle bearing</title>",
    ):
        assert part in text


async def test_machines_say_what_parts_before_have_taught(made, anna):
    kind, settings = Kind(Wearing.USAGE, "seal-kit"), seal()
    made.context.settings["mill/coolant"] = settings
    taught = Standing(Phase.ADAPTABLE, code="CONVINCED", judged=4, gain=8.2, error=2.1, currency="EUR", version="a")
    async with made.spend.write() as tx:
        await keep(tx, made.context.owner, kind, Standing(), taught, made.clock())
    text = (await anna.get("/machines")).text
    assert "<strong>seal-kit</strong>: by that rule, as its lives have taught it since" in text
    assert "Over 4 lives it would have saved 8.20 EUR a life, give or take 2.10." in text


async def test_a_component_shows_its_parts_before_and_how_they_were_found(made, anna):
    assert "Parts before" not in (await anna.get("/machines/mill/coolant")).text
    owner, now = made.context.owner, made.clock()
    async with made.spend.write() as tx:
        await close_life(tx, owner, "mill/coolant", now)
        await open_life(tx, owner, Life("before", "mill/coolant", now))
        await close_life(tx, owner, "mill/coolant", now, Found.WORN, {"": 1234.4})
    text = (await anna.get("/machines/mill/coolant")).text
    assert "Parts before" in text
    assert "<td>1,234</td><td>worn</td>" in text.replace("> ", ">")


async def test_a_tag_shows_what_it_was_and_where_nothing_can_be_said(made, anna):
    assert 'href="/machines/mill/tags/spindle-vibration"' in (await anna.get("/machines/mill")).text
    week = (await anna.get("/machines/mill/tags/spindle-vibration?range=week")).text
    assert re.search(r"from 1\.\d+ to 6\.\d+ mm/s, last 6\.\d+", week)
    assert 'aria-current="page">Week' in week
    day = (await anna.get("/machines/mill/tags/spindle-vibration")).text
    drawn = re.search(r'class="history" d="([^"]+)"', day)
    assert drawn is not None
    assert drawn[1].count("M") >= 2  # the line is broken where the sensor was off
    silent = (await anna.get("/machines/mill/tags/coolant-level?range=nonsense")).text
    assert "Nothing was stored in this time" in silent
    for path in ("/machines/none/tags/x", "/machines/mill/tags/none"):
        assert (await anna.get(path)).status == 404


async def test_the_parts_of_a_structure_are_shown_in_its_place(made, anna):
    parts = {"mill/tool-cycles.Left": 3.0, "mill/tool-cycles.Right": 4.5}
    now = made.clock()
    made.board.put(Batch.of("hall-2", [Sample(k, v, Quality.GOOD, now, now, Provenance.A) for k, v in parts.items()]))
    text = (await anna.get("/machines/mill")).text
    for part in parts:
        assert f'data-tag="{part}"' in text
    assert 'data-tag="mill/tool-cycles"' not in text
    assert (await anna.get("/machines/mill/tags/tool-cycles.Left")).status == 200


async def test_a_stale_value_says_so_in_words(anna):
    text = (await anna.get("/machines/compressor")).text
    assert text.count("data-state>stale, ") == 2
    assert "No connection since" in text
    assert "does not answer at 10.0.0.9:502" in text


async def test_certificates_that_run_out_are_told_where_everybody_looks(made, anna):
    object.__setattr__(made.context, "certificates", lambda: ["connection hall-2: runs out in 7 days <b>"])
    text = (await anna.get("/")).text
    assert "runs out in 7 days &lt;b&gt;" in text


async def test_a_tag_that_cannot_be_read_is_named_with_why(made, anna):
    made.board.notify(Link("hall-2", True, made.clock(), "", (("mill/tool-cycles", "the node does not exist"),)))
    for path in ("/", "/machines/mill"):
        text = (await anna.get(path)).text
        assert "the node does not exist" in text
        assert "cannot be read" in text


async def test_an_order_shows_states_offers_side_by_side_why_and_authority(made, anna):
    text = (await anna.get(f"/orders/{made.numbers['shipped']}")).text
    assert re.search(r'<li class="here" aria-current="step"><span>On its way', text)
    for said in (
        "Order: confirmed",
        "rank 2",
        "could not be reached",
        "All in all",
        "WITHIN_LIMITS",
        "version 1",
        "class A",
    ):
        assert said in text, said


async def test_what_does_not_exist_is_not_found(anna):
    for path in ("/orders/NONE", "/orders/NONE/decide", "/machines/none", "/machines/mill/none", "/none"):
        page = await anna.get(path)
        assert page.status == 404
        assert "There is nothing here" in page.text


async def test_what_a_supplier_writes_is_text_and_never_markup(made, anna):
    evil = '<script>alert(1)</script><img src=x onerror="alert(2)">{{ 7*7 }}'
    number = made.numbers["dear"]
    order, line, quotation = store.purchase_order, store.order_line, store.quotation
    async with made.spend.write() as tx:
        row = await made.purchasing.sending.row(number)
        document = row.document.replace("Gear motor 1.5 kW", evil.replace('"', '\\"'))
        await tx.execute(
            update(order)
            .where(order.c.number == number)
            .values(document=document, supplier_reference=evil[:100], supplier=evil[:64])
        )
        await tx.execute(update(line).where(line.c.order_number == number).values(sku=evil[:100]))
        await tx.execute(
            update(quotation).values(detail=evil, supplier=evil[:50] + quotation.c.supplier, reference=evil)
        )
    made.board.notify(Link("hall-2", False, made.clock(), evil, (("mill/tool-cycles", evil),)))
    for path in ("/", "/orders", f"/orders/{number}", f"/orders/{number}/decide", f"/orders/{number}/answer",
                 f"/orders/{number}/received", "/machines", "/machines/mill", "/audit"):  # fmt: skip
        page = await anna.get(path)
        assert page.status == 200, path
        assert "<script>alert" not in page.text, path
        assert "<img" not in page.text, path
    assert "&lt;script&gt;" in (await anna.get(f"/orders/{number}")).text


async def test_the_audit_page_verifies_the_whole_log_on_request(anna):
    assert "computed again" not in (await anna.get("/audit")).text
    page = await anna.post("/audit/verify")
    assert re.search(r"All \d+ entries were computed again, and they hold", page.text)


async def test_the_audit_page_says_who_signed_and_who_witnessed(made, anna, tmp_path):
    assert "with the key" not in (await anna.get("/audit")).text
    context, owner = made.context, made.context.owner
    notary = Notary(made.spend, owner, tmp_path / "audit.key", context.clock)
    signed = await notary.sign()
    text = (await anna.get("/audit")).text
    assert (signed.note.signatures[0].id.hex() in text, "no witness has seen it yet" in text) == (True, True)
    row = {"size": signed.checkpoint.size, "witness": "w.example/1+00+00", "line": str(signed.note.signatures[0])}
    async with made.spend.write() as tx:
        await tx.execute(insert(store.cosignature).values(**row, at=context.clock(), **owner.columns))
    assert "last witnessed by w.example/1" in (await anna.get("/audit")).text
    async with made.spend.write() as tx:
        await tx.execute(update(store.checkpoint).values(note="rubbish"))
    page = await anna.get("/audit")
    assert (page.status, "with the key" in page.text) == (200, False)


async def test_where_entries_are_lost_the_audit_page_says_so(made, anna, tmp_path):
    notary = Notary(made.spend, made.context.owner, tmp_path / "audit.key", made.context.clock)
    await epochs.begin(notary, ANNA, 2, [("w.example/1", "rolled_back", 9)])
    page = await anna.post("/audit/verify")
    assert ("they hold" in page.text, "had seen (9) are lost" in page.text) == (True, True)
    assert "Entries are lost, and the log goes on in a new epoch" in page.text


async def test_a_log_that_was_changed_is_shown_as_broken(made, anna):
    leaf = store.audit_leaf
    async with made.spend.write() as tx:
        await tx.execute(update(leaf).where(leaf.c.leaf_index == 3).values(leaf_hash=b"\0" * 32))
    page = await anna.post("/audit/verify")
    assert "The log does not hold." in page.text


async def test_older_entries_follow(made, anna):
    text = (await anna.get("/audit?before=5")).text
    assert re.findall(r'log-index mono soft">(\d+)<', text) == ["4", "3", "2", "1", "0"]
    assert (await anna.get("/audit?before=nonsense")).status == 200


async def test_a_broken_database_is_one_clear_page(made, anna):
    async with made.telemetry.write() as tx:
        await tx.exec_driver_sql("DROP TABLE need")
    with structlog.testing.capture_logs() as entries:
        page = await anna.get("/machines")
    assert page.status == 503
    assert [(entry["log_level"], entry["route"]) for entry in entries] == [("error", "/machines")]
    assert "The database did not answer" in page.text
    assert (await anna.get("/")).status == 200
