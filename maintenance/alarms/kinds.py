"""Every kind of condition alarm with what the standard wants of each: an action, a time for it, and a consequence.

An alarm that asks nothing of anybody is no alarm (ANSI/ISA-18.2-2016, 3.1.7): a kind without an action, a time to
respond or a consequence cannot be made. Limits and delays here are the defaults of a site that says nothing; sentences
are rendered when somebody reads them. Priority follows from how bad it is and how soon something must be done, after
the matrix of the standard's rationalisation (clause 10; EEMUA 191): most alarms are low, few are critical.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from gettext import gettext as _
from typing import Final


class AlarmKind(StrEnum):
    """What can be wrong; the words stay the same for ever."""

    CONNECTION_LOST = "connection_lost"
    TAG_UNREADABLE = "tag_unreadable"
    SENSOR_SILENT = "sensor_silent"
    SENSOR_STUCK = "sensor_stuck"
    COUNTER_DOUBTED = "counter_doubted"
    CONTRADICTION = "contradiction"
    NEW_PART_PROPOSED = "new_part_proposed"
    HEALTH_LOW = "health_low"
    FAILURE_LIKELY = "failure_likely"
    DECIDE_BY_NEAR = "decide_by_near"


class Priority(IntEnum):
    """How soon to look; higher first."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The priority as configs, programs and tables write it."""
        return self.name.lower()


class Consequence(StrEnum):
    """How bad it is when nobody does anything about a component."""

    MINOR = "minor"
    MODERATE = "moderate"
    SEVERE = "severe"


class LimitUnit(StrEnum):
    """What a kind's limit measures: a share in per cent, or a span of time."""

    NONE = ""
    SHARE = "%"
    TIME = "h"


SHIFT: Final = timedelta(hours=8)
DAYS: Final = timedelta(days=3)
NOTHING: Final = timedelta(0)

_MATRIX: Final[Mapping[Consequence, tuple[Priority, Priority, Priority]]] = {
    Consequence.SEVERE: (Priority.CRITICAL, Priority.HIGH, Priority.MEDIUM),
    Consequence.MODERATE: (Priority.HIGH, Priority.MEDIUM, Priority.LOW),
    Consequence.MINOR: (Priority.MEDIUM, Priority.LOW, Priority.LOW),
}
"""By consequence: something must be done within the shift, within three days, later."""


def priority_of(consequence: Consequence, respond_within: timedelta) -> Priority:
    """Return the priority of something that is so bad and leaves so much time."""
    soon, days, later = _MATRIX[consequence]
    return soon if respond_within <= SHIFT else days if respond_within <= DAYS else later


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of alarm; the texts are templates in English, translated when read.

    respond_within: the time to respond where the finding itself knows none. limit, band: where it is raised, and by how
    much more the value must have recovered to clear; a share of one, or hours. low_is_bad: raised below the limit.
    on_delay, off_delay: how long the condition must last, and be gone. latching: a person must reset it, because what
    was concluded meanwhile may be wrong. heard: it speaks of what is heard over a connection, so a lost connection
    explains it.
    """

    code: AlarmKind
    what: str
    action: str
    consequence: str
    respond_within: timedelta
    unit: LimitUnit = LimitUnit.NONE
    limit: float = 0.0
    band: float = 0.0
    low_is_bad: bool = True
    on_delay: timedelta = NOTHING
    off_delay: timedelta = NOTHING
    latching: bool = False
    heard: bool = False

    def __post_init__(self) -> None:
        for name, text in (("what", self.what), ("action", self.action), ("consequence", self.consequence)):
            if not text.strip():
                raise ValueError(f"an alarm without '{name}' tells nobody what to do: {self.code}")
        if self.respond_within <= NOTHING:
            raise ValueError(f"an alarm leaves time to respond: {self.code}")
        if min(self.on_delay, self.off_delay) < NOTHING or self.band < 0:
            raise ValueError(f"delays and bands are not below zero: {self.code}")

    def beyond(self, value: float, limit: float, band: float) -> bool | None:
        """Return whether a value is beyond the limit; None within the band, where everything stays as it was."""
        distance = limit - value if self.low_is_bad else value - limit
        return True if distance >= 0 else None if -distance < band else False


def _later(text: str) -> str:
    """Mark a text for translation; it is translated when it is read."""
    return text


_ALL: Final = (
    Kind(
        AlarmKind.CONNECTION_LOST,
        _later("The connection {connection} is lost; {tags} tags and {components} components are not heard."),
        _later("Look at the network, at the machine's server and at its certificate; the gateway goes on trying."),
        _later("What these machines need is not noticed until the connection is back."),
        timedelta(days=1),
        on_delay=timedelta(minutes=2),
        off_delay=timedelta(minutes=5),
    ),
    Kind(
        AlarmKind.TAG_UNREADABLE,
        _later("{tag} cannot be read: {reason}"),
        _later("Correct the tag's address in the config or give it back on the machine, then 'toolcrib reload'."),
        _later("What rests on this tag is not known, so a person is asked about every purchase for it."),
        timedelta(days=7),
        on_delay=timedelta(minutes=5),
        off_delay=timedelta(minutes=5),
        heard=True,
    ),
    Kind(
        AlarmKind.SENSOR_SILENT,
        _later("{tag} has been silent for too long."),
        _later("Look at the sensor and its cable; until it speaks, type in what you read off ('toolcrib reading')."),
        _later("What rests on this tag is not known, so a person is asked about every purchase for it."),
        timedelta(days=7),
        on_delay=timedelta(minutes=10),
        heard=True,
    ),
    Kind(
        AlarmKind.SENSOR_STUCK,
        _later("{tag} stands at {value} and has not moved although its machine runs."),
        _later("Compare the value with the machine; look at the sensor, and repair it if it is stuck."),
        _later("A sensor that is stuck shows no wear, so the part may fail without a warning."),
        timedelta(days=14),
        unit=LimitUnit.TIME,
        limit=7 * 24.0,
        low_is_bad=False,
        heard=True,
    ),
    Kind(
        AlarmKind.COUNTER_DOUBTED,
        _later("The counter of {component} jumped, and nobody has said why."),
        _later("Read the counter and type it in ('toolcrib reading'), or enter the new part ('toolcrib fitted')."),
        _later("How much the part has run is not known, so a person is asked about every purchase for it."),
        timedelta(days=7),
        latching=True,
        heard=True,
    ),
    Kind(
        AlarmKind.CONTRADICTION,
        _later("The counters of {component} contradict each other."),
        _later("Look which counter is right: enter the new part ('toolcrib fitted'), or what you read off."),
        _later("Whether the part is new or old is not known, so a person is asked about every purchase for it."),
        timedelta(days=7),
        latching=True,
        heard=True,
    ),
    Kind(
        AlarmKind.NEW_PART_PROPOSED,
        _later("It looks as if a new part was fitted in {component}, and nobody has said so."),
        _later("Enter the fitting ('toolcrib fitted'), or type in a reading that shows that the old part is still in."),
        _later("The age of the part is not known, so a person is asked about every purchase for it."),
        timedelta(days=7),
        heard=True,
    ),
    Kind(
        AlarmKind.HEALTH_LOW,
        _later("{component} has {value} of its health left; the limit is {limit}."),
        _later("Plan the job that renews it, and see that its part is here or on its way."),
        _later("Left alone it wears out, and the machine stops when nobody has planned it."),
        timedelta(days=7),
        unit=LimitUnit.SHARE,
        limit=0.20,
        band=0.05,
    ),
    Kind(
        AlarmKind.FAILURE_LIKELY,
        _later("{component} fails before a part ordered now could be here with a probability of {value}."),
        _later("Fit a part if one is here; if not, have it sent faster, or take load off the machine until it comes."),
        _later("The machine stops before the part is here, and stands still until it comes."),
        DAYS,
        unit=LimitUnit.SHARE,
        limit=0.50,
        band=0.10,
        low_is_bad=False,
    ),
    Kind(
        AlarmKind.DECIDE_BY_NEAR,
        _later("Whether to buy for {component} must be decided soon, and the decision is a person's."),
        _later("Approve or reject the order that waits; where none waits, order the part yourself."),
        _later("Decided later, the part comes too late, and waiting for it costs more than it saves."),
        DAYS,
        unit=LimitUnit.TIME,
        limit=48.0,
        band=24.0,
    ),
)  # fmt: skip

KINDS: Final[Mapping[AlarmKind, Kind]] = {kind.code: kind for kind in _ALL}


def told(text: str, parameters: Mapping[str, str]) -> str:
    """Return a text of a kind in the reader's language; a parameter that is missing shows as a question mark."""
    return filled(_(text), parameters)


def filled(text: str, parameters: Mapping[str, str]) -> str:
    """Return a text that is translated already with its figures."""
    return text.format_map(defaultdict(lambda: "?", parameters))


@dataclass(frozen=True, slots=True)
class Phrases:
    """The texts of a kind in the reader's language, looked up once for all its alarms."""

    what: str
    action: str
    consequence: str

    @classmethod
    def of(cls, kind: Kind) -> Phrases:
        """Return the texts of a kind."""
        return cls(_(kind.what), _(kind.action), _(kind.consequence))
