"""Which sensors stand still although their machine runs: the same value, to the last bit, for too long.

A measured value is never exactly the same for days while the machine beside it works, unless it is coarse or stuck; a
machine that stands moves nothing, and that is no fault. Of a tag nothing is concluded before it has been watched for
long enough, or has moved. Values are given at each look; one number and two times are kept for each tag. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from maintenance.alarms.conditions import Stuck


@dataclass(slots=True)
class _Still:
    value: float
    since: datetime
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Sensor:
    """A measured tag `machine/tag` of a component, and how long it may stand still while its machine runs."""

    tag: str
    component: str
    after: timedelta


class Stillness:
    """How long every tag has stood still; see the module."""

    def __init__(self) -> None:
        self._tags: dict[str, _Still] = {}
        self._running: dict[str, datetime] = {}

    def look(self, values: Mapping[str, float], now: datetime) -> None:
        """Take the newest value of each tag that has one; a tag that is not named any more is forgotten."""
        for tag in self._tags.keys() - values.keys():
            del self._tags[tag]
        for tag, value in values.items():
            known = self._tags.get(tag)
            if known is None:
                self._tags[tag] = _Still(value, now)
            elif known.value != value:
                known.value, known.since, known.moved = value, now, True
                self._running[tag.partition("/")[0]] = now

    def stuck(self, sensors: Iterable[Sensor]) -> Iterator[Stuck]:
        """Yield the sensors that are stuck, and those of which it is not known yet."""
        for sensor in sensors:
            still = self._tags.get(sensor.tag)
            if still is None:
                continue
            running = self._running.get(sensor.tag.partition("/")[0], still.since)
            if running - still.since >= sensor.after:
                yield Stuck(sensor.tag, sensor.component, still.value, True, still.since)
            elif not still.moved:
                yield Stuck(sensor.tag, sensor.component, still.value, None, still.since)
