"""What an open order wants of the next pass: a pure function of its row, the terms and plant time.

Every state that a program can move has one step here, every wait has an end, and at that end stands a person who is
told: an unknown outcome, a sent order without an answer, a cancellation, goods long past their promise, goods without
an invoice. So no order stays where it is for ever in silence. Once the goods are here suppliers are asked ever more
rarely, and in the end no more: from then on it is a person who settles the order. It knows no supplier, no database
and no money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, Protocol

from marketplace.ordering.states import OrderState
from marketplace.ordering.terms import PurchasingTerms

S = OrderState


class Step(IntEnum):
    """What a pass does about an order; the smaller goes first, because more hangs on it."""

    LOST = 0
    SETTLE = 1
    CALLED_OFF = 2
    JUDGE = 3
    SEND = 4
    EXPIRE = 5
    REMIND = 6
    POLL = 7
    LEAVE = 8


_STEPS: Final[Mapping[OrderState, Step]] = {
    S.SUBMITTING: Step.LOST,
    S.UNKNOWN: Step.SETTLE,
    S.CANCELLING: Step.CALLED_OFF,
    S.PROPOSED: Step.JUDGE,
    S.APPROVED: Step.SEND,
    S.AWAITING_APPROVAL: Step.EXPIRE,
    S.SUBMITTED: Step.POLL,
    S.CONFIRMED: Step.POLL,
    S.SHIPPED: Step.POLL,
    S.RECEIVED: Step.POLL,
    S.DISPUTED: Step.POLL,
}
IN_HAND: Final = frozenset(_STEPS)
"""States that a pass can move without a person."""
POLLED: Final = frozenset(state for state, step in _STEPS.items() if step is Step.POLL)


class Standing(Protocol):
    """An order's row, as far as its next step depends on it."""

    @property
    def state(self) -> str:
        """Where it stands."""

    @property
    def quoted_until(self) -> datetime:
        """Until when its quotation holds."""

    @property
    def next_ask_at(self) -> datetime | None:
        """Not before this time, if it waits."""

    @property
    def changed_at(self) -> datetime:
        """When it came where it stands."""

    @property
    def promised_at(self) -> datetime | None:
        """When the supplier said that the goods come."""

    @property
    def problem(self) -> str:
        """What is noted on it."""


@dataclass(frozen=True, slots=True)
class Reminder:
    """What a person is told about an order that has waited for too long, and since when it does."""

    code: str
    since: datetime


def step(order: Standing, terms: PurchasingTerms, now: datetime) -> Step:
    """Return what a pass does about an order now."""
    next_step = _STEPS.get(OrderState(order.state), Step.LEAVE)
    if next_step is Step.EXPIRE:
        return Step.EXPIRE if now >= order.quoted_until else Step.LEAVE
    if next_step is Step.POLL and reminder(order, terms, now) is not None:
        return Step.REMIND
    end = asked_until(order, terms)
    if end is not None and now >= end:
        return Step.LEAVE
    if order.next_ask_at is not None and now < order.next_ask_at:
        return Step.LEAVE
    return next_step


def asked_until(order: Standing, terms: PurchasingTerms) -> datetime | None:
    """Return when a supplier is asked for the last time about goods that are here; None while they are not.

    A missing invoice is told to a person first, and asked for as long again; a dispute stands before one all the time.
    """
    state = OrderState(order.state)
    if state is S.DISPUTED:
        return order.changed_at + terms.invoice_within
    return order.changed_at + 2 * terms.invoice_within if state is S.RECEIVED else None


def poll_wait(order: Standing, terms: PurchasingTerms, now: datetime) -> timedelta:
    """Return how long an order waits for the next question: once its goods are here, for as long again, up to a cap."""
    if asked_until(order, terms) is None:
        return terms.poll_every
    return max(terms.poll_every, min(now - order.changed_at, terms.poll_rarely))


def reminder(order: Standing, terms: PurchasingTerms, now: datetime) -> Reminder | None:
    """Return of what a person must be told because an order stands still; None while something is noted already."""
    if order.problem:
        return None
    state = OrderState(order.state)
    if state is S.SUBMITTED and now >= order.changed_at + terms.answer_within:
        return Reminder("NO_ANSWER", order.changed_at)
    if state in (S.CONFIRMED, S.SHIPPED):
        due = order.promised_at or order.changed_at + terms.answer_within
        if now >= due + terms.late_after:
            return Reminder("DELIVERY_LATE", due)
    if state is S.RECEIVED and now >= order.changed_at + terms.invoice_within:
        return Reminder("INVOICE_MISSING", order.changed_at)
    return None
