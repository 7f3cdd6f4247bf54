"""What a connection has done and lost, counted for as long as the gateway runs.

A connector lives for one conversation; its `Counters` outlive it: the supervisor hands the same ones to each fresh
connector that has an attribute `counters`, so that a number in `/metrics` only ever grows. Every lost sample has a
reason out of `Loss`, and the words of `Loss` are stable: alarms are set on them. Counting is an addition, once a batch
and never once a sample. Refuses to know who looks, and never judges.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

import numpy as np

POLL_BOUNDS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From a device on the same switch to a dead one's timeout; each is about twice the one before."""


class Loss(StrEnum):
    """Why a sample never came to the store; the value is the label in `/metrics`."""

    SERVER_OVERFLOW = "server_overflow"
    """The machine's own queue was too short: it said so by its overflow bit (OPC 10000-4, 7.22.1)."""
    MESSAGES_MISSED = "messages_missed"
    """Whole messages that never arrived and could neither be republished nor read from the machine's history."""
    NOT_DECODED = "not_decoded"
    """An answer, or a part of one, that no decoder understood."""
    ANSWER_REFUSED = "answer_refused"
    """An answer that did not fit its question, and was therefore no number."""
    POLL_LATE = "poll_late"
    """Samples of readings that were due while those before them were not answered yet."""
    BACKLOG_FULL = "backlog_full"
    """The oldest on disk, dropped for the bound in hours or bytes."""
    BACKLOG_BEHIND = "backlog_behind"
    """The disk could not keep pace, and memory is bounded."""
    BACKLOG_DISK = "backlog_disk"
    """The backlog's disk refused them: full, or out of reach."""
    BACKLOG_BROKEN = "backlog_broken"
    """They lay in a file that proved broken and is set aside."""
    STORE_REFUSED = "store_refused"
    """The store could not take what they are, however often it was tried."""


class Losses:
    """Lost samples by reason; it only grows."""

    def __init__(self) -> None:
        self._samples: dict[Loss, int] = dict.fromkeys(Loss, 0)

    def count(self, reason: Loss, samples: int = 1) -> None:
        """Count so many samples more as lost. Raises ValueError for a negative number."""
        if samples < 0:
            raise ValueError("what is lost does not come back")
        self._samples[reason] += samples

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self._samples.values())

    def __getitem__(self, reason: Loss) -> int:
        return self._samples[reason]

    def __iter__(self) -> Iterator[tuple[Loss, int]]:
        """Yield every reason and its number, those of zero too: a series that begins at its first loss hides it."""
        return iter(self._samples.items())

    @classmethod
    def summed(cls, several: Mapping[str, Losses]) -> Losses:
        """Return the sum of several."""
        whole = cls()
        for each in several.values():
            for reason, samples in each:
                whole.count(reason, samples)
        return whole


class Latencies:
    """How long something took, in buckets of `POLL_BOUNDS_SECONDS`; the last bucket holds what took longer."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(POLL_BOUNDS_SECONDS) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one that took so many seconds."""
        self.buckets[bisect_left(POLL_BOUNDS_SECONDS, seconds)] += 1
        self.seconds += seconds

    def observe_all(self, seconds: Sequence[float]) -> None:
        """Count several at once."""
        places = np.searchsorted(POLL_BOUNDS_SECONDS, seconds)
        for place, count in enumerate(np.bincount(places, minlength=len(self.buckets)).tolist()):
            self.buckets[place] += count
        self.seconds += float(np.sum(seconds))

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.buckets)

    def cumulative(self) -> list[tuple[str, int]]:
        """Return each bound in seconds, `+Inf` last, and how many took no longer."""
        told, below = [], 0
        for bound, number in zip((*map(str, POLL_BOUNDS_SECONDS), "+Inf"), self.buckets, strict=True):
            below += number
            told.append((bound, below))
        return told


@dataclass(slots=True)
class Counters:
    """One connection's numbers since the gateway started; each only grows.

    samples, batches: taken over from the machine; `recalled` is those of them that came from the machine's own history.
    attempts, connects, disconnects: of conversations; a reconnect is every connect but the first.
    fallbacks: values that the fast decoder left to the library's.
    republished: messages that the machine sent again when asked.
    gaps: times that something was missing in what arrived.
    clock_off: values dated too far from now to be believed.
    polls: how long the machine took to answer each request, in seconds.
    losses: samples that were lost on the way, by reason.
    """

    samples: int = 0
    batches: int = 0
    recalled: int = 0
    attempts: int = 0
    connects: int = 0
    disconnects: int = 0
    fallbacks: int = 0
    republished: int = 0
    gaps: int = 0
    clock_off: int = 0
    polls: Latencies = field(default_factory=Latencies)
    losses: Losses = field(default_factory=Losses)

    @property
    def reconnects(self) -> int:
        """How often the connection came back."""
        return max(0, self.connects - 1)


@runtime_checkable
class Counting(Protocol):
    """A connector that counts; whoever makes one may put other counters in their place before it converses."""

    counters: Counters
