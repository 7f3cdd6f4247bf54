"""How a gateway stops within five seconds whatever hangs: a supplier, a machine that does not say goodbye, a disk.

Stopping is never waited for by what may not be lost: that is durable before it is done. So whatever is under way gets
a little time, is then cancelled, and at the very last left where it is, as by a power cut; the next start takes it up.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import structlog

log = structlog.get_logger()

STOP_WITHIN_S: Final = 4.5
"""From the signal to the end of the process, with half a second to spare of the five that are promised."""


async def end_tasks(tasks: Iterable[asyncio.Task[Any]], grace_s: float) -> None:
    """Give tasks that long to end by themselves, then cancel them and wait until they are gone."""
    under_way = {task for task in tasks if not task.done()}
    if not under_way:
        return
    _done, late = await asyncio.wait(under_way, timeout=grace_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)


async def at_last(act: Callable[[], Awaitable[None]], name: str) -> None:
    """Do what is done at the end; if the disk does not let it, the end comes all the same."""
    try:
        await act()
    except Exception:
        log.exception("a last act failed; the next start does without it", act=name)


def leave_in_time(seconds: float = STOP_WITHIN_S, leave: Callable[[int], None] = os._exit) -> threading.Timer:
    """End the process with 0 when stopping takes too long; nothing that counts is lost by it."""

    def end() -> None:
        log.warning("stopping took too long; what was under way is taken up by the next start")
        leave(0)

    watchdog = threading.Timer(seconds, end)
    watchdog.daemon = True
    watchdog.start()
    return watchdog
