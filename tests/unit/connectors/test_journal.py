"""The backlog's files: numbered for ever, bounded, and read again whatever was done to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from connectors.counters import Loss
from connectors.journal import ASIDE_MAX, Cursor, Journal, Mark
from connectors.samples import TICKS_PER_SECOND, Batch, Keys, Provenance

KEYS = Keys(["m/t"])
START = 17 * 10**15


class Wall:
    """A clock on the wall that is set by hand."""

    now = datetime(2026, 3, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def batch(value: float, samples: int = 1) -> Batch:
    whole = np.full(samples, START, np.int64)
    tags, quality = np.zeros(samples, np.int32), np.zeros(samples, np.uint8)
    return Batch("hall", KEYS, tags, np.full(samples, value), quality, whole, whole, Provenance.B)


def journal(tmp_path: Path, *, clock: Callable[[], datetime] | None = None, **bounds: int) -> Journal:
    found = Journal(tmp_path / "backlog", clock=clock or Wall(), **bounds)
    found.look()
    return found


def write(into: Journal, values: Sequence[float], **kwargs: int) -> None:
    for value in values:
        into.append([batch(value, **kwargs)])


def drained(from_: Journal, cursor: Cursor) -> list[float]:
    found = []
    while (parcel := from_.read(cursor, 5)) is not None:
        found += [float(value) for each in parcel.batches for value in each.values]
        from_.done(cursor, parcel)
    return found


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "backlog").glob("*.journal"))


def test_a_reader_goes_on_behind_the_mark_that_it_stored(tmp_path: Path):
    first = journal(tmp_path)
    cursor = first.cursor("store")
    write(first, range(10))
    parcel = first.read(cursor, 4)
    assert parcel is not None
    assert parcel.samples == 4
    # No close and nothing said: this process is killed here, its store has committed the parcel.
    second = journal(tmp_path)
    again = second.cursor("store", parcel.mark)
    assert again.depth == 6
    write(second, [10])
    assert drained(second, again) == [4, 5, 6, 7, 8, 9, 10]
    assert (again.depth, again.losses.total) == (0, 0)


def test_a_mark_of_another_journal_says_nothing(tmp_path: Path):
    first = journal(tmp_path)
    write(first, range(3))
    assert drained(first, first.cursor("store", Mark("another", 2))) == [0, 1, 2]


def test_a_number_that_a_store_remembers_is_never_given_again(tmp_path: Path):
    """After a power cut the store may remember more than the journal does."""
    first = journal(tmp_path)
    write(first, range(3))
    second = journal(tmp_path)
    cursor = second.cursor("store", Mark(second.name, 7))
    write(second, [3])
    assert drained(second, cursor) == [3]


def test_a_reader_without_a_memory_of_its_own_is_remembered_here(tmp_path: Path):
    first = journal(tmp_path)
    cursor = first.cursor("broker")
    write(first, range(6))
    parcel = first.read(cursor, 2)
    assert parcel is not None
    first.done(cursor, parcel)
    first.keep(cursor)
    second = journal(tmp_path)
    assert drained(second, second.cursor("broker")) == [2, 3, 4, 5]


def test_two_readers_each_get_everything_in_order(tmp_path: Path):
    both = journal(tmp_path, file_bytes=300)
    store, broker = both.cursor("store"), both.cursor("broker")
    write(both, range(20))
    assert drained(both, store) == list(range(20))
    assert len(files(tmp_path)) > 2
    assert drained(both, broker) == list(range(20))
    assert len(files(tmp_path)) == 1


def test_beyond_the_bound_in_bytes_the_oldest_are_lost_and_counted(tmp_path: Path):
    small = journal(tmp_path, bytes_max=4000)
    cursor = small.cursor("store")
    write(small, range(100))
    lost = cursor.losses[Loss.BACKLOG_FULL]
    assert 0 < lost < 100
    assert cursor.depth == 100 - lost
    assert sum(path.stat().st_size for path in files(tmp_path)) < 4000 + 600
    assert drained(small, cursor) == list(range(lost, 100))
    write(small, [100])
    assert drained(small, cursor) == [100]


def test_an_outage_of_a_hundred_virtual_hours_keeps_the_last_seventy_two(tmp_path: Path):
    wall = Wall()
    long = journal(tmp_path, clock=wall)
    cursor = long.cursor("store")
    for half_hour in range(200):
        long.append([batch(half_hour // 2)])
        wall.now += timedelta(minutes=30)
    kept = drained(long, cursor)
    assert kept[-1] == 99
    assert 72 <= len(kept) / 2 <= 74
    assert long.behind_ticks(cursor) == 0
    assert cursor.losses[Loss.BACKLOG_FULL] == 200 - len(kept)


def test_what_a_reader_holds_is_not_lost_when_its_file_is_dropped(tmp_path: Path):
    small = journal(tmp_path, bytes_max=4000)
    cursor = small.cursor("store")
    write(small, range(3))
    parcel = small.read(cursor, 3)
    assert parcel is not None
    write(small, range(3, 100))
    small.done(cursor, parcel)
    lost = cursor.losses.total
    assert drained(small, cursor) == list(range(3 + lost, 100))
    assert cursor.depth == 0


@pytest.mark.parametrize("cut", [1, 30, 60])
def test_a_half_written_record_is_left_out_and_the_rest_is_read(tmp_path: Path, cut: int):
    first = journal(tmp_path)
    write(first, range(5))
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    second = journal(tmp_path)
    cursor = second.cursor("store")
    write(second, [9])
    assert drained(second, cursor) == [0, 1, 2, 3, 9]
    assert cursor.losses.total == 0


def test_a_damaged_record_costs_itself_alone(tmp_path: Path):
    first = journal(tmp_path)
    write(first, range(5), samples=3)
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    length = (len(data) - 20) // 5
    data[20 + 2 * length + length // 2] ^= 0xFF
    data[20 + 3 * length + 5] ^= 0xFF  # a header
    path.write_bytes(data)
    second = journal(tmp_path)
    cursor = second.cursor("store")
    assert drained(second, cursor) == [0, 0, 0, 1, 1, 1, 4, 4, 4]
    assert cursor.losses[Loss.BACKLOG_BROKEN] == 6
    assert cursor.depth == 0


def test_a_file_that_is_none_is_set_aside_and_few_are_kept(tmp_path: Path):
    (tmp_path / "backlog").mkdir()
    for number in range(1, 5):
        (tmp_path / "backlog" / f"{number:016d}.journal").write_bytes(b"this is no journal" * 100)
    (tmp_path / "backlog" / "0000000000000007.journal").write_bytes(b"")
    found = journal(tmp_path)
    cursor = found.cursor("store")
    write(found, [1])
    assert drained(found, cursor) == [1]
    assert len(list((tmp_path / "backlog").glob("*.broken"))) == ASIDE_MAX


def test_a_file_without_its_name_is_set_aside_and_its_samples_are_counted(tmp_path: Path):
    first = journal(tmp_path, file_bytes=300)
    write(first, range(20))
    path = files(tmp_path)[0]
    path.write_bytes(b"scrambled" + path.read_bytes()[9:])
    second = journal(tmp_path)
    found = drained(second, second.cursor("store"))
    assert second.losses[Loss.BACKLOG_BROKEN] == 20 - len(found) > 0


def test_a_file_that_all_have_read_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("connectors.journal.REUSED_BYTES", 200)
    one = journal(tmp_path)
    cursor = one.cursor("store")
    write(one, range(5))
    assert drained(one, cursor) == [0, 1, 2, 3, 4]
    assert files(tmp_path) == []
    write(one, [5])
    assert drained(one, cursor) == [5]


def test_a_file_that_cannot_be_deleted_has_no_record_written_twice(tmp_path: Path):
    small = journal(tmp_path, bytes_max=4000)
    cursor = small.cursor("store")
    write(small, range(10))
    oldest = files(tmp_path)[0]
    oldest.unlink()
    oldest.mkdir()  # what a disk refuses to delete, whoever asks
    write(small, range(10, 100))
    lost = cursor.losses[Loss.BACKLOG_FULL]
    assert drained(small, cursor) == list(range(lost, 100))


def test_a_file_spans_an_hour_at_most_and_how_far_a_reader_is_behind_is_known(tmp_path: Path):
    wall = Wall()
    one = journal(tmp_path, clock=wall)
    cursor = one.cursor("store")
    for minutes in range(0, 181, 30):
        one.append([batch(minutes)])
        wall.now += timedelta(minutes=30)
    assert len(files(tmp_path)) == 4
    assert one.behind_ticks(cursor) == 3 * 3600 * TICKS_PER_SECOND
    parcel = one.read(cursor, 3)
    assert parcel is not None
    one.done(cursor, parcel)
    assert one.behind_ticks(cursor) == 2 * 3600 * TICKS_PER_SECOND
