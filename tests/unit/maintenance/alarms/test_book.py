"""The book of a site: replay gives it again, it survives being written down, and it keeps only what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance.alarms import alarm as single
from maintenance.alarms import book as books
from maintenance.alarms.alarm import Finding
from maintenance.alarms.book import Book
from maintenance.alarms.kinds import AlarmKind, Priority
from maintenance.alarms.rules import Rules, Said, SaidOf
from maintenance.alarms.states import SHELVABLE, WAITING, AlarmState

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_K = AlarmKind
SUBJECTS = ("mill/a", "mill/b", "saw/a")


def found(kind: AlarmKind, subject: str, active: bool | None = True, **more) -> Finding:
    return Finding(kind, subject, subject.partition("/")[0], active, **more)


LOOKS = st.lists(
    st.tuples(
        st.integers(1, 300),
        st.lists(
            st.tuples(st.sampled_from(list(_K)), st.sampled_from(SUBJECTS), st.sampled_from([True, None])), max_size=6
        ),
        st.sampled_from(["", "acknowledge", "shelve"]),
    ),
    max_size=12,
)


def lived(book: Book, looks) -> Book:
    now = NOW
    for minutes, seen, act in looks:
        now += minutes * MINUTE
        book.observe([found(kind, subject, active, connection=subject) for kind, subject, active in seen], now)
        for each in sorted(book.alarms.values(), key=lambda each: each.id):
            if act == "acknowledge" and each.state in WAITING:
                book.put(single.acknowledged(each, "anna", "", now))
            elif act == "shelve" and each.state in SHELVABLE:
                book.put(single.shelved(each, "anna", "later", now + DAY, now))
    return book


@settings(max_examples=25)
@given(LOOKS, st.integers(0, 12))
def test_replay_gives_the_identical_alarms_with_or_without_a_restart_between(looks, cut):
    once = lived(Book(Rules()), looks)
    again = lived(Book(Rules()), looks)
    assert again.snapshot() == once.snapshot()
    assert again.changes() == once.changes()
    kept = json.loads(json.dumps(once.snapshot()))
    restored = Book(Rules())
    assert restored.restore(kept["alarms"], kept["rates"]) == []
    assert restored.snapshot() == once.snapshot()
    assert restored.overview(NOW + DAY) == once.overview(NOW + DAY)


def test_only_what_changed_is_to_be_written():
    book = Book(Rules())
    book.observe([found(_K.HEALTH_LOW, "mill/a")], NOW)
    told = book.changes()
    assert ([each.subject for each in told.alarms], len(told.moves)) == (["mill/a"], 1)
    book.kept()
    book.observe([found(_K.HEALTH_LOW, "mill/a")], NOW + HOUR)
    assert (book.changes().alarms, book.changes().moves) == ((), ())
    book.put(single.acknowledged(book.alarms["health_low|mill/a"], "anna", "", NOW + HOUR))
    book.observe([], NOW + 2 * HOUR)
    assert book.alarms["health_low|mill/a"].state is AlarmState.NORMAL  # kept for a day: it might chatter
    book.kept()
    book.observe([], NOW + 2 * DAY)
    assert (book.alarms, book.changes().past) == ({}, ("health_low|mill/a",))


def test_conditions_that_nobody_looked_at_stay_and_only_their_shelf_ends():
    book = Book(Rules())
    book.observe([found(_K.HEALTH_LOW, "mill/a"), found(_K.SENSOR_STUCK, "saw/a")], NOW)
    for each in tuple(book.alarms.values()):
        book.put(single.shelved(each, "anna", "later", NOW + HOUR, NOW))
    book.observe([], NOW + 2 * HOUR, judged={_K.SENSOR_STUCK})
    states = {each.subject: (each.state, each.active) for each in book.alarms.values()}
    assert states == {"mill/a": (AlarmState.UNACKNOWLEDGED, True), "saw/a": (AlarmState.NORMAL, False)}


def test_one_tag_of_several_components_is_one_alarm_and_the_most_urgent():
    book = Book(Rules())
    tag = "mill/t"
    book.observe(
        [found(_K.HEALTH_LOW, tag, None), found(_K.HEALTH_LOW, tag), found(_K.HEALTH_LOW, tag, priority=Priority.HIGH)],
        NOW,
    )
    [only] = book.alarms.values()
    assert only.priority is Priority.HIGH


def test_what_is_out_of_service_is_suppressed_and_still_listed():
    book = Book(Rules())
    book.observe([found(_K.HEALTH_LOW, "mill/a", out_of_service=True)], NOW)
    shown = book.overview(NOW)
    assert ([each.cause for each in shown.suppressed], shown.groups, shown.waiting) == (["out_of_service"], (), 0)
    book.observe([found(_K.HEALTH_LOW, "mill/a")], NOW + HOUR)
    assert book.overview(NOW).waiting == 1


def test_the_delays_are_those_of_the_site_or_of_the_component():
    site = {_K.HEALTH_LOW: Said(on_delay=HOUR)}
    own = {"mill/b": SaidOf({_K.HEALTH_LOW: Said(on_delay=2 * HOUR)})}
    book = Book(Rules(site, own))
    looks = [found(_K.HEALTH_LOW, subject, component=subject) for subject in SUBJECTS[:2]]
    book.observe(looks, NOW)
    book.observe(looks, NOW + HOUR)
    assert [each.subject for each in book.alarms.values() if each.active] == ["mill/a"]
    book.observe(looks, NOW + 2 * HOUR)
    assert len([each for each in book.alarms.values() if each.active]) == 2


def test_a_longer_delay_is_proposed_for_what_chatters():
    book = Book(Rules())
    for hour in range(4):
        book.observe([found(_K.HEALTH_LOW, "mill/a")], NOW + hour * HOUR)
        book.observe([], NOW + hour * HOUR + 30 * MINUTE)
    assert book.overview(NOW + 4 * HOUR).proposals == {"health_low|mill/a": 31 * MINUTE}


def test_there_is_an_end_to_what_is_kept_and_what_was_dropped_is_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(books, "ALARMS_MAX", 2)
    book = Book(Rules())
    book.observe([found(_K.HEALTH_LOW, f"mill/{number}") for number in range(5)], NOW)
    assert (len(book.alarms), book.dropped) == (2, 3)


def test_what_cannot_be_read_back_is_named_and_begins_anew():
    book = Book(Rules())
    book.observe([found(_K.HEALTH_LOW, "mill/a")], NOW)
    document = book.snapshot()["alarms"][0]
    broken = [document | {"state": "asleep"}, {"kind": "health_low"}, document | {"spells": 3}]
    fresh = Book(Rules())
    said = fresh.restore([*broken, document], {"begun": 3})
    assert len(said) == 4
    assert list(fresh.alarms) == ["health_low|mill/a"]
