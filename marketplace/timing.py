"""When money moves: buy once waiting one more step costs more than it saves. There is no other trigger.

`marketplace.stakes` says what every course costs in expectation: what a part costs late, on the shelf, and in life
thrown away, over the delays of whoever supplies it. Buy when the best course begins with an order now. A plant may set
a ceiling beside it: buy also once the part would otherwise come too late with at least `failure_probability`, whatever
that costs; where nothing is known of costs, the ceiling decides alone. `decide_by` is when it will be time if the
belief stays as it is: the latest time to say yes.

A part ordered by the next decision arrives after `lead_time + approval + step`: what the supplier needs, what a person
may take to say yes, and one decision step, because the answer "not yet" is only revised at the next one. Time that has
passed since the belief was formed counts as used: a belief that nobody revises grows older, never safer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from maintenance.needs import Belief
from marketplace.stakes import Plan, Stakes, Supply, Survival, plan

FAILURE_BEFORE_ARRIVAL = "FAILURE_BEFORE_ARRIVAL"
"""Buy: the failure probability before arrival has reached the ceiling."""
WAITING_COSTS_MORE = "WAITING_COSTS_MORE"
"""Buy: waiting one more step costs more than it saves."""
NOT_YET = "NOT_YET"
"""Do not buy: waiting still saves more than it costs."""

STEP_MIN_HOURS = 1e-3
"""Nobody decides or wears out faster than every few seconds."""

WATCHED_PATIENCE = 1.5
"""Where every step brings news of the part, an order that waits can still be thought better of: half as much again as
the use itself. An option is worth that before it is taken (Dixit and Pindyck, Investment under Uncertainty, 1994)."""

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
class TimingTerms:
    """What timing weighs, for one component.

    failure_probability: the ceiling, between 0 and 1, both excluded; None: there is none.
    costs, supplies: what things cost, and who supplies after which delays from the decision, the approval included;
    None and empty: nothing is known of costs, and only the ceiling decides.
    patience: by how much an hour of use is worth more than its share of a new part, because a belief that goes on
    learning leaves something to wait for; 1 where nothing is known of that.
    """

    lead_time: timedelta
    approval: timedelta
    step: timedelta
    failure_probability: float | None = None
    costs: Costs | None = None
    supplies: tuple[Supply, ...] = ()
    patience: float = 1.0

    def __post_init__(self) -> None:
        if self.failure_probability is not None and not 0.0 < self.failure_probability < 1.0:
            raise ValueError("a failure probability lies between 0 and 1")
        if min(self.lead_time, self.approval, self.step) < timedelta(0):
            raise ValueError("lead time, approval and step are not below zero")
        if (self.costs is None) != (not self.supplies):
            raise ValueError("what things cost and who supplies are known together or not at all")
        if not 0.0 < self.patience < 100.0:
            raise ValueError("patience lies between 0 and 100")
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
    code: one of the three above; `parameters` are its figures, for the sentence and the audit.
    weighed: what it was computed from, for whoever computes it again.
    """

    buy: bool
    decide_by: datetime | None
    probability: float
    code: str
    parameters: dict[str, str]
    weighed: Weighed


def advise(belief: Belief, terms: TimingTerms, now: datetime) -> Advice:
    """Return whether to buy at `now` (aware, plant time), and by when it must be decided."""
    age = max(now - belief.as_of, timedelta(0))
    probability = belief.failure_probability(age + terms.arrival)
    reached = terms.failure_probability is not None and probability >= terms.failure_probability
    planned = best_plan(belief, terms)
    due = None if planned is None else _moment(belief, planned.order_after)
    buy = reached or (due is not None and due <= now)
    code = FAILURE_BEFORE_ARRIVAL if reached else WAITING_COSTS_MORE if buy else NOT_YET
    decide_by = min((each for each in (_ceiling(belief, terms), due) if each is not None), default=None)
    if decide_by is not None:  # on a plateau of the survival both ends reach the ceiling: the verdict decides
        decide_by = min(decide_by, now) if buy else max(decide_by, now)
    figures = _figures(terms, probability, decide_by) | _planned(planned, terms)
    return Advice(buy, decide_by, probability, code, figures, Weighed(terms, now))


def best_plan(belief: Belief, terms: TimingTerms) -> Plan | None:
    """Return the best course from when the belief was formed; None where nothing is known of costs."""
    if terms.costs is None:
        return None
    survival = Survival(belief.use / belief.use_per_hour, belief.survival)
    life = survival.mean if belief.life is None else belief.life / belief.use_per_hour
    stakes = stakes_of(terms.costs, life, terms.patience)
    return plan(survival, stakes, terms.supplies, max(terms.step / _HOUR, STEP_MIN_HOURS))


def stakes_of(costs: Costs, life_hours: float, patience: float = 1.0) -> Stakes:
    """Return what is at stake where such a part usually reaches `life_hours`."""
    worth = patience * costs.planned / max(life_hours, STEP_MIN_HOURS)
    return Stakes(costs.planned, costs.failure, costs.standstill, costs.holding, worth)


def _moment(belief: Belief, hours: float) -> datetime | None:
    """Return a moment of a plan; None where it lies at the end of what the belief knows."""
    if hours * belief.use_per_hour >= belief.use[-1]:
        return None
    try:
        return belief.as_of + timedelta(hours=hours)
    except OverflowError:  # a life that outlasts the calendar
        return _FAR


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


def _hours(span: timedelta) -> str:
    return f"{span / _HOUR:.6g}"
