"""One conversation with one OPC-UA server, by subscription.

Promises: signed, encrypted and pinned unless the site names the endpoint insecure; every value that the server sends
is delivered once, in order, or counted; a slow reader slows the server down and loses nothing here; a dead server is
noticed within seconds, a silent subscription soon after; a tag that cannot be read is named and the others run on;
nothing is left open. Refuses to reconnect (`connectors.supervisor` does), to browse and to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from typing import Final

import structlog
from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from connectors.connector import ConnectionLost, Deliver, TagFault
from connectors.opcua.client import BoundedClient, close
from connectors.opcua.nodes import monitor, resolve
from connectors.opcua.publish import Reading, Wire, ended, missed, readings
from connectors.opcua.session import asked, open_session, said
from connectors.opcua.settings import OpcUaSettings, OpcUaTag
from connectors.samples import Batch, Provenance, Quality, Sample

CONNECT_SECONDS: Final = 20.0
"""Discovery, channel, session and the subscription of thousands of tags on a small controller."""
PROBE_SECONDS: Final = 10.0
"""A server answers a new subscription with every value it has, at its first publishing."""
KEEP_ALIVE: Final = timedelta(seconds=3)
LIFETIME: Final = timedelta(seconds=60)
"""How long a server keeps a subscription that nobody reads: one that outlives its reader costs the server memory."""
SILENCE_SECONDS: Final = 5.0
"""Grace over two missed keep-alives, for a server that is busy."""
ITEMS_PER_REQUEST: Final = 500
"""Half of what small servers take at once; 1,000 tags are two requests."""
NOTIFICATIONS_PER_MESSAGE: Final = 1000
INBOX_MESSAGES: Final = 32
"""Messages waiting for delivery; beyond, no further one is asked for and the server's own queues fill."""

# The server rejects the filter, not the tag: it may still be watched without.
_NO_FILTER: Final = frozenset(
    {
        StatusCodes.BadMonitoredItemFilterInvalid,
        StatusCodes.BadMonitoredItemFilterUnsupported,
        StatusCodes.BadFilterNotAllowed,
    }
)

_Message = tuple[datetime, ua.PublishResult]
_Item = tuple[int, ua.NodeId]
_log = structlog.get_logger()


class OpcUaConnector:
    """Keeps `connectors.connector.Connector`'s promise for OPC-UA; use a fresh one for every attempt.

    `received`, `overflowed` (values that a server's full queue dropped), `missed` (messages that never arrived) and
    `clock_off` (values dated too far away) count since this connector was made.
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
        self.received = self.overflowed = self.missed = self.clock_off = 0
        self._settings = settings
        self._tags = tags
        self._clock = clock
        self._state = state
        self._keys = tuple(tags)
        self._faults: dict[str, TagFault] = {}
        self._inbox: asyncio.Queue[_Message | ConnectionLost] = asyncio.Queue(INBOX_MESSAGES)
        self._silence = SILENCE_SECONDS
        self._last_number = 0

    async def converse(self, deliver: Deliver, report: Callable[[Sequence[TagFault]], None]) -> None:
        """Connect, report unreadable tags, deliver what the server publishes. Raises `ConnectionLost`."""
        client = BoundedClient(self._settings.url)
        try:
            await asked(self._settings.url, self._state, self._begin(client))
            report(tuple(self._faults.values()))
            while True:
                samples, faults_changed = self._decode(await self._next())
                if faults_changed:
                    report(tuple(self._faults.values()))
                if samples:
                    await deliver(Batch.of(self.name, samples))
        finally:
            await close(client)

    async def probe(self) -> Sequence[TagFault]:
        """Connect, look at every tag once, leave; returns the tags that cannot be read. Raises `ConnectionLost`."""
        client = BoundedClient(self._settings.url)
        try:
            await asked(self._settings.url, self._state, self._begin(client))
            await self._look_once()
        finally:
            await close(client)
        return tuple(self._faults.values())

    # ---- from nothing to a running subscription

    async def _begin(self, client: BoundedClient) -> None:
        client.connection_lost_callback = self._lost
        async with asyncio.timeout(CONNECT_SECONDS):
            await open_session(client, self.name, self._settings, self._state)
            await self._subscribe(client)

    async def _subscribe(self, client: BoundedClient) -> None:
        publishing = self._settings.publishing or self._settings.sampling
        beats = max(1, round(KEEP_ALIVE / publishing))
        wish = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=ua.Double(publishing / timedelta(milliseconds=1)),
            RequestedMaxKeepAliveCount=ua.UInt32(beats),
            RequestedLifetimeCount=ua.UInt32(max(3 * beats, round(LIFETIME / publishing))),
            MaxNotificationsPerPublish=ua.UInt32(NOTIFICATIONS_PER_MESSAGE),
            PublishingEnabled=True,
        )
        granted = await client.uaclient.session.create_subscription(wish, self._arrived)
        beat = granted.RevisedPublishingInterval / 1000 * max(1, granted.RevisedMaxKeepAliveCount)
        self._silence = 2 * beat + SILENCE_SECONDS
        items = self._items(await client.get_namespace_array())
        for start in range(0, len(items), ITEMS_PER_REQUEST):
            await self._watch(client, granted.SubscriptionId, items[start : start + ITEMS_PER_REQUEST])

    def _items(self, namespaces: Sequence[str]) -> list[_Item]:
        items = []
        for handle, key in enumerate(self._keys):
            node = resolve(self._tags[key].node, namespaces)
            if node is None:
                self._fault(key, _("the server does not know the namespace of {node}"))
            else:
                items.append((handle, node))
        return items

    async def _watch(self, client: BoundedClient, subscription: int, items: Sequence[_Item]) -> None:
        """Ask for some nodes' values each time they are stamped; where a server cannot, each time they change."""
        codes = await self._create(client, subscription, items, every=True)
        plain = [item for item, code in zip(items, codes, strict=True) if code.value in _NO_FILTER]
        codes += await self._create(client, subscription, plain, every=False) if plain else []
        for (handle, _node), code in zip([*items, *plain], codes, strict=True):
            if not code.is_good() and code.value not in _NO_FILTER:
                self._fault(self._keys[handle], _("{node}: {reason}"), reason=code.name)

    async def _create(
        self, client: BoundedClient, subscription: int, items: Sequence[_Item], *, every: bool
    ) -> list[ua.StatusCode]:
        sampling = self._settings.sampling / timedelta(milliseconds=1)
        requests = [monitor(handle, node, sampling, self._settings.queue, every=every) for handle, node in items]
        parameters = ua.CreateMonitoredItemsParameters(
            SubscriptionId=ua.IntegerId(subscription),
            TimestampsToReturn=ua.TimestampsToReturn.Both,
            ItemsToCreate=requests,
        )
        results = await client.uaclient.session.create_monitored_items(parameters)
        return [result.StatusCode for result in results]

    # ---- while it runs

    async def _arrived(self, result: ua.PublishResult) -> None:
        # The publish loop awaits this before it asks for more: a full inbox slows the server, and drops nothing.
        await self._inbox.put((self._clock(), result))

    async def _lost(self, error: Exception) -> None:
        # Queued behind what has already arrived, so that all of it is delivered first.
        await self._inbox.put(ConnectionLost(_("the server stopped answering: {error}").format(error=said(error))))

    async def _next(self) -> _Message:
        """Return the next message. Raises `ConnectionLost`, also when a living server no longer publishes."""
        try:
            async with asyncio.timeout(self._silence):
                message = await self._inbox.get()
        except TimeoutError:
            raise ConnectionLost(_("the server answers, but its subscription fell silent")) from None
        if isinstance(message, ConnectionLost):
            raise message
        reason = ended(message[1])
        if reason is not None:
            raise ConnectionLost(_("the server ended the subscription: {reason}").format(reason=reason))
        return message

    def _decode(self, message: _Message) -> tuple[tuple[Sample, ...], bool]:
        """Return a message's samples, and whether they changed which tags can be read."""
        received, result = message
        provenance = Provenance.B if self._settings.insecure else Provenance.A
        wire = Wire(self._keys, received, provenance, self._settings.clock_tolerance)
        found = tuple(readings(result, wire))
        self.received += len(found)
        self._count(found, result)
        changed = [self._judge(reading) for reading in found]
        return tuple(reading.sample for reading in found), any(changed)

    def _count(self, found: Sequence[Reading], result: ua.PublishResult) -> None:
        overflowed = sum(reading.overflowed for reading in found)
        clock_off = sum(reading.clock_off for reading in found)
        gap, self._last_number = missed(self._last_number, result)
        if (overflowed and not self.overflowed) or (gap and not self.missed):
            _log.warning("values were lost on the way", connection=self.name, overflowed=overflowed, missed=gap)
        if clock_off and not self.clock_off:
            _log.warning(
                "values are dated too far from now", connection=self.name, tolerance=str(self._settings.clock_tolerance)
            )
        self.overflowed += overflowed
        self.clock_off += clock_off
        self.missed += gap

    def _judge(self, reading: Reading) -> bool:
        """Note whether the tag of a value can be read; returns whether that is news."""
        key, known = reading.sample.tag, reading.sample.tag in self._faults
        if reading.unreadable is not None and not known:
            self._fault(key, _("{node}: {reason}"), reason=reading.unreadable)
        elif known and reading.unreadable is None and reading.sample.quality is not Quality.BAD:
            del self._faults[key]
        return known is not (key in self._faults)

    async def _look_once(self) -> None:
        awaited = set(self._keys) - set(self._faults)
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                while awaited:
                    samples, _changed = self._decode(await self._next())
                    awaited -= {sample.tag for sample in samples}
        except TimeoutError:
            for key in sorted(awaited):
                self._fault(key, _("{node}: the server sent no value"))

    def _fault(self, key: str, text: str, **parts: str) -> None:
        self._faults[key] = TagFault(key, text.format(node=self._tags[key].node, **parts))
