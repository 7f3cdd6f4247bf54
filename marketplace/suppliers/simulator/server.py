"""One simulated supplier over HTTP, faults and all; `API.md` describes it.

Every path needs the bearer token. What is wrong with an answer is switched in `habits`; what is right comes from
`shop`. The carrier's server tells what has been handed over at the plant's gate.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from marketplace.suppliers.simulator.habits import Fault
from marketplace.suppliers.simulator.messages import OrderBody, QuoteBody, RecallBody
from marketplace.suppliers.simulator.shop import Refusal, Shop
from marketplace.suppliers.wire import BYTES_MAX, Unreadable, load

ENDLESS_CHUNKS_MAX = 1024
"""64 MiB: far beyond any bound that a reader may have, and yet an end."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
M = TypeVar("M", bound=BaseModel)


def supplier_app(shop: Shop, token: str) -> web.Application:
    """Return the application of one supplier."""
    app = web.Application(middlewares=[_answers, _guard(token, shop), _spoils(shop)], client_max_size=BYTES_MAX)
    app.add_routes(
        [
            web.get("/search", partial(_search, shop)),
            web.post("/quotes", partial(_quote, shop)),
            web.post("/orders", partial(_order, shop)),
            web.get("/orders/{reference}", partial(_find, shop)),
            web.post("/orders/{reference}/cancel", partial(_cancel, shop)),
            web.get("/orders/{reference}/documents", partial(_documents, shop)),
            web.get("/simulator/faults", partial(_faults, shop)),
            web.put("/simulator/faults", partial(_switch, shop)),
            web.delete("/simulator/faults", partial(_clear, shop)),
            web.get("/simulator/recall", partial(_recall, shop)),
            web.put("/simulator/recall", partial(_remember, shop)),
            web.get("/simulator/orders", partial(_orders, shop)),
        ]
    )
    return app


def carrier_app(shops: Sequence[Shop], token: str) -> web.Application:
    """Return the carrier's application: what was handed over, from all suppliers."""

    async def deliveries(_request: web.Request) -> web.Response:
        return _json({"deliveries": [delivery for shop in shops for delivery in shop.deliveries()]})

    app = web.Application(middlewares=[_answers, _guard(token, None)], client_max_size=BYTES_MAX)
    app.add_routes([web.get("/deliveries", deliveries)])
    return app


@web.middleware
async def _answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write refusals as the API documents them."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _json({"code": refusal.code, "reason": refusal.reason}, refusal.status)


def _guard(token: str, shop: Shop | None) -> Any:
    wanted = f"Bearer {token}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode()
        simulator = request.path.startswith("/simulator/")
        locked = shop is not None and not simulator and shop.habits.take(Fault.LOCKS_OUT)
        if locked or not hmac.compare_digest(given, wanted):
            raise Refusal(401, "NOT_LET_IN", "the token is missing or not good")
        return await handler(request)

    return guard


def _spoils(shop: Shop) -> Any:
    """Let the faults have their way that do not care what was asked."""

    @web.middleware
    async def spoil(request: web.Request, handler: Handler) -> web.StreamResponse:
        habits = shop.habits
        if request.path.startswith("/simulator/"):
            return await handler(request)
        if habits.take(Fault.UNAVAILABLE):
            return web.Response(status=503, text="closed for stocktaking")
        if habits.take(Fault.SERVER_ERROR):
            return web.Response(status=500, text="<h1>Internal Server Error</h1>")
        if habits.take(Fault.REDIRECTS):
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        if habits.take(Fault.SLOW):
            await asyncio.sleep(habits.slow_seconds)
        answer = await handler(request)
        if habits.take(Fault.GARBAGE):
            return web.Response(body=b'{"reference": NaN, "\xff\xfe', content_type="application/json")
        if habits.take(Fault.ENDLESS):
            return await _endless(request)
        return answer

    return spoil


async def _endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    for _ in range(ENDLESS_CHUNKS_MAX):
        try:
            await answer.write(b"[" * 65536)
        except ConnectionError:  # the reader has had enough, which is what this is for
            break
    return answer


async def _search(shop: Shop, request: web.Request) -> web.Response:
    return _json(shop.search(request.query.get("text", "")[:200]))


async def _quote(shop: Shop, request: web.Request) -> web.Response:
    return _json(shop.quote(_read(QuoteBody, await request.read())))


async def _order(shop: Shop, request: web.Request) -> web.Response:
    content = await request.read()
    key = request.headers.get("Idempotency-Key", "")
    if shop.recall.keys is not None and not 1 <= len(key) <= 100:
        raise Refusal(400, "KEY_MISSING", "an order needs an Idempotency-Key of at most 100 characters")
    body = _read(OrderBody, content)
    if shop.habits.take(Fault.DROP_BEFORE_ACCEPT):
        return _drop(request)
    answer = shop.order(body, key, content)
    if shop.habits.take(Fault.DROP_AFTER_ACCEPT):
        return _drop(request)
    if shop.habits.take(Fault.SERVER_ERROR_AFTER_ACCEPT):
        return web.Response(status=500, text="Internal Server Error")
    return _json(answer, 201)


def _drop(request: web.Request) -> web.Response:
    """Hang up without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _find(shop: Shop, request: web.Request) -> web.Response:
    return _json(shop.find(request.match_info["reference"]))


async def _cancel(shop: Shop, request: web.Request) -> web.Response:
    return _json(shop.cancel(request.match_info["reference"]))


async def _documents(shop: Shop, request: web.Request) -> web.Response:
    return _json(shop.documents(request.match_info["reference"]))


async def _faults(shop: Shop, _request: web.Request) -> web.Response:
    return _json({"faults": shop.habits.active()})


async def _switch(shop: Shop, request: web.Request) -> web.Response:
    wanted = _loaded(await request.read())
    times = wanted.get("times")
    try:
        fault = Fault(str(wanted.get("fault")))
    except ValueError:
        raise Refusal(422, "NO_SUCH_FAULT", f"there are {', '.join(Fault)}") from None
    if times is not None and (type(times) is not int or times < 1):
        raise Refusal(422, "UNREADABLE", "times is a number from 1, or null for without end")
    shop.habits.switch_on(fault, times)
    return _json({"faults": shop.habits.active()})


async def _clear(shop: Shop, _request: web.Request) -> web.Response:
    shop.habits.clear()
    return _json({"faults": {}})


async def _recall(shop: Shop, _request: web.Request) -> web.Response:
    return _json(RecallBody.of(shop.recall).model_dump())


async def _remember(shop: Shop, request: web.Request) -> web.Response:
    shop.recall = _read(RecallBody, await request.read()).recall()
    return _json(RecallBody.of(shop.recall).model_dump())


async def _orders(shop: Shop, _request: web.Request) -> web.Response:
    """Tell everything that was taken, for those who count: twice what was taken twice."""
    return _json({"orders": shop.orders(), "forgotten": shop.forgotten()})


def _loaded(content: bytes) -> dict[str, Any]:
    try:
        value = load(content)
    except Unreadable as error:
        raise Refusal(400, "UNREADABLE", str(error)) from None
    if not isinstance(value, dict):
        raise Refusal(400, "UNREADABLE", "the body is no JSON object")
    return value


def _read(model: type[M], content: bytes) -> M:
    try:
        return model.model_validate(_loaded(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise Refusal(422, "UNREADABLE", f"{place}: {first['type']}") from None


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")
