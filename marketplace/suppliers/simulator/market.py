"""The simulated market: three suppliers and a carrier, each an HTTP server of its own on loopback.

Tokens are made once, lie in `state` readable by their owner alone, and are never logged. Everything that was quoted,
ordered or delivered lies in `state` too, so that a restart goes on. Stopping it leaves nothing running.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import structlog
from aiohttp import web

from marketplace.suppliers.simulator.book import Book
from marketplace.suppliers.simulator.catalogue import BUSINESSES
from marketplace.suppliers.simulator.server import carrier_app, supplier_app
from marketplace.suppliers.simulator.shop import Shop

CARRIER = "carrier"
SHUTDOWN_S = 0.2
"""How long a stopping server waits for answers that are slow on purpose."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MarketReady:
    """Where the market is: base addresses, and the files that hold the tokens, by supplier and `carrier`."""

    addresses: Mapping[str, str]
    tokens: Mapping[str, Path]


class Market:
    """The market while it is open; `async with Market(...)`. `shops` by key, for their habits.

    clock: plant time. ports: by supplier or `carrier`; 0 or left out lets the system choose.
    Raises OSError when a port is taken.
    """

    def __init__(
        self,
        state: Path,
        *,
        clock: Callable[[], datetime],
        seed: int = 1,
        host: str = "127.0.0.1",
        ports: Mapping[str, int] | None = None,
    ) -> None:
        self._state = state
        self._clock = clock
        self._seed = seed
        self._host = host
        self._ports = ports or {}
        self._stack = AsyncExitStack()
        self.shops: dict[str, Shop] = {}
        self.ready = MarketReady({}, {})

    async def __aenter__(self) -> Self:
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        async with AsyncExitStack() as stack:
            addresses, tokens = {}, {}
            for business in BUSINESSES:
                book = Book(self._state / f"{business.key}.db")
                stack.callback(book.close)
                self.shops[business.key] = Shop(business, book, clock=self._clock, seed=self._seed)
            for key in (*self.shops, CARRIER):
                tokens[key] = self._state / f"{key}.token"
                app = self._app(key, token_in(tokens[key]))
                addresses[key] = await self._serve(stack, app, self._ports.get(key, 0))
            self.ready = MarketReady(addresses, tokens)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    def _app(self, key: str, token: str) -> web.Application:
        if key == CARRIER:
            return carrier_app(list(self.shops.values()), token)
        return supplier_app(self.shops[key], token)

    async def _serve(self, stack: AsyncExitStack, app: web.Application, port: int) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, handler_cancellation=True)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, self._host, port).start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"


def token_in(path: Path) -> str:
    """Return the token kept in a file, made now if there is none; only its owner can read the file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    token = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    return token


def supplier_entries(ready: MarketReady) -> dict[str, dict[str, Any]]:
    """Return the `suppliers` section of a config that buys on this market, of the suppliers whose address is told."""
    return {
        business.key: {
            "adapter": "http",
            "name": business.name,
            "url": ready.addresses[business.key],
            "token": {"file": str(ready.tokens[business.key])},
            "account": f"{business.key[0].upper()}-20991",
            "idempotency_key": "24 h",
            "lookup_window": "2 min",
        }
        for business in BUSINESSES
        if business.key in ready.addresses
    }


async def serve_market(
    state: Path,
    *,
    clock: Callable[[], datetime],
    ready: Callable[[MarketReady], None],
    seed: int = 1,
    host: str = "127.0.0.1",
    ports: Mapping[str, int] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve the market until `stop` is set, or the caller cancels. `ready` is called once, when all ports are open."""
    async with Market(state, clock=clock, seed=seed, host=host, ports=ports) as market:
        _log.info("market_open", addresses=dict(market.ready.addresses))
        ready(market.ready)
        await (stop or asyncio.Event()).wait()
