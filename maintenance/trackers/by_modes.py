"""The tracker of lives that end in several ways, each with its own evidence: a level, a deviation, use on a clock.

Promises: where the modes agree, the part survives as long as it does in every one of them, so the earliest failure
counts. Where they contradict each other, one being worn while another is like new, each beyond its own uncertainty,
nobody can tell a sensor that drifts from a part that fails: the earliest failure still counts, and a person is asked.
Use alone never says that a part is like new: parts fail early.
A doubt in any mode asks a person, and a fitting settles all of them. The belief runs along the calendar, because no
clock is common to the modes; what is drawn is what the mode shows that is nearest to its threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from gettext import gettext as _
from typing import Any, Final

import numpy as np

from maintenance import prognosis
from maintenance.belief import Belief
from maintenance.features import History
from maintenance.needs import Evidence
from maintenance.packing import Packer, Unpacker
from maintenance.prognosis import Basis
from maintenance.settings import ComponentSettings, Mode, ModesWear, counter_tags, measured_tags, of_mode, wear_tags
from maintenance.trackers.tracker import CLOCK, Assessment, Outlook, Proposal, Tracker

LIKE_NEW: Final = 0.85
"""What has used up less than this leaves is as a new part is, give or take its noise."""
SURE: Final = 0.05
"""Beliefs of which not even one in twenty overlaps with the other contradict each other."""


class ModesTracker(Tracker):
    """A life that ends in several ways, each watched by a tracker of its own; its own `clock` is the calendar."""

    kind = "modes"

    def __init__(
        self, settings: ComponentSettings, tags: Mapping[str, str], make: Callable[[ComponentSettings], Tracker]
    ) -> None:
        """Watch each mode by what `make` returns for the component as that mode sees it."""
        super().__init__(settings.model_copy(update={"rated_life": None, "b10_life": None}), tags)
        wear = settings.wear
        assert isinstance(wear, ModesWear)
        self.modes = {name: make(of_mode(settings, mode)) for name, mode in wear.modes.items()}
        self._measured = {name for name, mode in wear.modes.items() if measured_tags(mode)}
        self._route = list(_routes(wear.modes))

    def take(self, signal: int, value: float, hours: float) -> None:
        """Fold a value; signals are those of the modes in their order."""
        name, place = self._route[signal]
        self.modes[name].take(place, value, hours)

    def read(self, value: float, hours: float, clock: str = "") -> None:
        """Fold a reading of the mode of that name, which a person typed in."""
        mode = self.modes.get(clock)
        if mode is None:
            sentence = _("this component wears in several ways; say which was read: {modes}")
            raise ValueError(sentence.format(modes=", ".join(self.modes)))
        mode.read(value, hours)

    def begin(self, used_before: float | None, hours: float, counters: Mapping[str, float]) -> None:
        """Start a life in every mode.

        A part that had run before had done so in the first mode; what that makes in the others, nobody knows.
        """
        super().begin(used_before, hours, {})
        for place, mode in enumerate(self.modes.values()):
            mode.begin(used_before if place == 0 or not used_before else None, hours, counters)

    def ran(self, hours: float) -> dict[str, float]:
        """Return what the part had run in each mode that knows."""
        each = {name: mode.ran(hours).get("") for name, mode in self.modes.items()}
        return {name: found for name, found in each.items() if found is not None}

    def dismiss(self) -> None:
        """A person said that nothing was fitted."""
        super().dismiss()
        for mode in self.modes.values():
            mode.dismiss()

    def forget(self) -> None:
        """Nothing but the modes belonged to the old part."""

    def assess(self, hours: float, basis: Basis) -> Assessment:
        """Let the part survive in every mode; evidence begins with the one that is nearest to its end."""
        each = {name: self._of_mode(name, hours, basis) for name in self.modes}
        ordered = sorted(each, key=lambda name: each[name].health)
        evidence = [reason for name in ordered for reason in each[name].evidence]
        worn, new = ordered[0], next((name for name in reversed(ordered) if name in self._measured), None)
        known = basis.known and all(found.belief.known for found in each.values())
        if new is not None and contradict(each[worn], each[new]):
            known = False
            evidence.insert(0, Evidence("MODES_CONTRADICT", {"worn": worn, "new": new}))
        beliefs = [found.belief for found in each.values()]
        belief = earliest(beliefs, replace(basis, unit="h", use_per_hour=1.0, known=known))
        return Assessment(belief, each[worn].health, tuple(evidence))

    def _of_mode(self, name: str, hours: float, basis: Basis) -> Assessment:
        mode = self.modes[name]
        rate = mode.clock.rate.per_hour
        return mode.assess(hours, replace(basis, unit=mode.unit, use_per_hour=rate, life=mode.rated or None))

    def outlook(self, hours: float) -> Outlook:
        """Return what the mode nearest to its threshold shows, and how that goes on by the calendar hour."""
        mode = self._nearest(hours)
        seen, rate = mode.outlook(hours), mode.clock.rate.per_hour
        return replace(
            seen,
            slope=seen.slope * rate,
            slope_deviation=seen.slope_deviation * rate,
            growth=seen.growth * rate,
            flow=seen.flow * rate,
        )

    def past(self, hours: float) -> History:
        """Return the history of the same mode."""
        return self._nearest(hours).history

    def _nearest(self, hours: float) -> Tracker:
        return max(self.modes.values(), key=lambda mode: _gone(mode.outlook(hours)))

    def proposal(self) -> Proposal | None:
        """Return the first fitting that a mode suggests."""
        found = [(mode.proposal(), name) for name, mode in self.modes.items()]
        suggested = [(each, name) for each, name in found if each is not None]
        if not suggested:
            return None
        each, name = min(suggested, key=lambda one: one[0].hours)
        counter = {"tag": self.modes[name].counters[-1]} if "reading" in each.parameters else {}
        return replace(each, parameters=each.parameters | counter | {"mode": name})

    def identity(self) -> list[Any]:
        """Return also every mode."""
        return [*super().identity(), [[name, mode.identity()] for name, mode in self.modes.items()]]

    def pack(self, packer: Packer) -> None:
        """Pack also every mode."""
        super().pack(packer)
        for mode in self.modes.values():
            mode.pack(packer)

    def unpack(self, packed: Unpacker) -> None:
        """Go on from what was packed."""
        super().unpack(packed)
        for mode in self.modes.values():
            mode.unpack(packed)

    def adopt(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot from before states were packed."""
        super().adopt(state)
        for name, mode in state["modes"].items():
            self.modes[name].adopt(mode)


def _routes(modes: Mapping[str, Mode]) -> Iterator[tuple[str, int]]:
    """Yield of each tag which mode reads it, and as which signal; a counter that only clocks a mode comes last."""
    for name, mode in modes.items():
        tags = wear_tags(mode)
        for place in range(len(tags)):
            yield name, CLOCK if counter_tags(mode) and place == len(tags) - 1 else place


def contradict(worn: Assessment, new: Assessment) -> bool:
    """Tell whether one kind of evidence says worn and another says like new, each beyond its own uncertainty."""
    if worn.health >= LIKE_NEW or new.health <= LIKE_NEW:
        return False
    latest, earliest_ = worn.belief.remaining_time(1.0 - SURE), new.belief.remaining_time(SURE)
    return latest is not None and (earliest_ is None or latest < earliest_)


def earliest(beliefs: list[Belief], basis: Basis) -> Belief:
    """Return the belief in the first failure of several, along the calendar: survival is the product of theirs.

    Competing risks, as for several clocks: see `prognosis.by_clocks`. Each is held beyond its own grid; the part
    usually lives as long as the shortest of their lives.
    """
    life = min((each.life / each.use_per_hour for each in beliefs if each.life is not None), default=None)
    horizon = min(float(each.use[-1]) / each.use_per_hour for each in beliefs)
    use = prognosis.grid(horizon)
    survival = [np.interp(use * each.use_per_hour, each.use, each.survival) for each in beliefs]
    return replace(basis, life=life).belief(use, np.prod(survival, axis=0))


def _gone(seen: Outlook) -> float:
    """Return the share of the way from new to the threshold that is gone."""
    return (seen.value - seen.start) / (seen.threshold - seen.start)
