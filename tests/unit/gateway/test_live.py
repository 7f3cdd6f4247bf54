import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.samples import Batch, Provenance, Quality, Sample
from gateway.live import WATCHERS_MAX, Board, Link, TooManyWatchers


def sample(now, value=1.0, tag="mill/vibration") -> Sample:
    return Sample(tag, value, Quality.GOOD, now, now, Provenance.A)


def test_the_last_value_of_a_tag_stays(now):
    board = Board()
    board.put(Batch.of("hall-2", [sample(now, 1.0), sample(now, 2.0)]))
    assert board.readings()["mill/vibration"].value == 2.0
    assert board.readings()["mill/vibration"].connection == "hall-2"


def test_what_was_said_before_a_restart_is_uncertain_until_it_is_said_again(now):
    board = Board()
    board.recall("hall-2", [sample(now), replace(sample(now, tag="mill/other"), quality=Quality.BAD)])
    board.notify(Link("hall-2", True, now, ""))
    assert {key: reading.quality for key, reading in board.readings().items()} == {
        "mill/vibration": Quality.UNCERTAIN,
        "mill/other": Quality.BAD,
    }
    board.put(Batch.of("hall-2", [sample(now, 2.0)]))
    assert board.readings()["mill/vibration"].quality is Quality.GOOD


def test_a_reading_of_a_connection_that_nobody_knows_or_that_is_down_is_stale(now):
    board = Board()
    board.put(Batch.of("hall-2", [sample(now)]))
    reading = board.readings()["mill/vibration"]
    assert board.is_stale(reading, now)
    board.notify(Link("hall-2", True, now, ""))
    assert not board.is_stale(reading, now)
    board.notify(Link("hall-2", False, now, "gone"))
    assert board.is_stale(reading, now)


def test_a_reading_of_a_faulty_tag_is_stale(now):
    board = Board()
    board.put(Batch.of("hall-2", [sample(now), sample(now, tag="mill/other")]))
    board.notify(Link("hall-2", True, now, "", (("mill/other", "no such node"),)))
    assert board.is_stale(board.readings()["mill/other"], now)
    assert not board.is_stale(board.readings()["mill/vibration"], now)


def test_a_reading_grows_stale_with_age_where_the_site_says_so(now):
    board = Board(stale_after=timedelta(minutes=1))
    board.notify(Link("hall-2", True, now, ""))
    board.put(Batch.of("hall-2", [sample(now)]))
    reading = board.readings()["mill/vibration"]
    assert not board.is_stale(reading, now + timedelta(minutes=1))
    assert board.is_stale(reading, now + timedelta(minutes=1, seconds=1))


async def test_a_slow_watcher_misses_values_in_between_and_never_the_last(now):
    board = Board()
    async with board.watch() as watcher:
        for value in range(10_000):
            board.put(Batch.of("hall-2", [sample(now, float(value))]))
        board.tell({"orders"})
        assert await watcher.changes() == {"mill/vibration", "orders"}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watcher.changes(), 0.01)
        board.notify(Link("hall-2", False, now, ""))
        assert await watcher.changes() == {"links"}


async def test_watchers_are_bounded_and_leave_nothing_behind(now):
    board = Board()
    watching = [board.watch() for _ in range(WATCHERS_MAX)]
    for each in watching:
        await each.__aenter__()
    with pytest.raises(TooManyWatchers):
        await board.watch().__aenter__()
    for each in watching:
        await each.__aexit__(None, None, None)
    async with board.watch():
        pass
    assert not board._watchers


def test_links_are_by_name(now):
    board = Board()
    for name in ("b", "a"):
        board.notify(Link(name, True, now, ""))
    assert [link.name for link in board.links()] == ["a", "b"]
