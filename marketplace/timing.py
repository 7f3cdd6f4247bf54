"""When money moves: buy once waiting one more step costs more than it saves. There is no other trigger.

`marketplace.stakes` says what every course costs in expectation: what a part costs late, on the shelf, and in life
thrown away, over the delays of whoever supplies it. Buy when the best course begins with an order now. A plant may set
a ceiling beside it: buy also once the part would otherwise come too late with at least `failure_probability`, whatever
that costs; where nothing is known of costs, the ceiling decides alone. `decide_by` is when it will be time if the
belief stays as it is: the latest time to say yes.

Where the part lies here already, or is on its way, nothing is ordered: what remains is when to fit it, by the same
costs. One that is promised to nobody is set aside when it would be ordered otherwise, so that no other takes it. It is
fitted once use is worth less than the risk, in a maintenance window where the plant names any, or outside of one where
waiting for it costs more than the stop. A service is wanted so early that it can come then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from maintenance.needs import Belief, JobKind, JobLine
from marketplace.fitting import Fit, fitting
from marketplace.openings import Openings
from marketplace.stakes import Plan, Stakes, Supply, Survival, emergency, long_run, plan

FAILURE_BEFORE_ARRIVAL = "FAILURE_BEFORE_ARRIVAL"
"""Buy: the failure probability before arrival has reached the ceiling."""
WAITING_COSTS_MORE = "WAITING_COSTS_MORE"
"""Buy: waiting one more step costs more than it saves."""
NOT_YET = "NOT_YET"
"""Do not buy: waiting still saves more than it costs."""
FIT_NOW = "FIT_NOW"
"""The part is here: fit it, for waiting one more step costs more than it saves."""
SET_ASIDE = "SET_ASIDE"
"""There is one that is promised to nobody: take it, for it would be ordered now if there were none."""
FIT_LATER = "FIT_LATER"
"""The part is here: it is fitted when use is worth less than the risk."""
ON_ITS_WAY = "ON_ITS_WAY"
"""The part is ordered: it is fitted once it is here."""

STEP_MIN_HOURS = 1e-3
"""Nobody decides or wears out faster than every few seconds."""

WATCHED_PATIENCE = 1.5
"""Where every step brings news of the part, an order that waits can still be thought better of: half as much again as
the use itself. An option is worth that before it is taken (Dixit and Pindyck, Investment under Uncertainty, 1994)."""

RENT_MAX = 0.5
"""Of what use is worth: more than that the rent of a part on the shelf does not count against using the old one. Else
a cheap and critical part that lasts for years, kept for the day of the failure, would be fitted for its rent, and the
next one bought, and so on. Where age alone tells of a part, the worth of its use holds that rent already."""

_HOUR = timedelta(hours=1)
_FAR = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a component's part costs in `currency`: see `Stakes`, which adds what its use is worth."""

    currency: str
    planned: float
    failure: float
    standstill: float
    holding: float


@dataclass(frozen=True, slots=True)
class Held:
    """A part that need not be ordered any more. supply: from whom, and what is left of its delay; 0: it lies here.

    bought: for this life, so that keeping it costs; what lies on the shelf anyway is not fitted for its rent.
    """

    supply: Supply
    bought: bool = True

    @property
    def here(self) -> bool:
        """Whether it lies here."""
        return max(self.supply.delays) <= 0.0


@dataclass(frozen=True, slots=True)
class TimingTerms:
    """What timing weighs, for one component.

    failure_probability: the ceiling, between 0 and 1, both excluded; None: there is none.
    costs, supplies: what things cost, and who supplies after which delays from the decision, the approval included;
    None and empty: nothing is known of costs, and only the ceiling decides.
    patience: by how much an hour of use is worth more than its share of a new part, because a belief that goes on
    learning leaves something to wait for; 1 where nothing is known of that.
    lead_time_spread: how far orders are from the lead time, relatively. held: what there is of the part already, None
    for nothing. openings: when it may be fitted, its origin now; None: at any time. life_shape: the Weibull shape of
    such lives, where age alone tells of them; None where the part itself does.
    """

    lead_time: timedelta
    approval: timedelta
    step: timedelta
    failure_probability: float | None = None
    costs: Costs | None = None
    supplies: tuple[Supply, ...] = ()
    patience: float = 1.0
    lead_time_spread: float = 0.0
    held: Held | None = None
    openings: Openings | None = None
    life_shape: float | None = None

    def __post_init__(self) -> None:
        if self.failure_probability is not None and not 0.0 < self.failure_probability < 1.0:
            raise ValueError("a failure probability lies between 0 and 1")
        if min(self.lead_time, self.approval, self.step) < timedelta(0):
            raise ValueError("lead time, approval and step are not below zero")
        if (self.costs is None) != (not self.supplies):
            raise ValueError("what things cost and who supplies are known together or not at all")
        if not 0.0 < self.patience < 100.0:
            raise ValueError("patience lies between 0 and 100")
        if self.costs is None and (self.held is not None or self.openings is not None):
            raise ValueError("a part that is here is fitted by what things cost, and nothing is known of that")
        if self.costs is None and self.failure_probability is None:
            raise ValueError("without costs and without a ceiling nothing would ever be bought")

    @property
    def arrival(self) -> timedelta:
        """How long after a decision a part is there at the latest."""
        return self.lead_time + self.approval + self.step


@dataclass(frozen=True, slots=True)
class Weighed:
    """What an advice was computed from besides the belief; `now` is plant time."""

    terms: TimingTerms
    now: datetime


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether to buy now, and the figures that say why.

    decide_by: when it is time to buy; None when that is not within what the belief knows.
    probability: of failure before a part that is ordered now can be there.
    code: one of those above; `parameters` are its figures, for the sentence and the audit.
    weighed: what it was computed from, for whoever computes it again.
    fit_by: when the part is best fitted, a moment of a maintenance window where there are any; None: beyond what is
    known. A part that is here is bought, too, when it is to be set aside or fitted: then the shelf is asked for it.
    """

    buy: bool
    decide_by: datetime | None
    probability: float
    code: str
    parameters: dict[str, str]
    weighed: Weighed
    fit_by: datetime | None = None

    def wants(self, lines: Sequence[JobLine]) -> tuple[JobLine, ...]:
        """Return the lines of a job that are wanted now: goods by the verdict, a service in time for the fitting."""
        goods = any(line.kind is not JobKind.SERVICE for line in lines)
        serving = self._service_due if goods else self.buy
        return tuple(line for line in lines if (serving if line.kind is JobKind.SERVICE else self.buy))

    @property
    def _service_due(self) -> bool:
        by = self.weighed
        if by.terms.held is None and (by.terms.costs is None or not self.buy):
            return self.buy
        return self.fit_by is not None and self.fit_by - by.terms.arrival <= by.now


def advise(belief: Belief, terms: TimingTerms, now: datetime) -> Advice:
    """Return whether to buy at `now` (aware, plant time), and by when it must be decided."""
    return _ordering(belief, terms, now) if terms.held is None else _fitting(belief, terms, terms.held, now)


def _ordering(belief: Belief, terms: TimingTerms, now: datetime) -> Advice:
    age = max(now - belief.as_of, timedelta(0))
    probability = belief.failure_probability(age + terms.arrival)
    reached = terms.failure_probability is not None and probability >= terms.failure_probability
    planned = best_plan(belief, terms, age)
    due = None if planned is None else _moment(belief, planned.order_after)
    buy = reached or (due is not None and due <= now)
    code = FAILURE_BEFORE_ARRIVAL if reached else WAITING_COSTS_MORE if buy else NOT_YET
    decide_by = min((each for each in (_ceiling(belief, terms), due) if each is not None), default=None)
    if decide_by is not None:  # on a plateau of the survival both ends reach the ceiling: the verdict decides
        decide_by = min(decide_by, now) if buy else max(decide_by, now)
    fit_by = None if planned is None else _window(belief, terms, max(planned.replace_after, age / _HOUR), age)
    figures = _figures(terms, probability, decide_by) | _planned(planned, terms) | _opening(terms, fit_by)
    return Advice(buy, decide_by, probability, code, figures, Weighed(terms, now), fit_by)


def _fitting(belief: Belief, terms: TimingTerms, held: Held, now: datetime) -> Advice:
    """Return the advice where nothing is to be ordered: fit now or wait."""
    age = max(now - belief.as_of, timedelta(0))
    probability = belief.failure_probability(age + timedelta(hours=held.supply.delay))
    found = best_fit(belief, terms, held, age)
    fit, aside = held.here and found.fit_after <= age / _HOUR, False
    planned = _moment(belief, found.fit_after) if held.here else _window(belief, terms, found.fit_after, age)
    fit_by = now if fit else planned
    decide_by = fit_by if held.here else None
    if not held.bought:  # by the rule for what is not there: as urgent as its order would be
        otherwise = _ordering(belief, replace(terms, held=None), now)
        aside, probability = otherwise.buy, otherwise.probability
        decide_by = otherwise.decide_by if aside else decide_by
    code = FIT_NOW if fit else SET_ASIDE if aside else FIT_LATER if held.here else ON_ITS_WAY
    figures = _figures(terms, probability, decide_by) | _held(held, found, terms) | _opening(terms, fit_by)
    return Advice(fit or aside, decide_by, probability, code, figures, Weighed(terms, now), fit_by)


def best_plan(belief: Belief, terms: TimingTerms, age: timedelta = timedelta(0)) -> Plan | None:
    """Return the best course from when the belief was formed, `age` ago; None where nothing is known of costs."""
    if terms.costs is None:
        return None
    survival, stakes = _at_stake(belief, terms, terms.costs)
    return plan(survival, stakes, terms.supplies, _step(terms), openings=_openings(terms, age))


def best_fit(belief: Belief, terms: TimingTerms, held: Held, age: timedelta) -> Fit:
    """Return when a part that is here or on its way is best fitted. Raises ValueError where no costs are known."""
    if terms.costs is None:
        raise ValueError("nothing is known of costs")
    survival, stakes = _at_stake(belief, terms, terms.costs)
    rent = replace(stakes, holding=_rent(stakes, terms, held))
    return fitting(survival, rent, held.supply, age / _HOUR, _step(terms), _openings(terms, age))


def _rent(stakes: Stakes, terms: TimingTerms, held: Held) -> float:
    """Return what keeping a part counts for when it is to be fitted."""
    if not held.bought:
        return 0.0
    return stakes.holding if terms.life_shape is not None else min(stakes.holding, RENT_MAX * stakes.running)


def _at_stake(belief: Belief, terms: TimingTerms, costs: Costs) -> tuple[Survival, Stakes]:
    survival = Survival(belief.use / belief.use_per_hour, belief.survival)
    life = survival.mean if belief.life is None else belief.life / belief.use_per_hour
    if terms.life_shape is None:
        return survival, stakes_of(costs, life, terms.patience)
    return survival, stakes_by_age(costs, life, terms.patience, terms.life_shape, terms.supplies)


def _step(terms: TimingTerms) -> float:
    return max(terms.step / _HOUR, STEP_MIN_HOURS)


def _openings(terms: TimingTerms, age: timedelta) -> Openings | None:
    """Return when it may be fitted, in hours from the belief."""
    return None if terms.openings is None else replace(terms.openings, origin=age / _HOUR)


def stakes_of(costs: Costs, life_hours: float, patience: float = 1.0) -> Stakes:
    """Return what is at stake where such a part usually reaches `life_hours`."""
    worth = patience * costs.planned / max(life_hours, STEP_MIN_HOURS)
    return Stakes(costs.planned, costs.failure, costs.standstill, costs.holding, worth)


def stakes_by_age(costs: Costs, life_hours: float, patience: float, shape: float, supplies: Sequence[Supply]) -> Stakes:
    """Return the same where age alone tells of a part: then some fail, whatever is done, and an hour of use costs more
    than its share of a new part. It is worth what it costs at best in the long run: with one always on the shelf, or
    with none and an order when it has failed."""
    stakes, life = stakes_of(costs, life_hours, patience), max(life_hours, STEP_MIN_HOURS)
    shelved = long_run(costs.planned, costs.failure, life, shape) + costs.holding
    late = long_run(costs.planned, costs.failure + max(emergency(stakes, supplies), 0.0), life, shape)
    return replace(stakes, running=max(stakes.running, min(shelved, late)))


def _moment(belief: Belief, hours: float) -> datetime | None:
    """Return a moment of a plan; None where it lies at the end of what the belief knows."""
    if hours * belief.use_per_hour >= belief.use[-1]:
        return None
    try:
        return belief.as_of + timedelta(hours=hours)
    except OverflowError:  # a life that outlasts the calendar
        return _FAR


def _window(belief: Belief, terms: TimingTerms, hours: float, age: timedelta) -> datetime | None:
    """Return when a part is fitted that is best fitted so many hours from the belief on the average over its delays:
    in the next opening that the belief still reaches."""
    openings = _openings(terms, age)
    opened = None if openings is None else _moment(belief, float(openings.next(np.array([hours]))[0]))
    return _moment(belief, hours) if opened is None else opened


def _ceiling(belief: Belief, terms: TimingTerms) -> datetime | None:
    if terms.failure_probability is None:
        return None
    try:
        remaining = belief.remaining_time(terms.failure_probability)
        return None if remaining is None else belief.as_of + remaining - terms.arrival
    except OverflowError:
        return _FAR


def _figures(terms: TimingTerms, probability: float, decide_by: datetime | None) -> dict[str, str]:
    return {
        "probability": f"{probability:.4f}",
        "threshold": "" if terms.failure_probability is None else f"{terms.failure_probability:.4f}",
        "arrival_hours": _hours(terms.arrival),
        "lead_time_hours": _hours(terms.lead_time),
        "approval_hours": _hours(terms.approval),
        "step_hours": _hours(terms.step),
        "decide_by": "" if decide_by is None else decide_by.isoformat(timespec="seconds"),
    }


def _planned(planned: Plan | None, terms: TimingTerms) -> dict[str, str]:
    """The figures of the best course: what the next step of waiting costs, in `currency`, and from whom to buy."""
    if planned is None or terms.costs is None:
        return {}
    return {
        "waiting_costs": f"{planned.cost_of_waiting:.2f}",
        "currency": terms.costs.currency,
        "supplier": planned.supplier,
        "fit_after_hours": f"{planned.replace_after:.6g}",
    }


def _held(held: Held, found: Fit, terms: TimingTerms) -> dict[str, str]:
    """The figures of a part that is here or on its way: from whom, how long still, and what waiting costs."""
    assert terms.costs is not None  # whoever holds a part knows what it costs
    return {
        "waiting_costs": f"{found.cost_of_waiting:.2f}",
        "currency": terms.costs.currency,
        "supplier": held.supply.supplier,
        "fit_after_hours": f"{found.fit_after:.6g}",
        "here_after_hours": f"{held.supply.delay:.6g}",
    }


def _opening(terms: TimingTerms, fit_by: datetime | None) -> dict[str, str]:
    """When it is best fitted, where a window or a part that is here decides that; older advice did not say it."""
    if terms.held is None and terms.openings is None:
        return {}
    return {"fit_by": "" if fit_by is None else fit_by.isoformat(timespec="seconds")}


def _hours(span: timedelta) -> str:
    return f"{span / _HOUR:.6g}"
