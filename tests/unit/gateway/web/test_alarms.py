"""Condition alarms on the page, as a browser without JavaScript meets them."""

from __future__ import annotations

import re
from datetime import timedelta

from maintenance.alarms import store
from maintenance.alarms.alarm import Finding, is_chattering
from maintenance.alarms.kinds import AlarmKind, Priority
from tests.showcase.data import NOW
from tests.showcase.plant import Plant

_K = AlarmKind
MINUTE = timedelta(minutes=1)
WORN = Finding(
    _K.HEALTH_LOW, "mill/spindle-bearing", "mill", True, Priority.HIGH,
    {"component": "mill/spindle-bearing", "value": "12 %", "limit": "20 %"}, due=NOW + timedelta(hours=6),
)  # fmt: skip
LOST = Finding(
    _K.CONNECTION_LOST, "hall-2", "", True, Priority.MEDIUM,
    {"connection": "hall-2", "tags": "9", "components": "4"}, since=NOW - timedelta(hours=1),
)  # fmt: skip


def silent(tag: str) -> Finding:
    return Finding(
        _K.SENSOR_SILENT, tag, "mill", True, parameters={"tag": tag}, since=NOW - timedelta(days=1), connection="hall-2"
    )


def find(made: Plant, *findings: Finding, later: timedelta = timedelta(0)) -> None:
    made.book.observe(findings, NOW + later)


async def test_nothing_wrong_is_said_in_one_line(anna):
    page = await anna.get("/alarms")
    assert "All quiet." in page.text
    assert 'class="count"' not in page.text


async def test_an_alarm_says_what_to_do_by_when_and_what_happens_else(made, anna):
    find(made, WORN)
    page = await anna.get("/alarms")
    for said in (
        "CNC mill 3, Spindle bearing has 12 % of its health left; the limit is 20 %.",
        "Plan the job that renews it",
        "(in 6 h)",
        "Left alone it wears out",
        "high",
        "nobody has seen it",
        'href="/machines/mill/spindle-bearing"',
    ):
        assert said in page.text, said
    for path in ("/", "/machines", "/orders"):
        assert re.search(r'class="count">1<', (await anna.get(path)).text), path
    assert "One alarm about a machine waits for somebody." in (await anna.get("/")).text


async def test_an_alarm_is_acknowledged_and_stays_until_it_is_over(made, anna):
    find(made, WORN)
    [alarm] = made.book.alarms.values()
    page = await anna.post("/alarms/acknowledge", alarm=alarm.id)
    assert page.path == "/alarms"
    assert "seen · Anna Weber" in page.text
    assert 'class="count"' not in page.text
    assert "does not wait for anybody" in (await anna.post("/alarms/acknowledge", alarm=alarm.id)).text
    find(made, later=MINUTE)
    assert "All quiet." in (await anna.get("/alarms")).text


async def test_a_lost_connection_is_one_alarm_with_its_tags_beneath(made, anna):
    find(made, LOST, *(silent(f"mill/t{number}") for number in range(12)))
    page = await anna.get("/alarms")
    assert page.text.count("<article") == 1
    assert "The connection hall-2 is lost; 9 tags and 4 components are not heard." in page.text
    assert "12 more beneath" in page.text
    assert page.text.count("has been silent for too long") == 12


async def test_a_flood_is_grouped_and_seen_at_once_but_only_what_was_shown(made, anna):
    several = [
        Finding(_K.HEALTH_LOW, f"mill/c{number}", "mill", True, parameters={"component": f"mill/c{number}"})
        for number in range(11)
    ]
    find(made, *several)
    page = await anna.get("/alarms")
    assert "CNC mill 3: 11 alarms" in page.text
    assert "grouped by what they have in common" in page.text
    assert "I have seen all 11" in page.text
    shown = re.findall(r'name="alarm" value="([0-9a-f]{32})"', page.text)
    find(made, *several, WORN, later=MINUTE)
    async with anna.session.post(
        anna.address + "/alarms/acknowledge",
        data=[("form_token", anna.token), *(("alarm", each) for each in shown)],
        headers={"Origin": anna.address},
    ) as reply:
        text = await reply.text()
    assert "11 alarms are acknowledged." in text
    assert [each.subject for each in made.book.alarms.values() if not each.seen] == ["mill/spindle-bearing"]


async def test_an_alarm_is_shelved_with_a_reason_and_taken_back(made, anna):
    find(made, WORN)
    [alarm] = made.book.alarms.values()
    assert "Say why it is shelved" in (await anna.post(f"/alarms/{alarm.id}/shelve", span="8 h", reason=" ")).text
    page = await anna.post(f"/alarms/{alarm.id}/shelve", span="8 h", reason="<b>part ordered</b>")
    assert "<article" not in page.text
    assert "by Anna Weber: “&lt;b&gt;part ordered&lt;/b&gt;”" in page.text
    page = await anna.post(f"/alarms/{alarm.id}/unshelve")
    assert "nobody has seen it" in page.text


async def test_what_is_suppressed_and_what_comes_and_goes_is_said(made, anna):
    away = Finding(
        _K.HEALTH_LOW, "press/pump", "press", True, parameters={"component": "press/pump"}, out_of_service=True
    )
    for step in range(4):
        find(made, WORN, away, later=step * 60 * MINUTE)
        find(made, away, later=(step * 60 + 30) * MINUTE)
    made.clock.now = NOW + timedelta(hours=4)
    assert is_chattering(made.book.alarms["health_low|mill/spindle-bearing"], made.clock.now)
    page = await anna.get("/alarms")
    assert "With an off_delay of 31 min it would have been one alarm" in page.text
    assert "The component is out of service." in page.text


async def test_the_journal_tells_what_became_of_alarms_lately(made, anna):
    find(made, WORN)
    async with made.telemetry.write() as tx:
        await store.save(tx, made.book.changes())
    page = await anna.get("/alarms")
    assert "health low: CNC mill 3, Spindle bearing, nobody has seen it" in page.text


async def test_who_has_no_right_sees_and_cannot_act(made, anna):
    find(made, WORN)
    [alarm] = made.book.alarms.values()
    made.context.people["jonas"] = type(made.context.people["jonas"])("jonas", "Jonas Brandt", frozenset(), None)
    await anna.sign_in(made, "jonas")
    page = await anna.get("/alarms")
    assert "12 % of its health" in page.text
    assert "I have seen it" not in page.text
    assert "Shelve" not in page.text
    for path in ("/alarms/acknowledge", f"/alarms/{alarm.id}/shelve", f"/alarms/{alarm.id}/unshelve"):
        assert (await anna.post(path, alarm=alarm.id, span="1 h", reason="x")).status == 403
    assert not alarm.seen


async def test_a_form_from_elsewhere_and_a_stranger_change_nothing(made, anna, stranger):
    find(made, WORN)
    [alarm] = made.book.alarms.values()
    elsewhere = {"Origin": "https://elsewhere.example"}
    assert (await anna.post("/alarms/acknowledge", headers=elsewhere, alarm=alarm.id)).status == 403
    assert (await stranger.get("/alarms")).path == "/sign-in"
    [still] = made.book.alarms.values()
    assert not still.seen
