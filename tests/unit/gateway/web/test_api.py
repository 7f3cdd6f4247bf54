import asyncio
import json
import math
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest
import structlog

from connectors.samples import Batch, Provenance, Quality, Sample
from gateway.live import WATCHERS_MAX, Link
from gateway.web import api


class Stream:
    """One open event stream, read event by event."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self.reply = reply

    async def next(self) -> tuple[str, object]:
        name, data = "", ""
        async with asyncio.timeout(10):
            while (line := (await self.reply.content.readline()).decode()) != "\n":
                assert line, "the stream ended"
                field, _colon, value = line.rstrip("\n").partition(": ")
                name, data = (value, data) if field == "event" else (name, value)
        return name, json.loads(data)


@pytest.fixture
def hurry(monkeypatch):
    monkeypatch.setattr(api, "PACE_S", 0.01)
    monkeypatch.setattr(api, "HEARTBEAT_S", 0.05)


def sample(value: float, at, quality=Quality.GOOD) -> Sample:
    return Sample("mill/spindle-vibration", value, quality, at, at, Provenance.A)


async def test_a_stream_begins_with_every_value_and_goes_on_with_what_changes(made, anna):
    async with anna.session.get(anna.address + "/events") as reply:
        assert reply.content_type == "text/event-stream"
        stream = Stream(reply)
        name, first = await stream.next()
        assert name == "values"
        assert len(first["tags"]) == 12
        assert first["tags"]["mill/spindle-vibration"] == {
            "text": "6.31", "age_s": 0, "quality": "good", "quality_text": "· good", "stale": False, "stale_text": "",
        }  # fmt: skip
        made.board.put(Batch.of("hall-2", [sample(6.42, made.clock())]))
        name, second = await stream.next()
        assert name == "values"
        assert list(second["tags"]) == ["mill/spindle-vibration"]
        assert second["tags"]["mill/spindle-vibration"]["text"] == "6.42"


async def test_a_lost_connection_makes_its_values_stale_at_once(made, anna, hurry):
    async with anna.session.get(anna.address + "/events") as reply:
        stream = Stream(reply)
        await stream.next()
        made.board.notify(Link("hall-2", False, made.clock(), "gone"))
        _name, told = await stream.next()
        assert told["tags"]["mill/spindle-vibration"]["stale"] is True
        assert told["tags"]["mill/spindle-vibration"]["stale_text"] == "stale, "
        assert told["tags"]["conveyor/motor-current"]["stale"] is False


async def test_silence_is_told_with_the_age_that_it_has(made, anna, hurry):
    async with anna.session.get(anna.address + "/events") as reply:
        stream = Stream(reply)
        await stream.next()
        made.clock.now += timedelta(minutes=5)
        _name, told = await stream.next()
        assert told["tags"]["mill/spindle-vibration"]["age_s"] == 300


async def test_a_value_that_is_no_number_is_said_so_and_stays_json(made, anna):
    made.board.put(Batch.of("hall-2", [sample(math.nan, made.clock(), Quality.BAD)]))
    async with anna.session.get(anna.address + "/events") as reply:
        _name, told = await Stream(reply).next()
    assert told["tags"]["mill/spindle-vibration"]["text"] == "no value"
    assert told["tags"]["mill/spindle-vibration"]["quality"] == "bad"


@pytest.mark.parametrize("topic", ["orders", "alarms"])
async def test_orders_and_alarms_that_moved_are_told(made, anna, topic):
    async with anna.session.get(anna.address + "/events") as reply:
        stream = Stream(reply)
        await stream.next()
        made.board.tell({topic})
        assert await stream.next() == ("changed", [topic])


async def test_watchers_are_bounded_and_a_place_is_free_again(made, anna, monkeypatch):
    monkeypatch.setattr(api, "STREAMS_MAX", 2)
    replies = [await anna.session.get(anna.address + "/events") for _ in range(2)]
    assert (await anna.get("/events")).status == 503
    replies[0].close()
    async with asyncio.timeout(10):
        while True:
            made.board.tell({"orders"})  # a write to the closed socket is what ends it
            async with anna.session.get(anna.address + "/events") as reply:
                if reply.status == 200:
                    break
    replies[1].close()


async def test_a_browser_that_leaves_is_no_fault(made, anna):
    with structlog.testing.capture_logs() as entries:
        reply = await anna.session.get(anna.address + "/events")
        await Stream(reply).next()
        reply.close()
        async with asyncio.timeout(10):
            while made.board._watchers:
                made.board.tell({"orders"})
                await asyncio.sleep(0.01)
    assert entries == []


async def test_the_board_bounds_its_watchers_too(made, anna):
    async with AsyncExitStack() as stack:
        for _ in range(WATCHERS_MAX):
            await stack.enter_async_context(made.board.watch())
        assert (await anna.get("/events")).status == 503


async def test_a_stream_ends_with_its_session(made, anna, hurry):
    async with anna.session.get(anna.address + "/events") as reply:
        stream = Stream(reply)
        await stream.next()
        made.wall.now += timedelta(hours=13)
        async with asyncio.timeout(10):
            await reply.content.read()
        assert reply.content.at_eof()


async def test_stopping_the_gateway_does_not_wait_for_browsers(made):
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with made.served() as address:
            await session.post(address + await made.link(), headers={"Origin": address}, data={"form_token": ""})
            reply = await session.get(address + "/events")
            await Stream(reply).next()
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 2.5
        reply.close()


async def test_health_and_readiness_need_no_session(bare, stranger):
    assert (await stranger.get("/healthz")).text == "ok\n"
    assert (await stranger.get("/livez")).text == "ok\n"
    page = await stranger.get("/readyz")
    said = {"ready": True, "reason": "", "buying": True, "troubles": []}
    assert (page.status, json.loads(page.text)) == (200, said)


async def test_a_gateway_that_is_not_at_work_says_why(bare):
    bare.context = replace(bare.context, ready=lambda: (False, "starting"))
    async with bare.served() as address, aiohttp.ClientSession() as session, session.get(address + "/readyz") as reply:
        said = {"ready": False, "reason": "starting", "buying": True, "troubles": []}
        assert (reply.status, await reply.json()) == (503, said)


async def test_what_does_not_work_is_said_in_words_by_a_gateway_that_is_ready(bare):
    bare.context = replace(bare.context, troubles=lambda: ["1 of 3 connections are lost"])
    async with bare.served() as address, aiohttp.ClientSession() as session, session.get(address + "/readyz") as reply:
        answer = await reply.json()
    assert (reply.status, answer["ready"], answer["troubles"]) == (200, True, ["1 of 3 connections are lost"])


async def test_a_gateway_that_only_watches_is_ready_and_says_that_it_does_not_buy(bare):
    bare.context = replace(bare.context, buying=lambda: "Buying is stopped: the disk is full.")
    async with bare.served() as address, aiohttp.ClientSession() as session, session.get(address + "/readyz") as reply:
        assert (reply.status, await reply.json()) == (
            200,
            {"ready": True, "reason": "", "buying": False, "troubles": []},
        )


async def test_metrics_are_for_this_machine_or_for_who_bears_the_token(bare):
    counted = b"crib_tests_total 1.0\n", "text/plain"
    bare.context = replace(bare.context, metrics=lambda: counted, metrics_token="s3cret")
    async with bare.served() as address, aiohttp.ClientSession() as session:
        for headers, status in (
            ({}, 200),
            ({"X-Forwarded-For": "10.0.0.1"}, 403),
            ({"X-Forwarded-For": "10.0.0.1", "Authorization": "Bearer wrong"}, 403),
            ({"X-Forwarded-For": "10.0.0.1", "Authorization": "Bearer s3cret"}, 200),
        ):
            async with session.get(address + "/metrics", headers=headers) as reply:
                assert reply.status == status
                assert ("crib_tests_total 1.0" in await reply.text()) == (status == 200)


async def test_without_a_token_nobody_elsewhere_reads_metrics(bare, stranger):
    page = await stranger.get("/metrics", **{"X-Forwarded-For": "10.0.0.1", "Authorization": "Bearer "})
    assert page.status == 403


async def test_a_static_file_may_be_kept_only_under_its_own_hash(stranger):
    page = await stranger.get("/static/app.css")
    assert page.headers["Cache-Control"] == "no-cache"
    assert "text/css" in page.headers["Content-Type"]
    assert (await stranger.get("/static/../app.py")).status == 404
    assert (await stranger.get("/static/..%2fapp.py")).status == 404
    assert (await stranger.get("/static/none.css")).status == 404
