"""How a condition alarm moves: one table, after the state model of ANSI/ISA-18.2-2016 (IEC 62682), and nothing else.

A state is a word; an edge is an event that leads from one word to another. The standard's letters stand beside the
states. Where this table is narrower or wider than the standard's picture:

    shelved      is left by itself at the end of its time, and at once when the priority rises: somebody shelved less
    suppressed   by design: the connection is lost, or the component is out of service (the standard's H and I); it
                 keeps what was acknowledged before, so that a connection that comes back annunciates nothing twice
    escalate     a higher priority is a new alarm to the person who acknowledged the lower one

From every state there is a way back to normal; a test walks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final


class AlarmState(StrEnum):
    """Where an alarm stands; a letter of the standard's state diagram beside each."""

    NORMAL = "normal"  # A
    UNACKNOWLEDGED = "unacknowledged"  # B
    ACKNOWLEDGED = "acknowledged"  # C
    RETURNED = "returned"  # D: back to normal, and nobody has acknowledged that it was there
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"  # E
    LATCHED = "latched"  # F
    SHELVED = "shelved"  # G
    SUPPRESSED = "suppressed"  # H, I


class AlarmEvent(StrEnum):
    """What moves an alarm. Conditions raise and clear; persons acknowledge, reset and shelve; design suppresses."""

    RAISE = "raise"
    CLEAR = "clear"
    LATCH = "latch"
    ESCALATE = "escalate"
    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    SHELVE = "shelve"
    SUPPRESS = "suppress"
    RETURN_ACTIVE = "return_active"
    RETURN_SEEN = "return_seen"
    RETURN_LATCHED = "return_latched"
    RETURN_NORMAL = "return_normal"


class ForbiddenStep(ValueError):
    """The table has no such edge. Nothing was changed."""


S, E = AlarmState, AlarmEvent

EDGES: Final[Mapping[AlarmState, Mapping[AlarmEvent, AlarmState]]] = {
    S.NORMAL: {E.RAISE: S.UNACKNOWLEDGED},
    S.UNACKNOWLEDGED: {
        E.ACKNOWLEDGE: S.ACKNOWLEDGED,
        E.CLEAR: S.RETURNED,
        E.LATCH: S.LATCHED_UNACKNOWLEDGED,
        E.ESCALATE: S.UNACKNOWLEDGED,
        E.SHELVE: S.SHELVED,
        E.SUPPRESS: S.SUPPRESSED,
    },
    S.ACKNOWLEDGED: {
        E.CLEAR: S.NORMAL,
        E.LATCH: S.LATCHED,
        E.ESCALATE: S.UNACKNOWLEDGED,
        E.SHELVE: S.SHELVED,
        E.SUPPRESS: S.SUPPRESSED,
    },
    S.RETURNED: {E.ACKNOWLEDGE: S.NORMAL, E.RAISE: S.UNACKNOWLEDGED},
    S.LATCHED_UNACKNOWLEDGED: {E.ACKNOWLEDGE: S.LATCHED, E.RAISE: S.UNACKNOWLEDGED},
    S.LATCHED: {E.RESET: S.NORMAL, E.RAISE: S.UNACKNOWLEDGED},
    S.SHELVED: {
        E.RAISE: S.SHELVED,
        E.CLEAR: S.SHELVED,
        E.LATCH: S.SHELVED,
        E.ESCALATE: S.UNACKNOWLEDGED,
        E.RETURN_ACTIVE: S.UNACKNOWLEDGED,
        E.RETURN_LATCHED: S.LATCHED_UNACKNOWLEDGED,
        E.RETURN_NORMAL: S.NORMAL,
    },
    S.SUPPRESSED: {
        E.RAISE: S.SUPPRESSED,
        E.CLEAR: S.SUPPRESSED,
        E.LATCH: S.SUPPRESSED,
        E.ESCALATE: S.SUPPRESSED,
        E.RETURN_ACTIVE: S.UNACKNOWLEDGED,
        E.RETURN_SEEN: S.ACKNOWLEDGED,
        E.RETURN_LATCHED: S.LATCHED_UNACKNOWLEDGED,
        E.RETURN_NORMAL: S.NORMAL,
    },
}

WAITING: Final = frozenset({S.UNACKNOWLEDGED, S.RETURNED, S.LATCHED_UNACKNOWLEDGED, S.LATCHED})
"""Somebody is to acknowledge or to reset it."""

ANNUNCIATED: Final = WAITING | {S.ACKNOWLEDGED}
"""It is listed; what is shelved or suppressed is listed apart, what is normal not at all."""

SHELVABLE: Final = frozenset(state for state, edges in EDGES.items() if E.SHELVE in edges)


def after(state: AlarmState, event: AlarmEvent) -> AlarmState:
    """Return where an event leads. Raises `ForbiddenStep` when the table has no such edge."""
    try:
        return EDGES[state][event]
    except KeyError:
        raise ForbiddenStep(f"an alarm that is {state} knows no {event}") from None


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield (before, event, after) for every edge, in the order of the table."""
    for before, edges in EDGES.items():
        for event, target in edges.items():
            yield before, event, target


def mermaid() -> str:
    """Return the table as a Mermaid state diagram in Markdown."""
    edges = [f"    {before} --> {target}: {event}" for before, event, target in rows()]
    lines = ["```mermaid", "---", "title: condition alarm", "---", "stateDiagram-v2", f"    [*] --> {S.NORMAL}"]
    return "\n".join((*lines, *edges, "```", ""))
