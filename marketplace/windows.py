"""Maintenance windows: when a machine may be worked on, week by week or once, in the plant's own time zone.

A window is said as people say it: `saturday 06:00-14:00`, `monday-friday 22:00-06:00` (over midnight), `daily
00:00-24:00`, `2026-12-12 06:00 to 14:00`, `2026-12-24 14:00 to 2027-01-02 06:00`. `Windows.next` returns the first one
with room for a job, as plant time. Windows that overlap or touch are one. Where clocks are put forward or back a window
keeps to what is safe: it begins at the later and ends at the earlier of the two moments that a wall clock's reading may
mean, so no moment of it reads outside of what was said; one that lies wholly in the hour that is skipped or comes twice
is left out that day. A window is for the machines that it names, or for all (`PlantWindows`). A machine for which there
is none may be worked on at any time; one for which there are only windows that come once may be worked on in these, and
in none when they are over.
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
ONCE_MAX: Final = timedelta(days=62)
"""The longest window that comes once: twice the longest job, as where a plant is rebuilt in summer."""
YEAR_MIN, YEAR_MAX = 2000, 2099
_SAID: Final = re.compile(r"([a-z]+)(?:\s*-\s*([a-z]+))?\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


_DATED: Final = re.compile(r"\s*\d{4}-")
_SAID_ONCE: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})\s+(\d{1,2}):(\d{2})\s*(?:to|-)\s*(?:(\d{4}-\d{2}-\d{2})\s+)?(\d{1,2}):(\d{2})"
)


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
            raise ValueError(_("write days and times, such as 'saturday 06:00-14:00' or '2026-12-12 06:00 to 14:00'"))
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


@dataclass(frozen=True, slots=True)
class Once:
    """A window that comes once: from `since` after local midnight of `day` until `to` after that of `last`."""

    day: date
    since: timedelta
    last: date
    to: timedelta

    @classmethod
    def parse(cls, text: str) -> Once:
        """Return the window that a text such as `2026-12-12 06:00 to 14:00` says. Raises ValueError with a sentence.

        An end without a day that is not after the beginning lies on the day after.
        """
        said = _SAID_ONCE.fullmatch(text.strip().lower())
        if said is None:
            raise ValueError(_("write a day and times, such as '2026-12-12 06:00 to 14:00'"))
        begins, hours, minutes, ends, *until = said.groups()
        since, to, day = _time_of_day(hours, minutes), _time_of_day(*until), _day(begins)
        if since == DAY:
            raise ValueError(_("a window begins before 24:00; 24:00 is only its end"))
        last = _day(ends) if ends else day + DAY * (to <= since)
        if not timedelta(0) < (last - day) + (to - since) <= ONCE_MAX:
            raise ValueError(_("a window ends after it begins, within {days} days").format(days=ONCE_MAX.days))
        return cls(day, since, last, to)

    def __str__(self) -> str:
        ends = _written(self.to)
        if self.last != self.day + DAY * (self.to <= self.since):
            ends = f"{self.last} {ends}"
        return f"{self.day} {_written(self.since)} to {ends}"

    def within(self, zone: tzinfo) -> Window | None:
        """Return the window, None where it lies in an hour that clocks leave out or show twice."""
        start, end = max(_moments(self.day, self.since, zone)), min(_moments(self.last, self.to, zone))
        return Window(start, end) if start < end else None


def window_said(text: str) -> Weekly | Once:
    """Return the window that a text says, weekly or once. Raises ValueError with a sentence."""
    return Once.parse(text) if _DATED.match(text) else Weekly.parse(text)


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise ValueError(_("{day} is no day").format(day=text)) from None
    if not YEAR_MIN <= found.year <= YEAR_MAX:
        raise ValueError(_("{day} is no day of this century").format(day=text))
    return found


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
    """When a machine may be worked on; `weekly` and `once` empty: always."""

    weekly: tuple[Weekly, ...] = ()
    zone: tzinfo = UTC
    once: tuple[Once, ...] = ()

    @classmethod
    def of(cls, said: Iterable[Weekly | Once], zone: tzinfo) -> Windows:
        """Return the windows that are said together."""
        said = tuple(said)
        weekly = tuple(each for each in said if isinstance(each, Weekly))
        return cls(weekly, zone, tuple(each for each in said if isinstance(each, Once)))

    def next(self, after: datetime, duration: timedelta = timedelta(0)) -> Window | None:
        """Return the first window with room for a job that begins at or after a moment (aware).

        What is returned begins with the job and ends where the window does; None: no window is long enough. Raises
        ValueError for a duration below zero or beyond `JOB_MAX`, and for a naive moment.
        """
        after = _checked(after, duration)
        if not self.weekly and not self.once:
            return Window(after, after + duration)
        found = self._first(after, after + LOOK_AHEAD + duration, after, duration)
        if found is not None:
            return found
        for single in self._to_come(after):
            found = self._first(single.start - WEEK, single.end + WEEK, after, duration)
            if found is not None:
                return found
        return None

    def _first(self, since: datetime, until: datetime, after: datetime, duration: timedelta) -> Window | None:
        for window in _joined(self._between(since, until)):
            start = max(window.start, after)
            if start < window.end and start + duration <= window.end:
                return Window(start, window.end)
        return None

    def beginnings(self, after: datetime, duration: timedelta = timedelta(0)) -> tuple[tuple[datetime, datetime], ...]:
        """Return from when until when a job may begin in the week after a moment (aware), and again each week.

        In their order; of those windows alone that return. Empty where it may begin at any time, or no window is long
        enough. Raises ValueError as `next` does.
        """
        after = _checked(after, duration)
        until = after + WEEK
        found = _joined(self._returning(after, until + duration))
        spans = ((max(each.start, after), min(each.end - duration, until)) for each in found)
        return tuple((first, last) for first, last in spans if first <= last)

    def chances(self, after: datetime, duration: timedelta = timedelta(0)) -> tuple[tuple[datetime, datetime], ...]:
        """Return the same of windows that come once, each with what it joins of those that return, for ever.

        In their order and apart. Raises ValueError as `next` does.
        """
        after = _checked(after, duration)
        found: set[Window] = set()
        for single in self._to_come(after):
            around = _joined(self._between(single.start - WEEK, single.end + WEEK))
            found.update(each for each in around if each.start <= single.start and single.end <= each.end)
        spans = ((max(each.start, after), each.end - duration) for each in _joined(found))
        return tuple((first, last) for first, last in spans if first <= last)

    def _to_come(self, after: datetime) -> list[Window]:
        """Return the windows that come once and are not over, in their order, each for itself."""
        found = (each.within(self.zone) for each in self.once)
        return sorted((each for each in found if each is not None and each.end > after), key=lambda each: each.start)

    def _between(self, after: datetime, until: datetime) -> Iterator[Window]:
        """Yield every window that may reach into a span."""
        yield from self._returning(after, until)
        yield from (each for each in self._to_come(after) if each.start <= until)

    def _returning(self, after: datetime, until: datetime) -> Iterator[Window]:
        """Yield every window that may reach into a span and returns each week."""
        first = after.astimezone(self.zone).date() - 2 * DAY  # one that begins the day before may end in it
        for ahead in range((until - after).days + 4):
            found = (each.on(first + ahead * DAY, self.zone) for each in self.weekly)
            yield from (window for window in found if window is not None)


@dataclass(frozen=True, slots=True)
class PlantWindows:
    """The windows of a plant, each with the keys of the machines that it is for; one that names none is for all."""

    said: tuple[tuple[Weekly | Once, tuple[str, ...]], ...] = ()
    zone: tzinfo = UTC

    def of(self, machine: str) -> Windows:
        """Return when a machine may be worked on: always, where no window is for it."""
        return Windows.of((when for when, machines in self.said if not machines or machine in machines), self.zone)


def _checked(after: datetime, duration: timedelta) -> datetime:
    """Return a moment in UTC. Raises ValueError as `Windows.next` does."""
    if not timedelta(0) <= duration <= JOB_MAX:
        raise ValueError(_("a job takes up to {days} days").format(days=JOB_MAX.days))
    if after.tzinfo is None:
        raise ValueError("plant time is aware")
    return after.astimezone(UTC)


def _joined(windows: Iterable[Window]) -> list[Window]:
    """Return windows in their order, those that overlap or touch as one."""
    joined: list[Window] = []
    for window in sorted(windows, key=lambda each: (each.start, each.end)):
        if joined and window.start <= joined[-1].end:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, window.end))
        else:
            joined.append(window)
    return joined
