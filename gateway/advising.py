"""What timing says of every need, worked out once a step: purchasing, the shadow, alarms and the page read the same.

An advice costs more than forming the belief that it is on, so nobody asks for one a second time. It is worked out while
buying is held, too: people are told by when to decide, and a shadow keeps what would be bought. Where the store cannot
be read, timing takes what the config says. A need of which timing can say nothing costs itself: it is logged, and tried
again at the next step. Between two needs the event loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import structlog

from gateway.views.circumstances import Circumstances, refined
from maintenance.needs import Need
from marketplace.store import Database, Owner
from marketplace.timing import Advice, TimingTerms, advise

log = structlog.get_logger()


class Advising:
    """Asks timing at each step; `newest` is what it said at the last one, by component."""

    def __init__(self, spend: Database, owner: Owner) -> None:
        self._spend = spend
        self._owner = owner
        self.newest: Mapping[str, Advice] = MappingProxyType({})

    async def step(
        self, needs: Sequence[Need], said: Mapping[str, TimingTerms], circumstances: Circumstances, now: datetime
    ) -> Mapping[str, Advice]:
        """Return what timing says of every need of which the config says any terms (`said`), by component."""
        terms = await self._refined(needs, said, circumstances, now)
        found = {}
        for need in needs:
            if need.component in terms:
                try:
                    found[need.component] = advise(need.belief, terms[need.component], now)
                except Exception:
                    log.exception("timing says nothing of a component at this step", component=need.component)
                await asyncio.sleep(0)
        self.newest = MappingProxyType(found)
        return self.newest

    async def _refined(
        self, needs: Sequence[Need], said: Mapping[str, TimingTerms], circumstances: Circumstances, now: datetime
    ) -> Mapping[str, TimingTerms]:
        try:
            async with self._spend.read() as tx:
                return await refined(tx, self._owner, needs, said, circumstances, now)
        except Exception:
            log.exception("stock, orders and suppliers could not be read; timing takes what the config says")
            return said
