"""The publish loop: a few requests ahead of the server, every message once and in order, or counted as missed.

Promises: as many publish requests are with the server as it takes, so that it never waits for us; a message is
acknowledged once it was taken and asked for again when it is missing; a reader that is slow slows the server, and
nothing is dropped here. Replaces asyncua's loop, which keeps one request and makes an object of every value; the
channel, its renewal and the session stay asyncua's. Publish, republish: OPC 10000-4, 5.14.5 and 5.14.6.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from gettext import gettext as _
from typing import Final

import structlog
from asyncua import ua
from asyncua.client.ua_client import UASocketProtocol
from asyncua.common.utils import Buffer
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError

from connectors.connector import ConnectionLost
from connectors.opcua.continuity import KeptSubscription
from connectors.opcua.decode import Malformed, Message, ServiceFault, decode, decode_republished

AHEAD: Final = 3
"""Publish requests with the server: one that it answers, one that it has, one on the way."""
REPUBLISH_MAX: Final = 1_000
"""Messages asked for again after one gap; servers keep far fewer."""
HINT_SECONDS: Final = 60.0
"""How long a server may keep a publish request; longer than any keep-alive."""
NUMBERS: Final = 2**32 - 1
"""Sequence numbers run from 1 to this and begin again at 1 (OPC 10000-4, 5.14.1.2)."""

_PASSING: Final = frozenset({StatusCodes.BadTimeout, StatusCodes.BadRequestTimeout})
_GONE: Final = frozenset({StatusCodes.BadNoSubscription, StatusCodes.BadSubscriptionIdInvalid})

_log = structlog.get_logger()


class SubscriptionGone(ConnectionLost):
    """The server no longer has the subscription; another has to be made."""


@dataclass(slots=True)
class Tally:
    """What happened to messages: asked for again and got, missed for ever, not to be decoded."""

    republished: int = 0
    missed: int = 0
    malformed: int = 0
    gaps: int = 0


class Publishing:
    """The messages of one subscription on one channel; `tally` counts since it was made.

    heard: whether the server has published anything yet, were it a keep-alive.
    """

    def __init__(self, protocol: UASocketProtocol, kept: KeptSubscription, silence_s: float) -> None:
        """Begin behind the last message that was taken of the subscription.

        silence_s: how long the server may say nothing, keep-alives included, before the connection counts as lost.
        """
        self.tally = Tally()
        self._protocol = protocol
        self._kept = kept
        self._silence_s = silence_s
        self._ahead = AHEAD
        self._asked: deque[asyncio.Future[Buffer]] = deque()
        self._unacknowledged: list[int] = []
        self._told = 0
        self.heard = False

    async def next(self) -> list[Message]:
        """Return the next message with data, behind those that were missing before it; none for a keep-alive.

        Raises `ConnectionLost`; `SubscriptionGone` when a new subscription has to be made.
        """
        while len(self._asked) < self._ahead:
            self._asked.append(self._publish())
        done, _pending = await asyncio.wait([self._asked[0]], timeout=self._silence_s)
        if not done:
            raise ConnectionLost(_("the server fell silent"))
        answer = self._asked.popleft()
        try:
            message = decode(bytes(answer.result()))
        except ServiceFault as fault:
            self._faulted(fault.code)
            return []
        except Malformed as error:
            self._malformed(error)
            return []
        except (OSError, UaError) as error:
            text = _("the server stopped answering: {error}")
            raise ConnectionLost(text.format(error=f"{type(error).__name__}: {error}"[:200])) from error
        return await self._in_order(message)

    def take_missed(self) -> int:
        """Return how many messages were missed for ever since this was last asked."""
        missed, self._told = self.tally.missed - self._told, self.tally.missed
        return missed

    def close(self) -> None:
        """Forget the requests that are with the server."""
        for answer in self._asked:
            answer.cancel()
        self._asked.clear()

    def _publish(self) -> asyncio.Future[Buffer]:
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements = [
            ua.SubscriptionAcknowledgement(ua.UInt32(self._kept.id), ua.UInt32(number))
            for number in self._unacknowledged
        ]
        try:
            asked: asyncio.Future[Buffer] = self._protocol._send_request(request, HINT_SECONDS)
        except ConnectionError as error:
            raise ConnectionLost(_("the server closed the connection")) from error
        self._unacknowledged = []
        return asked

    def _faulted(self, code: int) -> None:
        name = ua.StatusCode(ua.UInt32(code)).name
        if code == StatusCodes.BadTooManyPublishRequests and self._ahead > 1:
            self._ahead -= 1
        elif code in _GONE:
            raise SubscriptionGone(_("the server ended the subscription: {reason}").format(reason=name))
        elif code not in _PASSING:
            raise ConnectionLost(_("the server publishes no more: {reason}").format(reason=name))

    def _malformed(self, error: Malformed) -> None:
        """Its number is unknown, so the next message finds the gap and asks for it again."""
        if self.tally.malformed == 0:
            _log.warning("a message could not be decoded and is asked for again", error=str(error))
        self.tally.malformed += 1

    async def _in_order(self, message: Message) -> list[Message]:
        self.heard = True
        if message.subscription != self._kept.id:  # of an earlier life of the session
            return []
        gap = _gap(self._kept.number, message.number)
        found = await self._again(gap, message.number) if gap > 0 else []
        if message.ended is not None and message.ended >> 30:
            reason = ua.StatusCode(ua.UInt32(message.ended)).name
            raise SubscriptionGone(_("the server ended the subscription: {reason}").format(reason=reason))
        if message.keep_alive:  # it announces the next number without using it
            if gap > 0:
                self._kept.number = _before(message.number, 1)
            return found
        if gap < 0:
            return found
        self._kept.number = message.number
        self._unacknowledged.append(message.number)
        return [*found, message]

    async def _again(self, gap: int, number: int) -> list[Message]:
        """Ask for messages that never came before this one; what the server no longer has is counted."""
        self.tally.gaps += 1
        found: list[Message] = []
        for back in range(min(gap, REPUBLISH_MAX), 0, -1):
            missing = _before(number, back)
            message = await self._republished(missing)
            if message is not None:
                found.append(message)
                self._unacknowledged.append(missing)
        self.tally.republished += len(found)
        self.tally.missed += gap - len(found)
        return found

    async def _republished(self, number: int) -> Message | None:
        request = ua.RepublishRequest()
        request.Parameters.SubscriptionId = ua.IntegerId(self._kept.id)
        request.Parameters.RetransmitSequenceNumber = ua.Counter(number)
        try:
            async with asyncio.timeout(self._silence_s):
                return decode_republished(bytes(await self._protocol._send_request(request, self._silence_s)))
        except (ServiceFault, Malformed):
            return None
        except (OSError, UaError) as error:  # a timeout is an OSError, too
            raise ConnectionLost(_("the server stopped answering")) from error


def _gap(last: int, number: int) -> int:
    """Return how many messages lie between the last one and this, 0 when the last is unknown, -1 for one from behind.

    A number from behind is a repetition, no gap of billions.
    """
    if last == 0:
        return 0
    gap = (number - last - 1) % NUMBERS
    return -1 if gap >= NUMBERS // 2 else gap


def _before(number: int, steps: int) -> int:
    """Return the sequence number so many steps before another."""
    return (number - steps - 1) % NUMBERS + 1
