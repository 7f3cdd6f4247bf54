"""Clocks of use survive what controllers do to counters, and a jump never becomes use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.packing import Packer, Unpacker
from maintenance.usage import SUSTAINED, UsageClock, Utilisation


def counter(**changes: object) -> UsageClock:
    """A counter of running hours on a machine, with a rated life of 1000 h."""
    settings: dict[str, object] = {"per_hour_max": 1.0, "rated": 1000.0, "past_known": True} | changes
    return UsageClock(Utilisation(1.0, 48.0), True, **settings)  # type: ignore[arg-type]


def cycles(**changes: object) -> UsageClock:
    return counter(per_hour_max=None, **changes)


def feed(clock: UsageClock, *readings: float, start: float = 0.0) -> UsageClock:
    for hour, reading in enumerate(readings):
        clock.take(reading, start + hour)
    return clock


def test_use_is_what_the_counter_gained_since_it_was_first_seen():
    assert feed(counter(), 500, 501, 502).used == pytest.approx(2)


def test_use_counts_from_the_reading_at_fitting():
    clock = counter()
    clock.begin(10.0, 0.0, fitted_reading=400.0)
    clock.take(500.0, 101.0)
    assert clock.used == pytest.approx(110)


def test_a_counter_that_belongs_to_the_part_tells_its_past():
    clock = feed(counter(own=True, past_known=False), 500)
    assert clock.used == 500
    assert clock.trusted


def test_a_roll_over_is_use():
    clock = feed(cycles(modulus=65536.0, rated=1e6), 65530, 65534, 3)
    assert clock.used == pytest.approx(9)
    assert clock.trusted


def test_a_short_glitch_leaves_no_trace():
    clock = feed(counter(), 500, 0, 0, 0, 504)
    assert clock.used == pytest.approx(4)
    assert clock.trusted
    assert clock.pending is None


def test_a_lasting_fall_keeps_the_use_and_waits_for_a_person():
    clock = feed(counter(), 500, 501, *range(SUSTAINED + 3))
    assert clock.pending is not None
    assert clock.pending.before == 501
    assert clock.used == pytest.approx(1 + SUSTAINED + 2)
    assert not clock.trusted


def test_a_confirmed_fitting_begins_at_the_fall():
    clock = feed(counter(), 500, 501, *range(SUSTAINED + 3))
    clock.begin(0.0, 2.0)
    assert clock.used == pytest.approx(SUSTAINED + 2)
    assert clock.trusted


def test_a_dismissed_fitting_goes_on_with_the_old_part():
    clock = feed(counter(), 500, 501, *range(SUSTAINED + 3))
    clock.settle()
    assert clock.used == pytest.approx(1 + SUSTAINED + 2)
    assert clock.trusted


def test_a_counter_that_returns_after_a_long_fall_was_never_reset():
    clock = feed(counter(), 500, 501, *[0] * (SUSTAINED + 2))
    clock.take(510, 9.0 + SUSTAINED)
    assert clock.pending is None
    assert clock.used == pytest.approx(10)


def test_a_counter_that_has_counted_up_to_the_old_reading_again_was_reset_all_the_same():
    clock = counter()
    for hour, reading in enumerate([2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]):
        clock.take(reading, float(hour))
    assert clock.used == 3.0
    assert clock.pending is not None


def test_a_fitting_that_a_person_reports_explains_the_fall_that_follows():
    clock = feed(counter(own=True), 900, 901)
    clock.begin(0.0, 1.0, fitted_reading=901.0)
    feed(clock, *range(SUSTAINED + 1), start=2.0)
    assert clock.used == pytest.approx(SUSTAINED)
    assert clock.trusted


def test_a_fitting_reported_during_the_fall_starts_at_the_new_reading():
    clock = feed(counter(), 900, 901, 0, 1)
    clock.begin(0.0, 3.0, fitted_reading=1.0)
    clock.take(2, 4.0)
    assert clock.used == pytest.approx(1)
    assert clock.trusted


def test_a_leap_ahead_is_no_use_and_asks_a_person():
    clock = feed(counter(), 500, *range(9000, 9000 + SUSTAINED + 1))
    assert clock.used == pytest.approx(SUSTAINED)
    assert not clock.trusted


def test_a_long_silence_excuses_a_long_step():
    clock = counter()
    clock.take(500, 0.0)
    clock.take(800, 310.0)
    assert clock.used == pytest.approx(300)
    assert clock.trusted


def test_the_calendar_runs_at_the_stated_hours_a_day():
    clock = UsageClock(Utilisation(16 / 24, 48.0), False, 1.0, past_known=True)
    clock.begin(0.0, 100.0)
    assert clock.used_at(124.0) == pytest.approx(16)


def test_typed_readings_correct_the_calendar():
    clock = UsageClock(Utilisation(1.0, 48.0), False, 1.0, rated=10000, past_known=True)
    clock.begin(0.0, 0.0)
    clock.take(7000.0, 100.0)
    clock.take(7040.0, 200.0)
    assert clock.used == pytest.approx(140)
    assert clock.rate.per_hour < 1.0


def test_utilisation_moves_from_the_stated_to_the_seen():
    rate = Utilisation(1.0, 48.0)
    for _ in range(400):
        rate.take(0.25, 1.0)
    assert 0.25 < rate.per_hour < 0.4


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_use_never_falls_and_never_exceeds_the_time_that_passed(readings: list[float]):
    clock, before = counter(), 0.0
    for hour, reading in enumerate(readings):
        clock.take(reading, float(hour))
        assert clock.used >= before - 1e-6
        before = clock.used
    assert clock.used <= 1.05 * len(readings) + 20 * len(readings) + 1e6  # finite, whatever the counter does


@given(st.lists(st.floats(0, 1e4), max_size=40), st.lists(st.floats(0, 1e4), max_size=10))
def test_a_restored_clock_goes_on_as_if_nothing_had_happened(before: list[float], after: list[float]):
    whole, first, second = counter(), counter(), counter()
    feed(whole, *before)
    feed(first, *before)
    packer = Packer()
    first.pack(packer)
    second.unpack(Unpacker(packer.text))
    feed(whole, *after, start=100.0)
    feed(second, *after, start=100.0)
    assert second == whole
