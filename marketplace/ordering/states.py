"""How requisitions and purchase orders move: two tables, and nothing else moves them.

A state is a word; an edge is a pair of words in a table that one can print and draw. Each edge of an order also says
what it does to the money: reserve it, commit it, release it, or leave it. Recovery after a crash walks the same edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final


class RequisitionState(StrEnum):
    """A requisition's life."""

    NEEDED = "needed"
    QUOTING = "quoting"
    PROPOSED = "proposed"
    ORDERED = "ordered"
    FULFILLED = "fulfilled"
    WITHDRAWN = "withdrawn"


class OrderState(StrEnum):
    """A purchase order's life."""

    PROPOSED = "proposed"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    NEEDS_PERSON = "needs_person"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    RECEIVED = "received"
    CANCELLING = "cancelling"
    DISPUTED = "disputed"
    CLOSED = "closed"
    DENIED = "denied"
    EXPIRED = "expired"
    REJECTED = "rejected"
    NOT_PLACED = "not_placed"
    CANCELLED = "cancelled"


class Effect(StrEnum):
    """What an edge does to the budgets."""

    NONE = "none"
    RESERVE = "reserve"
    COMMIT = "commit"
    RELEASE = "release"


class ForbiddenTransition(Exception):
    """The table has no such edge: somebody else moved it first, or the caller is wrong. Nothing was changed."""


R, S, E = RequisitionState, OrderState, Effect

REQUISITION_EDGES: Final[Mapping[RequisitionState, frozenset[RequisitionState]]] = {
    R.NEEDED: frozenset({R.QUOTING, R.FULFILLED, R.WITHDRAWN}),
    R.QUOTING: frozenset({R.PROPOSED, R.NEEDED, R.WITHDRAWN}),
    R.PROPOSED: frozenset({R.ORDERED, R.NEEDED, R.WITHDRAWN}),
    R.ORDERED: frozenset({R.FULFILLED, R.NEEDED}),
    R.FULFILLED: frozenset(),
    R.WITHDRAWN: frozenset(),
}

ORDER_EDGES: Final[Mapping[OrderState, Mapping[OrderState, Effect]]] = {
    S.PROPOSED: {S.APPROVED: E.RESERVE, S.AWAITING_APPROVAL: E.NONE, S.DENIED: E.NONE, S.CANCELLED: E.NONE},
    S.AWAITING_APPROVAL: {S.APPROVED: E.RESERVE, S.DENIED: E.NONE, S.EXPIRED: E.NONE, S.CANCELLED: E.NONE},
    S.APPROVED: {
        S.SUBMITTING: E.NONE,
        S.AWAITING_APPROVAL: E.RELEASE,
        S.EXPIRED: E.RELEASE,
        S.CANCELLED: E.RELEASE,
    },
    S.SUBMITTING: {
        S.SUBMITTED: E.NONE,
        S.CONFIRMED: E.COMMIT,
        S.REJECTED: E.RELEASE,
        S.UNKNOWN: E.NONE,
        S.APPROVED: E.NONE,
        S.NEEDS_PERSON: E.NONE,
    },
    S.SUBMITTED: {S.CONFIRMED: E.COMMIT, S.REJECTED: E.RELEASE, S.UNKNOWN: E.NONE, S.NEEDS_PERSON: E.NONE},
    S.UNKNOWN: {
        S.SUBMITTED: E.NONE,
        S.CONFIRMED: E.COMMIT,
        S.REJECTED: E.RELEASE,
        S.NOT_PLACED: E.RELEASE,
        S.SUBMITTING: E.NONE,
        S.NEEDS_PERSON: E.NONE,
    },
    S.NEEDS_PERSON: {
        S.CONFIRMED: E.COMMIT,
        S.NOT_PLACED: E.RELEASE,
        S.CANCELLED: E.RELEASE,
        S.AWAITING_APPROVAL: E.RELEASE,
    },
    S.CONFIRMED: {
        S.SHIPPED: E.NONE,
        S.RECEIVED: E.NONE,
        S.CANCELLING: E.NONE,
        S.AWAITING_APPROVAL: E.RELEASE,
        S.NEEDS_PERSON: E.NONE,
    },
    S.CANCELLING: {S.CANCELLED: E.RELEASE, S.CONFIRMED: E.NONE, S.SHIPPED: E.NONE, S.UNKNOWN: E.NONE},
    S.SHIPPED: {S.RECEIVED: E.NONE},
    S.RECEIVED: {S.CLOSED: E.NONE, S.DISPUTED: E.NONE},
    S.DISPUTED: {S.CLOSED: E.NONE},
    S.CLOSED: {},
    S.DENIED: {},
    S.EXPIRED: {},
    S.REJECTED: {},
    S.NOT_PLACED: {},
    S.CANCELLED: {},
}

ENDED: Final = frozenset(state for state, edges in ORDER_EDGES.items() if not edges)
"""Order states that nothing leaves."""

FAILED: Final = ENDED - {S.CLOSED}
"""Ends without goods: the requisition goes back to needed and its slot is free again."""

UNSENT: Final = frozenset({S.PROPOSED, S.AWAITING_APPROVAL, S.APPROVED})
"""Nothing has left the plant yet."""


def effect(before: OrderState, after: OrderState) -> Effect:
    """Return what the edge does to the budgets. Raises `ForbiddenTransition` when the table has no such edge."""
    try:
        return ORDER_EDGES[before][after]
    except KeyError:
        raise ForbiddenTransition(f"an order does not go from {before} to {after}") from None


def require_edge(before: RequisitionState, after: RequisitionState) -> None:
    """Raise `ForbiddenTransition` unless a requisition may go from one state to the other."""
    if after not in REQUISITION_EDGES[before]:
        raise ForbiddenTransition(f"a requisition does not go from {before} to {after}")


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield (document, before, after, effect) for every edge, in the order of the tables."""
    for before, targets in REQUISITION_EDGES.items():
        for after in RequisitionState:
            if after in targets:
                yield "requisition", before, after, Effect.NONE
    for state, edges in ORDER_EDGES.items():
        for target, money in edges.items():
            yield "order", state, target, money
