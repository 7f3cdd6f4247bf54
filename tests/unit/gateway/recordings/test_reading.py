"""One reader for whoever asks: it tells stores and tables apart by what they are."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.recordings.reading import batches
from gateway.recordings.tables import Read, TelemetryBroken

ZONE = ZoneInfo("UTC")
TAGS = {"press/hours", "press/shake"}


def told(*paths: Path) -> list[tuple[str, float]]:
    return [(each.tag, each.value) for batch in batches(paths, TAGS, ZONE, Read()) for each in batch]


def test_several_tables_and_folders_are_read_side_by_side(tmp_path: Path):
    (tmp_path / "more").mkdir()
    first, second = tmp_path / "hours.csv", tmp_path / "more" / "shake.csv"
    first.write_text("time,hours\n2026-01-01T00:00Z,1\n2026-01-01T02:00Z,3\n")
    second.write_text("time,shake\n2026-01-01T01:00Z,2\n")
    assert told(first, second.parent) == [("press/hours", 1.0), ("press/shake", 2.0), ("press/hours", 3.0)]


def test_a_store_is_known_by_what_is_in_it_and_one_that_is_none_is_refused(tmp_path: Path):
    store = tmp_path / "telemetry.db"
    store.write_bytes(b"SQLite format 3\x00" + bytes(84))
    for path in (store, tmp_path):
        with pytest.raises(TelemetryBroken, match=r"telemetry\.db cannot be read"):
            told(path)
