"""Lives on several clocks, each of which may end them, and what finished lives say of each.

Four sentences of promise. A part that was replaced, or still runs, outlasted every clock; one that failed did so by
one of them. Which one, a person may know; else the failure is shared among the clocks by how likely each was to end it
then, as their ratings have it. So each clock learns as if it were alone, and what holds of a single one
(`maintenance.lifetimes`) holds of each: before any life has ended the ratings stand, the order of lives changes
nothing, and a life that was cut short later never shortens a median by more than two parts in a thousand. No clock is
taught by a failure of which nobody knows what the part had run on another.

Competing risks: Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data (2002), 8.2: given that a part
failed at a moment, it did so by a risk as that one's hazard is to the hazard of all. Sharing failures whose cause is
hidden so is the first step of the EM algorithm (Dempster, Laird and Rubin, 1977), begun at the ratings. Further steps
tell the clocks apart better where many have failed and a rating is far off; but with few lives they tell worse, and
they would let a long life on one clock shorten what is believed of another. Crowder, Classical Competing Risks (2001),
says what failure times alone cannot tell: whether the risks are independent. No clock, no chance, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from maintenance import lifetimes
from maintenance.lifetimes import LEAST_SHARE, MOST_SHARE, FinishedLife, Lifetimes, Prior, scale_of

LEAST_LIKELY: Final = 0.05
"""Who is less likely than one in twenty to have ended a life is not blamed at all: he only lasted so long."""


@dataclass(frozen=True, slots=True)
class EndedLife:
    """What a part ran, all in, by the name of each clock that is known, and whether it failed.

    cause: the clock that ended it; "" where nobody knows.
    """

    use: Mapping[str, float]
    failed: bool
    cause: str = ""


def learned(lives: Iterable[EndedLife], priors: Mapping[str, Prior]) -> dict[str, Lifetimes]:
    """Return what lives, told in any order, make of each clock's prior; with none, the priors themselves."""
    told: dict[str, list[FinishedLife]] = {name: [] for name in priors}
    for life in lives:
        for name, finished in apart(life, priors).items():
            told[name].append(finished)
    return {name: lifetimes.learned(told[name], prior) for name, prior in priors.items()}


def apart(life: EndedLife, priors: Mapping[str, Prior]) -> dict[str, FinishedLife]:
    """Return the life on each clock, as that one is taught by it; nothing where it proves nothing."""
    known = {name: life.use[name] for name in priors if name in life.use}
    if not life.failed:
        return {name: FinishedLife(use, False) for name, use in known.items()}
    if life.cause in known:
        return {name: FinishedLife(use, name == life.cause) for name, use in known.items()}
    if len(known) < len(priors):
        return {}
    return {name: FinishedLife(known[name], share) for name, share in blamed(known, priors).items()}


def blamed(use: Mapping[str, float], priors: Mapping[str, Prior]) -> dict[str, float]:
    """Return how likely each clock ended a life that failed then, by their ratings.

    A Weibull clock's hazard by its own use t is (k / t) (t / scale)^k, and in the time of all of them as much for each
    unit as it ran in it, t over the life: so that k (t / scale)^k are to one another as the hazards.
    """
    hazards = {name: _hazard(use[name], prior) for name, prior in priors.items()}
    likely = _shares(hazards)
    return _shares({name: share if share >= LEAST_LIKELY else 0.0 for name, share in likely.items()})


def _hazard(use: float, prior: Prior) -> float:
    share = min(max(use / prior.median, LEAST_SHARE), MOST_SHARE)
    hazard: float = prior.shape * float(share / scale_of(1.0, prior.shape)) ** prior.shape
    return hazard


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    whole = sum(parts.values())
    return {name: part / whole for name, part in parts.items()}
