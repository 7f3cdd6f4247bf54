"""A person's signature under one exact order: whether it may count.

It promises that a signature counts only if the person may approve, did not ask for the order, saw exactly what would
be sent, stays within an own limit in the order's own currency, and signs while the price still binds the supplier.
It knows no database: `authority.gate` reads the row, asks here, and writes.

    deny  ALREADY_DECIDED      the order waits for nobody's approval (any more)
    deny  NOT_AUTHORISED       the person may not approve
    deny  SELF_APPROVAL        the person asked for it
    deny  ORDER_CHANGED        what was signed is not what would be sent
    deny  QUOTATION_EXPIRED    the price no longer binds the supplier: ask for new quotations
    deny  CURRENCY_DIFFERS     the own limit is in another currency
    deny  OWN_LIMIT_EXCEEDED   the total is above the own limit, or there is none
    yes   APPROVED_BY_PERSON
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from marketplace.authority.mandate import Decision, Outcome
from marketplace.documents import PurchaseOrder, timestamp
from marketplace.money import Money


@dataclass(frozen=True, slots=True)
class Approver:
    """A named person with the rights that the site gives; `limit` is for one order, None: no own limit was given."""

    id: str
    may_approve: bool
    limit: Money | None
    may_apply_policy: bool = False


def check(
    order: PurchaseOrder, approver: Approver, *, awaiting: bool, asked_by: str, approved_hash: str, now: datetime
) -> Decision:
    """Return whether the signature counts. `awaiting`: the order waits for an approval; `asked_by`: an actor's id."""
    if not awaiting:
        return _deny("ALREADY_DECIDED", order=order.number)
    if not approver.may_approve:
        return _deny("NOT_AUTHORISED", person=approver.id)
    if approver.id == asked_by:
        return _deny("SELF_APPROVAL", person=approver.id)
    if approved_hash != order.hash:
        return _deny("ORDER_CHANGED", order=order.number)
    if now >= order.quoted_until:
        return _deny("QUOTATION_EXPIRED", quoted_until=timestamp(order.quoted_until))
    return _within_own_limit(order, approver) or Decision(
        Outcome.APPROVE, "APPROVED_BY_PERSON", {"person": approver.id, "total": str(order.total)}
    )


def _within_own_limit(order: PurchaseOrder, approver: Approver) -> Decision | None:
    if approver.limit is None:
        return _deny("OWN_LIMIT_EXCEEDED", person=approver.id, total=str(order.total), limit="-")
    if approver.limit.currency != order.currency:
        return _deny("CURRENCY_DIFFERS", currency=order.currency, other=approver.limit.currency)
    if order.total > approver.limit:
        return _deny("OWN_LIMIT_EXCEEDED", person=approver.id, total=str(order.total), limit=str(approver.limit))
    return None


def _deny(rule: str, **parameters: str) -> Decision:
    return Decision(Outcome.DENY, rule, parameters)
