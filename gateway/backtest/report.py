"""What a run says: each purchase, and what buying so would have saved against what happened and against simple rules.

Money is compared over lives whose beginning and end are both known, and only with what the data can say: a part that
was taken out before it failed says nothing of when it would have, so neither perfect foresight nor running it to its
failure can be told for it. Where there is too little for an interval, there is none, and that is said. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from gateway.backtest.playing import Ended
from gateway.backtest.wouldbe import HOUR, WatchedLife, run_to_failure
from marketplace.hindsight import Course
from marketplace.retrospect import Lived, Pair, Saving, foreseen, happened, saving
from marketplace.timing import Costs, TimingTerms

HAPPENED: Final = "what_happened"
RATED: Final = "at_rated_life"
FAILURE: Final = "at_failure"
FORESIGHT: Final = "perfect_foresight"
AGAINST: Final = (HAPPENED, RATED, FAILURE, FORESIGHT)
"""What buying so is compared with, in the order in which people ask."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of a component besides its lives. group: what costs alike. rated: a rated life is stated."""

    terms: TimingTerms
    group: str
    rated: bool


@dataclass(frozen=True, slots=True)
class Purchase:
    """What would have been bought, and what became of the part that it was for.

    there, fitted: in the mean over the delays that an order may meet; fitted: None where that is not decided by the
    end of the data. ended, failed: of the life; None while it goes on. in_time: how likely the part was there before
    the failure; None where none is known.
    """

    component: str
    at: datetime
    decide_by: datetime | None
    lines: tuple[tuple[str, str, str], ...]
    code: str
    parameters: Mapping[str, str]
    asks: bool
    price: float
    currency: str
    there: datetime
    fitted: datetime | None
    ended: datetime | None
    failed: bool | None
    in_time: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the same as JSON."""
        moments = {name: getattr(self, name) for name in ("at", "decide_by", "there", "fitted", "ended")}
        told = {name: None if each is None else each.isoformat() for name, each in moments.items()}
        rest = {name: getattr(self, name) for name in ("component", "code", "asks", "price", "currency", "failed")}
        lines = [{"item": item, "quantity": quantity, "unit": unit} for item, quantity, unit in self.lines]
        return {**rest, **told, "lines": lines, "parameters": dict(self.parameters), "in_time": self.in_time}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What buying so would have saved, in a currency, against one of `AGAINST`, over so many lives that failed."""

    against: str
    currency: str
    saving: Saving
    our_failures: float
    their_failures: float

    def as_dict(self) -> dict[str, Any]:
        """Return the same as JSON; money to the hundredth."""
        said = asdict(self.saving)
        interval = self.saving.interval
        said["interval"] = None if interval is None else [round(each, 2) for each in interval]
        said["saved"] = round(said.pop("amount"), 2)
        said["ratio"] = None if said["ratio"] is None else round(said["ratio"], 4)
        failures = {"our_failures": round(self.our_failures, 3), "their_failures": round(self.their_failures, 3)}
        return {"against": self.against, "currency": self.currency, **said, **failures}


@dataclass(frozen=True, slots=True)
class Findings:
    """All of it. lives, failed: of which the end is known; uncounted: those of which the beginning is not."""

    purchases: tuple[Purchase, ...]
    comparisons: tuple[Comparison, ...]
    spent: Mapping[str, float]
    lives: int
    failed: int
    uncounted: int
    open: int

    def as_dict(self) -> dict[str, Any]:
        """Return the same as JSON."""
        return {
            "purchases": [each.as_dict() for each in self.purchases],
            "spent": {currency: round(amount, 2) for currency, amount in self.spent.items()},
            "comparisons": [each.as_dict() for each in self.comparisons],
            "lives": {"ended": self.lives, "failed": self.failed, "uncounted": self.uncounted, "open": self.open},
        }


def findings(
    ended: Sequence[Ended], still: Iterable[WatchedLife], cases: Mapping[str, Case], *, told: bool, seed: int
) -> Findings:
    """Return what a run says. still: lives that go on. told: whether the plant says what it really bought."""
    going = [each for each in still if each.component in cases]
    known = [each for each in ended if each.watched.component in cases]
    purchases = [found for each in known if (found := _purchase(each.watched, each)) is not None]
    purchases += [found for each in going if (found := _purchase(each, None)) is not None]
    purchases.sort(key=lambda each: (each.at, each.component))
    counted = [each for each in known if each.watched.whole]
    return Findings(
        tuple(purchases),
        tuple(_comparisons(counted, cases, told=told, seed=seed)),
        _spent(purchases),
        len(known),
        sum(each.lived.failed for each in known),
        len(known) - len(counted),
        len(going),
    )


def _purchase(watched: WatchedLife, ended: Ended | None) -> Purchase | None:
    bought, there = watched.bought, watched.there
    if bought is None or there is None:
        return None
    in_time = None
    if ended is not None and ended.lived.failed:
        ahead = (ended.at - bought.at) / HOUR
        whole = sum(each.likely for each in watched.deliveries)
        in_time = sum(each.likely for each in watched.deliveries if each.hours < ahead) / whole
    fitted = watched.fitted
    if ended is not None and fitted is not None and fitted >= ended.at:
        fitted = None
    at, failed = (None, None) if ended is None else (ended.at, ended.lived.failed)
    return Purchase(
        watched.component,
        bought.at,
        bought.decide_by,
        bought.lines,
        bought.code,
        bought.parameters,
        bought.asks,
        bought.price,
        bought.currency,
        there,
        fitted,
        at,
        failed,
        in_time,
    )


def _spent(purchases: Iterable[Purchase]) -> dict[str, float]:
    spent: dict[str, float] = {}
    for each in purchases:
        if each.currency:
            spent[each.currency] = spent.get(each.currency, 0.0) + each.price
    return spent


def _comparisons(ended: Sequence[Ended], cases: Mapping[str, Case], *, told: bool, seed: int) -> list[Comparison]:
    found = []
    for currency in sorted({costs.currency for each in cases.values() if (costs := each.terms.costs) is not None}):
        for against in AGAINST if told else AGAINST[1:]:
            pairs = [pair for each in ended if (pair := _pair(each, cases[each.watched.component], against, currency))]
            if pairs:
                ours, theirs = (sum(each.failed for each in side) for side in _sides(pairs))
                found.append(Comparison(against, currency, saving(pairs, seed), ours, theirs))
    return found


def _sides(pairs: Sequence[Pair]) -> tuple[list[Course], list[Course]]:
    return [each.ours for each in pairs], [each.theirs for each in pairs]


def _pair(ended: Ended, case: Case, against: str, currency: str) -> Pair | None:
    """Return one life under both ways; None where the data cannot say what the other would have been."""
    costs, lived, watched = case.terms.costs, ended.lived, ended.watched
    if costs is None or costs.currency != currency:
        return None
    theirs = _theirs(ended, case, costs, against)
    if theirs is None:
        return None
    return Pair(case.group, watched.component, watched.ours(lived, costs, case.terms, ended.spare), theirs)


def _theirs(ended: Ended, case: Case, costs: Costs, against: str) -> Course | None:
    lived, watched, terms = ended.lived, ended.watched, case.terms
    if against == HAPPENED:
        return None if ended.told is None else _really(ended, costs)
    if against == RATED:
        return watched.by_rating(lived, costs, terms) if case.rated else None
    if not lived.failed:
        return None
    if against == FAILURE:
        return run_to_failure(lived, costs, terms)
    return foreseen(lived, costs, terms.step / HOUR)


def _really(ended: Ended, costs: Costs) -> Course:
    told = ended.told
    assert told is not None
    arrival = None if told.arrival is None else (told.arrival - ended.watched.began) / HOUR
    return happened(
        Lived(ended.lived.hours, ended.lived.failed),
        costs,
        arrival,
        None if told.cost is None else float(told.cost.amount),
    )
