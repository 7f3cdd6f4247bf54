"""The tables themselves: whole, without dead ends, and never losing or double-booking money."""

from __future__ import annotations

import itertools
import re

import pytest

from marketplace.ordering.states import (
    ENDED,
    FAILED,
    ORDER_EDGES,
    REQUISITION_EDGES,
    UNSENT,
    Effect,
    ForbiddenTransition,
    OrderState,
    RequisitionState,
    effect,
    mermaid,
    require_edge,
    rows,
)

S, R, E = OrderState, RequisitionState, Effect
EDGES = [(before, after) for before, targets in ORDER_EDGES.items() for after in targets]


def reachable(edges, start):
    seen, todo = {start}, [start]
    while todo:
        for after in edges[todo.pop()]:
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return seen


def test_every_state_is_in_the_tables():
    assert set(ORDER_EDGES) == set(OrderState)
    assert set(REQUISITION_EDGES) == set(RequisitionState)


def test_every_state_can_be_reached():
    assert reachable(ORDER_EDGES, S.PROPOSED) == set(OrderState)
    assert reachable(REQUISITION_EDGES, R.NEEDED) == set(RequisitionState)


@pytest.mark.parametrize("state", OrderState)
def test_every_order_can_come_to_an_end(state):
    assert reachable(ORDER_EDGES, state) & ENDED


@pytest.mark.parametrize("state", RequisitionState)
def test_every_requisition_can_come_to_an_end(state):
    assert reachable(REQUISITION_EDGES, state) & {R.FULFILLED, R.WITHDRAWN}


def test_ends_are_what_the_design_says():
    assert {S.CLOSED, S.DENIED, S.EXPIRED, S.REJECTED, S.NOT_PLACED, S.CANCELLED} == ENDED
    assert ENDED - {S.CLOSED} == FAILED


def test_nothing_is_sent_before_it_is_approved():
    assert [before for before, after in EDGES if after is S.SUBMITTING] == [S.APPROVED, S.UNKNOWN]
    assert reachable({before: () if before is S.APPROVED else ORDER_EDGES[before] for before in S}, S.PROPOSED) == (
        UNSENT | {S.DENIED, S.EXPIRED, S.CANCELLED}
    )


def test_money_is_reserved_exactly_where_something_is_approved():
    for before, after in EDGES:
        taken = effect(before, after) is E.RESERVE
        assert taken == (after is S.APPROVED and before is not S.SUBMITTING)


HOLDS_NOTHING = {S.PROPOSED, S.AWAITING_APPROVAL, S.DENIED, S.EXPIRED, S.REJECTED, S.NOT_PLACED, S.CANCELLED}


def test_an_order_that_may_be_paid_holds_its_money_and_no_other_does():
    """Walk every edge: whether money is held must follow from the state alone."""
    for before, after in EDGES:
        money = effect(before, after)
        held = before not in HOLDS_NOTHING
        held = {E.RESERVE: True, E.COMMIT: True, E.RELEASE: False, E.NONE: held}[money]
        assert held == (after not in HOLDS_NOTHING), f"{before} -> {after}"


def test_an_unknown_outcome_keeps_its_reservation():
    for before, after in EDGES:
        if after in (S.UNKNOWN, S.NEEDS_PERSON):
            assert effect(before, after) is E.NONE


def test_only_where_the_order_is_unsent_or_off_is_money_released():
    for before, after in EDGES:
        if effect(before, after) is E.RELEASE:
            assert after in FAILED | {S.AWAITING_APPROVAL}


def test_confirmation_commits_unless_it_was_committed_before():
    for before, after in EDGES:
        if after is S.CONFIRMED:
            assert effect(before, after) is (E.NONE if before is S.CANCELLING else E.COMMIT)


@pytest.mark.parametrize(("before", "after"), [pair for pair in itertools.product(S, S) if pair not in EDGES])
def test_what_is_not_in_the_table_is_forbidden(before, after):
    with pytest.raises(ForbiddenTransition, match=f"{before} to {after}"):
        effect(before, after)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(R, R)))
def test_requisitions_move_along_their_edges_only(before, after):
    if after in REQUISITION_EDGES[before]:
        require_edge(before, after)
    else:
        with pytest.raises(ForbiddenTransition, match=f"{before} to {after}"):
            require_edge(before, after)


def test_rows_are_the_tables():
    told = list(rows())
    assert len(told) == len(set(told)) == len(EDGES) + sum(map(len, REQUISITION_EDGES.values()))
    assert ("order", "proposed", "approved", "reserve") in told
    assert ("requisition", "needed", "quoting", "none") in told


def test_the_tables_can_be_drawn():
    requisition, order = (part for part in mermaid().split("```") if part.startswith("mermaid"))
    assert requisition.splitlines()[:6] == [
        "mermaid",
        "---",
        "title: requisition",
        "---",
        "stateDiagram-v2",
        "    [*] --> needed",
    ]
    assert "    withdrawn --> [*]" in requisition
    assert "    proposed --> approved: reserve" in order.splitlines()
    assert "    closed --> [*]" in order.splitlines()


def test_the_drawings_say_every_edge_and_what_it_does_to_money_and_nothing_else():
    before, requisition, between, order, after = mermaid().split("```")
    assert (before, between, after) == ("", "\n\n", "\n")
    drawn = []
    for document, text, first in (("requisition", requisition, R.NEEDED), ("order", order, S.PROPOSED)):
        edges = re.findall(r"^    (\S+) --> (\S+?)(?:: (\S+))?$", text, re.MULTILINE)
        assert edges[0] == ("[*]", first, "")
        assert len(edges) == len(text.splitlines()) - len(("mermaid", "---", "title", "---", "kind"))
        drawn += [(document, *edge[:2], edge[2] or E.NONE) for edge in edges if "[*]" not in edge]
    assert drawn == list(rows())
    assert E.NONE not in mermaid()


def test_every_edge_of_the_design_is_there():
    """The tables at the end of the design; what stands beyond them is told in the module's header."""
    chain = [S.PROPOSED, S.AWAITING_APPROVAL, S.APPROVED, S.SUBMITTING, S.SUBMITTED, S.CONFIRMED, S.SHIPPED, S.RECEIVED]
    design = {
        *itertools.pairwise([*chain, S.CLOSED]),
        (S.AWAITING_APPROVAL, S.DENIED), (S.AWAITING_APPROVAL, S.EXPIRED),
        (S.APPROVED, S.AWAITING_APPROVAL), (S.APPROVED, S.EXPIRED),
        (S.PROPOSED, S.APPROVED), (S.PROPOSED, S.DENIED),
        *((S.SUBMITTING, after) for after in (S.SUBMITTED, S.CONFIRMED, S.REJECTED, S.UNKNOWN)),
        *((S.SUBMITTED, after) for after in (S.CONFIRMED, S.REJECTED, S.UNKNOWN)),
        *((S.UNKNOWN, after) for after in (S.SUBMITTED, S.CONFIRMED, S.NOT_PLACED, S.SUBMITTING, S.NEEDS_PERSON)),
        *((S.NEEDS_PERSON, after) for after in (S.CONFIRMED, S.NOT_PLACED, S.CANCELLED, S.AWAITING_APPROVAL)),
        *((S.CONFIRMED, after) for after in (S.AWAITING_APPROVAL, S.CANCELLING, S.RECEIVED)),
        *((S.CANCELLING, after) for after in (S.CANCELLED, S.CONFIRMED, S.SHIPPED, S.UNKNOWN)),
        (S.RECEIVED, S.DISPUTED), (S.DISPUTED, S.CLOSED),
        *((before, S.CANCELLED) for before in UNSENT),
    }  # fmt: skip
    beyond = {
        (S.SUBMITTING, S.APPROVED),
        (S.SUBMITTING, S.NEEDS_PERSON),
        (S.SUBMITTED, S.NEEDS_PERSON),
        (S.CONFIRMED, S.NEEDS_PERSON),
        (S.UNKNOWN, S.REJECTED),
    }
    assert set(EDGES) == design | beyond
    chain = [R.NEEDED, R.QUOTING, R.PROPOSED, R.ORDERED, R.FULFILLED]
    design = {
        *itertools.pairwise(chain), (R.ORDERED, R.NEEDED), *((before, R.WITHDRAWN) for before in chain[:3]),
    }  # fmt: skip
    beyond = {(R.NEEDED, R.FULFILLED), (R.QUOTING, R.NEEDED), (R.PROPOSED, R.NEEDED)}
    assert {(before, after) for before, targets in REQUISITION_EDGES.items() for after in targets} == design | beyond
