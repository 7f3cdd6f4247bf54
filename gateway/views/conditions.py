"""Condition alarms as people and programs see them: in sentences, with the action, by when, and what happens else.

Rendered from the book's overview in the reader's language; nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.views.texts import text_of
from maintenance.alarms.alarm import Alarm, Shelf, is_chattering, is_fleeting, is_standing
from maintenance.alarms.book import Overview
from maintenance.alarms.floods import PER_HOUR_MANAGEABLE, Common, Group
from maintenance.alarms.kinds import KINDS, AlarmKind, Phrases, Priority, filled
from maintenance.alarms.states import SHELVABLE, WAITING

NAMED = frozenset({"component", "tag"})
"""Figures of a sentence that are keys of the config, and are called by their names."""

Called = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class ConditionView:
    """One alarm: what is wrong, what to do by when, and what happens when nobody does.

    standing: nobody has acted on it in time. fleeting: it is over before anybody could. calmer: the off-delay that is
    proposed because it comes and goes. cause: why it is suppressed.
    """

    id: str
    kind: AlarmKind
    subject: str
    machine: str
    priority: Priority
    state: str
    active: bool
    what: str
    action: str
    consequence: str
    raised_at: datetime | None
    due: datetime | None
    seen_by: str
    seen_at: datetime | None
    shelf: Shelf | None
    cause: str
    chattering: bool
    standing: bool
    fleeting: bool
    calmer: timedelta | None
    waiting: bool
    shelvable: bool

    @property
    def component(self) -> str:
        """The component's key, if it is about one; else empty."""
        return self.subject if self.kind in _OF_COMPONENT else ""

    def as_dict(self) -> dict[str, Any]:
        """Return the alarm for programs."""
        shelf = self.shelf
        return {
            "id": self.id,
            "kind": self.kind.value,
            "subject": self.subject,
            "machine": self.machine or None,
            "priority": self.priority.word,
            "state": self.state,
            "active": self.active,
            "what": self.what,
            "action": self.action,
            "consequence": self.consequence,
            "raised_at": text_of(self.raised_at),
            "respond_by": text_of(self.due),
            "acknowledged_by": self.seen_by or None,
            "acknowledged_at": text_of(self.seen_at),
            "shelved_by": shelf.by if shelf else None,
            "shelved_until": text_of(shelf.until) if shelf else None,
            "shelved_because": shelf.reason if shelf else None,
            "suppressed_by": self.cause or None,
            "chattering": self.chattering,
            "fleeting": self.fleeting,
            "standing": self.standing,
            "proposed_off_delay_s": None if self.calmer is None else self.calmer.total_seconds(),
        }


_OF_COMPONENT = frozenset(
    {
        AlarmKind.COUNTER_DOUBTED, AlarmKind.CONTRADICTION, AlarmKind.NEW_PART_PROPOSED, AlarmKind.HEALTH_LOW,
        AlarmKind.FAILURE_LIKELY, AlarmKind.DECIDE_BY_NEAR,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GroupView:
    """Alarms with one cause; `head` is the cause or the most urgent."""

    common: Common
    key: str
    priority: Priority
    head: ConditionView
    beneath: tuple[ConditionView, ...]

    @property
    def waiting(self) -> tuple[ConditionView, ...]:
        """Those that somebody is to acknowledge or to reset."""
        return tuple(each for each in (self.head, *self.beneath) if each.waiting)

    @property
    def all(self) -> tuple[ConditionView, ...]:
        """Every alarm in it."""
        return self.head, *self.beneath


@dataclass(frozen=True, slots=True)
class ConditionsView:
    """Every condition alarm of a site, and how many come. manageable: how many an hour one person can take."""

    groups: tuple[GroupView, ...]
    shelved: tuple[ConditionView, ...]
    suppressed: tuple[ConditionView, ...]
    per_hour: float
    is_flood: bool
    dropped: int
    manageable: float = PER_HOUR_MANAGEABLE

    @property
    def waiting(self) -> int:
        """How many groups wait for somebody."""
        return sum(bool(group.waiting) for group in self.groups)

    @property
    def all(self) -> list[ConditionView]:
        """Every alarm, each once."""
        return [*(each for group in self.groups for each in group.all), *self.shelved, *self.suppressed]


def conditions_view(seen: Overview, now: datetime, called: Called = str) -> ConditionsView:
    """Return an overview as people read it; `called` says what keys of the config are called."""

    phrases = {code: Phrases.of(kind) for code, kind in KINDS.items()}

    def view(alarm: Alarm) -> ConditionView:
        return _view(alarm, now, called, seen.proposals.get(alarm.key), phrases[alarm.kind])

    groups = tuple(_group(group, view) for group in seen.groups)
    shelved, suppressed = tuple(map(view, seen.shelved)), tuple(map(view, seen.suppressed))
    return ConditionsView(groups, shelved, suppressed, seen.per_hour, seen.is_flood, seen.dropped)


def _group(group: Group, view: Callable[[Alarm], ConditionView]) -> GroupView:
    return GroupView(group.common, group.key, group.priority, view(group.head), tuple(map(view, group.beneath)))


def _view(alarm: Alarm, now: datetime, called: Called, calmer: timedelta | None, phrases: Phrases) -> ConditionView:
    """Return one alarm as people read it."""
    figures = {name: called(text) if name in NAMED else text for name, text in alarm.parameters.items()}
    return ConditionView(
        alarm.id,
        alarm.kind,
        alarm.subject,
        alarm.machine,
        alarm.priority,
        alarm.state.value,
        alarm.active,
        filled(phrases.what, figures),
        filled(phrases.action, figures),
        filled(phrases.consequence, figures),
        alarm.raised_at,
        alarm.due,
        alarm.seen_by if alarm.seen else "",
        alarm.seen_at if alarm.seen else None,
        alarm.shelf,
        alarm.cause,
        is_chattering(alarm, now),
        is_standing(alarm, now),
        is_fleeting(alarm, now),
        calmer,
        alarm.state in WAITING,
        alarm.state in SHELVABLE,
    )
