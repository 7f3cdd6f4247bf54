"""How far each kind has come, and why: kept in the spend database beside the audit entry of every change.

A change of what money follows is durable together with its entry in the log, or it is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, MetaData, String, Table, Text, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.learning.kinds import Kind, kind_of
from gateway.learning.phases import Phase
from maintenance.settings import ComponentSettings
from marketplace.audit import log as audit
from marketplace.audit.actor import Actor, ActorKind
from marketplace.store import Owner
from marketplace.store import metadata as marketplace

metadata = MetaData(naming_convention=marketplace.naming_convention)

standing = Table(
    "standing",
    metadata,
    Column("plant", String(64), primary_key=True),
    Column("gateway_id", String(64), primary_key=True),
    Column("kind", String(150), primary_key=True),
    Column("document", Text, nullable=False),
)


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


async def standings(tx: AsyncConnection, owner: Owner) -> dict[Kind, Standing]:
    """Return how far each kind has come; one that cannot be read begins anew, which is never worse than the rule."""
    found = {}
    mine = (standing.c.plant == owner.plant) & (standing.c.gateway_id == owner.gateway_id)
    for row in await tx.execute(select(standing.c.kind, standing.c.document).where(mine)):
        try:
            found[Kind.of(row.kind)] = Standing.of(json.loads(row.document))
        except (ValueError, TypeError, KeyError):
            continue
    return found


async def keep(
    tx: AsyncConnection, owner: Owner, kind: Kind, before: Standing, after: Standing, now: datetime
) -> Standing:
    """Write a kind's standing, and the change into the log if money follows something else; return it as it stands."""
    changed = not after.same_as(before)
    kept = replace(after, since=now.isoformat(timespec="seconds") if changed else before.since)
    key = {"plant": owner.plant, "gateway_id": owner.gateway_id, "kind": str(kind)}
    mine = [getattr(standing.c, name) == value for name, value in key.items()]
    await tx.execute(delete(standing).where(*mine))
    await tx.execute(insert(standing).values(**key, document=json.dumps(kept.document(), sort_keys=True)))
    if changed:
        actor = Actor(ActorKind.GATEWAY, owner.gateway_id, "learning")
        await audit.append(tx, owner, "learning.changed", str(kind), actor, _facts(before, kept), now)
    return kept


def _facts(before: Standing, after: Standing) -> dict[str, Any]:
    return {
        "before": before.phase.value,
        "after": after.phase.value,
        "code": after.code,
        "parameters": dict(after.parameters),
        "patience": f"{after.patience:g}",
        "model": after.model,
        "version": after.version,
        "lives": after.lives,
        "judged": after.judged,
        "gain": f"{after.gain:.2f}",
        "error": f"{after.error:.2f}",
        "currency": after.currency,
    }


def patience_of(component: str, settings: ComponentSettings, known: Mapping[Kind, Standing]) -> float:
    """Return the patience of timing for a component, for whoever only looks at what is durable."""
    kind = kind_of(component, settings)
    return 1.0 if kind is None else known.get(kind, Standing()).patience
