"""Which components learn from each other's lives.

Units that wear by deviation are of one kind where they share a `peers` name; without one, a component is a kind alone.
Parts that wear by use are of one kind where their jobs buy the same item first: the same part, however hard each
machine is on it, which its own rated life says. Parts on several clocks are of another kind than those on one, and
teach clock by clock, by the clocks' names. What is due by the calendar, or foretold by the machine, teaches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from maintenance.needs import JobKind
from maintenance.settings import ComponentSettings, DeviationWear, UsageWear
from maintenance.settings import kind_of as deviation_kind


class Wearing(StrEnum):
    """By what a kind wears, as far as its lives can teach anything."""

    DEVIATION = "deviation"
    USAGE = "usage"
    CLOCKS = "clocks"


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """Components that learn together; `str()` is its key in tables and in the audit log."""

    by: Wearing
    name: str

    def __str__(self) -> str:
        return f"{self.by}:{self.name}"

    @classmethod
    def of(cls, key: str) -> Kind:
        """Return the kind of a key. Raises ValueError."""
        by, _colon, name = key.partition(":")
        return cls(Wearing(by), name)


def kind_of(component: str, settings: ComponentSettings) -> Kind | None:
    """Return the kind of a component, None where its lives teach nothing."""
    wear = settings.wear
    if isinstance(wear, DeviationWear):
        return Kind(Wearing.DEVIATION, deviation_kind(component, wear))
    if isinstance(wear, UsageWear) and not wear.due:
        parts = [line.item for line in settings.job.lines.values() if line.kind is not JobKind.SERVICE]
        return Kind(Wearing.CLOCKS if wear.clocks else Wearing.USAGE, parts[0] if parts else component)
    return None


def kinds_of(components: Mapping[str, ComponentSettings]) -> dict[Kind, list[str]]:
    """Return the components of each kind, both in order."""
    found: dict[Kind, list[str]] = {}
    for component in sorted(components):
        kind = kind_of(component, components[component])
        if kind is not None:
            found.setdefault(kind, []).append(component)
    return dict(sorted(found.items()))
