"""What lives that end while telemetry is played teach what is decided after them, as in a gateway.

The same judge (`gateway.learning.judging`), the same beliefs (`gateway.learning.beliefs`), at the same times: a kind is
judged when one of its lives has ended, by the lives that have ended by then and no other, and a model that is asked
about what it does not know is taken back at the next decision. Nothing is learned from before playing began: every kind
begins at the rule that needs no history. What a gateway keeps in its store is kept here, in memory and for this run.

One thing is less than in a gateway: where a kind has many lives it is judged once a tenth more of them have ended
(`EVERY_MAX`), for a judgement takes as long as it has lives, and a gateway has months for what is played in minutes.

A judgement that fails leaves what was believed, and is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from gateway.learning.beliefs import Beliefs, taken_back
from gateway.learning.curriculum import Curriculum
from gateway.learning.judging import judge
from gateway.learning.kinds import Kind, Wearing
from gateway.learning.standing import Standing
from gateway.learning.task import Closed, Task
from gateway.learning.watching import Trouble
from maintenance.assets import Found, Life
from maintenance.frames import FRAMES_MAX, Frames, History
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.settings import DeviationWear

EVERY_MAX: Final = 20
"""Up to so many closed lives a kind is judged at the end of each; beyond, once a tenth more have ended."""
WAITING_MAX: Final = 512
"""Frames of a life that are held one by one before they are put with the others."""

log = structlog.get_logger()


@dataclass(slots=True)
class Record:
    """The frames of one life, as bounded as a gateway keeps them. whole: so many of the first are never averaged."""

    frames: Frames
    whole: int
    stride: int = 1
    waiting: list[tuple[float, Sequence[float]]] = field(default_factory=list)

    def take(self, told: Sequence[tuple[float, Sequence[float]]]) -> None:
        """Take what closed."""
        self.waiting += told
        if len(self.waiting) >= WAITING_MAX:
            self.put()

    def put(self) -> Frames:
        """Return all of it, bounded."""
        self.frames = self.frames.taking(self.waiting, self.stride, self.whole)
        self.waiting = []
        while len(self.frames) > FRAMES_MAX:
            self.frames, self.stride = self.frames.halved(self.whole), 2 * self.stride
        return self.frames


class Schooling:
    """One run's. judged, failures: judgements, and those of them that failed."""

    def __init__(self, curriculum: Curriculum, monitor: Monitor) -> None:
        self._monitor = monitor
        self._beliefs = Beliefs(monitor, curriculum)
        self._standings = dict.fromkeys(self._beliefs.kinds, Standing())
        self._documents: dict[Kind, str] = {}
        self._closed: dict[Kind, list[Closed]] = {}
        self._frames: dict[str, Frames] = {}
        self._judged_at: dict[Kind, int] = {}
        self._records: dict[str, Record] = {}
        self.judged = self.failures = 0

    def standings(self) -> dict[Kind, Standing]:
        """Return how far each kind has come."""
        return dict(self._standings)

    def components(self, kind: Kind) -> tuple[str, ...]:
        """Return the components of a kind."""
        return tuple(self._beliefs.kinds[kind])

    def patience(self, component: str) -> float:
        """Return the patience of timing that a component's kind has learned; 1 where it has learned none."""
        kind = self._beliefs.kind_of.get(component)
        return 1.0 if kind is None else self._standings[kind].patience

    def watched(self, component: str) -> bool:
        """Tell whether a component's need says whether a model is still asked about what it knows."""
        return self._beliefs.watched(component)

    def step(self, needs: Sequence[Need], now: datetime) -> bool:
        """Take one decision step; return whether what is believed has changed by it."""
        self.keep()
        troubles = self._beliefs.troubles(needs)
        taken_back = [self._judge_troubles(kind, each, now) for kind, each in troubles.items()]
        return any(taken_back)

    def _judge_troubles(self, kind: Kind, troubles: Sequence[Trouble], now: datetime) -> bool:
        standing = self._standings[kind]
        back = taken_back(standing, troubles)
        if back is not None:
            self._stand(kind, back, "", now)
        elif self._beliefs.healed(kind, standing, troubles):
            self._judge(kind, now)
        return back is not None

    def ended(self, life: Life, at: datetime, *, failed: bool) -> None:
        """A life ends, and the monitor still watches it: keep what it was like. Its kind is judged once `begun`."""
        kind = self._beliefs.kind_of.get(life.component)
        if kind is None:
            return
        self.keep()
        ran, found = self._monitor.ran(life.component, at), Found.FAILED if failed else None
        closed = Closed.of(replace(life, removed_at=at, found=found, ran=ran), kind.by)
        if closed is None:
            return
        self._closed.setdefault(kind, []).append(closed)
        record = self._records.pop(life.component, None)
        if record is not None and kind.by is Wearing.DEVIATION:
            self._frames[life.id] = record.put()

    def begun(self, component: str, now: datetime) -> None:
        """The next life has begun: what the one before teaches is judged."""
        kind = self._beliefs.kind_of.get(component)
        if kind is not None:
            self._records.pop(component, None)
            self._beliefs.forget(component)
            if self._due(kind):
                self._judge(kind, now)

    def _due(self, kind: Kind) -> bool:
        closed, before = len(self._closed.get(kind, ())), self._judged_at.get(kind, 0)
        return closed <= EVERY_MAX or 10 * closed >= 11 * before

    def keep(self) -> None:
        """Take the frames that closed; before another part is watched, too."""
        told = self._monitor.drain_frames()
        for component, frames in told.items():
            wear = self._beliefs.curriculum.components[component].wear
            if component not in self._records and isinstance(wear, DeviationWear):
                self._records[component] = Record(Frames.none(len(wear.tags)), wear.baseline)
            if component in self._records:
                self._records[component].take(frames)
        self._beliefs.take(told)

    def _judge(self, kind: Kind, now: datetime) -> None:
        closed = sorted(self._closed.get(kind, ()), key=lambda each: each.component)
        task = self._beliefs.task(kind, closed, self._standings[kind], self._documents.get(kind, ""))
        self.judged += 1
        self._judged_at[kind] = len(closed)
        try:
            verdict = judge(task, self._told(task))
            self._stand(kind, verdict.standing, verdict.document, now)
        except Exception:
            self.failures += 1
            log.exception("a kind was not judged; what was believed goes on", kind=str(kind))

    def _told(self, task: Task) -> dict[str, History]:
        """Return what the closed lives of a kind were like; one of which a signal never spoke teaches nothing."""
        found: dict[str, History] = {}
        for life in task.closed:
            if life.life in self._frames:
                with suppress(ValueError):
                    found[life.life] = self._frames[life.life].history(life.life, 0.0)
        return found

    def _stand(self, kind: Kind, after: Standing, document: str, now: datetime) -> None:
        before = self._standings[kind]
        after = self._beliefs.allowed(kind, before, after)
        document = document if after.version else ""
        self._beliefs.teach(kind, after, self._beliefs.lesson(kind, after, document))
        since = before.since if after.same_as(before) else now.isoformat(timespec="seconds")
        self._standings[kind], self._documents[kind] = replace(after, since=since), document
