"""What a judge is asked and answers: a kind with its components and closed lives, and where it stands then.

Values that travel to a process of its own and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway.learning.kinds import Kind
from gateway.learning.phases import Phase
from gateway.learning.standing import Standing
from maintenance import lifetimes
from maintenance.assets import Found, Life
from maintenance.settings import ComponentSettings, CounterSettings, in_unit, median_life, shape_of
from marketplace.timing import Costs

HOUR: Final = timedelta(hours=1)
RETRIAL_LIVES: Final = 2
"""Lives that must end after a model went wrong before one is believed again."""


@dataclass(frozen=True, slots=True)
class Case:
    """A component of a kind: how it wears, in which unit its use is, and what deciding about it costs.

    costs: None where nothing is bought for it. delays: from a decision to the part, in hours, the approval included.
    step: hours between decisions.
    """

    settings: ComponentSettings
    unit: str
    costs: Costs | None = None
    delays: tuple[float, ...] = ()
    step: float = 1.0

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


@dataclass(frozen=True, slots=True)
class Closed:
    """A life that was closed: what it had run, all in, in how many calendar hours of watching, and how it was found.

    before: what it had run when watching began.
    """

    life: str
    component: str
    ran: float
    hours: float
    found: Found | None
    before: float = 0.0

    @classmethod
    def of(cls, life: Life) -> Closed | None:
        """Return a life as it teaches; None for one that goes on, or of which it is not known what it ran."""
        if life.removed_at is None or life.ran.get("", 0.0) <= 0:
            return None
        hours = (life.removed_at - life.fitted_at) / HOUR
        return cls(life.id, life.component, life.ran[""], hours, life.found, life.used_before or 0.0)

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
