from datetime import UTC, datetime, timedelta

import pytest

from gateway.clock import PlantClock, real

ORIGIN = datetime(2026, 3, 2, tzinfo=UTC)


def test_plant_time_runs_as_many_times_faster_as_told():
    clock = PlantClock(ORIGIN, 1000.0, 3600.0)
    assert clock.at(1000.0) == ORIGIN
    assert clock.at(1001.0) == ORIGIN + timedelta(hours=1)


def test_plant_time_never_runs_before_its_origin():
    assert PlantClock(ORIGIN, 1000.0, 3600.0).at(5.0) == ORIGIN


def test_every_process_reads_the_same_clock_out_of_its_text():
    clock = PlantClock(ORIGIN, 1795301714.0307138, 14400.0)
    assert PlantClock.from_text(clock.to_text()) == clock


@pytest.mark.parametrize("text", ["", "2026-03-02,1,1", "2026-03-02T00:00:00+00:00,1,0", "now,1,1"])
def test_what_is_no_clock_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 - the sentences differ
        PlantClock.from_text(text)


def test_a_real_site_lives_in_utc():
    assert real().tzinfo is UTC
