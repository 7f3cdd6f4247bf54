"""The table of condition alarms: every state has a way back, and it prints itself."""

from __future__ import annotations

import pytest

from maintenance.alarms.states import (
    ANNUNCIATED,
    EDGES,
    SHELVABLE,
    AlarmEvent,
    AlarmState,
    ForbiddenStep,
    after,
    mermaid,
    rows,
)


def reachable(start: AlarmState, edges: dict[AlarmState, set[AlarmState]]) -> set[AlarmState]:
    found, edge = {start}, [start]
    while edge:
        for target in edges[edge.pop()]:
            if target not in found:
                found.add(target)
                edge.append(target)
    return found


def test_no_state_is_without_a_way_back_to_normal_nor_without_a_way_to_it():
    ways = {state: set(edges.values()) for state, edges in EDGES.items()}
    assert set(ways) == set(AlarmState)
    for state in AlarmState:
        assert AlarmState.NORMAL in reachable(state, ways), state
    assert reachable(AlarmState.NORMAL, ways) == set(AlarmState)


def test_only_what_is_acknowledged_or_never_was_there_is_silent():
    assert set(AlarmState) - ANNUNCIATED == {AlarmState.NORMAL, AlarmState.SHELVED, AlarmState.SUPPRESSED}
    assert {AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED} == SHELVABLE


def test_an_escalation_is_never_only_acknowledged():
    for state, edges in EDGES.items():
        target = edges.get(AlarmEvent.ESCALATE)
        assert target in (None, AlarmState.UNACKNOWLEDGED, AlarmState.SUPPRESSED), state


def test_what_the_table_does_not_have_is_refused():
    with pytest.raises(ForbiddenStep, match="normal knows no acknowledge"):
        after(AlarmState.NORMAL, AlarmEvent.ACKNOWLEDGE)


def test_the_drawing_holds_every_edge():
    drawn = mermaid()
    for before, event, target in rows():
        assert f"    {before} --> {target}: {event}\n" in drawn
