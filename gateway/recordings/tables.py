"""Recorded telemetry from CSV files, as batches in the order of time.

Two shapes, told apart by their first row. *Wide*: a column of times and one for each tag. *Long*: `time`, `tag`,
`value` and perhaps `quality`. Comma, semicolon or tab; `.csv`, `.tsv`, `.txt`, also with `.gz`. A tag is named as the
config does, `machine/tag`, or by its own name where that is clear: only one machine has it, or the file or its folder
is called like the machine. Values are in the unit that the config says. Times are ISO 8601, without an offset in the
site's zone, or seconds or milliseconds since 1970 UTC.

Promises: many files are read side by side, each once, and only a bounded piece of each lies in memory. A row that
cannot be understood is left out, counted and, of the first ones, named with file and line; so is a value, or one that
comes late. Nothing is filled in. Rows in one file are in the order of time, or an hour off at most.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from gettext import gettext as _
from pathlib import Path
from typing import IO, Final
from zoneinfo import ZoneInfo

import numpy as np

from connectors.samples import TICKS_PER_SECOND, Batch, Keys, Provenance, Quality, ticks_of

ENDINGS: Final = frozenset({".csv", ".tsv", ".txt"})
FILES_MAX: Final = 20_000
"""A file for each of 50 machines and each day of a year."""
OPEN_MAX: Final = 200
"""Read side by side; below what an operating system lets one process open."""
VALUES_MAX: Final = 16_384
"""Of one file in memory at once: with 200 of them 100 MB."""
LATE: Final = timedelta(hours=1)
"""Rows may be so much out of order; what is later is left out, as nobody had it when it was decided."""
NAMED_MAX: Final = 20
"""Troubles that are named one by one."""
LINE_MAX: Final = 1_000_000
"""Characters; a table of 50,000 tags has fewer in a row."""
_TIMES: Final = frozenset({"time", "timestamp", "datetime", "date_time", "ts"})
_TAGS: Final = frozenset({"tag", "name", "key", "signal"})
_VALUES: Final = frozenset({"value"})
_QUALITIES: Final = frozenset({"quality", "status"})
_MILLISECONDS: Final = 1e11
"""Seconds since 1970 reach it in the year 5138."""

Resolve = Callable[[str, Path], str | None]
"""The tag that a name in a file means, `machine/tag`; None for one that the config does not have."""


class TelemetryBroken(ValueError):
    """What is there is no telemetry; `str()` says the file, the line and what to do."""


@dataclass(slots=True)
class Read:
    """What was read so far. bad, late: rows or values that were left out; named: the first of them. ignored: columns
    and tags that the config does not know, by file, the first ones."""

    values: int = 0
    bad: int = 0
    late: int = 0
    named: list[str] = field(default_factory=list)
    ignored: dict[str, None] = field(default_factory=dict)
    bytes_read: int = 0
    bytes_all: int = 0

    @property
    def share(self) -> float:
        """How much of all has been read, from 0 to 1."""
        return min(self.bytes_read / self.bytes_all, 1.0) if self.bytes_all else 1.0

    def wrong(self, file: str, line: int, what: str) -> None:
        """Count what cannot be understood."""
        self.bad += 1
        if len(self.named) < NAMED_MAX:
            self.named.append(f"{file}:{line}: {what}")

    def unknown(self, file: str, name: str) -> None:
        """Note a column or a tag that the config does not know."""
        if len(self.ignored) < NAMED_MAX:
            self.ignored[f"{file}: {name[:100]}"] = None


def resolver(tags: Iterable[str]) -> Resolve:
    """Return who says which of these tags, each `machine/tag`, a name in a file means."""
    known = frozenset(tags)
    machines = {key.partition("/")[0] for key in known}
    by_name: dict[str, list[str]] = {}
    for key in sorted(known):
        by_name.setdefault(key.partition("/")[2], []).append(key)

    def resolve(name: str, file: Path) -> str | None:
        if name in known:
            return name
        stem = file.name.partition(".csv")[0].partition(".tsv")[0].partition(".txt")[0]
        for machine in (stem, file.parent.name):
            if machine in machines and f"{machine}/{name}" in known:
                return f"{machine}/{name}"
        clear = by_name.get(name, [])
        return clear[0] if len(clear) == 1 else None

    return resolve


def csv_files(path: Path) -> list[Path]:
    """Return the files of a directory, or the one file. Raises `TelemetryBroken`."""
    if path.is_file():
        return [path]
    found = sorted(each for each in path.rglob("*") if each.is_file() and _is_table(each))
    if not found:
        text = _("{path} holds no telemetry: neither files ending in {endings}, also .gz, nor a telemetry.db")
        raise TelemetryBroken(text.format(path=path, endings=", ".join(sorted(ENDINGS))))
    if len(found) > FILES_MAX:
        raise TelemetryBroken(_("{path} holds more than {most} files; join them").format(path=path, most=FILES_MAX))
    return found


def _is_table(file: Path) -> bool:
    name = Path(file.stem) if file.suffix == ".gz" else file
    return name.suffix.lower() in ENDINGS


def batches(files: Sequence[Path], resolve: Resolve, zone: ZoneInfo, read: Read) -> Generator[Batch, None, None]:
    """Yield what the files say, in the order of time. Raises `TelemetryBroken`; OSError for a file that is gone."""
    keys = Keys()
    readers = [_Reader(file, resolve, zone, read, keys) for file in files]
    read.bytes_all = sum(file.stat().st_size for file in files)
    begun = [(first, at) for at, each in enumerate(readers) if (first := each.first()) is not None]
    if not any(each.understood for each in readers):
        names = ", ".join((*read.named, *read.ignored)) or ", ".join(file.name for file in files[:3])
        text = _("nothing here is a tag of the config: {names}. Name columns or tags as the config does: machine/tag")
        raise TelemetryBroken(text.format(names=names))
    waiting = [(first, readers[at]) for first, at in sorted(begun, reverse=True)]
    active: list[_Reader] = []
    try:
        while active or waiting:
            horizon = min((each.last for each in active), default=None)
            if waiting and (horizon is None or waiting[-1][0] <= horizon):
                active.append(waiting.pop()[1])
                if len(active) > OPEN_MAX:
                    text = _("more than {most} files tell of the same time; join them, or choose one machine")
                    raise TelemetryBroken(text.format(most=OPEN_MAX))
                active[-1].more()
                continue
            assert horizon is not None
            yield from _joined([each.taken(horizon) for each in active], keys, read)
            active = [each for each in active if each.more()]
    finally:
        for each in active:
            each.close()


Column = tuple[list[int], list[float], list[int], list[int]]
"""Numbers of tags, values, qualities and ticks."""


def _joined(several: Sequence[Column], keys: Keys, read: Read) -> Iterator[Batch]:
    tags, values, quality, source = (
        np.array([each for column in several for each in column[place]], kind)
        for place, kind in enumerate((np.int32, np.float64, np.uint8, np.int64))
    )
    if not len(tags):
        return
    order = np.argsort(source, kind="stable")
    read.values += len(tags)
    yield Batch("", keys, tags[order], values[order], quality[order], source[order], source[order], Provenance.B)


class _Reader:
    """One file: its columns, and the piece of it that lies in memory."""

    def __init__(self, file: Path, resolve: Resolve, zone: ZoneInfo, read: Read, keys: Keys) -> None:
        self._file, self._resolve, self._zone, self._read, self._keys = file, resolve, zone, read, keys
        self.understood = False
        self._raw: IO[bytes] | None = None
        self._text: IO[str] | None = None
        self._rows: Iterator[tuple[int, list[str]]] = iter(())
        self._take: Callable[[int, list[str]], bool] = lambda _line, _row: True
        self._decimal_comma = False
        self._column: Column = ([], [], [], [])
        self._newest = 0
        self._told = 0
        self._ended = False
        self._tags: dict[str, int | None] = {}
        self.last = 0

    def first(self) -> int | None:
        """Return the ticks of the file's first row, None for a file that says nothing of use."""
        before = self._read.bytes_read
        try:
            if not self._open():
                return None
            silent = Read()
            mine, self._read = self._read, silent  # what is wrong is said once, when it is read
            try:
                while not self._column[0]:
                    line_row = next(self._rows, None)
                    if line_row is None:
                        mine.bad, mine.late = mine.bad + silent.bad, mine.late + silent.late
                        mine.named += silent.named[: NAMED_MAX - len(mine.named)]
                        return None
                    self._take(*line_row)
                return min(self._column[3])
            finally:
                self._read = mine
        finally:
            self.close()
            self._read.bytes_read = before
            self._column = ([], [], [], [])
            self._newest, self._tags = 0, {}

    def more(self) -> bool:
        """Have something in memory; return False at the end of the file."""
        if self._raw is None and not self._ended:
            self._open()
        while not self._ended and len(self._column[0]) < VALUES_MAX // 2:
            line_row = next(self._rows, None)
            if line_row is None:
                self._ended = True
                self.close()
            else:
                self._take(*line_row)
        self.last = 2**62 if self._ended else max(self._newest - int(LATE.total_seconds()) * TICKS_PER_SECOND, 0)
        if self._ended and self._column[0]:
            self.last = max(self._column[3])
        elif not self._ended and len(self._column[0]) >= VALUES_MAX // 2 and min(self._column[3]) > self.last:
            self.last = sorted(self._column[3])[len(self._column[3]) // 2]  # an hour of it is too much to hold
        return bool(self._column[0]) or not self._ended

    def taken(self, horizon: int) -> Column:
        """Return what lies in memory up to a time, and hold it no more."""
        rows = list(zip(*self._column, strict=True))
        early = [row for row in rows if row[3] <= horizon]
        rest = [row for row in rows if row[3] > horizon]
        self._column = _columns(rest)
        return _columns(early)

    def close(self) -> None:
        """Close the file."""
        for each in (self._text, self._raw):
            if each is not None:
                each.close()
        self._text = self._raw = None

    def _open(self) -> bool:
        """Open the file and understand its first row; return whether it says anything of use."""
        self._raw = self._file.open("rb")
        self._told = 0
        packed = self._raw.read(2) == b"\x1f\x8b"
        self._raw.seek(0)
        unpacked = gzip.GzipFile(fileobj=self._raw) if packed else self._raw
        self._text = io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline="", errors="replace")
        lines = self._lines(self._text)
        head = next(lines, "")
        delimiter = max(",;\t", key=head.count)
        self._decimal_comma = delimiter == ";"
        rows = csv.reader(lines, delimiter=delimiter)
        header = [each.strip() for each in next(csv.reader([head], delimiter=delimiter), [])]
        self._rows = self._numbered(rows)
        return self._understand(header)

    def _lines(self, text: IO[str]) -> Iterator[str]:
        """Yield lines, and count how much of the file was read."""
        try:
            while line := text.readline(LINE_MAX):
                assert self._raw is not None
                told = self._raw.tell()
                self._read.bytes_read += told - self._told
                self._told = told
                yield line
        except (OSError, EOFError, zlib.error) as error:
            raise TelemetryBroken(
                _("{file} cannot be read: {reason}").format(file=self._file.name, reason=error)
            ) from error

    def _numbered(self, rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
        line = 1
        while True:
            line += 1
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                self._read.wrong(self._file.name, line, str(error))
                continue
            if any(row):
                yield line, row

    def _understand(self, header: Sequence[str]) -> bool:
        names = [each.lower() for each in header]
        times = [at for at, name in enumerate(names) if name in _TIMES]
        if not times:
            text = _("the first row names no column of times ({known}): {columns}")
            columns, known = ", ".join(header)[:200], ", ".join(sorted(_TIMES))
            self._read.wrong(self._file.name, 1, text.format(known=known, columns=columns))
            return False
        tag = next((at for at, name in enumerate(names) if name in _TAGS), None)
        value = next((at for at, name in enumerate(names) if name in _VALUES), None)
        if tag is not None and value is not None:
            quality = next((at for at, name in enumerate(names) if name in _QUALITIES), None)
            self.understood = True
            self._take = self._long(len(header), times[0], tag, value, quality)
            return True
        wide = [
            (at, key) for at, name in enumerate(header) if at != times[0] and (key := self._known(name)) is not None
        ]
        self.understood = bool(wide)
        self._take = self._wide(len(header), times[0], wide)
        return bool(wide)

    def _known(self, name: str) -> int | None:
        if name not in self._tags:
            key = self._resolve(name, self._file)
            if key is None:
                self._read.unknown(self._file.name, name)
            if len(self._tags) >= 100_000:  # a file whose tags are all different names none
                return None if key is None else self._keys.number(key)
            self._tags[name] = None if key is None else self._keys.number(key)
        return self._tags[name]

    def _wide(self, width: int, time: int, columns: Sequence[tuple[int, int]]) -> Callable[[int, list[str]], bool]:
        def take(line: int, row: list[str]) -> bool:
            at = self._time(line, row, width, time)
            if at is None:
                return False
            for place, tag in columns:
                if text := row[place].strip():
                    self._put(line, tag, text, Quality.GOOD, at)
            return True

        return take

    def _long(
        self, width: int, time: int, tag: int, value: int, quality: int | None
    ) -> Callable[[int, list[str]], bool]:
        def take(line: int, row: list[str]) -> bool:
            fresh = len(row) == width and row[tag].strip() not in self._tags
            at = self._time(line, row, width, time, first_of_its_tag=fresh)
            if at is None:
                return False
            number = self._known(row[tag].strip())
            if number is None:
                return False
            told = _quality(row[quality]) if quality is not None else Quality.GOOD
            if told is None:
                self._read.wrong(self._file.name, line, _("{text!r} is no quality").format(text=row[quality or 0][:40]))
                return False
            self._put(line, number, row[value].strip(), told, at)
            return True

        return take

    def _time(self, line: int, row: list[str], width: int, place: int, *, first_of_its_tag: bool = False) -> int | None:
        """Return the ticks of a row; None, counted, where it is none of use."""
        if len(row) != width:
            text = _("{count} cells instead of {columns}")
            self._read.wrong(self._file.name, line, text.format(count=len(row), columns=width))
            return None
        at = ticks(row[place].strip(), self._zone)
        if at is None:
            self._read.wrong(self._file.name, line, _("{text!r} is no time").format(text=row[place][:40]))
            return None
        if self._newest - at > int(LATE.total_seconds()) * TICKS_PER_SECOND:
            if first_of_its_tag:
                text = _("{file}:{line}: the time begins again; sort the file by time, or write a file for each tag")
                raise TelemetryBroken(text.format(file=self._file.name, line=line))
            self._read.late += 1
            if len(self._read.named) < NAMED_MAX:
                self._read.named.append(f"{self._file.name}:{line}: " + _("comes more than an hour late"))
            return None
        self._newest = max(self._newest, at)
        return at

    def _put(self, line: int, tag: int, text: str, quality: Quality, at: int) -> None:
        value = _number(text, self._decimal_comma)
        if value is None and quality is Quality.GOOD:
            self._read.wrong(self._file.name, line, _("{text!r} is no number").format(text=text[:40]))
            return
        tags, values, qualities, times = self._column
        tags.append(tag)
        values.append(math.nan if value is None else value)
        qualities.append(int(quality))
        times.append(at)


def _columns(rows: Sequence[tuple[int, float, int, int]]) -> Column:
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], [row[3] for row in rows]


def _number(text: str, decimal_comma: bool) -> float | None:
    """Return the finite number that a cell says, None where it says none."""
    try:
        value = float(text.replace(",", ".") if decimal_comma else text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


_WORDS: Final[Mapping[str, Quality]] = {
    "": Quality.GOOD,
    "good": Quality.GOOD,
    "uncertain": Quality.UNCERTAIN,
    "bad": Quality.BAD,
}


def _quality(text: str) -> Quality | None:
    """Return the quality that a cell says: a word, or an OPC-UA status code of which the first two bits count."""
    word = text.strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    try:
        code = int(word, 0)
    except ValueError:
        return None
    return Quality(min(code >> 30, 2)) if 0 <= code < 2**32 else None


def ticks(text: str, zone: ZoneInfo) -> int | None:
    """Return the ticks that a time in a file stands for; None where it is none, or outside of any calendar."""
    try:
        return ticks_of(_moment(text, zone))
    except (ValueError, OverflowError):
        return None


def _moment(text: str, zone: ZoneInfo) -> datetime:
    try:
        number = float(text)
    except ValueError:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).astimezone(UTC)
    seconds = number / 1000 if abs(number) >= _MILLISECONDS else number
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
