"""How requisitions and purchase orders move: two tables, and nothing else moves them.

A state is a word; an edge is a pair of words in a table that one can print and draw. Each edge of an order also says
what it does to the money: reserve it, commit it, release it, or leave it. Recovery after a crash walks the same edges.

Beyond the design's tables stand these edges, each because something real has no other way:

    requisition  needed -> fulfilled             own stock serves it, and nothing is bought
                 quoting -> needed               a round without an award
                 proposed -> needed              its order was denied, has expired, or was called off unsent
    order        submitting -> approved          nothing left the plant: the supplier could not be reached
                 submitting, submitted, confirmed -> needs_person    an answer on other terms than ours
                 unknown -> rejected             the look-up says that the supplier took it up and said no
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


def mermaid() -> str:
    """Return both tables as Mermaid state diagrams in Markdown; an edge that moves money says how."""
    return "\n".join((_diagram("requisition", RequisitionState.NEEDED), _diagram("order", OrderState.PROPOSED)))


def _diagram(document: str, first: str) -> str:
    drawn = [(before, after, money) for told, before, after, money in rows() if told == document]
    left = {before for before, _after, _money in drawn}
    ends = dict.fromkeys(after for _before, after, _money in drawn if after not in left)
    edges = [
        f"    {before} --> {after}" + ("" if money == Effect.NONE else f": {money}") for before, after, money in drawn
    ]
    lines = [f"    [*] --> {first}", *edges, *(f"    {end} --> [*]" for end in ends)]
    return "\n".join(("```mermaid", "---", f"title: {document}", "---", "stateDiagram-v2", *lines, "```", ""))


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield (document, before, after, effect) for every edge, in the order of the tables."""
    for before, targets in REQUISITION_EDGES.items():
        for after in RequisitionState:
            if after in targets:
                yield "requisition", before, after, Effect.NONE
    for state, edges in ORDER_EDGES.items():
        for target, money in edges.items():
            yield "order", state, target, money
