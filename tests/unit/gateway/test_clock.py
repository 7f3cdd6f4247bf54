from datetime import UTC, datetime, timedelta

import pytest

from gateway.clock import JumpWatch, PlantClock, real

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


class Wall:
    """Two clocks that a test moves: one that people can set, one that only runs on."""

    def __init__(self) -> None:
        self.now, self.running = datetime(2026, 3, 2, tzinfo=UTC), 100.0

    def pass_(self, seconds: float, *, jump: timedelta = timedelta(0), speed: float = 1.0) -> None:
        self.running += seconds
        self.now += timedelta(seconds=seconds * speed) + jump


def test_a_clock_that_runs_on_does_not_jump():
    wall = Wall()
    watch = JumpWatch(lambda: wall.now, running=lambda: wall.running)
    for _minute in range(5):
        wall.pass_(60, jump=timedelta(seconds=2))
        assert watch.jumped() is None


def test_a_clock_put_forward_or_back_is_noticed_once():
    wall = Wall()
    watch = JumpWatch(lambda: wall.now, running=lambda: wall.running)
    for jump in (timedelta(days=366), -timedelta(days=366), timedelta(minutes=6)):
        wall.pass_(30, jump=jump)
        assert watch.jumped() == jump
        wall.pass_(30)
        assert watch.jumped() is None


def test_compressed_time_is_no_jump():
    wall = Wall()
    watch = JumpWatch(lambda: wall.now, 1000.0, lambda: wall.running)
    wall.pass_(60, speed=1000.0)
    assert watch.jumped() is None
    wall.pass_(60, speed=1000.0, jump=timedelta(days=10))
    assert watch.jumped() == timedelta(days=10)
