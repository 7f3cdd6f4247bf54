"""Looks after money alarms: those without an answer stop their scope, and a clock that jumps raises one.

It promises to look before anything is sent, at start and with every pass of reconciliation, and that a fault here stops
no pass: it is logged, and looked after again at the next. At start plant time is compared with the newest entry of the
audit log, afterwards with a clock that only ever runs on.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import structlog

from gateway.clock import JumpWatch
from marketplace.audit import log as audit
from marketplace.authority import gate
from marketplace.authority.alarm_terms import AlarmCode, AlarmTerms
from marketplace.authority.alarms import raise_alarm
from marketplace.authority.scopes import PLANT
from marketplace.documents import timestamp
from marketplace.ordering.stopping import Stopping

log = structlog.get_logger()


class MoneyWatch:
    """The watch of one gateway; `told` is called when something was stopped or an alarm raised."""

    def __init__(self, stopping: Stopping, jumps: JumpWatch, terms: AlarmTerms, told: Callable[[], None]) -> None:
        self._stopping = stopping
        self._jumps = jumps
        self._terms = terms
        self._told = told

    async def begin(self) -> None:
        """Look once at start: has the clock gone back since the last act, and which alarms had no answer?"""
        try:
            await self._heed(await self._gone_back())
        except Exception:
            log.exception("whether the clock has gone back could not be found out")
        await self.look()

    async def look(self) -> None:
        """Look once."""
        try:
            await self._heed(self._jumps.jumped())
            if await self._stopping.watch():
                self._told()
        except Exception:
            log.exception("alarms could not be looked after; it is tried again at the next pass")

    async def _gone_back(self) -> timedelta | None:
        """Return by how much plant time is behind the newest entry of the log, None when it is not."""
        async with self._stopping.database.read() as tx:
            newest = await audit.entries(tx, limit=1, owner=self._stopping.owner)
        jump = self._stopping.clock() - newest[0].at if newest else timedelta(0)
        return jump if jump < -self._jumps.tolerance else None

    async def _heed(self, jump: timedelta | None) -> None:
        """Keep plant time as it is seen; each jump is an alarm: the last one's deadline may lie a year ahead."""
        now, owner = self._stopping.clock(), self._stopping.owner
        async with self._stopping.database.write() as tx:
            if await gate.observe_clock(tx, owner, now):
                log.warning("plant time has jumped; every order asks until a person says 'toolcrib clock accept'")
            if jump is None:
                return
            code, figures, subject = AlarmCode.CLOCK_WRONG, {"jump": f"{jump.total_seconds():.0f} s"}, timestamp(now)
            await raise_alarm(tx, owner, code, PLANT, subject, now, parameters=figures, terms=self._terms)
        log.warning("clock_jumped", **figures)
        self._told()
