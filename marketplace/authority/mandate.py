"""Delegated spending authority, and the verdict that everything in this package speaks.

It promises that without a mandate, after its end and for machines that it does not name nobody spends, neither the
gateway nor a person through it. It is pure: values in, values out. It knows no rule of the plant's (`policy` does),
no order and no clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

from marketplace.documents import canonical, timestamp
from marketplace.money import Money

EVERY_MACHINE: Final = "*"


class Outcome(StrEnum):
    """The verdict on one exact order."""

    APPROVE = "approve"
    ASK = "ask"
    DENY = "deny"


CAUTION: Final = (Outcome.APPROVE, Outcome.ASK, Outcome.DENY)
"""Outcomes, the least cautious first."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, the stable code of the rule that gave it, and the figures it rests on."""

    outcome: Outcome
    rule: str
    parameters: dict[str, str] = field(default_factory=dict)


def hash_of(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document's canonical form, hexadecimal."""
    return hashlib.sha256(canonical(document)).hexdigest()


def _above_zero(value: Any) -> Money:
    amount = Money.parse(str(value))
    if amount.minor <= 0:
        raise ValueError(f"{amount} is no limit: it must be above zero")
    return amount


Limit = Annotated[
    Money,
    PlainValidator(_above_zero),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)? [A-Z]{3}$", "examples": ["500 EUR"]}),
]
Key = Annotated[str, StringConstraints(min_length=1, max_length=130)]


class Strict(BaseModel):
    """A document that people write: what it does not know it refuses, and nothing changes it later."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Mandate(Strict):
    """Delegated spending authority: who grants it, for which machines, up to how much an order, until when."""

    granted_by: Key
    machines: Annotated[tuple[Key, ...], Field(min_length=1)]
    per_order: Limit
    until: AwareDatetime

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, hexadecimal."""
        return hash_of(self.document())

    def document(self) -> dict[str, Any]:
        """Return the mandate in its one canonical form."""
        return {
            "granted_by": self.granted_by,
            "machines": sorted(set(self.machines)),
            "per_order": str(self.per_order),
            "until": timestamp(self.until),
        }

    def covers(self, machine: str) -> bool:
        """Return whether the mandate is for this machine."""
        return EVERY_MACHINE in self.machines or machine in self.machines


def objection_of(mandate: Mandate | None, machine: str, now: datetime) -> Decision | None:
    """Return why there is no authority at all to spend for a machine, neither the gateway's nor a person's."""
    if mandate is None:
        return Decision(Outcome.DENY, "NO_MANDATE")
    if now >= mandate.until:
        return Decision(Outcome.DENY, "MANDATE_ENDED", {"until": timestamp(mandate.until)})
    if not mandate.covers(machine):
        return Decision(Outcome.DENY, "MACHINE_NOT_COVERED", {"machine": machine})
    return None
