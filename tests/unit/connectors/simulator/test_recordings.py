"""Recordings are read strictly: what is wrong is said with file and line."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.simulator.recordings import CMapss, RecordingError, parse_units, read_recordings

FILE = "train_FD001.txt"


def row(unit: int, cycle: int) -> str:
    sensors = " ".join(f"{unit}.{number:02d}" for number in range(1, 22))
    return f"{unit} {cycle} -0.0007 0.0004 100.0 {sensors}  "


def rows(*lives: int) -> list[str]:
    return [row(unit, cycle) for unit, life in enumerate(lives, start=1) for cycle in range(1, life + 1)]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[list[str]], Path]:
    def write(lines: list[str]) -> Path:
        (tmp_path / FILE).write_text("\n".join(lines) + "\n\n")
        return tmp_path

    return write


def test_every_unit_is_one_life(write: Callable[[list[str]], Path]) -> None:
    one, two = read_recordings(write(rows(3, 5)))
    assert (one.unit, len(one), two.unit, len(two)) == (1, 3, 2, 5)
    assert one.channels[:4] == ("op1", "op2", "op3", "s1")
    assert one.channels[-1] == "s21"
    assert two.rows[0] == (-0.0007, 0.0004, 100.0, *(float(f"2.{number:02d}") for number in range(1, 22)))


def test_a_compressed_file_reads_alike(write: Callable[[list[str]], Path], tmp_path: Path) -> None:
    plain = read_recordings(write(rows(3, 5)))
    (tmp_path / FILE).rename(tmp_path / "moved")
    (tmp_path / f"{FILE}.gz").write_bytes(gzip.compress((tmp_path / "moved").read_bytes()))
    assert read_recordings(tmp_path) == plain


def test_only_the_units_asked_for_are_read(write: Callable[[list[str]], Path]) -> None:
    assert [life.unit for life in read_recordings(write(rows(1, 2, 3)), [3, 1])] == [1, 3]
    with pytest.raises(RecordingError, match=r"no unit 4, 9"):
        read_recordings(write(rows(1, 2, 3)), [1, 4, 9])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 2 3", "3 columns instead of 26"),
        (row(1, 2) + " 5", "27 columns instead of 26"),
        (row(1, 2).replace("100.0", "warm"), "not a number"),
        (row(1, 2).replace("100.0", "nan"), "not finite"),
        (row(1, 2).replace("100.0", "1e999"), "not finite"),
        (row(1, 2).replace("1 2", "1.5 2", 1), "not a number"),
        (row(0, 2), "unit below 1"),
        (row(1, 3), "cycle 3 where 2 should follow"),
        (row(1, 1), "cycle 1 where 2 should follow"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(write: Callable[[list[str]], Path], line: str, message: str) -> None:
    with pytest.raises(RecordingError, match=rf"^train_FD001\.txt:2: .*{message}"):
        read_recordings(write([row(1, 1), line]))


def test_a_unit_that_comes_back_later_is_refused(write: Callable[[list[str]], Path]) -> None:
    with pytest.raises(RecordingError, match="unit 1 do not stand together"):
        read_recordings(write([row(1, 1), row(2, 1), row(1, 1)]))


def test_an_empty_file_holds_no_unit(write: Callable[[list[str]], Path]) -> None:
    with pytest.raises(RecordingError, match="no row"):
        read_recordings(write([]))


def test_a_directory_without_recordings_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"holds no recording \(C-MAPSS\)"):
        read_recordings(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"not gzip", gzip.compress(b"1 1 2\n" * 900, mtime=0)[:-9], b"\x1f\x8b\x08\x00broken"],
    ids=["another format", "cut short", "broken"],
)
def test_a_damaged_archive_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{FILE}.gz").write_bytes(content)
    with pytest.raises(RecordingError, match=r"train_FD001\.txt\.gz:\d+: "):
        read_recordings(tmp_path)


def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"1 1 \xff\xfe\n")
    with pytest.raises(RecordingError, match=r"train_FD001\.txt:1: not text"):
        read_recordings(tmp_path)


def test_units_are_written_as_people_write_them() -> None:
    assert parse_units("1-3,7, 2") == (1, 2, 3, 7)
    for nonsense in ("", "0", "3-1", "a", "1-", "-4", "1-999999999"):
        with pytest.raises(ValueError, match="does not name units"):
            parse_units(nonsense)


@pytest.mark.shared
@pytest.mark.skipif("TOOLCRIB_SHARED" not in os.environ, reason="TOOLCRIB_SHARED names no recordings")
def test_the_published_training_sets_read_whole() -> None:
    directory = Path(os.environ["TOOLCRIB_SHARED"]) / "data" / "cmapss"
    lives = read_recordings(directory)
    assert len(lives) == 100
    assert sum(map(len, lives)) == 20_631
    assert sum(map(len, read_recordings(directory, formats=[CMapss("FD003")]))) == 24_720
