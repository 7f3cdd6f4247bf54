"""One condition alarm through time: delays, hysteresis, priority, shelving, and what a person has seen of it.

An alarm is a value; each function takes one and returns the next, and every state it takes is an edge of
`maintenance.alarms.states`. A condition must last for the on-delay before it is raised and be gone for the off-delay
before it clears; within the band of its limit everything stays as it was. While an alarm is active its priority only
rises, and a rise asks again whoever acknowledged the lower one. Shelving ends by itself. Pure: time is an argument.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from gettext import gettext as _
from itertools import pairwise
from typing import Any, Final

from maintenance.alarms.kinds import KINDS, NOTHING, AlarmKind, Kind, Priority
from maintenance.alarms.states import SHELVABLE, AlarmEvent, AlarmState, after

SHELF_MAX: Final = timedelta(days=30)
"""Longer nobody remembers why; what should be silent for longer is out of service, or its limit is wrong."""
SPELLS_MAX: Final = 8
"""Past spells kept of each alarm: enough to see that it chatters."""
CHATTER_RAISES: Final = 3
CHATTER_WITHIN: Final = timedelta(days=1)
"""The standard counts three raises in a minute for signals that are scanned each second; conditions are judged at
decision steps, from minutes to hours apart, so three in a day are as many."""
FLEETING: Final = timedelta(minutes=10)
"""What was over by then left nobody time to respond."""
STANDING: Final = timedelta(days=1)
"""What is still there so long after somebody should have responded is stale (clause 16.5.5): nobody acts on it."""
DELAY_MAX: Final = timedelta(days=1)
"""A longer delay would hide the alarm instead of calming it."""
OUT_OF_SERVICE: Final = "out_of_service"

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is found of one condition now.

    active: None where it cannot be judged, or lies within the band: it stays as it was. since: when it is known to
    have begun, if it is. due: by when somebody must respond, if that is known. connection: over which it is heard.
    component: by whose rules it is judged, "" by the site's.
    """

    kind: AlarmKind
    subject: str
    machine: str
    active: bool | None
    priority: Priority = Priority.LOW
    parameters: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    due: datetime | None = None
    connection: str = ""
    component: str = ""
    out_of_service: bool = False

    @property
    def key(self) -> str:
        """What tells it from every other condition of the site."""
        return key_of(self.kind, self.subject)


@dataclass(frozen=True, slots=True)
class Delays:
    """How long a condition must last to be raised, and be gone to clear."""

    on: timedelta = NOTHING
    off: timedelta = NOTHING


@dataclass(frozen=True, slots=True)
class Shelf:
    """Who shelved it, why, since when and until when."""

    by: str
    reason: str
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Spell:
    """One time that it was active: until it cleared, its condition being gone for the off-delay; None: it lasts."""

    raised: datetime
    gone: datetime | None = None
    cleared: datetime | None = None


def key_of(kind: AlarmKind, subject: str) -> str:
    """Return the key of an alarm; it stays the same for ever."""
    return f"{kind}|{subject}"


@dataclass(frozen=True)
class Alarm:
    """One alarm as it stands.

    active: the condition itself, after delays, whatever the state makes of it. pending_since: since when the condition
    is other than `active`. seen: it was acknowledged at this priority, in this spell. latched: somebody must reset it.
    cause: why it is suppressed. spells: the newest last.
    """

    kind: AlarmKind
    subject: str
    machine: str
    state: AlarmState = AlarmState.NORMAL
    active: bool = False
    priority: Priority = Priority.LOW
    parameters: Mapping[str, str] = field(default_factory=dict)
    pending_since: datetime | None = None
    due: datetime | None = None
    connection: str = ""
    component: str = ""
    out_of_service: bool = False
    seen: bool = False
    seen_by: str = ""
    seen_at: datetime | None = None
    latched: bool = False
    shelf: Shelf | None = None
    cause: str = ""
    spells: tuple[Spell, ...] = ()

    @cached_property
    def id(self) -> str:
        """The alarm's name for people and programs: 32 hexadecimal characters of its key."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:32]

    @property
    def key(self) -> str:
        """What tells it from every other alarm of the site."""
        return key_of(self.kind, self.subject)

    @property
    def traits(self) -> Kind:
        """What is the same of all alarms of its kind."""
        return KINDS[self.kind]

    @property
    def raised_at(self) -> datetime | None:
        """When its newest spell began; None before the first."""
        return self.spells[-1].raised if self.spells else None

    def is_past(self, now: datetime) -> bool:
        """Return whether nothing of it has to be kept: it is normal, and too long ago to chatter."""
        quiet = self.state is AlarmState.NORMAL and not self.active and self.pending_since is None
        return quiet and (self.raised_at is None or now - self.raised_at > CHATTER_WITHIN)


@dataclass(frozen=True, slots=True)
class Move:
    """One edge that an alarm took, for the journal; `by` and `reason` where a person did it."""

    key: str
    at: datetime
    event: AlarmEvent
    before: AlarmState
    after: AlarmState
    priority: Priority
    by: str = ""
    reason: str = ""


Moved = tuple[Alarm, tuple[Move, ...]]


class Refused(ValueError):
    """A person asked what cannot be done; `str()` is the sentence that says why. Nothing was changed."""


def observed(alarm: Alarm, found: Finding | None, delays: Delays, cause: str, now: datetime) -> Moved:
    """Return the alarm after one look at its condition; no finding means that the condition is not there.

    cause: why it is suppressed by design, empty when it is not.
    """
    moves: list[Move] = []
    alarm = _told(alarm, found) if found is not None else alarm
    alarm, flipped_since = _waited(alarm, found, delays, now)
    if flipped_since is not None:
        alarm = _raised(alarm, found, now, moves) if alarm.active else _cleared(alarm, flipped_since, now, moves)
    elif alarm.active and found is not None and found.active and found.priority > alarm.priority:
        alarm = replace(alarm, priority=found.priority, seen=False)
        alarm = _go(replace(alarm, shelf=None), AlarmEvent.ESCALATE, now, moves)
    alarm = _placed(alarm, cause, now, moves)
    return alarm, tuple(moves)


def waited(alarm: Alarm, now: datetime) -> Moved:
    """Return the alarm after time has passed and nobody has looked at its condition: shelving ends."""
    moves: list[Move] = []
    if alarm.state is AlarmState.SHELVED and alarm.shelf is not None and now >= alarm.shelf.until:
        alarm = _returned(alarm, now, moves)
    return alarm, tuple(moves)


def _told(alarm: Alarm, found: Finding) -> Alarm:
    """Take up what a finding says beside whether it is there; a finding that judges nothing says nothing new."""
    alarm = replace(alarm, connection=found.connection, component=found.component, out_of_service=found.out_of_service)
    if not found.active:
        return alarm
    return replace(alarm, parameters=dict(found.parameters), machine=found.machine, due=found.due or alarm.due)


def _waited(alarm: Alarm, found: Finding | None, delays: Delays, now: datetime) -> tuple[Alarm, datetime | None]:
    """Return the alarm after the delays have had their say; and if its condition has flipped, since when."""
    told = False if found is None else found.active
    there = alarm.active if told is None else told
    if there == alarm.active:
        return replace(alarm, pending_since=None), None
    began = found.since if found is not None and found.since is not None and there else now
    since = alarm.pending_since or min(began, now)
    if now - since < (delays.on if there else delays.off):
        return replace(alarm, pending_since=since), None
    return replace(alarm, active=there, pending_since=None), since


def _raised(alarm: Alarm, found: Finding | None, now: datetime, moves: list[Move]) -> Alarm:
    assert found is not None  # nothing else says that a condition is there
    spells = (*alarm.spells, Spell(now))[-SPELLS_MAX:]
    due = found.due or now + alarm.traits.respond_within
    latched = alarm.latched or alarm.traits.latching
    alarm = replace(alarm, priority=found.priority, seen=False, latched=latched, due=due, spells=spells)
    return _go(alarm, AlarmEvent.RAISE, now, moves)


def _cleared(alarm: Alarm, gone: datetime, now: datetime, moves: list[Move]) -> Alarm:
    *before, newest = alarm.spells
    alarm = replace(alarm, spells=(*before, replace(newest, gone=gone, cleared=now)))
    return _go(alarm, AlarmEvent.LATCH if alarm.latched else AlarmEvent.CLEAR, now, moves)


def _placed(alarm: Alarm, cause: str, now: datetime, moves: list[Move]) -> Alarm:
    """Suppress what design explains, and bring back what is shelved or suppressed no longer."""
    alarm, returned = waited(alarm, now)
    moves += returned
    if alarm.state is AlarmState.SUPPRESSED:
        gone = not cause or not (alarm.active or alarm.latched)
        return _returned(alarm, now, moves) if gone else replace(alarm, cause=cause)
    if cause and alarm.state in (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED):
        return _go(replace(alarm, cause=cause), AlarmEvent.SUPPRESS, now, moves)
    return alarm


def _returned(alarm: Alarm, now: datetime, moves: list[Move], by: str = "") -> Alarm:
    """Bring an alarm back from the shelf or from suppression, to where its condition stands now."""
    if alarm.active:
        suppressed = alarm.state is AlarmState.SUPPRESSED
        event = AlarmEvent.RETURN_SEEN if suppressed and alarm.seen else AlarmEvent.RETURN_ACTIVE
    else:
        event = AlarmEvent.RETURN_LATCHED if alarm.latched else AlarmEvent.RETURN_NORMAL
    return _go(replace(alarm, shelf=None, cause=""), event, now, moves, by)


def _go(alarm: Alarm, event: AlarmEvent, now: datetime, moves: list[Move], by: str = "", reason: str = "") -> Alarm:
    target = after(alarm.state, event)
    moves.append(Move(alarm.key, now, event, alarm.state, target, alarm.priority, by, reason))
    return replace(alarm, state=target)


def acknowledged(alarm: Alarm, by: str, note: str, now: datetime) -> Moved:
    """Return the alarm after a named person has seen it; a latched one that was seen already is reset.

    Raises `Refused` when it does not wait for anybody.
    """
    moves: list[Move] = []
    match alarm.state:
        case AlarmState.UNACKNOWLEDGED | AlarmState.RETURNED | AlarmState.LATCHED_UNACKNOWLEDGED:
            seen = replace(alarm, seen=True, seen_by=by, seen_at=now)
            alarm = _go(seen, AlarmEvent.ACKNOWLEDGE, now, moves, by, note)
        case AlarmState.LATCHED:
            alarm = _go(replace(alarm, latched=False), AlarmEvent.RESET, now, moves, by, note)
        case _:
            raise Refused(_("This alarm does not wait for anybody; nothing changed."))
    return alarm, tuple(moves)


def shelved(alarm: Alarm, by: str, reason: str, until: datetime, now: datetime) -> Moved:
    """Return the alarm after a named person has put it aside until then, and said why. Raises `Refused`."""
    if alarm.state not in SHELVABLE:
        raise Refused(_("Only an alarm that is active can be shelved; nothing changed."))
    if not reason.strip():
        raise Refused(_("Say why it is shelved: whoever looks next must know. Nothing changed."))
    if not now < until <= now + SHELF_MAX:
        sentence = _("An alarm is shelved for some time, and for {days} days at most; nothing changed.")
        raise Refused(sentence.format(days=SHELF_MAX.days))
    moves: list[Move] = []
    aside = replace(alarm, shelf=Shelf(by, reason.strip(), now, until))
    return _go(aside, AlarmEvent.SHELVE, now, moves, by, reason.strip()), tuple(moves)


def unshelved(alarm: Alarm, by: str, now: datetime) -> Moved:
    """Return the alarm after a named person has taken it from the shelf before its time. Raises `Refused`."""
    if alarm.state is not AlarmState.SHELVED:
        raise Refused(_("This alarm is not shelved; nothing changed."))
    moves: list[Move] = []
    return _returned(alarm, now, moves, by), tuple(moves)


def annunciates(moves: tuple[Move, ...]) -> bool:
    """Tell whether some moves, taken together, call for a person who was not called before."""
    if not moves or moves[-1].after is not AlarmState.UNACKNOWLEDGED:
        return False
    return moves[0].before is not AlarmState.UNACKNOWLEDGED or any(m.event is AlarmEvent.ESCALATE for m in moves)


def is_standing(alarm: Alarm, now: datetime) -> bool:
    """Tell whether an alarm is stale: there for a day longer than somebody should have needed."""
    return alarm.active and alarm.due is not None and now - alarm.due > STANDING


def is_chattering(alarm: Alarm, now: datetime) -> bool:
    """Tell whether an alarm comes and goes too often to be acted on."""
    return sum(now - spell.raised <= CHATTER_WITHIN for spell in alarm.spells) >= CHATTER_RAISES


def is_fleeting(alarm: Alarm, now: datetime) -> bool:
    """Tell whether an alarm's spells were over again and again before anybody could respond."""
    brief = (spell for spell in _recent(alarm, now) if spell.cleared and spell.cleared - spell.raised <= FLEETING)
    return sum(1 for _spell in brief) >= CHATTER_RAISES


def _recent(alarm: Alarm, now: datetime) -> list[Spell]:
    return [spell for spell in alarm.spells if now - spell.raised <= CHATTER_WITHIN]


def calmer(alarm: Alarm, delays: Delays, now: datetime) -> Delays | None:
    """Return delays with which an alarm that chatters would have been raised once; None where it needs none.

    It is a proposal, for a person to write into the config. A chattering alarm gets an off-delay longer than every gap
    between its spells. None, too, where that would be longer than a day: then something has to be repaired.
    """
    if not is_chattering(alarm, now):
        return None
    spells = _recent(alarm, now)
    pairs = pairwise(spells)
    longest = max((later.raised - earlier.gone for earlier, later in pairs if earlier.gone), default=NOTHING)
    off = _whole_minutes(longest)
    return Delays(delays.on, off) if delays.off < off <= DELAY_MAX else None


def _whole_minutes(span: timedelta) -> timedelta:
    """Return the next whole minute that is longer."""
    return (span // _MINUTE + 1) * _MINUTE


def document_of(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as plain JSON values."""
    shelf = alarm.shelf
    return {
        "kind": alarm.kind.value,
        "subject": alarm.subject,
        "machine": alarm.machine,
        "state": alarm.state.value,
        "active": alarm.active,
        "priority": alarm.priority.word,
        "parameters": dict(alarm.parameters),
        "pending_since": _text(alarm.pending_since),
        "due": _text(alarm.due),
        "connection": alarm.connection,
        "component": alarm.component,
        "out_of_service": alarm.out_of_service,
        "seen": alarm.seen,
        "seen_by": alarm.seen_by,
        "seen_at": _text(alarm.seen_at),
        "latched": alarm.latched,
        "shelf": shelf and [shelf.by, shelf.reason, shelf.at.isoformat(), shelf.until.isoformat()],
        "cause": alarm.cause,
        "spells": [[_text(each) for each in (spell.raised, spell.gone, spell.cleared)] for spell in alarm.spells],
    }


def alarm_of(document: Mapping[str, Any]) -> Alarm:
    """Return the alarm that a document of `document_of` says. Any other raises ValueError, KeyError or TypeError."""
    shelf = document["shelf"]
    return Alarm(
        kind=AlarmKind(document["kind"]),
        subject=document["subject"],
        machine=document["machine"],
        state=AlarmState(document["state"]),
        active=document["active"],
        priority=Priority[document["priority"].upper()],
        parameters=document["parameters"],
        pending_since=_moment(document["pending_since"]),
        due=_moment(document["due"]),
        connection=document["connection"],
        component=document["component"],
        out_of_service=document["out_of_service"],
        seen=document["seen"],
        seen_by=document["seen_by"],
        seen_at=_moment(document["seen_at"]),
        latched=document["latched"],
        shelf=shelf and Shelf(shelf[0], shelf[1], *(datetime.fromisoformat(each) for each in shelf[2:])),
        cause=document["cause"],
        spells=tuple(Spell(datetime.fromisoformat(first), *map(_moment, rest)) for first, *rest in document["spells"]),
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
