"""What the machines say right now: the last reading of every tag, and how each connection is.

It promises that a reading is never shown fresher than it is: whether it is stale is asked at the moment of looking.
It keeps one reading for each tag and one mark for each change that a watcher has not taken yet, so it is bounded by
the number of tags however fast they change; a slow watcher misses values in between, never the last one. It is
memory only: what must last is in the databases.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from connectors.samples import Provenance, Quality, Sample

WATCHERS_MAX = 64
"""More than the people of a hall; each costs a set of the tags that changed since it last looked."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The last value of one tag. `connection` names whose word it is."""

    tag: str
    value: float
    quality: Quality
    source_time: datetime
    receive_time: datetime
    provenance: Provenance
    connection: str


@dataclass(frozen=True, slots=True)
class Link:
    """How one connection is: since when, why if it is down, and which tags cannot be read (tag, reason)."""

    name: str
    connected: bool
    since: datetime
    reason: str
    faults: tuple[tuple[str, str], ...] = ()


class TooManyWatchers(Exception):
    """No more can watch at once; try again later."""


class Live(Protocol):
    """What the page reads."""

    def readings(self) -> Mapping[str, Reading]:
        """Return the last reading of each tag."""

    def links(self) -> Sequence[Link]:
        """Return every connection, by name."""

    def is_stale(self, reading: Reading, now: datetime) -> bool:
        """Return whether a reading must not be taken for the machine's present state."""

    def watch(self) -> AbstractAsyncContextManager[Watcher]:
        """Return what tells of changes; a context manager. Raises `TooManyWatchers`."""


class Watcher:
    """One watcher's marks: what changed since it last looked."""

    def __init__(self) -> None:
        self._marks: set[str] = set()
        self._marked = asyncio.Event()

    def mark(self, keys: Iterable[str]) -> None:
        """Note that these changed."""
        self._marks.update(keys)
        self._marked.set()

    async def changes(self) -> frozenset[str]:
        """Wait until something changed and return what: tags as `machine/tag`, `links`, `orders`, `needs`."""
        await self._marked.wait()
        self._marked.clear()
        taken, self._marks = frozenset(self._marks), set()
        return taken


class Board:
    """The one place where the latest readings meet; keeps the promise of `Live`.

    `stale_after` is plant time; None leaves staleness to the connections alone, as for a server that speaks only
    when a value changes.
    """

    def __init__(self, *, stale_after: timedelta | None = None) -> None:
        self._readings: dict[str, Reading] = {}
        self._links: dict[str, Link] = {}
        self._faulty: frozenset[str] = frozenset()
        self._watchers: set[Watcher] = set()
        self._stale_after = stale_after

    def put(self, connection: str, samples: Iterable[Sample]) -> None:
        """Take what arrived from a connection; the last of each tag stays."""
        changed = set()
        for sample in samples:
            self._readings[sample.tag] = Reading(
                sample.tag,
                sample.value,
                sample.quality,
                sample.source_time,
                sample.receive_time,
                sample.provenance,
                connection,
            )
            changed.add(sample.tag)
        self.tell(changed)

    def notify(self, link: Link) -> None:
        """Take how a connection is now."""
        self._links[link.name] = link
        self._faulty = frozenset(tag for each in self._links.values() for tag, _ in each.faults)
        self.tell({"links"})

    def tell(self, keys: Iterable[str]) -> None:
        """Mark something as changed for everybody who watches: `orders`, `needs` or tags."""
        marks = set(keys)
        if marks:
            for watcher in self._watchers:
                watcher.mark(marks)

    def readings(self) -> Mapping[str, Reading]:
        """Return the last reading of each tag."""
        return self._readings

    def links(self) -> Sequence[Link]:
        """Return every connection, by name."""
        return [self._links[name] for name in sorted(self._links)]

    def is_stale(self, reading: Reading, now: datetime) -> bool:
        """Return True when its connection is down or unheard of, the tag is faulty, or the reading is too old."""
        link = self._links.get(reading.connection)
        if link is None or not link.connected or reading.tag in self._faulty:
            return True
        return self._stale_after is not None and now - reading.receive_time > self._stale_after

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[Watcher]:
        """Watch for as long as it is entered. Raises `TooManyWatchers`."""
        if len(self._watchers) >= WATCHERS_MAX:
            raise TooManyWatchers
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
