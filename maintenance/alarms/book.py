"""Every condition alarm of a site: what is found moves them, persons act on them, and all of it can be written down.

Only what is not normal is kept, so that a look costs what is wrong, not what there is. The same findings and acts at
the same times give the identical book. What has changed since it was last kept is told by `changes`, so that whoever
keeps it writes no more than that. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from maintenance.alarms import alarm as single
from maintenance.alarms.alarm import OUT_OF_SERVICE, Alarm, Finding, Move, Moved, key_of
from maintenance.alarms.floods import Group, Rates, grouped
from maintenance.alarms.kinds import KINDS, AlarmKind, Priority
from maintenance.alarms.rules import Rules
from maintenance.alarms.states import ANNUNCIATED, WAITING, AlarmState

ALARMS_MAX: Final = 50_000
"""Conditions that a book keeps at once, five for each of 10,000 components; what comes beyond is counted, not kept."""
EVERYTHING: Final = frozenset(AlarmKind)


@dataclass(frozen=True, slots=True)
class Changes:
    """What has to be written: alarms as they are now, keys that are past, what moved, and the counts."""

    alarms: tuple[Alarm, ...]
    past: tuple[str, ...]
    moves: tuple[Move, ...]
    rates: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Overview:
    """The book as people look at it: groups of what is annunciated, what is put aside, and how much it is.

    suppressed: what is out of service, and what a cause explains that is shelved itself. proposals: a longer off-delay,
    by key, for alarms that chatter. dropped: conditions for which there was no room.
    """

    groups: tuple[Group, ...] = ()
    shelved: tuple[Alarm, ...] = ()
    suppressed: tuple[Alarm, ...] = ()
    by_priority: Mapping[Priority, int] = field(default_factory=lambda: dict.fromkeys(Priority, 0))
    waiting: int = 0
    per_hour: float = 0.0
    is_flood: bool = False
    proposals: Mapping[str, timedelta] = field(default_factory=dict)
    dropped: int = 0


class Book:
    """The alarms of a site by key; see the module."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.alarms: dict[str, Alarm] = {}
        self.rates = Rates()
        self.dropped = 0
        self._changed: set[str] = set()
        self._moves: list[Move] = []

    def observe(self, findings: Iterable[Finding], now: datetime, judged: Collection[AlarmKind] = EVERYTHING) -> None:
        """Take up one look at the conditions of these kinds; what of them is not found is not there.

        Alarms of other kinds only come back from the shelf, if their time is over.
        """
        found = _worst(findings)
        lost = {key: each for key, each in found.items() if each.kind is AlarmKind.CONNECTION_LOST}
        called = 0
        for key in (*lost, *self._others(found, lost)):  # what explains others comes first
            known = self.alarms.get(key)
            if known is not None and known.kind not in judged:
                called += self._put(single.waited(known, now))
                continue
            called += self._look(key, known, found.get(key), now)
        self.rates.passed(now)
        self.rates.raised(called, now)

    def _others(self, found: Mapping[str, Finding], first: Mapping[str, Finding]) -> list[str]:
        keys = sorted((self.alarms.keys() | found.keys()) - first.keys())
        kind = f"{AlarmKind.CONNECTION_LOST}|"
        return [key for key in keys if key.startswith(kind)] + [key for key in keys if not key.startswith(kind)]

    def _look(self, key: str, known: Alarm | None, found: Finding | None, now: datetime) -> bool:
        if known is None:
            if found is None or not found.active:
                return False
            if len(self.alarms) >= ALARMS_MAX:
                self.dropped += 1
                return False
            known = Alarm(found.kind, found.subject, found.machine)
        delays = self.rules.delays(known.kind, (found or known).component)
        return self._put(single.observed(known, found, delays, self._cause(found or known), now), now)

    def _cause(self, of: Finding | Alarm) -> str:
        """Why something is suppressed by design; empty when it is not."""
        if of.out_of_service:
            return OUT_OF_SERVICE
        if not of.connection or not KINDS[of.kind].heard:
            return ""
        parent = self.alarms.get(key_of(AlarmKind.CONNECTION_LOST, of.connection))
        return parent.key if parent is not None and parent.active else ""

    def _put(self, moved: Moved, now: datetime | None = None) -> bool:
        """Take an alarm as it is now; return whether it calls for a person."""
        alarm, moves = moved
        if alarm != self.alarms.get(alarm.key):
            self._changed.add(alarm.key)
            self.alarms[alarm.key] = alarm
        self._moves += moves
        if now is not None and alarm.is_past(now):
            del self.alarms[alarm.key]
            self._changed.add(alarm.key)
        return single.annunciates(moves)

    def find(self, identity: str) -> Alarm | None:
        """Return the alarm of an id, None when the book has none."""
        return next((each for each in self.alarms.values() if each.id == identity), None)

    def put(self, moved: Moved) -> None:
        """Take up what a person did with an alarm of the book."""
        self._put(moved)

    def changes(self) -> Changes:
        """Return what has changed since the last call of `kept`."""
        changed = sorted(self._changed)
        alarms = tuple(self.alarms[key] for key in changed if key in self.alarms)
        past = tuple(key for key in changed if key not in self.alarms)
        return Changes(alarms, past, tuple(self._moves), self.rates.document())

    def changes_with(self, moved: Moved) -> Changes:
        """Return the same with what a person is about to do, before the book takes it up."""
        alarm, moves = moved
        told = self.changes()
        others = tuple(each for each in told.alarms if each.key != alarm.key)
        return Changes((*others, alarm), told.past, (*told.moves, *moves), told.rates)

    def kept(self) -> None:
        """What `changes` told is written down."""
        self._changed.clear()
        self._moves.clear()

    def overview(self, now: datetime) -> Overview:
        """Return the book as people look at it at `now`."""
        every = sorted(self.alarms.values(), key=lambda each: each.key)
        counts = dict.fromkeys(Priority, 0)
        for each in every:
            if each.active and each.state in ANNUNCIATED:
                counts[each.priority] += 1
        shelved = [each for each in every if each.state is AlarmState.SHELVED]
        groups = tuple(grouped(every, self.rates))
        beneath = {each.key for group in groups for each in group.beneath}
        calmer = {each.key: self._calmer(each, now) for each in every}
        return Overview(
            groups,
            tuple(sorted(shelved, key=lambda each: (each.shelf.until if each.shelf else now, each.key))),
            tuple(each for each in every if each.state is AlarmState.SUPPRESSED and each.key not in beneath),
            counts,
            sum(each.state in WAITING for each in every),
            self.rates.per_hour(now),
            self.rates.is_flood,
            {key: delay for key, delay in calmer.items() if delay is not None},
            self.dropped,
        )

    def _calmer(self, alarm: Alarm, now: datetime) -> timedelta | None:
        proposed = single.calmer(alarm, self.rules.delays(alarm.kind, alarm.component), now)
        return None if proposed is None else proposed.off

    def snapshot(self) -> dict[str, Any]:
        """Return the whole book as plain JSON values."""
        alarms = [single.document_of(self.alarms[key]) for key in sorted(self.alarms)]
        return {"alarms": alarms, "rates": self.rates.document()}

    def restore(self, alarms: Iterable[Mapping[str, Any]], rates: Mapping[str, Any] | None) -> list[str]:
        """Take up what was written down; return what of it could not be read, which begins anew."""
        broken = []
        for document in alarms:
            try:
                alarm = single.alarm_of(document)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                broken.append(f"{document.get('kind')}|{document.get('subject')}: {error!r}")
                continue
            self.alarms[alarm.key] = alarm
        try:
            self.rates = Rates.of_document(rates) if rates else Rates()
        except (ValueError, KeyError, TypeError) as error:
            broken.append(f"rates: {error!r}")
        return broken


_CERTAINTY: Final = {True: 2, None: 1, False: 0}


def _worst(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Return one finding for each key: the surest and most urgent, where several components speak of one tag."""
    found: dict[str, Finding] = {}
    for each in findings:
        other = found.get(each.key)
        if other is None or _weight(each) > _weight(other):
            found[each.key] = each
    return found


def _weight(found: Finding) -> tuple[int, Priority]:
    return _CERTAINTY[found.active], found.priority
