"""What each reason of a need weighs: how far it alone has brought the belief, and in which order it is told.

A measurement moves the belief from a part as new to a worn one; its weight is the share of that way, 0 to 1, that it
says has gone. What lives taught moves the yardstick, by the share told. A doubt moves no distribution: it makes the
belief one that a person is asked about, whatever else is seen, and is told after what was seen. All else explains.
The figures are those that maintenance recorded with the reason, so the order comes out the same two years on. It
decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from gettext import gettext as _
from typing import Final

from maintenance.needs import NEVER_HEARD, Evidence

DOUBTS: Final = frozenset({
    NEVER_HEARD, "STALE", "PAST_UNKNOWN", "CLOCK_PAST_UNKNOWN", "COUNTER_JUMPED_BACK", "COUNTER_JUMPED_AHEAD",
    "CLOCK_JUMPED_BACK", "CLOCK_JUMPED_AHEAD", "NO_LIFE", "REGIME_UNSEEN", "NO_LEVEL_YET", "NOT_FORETOLD", "BASELINE",
    "SENSOR_STUCK", "SENSOR_NOISY", "UNIT_SWAPPED", "LEVEL_IMPLAUSIBLE", "LEVEL_DOUBTED", "MODES_CONTRADICT",
    "SIGNAL_STUCK", "SIGNALS_WILD", "SIGNAL_ALONE", "SIGNAL_LEAPT",
})  # fmt: skip
"""Reasons for which a person is asked."""
WHOLE: Final = frozenset({"USAGE", "LEVEL", "LEVEL_TREND", "DEVIATION", "FORETOLD"})
"""Reasons that measure the health itself; there is one of them at most."""


class Role(IntEnum):
    """What a reason does to the belief, in the order of telling."""

    MOVES = 0
    DOUBTS = 1
    EXPLAINS = 2


@dataclass(frozen=True, slots=True)
class Weighing:
    """A reason with its weight, `share` from 0 to 1; None where nobody can say, or where it moves no belief."""

    evidence: Evidence
    role: Role
    share: float | None = None

    def words(self) -> str:
        """Return the weight in a few words; "" where there is nothing to say."""
        if self.role is Role.DOUBTS:
            return _("a person is asked for this alone")
        if self.share is None:
            return ""
        told = f"{self.share * 100:.0f} %"
        if self.evidence.code in ("LIFETIMES", "LIFETIMES_BY_CLOCK"):
            return _("moves the usual life by {share}").format(share=told)
        return _("{share} of the way to worn out").format(share=told)

    def in_brackets(self) -> str:
        """Return the same in brackets, to follow the sentence of the reason; "" where there is nothing to say."""
        words = self.words()
        return f"({words})" if words else ""


def weighed(evidence: Sequence[Evidence], health: float | None, life: float | None = None) -> tuple[Weighing, ...]:
    """Return reasons in order of weight, the heaviest first; what weighs alike stays as maintenance told it.

    health: the need's, None where it was not recorded. life: the belief's usual life, in its unit.
    """
    told = {name: figure for each in evidence for name, figure in each.parameters.items()}
    shared = {name: told[name] for name in told.keys() & {"failure", "rated"}}
    found = [_weighing(each, health, life, shared) for each in evidence]
    return tuple(sorted(found, key=lambda one: (one.role, -(one.share if one.share is not None else 0.0))))


def _weighing(each: Evidence, health: float | None, life: float | None, shared: Mapping[str, str]) -> Weighing:
    told, code = each.parameters, each.code
    if code in DOUBTS:
        return Weighing(each, Role.DOUBTS)
    if code in WHOLE:
        return Weighing(each, Role.MOVES, None if health is None else 1.0 - health)
    match code:
        case "USAGE_BY_CLOCK":
            share = _ratio(told.get("used"), told.get("rated"))
        case "DEVIATION_TAG":
            share = _ratio(told.get("z"), shared.get("failure"))
        case "MODEL":
            left = _ratio(told.get("left"), None if life is None else str(life))
            share = None if left is None else 1.0 - left
        case "LIFETIMES":
            usual = _ratio(told.get("usual"), shared.get("rated"))
            share = None if usual is None else usual - 1.0
        case "LIFETIMES_BY_CLOCK":
            usual = _ratio(told.get("usual"), told.get("rated"))
            share = None if usual is None else usual - 1.0
        case _:
            return Weighing(each, Role.EXPLAINS)
    return Weighing(each, Role.MOVES, None if share is None else min(abs(share), 1.0))


def _ratio(above: str | None, below: str | None) -> float | None:
    """Return the quotient of two recorded figures; None where one is missing, odd or nothing to divide by."""
    try:
        found = float(above or "") / float(below or "")
    except (ValueError, ZeroDivisionError):
        return None
    return found if math.isfinite(found) else None
