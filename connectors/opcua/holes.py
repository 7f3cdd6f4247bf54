"""Holes in what arrived, and their filling from the machine's own history while live values go on.

A hole opens when a subscription had to be made anew, or when messages are missing that the server cannot send again.
It is from the last time that was taken of each tag until the first that comes afterwards. Live values come first; one
filling runs at a time, beside them. What no history could fill is counted as missed. Refuses to know the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import numpy as np

from connectors.counters import Loss, Losses
from connectors.opcua.continuity import Continuity
from connectors.opcua.recall import Gap
from connectors.samples import Batch, Ticks

ROUNDS: Final = 3
"""Publishings after which a hole is filled: by then every tag that has a new value has told it."""
_OPEN_END: Final = 2**63 - 1

Fill = Callable[[Mapping[int, Gap]], Coroutine[Any, Any, int]]
"""Fetches and delivers what lies in the gaps of tags, by their numbers; returns how many values that were."""


class Holes:
    """The holes of one conversation."""

    def __init__(self, continuity: Continuity, fill: Fill, losses: Losses) -> None:
        self._continuity = continuity
        self._fill = fill
        self._losses = losses
        self._before: Ticks | None = None
        self._first = np.zeros(0, np.int64)
        self._newest = 0
        self._missed = 0
        self._rounds = 0
        self._filling: asyncio.Task[int] | None = None

    def open(self, missed: int = 0) -> None:
        """What comes from now on does not follow from what came before; `missed` messages are gone."""
        self._missed += missed
        if self._before is None:
            self._before = self._continuity.seen.copy()
            self._first = np.full(len(self._before), _OPEN_END)
            self._rounds = 0

    def saw(self, batch: Batch) -> None:
        """Note what was delivered."""
        if self._before is not None:
            known = batch.tags < len(self._first)
            np.minimum.at(self._first, batch.tags[known], batch.source[known])
        self._newest = int(batch.received[-1])
        self._continuity.saw(batch)

    def fill(self) -> None:
        """Begin to fill what is open, once every tag has had its turn. Raises what a delivery raised."""
        if self._filling is not None and self._filling.done():
            done, self._filling = self._filling, None
            if done.result() == 0:
                self._losses.count(Loss.MESSAGES_MISSED, self._missed)
            self._missed = 0
        self._rounds += 1
        if self._before is None or self._filling is not None or self._rounds < ROUNDS or not self._newest:
            return
        gaps, self._before = self._gaps(), None
        self._filling = asyncio.create_task(self._fill(gaps))

    def _gaps(self) -> dict[int, Gap]:
        assert self._before is not None
        until = np.where(self._first == _OPEN_END, self._newest, self._first)
        open_ones = np.flatnonzero((self._before > 0) & (until > self._before + 1))
        return {tag: Gap(int(self._before[tag]), int(until[tag])) for tag in open_ones.tolist()}

    async def close(self) -> None:
        """Stop filling; what was missed and not filled by then is counted."""
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        self._losses.count(Loss.MESSAGES_MISSED, self._missed)
        self._missed = 0
