"""Keeps one connection going for ever: connect, converse, wait, again. Written once, for every connector.

Promises: a fresh connector for every attempt; attempts a second apart at first, with jitter, then rarer, so that a
restarted controller is found soon and a dead one is not hammered; every change is told; nothing but cancellation ends
it. Refuses to know protocols, and never takes a failing delivery for a failing machine.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from gettext import gettext as _
from typing import Any

import structlog

from connectors.connector import Adjusting, ConnectionLost, ConnectionRefused, Connector, Deliver, Succeeding, TagFault
from connectors.counters import Counters, Counting
from connectors.samples import Batch
from connectors.settings import RetrySettings

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """How a connection stands: since when it is up or down, for people why, and which tags cannot be read."""

    name: str
    connected: bool
    since: datetime
    reason: str = ""
    faults: tuple[TagFault, ...] = ()
    refused: bool = False


class _DeliveryFailed(Exception):
    """The batch could not be handed on; the machine is not to blame."""


class Supervisor:
    """Keeps one connection going; `counters` outlive its conversations, and each connector that counts gets them."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connector],
        deliver: Deliver,
        notify: Callable[[ConnectionStatus], None],
        *,
        clock: Callable[[], datetime],
        rng: random.Random,
        settings: RetrySettings | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        counters: Counters | None = None,
    ) -> None:
        self.name = name
        self.counters = counters or Counters()
        self._connect = connect
        self._deliver = deliver
        self._notify = notify
        self._clock = clock
        self._rng = rng
        self._settings = settings or RetrySettings()
        self._sleep = sleep
        self._delivered = False
        self._before: Connector | None = None
        self.status = ConnectionStatus(name, False, clock(), _("not yet connected"))

    async def run(self) -> None:
        """Converse for ever; ends only by cancellation."""
        failures = 0
        while True:
            self.counters.attempts += 1
            self._delivered = False
            refused = await self._converse()
            failures = 1 if self._delivered else failures + 1
            await self._sleep(pause(failures, refused, self._settings, self._rng))

    async def adjust(self, tags: Mapping[str, Any]) -> bool:
        """Let the conversation read other tags; False when it cannot but by ending. The next one is made with them."""
        if not self.status.connected:
            return True
        connector: object = self._before
        if not isinstance(connector, Adjusting):
            return False
        try:
            await connector.adjust(tags)
        except ConnectionLost as error:
            _log.warning("the machine could not be told of other tags", connection=self.name, error=str(error))
            return False
        return True

    async def _converse(self) -> bool:
        """Hold one conversation to its end; returns whether the machine was refused."""
        try:
            await self._fresh().converse(self._hand_on, self._connected)
        except ConnectionRefused as error:
            self._lost(str(error), refused=True)
            return True
        except ConnectionLost as error:
            self._lost(str(error))
        except _DeliveryFailed as error:
            _log.error("values could not be handed on", connection=self.name, error=str(error))
            self._lost(_("values could not be handed on: {error}").format(error=error))
        except Exception as error:  # a fault in a connector must not silence its machine for ever
            _log.exception("the connector failed", connection=self.name)
            self._lost(_("the connector failed: {error}").format(error=repr(error)[:200]))
        else:
            self._lost(_("the conversation ended"))
        return False

    def _fresh(self) -> Connector:
        """Return a fresh connector that goes on, and goes on counting, where the one before it ended."""
        connector = self._connect()
        if isinstance(connector, Counting):
            connector.counters = self.counters
        if isinstance(connector, Succeeding) and self._before is not None:
            connector.succeed(self._before)
        self._before = connector
        return connector

    async def _hand_on(self, batch: Batch) -> None:
        try:
            await self._deliver(batch)
        except Exception as error:
            # Wrapped, so that a sink's TimeoutError is never taken for one of the machine.
            raise _DeliveryFailed(repr(error)[:200]) from error
        self._delivered = True
        self.counters.batches += 1
        self.counters.samples += len(batch)
        self.counters.recalled += len(batch) if batch.recalled else 0

    def _connected(self, faults: Sequence[TagFault]) -> None:
        since = self.status.since if self.status.connected else self._clock()
        self.counters.connects += not self.status.connected
        self._tell(ConnectionStatus(self.name, True, since, faults=tuple(faults)))

    def _lost(self, reason: str, *, refused: bool = False) -> None:
        self.counters.disconnects += self.status.connected
        since = self._clock() if self.status.connected else self.status.since
        self._tell(replace(self.status, connected=False, since=since, reason=reason, refused=refused))

    def _tell(self, status: ConnectionStatus) -> None:
        if status == self.status:
            return
        self.status = status
        log = _log.info if status.connected else _log.warning
        log("connection", name=self.name, connected=status.connected, reason=status.reason, faults=len(status.faults))
        try:
            self._notify(status)
        except Exception:  # who only watches must not end the connection
            _log.exception("a status could not be shown", connection=self.name)


def pause(failures: int, refused: bool, settings: RetrySettings, rng: random.Random) -> float:
    """Return the seconds before the next attempt after so many failures in a row, at least one.

    Doubles from `first` to `longest`; half of it is chance, so that connections lost together do not return together.
    """
    if refused:
        whole: timedelta = settings.refused
    else:
        whole = min(settings.longest, settings.first * 2 ** min(failures - 1, 16))
    return whole.total_seconds() * (0.5 + rng.random() / 2)
