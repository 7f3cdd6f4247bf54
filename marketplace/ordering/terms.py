"""What purchasing is told by the plant: where goods go, and how long anything may take or wait. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from marketplace.authority.alarm_terms import AlarmTerms
from marketplace.documents import Delivery
from marketplace.windows import PlantWindows

DOUBLINGS_MAX = 6
"""After six doublings a wait has grown 64-fold; its ceiling has been reached long before."""


@dataclass(frozen=True, slots=True)
class PurchasingTerms:
    """The plant's terms. Times are plant time unless they say wall.

    accounts: our number at each supplier. approval: what a person may take; it weighs in every award.
    quote_deadline, wire_timeout (wall): how long suppliers have for a quotation, and for anything else.
    requote_after: first wait after a round without an award; doubles. denied_again: wait after the policy's denial.
    hold: how long a slot stays quiet after a person's refusal.
    send_within: request bytes are never sent later than this after they were written.
    permit_lasts: how long one leave to send is good.
    ask_again, ask_again_max: first and longest wait before an unavailable supplier is tried again.
    poll_every: how often suppliers are asked for documents about open orders.
    poll_rarely: the longest wait between two such questions once the goods are here; up to it each wait is as long as
    the goods have been here, so that an invoice is known at the latest after twice its time, or this much after it.
    unknown_max: an outcome that stays unknown for so long, past the look-up's window, goes to a person.
    answer_within, cancel_within: a sent order, or a cancellation, of which nothing is heard for so long is told to one.
    late_after, invoice_within: goods so long past their promise, and an invoice so long after the goods, likewise; the
    supplier is asked for as long again, and about a dispute for so long, and then no more.
    misses_wanted: look-ups in a row that must find nothing, past the look-up's window, before "not there" counts.
    sends_max: sends of one order, under its one idempotency key. parallel: orders handled at the same time.
    failures_max: failures of the program at one purchase, in a row, after which it is quarantined.
    alarms: how long a person may take to acknowledge a money alarm before it stops its scope.
    software: the version that decides, for the record. windows: when machines may be worked on.
    """

    currency: str
    country: str
    delivery: Delivery
    accounts: Mapping[str, str] = field(default_factory=dict)
    approval: timedelta = timedelta(hours=8)
    quote_deadline: timedelta = timedelta(seconds=5)
    wire_timeout: timedelta = timedelta(seconds=60)
    requote_after: timedelta = timedelta(hours=1)
    denied_again: timedelta = timedelta(days=1)
    hold: timedelta = timedelta(days=7)
    send_within: timedelta = timedelta(days=1)
    permit_lasts: timedelta = timedelta(minutes=5)
    ask_again: timedelta = timedelta(minutes=1)
    ask_again_max: timedelta = timedelta(hours=1)
    poll_every: timedelta = timedelta(minutes=15)
    poll_rarely: timedelta = timedelta(days=1)
    unknown_max: timedelta = timedelta(days=1)
    answer_within: timedelta = timedelta(days=3)
    cancel_within: timedelta = timedelta(days=1)
    late_after: timedelta = timedelta(days=2)
    invoice_within: timedelta = timedelta(days=60)
    misses_wanted: int = 3
    sends_max: int = 5
    failures_max: int = 5
    parallel: int = 8
    alarms: AlarmTerms = field(default_factory=AlarmTerms)
    software: str = ""
    windows: PlantWindows = field(default_factory=PlantWindows)


def backed_off(first: timedelta, longest: timedelta, attempts: int) -> timedelta:
    """Return the wait after so many failed attempts: doubling from `first`, never above `longest`."""
    doublings = min(max(attempts - 1, 0), DOUBLINGS_MAX)
    return min(first * (1 << doublings), longest)
