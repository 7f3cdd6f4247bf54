"""The page of a gateway that is a shadow: what it would have bought, when and for how much, against what people did.

It only looks. What it saves is worked out beside the event loop, for an interval draws lives many times.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from gateway.web.context import CONTEXT
from gateway.web.render import page
from maintenance.store import lives

if TYPE_CHECKING:  # loaded only where a gateway is a shadow
    from gateway.backtest.report import Purchase

SHOWN_MAX: Final = 200
"""Purchases on the page, the newest first; 'toolcrib shadow --json' has them all."""


async def show(request: web.Request) -> web.Response:
    """Show what would have been bought. There is no such page of a gateway that buys."""
    context = request.app[CONTEXT]
    if context.shadow is None:
        raise web.HTTPNotFound
    from gateway.backtest.report import HAPPENED
    from gateway.views.findings import compared

    seen = context.shadow()
    async with context.spend.read() as spend:
        closed = await lives(spend, context.owner)
    found = await asyncio.to_thread(seen.found, closed)
    newest = found.purchases[: -SHOWN_MAX - 1 : -1]
    return page(
        request,
        "shadow.html",
        found=found,
        shown=newest,
        against=next((each for each in found.comparisons if each.against == HAPPENED), None),
        said=[compared(each) for each in found.comparisons],
        late=sum(_late(each) for each in found.purchases),
    )


def _late(each: Purchase) -> bool:
    """Whether the part failed before the one that would have been bought for it was there."""
    return each.failed is True and each.ended is not None and each.there >= each.ended
