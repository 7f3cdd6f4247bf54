"""Maintenance windows: said in words, found in plant time, safe where clocks jump."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.windows import JOB_MAX, Once, PlantWindows, Weekly, Window, Windows, window_said

BERLIN, NEW_YORK, LORD_HOWE = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))
HOURS = [timedelta(hours=hours) for hours in range(49)]


def windows(*said: str, zone: ZoneInfo = BERLIN) -> Windows:
    return Windows.of(map(window_said, said), zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "days", "since", "to"),
    [
        ("saturday 06:00-14:00", (5,), 6, 14),
        ("  Monday - Friday  22:00 - 6:00 ", (0, 1, 2, 3, 4), 22, 6),
        ("sunday-sunday 1:00-2:00", (6,), 1, 2),
        ("saturday-monday 00:00-24:00", (0, 5, 6), 0, 24),
        ("daily 12:00-13:00", (0, 1, 2, 3, 4, 5, 6), 12, 13),
    ],
)
def test_a_window_is_said_in_words(said: str, days: tuple[int, ...], since: int, to: int):
    found = Weekly.parse(said)
    assert found == Weekly(days, timedelta(hours=since), timedelta(hours=to))
    assert Weekly.parse(str(found)) == found


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("saturday", "write days and times"),
        ("saturday 6-14", "write days and times"),
        ("samstag 06:00-14:00", "samstag is no day"),
        ("daily-friday 06:00-14:00", "daily is no day"),
        ("saturday 06:60-14:00", "06:60 is no time of day"),
        ("saturday 06:00-24:01", "24:01 is no time of day"),
        ("saturday 24:00-06:00", "begins before 24:00"),
        ("saturday 06:00-14:00" * 1000, "write days and times"),
    ],
)
def test_what_is_no_window_is_refused_in_a_sentence(said: str, told: str):
    with pytest.raises(ValueError, match=told):
        Weekly.parse(said)


@pytest.mark.parametrize(
    ("after", "hours", "start", "end"),
    [
        ("2026-03-02T08:00", 6, "2026-03-07T05:00", "2026-03-07T13:00"),  # Monday: the Saturday after, in winter time
        ("2026-03-07T05:00", 8, "2026-03-07T05:00", "2026-03-07T13:00"),  # just enough room
        ("2026-03-07T06:30", 6, "2026-03-07T06:30", "2026-03-07T13:00"),  # within it, with room left
        ("2026-03-07T08:00", 6, "2026-03-14T05:00", "2026-03-14T13:00"),  # within it, without
        ("2026-07-01T08:00", 6, "2026-07-04T04:00", "2026-07-04T12:00"),  # in summer time
        ("2026-03-07T13:00", 0, "2026-03-14T05:00", "2026-03-14T13:00"),  # its end is no part of it
    ],
)
def test_the_next_window_has_room_for_the_job(after: str, hours: int, start: str, end: str):
    found = windows("saturday 06:00-14:00").next(utc(after), timedelta(hours=hours))
    assert found == Window(utc(start), utc(end))


def test_a_job_longer_than_every_window_finds_none():
    assert windows("saturday 06:00-14:00").next(utc("2026-03-02T08:00"), timedelta(hours=9)) is None


def test_windows_that_touch_are_one():
    weekend = windows("sunday 00:00-12:00", "saturday 06:00-24:00", "saturday 08:00-09:00")
    found = weekend.next(utc("2026-03-02T08:00"), timedelta(hours=30))
    assert found == Window(utc("2026-03-07T05:00"), utc("2026-03-08T11:00"))


def test_a_window_over_midnight_is_found_from_either_side():
    night = windows("friday 22:00-06:00")
    assert night.next(utc("2026-03-06T20:00")) == Window(utc("2026-03-06T21:00"), utc("2026-03-07T05:00"))
    assert night.next(utc("2026-03-07T03:00")) == Window(utc("2026-03-07T03:00"), utc("2026-03-07T05:00"))


def test_a_plant_without_windows_may_be_worked_on_at_any_time():
    moment, job = utc("2026-03-02T08:00"), timedelta(hours=5)
    assert Windows().next(moment.astimezone(BERLIN), job) == Window(moment, moment + job)


def test_a_plant_that_is_always_open_has_room_for_any_job():
    moment = utc("2026-03-02T08:00")
    found = windows("daily 00:00-24:00").next(moment, JOB_MAX)
    assert found is not None
    assert found.start == moment
    assert found.end >= moment + JOB_MAX


@pytest.mark.parametrize(
    ("said", "start", "end"),
    [  # at 2 o'clock on 29 March clocks in Berlin show 3; at 3 o'clock on 25 October they show 2 again
        ("sunday 01:00-05:00", "2026-03-29T00:00", "2026-03-29T03:00"),
        ("sunday 02:30-06:00", "2026-03-29T01:30", "2026-03-29T04:00"),
        ("sunday 01:00-02:30", "2026-03-29T00:00", "2026-03-29T00:30"),
    ],
)
def test_where_clocks_go_forward_a_window_keeps_to_what_was_said(said: str, start: str, end: str):
    assert windows(said).next(utc("2026-03-28T12:00")) == Window(utc(start), utc(end))


@pytest.mark.parametrize(
    ("said", "start", "end"),
    [
        ("sunday 01:00-05:00", "2026-10-24T23:00", "2026-10-25T04:00"),
        ("sunday 02:30-06:00", "2026-10-25T01:30", "2026-10-25T05:00"),
        ("sunday 01:00-02:30", "2026-10-24T23:00", "2026-10-25T00:30"),
        ("sunday 02:15-02:45", "2026-11-01T01:15", "2026-11-01T01:45"),  # left out in the hour that comes twice
    ],
)
def test_where_clocks_go_back_a_window_keeps_to_what_was_said(said: str, start: str, end: str):
    assert windows(said).next(utc("2026-10-24T12:00")) == Window(utc(start), utc(end))


@pytest.mark.parametrize("duration", [timedelta(hours=-1), JOB_MAX + timedelta(seconds=1)])
def test_a_duration_that_no_job_has_is_refused(duration: timedelta):
    with pytest.raises(ValueError, match="31 days"):
        windows("daily 00:00-24:00").next(utc("2026-03-02T08:00"), duration)


def test_a_naive_moment_is_refused():
    with pytest.raises(ValueError, match="aware"):
        Windows().next(datetime(2026, 3, 2))  # noqa: DTZ001


week = st.builds(
    Weekly,
    st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    st.integers(0, 95).map(lambda quarter: timedelta(minutes=15 * quarter)),
    st.integers(0, 96).map(lambda quarter: timedelta(minutes=15 * quarter)),
)
plants = st.builds(
    Windows, st.lists(week, min_size=1, max_size=3).map(tuple), st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE])
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda each: each.replace(tzinfo=UTC))  # noqa: DTZ001


def covers(weekly: Weekly, moment: datetime, zone: ZoneInfo) -> bool:
    """Whether a wall clock in the zone reads within a window that was said."""
    reading = moment.astimezone(zone).replace(tzinfo=None)
    for back in (0, 1):
        midnight = datetime.combine(reading.date(), datetime.min.time()) - timedelta(days=back)
        to = weekly.to if weekly.to > weekly.since else weekly.to + timedelta(days=1)
        if midnight.weekday() in weekly.days and midnight + weekly.since <= reading < midnight + to:
            return True
    return False


@given(plants, moments, st.sampled_from(HOURS), st.floats(0, 1, exclude_max=True))
def test_no_moment_of_a_window_reads_outside_of_what_was_said(
    plant: Windows, after: datetime, duration: timedelta, share: float
):
    found = plant.next(after, duration)
    if found is None:
        return
    assert after <= found.start < found.end
    assert found.end - found.start >= duration
    inside = found.start + share * (found.end - found.start)
    assert any(covers(each, inside, plant.zone) for each in plant.weekly)


@given(plants, moments, st.sampled_from(HOURS), st.integers(1, 2000))
def test_who_comes_later_is_never_served_earlier(plant: Windows, after: datetime, duration: timedelta, minutes: int):
    first, second = (plant.next(after + timedelta(minutes=shift), duration) for shift in (0, minutes))
    if first is not None and second is not None:
        assert first.start <= second.start


def test_a_job_may_begin_while_there_is_room_for_it_and_again_each_week():
    found = windows("saturday 06:00-14:00", "monday 22:00-06:00")
    monday = utc("2026-03-02T08:00")
    assert found.beginnings(monday, timedelta(hours=4)) == (
        (utc("2026-03-02T21:00"), utc("2026-03-03T01:00")),
        (utc("2026-03-07T05:00"), utc("2026-03-07T09:00")),
    )
    within = utc("2026-03-07T08:00")
    assert found.beginnings(within, timedelta(hours=4))[0] == (within, utc("2026-03-07T09:00"))
    assert found.beginnings(within, timedelta(hours=4))[-1] == (utc("2026-03-14T05:00"), utc("2026-03-14T08:00"))


def test_who_may_begin_at_any_time_has_no_beginnings_and_neither_has_a_job_without_room():
    monday = utc("2026-03-02T08:00")
    assert Windows().beginnings(monday) == ()
    assert windows("saturday 06:00-14:00").beginnings(monday, timedelta(hours=9)) == ()


@settings(max_examples=20)
@given(st.integers(0, 60 * 24 * 365), st.sampled_from(HOURS[:7]))
def test_every_beginning_is_one_that_a_booking_would_take(minutes, duration):
    found = windows("saturday 06:00-14:00", "daily 22:00-03:00")
    after = utc("2026-01-01T00:00") + timedelta(minutes=minutes)
    spans = found.beginnings(after, duration)
    if not spans:
        assert found.next(after, duration) is None
    for first, last in spans:
        for moment in (first, last):
            window = found.next(moment, duration)
            assert window is not None
            assert window.start == moment or moment == last  # at its very end a window is no longer open
    first_window = found.next(after, duration)
    if spans and duration > timedelta(0):
        assert first_window is not None
        assert spans[0][0] == first_window.start


@pytest.mark.parametrize(
    ("said", "start", "end", "written"),
    [
        ("2026-12-12 06:00 to 14:00", "2026-12-12T05:00", "2026-12-12T13:00", "2026-12-12 06:00 to 14:00"),
        (" 2026-07-12  6:00-14:00 ", "2026-07-12T04:00", "2026-07-12T12:00", "2026-07-12 06:00 to 14:00"),
        ("2026-12-12 22:00 to 06:00", "2026-12-12T21:00", "2026-12-13T05:00", "2026-12-12 22:00 to 06:00"),
        ("2026-12-12 00:00 to 24:00", "2026-12-11T23:00", "2026-12-12T23:00", "2026-12-12 00:00 to 24:00"),
        ("2026-12-24 14:00 TO 2027-01-02 06:00", "2026-12-24T13:00", "2027-01-02T05:00",
         "2026-12-24 14:00 to 2027-01-02 06:00"),
        ("2026-03-28 12:00 to 2026-03-29 12:00", "2026-03-28T11:00", "2026-03-29T10:00",
         "2026-03-28 12:00 to 12:00"),
    ],
)  # fmt: skip
def test_a_window_that_comes_once_is_said_in_words(said: str, start: str, end: str, written: str):
    found = Once.parse(said)
    assert (found.within(BERLIN), str(found)) == (Window(utc(start), utc(end)), written)
    assert window_said(written) == found


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("2026-12-12", "write a day and times"),
        ("2026-12-12 06:00", "write a day and times"),
        ("2026-02-30 06:00 to 14:00", "2026-02-30 is no day"),
        ("2026-12-12 06:00 to 2026-12-11 14:00", "ends after it begins"),
        ("2026-12-12 06:00 to 2026-12-12 06:00", "ends after it begins"),
        ("2026-12-12 06:00 to 2027-12-12 06:00", "within 62 days"),
        ("2026-12-12 06:00 to 25:00", "25:00 is no time of day"),
        ("2026-12-12 24:00 to 06:00", "begins before 24:00"),
        ("1026-12-12 06:00 to 14:00", "of this century"),
        ("12.12.2026 06:00 to 14:00", "write days and times"),
    ],
)
def test_what_is_no_window_that_comes_once_is_refused(said: str, told: str):
    with pytest.raises(ValueError, match=told):
        window_said(said)


def test_a_window_in_the_hour_that_clocks_skip_never_comes():
    assert Once.parse("2026-03-29 02:10 to 02:50").within(BERLIN) is None


def test_a_window_that_comes_once_counts_beside_those_that_return():
    plant = windows("saturday 06:00-14:00", "2026-03-04 10:00 to 12:00")
    assert plant.next(utc("2026-03-02T08:00")) == Window(utc("2026-03-04T09:00"), utc("2026-03-04T11:00"))
    assert plant.next(utc("2026-03-02T08:00"), timedelta(hours=3)).start == utc("2026-03-07T05:00")
    assert plant.next(utc("2026-03-04T11:00")).start == utc("2026-03-07T05:00")


def test_a_window_that_comes_once_joins_those_it_touches_however_far_away():
    plant = windows("saturday 06:00-14:00", "2026-12-12 14:00 to 20:00", "2026-12-12 19:00 to 21:00")
    monday, long = utc("2026-03-02T08:00"), timedelta(hours=15)
    assert plant.next(monday, long) == Window(utc("2026-12-12T05:00"), utc("2026-12-12T20:00"))
    assert plant.chances(monday, long) == ((utc("2026-12-12T05:00"), utc("2026-12-12T05:00")),)
    assert plant.beginnings(monday, long) == ()
    assert plant.next(monday, timedelta(hours=16)) is None
    assert plant.chances(monday, timedelta(hours=16)) == ()


def test_a_plant_with_only_windows_that_came_once_is_worked_on_no_more():
    plant = windows("2026-12-12 06:00 to 14:00")
    assert plant.next(utc("2026-12-12T06:00")) == Window(utc("2026-12-12T06:00"), utc("2026-12-12T13:00"))
    assert plant.next(utc("2026-12-12T13:00")) is None
    assert plant.chances(utc("2026-12-12T13:00")) == plant.beginnings(utc("2026-12-12T06:00")) == ()


singles = st.builds(
    lambda day, since, hours: Window(day + timedelta(hours=since), day + timedelta(hours=since + hours)),
    st.integers(0, 200).map(lambda days: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days)),
    st.integers(0, 23),
    st.integers(1, 40),
).map(lambda each: Once.parse(f"{each.start:%Y-%m-%d %H:%M} to {each.end:%Y-%m-%d %H:%M}"))
early = st.datetimes(datetime(2026, 1, 1), datetime(2026, 8, 1)).map(lambda each: each.replace(tzinfo=UTC))  # noqa: DTZ001


@given(st.lists(week, max_size=2), st.lists(singles, max_size=3), early, st.sampled_from(HOURS))
@settings(max_examples=60)
def test_one_window_more_never_lets_anybody_wait_longer(
    weekly: list[Weekly], once: list[Once], after: datetime, duration: timedelta
):
    few, more = (Windows(tuple(weekly), BERLIN, tuple(each)) for each in (once[1:], once))
    if not (weekly or once[1:]):
        return  # without any it may be worked on at any time
    before, now = few.next(after, duration), more.next(after, duration)
    assert before is None or (now is not None and now.start <= before.start)
    assert all(more.next(first, duration).start == first for first, _last in more.chances(after, duration))


def test_a_window_is_for_the_machines_that_it_names_or_for_all():
    nights, saturday, single = (
        window_said(each) for each in ("daily 22:00-06:00", "saturday 06:00-14:00", "2026-12-12 06:00 to 14:00")
    )
    plant = PlantWindows(((saturday, ("mill", "press")), (single, ("press",))), BERLIN)
    assert plant.of("mill") == Windows((saturday,), BERLIN)
    assert plant.of("press") == Windows((saturday,), BERLIN, (single,))
    assert plant.of("saw") == Windows((), BERLIN)  # at any time
    assert replace(plant, said=(*plant.said, (nights, ()))).of("saw") == Windows((nights,), BERLIN)
