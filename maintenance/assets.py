"""Machines, the places on them where something wears, and the lives that pass through those places.

A *component* is a slot: `machine/component`, a permanent key. A *life* is one part in one slot, from fitting to
removal. A *fitting* closes one life and opens the next; it is planned or done, by somebody, on some evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


def machine_of(component: str) -> str:
    """Return the machine's key of a component's key `machine/component`."""
    return component.partition("/")[0]


class Found(StrEnum):
    """What whoever took a part out found: it had failed, or how much it had left while it still worked."""

    FAILED = "failed"
    WORN = "worn"
    HALF = "half"
    LIKE_NEW = "like-new"


@dataclass(frozen=True, slots=True)
class Life:
    """One part in one slot.

    `used_before` is what the part had already run when it was fitted, in the component's clock unit; None means that
    nobody knows, and then beliefs are wide. Of several clocks it is in the unit of the first, and tells nothing of the
    others unless it is 0. `counters` are the readings of the machine's counters at fitting, by tag. Once it is removed,
    `ran` is what it had run, all in, by the name of each clock ("" where there is but one) that knew; `found` is what
    whoever took it out said of it, None when nothing was said.
    """

    id: str
    component: str
    fitted_at: datetime
    used_before: float | None = 0.0
    serial: str = ""
    counters: dict[str, float] = field(default_factory=dict)
    removed_at: datetime | None = None
    found: Found | None = None
    ran: dict[str, float] = field(default_factory=dict)


class FittingState(StrEnum):
    """A fitting is proposed by telemetry, planned by a person, or done."""

    PROPOSED = "proposed"
    PLANNED = "planned"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Fitting:
    """The act that closes one life and opens the next. `by` is an opaque person id, or `telemetry`."""

    id: str
    component: str
    at: datetime
    state: FittingState
    by: str
    evidence: str
    serial: str = ""
