"""An event loop whose time jumps to the next timer whenever nothing is ready: a month of waiting takes no time.

Sleeps, timeouts and deadlines of asyncio run on it unchanged and always in the same order. Nothing real may be waited
for: no socket, no thread, no process. A program that waits for nothing at all is stuck, and is told so.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class NothingLeft(RuntimeError):
    """Everything waits, and no timer will ever wake anything."""


class _Skipping(selectors.SelectSelector):
    """Waits for nothing: the time that it should have waited has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingLeft("nothing is ready and no timer is set")
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time begins at 0 and passes only where everybody waits."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Return seconds since the loop began."""
        return self._skipping.now


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
