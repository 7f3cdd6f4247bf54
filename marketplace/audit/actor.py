"""Whoever did it: every act has an actor, by an opaque id and the method by which it was known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """Who can act."""

    PERSON = "person"
    MACHINE = "machine"
    GATEWAY = "gateway"
    SUPPLIER = "supplier"


@dataclass(frozen=True, slots=True)
class Actor:
    """`id` is opaque: names stand in an erasable table. `method`: web, socket, policy, telemetry, port, demo."""

    kind: ActorKind
    id: str
    method: str

    def facts(self) -> dict[str, str]:
        """Return the actor as an audit leaf holds it."""
        return {"kind": self.kind, "id": self.id, "method": self.method}
