"""What a machine said, when it said it, and how far it can be believed.

A `Sample` is one value of one tag. It keeps two times: the device's own (`source_time`) and ours (`receive_time`),
both aware and UTC. Its `Quality` follows the OPC-UA status code (OPC 10000-8), its `Provenance` says whether the
wire was authenticated and encrypted. Everything above reads these types; nothing above reads a register.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum


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
    """One value of one tag; `value` is in the unit of its tag and may be NaN only when the quality is BAD."""

    tag: str
    value: float
    quality: Quality
    source_time: datetime
    receive_time: datetime
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples that arrived together from one connection, in the order in which they arrived."""

    connection: str
    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)


_HOURS = {"ms": 1 / 3_600_000, "s": 1 / 3600, "min": 1 / 60, "h": 1.0, "d": 24.0, "week": 168.0, "year": 8766.0}

# A unit begins with a letter, a degree or a percent, or reads "1/min"; so `1e3` and `12 3h`, which their writers may
# mean as other numbers than we would read, are refused and never half understood.
_NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?)"
_UNIT = r"(?![eE][0-9+-])((?:(?<=\s)1/)?[A-Za-z°%µμΩ][A-Za-z0-9°%µμΩ/²³·^]*)"
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
