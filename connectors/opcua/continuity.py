"""What one conversation leaves to the next, so that a lost connection leaves no hole.

A session that the server still keeps is resumed, its subscription with it; where only the subscription is left it is
transferred; where neither is, the last time seen of each tag says from when the machine's own history is asked. It
lives in memory: after a restart of the gateway a new subscription sends every value anew. Refuses to know the wire.
Reconnecting: OPC 10000-4, 6.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    interval_s, beat_s: how often it publishes, and how long it may be silent. nodes: by handle, what it watches.
    faults: by handle, what it does not. number: the sequence number of its last message that was taken, 0 for none.
    """

    id: int
    interval_s: float
    beat_s: float
    nodes: Mapping[int, ua.NodeId] = field(default_factory=dict)
    faults: Mapping[int, TagFault] = field(default_factory=dict)
    number: int = 0


@dataclass(slots=True)
class Continuity:
    """What is known of one machine across its conversations.

    turn: which of the machine's endpoints is asked; limits, session and subscription belong to it. seen: by handle, the
    newest source time that was delivered, in ticks since 1970, 0 for none. unhistorised: handles of which the server
    keeps no history. interrupted: whether the present subscription does not follow from what was seen.
    """

    tags: int
    turn: int = 0
    limits: Limits | None = None
    session: KeptSession | None = None
    subscription: KeptSubscription | None = None
    seen: Ticks = field(init=False)
    unhistorised: set[int] = field(default_factory=set)
    interrupted: bool = False

    def __post_init__(self) -> None:
        self.seen = np.zeros(self.tags, np.int64)

    def saw(self, batch: Batch) -> None:
        """Note what was delivered; rows of parts of a value (see `readings`) have handles beyond the tags."""
        whole = batch.tags < self.tags
        np.maximum.at(self.seen, batch.tags[whole], batch.source[whole])

    def forget(self) -> None:
        """The session was closed: there is nothing to go on with but the times."""
        self.session = self.subscription = None

    def turn_to_the_next(self) -> None:
        """The endpoint cannot be reached: the next one is asked, and knows nothing of this one's session."""
        self.turn += 1
        self.limits = None
        self.forget()
