"""What programs and our own script read: live values as server-sent events, health, readiness, metrics.

The stream is bounded three ways: watchers at once, one event a second, and the session that opened it. It never
carries anything but what the pages show to the same person.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import datetime
from gettext import gettext as _
from typing import Any, Final

from aiohttp import web

from gateway.i18n import figure
from gateway.live import Reading, TooManyWatchers, Watcher
from gateway.web.context import CONTEXT, WebContext
from gateway.web.render import static_files
from gateway.web.security import SESSION, bears, is_local
from gateway.web.words import quality_words

PACE_S: Final = 1.0
"""Faster than this nobody reads; changes in between come with the next event."""
HEARTBEAT_S: Final = 15.0
"""Shorter than the minute after which proxies give up on a silent stream."""
STREAMS_MAX: Final = 32
"""Each is an open socket and a task; a hall has fewer screens."""

TOPICS: Final = frozenset({"orders", "needs", "alarms"})
"""What pages are made anew for; everything else that changes is a tag or a link."""

STREAMS: Final[web.AppKey[set[asyncio.Task[Any]]]] = web.AppKey("streams")


async def events(request: web.Request) -> web.StreamResponse:
    """Stream what changes, until the browser leaves, the session ends or the gateway stops."""
    context, streams = request.app[CONTEXT], request.app[STREAMS]
    task = asyncio.current_task()
    if task is None or len(streams) >= STREAMS_MAX:
        raise web.HTTPServiceUnavailable(text=_("Too many pages are watching; live values are paused here."))
    streams.add(task)
    try:
        async with context.live.watch() as watcher:
            return await _stream(request, watcher)
    except TooManyWatchers:
        raise web.HTTPServiceUnavailable(text=_("Too many pages are watching; live values are paused here.")) from None
    finally:
        streams.discard(task)


async def _stream(request: web.Request, watcher: Watcher) -> web.StreamResponse:
    context, session = request.app[CONTEXT], request[SESSION]
    response = web.StreamResponse(headers={"X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    await _send(response, "values", values_of(context, context.live.readings()))
    while context.wall_clock() < session.ends_at:
        try:
            changed = await asyncio.wait_for(watcher.changes(), HEARTBEAT_S)
        except TimeoutError:
            changed = frozenset({"links"})  # a silent tag may have become stale meanwhile
        if changed & TOPICS:
            await _send(response, "changed", sorted(changed & TOPICS))
        tags = context.live.readings() if "links" in changed else changed - TOPICS
        if tags:
            await _send(response, "values", values_of(context, tags))
        await asyncio.sleep(PACE_S)
    return response


def values_of(context: WebContext, tags: Iterable[str]) -> dict[str, Any]:
    """Return the readings of tags as the page shows them; ages in seconds of plant time."""
    now, readings = context.clock(), context.live.readings()
    shown = {tag: readings[tag] for tag in tags if tag in readings}
    return {"speed": context.speed, "tags": {tag: _value(context, one, now) for tag, one in shown.items()}}


def _value(context: WebContext, reading: Reading, now: datetime) -> dict[str, Any]:
    stale = context.live.is_stale(reading, now)
    return {
        "text": reading.text or figure(reading.value),
        "age_s": _age_s(reading.receive_time, now),
        "quality": reading.quality.name.lower(),
        "quality_text": "" if stale else "\N{MIDDLE DOT} " + quality_words(reading.quality),
        "stale": stale,
        "stale_text": _("stale, ") if stale else "",
    }


def _age_s(moment: datetime, now: datetime) -> int:
    return max(0, int((now - moment).total_seconds()))


async def _send(response: web.StreamResponse, name: str, data: object) -> None:
    await response.write(f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode())


async def end_streams(app: web.Application) -> None:
    """End every stream, so that stopping the gateway does not wait for browsers."""
    streams = app[STREAMS]
    for task in tuple(streams):
        task.cancel()


async def healthz(_request: web.Request) -> web.Response:
    """Say that the program runs."""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """Say whether the gateway is at work, and why not; one that only watches, because buying is stopped, is.

    What does not work while the gateway does, such as a lost machine, is said in words and takes nothing away.
    """
    context = request.app[CONTEXT]
    ready, reason = context.ready()
    troubles = list(context.troubles())
    answer = {"ready": ready, "reason": reason, "buying": not context.buying(), "troubles": troubles}
    return web.json_response(answer, status=200 if ready else 503)


async def metrics(request: web.Request) -> web.Response:
    """Count, for whoever asks from this machine or bears the token."""
    context = request.app[CONTEXT]
    if not (is_local(request) or bears(request, context.metrics_token)):
        raise web.HTTPForbidden(text=_("Metrics are for this machine, or for who bears the site's token."))
    body, content_type = context.metrics()
    return web.Response(body=body, headers={"Content-Type": content_type})


async def static(request: web.Request) -> web.Response:
    """Give one of our own files; with its hash in the address it may be kept for ever."""
    found = static_files().get(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    fresh = request.query.get("v") == found.version
    return web.Response(
        body=found.body,
        content_type=found.content_type,
        charset="utf-8",
        headers={"Cache-Control": "public, max-age=31536000, immutable" if fresh else "no-cache"},
    )
