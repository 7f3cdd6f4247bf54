"""Which offer serves best: landed cost plus what its lateness is expected to cost, every term a row.

For each offer that can serve the request:
  goods + freight + fees: as offered.
  lateness: the expected hours that the machine waits for this offer's arrival, times the cost of standstill. With
    F(t) the belief's failure probability within t, a part that is there after L makes the machine wait
    E[(L - T)+] = integral of F over 0..L; waiting is capped at `waiting_max` a failure, which subtracts the integral
    over 0..L - waiting_max.
  holding: what the goods cost on the shelf from arrival until they are needed.
The lowest sum wins; ties go to the earlier arrival, then to the name, so that a replay awards alike. An offer that
cannot serve is named with a code and never ranked. Nothing is split yet: one supplier serves the whole request.
Values in, a value out: no clock, no I/O, no chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import reduce
from operator import add

import numpy as np

from maintenance.needs import Belief
from marketplace.documents import Quotation, RequestedLine, RequestForQuotation
from marketplace.money import Money, Rate

SHELF_MAX = timedelta(days=3650)
"""Nothing of a machine is kept longer than ten years; it also keeps long lives within the calendar."""


class Cost(StrEnum):
    """The terms of a landed cost, in the order in which they are shown."""

    GOODS = "goods"
    FREIGHT = "freight"
    FEES = "fees"
    LATENESS = "lateness"
    HOLDING = "holding"


@dataclass(frozen=True, slots=True)
class AwardTerms:
    """What an award weighs besides the offers.

    approval: what passes before the order leaves; it delays every offer alike.
    standstill: cost of the machine standing still. holding: cost of one of the goods on the shelf.
    waiting_max: longest wait that one failure costs; by then people have borrowed, repaired or hired.
    excess_max: how much more than wanted may be bought, as a share of it, when packs or minimum orders raise it.
    """

    belief: Belief
    standstill: Rate
    holding: Rate
    approval: timedelta = timedelta(0)
    waiting_max: timedelta = timedelta(days=14)
    excess_max: Decimal = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Term:
    """One row: what `term` adds to the landed cost of one offer. Rank 1 is the award, 2 the runner-up."""

    supplier: str
    term: Cost
    amount: Money
    rank: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An offer that cannot serve, by a stable code with its figures."""

    supplier: str
    code: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Award:
    """The chosen offer, the next best, every term of every offer that could serve, and those that could not."""

    chosen: Quotation
    runner_up: Quotation | None
    terms: tuple[Term, ...]
    refusals: tuple[Refusal, ...]

    def landed(self, supplier: str) -> Money:
        """Return the landed cost of one supplier's offer. Raises KeyError when it was not ranked."""
        amounts = [row.amount for row in self.terms if row.supplier == supplier]
        if not amounts:
            raise KeyError(supplier)
        return _sum(amounts)

    @property
    def margin(self) -> Money | None:
        """By how much the runner-up would have to be cheaper to be chosen; None without one."""
        if self.runner_up is None:
            return None
        return self.landed(self.runner_up.supplier) - self.landed(self.chosen.supplier)

    def differences(self) -> dict[Cost, Money]:
        """Return what the runner-up costs more (below zero: less) in each term; it says what decided."""
        if self.runner_up is None:
            return {}
        mine, other = self._of(self.chosen.supplier), self._of(self.runner_up.supplier)
        return {term: other[term] - mine[term] for term in Cost}

    def _of(self, supplier: str) -> dict[Cost, Money]:
        return {row.term: row.amount for row in self.terms if row.supplier == supplier}


def award(offers: Sequence[Quotation], request: RequestForQuotation, terms: AwardTerms, now: datetime) -> Award | None:
    """Return the award at `now` (plant time), or None when no offer can serve (`refusals_of` says why).

    Raises `CurrencyMismatch` when the terms are in another currency than the request.
    """
    refusals = refusals_of(offers, request, terms, now)
    refused = {refusal.supplier for refusal in refusals}
    costed = [(_costs(offer, request, terms, now), offer) for offer in offers if offer.supplier not in refused]
    if not costed:
        return None
    ranked = sorted(costed, key=lambda pair: (_sum(pair[0].values()).minor, lead_time(pair[1]), pair[1].supplier))
    rows = tuple(
        Term(offer.supplier, term, amount, rank)
        for rank, (costs, offer) in enumerate(ranked, start=1)
        for term, amount in costs.items()
    )
    return Award(ranked[0][1], ranked[1][1] if len(ranked) > 1 else None, rows, refusals)


def refusals_of(
    offers: Sequence[Quotation], request: RequestForQuotation, terms: AwardTerms, now: datetime
) -> tuple[Refusal, ...]:
    """Return the first objection to each offer that cannot serve, in the order of the offers."""
    found = (_objection(offer, request, terms, now) for offer in offers)
    return tuple(refusal for refusal in found if refusal is not None)


def lead_time(offer: Quotation) -> timedelta:
    """Return the calendar time until the last line is there."""
    return max(timedelta(days=float(line.lead_time_days)) for line in offer.lines)


def _objection(offer: Quotation, request: RequestForQuotation, terms: AwardTerms, now: datetime) -> Refusal | None:
    def refuse(code: str, **parameters: str) -> Refusal:
        return Refusal(offer.supplier, code, parameters)

    if now >= offer.valid_until:
        return refuse("EXPIRED", valid_until=offer.valid_until.isoformat())
    currencies = {offer.freight.currency, offer.fees.currency, *(line.unit_price.currency for line in offer.lines)}
    if currencies != {request.currency}:
        return refuse("OTHER_CURRENCY", offered=",".join(sorted(currencies)), wanted=request.currency)
    wanted = {line.number: line for line in request.lines}
    if len(offer.lines) != len(wanted) or {line.number for line in offer.lines} != set(wanted):
        return refuse("LINES_MISSING", offered=str(len(offer.lines)), wanted=str(len(wanted)))
    for line in offer.lines:
        want = wanted[line.number]
        code = _quantity_fault(line.quantity.amount, line.quantity.unit, line.available, want, terms.excess_max)
        if code is not None:
            figures = {"offered": str(line.quantity), "wanted": str(want.quantity), "line": str(line.number)}
            return refuse(code, **figures)
    return None


def _quantity_fault(
    offered: Decimal, unit: str, available: Decimal | None, want: RequestedLine, excess_max: Decimal
) -> str | None:
    if unit != want.quantity.unit:
        return "OTHER_UNIT"
    if offered < want.quantity.amount:
        return "QUANTITY_SHORT"
    if offered > want.quantity.amount * (1 + excess_max):
        return "QUANTITY_EXCESS"
    if available is not None and available < offered:
        return "NOT_AVAILABLE"
    return None


def _costs(offer: Quotation, request: RequestForQuotation, terms: AwardTerms, now: datetime) -> dict[Cost, Money]:
    arrival = terms.approval + lead_time(offer)
    age = max(now - terms.belief.as_of, timedelta(0))
    pieces = sum((line.quantity.amount for line in offer.lines), start=Decimal(0))
    return {
        Cost.GOODS: _sum([line.unit_price.times(line.quantity) for line in offer.lines]),
        Cost.FREIGHT: offer.freight,
        Cost.FEES: offer.fees,
        Cost.LATENESS: terms.standstill.over(expected_wait(terms.belief, age, arrival, terms.waiting_max)),
        Cost.HOLDING: terms.holding.times(pieces).over(_on_the_shelf(request, terms.belief, now + arrival)),
    }


def expected_wait(belief: Belief, age: timedelta, arrival: timedelta, waiting_max: timedelta) -> timedelta:
    """Return the expected calendar time that the machine waits for a part which is there `arrival` from now.

    age: time since the belief was formed. One failure waits `waiting_max` at most.
    """
    uncapped = max(arrival - waiting_max, timedelta(0))
    hours = _failure_hours(belief, age, arrival) - _failure_hours(belief, age, uncapped)
    return timedelta(hours=hours)


def _failure_hours(belief: Belief, age: timedelta, within: timedelta) -> float:
    """Return the integral of the failure probability over `within`, in hours; exact between the grid's points."""
    begin, end = (span / timedelta(hours=1) for span in (age, age + within))
    grid = belief.use / belief.use_per_hour
    hours = np.concatenate(([begin], grid[(grid > begin) & (grid < end)], [end]))
    failed = 1.0 - np.interp(hours, grid, belief.survival)
    return float(np.sum((failed[1:] + failed[:-1]) * np.diff(hours)) / 2)


def _on_the_shelf(request: RequestForQuotation, belief: Belief, arrives: datetime) -> timedelta:
    """Return how long the goods lie before they are needed; by the belief's median where nobody named a day."""
    if request.needed_by is not None:
        return max(request.needed_by - arrives, timedelta(0))
    median = belief.remaining_use(0.5)
    if median is None:
        return timedelta(0)
    remaining = timedelta(hours=min(median / belief.use_per_hour, SHELF_MAX / timedelta(hours=1)))
    return max(belief.as_of + remaining - arrives, timedelta(0))


def _sum(amounts: Iterable[Money]) -> Money:
    return reduce(add, amounts)
