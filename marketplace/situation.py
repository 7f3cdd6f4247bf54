"""What timing must know of a component beyond its config, put together from plain values: who could deliver it and how
fast, what of its job is here or on its way, and when it may be worked on.

The config says what a part costs late and early; `situated` adds the rest, for all needs of one moment at once. Whoever
knows the rest asks here: a gateway by its store, a backtest by what a plant tells. Knows no storage and no clock, and
decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from maintenance.needs import JobKind, JobLine, Need
from marketplace.lead_times import LeadTimes
from marketplace.netting import Coming
from marketplace.openings import Openings
from marketplace.sources import TrackRecord, Wanted, on_its_way, supplies
from marketplace.stakes import Supply
from marketplace.timing import Held, TimingTerms
from marketplace.windows import JOB_MAX, PlantWindows, Windows

HOUR: Final = timedelta(hours=1)
JOB_TAKES: Final = timedelta(hours=8)
"""A job of which nobody says how long it takes stops the machine for a shift."""
SHELF: Final = Supply("", 0.0, (0.0,))


class Covered(Protocol):
    """How one line of a job is covered; amounts in the line's unit.

    missing: what has to be bought. in_hand: of orders that are not sent yet. promised: what of shelf and orders is for
    this line alone.
    """

    @property
    def key(self) -> str: ...
    @property
    def item(self) -> str: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def missing(self) -> Decimal: ...
    @property
    def in_hand(self) -> Decimal: ...
    @property
    def promised(self) -> Decimal: ...
    @property
    def on_its_way(self) -> tuple[Coming, ...]: ...


def priced(needs: Sequence[Need], said: Mapping[str, TimingTerms]) -> list[Need]:
    """Return the needs of which it is known what they cost; of any other there is nothing to be weighed."""
    return [need for need in needs if (terms := said.get(need.component)) is not None and terms.costs is not None]


def situated(
    needs: Sequence[Need],
    said: Mapping[str, TimingTerms],
    record: TrackRecord,
    covered: Mapping[str, Sequence[Covered]],
    windows: PlantWindows,
    now: datetime,
) -> dict[str, TimingTerms]:
    """Return the terms of every component of which the config says any, for needs that are `priced`.

    covered: the lines of each need's job, by component.
    """
    lead_times = LeadTimes(record.deliveries, usual_of(needs, said))
    openings = _Opened(windows, now)
    found = dict(said)
    for need in needs:
        terms = said[need.component]
        found[need.component] = replace(
            terms,
            supplies=_supplies(need, terms, record, lead_times),
            held=_held(need, covered[need.component], terms, record, lead_times, now),
            openings=openings.of(need, terms),
        )
    return found


def usual_of(needs: Sequence[Need], said: Mapping[str, TimingTerms]) -> dict[str, timedelta]:
    """Return the lead time that the plant says of every item that is goods of these needs."""
    return {line.item: said[need.component].lead_time for need in needs for line in goods_of(need)}


def goods_of(need: Need) -> list[JobLine]:
    """Return what of a job is goods, its parts first: what is first among them is what the job waits for."""
    goods = [line for line in need.lines if line.kind is not JobKind.SERVICE]
    return sorted(goods, key=lambda line: line.kind is not JobKind.PART)


def needed_by(need: Need) -> datetime | None:
    """Return when it has failed as likely as not: what comes later than that is of no use to it."""
    try:
        left = need.belief.remaining_time()
        return None if left is None else need.belief.as_of + left
    except OverflowError:  # it outlasts the calendar
        return None


def _supplies(need: Need, terms: TimingTerms, record: TrackRecord, lead_times: LeadTimes) -> tuple[Supply, ...]:
    """Return who could bring what the job waits for; for a job without goods, what the plant says."""
    goods = goods_of(need)
    if not goods or terms.costs is None:
        return terms.supplies
    costs = terms.costs
    wanted = Wanted(
        goods[0].item, terms.lead_time, terms.lead_time_spread, costs.planned, costs.currency, terms.approval
    )
    return supplies(wanted, record.offers, lead_times, record.may_be_asked)


def _held(
    need: Need,
    lines: Sequence[Covered],
    terms: TimingTerms,
    record: TrackRecord,
    lead_times: LeadTimes,
    now: datetime,
) -> Held | None:
    """Return what there is of a job's goods, None where any of them has yet to be ordered; the last one counts."""
    goods = {line.key for line in goods_of(need)}
    mine = [line for line in lines if line.key in goods]
    if not mine or any(line.missing > 0 or line.in_hand > 0 for line in mine):
        return None
    ways = [
        _on_its_way(coming.order, coming.expected_at, line.item, terms, record, lead_times, now)
        for line in mine
        for coming in line.on_its_way
    ]
    bought = all(line.promised >= line.quantity for line in mine)
    return Held(max(ways, key=lambda each: each.delay, default=SHELF), bought)


def _on_its_way(
    number: str,
    expected_at: datetime | None,
    item: str,
    terms: TimingTerms,
    record: TrackRecord,
    lead_times: LeadTimes,
    now: datetime,
) -> Supply:
    """Return what is left of an order's delay."""
    sent = record.open.get(number)
    supplier, since = ("", now) if sent is None else (sent.supplier, min(sent.at, now))
    law = lead_times.of(supplier, item, terms.lead_time, terms.lead_time_spread)
    promised = None if expected_at is None else (expected_at - now) / HOUR
    return on_its_way(supplier, law, (now - since) / HOUR, promised)


Spans = tuple[tuple[float, float], ...]


class _Opened:
    """When jobs may begin, looked up once for jobs that take as long on machines with the same windows."""

    def __init__(self, windows: PlantWindows, now: datetime) -> None:
        self._windows, self._now = windows, now
        self._found: dict[tuple[Windows, timedelta], tuple[Spans, Spans]] = {}

    def of(self, need: Need, terms: TimingTerms) -> Openings | None:
        """Return when a need's job may begin without a stop of its own, in hours from now; None: at any time."""
        windows, takes = self._windows.of(need.machine), min(need.duration or timedelta(0), JOB_MAX)
        if (windows, takes) not in self._found:
            returning, single = windows.beginnings(self._now, takes), windows.chances(self._now, takes)
            self._found[windows, takes] = self._hours(returning), self._hours(single)
        spans, once = self._found[windows, takes]
        if not (spans or once) or terms.costs is None:
            return None
        return Openings(spans, terms.costs.standstill * ((need.duration or JOB_TAKES) / HOUR), once=once)

    def _hours(self, found: Sequence[tuple[datetime, datetime]]) -> Spans:
        return tuple(((one - self._now) / HOUR, (other - self._now) / HOUR) for one, other in found)
