"""What would change an advice: the nearest other inputs under which `marketplace.timing` would say the opposite.

One input at a time is moved away from what it is, by ever larger factors up to `FAR`, until the advice flips; then the
flip is closed in on by bisection, and rounded away from what is, to a figure that people can say. Every change that is
returned was asked of `advise` itself at exactly the told figure, so none is a guess; what does not flip within `FAR`
is not told. Inputs whose rise can only hasten or only delay a purchase are moved one way, a price both ways. At most
`ASKED_MAX` advices are asked for, a few dozen as a rule, so it is done when somebody looks, and not before.

Values in, values out: no clock, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final

from maintenance.needs import Belief
from marketplace.stakes import Supply
from marketplace.timing import TimingTerms, advise

STEPS: Final = (1.0, 1.1, 1.25, 1.6, 2.5, 5.0, 10.0)
"""How many times more or less an input is tried to be, the nearest first."""
FAR: Final = STEPS[-1]
NEAR: Final = 1.003
"""A flip is closed in on until it is known to three thousandths: people are told three figures."""
NEAREST: Final = 3
"""Changes that are told: more would not be read."""
ASKED_MAX: Final = 88
"""One for the advice itself, six steps of six searches; for each of five inputs no more than 8 halvings and a rounding
that may be taken back."""

LEAST: Final = 1e-9
"""What is less is nothing: no amount of an hour and no time is said in smaller figures."""

_HOUR = timedelta(hours=1)


class Input(StrEnum):
    """What is moved. The part's price moves with the cost of keeping it, the standstill with the failure's own cost."""

    LEAD_TIME = "LEAD_TIME"
    APPROVAL = "APPROVAL"
    STANDSTILL = "STANDSTILL"
    PRICE = "PRICE"
    REMAINING = "REMAINING"


_HASTENS: Final = (Input.LEAD_TIME, Input.APPROVAL, Input.STANDSTILL)
"""More of these asks for the part no later."""


@dataclass(frozen=True, slots=True)
class Change:
    """One other input under which the advice is the opposite.

    value, was: of the input then and now: hours (LEAD_TIME, APPROVAL), major units an hour (STANDSTILL; the failure's
    own cost where an hour costs nothing) and each (PRICE) of `currency`, and a share of what is left (REMAINING, 1).
    buy: what the advice would be. decide_by: by when it would be decided then, None beyond what is known.
    """

    input: Input
    value: float
    was: float
    buy: bool
    decide_by: datetime | None
    currency: str = ""

    @property
    def factor(self) -> float:
        """How many times what it is."""
        return self.value / self.was


def nearest_changes(belief: Belief, terms: TimingTerms, now: datetime, most: int = NEAREST) -> tuple[Change, ...]:
    """Return the smallest changes of one input that turn the advice at `now` round, the smallest first."""
    buys = advise(belief, terms, now).buy
    flips = _flips(belief, terms, now, buys, most)
    found = [_told(belief, terms, now, each, factor, not buys) for each, factor in flips.items()]
    return tuple(sorted(found, key=lambda change: abs(math.log(change.factor))))[:most]


def value_of(terms: TimingTerms, what: Input) -> float:
    """Return what an input is, as `Change` says it; 0 where there is none to move."""
    costs = terms.costs
    match what:
        case Input.LEAD_TIME:
            return terms.lead_time / _HOUR
        case Input.APPROVAL:
            return terms.approval / _HOUR
        case Input.REMAINING:
            return 1.0
        case Input.PRICE:
            return 0.0 if costs is None else costs.planned
        case Input.STANDSTILL:
            return 0.0 if costs is None else costs.standstill or costs.failure - costs.planned


def moved(belief: Belief, terms: TimingTerms, what: Input, factor: float) -> tuple[Belief, TimingTerms]:
    """Return belief and terms with one input `factor` (above 0) times what it is, all else as it was."""
    costs = terms.costs
    match what:
        case Input.REMAINING:
            return replace(belief, use=belief.use * factor), terms
        case Input.LEAD_TIME:
            return belief, replace(terms, lead_time=terms.lead_time * factor, supplies=_delayed(terms, factor, 1.0))
        case Input.APPROVAL:
            return belief, replace(terms, approval=terms.approval * factor, supplies=_delayed(terms, 1.0, factor))
    if costs is None:
        return belief, terms
    alone = costs.failure - costs.planned
    if what is Input.PRICE:
        price = costs.planned * factor
        costs = replace(costs, planned=price, failure=price + alone, holding=costs.holding * factor)
    else:
        costs = replace(costs, failure=costs.planned + alone * factor, standstill=costs.standstill * factor)
    return belief, replace(terms, costs=costs)


def _delayed(terms: TimingTerms, lead: float, approval: float) -> tuple[Supply, ...]:
    """Return the supplies with both parts of their delays so many times as long: approval first, then the way."""
    said = terms.approval / _HOUR

    def delayed(delay: float) -> float:
        return min(delay, said) * approval + max(delay - said, 0.0) * lead

    return tuple(replace(each, delays=tuple(map(delayed, each.delays))) for each in terms.supplies)


def _flips(belief: Belief, terms: TimingTerms, now: datetime, buys: bool, most: int) -> dict[Input, float]:
    """Return the factor just beyond each of the nearest flips, by input; at least `most` where there are so many."""
    found: dict[Input, float] = {}
    searches = list(_searches(terms, buys))
    for near, far in pairwise(STEPS):
        for what, upwards in searches:
            if what in found:
                continue
            reached = far if upwards else 1.0 / far
            if _buys(belief, terms, now, what, reached) != buys:
                found[what] = _closed_in(belief, terms, now, what, near if upwards else 1.0 / near, reached, buys)
        if len(found) >= most:
            break
    return found


def _searches(terms: TimingTerms, buys: bool) -> Iterator[tuple[Input, bool]]:
    """Yield what is moved, and whether upwards."""
    for what in Input:
        if value_of(terms, what) < LEAST:
            continue
        if what is Input.PRICE:
            yield from ((what, True), (what, False))
        else:
            yield what, (what in _HASTENS) != buys


def _buys(belief: Belief, terms: TimingTerms, now: datetime, what: Input, factor: float) -> bool:
    return advise(*moved(belief, terms, what, factor), now).buy


def _closed_in(
    belief: Belief, terms: TimingTerms, now: datetime, what: Input, near: float, far: float, buys: bool
) -> float:
    """Return a factor that turns the advice round as `far` does, within `NEAR` of one that leaves it as it is."""
    while max(near / far, far / near) > NEAR:
        middle = math.sqrt(near * far)
        if _buys(belief, terms, now, what, middle) == buys:
            near = middle
        else:
            far = middle
    return far


def _told(belief: Belief, terms: TimingTerms, now: datetime, what: Input, factor: float, buy: bool) -> Change:
    """Return a flip at a figure that people can say, where it still flips there."""
    was, currency = value_of(terms, what), "" if terms.costs is None else terms.costs.currency
    value = _sayable(what, was, factor)
    advice = advise(*moved(belief, terms, what, value / was), now)
    if advice.buy != buy:
        value = was * factor
        advice = advise(*moved(belief, terms, what, factor), now)
    return Change(what, value, was, advice.buy, advice.decide_by, currency)


def _sayable(what: Input, was: float, factor: float) -> float:
    """Return a value at or beyond a factor, away from what is: whole per cents of a life, else three figures."""
    if what is Input.REMAINING and factor < 2.0:
        step = 0.01 if abs(factor - 1.0) >= 0.1 else 0.001
        count = factor / step
        return (math.ceil(count - 1e-9) if factor > 1.0 else max(math.floor(count + 1e-9), 1)) * step
    unit = unit_hours(what, was)
    return rounded(was * factor / unit, upwards=factor > 1.0) * unit


def unit_hours(what: Input, was: float) -> float:
    """Return the hours of the unit in which people say an input: a day's for longer times, else 1."""
    return 24.0 if what in (Input.LEAD_TIME, Input.APPROVAL) and was >= 48.0 else 1.0


def rounded(value: float, *, upwards: bool) -> float:
    """Return a value above 0 at three significant figures, never nearer to where it came from."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    count = value / step
    return (math.ceil(count - 1e-9) if upwards else math.floor(count + 1e-9)) * step
