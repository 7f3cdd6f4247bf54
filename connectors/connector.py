"""The port for machines: one connector is one conversation.

A connector opens a fresh connection, delivers batches until the connection ends, and says so by raising
`ConnectionLost`. It never reconnects: that is `connectors.supervisor`'s affair, written once. A tag that the
machine does not have is a `TagFault`, not an error: the other tags run on. There is no method to write to a machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from connectors.samples import Batch

Deliver = Callable[[Batch], Awaitable[None]]
"""Takes a batch; returning means that it was taken, so a slow reader slows the conversation, never drops it."""


class ConnectionLost(Exception):
    """The conversation ended or never began; a fresh connector may try again."""


class ConnectionRefused(ConnectionLost):
    """The machine's identity or security is not what the site pinned; a person must act before it is tried again."""


@dataclass(frozen=True, slots=True)
class TagFault:
    """A tag that cannot be read: its key and, for people, why."""

    tag: str
    reason: str


class Connector(Protocol):
    """One conversation with one machine or controller."""

    name: str

    async def converse(self, deliver: Deliver, report: Callable[[Sequence[TagFault]], None]) -> None:
        """Connect, report the tags that cannot be read, then deliver batches until the connection ends.

        Raises `ConnectionLost` when the conversation ends for any reason but cancellation; always closes its
        connection before it leaves.
        """

    async def probe(self) -> Sequence[TagFault]:
        """Connect once, name the tags that cannot be read, and leave. Raises `ConnectionLost`."""


@runtime_checkable
class Succeeding(Protocol):
    """A connector that can take up what the conversation before it left open, such as a session."""

    def succeed(self, predecessor: Connector) -> None:
        """Go on where another connector of the same connection ended; called before it converses."""


@runtime_checkable
class Adjusting(Protocol):
    """A connector that can read other tags without ending its conversation."""

    async def adjust(self, tags: Mapping[str, Any]) -> None:
        """Read these from now on; those that stay as they are see nothing of it.

        May be called while it converses, and before. Raises `ConnectionLost` when the machine cannot be told.
        """


@runtime_checkable
class WallClocked(Protocol):
    """A connector that judges what lasts by the wall, such as certificates; its own clock until it is given the wall's.

    Plant time may run thousands of times faster than the wall.
    """

    wall_clock: Callable[[], datetime]
