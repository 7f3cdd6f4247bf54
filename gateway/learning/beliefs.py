"""What a monitor was taught, kind by kind, and whether a model is still asked about what it knows.

Whoever keeps standings, in a store or for one run alone, asks here: what a standing teaches, who is to be taken back,
and when what took a kind back has healed. Knows no store and no clock; what takes long is apart, so that it can be done
where nobody waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gateway.learning.curriculum import Curriculum
from gateway.learning.documents import checked
from gateway.learning.kinds import Kind, Wearing, kinds_of
from gateway.learning.lifespans import in_shares, lives_of, scaled
from gateway.learning.phases import Phase
from gateway.learning.standing import Standing
from gateway.learning.task import RETRIAL_LIVES, Closed, Task
from gateway.learning.watching import Trouble, Watch
from maintenance.frames import Told
from maintenance.lifetimes import Lifetimes
from maintenance.monitor import Monitor
from maintenance.needs import NEVER_HEARD, Need

if TYPE_CHECKING:
    from maintenance.learning import Learned

HEALED: Final = frozenset({"SENSOR_STUCK", "SENSOR_LOST"})
"""Reasons that end by themselves; then the kind is judged again by what is known already."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a document teaches a kind: a model, or lifetimes by component and clock from so many lives.

    Neither: the rule.
    """

    model: Learned | None = None
    lifetimes: Mapping[str, Mapping[str, Lifetimes]] = field(default_factory=dict)
    lives: int = 0


class Beliefs:
    """Teaches a monitor's components, and watches those that were taught a model."""

    def __init__(self, monitor: Monitor, curriculum: Curriculum) -> None:
        self._monitor = monitor
        self._watches: dict[Kind, Watch] = {}
        self.reconfigure(curriculum)

    def reconfigure(self, curriculum: Curriculum) -> None:
        """Teach these components from now on."""
        self.curriculum = curriculum
        self.kinds = kinds_of(curriculum.components)
        self.kind_of = {component: kind for kind, each in self.kinds.items() for component in each}

    def ceiling(self, kind: Kind) -> Phase:
        """Return the phase beyond which a person does not let a kind go."""
        return self.curriculum.ceilings.get(kind.name, Phase.AUTONOMOUS)

    def task(self, kind: Kind, closed: Iterable[Closed], standing: Standing, document: str) -> Task:
        """Return what a judge is asked. document: of what is believed."""
        cases = {component: self.curriculum.case(component) for component in self.kinds[kind]}
        return Task(kind, cases, tuple(closed), standing, self.ceiling(kind), document)

    def lesson(self, kind: Kind, standing: Standing, document: str) -> Lesson:
        """Return what a document teaches; takes a while. Raises ValueError where it cannot be read."""
        if not document:
            return Lesson()
        if kind.by is Wearing.DEVIATION:
            return Lesson(checked(document, standing.version))
        told, by_shapes, found = lives_of(json.loads(document)), {}, {}
        for component in self.kinds[kind]:
            priors = self.curriculum.case(component).priors
            shapes = tuple((name, prior.shape) for name, prior in priors.items())
            if shapes not in by_shapes:
                by_shapes[shapes] = in_shares(told, priors)
            found[component] = scaled(by_shapes[shapes], priors)
        return Lesson(None, found, len(told))

    def teach(self, kind: Kind, standing: Standing, lesson: Lesson) -> None:
        """Believe what a standing says from now on."""
        if kind.by is not Wearing.DEVIATION:
            for component in self.kinds[kind]:
                lives = lesson.lifetimes.get(component, {})
                self._monitor.believe_lives(component, lives, lesson.lives, standing.version)
            return
        self._monitor.teach(kind.name, lesson.model)
        if lesson.model is not None:
            self._watches[kind] = Watch(standing.signals, standing.bounds)
        elif standing.code not in HEALED:
            self._watches.pop(kind, None)

    def watched(self, component: str) -> bool:
        """Tell whether a component's kind is watched."""
        return self.kind_of.get(component) in self._watches

    def take(self, told: Mapping[str, Told]) -> None:
        """Take the frames that closed."""
        for component, frames in told.items():
            kind = self.kind_of.get(component)
            if kind in self._watches:
                self._watches[kind].take(component, frames)

    def forget(self, component: str) -> None:
        """A new part is in a component."""
        kind = self.kind_of.get(component)
        if kind in self._watches:
            self._watches[kind].forget(component)

    def troubles(self, needs: Iterable[Need]) -> dict[Kind, list[Trouble]]:
        """Return what is wrong now with each kind that is watched; none for one that is well."""
        found: dict[Kind, list[Trouble]] = {kind: [] for kind in self._watches}
        for need in needs:
            kind = self.kind_of.get(need.component)
            if kind in found:
                found[kind] += self._lost(need)
        for kind, watch in self._watches.items():
            found[kind] += watch.troubles()
        return found

    def _lost(self, need: Need) -> list[Trouble]:
        """Return signals that are silent while others of the same component speak."""
        silent = [each.parameters["tag"] for each in need.evidence if each.code in ("STALE", NEVER_HEARD)]
        signals = self.curriculum.components[need.component].tags()
        lost = [tag for tag in silent if tag in signals]
        return [Trouble("SENSOR_LOST", need.component, tag) for tag in lost] if len(lost) < len(signals) else []

    def healed(self, kind: Kind, standing: Standing, troubles: Sequence[Trouble]) -> bool:
        """Tell whether what took a kind back is over; then it is watched no more, and is to be judged again."""
        if standing.code not in HEALED or troubles:
            return False
        self._watches.pop(kind, None)
        return True

    def allowed(self, kind: Kind, before: Standing, after: Standing) -> Standing:
        """Return a standing as far as it may be believed now: no model while what took the last one back goes on."""
        watch = self._watches.get(kind)
        troubles = watch.troubles() if watch is not None and before.code in HEALED else []
        if not troubles or after.phase is not Phase.AUTONOMOUS:
            return after
        return after.bound(troubles[0].code, troubles[0].parameters)


def taken_back(standing: Standing, troubles: Sequence[Trouble]) -> Standing | None:
    """Return a standing whose model goes wrong taken back to the rule; None where it stays."""
    if standing.phase is not Phase.AUTONOMOUS or not troubles:
        return None
    first = troubles[0]
    barred = standing.lives + RETRIAL_LIVES if first.code not in HEALED else 0
    return standing.bound(first.code, first.parameters, barred_until=barred)
