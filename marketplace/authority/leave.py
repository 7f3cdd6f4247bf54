"""May an approved order's bytes be sent (again)? A pure function of what the gate has found, like the verdict itself.

deny  STOPPED             buying is stopped for the plant, the machine, the supplier or the component
deny  NOTHING_TO_SEND     the order is not about to be sent, or has no bytes
deny  ORDER_ALTERED       it is not what was decided on any more
deny  QUOTATION_EXPIRED   the price no longer binds the supplier
deny  NO_MANDATE, MANDATE_ENDED, MACHINE_NOT_COVERED
deny  NOT_RESERVED        there is no reservation for what it costs
deny  NOT_ALLOWED         neither the policy nor a person has allowed it as it stands
deny  CLOCK_JUMPED        plant time is not where it was left, and the policy alone allowed it
deny  RESEND_OVER_LIMIT   it may be there already, no key makes sure that it counts once, and twice is too much
yes   LEAVE_TO_SEND
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from marketplace.authority.limits import Subject, claims_of, objection
from marketplace.authority.mandate import Decision, Outcome, objection_of
from marketplace.authority.policy import Policy, Standing, clock_jumped, ledger_time, stopped_by
from marketplace.authority.rates import convert
from marketplace.authority.scopes import Halt
from marketplace.documents import timestamp
from marketplace.money import AMOUNT_MAX, Money
from marketplace.ordering.states import OrderState

SENDABLE: Final = frozenset({OrderState.APPROVED, OrderState.SUBMITTING, OrderState.UNKNOWN})
"""A first send, and the same bytes again where the rules of `ordering` allow that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """What the gate has found about an order that is to be sent.

    stopped: the stop that covers the order. intact: its stored text is what was hashed. reserved: sends for which its
    very total is reserved. allowed: by the policy's last word or a person's signature on its hash. may_be_there: an
    earlier send may have been taken. key_proven: the supplier is sure to take the same key only once.
    """

    subject: Subject
    stopped: Halt | None
    state: str
    has_bytes: bool
    intact: bool
    quoted_until: datetime
    reserved: tuple[int, ...]
    by_person: bool
    allowed: bool
    sends: int
    may_be_there: bool
    key_proven: bool

    @property
    def reserves_again(self) -> bool:
        """Whether this send needs money of its own: it may buy a second time."""
        booked = any(send > self.sends for send in self.reserved)
        return self.may_be_there and not self.key_proven and not booked


def leave(found: Dispatch, policy: Policy | None, *, standing: Standing, now: datetime) -> Decision:
    """Return whether a permit may be issued, with the code of the first reason against it."""
    mandate = policy.mandate if policy else None
    order = found.subject.order
    if found.stopped is not None:
        return stopped_by(found.stopped)
    if found.state not in SENDABLE or not found.has_bytes:
        return _deny("NOTHING_TO_SEND", order=order, state=found.state)
    if not found.intact:
        return _deny("ORDER_ALTERED", order=order)
    if now >= found.quoted_until:
        return _deny("QUOTATION_EXPIRED", quoted_until=timestamp(found.quoted_until))
    against = objection_of(mandate, found.subject.machine, now)
    if against is not None:
        return against
    if not found.reserved:
        return _deny("NOT_RESERVED", order=order)
    if not found.allowed:
        return _deny("NOT_ALLOWED", order=order)
    if clock_jumped(standing.mark, now) and standing.mark is not None and not found.by_person:
        return _deny("CLOCK_JUMPED", now=timestamp(now), mark=timestamp(standing.mark))
    assert policy is not None  # else there is no mandate
    if found.reserves_again and (over := _over(found, policy, standing, now)) is not None:
        return _deny("RESEND_OVER_LIMIT", order=order, because=over.rule, **over.parameters)
    return Decision(Outcome.APPROVE, "LEAVE_TO_SEND", {"order": order, "send": str(found.sends + 1)})


def _over(found: Dispatch, policy: Policy, standing: Standing, now: datetime) -> Decision | None:
    """Return which limit one more order of the same would exceed, the mandate's for one order included."""
    assert policy.mandate is not None
    total, most = found.subject.total, policy.mandate.per_order
    minor = min(total.minor * (len(found.reserved) + 1), AMOUNT_MAX)
    together = convert(Money(minor, total.currency), most.currency, policy.rates, now)
    if isinstance(together, Decision):
        return together
    if together.minor > most.minor:
        return _deny("ORDER_LIMIT_EXCEEDED", total=str(total), limit=str(most))
    claims = claims_of(policy.terms, found.subject, ledger_time(standing.mark, now))
    return objection(claims, standing.used, found.subject.machine)


def _deny(rule: str, **parameters: str) -> Decision:
    return Decision(Outcome.DENY, rule, parameters)
