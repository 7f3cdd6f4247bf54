"""What a stop reaches, as values: the whole plant, one machine, one supplier or one component.

It promises that a stop covers a purchase as soon as anything about that purchase lies within its scope: a plant covers
everything, a machine its components, a supplier every order at it. Nothing narrows a stop, and two stops never cancel
each other out. It knows no database, no clock and no sentence; `authority.halts` keeps what stands here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from marketplace.documents import parse_timestamp, timestamp

STOPPED: Final = "STOPPED"
"""The rule of whatever is refused or cancelled because of a stop."""
BY_PERSON: Final = "STOPPED_BY_PERSON"
BY_FILE: Final = "STOPPED_BY_FILE"
BY_ALARM: Final = "ALARM_UNACKNOWLEDGED"


class ScopeKind(StrEnum):
    """How far a stop reaches; the widest first."""

    PLANT = "plant"
    MACHINE = "machine"
    SUPPLIER = "supplier"
    COMPONENT = "component"


WIDEST_FIRST: Final = tuple(ScopeKind)


@dataclass(frozen=True, slots=True)
class Scope:
    """A kind and the key of one of that kind; the plant needs no key. Raises ValueError for a key missing or extra."""

    kind: ScopeKind
    key: str = ""

    def __post_init__(self) -> None:
        if (self.kind is ScopeKind.PLANT) != (self.key == ""):
            raise ValueError(f"{self.kind} {self.key!r} is no scope: the plant has no key, all else needs one")

    def __str__(self) -> str:
        return f"{self.kind} {self.key}".strip()

    @property
    def parameters(self) -> dict[str, str]:
        """Return the scope as sentences take it; the key under its kind, too, so that people read its name."""
        said = {"scope": str(self.kind), "key": self.key}
        return said if self.kind is ScopeKind.PLANT else {**said, str(self.kind): self.key}

    def covers(self, *, machine: str, components: Collection[str], supplier: str) -> bool:
        """Return whether a purchase lies within the scope; "" and () are what is not known of it (yet)."""
        match self.kind:
            case ScopeKind.PLANT:
                return True
            case ScopeKind.MACHINE:
                return self.key == machine or any(each.partition("/")[0] == self.key for each in components)
            case ScopeKind.SUPPLIER:
                return self.key == supplier
        return self.key in components


PLANT: Final = Scope(ScopeKind.PLANT)


@dataclass(frozen=True, slots=True)
class Halt:
    """A stop that somebody set: why by a stable code, by whom and how, since when (plant time).

    note: the digest of what the person wrote, "" for nothing. alarm: the id of the money alarm behind it, "" for none.
    """

    id: str
    scope: Scope
    code: str
    by: str
    method: str
    at: datetime
    note: str = ""
    alarm: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        """Return the figures of the rule `STOPPED`."""
        return {**self.scope.parameters, "since": timestamp(self.at)}


def halt_told(parameters: Mapping[str, str] | None) -> Halt | None:
    """Return a stop as far as its figures tell it: its scope and since when. Raises KeyError, ValueError."""
    if parameters is None:
        return None
    scope = Scope(ScopeKind(parameters["scope"]), parameters["key"])
    return Halt("", scope, "", "", "", parse_timestamp(parameters["since"]))


def covering(halts: Iterable[Halt], *, machine: str, components: Collection[str], supplier: str) -> Halt | None:
    """Return the stop that covers a purchase, the widest and then the oldest of several; None when none does."""
    found = [each for each in halts if each.scope.covers(machine=machine, components=components, supplier=supplier)]
    return min(found, key=lambda each: (WIDEST_FIRST.index(each.scope.kind), each.at, each.id), default=None)
