"""What the machines say right now: the last reading of every tag, and how each connection is.

It promises that a reading is never shown fresher than it is: whether it is stale is asked at the moment of looking.
It keeps one reading for each tag and one mark for each change that a watcher has not taken yet, so it is bounded by
the number of tags however fast they change; a slow watcher misses values in between, never the last one. It is
memory only: what must last is in the databases.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from connectors.samples import Batch, Keys, Numbers, Provenance, Quality, Sample, moment_of

WATCHERS_MAX = 64
"""More than the people of a hall; each costs a set of the tags that changed since it last looked."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The last value of one tag. `connection` names whose word it is; `text` is what it says in words, if it does."""

    tag: str
    value: float
    quality: Quality
    source_time: datetime
    receive_time: datetime
    provenance: Provenance
    connection: str
    text: str | None = None


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

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._marks: set[str] = set()
        self._tags = np.zeros(len(keys), bool)
        self._marked = asyncio.Event()

    def mark(self, marks: Iterable[str]) -> None:
        """Note that these changed: `links`, `orders`, `needs`, `alarms`."""
        self._marks.update(marks)
        self._marked.set()

    def mark_tags(self, numbers: Numbers) -> None:
        """Note that these tags have another value."""
        if len(self._tags) < len(self._keys):
            self._tags = np.append(self._tags, np.zeros(len(self._keys) - len(self._tags), bool))
        self._tags[numbers] = True
        self._marked.set()

    async def changes(self) -> frozenset[str]:
        """Wait until something changed and return what: tags as `machine/tag`, `links`, `orders`, `needs`, `alarms`."""
        await self._marked.wait()
        self._marked.clear()
        tags = (self._keys[number] for number in np.flatnonzero(self._tags).tolist())
        taken, self._marks = self._marks.union(tags), set()
        self._tags[:] = False
        return frozenset(taken)


class Readings(Mapping[str, Reading]):
    """The last reading of each tag, made when it is looked at; it shows the board as it is then."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __getitem__(self, key: str) -> Reading:
        reading = self._board.reading(key)
        if reading is None:
            raise KeyError(key)
        return reading

    def __iter__(self) -> Iterator[str]:
        return self._board.heard()

    def __len__(self) -> int:
        return sum(1 for _ in self._board.heard())


class Board:
    """The one place where the latest readings meet, in columns by tag; keeps the promise of `Live`.

    `stale_after` is plant time; None leaves staleness to the connections alone, as for a server that speaks only
    when a value changes.
    """

    def __init__(self, *, stale_after: timedelta | None = None) -> None:
        self.keys = Keys()
        self._value = np.zeros(0, np.float64)
        self._quality = np.zeros(0, np.uint8)
        self._source = np.zeros(0, np.int64)
        self._received = np.zeros(0, np.int64)
        self._speaker = np.zeros(0, np.int32)
        self._speakers: list[tuple[str, Provenance]] = [("", Provenance.B)]
        self._texts: dict[int, str] = {}
        self._links: dict[str, Link] = {}
        self._faulty: frozenset[str] = frozenset()
        self._watchers: set[Watcher] = set()
        self._stale_after = stale_after

    def put(self, batch: Batch) -> None:
        """Take what arrived from a connection; the last of each tag stays."""
        batch = self.keys.adopt(batch)
        self._grow()
        tags = batch.tags
        self._value[tags] = batch.values  # assignment by index: the last of several of a tag stays
        self._quality[tags] = batch.quality
        self._source[tags] = batch.source
        self._received[tags] = batch.received
        self._speaker[tags] = self._number(batch.connection, batch.provenance)
        if self._texts or batch.texts:
            self._word(batch)
        for watcher in self._watchers:
            watcher.mark_tags(tags)

    def recall(self, connection: str, samples: Sequence[Sample]) -> None:
        """Take what a connection's tags said before the gateway ended: uncertain, until they say something again."""
        usable = [
            replace(sample, quality=Quality.UNCERTAIN) if sample.quality is Quality.GOOD else sample
            for sample in samples
        ]
        if usable:
            self.put(Batch.of(connection, usable))

    def _number(self, connection: str, provenance: Provenance) -> int:
        speaker = connection, provenance
        if speaker not in self._speakers:
            self._speakers.append(speaker)
        return self._speakers.index(speaker)

    def _word(self, batch: Batch) -> None:
        worded = np.flatnonzero(np.isin(batch.tags, np.fromiter(self._texts, np.int32))).tolist()
        for row in sorted({*worded, *batch.texts}):
            text = batch.texts.get(row)
            if text is None:
                self._texts.pop(int(batch.tags[row]), None)
            else:
                self._texts[int(batch.tags[row])] = text

    def _grow(self) -> None:
        missing = len(self.keys) - len(self._value)
        if missing > 0:
            missing = max(missing, len(self._value))
            self._value = np.append(self._value, np.zeros(missing))
            self._quality = np.append(self._quality, np.zeros(missing, np.uint8))
            self._source = np.append(self._source, np.zeros(missing, np.int64))
            self._received = np.append(self._received, np.zeros(missing, np.int64))
            self._speaker = np.append(self._speaker, np.zeros(missing, np.int32))

    def reading(self, key: str) -> Reading | None:
        """Return the last reading of a tag, or None before its first."""
        number = self.keys.find(key)
        if number is None or number >= len(self._speaker) or self._speaker[number] == 0:
            return None
        connection, provenance = self._speakers[int(self._speaker[number])]
        return Reading(
            key,
            float(self._value[number]),
            Quality(int(self._quality[number])),
            moment_of(int(self._source[number])),
            moment_of(int(self._received[number])),
            provenance,
            connection,
            self._texts.get(number),
        )

    def heard(self) -> Iterator[str]:
        """Yield the tags that have a reading."""
        return (self.keys[number] for number in np.flatnonzero(self._speaker).tolist())

    def notify(self, link: Link) -> None:
        """Take how a connection is now."""
        self._links[link.name] = link
        self._faulty = frozenset(tag for each in self._links.values() for tag, _ in each.faults)
        self.tell({"links"})

    def forget(self, connections: Iterable[str], tags: Iterable[str]) -> None:
        """Show these no more: the config does not name them now."""
        for name in connections:
            self._links.pop(name, None)
        for tag in tags:
            number = self.keys.find(tag)
            if number is not None and number < len(self._speaker):
                self._speaker[number] = 0
                self._texts.pop(number, None)
        self._faulty = frozenset(tag for each in self._links.values() for tag, _ in each.faults)
        self.tell({"links"})

    def tell(self, keys: Iterable[str]) -> None:
        """Mark something as changed for everybody who watches: `orders`, `needs` or `alarms`."""
        marks = set(keys)
        if marks:
            for watcher in self._watchers:
                watcher.mark(marks)

    def readings(self) -> Mapping[str, Reading]:
        """Return the last reading of each tag."""
        return Readings(self)

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
        watcher = Watcher(self.keys)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
