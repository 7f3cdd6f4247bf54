"""Lives that wear is learned from: what was measured of parts, and what their machine said meanwhile.

Measurements are a CSV file with the columns `part`, `time` and `wear`: a row for each time that somebody looked at a
part, the first of each part being its fitting. What the machine said comes from the gateway's telemetry, or from CSV
files with a column `time` and one for each tag, named as the config does or by the tag's own name; an empty cell says
nothing new. Times are ISO 8601, without an offset in the site's zone. Whatever is wrong is said with file and line.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from gettext import gettext as _
from heapq import merge
from itertools import pairwise
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from connectors.samples import Quality, moment_of, ticks_of
from maintenance import history
from maintenance.estimates import Estimate
from maintenance.wear_lives import Measured, Said

BEFORE: Final = timedelta(days=1)
"""How long before a fitting it is looked where signals and counters stood."""
ROWS_MAX: Final = 20_000_000
"""Of a file; a line a second for most of a year."""


class WearFileBroken(ValueError):
    """A file cannot be read as what it should be; `str()` says file, line and what is wrong."""


def read_measured(file: Path, zone: ZoneInfo) -> dict[str, list[Measured]]:
    """Return the measurements of each part, in the order of time. Raises `WearFileBroken`, OSError."""
    found: dict[str, list[Measured]] = {}
    for line, row in _rows(file, ("part", "time", "wear")):
        part, wear = row["part"].strip(), _number(file, line, row["wear"])
        if not part or not math.isfinite(wear) or wear < 0:
            raise _broken(file, line, _("a part has a name, and wear is a number of at least 0"))
        each = Measured(ticks_of(_time(file, line, row["time"], zone)), wear)
        before = found.setdefault(part, [])
        if before and (each.at <= before[-1].at or each.wear < before[-1].wear):
            raise _broken(file, line, _("the rows of a part are in the order of time, and wear does not fall"))
        before.append(each)
    _require_apart(file, found)
    return found


def _require_apart(file: Path, parts: Mapping[str, Sequence[Measured]]) -> None:
    """Two parts are never in one slot at once."""
    spans = sorted((rows[0].at, rows[-1].at, part) for part, rows in parts.items())
    for (_fitted, end, part), (fitted, _end, other) in pairwise(spans):
        if fitted < end:
            sentence = _("{file}: {other} was fitted before {part} was last measured: one slot holds one part")
            raise WearFileBroken(sentence.format(file=file, part=part, other=other))


async def said_in_store(connection: AsyncConnection, use: Estimate, measured: Sequence[Measured]) -> list[Said]:
    """Return what the gateway heard of a part's tags while it worked, in the order of time."""
    since, until = moment_of(measured[0].at) - BEFORE, moment_of(measured[-1].at) + timedelta(microseconds=1)
    columns = []
    for place, tag in enumerate((*use.signals, *use.clocks)):
        found = await history.read(connection, tag.key, since, until)
        rows = zip(found.source.tolist(), found.values.tolist(), found.quality.tolist(), strict=True)
        columns.append([(at, place, value if quality == Quality.GOOD else math.nan) for at, value, quality in rows])
    return list(merge(*columns, key=_in_time))


def said_in_files(files: Iterable[Path], use: Estimate, zone: ZoneInfo) -> list[Said]:
    """Return what files say of an estimate's tags, in the order of time. Raises `WearFileBroken`, OSError."""
    found = [said for file in files for said in _said(file, use, zone)]
    return sorted(found, key=_in_time)


def _in_time(said: Said) -> tuple[int, int]:
    """Signals before clocks: a row is made of what was said with it."""
    return said[0], said[1]


def within(said: Sequence[Said], measured: Sequence[Measured]) -> list[Said]:
    """Return what was said while a part worked, and shortly before."""
    since = measured[0].at - int(BEFORE.total_seconds()) * 10_000_000
    return [each for each in said if since <= each[0] <= measured[-1].at]


def _said(file: Path, use: Estimate, zone: ZoneInfo) -> Iterator[Said]:
    places: dict[str, int] | None = None
    for line, row in _rows(file, ("time",)):
        if places is None:
            places = _places(file, list(row), use)
        at = ticks_of(_time(file, line, row["time"], zone))
        for name, place in places.items():
            if row[name].strip():
                yield at, place, _number(file, line, row[name])


def _places(file: Path, header: Sequence[str], use: Estimate) -> dict[str, int]:
    """Return the column of each tag that a file has, by the tag's place."""
    wanted = {tag.key: place for place, tag in enumerate((*use.signals, *use.clocks))}
    wanted |= {key.partition("/")[2]: place for key, place in wanted.items()}
    found = {name: wanted[name] for name in header if name in wanted}
    if not found:
        tags = ", ".join(tag.key for tag in (*use.signals, *use.clocks))
        raise _broken(file, 1, _("no column is named like a tag of the estimate: {tags}").format(tags=tags))
    return found


def _rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a table with their lines; every row has a cell for each column."""
    with file.open(newline="", encoding="utf-8-sig") as opened:
        reader = csv.reader(opened, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            _require_header(file, header, columns)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header) or reader.line_num > ROWS_MAX:
                    sentence = _("{count} columns instead of {columns}")
                    raise _broken(file, reader.line_num, sentence.format(count=len(cells), columns=len(header)))
                yield reader.line_num, dict(zip(header, cells, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise _broken(
                file, reader.line_num + 1, _("no table with commas: {reason}").format(reason=error)
            ) from error


def _require_header(file: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    for name in columns:
        if header.count(name) != 1:
            sentence = _("the first line names the columns, and {count} are named {name} where there should be one")
            raise _broken(file, 1, sentence.format(count=header.count(name), name=name))


def _time(file: Path, line: int, text: str, zone: ZoneInfo) -> datetime:
    with suppress(ValueError):
        found = datetime.fromisoformat(text.strip())
        return found if found.tzinfo else found.replace(tzinfo=zone)
    raise _broken(file, line, _("{text} is no time such as 2026-03-02T08:00:00").format(text=repr(text[:60])))


def _number(file: Path, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise _broken(file, line, _("{text} is no number").format(text=repr(text[:60]))) from error


def _broken(file: Path, line: int, what: str) -> WearFileBroken:
    return WearFileBroken(f"{file}:{line}: {what}")
