"""One conversation with one OPC-UA server, by subscription.

Promises: signed, encrypted and pinned unless the site names the endpoint insecure; every value that the server sends
is delivered once, in order, or counted; a slow reader slows the server down and loses nothing here; a server that falls
silent is noticed after one keep-alive; a tag that cannot be read is named and the others run on; what the
conversation before this one left open is taken up again. Refuses to reconnect (`connectors.supervisor` does), to browse
and to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import Final, TypeVar

import structlog
from asyncua import ua
from asyncua.ua.uaerrors import UaError

from connectors.connector import ConnectionLost, Connector, Deliver, TagFault
from connectors.counters import Counters, Loss
from connectors.opcua import limits, subscription
from connectors.opcua.client import BoundedClient, close
from connectors.opcua.continuity import Continuity, KeptSubscription
from connectors.opcua.decode import Changes, Malformed, Message, ServiceFault
from connectors.opcua.holes import Holes
from connectors.opcua.publishing import Publishing, SubscriptionGone
from connectors.opcua.readings import Reader, Reading, read
from connectors.opcua.recall import Gap, recall
from connectors.opcua.session import asked, open_session, said
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.opcua.variants import encodings
from connectors.opcua.vocabulary import Vocabulary
from connectors.samples import Provenance, Quality, ticks_of

CONNECT_SECONDS: Final = 20.0
"""Discovery, channel, session and the subscription of thousands of tags on a small controller."""
PROBE_SECONDS: Final = 10.0
"""A server answers a new subscription with every value it has, at its first publishing."""
GRACE_SECONDS: Final = 1.0
"""Over one keep-alive, for a server that is busy."""

_T = TypeVar("_T")
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Running:
    """A conversation that goes on: what another list of tags is told to."""

    client: BoundedClient
    kept: KeptSubscription
    report: Callable[[Sequence[TagFault]], None]


async def _nothing() -> AsyncIterator[Changes]:
    return
    yield


class OpcUaConnector:
    """Keeps `connectors.connector.Connector`'s promise for OPC-UA; use a fresh one for every attempt.

    counters: may be replaced before it converses, by those of the connection. wall_clock: by which certificates are
    judged; `clock` unless another is put in its place.
    """

    Settings = OpcUaSettings
    TagSettings = OpcUaTag

    def __init__(
        self,
        name: str,
        settings: OpcUaSettings,
        tags: Mapping[str, OpcUaTag],
        *,
        clock: Callable[[], datetime],
        state: Path,
    ) -> None:
        self.name = name
        self.counters = Counters()
        self._settings = settings
        self._tags = tags
        self._clock = clock
        self.wall_clock = clock
        self._state = state
        self._handles = {key: handle for handle, key in enumerate(tags)}
        self._continuity = Continuity()
        self._faults: dict[int, TagFault] = {}
        self._vocabulary = Vocabulary()
        self._asked: set[int] = set()
        provenance = Provenance.B  # until a session says better
        tolerance_s = settings.clock_tolerance / timedelta(seconds=1)
        self._reader = Reader.of(name, tuple(tags), provenance, tolerance_s)
        self._reader.windows |= {self._handles[key] for key, tag in tags.items() if tag.window}
        self._running: _Running | None = None

    def succeed(self, predecessor: Connector) -> None:
        """Go on where the conversation before this one ended, if it watched the same tags."""
        if isinstance(predecessor, OpcUaConnector) and predecessor._tags == self._tags:
            self._continuity, self._reader = predecessor._continuity, predecessor._reader
            self._handles = predecessor._handles

    async def adjust(self, tags: Mapping[str, OpcUaTag]) -> None:
        """Read other tags from now on; those that stay as they are see nothing of it. Raises `ConnectionLost`."""
        before, self._tags = self._tags, dict(tags)
        gone = {key: self._handles.pop(key) for key, tag in before.items() if tags.get(key) != tag}
        for handle in gone.values():
            self._reader.take_back(handle)
            self._faults.pop(handle, None)
        new = {self._reader.give(key): (key, tag) for key, tag in tags.items() if key not in self._handles}
        self._handles |= {key: handle for handle, (key, _tag) in new.items()}
        self._reader.windows |= {handle for handle, (_key, tag) in new.items() if tag.window}
        if self._running is not None:
            await asked(self._url, self._state, self._adjust(self._running, list(gone.values()), new))

    async def _adjust(self, running: _Running, gone: Sequence[int], new: Mapping[int, tuple[str, OpcUaTag]]) -> None:
        most = self._limits
        await subscription.leave(running.client, running.kept, gone, most)
        await subscription.watch(running.client, running.kept, self._settings, new, most)
        self._faults |= {handle: fault for handle, fault in running.kept.faults.items() if handle in new}
        running.report(tuple(self._faults.values()))

    async def converse(self, deliver: Deliver, report: Callable[[Sequence[TagFault]], None]) -> None:
        """Connect, report unreadable tags, deliver what the server publishes. Raises `ConnectionLost`."""
        client = self._client()
        keep = False
        try:
            kept = await self._begun(client)
            report(tuple(self._faults.values()))
            self._running = _Running(client, kept, report)
            await self._listen(client, kept, deliver, report)
        except SubscriptionGone:
            raise
        except ConnectionLost:
            keep = True  # the wire broke, and the server may still have what we had
            raise
        finally:
            self._running = None
            self._continuity.session = client.leave_open(asyncio.get_running_loop().time()) if keep else None
            if not keep:
                self._continuity.forget()
            await close(client, keep_session=keep)

    async def probe(self) -> Sequence[TagFault]:
        """Connect, look at every tag once, leave; returns the tags that cannot be read. Raises `ConnectionLost`."""
        client = self._client()
        try:
            kept = await self._begun(client)
            await self._look_once(client, kept)
        finally:
            self._continuity.forget()
            await close(client)
        return tuple(self._faults.values())

    # ---- from nothing to a running subscription

    @property
    def _limits(self) -> limits.Limits:
        return self._continuity.limits or limits.Limits()

    @property
    def _url(self) -> str:
        urls = (self._settings.url, *self._settings.standby)
        return urls[self._continuity.turn % len(urls)]

    def _client(self) -> BoundedClient:
        return BoundedClient(self._url, self._continuity.session)

    async def _begun(self, client: BoundedClient) -> KeptSubscription:
        try:
            kept = await asked(self._url, self._state, self._begin(client))
        except ConnectionLost:
            self._continuity.turn_to_the_next()
            raise
        self._faults = dict(kept.faults)
        return kept

    async def _begin(self, client: BoundedClient) -> KeptSubscription:
        known = self._continuity
        settings = self._settings.model_copy(update={"url": self._url})
        async with asyncio.timeout(CONNECT_SECONDS):
            self._reader.provenance = (
                await open_session(client, self.name, settings, self._state, self.wall_clock())
            ).provenance
            if known.limits is None:
                known.limits = await limits.ask(client)
            kept = known.subscription
            resumed = client.kept is not None
            known.interrupted = False
            if kept is None or not (resumed or await subscription.transfer(client, kept)):
                tags = {self._handles[key]: (key, tag) for key, tag in self._tags.items()}
                kept = await subscription.subscribe(client, settings, tags, known.limits)
                known.interrupted = bool(known.seen.any())
            known.subscription = kept
            return kept

    # ---- while it runs

    def _publishing(self, client: BoundedClient, kept: KeptSubscription) -> Publishing:
        protocol = client.uaclient.protocol
        if protocol is None:
            raise ConnectionLost(_("the server closed the connection"))
        return Publishing(protocol, kept, kept.beat_s + GRACE_SECONDS)

    async def _listen(
        self,
        client: BoundedClient,
        kept: KeptSubscription,
        deliver: Deliver,
        report: Callable[[Sequence[TagFault]], None],
    ) -> None:
        publishing = self._publishing(client, kept)
        holes = Holes(self._continuity, partial(self._recall, client, kept, deliver), self.counters.losses)
        if self._continuity.interrupted:
            holes.open()
        try:
            while True:
                messages = await publishing.next()
                if missed := publishing.take_missed():
                    holes.open(missed)
                for message in messages:
                    for changes in message.changes:
                        reading = self._read(await self._understood(client, kept, changes))
                        if self._judged(reading):
                            report(tuple(self._faults.values()))
                        if len(reading.batch):
                            await deliver(reading.batch)
                            holes.saw(reading.batch)
                holes.fill()
        except ConnectionLost:
            if not publishing.heard:  # what is left of it is dead, however often it is taken up again
                self._continuity.forget()
            raise
        finally:
            self._settle(publishing)
            await holes.close()

    async def _understood(self, client: BoundedClient, kept: KeptSubscription, changes: Changes) -> Changes:
        """Return changes with their structures read, once the server has said what its own types mean."""
        whole = changes.handles[changes.kinds == ua.VariantType.Int32.value]
        new = {handle for handle in set(whole.tolist()) if handle in kept.nodes} - self._asked
        if new:
            self._asked |= new
            nodes = {handle: kept.nodes[handle] for handle in sorted(new)}
            most = self._limits.read
            self._reader.enumerations |= await self._told(self._vocabulary.names(client, nodes, most))
        if not changes.others:
            return changes
        for encoding in encodings(changes.others.values()):
            if not self._vocabulary.knows(encoding):
                await self._told(self._vocabulary.learn(client, encoding))
        return replace(changes, others={row: self._vocabulary.read(value) for row, value in changes.others.items()})

    async def _told(self, answer: Awaitable[_T]) -> _T:
        """Await what a server says of its types. Raises `ConnectionLost`."""
        return await asked(self._url, self._state, answer)

    async def _recall(
        self, client: BoundedClient, kept: KeptSubscription, deliver: Deliver, gaps: Mapping[int, Gap]
    ) -> int:
        """Deliver what the server remembers of the gaps; returns how many values that were."""
        taken = 0
        keys = self._reader.keys
        by_handle = {self._handles[keys[tag]]: gap for tag, gap in gaps.items() if keys[tag] in self._handles}
        for handle in self._reader.windows:  # the next one says what it said, and a thousand would fill the memory
            by_handle.pop(handle, None)
        deaf = self._continuity.unhistorised
        remembered = recall(client, kept.nodes, by_handle, self._limits.history, deaf) if by_handle else _nothing()
        while (changes := await self._next_of(remembered)) is not None:
            batch = read(changes, self._reader, ticks_of(self._clock()), recalled=True).batch
            if len(batch):
                await deliver(batch)
            taken += len(batch)
        return taken

    async def _next_of(self, remembered: AsyncIterator[Changes]) -> Changes | None:
        """Return the next of what a server remembers; None at the end, which a server that fails has reached, too."""
        try:
            return await anext(remembered, None)
        except (UaError, OSError, Malformed, ServiceFault, ValueError) as error:
            _log.warning("the machine's history could not be read", connection=self.name, error=said(error))
            return None

    def _settle(self, publishing: Publishing) -> None:
        tally = publishing.tally
        self.counters.republished += tally.republished
        self.counters.gaps += tally.gaps
        self.counters.losses.count(Loss.NOT_DECODED, tally.malformed)
        publishing.close()

    def _read(self, changes: Changes) -> Reading:
        reading = read(changes, self._reader, ticks_of(self._clock()))
        self.counters.fallbacks += reading.fallbacks
        self.counters.losses.count(Loss.ANSWER_REFUSED, reading.refused)
        if reading.overflowed:
            if self.counters.losses[Loss.SERVER_OVERFLOW] == 0:
                _log.warning("the server's queue was full and it dropped values", connection=self.name)
            self.counters.losses.count(Loss.SERVER_OVERFLOW, reading.overflowed)
        if reading.clock_off:
            if self.counters.clock_off == 0:
                tolerance = str(self._settings.clock_tolerance)
                _log.warning("values are dated too far from now", connection=self.name, tolerance=tolerance)
            self.counters.clock_off += reading.clock_off
        return reading

    def _judged(self, reading: Reading) -> bool:
        """Note which tags can be read now and which cannot; returns whether that is news."""
        before = len(self._faults)
        if self._faults:
            good = {int(each) for each in reading.batch.tags[reading.batch.quality != Quality.BAD]}
            for handle in [handle for handle in self._faults if self._reader.numbers[handle] in good]:
                del self._faults[handle]
        news = len(self._faults) != before
        for handle, reason in reading.unreadable.items():
            news |= handle not in self._faults
            key = self._key(handle)
            self._faults[handle] = TagFault(key, f"{self._tags[key].node}: {reason}")
        return news

    def _key(self, handle: int) -> str:
        return self._reader.keys[int(self._reader.numbers[handle])]

    async def _look_once(self, client: BoundedClient, kept: KeptSubscription) -> None:
        awaited = set(self._handles.values()) - self._faults.keys()
        publishing = self._publishing(client, kept)
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                while awaited:
                    for message in await publishing.next():
                        awaited -= await self._looked_at(client, kept, message)
        except TimeoutError:
            for handle in sorted(awaited):
                key = self._key(handle)
                self._faults[handle] = TagFault(
                    key, _("{node}: the server sent no value").format(node=self._tags[key].node)
                )
        finally:
            publishing.close()

    async def _looked_at(self, client: BoundedClient, kept: KeptSubscription, message: Message) -> set[int]:
        seen: set[int] = set()
        for changes in message.changes:
            self._judged(self._read(await self._understood(client, kept, changes)))
            seen |= set(changes.handles.tolist())
        return seen
