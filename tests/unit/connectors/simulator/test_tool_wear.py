"""Recorded tools are read strictly: what is wrong is said with file and line."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from connectors.simulator.recordings import Recording, RecordingError, read_recordings
from connectors.simulator.tool_wear import CHANNELS, ToolWear

FILE = ToolWear.file
HEADER = ("AE_RMS", *CHANNELS[:-1], "tool", CHANNELS[-1])
Writer = Callable[[Sequence[str]], Path]


def row(tool: object = 3, second: int = 1, wear: object = 12.5, extra: str = "") -> str:
    return f"{extra},11.5,120,500.25,-{second},{tool},{wear}"


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def write(rows: Sequence[str]) -> Path:
        (tmp_path / FILE).write_text("\n".join((",".join(HEADER), *rows)) + "\n")
        return tmp_path

    return write


def read(directory: Path, units: Sequence[int] | None = None) -> tuple[Recording, ...]:
    return read_recordings(directory, units, [ToolWear()])


def test_every_tool_is_one_life_of_the_controllers_channels(write: Writer):
    three, five = read(write([row(5, 1), row(5, 2, 14), row(3, 1)]))
    assert (three.unit, len(three), five.unit, len(five)) == (3, 1, 5, 2)
    assert three.channels == CHANNELS
    assert five.rows[1] == (11.5, 120.0, 500.25, -2.0, 14.0)


def test_a_compressed_table_and_other_columns_in_other_places_read_alike(write: Writer, tmp_path: Path):
    plain = read(write([row(), row(second=2)]))
    lines = (tmp_path / FILE).read_text().splitlines()
    (tmp_path / FILE).unlink()
    turned = "".join(",".join(reversed(line.split(","))) + "\r\n" for line in lines)
    (tmp_path / f"{FILE}.gz").write_bytes(gzip.compress(turned.encode()))
    assert read(tmp_path) == plain


def test_only_the_tools_asked_for_are_read(write: Writer):
    assert [tool.unit for tool in read(write([row(1), row(2), row(3)]), [3, 1])] == [1, 3]
    with pytest.raises(RecordingError, match=r"no unit 4"):
        read(write([row(1), row(2)]), [1, 4])
    with pytest.raises(RecordingError, match=r"no row of the units"):
        read(write([row(1)]), [4])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2,3", "3 columns instead of 7"),
        (row() + ",5", "8 columns instead of 7"),
        (row(wear="worn"), "Vb is not a number: .*worn"),
        (row(extra="loud"), "AE_RMS is not a number: .*loud"),
        (row(tool=""), "a tool below 1"),
        (row(tool="1.5"), "a tool below 1"),
        (row(tool="inf"), "a tool below 1"),
        (row(tool=0), "a tool below 1"),
        (row(wear=-1), "a wear below 0"),
        (row(wear=""), "not finite"),
        (row().replace("11.5", ""), "not finite"),
        (row().replace("11.5", "nan"), "not finite"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(write: Writer, line: str, message: str):
    with pytest.raises(RecordingError, match=rf"^{FILE}:3: {message}|^{FILE}:3: .*{message}"):
        read(write([row(), line, row(second=2)]))


def test_a_table_without_the_columns_or_with_one_twice_is_named(tmp_path: Path):
    (tmp_path / FILE).write_text(row() + "\n")
    with pytest.raises(RecordingError, match=rf"{FILE}:1: 0 columns are named tool"):
        read(tmp_path)
    (tmp_path / FILE).write_text(",".join((*HEADER, "Vb")) + "\n")
    with pytest.raises(RecordingError, match=rf"{FILE}:1: 2 columns are named Vb"):
        read(tmp_path)
    (tmp_path / FILE).write_text("")
    with pytest.raises(RecordingError, match=rf"{FILE}:1: "):
        read(tmp_path)


def test_the_rows_of_a_tool_stand_together(write: Writer):
    with pytest.raises(RecordingError, match="unit 1 do not stand together"):
        read(write([row(1), row(2), row(1)]))


def test_a_directory_without_the_table_is_named(tmp_path: Path):
    with pytest.raises(RecordingError, match=r"holds no recording \(Vicomtech tool wear\)"):
        read(tmp_path)


@pytest.mark.shared
@pytest.mark.skipif("TOOLCRIB_SHARED" not in os.environ, reason="TOOLCRIB_SHARED names no recordings")
def test_the_published_table_reads_whole():
    tools = read(Path(os.environ["TOOLCRIB_SHARED"]) / "data" / "tool_wear_vicomtech")
    assert [tool.unit for tool in tools] == [3, 4, 5, 6, 7, *range(9, 17)]
    assert sum(map(len, tools)) == 2_054
