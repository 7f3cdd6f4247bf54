"""Store and forward between the machines and whoever keeps their values: an outage loses nothing that fits the bound.

Everything goes through files (`connectors.journal`), so that a sink's outage of a minute and of a weekend are the same
code. Promises: `put` waits for neither disk nor sink; what was put a quarter of a second ago survives the death of the
process, and a second ago that of the computer; each reader gets the batches in their order, and again until it said
that they are safe. A sink that writes a parcel's mark in the transaction that holds its samples gets nothing twice.
Bounds: 72 h or 2 GiB on disk, 10 s of 50,000 samples a second in memory; beyond them the oldest are lost. A disk that
fails or is full costs samples and nothing else, a damaged file what is in it; every lost sample is counted by reason.
Refuses to know what a sink is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import structlog

from connectors.counters import Loss, Losses
from connectors.journal import Cursor, Journal, Mark, Parcel
from connectors.samples import TICKS_PER_SECOND, Batch

COMMIT_SECONDS: Final = 0.25
"""What a kill can cost; each commit is one write, however many connections there are."""
MEMORY_SAMPLES: Final = 500_000
"""Ten seconds of 50,000 a second that a disk may stand still; about 12 MB."""
PARCEL_SAMPLES: Final = 125_000
"""What a sink gets at once, two and a half seconds at 50,000 a second; with the copies it makes of them 15 MB."""
PARCEL_SECONDS: Final = 10.0
"""How long samples wait for others to go with; a chart may be as far behind."""
RETRY_SECONDS: Final = 1.0
BEHIND_SECONDS: Final = 60.0
"""A reader that was given nothing for so long is out of order: from then on space is dearer than time."""

Sink = Callable[[Parcel], Awaitable[None]]
"""Takes a parcel; returning means that it is safe. Raises `Unstorable` for what it will never take."""
_T = TypeVar("_T")
_log = structlog.get_logger()


class Unstorable(Exception):
    """The parcel can never be stored, whatever is tried; it is counted as lost and the next one may come."""


class Backlog:
    """Batches on their way to sinks; `failures` counts what sinks refused, `losses` is what was lost before any reader.

    memory: samples that wait for the disk at most.
    """

    def __init__(
        self,
        journal: Journal | Path,
        *,
        memory: int = MEMORY_SAMPLES,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Keep batches in a journal, or in one in a directory that ages by a clock (the wall's) where one is given."""
        self.failures = 0
        if not isinstance(journal, Journal):
            journal = Journal(journal) if clock is None else Journal(journal, clock=clock)
        self._journal = journal
        self._losses = Losses()
        self._memory_max = memory
        self._pending: deque[Batch] = deque()
        self._pending_samples = self._writing_samples = 0
        self._opened = self._failing = self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._arrived = asyncio.Event()
        self._hurry = asyncio.Event()
        self._readers: dict[str, Reader] = {}
        # One thread, so that nothing in the journal happens twice at a time.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="backlog")

    @property
    def waiting(self) -> int:
        """Samples in memory that are not on disk yet."""
        return self._pending_samples + self._writing_samples

    @property
    def depth(self) -> int:
        """Samples that are not safe with every reader yet, in memory and on disk."""
        return self.waiting + max((reader.cursor.depth for reader in self._readers.values()), default=0)

    @property
    def is_failing(self) -> bool:
        """Whether its disk refused what was last given to it."""
        return self._failing

    @property
    def size_bytes(self) -> int:
        """What lies on disk."""
        return self._journal.size

    @property
    def age_seconds(self) -> float:
        """How far the slowest reader is behind, in wall time; 0 when none is."""
        behind = (self._journal.behind_ticks(reader.cursor) for reader in self._readers.values())
        return max(behind, default=0) / TICKS_PER_SECOND

    @property
    def losses(self) -> Losses:
        """What was lost, by reason; a sample that two readers lost counts twice."""
        readers = {name: reader.cursor.losses for name, reader in self._readers.items()}
        return Losses.summed({**readers, "": self._losses, " ": self._journal.losses})

    @property
    def lost(self) -> int:
        """All samples that were lost."""
        return self.losses.total

    async def open(self) -> None:
        """Look at what an earlier run left. A disk that cannot be read leaves it there, and says so."""
        if self._opened:
            return
        self._opened = True
        try:
            await self._in_thread(self._journal.look)
        except OSError as error:
            _log.error(
                "the backlog's disk cannot be read; what an earlier run left stays there", error=repr(error)[:200]
            )

    async def reader(self, name: str, after: Mark | None = None) -> Reader:
        """Return the reader of a name. after: the last mark that its sink has stored, None when it stores none."""
        await self.open()
        cursor = await self._in_thread(lambda: self._journal.cursor(name, after))
        self._readers[name] = found = Reader(self, self._journal, cursor)
        if cursor.depth:
            self._arrived.set()
        return found

    async def put(self, batch: Batch) -> None:
        """Take a batch in; it is on disk within `COMMIT_SECONDS`. Waits for nothing."""
        if not len(batch) or self._closed:
            return
        self._pending.append(batch)
        self._pending_samples += len(batch)
        while self.waiting > self._memory_max and len(self._pending) > 1:
            self._lose_oldest(Loss.BACKLOG_DISK if self._failing else Loss.BACKLOG_BEHIND)
        self._commit_soon(COMMIT_SECONDS)

    async def drain(self, seconds: float = 2.0) -> None:
        """Let the sinks take at once what there is, and wait until they did, but no longer than that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._committed()
                for reader in self._readers.values():
                    await self._drained(reader)
        self._hurry.clear()

    async def _drained(self, reader: Reader) -> None:
        while reader.cursor.depth:
            reader.moved.clear()
            self._hurry.set()
            self._arrived.set()
            await reader.moved.wait()

    async def close(self) -> None:
        """Write down what waits, for the next start; nothing may be put or taken after it."""
        await self._committed()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._pending:
            self._losses.count(Loss.BACKLOG_DISK, self._pending_samples)
        with suppress(OSError):
            await self._in_thread(self._journal.close)
        self._thread.shutdown()

    async def _committed(self) -> None:
        """Bring on disk what waits, trying once."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
        if self._timer is not None:
            self._timer.cancel()
        self._commit()
        if self._writing is not None:
            await asyncio.wait({self._writing})
            await asyncio.sleep(0)  # its callback comes first

    def _commit_soon(self, seconds: float) -> None:
        if self._timer is None and self._writing is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._commit)

    def _commit(self) -> None:
        """Hand everything that waits to the thread, as one record."""
        self._timer = None
        if not self._pending or self._writing is not None:
            return
        batches, self._pending = self._pending, deque()
        self._writing_samples, self._pending_samples = self._pending_samples, 0
        squeeze = any(reader.is_behind for reader in self._readers.values())
        self._writing = asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self._journal.append(batches, squeeze=squeeze)
        )
        self._writing.add_done_callback(lambda done: self._wrote(done, batches))

    def _wrote(self, done: asyncio.Future[None], batches: deque[Batch]) -> None:
        self._writing, samples, self._writing_samples = None, self._writing_samples, 0
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        news, self._failing = (error is not None) != self._failing, error is not None
        if error is not None:
            self._pending = batches + self._pending
            self._pending_samples += samples
            while self.waiting > self._memory_max and len(self._pending) > 1:
                self._lose_oldest(Loss.BACKLOG_DISK)
        self._arrived.set()
        if self._pending and not self._closed:
            self._commit_soon(RETRY_SECONDS if self._failing else COMMIT_SECONDS)
        if news:  # told last: a disk that is full may refuse a log as well
            self._tell(error)

    def _tell(self, error: BaseException | None) -> None:
        if error is None:
            _log.info("the backlog's disk takes samples again", lost=self.lost)
        else:
            _log.error("the backlog's disk failed; samples wait in memory", error=repr(error)[:200])

    def _lose_oldest(self, reason: Loss) -> None:
        lost = len(self._pending.popleft())
        self._pending_samples -= lost
        self._losses.count(reason, lost)

    async def _in_thread(self, act: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)


class Reader:
    """One sink's way through the backlog; `moved` is set whenever another parcel is safe."""

    def __init__(self, backlog: Backlog, journal: Journal, cursor: Cursor) -> None:
        self.cursor = cursor
        self._backlog = backlog
        self._journal = journal
        self.moved = asyncio.Event()
        self._given_at = asyncio.get_running_loop().time()

    @property
    def is_behind(self) -> bool:
        """Whether it has been given nothing for a minute though there was something."""
        late = asyncio.get_running_loop().time() - self._given_at > BEHIND_SECONDS
        return late and self.cursor.depth > 0

    async def take(self, samples_max: int = PARCEL_SAMPLES, within: float = PARCEL_SECONDS) -> Parcel:
        """Return what comes next: as soon as so many samples wait, or the first of them for so long.

        Raises OSError when the disk does not let it.
        """
        while True:
            await self._worth_it(samples_max, within)
            parcel = await self._backlog._in_thread(lambda: self._journal.read(self.cursor, samples_max))
            if parcel is not None:
                return parcel

    async def done(self, parcel: Parcel, *, keep: bool = False) -> None:
        """Say that a parcel is safe. keep: remember it on disk, for a sink that cannot remember marks."""

        def act() -> None:
            self._journal.done(self.cursor, parcel)
            if keep:
                self._journal.keep(self.cursor)

        self._given_at = asyncio.get_running_loop().time()
        try:
            await self._backlog._in_thread(act)
        except OSError as error:  # what lies there longer than it need not is no loss
            _log.warning("the backlog could not be tidied", error=repr(error)[:200])
        self.moved.set()

    async def forward(
        self,
        sink: Sink,
        *,
        samples_max: int = PARCEL_SAMPLES,
        within: float = PARCEL_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        keep: bool = False,
    ) -> None:
        """Hand everything to a sink for ever, a failing one once a second; ends only by cancellation."""
        failing = False
        while True:
            try:
                parcel = await self.take(samples_max, within)
            except OSError as error:
                _log.error("the backlog's disk cannot be read", error=repr(error)[:200])
                await sleep(RETRY_SECONDS)
                continue
            while not await self._handed(sink, parcel, quiet=failing):
                failing = True
                await sleep(RETRY_SECONDS)
            await self.done(parcel, keep=keep)
            if failing:
                _log.info("samples are stored again", waiting=self._backlog.depth, lost=self._backlog.lost)
            failing = False

    async def _handed(self, sink: Sink, parcel: Parcel, *, quiet: bool) -> bool:
        """Return whether a sink is through with a parcel."""
        try:
            await sink(parcel)
        except Unstorable as error:
            self._backlog.failures += 1
            self.cursor.losses.count(Loss.STORE_REFUSED, parcel.samples)
            _log.error("samples can never be stored and are lost", samples=parcel.samples, error=str(error)[:200])
        except Exception as error:  # whatever ails the sink, the parcel is kept
            self._backlog.failures += 1
            if not quiet:
                _log.error("samples cannot be stored and are kept aside", error=repr(error)[:200])
            return False
        return True

    async def _worth_it(self, samples_max: int, within: float) -> None:
        """Wait until enough is on disk, or something for long enough, or somebody is in a hurry."""
        backlog = self._backlog
        while not self.cursor.depth:
            backlog._arrived.clear()
            await backlog._arrived.wait()
            self._given_at = asyncio.get_running_loop().time()  # before there was nothing to give
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.cursor.depth < samples_max and not backlog._hurry.is_set():
                    backlog._arrived.clear()
                    await backlog._arrived.wait()
