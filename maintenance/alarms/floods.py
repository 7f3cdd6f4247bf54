"""How many alarms a person gets, and which of them are one: rates, floods and groups, after ANSI/ISA-18.2-2016.

More than ten new alarms in ten minutes are a flood; it ends when fewer than five came in ten minutes (clause 16.5.3).
What was raised in a flood is grouped by its common cause for as long as it is listed: one machine is one group, and so
is what is left of one kind. What a lost connection explains lies beneath that alarm always. A group hides nothing:
every alarm is in exactly one. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from maintenance.alarms.alarm import Alarm
from maintenance.alarms.kinds import AlarmKind, Priority
from maintenance.alarms.states import ANNUNCIATED, WAITING, AlarmState

FLOOD_ABOVE: Final = 10
FLOOD_OVER_BELOW: Final = 5
FLOOD_WITHIN: Final = timedelta(minutes=10)
PER_HOUR_MANAGEABLE: Final = 6.0
"""Alarms an hour that one person can respond to (clause 16.5.2: about 150 a day, at most 300)."""
AVERAGED_OVER: Final = timedelta(days=1)
NEWEST_MAX: Final = 1_000
"""Raises remembered one by one; a flood is seen after eleven."""
FLOODS_MAX: Final = 20
KIND_GROUP_FROM: Final = 3
"""So many alarms of one kind in a flood, on different machines, are one group."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class Rates:
    """When alarms called for a person: the newest one by one, counts by the hour for a day, and the floods.

    begun: since when it counts; None before it does.
    """

    begun: datetime | None = None
    newest: list[datetime] = field(default_factory=list)
    hours: dict[int, int] = field(default_factory=dict)
    floods: list[tuple[datetime, datetime]] = field(default_factory=list)
    is_flood: bool = False

    def passed(self, now: datetime) -> None:
        """Let time pass: what is too long ago counts no more."""
        self.begun = self.begun or now
        self.newest = [at for at in self.newest if now - at < FLOOD_WITHIN][-NEWEST_MAX:]
        oldest = _hour(now - AVERAGED_OVER)
        for hour in [hour for hour in self.hours if hour < oldest]:
            del self.hours[hour]
        self._look(now)

    def raised(self, count: int, now: datetime) -> None:
        """Count alarms that call for a person now."""
        if count:
            self.hours[_hour(now)] = self.hours.get(_hour(now), 0) + count
            self.newest = [*self.newest, *[now] * count][-NEWEST_MAX:]
            self._look(now)

    def _look(self, now: datetime) -> None:
        """Begin a flood, prolong it, or end it."""
        if not self.is_flood and len(self.newest) > FLOOD_ABOVE:
            self.is_flood = True
            self.floods = [*self.floods, (self.newest[0], now)][-FLOODS_MAX:]
        elif self.is_flood and len(self.newest) < FLOOD_OVER_BELOW:
            self.is_flood = False
        elif self.is_flood and self.newest:
            self.floods[-1] = (self.floods[-1][0], max(self.newest))

    def per_hour(self, now: datetime) -> float:
        """Return how many alarms came in an hour, on average over the last day, or since counting began."""
        if self.begun is None:
            return 0.0
        watched = min(max(now - self.begun, _HOUR), AVERAGED_OVER)
        since = _hour(now - AVERAGED_OVER)
        return sum(count for hour, count in self.hours.items() if hour >= since) / (watched / _HOUR)

    def in_flood(self, alarm: Alarm) -> bool:
        """Tell whether an alarm was raised in a flood."""
        raised = alarm.raised_at
        return raised is not None and any(begun <= raised <= last for begun, last in self.floods)

    def document(self) -> dict[str, Any]:
        """Return the counts as plain JSON values."""
        return {
            "begun": self.begun and self.begun.isoformat(),
            "newest": [at.isoformat() for at in self.newest],
            "hours": sorted(self.hours.items()),
            "floods": [[begun.isoformat(), last.isoformat()] for begun, last in self.floods],
            "is_flood": self.is_flood,
        }

    @classmethod
    def of_document(cls, said: Mapping[str, Any]) -> Rates:
        """Return the counts that a document says."""
        read = datetime.fromisoformat
        return cls(
            said["begun"] and read(said["begun"]),
            [read(at) for at in said["newest"]],
            {int(hour): int(count) for hour, count in said["hours"]},
            [(read(begun), read(last)) for begun, last in said["floods"]],
            said["is_flood"],
        )


def _hour(at: datetime) -> int:
    return (at - _EPOCH) // _HOUR


class Common(StrEnum):
    """What the alarms of a group have in common."""

    ALONE = "alone"
    CONNECTION = "connection"
    MACHINE = "machine"
    KIND = "kind"


@dataclass(frozen=True, slots=True)
class Group:
    """Alarms with one cause. `head` is the cause itself, or the most urgent; `beneath` are the others.

    key: of what they have in common: a connection, a machine, or a kind.
    """

    common: Common
    key: str
    head: Alarm
    beneath: tuple[Alarm, ...] = ()

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Every alarm in it."""
        return self.head, *self.beneath

    @property
    def priority(self) -> Priority:
        """The highest of those that are annunciated."""
        return max((each.priority for each in self.alarms if each.state in ANNUNCIATED), default=self.head.priority)

    @property
    def waiting(self) -> tuple[Alarm, ...]:
        """Those that somebody is to acknowledge or to reset."""
        return tuple(each for each in self.alarms if each.state in WAITING)


def grouped(alarms: Iterable[Alarm], rates: Rates) -> list[Group]:
    """Return alarms that are annunciated, and what their causes suppress, in groups; the most urgent first."""
    listed = [each for each in alarms if each.state in ANNUNCIATED or each.state is AlarmState.SUPPRESSED]
    lost = {each.subject: each for each in listed if each.kind is AlarmKind.CONNECTION_LOST and each.active}
    beneath: dict[str, list[Alarm]] = {name: [] for name in lost}
    loose, flooded = list[Alarm](), list[Alarm]()
    for each in listed:
        if each.state is AlarmState.SUPPRESSED:
            if each.connection in beneath and not each.out_of_service:
                beneath[each.connection].append(each)
        elif lost.get(each.subject) is not each:
            (flooded if rates.in_flood(each) else loose).append(each)
    groups = [Group(Common.CONNECTION, name, head, _ordered(beneath[name])) for name, head in lost.items()]
    groups += _by_cause(flooded)
    groups += [_alone(each) for each in loose]
    return sorted(groups, key=_urgency)


def _alone(alarm: Alarm) -> Group:
    return Group(Common.ALONE, alarm.key, alarm)


def _by_cause(flooded: list[Alarm]) -> list[Group]:
    groups, left = _gathered(Common.MACHINE, flooded, lambda each: each.machine, 2)
    more, alone = _gathered(Common.KIND, left, lambda each: each.kind.value, KIND_GROUP_FROM)
    return [*groups, *more, *(_alone(each) for each in alone)]


def _gathered(
    common: Common, alarms: list[Alarm], key: Callable[[Alarm], str], least: int
) -> tuple[list[Group], list[Alarm]]:
    """Return a group for each key that enough alarms share, and the alarms that are in none."""
    sharing: dict[str, list[Alarm]] = {}
    for each in alarms:
        sharing.setdefault(key(each), []).append(each)
    groups, left = list[Group](), list[Alarm]()
    for name, found in sharing.items():
        if not name or len(found) < least:
            left += found
            continue
        head, *rest = _ordered(found)
        groups.append(Group(common, name, head, tuple(rest)))
    return groups, left


def _ordered(alarms: Sequence[Alarm]) -> tuple[Alarm, ...]:
    return tuple(sorted(alarms, key=lambda each: (-each.priority, each.due is None, each.due or _EPOCH, each.key)))


def _urgency(group: Group) -> tuple[bool, int, datetime, str]:
    """What waits for somebody first, then by priority and by when."""
    dues = [each.due for each in group.alarms if each.due is not None]
    return not group.waiting, -group.priority, min(dues, default=datetime.max.replace(tzinfo=UTC)), group.head.key
