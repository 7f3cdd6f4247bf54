"""What is due by the clock: each act at its interval, never twice at once, and a failing one never stops the others.

Intervals are plant time. Where plant time is compressed they shrink with it, down to `SHORTEST`, so that a demo does
not spin. Stopping waits a little for what is under way and then cancels it: every act may be cut off at any moment,
as by a power cut. APScheduler keeps the times; this module keeps its promises small.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gateway.stopping import end_tasks

log = structlog.get_logger()

Act = Callable[[], Awaitable[None]]

SHORTEST = timedelta(milliseconds=500)
"""Nothing that a person can see needs to be looked at more often."""
STOPPING_S: Final = 1.0
"""An act that waits for nobody is over by then; a supplier that hangs would take its whole deadline."""


class Schedule:
    """Repeats acts until it is stopped. `speed` is how many times faster than the wall plant time runs."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._running: set[asyncio.Task[None]] = set()
        self._turns: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self.failures: dict[str, int] = {}

    def every(self, interval: timedelta, name: str, act: Act) -> None:
        """Do `act` each `interval` of plant time."""
        seconds = max(interval / self._speed, SHORTEST).total_seconds()
        self.failures[name] = 0
        self._scheduler.add_job(self._guarded, "interval", seconds=seconds, args=(name, act), id=name)

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._scheduler.start()

    async def stop(self) -> None:
        """Begin nothing more, wait a little for what is under way, and cancel what still is."""
        if self._scheduler.running:
            self._stopping = True
            self._scheduler.pause()
            await asyncio.sleep(0)  # a turn that was due in this very moment begins, and ends at once
            await end_tasks(self._running, STOPPING_S)
            await end_tasks(self._turns, STOPPING_S)  # each ends with its act, and is not cut off in saying so
            self._scheduler.shutdown(wait=False)
            await asyncio.sleep(0)  # the scheduler ends itself in the next turn of the loop

    async def _guarded(self, name: str, act: Act) -> None:
        if self._stopping:
            return
        task, turn = asyncio.ensure_future(self._once(name, act)), asyncio.current_task()
        assert turn is not None
        self._running.add(task)
        self._turns.add(turn)
        try:
            await asyncio.wait({task})  # neither is cut off with the other
        finally:
            self._running.discard(task)
            self._turns.discard(turn)

    async def _once(self, name: str, act: Act) -> None:
        try:
            await act()
        except Exception:
            self.failures[name] += 1
            log.exception("an act on the schedule failed; it will be tried again", act=name)
