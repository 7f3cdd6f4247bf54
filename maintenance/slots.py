"""What the monitor remembers of each component, and how that survives a restart.

Plain state: a `Slot` is a component with its tracker and its life; its tags are in `points`. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from connectors.samples import Provenance
from maintenance.assets import Life
from maintenance.packing import Packer, Unpacker, digest
from maintenance.points import Points
from maintenance.settings import ComponentSettings, JobSettings
from maintenance.symptoms import Report, Table
from maintenance.trackers.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Watched:
    """A component to watch: its machine's key, its settings, and the units of the machine's tags by name.

    symptoms: the rows that may choose another of `jobs` than the component's own.
    """

    machine: str
    settings: ComponentSettings
    tags: Mapping[str, str]
    symptoms: Table = ()
    jobs: Mapping[str, JobSettings] = field(default_factory=dict)

    def is_worn_like(self, other: Watched) -> bool:
        """Return whether both are watched alike, whichever jobs their symptoms call for."""
        return self == replace(other, symptoms=self.symptoms, jobs=self.jobs)


@dataclass(frozen=True, slots=True)
class Typed:
    """A reading that a person typed in; `by` is an opaque person id."""

    value: float
    at: datetime
    by: str


@dataclass(slots=True, eq=False)
class Slot:
    """A component: what is watched, its tracker, the numbers of its tags, its life, and what was last said of it.

    typed: the newest reading that a person typed in, by the name of its clock; "" where there is but one.
    reports: what people say of its part; whoever keeps them tells them again after a restart.
    """

    key: str
    watched: Watched
    tracker: Tracker
    points: tuple[int, ...]
    life: Life | None = None
    provenance: Provenance | None = None
    typed: dict[str, Typed] = field(default_factory=dict)
    reports: tuple[Report, ...] = ()
    revision: int = 0
    said: str = ""

    def read_since(self, moment: datetime) -> set[str]:
        """Return the clocks of which a person typed in a reading at or after a moment."""
        return {clock for clock, typed in self.typed.items() if typed.at >= moment}

    def document(self, points: Points) -> dict[str, Any]:
        """Return the state as plain JSON values; numbers come back exactly."""
        packer = Packer()
        for point in self.points:
            points.pack(point, packer)
        return {
            "life": self.life.id if self.life else None,
            "provenance": self.provenance.value if self.provenance else None,
            "typed": {clock: [each.value, each.at.isoformat(), each.by] for clock, each in self.typed.items()},
            "revision": self.revision,
            "said": self.said,
            "tracker": self.tracker.snapshot(),
            "points": packer.text,
        }

    def restore(self, state: Mapping[str, Any], points: Points) -> bool:
        """Take up a state of the same life and the same kind of wear; return False, unchanged, for any other."""
        same_life = state["life"] == (self.life.id if self.life else None)
        as_many = isinstance(state["points"], str) or len(state["points"]) == len(self.points)
        if not same_life or not as_many or not self.tracker.fits(state["tracker"]):
            return False
        self.tracker.restore(state["tracker"])
        self.provenance = Provenance(state["provenance"]) if state["provenance"] else None
        self.typed = _typed(state["typed"])
        self.revision, self.said = state["revision"], state["said"]
        if isinstance(state["points"], str):
            packed = Unpacker(state["points"])
            for point in self.points:
                points.unpack(point, packed)
        else:  # a snapshot from before states were packed; what was last said was told whole
            self.said = digest(self.said)
            for point, document in zip(self.points, state["points"], strict=True):
                points.adopt(point, document)
        return True


def _typed(state: Any) -> dict[str, Typed]:
    """Return typed readings; a snapshot from before there were several clocks has one or none."""
    rows = {"": state} if isinstance(state, list) else state or {}
    return {clock: Typed(value, datetime.fromisoformat(at), by) for clock, (value, at, by) in rows.items()}
