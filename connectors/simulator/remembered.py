"""A machine's own history, in memory: the newest values of each variable, and no more.

It stands behind the protocol stack's HistoryRead of raw values (OPC 10000-11, 6.5.3): both bounds inclusive, newest
first where the start lies behind the end, a continuation by the time of the first value that was left out.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Any, Final

from asyncua.server.history import HistoryStorageInterface
from asyncua.ua.uatypes import DataValue, NodeId, get_win_epoch

VALUES_MAX: Final = 10_000
"""Of one variable: close to three hours at a value a second."""
ANSWER_MAX: Final = 1_000
"""In one answer; the rest by continuation."""


class Remembered(HistoryStorageInterface):
    """The newest values of those variables that are remembered; whoever writes a value notes it here."""

    def __init__(self) -> None:
        super().__init__(ANSWER_MAX)
        self._values: dict[NodeId, deque[DataValue]] = {}

    async def init(self) -> None:
        """The stack calls it; nothing has to be opened."""

    def keep(self, node: NodeId, values_max: int = VALUES_MAX) -> None:
        """Remember a variable from now on."""
        self._values.setdefault(node, deque(maxlen=min(values_max, VALUES_MAX)))

    def note(self, node: NodeId, value: DataValue) -> None:
        """Take a value, if its variable is remembered."""
        kept = self._values.get(node)
        if kept is not None and value.SourceTimestamp is not None:
            kept.append(value)

    async def new_historized_node(self, node_id: NodeId, period: timedelta | None, count: int = 0) -> None:
        """The stack's way to remember a variable."""
        self.keep(node_id, count or VALUES_MAX)

    async def save_node_value(self, node_id: NodeId, datavalue: DataValue) -> None:
        """The stack's way to note a value."""
        self.note(node_id, datavalue)

    async def read_node_history(
        self, node_id: NodeId, start: datetime | None, end: datetime | None, nb_values: int
    ) -> tuple[list[DataValue], datetime | None]:
        """Return values in the order that was asked for, and where to go on, or None at the end."""
        nothing = get_win_epoch()  # how the stack reads a time that was left out
        start, end = (None if each in (None, nothing) else each for each in (start, end))
        backwards = start is None or (end is not None and start > end)
        first, last = (end if start is not None else None, start or end) if backwards else (start, end)
        kept = sorted(self._values.get(node_id, ()), key=_time)
        found = [each for each in kept if (not first or _time(each) >= first) and (not last or _time(each) <= last)]
        if backwards:
            found.reverse()
        most = min(nb_values or ANSWER_MAX, ANSWER_MAX)
        return found[:most], _time(found[most]) if len(found) > most else None

    async def new_historized_event(
        self, source_id: NodeId, evtypes: Any, period: timedelta | None, count: int = 0
    ) -> None:
        """Events are not remembered."""

    async def save_event(self, event: Any) -> None:
        """Events are not remembered."""

    async def read_event_history(
        self, source_id: NodeId, start: datetime | None, end: datetime | None, nb_values: int, evfilter: Any
    ) -> tuple[list[Any], datetime | None]:
        """Return nothing: events are not remembered."""
        return [], None

    async def stop(self) -> None:
        """The stack calls it; nothing has to be closed."""


def _time(value: DataValue) -> datetime:
    assert value.SourceTimestamp is not None
    return value.SourceTimestamp
