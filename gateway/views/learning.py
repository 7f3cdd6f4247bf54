"""How far each kind of parts has come in learning, and why, in one sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from gettext import gettext as _
from gettext import ngettext
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.learning.kinds import Kind, kinds_of
from gateway.learning.ledger import standings
from gateway.learning.standing import Standing
from gateway.views.texts import text_of
from maintenance.settings import ComponentSettings
from marketplace.store import Owner


def _later(text: str) -> str:
    """Mark a sentence for translation; it is translated when somebody reads it."""
    return text


_REASONS: Final[Mapping[str, str]] = {
    "TOO_FEW_LIVES": _later("Too few lives have ended of which it is known how: {have} of {want}."),
    "NO_COSTS": _later("Nothing of it is bought, so nobody can say what deciding otherwise would save."),
    "NOT_CONVINCING": _later("Nothing that its lives taught would have saved enough to be sure of it."),
    "PINNED": _later("A person keeps it there, in the config under 'learning'."),
    "MISSED": _later("The part of {component} failed when the model gave that {probability}."),
    "DRIFTED": _later("What really was left lay outside of what the model held likely in {share} of what it said."),
    "OUT_OF_RANGE": _later("{tag} of {component} goes where no life has gone that it was learned from."),
    "SENSOR_STUCK": _later("{tag} of {component} stands still, and the model needs it."),
    "SENSOR_LOST": _later("{tag} of {component} is silent while the others speak, and the model needs it."),
    "SIGNALS_CHANGED": _later("The config names other signals than those that it was learned from."),
    "MODEL_BROKEN": _later("What was learned is gone or was altered; it is learned again."),
}
"""Why a kind stands where it does, by stable code; the text in braces is a parameter."""


@dataclass(frozen=True, slots=True)
class KindView:
    """A kind: what learns together, its standing, and why it stands there; since: None before the first change."""

    kind: Kind
    components: tuple[str, ...]
    standing: Standing

    @property
    def since(self) -> datetime | None:
        """Since when money follows what it does."""
        return datetime.fromisoformat(self.standing.since) if self.standing.since else None

    @property
    def reason(self) -> str:
        """Why it stands there, as a sentence."""
        return reason(self.standing)

    def as_dict(self) -> dict[str, Any]:
        """Return the kind for programs."""
        standing = self.standing
        return {
            "kind": self.kind.name,
            "wear": self.kind.by.value,
            "components": list(self.components),
            "phase": standing.phase.value,
            "since": text_of(self.since),
            "code": standing.code,
            "parameters": dict(standing.parameters),
            "patience": standing.patience,
            "model": standing.model or None,
            "version": standing.version or None,
            "lives": standing.lives,
            "judged": standing.judged,
            "gain": round(standing.gain, 2),
            "error": round(standing.error, 2),
            "currency": standing.currency or None,
        }


async def kind_views(
    spend: AsyncConnection, owner: Owner, components: Mapping[str, ComponentSettings]
) -> list[KindView]:
    """Return every kind of the config's components whose lives can teach anything."""
    if not components:
        return []
    known = await standings(spend, owner)
    return [KindView(kind, tuple(each), known.get(kind, Standing())) for kind, each in kinds_of(components).items()]


def reason(each: Standing) -> str:
    """Return in one sentence why a kind stands where it does."""
    if each.code == "CONVINCED":
        sentence = ngettext(
            "Over {n} life it would have saved {gain} {currency} a life, give or take {error}.",
            "Over {n} lives it would have saved {gain} {currency} a life, give or take {error}.",
            each.judged,
        )
        figures = {"gain": f"{each.gain:.2f}", "error": f"{each.error:.2f}", "currency": each.currency}
        return sentence.format(n=each.judged, **figures)
    sentence = _REASONS.get(each.code, each.code)
    told = _(sentence).format_map(defaultdict(lambda: "?", each.parameters))
    if each.lives < each.barred_until:
        told += " " + _("A model is believed again once {n} lives have ended.").format(n=each.barred_until)
    return told
