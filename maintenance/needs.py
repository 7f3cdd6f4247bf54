"""A need: which job a component will want, with which parts and services, on what evidence.

One need exists for each component and life, always; it is revised as the belief moves. It knows no price and pulls no
trigger: *when* money moves is decided by `marketplace.timing`, which reads this module and the belief it carries.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from connectors.samples import Measure
from maintenance.belief import Belief, Provenance

__all__ = [
    "FAILURE_SAID",
    "NEVER_HEARD",
    "NOTED",
    "Belief",
    "Evidence",
    "JobKind",
    "JobLine",
    "Measure",
    "Need",
    "Provenance",
]


class JobKind(StrEnum):
    """What a job line asks for."""

    PART = "part"
    CONSUMABLE = "consumable"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class JobLine:
    """One thing that the job wants: an item of the catalogue, how much, in a UN/ECE Recommendation 20 unit code."""

    key: str
    item: str
    quantity: Decimal
    unit: str
    kind: JobKind


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason, as a stable code with its figures; sentences are rendered when somebody reads it."""

    code: str
    parameters: dict[str, str]


NEVER_HEARD = "NEVER_HEARD"
"""Evidence: a tag that this stands on has not said anything yet."""


NOTED = "NOTED"
"""Evidence: what a person says of it in their own words. It decides nothing, and is shown only while it stands."""

FAILURE_SAID = "FAILURE_SAID"
"""Evidence: a person said what means, by the table of symptoms, that it has failed."""

HALF_WORN = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """The job that one life of one component will want. `health` runs from 1 (as new) to 0 (worn out).

    lines: what the job uses up. duration: what it takes, None where nobody has said. tools, skills: what must be at
    hand and known, as people call it.
    """

    machine: str
    component: str
    life: str
    revision: int
    job: str
    lines: tuple[JobLine, ...]
    belief: Belief
    health: float
    evidence: tuple[Evidence, ...]
    as_of: datetime
    duration: timedelta | None = None
    tools: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()

    @property
    def told_enough(self) -> bool:
        """Whether anything may be wanted for it: a person says that it has failed; or all its tags have spoken, and
        what is believed is known well, or it shows that it is worn. A new site is not asked about every part whose past
        nobody knows."""
        codes = {reason.code for reason in self.evidence}
        heard = NEVER_HEARD not in codes
        return FAILURE_SAID in codes or (heard and (self.belief.known or self.health < HALF_WORN))
