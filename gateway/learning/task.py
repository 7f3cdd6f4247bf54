"""What a judge is asked and answers: a kind with its components and closed lives, and where it stands then.

Values that travel to a process of its own and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from gateway.learning.kinds import Kind, Wearing
from gateway.learning.phases import Phase
from gateway.learning.standing import Standing
from maintenance import lifetimes
from maintenance.assets import Found, Life
from maintenance.lifetimes import Prior
from maintenance.settings import ComponentSettings, CounterSettings, UsageWear, in_unit, median_life, shape_of
from marketplace.timing import Costs

HOUR: Final = timedelta(hours=1)
RETRIAL_LIVES: Final = 2
"""Lives that must end after a model went wrong before one is believed again."""


@dataclass(frozen=True, slots=True)
class Case:
    """A component of a kind: how it wears, in which unit its use is, and what deciding about it costs.

    costs: None where nothing is bought for it. delays: from a decision to the part, in hours, the approval included.
    step: hours between decisions. units: of each of several clocks, by name; then `unit` is the calendar hour.
    """

    settings: ComponentSettings
    unit: str
    costs: Costs | None = None
    delays: tuple[float, ...] = ()
    step: float = 1.0
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def rated(self) -> float:
        """The life that half reach by rating, in the unit; 0 where none is stated."""
        life = median_life(self.settings)
        return in_unit(life, self.unit) if life is not None else 0.0

    @property
    def shape(self) -> float:
        """The Weibull shape of its life by rating."""
        wear = self.settings.wear
        return shape_of(wear, self.settings) if isinstance(wear, CounterSettings) else lifetimes.COMMON_SHAPE

    @property
    def priors(self) -> dict[str, Prior]:
        """What the ratings say of each clock by its name, "" where there is but one; nothing where none is stated."""
        wear = self.settings.wear
        if not isinstance(wear, UsageWear):
            return {}
        if not wear.clocks:
            return {"": Prior(self.rated, self.shape)} if self.rated > 0 else {}
        lives = {name: (clock, median_life(clock)) for name, clock in wear.clocks.items()}
        return {
            name: Prior(in_unit(life, self.units[name]), shape_of(clock, clock))
            for name, (clock, life) in lives.items()
            if life is not None
        }


@dataclass(frozen=True, slots=True)
class Closed:
    """A life that was closed: what it had run, all in, in how many calendar hours of watching, and how it was found.

    before: what it had run when watching began. clocks: where there are several, what it had run on each that is
    known, by name; then `ran` is the calendar's.
    """

    life: str
    component: str
    ran: float
    hours: float
    found: Found | None
    before: float = 0.0
    clocks: Mapping[str, float] = field(default_factory=dict)

    @property
    def each(self) -> Mapping[str, float]:
        """What it had run on each clock, "" where there is but one."""
        return self.clocks or {"": self.ran}

    @classmethod
    def of(cls, life: Life, by: Wearing) -> Closed | None:
        """Return a life as it teaches a kind that wears so; None while it goes on, and where nobody knows what it ran.

        On several clocks a life is told along the calendar; of a part that had run before nobody knows for how long.
        """
        if life.removed_at is None:
            return None
        hours, before = (life.removed_at - life.fitted_at) / HOUR, life.used_before
        if by is not Wearing.CLOCKS:
            ran = life.ran.get("", 0.0)
            return cls(life.id, life.component, ran, hours, life.found, before or 0.0) if ran > 0 else None
        clocks = {name: ran for name, ran in life.ran.items() if name and ran > 0}
        if not clocks or before != 0.0 or hours <= 0:
            return None
        return cls(life.id, life.component, hours, hours, life.found, 0.0, clocks)

    @property
    def use_per_hour(self) -> float:
        """How it was used while it was watched."""
        return max(self.ran - self.before, 1e-9) / max(self.hours, 1e-9)


@dataclass(frozen=True, slots=True)
class Task:
    """All that is known of a kind: its components, its closed lives, where it stood, and the model that it had.

    ceiling: the phase beyond which a person does not let it go. taught: the document of the model that is believed.
    """

    kind: Kind
    cases: Mapping[str, Case]
    closed: tuple[Closed, ...]
    standing: Standing
    ceiling: Phase = Phase.AUTONOMOUS
    taught: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a kind stands now, and the document of what it was taught ("" for nothing)."""

    standing: Standing
    document: str = ""
    seconds: float = 0.0
