"""Keeps what the machines said: parcels out of the backlog into the telemetry store, folded and forgotten in time.

Promises: a parcel and its mark commit in one transaction, so that whatever dies in between, every sample is stored
once; the file holds no more than its bound, the oldest go first and are counted. What folding or forgetting cannot do
is said and tried again at the next parcel; it never keeps a parcel from being stored. Columns are worked on beside the
event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from connectors.backlog import Unstorable
from connectors.journal import Mark, Parcel
from connectors.samples import Batch, ticks_of
from gateway.storage import FAILURES, Storage
from maintenance import history

READER: Final = "store"
BOUND_EVERY: Final = 10
"""Parcels between two looks at the size: at most a hundredth of the smallest bound goes by."""
FORGET_MAX: Final = 200
"""Steps of forgetting in one go, 50,000 segments; the next look goes on."""

log = structlog.get_logger()


class Historian:
    """The one writer of the ring. samples: stored since it was made. forgotten: dropped for the bound in bytes.

    used_bytes: what the file held at the last look. broken: blocks that could not be read when they were folded.
    """

    def __init__(self, telemetry: Storage, bytes_max: int) -> None:
        self.samples = self.forgotten = self.used_bytes = self.broken = 0
        self._telemetry = telemetry
        self._bytes_max = bytes_max
        self._numbered = history.Numbered()
        self._pile: history.Pile | None = None
        self._parcels = 0
        self._busy = asyncio.Lock()

    async def mark(self) -> Mark | None:
        """Return how far the backlog has come in here."""
        async with self._telemetry.read() as tx:
            found = await history.marked(tx, READER)
        return None if found is None else Mark(*found)

    async def store(self, parcel: Parcel) -> None:
        """Write a parcel; one that is in here already is not written again. Raises what the database raises.

        Raises `Unstorable` for samples that no database would take.
        """
        async with self._busy:
            await self._learn(parcel.batches)
            try:
                flush = await asyncio.to_thread(history.flush_of, parcel.batches, self._numbered)
            except (ValueError, OverflowError, TypeError, LookupError) as error:
                raise Unstorable(repr(error)[:200]) from error
            async with self._telemetry.write() as tx:
                written = await history.save_flush(tx, flush, READER, (parcel.mark.journal, parcel.mark.number))
            if written:
                self.samples += flush.samples
                await self._tidy(flush)

    async def forget(self, before: datetime) -> int:
        """Drop samples that were received before a time; returns how many."""
        dropped = await self._forget(ticks_of(before))
        if dropped:
            log.info("old samples were dropped", samples=dropped)
        return dropped

    async def _learn(self, batches: Sequence[Batch]) -> None:
        """Get numbers for new tags, committed before anybody relies on them."""
        for keys in self._numbered.unknown(batches):
            async with self._telemetry.write() as tx:
                ids = await history.tag_ids(tx, keys)
            self._numbered.learn(keys, ids)

    async def _tidy(self, flush: history.Flush) -> None:
        self._parcels += 1
        try:
            if self._pile is None:
                async with self._telemetry.read() as tx:
                    self._pile = await history.load_pile(tx)
            else:
                for row in flush.blocks:
                    self._pile.add(row["bundle"], row["samples"])
            bundle = self._pile.fullest()
            if bundle is not None:
                await self._fold(bundle, self._pile)
            if self._parcels % BOUND_EVERY == 1:
                await self._keep_bound()
        except FAILURES as error:
            log.warning("the ring of samples could not be tidied", error=repr(error)[:200])

    async def _fold(self, bundle: int, pile: history.Pile) -> None:
        async with self._telemetry.read() as tx:
            found = await history.foldable(tx, bundle)
        result = await asyncio.to_thread(history.folded, found)
        if result.broken_blocks:
            self.broken += result.broken_blocks
            log.error("blocks of samples were broken and are lost", blocks=result.broken_blocks)
        async with self._telemetry.write() as tx:
            await history.save_folded(tx, found, result)
        pile.add(bundle, -found.samples, -len(found.ids))

    async def _keep_bound(self) -> None:
        """Drop the oldest until the file's pages fit; empty pages are filled again, so the file grows no more."""
        for _ in range(FORGET_MAX):
            async with self._telemetry.read() as tx:
                self.used_bytes = await history.used_bytes(tx)
            if self.used_bytes <= self._bytes_max:
                return
            async with self._telemetry.write() as tx:
                dropped = await history.forget(tx, history.BEYOND)
            if not dropped:
                return
            self.forgotten += dropped
            self._pile = None  # blocks may be among them

    async def _forget(self, before: int) -> int:
        total = 0
        while True:
            async with self._telemetry.write() as tx:
                dropped = await history.forget(tx, before)
            if not dropped:
                return total
            self._pile = None
            total += dropped
