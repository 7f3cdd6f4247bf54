"""When money moves: buy once the part would otherwise come too late too likely. There is no other trigger.

A part ordered by the next decision arrives after `lead_time + approval + step`: what the supplier needs, what a
person may take to say yes, and one decision step, because the answer "not yet" is only revised at the next one. Buy
when the probability that the component fails before that arrival reaches `failure_probability`. `decide_by` is the
moment at which it will reach it if the belief stays as it is: the latest time to say yes.

Time that has passed since the belief was formed counts as used: a belief that nobody revises grows older, never
safer. So a longer lead time, more wear, or later never turn "buy" into "not yet". It knows no price: what a late
part costs is weighed when offers are compared (`sourcing.award`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from maintenance.needs import Belief

FAILURE_BEFORE_ARRIVAL = "FAILURE_BEFORE_ARRIVAL"
"""Buy: the failure probability before arrival has reached the threshold."""
NOT_YET = "NOT_YET"
"""Do not buy: it has not."""

_HOUR = timedelta(hours=1)
_FAR = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimingTerms:
    """What timing weighs, for one component. `failure_probability` lies between 0 and 1, both excluded."""

    lead_time: timedelta
    approval: timedelta
    step: timedelta
    failure_probability: float

    def __post_init__(self) -> None:
        if not 0.0 < self.failure_probability < 1.0:
            raise ValueError("a failure probability lies between 0 and 1")
        if min(self.lead_time, self.approval, self.step) < timedelta(0):
            raise ValueError("lead time, approval and step are not below zero")

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

    decide_by: when the probability reaches the threshold; None when it does not within what the belief knows.
    probability: of failure before a part that is ordered now can be there.
    code: `FAILURE_BEFORE_ARRIVAL` or `NOT_YET`; `parameters` are its figures, for the sentence and the audit.
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
    buy = probability >= terms.failure_probability
    decide_by = _decide_by(belief, terms)
    if decide_by is not None:  # on a plateau of the survival both ends reach the threshold: the verdict decides
        decide_by = min(decide_by, now) if buy else max(decide_by, now)
    code, figures = FAILURE_BEFORE_ARRIVAL if buy else NOT_YET, _figures(terms, probability, decide_by)
    return Advice(buy, decide_by, probability, code, figures, Weighed(terms, now))


def _decide_by(belief: Belief, terms: TimingTerms) -> datetime | None:
    try:
        remaining = belief.remaining_time(terms.failure_probability)
        return None if remaining is None else belief.as_of + remaining - terms.arrival
    except OverflowError:  # a life that outlasts the calendar
        return _FAR


def _figures(terms: TimingTerms, probability: float, decide_by: datetime | None) -> dict[str, str]:
    return {
        "probability": f"{probability:.4f}",
        "threshold": f"{terms.failure_probability:.4f}",
        "arrival_hours": _hours(terms.arrival),
        "lead_time_hours": _hours(terms.lead_time),
        "approval_hours": _hours(terms.approval),
        "step_hours": _hours(terms.step),
        "decide_by": "" if decide_by is None else decide_by.isoformat(timespec="seconds"),
    }


def _hours(span: timedelta) -> str:
    return f"{span / _HOUR:.6g}"
