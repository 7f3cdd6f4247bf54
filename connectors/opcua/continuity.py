"""What one conversation leaves to the next, so that a lost connection leaves no hole.

A session that the server still keeps is resumed, its subscription with it; where only the subscription is left it is
transferred; where neither is, the last time seen of each tag says from when the machine's own history is asked. It
lives in memory: after a restart of the gateway a new subscription sends every value anew. Refuses to know the wire.
Reconnecting: OPC 10000-4, 6.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from asyncua import ua

from connectors.connector import TagFault
from connectors.opcua.limits import Limits
from connectors.samples import Batch, Ticks


@dataclass(frozen=True, slots=True)
class KeptSession:
    """A session that was not closed: what activates it on another channel. Never printed: the token is a secret.

    until: the running loop's time in seconds after which the server has given it up.
    """

    token: ua.NodeId = field(repr=False)
    nonce: bytes | None = field(repr=False)
    policies: Sequence[ua.UserTokenPolicy]
    offered: Sequence[ua.EndpointDescription]
    until: float


@dataclass(slots=True)
class KeptSubscription:
    """A subscription that the server may still have.

    interval_s, beat_s: how often it publishes, and how long it may be silent. nodes, items: by handle, what it watches
    and under which id. faults: by handle, what it does not watch. number: the sequence number of its last message that
    was taken, 0 for none.
    """

    id: int
    interval_s: float
    beat_s: float
    nodes: dict[int, ua.NodeId] = field(default_factory=dict)
    items: dict[int, int] = field(default_factory=dict)
    faults: dict[int, TagFault] = field(default_factory=dict)
    number: int = 0


@dataclass(slots=True)
class Continuity:
    """What is known of one machine across its conversations.

    turn: which of the machine's endpoints is asked; limits, session and subscription belong to it. seen: by the number
    of a tag, the newest source time that was delivered, in ticks since 1970, 0 for none. unhistorised: handles of which
    the server keeps no history. interrupted: whether the present subscription does not follow from what was seen.
    """

    turn: int = 0
    limits: Limits | None = None
    session: KeptSession | None = None
    subscription: KeptSubscription | None = None
    seen: Ticks = field(default_factory=lambda: np.zeros(0, np.int64))
    unhistorised: set[int] = field(default_factory=set)
    interrupted: bool = False

    def saw(self, batch: Batch) -> None:
        """Note what was delivered."""
        if len(self.seen) < len(batch.keys):
            self.seen = np.append(self.seen, np.zeros(len(batch.keys) - len(self.seen), np.int64))
        np.maximum.at(self.seen, batch.tags, batch.source)

    def forget(self) -> None:
        """The session was closed: there is nothing to go on with but the times."""
        self.session = self.subscription = None

    def turn_to_the_next(self) -> None:
        """The endpoint cannot be reached: the next one is asked, and knows nothing of this one's session."""
        self.turn += 1
        self.limits = None
        self.forget()
