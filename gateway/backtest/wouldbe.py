"""What would have been bought for one life, when, and when it would have been fitted: folded decision by decision.

The life itself goes on as it did; what would have become of a part that was never there is not made up. Beside the
product's own decision a life keeps what the naive rule would have done: order so that the part comes when the rated
life is over. Delays are those that timing reckons with, each followed on its own, so that what is reported is an
expectation and not one lucky delivery. Everything is kept in JSON-able values; no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from maintenance.needs import Belief, Need
from marketplace.hindsight import Course
from marketplace.retrospect import Lived, course, expected
from marketplace.situation import SHELF
from marketplace.stakes import Supply
from marketplace.timing import (
    FAILURE_BEFORE_ARRIVAL,
    FIT_NOW,
    WAITING_COSTS_MORE,
    Advice,
    Costs,
    Held,
    TimingTerms,
    advise,
)

HOUR: Final = timedelta(hours=1)
ORDERS: Final = frozenset({FAILURE_BEFORE_ARRIVAL, WAITING_COSTS_MORE})
"""What advice says where a part must come first; by any other it is taken from where it lies."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One of the delays that an order may meet, how likely it is, and when the part would be fitted then."""

    hours: float
    likely: float
    fitted: datetime | None = None


@dataclass(frozen=True, slots=True)
class WouldBuy:
    """A purchase that was not made.

    lines: item, quantity and unit of each. code, parameters: why, as `marketplace.sentences` says it. asks: whether a
    person would have been asked, because what is believed is not known well. price: of the part, in major units; 0 for
    one that is taken from the shelf.
    """

    at: datetime
    decide_by: datetime | None
    lines: tuple[tuple[str, str, str], ...]
    code: str
    parameters: Mapping[str, str]
    asks: bool
    price: float
    currency: str

    def document(self) -> dict[str, Any]:
        """Return the same as JSON."""
        return {
            "at": self.at.isoformat(),
            "decide_by": None if self.decide_by is None else self.decide_by.isoformat(),
            "lines": [list(each) for each in self.lines],
            "code": self.code,
            "parameters": dict(self.parameters),
            "asks": self.asks,
            "price": self.price,
            "currency": self.currency,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> WouldBuy:
        """Return what a document says. Raises KeyError, TypeError, ValueError."""
        by = document["decide_by"]
        return cls(
            datetime.fromisoformat(document["at"]),
            None if by is None else datetime.fromisoformat(by),
            tuple((str(item), str(quantity), str(unit)) for item, quantity, unit in document["lines"]),
            str(document["code"]),
            {str(key): str(value) for key, value in document["parameters"].items()},
            bool(document["asks"]),
            float(document["price"]),
            str(document["currency"]),
        )


@dataclass(slots=True)
class WatchedLife:
    """One life as it is decided upon.

    whole: whether its beginning is known; the money of one that was half over when it was first seen says little.
    rated_order: when the naive rule would have ordered. deliveries: of the purchase; empty before there is one.
    """

    component: str
    life: str
    began: datetime
    whole: bool
    bought: WouldBuy | None = None
    rated_order: datetime | None = None
    deliveries: list[Delivery] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be decided, however long the life goes on."""
        return self.bought is not None and all(each.fitted is not None for each in self.deliveries)

    @property
    def there(self) -> datetime | None:
        """When the part would have been there, in the mean over its delays."""
        if self.bought is None:
            return None
        whole = sum(each.likely for each in self.deliveries)
        return self.bought.at + timedelta(hours=sum(each.hours * each.likely for each in self.deliveries) / whole)

    @property
    def fitted(self) -> datetime | None:
        """When it would have been fitted, in the mean; None while it would still wait under some delay."""
        known = [(each.fitted, each.likely) for each in self.deliveries if each.fitted is not None]
        if not known or len(known) < len(self.deliveries):
            return None
        whole = sum(likely for _at, likely in known)
        return self.began + timedelta(hours=sum((at - self.began) / HOUR * likely for at, likely in known) / whole)

    def wear(self, share: float | None, terms: TimingTerms, now: datetime) -> None:
        """Take how much of its rated life is over: the naive rule orders when the part comes just at the end."""
        elapsed = (now - self.began) / HOUR
        if self.rated_order is None and share is not None and elapsed > 0:
            ahead = share * usual(terms).delay / elapsed
            if share + ahead >= 1.0:
                self.rated_order = now

    def want(self, need: Need, advice: Advice, now: datetime) -> bool:
        """Take a decision on a life for which nothing was bought yet; return whether it would be bought now."""
        if not advice.buy or self.bought is not None:
            return False
        terms = advice.weighed.terms
        lines = tuple((line.item, f"{line.quantity}", line.unit) for line in need.lines)
        ordered, asks = advice.code in ORDERS, not need.belief.known
        price, currency = (0.0, "") if terms.costs is None else (terms.costs.planned, terms.costs.currency)
        price = price if ordered else 0.0
        self.bought = WouldBuy(now, advice.decide_by, lines, advice.code, advice.parameters, asks, price, currency)
        supply = usual(terms, advice.parameters.get("supplier", "")) if ordered else SHELF
        likely = supply.likely.tolist()
        self.deliveries = [Delivery(hours, share) for hours, share in zip(supply.delays, likely, strict=True)]
        return True

    def fit(self, belief: Belief, terms: TimingTerms, now: datetime) -> bool:
        """Take a decision on a life whose part would be here or on its way; return whether it would be fitted now."""
        if self.bought is None:
            return False
        since = (now - self.bought.at) / HOUR
        waiting = [at for at, each in enumerate(self.deliveries) if each.fitted is None and each.hours <= since]
        if not waiting or not fit_now(belief, terms, now):
            return False
        for at in waiting:
            self.deliveries[at] = replace(self.deliveries[at], fitted=now)
        return True

    def ours(self, lived: Lived, costs: Costs, terms: TimingTerms, spare: float | None = None) -> Course:
        """Return what the life would have cost; without a purchase it is ordered at the end, as anybody would.

        spare: in how many hours after its end a part is here that there was anyway; None: there was none.
        """
        if self.bought is None and spare is not None:
            return course(lived, costs, None, spare, None)
        if self.bought is None:
            return run_to_failure(lived, costs, terms)
        ordered = (self.bought.at - self.began) / HOUR
        fitted = [None if each.fitted is None else (each.fitted - self.began) / HOUR for each in self.deliveries]
        courses = [
            course(lived, costs, ordered, each.hours, at) for each, at in zip(self.deliveries, fitted, strict=True)
        ]
        return expected(courses, [each.likely for each in self.deliveries])

    def by_rating(self, lived: Lived, costs: Costs, terms: TimingTerms) -> Course:
        """Return what the naive rule would have cost: fitted once the rated life is over and the part is there."""
        if self.rated_order is None:
            return run_to_failure(lived, costs, terms)
        ordered, supply = (self.rated_order - self.began) / HOUR, usual(terms)
        over = ordered + supply.delay
        courses = [course(lived, costs, ordered, each, max(over, ordered + each)) for each in supply.delays]
        return expected(courses, supply.likely.tolist())

    def document(self) -> dict[str, Any]:
        """Return the same as JSON."""
        return {
            "component": self.component,
            "life": self.life,
            "began": self.began.isoformat(),
            "whole": self.whole,
            "bought": None if self.bought is None else self.bought.document(),
            "rated_order": None if self.rated_order is None else self.rated_order.isoformat(),
            "deliveries": [
                [each.hours, each.likely, None if each.fitted is None else each.fitted.isoformat()]
                for each in self.deliveries
            ],
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> WatchedLife:
        """Return what a document says. Raises KeyError, TypeError, ValueError."""
        bought, rated = document["bought"], document["rated_order"]
        return cls(
            str(document["component"]),
            str(document["life"]),
            datetime.fromisoformat(document["began"]),
            bool(document["whole"]),
            None if bought is None else WouldBuy.of(bought),
            None if rated is None else datetime.fromisoformat(rated),
            [
                Delivery(float(hours), float(likely), None if at is None else datetime.fromisoformat(at))
                for hours, likely, at in document["deliveries"]
            ],
        )


def run_to_failure(lived: Lived, costs: Costs, terms: TimingTerms) -> Course:
    """Return what a life would have cost where a part is ordered only at its end."""
    supply = usual(terms)
    return expected([course(lived, costs, None, each, None) for each in supply.delays], supply.likely.tolist())


def fit_now(belief: Belief, terms: TimingTerms, now: datetime) -> bool:
    """Tell whether a part that lies here for this life is to be fitted, as timing says it."""
    return terms.costs is None or advise(belief, replace(terms, held=Held(SHELF)), now).code == FIT_NOW


def usual(terms: TimingTerms, supplier: str = "") -> Supply:
    """Return how a part comes: by a supplier, else by the first there is, else as the lead time says."""
    fallback = Supply("", 0.0, ((terms.lead_time + terms.approval) / HOUR,))
    return next((each for each in terms.supplies if each.supplier == supplier), (*terms.supplies, fallback)[0])


def rated_share(ran: Mapping[str, float], rated: Mapping[str, float]) -> float | None:
    """Return how much of its rated life is over by the clock that is farthest; None where none of them is known."""
    shares = [ran[clock] / life for clock, life in rated.items() if life > 0 and clock in ran]
    return max(shares, default=None)


def wanted(lines: Sequence[tuple[str, str, str]]) -> str:
    """Return what a purchase is for, in short: `2 bearing-7014`."""
    return ", ".join(f"{quantity} {item}" for item, quantity, _unit in lines)
