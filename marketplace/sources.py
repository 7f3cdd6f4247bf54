"""Who could bring a part, after which delays and at what price: the supplies that timing weighs.

Who offered the item when suppliers were last asked, and may still be asked, counts; each with the delays that its own
orders teach (`marketplace.lead_times`), and with what its offer was dearer than the cheapest. Where nobody has offered
yet nothing tells suppliers apart: then there is one supply without a name, which takes what the plant says. Suppliers
of whom nothing different is known are one supply under the first name. It knows no storage and no clock.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from marketplace.lead_times import Delivery, LeadTime, LeadTimes
from marketplace.stakes import Supply, log_normal, overdue

NORMAL_FIFTHS: Final = (-1.281552, -0.524401, 0.0, 0.524401, 1.281552)
"""Five equally likely values of a standard normal: the medians of its fifths."""
SUPPLIES_MAX: Final = 4
"""More of them are not weighed: the cheapest count, and the soonest."""
RARE: Final = 0.01
"""Delays that are less likely tell no supplier from another."""
HOUR: Final = timedelta(hours=1)
PROMISE_MIN_HOURS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Offer:
    """What a supplier answered last about an item: all that one unit costs, freight included; None: it has none."""

    supplier: str
    item: str
    price: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """From whom an order that is under way comes, and since when."""

    supplier: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """All of it. open: orders under way by their number. may_be_asked: who is neither suspended nor stopped."""

    deliveries: tuple[Delivery, ...] = ()
    offers: tuple[Offer, ...] = ()
    open: dict[str, Sent] = field(default_factory=dict)
    may_be_asked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What timing asks for: an item, what the plant says of its lead time, and what it costs usually, major units."""

    item: str
    lead_time: timedelta
    spread: float
    price: float
    currency: str
    approval: timedelta


def supplies(
    wanted: Wanted, offers: Iterable[Offer], lead_times: LeadTimes, may_be_asked: Collection[str]
) -> tuple[Supply, ...]:
    """Return who supplies it, the cheapest first, each with its delays from the decision in hours."""
    known = {
        each.supplier: each.price
        for each in offers
        if each.item == wanted.item
        and each.currency == wanted.currency
        and each.price is not None
        and each.price > 0
        and each.supplier in may_be_asked
    }
    if not known:
        return (supply_of("", 0.0, LeadTime(wanted.lead_time / HOUR, wanted.spread), wanted.approval),)
    least = min(known.values())
    found: dict[tuple[float, tuple[float, ...]], Supply] = {}
    for supplier, price in sorted(known.items(), key=lambda each: (each[1], each[0])):
        law = lead_times.of(supplier, wanted.item, wanted.lead_time, wanted.spread)
        supply = supply_of(supplier, wanted.price * float(price / least - 1), law, wanted.approval)
        found.setdefault((supply.extra, supply.delays), supply)
    return _worth_weighing(tuple(found.values()))


def _worth_weighing(found: tuple[Supply, ...]) -> tuple[Supply, ...]:
    """Leave out whom another beats in price and in every usual delay, and of the rest what is too many."""
    best = [
        each
        for place, each in enumerate(found)
        if not any(_never_worse(other, each) for other in found[:place])  # those before are no dearer
    ]
    if len(best) <= SUPPLIES_MAX:
        return tuple(best)
    soonest = min(best, key=lambda each: each.delay)
    return (*[each for each in best if each is not soonest][: SUPPLIES_MAX - 1], soonest)


def _never_worse(one: Supply, other: Supply) -> bool:
    pairs = zip(one.delays, other.delays, one.likely.tolist(), strict=True)
    return one.extra <= other.extra and all(a <= b for a, b, share in pairs if share >= RARE)


def supply_of(supplier: str, extra: float, law: LeadTime, approval: timedelta = timedelta(0)) -> Supply:
    """Return a supply after a lead time and an approval, with what is rare in it: a part that costs little and whose
    absence costs much is ordered so early that even a very late one is in time."""
    taken, weights = log_normal(law.median_hours, law.deviation)
    return Supply(supplier, extra, tuple(approval / HOUR + each for each in taken), weights)


def delays(law: LeadTime, approval: timedelta = timedelta(0)) -> tuple[float, ...]:
    """Return the delays of a lead time in hours, five and all alike, after an approval: where it need not be exact."""
    return tuple(approval / HOUR + law.median_hours * math.exp(law.deviation * score) for score in NORMAL_FIFTHS)


def on_its_way(supplier: str, law: LeadTime, sent_hours: float, promised_hours: float | None) -> Supply:
    """Return what is left of the delay of goods that are under way.

    sent_hours: how long ago they were ordered. promised_hours: from now until the supplier's promise, below zero when
    it has passed; None: it has promised nothing. A promise stands for the middle, for it knows more of this order.
    """
    middle = law.median_hours if promised_hours is None else max(sent_hours + promised_hours, PROMISE_MIN_HOURS)
    return overdue(Supply(supplier, 0.0, *log_normal(middle, law.deviation)), sent_hours)
