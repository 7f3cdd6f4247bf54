"""What a site says about its alarms: limits, bands and delays for each kind, at a site, a component, or nowhere.

Nothing has to be said: every kind has defaults that fit a usual plant. What a component says stands over what the site
says, value by value. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from maintenance.alarms.alarm import Delays
from maintenance.alarms.kinds import KINDS, AlarmKind, Consequence


@dataclass(frozen=True, slots=True)
class Said:
    """What a config says about one kind; None where it says nothing. limit, band: as the kind measures them."""

    enabled: bool | None = None
    limit: float | None = None
    band: float | None = None
    on_delay: timedelta | None = None
    off_delay: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """How one kind of alarm is judged somewhere."""

    enabled: bool
    limit: float
    band: float
    delays: Delays

    def under(self, said: Said) -> Terms:
        """Return the same, as far as nothing else is said."""
        delays = Delays(
            self.delays.on if said.on_delay is None else said.on_delay,
            self.delays.off if said.off_delay is None else said.off_delay,
        )
        return Terms(
            self.enabled if said.enabled is None else said.enabled,
            self.limit if said.limit is None else said.limit,
            self.band if said.band is None else said.band,
            delays,
        )


USUAL: Final[Mapping[AlarmKind, Terms]] = {
    code: Terms(True, kind.limit, kind.band, Delays(kind.on_delay, kind.off_delay)) for code, kind in KINDS.items()
}


@dataclass(frozen=True, slots=True)
class Own:
    """What is said of one component: its terms, how bad it is when it fails, and whether it is out of service."""

    terms: Mapping[AlarmKind, Terms]
    consequence: Consequence = Consequence.MODERATE
    out_of_service: bool = False


@dataclass(frozen=True, slots=True)
class SaidOf:
    """What a config says of one component."""

    kinds: Mapping[AlarmKind, Said] = field(default_factory=dict)
    consequence: Consequence = Consequence.MODERATE
    out_of_service: bool = False


class Rules:
    """The terms of every alarm of a site."""

    def __init__(
        self, site: Mapping[AlarmKind, Said] | None = None, components: Mapping[str, SaidOf] | None = None
    ) -> None:
        """Take what the site says by kind, and what it says of components by key `machine/component`."""
        self._site = _over(USUAL, site or {})
        self._usual = Own(self._site)
        self._own = {
            key: Own(_over(self._site, said.kinds), said.consequence, said.out_of_service)
            for key, said in (components or {}).items()
        }

    def of(self, component: str) -> Own:
        """Return what holds for a component; what the site says where nothing is said of it."""
        return self._own.get(component, self._usual)

    def delays(self, kind: AlarmKind, component: str) -> Delays:
        """Return the delays of a kind at a component; those of the site for ""."""
        return self.of(component).terms[kind].delays


def _over(terms: Mapping[AlarmKind, Terms], said: Mapping[AlarmKind, Said]) -> Mapping[AlarmKind, Terms]:
    return {code: each.under(said[code]) if code in said else each for code, each in terms.items()}
