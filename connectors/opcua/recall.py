"""What a machine remembers of a gap: read from its own history, newest first, each value once.

Promises: only values between the last that was taken and the first that came afterwards; at their own times, to the
tick; a server without history costs one question; what is asked is bounded in time, in values and in questions. Refuses
to know subscriptions. HistoryRead of raw values: OPC 10000-4, 5.11.3 and OPC 10000-11, 6.5.3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from asyncua import ua
from asyncua.client.client import Client

from connectors.opcua.decode import Changes, Malformed, Remembered, decode_history
from connectors.opcua.limits import portions
from connectors.opcua.readings import EPOCH_TICKS
from connectors.samples import TICKS_PER_SECOND, moment_of

VALUES_PER_NODE: Final = 1_000
"""In one answer; a hundred nodes are then about two megabytes."""
NODES_PER_REQUEST: Final = 50
ANSWERS_MAX: Final = 10_000
"""Of one gap: ten million values for each fifty tags, after which a hole is left and said."""
GAP_MAX_SECONDS: Final = 72 * 3600.0
"""As long as the backlog keeps what it cannot store; older values help nobody decide."""
WINDOWS_SECONDS: Final = (60.0, 600.0, 3600.0, 6 * 3600.0)
"""The newest minute first, then the ten before it, and so on: what is worth most comes first."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing of a tag: everything after one source time and before another, in ticks since 1970."""

    after: int
    before: int


async def recall(
    client: Client, nodes: Mapping[int, ua.NodeId], gaps: Mapping[int, Gap], nodes_max: int, deaf: set[int]
) -> AsyncIterator[Changes]:
    """Yield what the server remembers of the gaps, by handle; adds to `deaf` the handles that it keeps no history of.

    Raises what the stack raises.
    """
    answers = 0
    for first, last in _windows(min(gap.after for gap in gaps.values()), max(gap.before for gap in gaps.values())):
        wanted = [
            handle
            for handle, gap in gaps.items()
            if handle in nodes and handle not in deaf and gap.after < last and gap.before > first
        ]
        for portion in portions(wanted, min(NODES_PER_REQUEST, nodes_max)):
            points = dict.fromkeys(portion, b"")
            while points and answers < ANSWERS_MAX:
                answers += 1
                found = await _read(client, nodes, points, first, last)
                for handle, remembered in zip(tuple(points), found, strict=True):
                    if remembered.status >> 30 == 2:
                        deaf.add(handle)
                    kept = _within(remembered, handle, gaps[handle], first, last)
                    if len(kept):
                        yield kept
                points = {
                    handle: remembered.more
                    for handle, remembered in zip(tuple(points), found, strict=True)
                    if remembered.more and len(remembered.changes)
                }


def _windows(after: int, before: int) -> Iterator[tuple[int, int]]:
    """Yield spans from `before` back to `after`, each from its first tick on and up to its last."""
    after = max(after, before - round(GAP_MAX_SECONDS * TICKS_PER_SECOND))
    step = 0
    while before > after:
        width = round(WINDOWS_SECONDS[min(step, len(WINDOWS_SECONDS) - 1)] * TICKS_PER_SECOND)
        start = max(after, before - width)
        yield start, before
        before, step = start, step + 1


async def _read(
    client: Client, nodes: Mapping[int, ua.NodeId], points: Mapping[int, bytes], first: int, last: int
) -> list[Remembered]:
    request = ua.HistoryReadRequest()
    details = ua.ReadRawModifiedDetails(
        IsReadModified=False,
        StartTime=ua.DateTime.fromisoformat(moment_of(first).isoformat()),
        EndTime=ua.DateTime.fromisoformat(moment_of(last + 9).isoformat()),
        NumValuesPerNode=ua.Counter(VALUES_PER_NODE),
        ReturnBounds=False,
    )
    request.Parameters.HistoryReadDetails = details
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    request.Parameters.ReleaseContinuationPoints = False
    request.Parameters.NodesToRead = [
        ua.HistoryReadValueId(NodeId=nodes[handle], ContinuationPoint=point or None) for handle, point in points.items()
    ]
    answer = await client.uaclient.session._send_request(request)
    found = decode_history(bytes(answer))
    if len(found) != len(points):
        raise Malformed("the server answered for other nodes than it was asked for")
    return found


def _within(remembered: Remembered, handle: int, gap: Gap, first: int, last: int) -> Changes:
    """The values that nobody has taken yet, under the handle of their tag; each window begins behind its first tick."""
    changes = remembered.changes
    source = changes.source - EPOCH_TICKS
    low, high = max(gap.after, first), min(gap.before, last + 1)
    rows = np.flatnonzero((changes.source > 0) & (source > low) & (source < high))
    kept = changes.rows(rows)
    kept.handles[:] = handle
    return kept
