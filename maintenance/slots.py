"""What the monitor remembers of each tag and of each component, and how that survives a restart.

Plain state: a `Point` is a tag with its newest value, a `Slot` a component with its tracker and its life. Decides
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.samples import Provenance, Quality, Sample
from maintenance.assets import Life
from maintenance.settings import ComponentSettings
from maintenance.trackers.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Watched:
    """A component to watch: its machine's key, its settings, and the units of the machine's tags by name."""

    machine: str
    settings: ComponentSettings
    tags: Mapping[str, str]


@dataclass(slots=True, eq=False)
class Point:
    """A tag: who reads it (slot and signal number), its newest good sample, and how many were refused and why.

    quality: how far the newest value can be believed now. good_at: when the value was last known to stand.
    """

    unit: str
    readers: list[tuple[Slot, int]] = field(default_factory=list)
    newest: Sample | None = None
    quality: Quality = Quality.BAD
    good_at: datetime | None = None
    refused: dict[str, int] = field(default_factory=dict)

    def refuse(self, why: str) -> None:
        """Count a sample that moved nothing."""
        self.refused[why] = self.refused.get(why, 0) + 1


@dataclass(frozen=True, slots=True)
class Typed:
    """A reading that a person typed in; `by` is an opaque person id."""

    value: float
    at: datetime
    by: str


@dataclass(slots=True, eq=False)
class Slot:
    """A component: what is watched, its tracker, its tags, its life, and what was last said of it."""

    key: str
    watched: Watched
    tracker: Tracker
    points: tuple[Point, ...]
    life: Life | None = None
    provenance: Provenance | None = None
    typed: Typed | None = None
    revision: int = 0
    said: str = ""

    def document(self) -> dict[str, Any]:
        """Return the state as plain JSON values; numbers come back exactly."""
        return {
            "life": self.life.id if self.life else None,
            "provenance": self.provenance.value if self.provenance else None,
            "typed": [self.typed.value, self.typed.at.isoformat(), self.typed.by] if self.typed else None,
            "revision": self.revision,
            "said": self.said,
            "tracker": self.tracker.snapshot(),
            "points": [_point_document(point) for point in self.points],
        }

    def restore(self, state: Mapping[str, Any]) -> bool:
        """Take up a state of the same life and the same kind of wear; return False, unchanged, for any other."""
        same_life = state["life"] == (self.life.id if self.life else None)
        if not same_life or len(state["points"]) != len(self.points) or not self.tracker.fits(state["tracker"]):
            return False
        self.tracker.restore(state["tracker"])
        self.provenance = Provenance(state["provenance"]) if state["provenance"] else None
        if state["typed"]:
            value, at, by = state["typed"]
            self.typed = Typed(value, datetime.fromisoformat(at), by)
        self.revision, self.said = state["revision"], state["said"]
        for point, document in zip(self.points, state["points"], strict=True):
            _restore_point(point, document)
        return True


def _point_document(point: Point) -> dict[str, Any]:
    newest = point.newest
    return {
        "good_at": point.good_at.isoformat() if point.good_at else None,
        "refused": point.refused,
        "newest": newest
        and [
            newest.tag,
            newest.value,
            newest.source_time.isoformat(),
            newest.receive_time.isoformat(),
            newest.provenance.value,
        ],
    }


def _restore_point(point: Point, document: Mapping[str, Any]) -> None:
    """The newest value comes back as uncertain: nobody has said yet that it still stands."""
    if document["newest"] is None or point.newest is not None:
        return
    tag, value, source_time, receive_time, provenance = document["newest"]
    point.newest = Sample(
        tag,
        value,
        Quality.GOOD,
        datetime.fromisoformat(source_time),
        datetime.fromisoformat(receive_time),
        Provenance(provenance),
    )
    point.quality = Quality.UNCERTAIN
    point.good_at = datetime.fromisoformat(document["good_at"]) if document["good_at"] else None
    point.refused = dict(document["refused"])
