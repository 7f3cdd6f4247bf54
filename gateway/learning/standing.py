"""How far a kind has come, and why: a value, and what money follows of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gateway.learning.kinds import Kind, kind_of
from gateway.learning.phases import Phase
from maintenance.settings import ComponentSettings


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a signal did in the lives that a model was learned from: its range, and how long it stood still at most."""

    low: float
    high: float
    still: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A kind's phase since when, and what it rests on.

    code: why it is there, stable; `parameters` are its figures. patience: of timing, see `TimingTerms`. model, version:
    what was learned, by what method ("" for nothing). lives: those that ended; judged: those of them that it was judged
    over, with the gain a life and its standard error in `currency`. barred_until: how many lives must have ended before
    a model is believed again. outside: of lives that ended since, the share outside of the band. closed: lives that
    were closed, whether they teach or not.
    """

    phase: Phase = Phase.BOUND
    since: str = ""
    code: str = "TOO_FEW_LIVES"
    parameters: Mapping[str, str] = field(default_factory=dict)
    patience: float = 1.0
    model: str = ""
    version: str = ""
    signals: tuple[str, ...] = ()
    bounds: tuple[Bounds, ...] = ()
    lives: int = 0
    judged: int = 0
    gain: float = 0.0
    error: float = 0.0
    currency: str = ""
    barred_until: int = 0
    outside: tuple[float, ...] = ()
    closed: int = 0
    learned: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it, JSON-able."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Standing:
        """Return what a document says. Raises ValueError, TypeError or KeyError for one that says something else."""
        bounds = tuple(Bounds(**each) for each in document["bounds"])
        lists = {name: tuple(document[name]) for name in ("signals", "outside", "learned")}
        return cls(**{**document, "phase": Phase(document["phase"]), "bounds": bounds, **lists})

    def bound(self, code: str, parameters: Mapping[str, str], *, barred_until: int = 0) -> Standing:
        """Return it taken back to the rule that needs no history."""
        barred = max(barred_until, self.barred_until)
        return replace(
            self,
            phase=Phase.BOUND,
            code=code,
            parameters=parameters,
            patience=1.0,
            model="",
            version="",
            signals=(),
            bounds=(),
            outside=(),
            barred_until=barred,
        )

    def same_as(self, other: Standing) -> bool:
        """Whether money follows the same: phase, patience and model."""
        mine, theirs = ((each.phase, each.patience, each.version) for each in (self, other))
        return mine == theirs


def patience_of(component: str, settings: ComponentSettings, known: Mapping[Kind, Standing]) -> float:
    """Return the patience of timing for a component, for whoever only looks at what is durable."""
    kind = kind_of(component, settings)
    return 1.0 if kind is None else known.get(kind, Standing()).patience
