"""Maintenance windows: when a machine may be worked on, week by week, in the plant's own time zone.

A window is said as people say it: `saturday 06:00-14:00`, `monday-friday 22:00-06:00` (over midnight), `daily
00:00-24:00`. `Windows.next` returns the first one with room for a job, as plant time. Windows that touch are one. Where
clocks are put forward or back a window keeps to what is safe: it begins at the later and ends at the earlier of the two
moments that a wall clock's reading may mean, so no moment of it reads outside of what was said; one that lies wholly in
the hour that is skipped or comes twice is left out that day. A plant that names none may be worked on at any time.
It knows no clock: the moment to start from and the time zone are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from gettext import gettext as _
from typing import Final

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAILY: Final = "daily"
DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
LOOK_AHEAD: Final = timedelta(days=21)
"""A week repeats itself; a window that the clocks leave out in one week is there in the next."""
JOB_MAX: Final = timedelta(days=31)
"""A job that takes longer than this is no job for a maintenance window."""
_SAID: Final = re.compile(r"([a-z]+)(?:\s*-\s*([a-z]+))?\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class Window:
    """From when until when, aware, in UTC; `end` is no longer part of it."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Weekly:
    """A window that returns every week: on these days (Monday is 0), from and to so long after local midnight.

    A `to` that is not after `since` lies on the day after.
    """

    days: tuple[int, ...]
    since: timedelta
    to: timedelta

    @classmethod
    def parse(cls, text: str) -> Weekly:
        """Return the window that a text such as `saturday 06:00-14:00` says. Raises ValueError with a sentence."""
        said = _SAID.fullmatch(text.strip().lower())
        if said is None:
            raise ValueError(_("write days and times, such as 'saturday 06:00-14:00' or 'monday-friday 22:00-06:00'"))
        first, last, *figures = said.groups()
        since, to = _time_of_day(*figures[:2]), _time_of_day(*figures[2:])
        if since == DAY:
            raise ValueError(_("a window begins before 24:00; 24:00 is only its end"))
        return cls(_days(first, last), since, to)

    def __str__(self) -> str:
        first = next((day for day in self.days if (day - 1) % 7 not in self.days), None)
        named = DAILY if first is None else DAYS[first]
        if first is not None and len(self.days) > 1:
            named += f"-{DAYS[(first + len(self.days) - 1) % 7]}"
        return f"{named} {_written(self.since)}-{_written(self.to)}"

    def on(self, day: date, zone: tzinfo) -> Window | None:
        """Return the window that begins on a day, None where there is none."""
        if day.weekday() not in self.days:
            return None
        ends = self.to if self.to > self.since else self.to + DAY
        start, end = max(_moments(day, self.since, zone)), min(_moments(day, ends, zone))
        return Window(start, end) if start < end else None


def _time_of_day(hours: str, minutes: str) -> timedelta:
    found = timedelta(hours=int(hours), minutes=int(minutes))
    if int(minutes) > 59 or found > DAY:
        raise ValueError(_("{time} is no time of day").format(time=f"{hours}:{minutes}"))
    return found


def _written(after_midnight: timedelta) -> str:
    hours, minutes = divmod(after_midnight // timedelta(minutes=1), 60)
    return f"{hours:02}:{minutes:02}"


def _days(first: str, last: str | None) -> tuple[int, ...]:
    if first == DAILY and last is None:
        return tuple(range(7))
    for name in (first, last or first):
        if name not in DAYS:
            known = ", ".join((*DAYS, DAILY))
            raise ValueError(_("{name} is no day; write one of: {known}").format(name=name, known=known))
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return tuple(sorted((begin + step) % 7 for step in range((end - begin) % 7 + 1)))


def _moments(day: date, after_midnight: timedelta, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the moments that a wall clock's reading may mean; the same one twice on nearly every day."""
    reading = datetime.combine(day, time()) + after_midnight  # naive, hence by the wall clock
    first, second = (reading.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


@dataclass(frozen=True, slots=True)
class Windows:
    """When the plant may be worked on; `weekly` empty: always."""

    weekly: tuple[Weekly, ...] = ()
    zone: tzinfo = UTC

    def next(self, after: datetime, duration: timedelta = timedelta(0)) -> Window | None:
        """Return the first window with room for a job that begins at or after a moment (aware).

        What is returned begins with the job and ends where the window does; None: no window is long enough. Raises
        ValueError for a duration below zero or beyond `JOB_MAX`, and for a naive moment.
        """
        if not timedelta(0) <= duration <= JOB_MAX:
            raise ValueError(_("a job takes up to {days} days").format(days=JOB_MAX.days))
        if after.tzinfo is None:
            raise ValueError("plant time is aware")
        after = after.astimezone(UTC)
        if not self.weekly:
            return Window(after, after + duration)
        for window in _joined(self._between(after, after + LOOK_AHEAD + duration)):
            start = max(window.start, after)
            if start < window.end and start + duration <= window.end:
                return Window(start, window.end)
        return None

    def beginnings(self, after: datetime, duration: timedelta = timedelta(0)) -> tuple[tuple[datetime, datetime], ...]:
        """Return from when until when a job may begin in the week after a moment (aware), in their order.

        Empty where it may begin at any time, or no window is long enough. Raises ValueError as `next` does.
        """
        if self.next(after, duration) is None or not self.weekly:
            return ()
        after = after.astimezone(UTC)
        until = after + WEEK
        found = _joined(self._between(after, until + duration))
        spans = ((max(each.start, after), min(each.end - duration, until)) for each in found)
        return tuple((first, last) for first, last in spans if first <= last)

    def _between(self, after: datetime, until: datetime) -> Iterator[Window]:
        """Yield every window that may reach into a span."""
        first = after.astimezone(self.zone).date() - 2 * DAY  # one that begins the day before may end in it
        for ahead in range((until - after).days + 4):
            found = (each.on(first + ahead * DAY, self.zone) for each in self.weekly)
            yield from (window for window in found if window is not None)


def _joined(windows: Iterable[Window]) -> list[Window]:
    """Return windows in their order, those that overlap or touch as one."""
    joined: list[Window] = []
    for window in sorted(windows, key=lambda each: (each.start, each.end)):
        if joined and window.start <= joined[-1].end:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, window.end))
        else:
            joined.append(window)
    return joined
