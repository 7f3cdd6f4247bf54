"""Files of telemetry: what is understood comes in the order of time, what is not is counted and named."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.samples import Quality
from gateway.recordings import tables
from gateway.recordings.tables import Read, TelemetryBroken, batches, csv_files, resolver, ticks

BERLIN = ZoneInfo("Europe/Berlin")
TAGS = ("press/vibration", "press/hours", "saw/hours")


def samples(path: Path, read: Read | None = None) -> list[tuple[str, float, datetime]]:
    found = batches(csv_files(path), resolver(TAGS), BERLIN, read or Read())
    return [(each.tag, each.value, each.source_time) for batch in found for each in batch]


def hour(number: int) -> datetime:
    return datetime(2026, 1, 1, number, tzinfo=UTC)


def test_a_wide_file_has_a_column_for_each_tag(tmp_path: Path):
    file = tmp_path / "all.csv"
    file.write_text("time,vibration,saw/hours,colour\n2026-01-01T00:00Z,1.5,7,red\n2026-01-01T01:00Z,,8,red\n")
    read = Read()
    assert samples(file, read) == [
        ("press/vibration", 1.5, hour(0)),
        ("saw/hours", 7.0, hour(0)),
        ("saw/hours", 8.0, hour(1)),
    ]
    assert list(read.ignored) == ["all.csv: colour"]
    assert read.values == 3


def test_a_long_file_has_a_row_for_each_value(tmp_path: Path):
    file = tmp_path / "all.tsv"
    file.write_text("Timestamp\tTag\tValue\tQuality\n1767225600\tvibration\t1.5\t\n1767225600000\tpress/hours\t\tbad\n")
    (batch,) = batches([file], resolver(TAGS), BERLIN, Read())
    assert [(each.tag, each.quality, each.source_time) for each in batch] == [
        ("press/vibration", Quality.GOOD, hour(0)),
        ("press/hours", Quality.BAD, hour(0)),
    ]


def test_files_of_machines_are_merged_by_time(tmp_path: Path):
    (tmp_path / "press.csv").write_text("time;hours\n2026-01-01T00:00Z;1,5\n2026-01-01T02:00Z;2,5\n")
    (tmp_path / "saw").mkdir()
    with gzip.open(tmp_path / "saw" / "2026.csv.gz", "wt") as file:
        file.write("time,hours\n2026-01-01T01:00Z,9\n2026-01-01T03:00Z,9\n")
    found = samples(tmp_path)
    assert [(tag, value, at.hour) for tag, value, at in found] == [
        ("press/hours", 1.5, 0),
        ("saw/hours", 9.0, 1),
        ("press/hours", 2.5, 2),
        ("saw/hours", 9.0, 3),
    ]


def test_a_long_recording_comes_in_pieces_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "VALUES_MAX", 512)
    for name in ("press", "saw"):
        rows = (f"{1767225600 + 60 * at},{at}\n" for at in range(2_000))
        (tmp_path / f"{name}.csv").write_text("time,hours\n" + "".join(rows))
    read = Read()
    pieces = list(batches(csv_files(tmp_path), resolver(TAGS), BERLIN, read))
    assert max(map(len, pieces)) <= 2 * 512
    assert sum(map(len, pieces)) == read.values == 4_000
    times = [int(each) for piece in pieces for each in piece.source]
    assert times == sorted(times)
    assert read.share == 1.0


def test_what_is_not_understood_is_left_out_counted_and_named(tmp_path: Path):
    file = tmp_path / "press.csv"
    file.write_text(
        "time,hours,vibration\n"
        "2026-01-01T05:00Z,1,1\n"
        "2026-01-01T06:00Z,2\n"
        "yesterday,3,1\n"
        "2026-01-01T06:00Z,many,1.5\n"
        "2026-01-01T06:00Z,inf,1.5\n"
        "2026-01-01T01:00Z,1,1\n"
    )
    read = Read()
    assert len(samples(file, read)) == 4
    assert (read.bad, read.late) == (4, 1)
    assert [each.partition(": ")[0] for each in read.named] == [f"press.csv:{line}" for line in (3, 4, 5, 6, 7)]


def test_a_file_that_is_sorted_by_tag_is_refused_where_the_time_begins_again(tmp_path: Path):
    file = tmp_path / "all.csv"
    file.write_text(
        "time,tag,value\n2026-01-01T00:00Z,press/hours,1\n2026-01-01T09:00Z,press/hours,2\n"
        "2026-01-01T00:00Z,saw/hours,1\n"
    )
    with pytest.raises(TelemetryBroken, match=r"all\.csv:4: the time begins again"):
        samples(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "press.csv:1: the first row names no column of times"),
        ("when,hours\n1,2\n", "press.csv:1: the first row names no column of times"),
        ("time,colour\n1,red\n", "press.csv: colour"),
    ],
)
def test_a_file_that_says_nothing_of_use_is_named(tmp_path: Path, content: str, said: str):
    file = tmp_path / "press.csv"
    file.write_text(content)
    with pytest.raises(TelemetryBroken, match=said):
        samples(file)


def test_a_folder_without_telemetry_says_so(tmp_path: Path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(TelemetryBroken, match="holds no telemetry"):
        csv_files(tmp_path)


@pytest.mark.parametrize(
    "content", [b"\x00\xff\xfe" * 50, b"\x1f\x8b broken", b"time,hours\n\xff\xfe\x00,\x00\n", b'time,"']
)
def test_bytes_that_are_no_table_never_do_more_than_be_refused_or_counted(tmp_path: Path, content: bytes):
    file = tmp_path / "press.csv"
    file.write_bytes(content)
    read, said = Read(), ""
    try:
        samples(file, read)
    except TelemetryBroken as error:
        said = str(error)
    assert read.values == 0
    assert "press.csv" in said or read.named


def test_a_time_without_an_offset_is_the_sites(tmp_path: Path):
    assert ticks("2026-01-01T01:00", BERLIN) == ticks("2026-01-01T00:00Z", BERLIN)
    assert ticks("1e300", BERLIN) is None
