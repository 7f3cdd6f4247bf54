"""Store and forward between delivery and the store: an outage of the store loses nothing that fits the bound.

Promises: batches leave in the order in which they came, each at least once (after a crash the last few may come
again); taking one in never waits for the store; from the first failure until all is caught up everything lies on
disk, so that a killed process loses nothing of an outage; what the bound or a broken disk costs is counted in
`lost`, oldest first. One reader only. Refuses to know what the store is.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import structlog

from connectors.samples import Batch, Provenance, Quality, Sample

MEMORY_SAMPLES: Final = 10_000
"""Ten seconds of 1,000 tags: a store that is only slow needs no disk."""
DISK_SAMPLES: Final = 1_000_000
"""A quarter of an hour of 1,000 tags, a day of ten; about 20 MB."""
CHUNK_BATCHES: Final = 100
"""Read back at once; as many come again after a crash at worst."""
RETRY_SECONDS: Final = 1.0

_Entry = tuple[int, Batch]
_T = TypeVar("_T")
_log = structlog.get_logger()


class Backlog:
    """Batches on their way to the store; `depth` and `lost` count samples, `failures` the store's refusals."""

    def __init__(self, path: Path, *, memory: int = MEMORY_SAMPLES, disk: int = DISK_SAMPLES) -> None:
        self.lost = self.failures = 0
        self._memory_max = memory
        self._memory: deque[_Entry] = deque()
        self._memory_samples = 0
        self._taken: _Entry | None = None
        self._spill = _Spill(path, disk)
        self._next = 0
        self._opened = False
        # One thread, so that what a cancelled caller began is over before the next begins.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="backlog")
        self._change = asyncio.Condition()

    @property
    def depth(self) -> int:
        """Samples that wait, in memory and on disk."""
        return self._memory_samples + self._spill.waiting

    async def open(self) -> None:
        """Look at what an earlier run left on disk; the first `put` or `take` does it too."""
        if not self._opened:
            last = await self._on_disk(self._spill.look)
            self._opened = last is not None
            self._next = max(self._next, last or 0)

    async def put(self, batch: Batch) -> None:
        """Take a batch in; returns once it is in memory, or on disk while the store is behind."""
        async with self._change:
            await self.open()
            self._next += 1
            entry = (self._next, batch)
            if self._spill.waiting == 0 and self._memory_samples + len(batch) <= self._memory_max:
                self._remember(entry)
            else:
                await self._keep([entry])
            self._change.notify()

    async def take(self) -> Batch:
        """Return the next batch, waiting for one; says at the same time that the one before it is safe."""
        async with self._change:
            await self.open()
            self._taken = None
            while not self._memory:
                await self._load()
                if not self._memory:
                    await self._change.wait()
            self._taken = self._memory.popleft()
            self._memory_samples -= len(self._taken[1])
            return self._taken[1]

    async def put_back(self) -> None:
        """Say that the batch taken last could not be stored: it, and all behind it, is kept on disk until it can."""
        async with self._change:
            if self._taken is not None:
                await self._keep(self._drained())

    async def forward(
        self,
        sink: Callable[[Batch], Awaitable[None]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Hand everything to the store for ever, a failing one once a second; ends only by cancellation."""
        failing = False
        while True:
            batch = await self.take()
            try:
                await sink(batch)
            except Exception as error:  # whatever ails the store, the batch is kept
                self.failures += 1
                await self.put_back()
                if not failing:
                    _log.error("samples cannot be stored and are kept aside", error=repr(error)[:200])
                failing = True
                await sleep(RETRY_SECONDS)
            else:
                if failing:
                    _log.info("samples are stored again", waiting=self.depth, lost=self.lost)
                failing = False

    async def close(self) -> None:
        """Keep on disk what was not stored, for the next start; nothing may be put or taken after it."""
        async with self._change:
            waiting = self._drained()
            if waiting:
                await self._keep(waiting)
            else:
                await self._load()  # forgets what was fetched and stored since
                await self._keep(self._drained())
            await self._in_thread(self._spill.close)
        self._thread.shutdown()

    def _drained(self) -> list[_Entry]:
        """Empty the memory, the batch that is out included, oldest first."""
        entries = [*([self._taken] if self._taken is not None else []), *self._memory]
        self._taken = None
        self._memory.clear()
        self._memory_samples = 0
        return entries

    def _remember(self, entry: _Entry) -> None:
        self._memory.append(entry)
        self._memory_samples += len(entry[1])

    async def _keep(self, entries: list[_Entry]) -> None:
        dropped = await self._on_disk(lambda: self._spill.append(entries)) if entries else 0
        self.lost += sum(len(batch) for _number, batch in entries) if dropped is None else dropped

    async def _load(self) -> None:
        """Fetch the oldest batches from disk, forgetting those fetched before: all of them are safe by now."""
        if self._spill.holds_any:
            for entry in await self._on_disk(lambda: self._spill.fetch(CHUNK_BATCHES)) or ():
                self._remember(entry)

    async def _on_disk(self, act: Callable[[], _T]) -> _T | None:
        """Do something with the disk in a thread; None when the disk failed, which costs samples and nothing else."""
        try:
            return await self._in_thread(act)
        except (sqlite3.OperationalError, OSError) as error:  # full or out of reach: perhaps not for ever
            _log.error("the backlog's disk failed", file=str(self._spill.path), error=repr(error)[:200])
        except (sqlite3.DatabaseError, ValueError, zlib.error):
            lost = await self._in_thread(self._spill.set_aside)
            self.lost += lost
            _log.error("the backlog's file was broken and is set aside", file=str(self._spill.path), lost=lost)
        return None

    async def _in_thread(self, act: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)


class _Spill:
    """The file: batches by number. Raises sqlite3.Error, OSError, ValueError; its counts change only with the file."""

    def __init__(self, path: Path, samples_max: int) -> None:
        self.path = path
        self.waiting = 0
        self._samples_max = samples_max
        self._fetched = 0
        self._connection: sqlite3.Connection | None = None

    @property
    def holds_any(self) -> bool:
        """Whether there is anything to fetch or to forget."""
        return self.waiting > 0 or self._fetched > 0

    def look(self) -> int:
        """Return the last number that an earlier run kept, counting what waits; makes no file."""
        if not self.path.exists():
            return 0
        last, samples = self._open().execute("SELECT max(number), total(samples) FROM batch").fetchone()
        self.waiting = int(samples)
        return int(last or 0)

    def append(self, entries: list[_Entry]) -> int:
        """Keep batches, fetched ones again in front of all that wait; returns the samples dropped for the bound."""
        rows = [(number, len(batch), _packed(batch)) for number, batch in entries]
        first = rows[0][0]
        fetched = 0 if first <= self._fetched else self._fetched
        with self._open() as connection:
            if first <= self._fetched:  # what was fetched before it is safe
                connection.execute("DELETE FROM batch WHERE number < ?", (first,))
            connection.executemany("INSERT OR REPLACE INTO batch VALUES (?, ?, ?)", rows)
            waiting = self.waiting + sum(row[1] for row in rows)
            dropped = self._drop_oldest(connection, fetched, waiting - self._samples_max)
        self._fetched, self.waiting = fetched, waiting - dropped
        return dropped

    def fetch(self, batches: int) -> list[_Entry]:
        """Return the oldest batches that wait; forgets those fetched before."""
        with self._open() as connection:
            connection.execute("DELETE FROM batch WHERE number <= ?", (self._fetched,))
            rows = connection.execute(
                "SELECT number, samples, content FROM batch ORDER BY number LIMIT ?", (batches,)
            ).fetchall()
        entries = [(number, _unpacked(content)) for number, _samples, content in rows]
        self._fetched = entries[-1][0] if entries else 0
        self.waiting -= sum(samples for _number, samples, _content in rows)
        return entries

    def set_aside(self) -> int:
        """Put a broken file out of the way, for people to look at; returns the samples that waited in it."""
        self.close()
        if self.path.exists():
            self.path.replace(self.path.with_suffix(".broken"))
        lost, self.waiting, self._fetched = self.waiting, 0, 0
        return lost

    def close(self) -> None:
        """Close the file; anything later opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS batch (number INTEGER PRIMARY KEY, samples INTEGER, content BLOB)"
            )
        return self._connection

    @staticmethod
    def _drop_oldest(connection: sqlite3.Connection, fetched: int, excess: int) -> int:
        dropped = 0
        while dropped < excess:
            number, samples = connection.execute(
                "SELECT number, samples FROM batch WHERE number > ? ORDER BY number LIMIT 1", (fetched,)
            ).fetchone()
            connection.execute("DELETE FROM batch WHERE number = ?", (number,))
            dropped += samples
        return dropped


def _packed(batch: Batch) -> bytes:
    rows = [
        (s.tag, s.value, int(s.quality), s.source_time.isoformat(), s.receive_time.isoformat(), s.provenance)
        for s in batch
    ]
    return zlib.compress(json.dumps([batch.connection, rows]).encode(), 1)


def _unpacked(content: bytes) -> Batch:
    connection, rows = json.loads(zlib.decompress(content))
    return Batch.of(connection, [_sample(*row) for row in rows])


def _sample(tag: str, value: float, quality: int, source: str, received: str, provenance: str) -> Sample:
    times = datetime.fromisoformat(source), datetime.fromisoformat(received)
    return Sample(tag, value, Quality(quality), *times, Provenance(provenance))
