"""Floods are seen and grouped by their cause, rates are told, and nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance.alarms.alarm import Finding
from maintenance.alarms.book import Book
from maintenance.alarms.floods import Common, Rates
from maintenance.alarms.kinds import AlarmKind, Priority
from maintenance.alarms.rules import Rules
from maintenance.alarms.states import AlarmState

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_K = AlarmKind


def worn(component: str, priority: Priority = Priority.LOW) -> Finding:
    return Finding(_K.HEALTH_LOW, component, component.partition("/")[0], True, priority)


def silent(tag: str, connection: str) -> Finding:
    return Finding(_K.SENSOR_SILENT, tag, tag.partition("/")[0], True, connection=connection, since=NOW - DAY)


def lost(connection: str) -> Finding:
    return Finding(_K.CONNECTION_LOST, connection, "", True, Priority.MEDIUM, since=NOW - DAY)


def test_ten_alarms_in_ten_minutes_are_none_and_eleven_are_a_flood_until_fewer_than_five_come():
    rates = Rates()
    rates.passed(NOW)
    rates.raised(10, NOW)
    assert not rates.is_flood
    rates.raised(1, NOW + 9 * MINUTE)
    assert rates.is_flood
    assert rates.floods == [(NOW, NOW + 9 * MINUTE)]
    rates.raised(4, NOW + 11 * MINUTE)
    rates.passed(NOW + 11 * MINUTE)
    assert rates.is_flood  # five came within the last ten minutes
    rates.passed(NOW + 20 * MINUTE)
    assert not rates.is_flood


def test_ten_minutes_apart_is_no_flood():
    rates = Rates()
    for step in range(30):
        rates.passed(NOW + step * 2 * MINUTE)
        rates.raised(2, NOW + step * 2 * MINUTE)
    assert not rates.is_flood


def test_the_average_is_over_a_day_or_since_it_counts():
    rates = Rates()
    rates.passed(NOW)
    rates.raised(6, NOW)
    assert rates.per_hour(NOW) == 6  # less than an hour counts as one
    rates.passed(NOW + 12 * HOUR)
    assert rates.per_hour(NOW + 12 * HOUR) == 0.5
    rates.passed(NOW + 30 * HOUR)
    assert rates.per_hour(NOW + 30 * HOUR) == 0
    assert Rates().per_hour(NOW) == 0
    assert Rates.of_document(rates.document()) == rates


def test_a_lost_connection_is_one_alarm_with_what_it_explains_beneath():
    book = Book(Rules())
    tags = [f"mill/t{number}" for number in range(40)]
    book.observe([*(silent(tag, "hall") for tag in tags), silent("saw/t", "yard"), lost("hall")], NOW)
    shown = book.overview(NOW)
    group, other = shown.groups
    assert (group.common, group.key, group.head.kind) == (Common.CONNECTION, "hall", _K.CONNECTION_LOST)
    assert {each.subject for each in group.beneath} == set(tags)
    assert [each.subject for each in group.waiting] == ["hall"]
    assert (other.common, other.head.subject) == (Common.ALONE, "saw/t")
    assert (shown.waiting, shown.is_flood, shown.suppressed) == (2, False, ())


def test_what_a_connection_explained_calls_somebody_if_it_stays_when_the_connection_is_back():
    book = Book(Rules())
    book.observe([silent("mill/t", "hall"), lost("hall")], NOW)
    book.observe([silent("mill/t", "hall")], NOW + HOUR)  # gone for less than its off-delay
    assert book.overview(NOW).groups[0].common is Common.CONNECTION
    book.observe([silent("mill/t", "hall")], NOW + HOUR + 5 * MINUTE)
    [alone] = [group for group in book.overview(NOW).groups if group.head.kind is _K.SENSOR_SILENT]
    assert alone.head.state is AlarmState.UNACKNOWLEDGED


def test_in_a_flood_one_machine_is_one_group_and_so_is_what_is_left_of_one_kind():
    book = Book(Rules())
    found = [worn(f"mill/c{number}", Priority.HIGH if number == 3 else Priority.LOW) for number in range(8)]
    found += [worn(f"m{number}/c") for number in range(4)]
    book.observe(found, NOW)
    mill, kind = book.overview(NOW).groups
    assert (mill.common, mill.key, mill.head.subject, len(mill.alarms)) == (Common.MACHINE, "mill", "mill/c3", 8)
    assert (kind.common, kind.key, len(kind.alarms)) == (Common.KIND, "health_low", 4)
    book.observe([*found, worn("lathe/c")], NOW + DAY)  # the flood is over, and its groups stay together
    assert [group.common for group in book.overview(NOW + DAY).groups].count(Common.ALONE) == 1


COMPONENTS = [f"m{machine}/c{number}" for machine in range(5) for number in range(4)]


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 15), st.sets(st.sampled_from(COMPONENTS)), st.sets(st.sampled_from("ab"))), max_size=8
    )
)
def test_no_alarm_is_lost_or_told_twice_whatever_is_grouped(steps):
    book, now = Book(Rules()), NOW
    for minutes, components, connections in steps:
        now += minutes * MINUTE
        found = [worn(each) for each in sorted(components)] + [lost(each) for each in sorted(connections)]
        found += [silent(f"{each}t", "a" if each[1] < "3" else "b") for each in sorted(components)]
        book.observe(found, now)
        shown = book.overview(now)
        told = [each.key for group in shown.groups for each in group.alarms] + [each.key for each in shown.suppressed]
        listed = [each.key for each in book.alarms.values() if each.state is not AlarmState.NORMAL]
        assert sorted(told) == sorted(listed)
