"""One alarm through time: delays and bands hold, persons are asked once and again when it matters, shelving ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance.alarms import alarm as single
from maintenance.alarms.alarm import SHELF_MAX, Alarm, Delays, Finding, Refused, alarm_of, annunciates, document_of
from maintenance.alarms.kinds import KINDS, AlarmKind, Priority
from maintenance.alarms.states import SHELVABLE, AlarmEvent, AlarmState

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HEALTH, DOUBT = AlarmKind.HEALTH_LOW, AlarmKind.COUNTER_DOUBTED
NONE = Delays()


def finding(active: bool | None = True, priority: Priority = Priority.LOW, kind: AlarmKind = HEALTH, **more) -> Finding:
    return Finding(kind, "mill/bearing", "mill", active, priority, **more)


class Told:
    """An alarm with what it has done so far."""

    def __init__(self, kind: AlarmKind = HEALTH, delays: Delays = NONE) -> None:
        self.alarm, self.kind, self.delays, self.called = Alarm(kind, "mill/bearing", "mill"), kind, delays, 0

    def look(self, at: datetime, active: bool | None = True, priority=Priority.LOW, cause: str = "", **more) -> Told:
        found = None if active is False else finding(active, priority, self.kind, **more)
        self.alarm, moves = single.observed(self.alarm, found, self.delays, cause, at)
        self.called += annunciates(moves)
        return self

    def do(self, act, *given) -> Told:
        self.alarm, moves = act(self.alarm, *given)
        self.called += annunciates(moves)
        return self

    @property
    def state(self) -> AlarmState:
        return self.alarm.state


def test_an_alarm_is_raised_acknowledged_and_over():
    told = Told().look(NOW)
    assert (told.state, told.alarm.raised_at, told.called) == (AlarmState.UNACKNOWLEDGED, NOW, 1)
    told.do(single.acknowledged, "anna", "", NOW + HOUR)
    assert (told.state, told.alarm.seen_by, told.alarm.seen_at) == (AlarmState.ACKNOWLEDGED, "anna", NOW + HOUR)
    assert told.look(NOW + DAY, False).state is AlarmState.NORMAL
    assert told.called == 1


def test_what_is_over_before_anybody_saw_it_waits_to_be_seen():
    told = Told().look(NOW).look(NOW + HOUR, False)
    assert told.state is AlarmState.RETURNED
    assert told.do(single.acknowledged, "anna", "", NOW + DAY).state is AlarmState.NORMAL


def test_a_condition_lasts_for_the_on_delay_and_is_gone_for_the_off_delay():
    told = Told(delays=Delays(10 * MINUTE, 20 * MINUTE))
    told.look(NOW).look(NOW + 9 * MINUTE)
    assert told.state is AlarmState.NORMAL
    told.look(NOW + 9 * MINUTE, False).look(NOW + 10 * MINUTE)  # it was gone: the delay begins again
    assert told.state is AlarmState.NORMAL
    assert told.look(NOW + 20 * MINUTE).state is AlarmState.UNACKNOWLEDGED
    told.look(NOW + HOUR, False).look(NOW + HOUR + 19 * MINUTE, False)
    assert told.alarm.active
    assert told.look(NOW + HOUR + 20 * MINUTE, False).state is AlarmState.RETURNED


def test_a_condition_that_is_known_to_last_longer_needs_no_more_delay():
    told = Told(delays=Delays(on=10 * MINUTE)).look(NOW, since=NOW - HOUR)
    assert told.state is AlarmState.UNACKNOWLEDGED


def test_what_cannot_be_judged_stays_as_it_was():
    assert Told().look(NOW, None).state is AlarmState.NORMAL
    told = Told().look(NOW).look(NOW + HOUR, None).look(NOW + DAY, None)
    assert (told.state, told.alarm.active) == (AlarmState.UNACKNOWLEDGED, True)


@settings(max_examples=20)
@given(st.lists(st.floats(0.2001, 0.2499), min_size=1, max_size=20), st.booleans())
def test_chatter_within_the_band_never_raises_twice(values, again):
    kind, told = KINDS[HEALTH], Told()
    told.look(NOW, kind.beyond(0.199, 0.2, 0.05))
    for step, value in enumerate(values, 1):
        told.look(NOW + step * HOUR, kind.beyond(value, 0.2, 0.05))
        told.look(NOW + step * HOUR + MINUTE, kind.beyond(0.19 if again else value, 0.2, 0.05))
    assert (told.called, len(told.alarm.spells), told.alarm.active) == (1, 1, True)
    assert not told.look(NOW + 30 * DAY, kind.beyond(0.2501, 0.2, 0.05)).alarm.active


def test_a_band_is_on_the_good_side_whichever_side_is_bad():
    low, high = KINDS[HEALTH], KINDS[AlarmKind.FAILURE_LIKELY]
    assert [low.beyond(value, 0.2, 0.05) for value in (0.1, 0.2, 0.22, 0.26, 0.3)] == [True, True, None, False, False]
    assert [high.beyond(value, 0.5, 0.1) for value in (0.6, 0.5, 0.45, 0.39, 0.3)] == [True, True, None, False, False]


def test_a_higher_priority_asks_again_and_a_lower_one_never_hides_it():
    told = Told().look(NOW).do(single.acknowledged, "anna", "", NOW)
    assert told.look(NOW + HOUR, priority=Priority.HIGH).state is AlarmState.UNACKNOWLEDGED
    told.do(single.acknowledged, "anna", "", NOW + HOUR)
    told.look(NOW + DAY, priority=Priority.MEDIUM).look(NOW + 2 * DAY, priority=Priority.HIGH)
    assert (told.state, told.alarm.priority, told.called) == (AlarmState.ACKNOWLEDGED, Priority.HIGH, 2)


def test_a_latched_alarm_waits_to_be_reset():
    told = Told(DOUBT).look(NOW).look(NOW + HOUR, False)
    assert told.state is AlarmState.LATCHED_UNACKNOWLEDGED
    told.do(single.acknowledged, "anna", "", NOW + HOUR)
    assert told.state is AlarmState.LATCHED
    assert told.do(single.acknowledged, "anna", "", NOW + HOUR).state is AlarmState.NORMAL
    assert not told.alarm.latched


def test_a_shelved_alarm_comes_back_by_itself_and_calls_somebody_again():
    until = NOW + 8 * HOUR
    told = Told().look(NOW).do(single.shelved, "anna", "known, part is ordered", until, NOW)
    assert (told.state, told.alarm.shelf.by, told.alarm.shelf.until) == (AlarmState.SHELVED, "anna", until)
    assert told.look(until - MINUTE).state is AlarmState.SHELVED
    assert (told.look(until).state, told.alarm.shelf, told.called) == (AlarmState.UNACKNOWLEDGED, None, 2)


def test_time_alone_ends_shelving_where_nobody_looks_at_the_condition():
    told = Told().look(NOW).do(single.shelved, "anna", "why not", NOW + HOUR, NOW)
    assert single.waited(told.alarm, NOW)[0].state is AlarmState.SHELVED
    assert single.waited(told.alarm, NOW + HOUR)[0].state is AlarmState.UNACKNOWLEDGED


def test_what_is_over_when_shelving_ends_is_normal_unless_it_is_latched():
    for kind, state in ((HEALTH, AlarmState.NORMAL), (DOUBT, AlarmState.LATCHED_UNACKNOWLEDGED)):
        told = Told(kind).look(NOW).do(single.shelved, "anna", "why not", NOW + HOUR, NOW)
        assert told.look(NOW + MINUTE, False).state is AlarmState.SHELVED
        assert told.look(NOW + HOUR, False).state is state


def test_a_person_takes_an_alarm_from_the_shelf_and_nobody_takes_one_that_is_not_there():
    told = Told().look(NOW).do(single.shelved, "anna", "why not", NOW + HOUR, NOW)
    assert told.do(single.unshelved, "ben", NOW + MINUTE).state is AlarmState.UNACKNOWLEDGED
    with pytest.raises(Refused, match="not shelved"):
        single.unshelved(told.alarm, "ben", NOW)


def test_a_higher_priority_comes_off_the_shelf():
    told = Told().look(NOW).do(single.shelved, "anna", "low, later", NOW + DAY, NOW)
    told.look(NOW + HOUR, priority=Priority.CRITICAL)
    assert (told.state, told.alarm.shelf, told.called) == (AlarmState.UNACKNOWLEDGED, None, 2)


@pytest.mark.parametrize(
    ("reason", "span", "said"),
    [("", HOUR, "Say why"), ("  ", HOUR, "Say why"), ("x", SHELF_MAX + MINUTE, "30 days"), ("x", 0 * HOUR, "30 days")],
)
def test_shelving_has_a_reason_and_an_end(reason, span, said):
    told = Told().look(NOW)
    with pytest.raises(Refused, match=said):
        single.shelved(told.alarm, "anna", reason, NOW + span, NOW)


def test_nobody_acknowledges_or_shelves_what_is_not_there():
    with pytest.raises(Refused, match="does not wait"):
        single.acknowledged(Told().alarm, "anna", "", NOW)
    with pytest.raises(Refused, match="active"):
        single.shelved(Told().alarm, "anna", "why not", NOW + HOUR, NOW)


def test_what_a_cause_explains_is_suppressed_and_comes_back_as_it_was_seen():
    told = Told().look(NOW).do(single.acknowledged, "anna", "", NOW)
    assert told.look(NOW + HOUR, cause="connection_lost|hall").state is AlarmState.SUPPRESSED
    assert told.look(NOW + DAY).state is AlarmState.ACKNOWLEDGED
    assert (told.called, told.alarm.cause) == (1, "")


def test_what_got_worse_or_came_anew_while_it_was_suppressed_calls_somebody():
    told = Told().look(NOW).do(single.acknowledged, "anna", "", NOW)
    told.look(NOW + HOUR, cause="c").look(NOW + 2 * HOUR, priority=Priority.HIGH, cause="c")
    assert told.look(NOW + DAY, priority=Priority.HIGH).state is AlarmState.UNACKNOWLEDGED
    new = Told().look(NOW, cause="c")
    assert (new.state, new.called) == (AlarmState.SUPPRESSED, 0)
    assert (new.look(NOW + HOUR).state, new.called) == (AlarmState.UNACKNOWLEDGED, 1)
    assert Told().look(NOW, cause="c").look(NOW + HOUR, False, cause="c").state is AlarmState.NORMAL


STEPS = st.lists(
    st.tuples(
        st.integers(1, 600),
        st.sampled_from([True, True, False, None]),
        st.sampled_from(list(Priority)),
        st.sampled_from(["", "", "", "c"]),
        st.sampled_from(["", "", "acknowledge", "shelve", "unshelve"]),
    ),
    max_size=25,
)


@settings(max_examples=25)
@given(STEPS, st.sampled_from([HEALTH, DOUBT]))
def test_whatever_happens_what_was_acknowledged_was_seen_at_its_priority_and_everything_ends(steps, kind):
    told, now, seen = Told(kind, Delays(5 * MINUTE, 5 * MINUTE)), NOW, None
    for minutes, active, priority, cause, act in steps:
        now += minutes * MINUTE
        told.look(now, active, priority, cause)
        assert told.alarm.active <= (told.state not in (AlarmState.NORMAL, AlarmState.RETURNED))
        if act == "acknowledge" and told.state is AlarmState.UNACKNOWLEDGED:
            told.do(single.acknowledged, "anna", "", now)
            seen = told.alarm.priority
        elif act == "shelve" and told.state in SHELVABLE:
            told.do(single.shelved, "anna", "later", now + DAY, now)
        elif act == "unshelve" and told.state is AlarmState.SHELVED:
            told.do(single.unshelved, "anna", now)
        if told.state is AlarmState.ACKNOWLEDGED:
            assert seen is not None
            assert told.alarm.priority <= seen
        if told.state is AlarmState.SHELVED:
            assert told.alarm.shelf.until - now <= DAY
        assert alarm_of(document_of(told.alarm)) == told.alarm
    for later in range(3):  # nothing is there any more, and the longest shelf is over
        told.look(now + SHELF_MAX + later * HOUR, False)
    for _person in range(2):
        if told.state is not AlarmState.NORMAL:
            told.do(single.acknowledged, "anna", "", now + 2 * SHELF_MAX)
    assert (told.state, told.alarm.active) == (AlarmState.NORMAL, False)
    assert told.alarm.is_past(now + 3 * SHELF_MAX)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=6, max_size=30))
def test_with_the_proposed_delay_what_chattered_is_raised_once(looks):
    told, now, seen = Told(), NOW, []
    for minutes, active in looks:
        now += minutes * MINUTE
        if now - NOW > DAY:
            break
        seen.append((now, active))
        told.look(now, active)
    proposed = single.calmer(told.alarm, NONE, seen[-1][0])
    chattering = len(told.alarm.spells) >= single.CHATTER_RAISES
    assert (proposed is not None) is chattering
    if proposed is not None and len(told.alarm.spells) < single.SPELLS_MAX:
        calm = Told(delays=proposed)
        for at, active in seen:
            calm.look(at, active)
        assert len(calm.alarm.spells) == 1


def test_what_is_over_at_once_again_and_again_is_fleeting_and_what_stays_is_standing():
    told = Told()
    for hour in range(3):
        told.look(NOW + hour * HOUR).look(NOW + hour * HOUR + 5 * MINUTE, False)
    last = NOW + 2 * HOUR + 5 * MINUTE
    assert single.is_chattering(told.alarm, last)
    assert single.is_fleeting(told.alarm, last)
    assert not single.is_fleeting(told.alarm, last + 2 * DAY)
    told = Told().look(NOW, due=NOW + HOUR)
    assert not single.is_standing(told.alarm, NOW + DAY)
    assert single.is_standing(told.alarm, NOW + DAY + 2 * HOUR)


def test_a_repair_is_not_proposed_as_a_delay():
    told = Told()
    for hour in (0, 1, 23):
        told.look(NOW + hour * HOUR).look(NOW + hour * HOUR + MINUTE, False)
    assert single.calmer(told.alarm, NONE, NOW + DAY).off <= DAY
    assert single.calmer(told.alarm, Delays(off=DAY), NOW + DAY) is None


def test_a_move_says_who_did_it_and_why():
    _alarm, moves = single.shelved(Told().look(NOW).alarm, "anna", " part is ordered ", NOW + HOUR, NOW)
    [move] = moves
    assert (move.event, move.by, move.reason, move.at) == (AlarmEvent.SHELVE, "anna", "part is ordered", NOW)
