"""The stop switch on the page, as a browser without JavaScript meets it."""

from __future__ import annotations

import pytest

from marketplace.authority import alarms
from marketplace.authority.alarms import AlarmCode
from marketplace.authority.scopes import Scope, ScopeKind
from tests.showcase.data import NOW, OWNER


async def raise_alarm(made) -> str:
    async with made.spend.write() as tx:
        scope, figures = Scope(ScopeKind.SUPPLIER, "express"), {"order": made.numbers["dear"]}
        return await alarms.raise_alarm(tx, OWNER, AlarmCode.OTHER_TERMS, scope, "express", NOW, parameters=figures)


async def test_every_page_has_the_switch_and_no_stop_at_first(anna):
    for path in ("/", "/machines", "/machines/mill", "/orders", "/audit", "/enter"):
        page = await anna.get(path)
        assert 'href="/stop"' in page.text, path
        assert "Buying is stopped" not in page.text, path


async def test_who_has_not_signed_in_sees_neither_switch_nor_stop(stranger):
    page = await stranger.get("/sign-in")
    assert "/stop" not in page.text
    assert (await stranger.get("/stop")).path == "/sign-in"


async def test_what_can_be_stopped_is_listed_by_name(made, anna):
    page = await anna.get("/stop")
    for name in ("Stop the whole plant", "CNC mill 3", "Spindle bearing", "Kontor Lagertechnik"):
        assert name in page.text
    assert 'href="/stop/confirm?scope=component&amp;key=mill/spindle-bearing"' in page.text


async def test_looking_stops_nothing(made, anna):
    for path in ("/stop", "/stop/confirm?scope=plant", "/stop/confirm?scope=machine&key=mill"):
        assert (await anna.get(path)).status == 200
    assert "Buying is stopped" not in (await anna.get("/")).text


async def test_a_stop_says_what_it_would_cancel_then_does_it_and_is_shown_everywhere(made, anna):
    number = made.numbers["dear"]
    page = await anna.get("/stop/confirm?scope=machine&key=conveyor")
    assert "Stop buying for the machine Conveyor 12?" in page.text
    assert "One order that was not sent is cancelled" in page.text
    assert number in page.text
    page = await anna.post("/stop", scope="machine", key="conveyor", reason="The hall is flooded.")
    assert page.path == "/"
    assert (await made.purchasing.sending.row(number)).state == "cancelled"
    for path in ("/", "/machines", "/audit", "/stop"):
        shown = (await anna.get(path)).text
        assert "Buying is stopped: the machine Conveyor 12" in shown, path
        assert "Anna Weber · “The hall is flooded.”" in shown, path
    assert "Buying was stopped" in (await anna.get("/audit")).text
    assert "STOPPED" in (await anna.get(f"/orders/{number}")).text
    assert "There is no unsent order" in (await anna.get("/stop/confirm?scope=component&key=conveyor/motor")).text


async def test_what_is_stopped_cannot_be_chosen_again_but_lifted(made, anna):
    await anna.post("/stop", scope="plant", key="")
    assert "Stop the whole plant" not in (await anna.get("/stop")).text
    page = await anna.get("/stop/lift?scope=plant")
    assert "Let buying go on for the whole plant?" in page.text
    assert (await anna.post("/stop/lift", scope="plant", key="", reason="Dry again.")).path == "/"
    assert "Buying is stopped" not in (await anna.get("/")).text


async def test_a_refused_lift_says_why_and_leaves_the_stop(made, anna):
    await anna.post("/stop", scope="supplier", key="kontor")
    made.actions.stop_file_there = True
    page = await anna.post("/stop/lift", scope="supplier", key="kontor")
    assert page.status == 409
    assert "take it away first" in page.text
    assert "Buying is stopped: the supplier Kontor Lagertechnik" in page.text


async def test_a_refused_stop_says_why_and_keeps_what_was_typed(made, anna):
    made.actions.refusal = "The config has no such machine."
    page = await anna.post("/stop", scope="machine", key="mill", reason="Smoke")
    assert page.status == 409
    assert "The config has no such machine." in page.text
    assert ">Smoke</textarea>" in page.text


@pytest.mark.parametrize("query", ["scope=hall&key=2", "scope=plant&key=mill", "scope=machine", ""])
async def test_an_address_that_names_no_scope_is_nothing(anna, query):
    assert (await anna.get(f"/stop/confirm?{query}")).status == 404
    assert (await anna.get(f"/stop/lift?{query}")).status == 404


async def test_a_stop_that_does_not_stand_cannot_be_lifted(anna):
    assert (await anna.get("/stop/lift?scope=plant")).status == 404
    assert (await anna.post("/stop/lift", scope="plant", key="")).status in (404, 409)


async def test_an_alarm_is_shown_and_seen(made, anna):
    alarm = await raise_alarm(made)
    page = await anna.get("/")
    assert "Blitz Industriebedarf answered the order" in page.text
    assert "buying stops for the supplier Blitz Industriebedarf" in page.text
    assert "One money alarm wants to be seen." in page.text
    page = await anna.post(f"/alarms/{alarm}/acknowledge")
    assert "The alarm is acknowledged." in page.text
    assert "answered the order" not in (await anna.get("/")).text
    assert "A money alarm was seen" in (await anna.get("/audit")).text
    assert "There is none." in (await anna.post(f"/alarms/{alarm}/acknowledge")).text


async def test_who_may_only_operate_may_stop_but_not_lift(made, anna):
    await raise_alarm(made)
    await anna.sign_in(made, "jonas")
    await anna.post("/stop", scope="plant", key="")
    page = await anna.get("/")
    assert "Jonas Brandt" in page.text
    assert "/stop/lift" not in page.text
    assert "I have seen it" not in page.text
    assert "Ask somebody who may" in (await anna.get("/stop/lift?scope=plant")).text


async def test_a_form_from_elsewhere_stops_nothing(made, anna):
    page = await anna.post("/stop", headers={"Origin": "https://elsewhere.example"}, scope="plant", key="")
    assert page.status == 403
    assert "Buying is stopped" not in (await anna.get("/")).text
