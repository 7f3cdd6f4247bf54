"""What a machine said, when it said it, and how far it can be believed.

A `Batch` is what arrived together, in columns: a line of 5,000 tags at 10 Hz is 50,000 values a second, and an object
for each would cost more than everything that is done with them. A `Sample` is one of its rows, for whoever looks at
values one by one. Both keep two times: the device's own (source) and ours (receive); the columns hold them as ticks
of 100 ns since 1970 UTC, as exact as OPC-UA's own. `Quality` follows the OPC-UA status code (OPC 10000-8),
`Provenance` says whether the wire was authenticated and encrypted. Everything above reads these types; nothing above
reads a register.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

TICKS_PER_SECOND: Final = 10_000_000
"""Ticks of 100 ns, as OPC-UA counts time (OPC 10000-6, 5.2.2.5)."""

Numbers = NDArray[np.int32]
Values = NDArray[np.float64]
Qualities = NDArray[np.uint8]
Ticks = NDArray[np.int64]

WINDOW_MAX: Final = 65_536
"""Numbers in a window: 2.5 s at 25.6 kHz, and half a megabyte."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST_TICK: Final = -621_355_968_000_000_000
_LAST_TICK: Final = 2_534_023_007_999_999_990
"""0001-01-01 and 9999-12-31T23:59:59.999999: what a calendar can hold."""


def ticks_of(moment: datetime) -> int:
    """Return an aware time as ticks of 100 ns since 1970 UTC, exactly."""
    return (moment - _EPOCH) // _MICROSECOND * 10


def moment_of(ticks: int) -> datetime:
    """Return ticks as a time: to the microsecond, rounded down, and no farther than a calendar goes."""
    return _EPOCH + min(max(ticks, _FIRST_TICK), _LAST_TICK) // 10 * _MICROSECOND


class Quality(IntEnum):
    """How far a value can be believed; ordered, so that `max` is the worst."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Provenance(StrEnum):
    """How a value reached us: A authenticated and encrypted, B in the clear."""

    A = "A"
    B = "B"

    def weakest(self, other: Provenance) -> Provenance:
        """Return the class of a conclusion drawn from both."""
        return max(self, other)


@dataclass(frozen=True, slots=True)
class Tag:
    """A named point of a machine: `key` is `machine/tag`, permanent; `unit` as written in the config."""

    key: str
    unit: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one tag; `value` is in the unit of its tag and is NaN only when the quality is BAD or it is a text.

    text: what the machine says in words, such as a string or the name of an enumeration's value; `value` is NaN, or
    the number that the words stand for.
    """

    tag: str
    value: float
    quality: Quality
    source_time: datetime
    receive_time: datetime
    provenance: Provenance
    text: str | None = None


def wholes(key: str) -> Iterator[str]:
    """Yield what a value may be a part of: its own tag, and each that ends before a dot of it."""
    yield key
    for place, sign in enumerate(key):
        if sign == ".":
            yield key[:place]


class Keys:
    """Tags by number: a number stands for the same tag for as long as the object lives; it only grows."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys: list[str] = []
        self._numbers: dict[str, int] = {}
        self._adopted: WeakKeyDictionary[Keys, Numbers] = WeakKeyDictionary()
        for key in keys:
            self.number(key)

    def number(self, key: str) -> int:
        """Return a tag's number, giving it the next one when it has none."""
        found = self._numbers.setdefault(key, len(self._keys))
        if found == len(self._keys):
            self._keys.append(key)
        return found

    def adopt(self, batch: Batch) -> Batch:
        """Return a batch with its tags numbered by these keys; those that have no number yet get one."""
        if batch.keys is self:
            return batch
        numbers = self._adopted.get(batch.keys)
        if numbers is None or len(numbers) < len(batch.keys):
            numbers = self._adopted[batch.keys] = np.array([self.number(key) for key in batch.keys], np.int32)
        return replace(batch, keys=self, tags=numbers[batch.tags])

    def find(self, key: str) -> int | None:
        """Return a tag's number, or None when it has none."""
        return self._numbers.get(key)

    def __getitem__(self, number: int) -> str:
        return self._keys[number]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What arrived together from one connection, in columns of one length, in the order in which it arrived.

    keys: the tags; `tags` holds each row's number in it.
    source, received: ticks of 100 ns since 1970 UTC, see `ticks_of`.
    texts: the row to its text, for the few rows that have one.
    windows: the row to the array that it stands for, for the few tags whose readings are whole arrays (a raw window, a
    spectrum); its own value is NaN. It is empty where the machine sent none. At most `WINDOW_MAX` numbers.
    recalled: True for what was read from the machine's own history after a gap: it is older than what is known.
    """

    connection: str
    keys: Keys
    tags: Numbers
    values: Values
    quality: Qualities
    source: Ticks
    received: Ticks
    provenance: Provenance
    texts: Mapping[int, str] = field(default_factory=dict)
    recalled: bool = False
    windows: Mapping[int, Values] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: str, samples: Sequence[Sample], *, keys: Keys | None = None) -> Batch:
        """Return samples as a batch. Raises ValueError when some were protected on the wire and others were not."""
        provenances = {sample.provenance for sample in samples} or {Provenance.B}
        if len(provenances) > 1:
            raise ValueError("a batch comes over one wire")
        keys = Keys() if keys is None else keys
        return cls(
            connection,
            keys,
            np.array([keys.number(sample.tag) for sample in samples], np.int32),
            np.array([sample.value for sample in samples], np.float64),
            np.array([sample.quality for sample in samples], np.uint8),
            np.array([ticks_of(sample.source_time) for sample in samples], np.int64),
            np.array([ticks_of(sample.receive_time) for sample in samples], np.int64),
            provenances.pop(),
            {row: sample.text for row, sample in enumerate(samples) if sample.text is not None},
        )

    def __len__(self) -> int:
        return len(self.tags)

    def __iter__(self) -> Iterator[Sample]:
        """Yield the rows as samples, for whoever looks at few."""
        columns = (each.tolist() for each in (self.tags, self.values, self.quality, self.source, self.received))
        for row, (tag, value, quality, source, received) in enumerate(zip(*columns, strict=True)):
            times = moment_of(source), moment_of(received)
            yield Sample(self.keys[tag], value, Quality(quality), *times, self.provenance, self.texts.get(row))

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The rows as samples."""
        return tuple(self)


_HOURS = {"ms": 1 / 3_600_000, "s": 1 / 3600, "min": 1 / 60, "h": 1.0, "d": 24.0, "week": 168.0, "year": 8766.0}

# A unit begins with a letter, a degree or a percent, or reads "1/min", or is UCUM's unity, a 1 after a space; so `1e3`
# and `12 3h`, which their writers may mean as other numbers than we would read, are refused and never half understood.
_NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?)"
_UNIT = r"(?![eE][0-9+-])((?<=\s)1|(?:(?<=\s)1/)?[A-Za-z°%µμΩ][A-Za-z0-9°%µμΩ/²³·^]*)"
_MEASURE = re.compile(rf"\s*{_NUMBER}\s*{_UNIT}\s*")


@dataclass(frozen=True, slots=True)
class Measure:
    """A value with its unit, as people write it in a config: `20000 h`, `2.8 mm/s`, `14 d`."""

    value: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> Measure:
        """Return what a text says. Raises ValueError when the number or the unit is missing, or could be misread."""
        match = _MEASURE.fullmatch(str(text))
        if match is None or not math.isfinite(value := float(match[1])):
            raise ValueError(f"{str(text)[:60]!r} needs a number and its unit, such as '14 d' or '2.8 mm/s'")
        return cls(value, match[2])

    @property
    def duration(self) -> timedelta:
        """The value as a span of calendar time. Raises ValueError when its unit is none of time or it is too long."""
        if self.unit not in _HOURS:
            raise ValueError(f"{self.unit!r} is not a unit of time; use one of {', '.join(_HOURS)}")
        try:
            return timedelta(hours=self.value * _HOURS[self.unit])
        except OverflowError as error:
            raise ValueError(f"{self} is longer than a calendar can hold") from error

    def __str__(self) -> str:
        """The measure as `parse` reads it: every digit, no exponent."""
        return f"{Decimal(repr(self.value)).normalize():f} {self.unit}"
