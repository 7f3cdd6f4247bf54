"""The tracker of jobs that the machine itself foresees: it says when one is due, and nobody knows better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from gettext import gettext as _
from typing import Any

from maintenance import health, prognosis
from maintenance.needs import Evidence
from maintenance.packing import Layout, Packer, Unpacker
from maintenance.prognosis import Basis
from maintenance.settings import ComponentSettings, ForetoldWear
from maintenance.trackers.tracker import YEAR_HOURS, Assessment, Outlook, Proposal, Tracker

LEAST_HOURS = 1.0
"""A job is foreseen for at least as long: what is due at once is due."""


class ForetoldTracker(Tracker):
    """A job that is due at a moment which the machine tells, and may tell anew."""

    kind = "foretold"
    kept = Layout(numbers=("due", "since"))

    def __init__(self, settings: ComponentSettings, tags: Mapping[str, str]) -> None:
        super().__init__(settings, tags)
        assert isinstance(settings.wear, ForetoldWear)
        self._tag = settings.wear.tag
        self.forget()

    def forget(self) -> None:
        """What was foretold for the old part is over."""
        self.due: float | None = None
        self.since = 0.0

    def take(self, signal: int, value: float, hours: float) -> None:
        """Take the moment, in seconds since 1970; none before 1970 is meant, as OPC-UA's empty time is not."""
        if value <= 0:
            self.due = None
            return
        self.since = hours if self.due is None else self.since
        self.due = value / 3600.0
        self.history.take(hours, max(self.due - hours, 0.0))

    def read(self, value: float, hours: float, clock: str = "") -> None:
        """Refuse a typed value: the machine tells."""
        raise ValueError(_("the machine itself says when this is due; nobody types that in"))

    def assess(self, hours: float, basis: Basis) -> Assessment:
        """Believe what the machine says; before it has said anything, nothing is known."""
        if self.due is None:
            used = self.clock.used_at(hours)
            belief = prognosis.by_usage(used, used, YEAR_HOURS, 3.0, replace(basis, known=False))
            return Assessment(belief, 1.0, (Evidence("NOT_FORETOLD", {"tag": self._tag}),))
        used, whole = hours - self.since, self._whole()
        moment = datetime.fromtimestamp(self.due * 3600.0, UTC).isoformat(timespec="minutes")
        belief = prognosis.by_due(used * basis.use_per_hour, whole * basis.use_per_hour, basis)
        evidence = Evidence("FORETOLD", {"tag": self._tag, "at": moment})
        return Assessment(belief, health.of_usage(used, whole), (evidence,))

    def _whole(self) -> float:
        """For how long it was foreseen when it was first told, or told anew."""
        assert self.due is not None
        return max(self.due - self.since, LEAST_HOURS)

    def outlook(self, hours: float) -> Outlook:
        """Return the hours that are left, which run down to nothing."""
        left = 0.0 if self.due is None else max(self.due - hours, 0.0)
        return Outlook(left, -1.0, 0.0, 0.0, "h")

    def proposal(self) -> Proposal | None:
        """That the machine says another moment proves no new part."""
        return None

    def pack(self, packer: Packer) -> None:
        """Pack also the moment that was told."""
        super().pack(packer)
        packer.things(self)

    def unpack(self, packed: Unpacker) -> None:
        """Go on from what was packed."""
        super().unpack(packed)
        packed.things(self)

    def adopt(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot from before states were packed."""
        super().adopt(state)
        self.kept.adopt(self, state)
